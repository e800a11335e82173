"""The typed hub client against the real hub: whole rounds, every view, guardians, bonds, refusals."""

from __future__ import annotations

import secrets

import pytest
from chain_world import GENESIS, TAIL, WEIGHT_BITS, Game, World, point, rpc

from fedproof.chain.accounts import devnet_account
from fedproof.chain.digests import commit_digest, model_hash, points_hash, typed_digest
from fedproof.chain.hub import Phase
from fedproof.chain.reverts import ClaimRejected, ContractRejected
from fedproof.errors import CallerError, InvalidProof

pytestmark = pytest.mark.evm


@pytest.fixture
def game(world: World) -> Game:
    return world.game()


def test_two_rounds_move_the_model_and_hash_it(game):
    hub, model_id = game.hub, game.model_id
    for expected in (1, 2):
        number, found = game.play()
        assert number == expected
        assert found == model_hash(model_id, number, [point(game.model)]) == hub.model_hash(model_id, number)
        state = hub.model(model_id)
        assert (state.current_round, state.latest_round) == (number, number)
        assert state.current == (point(game.model),)
        done = hub.round(model_id, number)
        assert done.phase is Phase.FINALIZED
        assert (done.model_hash, done.result, done.parent) == (found, (point(game.model),), number - 1)
    assert hub.round(model_id, 1).base == (point(GENESIS),)


def test_the_views_of_a_round_in_progress(game):
    hub, model_id = game.hub, game.model_id
    number, updates = game.submit_all(steps=3)
    state = hub.round(model_id, number)
    assert (state.phase, state.committed, state.submitted, state.total_steps) == (Phase.FINALIZE, 2, 2, 6)
    assert hub.phase(model_id, number) is Phase.FINALIZE
    assert hub.latest_round(model_id) == number
    submissions = hub.submissions(model_id, number)
    assert [item.trainer for item in submissions] == [trainer.address for trainer in game.trainers]
    assert [item.update for item in submissions] == [(point(update),) for update in updates.values()]
    assert {(item.steps, item.samples, item.left_out) for item in submissions} == {(3, 48, False)}
    weights = hub.weights(model_id, number)
    assert sum(weights.values()) == 2**WEIGHT_BITS
    total = sum(weight * updates[trainer] for trainer, weight in weights.items())
    assert hub.weighted_sum(model_id, number) == (point(total),)
    trainer = hub.trainer(model_id, game.trainers[0].address)
    assert (trainer.admitted, trainer.dataset_root) == (True, game.tree(game.trainers[0]).root)
    assert hub.trainer(model_id, devnet_account(9).address).admitted is False


def test_a_used_step_is_marked(game):
    delta = 500_000 + sum(len(batches) for batches in game.batches.values())
    assert not game.hub.is_step_used(game.model_id, points_hash([point(delta)]))
    game.submit_all(steps=1)
    assert game.hub.is_step_used(game.model_id, points_hash([point(delta)]))


def test_the_configuration_comes_back_as_it_was_given(game, world):
    config = game.hub.model(game.model_id).config
    assert config.as_argument() == config.as_argument()
    assert config.genesis == (point(GENESIS),)
    assert (config.tail, config.weight_bits, config.guardian_threshold) == (point(TAIL), WEIGHT_BITS, 2)
    assert list(config.guardians) == [guardian.address for guardian in game.guardians]
    again, _ = world.hub.register_model(config)
    assert game.hub.model(again).config == config
    assert again != game.model_id


def test_guardians_leave_a_submission_out(game):
    hub, model_id = game.hub, game.model_id
    number, updates = game.submit_all()
    dropped = game.trainers[0].address
    message = hub.domain.leave_out(model_id, number, dropped, "withheld")
    function = hub.contract.functions.leaveOutDigest(model_id, number, dropped, "withheld")
    assert typed_digest(message) == hub.client.call(function)
    signatures = hub.sign_leave_out(model_id, number, dropped, "withheld", game.guardians[:2][::-1])
    hub.leave_out(model_id, number, dropped, "withheld", signatures)
    assert [item.left_out for item in hub.submissions(model_id, number)] == [True, False]
    assert hub.weights(model_id, number) == {dropped: 0, game.trainers[1].address: 2**WEIGHT_BITS}
    proof, _ = game.aggregate(number, updates)
    hub.finalize(model_id, number, proof)


