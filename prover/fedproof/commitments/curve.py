"""Points of BN254 G1 over Python integers, and batches of additions that share one inversion.

py_ecc wraps every coordinate in an object, which is too slow to commit to a model (some 25 times slower than
these functions); it is what the tests compare against, and what does the pairings.
"""

from __future__ import annotations

from collections.abc import Sequence

from fedproof.commitments.field import BASE_MODULUS, SCALAR_MODULUS

Affine = tuple[int, int]
"""Coordinates (x, y), canonical; (0, 0) is infinity, as in the EVM precompiles."""

Jacobian = tuple[int, int, int]
"""(X, Y, Z) stands for (X / Z^2, Y / Z^3); Z = 0 is infinity."""

INFINITY: Affine = (0, 0)
GENERATOR: Affine = (1, 2)
_JACOBIAN_INFINITY: Jacobian = (1, 1, 0)


def is_on_curve(x: int, y: int) -> bool:
    """Whether (x, y) is infinity or satisfies y^2 = x^3 + 3 with canonical coordinates.

    The group has prime order, so a point on the curve is in the right subgroup.
    """
    if not (0 <= x < BASE_MODULUS and 0 <= y < BASE_MODULUS):
        return False
    return (x, y) == INFINITY or (y * y - x * x * x - 3) % BASE_MODULUS == 0


def negate(point: Affine) -> Affine:
    """The point with the opposite y."""
    return (point[0], -point[1] % BASE_MODULUS)


def add_pairs(lefts: Sequence[Affine], rights: Sequence[Affine]) -> list[Affine]:
    """``lefts[i] + rights[i]`` for every i, with one modular inversion for all of them.

    Points must be on the curve; any of them may be infinity, equal or opposite.
    """
    p = BASE_MODULUS
    divisors: list[int] = []
    prefixes: list[int] = []
    product = 1
    for (x1, y1), (x2, y2) in zip(lefts, rights, strict=True):
        divisor = x2 - x1
        if not divisor:
            # Doubling; for opposite points (and infinity twice) the result is infinity whatever this is.
            divisor = 2 * y1 if y1 == y2 and y1 else 1
        divisors.append(divisor)
        prefixes.append(product)
        product = product * divisor % p
    inverse = pow(product, -1, p)
    sums: list[Affine] = [INFINITY] * len(divisors)
    for i in range(len(divisors) - 1, -1, -1):
        x1, y1 = lefts[i]
        x2, y2 = rights[i]
        one_over = inverse * prefixes[i] % p
        inverse = inverse * divisors[i] % p
        if not (x1 or y1):
            sums[i] = (x2, y2)
            continue
        if not (x2 or y2):
            sums[i] = (x1, y1)
            continue
        if x1 != x2:
            slope = (y2 - y1) * one_over % p
        elif y1 == y2:
            slope = 3 * x1 * x1 * one_over % p
        else:
            continue
        x3 = (slope * slope - x1 - x2) % p
        sums[i] = (x3, (slope * (x1 - x3) - y1) % p)
    return sums


def to_jacobian(point: Affine) -> Jacobian:
    """The same point with Z = 1, or infinity with Z = 0."""
    return _JACOBIAN_INFINITY if point == INFINITY else (point[0], point[1], 1)


def to_affine(point: Jacobian) -> Affine:
    """The same point as canonical coordinates; one modular inversion."""
    x, y, z = point
    if not z:
        return INFINITY
    p = BASE_MODULUS
    inverse = pow(z, -1, p)
    square = inverse * inverse % p
    return (x * square % p, y * square * inverse % p)


def double(point: Jacobian) -> Jacobian:
    """``2 * point`` (dbl-2009-l of the Explicit-Formulas Database)."""
    x, y, z = point
    if not z:
        return point
    p = BASE_MODULUS
    a = x * x % p
    b = y * y % p
    c = b * b
    d = 2 * ((x + b) * (x + b) - a - c) % p
    e = 3 * a
    x3 = (e * e - 2 * d) % p
    return (x3, (e * (d - x3) - 8 * c) % p, 2 * y * z % p)


def add(left: Jacobian, right: Jacobian) -> Jacobian:
    """``left + right`` for any two points, equal, opposite and infinite ones included (add-1998-cmo-2)."""
    x1, y1, z1 = left
    x2, y2, z2 = right
    if not z1:
        return right
    if not z2:
        return left
    p = BASE_MODULUS
    z1z1 = z1 * z1 % p
    z2z2 = z2 * z2 % p
    u1 = x1 * z2z2 % p
    s1 = y1 * z2z2 * z2 % p
    h = (x2 * z1z1 - u1) % p
    r = (y2 * z1z1 * z1 - s1) % p
    if not h:
        return _JACOBIAN_INFINITY if r else double(left)
    hh = h * h % p
    hhh = h * hh % p
    v = u1 * hh % p
    x3 = (r * r - hhh - 2 * v) % p
    return (x3, (r * (v - x3) - s1 * hhh) % p, z1 * z2 * h % p)


def multiply(point: Affine, scalar: int) -> Affine:
    """``scalar * point``; the scalar is taken modulo the order of the curve."""
    scalar %= SCALAR_MODULUS
    base = to_jacobian(point)
    result = _JACOBIAN_INFINITY
    for bit in bin(scalar)[2:]:
        result = double(result)
        if bit == "1":
            result = add(result, base)
    return to_affine(result)
