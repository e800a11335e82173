"""Bytes by their hash: checked when they come back, whatever the store is, and no way out of it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedproof.errors import CallerError, TerminalError
from fedproof.exchange import ContentMismatch, ContentMissing, ContentStore
from fedproof.exchange.locations import ContentTooLarge, StoreUnreachable
from fedproof.exchange.vectors import InvalidVector, pack, packed_bytes, unpack
from fedproof.files import sha256_bytes

pytestmark = pytest.mark.reference


@pytest.fixture(params=["folder", "file://", "memory://"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ContentStore]:
    urls = {"folder": tmp_path / "s", "file://": f"file://{tmp_path}/s", "memory://": f"memory://{tmp_path}"}
    yield ContentStore(urls[request.param], wait_s=0.001)
    fsspec.filesystem("memory").store.clear()


def path_in(root: Path, digest: str) -> Path:
    return root / "sha256" / digest[:2] / digest


def test_what_is_put_comes_back(store: ContentStore) -> None:
    for data in (b"", b"\0", b"one", bytes(range(256)) * 100):
        digest = store.put(data)
        assert digest == sha256_bytes(data)
        assert store.has(digest)
        assert store.get(digest) == data
        assert store.put(data) == digest


def test_what_is_not_there(store: ContentStore) -> None:
    digest = sha256_bytes(b"never put")
    assert not store.has(digest)
    with pytest.raises(ContentMissing, match=digest) as caught:
        store.get(digest)
    assert caught.value.exit_code == 75


def test_other_bytes_are_refused_with_both_digests_and_put_right(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    digest = store.put(b"right")
    path_in(tmp_path, digest).write_bytes(b"wrong")
    with pytest.raises(ContentMismatch) as caught:
        store.get(digest)
    assert digest in caught.value.message
    assert sha256_bytes(b"wrong") in caught.value.message
    assert caught.value.exit_code == 3
    store.put(b"right")
    assert store.get(digest) == b"right"


def test_a_link_out_of_the_store_gives_nothing_away(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    store = ContentStore(tmp_path / "s")
    digest = store.put(b"public")
    path = path_in(tmp_path / "s", digest)
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(ContentMismatch):
        store.get(digest)


@pytest.mark.parametrize(
    "digest",
    ["", "ab", "../" * 8 + "etc/passwd", "A" * 64, "g" * 64, "a" * 63 + "/", "a" * 64 + "\n", "é" * 64],
)
def test_what_is_no_digest(store: ContentStore, digest: str) -> None:
    with pytest.raises(CallerError, match="no SHA-256"):
        store.get(digest)


@pytest.mark.parametrize("name", ["", "..", "a/../b", "/etc/passwd", "a//b", ".hidden", "a\\b", "a b", "a/."])
def test_what_is_no_name(store: ContentStore, name: str) -> None:
    with pytest.raises(CallerError, match="is no name"):
        store.post(name, b"")
    with pytest.raises(CallerError, match="is no name"):
        store.look_up(name)


def test_documents_are_replaced(store: ContentStore) -> None:
    with pytest.raises(ContentMissing):
        store.look_up("a/b.json")
    store.post("a/b.json", b"1")
    store.post("a/b.json", b"2")
    assert store.look_up("a/b.json") == b"2"


def test_limits_of_size(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, max_bytes=10)
    assert store.get(store.put(b"x" * 10)) == b"x" * 10
    with pytest.raises(CallerError, match="more than the 10"):
        store.put(b"x" * 11)
    digest = ContentStore(tmp_path).put(b"x" * 11)
    with pytest.raises(ContentTooLarge, match="more than 10 bytes"):
        store.get(digest)
    with pytest.raises(ContentTooLarge, match="more than 3 bytes"):
        store.get(store.put(b"four"), max_bytes=3)
    with pytest.raises(CallerError, match="at most"):
        store.post("a", b"x" * (2 << 20))


def test_files_of_a_folder_are_whole(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    path = path_in(tmp_path, store.put(b"x"))
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("url", ["nothing://x", "gs2://bucket"])
def test_a_url_that_nothing_can_open(url: str) -> None:
    with pytest.raises(CallerError, match="no store can be opened"):
        ContentStore(url)


def test_a_url_is_shown_without_its_secrets() -> None:
    assert str(ContentStore("https://me:password@host:8080/a/?token=1")) == "https://host:8080/a"


def test_https_is_for_reading() -> None:
    with pytest.raises(CallerError, match="can be read only"):
        ContentStore("https://host/a").put(b"x")


def test_passing_faults_are_tried_again_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    store = ContentStore("memory://faults", attempts=3, wait_s=0.001)
    digest = store.put(b"x")
    fs = store._location._fs
    calls: list[int] = []
    real = fs.open

    def failing(times: int, error: Exception) -> None:
        calls.clear()

        def open_(*arguments: object, **more: object) -> object:
            calls.append(1)
            if len(calls) <= times:
                raise error
            return real(*arguments, **more)

        monkeypatch.setattr(fs, "open", open_)

    failing(2, ConnectionResetError("gone"))
    assert store.get(digest) == b"x"
    assert len(calls) == 3
    failing(9, TimeoutError("slow"))
    with pytest.raises(StoreUnreachable, match="tried 3 times: TimeoutError") as caught:
        store.get(digest)
    assert (len(calls), caught.value.exit_code) == (3, 75)
    failing(9, OSError(5, "input/output error"))
    with pytest.raises(StoreUnreachable):
        store.get(digest)
    failing(9, PermissionError(13, "denied"))
    with pytest.raises(CallerError, match="refuses"):
        store.get(digest)
    assert len(calls) == 1
    failing(9, RuntimeError("broken"))
    with pytest.raises(TerminalError, match="broken"):
        store.get(digest)
    assert len(calls) == 1
    monkeypatch.undo()
    fsspec.filesystem("memory").store.clear()


# -- vectors as bytes ------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50))
def test_a_vector_comes_back(values: list[int]) -> None:
    vector = np.array(values, dtype=np.int64)
    data = pack(vector)
    assert len(data) <= packed_bytes(len(values))
    found = unpack(data, len(values))
    assert found.dtype == np.int64
    assert np.array_equal(found, vector)
    found += 0  # writable


def test_what_is_no_vector() -> None:
    import io

    good = pack(np.arange(5))
    others = [b"", b"x", good[:-1], good + b"\0", good[:20], b"\x93NUMPY\x02\x00" + good[8:]]
    for array in (
        np.arange(5, dtype=np.int32),
        np.arange(5.0),
        np.arange(5, dtype=">i8"),
        np.arange(4),
        np.arange(6),
        np.arange(5)[None],
        np.array([None] * 5, dtype=object),
    ):
        file = io.BytesIO()
        np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=True)
        others.append(file.getvalue())
    # The same vector, with another space in its header.
    others.append(good.replace(b"'shape': (5,)", b"'shape':  (5,)", 1).replace(b" \n", b"\n", 1))
    for data in others:
        with pytest.raises(InvalidVector):
            unpack(data, 5)


def test_what_is_not_packed() -> None:
    for bad in (np.arange(4.0), np.arange(4).reshape(2, 2), np.arange(4, dtype=np.int32)):
        with pytest.raises(CallerError, match="flat and int64"):
            pack(bad)
