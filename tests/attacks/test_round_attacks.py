"""What a dishonest trainer, thief, aggregator or guardian tries in a round: the real contracts, real proofs.

Each attack is met by exactly one named error, and what the attacker should have done instead goes through. A
proof made for another model, round or trainer is refused before anything else is looked at. So where a proof
comes from elsewhere, the same false statement is tried as well with a proof made for the very place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from forgery import Forgery, without
from proven_evidence import ProvenAverage
from real_world import STRANGER, refused

from fedproof.chain.accounts import devnet_account
from fedproof.chain.deploy import pathway
from fedproof.chain.digests import batch_leaf, commit_digest, model_hash, points_hash, step_context
from fedproof.chain.hub import Phase, StepProof
from fedproof.chain.networks import ETHEREUM_TRANSACTION_GAS
from fedproof.chain.registry import RecordStatus, RegistryClient
from fedproof.commitments import NO_CONTEXT, CommitmentMismatch, add, mul, read_commitments, sub
from fedproof.relay.layerzero.sender import RelayClient
from fedproof.relay.layerzero.worker import LayerZeroWorker
from fedproof.rounds.published import PublishedModel, verify_model

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("undone")]

FIRST, SECOND, THIRD = 0, 1, 2


def test_an_honest_round_ends_in_one_hash_on_both_chains(finalized, real_world, record_property):
    """Sanity: nothing below is refused because everything is."""
    world, evidence = real_world, real_world.evidence
    moved = evidence.genesis.plus(evidence.honest.average.delta)
    opened = evidence.step.committer.pure(moved.vector)
    expected = model_hash(finalized.model_id, finalized.number, opened)
    assert finalized.result() == opened
    assert finalized.hub.model_hash(finalized.model_id, finalized.number) == expected
    way = pathway(world.deployment, world.chains)
    relayed = RelayClient(way).relay(finalized.model_id, finalized.number)
    delivery = LayerZeroWorker(way).deliver_transaction(relayed.tx)
    registry = RegistryClient(world.chains.l1, world.deployment.registry)
    record = registry.latest(finalized.model_id)
    assert (record.round_number, record.model_hash, record.status) == (1, expected, RecordStatus.PROVISIONAL)
    published = PublishedModel.of(evidence.step, moved, finalized.model_id, finalized.number)
    assert verify_model(published, evidence.step.srs, registry) == record
    gas = {name: receipt.gas for name, receipt in finalized.receipts.items()} | {"relay": relayed.gas}
    arrival = {name: receipt.gas for name, receipt in delivery.steps}
    deployed = {item.step: item.gas for item in world.deployment.transactions() if item.chain == "l1"}
    print(f"\nL2 gas {gas}\nL1 gas {arrival}; of the deployment at most {max(deployed.values())}")
    assert max(*arrival.values(), *deployed.values()) < ETHEREUM_TRANSACTION_GAS
    record_property("gas", gas | arrival)


# -- submit --------------------------------------------------------------------------------------------------


def test_a_flipped_byte_in_a_submitted_proof(committed, real_world):
    """A byte of a commitment, an evaluation, the opening; test_verifier_attacks.py flips all regions."""
    (honest,) = committed.arguments(SECOND)
    for place in (70, len(honest.proof) // 2 + 300, len(honest.proof) - 10):
        forged = bytearray(honest.proof)
        forged[place] ^= 1
        with refused("ProofRejected"):
            committed.submit(SECOND, [StepProof(bytes(forged), honest.batch_path)])
    committed.submit(SECOND)


def test_a_proof_of_another_model(registered, real_world):
    """A true step on committed data, from a model that is not the global one."""
    foreign = real_world.evidence.of_another_model
    registered.open()
    registered.commit(FIRST, [foreign])
    registered.commit(SECOND)
    registered.commit(THIRD)
    with refused(
        "ModelCommitmentMismatch",
        step=0,
        column=0,
        expected=tuple(real_world.evidence.step.committer.full(real_world.evidence.genesis.vector)[0]),
        actual=tuple(foreign.prepared.commitment("model")[0]),
    ):
        registered.submit(FIRST, [foreign])
    registered.submit(SECOND)


def test_a_proof_for_another_registration_of_the_model(committed, real_world):
    """The same model, data, trainer and round number, registered twice: true, but proven for the other."""
    twin = real_world.register()
    twin.commit_all()
    assert twin.number == committed.number
    with refused("ProofRejected"):
        twin.submit(SECOND, committed.arguments(SECOND))
    committed.submit(SECOND)


def test_a_proof_of_another_batch(committed, real_world):
    """A true step from the global model on a batch of the trainer's own, but not the one it committed to."""
    with refused("CommitDigestMismatch", expected=committed.digest(FIRST, real_world.evidence.steps[FIRST])):
        committed.submit(FIRST, [real_world.evidence.of_another_batch])
    committed.submit(FIRST)


