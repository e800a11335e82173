"""Division of tensors: one quotient, exactly, for positive divisors only."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering_cases import agree

from fedproof.errors import CallerError
from fedproof.lowering import Program, evaluate
from fedproof.lowering.division import divide

pytestmark = pytest.mark.reference


def division(q=6, bits=12, n_shape=(3, 4), d_shape=(3, 1), table=7):
    p = Program(table)
    n, d = p.input("n", n_shape, 4, 8), p.input("d", d_shape, 3, 10)
    return p, divide(p, n, d, q, bits, "quotient")


@settings(deadline=None, max_examples=25)
@given(st.integers(-3, 8), st.integers(0, 2**32), st.sampled_from([(3, 1), (3, 4), (4,), (1, 1)]))
def test_quotients_are_rounded_half_up(q, seed, d_shape):
    p, z = division(q, 18, d_shape=d_shape)
    rng = np.random.default_rng(seed)
    n, d = rng.integers(-128, 128, (3, 4)), rng.integers(1, 512, d_shape)
    found = agree(p, {"n": n, "d": d})[z.id]
    exact = [floor(Fraction(int(a) * 2**q * 2 if q >= 0 else int(a) * 2, 2 * int(b)) + Fraction(1, 2))
             if q >= 0 else floor(Fraction(int(a), int(b) * 2**-q) + Fraction(1, 2))
             for a, b in zip(n.ravel(), np.broadcast_to(d, (3, 4)).ravel(), strict=True)]  # fmt: skip
    np.testing.assert_array_equal(found.ravel(), exact)
    assert z.scale == 1 + q


@pytest.mark.parametrize("bad", [0, -1, -300])
def test_divisors_must_be_positive(bad):
    p, _ = division()
    inputs = {"n": np.full((3, 4), 5), "d": np.array([[7], [bad], [7]])}
    with pytest.raises(CallerError, match=r"quotient (remainder|divisor)"):
        evaluate(p, inputs)


def test_a_quotient_out_of_range_is_refused():
    p, _ = division(bits=7)
    with pytest.raises(CallerError, match="quotient range"):
        evaluate(p, {"n": np.full((3, 4), 127), "d": np.ones((3, 1), dtype=np.int64)})


def test_what_int64_cannot_hold_is_refused():
    p = Program(11)
    n, d = p.input("n", (2,), 0, 40), p.input("d", (2,), 0, 30)
    with pytest.raises(CallerError, match="division big"):
        divide(p, n, d, 30, 22, "big")


@settings(deadline=None, max_examples=50)
@given(st.integers(-128, 127), st.integers(1, 511), st.integers(-40, 40).filter(bool))
def test_no_other_quotient_passes(n, d, off):
    """Both claims on the remainder, with any other integer in the quotient's place."""
    q = 6
    z = floor(Fraction(n * 2**q, d) + Fraction(1, 2))

    def passes(z):
        rho = 2 ** (q + 1) * n + d - 2 * d * z
        return rho >= 0 and 2 * d - 1 - rho >= 0

    assert passes(z)
    assert not passes(z + off)
