"""Cells of markdown tables: how numbers, sizes and samples are written."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def told(samples: Sequence[float]) -> str:
    """Seconds as median, least, most and number of samples."""
    if not samples:
        return "–"
    shown = f"{median(samples):.3g} s"
    if len(samples) > 1:
        shown += f" [{min(samples):.3g}–{max(samples):.3g}]"
    return f"{shown}, n={len(samples)}"


def number(value: int | None, unit: str = "") -> str:
    """A whole number in groups of three, or a dash."""
    return "–" if value is None else f"{value:,}{unit}"


def size(value: int | None) -> str:
    """Bytes in MB or GB, or a dash."""
    if value is None:
        return "–"
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.1f} MB"


def line(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def rule(left: int, right: int) -> str:
    """The line under a table's titles: so many columns to the left, the others to the right."""
    return line(["---"] * left + ["---:"] * right)
