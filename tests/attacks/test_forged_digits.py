"""Forged steps of digits-linear, on real digits: at the size of a real circuit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from field_model import felts
from forged_values import first, step_alone
from forgery import Forgery, fraction, slots_of, without
from sklearn.datasets import load_digits

from fedproof.circuits.program import build_program, float_graph
from fedproof.circuits.spec import load_spec
from fedproof.lowering import evaluate
from fedproof.lowering.evaluate import apply
from fedproof.srs import SrsStore

pytestmark = pytest.mark.prove

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def digits_linear(tmp_path_factory):
    """The digits-linear circuit on real digits: declaration, program, values, and SRS."""
    spec = load_spec("digits-linear", ROOT / "circuits")
    program = build_program(spec, ROOT / "circuits", float_graph(spec, ROOT))
    data = load_digits()
    n = spec.numbers
    step_salt = next(i for i in program.nodes if i.op == "input" and i.attr("name") == "step_salt")
    inputs = {
        "model": np.random.default_rng(0).integers(-(2**18), 2**18, 650),
        "x": data.data[: spec.batch].astype(np.int64) << (n.inputs - 4),
        "y": np.eye(10, dtype=np.int64)[data.target[: spec.batch]] << n.targets,
        "step_salt": np.zeros(step_salt.shape, np.int64),
    }
    srs = SrsStore(tmp_path_factory.mktemp("srs")).ensure_development(spec.plonk.logrows).path
    return spec, program, evaluate(program, inputs), srs


def followed(program, values, forged):
    """``forged``, and what is computed from it: committed products are true ones, over the field."""
    new = {i: felts(v).reshape(values[i].shape) for i, v in forged.items()}
    for n in program.nodes:
        if n.id in new or not set(n.inputs) & new.keys():
            continue
        arguments = [new.get(i, values[i]) for i in n.inputs]
        if n.op != "hint":
            new[n.id] = felts(apply(program, n, arguments)).reshape(n.shape)
        elif n.attr("kind") == "exact":
            new[n.id] = arguments[0]
    return {i: [int(v) for v in new[i].ravel()] for i in new if program.nodes[i].op in ("input", "hint")}


def error(program):
    """The error of the prediction: the only division, its limbs, and the equation of both."""
    d = next(n for n in program.hints if n.attr("kind") == "div_round")
    limbs = [n for n in program.hints if n.label.startswith(f"{d.label} remainder")]
    return d, limbs, next(e for e in program.equations if e.label == f"{d.label} remainder")


def error_fraction(program, values):
    d, limbs, equation = error(program)
    (a, x), (b, _), *_ = equation.terms
    left = a * int(values[x].ravel()[0]) + equation.constant - 1
    forged = first(values, d.id, left * fraction(1, -b)) | first(values, limbs[0].id, 1)
    return followed(program, values, forged | first(values, limbs[1].id, 0))


def error_off(by):
    def forge(program, values):
        d, limbs, equation = error(program)
        high = equation.terms[1][0] // equation.terms[-1][0] * by
        forged = first(values, d.id, int(values[d.id].ravel()[0]) + by)
        last = limbs[-1].id
        return followed(program, values, forged | first(values, last, int(values[last].ravel()[0]) - high))

    return forge


DIGITS = {
    "another step": (step_alone, lambda p: "equation step 0 value"),
    "error is a fraction": (error_fraction, lambda p: f"check {error(p)[0].label} range"),
    "error one too small": (error_off(-1), lambda p: f"check {error(p)[1][-1].label}"),
    "error one too large": (error_off(1), lambda p: f"check {error(p)[1][-1].label}"),
}


@pytest.fixture(scope="module")
def whole_digits_linear(digits_linear, tmp_path_factory):
    spec, program, _, srs = digits_linear
    folder = tmp_path_factory.mktemp("digits") / "whole"
    return Forgery.of(program, folder, srs, spec.plonk.logrows, spec.plonk.columns, permissive=False)


@pytest.fixture(scope="module")
def weakened_digits_linear(digits_linear, tmp_path_factory):
    """The same circuit without a claim, compiled once for each claim."""
    spec, program, _, srs = digits_linear
    made = {}

    def get(claim):
        if claim not in made:
            folder = tmp_path_factory.mktemp("digits") / "weakened"
            weak = without(program, claim)
            made[claim] = Forgery.of(weak, folder, srs, spec.plonk.logrows, spec.plonk.columns)
        return made[claim]

    return get


@pytest.mark.parametrize("name", DIGITS)
def test_a_forged_step_on_digits(name, digits_linear, whole_digits_linear, weakened_digits_linear):
    forge, claim = DIGITS[name]
    _, program, values, _ = digits_linear
    changed = forge(program, values)
    honest = slots_of(program, values)
    assert whole_digits_linear.attempt(honest).valid
    # ezkl 23.0.5 does not return (in half a minute, at least) from proving what is no row of this table.
    outcome = whole_digits_linear.attempt(honest, slots_of(program, values, changed))
    assert not outcome.valid
    if name in ("another step", "error one too small"):
        # Every number is a row of the table: ezkl makes a proof, a false one.
        assert "constraint system is not satisfied" in outcome.refusal
        assert outcome.computed_instances != outcome.instances
    weak = weakened_digits_linear(claim(program))
    weakened = weak.program
    outcome = weak.attempt(slots_of(weakened, values), slots_of(weakened, values, changed))
    assert outcome.valid, outcome.refusal
