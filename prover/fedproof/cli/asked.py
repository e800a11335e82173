"""What a command was asked to prove and has not finished: called again, it takes the values it had.

Salts are drawn anew for each proof, so that without this the same call would ask for another proof.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError
from fedproof.files import sha256_bytes, write_whole

Slots = list[list[int]]
#: Seconds after which nobody is expected to call again: the values are private, and go.
_FORGOTTEN_S = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Asked:
    """One call: a circuit and an input file, by their content. ``path`` is private."""

    path: Path

    @classmethod
    def of(cls, jobs: Path, circuit: Circuit, given: Path) -> Asked:
        """Return the call of ``circuit`` on the file ``given``; its values lie in the folder ``jobs``."""
        try:
            content = given.read_bytes()
        except OSError as e:
            raise CallerError(f"cannot read {given}: {e.strerror or e}") from e
        folder = jobs / "asked"
        for path in folder.glob("*.json*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _FORGOTTEN_S:
                    path.unlink()
        said = circuit.manifest.key.encode() + b"\n" + sha256_bytes(content).encode()
        return cls(folder / f"{sha256_bytes(said)}.json")

    def computed(self, compute: Callable[[], tuple[Slots, dict[str, Any]]]) -> tuple[Slots, dict[str, Any]]:
        """Return vectors to be proven and the private result: those kept, or those of ``compute``, kept."""
        try:
            kept = json.loads(self.path.read_text())
            return [[int(v) for v in slot] for slot in kept["slots"]], dict(kept["result"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        slots, result = compute()
        # As strings: a salt has 254 bits.
        document = {"slots": [[str(v) for v in slot] for slot in slots], "result": result}
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self.path, json.dumps(document), mode=0o600)
        return slots, result

    @contextmanager
    def until_proven(self) -> Iterator[None]:
        """Forget the values at the end of the block, and when they turn out to be wrong; else keep them."""
        try:
            yield
        except CallerError:
            self.path.unlink(missing_ok=True)
            raise
        self.path.unlink(missing_ok=True)
