"""How much memory a proof of a circuit needs, before it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedproof.provers.artefacts import PK

MIB = 2**20
#: Peaks differ from run to run by a few hundredths.
MARGIN = 1.1
#: An idle worker with ezkl loaded.
BASE = 48 * MIB
#: For a circuit whose peak was not measured: peaks were 2.2 to 2.6 proving keys and 70 to 100 MiB, for keys
#: of 18 MiB to 1.4 GiB.
_KEYS, _BESIDE = 2.7, 100 * MIB


def needed_bytes(folder: Path, manifest: dict[str, Any] | None) -> int:
    """Return what a proof of the circuit in ``folder`` is expected to need at most, in bytes.

    It is the peak its manifest has, measured when it was compiled; the size of its key tells it otherwise.
    """
    peak = manifest["costs"]["prove_peak_bytes"] if manifest is not None else 0
    if not peak:
        peak = _KEYS * _size(folder / PK) + _BESIDE
    return max(int(peak * MARGIN), BASE)


def verifying_bytes(srs: Path) -> int:
    """Return what a verification needs: the SRS is read whole."""
    return BASE + 2 * _size(srs)


def _size(path: Path) -> int:
    # What is missing is told by whoever opens it.
    return path.stat().st_size if path.is_file() else 0