def test_fewer_steps_than_committed(committed, real_world):
    with refused("CommitDigestMismatch"):
        committed.submit(FIRST, real_world.evidence.steps[FIRST][:1])
    committed.submit(FIRST)


def test_a_proof_of_another_round(finalized, real_world):
    """The first round's proofs in the second; and its steps proven anew, but the global model is another."""
    old = [finalized.arguments(owner) for owner in (FIRST, SECOND, THIRD)]
    finalized.commit_all()
    assert finalized.number == 2
    for owner, proofs in enumerate(old):
        with refused("ProofRejected"):
            finalized.submit(owner, proofs)
        with refused("ModelCommitmentMismatch", step=0, column=0):
            finalized.submit(owner)


def test_a_commit_of_another_round(registered, real_world):
    """The digest names the round: the first round's, used again after it was cancelled, opens nothing."""
    registered.open()
    old = registered.digest(SECOND, real_world.evidence.steps[SECOND])
    registered.commit_digest(SECOND, old)
    registered.pass_period()
    registered.hub.cancel(registered.model_id, registered.number)
    registered.open()
    registered.commit(FIRST)
    registered.commit_digest(SECOND, old)
    registered.commit(THIRD)
    with refused("CommitDigestMismatch", expected=old):
        registered.submit(SECOND)
    registered.submit(THIRD)


def test_swapped_commitment_slots(committed, real_world):
    """The points of a proof exchanged: model and step, batch and step."""
    (honest,) = committed.arguments(SECOND)
    slots = [honest.proof[64 * i : 64 * (i + 1)] for i in range(4)]
    for order in ((2, 1, 0, 3), (0, 2, 1, 3), (1, 0, 2, 3)):
        forged = b"".join(slots[i] for i in order) + honest.proof[256:]
        with refused("ProofRejected"):
            committed.submit(SECOND, [StepProof(forged, honest.batch_path)])
    committed.submit(SECOND)


def test_points_committed_in_another_order(registered, real_world):
    """A digest over step and batch, not batch and step: the hub reads the order from the proof."""
    registered.open()
    batch, step = real_world.evidence.steps[SECOND][0].points
    trainer, nonce = real_world.trainers[SECOND].address, registered.nonce(SECOND)
    swapped = commit_digest(registered.model_id, registered.number, trainer, nonce, [step, batch])
    registered.commit(FIRST)
    registered.commit_digest(SECOND, swapped)
    registered.commit(THIRD)
    with refused("CommitDigestMismatch", expected=swapped):
        registered.submit(SECOND)


def test_a_chain_that_does_not_start_at_the_global_model(registered, real_world):
    """The second step alone, and the steps in the wrong order."""
    first, second = real_world.evidence.steps[FIRST]
    registered.open()
    registered.commit(FIRST, [second])
    registered.commit(SECOND)
    registered.commit(THIRD)
    with refused("ModelCommitmentMismatch", step=0, column=0):
        registered.submit(FIRST, [second])
    with refused("ModelCommitmentMismatch", step=0, column=0):
        registered.submit(FIRST, [second, first])


def test_a_chain_with_a_step_left_out_or_repeated(committed, real_world):
    """The same first step twice: its second proof starts at the global model, not after the first."""
    first, second = real_world.evidence.steps[FIRST]
    for chain in ([first, first], [first, second, second]):
        name = "WrongStepCount" if len(chain) > 2 else "ModelCommitmentMismatch"
        with refused(name):
            committed.submit(FIRST, chain)
    committed.submit(FIRST, [first, second])


def test_a_chain_that_starts_at_a_stale_model(finalized, real_world):
    """The genesis was the global model one round ago."""
    stale = real_world.evidence.of_another_batch
    finalized.open()
    for owner in (FIRST, SECOND, THIRD):
        finalized.commit(owner, [stale])
    now = real_world.evidence.step.committer.to_full(finalized.hub.round(finalized.model_id, 1).result)
    with refused("ModelCommitmentMismatch", step=0, expected=tuple(now[0])):
        finalized.submit(FIRST, [stale])


