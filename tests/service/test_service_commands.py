"""``fedproof aggregate`` and ``fedproof serve``: what they refuse, and how they end."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest
from cli_project import Command, finish, free_port, start
from service_world import ALICE, BOB, MODEL_ID, Arena

from fedproof.exchange import ContentStore, UpdateExchange
from fedproof.rounds.updates import FolderUpdates, UpdateMissing
from fedproof.service.outcomes import Kind
from fedproof.service.stopping import Stop, Stopped
from fedproof.service.updates import ExchangeUpdates

pytestmark = pytest.mark.reference

SOME_ID = "0x" + "5e" * 32


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["aggregate"], ["none is registered"]),
        (["aggregate", "--model", "nope"], ["no model 'nope'"]),
        (["aggregate", "--model", "a", "--model-id", SOME_ID], ["name the model twice"]),
        (["aggregate", "--model-id", "0x5e", "--circuit", "tiny"], ["'0x5e' is no model id"]),
        (["aggregate", "--model-id", "z" * 64, "--circuit", "tiny"], ["is no model id"]),
        (["aggregate", "--model-id", SOME_ID], ["--model-id needs --circuit"]),
        (["aggregate", "--model-id", SOME_ID, "--circuit", "tiny"], ["no deployment 'devnet'"]),
        (["aggregate", "--poll", "0"], ["'--poll'"]),
        (["serve", "--deployment", "gone"], ["no deployment 'gone'"]),
        (["serve", "--port", "65536"], ["'--port'"]),
    ],
)
def test_what_cannot_be_served(
    arguments: list[str], words: list[str], project: Path, fedproof: Command
) -> None:
    fedproof(*arguments).failed(2, *words)
    assert fedproof(*arguments, "--json").json["exit_code"] == 2


def test_serving_ends_by_itself_or_where_it_cannot_begin(project: Path, fedproof: Command) -> None:
    answer = fedproof("serve", "--port", 0, "--seconds", 0.1, "--json")
    assert answer.code == 0
    assert answer.json["url"].startswith("http://127.0.0.1:")
    assert not answer.json["stopped"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fedproof("serve", "--port", port, "--seconds", 0).failed(75, f"port {port}", "another port")


def test_serving_until_terminated(project: Path) -> None:
    port = free_port()
    process = start(project, ["serve", "--port", str(port), "--least-free", "0", "--json"])
    ends = time.monotonic() + 60
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as found:
                assert json.loads(found.read())["ok"]
            break
        except OSError:
            time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    answer = finish(process, 30)
    assert answer.code == 0, answer.err
    assert answer.json == {"url": f"http://127.0.0.1:{port}", "stopped": True}


# -- stopping ----------------------------------------------------------------------------------------------


def kill(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


def test_a_signal_is_noted_and_work_goes_on() -> None:
    stop = Stop()
    with stop.on_signals():
        kill()
        assert stop.requested
        started = time.monotonic()
        stop.sleep(60)
        assert time.monotonic() - started < 1
        with pytest.raises(Stopped), stop.abandoning():
            raise AssertionError("no proof is begun any more")
        with pytest.raises(SystemExit) as ended:
            kill(signal.SIGTERM)
        assert ended.value.code == 143, "a second one is not argued with"


def test_a_signal_ends_a_proof() -> None:
    stop = Stop()
    with stop.on_signals(), pytest.raises(Stopped), stop.abandoning():
        kill(signal.SIGINT)
        time.sleep(5)
        raise AssertionError("it went on")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_service_that_is_stopped_in_a_proof_leaves_the_round_to_the_next(arena: Arena) -> None:
    arena.open()
    service = arena.aggregator()
    prover = arena.provers[service.settler.address or ""]
    prove, prover.prove = prover.prove, lambda *_: kill()  # type: ignore[assignment]
    with service.stop.on_signals(), pytest.raises(Stopped):
        service.run(1)
    prover.prove = prove  # type: ignore[method-assign]
    assert arena.ledger.sent == []
    assert [o.kind for o in arena.aggregator().run(1)] == [Kind.FINALIZED]


def test_a_service_that_is_stopped_while_it_sends_notes_what_came_of_it(arena: Arena) -> None:
    arena.open()
    service = arena.aggregator()
    arena.ledger.before["finalized"] = kill
    with service.stop.on_signals():
        service.run()
    assert [o.kind for o in service.journal.newest] == [Kind.FINALIZED]


# -- where updates come from -------------------------------------------------------------------------------


def test_updates_come_from_a_content_store(arena: Arena, tmp_path: Path) -> None:
    arena.open()
    exchange = UpdateExchange(ContentStore(tmp_path / "store"))
    service = arena.aggregator()
    sent = {s.trainer: s.update for s in arena.ledger.rounds[0].submissions}
    source = ExchangeUpdates(exchange, MODEL_ID, len(arena.genesis.vector))
    service.settler.averaging.updates = source
    for trainer in (ALICE, BOB):
        with pytest.raises(UpdateMissing, match=trainer):
            source.fetch(1, trainer)
        exchange.publish(
            arena.updates.sent[1, trainer], sent[trainer], model_id=MODEL_ID, round_number=1, trainer=trainer
        )
    assert [o.kind for o in service.run(1)] == [Kind.FINALIZED]


def test_a_store_that_leads_elsewhere_is_refused(arena: Arena, tmp_path: Path) -> None:
    arena.open()
    store = ContentStore(tmp_path / "store")
    exchange = UpdateExchange(store)
    service = arena.aggregator()
    service.settler.averaging.updates = ExchangeUpdates(exchange, MODEL_ID, len(arena.genesis.vector))
    for trainer, vector in ((ALICE, BOB), (BOB, BOB)):
        update = arena.updates.sent[1, vector]
        pure = arena.training.committer.pure(update)
        exchange.publish(update, pure, model_id=MODEL_ID, round_number=1, trainer=trainer)
    service.stop.sleep = lambda _: service.stop.request()  # type: ignore[method-assign]
    service.run(1)
    (outcome,) = service.journal.newest
    assert (outcome.kind, outcome.trainers, outcome.error) == (Kind.REFUSED, (ALICE,), "CommitmentMismatch")


def test_updates_in_folders(tmp_path: Path) -> None:
    source = FolderUpdates(tmp_path)
    with pytest.raises(UpdateMissing, match=BOB):
        source.fetch(3, BOB)
    path = tmp_path / BOB / "round3" / "update.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"update": [1, -2]}')
    assert source.fetch(3, BOB).tolist() == [1, -2]
