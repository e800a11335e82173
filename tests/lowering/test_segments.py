"""Segments: a partition of a program's claims over the same vectors, that says what the whole says."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from field_model import agree_on, claimed, given_tensors, random_felts, vectors
from random_programs import random_program

from fedproof.circuits.witness import sample_vectors, slot_vectors
from fedproof.errors import CallerError
from fedproof.lowering import Program, circuit_graph, evaluate
from fedproof.lowering.claims import FunctionTable
from fedproof.lowering.gadgets import commit, rectify, rescale, signed
from fedproof.lowering.partition import partition
from fedproof.lowering.segments import ADVICE, Cut, cut, shared

pytestmark = pytest.mark.reference

COLUMN = 500


def in_segments(p: Program, count: int, column: int = COLUMN) -> Cut:
    return cut(p, partition(p, count), column)


def network() -> Program:
    """Two layers, a rectifier, a function looked up in two places, and a step."""
    p = Program(6)
    model = p.input("model", (12 + 8,), 3, 5)
    x = p.input("x", (3, 4), 3, 5)
    salt = p.input("step_salt", (4,), 3, 6)
    square = FunctionTable("square", -32, tuple(i * i // 8 for i in range(-32, 32)))
    signed(p, x, 6, "x range")
    first = p.reshape(p.slice(model, 0, 0, 12), (4, 3))
    second = p.reshape(p.slice(model, 0, 12, 18), (3, 2))
    hidden = rescale(p, p.matmul(x, first), 5, 6, "hidden")
    _, active = rectify(p, hidden, "rectifier")
    curved = p.function(hidden, square, 3)
    total = p.add(curved, p.restate(active, 3))
    out = rescale(p, p.matmul(total, second), 5, 6, "out")
    bent = p.function(out, square, 3)
    gradient = p.matmul(p.transpose(total, (1, 0)), bent)
    step = rescale(p, gradient, 5, 12, "step")
    other = commit(p, p.sum(p.times(bent, 3), (0,), keepdims=False), "other")
    signed(p, other, 12, "other range")
    signed(p, salt, 6, "salt range")
    p.count_lookups()
    p.slot("model", [model], 2)
    p.slot("batch", [x], 1, shifted=True)
    p.slot("step", [step, other, salt], 0)
    p.slot(ADVICE, [h for h in p.hints if h not in (step, other)], 1, shifted=True)
    return p.prune()


def inputs(seed: int) -> dict[str, np.ndarray]:
    g = np.random.default_rng(seed)
    return {
        "model": g.integers(-8, 8, 20),
        "x": g.integers(-8, 8, (3, 4)),
        "step_salt": g.integers(-32, 32, 4),
    }


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_claim_is_in_one_segment(count):
    p = network()
    made = in_segments(p, count)
    assert len(made.segments) == count
    checks = [c for s in made.segments for c in s.checks]
    equations = [e for s in made.segments for e in s.equations]
    lookups = [(f.x, f.y, s.tables[f.table]) for s in made.segments for f in s.functions]
    assert sorted(checks, key=repr) == sorted(p.checks, key=repr)
    assert sorted(equations, key=repr) == sorted(p.equations, key=repr)
    assert sorted(lookups, key=repr) == sorted(((f.x, f.y, p.tables[f.table]) for f in p.functions), key=repr)
    for segment in made.segments:
        assert segment.checks
        assert segment.challenged


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_vector_is_the_same_wherever_it_is(count):
    p = network()
    made = in_segments(p, count)
    slots = {s.name: s for s in made.joint.slots}
    assert [s.name for s in made.joint.slots][:3] == ["model", "batch", "step"]
    for segment in made.segments:
        assert segment.shifts() == p.shifts()
        assert all(slots[s.name] == s for s in segment.slots)
    # named vectors are those of the whole program, and each tensor has one place
    assert [slots[s.name] for s in p.slots if s.name != ADVICE] == [s for s in p.slots if s.name != ADVICE]
    places = [i for s in made.joint.slots for i in s.nodes]
    assert len(places) == len(set(places))
    # a vector of several segments is shared by name, any other lies in one
    names = [[s.name for s in segment.slots] for segment in made.segments]
    several = {n for own in names for n in own if sum(n in other for other in names) > 1}
    assert set(shared(names)) == several
    assert any(n.startswith("link") for n in several)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_segments_give_what_the_whole_program_gives(count):
    """Same values on every tensor, and committed vectors of the joint program hold those of the segments."""
    p = network()
    made = in_segments(p, count)
    for seed in range(5):
        whole, joint = evaluate(p, inputs(seed)), evaluate(made.joint, inputs(seed))
        for i, v in whole.items():
            np.testing.assert_array_equal(joint[i], v)
        salts = {s.name: [1] * s.salt for s in made.joint.slots}
        named = dict(
            zip([s.name for s in made.joint.slots], slot_vectors(made.joint, joint, salts), strict=True)
        )
        for segment in made.segments:
            own = slot_vectors(segment, joint, {s.name: [1] * s.salt for s in segment.slots})
            assert own == [named[s.name] for s in segment.slots]
            given = given_tensors(segment, joint)
            assert claimed(segment, given, 12345) == segment.lookups
    assert sample_vectors(made.joint)


@pytest.mark.parametrize("count", [2, 3])
def test_the_graph_of_a_segment_says_what_it_claims(count):
    """For honest vectors, and for any content of them at all."""
    made = in_segments(network(), count)
    values = evaluate(made.joint, inputs(1))
    for segment in made.segments:
        model = circuit_graph(segment)
        assert [i.name for i in model.graph.input] == [*(s.name for s in segment.slots), "late"]
        assert agree_on(segment, model, given_tensors(segment, values)) == segment.lookups
        anything = {n.id: random_felts(n.shape) for n in segment.nodes if n.op in ("input", "hint")}
        agree_on(segment, model, anything)


def test_no_wrong_tensor_passes_all_segments():
    """Change one element of one committed tensor: the whole program refuses it exactly if a segment does."""
    p = network()
    made = in_segments(p, 3)
    values = given_tensors(made.joint, evaluate(made.joint, inputs(2)))
    own = {i for s in p.slots for i in s.nodes}
    # How often a table is looked up is counted by segment: the whole program's count is in none.
    for i in sorted(own - set(p.counts)):
        wrong = dict(values)
        array = np.array(values[i], dtype=object)
        array.reshape(-1)[0] += 1
        wrong[i] = array
        refused = any(claimed(s, wrong, 999) != s.lookups for s in made.segments)
        assert refused == (claimed(p, wrong, 999) != p.lookups), p.nodes[i]


def test_random_programs_are_cut_exactly():
    cut_ones = 0
    for seed in range(60):
        p = random_program(Random(seed))
        try:
            made = in_segments(p, 2)
        except CallerError as e:
            assert "segments" in str(e)
            continue
        cut_ones += 1
        given = {n.id: random_felts(n.shape) for n in p.nodes if n.op in ("input", "hint")}
        for segment in made.segments:
            assert agree_on(segment, circuit_graph(segment), given) >= 0
            assert len(vectors(segment, given, 5)) == len(segment.slots) + 1
    assert cut_ones


def test_small_links_are_merged_where_that_saves_columns():
    p = network()
    separate, merged = in_segments(p, 4, 1), in_segments(p, 4, 10**6)
    links = [[s for s in c.joint.slots if s.name.startswith("link")] for c in (separate, merged)]
    assert len(links[0]) > len(links[1]) > 0
    assert {i for s in links[0] for i in s.nodes} <= {i for s in links[1] for i in s.nodes}


def test_a_segment_needs_a_lookup_and_an_equation():
    with pytest.raises(CallerError, match="cannot be cut into 40 segments"):
        in_segments(network(), 40)


def test_cutting_is_deterministic():
    a, b = in_segments(network(), 3), in_segments(network(), 3)
    for x, y in zip(a.segments, b.segments, strict=True):
        assert circuit_graph(x).SerializeToString(deterministic=True) == circuit_graph(y).SerializeToString(
            deterministic=True
        )
