"""The lookup table behind every range check.

ezkl 23.0.5 does not stop its table at the end of ``lookup_range``: it goes on to the last usable row of the
column, so that membership in the table proves little more than ``x < 2**logrows``. But the key fixes what
each row maps to. So the table op is a power with a small negative exponent, which rounds to 1 for
1 <= x <= 2**w and to 0 beyond. Its results are never negative, so a sum of n lookups is n only if each is 1.
"""

from __future__ import annotations

from math import log

import numpy as np

from fedproof.errors import CallerError

#: The first row of the table: a negative power of 0 is no number.
FIRST = 1


def exponent(bits: int) -> float:
    """Return a such that ``x**a`` rounds to 1 for ``1 <= x <= 2**bits`` and to 0 beyond. Exact in float32.

    Raises :class:`CallerError` where float32 cannot tell 2**bits from 2**bits + 1 with a margin.
    """
    a = float(np.float32(-log(2) / log(2**bits + 0.5)))
    margin = 1e-8
    if not (2**bits) ** a > 0.5 + margin > 0.5 - margin > (2**bits + 1) ** a:
        raise CallerError(
            f"a lookup table of {bits} bits is too wide for the table op", hint="choose a narrower table"
        )
    return a


def lookup_range(bits: int) -> tuple[int, int]:
    """First and last row of the table that ``bits`` bits need."""
    return FIRST, 2**bits
