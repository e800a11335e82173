"""What is signed in a round folder, as EIP-712 messages: worth nothing to a hub or in another round."""

from __future__ import annotations

from typing import Any

from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.local import LocalAccount

from fedproof.errors import CallerError, InvalidProof
from fedproof.exchange.fields import to_bytes, to_hex

#: A hub's domain has a chain and a contract; this one has neither.
_DOMAIN = {"name": "Fedproof round folder", "version": "1"}


class WrongSignature(InvalidProof):
    """A document was signed by somebody else, or says something else than was signed."""


def registration_message(model_id: bytes, trainer: str, dataset_root: bytes) -> SignableMessage:
    """What a trainer signs to take part in a model's rounds with its dataset."""
    return _message(
        "Registration",
        {
            "modelId": ("bytes32", model_id),
            "trainer": ("address", trainer),
            "datasetRoot": ("bytes32", dataset_root),
        },
    )


def plan_message(model_id: bytes, number: int, document: bytes) -> SignableMessage:
    """What a model's owner signs to open a round; ``document`` is the hash of the plan."""
    return _document_message("RoundPlan", model_id, number, document)


def commitment_message(
    model_id: bytes, number: int, trainer: str, plan: bytes, digest: bytes
) -> SignableMessage:
    """What a trainer signs before it reveals: ``digest`` covers its steps, ``plan`` is that of the round."""
    return _message(
        "Commitment",
        {
            "modelId": ("bytes32", model_id),
            "round": ("uint64", number),
            "trainer": ("address", trainer),
            "plan": ("bytes32", plan),
            "digest": ("bytes32", digest),
        },
    )


def result_message(model_id: bytes, number: int, document: bytes) -> SignableMessage:
    """What a model's owner signs to close a round; ``document`` is the hash of the result."""
    return _document_message("RoundResult", model_id, number, document)


def sign(message: SignableMessage, key: LocalAccount) -> str:
    """Return the signature, 65 bytes in hex."""
    return to_hex(bytes(key.sign_message(message).signature))


def check_signature(message: SignableMessage, signature: str, signer: str, *, what: str) -> None:
    """Raise :class:`WrongSignature` unless ``signer`` signed ``message``; ``what`` names it."""
    try:
        found = Account.recover_message(message, signature=to_bytes(signature))
    # eth-account and eth-keys raise many types for what is no signature.
    except Exception as error:
        raise WrongSignature(f"{what} has a signature that is none: {type(error).__name__}") from error
    if found != signer:
        raise WrongSignature(
            f"{what} is signed by {found}, not by {signer}, or says something else than was signed"
        )


def account_of(key: LocalAccount | str | bytes) -> LocalAccount:
    """Return the account of a private key (32 bytes, or their hex), or the account itself."""
    if isinstance(key, LocalAccount):
        return key
    try:
        account: LocalAccount = Account.from_key(key)
    # Many types, some of which quote the key.
    except Exception as error:  # noqa: BLE001
        raise CallerError(
            f"key is no private key ({type(error).__name__})", hint="32 bytes in hex, or an eth-account"
        ) from None
    return account


def _document_message(kind: str, model_id: bytes, number: int, document: bytes) -> SignableMessage:
    return _message(
        kind,
        {"modelId": ("bytes32", model_id), "round": ("uint64", number), "document": ("bytes32", document)},
    )


def _message(kind: str, fields: dict[str, tuple[str, Any]]) -> SignableMessage:
    types = {kind: [{"name": name, "type": type_} for name, (type_, _) in fields.items()]}
    values = {name: value for name, (_, value) in fields.items()}
    return encode_typed_data(domain_data=_DOMAIN, message_types=types, message_data=values)
