"""A small SRS with a known secret, made in Python alone, in ezkl's file format."""

from __future__ import annotations

from pathlib import Path

from py_ecc.optimized_bn128 import G2, multiply, normalize

from fedproof.commitments.curve import Affine
from fedproof.commitments.curve import multiply as g1_multiply
from fedproof.commitments.field import BASE_MODULUS, SCALAR_MODULUS
from fedproof.srs.domain import root_of_unity

SECRET = 0x1234567890ABCDEF_FEDCBA0987654321_0F1E2D3C4B5A6978
R = SCALAR_MODULUS
GENERATOR = (1, 2)
SMALL_K = 5


def lagrange_at(secret: int, logrows: int) -> list[int]:
    """The value of each Lagrange polynomial of the domain at ``secret``."""
    rows = 1 << logrows
    omega = root_of_unity(logrows)
    vanishing = (pow(secret, rows, R) - 1) * pow(rows, -1, R)
    return [vanishing * pow(omega, i, R) * pow(secret - pow(omega, i, R), -1, R) % R for i in range(rows)]


def powers(logrows: int, secret: int = SECRET) -> list[Affine]:
    return [g1_multiply(GENERATOR, pow(secret, i, R)) for i in range(1 << logrows)]


def lagrange(logrows: int, secret: int = SECRET) -> list[Affine]:
    return [g1_multiply(GENERATOR, value) for value in lagrange_at(secret, logrows)]


def g2(scalar: int) -> tuple[int, ...]:
    x, y = normalize(multiply(G2, scalar))
    return tuple(int(c) for c in (*x.coeffs, *y.coeffs))


def write_srs(
    path: Path,
    logrows: int,
    *,
    g: list[Affine] | None = None,
    basis: list[Affine] | None = None,
    g2_point: tuple[int, ...] | None = None,
    secret_g2: tuple[int, ...] | None = None,
) -> Path:
    """Write an SRS file whose parts are the honest ones unless given."""
    numbers = [c for point in (g or powers(logrows)) for c in point]
    numbers += [c for point in (basis or lagrange(logrows)) for c in point]
    numbers += g2_point or g2(1)
    numbers += secret_g2 or g2(SECRET)
    montgomery = ((c << 256) % BASE_MODULUS for c in numbers)
    path.write_bytes(logrows.to_bytes(4, "little") + b"".join(c.to_bytes(32, "little") for c in montgomery))
    return path