def test_a_batch_outside_the_dataset(registered, real_world):
    """The first trainer proves a true step on the second one's data, committed as if it were its own."""
    foreign = real_world.evidence.steps[SECOND][0]
    registered.open()
    registered.commit(FIRST, [foreign])
    registered.commit(SECOND)
    registered.commit(THIRD)
    leaf = batch_leaf(real_world.evidence.datasets[SECOND].commitments[0])
    root = real_world.evidence.datasets[FIRST].tree.root
    with refused("BatchNotInDataset", step=0, leaf=leaf, root=root):
        registered.submit(FIRST, [foreign])
    registered.submit(SECOND)


def test_a_batch_with_another_batchs_path(committed):
    first, second = committed.arguments(FIRST)
    with refused("BatchNotInDataset", step=0):
        committed.submit(FIRST, [StepProof(first.proof, second.batch_path), second])
    with refused("BatchNotInDataset", step=1):
        committed.submit(FIRST, [first, StepProof(second.proof, [])])
    committed.submit(FIRST)


def test_a_replayed_proof_in_the_same_round(committed):
    committed.submit(FIRST)
    with refused("AlreadySubmitted"):
        committed.submit(FIRST)


def test_a_replayed_proof_after_a_cancelled_round(registered, real_world):
    """The model did not move, so the chain would fit: but a proof names its round, and a step counts once."""
    registered.commit_all()
    old = registered.arguments(SECOND)
    registered.submit(SECOND, old)
    registered.pass_period()
    registered.hub.cancel(registered.model_id, registered.number)
    registered.commit_all()
    assert registered.number == 2
    step = real_world.evidence.steps[SECOND][0]
    key = points_hash(real_world.evidence.step.committer.to_pure(step.prepared.commitment("step")))
    with refused("ProofRejected"):
        registered.submit(SECOND, old)
    with refused("StepAlreadyUsed", step=0, commitment=key):
        registered.submit(SECOND)
    registered.submit(THIRD)


def test_a_stolen_proof(committed, real_world):
    """A thief sees the proofs in the pool and submits them; or even proves the same step for itself."""
    stolen, shown = real_world.evidence.steps[SECOND], committed.arguments(SECOND)
    with refused("ProofRejected"):
        committed.submit(FIRST, shown)
    with refused("BatchNotInDataset", step=0):
        committed.submit(FIRST, stolen)
    thief = committed.hub.acting_as(devnet_account(STRANGER))
    with refused("NotCommitted"):
        thief.submit(committed.model_id, committed.number, committed.nonce(SECOND), shown)
    with refused("WrongPhase"):
        thief.commit(committed.model_id, committed.number, committed.digest(SECOND, stolen))
    committed.submit(SECOND)


def test_a_stolen_proof_with_a_copied_digest_and_dataset(registered, real_world):
    """An admitted thief copies in time all that the chain shows. But proof and digest name their owner."""
    stolen, thief = real_world.evidence.steps[SECOND], devnet_account(STRANGER)
    registered.hub.admit(registered.model_id, thief.address)
    hub = registered.hub.acting_as(thief)
    hub.register_dataset(registered.model_id, real_world.evidence.datasets[SECOND].tree.root)
    registered.open()
    for owner in (FIRST, SECOND, THIRD):
        registered.commit(owner)
    copied = registered.digest(SECOND, stolen)
    hub.commit(registered.model_id, registered.number, copied)
    opening = (registered.model_id, registered.number, registered.nonce(SECOND))
    with refused("ProofRejected"):
        hub.submit(*opening, registered.arguments(SECOND))
    context = step_context(registered.model_id, registered.number, thief.address)
    with refused("CommitDigestMismatch", expected=copied):
        hub.submit(*opening, [step.argument_for(context) for step in stolen])
    registered.submit(SECOND)


