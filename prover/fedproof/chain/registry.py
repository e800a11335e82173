"""The registry of model hashes on the L1."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from fedproof.chain.client import ChainClient
from fedproof.errors import RetryableError


def _view(name: str, inputs: str, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    arguments = [{"name": "", "type": kind} for kind in inputs.split()]
    return {
        "type": "function",
        "name": name,
        "stateMutability": "view",
        "inputs": arguments,
        "outputs": outputs,
    }


def _plain(*kinds: str) -> list[dict[str, Any]]:
    return [{"name": "", "type": kind} for kind in kinds]


_RECORD = {
    "name": "",
    "type": "tuple",
    "components": _plain("bytes32", "uint32", "uint8", "uint64"),
}

READING_ABI: list[dict[str, Any]] = [
    _view("latest", "bytes32", [*_plain("uint64"), _RECORD]),
    _view("recordOf", "bytes32 uint64", [_RECORD]),
    _view("reportOf", "bytes32 uint64 bytes32", _plain("bytes32")),
    _view("sourceChainId", "", _plain("uint256")),
    _view("hub", "", _plain("address")),
    _view("fastQuorum", "", _plain("uint32")),
    _view("routeOf", "bytes32", [{"name": "", "type": "tuple", "components": _plain("address", "bool")}]),
]
"""What reading the registry takes, so that whoever checks a model needs neither compiler nor npm."""


class RecordStatus(IntEnum):
    """How far a hash can be relied on. FROZEN: two messages disagreed, rely on nothing."""

    NONE = 0
    PROVISIONAL = 1
    FINAL = 2
    FROZEN = 3


@dataclass(frozen=True)
class ModelRecord:
    """What the registry holds about one round; ``recorded_at`` in Unix seconds, 0: nothing yet."""

    round_number: int
    model_hash: bytes
    agreeing: int
    status: RecordStatus
    recorded_at: int


class RegistryClient:
    """Reads the ModelRegistry at ``address``. Reading needs no account."""

    def __init__(self, client: ChainClient, address: str) -> None:
        self.client = client
        self.contract = client.at(address, READING_ABI)

    @property
    def address(self) -> str:
        """Address of the registry."""
        return str(self.contract.address)

    def latest(self, model_id: bytes) -> ModelRecord | None:
        """Record of the newest round that is provisional or final; None when there is none."""
        number, record = self.client.call(self.contract.functions.latest(model_id))
        return _record(number, record) if number else None

    def record_of(self, model_id: bytes, round_number: int) -> ModelRecord:
        """Record of one round; its status is NONE when too few routes have reported it."""
        record = self.client.call(self.contract.functions.recordOf(model_id, round_number))
        return _record(round_number, record)

    def report_of(self, model_id: bytes, round_number: int, route_id: bytes) -> bytes | None:
        """The hash a route reported for a round, or None."""
        found = bytes(self.client.call(self.contract.functions.reportOf(model_id, round_number, route_id)))
        return found if any(found) else None

    def await_record(
        self, model_id: bytes, round_number: int, *, timeout_s: float = 3600, poll_s: float = 5
    ) -> ModelRecord:
        """The record of a round once its status is not NONE any more.

        Raises RetryableError when nothing arrives in time.
        """
        deadline = time.monotonic() + timeout_s
        while (record := self.record_of(model_id, round_number)).status is RecordStatus.NONE:
            if time.monotonic() >= deadline:
                raise RetryableError(
                    f"round {round_number} did not arrive at the registry within {timeout_s:g} s",
                    hint="its message may still be on the way; look again later",
                )
            time.sleep(poll_s)
        return record

    def source(self) -> tuple[int, str]:
        """Chain id and hub whose rounds are recorded."""
        functions = self.contract.functions
        return int(self.client.call(functions.sourceChainId())), str(self.client.call(functions.hub()))

    def fast_quorum(self) -> int:
        """Agreeing routes that make a record provisional."""
        return int(self.client.call(self.contract.functions.fastQuorum()))

    def route_of(self, route_id: bytes) -> tuple[str, bool]:
        """Adapter of a route (the zero address when there is none), and whether the route is native."""
        adapter, native = self.client.call(self.contract.functions.routeOf(route_id))
        return str(adapter), bool(native)


def _record(number: int, fields: tuple[bytes, int, int, int]) -> ModelRecord:
    found, agreeing, status, recorded_at = fields
    return ModelRecord(number, bytes(found), agreeing, RecordStatus(status), recorded_at)
