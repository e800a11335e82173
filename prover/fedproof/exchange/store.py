"""A content-addressed store: bytes under their SHA-256, checked when they come back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedproof.errors import CallerError, InvalidProof
from fedproof.exchange.locations import ContentMissing, Location
from fedproof.files import sha256_bytes

__all__ = ["MAX_BYTES", "ContentMismatch", "ContentMissing", "ContentStore"]

#: What a store gives back at most, unless its caller says otherwise.
MAX_BYTES = 1 << 30
#: What a named document has at most.
MAX_DOCUMENT_BYTES = 1 << 20

_DIGEST = re.compile(r"[0-9a-f]{64}")


class ContentMismatch(InvalidProof):
    """A store gave other bytes than were asked for."""


class ContentStore:
    """Bytes by their SHA-256, at a URL: a folder, ``s3://``, ``memory://``, or ``https://`` to read only.

    Whoever runs the store is trusted with nothing but to answer. Names of documents (:meth:`post`) can be
    changed by whoever can write; what they refer to is checked by other means.
    """

    def __init__(
        self,
        url: str | Path,
        *,
        options: Mapping[str, Any] | None = None,
        max_bytes: int = MAX_BYTES,
        attempts: int = 4,
        wait_s: float = 0.2,
    ) -> None:
        self._location = Location(url, options=options, attempts=attempts, wait_s=wait_s)
        self.max_bytes = max_bytes

    def __str__(self) -> str:
        return self._location.shown

    def put(self, data: bytes) -> str:
        """Keep ``data``; return its SHA-256 in hex. What is there already, damaged or not, is replaced."""
        if len(data) > self.max_bytes:
            raise CallerError(f"{len(data):,} bytes are more than the {self.max_bytes:,} that {self} takes")
        digest = sha256_bytes(data)
        self._location.write(_name(digest), data)
        return digest

    def get(self, digest: str, *, max_bytes: int | None = None) -> bytes:
        """Return the bytes with this SHA-256.

        Raises :class:`ContentMissing` if there are none, :class:`ContentMismatch` naming both digests if they
        are others, :class:`ContentTooLarge` above ``max_bytes``.
        """
        data = self._location.read(_name(digest), min(max_bytes or self.max_bytes, self.max_bytes))
        if (found := sha256_bytes(data)) != digest:
            raise ContentMismatch(
                f"{self} gave bytes with the SHA-256 {found} for {digest}",
                hint="the file is damaged or was exchanged: get it from whoever made it",
            )
        return data

    def has(self, digest: str) -> bool:
        """Whether there are bytes under this SHA-256; they may be damaged."""
        return self._location.has(_name(digest))

    def post(self, name: str, document: bytes) -> None:
        """Keep a document under a name, in place of the one there. Nobody may rely on it as it stands."""
        if len(document) > MAX_DOCUMENT_BYTES:
            raise CallerError(f"a document has at most {MAX_DOCUMENT_BYTES:,} bytes, not {len(document):,}")
        self._location.write(f"documents/{name}", document)

    def look_up(self, name: str) -> bytes:
        """Return the document under a name; raises :class:`ContentMissing`."""
        return self._location.read(f"documents/{name}", MAX_DOCUMENT_BYTES)


def _name(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise CallerError(f"{digest!r} is no SHA-256 in hex")
    return f"sha256/{digest[:2]}/{digest}"
