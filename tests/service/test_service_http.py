"""Metrics and health over HTTP, and the checks behind them."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from chain_world import free_port
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from service_world import BOB, Arena

from fedproof.chain.client import ChainClient
from fedproof.chain.networks import network
from fedproof.errors import FedproofError, RetryableError, TerminalError
from fedproof.jobs import JobStore
from fedproof.metrics import jobs_registry
from fedproof.service import checks
from fedproof.service.gauges import Gauges
from fedproof.service.health import Health
from fedproof.service.http import HttpService, application
from fedproof.service.outcomes import Kind
from fedproof.srs import SrsStore

pytestmark = pytest.mark.reference


def get(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        request = urllib.request.Request(url, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def state() -> SimpleNamespace:
    return SimpleNamespace(broken=False)


@pytest.fixture
def served(state: SimpleNamespace) -> Iterator[HttpService]:
    def check() -> str:
        if state.broken:
            raise TerminalError("the disk is full")
        return "fine"

    gauges = Gauges()
    gauges.looked(7)
    app = application(gauges.registry, Health({}), Health({"disk": check}, fresh_s=0))
    with HttpService(app, "127.0.0.1", 0) as http:
        yield http


def test_metrics_and_health_are_served(served: HttpService, state: SimpleNamespace) -> None:
    code, text = get(served.url + "/metrics")
    assert code == 200
    assert "fedproof_latest_round 7.0" in text
    assert get(served.url + "/healthz") == (200, '{"ok": true, "checks": {}}\n')
    code, text = get(served.url + "/readyz")
    assert (code, json.loads(text)["checks"]["disk"]) == (200, {"ok": True, "detail": "fine"})
    state.broken = True
    code, text = get(served.url + "/readyz")
    assert (code, json.loads(text)["ok"]) == (503, False)
    assert "the disk is full" in text
    assert get(served.url + "/healthz")[0] == 200, "a full disk is no reason to be killed"


def test_what_is_not_there_and_what_may_not_be_done(served: HttpService) -> None:
    assert get(served.url + "/")[0] == 200
    assert get(served.url + "/secrets")[0] == 404
    assert get(served.url + "/../../etc/passwd")[0] == 404
    assert get(served.url + "/metrics", "POST")[0] == 405
    assert get(served.url + "/readyz", "HEAD") == (200, "")


def test_a_visitor_who_says_nothing_stops_nobody(served: HttpService) -> None:
    with socket.create_connection(("127.0.0.1", served.port)):
        assert get(served.url + "/healthz")[0] == 200


def test_every_metric_is_documented(tmp_path: Path) -> None:
    registry = jobs_registry(JobStore(tmp_path), CollectorRegistry())
    Gauges(registry)
    kinds = {f.name + ("_total" if f.type == "counter" else ""): f.type for f in registry.collect()}
    page = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
    documented = re.findall(r"^\| `(fedproof_\w+)(?:\{.*\})?` \| (\w+) \|", page.read_text(), re.M)
    assert dict(documented) == kinds


def test_metrics_that_cannot_be_read_are_not_half_told() -> None:
    class Broken:
        def describe(self) -> list[GaugeMetricFamily]:
            return []

        def collect(self) -> list[GaugeMetricFamily]:
            raise TerminalError("the queue is damaged")

    registry = CollectorRegistry()
    registry.register(cast(Any, Broken()))
    with HttpService(application(registry, Health({}), Health({})), "127.0.0.1", 0) as http:
        assert get(http.url + "/metrics") == (503, '{"error": "the queue is damaged"}\n')


def test_a_port_that_is_taken(served: HttpService) -> None:
    with pytest.raises(RetryableError, match=f"port {served.port}"):
        HttpService(application(CollectorRegistry(), Health({}), Health({})), "127.0.0.1", served.port)


# -- health ------------------------------------------------------------------------------------------------


def test_a_check_that_hangs_has_failed_and_runs_once() -> None:
    gate, started = threading.Event(), []

    def hanging() -> str:
        started.append(1)
        gate.wait(10)
        return "at last"

    health = Health({"slow": hanging, "quick": lambda: "fine"}, limit_s=0.05, fresh_s=0)
    for _ in range(3):
        verdict = health.verdict()
        assert not verdict.ok
        assert verdict.document["checks"]["slow"]["detail"] == "no answer in 0.05 s"
        assert verdict.document["checks"]["quick"]["ok"]
    assert started == [1]
    gate.set()
    time.sleep(0.05)
    assert health.verdict().ok
    health.close()


def test_many_who_ask_cost_one_look() -> None:
    looks: list[int] = []

    def check() -> str:
        looks.append(1)
        return "fine"

    health = Health({"it": check}, fresh_s=60)
    assert all(health.verdict().ok for _ in range(20))
    assert looks == [1]
    health.close()


def test_a_check_that_breaks_has_failed() -> None:
    def broken() -> str:
        raise ZeroDivisionError("oh")

    health = Health({"it": broken})
    assert health.verdict().document["checks"]["it"] == {"ok": False, "detail": "ZeroDivisionError: oh"}
    health.close()


# -- checks ------------------------------------------------------------------------------------------------


def test_a_chain_that_does_not_answer() -> None:
    client = ChainClient(network("devnet").l2, f"http://127.0.0.1:{free_port()}", attempts=4)
    started = time.monotonic()
    with pytest.raises(FedproofError, match="does not answer"):
        checks.chain_answers(lambda: checks.impatient(client), "0x" + "1" * 40)()
    assert time.monotonic() - started < 3


def test_room_on_the_disk(tmp_path: Path) -> None:
    assert "MiB free" in checks.disk_has_room(tmp_path / "not" / "made" / "yet", 1)()
    with pytest.raises(TerminalError, match="MiB wanted"):
        checks.disk_has_room(tmp_path, 1 << 60)()


def test_the_srs(tmp_path: Path) -> None:
    store = SrsStore(tmp_path)
    with pytest.raises(FedproofError, match="no SRS in"):
        checks.srs_is_there(store)()
    made = store.ensure_development(6)
    assert checks.srs_is_there(store)() == "development, k = 6"
    with pytest.raises(FedproofError, match="k=7"):
        checks.srs_is_there(store, [6, 7])()
    made.path.write_bytes(made.path.read_bytes()[:-1] + b"\0")
    with pytest.raises(FedproofError, match=r"k06\.srs has the SHA-256"):
        checks.srs_is_there(SrsStore(tmp_path), [6])()


@pytest.mark.parametrize(
    ("queued", "running", "waited", "stuck"),
    [(0, 0, 0, False), (2, 0, 10, False), (2, 1, 1000, False), (2, 0, 1000, True)],
)
def test_a_queue_that_is_stuck(queued: int, running: int, waited: float, stuck: bool) -> None:
    job = SimpleNamespace(changed=time.time() - waited, not_before=0.0)
    store = SimpleNamespace(jobs=lambda states: [job] * (queued if states == ["queued"] else running))
    check = checks.queue_moves(cast(JobStore, store), 600)
    if stuck:
        with pytest.raises(RetryableError, match="2 jobs wait"):
            check()
    else:
        assert check() == f"{queued} queued, {running} running"


def test_the_loop_and_what_is_in_its_way(arena: Arena) -> None:
    arena.open()
    del arena.updates.sent[1, BOB]
    service = arena.aggregator()
    turns, ends = checks.loop_turns(service), checks.rounds_end(service)
    seen: list[str] = []

    def sleep(_: float) -> None:
        assert "looked 0 s ago" in turns()
        with pytest.raises(RetryableError, match=f"round 1: {Kind.MISSING}: no update of {BOB}"):
            ends()
        seen.append(arena.text(service))
        arena.leave_out(1, BOB)

    service.stop.sleep = sleep  # type: ignore[method-assign]
    service.run(1)
    assert ends() == "nothing is in the way"
    assert 'fedproof_round_problem{reason="missing"} 1.0' in seen[0]
    after = arena.text(service)
    assert 'fedproof_round_problem{reason="missing"} 0.0' in after
    assert 'fedproof_round_outcomes_total{outcome="finalized"} 1.0' in after
    assert 'fedproof_finalize_gas_total{outcome="finalized"} 700000.0' in after
    service.progress.looked -= 1000
    with pytest.raises(TerminalError, match="looked at 1000 s ago"):
        turns()
    service.settler.stage = "prove"
    assert turns() == "round 1: prove"
