"""The worker in the interpreter with the GPU build: a script of its own, for that has no fedproof.

``PYTHON worker.py --serve FD`` does the tasks that come through a pipe until that is closed. Its requests are
those of fedproof.provers.cpu.tasks, and ``setup``. Only the standard library and ezkl are imported.
"""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Request = dict[str, Any]
SETTINGS, COMPILED, VK, PK = "settings.json", "circuit.ezkl", "vk.key", "pk.key"
SCALAR_MODULUS = 21888242871839275222246405745257275088548364400416034343698204186575808495617


class Refused(Exception):
    """An error that the caller knows by name."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def call(function: Callable[..., Any], **arguments: Any) -> Any:  # noqa: ANN401 - ezkl has no types
    """Call ezkl; some builds have functions that want an event loop, and return what must be awaited."""

    async def run() -> Any:  # noqa: ANN401
        result = function(**arguments)
        return await result if inspect.isawaitable(result) else result

    return asyncio.run(run())


def demand(*paths: Path) -> None:
    """Say which file is missing."""
    for path in paths:
        if not path.is_file():
            raise Refused("TerminalError", f"{path.name} is not in {path.parent}")


def integer(felt: str) -> int:
    """Read a field element as ezkl writes it."""
    return int.from_bytes(bytes.fromhex(felt), "little")


def setup_task(request: Request) -> dict[str, Any]:
    """Lay the circuit graph out and make its keys. Settings that the build does not know are named."""
    import ezkl  # noqa: PLC0415

    folder, graph = Path(request["folder"]), Path(request["graph"])
    demand(graph, Path(request["srs"]))
    args, unknown = ezkl.PyRunArgs(), []
    for name, value in request["run_args"].items():
        if hasattr(args, name):
            setattr(args, name, tuple(value) if isinstance(value, list) else value)
        else:
            unknown.append(name)
    settings, compiled = str(folder / SETTINGS), str(folder / COMPILED)
    call(ezkl.gen_settings, model=str(graph), output=settings, py_run_args=args)
    call(ezkl.compile_circuit, model=str(graph), compiled_circuit=compiled, settings_path=settings)
    started = time.perf_counter()
    call(
        ezkl.setup,
        model=compiled,
        vk_path=str(folder / VK),
        pk_path=str(folder / PK),
        srs_path=request["srs"],
        disable_selector_compression=False,
    )
    return {"unknown": unknown, "setup_s": time.perf_counter() - started}


def prove_task(request: Request) -> dict[str, Any]:
    """Witness and proof of what the caller wrote to input.json."""
    import ezkl  # noqa: PLC0415

    folder, scratch = Path(request["folder"]), Path(request["scratch"])
    demand(folder / PK, folder / COMPILED, Path(request["srs"]))
    pinned = json.loads((folder / "manifest.json").read_text())["instances"]
    compiled, witness_path = str(folder / COMPILED), str(scratch / "witness.json")
    started = time.perf_counter()
    try:
        data = str(scratch / "input.json")
        witness = call(ezkl.gen_witness, data=data, model=compiled, output=witness_path)
    except RuntimeError as e:
        raise Refused("WitnessRejected", f"the circuit cannot be satisfied by these values: {e}") from e
    made = [integer(v) for output in witness["outputs"] for v in output]
    if made[: len(pinned)] != pinned:
        raise Refused(
            "WitnessRejected",
            "the values break range checks or equations of the circuit: "
            f"its public instances are {pinned}, theirs {made}",
        )
    witness_s, started = time.perf_counter() - started, time.perf_counter()
    proof_path = scratch / "proof.json"
    try:
        call(
            ezkl.prove,
            witness=witness_path,
            model=compiled,
            pk_path=str(folder / PK),
            proof_path=str(proof_path),
            srs_path=request["srs"],
        )
    except RuntimeError as e:
        raise Refused("WitnessRejected", f"ezkl made no proof of these values: {e}") from e
    prove_s = time.perf_counter() - started
    proof = json.loads(proof_path.read_text())
    return {
        "proof": proof["hex_proof"][2:],
        "instances": [integer(v) for column in proof["instances"] for v in column],
        "witness_s": witness_s,
        "prove_s": prove_s,
        "load_s": 0.0,
        "peak_bytes": peak_bytes(),
    }


def verify_task(request: Request) -> dict[str, Any]:
    """Check a proof."""
    import ezkl  # noqa: PLC0415

    folder, scratch = Path(request["folder"]), Path(request["scratch"])
    demand(folder / SETTINGS, folder / VK, Path(request["srs"]))
    raw, instances = bytes.fromhex(request["proof"]), [int(v) for v in request["instances"]]
    size = json.loads((folder / "manifest.json").read_text())["costs"]["proof_bytes"]
    if len(raw) != size or not all(0 <= v < SCALAR_MODULUS for v in instances):
        return {"valid": False}
    document = {
        "protocol": None,
        "instances": [[v.to_bytes(32, "little").hex() for v in instances]],
        "proof": list(raw),
        "hex_proof": "0x" + raw.hex(),
        "transcript_type": "EVM",
        "split": None,
        "pretty_public_inputs": None,
        "timestamp": None,
        "commitment": "KZG",
        "version": request["version"],
    }
    path = scratch / "proof.json"
    path.write_text(json.dumps(document))
    try:
        valid = call(
            ezkl.verify,
            proof_path=str(path),
            settings_path=str(folder / SETTINGS),
            vk_path=str(folder / VK),
            srs_path=request["srs"],
            reduced_srs=False,
        )
    except RuntimeError:
        valid = False
    return {"valid": bool(valid)}


def peak_bytes() -> int:
    """Peak memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


TASKS = {"prove": prove_task, "setup": setup_task, "verify": verify_task}


def answer_to(request: Request) -> dict[str, Any]:
    """Do a task; its error is an answer too."""
    try:
        return TASKS[request["task"]](request)
    except Refused as e:
        return {"error": e.name, "message": str(e)}
    except BaseException as e:  # noqa: BLE001 - a panic of ezkl too
        message = f"{request['task']}: {type(e).__name__}: {e}"
        return {"error": "TerminalError", "message": message, "last": True}


def serve(descriptor: int) -> None:
    """Do tasks until the pipe is closed, or one of them ended in a panic."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(descriptor) as connection:
        while True:
            try:
                request = json.loads(connection.recv_bytes())
            except (EOFError, OSError):
                return
            if Path("/proc/self/clear_refs").exists():
                Path("/proc/self/clear_refs").write_text("5")  # the peak is measured from now on
            answer = answer_to(request)
            connection.send_bytes(json.dumps(answer).encode())
            if answer.get("last"):
                return


if __name__ == "__main__":
    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # dies with its caller
    if os.getppid() == parent:
        serve(int(sys.argv[2]))
