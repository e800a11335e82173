"""What travels in Flower's records: vectors of integers, and the record that says what a message is for.

Everything read here may come from a stranger: whatever is not as it should be is :class:`InvalidProof`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from fedproof.circuits.store import Circuit
from fedproof.errors import InvalidProof
from fedproof.exchange.vectors import unpack
from fedproof.lowering.ir import IntArray
from fedproof.rounds.vectors import ModelVector

#: Keys of the records that are ours.
PROTOCOL, VECTOR, UPDATE = "fedproof", "vector", "update"
FORMAT = 1

Phase = Literal["enrol", "train", "commit", "submit"]
Kind = TypeVar("Kind")


def arrays_of(model: ModelVector) -> ArrayRecord:
    """Return a model as Flower sends it: one array of int64 (D + S,), salt included."""
    return vector_record(model.vector)


def model_of(circuit: Circuit, arrays: ArrayRecord) -> ModelVector:
    """Return the model that a record holds; raises :class:`InvalidProof` if it is none of the circuit's."""
    return ModelVector.from_vector(circuit, read_vector(arrays, circuit.manifest.slot("model").length))


def sent_model(circuit: Circuit, message: Message) -> ModelVector:
    """Return the one model that a message carries; raises :class:`InvalidProof`."""
    arrays = list(message.content.array_records.values())
    if len(arrays) != 1:
        raise InvalidProof(f"the server sent {len(arrays)} array records, one model is expected")
    return model_of(circuit, arrays[0])


def without_arrays(reply: Message) -> None:
    """Take the arrays out of a reply: what a train function makes of them, nobody has proven."""
    for name in list(reply.content.array_records):
        del reply.content[name]


def vector_record(vector: IntArray) -> ArrayRecord:
    """Return a vector of int64 as the only array of a record."""
    return ArrayRecord({VECTOR: Array(np.ascontiguousarray(vector, dtype="<i8"))})


def read_vector(arrays: ArrayRecord, length: int) -> IntArray:
    """Return the only vector (length,) of a record, in its one encoding; raises :class:`InvalidProof`."""
    if list(arrays) != [VECTOR]:
        raise InvalidProof(f"a record with the one array {VECTOR!r} is expected, not {sorted(arrays)[:5]}")
    # What stands beside the bytes is of no use: they say what they are.
    return unpack(arrays[VECTOR].data, length)


@dataclass(frozen=True)
class Call:
    """What the server asks for, in a run with a model: that the node enrols, or trains in a round.

    ``nonce`` makes an enrolment fresh; ``plan`` is the signed plan of round ``number``, which proofs are for.
    On a hub, whose address is ``hub``, a round has no plan, and two parts: ``commit`` and ``submit``.
    """

    phase: Phase
    model_id: bytes
    circuit: str
    key: str
    nonce: bytes = b""
    number: int = 0
    plan: bytes = b""
    hub: str = ""

    def record(self) -> ConfigRecord:
        """Return the record that asks for it."""
        return ConfigRecord(
            {
                "format": FORMAT,
                "phase": self.phase,
                "model-id": self.model_id,
                "circuit": self.circuit,
                "key": self.key,
                "nonce": self.nonce,
                "round": self.number,
                "plan": self.plan,
                "hub": self.hub,
            }
        )

    @classmethod
    def read(cls, content: RecordDict) -> Call | None:
        """Return what a message asks for, None if it is none of ours; raises :class:`InvalidProof`."""
        if PROTOCOL not in content.config_records:
            return None
        given = content.config_records[PROTOCOL]
        if value(given, "format", int) != FORMAT:
            raise InvalidProof(f"the message has format {given['format']!r}, this is {FORMAT}")
        asked = value(given, "phase", str)
        phase = next((p for p in get_args(Phase) if p == asked), None)
        if phase is None:
            raise InvalidProof(f"the message asks for {asked!r}")
        return cls(
            phase,
            _word(given, "model-id"),
            value(given, "circuit", str),
            value(given, "key", str),
            value(given, "nonce", bytes),
            value(given, "round", int),
            value(given, "plan", bytes),
            value(given, "hub", str),
        )


def value(record: ConfigRecord, name: str, kind: type[Kind]) -> Kind:
    """Return an entry of exactly that type; raises :class:`InvalidProof`."""
    found = record.get(name)
    if type(found) is not kind:
        raise InvalidProof(f"the entry {name!r} is missing or is no {kind.__name__}")
    return found


def _word(record: ConfigRecord, name: str) -> bytes:
    """Return an entry of 32 bytes."""
    found = value(record, name, bytes)
    if len(found) != 32:
        raise InvalidProof(f"the entry {name!r} has {len(found)} bytes, not 32")
    return found


def blobs(record: ConfigRecord, name: str, most: int, size: int) -> list[bytes]:
    """Return a list of byte strings: at most ``most``, none longer than ``size``."""
    found = record.get(name)
    if not isinstance(found, list) or not all(type(b) is bytes for b in found):
        raise InvalidProof(f"the entry {name!r} is missing or is no list of bytes")
    if len(found) > most or any(len(b) > size for b in found if isinstance(b, bytes)):
        raise InvalidProof(f"the entry {name!r} has more than {most} items of {size} bytes")
    return [b for b in found if isinstance(b, bytes)]
