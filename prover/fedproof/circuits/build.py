"""Making the artefacts of one circuit: graph, keys, verifiers, a self-test, and the manifest of it all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx

from fedproof.circuits import layout
from fedproof.circuits.compiled import MANIFEST, segment_folder
from fedproof.circuits.manifest import Costs, Manifest, SegmentEntry, SlotShape
from fedproof.circuits.shards import FOLDER as SHARD
from fedproof.circuits.shards import Shards
from fedproof.circuits.spec import AnySpec
from fedproof.circuits.witness import LATE, late_vectors, sample_vectors
from fedproof.commitments import NO_CONTEXT, Committer
from fedproof.errors import TerminalError
from fedproof.files import sha256_file, write_whole
from fedproof.lowering import Cut, Program
from fedproof.provers.cpu import CpuProver, run_worker
from fedproof.srs import Srs

CIRCUIT = "circuit.onnx"
#: Called with a stage's name as it starts.
Stage = Callable[[str], None]


def versions() -> dict[str, str]:
    """Versions of everything that shapes a circuit."""
    return {p: version(p) for p in ("ezkl", "torch", "onnx", "onnxscript")}


@dataclass(frozen=True)
class Plan:
    """What is to be built: segments of ``cut``, their claims in ``parts``, their circuit ``graphs``.

    Of an average in ``shards`` the only graph is that of the circuit they share.
    """

    name: str
    key: str
    spec: AnySpec
    srs: Srs
    parts: tuple[tuple[int, ...], ...]
    cut: Cut
    graphs: tuple[onnx.ModelProto, ...]
    shards: Shards | None = None

    @property
    def run_args(self) -> dict[str, Any]:
        """Every ezkl setting, the same for all segments."""
        return layout.run_args(self.cut.joint.table_bits, self.spec.plonk.logrows, self.spec.plonk.columns)

    def committer(self) -> Committer:
        """Commitments under the SRS."""
        return Committer(self.srs.path, self.spec.plonk.logrows)


def build(plan: Plan, folder: Path, progress: Stage) -> Manifest:
    """Build the circuit in ``folder``, one heavy step at a time; return its manifest, written there too.

    A circuit of one segment lies in the folder itself, others in a folder each below it, and so does the one
    that shards share. Raises :class:`CallerError` where a segment does not fit its rows,
    :class:`TerminalError` where a proof of sample values does not verify.
    """
    joint = plan.shards.program if plan.shards else plan.cut.joint
    samples = dict(zip([s.name for s in joint.slots], sample_vectors(joint), strict=True))
    if plan.shards:
        name, key = f"{plan.name}.{SHARD}", f"{plan.key}.{SHARD}"
        made = [_build_one(plan, joint, 0, name, key, samples, folder / SHARD, progress)]
        manifest = _sharded(plan, plan.shards, made[0], folder)
    elif len(plan.cut.segments) == 1:
        manifest = _build_one(plan, joint, 0, plan.name, plan.key, samples, folder, progress)
    else:
        made = []
        for i in range(len(plan.cut.segments)):

            def of(stage: str, number: int = i + 1) -> None:
                progress(f"{stage}, segment {number} of {len(plan.cut.segments)}")

            name, key = f"{plan.name}.{i}", f"{plan.key}.{i}"
            own = plan.cut.segments[i]
            made.append(_build_one(plan, own, i, name, key, samples, segment_folder(folder, i), of))
        manifest = _joined(plan, made, folder)
    write_whole(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def save(path: Path, model: onnx.ModelProto) -> None:
    """Write a graph, the same bytes for the same graph."""
    write_whole(path, model.SerializeToString(deterministic=True))


def _build_one(
    plan: Plan,
    program: Program,
    index: int,
    name: str,
    key: str,
    samples: dict[str, list[int]],
    folder: Path,
    progress: Stage,
) -> Manifest:
    srs = plan.srs
    progress("keys")
    save(folder / CIRCUIT, plan.graphs[index])
    made = run_worker("compile", folder=str(folder), srs=str(srs.path), run_args=plan.run_args)
    progress("self-test")
    committer = plan.committer()
    committer.check_circuit(folder / layout.VK, folder / layout.SETTINGS)
    slots = _shapes(program, committer)
    hashed = sum(s.columns for s in slots)
    if program.challenged:
        columns = committer.columns(program.late_size)
        slots += (SlotShape(name=LATE, length=program.late_size, salt=0, columns=columns),)
    # Nothing is stored that cannot be proven and verified.
    prover = CpuProver()
    vectors = [samples[s.name] for s in program.slots]
    late = late_vectors(program, [committer.full(v) for v in vectors], NO_CONTEXT)
    run = prover.prove(folder, srs.path, [*vectors, *late])
    if run.instances != (program.lookups, *(v[0] for v in late)) or not prover.verify(
        folder, srs.path, run.proof, run.instances
    ):
        raise TerminalError(f"the self-test of {name!r} failed: its proof of sample values does not verify")
    settings = made["settings"]
    costs = Costs(
        logrows=plan.spec.plonk.logrows,
        rows=settings["num_rows"],
        cells=settings["total_assignments"],
        columns=plan.spec.plonk.columns,
        lookups=program.lookups,
        commitments=sum(s.columns for s in slots),
        proof_bytes=len(run.proof),
        proving_key_bytes=(folder / layout.PK).stat().st_size,
        setup_s=round(made["setup_s"], 3),
        prove_s=round(run.prove_s, 3),
        prove_peak_bytes=run.peak_bytes,
    )
    manifest = _manifest(plan, name, key, folder, slots, (program.lookups,), costs)
    manifest = manifest.model_copy(update={"challenge_points": hashed if program.challenged else 0})
    if key != plan.key:
        write_whole(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def _shapes(program: Program, committer: Committer) -> tuple[SlotShape, ...]:
    lengths = [program.slot_size(s) for s in program.slots]
    return tuple(
        SlotShape(name=s.name, length=n, salt=s.salt, columns=committer.columns(n))
        for s, n in zip(program.slots, lengths, strict=True)
    )


def _joined(plan: Plan, made: Sequence[Manifest], folder: Path) -> Manifest:
    """The manifest of a circuit of several segments: costs are sums, the peak is the largest."""
    parts = [m.costs for m in made]
    first = parts[0]
    costs = Costs(
        logrows=first.logrows,
        rows=sum(c.rows for c in parts),
        cells=sum(c.cells for c in parts),
        columns=first.columns,
        lookups=sum(c.lookups for c in parts),
        commitments=sum(c.commitments for c in parts),
        proof_bytes=sum(c.proof_bytes for c in parts),
        proving_key_bytes=sum(c.proving_key_bytes for c in parts),
        setup_s=round(sum(c.setup_s for c in parts), 3),
        prove_s=round(sum(c.prove_s for c in parts), 3),
        prove_peak_bytes=max(c.prove_peak_bytes for c in parts),
    )
    instances = tuple(i for m in made for i in m.instances)
    slots = _shapes(plan.cut.joint, plan.committer())
    manifest = _manifest(plan, plan.name, plan.key, folder, slots, instances, costs)
    entries = tuple(
        SegmentEntry(key=m.key, claims=claims, slots=m.slots, costs=m.costs)
        for claims, m in zip(plan.parts, made, strict=True)
    )
    return manifest.model_copy(update={"segments": entries})


def _sharded(plan: Plan, shards: Shards, one: Manifest, folder: Path) -> Manifest:
    """The manifest of an average in shards: as many proofs of one circuit, whose keys are made once."""
    c, n = one.costs, shards.count
    costs = c.model_copy(
        update={
            "rows": n * c.rows,
            "cells": n * c.cells,
            "lookups": n * c.lookups,
            "commitments": n * c.commitments,
            "proof_bytes": n * c.proof_bytes,
            "prove_s": round(n * c.prove_s, 3),
        }
    )
    length = next(n.size for n in plan.cut.joint.nodes if n.label == "delta")
    slots = tuple(
        SlotShape(name=name, length=length, salt=0, columns=shards.columns) for name in ("remainder", "delta")
    )
    manifest = _manifest(plan, plan.name, plan.key, folder, slots, one.instances * n, costs)
    return manifest.model_copy(update={"shards": shards})


def _manifest(
    plan: Plan,
    name: str,
    key: str,
    folder: Path,
    slots: tuple[SlotShape, ...],
    instances: tuple[int, ...],
    costs: Costs,
) -> Manifest:
    return Manifest(
        name=name,
        key=key,
        spec=plan.spec,
        slots=slots,
        instances=instances,
        srs_digest=plan.srs.digest,
        development=plan.srs.development,
        versions=versions(),
        run_args={k: str(v) for k, v in plan.run_args.items()},
        artefacts={
            str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()
        },
        costs=costs,
    )
