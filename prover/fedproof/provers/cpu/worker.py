"""The worker's side of the CPU backend. Run as ``python -m fedproof.provers.cpu.worker REQUEST ANSWER``.

Reads a task from one JSON file and writes the answer to another. It is a process of its own so that a
panic in ezkl or an out-of-memory kill ends the task and nothing else.
"""

from __future__ import annotations

import ctypes
import json
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedproof.circuits import layout
from fedproof.commitments.field import SCALAR_MODULUS
from fedproof.errors import CallerError, FedproofError
from fedproof.files import write_whole
from fedproof.provers.base import WitnessRejected
from fedproof.provers.cpu.faults import damaged, demand, manifest_of

Request = dict[str, Any]
PROOF_VERSION = "23.0.5"
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def felt(value: int) -> str:
    """Return a field element as ezkl's hex: 32 bytes, little-endian. Numbers would pass through floats."""
    return (value % SCALAR_MODULUS).to_bytes(32, "little").hex()


def compile_task(request: Request) -> dict[str, Any]:
    """Lay out a circuit, make its keys, its verifiers."""
    folder, srs = Path(request["folder"]), Path(request["srs"])
    settings = layout.lay_out(folder, request["run_args"])
    started = time.perf_counter()
    layout.make_keys(folder, srs)
    setup_s = time.perf_counter() - started
    layout.write_verifiers(folder, srs)
    return {"settings": settings, "setup_s": setup_s}


def costs_task(request: Request) -> dict[str, Any]:
    """Lay out a circuit without keys."""
    return {"settings": layout.lay_out(Path(request["folder"]), request["run_args"])}


def witness_task(request: Request) -> dict[str, Any]:
    """Compute a witness; return its outputs as integers."""
    witness = _witness(request)
    return {"outputs": [[_integer(v) for v in out] for out in witness["outputs"]]}


def _witness(request: Request) -> dict[str, Any]:
    import ezkl  # noqa: PLC0415

    folder, scratch = Path(request["folder"]), Path(request["scratch"])
    demand(folder / layout.COMPILED)
    data = scratch / "input.json"
    data.write_text(json.dumps({"input_data": [[felt(int(v)) for v in slot] for slot in request["slots"]]}))
    try:
        witness: dict[str, Any] = ezkl.gen_witness(
            str(data), str(folder / layout.COMPILED), str(scratch / "witness.json"), None, None
        )
    except RuntimeError as e:
        raise _damage(request) or WitnessRejected(
            f"the circuit cannot be satisfied by these values: {e}"
        ) from e
    return witness


def _demand_shape(slots: list[list[str]], manifest: dict[str, Any]) -> None:
    """Refuse vectors of another shape: ezkl ignores vectors too many and panics where one is missing."""
    shapes = manifest["slots"]
    if len(slots) != len(shapes):
        names = ", ".join(s["name"] for s in shapes)
        raise CallerError(f"{len(slots)} vectors are given, the circuit commits to {len(shapes)}: {names}")
    for slot, shape in zip(slots, shapes, strict=True):
        if len(slot) != shape["length"]:
            raise CallerError(
                f"vector {shape['name']!r} has {len(slot)} elements, the circuit takes {shape['length']}"
            )


