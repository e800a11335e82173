"""``fedproof prove`` and ``verify`` on real proofs of a tiny circuit, and wrong input of every kind."""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path

import numpy as np
import pytest
from cli_project import STEP, Command, write_json

pytestmark = pytest.mark.prove


@pytest.fixture(scope="session")
def proven(_compiled_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with input, step and proof of one training step."""
    from fedproof.cli import run

    folder = tmp_path_factory.mktemp("proven")
    write_json(folder / "in.json", STEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDPROOF_PROJECT", str(_compiled_once))
        paths = (
            "--input",
            folder / "in.json",
            "--output",
            folder / "proof.json",
            "--step",
            folder / "step.json",
        )
        assert run(["prove", "tiny", *map(str, paths)]) == 0
    return folder


def test_a_proof_verifies(compiled: Path, proven: Path, fedproof: Command) -> None:
    answer = fedproof("verify", "tiny", proven / "proof.json")
    assert answer.code == 0
    assert answer.out.startswith("valid: ")
    assert len(answer.out.splitlines()) == 1
    assert "development SRS" in answer.err


def test_verify_gives_the_commitments_as_json(compiled: Path, proven: Path, fedproof: Command) -> None:
    document = fedproof("verify", "tiny", proven / "proof.json", "--json").json
    assert document["valid"] is True
    assert list(document["commitments"]) == ["model", "batch", "step", "advice"]


def test_the_step_file_is_private_and_chains(
    compiled: Path, proven: Path, tmp_path: Path, fedproof: Command
) -> None:
    step = json.loads((proven / "step.json").read_text())
    assert stat.S_IMODE((proven / "step.json").stat().st_mode) == 0o600
    assert np.array_equal(np.subtract(step["model"], step["step"]), step["next"])
    given = write_json(tmp_path / "next.json", STEP | {"model": {"vector": step["next"]}})
    answer = fedproof("prove", "tiny", "-i", given, "-o", tmp_path / "proof.json", "--json")
    assert answer.code == 0, answer.err
    # P(next) = P(model) - P(step): what links one proof to the next
    from fedproof.circuits.store import CircuitStore
    from fedproof.commitments import Point
    from fedproof.project import Project

    committer = CircuitStore(Project.find()).get("tiny").committer
    stated = [Point(*(int(c, 16) for c in point)) for point in answer.json["commitments"]["model"]]
    assert tuple(stated) == tuple(committer.full(step["next"]))


def test_an_npz_file_says_the_same(compiled: Path, tmp_path: Path, fedproof: Command) -> None:
    np.savez(tmp_path / "in.npz", **{name: np.array(value) for name, value in STEP.items()})
    answer = fedproof("prove", "tiny", "-i", tmp_path / "in.npz", "-o", tmp_path / "p.json")
    assert answer.code == 0, answer.err
    assert fedproof("verify", "tiny", tmp_path / "p.json").code == 0


def test_an_average_is_proven(compiled: Path, tmp_path: Path, fedproof: Command) -> None:
    from fedproof.circuits.store import CircuitStore
    from fedproof.project import Project

    length = CircuitStore(Project.find()).get("tiny-average").manifest.slot("delta").length
    updates = [[3] * length, [-1] * length]
    given = write_json(tmp_path / "in.json", {"updates": updates, "samples": [2, 2]})
    paths = ("-i", given, "-o", tmp_path / "p.json", "--step", tmp_path / "average.json")
    answer = fedproof("prove", "tiny-average", *paths)
    assert answer.code == 0, answer.err
    assert json.loads((tmp_path / "average.json").read_text())["delta"] == [1] * length
    assert fedproof("verify", "tiny-average", tmp_path / "p.json").code == 0
    fedproof("verify", "tiny", tmp_path / "p.json").failed(3, "not of tiny")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": [[0.5, math.nan, 0.125]] * 2}, ["x: element (0, 1)", "nan", "[-8, 8)"]),
        ({"x": [[0.5, 0.5, 0.5], [0.5, 0.5, 8.0]]}, ["x: element (1, 2)", "8.0", "[-8, 8)"]),
        ({"y": [[0.0, 1.0], [0.0, -math.inf]]}, ["y: element (1, 1)", "-inf", "[-16, 16)"]),
        ({"model": [0.0] * 7 + [1e12]}, ["the model: element (7,)", "1000000000000.0"]),
        ({"x": [[0.5, 0.5]] * 2}, ["x has shape (2, 2)", "(2, 3)"]),
        ({"x": [[0.5, 0.5, 0.5], [0.5]]}, ["x is not an array of numbers"]),
        ({"x": "pixels"}, ["x is not an array of numbers"]),
        ({"model": [0.0] * 9}, ["the model has shape (9,)", "(8,)"]),
        ({"model": {"vector": [0] * 5}}, ["model vector has shape (5,)"]),
        ({"model": {"vector": [0, 0.5]}}, ["model.vector: element 1 is 0.5, not a 64-bit integer"]),
        ({"model": {"vector": [2**70]}}, ["model.vector: element 0", "not a 64-bit integer"]),
        ({"model": {"vectors": [0]}}, ["unknown 'vectors'"]),
        ({"z": [1]}, ["unknown 'z'", "it takes: model, x, y"]),
    ],
)
def test_a_wrong_input_is_named(
    change: dict[str, object], words: list[str], compiled: Path, tmp_path: Path, fedproof: Command
) -> None:
    given = write_json(tmp_path / "in.json", STEP | change)
    answer = fedproof(
        "prove", "tiny", "-i", given, "-o", tmp_path / "proof.json", "--step", tmp_path / "step.json"
    )
    answer.failed(2, *words)
    assert [p.name for p in tmp_path.iterdir()] == ["in.json"]


def test_a_value_that_the_circuit_cannot_hold_is_named(
    compiled: Path, tmp_path: Path, fedproof: Command
) -> None:
    # Every input is in range, what is computed from them is not.
    given = write_json(tmp_path / "in.json", STEP | {"model": [1000.0] * 8})
    fedproof("prove", "tiny", "-i", given, "-o", tmp_path / "proof.json").failed(2, "element")
    assert not (tmp_path / "proof.json").exists()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"updates": [], "samples": []}, ["updates must be a list of vectors and not empty"]),
        ({"updates": [[1, 2]], "samples": [1]}, ["update of trainer 0", "(2,)"]),
        ({"updates": [["one"]], "samples": [1]}, ["updates[0]: element 0 is 'one'"]),
        ({"updates": [[1]]}, ["neither weights nor samples"]),
        ({"updates": [[1]], "weights": [256], "samples": [1]}, ["both weights and samples"]),
    ],
)
def test_a_wrong_average_is_named(
    document: object, words: list[str], compiled: Path, tmp_path: Path, fedproof: Command
) -> None:
    given = write_json(tmp_path / "in.json", document)
    fedproof("prove", "tiny-average", "-i", given, "-o", tmp_path / "proof.json").failed(2, *words)


@pytest.mark.parametrize("weights", [[255], [128, 127], [257, -1], [256, 0, 0]])
def test_weights_must_add_up(weights: list[int], compiled: Path, tmp_path: Path, fedproof: Command) -> None:
    from fedproof.circuits.store import CircuitStore
    from fedproof.project import Project

    length = CircuitStore(Project.find()).get("tiny-average").manifest.slot("delta").length
    given = write_json(tmp_path / "in.json", {"updates": [[1] * length] * 2, "weights": weights})
    fedproof("prove", "tiny-average", "-i", given, "-o", tmp_path / "proof.json").failed(2, "weights")


def test_an_average_circuit_takes_no_step(compiled: Path, tmp_path: Path, fedproof: Command) -> None:
    given = write_json(tmp_path / "in.json", STEP)
    fedproof("prove", "tiny-average", "-i", given, "-o", tmp_path / "p.json").failed(
        2, "neither weights nor samples"
    )


def test_the_input_is_not_overwritten(compiled: Path, tmp_path: Path, fedproof: Command) -> None:
    given = write_json(tmp_path / "in.json", STEP)
    out = tmp_path / "out.json"
    fedproof("prove", "tiny", "-i", given, "-o", given).failed(2, "must be different files")
    fedproof("prove", "tiny", "-i", given, "-o", out, "--step", out).failed(2, "must be different files")
    assert not out.exists()
    assert json.loads(given.read_text()) == STEP


def test_an_output_that_cannot_be_written(compiled: Path, tmp_path: Path, fedproof: Command) -> None:
    (tmp_path / "file").write_text("")
    given = write_json(tmp_path / "in.json", STEP)
    fedproof("prove", "tiny", "-i", given, "-o", tmp_path / "file" / "p.json").failed(70, "cannot write")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda p: p | {"proof": _flipped(p["proof"], -20)}, 3, ["does not verify"]),
        (lambda p: p | {"proof": _flipped(p["proof"], 5)}, 3, ["point"]),
        (lambda p: p | {"proof": p["proof"][:-2]}, 3, ["bytes"]),
        (lambda p: p | {"proof": p["proof"] + "00"}, 3, ["bytes"]),
        (lambda p: p | {"proof": "0xzz"}, 2, ["is not a proof file", "proof"]),
        (lambda p: p | {"instances": [p["instances"][0] + 1]}, 3, ["public instances"]),
        (lambda p: p | {"instances": []}, 3, ["public instances"]),
        (lambda p: p | {"key": "0" * 40}, 3, ["0" * 40]),
        (lambda p: p | {"surplus": 1}, 2, ["is not a proof file", "surplus"]),
        (lambda p: {k: v for k, v in p.items() if k != "proof"}, 2, ["is not a proof file", "proof"]),
        (lambda _: [], 2, ["is not a proof file"]),
    ],
)
def test_a_wrong_proof_is_one_clear_line(
    change: object,
    code: int,
    words: list[str],
    compiled: Path,
    proven: Path,
    tmp_path: Path,
    fedproof: Command,
) -> None:
    proof = json.loads((proven / "proof.json").read_text())
    changed = write_json(tmp_path / "proof.json", change(proof))  # type: ignore[operator]
    fedproof("verify", "tiny", changed).failed(code, *words)
    answer = fedproof("verify", "tiny", changed, "--json").failed(code)
    assert answer.json["exit_code"] == code


def _flipped(proof: str, at: int) -> str:
    raw = bytearray(bytes.fromhex(proof.removeprefix("0x")))
    raw[at] ^= 1
    return "0x" + raw.hex()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1, 2]"])
def test_a_file_that_is_no_proof(content: bytes, compiled: Path, tmp_path: Path, fedproof: Command) -> None:
    (tmp_path / "proof.json").write_bytes(content)
    fedproof("verify", "tiny", tmp_path / "proof.json").failed(2, "proof.json")
