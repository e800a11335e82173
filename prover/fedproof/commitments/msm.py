"""Multi-scalar multiplication: sums of scalar * point over thousands of points of BN254 G1.

The bucket method of Pippenger: scalars are cut into signed windows, the points of one window are gathered in
buckets by digit, and buckets are summed in batches of affine additions. Small and zero scalars cost little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from fedproof.commitments.curve import (
    INFINITY,
    Affine,
    Jacobian,
    add,
    add_pairs,
    double,
    negate,
    to_affine,
    to_jacobian,
)
from fedproof.commitments.field import centred

Progress = Callable[[float], None]
"""Called with the fraction done, from 0 to 1."""

_LARGEST_WINDOW = 14


def msm(points: Sequence[Affine], scalars: Sequence[int], progress: Progress | None = None) -> Affine:
    """``sum(scalars[i] * points[i])`` for two sequences of equal length.

    Scalars are any integers, taken modulo the scalar field; those near zero on either side are cheap. Points
    must be on the curve (checked by those who read them). Raises ValueError when the lengths differ.
    """
    positive: list[Affine] = []
    magnitudes: list[int] = []
    for point, scalar in zip(points, scalars, strict=True):
        value = centred(scalar)
        if value and point != INFINITY:
            positive.append(point if value > 0 else negate(point))
            magnitudes.append(abs(value))
    if not magnitudes:
        return INFINITY
    width = _window(magnitudes)
    windows = _buckets(positive, magnitudes, width)
    total = to_jacobian(INFINITY)
    for done, buckets in enumerate(reversed(windows), start=1):
        for _ in range(width):
            total = double(total)
        total = add(total, _weigh(sum_groups(buckets), width))
        if progress is not None:
            progress(done / len(windows))
    return to_affine(total)


def sum_groups(groups: dict[int, list[Affine]]) -> dict[int, Affine]:
    """The sum of each group of points; groups that sum to infinity are left out."""
    current = groups
    while any(len(members) > 1 for members in current.values()):
        lefts: list[Affine] = []
        rights: list[Affine] = []
        for members in current.values():
            lefts += members[0:-1:2]
            rights += members[1::2]
        sums = add_pairs(lefts, rights)
        following: dict[int, list[Affine]] = {}
        start = 0
        for key, members in current.items():
            end = start + len(members) // 2
            summed = sums[start:end]
            if len(members) % 2:
                summed.append(members[-1])
            following[key] = summed
            start = end
        current = following
    return {key: members[0] for key, members in current.items() if members and members[0] != INFINITY}


def _window(magnitudes: list[int]) -> int:
    """The window width in bits that costs the fewest additions for these scalars."""
    lengths = [magnitude.bit_length() for magnitude in magnitudes]
    longest = max(lengths)

    def cost(width: int) -> int:
        # Signed digits may carry into one bit more than the scalar has.
        additions = sum(length // width + 1 for length in lengths)
        # A bucket is added twice more when it is weighed; there are no more buckets than points.
        return additions + (longest // width + 1) * 2 * min(1 << (width - 1), len(lengths))

    return min(range(2, _LARGEST_WINDOW + 1), key=cost)


def _buckets(
    points: list[Affine], magnitudes: Iterable[int], width: int
) -> list[defaultdict[int, list[Affine]]]:
    """For each window, lowest first, the points of each digit; digits are signed and at most 2^(width-1)."""
    windows: list[defaultdict[int, list[Affine]]] = []
    size = 1 << width
    half = size >> 1
    mask = size - 1
    for point, magnitude in zip(points, magnitudes, strict=True):
        rest = magnitude
        opposite: Affine | None = None
        index = 0
        while rest:
            digit = rest & mask
            rest >>= width
            if index == len(windows):
                windows.append(defaultdict(list))
            if digit > half:
                rest += 1
                opposite = opposite or negate(point)
                windows[index][size - digit].append(opposite)
            elif digit:
                windows[index][digit].append(point)
            index += 1
    return windows


def _weigh(buckets: dict[int, Affine], width: int) -> Jacobian:
    """``sum(digit * bucket)``: the digits are split in two halves, so that most additions are in batches."""
    low_bits = (width + 1) // 2
    lows: defaultdict[int, list[Affine]] = defaultdict(list)
    highs: defaultdict[int, list[Affine]] = defaultdict(list)
    for digit, point in buckets.items():
        lows[digit & ((1 << low_bits) - 1)].append(point)
        highs[digit >> low_bits].append(point)
    total = _running(sum_groups(highs))
    for _ in range(low_bits):
        total = double(total)
    return add(total, _running(sum_groups(lows)))


def _running(buckets: dict[int, Affine]) -> Jacobian:
    """``sum(digit * bucket)`` by summing the partial sums from the highest digit down."""
    partial = total = to_jacobian(INFINITY)
    for digit in range(max(buckets, default=0), 0, -1):
        point = buckets.get(digit)
        if point is not None:
            partial = add(partial, to_jacobian(point))
        total = add(total, partial)
    return total