def _demand_range(witness: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Refuse values out of range: ezkl would prove another public instance for them, which nobody accepts."""
    made = [_integer(v) for output in witness["outputs"] for v in output]
    if made[: len(manifest["instances"])] != manifest["instances"]:
        raise WitnessRejected(
            "the values break range checks or equations of the circuit: "
            f"its public instances are {manifest['instances']}, theirs {made}"
        )


def prove_task(request: Request) -> dict[str, Any]:
    """Witness and proof."""
    import ezkl  # noqa: PLC0415

    folder, scratch = Path(request["folder"]), Path(request["scratch"])
    demand(folder / layout.PK, Path(request["srs"]))
    manifest = manifest_of(folder)
    if manifest is not None:
        _demand_shape(request["slots"], manifest)
    started = time.perf_counter()
    witness = _witness(request)
    if manifest is not None:
        _demand_range(witness, manifest)
    witness_s = time.perf_counter() - started
    started = time.perf_counter()
    try:
        ezkl.prove(
            str(scratch / "witness.json"),
            str(folder / layout.COMPILED),
            str(folder / layout.PK),
            str(scratch / "proof.json"),
            request["srs"],
        )
    except RuntimeError as e:
        raise _damage(request) or WitnessRejected(f"ezkl made no proof of these values: {e}") from e
    proof = json.loads((scratch / "proof.json").read_text())
    return {
        "proof": proof["hex_proof"].removeprefix("0x"),
        "instances": [_integer(v) for column in proof["instances"] for v in column],
        "witness_s": witness_s,
        "prove_s": time.perf_counter() - started,
        "peak_bytes": peak_bytes(),
    }


def verify_task(request: Request) -> dict[str, Any]:
    """Check a proof."""
    import ezkl  # noqa: PLC0415

    folder, scratch = Path(request["folder"]), Path(request["scratch"])
    demand(folder / layout.SETTINGS, folder / layout.VK, Path(request["srs"]))
    raw, instances = bytes.fromhex(request["proof"]), [int(v) for v in request["instances"]]
    # As in the contracts: an instance is a field element, and r + 1 is not another way to write 1.
    if not all(0 <= v < SCALAR_MODULUS for v in instances):
        return {"valid": False}
    # ezkl reads no further than it has to: a proof with something behind it is not the proof.
    manifest = manifest_of(folder)
    if manifest is not None and len(raw) != manifest["costs"]["proof_bytes"]:
        return {"valid": False}
    path = scratch / "proof.json"
    path.write_text(
        json.dumps(
            {
                "protocol": None,
                "instances": [[felt(v) for v in instances]],
                "proof": list(raw),
                "hex_proof": "0x" + raw.hex(),
                "split": None,
                "pretty_public_inputs": None,
                "timestamp": None,
                "version": PROOF_VERSION,
            }
        )
    )
    try:
        valid = ezkl.verify(
            str(path),
            str(folder / layout.SETTINGS),
            str(folder / layout.VK),
            request["srs"],
            reduced_srs=False,
        )
    except RuntimeError:
        # ezkl raises for a proof that does not parse or does not hold; it has no other answer for either.
        valid = False
    return {"valid": bool(valid)}


def peak_bytes() -> int:
    """Peak memory of this process. Not ``ru_maxrss``, which on Linux starts from the parent's across exec."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def die_with_parent() -> None:
    """Have the kernel kill this process when its caller dies: nobody would read the answer. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _damage(request: Request) -> FedproofError | None:
    srs = request.get("srs")
    return damaged(Path(request["folder"]), Path(srs) if srs else None)


def _integer(felt_hex: str) -> int:
    return int.from_bytes(bytes.fromhex(felt_hex), "little")


TASKS: dict[str, Callable[[Request], dict[str, Any]]] = {
    "compile": compile_task,
    "costs": costs_task,
    "prove": prove_task,
    "verify": verify_task,
    "witness": witness_task,
}


def main(request_path: str, answer_path: str) -> None:
    """Run one task."""
    request: Request = json.loads(Path(request_path).read_text())
    try:
        answer = TASKS[request["task"]](request)
    except FedproofError as e:
        answer = {"error": type(e).__name__, "message": str(e)}
    # The end of the process: whatever happened becomes an answer, a panic of ezkl (a BaseException) too.
    except BaseException as e:  # noqa: BLE001
        answer = {"error": "TerminalError", "message": f"{request['task']}: {type(e).__name__}: {e}"}
        if request["task"] in ("prove", "witness") and (fault := _damage(request)):
            answer["message"] = str(fault)
    write_whole(Path(answer_path), json.dumps(answer))


if __name__ == "__main__":
    die_with_parent()
    main(*sys.argv[1:3])
