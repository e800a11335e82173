"""One stage of ezkl in a process of its own: ``python -m benchmarks.stage REQUEST ANSWER``.

Both sides go through this file, so that both are timed and weighed alike. The clock runs around ezkl's own
call and nothing else; the peak is that of the whole process.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedproof.circuits import layout
from fedproof.files import write_whole

Request = dict[str, Any]
#: Untyped: its stubs call arguments with defaults positional.
ezkl: Any = importlib.import_module("ezkl")


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def settings_stage(request: Request) -> Request:
    """Make the settings of a float graph."""
    args = ezkl.PyRunArgs()
    for name, value in request["run_args"].items():
        setattr(args, name, value)
    seconds, _ = _timed(lambda: ezkl.gen_settings(request["onnx"], request["settings"], py_run_args=args))
    return {"settings": seconds}


def calibrate_stage(request: Request) -> Request:
    """Let ezkl choose scales and rows for real data, as its documentation tells users to.

    With ``scales`` it chooses among these, and everything else freely.
    """
    chosen = {"scales": request["scales"]} if request.get("scales") else {}
    call = lambda: ezkl.calibrate_settings(  # noqa: E731
        request["input"], request["onnx"], request["settings"], target="resources", **chosen
    )
    return {"calibrate": _timed(call)[0]}


def compile_stage(request: Request) -> Request:
    """Compile the circuit."""
    call = lambda: ezkl.compile_circuit(request["onnx"], request["compiled"], request["settings"])  # noqa: E731
    return {"compile": _timed(call)[0]}


def setup_stage(request: Request) -> Request:
    """Make both keys."""
    call = lambda: ezkl.setup(request["compiled"], request["vk"], request["pk"], request["srs"])  # noqa: E731
    return {"setup": _timed(call)[0]}


def witness_stage(request: Request) -> Request:
    """Witness alone, without keys."""
    seconds, witness = _timed(
        lambda: ezkl.gen_witness(request["input"], request["compiled"], request["witness"])
    )
    return {"witness": seconds, "outputs": witness["outputs"]}


def prove_stage(request: Request) -> Request:
    """Witness and proof."""
    witness_s, witness = _timed(
        lambda: ezkl.gen_witness(request["input"], request["compiled"], request["witness"])
    )
    # Of all threads: unlike the clock it says little of what else the machine does.
    before = time.process_time()
    prove_s, _ = _timed(
        lambda: ezkl.prove(
            request["witness"], request["compiled"], request["pk"], request["proof"], request["srs"]
        )
    )
    cpu_s = time.process_time() - before
    return {"witness": witness_s, "prove": prove_s, "prove_cpu": cpu_s, "outputs": witness["outputs"]}


def verify_stage(request: Request) -> Request:
    """Check the proof; a proof that does not verify is an error."""
    seconds, valid = _timed(
        lambda: ezkl.verify(request["proof"], request["settings"], request["vk"], request["srs"])
    )
    if not valid:
        raise ValueError("the proof does not verify")
    return {"verify": seconds}


def verifier_stage(request: Request) -> Request:
    """Write the Solidity of both kinds of verifier."""
    layout.write_verifiers(Path(request["folder"]), Path(request["srs"]))
    return {}


STAGES: dict[str, Callable[[Request], Request]] = {
    "settings": settings_stage,
    "calibrate": calibrate_stage,
    "compile": compile_stage,
    "setup": setup_stage,
    "witness": witness_stage,
    "prove": prove_stage,
    "verify": verify_stage,
    "verifier": verifier_stage,
}


def peak_bytes() -> int:
    """Most memory this process ever held.

    Linux's ru_maxrss starts from the parent's peak when the child was spawned by vfork; VmHWM does not.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(request_path: str, answer_path: str) -> None:
    """Run one stage."""
    request: Request = json.loads(Path(request_path).read_text())
    try:
        answer = STAGES[request["stage"]](request)
    # The end of the process: whatever happened is the answer, a panic of ezkl (a BaseException) too.
    except BaseException as error:  # noqa: BLE001
        answer = {"failure": f"{type(error).__name__}: {error}"}
    write_whole(Path(answer_path), json.dumps(answer | {"peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
