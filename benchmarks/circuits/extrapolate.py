"""What a circuit of ezkl's would cost that this machine cannot prove: linear in rows, from those that it can.

A proof's work, a key and the memory are vectors over the rows, so many a circuit; how many follows from its
lookup and range-check arguments. So each figure over the rows is fitted by ``a + b * arguments`` with
a, b >= 0. Transforms take another factor log(rows), which is left out: that favours ezkl. Proof, verifier and
gas do not depend on the rows and are fitted without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

Side = dict[str, Any]
PER_ROW = ("prove_s", "prove_cpu_s", "setup_s", "pk_bytes", "peak_rss", "setup_peak_rss")
PER_CIRCUIT = ("proof_bytes", "verifier_bytes", "verify_gas")
#: Runs that a slope takes; with fewer, or all of the same number of arguments, there is only a mean.
MIN_RUNS = 3
#: Peak memory a row with up to three arguments, and of each beyond: 2^15 rows with two took 0.67 GB, 2^17
#: with five 5.6 GB. Few runs may say less than they should of circuits with more arguments.
PEAK_A_ROW, PEAK_AN_ARGUMENT, FREE_ARGUMENTS = 20_500, 11_500, 3


@dataclass(frozen=True)
class Fit:
    """Coefficients (constant, slope) of each figure, and how far off each run is predicted by the others."""

    coefficients: dict[str, tuple[float, float]]
    runs: int
    off: dict[str, float]

    def predict(self, logrows: int, arguments: int) -> dict[str, Any]:
        """Figures of a circuit of 2**logrows rows with so many lookup and range-check arguments."""
        made: dict[str, Any] = {}
        for name, (constant, slope) in self.coefficients.items():
            value = (constant + slope * arguments) * (float(1 << logrows) if name in PER_ROW else 1.0)
            made[name] = round(value, 1) if name.endswith("_s") else int(value)
        return made

    def peak(self, logrows: int, arguments: int) -> float:
        """Most memory that setup or proof would take, in bytes; rather too much than too little."""
        made = self.predict(logrows, arguments)
        known = PEAK_A_ROW + PEAK_AN_ARGUMENT * max(0, arguments - FREE_ARGUMENTS)
        return float(max(made.get("peak_rss", 0), made.get("setup_peak_rss", 0), known << logrows))


def fit(sides: Sequence[Side]) -> Fit:
    """Fit all figures to the sides that were run."""
    runs = [s for s in sides if s.get("prove_s") and not s["extrapolated"]]
    coefficients = {n: c for n in (*PER_ROW, *PER_CIRCUIT) if (c := _coefficients(runs, n))}
    off: dict[str, float] = {}
    for left_out in runs if len(runs) > 1 else []:
        others = [s for s in runs if s is not left_out]
        for name in coefficients:
            found, actual = _coefficients(others, name), _value(left_out, name)
            if found and actual:
                error = abs((found[0] + found[1] * left_out["arguments"]) / actual - 1)
                off[name] = round(max(off.get(name, 0.0), error), 3)
    return Fit(coefficients, len(runs), off)


def _coefficients(runs: Sequence[Side], name: str) -> tuple[float, float] | None:
    pairs = [(s["arguments"], v) for s in runs if (v := _value(s, name)) is not None]
    if not pairs:
        return None
    arguments, values = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    if len(pairs) < MIN_RUNS or len(set(arguments)) == 1:
        return float(values.mean()), 0.0
    # Each run counts by how far off it is in proportion.
    matrix = np.stack([np.ones_like(arguments), arguments], axis=1) / values[:, None]
    return _least_squares(matrix)


def _least_squares(matrix: NDArray[np.float64]) -> tuple[float, float]:
    """Return the a, b >= 0 for which ``matrix @ (a, b)`` is nearest to one everywhere."""
    ones = np.ones(len(matrix))
    both = np.linalg.lstsq(matrix, ones, rcond=None)[0]
    if both.min() >= 0:
        return float(both[0]), float(both[1])
    # With two unknowns, one of them is zero at the best place then.
    alone = matrix.sum(0) / (matrix**2).sum(0)
    off = ((matrix * alone - 1) ** 2).sum(0)
    return (float(alone[0]), 0.0) if off[0] <= off[1] else (0.0, float(alone[1]))


def _value(side: Side, name: str) -> float | None:
    held = side.get(name)
    if not held:
        return None
    value = float(median(held)) if isinstance(held, list) else float(held)
    logrows: int = side["logrows"]
    return value / (1 << logrows) if name in PER_ROW else value


def complete(sides: Sequence[Side]) -> Fit:
    """Fill in, from those that were run, the figures of the sides that were not."""
    found = fit(sides)
    for side in sides:
        if side["extrapolated"] and side.get("logrows"):
            made = found.predict(side["logrows"], side["arguments"])
            side.update({n: [v] if n.startswith("prove_") else v for n, v in made.items()})
    return found
