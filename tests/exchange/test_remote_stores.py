"""Stores at a URL, as they are: an S3 server on this machine, and a web server over a folder."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedproof.exchange import ContentMissing, ContentStore
from fedproof.exchange.locations import ContentTooLarge, StoreUnreachable
from fedproof.files import sha256_bytes

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, object]]:
    """Options for an S3 server with one bucket."""
    pytest.importorskip("s3fs")
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"key": "k", "secret": "s", "endpoint_url": f"http://{host}:{port}"}
    import s3fs

    s3fs.S3FileSystem(**options).mkdir("bucket")
    yield options
    server.stop()


def test_s3(s3: dict[str, object]) -> None:
    store = ContentStore("s3://bucket/updates", options=s3, wait_s=0.01)
    assert str(store) == "s3://bucket/updates"
    data = bytes(range(256)) * 500
    with pytest.raises(ContentMissing):
        store.get(sha256_bytes(data))
    digest = store.put(data)
    assert store.get(digest) == data
    assert store.has(digest)
    with pytest.raises(ContentTooLarge):
        store.get(digest, max_bytes=1000)
    store.post("model/round1/trainer.json", b"{}")
    assert ContentStore("s3://bucket/updates", options=s3).look_up("model/round1/trainer.json") == b"{}"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_folder_behind_a_web_server(tmp_path: Path, web: str) -> None:
    pytest.importorskip("aiohttp")
    digest = ContentStore(tmp_path / "store").put(b"over http")
    store = ContentStore(f"{web}/store", wait_s=0.01, attempts=2)
    assert store.get(digest) == b"over http"
    with pytest.raises(ContentMissing):
        store.get(sha256_bytes(b"not there"))
    with pytest.raises(ContentTooLarge):
        store.get(digest, max_bytes=3)


def test_a_server_that_is_not_there() -> None:
    pytest.importorskip("aiohttp")
    store = ContentStore("http://127.0.0.1:9/store", wait_s=0.001, attempts=2)
    with pytest.raises(StoreUnreachable, match="tried 2 times"):
        store.get("0" * 64)
