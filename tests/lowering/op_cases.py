"""An op, lowered and made a whole circuit: float, numpy, the reference graph and the circuit graph agree."""

from __future__ import annotations

from collections.abc import Mapping

import field_model
import numpy as np
import onnx
from lowering_cases import agree, lower, real, run_float

from fedproof.lowering import Program, circuit_graph, quantize
from fedproof.lowering.gadgets import commit, signed


def whole(program: Program, inputs: Mapping, outputs: Mapping) -> Program:
    """Range-check the inputs, commit to the outputs, so that equations range over them, lay out vectors."""
    for name, x in inputs.items():
        signed(program, x, x.bound.bit_length(), f"{name} range")
    for name, out in outputs.items():
        commit(program, program.copy(out, 0), name)
    program.count_lookups()
    program.slot("x", list(inputs.values()), 1)
    program.slot("advice", program.hints, 1, shifted=True)
    return program


def holds(graph: onnx.GraphProto, reals: Mapping, *, error: float = 0.0, expected=None, **how) -> Program:
    """Lower ``graph`` and demand that all four ways give one result, within ``error`` of float's.

    The circuit accepts the honest values, and no other value of one element of anything a prover supplies.
    """
    program, inputs, outputs = lower(graph, **how)
    arrays = {n: quantize(reals[n], inputs[n].scale, n) for n in inputs}
    whole(program, inputs, outputs)
    values = agree(program, arrays)
    if expected is None:
        expected = run_float(graph, {n: real(arrays[n], inputs[n]) for n in inputs})
    for declared, want in zip(graph.output, expected, strict=True):
        out = outputs[declared.name]
        assert out.shape == want.shape
        np.testing.assert_allclose(real(values[out.id], out), want, rtol=0, atol=error)
    circuit_says_what_is_claimed(program, values)
    return program


def circuit_says_what_is_claimed(program: Program, values: Mapping) -> None:
    """Run the circuit graph over the field, on honest values and on forged ones."""
    model, given = circuit_graph(program), field_model.given_tensors(program, values)
    assert field_model.agree_on(program, model, given) == program.lookups
    junk = {i: field_model.random_felts(np.shape(v)) for i, v in given.items()}
    field_model.agree_on(program, model, junk)
    rng = np.random.default_rng(0)
    for hint in program.hints:
        forged = np.array(given[hint.id], dtype=object, order="C")
        at = int(rng.integers(forged.size))
        forged.reshape(-1)[at] += int(rng.choice([-1, 1]))
        r = int(rng.integers(2**62))
        assert field_model.claimed(program, given | {hint.id: forged}, r) != program.lookups, hint.label
