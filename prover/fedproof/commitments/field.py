"""The two fields of BN254 (Ethereum's alt_bn128, EIP-196): coordinates and scalars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedproof.errors import CallerError

BASE_MODULUS = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""Modulus of the coordinates of a point."""

SCALAR_MODULUS = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Order of the curve: vectors, weights and salts are integers modulo this prime."""

_HALF = SCALAR_MODULUS // 2

Integers = Sequence[int] | NDArray[Any]
"""A flat vector of integers: Python ints or a one-dimensional integer (or object) array."""


def centred(value: int) -> int:
    """The representative of ``value`` modulo the scalar field that is nearest to zero."""
    value %= SCALAR_MODULUS
    return value - SCALAR_MODULUS if value > _HALF else value


def integer_vector(values: Integers, what: str = "vector") -> list[int]:
    """``values`` as a list of Python ints, each strictly between -r and r (r: the scalar modulus).

    Raises CallerError for anything that is not a flat vector of integers in that range.
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise CallerError(
                f"{what} has the shape {values.shape}", hint="pass a flat vector; see numpy.ravel"
            )
        numbers: list[Any] = values.tolist()
    elif isinstance(values, Sequence) and not isinstance(values, str | bytes):
        numbers = list(values)
    else:
        raise CallerError(
            f"{what} is {values!r}, not a vector", hint="pass a list or a numpy array of integers"
        )
    for index, value in enumerate(numbers):
        if type(value) is not int:
            if isinstance(value, np.integer):
                numbers[index] = int(value)
                continue
            raise CallerError(
                f"element {index} of {what} is {value!r} ({type(value).__name__})",
                hint="only integers can be committed; quantise first",
            )
        if not -SCALAR_MODULUS < value < SCALAR_MODULUS:
            raise CallerError(
                f"element {index} of {what} is {value}, outside the scalar field",
                hint="field elements lie between -r and r of BN254",
            )
    return numbers
