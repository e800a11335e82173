"""The store keeps an SRS with its record, or neither; it never replaces one and never mixes the two kinds."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import pytest
from srs_forge import SECRET, g2, write_srs

import fedproof.srs.store as store_module
from fedproof.errors import CallerError, TerminalError
from fedproof.srs import (
    InvalidSrs,
    SrsConflictError,
    SrsNotFoundError,
    SrsStore,
    check_srs,
    development_srs,
    import_srs,
    open_srs,
)

pytestmark = pytest.mark.reference

K = 3


@pytest.fixture(scope="module")
def ceremony(tmp_path_factory):
    return write_srs(tmp_path_factory.mktemp("ceremony") / "ceremony.srs", K)


@pytest.fixture
def digest(ceremony):
    return hashlib.sha256(ceremony.read_bytes()).hexdigest()


@pytest.fixture
def store(tmp_path):
    return SrsStore(tmp_path / "srs")


def visible(store):
    return sorted(path.name for path in store.folder.iterdir() if path.name != ".lock")


def test_an_imported_srs_is_kept_with_its_record(store, ceremony, digest):
    srs = import_srs(ceremony, K, "0x" + digest.upper(), store, source="a ceremony")
    assert (srs.k, srs.digest, srs.development) == (K, digest, False)
    assert srs == store.get(K) == SrsStore(store.folder).get(K)
    assert srs.path.read_bytes() == ceremony.read_bytes()
    record = json.loads((store.folder / "k03.json").read_text())
    assert record["source"] == "a ceremony"
    assert record["development"] is False
    assert visible(store) == ["k03.json", "k03.srs"]
    assert import_srs(ceremony, K, digest, store) == srs


def test_an_import_that_fails_leaves_nothing(store, ceremony, digest, tmp_path):
    with pytest.raises(InvalidSrs, match="has the SHA-256"):
        import_srs(ceremony, K, "00" * 32, store)
    bad = write_srs(tmp_path / "bad.srs", K, secret_g2=g2(SECRET + 1))
    with pytest.raises(InvalidSrs, match="not the powers"):
        import_srs(bad, K, hashlib.sha256(bad.read_bytes()).hexdigest(), store)
    with pytest.raises(CallerError, match="k=3, not k=4"):
        import_srs(ceremony, 4, digest, store)
    with pytest.raises(CallerError, match="not a SHA-256"):
        import_srs(ceremony, K, "abc", store)
    assert visible(store) == []


def test_an_srs_is_never_replaced(store, ceremony, digest, tmp_path):
    import_srs(ceremony, K, digest, store)
    from srs_forge import lagrange, powers

    secret = SECRET + 5
    other = write_srs(
        tmp_path / "other.srs", K, g=powers(K, secret), basis=lagrange(K, secret), secret_g2=g2(secret)
    )
    check_srs(open_srs(other))
    with pytest.raises(SrsConflictError, match="already has another SRS of k=3"):
        import_srs(other, K, hashlib.sha256(other.read_bytes()).hexdigest(), store)
    assert store.get(K).digest == digest


def test_a_missing_srs(store):
    with pytest.raises(SrsNotFoundError, match="no SRS of k=9"):
        store.get(9)
    with pytest.raises(CallerError, match="k from 1 to 28"):
        store.get(29)


def test_a_changed_file_is_found(store, ceremony, digest):
    srs = import_srs(ceremony, K, digest, store)
    data = bytearray(srs.path.read_bytes())
    data[100] ^= 1
    srs.path.write_bytes(data)
    with pytest.raises(InvalidSrs, match=r"its record k03\.json says"):
        store.get(K)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record | {"k": 4}, "record of an SRS of k=4"),
        (lambda record: record | {"sha256": "no"}, "not the record of an SRS"),
        (lambda record: record | {"extra": 1}, "not the record of an SRS"),
    ],
)
def test_a_changed_record_is_found(change, message, store, ceremony, digest):
    import_srs(ceremony, K, digest, store)
    path = store.folder / "k03.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InvalidSrs, match=message):
        store.get(K)


def test_a_file_put_there_by_hand_is_not_trusted(store, ceremony):
    store.folder.mkdir()
    (store.folder / "k03.srs").write_bytes(ceremony.read_bytes())
    with pytest.raises(InvalidSrs, match=r"no record k03\.json"):
        store.get(K)
    with pytest.raises(InvalidSrs, match=r"no record k03\.json"):
        store.ensure_development(K)


class TestDevelopment:
    @pytest.fixture(autouse=True)
    def forge(self, monkeypatch, ceremony):
        """ezkl's generator, replaced by a copy and a counter; the real one is in the witness tier."""
        self.made = 0
        self.slow = threading.Event()
        self.slow.set()

        def gen_srs(path, k):
            self.made += 1
            self.slow.wait(5)
            Path(path).write_bytes(ceremony.read_bytes())

        monkeypatch.setattr(store_module.ezkl, "gen_srs", gen_srs)

    def test_it_is_made_once_and_marked(self, store):
        srs = development_srs(K, store)
        assert srs.development
        assert srs == store.ensure_development(K) == SrsStore(store.folder).get(K)
        assert self.made == 1
        assert visible(store) == ["k03.json", "k03.srs"]

    def test_two_at_once_make_it_once(self, store):
        self.slow.clear()
        found, stages = [], []

        def ask():
            found.append(SrsStore(store.folder).ensure_development(K, lambda *a: stages.append(a)))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        while ("waiting for another process", 0.0) not in stages:
            pass
        self.slow.set()
        for thread in threads:
            thread.join()
        assert self.made == 1
        assert len({srs.digest for srs in found}) == 1
        assert len(found) == 3

    def test_kinds_are_not_mixed(self, store, ceremony, digest, tmp_path):
        store.ensure_development(K)
        with pytest.raises(SrsConflictError, match="holds development SRS"):
            import_srs(ceremony, K, digest, store)
        imported = SrsStore(tmp_path / "imported")
        import_srs(ceremony, K, digest, imported)
        with pytest.raises(SrsConflictError, match="holds imported SRS"):
            imported.ensure_development(4)

    def test_a_development_srs_is_not_laundered_into_an_imported_one(self, store, tmp_path):
        srs = store.ensure_development(K)
        with pytest.raises(SrsConflictError, match="is a development SRS"):
            import_srs(srs.path, K, srs.digest, SrsStore(tmp_path / "imported"))

    def test_a_failed_making_leaves_nothing(self, store, monkeypatch):
        def fails(path, k):
            Path(path).write_bytes(b"half")
            raise RuntimeError("no more entropy")

        monkeypatch.setattr(store_module.ezkl, "gen_srs", fails)
        with pytest.raises(TerminalError, match="no more entropy"):
            store.ensure_development(K)
        assert visible(store) == []

    def test_what_a_killed_process_left_is_swept(self, store):
        store.folder.mkdir()
        (store.folder / ".k03.xyz.tmp").write_bytes(b"half")
        store.ensure_development(K)
        assert visible(store) == ["k03.json", "k03.srs"]

    def test_a_record_without_its_file_is_made_again(self, store):
        srs = store.ensure_development(K)
        srs.path.unlink()
        assert store.ensure_development(K).development
        assert self.made == 2
