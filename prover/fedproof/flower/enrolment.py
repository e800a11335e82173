"""Which trainer a Flower node speaks for.

Flower says which node sent a message, an Ethereum key says which trainer. Only a signature by the second over
the first binds them. It covers a nonce of the server, so that none can be shown again, and comes before the
node is sent a model: the dataset's root is fixed before there is anything to choose batches for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from eth_account import Account
from eth_account.messages import encode_defunct
from pydantic import Field, ValidationError

from fedproof.circuits.spec import Strict
from fedproof.errors import InvalidProof
from fedproof.exchange.documents import Registration
from fedproof.exchange.fields import Hash, to_hex
from fedproof.exchange.opening import check_registration
from fedproof.flower.wire import Call
from fedproof.training import ProvingTrainer

#: More bytes than any honest enrolment has.
MOST_BYTES = 1 << 14


class Enrolment(Strict):
    """``node`` speaks for the trainer of ``registration``."""

    format: Literal[1] = 1
    kind: Literal["enrolment"] = "enrolment"
    model_id: Hash
    nonce: Hash
    node: int = Field(ge=0, lt=2**64)
    registration: Registration


def enrolled(trainer: ProvingTrainer, call: Call, node: int) -> tuple[bytes, bytes]:
    """Return the enrolment that a server asks for, as bytes, and the trainer's signature over them."""
    registration = trainer.registration(call.model_id)
    enrolment = Enrolment(
        model_id=to_hex(call.model_id), nonce=to_hex(call.nonce), node=node, registration=registration
    )
    raw = enrolment.model_dump_json().encode()
    return raw, bytes(trainer.account.sign_message(_message(raw)).signature)


@dataclass
class Enrolments:
    """The nodes of a run and the trainers they speak for.

    ``admitted`` are the trainers who may take part, by address; None admits whoever has a key, which stops
    nobody from being many.
    """

    model_id: bytes
    admitted: Collection[str] | None = None
    _of_node: dict[int, Registration] = field(default_factory=dict)
    _roots: dict[str, str] = field(default_factory=dict)

    def of(self, node: int) -> Registration | None:
        """Return the registration of the trainer that a node speaks for."""
        return self._of_node.get(node)

    def enrol(self, node: int, call: Call, raw: bytes, signature: bytes) -> Registration:
        """Bind ``node`` to the trainer who signed. A trainer who comes back with another node keeps its root.

        Raises :class:`InvalidProof` saying what is wrong.
        """
        enrolment = _read(raw)
        found = enrolment.registration
        if (enrolment.model_id, enrolment.nonce) != (to_hex(call.model_id), to_hex(call.nonce)):
            raise InvalidProof("the enrolment answers another call: it was shown before, or elsewhere")
        if enrolment.node != node:
            raise InvalidProof(f"the enrolment of node {enrolment.node} was sent by node {node}")
        if self.admitted is not None and found.trainer.lower() not in {a.lower() for a in self.admitted}:
            raise InvalidProof(f"{found.trainer} is not admitted to this model")
        signer = _signer(raw, signature)
        if signer != found.trainer:
            raise InvalidProof(f"the enrolment of {found.trainer} is signed by {signer or 'nobody'}")
        if found.model_id != enrolment.model_id:
            raise InvalidProof("the registration is for another model")
        check_registration(found, self.model_id)
        if self._roots.setdefault(found.trainer, found.dataset_root) != found.dataset_root:
            raise InvalidProof(f"{found.trainer} has registered another dataset before")
        self._of_node = {n: r for n, r in self._of_node.items() if r.trainer != found.trainer}
        self._of_node[node] = found
        return found


def _read(raw: bytes) -> Enrolment:
    if len(raw) > MOST_BYTES:
        raise InvalidProof(f"{len(raw)} bytes are no enrolment")
    try:
        return Enrolment.model_validate_json(raw)
    except ValidationError as e:
        problem = e.errors()[0]
        where = ".".join(str(p) for p in problem["loc"])
        raise InvalidProof(f"not an enrolment: {where}: {problem['msg']}") from e


def _message(raw: bytes) -> Any:  # noqa: ANN401 - eth-account's own message type
    return encode_defunct(b"Fedproof enrolment of a Flower node\n" + raw)


def _signer(raw: bytes, signature: bytes) -> str | None:
    try:
        return str(Account.recover_message(_message(raw), signature=signature))
    # eth-account and eth-keys raise many types for bytes that are no signature.
    except Exception:  # noqa: BLE001
        return None
