"""A trainer's part in the rounds of one model on a hub. Everything needed to go on lies in its folder."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fedproof.chain.client import Receipt
from fedproof.chain.digests import commit_digest, step_context
from fedproof.chain.hub import HubClient, StepProof
from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError, TerminalError
from fedproof.files import write_whole
from fedproof.lowering.ir import IntArray
from fedproof.provers import Prover
from fedproof.rounds.dataset import Dataset
from fedproof.rounds.kept import prove_kept
from fedproof.rounds.proof import Proof
from fedproof.rounds.trainer import PreparedStep, Trainer
from fedproof.rounds.vectors import ModelVector

if TYPE_CHECKING:
    from fedproof.exchange import UpdateExchange


@dataclass
class TrainerRound:
    """What a trainer did in one round. Times in seconds, gas in gas units."""

    nonce: bytes
    batches: list[int]
    steps: list[PreparedStep]
    proofs: list[Proof] = field(default_factory=list)
    train_s: float = 0.0

    @property
    def update(self) -> IntArray:
        """The update (D + S,): the sum of minus the steps."""
        total: IntArray = -np.sum([s.vector for s in self.steps], axis=0)
        return total


class TrainerSession:
    """One trainer of one model.

    ``folder`` is private: it holds witnesses, which hold data. ``exchange`` is where updates are left for
    aggregators elsewhere. A session made again over the same folder
    goes on where the last one stopped, and proves nothing twice.
    """

    def __init__(
        self,
        circuit: Circuit,
        dataset: Dataset,
        hub: HubClient,
        model_id: bytes,
        folder: Path,
        prover: Prover | None = None,
        exchange: UpdateExchange | None = None,
    ) -> None:
        self.circuit = circuit
        self.dataset = dataset
        self.hub = hub
        self.model_id = model_id
        self.folder = folder
        self.prover = prover
        self.exchange = exchange
        self.address = _address_of(hub)

    def register(self) -> Receipt | None:
        """Register the dataset's root, unless it stands there already."""
        if self.hub.trainer(self.model_id, self.address).dataset_root == self.dataset.tree.root:
            return None
        return self.hub.register_dataset(self.model_id, self.dataset.tree.root)

    def train(self, round_number: int, model: ModelVector, steps: int) -> TrainerRound:
        """Take ``steps`` exact steps from the global model on the next batches, or return those taken."""
        kept = self._load(round_number)
        if kept is not None:
            return kept
        if not 0 < steps <= len(self.dataset):
            raise CallerError(f"{steps} steps a round, but the dataset has {len(self.dataset)} batches")
        started = time.perf_counter()
        first = (round_number - 1) * steps
        batches = [(first + j) % len(self.dataset) for j in range(steps)]
        trainer = Trainer(self.circuit, model, self.prover)
        for index in batches:
            trainer.step(self.dataset.batches[index])
        work = TrainerRound(
            secrets.token_bytes(32), batches, trainer.steps, train_s=time.perf_counter() - started
        )
        self._save(round_number, work)
        return work

    def commit(self, round_number: int, work: TrainerRound) -> Receipt | None:
        """Commit to the steps on the hub, unless that was done."""
        if self.hub.commit_of(self.model_id, round_number, self.address) is not None:
            return None
        return self.hub.commit(self.model_id, round_number, self.digest(round_number, work))

    def digest(self, round_number: int, work: TrainerRound) -> bytes:
        """Return what is committed to: all batch and step commitments, the address, a nonce."""
        points = [p for step in work.steps for slot in ("batch", "step") for p in step.commitment(slot)]
        return commit_digest(self.model_id, round_number, self.address, work.nonce, points)

    def prove(self, round_number: int, work: TrainerRound, index: int) -> Proof:
        """Prove one step, or return the proof that is there."""
        step, context = work.steps[index], step_context(self.model_id, round_number, self.address)
        proof = prove_kept(step, self.folder / f"round{round_number}", f"step{index}", self.prover, context)
        if len(work.proofs) == index:
            work.proofs.append(proof)
        return proof

    def submit(self, round_number: int, work: TrainerRound, vka: tuple[bytes, ...] = ()) -> Receipt | None:
        """Reveal and prove the steps to the hub, unless that was done."""
        if any(s.trainer == self.address for s in self.hub.submissions(self.model_id, round_number)):
            return None
        if len(work.proofs) != len(work.steps):
            raise CallerError(f"{len(work.proofs)} of {len(work.steps)} steps are proven")
        steps = [
            StepProof(proof.raw, self.dataset.path(batch))
            for proof, batch in zip(work.proofs, work.batches, strict=True)
        ]
        return self.hub.submit(self.model_id, round_number, work.nonce, steps, vka)

    def publish_update(self, round_number: int, work: TrainerRound) -> Path:
        """Leave the update where aggregators fetch it: in the folder, and in the exchange if there is one."""
        if self.exchange is not None:
            commitment = self.circuit.committer.pure(work.update)
            self.exchange.publish(
                work.update,
                commitment,
                model_id=self.model_id,
                round_number=round_number,
                trainer=self.address,
            )
        path = self._path(round_number, "update.json")
        write_whole(path, json.dumps({"trainer": self.address, "update": [int(v) for v in work.update]}))
        return path

    def _path(self, round_number: int, name: str) -> Path:
        return self.folder / f"round{round_number}" / name

    def _save(self, round_number: int, work: TrainerRound) -> None:
        path = self._path(round_number, "steps.json")
        write_whole(
            path,
            json.dumps(
                {
                    "key": self.circuit.manifest.key,
                    "nonce": work.nonce.hex(),
                    "batches": work.batches,
                    "train_s": work.train_s,
                    # As strings: a salt has 254 bits.
                    "steps": [[[str(v) for v in slot] for slot in s.slots] for s in work.steps],
                }
            ),
            mode=0o600,
        )

    def _load(self, round_number: int) -> TrainerRound | None:
        path = self._path(round_number, "steps.json")
        if not path.is_file():
            return None
        try:
            kept = json.loads(path.read_text())
            if kept["key"] != self.circuit.manifest.key:
                raise TerminalError(
                    f"{path} holds steps of another build of {self.circuit.name!r}",
                    hint="finish the round with the circuit it was begun with, or let it be cancelled",
                )
            steps = [
                PreparedStep(self.circuit, [[int(v) for v in slot] for slot in s]) for s in kept["steps"]
            ]
            return TrainerRound(bytes.fromhex(kept["nonce"]), kept["batches"], steps, train_s=kept["train_s"])
        except (KeyError, ValueError, TypeError) as e:
            raise TerminalError(
                f"{path} is damaged: {type(e).__name__}: {e}",
                hint="without it the round's steps cannot be proven",
            ) from e


def _address_of(hub: HubClient) -> str:
    account = hub.client.account
    if account is None:
        raise CallerError("a trainer's hub client needs an account to act as")
    return str(account.address)
