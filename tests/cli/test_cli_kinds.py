"""``fedproof prove`` and ``verify`` of answers, of counts of right ones, and of a step with a state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_project import Command, write_json

pytestmark = pytest.mark.prove

MODEL = """
from torch import nn


class Scores(nn.Module):
    def __init__(self):
        super().__init__()
        self.output = nn.Linear(2, 3)

    def forward(self, x):
        return self.output(x)


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]
"""

TRAINING = """
kind = "training"
model = "models/scores.py:Scores"
loss = "models/scores.py:squared"
batch = 2
sample = [2]
target = [3]
learning_rate_log2 = -1

[optimiser]
momentum = 0.5

[numbers]
table = 8
weights = 10
inputs = 4
targets = 4
activations = 6
gradients = 8
range = 12
step = 12

[plonk]
logrows = 9
columns = 3
"""

FORWARD = """
kind = "{kind}"
of = "scores"
batch = 2

[plonk]
logrows = 9
columns = 2
"""

GIVEN = {"model": [1, 0.5, -0.5, 1, 0.25, -1, 0.125, 0, -0.25], "x": [[0.5, -0.25], [-0.75, 0.125]]}
ANSWER = [[0.5, -0.5, 0.125], [-0.5625, 0.5, -0.5625]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kinds-project")
    for name in ("models", "circuits"):
        (root / name).mkdir()
    (root / "models" / "scores.py").write_text(MODEL)
    (root / "circuits" / "scores.toml").write_text(TRAINING)
    for kind in ("inference", "evaluation"):
        (root / "circuits" / f"scores-{kind}.toml").write_text(FORWARD.format(kind=kind))
    return root


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDPROOF_PROJECT", str(folder))
    monkeypatch.delenv("FEDPROOF_BUILD", raising=False)


def test_a_count_is_proven_and_shown(folder: Path, fedproof: Command) -> None:
    given = write_json(folder / "in.json", GIVEN | {"labels": [0, 2]})
    proof, result = folder / "proof.json", folder / "result.json"
    made = fedproof("prove", "scores-evaluation", "-i", given, "-o", proof, "--step", result, "--json")
    assert made.code == 0, made.err
    assert (made.json["count"], made.json["samples"]) == (1, 2)
    shown = fedproof("verify", "scores-evaluation", proof)
    assert shown.out.rstrip().endswith("1 of 2 right")
    document = fedproof("verify", "scores-evaluation", proof, "--json").json
    assert (document["count"], document["samples"]) == (1, 2)
    # The same batch with the same salt is the same commitment: a test set is published once.
    again = write_json(folder / "again.json", json.loads(given.read_text()) | {
        "salt": json.loads(result.read_text())["salt"]
    })  # fmt: skip
    second = fedproof("prove", "scores-evaluation", "-i", again, "-o", folder / "p2.json", "--json").json
    assert second["commitments"]["batch"] == document["commitments"]["batch"]
    assert second["commitments"]["model"] != document["commitments"]["model"]


def test_an_answer_is_proven(folder: Path, fedproof: Command) -> None:
    given, result = write_json(folder / "in.json", GIVEN), folder / "answer.json"
    made = fedproof("prove", "scores-inference", "-i", given, "-o", folder / "a.json", "--step", result)
    assert made.code == 0, made.err
    for found, wanted in zip(json.loads(result.read_text())["answer"], ANSWER, strict=True):
        assert found == pytest.approx(wanted, abs=2**-7)
    assert fedproof("verify", "scores-inference", folder / "a.json").code == 0


WRONG = [
    ("scores-inference", {"labels": [0, 1]}, "unknown 'labels'"),
    ("scores-evaluation", {}, "no 'labels'"),
    ("scores-evaluation", {"labels": [0, 3]}, "labels: element 1 is 3, there are 3 classes"),
    ("scores-evaluation", {"labels": [0]}, r"labels have shape (1,)"),
    ("scores-evaluation", {"labels": [[1, 1, 0], [0, 0, 1]]}, "must be one-hot"),
    ("scores-inference", {"salt": ["0xzz"]}, "hexadecimal"),
    ("scores-inference", {"x": [[0.5, -0.25]]}, "x has shape (1, 2)"),
]


@pytest.mark.parametrize(("name", "change", "message"), WRONG)
def test_wrong_input_is_named(
    folder: Path, fedproof: Command, name: str, change: dict[str, object], message: str
) -> None:
    given = write_json(folder / "wrong.json", GIVEN | change)
    answer = fedproof("prove", name, "-i", given, "-o", folder / "wrong-proof.json")
    assert answer.code == 2
    assert message in answer.err


def test_a_step_goes_on_from_a_state(folder: Path, fedproof: Command) -> None:
    data = GIVEN | {"y": [[1, 0, 0], [0, 1, 0]]}
    first = write_json(folder / "first.json", data)
    made = fedproof("prove", "scores", "-i", first, "-o", folder / "s1.json", "--step", folder / "r1.json")
    assert made.code == 0, made.err
    ended = json.loads((folder / "r1.json").read_text())
    more = {"model": {"vector": ended["next"]}, "state": {"vector": ended["next_state"]}}
    second = write_json(folder / "second.json", data | more)
    one = fedproof("verify", "scores", folder / "s1.json", "--json").json
    two = fedproof("prove", "scores", "-i", second, "-o", folder / "s2.json", "--json").json
    assert two["commitments"]["state"] == one["commitments"]["new_state"]
