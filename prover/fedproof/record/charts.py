"""Two charts as self-contained SVG: lines over rounds, and stacked bars of seconds.

Colours come from the page's style sheet by class (``s0`` … for series), so that both colour schemes work.
The text is built with ElementTree, which escapes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.etree import ElementTree as ET

from markupsafe import Markup

_WIDTH = 460.0
_MAX_BAR_LABELS = 24


@dataclass(frozen=True)
class Series:
    """A named row of values, one per label on the other axis; ``dashed`` draws its line dashed."""

    name: str
    values: Sequence[float]
    dashed: bool = False


def line_chart(labels: Sequence[str], series: Sequence[Series], *, title: str, x_title: str) -> Markup:
    """Draw fractions (0 to 1, shown as percent) over ``labels``.

    Args:
        labels: one per point on the x axis.
        series: at most four; each has as many values as there are labels.
        title: read out by screen readers.
        x_title: below the x axis.
    """
    left, right, top, bottom = 44.0, 16.0, 14.0, 50.0
    height = 276.0
    inner_w, inner_h = _WIDTH - left - right, height - top - bottom
    svg = _svg(height, title)

    def x(index: int) -> float:
        return left + (inner_w * index / (len(labels) - 1) if len(labels) > 1 else inner_w / 2)

    def y(value: float) -> float:
        return top + inner_h * (1 - value)

    for step in range(6):
        level = y(step / 5)
        _line(svg, (left, level), (_WIDTH - right, level), "grid" if step else "axis")
        _text(svg, left - 8, level + 4, f"{step * 20}%", anchor="end", kind="tick")
    for index in _thinned(len(labels), 11):
        _text(svg, x(index), top + inner_h + 24, labels[index], anchor="middle", kind="tick")
    _text(svg, left + inner_w / 2, height - 6, x_title, anchor="middle", kind="title")

    for number, row in enumerate(series):
        points = [(x(index), y(value)) for index, value in enumerate(row.values)]
        line = ET.SubElement(
            svg,
            "polyline",
            {"class": f"line s{number}", "points": " ".join(f"{px:.1f},{py:.1f}" for px, py in points)},
        )
        if row.dashed:
            line.set("stroke-dasharray", "5 5")
        for index, (px, py) in enumerate(points):
            attributes = {"class": f"dot s{number}", "cx": f"{px:.1f}", "cy": f"{py:.1f}"}
            # The dashed series is drawn as rings around the dots of the other, so equal values stay visible.
            dot = ET.SubElement(svg, "circle", attributes | {"r": "6.5" if row.dashed else "3.5"})
            if row.dashed:
                dot.set("fill", "none")
                dot.set("class", f"ring s{number}")
            ET.SubElement(dot, "title").text = f"{row.name}, {labels[index]}: {row.values[index]:.2%}"
    return _markup(svg)


def stacked_bars(labels: Sequence[str], series: Sequence[Series], *, title: str, x_title: str) -> Markup:
    """Draw one horizontal bar per label, stacked from the series' seconds, with the sum at its end.

    Args:
        labels: one per bar, from the top.
        series: at most eight; each has as many values (seconds, not negative) as there are labels.
        title: read out by screen readers.
        x_title: below the x axis.
    """
    left, right, top, bottom = 70.0, 58.0, 6.0, 42.0
    pitch = min(38.0, max(6.0, 420.0 / max(1, len(labels))))
    inner_w, inner_h = _WIDTH - left - right, pitch * len(labels)
    height = top + inner_h + bottom
    svg = _svg(height, title)
    sums = [sum(row.values[index] for row in series) for index in range(len(labels))]
    ticks = nice_ticks(max(sums, default=0.0))
    scale = inner_w / ticks[-1]

    for tick in ticks:
        px = left + tick * scale
        _line(svg, (px, top), (px, top + inner_h), "grid" if tick else "axis")
        _text(svg, px, top + inner_h + 17, f"{tick:g}", anchor="middle", kind="tick")
    _text(svg, left + inner_w / 2, height - 6, x_title, anchor="middle", kind="title")

    labelled = set(_thinned(len(labels), _MAX_BAR_LABELS))
    for index, label in enumerate(labels):
        py, start = top + pitch * index + pitch * 0.15, left
        for number, row in enumerate(series):
            seconds = row.values[index]
            if seconds <= 0:
                continue
            bar = ET.SubElement(
                svg,
                "rect",
                {
                    "class": f"bar s{number}",
                    "x": f"{start:.2f}",
                    "y": f"{py:.1f}",
                    "width": f"{seconds * scale:.2f}",
                    "height": f"{pitch * 0.7:.1f}",
                },
            )
            ET.SubElement(bar, "title").text = f"{label}, {row.name}: {seconds:.2f} s"
            start += seconds * scale
        if index in labelled:
            middle = top + pitch * (index + 0.5) + 4
            _text(svg, left - 8, middle, label, anchor="end", kind="tick")
            _text(svg, start + 6, middle, f"{sums[index]:.1f} s", anchor="start", kind="value")
    return _markup(svg)


def nice_ticks(largest: float, wanted: int = 5) -> list[float]:
    """Return about ``wanted`` round ticks from 0 up to at least ``largest``."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / wanted
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [step * index for index in range(ceil(largest / step - 1e-9) + 1)]


def _thinned(count: int, most: int) -> list[int]:
    return list(range(0, count, max(1, ceil(count / most))))


def _svg(height: float, title: str) -> ET.Element:
    svg = ET.Element("svg", {"viewBox": f"0 0 {_WIDTH:g} {height:g}", "role": "img", "aria-label": title})
    ET.SubElement(svg, "title").text = title
    return svg


def _line(svg: ET.Element, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
    (x1, y1), (x2, y2) = start, end
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    ET.SubElement(svg, "line", {"class": kind, **ends})


def _text(svg: ET.Element, x: float, y: float, text: str, *, anchor: str, kind: str) -> None:
    place = {"class": kind, "x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    ET.SubElement(svg, "text", place).text = text


def _markup(svg: ET.Element) -> Markup:
    return Markup(ET.tostring(svg, encoding="unicode"))  # ElementTree has escaped every text
