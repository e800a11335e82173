"""``fedproof prove`` and ``fedproof verify``: one proof, offline."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedproof.cli.commands.circuits import compiled
from fedproof.cli.options import Json, ProverName
from fedproof.cli.output import Output
from fedproof.errors import CallerError

if TYPE_CHECKING:
    from fedproof.circuits.store import Circuit
    from fedproof.cli.asked import Slots
    from fedproof.commitments import Commitment
    from fedproof.provers import Prover
    from fedproof.rounds import Proof

_NAME = Annotated[str, typer.Argument(metavar="NAME", help="A circuit of `fedproof circuits list`.")]
_DEVELOPMENT = "the circuit rests on a development SRS, whose maker can forge proofs"


def prove(
    name: _NAME,
    input_: Annotated[Path, typer.Option("--input", "-i", help="What to prove: JSON, or .npz.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the proof goes.")],
    step: Annotated[
        Path | None,
        typer.Option("--step", help="Where the private result goes: step and next model; answer."),
    ] = None,
    prover: ProverName = None,
    json: Json = False,
) -> None:
    """Prove a step, an average, an answer or a count of right ones. Offline; compiled first if need be.

    The proof is a job (`fedproof jobs list`): killed and called again with the same input, the command goes
    on with the values that it had, and proves nothing twice.

    Input of a training step:

        {"model": [real numbers], "x": [[...]], "y": [[...]]}
        {"model": {"vector": [integers, salt included]}, "x": [[...]], "y": [[...]]}

    A vector is what --step and a round give: a proof links to the one before it only through the same
    vector. An .npz file may hold the same as arrays, with `vector` beside `x` and `y` in place of `model`.
    A model with dropout takes "mask": [[0 or 1]], and with momentum a step goes on from
    "state": {"vector": [integers]}, the `next_state` of the one before; without, from zeros.

    Input of an average, where weights sum to 2^t:

        {"updates": [[integers], ...], "samples": [...]}
        {"updates": [[integers], ...], "weights": [...]}

    Input of an inference, and of an evaluation, where a label is a class or one-hot. "salt" is that of a
    batch which was committed to before; --step has the one used:

        {"model": [real numbers], "x": [[...]]}
        {"model": [real numbers], "x": [[...]], "labels": [classes]}

    Example:

        fedproof prove digits-linear --input step.json --output proof.json --step step-out.json
    """
    from fedproof.cli.asked import Asked  # noqa: PLC0415 - these rooms are slow to import
    from fedproof.cli.proving import expected, proving  # noqa: PLC0415
    from fedproof.jobs import jobs_folder  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    out = Output(json=json)
    if not input_.is_file():
        # told before a circuit is compiled
        raise CallerError(f"no input file {input_}")
    paths = [path.resolve() for path in (input_, output, step) if path]
    if len(set(paths)) < len(paths):
        raise CallerError(
            "input, output and step must be different files", hint="one would overwrite another"
        )
    circuit = compiled(name, out)
    kind = circuit.manifest.spec.kind
    by_kind = {"average": _average, "inference": _inference, "evaluation": _evaluation}
    project = Project.find()
    asked = Asked.of(jobs_folder(project), circuit, input_)
    with asked.until_proven(), proving(project, prover) as by:
        slots, result = asked.computed(lambda: by_kind.get(kind, _training)(circuit, input_))
        with out.working(f"proving {name}{expected(by, circuit)}"):
            proof = _proved(circuit, slots, by)
        if step:
            _write_private(step, {"circuit": name, "key": circuit.manifest.key, **result})
        proof.save(output)
    if circuit.manifest.development:
        out.warn(_DEVELOPMENT)
    document = {
        "circuit": name,
        "key": circuit.manifest.key,
        "proof": str(output),
        "step": str(step) if step else None,
        "proof_bytes": len(proof.raw),
        "witness_s": proof.witness_s,
        "prove_s": proof.prove_s,
        "peak_bytes": proof.peak_bytes,
        "commitments": _points(circuit, proof.commitments),
    }
    seconds = proof.witness_s + proof.prove_s
    told = f"proved {name} in {seconds:.1f} s: {output} ({len(proof.raw):,} bytes)"
    if kind == "evaluation":
        document |= {"count": result["count"], "samples": result["samples"]}
        told += f", {result['count']} of {result['samples']} right"
    out.result(document, told)


def verify(
    name: _NAME,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A proof file of `fedproof prove`.")],
    json: Json = False,
) -> None:
    """Verify a proof file. Offline. Exit code 0: it holds, 3: it does not, 2: it is no proof file.

    Example:

        fedproof verify digits-linear proof.json && echo good
    """
    from fedproof.circuits import EvaluationSpec  # noqa: PLC0415
    from fedproof.rounds import Proof, check_proof, read_count  # noqa: PLC0415 - ezkl and onnx are slow to import

    out = Output(json=json)
    proof = Proof.load(file)
    circuit = compiled(name, out)
    with out.working(f"verifying {file.name}"):
        commitments = check_proof(circuit, proof)
        spec = circuit.manifest.spec
        count = read_count(circuit, commitments) if isinstance(spec, EvaluationSpec) else None
    if circuit.manifest.development:
        out.warn(_DEVELOPMENT)
    document: dict[str, Any] = {
        "valid": True,
        "circuit": name,
        "key": circuit.manifest.key,
        "development": circuit.manifest.development,
        "commitments": _points(circuit, commitments),
    }
    told = f"valid: {file} is a proof of {name} (key {circuit.manifest.key[:12]})"
    if isinstance(spec, EvaluationSpec):
        document |= {"count": count, "samples": spec.batch}
        told += f": {count} of {spec.batch} right"
    out.result(document, told)


def _proved(circuit: Circuit, slots: Slots, prover: Prover) -> Proof:
    import numpy as np  # noqa: PLC0415

    from fedproof.circuits import AverageSpec  # noqa: PLC0415
    from fedproof.rounds import Aggregator, Average  # noqa: PLC0415
    from fedproof.rounds.prepared import Prepared, prove_prepared  # noqa: PLC0415

    at_once = min(prover.parallel, len(circuit.parts))
    if isinstance(circuit.manifest.spec, AverageSpec):
        average = Average(circuit, np.array(slots[1], dtype=np.int64), slots)
        return Aggregator(circuit, prover).prove(average, at_once)
    return prove_prepared(Prepared(circuit, slots), prover, at_once=at_once)


def _training(circuit: Circuit, file: Path) -> tuple[Slots, dict[str, Any]]:
    from fedproof.cli.inputs import read_step  # noqa: PLC0415
    from fedproof.rounds import Trainer  # noqa: PLC0415

    given = read_step(file, circuit)
    trainer = Trainer(circuit, given.model)
    if given.state is not None:
        trainer.restart(given.model, given.state)
    prepared = trainer.step(given.x, given.y, given.mask)
    vectors = {"model": given.model.vector, "step": prepared.vector, "next": trainer.model.vector}
    if trainer.state is not None:
        vectors["next_state"] = trainer.state.vector
    return prepared.slots, {key: vector.tolist() for key, vector in vectors.items()}


def _inference(circuit: Circuit, file: Path) -> tuple[Slots, dict[str, Any]]:
    from fedproof.cli.inputs import read_answer  # noqa: PLC0415
    from fedproof.rounds.answers import answer  # noqa: PLC0415

    given = read_answer(file, circuit)
    found, prepared = answer(circuit, given.model, given.samples)
    return prepared.slots, {
        "answer": found.floats.tolist(),
        "integers": found.integers.tolist(),
        "salt": [hex(s) for s in given.samples.salt],
    }


def _evaluation(circuit: Circuit, file: Path) -> tuple[Slots, dict[str, Any]]:
    from fedproof.cli.inputs import read_answer  # noqa: PLC0415
    from fedproof.rounds.answers import count  # noqa: PLC0415

    given = read_answer(file, circuit)
    right, prepared = count(circuit, given.model, given.samples)
    salt = [hex(s) for s in given.samples.salt]
    return prepared.slots, {"count": right, "samples": len(given.samples.x), "salt": salt}


def _average(circuit: Circuit, file: Path) -> tuple[Slots, dict[str, Any]]:
    from fedproof.cli.inputs import read_average  # noqa: PLC0415
    from fedproof.rounds import Aggregator  # noqa: PLC0415

    given = read_average(file, circuit)
    average = Aggregator(circuit).average(given.updates, given.weights)
    return average.slots, {"weights": given.weights, "delta": average.delta.tolist()}


def _write_private(path: Path, document: dict[str, Any]) -> None:
    from fedproof.files import write_whole  # noqa: PLC0415

    # a step tells about the data behind it
    write_whole(path, jsonlib.dumps(document) + "\n", mode=0o600)


def _points(circuit: Circuit, commitments: list[Commitment]) -> dict[str, list[list[str]]]:
    from fedproof.circuits.witness import LATE  # noqa: PLC0415

    slots = [slot.name for slot in circuit.manifest.slots]
    # The challenge is a hash of the others, which anyone computes: nothing that somebody committed to.
    return {
        name: [[hex(point.x), hex(point.y)] for point in commitment]
        for name, commitment in zip(slots, commitments, strict=True)
        if name != LATE
    }
