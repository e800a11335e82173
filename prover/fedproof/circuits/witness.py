"""From values of a program to the committed vectors that a prover is given."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import numpy as np

from fedproof.commitments import SCALAR_MODULUS, Commitment, challenge
from fedproof.lowering import Program, evaluate
from fedproof.lowering.ir import IntArray

#: Name of the vector that is chosen after the others are committed to.
LATE = "late"


def random_salt(count: int) -> list[int]:
    """Uniform field elements from the operating system's generator."""
    return [secrets.randbelow(SCALAR_MODULUS) for _ in range(count)]


def random_small(count: int, bits: int) -> IntArray:
    """Uniform signed integers of ``bits`` bits from the operating system's generator."""
    half = 1 << (bits - 1)
    return np.array([secrets.randbelow(2 * half) - half for _ in range(count)], dtype=np.int64)


def slot_vectors(
    program: Program, values: Mapping[int, IntArray], salts: Mapping[str, list[int]]
) -> list[list[int]]:
    """Committed vectors in the order of the proof; ``salts`` gives the free elements of each slot by name."""
    vectors, shifts = [], program.shifts()
    for slot in program.slots:
        vector = [v + shifts.get(i, 0) for i in slot.nodes for v in values[i].ravel().tolist()]
        salt = salts.get(slot.name, [])
        if len(salt) != slot.salt:
            raise AssertionError(f"slot {slot.name} takes {slot.salt} salt elements, got {len(salt)}")
        vectors.append(vector + list(salt))
    return vectors


def late_vectors(program: Program, commitments: list[Commitment], context: bytes) -> list[list[int]]:
    """Return what is proven besides the slots, once they are committed to: the challenge, where there is one.

    ``commitments`` are C of the slots. The challenge is a hash of them and of ``context`` (32 bytes).
    """
    return [[challenge(context, commitments)]] if program.challenged else []


def sample_inputs(program: Program) -> dict[str, IntArray]:
    """Inputs of 0 and 1 at random, by name, that satisfy any program of this package.

    Not all zeros: ezkl 23.0.5 never returns from proving those. Labels of an evaluation are one-hot.
    """
    generator = np.random.default_rng(0)
    inputs = {
        str(n.attr("name")): generator.integers(0, 2, n.shape, dtype=np.int64)
        for n in program.nodes
        if n.op == "input"
    }
    if any(s.name == "count" for s in program.slots):
        samples, classes = inputs["y"].shape
        inputs["y"] = np.eye(classes, dtype=np.int64)[generator.integers(0, classes, samples)]
    return inputs


def sample_vectors(program: Program) -> list[list[int]]:
    """Return committed vectors that satisfy ``program``, of :func:`sample_inputs`."""
    values = evaluate(program, sample_inputs(program))
    return slot_vectors(program, values, {s.name: random_salt(s.salt) for s in program.slots})
