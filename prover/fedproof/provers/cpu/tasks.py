"""What a worker does. Light to import: a worker starts in a fraction of a second."""

from __future__ import annotations

import json
import logging
import re
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fedproof.errors import FedproofError
from fedproof.provers.artefacts import COMPILED, PK, SCALAR_MODULUS, SETTINGS, VK
from fedproof.provers.base import WitnessRejected
from fedproof.provers.cpu.faults import damaged, demand, manifest_of
from fedproof.provers.cpu.vectors import felt, write_input

Request = dict[str, Any]
PROOF_VERSION = "23.0.5"


def compile_task(request: Request) -> dict[str, Any]:
    """Lay out a circuit, make its keys, its verifiers."""
    from fedproof.circuits import layout  # noqa: PLC0415

    folder, srs = Path(request["folder"]), Path(request["srs"])
    settings = layout.lay_out(folder, request["run_args"])
    started = time.perf_counter()
    layout.make_keys(folder, srs)
    setup_s = time.perf_counter() - started
    layout.write_verifiers(folder, srs)
    return {"settings": settings, "setup_s": setup_s}


def costs_task(request: Request) -> dict[str, Any]:
    """Lay out a circuit without keys."""
    from fedproof.circuits import layout  # noqa: PLC0415

    return {"settings": layout.lay_out(Path(request["folder"]), request["run_args"])}


def witness_task(request: Request) -> dict[str, Any]:
    """Compute a witness of ``slots``; return its outputs as integers."""
    slots = [[int(v) for v in slot] for slot in request["slots"]]
    write_input(Path(request["scratch"]) / "input.json", slots)
    witness = _witness(request)
    return {"outputs": [[_integer(v) for v in out] for out in witness["outputs"]]}


def _witness(request: Request) -> dict[str, Any]:
    """Compute the witness of what the caller wrote to input.json."""
    import ezkl  # noqa: PLC0415

    folder, scratch = Path(request["folder"]), Path(request["scratch"])
    demand(folder / COMPILED)
    try:
        witness: dict[str, Any] = ezkl.gen_witness(
            str(scratch / "input.json"), str(folder / COMPILED), str(scratch / "witness.json"), None, None
        )
    except RuntimeError as e:
        raise damage(request) or WitnessRejected(
            f"the circuit cannot be satisfied by these values: {e}"
        ) from e
    return witness


def _demand_range(witness: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Refuse values out of range: ezkl would prove another public instance for them, which nobody accepts."""
    made = [_integer(v) for output in witness["outputs"] for v in output]
    if made[: len(manifest["instances"])] != manifest["instances"]:
        raise WitnessRejected(
            "the values break range checks or equations of the circuit: "
            f"its public instances are {manifest['instances']}, theirs {made}"
        )


def prove_task(request: Request) -> dict[str, Any]:
    """Witness and proof of what the caller wrote to input.json."""
    import ezkl  # noqa: PLC0415

    _forget_peak()
    folder, scratch = Path(request["folder"]), Path(request["scratch"])
    demand(folder / PK, Path(request["srs"]))
    manifest = manifest_of(folder)
    started = time.perf_counter()
    witness = _witness(request)
    if manifest is not None:
        _demand_range(witness, manifest)
    del witness
    witness_s = time.perf_counter() - started
    started = time.perf_counter()
    try:
        with _KeyLoading() as loading:
            ezkl.prove(
                str(scratch / "witness.json"),
                str(folder / COMPILED),
                str(folder / PK),
                str(scratch / "proof.json"),
                request["srs"],
            )
    except RuntimeError as e:
        raise damage(request) or WitnessRejected(f"ezkl made no proof of these values: {e}") from e
    prove_s = time.perf_counter() - started
    proof = json.loads((scratch / "proof.json").read_text())
    return {
        "proof": proof["hex_proof"].removeprefix("0x"),
        "instances": [_integer(v) for column in proof["instances"] for v in column],
        "witness_s": witness_s,
        "prove_s": prove_s,
        "load_s": loading.seconds,
        "peak_bytes": peak_bytes(),
    }


def verify_task(request: Request) -> dict[str, Any]:
    """Check a proof."""
    import ezkl  # noqa: PLC0415

    folder, scratch = Path(request["folder"]), Path(request["scratch"])
    demand(folder / SETTINGS, folder / VK, Path(request["srs"]))
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
            str(path), str(folder / SETTINGS), str(folder / VK), request["srs"], reduced_srs=False
        )
    except RuntimeError:
        # ezkl raises for a proof that does not parse or does not hold; it has no other answer for either.
        valid = False
    return {"valid": bool(valid)}


class _KeyLoading(logging.Handler):
    """What ezkl logs of loading the key: the only way to tell it from proving. 0 where it says nothing."""

    _TOLD = re.compile(r"loaded proving key in ([\d.]+)(ns|µs|ms|s)")
    _UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}  # noqa: RUF012 - never changed

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.seconds = 0.0
        self._logger = logging.getLogger("ezkl.pfsys")

    def emit(self, record: logging.LogRecord) -> None:
        """Note the seconds."""
        if found := self._TOLD.search(record.getMessage()):
            self.seconds = float(found[1]) * self._UNITS[found[2]]

    def __enter__(self) -> _KeyLoading:
        # ezkl asks for the level once and remembers it: it stays.
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)


def damage(request: Request) -> FedproofError | None:
    """Return the error that names a damaged file of a request that failed, if there is one."""
    srs = request.get("srs")
    return damaged(Path(request["folder"]), Path(srs) if srs else None)


def _forget_peak() -> None:
    """Have the kernel measure the peak from now on. Linux; elsewhere it is that of the whole process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Peak memory of this process. Not ``ru_maxrss``, which on Linux starts from the parent's across exec."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _integer(felt_hex: str) -> int:
    return int.from_bytes(bytes.fromhex(felt_hex), "little")


TASKS: dict[str, Callable[[Request], dict[str, Any]]] = {
    "compile": compile_task,
    "costs": costs_task,
    "prove": prove_task,
    "verify": verify_task,
    "witness": witness_task,
}
