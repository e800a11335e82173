"""A file to a node, in pieces through Ray's object store: never more than a few of them are in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from fedproof.provers.ray.connection import Ray

#: Bytes of a piece, and how many are under way: together far below the smallest object store.
PIECE, UNDER_WAY = 8 * 2**20, 3
#: Waits for what a reference stands for, and raises what became of it.
Get = Callable[[Ray], Ray]


def send(get: Get, store: Ray, digest: str, size: int, source: Path | Ray) -> None:
    """Send a file of ``size`` bytes to the actor ``store``, from a path here or from another node's store.

    Raises what the store raises: :class:`RetryableError` if what it received is something else.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:

            def read(offset: int) -> Ray:
                file.seek(offset)
                return file.read(PIECE)

            _stream(get, store, digest, size, read)
    else:
        # A reference: the piece goes from node to node, not through the caller.
        _stream(get, store, digest, size, lambda offset: source.read.remote(digest, offset, PIECE))
    get(store.finish.remote(digest, size))


def _stream(get: Get, store: Ray, digest: str, size: int, read: Callable[[int], Ray]) -> None:
    under_way: deque[Ray] = deque()
    for offset in range(0, max(size, 1), PIECE):
        under_way.append(store.write.remote(digest, offset, read(offset)))
        if len(under_way) >= UNDER_WAY:
            get(under_way.popleft())
    for reference in under_way:
        get(reference)
