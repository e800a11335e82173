"""The measurement, stage by stage; every sample is written at once."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.million.declared import AVERAGE, LIMBS, declare
from benchmarks.onchain import Chain
from benchmarks.whole_round import submit_round
from benchmarks.workloads import AveragingWork
from fedproof.circuits.cost_model import CostModel
from fedproof.circuits.sizes import size_of
from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.commitments import NO_CONTEXT, Commitment, Point
from fedproof.errors import CallerError, InvalidProof
from fedproof.files import write_whole
from fedproof.lowering.ir import IntArray
from fedproof.project import Project
from fedproof.record import collect_host, collect_versions
from fedproof.rounds import Aggregator, Average, Proof
from fedproof.rounds.aggregator import fold_weights
from fedproof.rounds.average_check import check_average
from fedproof.rounds.vectors import ModelVector

#: Bits of a random update's elements, the sign included: those of steps of use.
UPDATE_BITS = 24


class Million:
    """One measurement. ``out`` takes ``million.json`` and a folder of what is kept."""

    def __init__(self, project: Project, out: Path, parameters: int, logrows: int, trainers: int) -> None:
        self.root, self.path = project.root, out / "million.json"
        self.parameters, self.logrows, self.trainers = parameters, logrows, trainers
        self.folder = out / "million" / f"{parameters}-k{logrows}"
        self.project = declare(self.folder, parameters, logrows, project.srs)
        self.found = self._load()

    def _load(self) -> dict[str, Any]:
        same = {"parameters": self.parameters, "logrows": self.logrows, "trainers": self.trainers}
        if self.path.is_file():
            found: dict[str, Any] = json.loads(self.path.read_text())
            if same.items() <= found.items():
                return found
        return {**same, "samples": {}}

    def forget(self) -> None:
        """Drop every sample and every proof; keys stay."""
        self.found = {k: self.found[k] for k in ("parameters", "logrows", "trainers")} | {"samples": {}}
        shutil.rmtree(self.folder / "proofs", ignore_errors=True)

    def _note(self, stage: str, sample: object) -> None:
        self.found["samples"].setdefault(stage, []).append(sample)
        self._write()

    def _write(self) -> None:
        write_whole(self.path, json.dumps(self.found, indent=1) + "\n")

    # -- what is averaged ---------------------------------------------------------------------------

    @cached_property
    def circuit(self) -> Circuit:
        """The average, compiled if need be."""
        return CircuitStore(self.project).get(AVERAGE)

    @cached_property
    def aggregator(self) -> Aggregator:
        """With the CPU's prover."""
        return Aggregator(self.circuit)

    @cached_property
    def weights(self) -> list[int]:
        """Of trainers with as many samples."""
        return fold_weights([1] * self.trainers, self.aggregator.bits)

    @cached_property
    def updates(self) -> list[IntArray]:
        """Random updates, the same in every run."""
        bits = min(UPDATE_BITS, LIMBS * self.aggregator.bits)
        half, length = 1 << (bits - 1), self.aggregator.length
        return [np.random.default_rng(i).integers(-half, half, length) for i in range(self.trainers)]

    @cached_property
    def average(self) -> Average:
        """Their average: what is proven."""
        return self.aggregator.average(self.updates, self.weights)

    # -- the stages ---------------------------------------------------------------------------------

    def steps(self) -> Iterator[str]:
        """Do what is missing, one stage after the other; yield a line about each."""
        yield self._compile()
        yield from self._receive()
        yield from self._prove()
        yield self._check()
        yield self._verify()
        yield self._summary()

    def _compile(self) -> str:
        started = time.perf_counter()
        manifest = self.circuit.manifest
        assert manifest.shards is not None
        if "compile_s" not in self.found:
            self.found["compile_s"] = round(time.perf_counter() - started, 1)
        part = self.circuit.parts[0]
        costs = manifest.costs.model_dump()
        # The self-test's own time and memory.
        one = part.manifest.costs
        size = size_of(part.program, self.logrows, costs["columns"])
        self.found |= {
            "host": collect_host().model_dump(),
            "versions": collect_versions(self.root).model_dump(),
            "key": manifest.key,
            "shards": {k: v for k, v in manifest.shards.model_dump().items() if k != "offset"},
            "setup_s": one.setup_s,
            "self_test": {"prove_s": one.prove_s, "peak_bytes": one.prove_peak_bytes},
            "pk_bytes": one.proving_key_bytes,
            "columns": costs["columns"],
            "cells_of_a_shard": one.cells,
            "proof_bytes": costs["proof_bytes"],
            "predicted_of_a_shard": asdict(CostModel().predict(size)),
        }
        self._write()
        count = manifest.shards.count
        return f"compiled: {count} shards, setup {one.setup_s:.0f} s, key {one.proving_key_bytes:,} bytes"

    def _receive(self) -> Iterator[str]:
        """Commit to what trainers send and compare, as on receipt; their commitments are made here, too."""
        committed = self.found.setdefault("commitments", [])
        for i, update in enumerate(self.updates):
            if i < len(committed):
                continue
            started = time.perf_counter()
            commitment = self.circuit.committer.pure(update)
            self._note("commit", {"wall_s": round(time.perf_counter() - started, 2)})
            committed.append([[hex(p.x), hex(p.y)] for p in commitment])
            self._write()
            yield f"update {i + 1} of {self.trainers} committed to"
        started = time.perf_counter()
        _ = self.average
        self._note("average", {"wall_s": round(time.perf_counter() - started, 2)})

    @property
    def commitments(self) -> list[Commitment]:
        """Pure commitments of the updates."""
        return [
            tuple(Point(int(x, 16), int(y, 16)) for x, y in commitment)
            for commitment in self.found["commitments"]
        ]

    def _proof_path(self, index: int) -> Path:
        return self.folder / "proofs" / f"shard{index}.json"

    def _kept(self, index: int) -> Proof | None:
        try:
            proof = Proof.load(self._proof_path(index))
        except (CallerError, InvalidProof):
            return None
        return proof if proof.key == self.circuit.parts[index].manifest.key else None

    def _prove(self) -> Iterator[str]:
        count = len(self.circuit.parts)
        for index in range(count):
            if self._kept(index):
                yield f"shard {index + 1} of {count}: proven before"
                continue
            started = time.perf_counter()
            proof = self.aggregator.prove_part(self.average, index)
            wall = time.perf_counter() - started
            proof.save(self._proof_path(index))
            sample = {
                "shard": index,
                "wall_s": round(wall, 2),
                "witness_s": proof.witness_s,
                "prove_s": proof.prove_s,
                "peak_bytes": proof.peak_bytes,
                "load_average": round(_load_average(), 2),
            }
            self._note("prove", sample)
            yield f"shard {index + 1} of {count}: {wall:.0f} s, {proof.peak_bytes / 1e9:.2f} GB"

    @cached_property
    def proof(self) -> Proof:
        """All shards' proofs."""
        kept = [self._kept(i) for i in range(len(self.circuit.parts))]
        return Proof.joined(self.circuit, [p for p in kept if p])

    def _check(self) -> str:
        """Check the proof as the hub does, against the updates' commitments."""
        started = time.perf_counter()
        delta = check_average(self.circuit, self.proof, self.commitments, self.weights)
        seconds = time.perf_counter() - started
        self.circuit.committer.check_opening(self.average.delta, delta, what="the average")
        self._note("check", {"wall_s": round(seconds, 2)})
        return f"checked against the updates' commitments in {seconds:.1f} s"

    def _verify(self) -> str:
        """Verify all shards on a local chain: through the adapter alone, and in the finalize of a real hub.

        Trainers' commitments are the real ones; who verifies their steps is a stand-in, as in make bench.
        """
        start = np.zeros(self.aggregator.length, dtype=np.int64)
        start[0] = 1
        model = ModelVector(start[: self.parameters], start[self.parameters :], 0)
        chain = Chain(self.folder / "devnet")
        try:
            verifier = chain.adapter(self.circuit)
            call = verifier.contract.functions.verify(NO_CONTEXT, self.proof.raw, list(verifier.vka))
            gas = {"verify": chain.client.send(call).gas}
            work = AveragingWork(model, self.updates, 0)
            played = submit_round(chain, self.circuit, work, self.commitments)
            vka = list(verifier.vka)
            _, receipt = played.hub.finalize(played.model_id, played.number, self.proof.raw, vka)
            gas["finalize"] = receipt.gas
            result = played.hub.round(played.model_id, played.number).result
            committed = self.circuit.committer.pure(start + self.average.delta)
            if tuple(result) != committed:
                raise AssertionError("the hub's new model is not the one that was computed")
        finally:
            chain.close()
        self.found |= {"gas": gas, "verifier": "reusable" if verifier.vka else "plain"}
        self._write()
        return (
            f"finalized on a local hub: {gas['finalize']:,} gas, {gas['verify']:,} to verify the proofs alone"
        )

    def _summary(self) -> str:
        proven = self.found["samples"]["prove"]
        total = sum(s["wall_s"] for s in proven)
        peak = max(s["peak_bytes"] for s in proven)
        self.found |= {"prove_wall_s": round(total, 1), "peak_bytes": peak}
        self._write()
        told = f"{total:.0f} s of proving, {peak / 1e9:.2f} GB, {self.found['gas']['finalize']:,} gas"
        return f"{self.parameters:,} parameters: {told}"


def _load_average() -> float:
    """Of the last minute: a machine that does other work proves more slowly."""
    return float(Path("/proc/loadavg").read_text().split()[0])
