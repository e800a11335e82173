"""The parts of the Ray backend that need no cluster: addresses, demands, what a node keeps."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import pytest

from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.provers import BeyondBudget, ProverKilled, WitnessRejected, offers, open_prover
from fedproof.provers.ray import connection
from fedproof.provers.ray.cache import LIMIT_SETTING, Cache
from fedproof.provers.ray.connection import address_of
from fedproof.provers.ray.demand import AROUND_BYTES, CORES_SETTING, Demand, demand_of
from fedproof.provers.ray.kit import Digests, describe
from fedproof.provers.ray.placement import History, place

pytestmark = pytest.mark.reference

GIB = 2**30


@pytest.fixture
def folder(tmp_path):
    """A circuit of 2**15 rows whose proofs need one GiB at their peak, and an SRS beside it."""
    made = tmp_path / "circuit"
    made.mkdir()
    (made / "circuit.ezkl").write_bytes(b"compiled")
    (made / "pk.key").write_bytes(b"key" * 1000)
    (made / "manifest.json").write_text(json.dumps({"costs": {"logrows": 15, "prove_peak_bytes": GIB}}))
    (tmp_path / "k15.srs").write_bytes(b"srs")
    return made


@pytest.fixture
def kit(folder):
    return describe(folder, folder.parent / "k15.srs", Digests())


def fill(cache, kit, digests) -> None:
    for digest in digests:
        data = kit.paths()[digest].read_bytes()
        cache.write(digest, 2, data[2:])
        cache.write(digest, 0, data[:2])
        cache.finish(digest, len(data))


# -- where ------------------------------------------------------------------------------------------


def test_an_address_is_a_host_a_port_or_rays_own_setting(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert address_of("") == ""
    assert address_of("head:1234") == "ray://head:1234"
    assert address_of("head") == "ray://head:10001"
    with pytest.raises(CallerError, match=r"'ray://head:x' is no address"):
        address_of("head:x")
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert address_of("") == "head:6379"


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(connection.importlib.util, "find_spec", lambda _: None)
    offer = next(o for o in offers() if o.name == "ray")
    assert not offer.available
    assert "pip install 'fedproof[ray]'" in offer.reason
    with pytest.raises(CallerError, match=r"pip install 'fedproof\[ray\]'"):
        open_prover("ray")


def test_nothing_imports_ray_before_it_is_opened():
    code = (
        "import sys; from fedproof.provers.ray import RayProver; from fedproof.provers import offers; "
        "assert any(o.name == 'ray' and o.available for o in offers()); RayProver('nowhere:1'); "
        "assert 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"RAY_ADDRESS": ""})


# -- how much ---------------------------------------------------------------------------------------


def test_a_demand_is_the_measured_peak_and_what_stands_around_it(folder, monkeypatch):
    monkeypatch.delenv(CORES_SETTING, raising=False)
    demand = demand_of(folder, "cpu", 8)
    assert GIB * 1.1 + AROUND_BYTES - 2 < demand.memory < GIB * 1.1 + AROUND_BYTES + 2
    assert (demand.cores, demand.gpus) == (2, 0)
    assert demand_of(folder, "cpu", 1).cores == 1
    assert demand_of(folder, "gpu", 8).gpus == 1
    monkeypatch.setenv(CORES_SETTING, "5")
    assert demand_of(folder, "cpu", 8).cores == 5
    monkeypatch.setenv(CORES_SETTING, "all")
    with pytest.raises(CallerError, match="'all', no number of cores"):
        demand_of(folder, "cpu", 8)


def test_a_manifest_that_is_damaged_is_named(folder):
    (folder / "manifest.json").write_text("{")
    with pytest.raises(TerminalError, match=r"manifest\.json is damaged"):
        demand_of(folder, "cpu", 8)


class FakeNodes:
    """Nodes with these resources; ``refused`` has other versions."""

    def __init__(self, *resources: dict[str, float], refused=()) -> None:
        self.resources = dict(zip("abc", resources, strict=False))
        self.refused = dict.fromkeys(refused, "node z has ezkl 99.0 (here 23.0.5)")

    def usable(self):
        return [type("Node", (), {"ident": i, "resources": r}) for i, r in self.resources.items()]

    def able(self, demand: Demand):
        return [n for n in self.usable() if demand.fits(n.resources)]

    def most(self, resource: str) -> float:
        return max(r.get(resource, 0) for r in self.resources.values())


LARGE, SMALL = {"CPU": 4, "memory": 4 * GIB}, {"CPU": 4, "memory": GIB}


def test_a_proof_avoids_the_nodes_that_lost_it_while_another_can(folder):
    history = History(3)
    assert "label_selector" not in place(FakeNodes(LARGE, LARGE), folder, "cpu", history).options
    history.lost("a", "killed")
    there = place(FakeNodes(LARGE, LARGE, refused=["z"]), folder, "cpu", history)
    assert there.options["label_selector"] == {"ray.io/node-id": "!in(a,z)"}
    assert there.possible(FakeNodes(LARGE, LARGE))
    assert not there.possible(FakeNodes(LARGE, SMALL))
    # The only one that is large enough gets another chance.
    assert "label_selector" not in place(FakeNodes(LARGE, SMALL), folder, "cpu", history).options


def test_what_fits_no_node_and_whom_no_node_may_serve_is_said(folder, monkeypatch):
    with pytest.raises(BeyondBudget, match=r"needs 1\.26 GiB, 2 cores and 0 GPUs; .* 1\.00 GiB, 4 cores"):
        place(FakeNodes(SMALL), folder, "cpu", History(3))
    with pytest.raises(BeyondBudget, match=r"1 GPUs; .* 0 GPUs"):
        place(FakeNodes(LARGE), folder, "gpu", History(3))
    with pytest.raises(CallerError, match=r"no node .* may prove: node z has ezkl 99\.0"):
        place(FakeNodes(refused=["z"]), folder, "cpu", History(3))
    monkeypatch.setattr("fedproof.provers.ray.placement.PATIENCE_S", -1)
    with pytest.raises(RetryableError, match="none lives"):
        place(FakeNodes(), folder, "cpu", History(3))


def test_a_proof_is_lost_so_often_and_not_for_ever():
    history = History(2)
    history.lost("a" * 56, "killed")
    with pytest.raises(ProverKilled, match=r"lost 2 times; node aaaaaaaa: killed; no answer"):
        history.lost(None, "no answer")
    history.fill("a")
    history.fill("a")
    with pytest.raises(TerminalError, match="does not keep the files"):
        history.fill("a")


# -- what a node keeps ------------------------------------------------------------------------------


def test_a_kit_is_known_by_its_contents_alone(folder, kit, tmp_path):
    other = folder.rename(tmp_path / "elsewhere")
    again = describe(other, tmp_path / "k15.srs", Digests())
    assert (again.key, again.files) == (kit.key, kit.files)
    (other / "pk.key").write_bytes(b"KEY" * 1000)
    assert describe(other, tmp_path / "k15.srs", Digests()).key != kit.key
    (other / "pk.key").unlink()
    with pytest.raises(TerminalError, match=r"pk\.key is not in"):
        describe(other, tmp_path / "k15.srs", Digests())


def test_paths_that_lead_to_the_same_contents_are_used_as_they_are(kit, folder, tmp_path):
    cache = Cache(tmp_path / "cache")
    assert cache.place(kit) == (folder, tmp_path / "k15.srs")
    (folder / "pk.key").write_bytes(b"other")
    missing = cache.place(kit)
    assert sorted(missing) == sorted(kit.paths())
    assert not cache.root.exists()


def test_what_was_received_is_placed_under_its_names(kit, tmp_path):
    cache = Cache(tmp_path / "cache")
    fill(cache, kit, cache.place(kit, shared=False))
    folder, srs = cache.place(kit, shared=False)
    assert (folder / "pk.key").read_bytes() == b"key" * 1000
    assert srs.name == "k15.srs"
    assert srs.read_bytes() == b"srs"
    assert cache.read(kit.srs.digest, 1, 5) == b"rs"
    # Another process over the same folder has it, too.
    assert Cache(tmp_path / "cache").place(kit, shared=False) == (folder, srs)


def test_what_is_not_what_it_should_be_is_not_kept(kit, tmp_path):
    cache = Cache(tmp_path / "cache")
    cache.write(kit.srs.digest, 0, b"SRS")
    with pytest.raises(RetryableError, match="what was received is not"):
        cache.finish(kit.srs.digest, 3)
    assert not cache.has(kit.srs.digest)
    assert list(cache.objects.iterdir()) == []


def test_a_file_that_was_damaged_later_is_missing_again(kit, tmp_path):
    cache = Cache(tmp_path / "cache")
    fill(cache, kit, cache.place(kit, shared=False))
    folder, _ = cache.place(kit, shared=False)
    (folder / "pk.key").chmod(0o600)
    (folder / "pk.key").write_bytes(b"damaged")
    [missing] = cache.place(kit, shared=False)
    assert kit.paths()[missing].name == "pk.key"
    fill(cache, kit, [missing])
    assert cache.place(kit, shared=False) == (folder, folder / "srs" / "k15.srs")


def test_the_longest_unused_circuits_make_room(kit, tmp_path, monkeypatch):
    cache = Cache(tmp_path / "cache")
    fill(cache, kit, cache.place(kit, shared=False))
    folder, _ = cache.place(kit, shared=False)
    monkeypatch.setenv(LIMIT_SETTING, "0")
    cache.trim()
    assert folder.is_dir()  # a proof of it may be running
    os.utime(folder, (0, 0))
    cache.trim()
    assert not folder.exists()
    assert list(cache.objects.iterdir()) == []
    monkeypatch.setenv(LIMIT_SETTING, "plenty")
    with pytest.raises(CallerError, match="'plenty'"):
        cache.trim()


@pytest.mark.parametrize(
    "error", [WitnessRejected("no"), TerminalError("no", hint="do"), BeyondBudget("no"), ProverKilled("no")]
)
def test_errors_cross_as_themselves(error):
    crossed = pickle.loads(pickle.dumps(error))
    assert (type(crossed), str(crossed), crossed.hint) == (type(error), str(error), error.hint)


class Unsteady:
    """Stands for Ray where the first ``failures`` attempts to connect fail."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error, self.attempts, self.ended = failures, error, 0, 0

    def is_initialized(self) -> bool:
        return False

    def init(self, *_: object, **__: object) -> None:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise self.error

    def shutdown(self) -> None:
        self.ended += 1


