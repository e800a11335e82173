"""Modules that nobody tuned: their steps lower, come close to float, and the circuit accepts no other values.

Each is made of layers listed in docs/circuits.md, in shapes and combinations that no circuit here has.
All are lowered with the same widths.
"""

from __future__ import annotations

import field_model
import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn
from torch.nn import functional

from fedproof.export import TrainingStep, export_step, flat_parameters, load_attribute
from fedproof.lowering import Numbers, circuit_graph, evaluate, quantize, training_program
from fedproof.project import Project

NUMBERS = Numbers(
    table=15, weights=30, inputs=6, targets=6, activations=10, gradients=14, parameters=0, functions=11,
    function_input=7, model=38,
)  # fmt: skip


class Residual(nn.Module):
    """Grouped and strided convolutions around a shortcut, frozen statistics, clipped rectifiers."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4).eval()
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.down = nn.Conv2d(4, 6, 3, stride=2)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = functional.relu6(self.norm(self.stem(x)))
        x = x + self.grouped(x)
        return self.head(functional.adaptive_avg_pool2d(self.down(x), 1).flatten(1))


class Overlapping(nn.Module):
    """Pools that overlap, a leak, flattening."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 2, bias=False)
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        return self.head(
            functional.max_pool2d(functional.leaky_relu(self.conv(x), 0.125), 3, 2, 1).flatten(1)
        )


class Attention(nn.Module):
    """Tokens with positions, causal attention, SiLU, LayerNorm."""

    def __init__(self):
        super().__init__()
        self.positions = nn.Embedding(4, 6)
        self.inward = nn.Linear(3, 6)
        self.q, self.k, self.v = (nn.Linear(6, 6, bias=False) for _ in range(3))
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.inward(x) + self.positions.weight
        mixed = functional.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x), is_causal=True)
        return self.head(functional.silu(self.norm(x + mixed)).mean(1))


class Recurrent(nn.Module):
    """An LSTM over five steps."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(3, 4), nn.Linear(4, 3)

    def forward(self, x):
        h = c = torch.zeros(len(x), 4, dtype=x.dtype)
        for part in x.unbind(1):
            h, c = self.cell(part, (h, c))
        return self.head(h)


class Words(nn.Module):
    """Embedded ids, their mean, tanh."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(7, 5), nn.Linear(5, 3)

    def forward(self, ids):
        return self.head(torch.tanh(self.words(ids.long()).mean(1)))


class Factorised(nn.Module):
    """A factorisation machine: squares of weights, which have twice their bits."""

    def __init__(self):
        super().__init__()
        self.factors, self.linear = nn.Parameter(0.2 * torch.randn(9, 4)), nn.Linear(9, 1)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        pairs = ((x @ self.factors) ** 2 - (x**2) @ (self.factors**2)) / 2
        return self.head(torch.cat([pairs, self.linear(x)], 1))


class Pooled(nn.Module):
    """The largest of each channel, clipped where parameters say, at length one."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)
        self.low, self.high = nn.Parameter(torch.full((4,), -0.1)), nn.Parameter(torch.full((4,), 0.3))

    def forward(self, x):
        most = torch.clamp(self.conv(x).amax((2, 3)), self.low, self.high)
        return self.head(functional.normalize(most + 1))


def wide():
    """Sigmoid and a clip."""
    return nn.Sequential(nn.Linear(9, 5), nn.Sigmoid(), nn.Linear(5, 3), nn.Hardtanh(-2, 2))


def gelu():
    """GELU, no last bias."""
    return nn.Sequential(nn.Linear(9, 5), nn.GELU(), nn.Linear(5, 3, bias=False))


def deep():
    """Five layers."""
    hidden = [m for _ in range(4) for m in (nn.Linear(6, 6), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(6, 3))


MODELS = {
    "residual": (Residual, "cross_entropy", (1, 6, 6)),
    "overlapping": (Overlapping, "hinge", (1, 5, 5)),
    "attention": (Attention, "cross_entropy", (4, 3)),
    "recurrent": (Recurrent, "squared", (5, 3)),
    "words": (Words, "binary_cross_entropy", (4,)),
    "factorised": (Factorised, "cross_entropy", (9,)),
    "pooled": (Pooled, "cross_entropy", (1, 6, 6)),
    "wide": (wide, "huber", (9,)),
    "gelu": (gelu, "absolute", (9,)),
    "deep": (deep, "squared", (6,)),
}


@pytest.fixture(scope="module", params=MODELS)
def lowered(request):
    """A step lowered, real inputs for it, and the float step."""
    make, loss, sample = MODELS[request.param]
    torch.manual_seed(0)
    module = make()
    function = load_attribute(f"models/losses.py:{loss}", Project.find().root)
    graph = export_step(TrainingStep(module, function, 0.125, 2, sample, (3,)))
    program = training_program(graph.graph, NUMBERS)
    rng = np.random.default_rng(1)
    x = (
        rng.integers(0, 7, (2, *sample))
        if request.param == "words"
        else rng.integers(0, 65, (2, *sample)) / 64
    )
    y = np.eye(3)[rng.integers(0, 3, 2)]
    reals = {"model": flat_parameters(module), "x": x.astype(float), "y": y}
    feed = {k: v.astype(np.float32) for k, v in reals.items()}
    (step,) = ort.InferenceSession(graph.SerializeToString()).run(["step"], feed)
    salt = next(n for n in program.nodes if n.op == "input" and n.attr("name") == "step_salt")
    scales = {"model": NUMBERS.weights, "x": NUMBERS.inputs, "y": NUMBERS.targets}
    inputs = {k: quantize(v, scales[k]) for k, v in reals.items()} | {"step_salt": np.zeros(salt.shape, int)}
    return program, evaluate(program, inputs), step


@pytest.mark.reference
def test_its_step_is_close_to_float(lowered):
    program, values, step = lowered
    slot = next(s for s in program.slots if s.name == "step")
    ours = np.concatenate([values[i].ravel() / 2.0 ** program.nodes[i].scale for i in slot.nodes])[
        : len(step)
    ]
    assert np.abs(ours - step).max() <= 0.02 * np.abs(step).max()


@pytest.mark.reference
def test_its_circuit_accepts_the_honest_values_and_no_neighbour(lowered):
    program, values, _ = lowered
    model, given = circuit_graph(program), field_model.given_tensors(program, values)
    assert field_model.agree_on(program, model, given) == program.lookups
    # With anything for what a prover supplies, too, the circuit says what the program claims.
    junk = {i: field_model.random_felts(np.shape(v)) for i, v in given.items()}
    field_model.agree_on(program, model, junk)
    rng = np.random.default_rng(2)
    for hint in [h for h in program.hints if h.size][:: max(1, len(program.hints) // 25)]:
        forged = np.array(given[hint.id], dtype=object, order="C")
        forged.reshape(-1)[int(rng.integers(forged.size))] += 1
        r = int(rng.integers(2**62))
        assert field_model.claimed(program, given | {hint.id: forged}, r) != program.lookups, hint.label
