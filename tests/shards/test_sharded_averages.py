"""An average in shards: the same average, provable in any order; what others prove is another average."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sharded_averages import Averaged
from sharded_project import BITS, MANY, SHARDS, average_text, exact, updates

from fedproof.circuits import AverageSpec, load_spec
from fedproof.circuits.program import build_program, float_graph
from fedproof.circuits.shards import Shards
from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.commitments import Commitment, add, mul, sub, weighted_sum
from fedproof.errors import CallerError, InvalidProof
from fedproof.provers.base import WitnessRejected
from fedproof.rounds import Aggregator, Proof, check_proof
from fedproof.rounds.aggregator import fold_weights

pytestmark = pytest.mark.prove

HALF = 2 ** (BITS - 1)


def expected_remainder(averaged: Averaged, delta: Commitment, seed: int = 0) -> Commitment:
    """C(rho + 1) as the hub computes it from the updates' commitments and a proof's delta."""
    aggregator = averaged.aggregator
    circuit, shards = aggregator.circuit, aggregator.circuit.manifest.shards
    committer = circuit.committer
    sums = [committer.pure(u) for u in updates(aggregator.length, seed=seed)]
    total = add(weighted_sum(sums, averaged.weights), mul(shards.ones(committer), HALF + 1))
    return committer.to_full(sub(total, mul(committer.to_pure(delta), 2**BITS)))


# -- what is proven -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["small", "long"])
def test_an_honest_average_is_accepted(which: str, request: pytest.FixtureRequest, tmp_path):
    averaged: Averaged = request.getfixturevalue("honest" if which == "small" else "honest_long")
    circuit = averaged.aggregator.circuit
    averaged.proof.save(tmp_path / "proof.json")
    proof = Proof.load(tmp_path / "proof.json")
    remainder, delta = check_proof(circuit, proof)
    assert [remainder, delta] == proof.commitments == [averaged.average.commitment(i) for i in (0, 1)]
    vector = exact(updates(averaged.aggregator.length), averaged.weights)
    np.testing.assert_array_equal(averaged.average.delta, vector)
    assert delta == circuit.committer.full(vector)
    assert remainder == expected_remainder(averaged, delta)
    assert len(proof.raw) == circuit.manifest.costs.proof_bytes


def test_the_manifest_says_how_the_average_is_shared_out(small: Circuit, long: Circuit):
    for circuit, count, vectors, columns, points in ((small, SHARDS, 2, 1, 1), (long, MANY, 1, 2, 2)):
        manifest, part = circuit.manifest, circuit.parts[0].manifest
        s = manifest.shards
        assert (s.count, s.vectors, s.columns, s.points, s.digits) == (count, vectors, columns, points, 3)
        assert [slot.name for slot in manifest.slots] == ["remainder", "delta"]
        assert manifest.slot("delta").columns == columns
        assert len(circuit.parts) == count
        assert len({p.manifest.key for p in circuit.parts}) == 1
        assert part.challenge_points == 0
        assert [slot.columns for slot in part.slots] == [points] * vectors
        for total in ("cells", "lookups", "commitments", "proof_bytes"):
            assert getattr(manifest.costs, total) == count * getattr(part.costs, total)
        assert manifest.costs.proving_key_bytes == part.costs.proving_key_bytes
        assert f"{part.name}|shard/manifest.json" == f"{circuit.name}.shard|" + next(
            f for f in manifest.artefacts if f.endswith("shard/manifest.json")
        )


def test_shards_are_proven_in_any_order_and_at_once(honest: Averaged, small: Circuit):
    made = {i: honest.aggregator.prove_part(honest.average, i) for i in reversed(range(SHARDS))}
    assert (
        check_proof(small, Proof.joined(small, [made[i] for i in range(SHARDS)])) == honest.proof.commitments
    )
    assert check_proof(small, honest.aggregator.prove(honest.average, at_once=SHARDS))


def test_as_many_shards_as_one_likes(store: CircuitStore):
    """One with all digits, or one for each: the same average, with the same commitments."""
    path = store.project.circuits / "any-average.toml"
    found = []
    for shards in (1, 3):
        path.write_text(average_text("small", shards))
        circuit = store.get("any-average")
        found.append(check_proof(circuit, Averaged.of(circuit, 0).proof))
    assert found[0] == found[1]


def test_an_average_that_does_not_fit_is_named(small: Circuit):
    aggregator = Aggregator(small)
    update = np.zeros(aggregator.length, dtype=np.int64)
    for value, fits in ((2**13 - 1, True), (2**13, False), (-(2**13), True), (-(2**13) - 1, False)):
        update[1] = value
        if fits:
            made = aggregator.average([update], [2**BITS])
            assert made.delta[1] == value
            assert all(1 <= v <= 2**BITS for part in made.parts for vector in part for v in vector)
        else:
            with pytest.raises(CallerError, match=r"delta.*element \(1,\)"):
                aggregator.average([update], [2**BITS])


@pytest.mark.parametrize(("shards", "hint"), [(4, "3 columns.*over 4"), (5, "3 columns.*over 5")])
def test_shards_of_unequal_size_are_refused(store: CircuitStore, shards: int, hint: str):
    path = store.project.circuits / "uneven-average.toml"
    path.write_text(average_text("small", shards))
    with pytest.raises(CallerError, match=hint) as caught:
        store.get("uneven-average")
    path.unlink()
    assert caught.value.hint == "plonk.shards = 3"


def test_only_an_average_is_made_of_shards(store: CircuitStore):
    folder = store.project.circuits
    text = (folder / "small.toml").read_text()
    (folder / "stepwise.toml").write_text(f"{text}shards = 2\n")
    with pytest.raises(CallerError, match="only an average is made of shards"):
        load_spec("stepwise", folder)
    (folder / "stepwise.toml").unlink()


def test_digits_are_those_of_the_average(store: CircuitStore, small: Circuit):
    """Random averages from end to end of the range: the digits add up to them, and fill every row."""
    spec = load_spec("long-average", store.project.circuits)
    assert isinstance(spec, AverageSpec)
    program = build_program(spec, store.project.circuits, float_graph(spec, store.project.root))
    shards = Shards.of("long-average", spec, program, small.committer)
    generator = np.random.default_rng(3)
    delta = generator.integers(-(2**13), 2**13, 580)
    delta[:2] = -(2**13), 2**13 - 1
    remainder = generator.integers(1, 2**BITS + 1, 580)
    vectors = np.array(shards.vectors_of(remainder.tolist(), delta.tolist()))
    assert vectors.shape == (MANY, 1, 506)
    assert vectors.min() >= 1
    assert vectors.max() <= 2**BITS
    first, low, high = vectors.reshape(3, 2 * 506)
    np.testing.assert_array_equal(first, [*remainder, *[HALF + 1] * (2 * 506 - 580)])
    np.testing.assert_array_equal((low - 1) + 2**BITS * (high - 1) - 2**13, [*delta, *[0] * (2 * 506 - 580)])


# -- attacks ------------------------------------------------------------------------------------------------


def test_swapped_shards_make_up_another_average(honest: Averaged, small: Circuit):
    first, second = honest.proof.segments
    remainder, delta = check_proof(small, honest.with_shards(second, first))
    assert delta != honest.proof.commitments[1]
    assert remainder != expected_remainder(honest, delta)


def test_a_repeated_shard_makes_up_another_average(honest: Averaged, small: Circuit):
    first, second = honest.proof.segments
    for pair in ((first, first), (second, second)):
        remainder, delta = check_proof(small, honest.with_shards(*pair))
        assert remainder != expected_remainder(honest, delta)


def test_a_shard_of_another_average_makes_up_another_average(
    honest: Averaged, another: Averaged, small: Circuit
):
    for i in range(SHARDS):
        mixed = list(honest.proof.segments)
        mixed[i] = another.proof.segments[i]
        remainder, delta = check_proof(small, honest.with_shards(*mixed))
        assert remainder != expected_remainder(honest, delta)


def test_a_shard_too_few_or_too_many_is_refused(honest: Averaged, small: Circuit):
    first, second = honest.proof.segments
    for shards, count in (((first,), 1), ((first, second, second), 3)):
        with pytest.raises(InvalidProof, match=f"the proof has {count} shards, small-average has 2"):
            check_proof(small, honest.with_shards(*shards))


def test_a_changed_shard_is_named(honest: Averaged, small: Circuit):
    first, second = honest.proof.segments
    raw = bytearray(second.raw)
    raw[-1] ^= 1
    with pytest.raises(InvalidProof, match=r"shard 1: .* does not verify"):
        check_proof(small, honest.with_shards(first, second.model_copy(update={"proof": raw.hex()})))


def test_shards_of_another_circuit_are_refused(honest: Averaged, honest_long: Averaged, small: Circuit):
    foreign = honest_long.proof.segments[0]
    with pytest.raises(InvalidProof, match=r"the proof has \d+ bytes, proofs of small-average have"):
        check_proof(small, honest.with_shards(honest.proof.segments[0], foreign))


def test_what_stands_beside_a_proof_does_not_matter(honest: Averaged, small: Circuit):
    """How a file says its shards add up is not how they are added up."""
    told = honest.proof.model_dump()
    told["shards"]["offset"], told["instances"] = (1, 2), ()
    liar = Proof.model_validate(told)
    assert liar.commitments != honest.proof.commitments
    assert check_proof(small, liar) == honest.proof.commitments


def test_what_is_no_digit_cannot_be_proven(honest: Averaged):
    """Also in the room that the last shard has to spare, and at every place."""
    for shard, vector, row in ((0, 0, 0), (0, 1, 21), (1, 0, 5), (1, 1, 7)):
        for value in (0, -1, 2**BITS + 1):
            parts = [[list(v) for v in part] for part in honest.average.parts]
            parts[shard][vector][row] = value
            forged = replace(honest.average)
            vars(forged)["parts"] = parts
            with pytest.raises(WitnessRejected):
                honest.aggregator.prove_part(forged, shard)
            if (shard, vector) != (0, 0):
                break


def test_padding_that_is_not_zero_is_no_average(honest_long: Averaged, long: Circuit):
    """Δ behind the vector: the remainder that fits it has no proof, one in range fits no equation."""
    average, shards, committer = honest_long.average, long.manifest.shards, long.committer
    parts = [[list(v) for v in part] for part in average.parts]
    row = len(average.delta) - 506 + 20
    parts[3][0][row] += 1  # the low digit of the quotient, in its second column
    in_range = replace(average)
    vars(in_range)["parts"] = parts
    proofs = list(honest_long.proof.segments)
    proofs[3] = honest_long.aggregator.prove_part(in_range, 3)
    remainder, delta = check_proof(long, honest_long.with_shards(*proofs))
    padded = np.zeros(2 * 506, dtype=np.int64)
    padded[: len(average.delta)] = average.delta
    padded[506 + row] = 1
    assert delta == committer.full(padded)[:2]
    wanted = expected_remainder(honest_long, delta)
    assert remainder[0] == wanted[0]
    assert remainder[1] != wanted[1]
    # The remainder that the hub wants is no digit.
    parts[1][0][row] -= 2**BITS
    assert committer.full(parts[1][0])[0] == wanted[1]
    with pytest.raises(WitnessRejected):
        honest_long.aggregator.prove_part(in_range, 1)
    assert shards.points == 2


def test_the_context_binds_an_average_to_nothing(honest: Averaged, small: Circuit):
    """It has no challenge: what binds it is the sum that its commitments must fit."""
    with pytest.raises(InvalidProof, match="made for the context"):
        check_proof(small, honest.proof, context=b"\1" * 32)
    renamed = [p.model_copy(update={"context": "01" * 32}) for p in honest.proof.segments]
    moved = honest.with_shards(*renamed).model_copy(update={"context": "01" * 32})
    assert check_proof(small, moved, context=b"\1" * 32) == honest.proof.commitments
    weights = fold_weights([4, 2, 1], BITS)
    other = Averaged(honest.aggregator, weights, honest.average, honest.proof)
    remainder, delta = honest.proof.commitments
    assert remainder == expected_remainder(honest, delta)
    assert remainder != expected_remainder(other, delta)
