"""Everything that is wrong with a round folder is found from its files, and named with the file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from folder_world import OWNER, PEOPLE, STRANGER, FolderWorld, change, data_of, signed_plan, signed_result

from fedproof.chain.digests import model_hash
from fedproof.commitments import CommitmentMismatch
from fedproof.errors import CallerError, InvalidProof
from fedproof.exchange.documents import LeftOut, Registration, RoundResult
from fedproof.exchange.faults import RoundFault
from fedproof.exchange.fields import to_bytes, to_hex
from fedproof.exchange.folder import AVERAGE, BASE, MODEL, PLAN, RESULT, RoundFolder
from fedproof.exchange.locations import ContentMissing
from fedproof.exchange.opening import register
from fedproof.exchange.signing import WrongSignature, commitment_message, sign
from fedproof.exchange.store import ContentMismatch
from fedproof.exchange.verify import verify_rounds
from fedproof.rounds import Dataset
from fedproof.rounds.aggregator import Aggregator
from fedproof.rounds.published import PublishedModel
from fedproof.training.delivery import submit_to_folder
from fedproof.training.round import TrainingRound

pytestmark = pytest.mark.prove

A, B, C = (p.address for p in PEOPLE)


@pytest.fixture
def folder(world: FolderWorld, tmp_path: Path) -> RoundFolder:
    """A copy of the first round."""
    return world.copy(tmp_path / "copy")


def refused(world: FolderWorld, folder: RoundFolder, check: str, file: Path, *words: str) -> RoundFault:
    """Assert that the folder is refused by this check, in this file, for this reason."""
    with pytest.raises(RoundFault) as caught:
        world.check(folder.path)
    fault = caught.value
    assert (fault.check, fault.file) == (check, file), fault
    assert fault.exit_code == 3
    for word in words:
        assert word in fault.message, fault
    return fault


# -- what is honest passes -----------------------------------------------------------------------------


def test_honest_rounds_are_verified_from_files_alone(world: FolderWorld) -> None:
    one, two = verify_rounds(
        [f.path for f in world.rounds], world.circuits, model_id=world.model.id, prover=world.prover
    )
    assert (one.proofs, two.proofs) == (7, 5)
    assert [s.trainer for s in one.included] == sorted([A, B, C], key=str.lower)
    assert [s.trainer for s in two.included] == sorted([A, B], key=str.lower)
    assert two.left_out == (LeftOut(trainer=C, reason="nothing arrived"),)
    assert two.plan.base.model_hash == one.model_hash
    assert one.model is not None
    assert not np.array_equal(one.model.vector, world.genesis.vector)
    assert any("SRS" in caveat for caveat in one.caveats)
    assert not any("is the model you mean" in caveat for caveat in one.caveats)


def test_a_folder_says_what_it_does_not_prove(world: FolderWorld) -> None:
    told = " ".join(world.check(world.rounds[1].path).document["not_proven"])  # type: ignore[arg-type]
    for words in ("only a chain shows", "only folder of its round", "result of round 1", "model you mean"):
        assert words in told


# -- updates -------------------------------------------------------------------------------------------


def test_an_update_swapped_for_another_trainers(world: FolderWorld, folder: RoundFolder) -> None:
    other = json.loads(folder.submission_path(B).read_text())["update"]
    change(folder.submission_path(A), lambda d: d.update(update=other))
    refused(world, folder, "update", folder.submission_path(A), f"trainer is {B}")
    change(folder.submission_path(A), lambda d: d.update(update=other | {"trainer": A}))
    fault = refused(world, folder, "update", folder.submission_path(A), f"update of {A}")
    assert isinstance(fault.__cause__, CommitmentMismatch)


def test_a_vector_that_does_not_match_its_commitment(world: FolderWorld, folder: RoundFolder) -> None:
    from fedproof.exchange.vectors import pack

    other = np.arange(len(world.genesis.vector), dtype=np.int64)
    digest = folder.store.put(pack(other))
    change(folder.submission_path(A), lambda d: d["update"].update(content=digest))
    fault = refused(world, folder, "update", folder.submission_path(A), f"update of {A}", "does not match")
    assert isinstance(fault.__cause__, CommitmentMismatch)


def test_bytes_exchanged_in_the_store(world: FolderWorld, folder: RoundFolder) -> None:
    digest = folder.submission(A).update.content
    path = folder.path / "store" / "sha256" / digest[:2] / digest
    path.write_bytes(b"something else")
    fault = refused(world, folder, "update", folder.submission_path(A), digest)
    assert isinstance(fault.__cause__, ContentMismatch)
    path.unlink()
    fault = refused(world, folder, "update", folder.submission_path(A), digest)
    assert isinstance(fault.__cause__, ContentMissing)


def test_an_update_that_names_a_file_outside(world: FolderWorld, folder: RoundFolder) -> None:
    change(folder.submission_path(A), lambda d: d["update"].update(content="../../../etc/passwd"))
    refused(world, folder, "submission", folder.submission_path(A), "update.content")


# -- steps ---------------------------------------------------------------------------------------------


def test_a_proof_of_another_trainer(world: FolderWorld, folder: RoundFolder) -> None:
    shutil.copy(folder.proof_path(A, 0), folder.proof_path(B, 0))
    refused(world, folder, "steps", folder.proof_path(B, 0), "was made for the context")


def test_a_proof_of_another_trainer_with_its_context_exchanged(
    world: FolderWorld, folder: RoundFolder
) -> None:
    context = folder.proof(B, 0).context
    shutil.copy(folder.proof_path(A, 0), folder.proof_path(B, 0))
    change(folder.proof_path(B, 0), lambda d: d.update(context=context))
    refused(world, folder, "steps", folder.proof_path(B, 0), "instances")


def test_a_proof_of_another_round(world: FolderWorld, folder: RoundFolder) -> None:
    shutil.copy(world.rounds[1].proof_path(A, 0), folder.proof_path(A, 0))
    refused(world, folder, "steps", folder.proof_path(A, 0), "was made for the context")


def test_a_flipped_byte_of_a_proof(world: FolderWorld, folder: RoundFolder) -> None:
    def flip(document: dict[str, str]) -> None:
        raw = bytearray.fromhex(document["proof"].removeprefix("0x"))
        raw[-5] ^= 1
        document["proof"] = "0x" + raw.hex()

    change(folder.proof_path(B, 1), flip)
    refused(world, folder, "proof", folder.proof_path(B, 1), "does not verify")


def test_a_flipped_byte_of_the_average(world: FolderWorld, folder: RoundFolder) -> None:
    change(
        folder.average_path,
        lambda d: d.update(proof=d["proof"][:-2] + ("00" if d["proof"][-2:] != "00" else "01")),
    )
    refused(world, folder, "proof", folder.average_path, "does not verify")


def test_proofs_that_are_bound_to_nobody(world: FolderWorld, folder: RoundFolder) -> None:
    from dataclasses import replace

    unbound = replace(
        world.training, manifest=world.training.manifest.model_copy(update={"challenge_points": 0})
    )
    with pytest.raises(RoundFault, match="anybody could hand them in"):
        verify_rounds([folder.path], {"tiny": unbound, "tiny-average": world.average}.__getitem__)


def test_a_model_beyond_what_the_circuit_holds(world: FolderWorld, folder: RoundFolder) -> None:
    half = 1 << (world.training.numbers.model - 1)

    def beyond(document: dict[str, list[int]]) -> None:
        document["vector"][1] = half

    change(folder.path / MODEL, beyond)
    refused(world, folder, "model", folder.path / MODEL, f"parameter 1 is {half}")


def test_steps_in_another_order(world: FolderWorld, folder: RoundFolder) -> None:
    first, second = folder.proof_path(A, 0), folder.proof_path(A, 1)
    kept = first.read_text()
    first.write_text(second.read_text())
    second.write_text(kept)
    refused(world, folder, "steps", first, "another model than the steps start from")


def test_what_a_proof_file_says_of_its_own_columns_is_not_believed(
    world: FolderWorld, folder: RoundFolder
) -> None:
    # Points shifted by one vector: what stands beside a proof must not decide what it commits to.
    change(folder.proof_path(A, 0), lambda d: d.update(columns=[2, 1, 1, 1, 1], vectors=list("abcde")))
    assert world.check(folder.path).proofs == 7


def test_fewer_steps_than_committed(world: FolderWorld, folder: RoundFolder) -> None:
    change(folder.submission_path(A), lambda d: d.update(paths=d["paths"][:1]))
    refused(world, folder, "commitment", folder.commitment_path(A), "than committed to")


def test_a_nonce_exchanged(world: FolderWorld, folder: RoundFolder) -> None:
    change(folder.submission_path(A), lambda d: d.update(nonce="0x" + "11" * 32))
    refused(world, folder, "commitment", folder.commitment_path(A), "than committed to")


def test_a_replay_from_another_round(world: FolderWorld, tmp_path: Path) -> None:
    folder = world.copy(tmp_path / "copy", 2)
    shutil.rmtree(folder.trainer_path(A))
    shutil.copytree(world.rounds[0].trainer_path(A), folder.trainer_path(A))
    refused(world, folder, "signature", folder.commitment_path(A), "round is 1, here it must be 2")


def test_a_proof_or_a_file_missing(world: FolderWorld, folder: RoundFolder) -> None:
    folder.proof_path(A, 1).unlink()
    refused(world, folder, "steps", folder.proof_path(A, 1), "no proof file")
    shutil.rmtree(folder.trainer_path(A))
    refused(world, folder, "signature", folder.commitment_path(A), "no commitment file")


# -- batches: a trainer with its own key ------------------------------------------------------------------


class Unchecked(TrainingRound):
    """A trainer that does not keep to its dataset."""

    def cheat(self, indices: list[int]) -> None:
        for index in indices:
            self._trainer.step(self.dataset.batches[index])
            self.batches.append(index)


def handed_in_again(
    world: FolderWorld, folder: RoundFolder, dataset: Dataset, indices: list[int], scratch: Path
) -> None:
    """A cheats: steps on other batches, truly proven, truly signed."""
    shutil.rmtree(folder.trainer_path(A))
    plan = folder.plan
    work = Unchecked(
        world.training,
        dataset,
        A,
        world.genesis,
        model_id=plan.id_bytes,
        number=1,
        max_steps=2,
        folder=scratch,
        prover=world.prover,
        loss=lambda *_: 0.0,
    )
    with work:
        work.cheat(indices)
        submit_to_folder(work, folder, PEOPLE[0])


def test_a_batch_used_twice(world: FolderWorld, folder: RoundFolder, tmp_path: Path) -> None:
    handed_in_again(world, folder, world.trainers[0].dataset, [0, 0], tmp_path / "cheat")
    refused(world, folder, "dataset", folder.proof_path(A, 1), "step 1 was used in this round already")


def test_a_batch_that_is_not_in_the_root(world: FolderWorld, folder: RoundFolder, tmp_path: Path) -> None:
    other = Dataset.from_floats(world.training, *data_of(77))
    handed_in_again(world, folder, other, [0], tmp_path / "cheat")
    refused(world, folder, "dataset", folder.proof_path(A, 0), "not in the dataset")


def test_a_batch_with_another_batchs_path(world: FolderWorld, folder: RoundFolder) -> None:
    change(folder.submission_path(A), lambda d: d.update(paths=d["paths"][::-1]))
    refused(world, folder, "dataset", folder.proof_path(A, 0), "not in the dataset")


# -- signatures ----------------------------------------------------------------------------------------


def test_a_commitment_signed_by_another_key(world: FolderWorld, folder: RoundFolder) -> None:
    plan, kept = folder.plan, folder.commitment(A)
    message = commitment_message(plan.id_bytes, 1, A, plan.digest, to_bytes(kept.digest))
    folder.write_commitment(kept.model_copy(update={"signature": sign(message, STRANGER)}))
    fault = refused(world, folder, "signature", folder.commitment_path(A), STRANGER.address)
    assert isinstance(fault.__cause__, WrongSignature)


@pytest.mark.parametrize("signature", ["0x" + "00" * 65, "0x" + "ff" * 65])
def test_a_signature_that_is_none(world: FolderWorld, folder: RoundFolder, signature: str) -> None:
    change(folder.commitment_path(A), lambda d: d.update(signature=signature))
    refused(world, folder, "signature", folder.commitment_path(A), "signature that is none")


def test_a_plan_signed_by_another_key(world: FolderWorld, folder: RoundFolder) -> None:
    signed_plan(folder, STRANGER)
    refused(world, folder, "plan", folder.path / PLAN, STRANGER.address)


def test_a_plan_of_another_owner_is_another_model(world: FolderWorld, folder: RoundFolder) -> None:
    model = world.model.model_copy(update={"owner": STRANGER.address})
    signed_plan(folder, STRANGER, model=model)
    refused(world, folder, "plan", folder.path / PLAN, "model's id")
    signed_plan(folder, STRANGER, model=model, model_id=to_hex(model.id))
    with pytest.raises(RoundFault, match="not of 0x"):
        world.check(folder.path, model_id=world.model.id)
    # Nobody registered for that one.
    refused(world, folder, "registration", folder.path / PLAN, "is for model")


def test_a_plan_changed_after_trainers_committed(world: FolderWorld, folder: RoundFolder) -> None:
    signed_plan(folder, min_trainers=2)
    first = min([A, B, C], key=str.lower)
    refused(world, folder, "result", folder.path / RESULT, "plan is")
    signed_result(folder, plan=to_hex(RoundFolder(folder.path).plan.digest))
    refused(world, folder, "signature", folder.commitment_path(first), "another plan")


def test_a_registration_that_the_trainer_did_not_sign(world: FolderWorld, folder: RoundFolder) -> None:
    forged = register(world.model.id, b"\1" * 32, 4, STRANGER).model_copy(update={"trainer": A})
    changed = tuple(forged if r.trainer == A else r for r in folder.plan.trainers)
    signed_plan(folder, trainers=changed)
    refused(world, folder, "registration", folder.path / PLAN, f"registration of {A}")


def test_a_result_signed_by_another_key(world: FolderWorld, folder: RoundFolder) -> None:
    signed_result(folder, STRANGER)
    refused(world, folder, "result", folder.path / RESULT, STRANGER.address)


# -- the owner and the aggregator ----------------------------------------------------------------------


def without(result: RoundResult, trainer: str) -> dict[str, object]:
    return {"included": tuple(s for s in result.included if s.trainer != trainer)}


def test_an_omitted_trainer(world: FolderWorld, folder: RoundFolder) -> None:
    signed_result(folder, **without(folder.result, C))
    refused(world, folder, "trainers", folder.path / RESULT, C, "neither counted nor left out")


def test_an_omitted_trainer_taken_out_of_the_plan(world: FolderWorld, folder: RoundFolder) -> None:
    signed_plan(folder, trainers=tuple(r for r in folder.plan.trainers if r.trainer != C))
    plan = to_hex(RoundFolder(folder.path).plan.digest)
    signed_result(folder, plan=plan, **without(folder.result, C))
    first = min([A, B], key=str.lower)
    refused(world, folder, "signature", folder.commitment_path(first), "another plan")


def test_a_trainer_left_out_without_a_new_average(world: FolderWorld, folder: RoundFolder) -> None:
    kept = folder.result
    signed_result(folder, **without(kept, C), left_out=(LeftOut(trainer=C, reason="too late"),))
    refused(world, folder, "weights", folder.path / RESULT)


def test_a_trainer_counted_twice_or_in_another_order(world: FolderWorld, folder: RoundFolder) -> None:
    kept = folder.result.included
    signed_result(folder, included=(*kept, kept[0]))
    refused(world, folder, "trainers", folder.path / RESULT, "2 times")
    signed_result(folder, included=kept[::-1])
    refused(world, folder, "trainers", folder.path / RESULT, "another order")


def test_an_average_with_other_weights(world: FolderWorld, folder: RoundFolder) -> None:
    updates, _ = world.aggregator(folder).receive()
    aggregator = Aggregator(world.average, world.prover)
    wrong = aggregator.average([u.vector for u in updates], [100, 14, 14])
    aggregator.prove(wrong).save(folder.average_path)
    model = world.genesis.plus(wrong.delta)
    PublishedModel.of(world.training, model, world.model.id, 1).save(folder.path / MODEL)
    points = world.training.committer.pure(model.vector.tolist())
    found = to_hex(model_hash(world.model.id, 1, points))
    result = signed_result(folder, model_hash=found)
    refused(world, folder, "average", folder.path / AVERAGE, "another average")
    shares = [s.model_copy(update={"weight": w}) for s, w in zip(result.included, [100, 14, 14], strict=True)]
    signed_result(folder, included=tuple(shares))
    refused(world, folder, "weights", folder.path / RESULT, "weight of")


def test_samples_that_were_not_proven(world: FolderWorld, folder: RoundFolder) -> None:
    share, *others = folder.result.included
    signed_result(folder, included=(share.model_copy(update={"samples": 99}), *others))
    refused(world, folder, "result", folder.path / RESULT, "counts 99 samples")
    signed_result(folder, included=(share.model_copy(update={"steps": 1, "samples": 2}), *others))
    refused(world, folder, "samples", folder.path / RESULT, "it has handed in 2")


def test_an_average_of_another_round(world: FolderWorld, folder: RoundFolder) -> None:
    shutil.copy(world.rounds[1].average_path, folder.average_path)
    refused(world, folder, "average", folder.path / AVERAGE, "another average")


def test_a_model_file_exchanged(world: FolderWorld, folder: RoundFolder) -> None:
    def one_more(document: dict[str, list[int]]) -> None:
        document["vector"][0] += 1

    change(folder.path / MODEL, one_more)
    refused(world, folder, "model", folder.path / MODEL, "not those that the average leads to")
    shutil.copy(world.rounds[1].path / MODEL, folder.path / MODEL)
    refused(world, folder, "model", folder.path / MODEL, "round is 2, expected 1")


def test_a_model_hash_exchanged(world: FolderWorld, folder: RoundFolder) -> None:
    signed_result(folder, model_hash="0x" + "22" * 32)
    refused(world, folder, "model", folder.path / RESULT, "not 0x2222")


def test_a_base_model_exchanged(world: FolderWorld, folder: RoundFolder) -> None:
    shutil.copy(world.rounds[1].path / BASE, folder.path / BASE)
    refused(world, folder, "base model", folder.path / BASE, "the plan names")


def test_a_first_model_that_is_not_the_registered_one(world: FolderWorld, folder: RoundFolder) -> None:
    from fedproof.files import sha256_file

    other = PublishedModel.of(world.training, world.rounds[0].model.model, world.model.id, 0)
    other.save(folder.path / BASE)
    points = world.training.committer.pure(list(other.vector))
    base = folder.plan.base.model_copy(
        update={
            "model_hash": to_hex(model_hash(world.model.id, 0, points)),
            "content": sha256_file(folder.path / BASE),
        }
    )
    signed_plan(folder, base=base)
    refused(world, folder, "base model", folder.path / BASE, "not the first model")


def test_rounds_that_do_not_follow_each_other(world: FolderWorld) -> None:
    paths = [f.path for f in world.rounds]
    with pytest.raises(RoundFault, match="round 1 comes after round 2"):
        verify_rounds(paths[::-1], world.circuits, prover=world.prover)


def test_a_round_that_starts_from_another_result_than_was_shown(
    world: FolderWorld, folder: RoundFolder
) -> None:
    # The owner finishes round 1 in two ways, and shows one of them to whoever asks.
    reopened(folder)
    world.aggregator(folder).finish({C: "late"})
    world.check(folder.path)
    with pytest.raises(RoundFault, match="round 1 ended at"):
        verify_rounds([folder.path, world.rounds[1].path], world.circuits, prover=world.prover)


def test_another_circuit_than_the_one_compiled_here(world: FolderWorld, folder: RoundFolder) -> None:
    for field, value in (("key", "0" * 40), ("verifying_key", "0" * 64), ("development", False)):
        model = world.model.model_copy(
            update={"training": world.model.training.model_copy(update={field: value})}
        )
        signed_plan(folder, model=model, model_id=to_hex(model.id))
        refused(world, folder, "circuits", folder.path / PLAN, field, "compiled here")


# -- what is no round ----------------------------------------------------------------------------------


def test_a_folder_without_a_round(world: FolderWorld, tmp_path: Path, folder: RoundFolder) -> None:
    with pytest.raises(CallerError, match="holds no round"):
        world.check(tmp_path / "nowhere")
    (folder.path / RESULT).unlink()
    with pytest.raises(CallerError, match="is not finished"):
        world.check(folder.path)


@pytest.mark.parametrize("text", ["", '{"format": 2}'])
@pytest.mark.parametrize(
    ("check", "name"),
    [
        ("plan", lambda f: f.path / PLAN),
        ("base model", lambda f: f.path / BASE),
        ("result", lambda f: f.path / RESULT),
        ("signature", lambda f: f.commitment_path(min([A, B, C], key=str.lower))),
        ("submission", lambda f: f.submission_path(A)),
        ("steps", lambda f: f.proof_path(A, 0)),
        ("average", lambda f: f.path / AVERAGE),
        ("model", lambda f: f.path / MODEL),
    ],
)
def test_a_file_that_is_none(
    world: FolderWorld, folder: RoundFolder, text: str, check: str, name: Callable[[RoundFolder], Path]
) -> None:
    name(folder).write_text(text)
    refused(world, folder, check, name(folder))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_place_of_a_file(world: FolderWorld, folder: RoundFolder) -> None:
    folder.proof_path(A, 0).unlink()
    os.mkfifo(folder.proof_path(A, 0))
    refused(world, folder, "steps", folder.proof_path(A, 0), "is no proof file")


# -- the aggregator ------------------------------------------------------------------------------------


def reopened(folder: RoundFolder) -> RoundFolder:
    """The same round before anyone aggregated it."""
    for name in (RESULT, AVERAGE, MODEL):
        (folder.path / name).unlink()
    return RoundFolder(folder.path)


def test_the_aggregator_fails_or_drops(world: FolderWorld, folder: RoundFolder) -> None:
    reopened(folder)
    change(folder.submission_path(A), lambda d: d.update(nonce="0x" + "11" * 32))
    with pytest.raises(RoundFault, match="than committed to"):
        world.aggregator(folder).finish()
    assert not folder.is_finished
    result = world.aggregator(folder, on_invalid="drop").finish()
    assert [left.trainer for left in result.left_out] == [A]
    assert "than committed to" in result.left_out[0].reason
    assert [s.weight for s in result.included] == [64, 64]
    assert world.check(folder.path).proofs == 5


def test_the_aggregator_waits_for_everyone_in_the_plan(world: FolderWorld, folder: RoundFolder) -> None:
    reopened(folder)
    shutil.rmtree(folder.trainer_path(C))
    with pytest.raises(Exception, match=f"1 of 3 trainers have not handed in: {C}") as caught:
        world.aggregator(folder).finish()
    assert caught.value.exit_code == 75  # type: ignore[attr-defined]
    with pytest.raises(CallerError, match="is not in the plan"):
        world.aggregator(folder).finish({STRANGER.address: "who?"})


def test_too_few_that_count(world: FolderWorld, tmp_path: Path) -> None:
    folder = world.open(tmp_path / "strict", 1, world.genesis, min_trainers=2)
    reasons = dict.fromkeys((A, B, C), "did not come")
    with pytest.raises(InvalidProof, match="0 trainers count, the plan wants 2"):
        world.aggregator(folder).finish(reasons)


def test_an_average_is_not_proven_twice(world: FolderWorld, folder: RoundFolder) -> None:
    (folder.path / RESULT).unlink()
    before = world.prover.proofs
    world.aggregator(folder).finish()
    assert world.prover.proofs == before
    assert world.check(folder.path).proofs == 7


def test_only_the_owner_opens_and_closes(world: FolderWorld, folder: RoundFolder, tmp_path: Path) -> None:
    from fedproof.exchange.aggregate import FolderAggregator
    from fedproof.exchange.opening import open_round

    with pytest.raises(CallerError, match=f"closed by {OWNER.address}"):
        FolderAggregator(folder, world.training, world.average, STRANGER)
    with pytest.raises(CallerError, match="is owned by"):
        open_round(tmp_path / "x", world.model, world.training, world.genesis, [], STRANGER)
    with pytest.raises(CallerError, match="holds a round already"):
        open_round(folder.path, world.model, world.training, world.genesis, [], OWNER)
    other = world.rounds[0].model.model
    mine = [t.registration(world.model) for t in world.trainers]
    with pytest.raises(CallerError, match="this is another"):
        open_round(tmp_path / "y", world.model, world.training, other, mine, OWNER)
    forged = Registration.model_validate(mine[0].model_dump() | {"dataset_root": "0x" + "33" * 32})
    with pytest.raises(WrongSignature, match="registration"):
        open_round(tmp_path / "z", world.model, world.training, world.genesis, [forged], OWNER)
