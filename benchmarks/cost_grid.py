"""Measures a grid of circuits for the cost model: ``python -m benchmarks.cost_grid [FILE]``.

Each point is a step or an average of the models in ``models/``, with the batch that fills its rows best, in a
project of its own. Compiled, proven ``ROUNDS`` times and verified on a local chain, one after the other. What
FILE has already is kept; delete it to measure anew. Processor time is noted beside the clock's, which depends
on what else the machine does.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.onchain import Chain
from fedproof.chain.artefacts import MAX_RUNTIME_BYTES
from fedproof.chain.solidity import compile_verifier
from fedproof.circuits import layout
from fedproof.circuits.measurements import COLUMNS, MEASURED, Measurement, read_measurements
from fedproof.circuits.rewrite import with_values
from fedproof.circuits.store import Circuit, CircuitStore, versions
from fedproof.circuits.witness import late_vectors, sample_vectors
from fedproof.commitments import NO_CONTEXT
from fedproof.errors import CallerError
from fedproof.project import Project
from fedproof.provers.cpu.worker import felt
from fedproof.record.host import collect_host

ROUNDS = 2
#: Kind, logrows, columns, model and batch: what fills the rows best among powers of two.
GRID = [
    ("training", 11, 2, "digits-linear", 1),
    ("training", 11, 3, "digits-linear", 2),
    ("training", 11, 4, "digits-mlp", 1),
    ("training", 12, 1, "digits-linear", 1),
    ("training", 12, 2, "digits-mlp", 1),
    ("training", 12, 3, "digits-mlp", 4),
    ("training", 12, 4, "digits-linear", 16),
    ("training", 13, 1, "digits-mlp", 1),
    ("training", 13, 2, "digits-linear", 16),
    ("training", 13, 3, "digits-linear", 32),
    ("training", 13, 4, "digits-mlp", 16),
    ("average", 13, 2, "digits-linear", 1),
    ("average", 13, 3, "digits-mlp", 1),
    ("average", 14, 1, "digits-linear", 1),
    ("training", 14, 1, "digits-mlp", 8),
    ("training", 14, 2, "digits-mlp", 16),
    ("training", 14, 3, "digits-linear", 64),
    ("training", 15, 1, "digits-mlp", 16),
    ("training", 15, 2, "digits-cnn", 4),
    ("training", 15, 3, "digits-cnn", 4),
]
#: Arguments: a circuit's folder, the SRS, a scratch folder with input.json.
PROVE = """
import json, sys, time
from pathlib import Path
import ezkl
from fedproof.circuits import layout
folder, srs, scratch = map(Path, sys.argv[1:4])
witness, proof = str(scratch / "witness.json"), str(scratch / "proof.json")
compiled = str(folder / layout.COMPILED)
ezkl.gen_witness(str(scratch / "input.json"), compiled, witness, None, None)
wall, cpu = time.perf_counter(), time.process_time()
ezkl.prove(witness, compiled, str(folder / layout.PK), proof, str(srs))
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
status = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024
text = json.loads(Path(proof).read_text())["hex_proof"]
print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak, "proof": text}))
"""


def declare(
    project: Project, name: str, kind: str, logrows: int, columns: int, model: str, batch: int
) -> None:
    """Write the declaration of one point; an average's step is written beside it."""
    text = with_values((project.circuits / f"{model}.toml").read_text(), "", {"batch": batch})
    text = with_values(text, "numbers", {"table": logrows - 1})
    plonk = {"logrows": logrows, "columns": columns}
    step = f"{name}-step" if kind == "average" else name
    (project.circuits / f"{step}.toml").write_text(with_values(text, "plonk", plonk))
    if kind == "average":
        average = with_values(f'kind = "average"\nof = "{step}"\n', "", {"table": logrows - 1})
        (project.circuits / f"{name}.toml").write_text(with_values(average, "plonk", plonk))


def measure(circuit: Circuit, chain: Chain) -> Measurement:
    """Prove and verify a compiled circuit's sample vectors."""
    program, costs = circuit.program, circuit.manifest.costs
    vectors = sample_vectors(program)
    late = late_vectors(program, [circuit.committer.full(v) for v in vectors], NO_CONTEXT)
    data = {"input_data": [[felt(v) for v in vector] for vector in [*vectors, *late]]}
    with tempfile.TemporaryDirectory(prefix="grid-") as scratch:
        (Path(scratch) / "input.json").write_text(json.dumps(data))
        command = [sys.executable, "-c", PROVE, str(circuit.folder), str(circuit.srs.path), scratch]
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True).stdout.splitlines()[-1])
            for _ in range(ROUNDS)
        ]
    verifier = chain.adapter(circuit)
    proof = bytes.fromhex(runs[0]["proof"].removeprefix("0x"))
    call = verifier.contract.functions.verify(NO_CONTEXT, proof, list(verifier.vka))
    host = collect_host()
    plain = len(compile_verifier(circuit.folder / layout.PLAIN_VERIFIER).runtime)
    return Measurement(
        kind=circuit.manifest.spec.kind,
        logrows=costs.logrows,
        columns=costs.columns,
        points=costs.commitments,
        cells=costs.cells,
        lookups=costs.lookups,
        setup_s=costs.setup_s,
        prove_s=round(min(costs.prove_s, *(r["wall"] for r in runs)), 3),
        prove_cpu_s=round(min(r["cpu"] for r in runs), 3),
        cores=host.cores,
        peak_bytes=max(r["peak"] for r in runs),
        pk_bytes=costs.proving_key_bytes,
        vk_bytes=(circuit.folder / layout.VK).stat().st_size,
        proof_bytes=costs.proof_bytes,
        verifier_bytes=plain,
        verifier="plain" if plain <= MAX_RUNTIME_BYTES else "reusable",
        gas=chain.client.send(call).gas,
        ezkl=versions()["ezkl"],
        host=f"{host.cpu}, {host.cores} cores, {host.ram_bytes / 2**30:.0f} GiB",
    )


def main(path: Path = MEASURED) -> None:
    """Measure what is missing from ``path``."""
    source = Project.find(Path(__file__).parent)
    done = read_measurements(path) if path.is_file() else []
    have = {(m.kind, m.logrows, m.columns) for m in done}
    with tempfile.TemporaryDirectory(prefix="grid-") as scratch:
        root = Path(scratch)
        shutil.copytree(source.circuits, root / "circuits")
        shutil.copytree(source.root / "models", root / "models")
        project = Project(root, root / "build")
        store, chain = CircuitStore(project), Chain(root / "devnet")
        try:
            for kind, logrows, columns, model, batch in GRID:
                if (kind, logrows, columns) in have:
                    continue
                name = f"{kind}-{logrows}-{columns}"
                declare(project, name, kind, logrows, columns, model, batch)
                try:
                    circuit = store.get(name)
                except CallerError as e:
                    print(f"{name} left out: {e.message}", flush=True)
                    continue
                done.append(measure(circuit, chain))
                print(done[-1], flush=True)
                _write(path, done)
                shutil.rmtree(circuit.folder)
        finally:
            chain.close()


def _write(path: Path, rows: list[Measurement]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(row.model_dump() for row in rows)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
