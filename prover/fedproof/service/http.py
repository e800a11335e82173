"""Metrics and health over HTTP: ``/metrics``, ``/healthz``, ``/readyz``. No input, no secrets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from fedproof.errors import FedproofError, RetryableError
from fedproof.service.health import Health, Verdict

Start = Callable[..., Any]
Answer = tuple[HTTPStatus, dict[str, Any]]

PATHS = ("/metrics", "/healthz", "/readyz")


def application(registry: CollectorRegistry, live: Health, ready: Health) -> Callable[..., Iterable[bytes]]:
    """Return the WSGI application."""
    metrics = make_wsgi_app(registry)
    healths = {"/healthz": live, "/readyz": ready}

    def answer(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        reading = environ.get("REQUEST_METHOD") in {"GET", "HEAD"}
        if path == "/metrics" and reading:
            try:
                return list(metrics(environ, start))
            except FedproofError as error:
                # The queue cannot be read: half of the metrics would look like all of them.
                return _send(environ, start, HTTPStatus.SERVICE_UNAVAILABLE, {"error": error.message})
        if not reading:
            told: Answer = HTTPStatus.METHOD_NOT_ALLOWED, {"error": "GET or HEAD only"}
        elif path in healths:
            told = _told(healths[path].verdict())
        elif path == "/":
            told = HTTPStatus.OK, {"paths": PATHS}
        else:
            told = HTTPStatus.NOT_FOUND, {"error": "no such path", "paths": PATHS}
        return _send(environ, start, *told)

    return answer


def _told(verdict: Verdict) -> Answer:
    return (HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE), verdict.document


def _send(
    environ: dict[str, Any], start: Start, status: HTTPStatus, document: dict[str, Any]
) -> Iterable[bytes]:
    body = json.dumps(document).encode() + b"\n"
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start(f"{status.value} {status.phrase}", headers)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds: who sends nothing holds no thread for ever

    def log_message(self, *_: Any) -> None:  # noqa: ANN401
        """A line for every scrape is of use to nobody."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking a name server what this machine is called."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class HttpService:
    """Serves an application from a thread until it is closed. ``port`` 0 takes a free one.

    Raises :class:`RetryableError` when the address is taken or not one of this machine.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], host: str, port: int) -> None:
        kind = _Server6 if ":" in host else _Server
        try:
            self._server = kind((host, port), _Handler)
        except OSError as error:
            raise RetryableError(
                f"cannot listen on {host} port {port}: {error.strerror or error}",
                hint="choose another port or address",
            ) from error
        self._server.set_app(app)
        self.host = host
        self.port = int(self._server.server_port)
        # Looks ten times a second whether it is to end.
        serve = partial(self._server.serve_forever, poll_interval=0.1)
        self._thread = threading.Thread(target=serve, name="fedproof-http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
