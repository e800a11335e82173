"""What a proof asks of a node: cores, memory, a GPU. Ray places tasks by it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fedproof.errors import CallerError
from fedproof.provers.memory import needed_bytes
from fedproof.provers.ray.kit import manifest_of

#: Cores that one proof is given, for all circuits; without it ``cores_for`` says.
CORES_SETTING = "FEDPROOF_RAY_CORES"
#: Ray's own process around the one that proves.
AROUND_BYTES = 160 * 2**20


@dataclass(frozen=True)
class Demand:
    """Resources of one proof. ``memory`` in bytes."""

    cores: int
    memory: int
    gpus: int

    def fits(self, resources: dict[str, float]) -> bool:
        """Whether a node with these resources could ever run it."""
        return (
            resources.get("CPU", 0) >= self.cores
            and resources.get("memory", 0) >= self.memory
            and resources.get("GPU", 0) >= self.gpus
        )


def demand_of(folder: Path, backend: str, most_cores: int) -> Demand:
    """Return the demand of the circuit in ``folder``; no more cores than the largest node has."""
    manifest = manifest_of(folder)
    logrows = manifest["costs"]["logrows"] if manifest is not None else 0
    cores = cores_setting() or cores_for(logrows)
    memory = needed_bytes(folder, manifest) + AROUND_BYTES
    return Demand(max(1, min(cores, most_cores)), memory, 1 if backend == "gpu" else 0)


def cores_for(logrows: int) -> int:
    """Cores for a circuit of 2**logrows rows: small proofs gain more from company than from cores."""
    return 1 if logrows <= 14 else 2 if logrows <= 16 else 4


def cores_setting() -> int | None:
    """Return ``FEDPROOF_RAY_CORES``; raises :class:`CallerError` if it is no number of cores."""
    text = os.environ.get(CORES_SETTING)
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise CallerError(f"{CORES_SETTING} is {text!r}, no number of cores")
    return int(text)
