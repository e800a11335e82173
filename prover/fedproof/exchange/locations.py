"""Bytes at a URL: a local folder, S3, HTTP or memory, over fsspec, with retries and limits of size.

Only this file knows fsspec. Where a location lies is the operator's choice; names below it are checked, so no
document that was received can lead out of it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import fsspec
import tenacity

from fedproof.errors import CallerError, FedproofError, RetryableError, TerminalError
from fedproof.files import write_whole

_NAME = re.compile(r"(?!\.)[0-9A-Za-z._-]{1,128}")
_LIBRARIES = ("aiohttp", "botocore", "aiobotocore")
_EXTRAS = {"s3": "s3", "s3a": "s3", "http": "http", "https": "http"}
_PASSING = {errno.EIO, errno.EAGAIN, errno.ETIMEDOUT, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ESTALE}
_TOO_MANY = 429

Answer = TypeVar("Answer")


class StoreUnreachable(RetryableError):
    """A store did not answer, several times in a row."""


class ContentMissing(RetryableError):
    """A store has no such content: not yet, or never."""


class ContentTooLarge(CallerError):
    """A store has more bytes under a name than the caller takes."""


class Location:
    """A folder at a URL. ``options`` go to fsspec; a passing fault is tried ``attempts`` times."""

    def __init__(
        self,
        url: str | Path,
        *,
        options: Mapping[str, Any] | None = None,
        attempts: int = 4,
        wait_s: float = 0.2,
    ) -> None:
        text = str(url)
        scheme = urlsplit(text).scheme if "://" in text else "file"
        try:
            self._fs, root = fsspec.core.url_to_fs(text, **dict(options or {}))
        except (ImportError, ValueError) as error:
            extra = _EXTRAS.get(scheme)
            raise CallerError(
                f"no store can be opened at a {scheme}:// URL: {error}",
                hint=f"pip install 'fedproof[{extra}]'"
                if extra
                else "a folder, s3://, https:// or memory://",
            ) from error
        self._root = str(root).rstrip("/")
        self._scheme = scheme
        self._attempts = attempts
        self._wait_s = wait_s
        self.shown = _shown(text, scheme)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return self._scheme in ("file", "local")

    @property
    def is_writable(self) -> bool:
        """Whether its kind can be written to at all."""
        return self._scheme not in ("http", "https")

    def write(self, name: str, data: bytes) -> None:
        """Write ``data`` under ``name``, whole or not at all.

        Raises :class:`CallerError` where nothing can be written, :class:`TerminalError` for a full disk,
        :class:`StoreUnreachable` after the last attempt.
        """
        path = self._path(name)
        if not self.is_writable:
            raise CallerError(f"{self.shown} can be read only", hint="write to a folder or to s3://")
        if self.is_local:
            write_whole(Path(path), data)
            return
        # One request of an object store: readers see all of it or nothing.
        self._try(name, lambda: self._fs.pipe_file(path, data))

    def read(self, name: str, limit: int) -> bytes:
        """Return what lies under ``name``, at most ``limit`` bytes.

        Raises :class:`ContentMissing`, :class:`ContentTooLarge`, :class:`StoreUnreachable`.
        """
        path = self._path(name)

        def fetch() -> bytes:
            with self._fs.open(path, "rb") as file:
                found: bytes = file.read(limit + 1)
            return found

        data = self._try(name, fetch)
        if len(data) > limit:
            raise ContentTooLarge(f"{self.shown}/{name} has more than {limit:,} bytes")
        return data

    def has(self, name: str) -> bool:
        """Whether something lies under ``name``."""
        path = self._path(name)
        return bool(self._try(name, lambda: self._fs.exists(path)))

    def _path(self, name: str) -> str:
        parts = name.split("/")
        if bad := [part for part in parts if not _NAME.fullmatch(part)]:
            raise CallerError(f"{bad[0]!r} is no name in a store")
        return "/".join([self._root, *parts])

    def _try(self, name: str, call: Callable[[], Answer]) -> Answer:
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_passing),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_random_exponential(multiplier=self._wait_s, max=10),
            reraise=True,
        )
        try:
            return attempts(call)
        except FedproofError:
            raise
        # fsspec's file systems raise whatever their libraries do.
        except Exception as error:
            raise self._told(name, error) from error

    def _told(self, name: str, error: Exception) -> FedproofError:
        kind = type(error).__name__
        if _is_passing(error):
            return StoreUnreachable(
                f"{self.shown} gives no answer for {name}, tried {self._attempts} times: {kind}"
            )
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return ContentMissing(f"{self.shown} has no {name}")
        if isinstance(error, PermissionError):
            return CallerError(f"{self.shown} refuses {name}: {error.strerror or error}")
        return TerminalError(f"{self.shown}: {name}: {kind}: {error}")


def _is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed later."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        # What fsspec makes of a web server that is not there.
        return _is_passing(error.__cause__)
    if type(error).__module__.partition(".")[0] in _LIBRARIES:
        status = getattr(error, "status", None)
        return not isinstance(status, int) or status >= 500 or status == _TOO_MANY
    return isinstance(error, OSError) and error.errno in _PASSING


def _shown(text: str, scheme: str) -> str:
    """Return the URL without what may be secret: user, password, query."""
    if scheme in ("file", "local", "memory"):
        return text.rstrip("/")
    parts = urlsplit(text)
    port = f":{parts.port}" if parts.port else ""
    return f"{scheme}://{parts.hostname or ''}{port}{parts.path}".rstrip("/")
