"""A circuit that does nothing but look its inputs up, to see what ezkl commits to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import ezkl
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fedproof.commitments.ezkl_commit import felt

TABLE = 255
K = 10
USABLE = 1018


@dataclass(frozen=True)
class LookupCircuit:
    """Sum of the lookups of several committed inputs, compiled and set up in ``folder``."""

    folder: Path
    srs: Path

    @property
    def key(self) -> Path:
        return self.folder / "vk"

    @property
    def settings(self) -> Path:
        return self.folder / "settings.json"

    def witness(self, vectors: list[list[int]]) -> list[list[str]]:
        """The compressed commitments in ezkl's witness, for each input."""
        (self.folder / "input.json").write_text(
            json.dumps({"input_data": [[felt(int(v)) for v in vector] for vector in vectors]})
        )
        ezkl.gen_witness(
            str(self.folder / "input.json"),
            str(self.folder / "compiled"),
            str(self.folder / "witness.json"),
            str(self.key),
            str(self.srs),
        )
        return json.loads((self.folder / "witness.json").read_text())["processed_inputs"]["polycommit"]

    def prove(self) -> bytes:
        """Proof bytes for the last witness, checked with ezkl's verifier."""
        proof = str(self.folder / "proof.json")
        paths = [str(self.folder / name) for name in ("witness.json", "compiled", "pk")]
        ezkl.prove(*paths, proof, str(self.srs))
        assert ezkl.verify(proof, str(self.settings), str(self.key), str(self.srs))
        return bytes.fromhex(json.loads(Path(proof).read_text())["hex_proof"].removeprefix("0x"))


def lookup_circuit(folder: Path, srs: Path, logrows: int, lengths: list[int], inner: int) -> LookupCircuit:
    names = [f"x{i}" for i in range(len(lengths))]
    nodes = []
    total = None
    for name in names:
        nodes.append(helper.make_node("Sigmoid", [name], [f"{name}_found"]))
        nodes.append(helper.make_node("ReduceSum", [f"{name}_found", "axis"], [f"{name}_sum"], keepdims=1))
        if total is not None:
            nodes.append(helper.make_node("Add", [total, f"{name}_sum"], [f"{name}_total"]))
        total = nodes[-1].output[0]
    graph = helper.make_graph(
        nodes,
        "lookups",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [length])
            for name, length in zip(names, lengths, strict=True)
        ],
        [helper.make_tensor_value_info(total, TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.array([0]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    circuit = LookupCircuit(folder, srs)
    onnx.save(model, folder / "circuit.onnx")
    arguments = ezkl.PyRunArgs()
    arguments.input_visibility = "polycommit"
    arguments.output_visibility = "public"
    arguments.param_visibility = "fixed"
    arguments.input_scale = arguments.param_scale = 0
    arguments.lookup_range = (0, TABLE)
    arguments.logrows = logrows
    arguments.num_inner_cols = inner
    arguments.ignore_range_check_inputs_outputs = True
    arguments.check_mode = "unsafe"
    onnx_file, compiled = str(folder / "circuit.onnx"), str(folder / "compiled")
    ezkl.gen_settings(onnx_file, str(circuit.settings), py_run_args=arguments)
    ezkl.compile_circuit(onnx_file, compiled, str(circuit.settings))
    ezkl.setup(compiled, str(circuit.key), str(folder / "pk"), str(srs))
    return circuit
