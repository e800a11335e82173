"""Reading what is to be proven: a JSON or .npz file with real numbers or integers."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedproof.errors import CallerError

if TYPE_CHECKING:
    from fedproof.circuits.store import Circuit
    from fedproof.lowering.ir import IntArray
    from fedproof.rounds import ModelVector, Samples

_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class StepInput:
    """What a training step takes: the model, and a batch ``x`` (B, *sample), ``y`` (B, *target).

    ``mask`` (B, K) where elements are dropped, ``state`` where an optimiser goes on from one.
    """

    model: ModelVector
    x: Any
    y: Any
    mask: Any = None
    state: ModelVector | None = None


@dataclass(frozen=True)
class AnswerInput:
    """What an inference or an evaluation takes: the model, and a batch, with labels for an evaluation."""

    model: ModelVector
    samples: Samples


@dataclass(frozen=True)
class AverageInput:
    """What an average takes: updates (D + S,) and integer weights, which sum to 2^t."""

    updates: list[IntArray]
    weights: list[int]


def read_step(path: Path, circuit: Circuit) -> StepInput:
    """Read a step of a training circuit: ``model``, ``x`` and ``y``.

    ``model`` is D real numbers, or ``{"vector": [D + S integers]}`` as a committed vector; in an .npz file
    ``vector`` stands for the latter. Raises :class:`CallerError` naming the field, the element and the limit.
    """
    from fedproof.rounds import ModelVector  # noqa: PLC0415 - onnx is slow to import

    model, field, data = _model(path, circuit)
    more = [name for name in ("mask", "state") if name in data]
    _only(data, (field, "x", "y", *more), str(path), all_of=True)
    state = data.get("state")
    if isinstance(state, dict):
        _only(state, ("vector",), "state", all_of=True)
        state = state["vector"]
    if state is not None:
        state = ModelVector.from_vector(circuit, integers("state.vector", state))
    return StepInput(model, data["x"], data["y"], data.get("mask"), state)


def read_answer(path: Path, circuit: Circuit) -> AnswerInput:
    """Read what an inference takes, ``model`` and ``x``, or an evaluation, which takes ``labels`` as well.

    ``salt``, as hexadecimal numbers, is that of a batch which was committed to before. Raises as
    :func:`read_step`.
    """
    from fedproof.rounds import Samples  # noqa: PLC0415

    model, field, data = _model(path, circuit)
    labels = ["labels"] if circuit.manifest.has("count") else []
    salted = ["salt"] if "salt" in data else []
    _only(data, (field, "x", *labels, *salted), str(path), all_of=True)
    salt = _salt(data["salt"], circuit.manifest.slot("batch").salt) if salted else ()
    return AnswerInput(model, Samples.from_floats(circuit, data["x"], data.get("labels"), salt=salt))


def _salt(values: object, length: int) -> tuple[int, ...]:
    from fedproof.commitments import SCALAR_MODULUS  # noqa: PLC0415 - only needed here

    try:
        salt = tuple(int(str(v), 16) for v in values)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise CallerError(f"salt is not a list of hexadecimal numbers: {error}") from error
    if len(salt) != length or not all(0 <= s < SCALAR_MODULUS for s in salt):
        raise CallerError(f"salt must be {length} hexadecimal field element(s)")
    return salt


def _model(path: Path, circuit: Circuit) -> tuple[ModelVector, str, dict[str, Any]]:
    """Read the model of an input file; return it, the field it was in, and all that the file holds."""
    from fedproof.rounds import ModelVector  # noqa: PLC0415 - onnx is slow to import

    data = _read(path)
    model = data.get("model")
    if isinstance(model, dict):
        _only(model, ("vector",), "model")
        data = {**{k: v for k, v in data.items() if k != "model"}, **model}
    given = [name for name in ("model", "vector") if name in data]
    if len(given) != 1:
        raise CallerError(
            f"{path} has {'both model and vector' if given else 'no model'}",
            hint='give "model": [real numbers], or "model": {"vector": [integers with the salt]}',
        )
    if given[0] == "vector":
        vector = ModelVector.from_vector(circuit, integers("model.vector", data["vector"]))
    else:
        vector = ModelVector.from_floats(circuit, data["model"])
    return vector, given[0], data


def read_average(path: Path, circuit: Circuit) -> AverageInput:
    """Read what an average circuit takes: ``updates``, and ``weights`` or the ``samples`` behind them.

    Raises :class:`CallerError` for a wrong shape or a number that is no 64-bit integer, naming the element.
    """
    from fedproof.circuits import AverageSpec  # noqa: PLC0415
    from fedproof.rounds.aggregator import fold_weights  # noqa: PLC0415

    spec = circuit.manifest.spec
    if not isinstance(spec, AverageSpec):
        raise CallerError(f"{circuit.name!r} is a circuit of kind {spec.kind!r}, not of kind 'average'")
    data = _read(path)
    given = [name for name in ("weights", "samples") if name in data]
    if len(given) != 1:
        raise CallerError(
            f"{path} has {'both weights and samples' if given else 'neither weights nor samples'}",
            hint=f'give "samples": [per update], or "weights": [integers that sum to {2**spec.table}]',
        )
    _only(data, ("updates", given[0]), str(path), all_of=True)
    if not isinstance(data["updates"], Sequence | np.ndarray) or not len(data["updates"]):
        raise CallerError(f"{path}: updates must be a list of vectors and not empty")
    updates = [integers(f"updates[{i}]", update) for i, update in enumerate(data["updates"])]
    numbers = [int(n) for n in integers(given[0], data[given[0]])]
    weights = numbers if given[0] == "weights" else fold_weights(numbers, spec.table)
    return AverageInput(updates, weights)


def read_samples(path: Path) -> tuple[Any, Any]:
    """Read a trainer's samples: ``x`` (n, *sample) and ``y`` (n, *target) of an .npz or JSON file."""
    data = _read(path)
    _only(data, ("x", "y"), str(path), all_of=True)
    try:
        return np.asarray(data["x"], dtype=np.float64), np.asarray(data["y"], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CallerError(f"{path}: x and y must be arrays of numbers: {error}") from error


def integers(name: str, values: object) -> IntArray:
    """``values``, a flat list of integers, as int64. Raises :class:`CallerError` naming what is not."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if not isinstance(values, list):
        raise CallerError(f"{name} is not a list of integers but {type(values).__name__}")
    for i, value in enumerate(values):
        # bool is an int to Python, and a mistake here
        if type(value) is not int or value not in _INT64:
            raise CallerError(f"{name}: element {i} is {value!r:.80}, not a 64-bit integer")
    return np.array(values, dtype=np.int64)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CallerError(f"no input file {path}") from None
    except OSError as error:
        raise CallerError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, zipfile.BadZipFile, RecursionError) as error:
        kind = "an .npz file of numbers" if path.suffix == ".npz" else "JSON"
        raise CallerError(f"{path} is not {kind}: {error}") from error
    if not isinstance(data, dict):
        raise CallerError(f"{path} holds a {type(data).__name__}, not an object", hint="see: --help")
    return data


def _only(data: dict[str, Any], names: Sequence[str], where: str, *, all_of: bool = False) -> None:
    unknown = [name for name in data if name not in names]
    missing = [name for name in names if name not in data] if all_of else []
    if unknown or missing:
        problem = "unknown" if unknown else "no"
        which = ", ".join(map(repr, unknown or missing))
        raise CallerError(f"{where}: {problem} {which}", hint=f"it takes: {', '.join(names)}")
