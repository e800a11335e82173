"""Does training in a circuit's integers train? ``python -m benchmarks.training [CIRCUIT ...]``.

Each model is trained twice on the same batches of digits in the same order: in the integers of its circuit,
and in float64. The losses of every batch, and loss and held-out accuracy after every epoch, go to
build/bench/training.json and, side by side, to build/bench/training.html. What is printed last is what
docs/benchmarks.md shows; the exit status is 1 if a model is a point or more from its twin at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Template
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from fedproof.circuits import TrainingSpec, available, load_spec
from fedproof.circuits.program import build_program, float_graph, training_step
from fedproof.export import TrainingStep, flat_parameters, load_attribute
from fedproof.files import write_whole
from fedproof.lowering import Program, evaluate, quantize
from fedproof.project import Project
from fedproof.record.charts import Series, line_chart

Floats = NDArray[np.float64]
HELD_OUT, SEED, EPOCHS = 360, 0, 5
#: Points of a curve of batches, an epoch: each is the mean of the batches since the last.
POINTS = 12
#: How far from its twin's the accuracy of a model may be in the end.
ALLOWED = 0.01
PAGE = Template(
    """<!doctype html><meta charset="utf-8"><title>Training in integers</title>
<style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto}svg{max-width:460px}
.grid{stroke:#ddd}.axis{stroke:#888}.tick,.title{font-size:11px}
.line{fill:none;stroke-width:2}.dot{stroke:none}.s0{stroke:#0b6;color:#0b6}.s1{stroke:#06c;color:#06c}
figure{display:inline-block;margin:0 1rem 2rem 0}</style>
<h1>Training in integers, beside float64</h1>
<p>Same batches, same order. Solid: the circuit's integers. Dashed: float64.</p>
{% for row in rows %}<h2>{{ row.circuit }}</h2>
<p>{{ row.summary }}</p>
<figure>{{ row.batches }}<figcaption>loss of the batches, before the step on each, relative to the first
</figcaption></figure>
<figure>{{ row.loss }}<figcaption>training loss, relative to its start</figcaption></figure>
<figure>{{ row.accuracy }}<figcaption>held-out accuracy</figcaption></figure>{% endfor %}"""
)


def digits(
    project: Project, pixels: int, seed: int = SEED
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Training and held-out digits of as many pixels as a model takes, in an order that ``seed`` fixes."""
    name = "load" if pixels == 64 else "load_28"
    x, y = load_attribute(f"models/digits.py:{name}", project.root)()
    order = np.random.default_rng(seed).permutation(len(x))
    test, rest = order[:HELD_OUT], order[HELD_OUT:]
    return (x[rest], y[rest]), (x[test], y[test])


class Twins:
    """One model in integers and in float64."""

    def __init__(self, spec: TrainingSpec, program: Program, step: TrainingStep) -> None:
        self.spec, self.program, self.step = spec, program, step
        step.module.double()
        self.real = torch.from_numpy(flat_parameters(step.module))
        self.bits = spec.numbers.weights
        self.whole = quantize(self.real.numpy(), self.bits)
        salt = next(n for n in program.nodes if n.op == "input" and n.attr("name") == "step_salt")
        self.salt = np.zeros(salt.shape, dtype=np.int64)
        self.places = next(s for s in program.slots if s.name == "step").nodes

    def take(self, x: Floats, y: Floats) -> None:
        """Take the same step twice."""
        n = self.spec.numbers
        inputs = {
            "model": self.whole,
            "x": quantize(x, n.inputs),
            "y": quantize(y, n.targets),
            "step_salt": self.salt,
        }
        values = evaluate(self.program, inputs)
        moved = np.concatenate([values[i].ravel() for i in self.places])[: len(self.whole)]
        self.whole = self.whole - moved
        self.real = self.real - self.step(self.real, torch.from_numpy(x), torch.from_numpy(y)).detach()

    def losses(self, x: Floats, y: Floats) -> tuple[float, float]:
        """Loss on a batch of the integers' model, and of the float one."""
        with torch.no_grad():
            integers, real = (
                float(self.step.loss(self._answer(theta, x), torch.from_numpy(y))) for theta in self._models()
            )
        return integers, real

    def _models(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(self.whole / 2.0**self.bits), self.real

    def _answer(self, theta: torch.Tensor, x: Floats) -> torch.Tensor:
        parameters = self.step.unflatten(theta)
        found: torch.Tensor = torch.func.functional_call(self.step.module, parameters, (torch.from_numpy(x),))
        return found

    def scores(self, x: Floats, y: Floats) -> dict[str, float]:
        """Loss and accuracy of both on ``x`` (n, *sample), ``y`` (n, *target)."""
        result = {}
        for name, theta in zip(("integers", "float"), self._models(), strict=True):
            with torch.no_grad():
                answer = self._answer(theta, x)
                result[f"{name}_loss"] = float(self.step.loss(answer, torch.from_numpy(y)))
                right = answer.numpy().argmax(1) == y.argmax(1)
                result[f"{name}_accuracy"] = float(right.mean())
        return result


def batches(x: Floats, y: Floats, size: int, epoch: int, seed: int = SEED) -> Iterator[tuple[Floats, Floats]]:
    """Full batches in the order of an epoch."""
    order = np.random.default_rng((seed, epoch)).permutation(len(x))
    for start in range(0, len(x) - size + 1, size):
        at = order[start : start + size]
        yield x[at], y[at]


def run(project: Project, name: str, epochs: int, seed: int, show: Console) -> dict[str, Any]:
    """Train a circuit's model for some epochs; return its curves."""
    spec = load_spec(name, project.circuits)
    assert isinstance(spec, TrainingSpec)
    program = build_program(spec, project.circuits, float_graph(spec, project.root))
    twins = Twins(spec, program, training_step(spec, project.root))
    (x, y), (test_x, test_y) = digits(project, int(np.prod(spec.sample)), seed)
    shape = (-1, *spec.sample)
    x, test_x = x.reshape(shape), test_x.reshape(shape)
    curve = [twins.scores(test_x, test_y) | {"train": twins.scores(x, y)}]
    started, losses = time.perf_counter(), []
    for epoch in range(epochs):
        todo = len(x) // spec.batch
        for bx, by in track(
            batches(x, y, spec.batch, epoch, seed), f"{name} {epoch + 1}", todo, console=show
        ):
            losses.append(twins.losses(bx, by))
            twins.take(bx, by)
        curve.append(twins.scores(test_x, test_y) | {"train": twins.scores(x, y)})
    return {
        "circuit": name,
        "learning_rate": spec.learning_rate,
        "batch": spec.batch,
        "samples": len(x),
        "seconds": round(time.perf_counter() - started, 1),
        "batches": [[round(loss, 6) for loss in both] for both in losses],
        "epochs": curve,
    }


def gap(row: dict[str, Any]) -> float:
    """Largest difference of the two accuracies after any epoch."""
    return max(abs(e["integers_accuracy"] - e["float_accuracy"]) for e in row["epochs"])


def last_gap(row: dict[str, Any]) -> float:
    """Difference of the two accuracies in the end."""
    last = row["epochs"][-1]
    return abs(float(last["integers_accuracy"] - last["float_accuracy"]))


def summary(row: dict[str, Any]) -> list[str]:
    """Return the row of the printed table."""
    last = row["epochs"][-1]
    return [
        row["circuit"],
        f"1/{round(1 / row['learning_rate'])}",
        str(row["batch"]),
        str(len(row["epochs"]) - 1),
        f"{last['integers_accuracy']:.3f}",
        f"{last['float_accuracy']:.3f}",
        f"{gap(row):.3f}",
        f"{last['train']['integers_loss']:.4f}",
        f"{last['train']['float_loss']:.4f}",
        str(row["seconds"]),
    ]


HEADINGS = (
    "circuit",
    "learning rate",
    "batch",
    "epochs",
    "accuracy, integers",
    "accuracy, float64",
    "largest gap",
    "loss, integers",
    "loss, float64",
    "s",
)


def batch_curve(row: dict[str, Any]) -> tuple[list[str], Floats]:
    """Labels in epochs, and means (points, 2) of the losses of the batches, relative to the first mean."""
    losses = np.array(row["batches"])
    width = max(1, len(losses) // (POINTS * (len(row["epochs"]) - 1)))
    means = losses[: len(losses) // width * width].reshape(-1, width, 2).mean(1)
    each = len(losses) / (len(row["epochs"]) - 1)
    labels = [f"{width * (i + 1) / each:.1f}" for i in range(len(means))]
    return labels, np.minimum(means / means[0].max(), 1.0)


def page(rows: list[dict[str, Any]]) -> str:
    """Loss and accuracy curves of all circuits as one HTML page."""
    drawn, kinds = [], (("integers", False), ("float", True))
    for row in rows:
        labels = [str(i) for i in range(len(row["epochs"]))]
        start = max(e["train"]["float_loss"] for e in row["epochs"])
        loss = [
            Series(k, [min(1.0, e["train"][f"{k}_loss"] / start) for e in row["epochs"]], dashed=dashed)
            for k, dashed in kinds
        ]
        accuracy = [Series(k, [e[f"{k}_accuracy"] for e in row["epochs"]], dashed=d) for k, d in kinds]
        at, means = batch_curve(row)
        batch_loss = [Series(k, list(means[:, i]), dashed=d) for i, (k, d) in enumerate(kinds)]
        drawn.append(
            {
                "circuit": row["circuit"],
                "summary": ", ".join(
                    f"{h}: {v}" for h, v in zip(HEADINGS[1:], summary(row)[1:], strict=True)
                ),
                "batches": line_chart(at, batch_loss, title="loss of batches", x_title="epoch"),
                "loss": line_chart(labels, loss, title="training loss", x_title="epoch"),
                "accuracy": line_chart(labels, accuracy, title="held-out accuracy", x_title="epoch"),
            }
        )
    return PAGE.render(rows=drawn)


def main() -> None:
    """Train the circuits named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("circuits", nargs="*", help="training circuits (default: all)")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=SEED, help="which samples are held out, and all orders")
    parser.add_argument("--output", type=Path, default=None, help="folder (default: build/bench)")
    given = parser.parse_args()
    # Batches are small: threads cost more than they save.
    torch.set_num_threads(1)
    project = Project.find()
    names = given.circuits or [
        n for n in available(project.circuits) if load_spec(n, project.circuits).kind == "training"
    ]
    show = Console()
    folder = given.output or project.root / "build" / "bench"
    kept = folder / "training.json"
    kept_rows = json.loads(kept.read_text()) if kept.is_file() else []
    # What an older version wrote has no losses of batches.
    rows = {r["circuit"]: r for r in kept_rows if "batches" in r}
    for name in names:
        rows[name] = run(project, name, given.epochs, given.seed, show)
        write_whole(kept, json.dumps(list(rows.values())) + "\n")
    write_whole(folder / "training.html", page(list(rows.values())))
    print("| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|", sep="\n")
    for row in rows.values():
        print("| " + " | ".join(summary(row)) + " |")
    far = [r["circuit"] for r in rows.values() if last_gap(r) > ALLOWED]
    if far:
        show.print(f"more than {ALLOWED:.0%} from float64: {', '.join(far)}")
    sys.exit(bool(far))


if __name__ == "__main__":
    main()
