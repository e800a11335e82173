"""Two models of a circuit over the scalar field, in Python integers.

:func:`claimed` works from the program: it computes every tensor from the committed ones, whatever those
hold, and adds up the equations as their definition says. :func:`computed` runs the circuit graph, one ONNX
operation after the other. They agree for every content of the committed vectors exactly if the graph proves
the claims.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fedproof.commitments import SCALAR_MODULUS
from fedproof.lowering import Program
from fedproof.lowering.evaluate import apply

P = SCALAR_MODULUS


def felts(values: Any) -> np.ndarray:
    """Integers of any kind as an array of Python integers modulo P."""
    array = np.asarray(values, dtype=object)
    return np.asarray(array % P, dtype=object).reshape(array.shape)


def random_felts(shape: tuple[int, ...]) -> np.ndarray:
    out = np.empty(shape, dtype=object)
    out[...] = 0
    flat = out.reshape(-1)
    flat[:] = [secrets.randbelow(P) for _ in range(flat.size)]
    return flat.reshape(shape)


def in_table(x: int, bits: int) -> bool:
    """What the table maps to 1: rows from 1 to 2**bits."""
    return 1 <= x <= 2**bits


# -- the claims ---------------------------------------------------------------------------------------------


def tensors(program: Program, given: Mapping[int, Any]) -> dict[int, np.ndarray]:
    """Every tensor over the field; ``given`` are those of inputs and hints, honest or not."""
    values: dict[int, np.ndarray] = {}
    for node in program.nodes:
        if node.op in ("input", "hint"):
            values[node.id] = felts(given[node.id]).reshape(node.shape)
        else:
            args = [values[i] for i in node.inputs]
            values[node.id] = felts(apply(program, node, args)).reshape(node.shape)
    return values


def good_lookups(program: Program, values: Mapping[int, Any]) -> int:
    """How many elements under a range check are in range."""
    return sum(
        in_table(int(v) % P, program.table_bits)
        for c in program.checks
        for v in felts(values[c.node]).ravel() + c.offset + 1
    )


def residual(program: Program, values: Mapping[int, Any], r: int) -> int:
    """Equation j, element i, with the weight r**((j+1)*stride + i), stride a power of two above all sizes."""
    nodes, total = program.nodes, 0
    stride = 1 << max((nodes[e.terms[0][1]].size for e in program.equations), default=1).bit_length()
    for j, e in enumerate(program.equations):
        wrong = sum(c * felts(values[i]).ravel() for c, i in e.terms) + e.constant
        weight = pow(r, (j + 1) * stride, P)
        for element in wrong:
            total, weight = (total + weight * int(element)) % P, weight * r % P
    weight = pow(r, (len(program.equations) + 1) * stride, P)
    return (total + weight * function_residual(program, values, r)) % P


def function_residual(program: Program, values: Mapping[int, Any], r: int) -> int:
    """Sum of 1 / (g - e) over what is looked up, less m / (g - e) over the tables, multiplied out."""
    if not program.functions:
        return 0
    looked_up, entries, counts = [], [], []
    for f in program.functions:
        pairs = zip(felts(values[f.x]).ravel(), felts(values[f.y]).ravel(), strict=True)
        looked_up += [x + r * y + r**2 * f.table for x, y in pairs]
    for i, table in enumerate(program.tables):
        entries += [table.first + k + r * y + r**2 * i for k, y in enumerate(table.values)]
        counts += list(felts(values[program.counts[i]]).ravel())
    g = pow(r, 1 << (2 * (len(looked_up) + len(entries))).bit_length(), P)
    left = sum(pow(int(g - e), -1, P) for e in looked_up)
    right = sum(int(m) * pow(int(g - e), -1, P) for e, m in zip(entries, counts, strict=True))
    product = 1
    for e in looked_up + entries:
        product = product * int(g - e) % P
    return (left - right) * product % P


def claimed(program: Program, given: Mapping[int, Any], r: int) -> int:
    """What the first public output must be, by definition."""
    values = tensors(program, given)
    total = good_lookups(program, values)
    return (total + (residual(program, values, r) if program.challenged else 0)) % P


def vectors(program: Program, given: Mapping[int, Any], r: int | None = None) -> list[list[int]]:
    """Committed vectors that hold ``given``, and the late one; every salt is 1."""
    shifts, made = program.shifts(), []
    for slot in program.slots:
        flat = [
            int(v) + shifts.get(i, 0) for i in slot.nodes for v in np.asarray(given[i], dtype=object).ravel()
        ]
        made.append([v % P for v in flat] + [1] * slot.salt)
    return made + ([[r]] if program.challenged else [])


# -- the graph ----------------------------------------------------------------------------------------------


def computed(model: onnx.ModelProto, given: Sequence[Sequence[int]], bits: int) -> list[np.ndarray]:
    """Run a circuit graph over the field; its one power is the lookup."""
    known = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    known |= {i.name: felts(v) for i, v in zip(model.graph.input, given, strict=True)}
    for node in model.graph.node:
        args = [known[i] for i in node.input]
        attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        known[node.output[0]] = _operation(node.op_type, args, attrs, bits)
    return [known[o.name] for o in model.graph.output]


def _operation(op: str, args: list[np.ndarray], attrs: dict[str, Any], bits: int) -> np.ndarray:  # noqa: PLR0911 - one an op
    x = args[0]
    match op:
        case "Add" | "Sub" | "Mul" | "MatMul":
            a, b = _exact(x), _exact(args[1])
            how = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "MatMul": np.matmul}[op]
            return felts(how(a, b))
        case "Pow":
            return np.array([int(in_table(int(v), bits)) for v in x.ravel()], dtype=object).reshape(x.shape)
        case "Gather":
            return np.take(x, args[1], axis=attrs["axis"])
        case "Reshape":
            return x.reshape(args[1])
        case "Transpose":
            return x.transpose(attrs["perm"])
        case "Concat":
            return np.concatenate(args, axis=attrs["axis"])
        case "ReduceSum":
            return felts(x.sum(axis=tuple(args[1]), keepdims=bool(attrs["keepdims"])))
        case "Identity":
            return x
    raise AssertionError(f"a circuit graph holds no {op}")


def _exact(x: np.ndarray) -> np.ndarray:
    """Constants are float32 integers, or numbers of the field already."""
    return x if x.dtype == object else np.array([int(v) for v in x.ravel()], dtype=object).reshape(x.shape)


# -- both ---------------------------------------------------------------------------------------------------


def given_tensors(program: Program, values: Mapping[int, Any]) -> dict[int, Any]:
    """Of all tensors those that a prover supplies."""
    return {n.id: values[n.id] for n in program.nodes if n.op in ("input", "hint")}


def agree_on(program: Program, model: onnx.ModelProto, given: Mapping[int, Any]) -> int:
    """Demand that the graph gives what the claims say, for a random challenge; return the first output."""
    r = secrets.randbelow(P)
    outputs = computed(model, vectors(program, given, r), program.table_bits)
    assert int(outputs[0][0]) == claimed(program, given, r)
    if program.challenged:
        assert int(outputs[1][0]) == r
    return int(outputs[0][0])
