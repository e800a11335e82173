"""A circuit with a challenge, as small as one can be: it checks three products of committed numbers at once.

Committed are a, b, c of three elements each, and the late vector, which is the challenge r alone. Public are
the sum of (a[i] * b[i] - c[i]) * r^i, which is 0 for true products, and r.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ezkl
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fedproof.commitments.ezkl_commit import felt

LOGROWS = 6
LENGTH = 3


@dataclass(frozen=True)
class ChallengedCircuit:
    """The circuit, compiled and set up in ``folder``."""

    folder: Path
    srs: Path

    def _path(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def source(self) -> str:
        """The generated verifier."""
        return (self.folder / "verifier.sol").read_text()

    def prove(self, vectors: Sequence[Sequence[int]]) -> tuple[bytes, list[int]]:
        """A proof for a, b, c and the late vector, and its public instances; ezkl itself accepts it."""
        Path(self._path("input.json")).write_text(
            json.dumps({"input_data": [[felt(value) for value in vector] for vector in vectors]})
        )
        keys = [self._path("vk"), str(self.srs)]
        ezkl.gen_witness(self._path("input.json"), self._path("compiled"), self._path("witness.json"), *keys)
        proof = self._path("proof.json")
        ezkl.prove(self._path("witness.json"), self._path("compiled"), self._path("pk"), proof, str(self.srs))
        assert ezkl.verify(proof, self._path("settings.json"), *keys)
        made = json.loads(Path(proof).read_text())
        instances = [int.from_bytes(bytes.fromhex(word), "little") for word in made["instances"][0]]
        return bytes.fromhex(made["hex_proof"].removeprefix("0x")), instances


def challenged_circuit(folder: Path, srs: Path) -> ChallengedCircuit:
    """Compile the circuit, make its keys and its verifier."""
    circuit, path = ChallengedCircuit(folder, srs), str
    onnx.save(_graph(), folder / "circuit.onnx")
    arguments = ezkl.PyRunArgs()
    arguments.input_visibility, arguments.output_visibility = "polycommit", "public"
    arguments.param_visibility = "fixed"
    arguments.input_scale = arguments.param_scale = 0
    arguments.logrows, arguments.num_inner_cols = LOGROWS, 1
    arguments.ignore_range_check_inputs_outputs = True
    arguments.check_mode = "unsafe"
    source, settings, compiled = (path(folder / n) for n in ("circuit.onnx", "settings.json", "compiled"))
    ezkl.gen_settings(source, settings, py_run_args=arguments)
    ezkl.compile_circuit(source, compiled, settings)
    ezkl.setup(compiled, path(folder / "vk"), path(folder / "pk"), path(srs))

    async def verifier() -> None:
        await ezkl.create_evm_verifier(
            path(folder / "vk"), settings, path(folder / "verifier.sol"), path(folder / "abi"), path(srs)
        )

    # Once the source is written, ezkl looks for a compiler of its own, which is not needed.
    with suppress(Exception):
        asyncio.run(verifier())
    return circuit


def _graph() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Mul", ["a", "b"], ["product"]),
        helper.make_node("Sub", ["product", "c"], ["excess"]),
    ]
    constants = [numpy_helper.from_array(np.array([i]), f"at{i}") for i in range(LENGTH + 1)]
    for i in range(LENGTH):
        nodes.append(helper.make_node("Slice", ["excess", f"at{i}", f"at{i + 1}"], [f"excess{i}"]))
    total = f"excess{LENGTH - 1}"
    for i in reversed(range(LENGTH - 1)):
        nodes.append(helper.make_node("Mul", [total, "late"], [f"higher{i}"]))
        nodes.append(helper.make_node("Add", [f"higher{i}", f"excess{i}"], [f"sum{i}"]))
        total = f"sum{i}"
    nodes.append(helper.make_node("Identity", ["late"], ["challenge"]))

    def value(name: str, length: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [length])

    inputs = [*(value(name, LENGTH) for name in "abc"), value("late", 1)]
    graph = helper.make_graph(
        nodes, "challenged", inputs, [value(total, 1), value("challenge", 1)], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model