def test_a_proof_shown_too_late_is_of_no_use_to_another(registered, real_world):
    """Shown in vain, it fits the model still, and a thief has time to commit to it. But it names its trainer.

    The trainer itself proves its step again, for the next round: nothing has to be drawn anew.
    """
    shown, thief = real_world.evidence.steps[SECOND], devnet_account(STRANGER)
    registered.commit_all()
    late = registered.arguments(SECOND)
    registered.pass_period()
    with refused("WrongPhase"):
        registered.submit(SECOND, late)
    registered.hub.cancel(registered.model_id, registered.number)
    registered.hub.admit(registered.model_id, thief.address)
    hub = registered.hub.acting_as(thief)
    hub.register_dataset(registered.model_id, real_world.evidence.datasets[SECOND].tree.root)
    registered.commit_all()
    points = [point for step in shown for point in step.points]
    nonce = registered.nonce(SECOND)
    digest = commit_digest(registered.model_id, registered.number, thief.address, nonce, points)
    hub.commit(registered.model_id, registered.number, digest)
    with refused("ProofRejected"):
        hub.submit(registered.model_id, registered.number, nonce, late)
    with refused("ProofRejected"):
        registered.submit(SECOND, late)
    registered.submit(SECOND)


def test_a_submission_without_a_commit(registered):
    registered.open()
    registered.commit(FIRST)
    registered.commit(SECOND)
    registered.pass_period()
    with refused("NotCommitted"):
        registered.submit(THIRD)
    registered.submit(SECOND)


def test_a_submission_before_its_phase(registered):
    registered.open()
    registered.commit(SECOND)
    with refused("WrongPhase", expected=Phase.SUBMIT, actual=Phase.COMMIT):
        registered.submit(SECOND)


def test_a_submission_after_its_phase(committed):
    committed.submit(FIRST)
    committed.submit(SECOND)
    committed.pass_period()
    with refused("WrongPhase", expected=Phase.SUBMIT, actual=Phase.FINALIZE):
        committed.submit(THIRD)


# -- aggregate -----------------------------------------------------------------------------------------------


def test_a_commitment_that_is_not_of_the_vector_sent(submitted, real_world):
    """A trainer sends another vector than it proved: noticed on receipt, and useless for an average."""
    evidence, aggregator = real_world.evidence, real_world.evidence.aggregator
    held = [item.update for item in submitted.hub.submissions(submitted.model_id, submitted.number)]
    for update, commitment in zip(evidence.updates, held, strict=True):
        aggregator.receive(update, commitment)
    sent = -evidence.steps[FIRST][0].prepared.vector
    with pytest.raises(CommitmentMismatch, match="update of the third"):
        aggregator.receive(sent, held[THIRD], trainer="the third")
    nudged = evidence.updates[THIRD].copy()
    nudged[5] += 1
    with pytest.raises(CommitmentMismatch):
        aggregator.receive(nudged, held[THIRD])
    with refused("RemainderMismatch"):
        submitted.finalize(evidence.with_a_swapped_trainer)
    submitted.finalize(evidence.honest)


def _sum_of(submitted, average: ProvenAverage) -> np.ndarray:
    """S as an average proof implies it: 2^t·Δ + ρ - 2^(t-1), the remainder committed being ρ + 1."""
    bits = submitted.evidence.aggregator.bits
    remainder, delta = (np.array(slot) for slot in average.average.slots[:2])
    return (delta << bits) + remainder - 1 - (1 << (bits - 1))


@pytest.mark.parametrize(
    "choose",
    [
        pytest.param(lambda e: e.without_the_last, id="a-trainer-dropped"),
        pytest.param(lambda e: e.with_swapped_weights, id="weights-swapped"),
        pytest.param(lambda e: e.with_a_swapped_trainer, id="a-trainer-swapped"),
        pytest.param(lambda e: e.with_delta_off_by_one, id="delta-off-by-one"),
    ],
)
def test_an_average_of_something_else(submitted, real_world, choose: Callable[..., ProvenAverage]):
    """Valid proofs of averages of other trainers, with other weights, or one unit beside the average."""
    forged = choose(real_world.evidence)
    committer = real_world.evidence.average.committer
    on_chain = submitted.hub.weighted_sum(submitted.model_id, submitted.number)
    assert committer.pure(_sum_of(submitted, forged)) != on_chain
    assert committer.pure(_sum_of(submitted, real_world.evidence.honest)) == on_chain
    # the proof itself is accepted: it is what it proves that is refused
    verifier = real_world.deployment.verifier(forged.proof.circuit).adapter.address
    adapter = real_world.chains.l2.at(verifier, real_world.deployment.abis["ICircuitVerifier"])
    points = real_world.chains.l2.call(adapter.functions.verify(NO_CONTEXT, forged.proof.raw, []))
    assert [tuple(point) for point in points] == [tuple(p[0]) for p in forged.proof.commitments[:2]]
    with refused("RemainderMismatch", column=0, actual=tuple(forged.proof.commitments[0][0])):
        submitted.finalize(forged)
    assert submitted.hub.phase(submitted.model_id, submitted.number) is Phase.FINALIZE


