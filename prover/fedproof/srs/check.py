"""Whether a file is an SRS: one secret s behind all its points, in both groups and both bases.

halo2 and ezkl check nothing when they load one; with a wrong SRS proofs would be sound for nobody. Relations
that hold for all rows are checked with random linear combinations: a false one passes with chance 2^-128.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from py_ecc.fields import optimized_bn128_FQ as FQ
from py_ecc.fields import optimized_bn128_FQ2 as FQ2
from py_ecc.optimized_bn128.optimized_curve import G2, Z1, b2, curve_order, eq, is_inf, is_on_curve, multiply
from py_ecc.optimized_bn128.optimized_pairing import pairing

from fedproof.commitments.curve import GENERATOR, INFINITY, Affine
from fedproof.commitments.msm import Progress, msm
from fedproof.srs.domain import coefficients
from fedproof.srs.layout import G2Coordinates, InvalidSrs, SrsFile

StageProgress = Callable[[str, float], None]
"""Called with the name of a stage and the fraction of it that is done, from 0 to 1."""

_SOUNDNESS_BITS = 128


def check_srs(srs: SrsFile, progress: StageProgress | None = None) -> None:
    """Check every point and every relation of ``srs``; raises InvalidSrs saying which one fails.

    Some seconds at k=14 and a minute at k=17.
    """

    def stage(name: str) -> Progress | None:
        if progress is None:
            return None
        progress(name, 0.0)
        return lambda fraction: progress(name, fraction)

    name = srs.path.name
    stage("points")
    powers = srs.powers(0, srs.rows)
    lagrange = srs.lagrange(0, srs.rows)
    if powers[0] != GENERATOR:
        raise InvalidSrs(f"{name}: g[0] is {powers[0]}, not the generator of G1 {GENERATOR}")
    g2, secret_g2 = (
        _g2_point(name, label, point) for label, point in zip(("g2", "s_g2"), srs.g2(), strict=True)
    )
    if not eq(g2, G2):
        raise InvalidSrs(f"{name}: g2 is not the generator of G2")

    weights = [secrets.randbits(_SOUNDNESS_BITS) for _ in range(srs.rows - 1)]
    shifted = msm(powers[1:], weights, stage("powers, shifted"))
    straight = msm(powers[:-1], weights, stage("powers"))
    if pairing(g2, _g1_point(shifted)) != pairing(secret_g2, _g1_point(straight)):
        raise InvalidSrs(
            f"{name}: g is not the powers of the secret behind s_g2: e(g[i+1], g2) != e(g[i], s_g2)"
        )

    values = [secrets.randbits(_SOUNDNESS_BITS) for _ in range(srs.rows)]
    by_values = msm(lagrange, values, stage("Lagrange basis"))
    by_coefficients = msm(powers, coefficients(values), stage("monomial basis"))
    if by_values != by_coefficients:
        raise InvalidSrs(f"{name}: g_lagrange is not the Lagrange basis of g")


def _g1_point(point: Affine) -> tuple[FQ, FQ, FQ]:
    if point == INFINITY:
        return Z1
    return (FQ(point[0]), FQ(point[1]), FQ(1))


def _g2_point(name: str, label: str, point: G2Coordinates) -> tuple[FQ2, FQ2, FQ2]:
    result = (FQ2(point[:2]), FQ2(point[2:]), FQ2([1, 0]))
    if point == (0, 0, 0, 0) or not is_on_curve(result, b2) or not is_inf(multiply(result, curve_order)):
        raise InvalidSrs(f"{name}: {label} is not a point of G2")
    return result
