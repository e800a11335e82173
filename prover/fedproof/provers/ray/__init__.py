"""The Ray backend: the CPU or GPU backend of every node of a cluster. Imports Ray only when it is used."""

from __future__ import annotations

import os
from importlib.metadata import version

from fedproof.provers.ray import connection
from fedproof.provers.ray.prover import RayProver
from fedproof.provers.registry import Offer

__all__ = ["RayProver", "offer", "open_backend"]

#: The backend that the nodes use.
BACKEND_SETTING = "FEDPROOF_RAY_BACKEND"


def offer() -> Offer:
    """Offered where Ray is installed; whether a cluster answers is known when it is opened."""
    toolchain = f"ezkl {version('ezkl')}"
    if not connection.installed():
        return Offer("ray", available=False, reason="Ray is not installed: pip install 'fedproof[ray]'")
    where = os.environ.get(connection.ADDRESS_SETTING)
    return Offer("ray", available=True, reason=f"RAY_ADDRESS={where}" if where else "", toolchain=toolchain)


def open_backend(where: str) -> RayProver:
    """Open the cluster at ``where`` (``HOST:PORT``), else the one ``RAY_ADDRESS`` names, else a local one."""
    prover = RayProver(where, backend=os.environ.get(BACKEND_SETTING) or "cpu")
    prover.open()
    return prover