def test_too_few_or_foreign_guardians_are_refused(game):
    hub, model_id = game.hub, game.model_id
    number, _ = game.submit_all()
    dropped = game.trainers[0].address

    def attempt(guardians) -> str:
        signatures = hub.sign_leave_out(model_id, number, dropped, "withheld", guardians)
        with pytest.raises(InvalidProof) as refused:
            hub.leave_out(model_id, number, dropped, "withheld", signatures)
        assert isinstance(refused.value, ClaimRejected)
        return refused.value.name

    assert attempt(game.guardians[:1]) == "TooFewSignatures"
    assert attempt([game.guardians[0], devnet_account(9)]) == "NotAGuardian"
    with pytest.raises(CallerError, match="given twice"):
        hub.sign_leave_out(model_id, number, dropped, "x", [game.guardians[0], game.guardians[0]])
    once = hub.sign_leave_out(model_id, number, dropped, "withheld", game.guardians[:1])
    with pytest.raises(ClaimRejected, match="SignersNotAscending"):
        hub.leave_out(model_id, number, dropped, "withheld", once * 2)
    other_round = hub.sign_leave_out(model_id, number + 1, dropped, "withheld", game.guardians[:2])
    with pytest.raises(ClaimRejected, match="NotAGuardian"):
        hub.leave_out(model_id, number, dropped, "withheld", other_round)


def test_guardians_roll_a_round_back(game):
    hub, model_id = game.hub, game.model_id
    number, _ = game.play()
    function = hub.contract.functions.rollBackDigest(model_id, number)
    assert typed_digest(hub.domain.roll_back(model_id, number)) == hub.client.call(function)
    hub.roll_back(model_id, number, hub.sign_roll_back(model_id, number, game.guardians[:2]))
    assert hub.phase(model_id, number) is Phase.ROLLED_BACK
    assert hub.model(model_id).current == (point(GENESIS),)
    with pytest.raises(ContractRejected):
        hub.model_hash(model_id, number)


def test_bonds_are_deposited_and_come_back(world):
    game = world.game(bond=10**15)
    game.play()
    trainer = game.trainers[0]
    assert game.hub.owed_to(trainer.address) == 10**15
    game.hub.acting_as(game.trainers[1]).withdraw()
    amount, _ = game.hub.acting_as(trainer).withdraw()
    assert amount == 10**15
    with pytest.raises(ContractRejected, match="NothingToWithdraw"):
        game.hub.acting_as(trainer).withdraw()


def test_a_round_that_nobody_joins_is_cancelled(world):
    with world.undone():
        game = world.game(bond=5, periods=60)
        number, _ = game.hub.open_round(game.model_id)
        hub = game.hub.acting_as(game.trainers[0])
        hub.commit(game.model_id, number, secrets.token_bytes(32))
        assert hub.commit_of(game.model_id, number, game.trainers[0].address) is not None
        assert hub.commit_of(game.model_id, number, game.trainers[1].address) is None
        with pytest.raises(ContractRejected, match="RoundStillPossible"):
            hub.cancel(game.model_id, number)
        rpc(world.chains.l2, "evm_increaseTime", 1000)
        rpc(world.chains.l2, "anvil_mine", "0x1")
        assert hub.phase(game.model_id, number) is Phase.EXPIRED
        hub.cancel(game.model_id, number)
        assert hub.phase(game.model_id, number) is Phase.CANCELLED
        before = hub.owed_to(game.trainers[0].address)
        hub.reclaim_bond(game.model_id, number, game.trainers[0].address)
        assert hub.owed_to(game.trainers[0].address) == before + 5


def test_a_refusal_names_the_error_and_the_numbers(game):
    number, _ = game.hub.open_round(game.model_id)
    with pytest.raises(ContractRejected) as refused:
        game.hub.finalize(game.model_id, number, b"")
    assert (refused.value.name, refused.value.args_["expected"]) == ("WrongPhase", Phase.FINALIZE)
    with pytest.raises(ContractRejected, match="NotModelOwner"):
        game.hub.acting_as(devnet_account(9)).admit(game.model_id, devnet_account(9).address)
    with pytest.raises(ContractRejected, match="UnknownModel"):
        game.hub.model(bytes(32))
    with pytest.raises(CallerError, match="not an address: 'nobody'"):
        game.hub.admit(game.model_id, "nobody")


def test_a_wrong_reveal_is_an_invalid_proof(game):
    hub, model_id, trainer = game.hub, game.model_id, game.trainers[0]
    number, _ = hub.open_round(model_id)
    for person in game.trainers:
        proofs, revealed, _ = game.prepare(person, 2, number)
        digest = commit_digest(model_id, number, person.address, bytes(32), revealed)
        hub.acting_as(person).commit(model_id, number, digest)
        if person is trainer:
            mine = proofs
    with pytest.raises(ClaimRejected, match="CommitDigestMismatch"):
        hub.acting_as(trainer).submit(model_id, number, b"\1" * 32, mine)
    with pytest.raises(ClaimRejected, match="BatchNotInDataset"):
        hub.acting_as(game.trainers[1]).submit(model_id, number, bytes(32), mine)
    hub.acting_as(trainer).submit(model_id, number, bytes(32), mine)