class TestConnecting:
    @pytest.mark.parametrize("address", ["ray://127.0.0.1:23", ""])
    def test_a_client_that_was_refused_tries_again(self, monkeypatch, address):
        ray = Unsteady(2, ConnectionAbortedError("Starting Ray client server failed."))
        monkeypatch.setattr(connection, "library", lambda: ray)
        made = connection.Connection(address, 2**30, 1, explicit=bool(address))
        assert (ray.attempts, ray.ended) == (3, 2)
        made.close()

    @pytest.mark.parametrize(
        ("error", "attempts"),
        [
            pytest.param(ConnectionAbortedError("Starting it failed.\nMore."), 3, id="refused"),
            # Ray has waited for it long enough.
            pytest.param(ConnectionError("ray client connection timeout"), 1, id="nobody"),
        ],
    )
    def test_a_cluster_that_does_not_let_in_is_named(self, monkeypatch, error, attempts):
        ray = Unsteady(9, error)
        monkeypatch.setattr(connection, "library", lambda: ray)
        with pytest.raises(
            RetryableError, match=r"cannot reach Ray at ray://127\.0\.0\.1:23: [Sr]"
        ) as caught:
            connection.Connection("ray://127.0.0.1:23", 2**30, 1, explicit=True)
        assert ray.attempts == attempts
        assert "More" not in str(caught.value)
