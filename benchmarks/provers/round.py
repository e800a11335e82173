"""A whole round, offline: each trainer's step proven and checked, then the average."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.provers.sampling import MemorySampler
from fedproof.circuits.store import CircuitStore
from fedproof.export import load_attribute
from fedproof.project import Project
from fedproof.provers import Prover
from fedproof.rounds import Aggregator, ModelVector, Trainer, check_proof
from fedproof.rounds.aggregator import fold_weights
from fedproof.rounds.trainer import update_commitment


def whole_round(project: Project, name: str, trainers: int, prover: Prover, at_once: int) -> dict[str, Any]:
    """Seconds of each stage; ``at_once`` proofs are asked for at a time."""
    store = CircuitStore(project)
    step, average = store.get(name), store.get(f"{name}-average")
    batch = step.manifest.spec.batch
    x, y = load_attribute("models/digits.py:load", project.root)()
    start = ModelVector.zeros(step)
    seconds: dict[str, float] = {}

    def stage(what: str, since: float) -> float:
        now = time.perf_counter()
        seconds[what] = round(now - since, 3)
        return now

    with MemorySampler() as memory, ThreadPoolExecutor(at_once) as threads:
        began = clock = time.perf_counter()
        people = [Trainer(step, start, prover) for _ in range(trainers)]
        steps = [
            trainer.step(x[i * batch : (i + 1) * batch], y[i * batch : (i + 1) * batch])
            for i, trainer in enumerate(people)
        ]
        clock = stage("train", clock)
        proofs = list(threads.map(lambda pair: pair[0].prove(pair[1]), zip(people, steps, strict=True)))
        clock = stage("prove", clock)
        list(threads.map(lambda proof: check_proof(step, proof, prover), proofs))
        clock = stage("verify", clock)
        aggregator = Aggregator(average, prover)
        updates = [
            aggregator.receive(trainer.update, update_commitment([prepared]))
            for trainer, prepared in zip(people, steps, strict=True)
        ]
        weights = fold_weights([batch] * trainers, aggregator.bits)
        proof = aggregator.prove(aggregator.average(updates, weights), at_once)
        check_proof(average, proof, prover)
        stage("average", clock)
        total = time.perf_counter() - began
    return {
        "circuit": name,
        "trainers": trainers,
        "prover": prover.name,
        "at_once": at_once,
        "seconds": seconds | {"total": round(total, 3)},
        "proof_s": [round(p.witness_s + p.prove_s, 3) for p in proofs],
        "most_bytes": memory.most,
    }
