"""Proofs that were made: a file each, written whole before the queue says that the job is done."""

from __future__ import annotations

import json
from pathlib import Path

from fedproof.files import sha256_bytes, write_whole
from fedproof.provers.base import ProofRun


class Results:
    """A folder of proofs by job. Proofs are public; their files stay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the proof of a job lies, if there is one."""
        return self.folder / f"{key}.json"

    def keep(self, key: str, run: ProofRun) -> ProofRun:
        """Write the proof of a job, unless one is there; return the one that is kept.

        Raises :class:`TerminalError` on a full disk.
        """
        kept = self.load(key)
        if kept is not None:
            return kept
        document = {
            "proof": run.proof.hex(),
            "sha256": sha256_bytes(run.proof),
            # As strings: a challenge has 254 bits.
            "instances": [str(i) for i in run.instances],
            "witness_s": run.witness_s,
            "prove_s": run.prove_s,
            "peak_bytes": run.peak_bytes,
            "waited_s": run.waited_s,
            "worker": run.worker,
        }
        write_whole(self.path(key), json.dumps(document, indent=2) + "\n")
        return run

    def load(self, key: str) -> ProofRun | None:
        """Return the proof of a job; None if there is none, or only a damaged file, which is removed."""
        path = self.path(key)
        try:
            document = json.loads(path.read_bytes())
            proof = bytes.fromhex(document["proof"])
            if sha256_bytes(proof) == document["sha256"]:
                return ProofRun(
                    proof,
                    tuple(int(i) for i in document["instances"]),
                    float(document["witness_s"]),
                    float(document["prove_s"]),
                    int(document["peak_bytes"]),
                    float(document["waited_s"]),
                    str(document["worker"]),
                )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            pass
        path.unlink(missing_ok=True)
        return None