def test_a_remainder_out_of_range(submitted, real_world, tmp_path):
    """Δ one off, with the remainder that fits P(S): the hub's equation holds, only the circuit objects.

    The remainder wrapped back into its range is delta-off-by-one above: provable, and fits nothing.
    """
    evidence = real_world.evidence
    average, bits = evidence.average, evidence.aggregator.bits
    honest = evidence.honest.average.slots
    remainder, delta, *advice = (list(slot) for slot in honest)
    delta[100] += 1
    remainder[100] -= 1 << bits
    assert remainder[100] < 0
    committer = average.committer
    half = mul(committer.ones(len(delta)), (1 << (bits - 1)) + 1)
    summed = add(submitted.hub.weighted_sum(submitted.model_id, submitted.number), half)
    assert committer.pure(remainder) == sub(summed, mul(committer.pure(delta), 1 << bits))
    # No prover of the circuit gives a proof (test_forged_advice.py), so the forger leaves the check out.
    weak, plonk = without(average.program, "check remainder"), average.manifest.spec.plonk
    forger = Forgery.of(weak, tmp_path / "forger", average.srs.path, plonk.logrows, plonk.columns)
    made = forger.attempt([remainder, delta, *advice])
    assert made.valid
    assert read_commitments(made.proof, (1, 1)) == [committer.full(remainder), committer.full(delta)]
    with refused("ProofRejected"):
        submitted.hub.finalize(submitted.model_id, submitted.number, made.proof)
    submitted.finalize(evidence.honest)


def test_garbage_beyond_the_vector_of_delta_is_rolled_back(submitted, real_world, tmp_path):
    """A known limit: the hub accepts it. Only its maker can open the new model; guardians undo the round."""
    evidence = real_world.evidence
    average, garbage = evidence.average, 12345
    longer = replace(
        average.program, slots=[replace(slot, salt=slot.salt + 1) for slot in average.program.slots]
    )
    plonk = average.manifest.spec.plonk
    forger = Forgery.of(
        average.program,
        tmp_path / "forger",
        average.srs.path,
        plonk.logrows,
        plonk.columns,
        laid_out_as=longer,
    )
    remainder, delta, *advice = evidence.honest.average.slots
    beyond = [-garbage << evidence.aggregator.bits, garbage, 0]
    honest = [remainder, delta, *advice]
    made = forger.attempt(honest, [[*slot, more] for slot, more in zip(honest, beyond, strict=True)])
    assert made.valid
    submitted.hub.finalize(submitted.model_id, submitted.number, made.proof)
    moved = evidence.genesis.plus(evidence.honest.average.delta).vector
    committer = evidence.step.committer
    with pytest.raises(CommitmentMismatch):
        committer.check_opening(moved, submitted.result())
    committer.check_opening([*moved, garbage], submitted.result())
    signatures = submitted.hub.sign_roll_back(submitted.model_id, submitted.number, real_world.guardians[:2])
    with refused("TooFewSignatures"):
        submitted.hub.roll_back(submitted.model_id, submitted.number, signatures[:1])
    submitted.hub.roll_back(submitted.model_id, submitted.number, signatures)
    assert submitted.hub.model(submitted.model_id).current == committer.pure(evidence.genesis.vector)
    with refused("WrongPhase", expected=Phase.FINALIZED, actual=Phase.ROLLED_BACK):
        submitted.hub.model_hash(submitted.model_id, submitted.number)


def test_swapped_slots_of_an_average(submitted, real_world):
    proof = real_world.evidence.honest.proof.raw
    forged = proof[64:128] + proof[:64] + proof[128:]
    with refused("ProofRejected"):
        submitted.hub.finalize(submitted.model_id, submitted.number, forged)


def test_a_step_proof_in_place_of_an_average(submitted):
    step = submitted.arguments(FIRST)[0].proof
    with refused("WrongProofLength", actual=len(step)):
        submitted.hub.finalize(submitted.model_id, submitted.number, step)


