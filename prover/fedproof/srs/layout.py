"""How halo2 (and ezkl) lays an SRS out on disk: a header and points in Montgomery form.

k (u32), g[2^k] = s^i * G, g_lagrange[2^k] = L_i(s) * G, then G2 and s * G2; everything little endian, 64
bytes for a G1 point and 128 for a G2 point. halo2 reads the file without checking it; this reader checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedproof.commitments.curve import INFINITY, Affine, is_on_curve
from fedproof.commitments.field import BASE_MODULUS
from fedproof.errors import CallerError, InvalidProof

LARGEST_LOGROWS = 28
"""The scalar field of BN254 has roots of unity of order 2^28 and no further."""

_HEADER = 4
_G1 = 64
_G2 = 128
_COORDINATE = 32
_FROM_MONTGOMERY = pow(1 << 256, -1, BASE_MODULUS)

G2Coordinates = tuple[int, int, int, int]
"""(x.c0, x.c1, y.c0, y.c1) of a point of G2."""


class InvalidSrs(InvalidProof):
    """A file that claims to be an SRS and is not: a point off the curve, a false relation, another digest."""


def file_size(logrows: int) -> int:
    """Bytes of the SRS of 2^logrows rows."""
    return _HEADER + 2 * _G1 * (1 << logrows) + 2 * _G2


def check_logrows(logrows: int) -> int:
    """``logrows`` itself; raises CallerError unless it is a whole number from 1 to 28."""
    if type(logrows) is not int or not 1 <= logrows <= LARGEST_LOGROWS:
        raise CallerError(
            f"logrows is {logrows!r}", hint=f"an SRS has 2^k rows, k from 1 to {LARGEST_LOGROWS}"
        )
    return logrows


@dataclass(frozen=True)
class SrsFile:
    """An SRS on disk whose header and size agree with ``logrows``; points are read when asked for.

    Open one with :func:`open_srs`.
    """

    path: Path
    logrows: int

    @property
    def rows(self) -> int:
        """2^logrows."""
        return 1 << self.logrows

    def powers(self, start: int, stop: int) -> list[Affine]:
        """The points s^i * G for start <= i < stop. Raises InvalidSrs for a point off the curve."""
        return self._points("g", _HEADER, start, stop)

    def lagrange(self, start: int, stop: int) -> list[Affine]:
        """The points L_i(s) * G for start <= i < stop. Raises InvalidSrs for a point off the curve."""
        return self._points("g_lagrange", _HEADER + _G1 * self.rows, start, stop)

    def g2(self) -> tuple[G2Coordinates, G2Coordinates]:
        """G2 and s * G2, as coordinates that are canonical but not checked to be on the curve."""
        data = self._read(_HEADER + 2 * _G1 * self.rows, 2 * _G2)
        numbers = [
            self._coordinate(data, offset, "g2", offset // _G2) for offset in range(0, 2 * _G2, _COORDINATE)
        ]
        return (numbers[0], numbers[1], numbers[2], numbers[3]), (
            numbers[4],
            numbers[5],
            numbers[6],
            numbers[7],
        )

    def _points(self, name: str, begin: int, start: int, stop: int) -> list[Affine]:
        if not 0 <= start <= stop <= self.rows:
            raise CallerError(f"rows {start} to {stop} of an SRS of {self.rows} rows")
        data = self._read(begin + _G1 * start, _G1 * (stop - start))
        points: list[Affine] = []
        for offset in range(0, len(data), _G1):
            index = start + offset // _G1
            x = self._coordinate(data, offset, name, index)
            y = self._coordinate(data, offset + _COORDINATE, name, index)
            if (x, y) == INFINITY or not is_on_curve(x, y):
                raise InvalidSrs(f"{self.path.name}: {name}[{index}] is ({x}, {y}), not a point of the curve")
            points.append((x, y))
        return points

    def _coordinate(self, data: bytes, offset: int, name: str, index: int) -> int:
        raw = int.from_bytes(data[offset : offset + _COORDINATE], "little")
        if raw >= BASE_MODULUS:
            raise InvalidSrs(f"{self.path.name}: a coordinate of {name}[{index}] is not canonical ({raw:#x})")
        return raw * _FROM_MONTGOMERY % BASE_MODULUS

    def _read(self, offset: int, size: int) -> bytes:
        with self.path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(size)
        if len(data) != size:
            raise InvalidSrs(f"{self.path.name} ends at {offset + len(data)} bytes")
        return data


def open_srs(path: Path | str, logrows: int | None = None) -> SrsFile:
    """The SRS at ``path``, its header and size checked against each other and against ``logrows`` if given.

    Raises CallerError when the file is missing or of another size or k.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            header = stream.read(_HEADER)
    except OSError as error:
        raise CallerError(f"cannot read the SRS {path}: {error.strerror or error}") from error
    found = int.from_bytes(header, "little")
    if len(header) < _HEADER or not 1 <= found <= LARGEST_LOGROWS:
        raise CallerError(f"{path} is no SRS: its header says k={found}")
    if logrows is not None and found != check_logrows(logrows):
        raise CallerError(
            f"{path} is an SRS of k={found}, not k={logrows}", hint="use the SRS of exactly that k"
        )
    if size != file_size(found):
        raise CallerError(
            f"{path} has {size} bytes; an SRS of k={found} has {file_size(found)}",
            hint="the download or copy is incomplete, or the file is in another format",
        )
    return SrsFile(path, found)
