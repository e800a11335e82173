"""The verifying key of a circuit, as one hash to compare."""

from __future__ import annotations

from fedproof.circuits.layout import VK
from fedproof.circuits.store import Circuit
from fedproof.errors import TerminalError
from fedproof.files import sha256_bytes


def verifying_key_digest(circuit: Circuit) -> str:
    """SHA-256 of a circuit's verifying key; of one in segments, of the concatenation of their SHA-256.

    Taken from the manifests, with which the store compares the files.
    """
    found = []
    for part in circuit.parts:
        digest = part.manifest.artefacts.get(VK)
        if digest is None:
            raise TerminalError(
                f"the manifest of {part.name} names no {VK}", hint="compile the circuit again"
            )
        found.append(digest)
    return found[0] if len(found) == 1 else sha256_bytes("".join(found).encode())
