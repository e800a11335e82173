"""A prover that writes any witness it likes. Run as ``python forger.py REQUEST ANSWER``, in its own process.

``ezkl.prove`` takes ``inputs`` from the witness file and lays the circuit out again from them, so replacing
inputs and outputs is most of what a forger needs. What is left are the results of the lookups, which the
layout computes: ``permissive`` is the same circuit with a table op that gives 1 for every positive number.
Its layout is proven under the honest key: every lookup claims to be in range, only the argument can object.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fedproof.circuits import layout
from fedproof.commitments.ezkl_commit import felt


def set_up(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    settings = layout.lay_out(folder, request["args"])
    layout.make_keys(folder, Path(request["srs"]))
    layout.lay_out(folder / "permissive", request["args"])
    return {"cells": settings["total_assignments"]}


def forge(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    import ezkl

    forged = [[felt(int(v)) for v in slot] for slot in request["forged"]]
    honest = [[felt(int(v)) for v in slot] for slot in request["honest"]]
    compiled, data = str(folder / layout.COMPILED), folder / "input.json"
    permissive = str(folder / "permissive" / layout.COMPILED)
    answer: dict[str, Any] = {
        "witness_refused": None,
        "witness_instances": None,
        "instances": None,
        "valid": False,
    }

    def compute(slots: list[list[str]], name: str) -> dict[str, Any]:
        data.write_text(json.dumps({"input_data": slots}))
        made: dict[str, Any] = ezkl.gen_witness(str(data), compiled, str(folder / name))
        return made

    try:
        outputs = compute(forged, "computed.json")["outputs"]
        answer["witness_instances"] = [str(_integer(out[0])) for out in outputs]
    except BaseException as error:  # noqa: BLE001 - a panic of ezkl is a BaseException
        answer["witness_refused"] = str(error)[:300]

    witness = compute(honest, "honest.json")
    witness = json.loads((folder / "honest.json").read_text())
    witness["inputs"] = forged
    witness["outputs"] = [[felt(int(value))] for value in request["instances"]]
    (folder / "forged.json").write_text(json.dumps(witness))
    proof = folder / "proof.json"
    proof.unlink(missing_ok=True)
    try:
        ezkl.prove(
            str(folder / "forged.json"), permissive, str(folder / layout.PK), str(proof), request["srs"]
        )
        made = json.loads(proof.read_text())
        answer["proof"] = made["hex_proof"]
        answer["instances"] = [str(_integer(v)) for v in made["instances"][0]]
        paths = [str(p) for p in (proof, folder / layout.SETTINGS, folder / layout.VK)]
        answer["valid"] = bool(ezkl.verify(*paths, request["srs"]))
    except BaseException as error:  # noqa: BLE001
        answer["refusal"] = str(error)[:300]
    return answer


def _integer(felt_hex: str) -> int:
    return int.from_bytes(bytes.fromhex(felt_hex), "little")


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    result = {"set_up": set_up, "forge": forge}[asked["task"]](Path(asked["folder"]), asked)
    Path(sys.argv[2]).write_text(json.dumps(result))
