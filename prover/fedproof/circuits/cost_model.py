"""What a circuit of given size will cost, fitted to circuits that were measured (measurements.py).

Each quantity is a sum of a few features with coefficients from least squares of the relative error. Times are
those of the machine that measured; sizes and gas are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from fedproof.circuits.measurements import Measurement, read_measurements

#: Share of cells by which the analytic count may fall short of ezkl's (tests/circuits/test_cell_counts.py).
MARGIN = 1.01
#: Most columns before keys and work jump.
NARROW = 3
#: Rows that are not for cells: blinding, and what ezkl keeps of the table's column.
RESERVED_ROWS = 9


@dataclass(frozen=True)
class Size:
    """What costs depend on. ``points`` are the commitments of a proof, the challenge's included."""

    logrows: int
    columns: int
    points: int
    cells: int
    challenged: bool = True

    @property
    def rows(self) -> int:
        """2 to the power of ``logrows``."""
        return int(2**self.logrows)

    @property
    def fits(self) -> bool:
        """Whether the cells fit the rows."""
        return ceil(self.cells * MARGIN / self.columns) <= self.rows - RESERVED_ROWS

    @classmethod
    def of(cls, m: Measurement) -> Size:
        """Return the size of a measured circuit."""
        return cls(m.logrows, m.columns, m.points, m.cells, m.kind == "training")


Features = Callable[[Size], Sequence[float]]


def _larger(s: Size) -> float:
    """From four columns on the key is twice as large, as if halo2 took an extended domain twice as large."""
    return float(s.columns > NARROW)


def _work(s: Size) -> Sequence[float]:
    """Fixed; by row, also where the domain is larger; by row and column; by cell that holds a sum with a
    challenge, which is a number of 254 bits: cells of small numbers are committed to for much less.
    """
    return 1, s.rows, s.rows * _larger(s), s.rows * s.columns, s.cells * s.challenged


def _size(s: Size) -> Sequence[float]:
    """Fixed; by row, also where the domain is larger; by row and column; by row and point."""
    return 1, s.rows, s.rows * _larger(s), s.rows * s.columns, s.rows * s.points


def _proof(s: Size) -> Sequence[float]:
    """Fixed; by column; by point; where the domain is larger."""
    return 1, s.columns, s.points, _larger(s)


#: Quantity of a measurement to the features it is made of.
QUANTITIES: dict[str, Features] = {
    "prove_cpu_s": _work,
    "peak_bytes": _size,
    "pk_bytes": _size,
    "proof_bytes": _proof,
    "verifier_bytes": _proof,
    "gas": _proof,
}


#: Quantities that no feature lowers.
GROWING = frozenset({"prove_cpu_s", "peak_bytes", "pk_bytes"})


@dataclass(frozen=True)
class Prediction:
    """Seconds on the measuring machine, bytes, gas. ``prove_s`` is for one with nothing else to do."""

    prove_s: float
    prove_cpu_s: float
    peak_bytes: float
    pk_bytes: float
    proof_bytes: float
    verifier_bytes: float
    gas: float


@dataclass(frozen=True)
class Fit:
    """Coefficients of one quantity, and how far it is off at the measured points, relative."""

    coefficients: NDArray[np.float64]
    rms: float
    worst: float


class CostModel:
    """Predicts the costs of a circuit from its size."""

    def __init__(self, measurements: Sequence[Measurement] | None = None) -> None:
        self.measurements = list(read_measurements() if measurements is None else measurements)
        self.fits = {name: self._fit(name, features) for name, features in QUANTITIES.items()}

    @property
    def host(self) -> str:
        """The machine that measured."""
        return self.measurements[0].host

    @property
    def seconds_per_cpu(self) -> float:
        """Seconds on the clock for one of the processor, were all cores at work all the time.

        What else a machine does shows on the clock and hardly in processor time, so that the model is fitted
        to the latter.
        """
        return 1 / self.measurements[0].cores

    def predict(self, size: Size) -> Prediction:
        """Return what a circuit of ``size`` costs. No quantity is below zero."""
        found = {
            name: max(0.0, float(np.dot(self.fits[name].coefficients, features(size))))
            for name, features in QUANTITIES.items()
        }
        return Prediction(prove_s=found["prove_cpu_s"] * self.seconds_per_cpu, **found)

    def _fit(self, name: str, features: Features) -> Fit:
        rows = np.array([features(Size.of(m)) for m in self.measurements], dtype=np.float64)
        values = np.array([getattr(m, name) for m in self.measurements], dtype=np.float64)
        relative = rows / values[:, None]
        # Features of equal length, or the smallest is lost to rounding.
        norms = np.linalg.norm(relative, axis=0) + 1e-300
        kept, found = list(range(rows.shape[1])), np.zeros(rows.shape[1])
        while True:
            found[:] = 0
            found[kept], *_ = np.linalg.lstsq((relative / norms)[:, kept], np.ones(len(values)), rcond=None)
            # Nothing makes a proof faster or smaller by being there: such a coefficient is noise.
            if name not in GROWING or found.min() >= 0:
                break
            kept.remove(int(found.argmin()))
        off = relative @ (found / norms) - 1
        return Fit(found / norms, float(np.sqrt(np.mean(off**2))), float(np.abs(off).max()))
