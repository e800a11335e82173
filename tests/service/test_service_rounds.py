"""Rounds as an aggregator ends them: alone, in a race, late, and with what trainers get wrong."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from service_world import ALICE, BOB, CAROL, FIRST, SECOND, Arena

from fedproof.chain.hub import Phase
from fedproof.chain.reverts import ClaimRejected
from fedproof.commitments import CommitmentMismatch
from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.updates import UpdateMissing
from fedproof.service.aggregator import AggregatorService, Pace
from fedproof.service.outcomes import Kind

pytestmark = pytest.mark.reference


def told(service: AggregatorService) -> list[tuple[int, Kind]]:
    return [(o.number, o.kind) for o in service.journal.newest]


def test_rounds_are_ended_one_after_the_other(arena: Arena) -> None:
    arena.open()
    service = arena.aggregator()
    service.run(1)
    arena.open()
    service.run(2)
    assert told(service) == [(1, Kind.FINALIZED), (2, Kind.FINALIZED)]
    for number in (1, 2):
        kept = PublishedModel.load(arena.folder / FIRST / "models" / f"round{number}.json")
        assert np.array_equal(kept.model.vector, arena.expected(number))
    lines = (arena.folder / FIRST / "outcomes.jsonl").read_text().splitlines()
    assert [json.loads(line)["round"] for line in lines] == [1, 2]
    assert {"kind", "model_hash", "gas", "tx", "time"} <= json.loads(lines[0]).keys()


def test_a_round_that_is_not_there_yet_is_waited_for(arena: Arena) -> None:
    service = arena.aggregator()
    service.run(once=True)
    r = arena.open(phase=Phase.COMMIT)
    service.run(once=True)
    r.phase = Phase.SUBMIT
    service.run(once=True)
    assert told(service) == []
    assert arena.updates.asked, "updates are looked at as they come in"
    fetched = len(arena.updates.asked)
    r.phase = Phase.FINALIZE
    service.run(once=True)
    assert told(service) == [(1, Kind.FINALIZED)]
    assert len(arena.updates.asked) == fetched, "what was checked is not fetched again"


def test_a_settled_round_is_told_once_however_long_the_next_one_takes(arena: Arena) -> None:
    service = arena.aggregator()
    for number in (1, 2):
        arena.open()
        for _ in range(3):
            service.run(once=True)
        assert told(service) == [(n, Kind.FINALIZED) for n in range(1, number + 1)]
    assert [o.number for o in service.settled] == [1, 2]


def test_settled_rounds_that_vanish_are_waited_for_again(arena: Arena) -> None:
    service = arena.aggregator()
    for _ in range(3):
        arena.open()
        service.run(once=True)
    del arena.ledger.rounds[1:]
    arena.ledger.current = 1
    arena.open()
    service.run(once=True)
    assert told(service) == [(n, Kind.FINALIZED) for n in (1, 2, 3, 2)]


@pytest.mark.parametrize(
    ("phase", "kind"),
    [
        (Phase.EXPIRED, Kind.EXPIRED),
        (Phase.CANCELLED, Kind.CANCELLED),
        (Phase.ROLLED_BACK, Kind.ROLLED_BACK),
    ],
)
def test_a_round_that_ended_otherwise_is_told(arena: Arena, phase: Phase, kind: Kind) -> None:
    arena.open(phase=phase)
    service = arena.aggregator()
    service.run(1)
    assert told(service) == [(1, kind)]
    assert arena.ledger.sent == []


# -- several aggregators ---------------------------------------------------------------------------------


def win(arena: Arena, address: str = SECOND) -> None:
    """Another aggregator ends the round, at once."""
    hooks, arena.ledger.before = arena.ledger.before, {}
    arena.aggregator(address).run(once=True)
    arena.ledger.before = hooks


@pytest.mark.parametrize(
    ("moment", "proofs", "gas"),
    [("before it looks", 0, 0), ("while it proves", 1, 0), ("while it sends", 1, 90_000)],
)
def test_the_loser_of_a_race_loses_nothing_but_gas(arena: Arena, moment: str, proofs: int, gas: int) -> None:
    arena.open()
    arena.ledger.reverted_gas = gas
    service = arena.aggregator()
    if moment == "before it looks":
        win(arena)
    elif moment == "while it proves":
        prover = arena.provers[FIRST]
        prove = prover.prove

        def slow(*arguments: Any) -> Any:
            prover.prove = prove  # type: ignore[method-assign]
            win(arena)
            return prove(*arguments)

        prover.prove = slow  # type: ignore[method-assign]
    else:
        arena.ledger.before["finalize"] = lambda: win(arena)
    (outcome,) = service.run(1)
    assert (outcome.kind, outcome.finalizer, outcome.gas) == (Kind.OVERTAKEN, SECOND, gas)
    assert outcome.model_hash == "0x" + arena.ledger.rounds[0].model_hash.hex()
    assert outcome.model
    assert len(arena.provers[FIRST].asked) == proofs
    # and it has the model all the same, on which the next round stands
    kept = PublishedModel.load(arena.folder / FIRST / "models" / "round1.json")
    assert np.array_equal(kept.model.vector, arena.expected(1))
    arena.open()
    arena.ledger.before = {}
    assert service.run(2)[-1].kind is Kind.FINALIZED


def test_a_standby_proves_nothing_while_others_are_quick(arena: Arena) -> None:
    arena.open()
    service = arena.aggregator(standby_s=3600)
    service.run(once=True)
    assert (told(service), arena.ledger.sent) == ([], [])
    win(arena)
    service.run(once=True)
    assert told(service) == [(1, Kind.OVERTAKEN)]
    assert arena.provers[FIRST].asked == []


def test_one_that_was_away_makes_up_for_the_models(arena: Arena) -> None:
    for _ in range(3):
        arena.open()
        win(arena)
    r = arena.open()
    service = arena.aggregator()
    service.run(1)
    assert told(service) == [(4, Kind.FINALIZED)]
    for number in (1, 2, 3, 4):
        kept = PublishedModel.load(arena.folder / FIRST / "models" / f"round{number}.json")
        assert np.array_equal(kept.model.vector, arena.expected(number))
    assert arena.training.committer.pure(arena.expected(4)) == r.result


def test_a_round_is_ended_without_knowing_its_model(arena: Arena) -> None:
    arena.open()
    win(arena)
    kept = arena.updates.sent.pop((1, ALICE))
    arena.open()
    service = arena.aggregator()
    (outcome,) = service.run(1)
    assert (outcome.kind, outcome.model) == (Kind.FINALIZED, None)
    arena.updates.sent[1, ALICE] = kept
    assert service.settler.models.of(2) is not None, "made as soon as the updates are there"


def test_a_kept_model_that_is_another_is_not_relied_on(arena: Arena) -> None:
    arena.open()
    service = arena.aggregator()
    service.run(1)
    path = arena.folder / FIRST / "models" / "round1.json"
    kept = PublishedModel.load(path)
    kept.model_copy(update={"vector": (kept.vector[0] + 1, *kept.vector[1:])}).save(path)
    found = arena.aggregator().settler.models.of(1)
    assert found is not None
    assert np.array_equal(found.vector, arena.expected(1))


# -- what trainers get wrong -----------------------------------------------------------------------------


def test_an_update_that_comes_late_is_waited_for(arena: Arena) -> None:
    arena.open()
    late = arena.updates.sent.pop((1, BOB))
    service = arena.aggregator(pace=Pace(1, 8, 3600))

    def sleep(seconds: float) -> None:
        arena.sleeps.append(seconds)
        if len(arena.sleeps) == 4:
            arena.updates.sent[1, BOB] = late

    service.stop.sleep = sleep  # type: ignore[method-assign]
    service.run(1)
    assert told(service) == [(1, Kind.FINALIZED)], "and nobody was alarmed"
    assert arena.sleeps == sorted(arena.sleeps), "waited longer and longer"
    assert max(arena.sleeps) <= 8 + 0.25


def test_an_update_that_does_not_come_is_told_once(arena: Arena) -> None:
    arena.open()
    del arena.updates.sent[1, BOB]
    service = arena.aggregator()

    def sleep(_: float) -> None:
        arena.sleeps.append(0)
        if len(arena.sleeps) == 3:
            arena.leave_out(1, BOB)

    service.stop.sleep = sleep  # type: ignore[method-assign]
    service.run(1)
    first, second = service.journal.newest
    assert (first.kind, first.trainers, first.error) == (Kind.MISSING, (BOB,), "UpdateMissing")
    assert second.kind is Kind.FINALIZED
    assert service.progress.problem is None


def test_an_update_that_is_another_is_refused_and_its_trainer_named(arena: Arena) -> None:
    arena.open(ALICE, BOB, CAROL)
    arena.updates.sent[1, BOB] = arena.updates.sent[1, BOB] + 1  # type: ignore[operator]
    arena.updates.sent[1, CAROL] = CallerError("no update")
    service = arena.aggregator()

    def sleep(_: float) -> None:
        for trainer in (BOB, CAROL):
            arena.leave_out(1, trainer)

    service.stop.sleep = sleep  # type: ignore[method-assign]
    service.run(1)
    first, second = service.journal.newest
    assert (first.kind, first.trainers) == (Kind.REFUSED, (BOB, CAROL))
    assert first.error == "CommitmentMismatch"
    assert f"update of {BOB}" in first.detail
    assert (second.kind, second.detail) == (Kind.FINALIZED, "1 updates averaged")
    model = service.settler.models.of(1)
    assert model is not None
    assert np.array_equal(model.vector, arena.genesis.vector + arena.updates.sent[1, ALICE])


@pytest.mark.parametrize("kind", ["missing", "refused", "too few", "out of gas"])
def test_once_raises_what_is_in_the_way(arena: Arena, kind: str) -> None:
    arena.open()
    errors: dict[str, tuple[type[Exception], str]] = {
        "missing": (UpdateMissing, BOB),
        "refused": (CommitmentMismatch, BOB),
        "too few": (TerminalError, "0 submissions, the model needs 1"),
        "out of gas": (TerminalError, "fund the account"),
    }
    if kind == "missing":
        del arena.updates.sent[1, BOB]
    elif kind == "refused":
        arena.updates.sent[1, BOB] = arena.updates.sent[1, ALICE]
    elif kind == "too few":
        arena.leave_out(1, ALICE)
        arena.leave_out(1, BOB)
    else:
        arena.ledger.before["finalize"] = poor
    service = arena.aggregator()
    error, words = errors[kind]
    with pytest.raises(error, match=words):
        service.run(once=True)
    assert not service.journal.newest[-1].kind.settled
    assert arena.ledger.rounds[0].phase is Phase.FINALIZE


def poor() -> None:
    raise TerminalError("cannot pay", hint="fund the account")


# -- chains that are lost, reorganised, and proofs that are no good ----------------------------------------


def test_a_chain_that_is_silent_is_asked_again(arena: Arena) -> None:
    arena.open()
    calls: list[int] = []

    def silent() -> None:
        calls.append(1)
        if len(calls) < 4:
            raise RetryableError("the chain does not answer")

    arena.ledger.before["latest_round"] = silent
    service = arena.aggregator()
    service.run(1)
    assert told(service) == [(1, Kind.FINALIZED)]
    assert len(arena.sleeps) == 3


def test_what_passes_by_itself_alarms_nobody(arena: Arena) -> None:
    arena.open()
    calls: list[int] = []

    def silent() -> None:
        calls.append(1)
        if len(calls) < 4:
            raise RetryableError("the chain does not answer")

    arena.ledger.before["finalize"] = silent
    service = arena.aggregator(pace=Pace(1, 8, 3600))
    service.run(1)
    assert told(service) == [(1, Kind.FINALIZED)]
    assert len(arena.provers[FIRST].asked) == 1


def test_a_full_disk_ends_no_service(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    arena.open()
    service = arena.aggregator()
    service.journal.path.mkdir(parents=True)
    service.run(1)
    assert told(service) == [(1, Kind.FINALIZED)]


def test_a_transaction_that_went_through_unnoticed_is_not_sent_again(arena: Arena) -> None:
    arena.open()

    def lost() -> None:
        arena.ledger.before = {}
        raise RetryableError("finalize: was not mined in time")

    arena.ledger.before["finalized"] = lost
    service = arena.aggregator()
    (outcome,) = service.run(1)
    assert (outcome.kind, outcome.finalizer) == (Kind.FINALIZED, FIRST)
    assert arena.ledger.sent == [FIRST]


def test_a_round_that_comes_back_in_a_reorganisation_is_ended_again(arena: Arena) -> None:
    arena.ledger.confirmations = 5
    r = arena.open()
    service = arena.aggregator()
    service.run(once=True)
    assert (told(service), service.settled) == ([(1, Kind.FINALIZED)], [])
    r.phase = Phase.FINALIZE
    service.run(once=True)
    assert arena.ledger.sent == [FIRST, FIRST]
    assert len(arena.provers[FIRST].asked) == 1, "with the proof that is there"
    r.phase, r.finalizer = Phase.FINALIZED, SECOND
    service.run(once=True)
    assert told(service)[-1] == (1, Kind.OVERTAKEN)
    arena.ledger.block += 5
    service.run(once=True)
    assert [o.kind for o in service.settled] == [Kind.OVERTAKEN]


def test_rounds_that_vanish_are_waited_for_again(arena: Arena) -> None:
    arena.ledger.confirmations = 5
    arena.open()
    service = arena.aggregator()
    service.run(once=True)
    arena.ledger.rounds.clear()
    arena.ledger.current = 0
    service.run(once=True)
    arena.open()
    service.run(once=True)
    assert [k for _, k in told(service)] == [Kind.FINALIZED, Kind.FINALIZED]


def test_a_restart_proves_nothing_twice(arena: Arena) -> None:
    arena.open()
    arena.ledger.before["finalize"] = poor
    with pytest.raises(TerminalError):
        arena.aggregator().run(once=True)
    arena.ledger.before = {}
    arena.aggregator().run(once=True)
    assert len(arena.provers[FIRST].asked) == 1
    assert arena.ledger.rounds[0].phase is Phase.FINALIZED


def test_an_interrupted_average_is_proven_for_the_same_values(arena: Arena) -> None:
    arena.open()
    service = arena.aggregator()
    prover = arena.provers[FIRST]
    prove = prover.prove

    def killed(*arguments: Any) -> Any:
        prove(*arguments)
        raise KeyboardInterrupt

    prover.prove = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        service.run(1)
    prover.prove = prove  # type: ignore[method-assign]
    arena.aggregator().run(1)
    first, second = prover.asked
    assert first == second, "a prover that keeps its jobs finds this one again"


def test_a_damaged_proof_is_made_again(arena: Arena) -> None:
    arena.open()
    calls: list[int] = []

    def rejected() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ClaimRejected("ProofRejected", {})

    arena.ledger.before["finalize"] = rejected
    service = arena.aggregator()
    service.run(1)
    assert [o.kind for o in service.journal.newest] == [Kind.FAILED, Kind.FINALIZED]
    assert len(arena.provers[FIRST].asked) == 2


def test_a_pace_that_cannot_be_kept() -> None:
    with pytest.raises(CallerError, match="cannot look every 0 s"):
        Pace(poll_s=0)
