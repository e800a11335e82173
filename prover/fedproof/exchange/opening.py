"""Opening a round in a folder: trainers register, the model's owner signs the plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from fedproof.chain.digests import model_hash
from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError
from fedproof.exchange.documents import Base, OfflineModel, Registration, RoundPlan
from fedproof.exchange.fields import to_bytes, to_hex
from fedproof.exchange.folder import BASE, PLAN, RoundFolder
from fedproof.exchange.signing import account_of, check_signature, plan_message, registration_message, sign
from fedproof.exchange.store import ContentStore
from fedproof.files import sha256_file
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.vectors import ModelVector

_UNSIGNED = "0x" + "00" * 65


def register(model_id: bytes, root: bytes, batches: int, key: LocalAccount | str | bytes) -> Registration:
    """A trainer's registration with the Merkle root of its batches, signed with its ``key``."""
    account = account_of(key)
    return Registration(
        model_id=to_hex(model_id),
        trainer=to_checksum_address(account.address),
        dataset_root=to_hex(root),
        batches=batches,
        signature=sign(registration_message(model_id, account.address, root), account),
    )


def check_registration(registration: Registration, model_id: bytes) -> None:
    """Raise :class:`InvalidProof` unless a trainer signed this registration, for this model."""
    what = f"the registration of {registration.trainer}"
    if to_bytes(registration.model_id) != model_id:
        raise CallerError(f"{what} is for model {registration.model_id}, not for 0x{model_id.hex()}")
    root = to_bytes(registration.dataset_root)
    message = registration_message(model_id, registration.trainer, root)
    check_signature(message, registration.signature, registration.trainer, what=what)


def open_round(
    path: Path | str,
    model: OfflineModel,
    training: Circuit,
    base: ModelVector,
    registrations: Sequence[Registration],
    key: LocalAccount | str | bytes,
    *,
    number: int = 1,
    parent: int | None = None,
    min_trainers: int = 1,
    store: ContentStore | None = None,
) -> RoundFolder:
    """Write the plan and the first model of round ``number`` into a folder, signed by the model's owner.

    ``base`` is the model that round ``parent`` (``number`` - 1 unless given; 0 is the genesis) produced.
    Raises :class:`CallerError` if the folder holds a round already, the key is not the owner's, or ``base``
    is not the genesis where it should be; :class:`WrongSignature` for a registration nobody signed.
    """
    folder = RoundFolder(path, store=store)
    if (folder.path / PLAN).exists():
        raise CallerError(f"{folder.path} holds a round already", hint="one folder a round")
    account, model_id = account_of(key), model.id
    if to_checksum_address(account.address) != model.owner:
        raise CallerError(f"the model is owned by {model.owner}, the key is of {account.address}")
    for registration in registrations:
        check_registration(registration, model_id)
    start = number - 1 if parent is None else parent
    points = training.committer.pure(base.vector.tolist())
    if start == 0 and points != model.genesis_points:
        raise CallerError("the first round starts from the model that was registered, this is another")
    PublishedModel.of(training, base, model_id, start).save(folder.path / BASE)
    ordered = sorted(registrations, key=lambda r: r.trainer.lower())
    plan = RoundPlan(
        model=model,
        model_id=to_hex(model_id),
        number=number,
        base=Base(
            round=start,
            model_hash=to_hex(model_hash(model_id, start, points)),
            content=sha256_file(folder.path / BASE),
        ),
        trainers=tuple(ordered),
        min_trainers=min_trainers,
        signature=_UNSIGNED,
    )
    signature = sign(plan_message(model_id, number, plan.digest), account)
    folder.write(PLAN, plan.model_copy(update={"signature": signature}))
    return folder
