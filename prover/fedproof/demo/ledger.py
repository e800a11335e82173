"""Collecting what a run did into its record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fedproof.chain.artefacts import MAX_RUNTIME_BYTES
from fedproof.chain.client import Receipt
from fedproof.chain.deployment import Deployment
from fedproof.chain.solidity import compile_verifier
from fedproof.circuits import layout
from fedproof.circuits.store import Circuit
from fedproof.demo.twin import Standing
from fedproof.record import (
    AggregateProof,
    CircuitFacts,
    L1Delivery,
    Round,
    StageSeconds,
    StepProof,
    TrainerRound,
    Transaction,
)
from fedproof.relay.layerzero.worker import Delivery
from fedproof.rounds.driver import RoundOutcome


def hexed(value: bytes) -> str:
    """0x-prefixed hex."""
    return "0x" + value.hex()


@dataclass
class Ledger:
    """Transactions and times of a run, as they happen."""

    transactions: list[Transaction] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(
        self,
        chain: str,
        purpose: str,
        receipt: Receipt | None,
        label: str = "",
        round_number: int | None = None,
    ) -> int:
        """Note a transaction; return its gas, 0 where there was none."""
        if receipt is None:
            return 0
        self.transactions.append(
            Transaction(
                chain="l2" if chain == "l2" else "l1",
                purpose=purpose,
                label=label,
                round=round_number,
                tx=receipt.tx,
                gas=receipt.gas,
            )
        )
        return receipt.gas

    def add_deployment(self, deployment: Deployment) -> None:
        """Note every transaction of a deployment."""
        for t in deployment.transactions():
            self.transactions.append(
                Transaction(
                    chain="l2" if t.chain == "l2" else "l1",
                    purpose="deploy",
                    label=t.step,
                    tx=t.tx,
                    gas=t.gas,
                )
            )

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time of a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def circuit_facts(circuit: Circuit, kind: str, verifier: str, compile_s: float | None) -> CircuitFacts:
    """Return what a circuit is and costs; ``verifier`` is the kind of a deployment's record.

    Bytes are sums over a circuit's segments; shards share one key and one verifier.
    """
    costs = circuit.manifest.costs
    parts = list({part.manifest.key: part for part in circuit.parts}.values())
    return CircuitFacts(
        name=circuit.name,
        kind="step" if kind == "step" else "aggregate",
        rows=costs.rows,
        logrows=costs.logrows,
        cells=costs.cells,
        proving_key_bytes=costs.proving_key_bytes,
        verifying_key_bytes=sum((p.folder / layout.VK).stat().st_size for p in parts),
        proof_bytes=costs.proof_bytes,
        verifier_bytes=sum(_verifier_bytes(p, verifier) for p in parts),
        compile_s=compile_s,
    )


def _verifier_bytes(part: Circuit, kind: str) -> int:
    """Runtime code of what was deployed of one part: where the record does not say, what fits a contract."""
    plain = len(compile_verifier(part.folder / layout.PLAIN_VERIFIER).runtime)
    if kind == "plain" or (kind != "reusable" and plain <= MAX_RUNTIME_BYTES):
        return plain
    return len(compile_verifier(part.folder / layout.REUSABLE_VERIFIER).runtime)


def record_round(
    ledger: Ledger,
    outcome: RoundOutcome,
    relayed: Receipt,
    delivery: Delivery,
    registry_hash: bytes,
    *,
    samples_per_step: int,
    standings: tuple[Standing, Standing],
    relay_s: float,
) -> Round:
    """Return the record of a finalized and delivered round; notes its transactions."""
    number, average = outcome.number, outcome.average_proof
    if average is None or outcome.finalized is None:
        raise AssertionError("a round is recorded by the run that finalized it")
    ledger.add("l2", "open", outcome.opened, round_number=number)
    trainers = []
    for address, work in outcome.work.items():
        trainers.append(
            TrainerRound(
                address=address,
                samples=len(work.steps) * samples_per_step,
                steps=[
                    StepProof(
                        circuit=p.circuit, prove_s=p.prove_s, witness_s=p.witness_s, proof_bytes=len(p.raw)
                    )
                    for p in work.proofs
                ],
                commit_gas=ledger.add("l2", "commit", outcome.commits[address], address, number),
                submit_gas=ledger.add("l2", "submit", outcome.submits[address], address, number),
            )
        )
    finalize_gas = ledger.add("l2", "finalize", outcome.finalized, round_number=number)
    ledger.add("l2", "relay", relayed, "LayerZero", number)
    for step, receipt in delivery.steps:
        ledger.add("l1", "deliver", receipt, step, number)
    last = delivery.steps[-1][1]
    return Round(
        round=number,
        trainers=trainers,
        aggregate=AggregateProof(
            circuit=average.circuit,
            prove_s=average.prove_s,
            witness_s=average.witness_s,
            proof_bytes=len(average.raw),
        ),
        finalize_gas=finalize_gas,
        model_hash=hexed(outcome.model_hash),
        l1=L1Delivery(
            route="layerzero",
            tx=last.tx,
            gas=last.gas,
            model_hash=hexed(registry_hash),
        ),
        accuracy=standings[0].accuracy,
        accuracy_float=standings[1].accuracy,
        loss=standings[0].loss,
        loss_float=standings[1].loss,
        seconds=StageSeconds(**{k: round(v, 4) for k, v in outcome.seconds.items()}, relay=round(relay_s, 4)),
    )
