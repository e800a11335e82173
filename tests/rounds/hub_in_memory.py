"""A hub in memory: who may do what when, and the commitments, but no proofs and no chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from fedproof.chain.digests import commit_digest, model_hash
from fedproof.chain.hub import Phase, StepProof
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, add, neg, read_commitments
from fedproof.rounds.aggregator import fold_weights


@dataclass
class Round:
    number: int
    parent: int
    phase: Phase = Phase.COMMIT
    digests: dict[str, bytes] = field(default_factory=dict)
    submissions: list[SimpleNamespace] = field(default_factory=list)
    result: Commitment = ()
    model_hash: bytes = b""


@dataclass
class Memory:
    """What all clients of the hub share. ``calls`` lists every transaction; ``fail`` raises at one."""

    training: Circuit
    average: Circuit
    genesis: Commitment
    trainers: int
    rounds: list[Round] = field(default_factory=list)
    current: int = 0
    calls: list[str] = field(default_factory=list)
    fail: str = ""
    fail_after: str = ""

    def model_at(self, number: int) -> Commitment:
        return self.genesis if number == 0 else self.rounds[number - 1].result


class HubInMemory:
    """The part of HubClient that sessions and drivers use."""

    def __init__(self, memory: Memory, address: str) -> None:
        self.memory = memory
        self.client = SimpleNamespace(account=SimpleNamespace(address=address))
        self.address = address

    def _sent(self, call: str) -> str:
        if self.memory.fail == call:
            raise ConnectionError(call)
        self.memory.calls.append(f"{call} {self.address}")
        return call

    def _accepted(self, call: str) -> None:
        if self.memory.fail_after == call:
            raise ConnectionError(call)

    def _round(self, number: int) -> Round:
        return self.memory.rounds[number - 1]

    def latest_round(self, model_id: bytes) -> int:
        return len(self.memory.rounds)

    def phase(self, model_id: bytes, number: int) -> Phase:
        return self._round(number).phase

    def round(self, model_id: bytes, number: int) -> Round:
        return self._round(number)

    def model(self, model_id: bytes) -> SimpleNamespace:
        m = self.memory
        return SimpleNamespace(current_round=m.current, current=m.model_at(m.current))

    def open_round(self, model_id: bytes) -> tuple[int, Any]:
        receipt = self._sent("open")
        self.memory.rounds.append(Round(len(self.memory.rounds) + 1, self.memory.current))
        return len(self.memory.rounds), receipt

    def cancel(self, model_id: bytes, number: int) -> Any:
        assert self._round(number).phase is Phase.EXPIRED
        self._round(number).phase = Phase.CANCELLED
        return self._sent("cancel")

    def commit_of(self, model_id: bytes, number: int, account: str) -> bytes | None:
        return self._round(number).digests.get(account)

    def commit(self, model_id: bytes, number: int, digest: bytes) -> Any:
        state = self._round(number)
        assert state.phase is Phase.COMMIT
        receipt = self._sent("commit")
        state.digests[self.address] = digest
        if len(state.digests) == self.memory.trainers:
            state.phase = Phase.SUBMIT
        self._accepted("commit")
        return receipt

    def submissions(self, model_id: bytes, number: int) -> list[SimpleNamespace]:
        return self._round(number).submissions

    def submit(self, model_id: bytes, number: int, nonce: bytes, steps: list[StepProof], vka: object) -> Any:
        state, committer = self._round(number), self.memory.training.committer
        assert state.phase is Phase.SUBMIT
        receipt = self._sent("submit")
        model, revealed = committer.to_full(self.memory.model_at(state.parent)), []
        start = model
        for step in steps:
            base, batch, delta, _ = read_commitments(step.proof, [1, 1, 1, 1])
            assert base == model
            revealed += [*batch, *delta]
            model = add(model, neg(committer.to_pure(delta)))
        assert commit_digest(model_id, number, self.address, nonce, revealed) == state.digests[self.address]
        update = add(model, neg(start))
        state.submissions.append(
            SimpleNamespace(trainer=self.address, left_out=False, update=update, samples=2 * len(steps))
        )
        if len(state.submissions) == len(state.digests):
            state.phase = Phase.FINALIZE
        self._accepted("submit")
        return receipt

    def weights(self, model_id: bytes, number: int) -> dict[str, int]:
        counted = [s for s in self._round(number).submissions if not s.left_out]
        return dict(
            zip((s.trainer for s in counted), fold_weights([s.samples for s in counted], 8), strict=True)
        )

    def finalize(self, model_id: bytes, number: int, proof: bytes, vka: object) -> tuple[bytes, Any]:
        state, committer = self._round(number), self.memory.average.committer
        assert state.phase is Phase.FINALIZE
        receipt = self._sent("finalize")
        delta = committer.to_pure(read_commitments(proof, [1, 1])[1])
        state.result = add(self.memory.model_at(state.parent), delta)
        state.model_hash = model_hash(model_id, number, state.result)
        state.phase = Phase.FINALIZED
        self.memory.current = number
        self._accepted("finalize")
        return state.model_hash, receipt
