"""Exact products of integer matrices, fast where they fit float64."""

from __future__ import annotations

import numpy as np

from fedproof.lowering.nodes import IntArray

#: Integers up to here, and all partial sums below it, are exact in float64.
EXACT_FLOAT = 2.0**53


def exact_matmul(a: IntArray, b: IntArray) -> IntArray:
    """``a @ b`` of integers; in float64 where that is exact, because only floats have fast products."""
    largest = [float(np.abs(x).max(initial=0)) for x in (a, b)]
    if largest[0] * largest[1] * a.shape[-1] < EXACT_FLOAT:
        product: IntArray = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)
        return product
    result: IntArray = a @ b
    return result
