"""A step in segments: the same step, provable in any order, each proof tied to the others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from segmented_project import SEGMENTS, parameters, samples
from segmented_steps import OURS, Taken, links, prepared, resalted

from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.commitments import NO_CONTEXT
from fedproof.errors import CallerError, InvalidProof
from fedproof.provers import CpuProver
from fedproof.rounds.prepared import prove_part, prove_prepared
from fedproof.rounds.proof import Proof, check_proof
from fedproof.rounds.session import TrainerRound, TrainerSession
from fedproof.rounds.trainer import PreparedStep, Trainer
from fedproof.rounds.vectors import ModelVector

pytestmark = pytest.mark.prove


# -- what is proven -----------------------------------------------------------------------------------------


def test_an_honest_step_is_accepted(circuit: Circuit, honest: Taken, tmp_path):
    honest.whole.save(tmp_path / "proof.json")
    proof = Proof.load(tmp_path / "proof.json")
    found = check_proof(circuit, proof, context=OURS)
    names = [s.name for s in circuit.manifest.slots]
    assert names[:3] == ["model", "batch", "step"]
    assert found == proof.commitments == [honest.step.commitment(n) for n in names]
    assert proof.raw == b"".join(p.raw for p in honest.proofs)
    assert len(proof.raw) == circuit.manifest.costs.proof_bytes


def test_the_manifest_lists_the_segments(circuit: Circuit):
    manifest = circuit.manifest
    parts = [part.manifest for part in circuit.parts]
    assert len(manifest.segments) == len(parts) == SEGMENTS
    for entry, part in zip(manifest.segments, parts, strict=True):
        assert (entry.key, entry.slots, entry.costs) == (part.key, part.slots, part.costs)
        assert part.challenge_points == sum(s.columns for s in part.slots[:-1]) > 0
    costs = [entry.costs for entry in manifest.segments]
    for total in ("rows", "cells", "lookups", "commitments", "proof_bytes", "proving_key_bytes"):
        assert getattr(manifest.costs, total) == sum(getattr(c, total) for c in costs)
    assert manifest.costs.prove_peak_bytes == max(c.prove_peak_bytes for c in costs)
    assert manifest.instances == tuple(part.instances[0] for part in parts)


@pytest.mark.usefixtures("deterministic")
def test_the_step_is_that_of_the_whole_circuit(store: CircuitStore, circuit: Circuit):
    """To the last bit, over several steps; and the committed vectors that the hub sees are the same."""
    whole = store.get("whole")
    assert len(whole.parts) == 1
    trainers = [Trainer(c, ModelVector.from_floats(c, parameters(3))) for c in (whole, circuit)]
    for seed in range(4):
        steps = [trainer.step(*samples(seed)) for trainer in trainers]
        np.testing.assert_array_equal(steps[0].vector, steps[1].vector)
        assert steps[0].slot("model") == steps[1].slot("model")
        assert steps[0].slot("batch")[:-1] == steps[1].slot("batch")[:-1]
        assert steps[0].commitment("step") == steps[1].commitment("step")


def test_segments_are_proven_in_any_order_and_at_once(circuit: Circuit):
    step = prepared(circuit, 5)
    made = {i: prove_part(step, i) for i in reversed(range(SEGMENTS))}
    check_proof(circuit, Proof.joined(circuit, [made[i] for i in range(SEGMENTS)]))
    check_proof(circuit, prove_prepared(step, at_once=SEGMENTS))


def test_a_proven_segment_is_kept(circuit: Circuit, tmp_path, honest: Taken, another: Taken, monkeypatch):
    """A session that was interrupted proves what is missing or of another step, and no more."""
    hub = SimpleNamespace(client=SimpleNamespace(account=SimpleNamespace(address="0x" + "ab" * 20)))
    monkeypatch.setattr("fedproof.rounds.session.step_context", lambda *_: OURS)
    proven: list[int] = []

    def prove(step: PreparedStep, index: int, prover: object, context: bytes) -> Proof:
        assert (step, context) == (honest.step, OURS)
        proven.append(index)
        return honest.proofs[index]

    monkeypatch.setattr("fedproof.rounds.kept.prove_part", prove)
    session = TrainerSession(circuit, None, hub, bytes(32), tmp_path)  # type: ignore[arg-type]

    def again() -> list[int]:
        proven.clear()
        work = TrainerRound(bytes(32), [0], [honest.step])
        assert session.prove(1, work, 0) == work.proofs[0] == honest.whole
        return sorted(proven)

    assert again() == [0, 1, 2]
    assert again() == []
    kept = tmp_path / "round1" / "step0.segment1.proof.json"
    kept.unlink()
    assert again() == [1]
    another.proofs[1].save(kept)
    assert again() == [1]
    kept.write_text("{")
    assert again() == [1]


# -- attacks ------------------------------------------------------------------------------------------------


def test_every_shared_vector_is_compared(circuit: Circuit, honest: Taken):
    """Each segment that has it is proven with another vector, one that satisfies its claims just as well."""
    tried = set()
    for name, places in links(circuit).items():
        for segment, _ in places[1:]:
            forged = prove_part(resalted(honest.step, name), segment, context=OURS)
            check_proof(circuit.parts[segment], forged, context=OURS)
            with pytest.raises(InvalidProof, match=rf"segments \d and {segment} commit to different {name}"):
                check_proof(circuit, honest.with_part(segment, forged), context=OURS)
            tried.add(name)
    assert tried >= {"model", "batch"}
    assert any(name.startswith("link") for name in tried)


@pytest.mark.parametrize("segment", range(SEGMENTS))
def test_a_segment_of_another_step_is_refused(circuit: Circuit, honest: Taken, another: Taken, segment: int):
    check_proof(circuit, another.whole, context=OURS)
    with pytest.raises(InvalidProof, match="commit to different"):
        check_proof(circuit, honest.with_part(segment, another.proofs[segment]), context=OURS)


def test_segments_in_another_order_are_refused(circuit: Circuit, honest: Taken):
    a, b, c = honest.proofs
    with pytest.raises(InvalidProof, match=r"segment 0: the proof is of circuit cut\.1"):
        check_proof(circuit, Proof.joined(circuit, [b, a, c]), context=OURS)
    # relabelled, it is a proof of another circuit with other instances, or under another key
    disguised = [
        p.model_copy(update={k: getattr(as_, k) for k in ("circuit", "key", "vectors", "columns")})
        for p, as_ in ((b, a), (a, b))
    ]
    with pytest.raises(InvalidProof, match=r"segment 0: .*(public instances|does not verify)"):
        check_proof(circuit, Proof.joined(circuit, [*disguised, c]), context=OURS)


def test_a_segment_too_few_or_twice_is_refused(circuit: Circuit, honest: Taken):
    a, b, _ = honest.proofs
    with pytest.raises(InvalidProof, match="has 2 segments, cut has 3"):
        check_proof(circuit, Proof.joined(circuit, [a, b]), context=OURS)
    with pytest.raises(InvalidProof, match="segment 2: the proof is of circuit"):
        check_proof(circuit, Proof.joined(circuit, [a, b, b]), context=OURS)


def test_a_segment_of_another_context_is_refused(circuit: Circuit, honest: Taken):
    """Its own challenge binds each segment, not only the first."""
    for segment in range(SEGMENTS):
        foreign = prove_part(honest.step, segment, context=NO_CONTEXT)
        with pytest.raises(InvalidProof, match=f"segment {segment}: the proof was made for the context"):
            check_proof(circuit, honest.with_part(segment, foreign), context=OURS)
        renamed = foreign.model_copy(update={"context": OURS.hex()})
        with pytest.raises(InvalidProof, match=f"segment {segment}: the public instances"):
            check_proof(circuit, honest.with_part(segment, renamed), context=OURS)


def test_names_beside_the_proof_do_not_matter(circuit: Circuit, honest: Taken):
    """What a file calls its vectors is not what is compared."""
    liar = honest.proofs[1].model_copy(
        update={"vectors": tuple(reversed(honest.proofs[1].vectors)), "columns": (1,) * 2}
    )
    assert check_proof(circuit, honest.with_part(1, liar), context=OURS) == honest.whole.commitments


def test_a_changed_element_of_a_link_breaks_the_segment_that_claims_it(circuit: Circuit, honest: Taken):
    """Values that a segment's own claims refuse cannot be proven at all, with or without links."""
    name = next(n for n in links(circuit) if n.startswith("link"))
    other = PreparedStep(circuit, [list(v) for v in honest.step.slots])
    other.slot(name)[0] += 1
    refused = 0
    for segment, _ in links(circuit)[name]:
        try:
            prove_part(other, segment, CpuProver(), OURS)
        except CallerError:
            refused += 1
    assert refused
