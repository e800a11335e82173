"""The domain that an SRS interpolates over: powers of a root of unity of the BN254 scalar field."""

from __future__ import annotations

from fedproof.commitments.field import SCALAR_MODULUS

_ADICITY = 28
# halo2curves takes the powers of 7^((r - 1) / 2^28); another generator gives the same rows in another order.
_ROOT = pow(7, (SCALAR_MODULUS - 1) >> _ADICITY, SCALAR_MODULUS)


def root_of_unity(logrows: int) -> int:
    """The generator of the subgroup of order 2^logrows that halo2 uses."""
    return pow(_ROOT, 1 << (_ADICITY - logrows), SCALAR_MODULUS)


def coefficients(values: list[int]) -> list[int]:
    """Coefficients of the polynomial that takes ``values[i]`` at the i-th power of the root of unity.

    An inverse number-theoretic transform; the length is a power of two.
    """
    r = SCALAR_MODULUS
    size = len(values)
    logrows = size.bit_length() - 1
    result = _bit_reversed(values, logrows)
    inverse_root = pow(root_of_unity(logrows), -1, r)
    half = 1
    while half < size:
        step = pow(inverse_root, size // (2 * half), r)
        twiddles = [1] * half
        for i in range(1, half):
            twiddles[i] = twiddles[i - 1] * step % r
        for start in range(0, size, 2 * half):
            for i in range(half):
                even = result[start + i]
                odd = result[start + half + i] * twiddles[i] % r
                result[start + i] = even + odd
                result[start + half + i] = even - odd
        half *= 2
    scale = pow(size, -1, r)
    return [value * scale % r for value in result]


def _bit_reversed(values: list[int], logrows: int) -> list[int]:
    order = [0]
    for bit in reversed(range(logrows)):
        order += [index | 1 << bit for index in order]
    # Doubling the list from the highest bit down puts index i at the place of its reversed bits.
    return [values[index] for index in order]
