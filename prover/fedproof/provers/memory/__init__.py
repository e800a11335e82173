"""Memory of provers: how much there is, how much a proof needs, and who on the machine has it now."""

from fedproof.provers.memory.budget import budget_bytes, machine_bytes
from fedproof.provers.memory.ledger import Ledger, Reservation
from fedproof.provers.memory.needs import needed_bytes, verifying_bytes

__all__ = [
    "Ledger",
    "Reservation",
    "budget_bytes",
    "machine_bytes",
    "needed_bytes",
    "verifying_bytes",
]
