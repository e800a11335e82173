"""An SRS is accepted only if one secret is behind all of it; each way of breaking it is found by name."""

from __future__ import annotations

import pytest
from srs_forge import SECRET, R, g2, lagrange, powers, write_srs

from fedproof.commitments.curve import multiply
from fedproof.commitments.field import BASE_MODULUS
from fedproof.errors import CallerError
from fedproof.srs import InvalidSrs, check_srs, file_size, open_srs
from fedproof.srs.domain import coefficients, root_of_unity

pytestmark = pytest.mark.reference

K = 3


@pytest.fixture(scope="module")
def honest():
    return powers(K), lagrange(K)


def test_an_honest_srs_passes_and_reports_its_stages(tmp_path, honest):
    seen = []
    srs = open_srs(write_srs(tmp_path / "k.srs", K, g=honest[0], basis=honest[1]), K)
    check_srs(srs, lambda stage, fraction: seen.append((stage, fraction)))
    assert seen[0] == ("points", 0.0)
    assert seen[-1] == ("monomial basis", 1.0)
    assert all(0 <= fraction <= 1 for _, fraction in seen)


def swapped(points, i, j):
    points = list(points)
    points[i], points[j] = points[j], points[i]
    return points


def replaced(points, i, point):
    return [*points[:i], point, *points[i + 1 :]]


BROKEN = {
    "powers out of order": (lambda g, b: {"g": swapped(g, 2, 3)}, "not the powers"),
    "last power replaced": (lambda g, b: {"g": replaced(g, 7, (1, 2))}, "not the powers"),
    "powers of another secret": (lambda g, b: {"g": powers(K, SECRET + 1)}, "not the powers"),
    "secret in G2 is another": (lambda g, b: {"secret_g2": g2(SECRET + 1)}, "not the powers"),
    "Lagrange basis in another order": (lambda g, b: {"basis": swapped(b, 0, 5)}, "not the Lagrange basis"),
    "Lagrange basis of another secret": (
        lambda g, b: {"basis": lagrange(K, SECRET + 1)},
        "not the Lagrange basis",
    ),
    "one Lagrange point replaced": (
        lambda g, b: {"basis": replaced(b, 4, multiply((1, 2), 5))},
        "not the Lagrange basis",
    ),
    "all powers scaled": (lambda g, b: {"g": [multiply(p, 3) for p in g]}, r"g\[0\] is"),
    "G2 scaled": (lambda g, b: {"g2_point": g2(2), "secret_g2": g2(2 * SECRET % R)}, "generator of G2"),
    "a power off the curve": (lambda g, b: {"g": replaced(g, 5, (1, 3))}, r"g\[5\] is \(1, 3\)"),
    "a power at infinity": (lambda g, b: {"g": replaced(g, 5, (0, 0))}, r"g\[5\]"),
    "a Lagrange point off the curve": (
        lambda g, b: {"basis": replaced(b, 1, (5, 5))},
        r"g_lagrange\[1\]",
    ),
    "secret G2 off the curve": (lambda g, b: {"secret_g2": (1, 2, 3, 4)}, "s_g2 is not a point of G2"),
    "secret G2 at infinity": (lambda g, b: {"secret_g2": (0, 0, 0, 0)}, "s_g2 is not a point of G2"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_srs_is_refused(name, tmp_path, honest):
    parts, message = BROKEN[name]
    arguments = {"g": honest[0], "basis": honest[1]} | parts(*honest)
    with pytest.raises(InvalidSrs, match=message):
        check_srs(open_srs(write_srs(tmp_path / "k.srs", K, **arguments)))


def test_a_point_of_the_twist_outside_g2_is_refused(tmp_path, honest):
    from py_ecc.fields import optimized_bn128_FQ2 as FQ2
    from py_ecc.optimized_bn128 import b2, is_on_curve

    def root(square):
        value = square ** ((BASE_MODULUS**2 + 15) // 32)
        eighth = FQ2([9, 1]) ** ((BASE_MODULUS**2 - 1) // 16)
        for i in range(16):
            candidate = value * eighth**i
            if candidate * candidate == square:
                return candidate
        return None

    x, y = next((x, y) for n in range(1, 50) if (y := root((x := FQ2([n, 1])) ** 3 + b2)) is not None)
    assert is_on_curve((x, y, FQ2.one()), b2)
    stranger = tuple(int(c) for c in (*x.coeffs, *y.coeffs))
    with pytest.raises(InvalidSrs, match="s_g2 is not a point of G2"):
        check_srs(
            open_srs(write_srs(tmp_path / "k.srs", K, g=honest[0], basis=honest[1], secret_g2=stranger))
        )


def test_a_coordinate_that_is_not_canonical_is_refused(tmp_path, honest):
    path = write_srs(tmp_path / "k.srs", K, g=honest[0], basis=honest[1])
    data = bytearray(path.read_bytes())
    first = int.from_bytes(data[4:36], "little")
    data[4:36] = (first + BASE_MODULUS).to_bytes(32, "little")
    path.write_bytes(data)
    with pytest.raises(InvalidSrs, match="not canonical"):
        open_srs(path).powers(0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "has 1283 bytes; an SRS of k=3 has 1284"),
        (lambda data: data + b"\0", "has 1285 bytes"),
        (lambda data: b"\xff" + data[1:], "no SRS"),
        (lambda data: b"", "no SRS"),
    ],
)
def test_a_file_of_another_size_is_refused(change, message, tmp_path, honest):
    path = write_srs(tmp_path / "k.srs", K, g=honest[0], basis=honest[1])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CallerError, match=message):
        open_srs(path)


def test_another_k_and_a_missing_file_are_refused(tmp_path, honest):
    path = write_srs(tmp_path / "k.srs", K, g=honest[0], basis=honest[1])
    assert path.stat().st_size == file_size(K)
    with pytest.raises(CallerError, match="k=3, not k=4"):
        open_srs(path, 4)
    with pytest.raises(CallerError, match="k from 1 to 28"):
        open_srs(path, 0)
    with pytest.raises(CallerError, match="No such file"):
        open_srs(tmp_path / "none.srs")


def test_a_missing_row_range_is_the_callers_fault(tmp_path, honest):
    srs = open_srs(write_srs(tmp_path / "k.srs", K, g=honest[0], basis=honest[1]))
    with pytest.raises(CallerError, match="rows 5 to 9"):
        srs.lagrange(5, 9)


def test_the_transform_interpolates():
    for logrows in range(1, 7):
        omega = root_of_unity(logrows)
        values = [pow(3, 5 * i + 1, R) for i in range(1 << logrows)]
        found = coefficients(values)
        for i, value in enumerate(values):
            assert sum(c * pow(omega, i * j, R) for j, c in enumerate(found)) % R == value