def test_a_replayed_average(finalized, real_world):
    """In the same round, and in one after a roll-back where the same updates are no longer there."""
    honest = real_world.evidence.honest
    with refused("WrongPhase", expected=Phase.FINALIZE, actual=Phase.FINALIZED):
        finalized.finalize(honest)
    signatures = finalized.hub.sign_roll_back(finalized.model_id, finalized.number, real_world.guardians[:2])
    finalized.hub.roll_back(finalized.model_id, finalized.number, signatures)
    finalized.open()
    finalized.commit(FIRST, [real_world.evidence.of_another_batch])
    finalized.commit(SECOND)
    finalized.commit(THIRD)
    with refused("StepAlreadyUsed"):
        finalized.submit(SECOND)
    finalized.submit(FIRST, [real_world.evidence.of_another_batch])
    with refused("WrongPhase", expected=Phase.FINALIZE, actual=Phase.SUBMIT):
        finalized.finalize(honest)


def test_an_average_before_everyone_has_submitted(committed, real_world):
    committed.submit(FIRST)
    committed.submit(SECOND)
    with refused("WrongPhase", expected=Phase.FINALIZE, actual=Phase.SUBMIT):
        committed.finalize(real_world.evidence.without_the_last)
    committed.submit(THIRD)
    with refused("RemainderMismatch"):
        committed.finalize(real_world.evidence.without_the_last)
    committed.finalize(real_world.evidence.honest)


# -- leave out -----------------------------------------------------------------------------------------------


def leave_third_out(game, signatures: list[bytes]) -> None:
    trainer = game.world.trainers[THIRD].address
    game.hub.leave_out(game.model_id, game.number, trainer, game.world.REASON, signatures)


def test_leaving_out_with_too_few_signatures(submitted, real_world):
    for few in ([], submitted.leave_out(THIRD, real_world.guardians[:1])):
        with refused("TooFewSignatures", required=2, actual=len(few)):
            leave_third_out(submitted, few)


def test_leaving_out_with_a_repeated_signature(submitted, real_world):
    once = submitted.leave_out(THIRD, real_world.guardians[:1])
    guardian = real_world.guardians[0].address
    with refused("SignersNotAscending", previous=guardian.lower(), current=guardian.lower()):
        leave_third_out(submitted, once * 2)


def test_leaving_out_with_foreign_signatures(submitted, real_world):
    """A trainer, the model's owner and a stranger are no guardians."""
    for index in (0, 1, 9):
        signatures = submitted.leave_out(THIRD, [real_world.guardians[0], devnet_account(index)])
        with refused("NotAGuardian", signer=devnet_account(index).address.lower()):
            leave_third_out(submitted, signatures)


def test_leaving_out_with_signatures_of_another_round(registered, real_world):
    """Signatures for a round that was cancelled, in the next one; and for one that is still to come."""
    registered.commit_all()
    earlier = registered.leave_out(THIRD, real_world.guardians[:2])
    registered.pass_period()
    registered.hub.cancel(registered.model_id, registered.number)
    registered.submit_all()
    assert registered.number == 2
    later = registered.leave_out(THIRD, real_world.guardians[:2], number=3)
    for signatures in (earlier, later):
        with refused("NotAGuardian"):
            leave_third_out(registered, signatures)
    leave_third_out(registered, registered.leave_out(THIRD, real_world.guardians[:2]))


def test_leaving_out_with_signatures_of_another_model(submitted, real_world):
    twin = real_world.register()
    assert twin.open() == submitted.number
    others = twin.leave_out(THIRD, real_world.guardians[:2])
    with refused("NotAGuardian"):
        leave_third_out(submitted, others)


def test_leaving_out_with_signatures_for_another_trainer(submitted, real_world):
    others = submitted.leave_out(SECOND, real_world.guardians[:2])
    with refused("NotAGuardian"):
        leave_third_out(submitted, others)


def test_an_honest_leave_out_averages_the_rest_and_nothing_else(submitted, real_world):
    evidence = real_world.evidence
    with refused("RemainderMismatch"):
        submitted.finalize(evidence.without_the_last)
    leave_third_out(submitted, submitted.leave_out(THIRD, real_world.guardians[1:]))
    # two steps and one: 2^11·2/3 and the rest
    assert list(submitted.hub.weights(submitted.model_id, submitted.number).values()) == [1365, 683, 0]
    with refused("RemainderMismatch"):
        submitted.finalize(evidence.honest)
    found = submitted.finalize(evidence.without_the_last)
    moved = evidence.genesis.plus(evidence.without_the_last.average.delta)
    opened = evidence.step.committer.pure(moved.vector)
    assert found == model_hash(submitted.model_id, submitted.number, opened)
    assert submitted.result() == opened
