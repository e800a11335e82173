"""Reading what a circuit is, as declared in ``circuits/NAME.toml``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from fedproof.circuits.kinds import (
    AnySpec,
    AverageSpec,
    CircuitSpec,
    EvaluationSpec,
    ForwardSpec,
    InferenceSpec,
    OptimiserSpec,
    Plonk,
    Strict,
    TrainingSpec,
)
from fedproof.errors import CallerError
from fedproof.lowering import Numbers, salt_length

__all__ = [
    "AnySpec",
    "AverageSpec",
    "CircuitSpec",
    "EvaluationSpec",
    "ForwardSpec",
    "InferenceSpec",
    "OptimiserSpec",
    "Plonk",
    "Strict",
    "TrainingSpec",
    "available",
    "load_spec",
    "numbers_of",
    "training_of",
]

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_ADAPTER: TypeAdapter[AnySpec] = TypeAdapter(CircuitSpec)


def load_spec(name: str, folder: Path) -> AnySpec:
    """Read and check ``folder/NAME.toml``. Raises :class:`CallerError` naming what is wrong and where."""
    spec = _read(name, folder)
    if not isinstance(spec, AverageSpec) and spec.plonk.shards is not None:
        raise CallerError(f"{name}.toml: plonk.shards: only an average is made of shards")
    if isinstance(spec, TrainingSpec):
        return spec
    if isinstance(spec, AverageSpec) and spec.plonk.segments != 1:
        raise CallerError(f"{name}.toml: an average is one circuit, it cannot be cut into segments")
    whole = _read(spec.of, folder)
    if not isinstance(whole, TrainingSpec):
        raise CallerError(f"{name}.toml: 'of' must name a training circuit, {spec.of!r} is not one")
    if whole.plonk.logrows != spec.plonk.logrows:
        raise CallerError(
            f"{name}.toml: logrows is {spec.plonk.logrows}, that of {spec.of!r} is {whole.plonk.logrows}",
            hint="commitments agree only between circuits of equal logrows",
        )
    if isinstance(spec, ForwardSpec):
        _check_forward(name, spec, whole)
    return spec


def training_of(spec: AnySpec, folder: Path) -> TrainingSpec:
    """Return the training circuit that a declaration belongs to: itself, or the one of its ``of``."""
    whole = spec if isinstance(spec, TrainingSpec) else load_spec(spec.of, folder)
    # Checked when the declaration was read.
    assert isinstance(whole, TrainingSpec)
    return whole


def numbers_of(spec: TrainingSpec | ForwardSpec, whole: TrainingSpec) -> Numbers:
    """Return the numbers of a circuit: those of its training circuit, but for what it declares itself."""
    own = spec.numbers if isinstance(spec, ForwardSpec) else {}
    return Numbers.model_validate(whole.numbers.model_dump() | own)


def _check_forward(name: str, spec: ForwardSpec, whole: TrainingSpec) -> None:
    try:
        numbers = numbers_of(spec, whole)
    except ValidationError as e:
        raise CallerError(f"{name}.toml: {_listed(e, 'numbers')}") from e
    if salt_length(numbers.table) != salt_length(whole.numbers.table):
        raise CallerError(
            f"{name}.toml: with a table of {numbers.table} bits a model's salt has another length than in "
            f"{spec.of!r}, of {whole.numbers.table} bits",
            hint="leave numbers.table out",
        )
    if whole.graph is not None and spec.graph is None:
        raise CallerError(
            f"{name}.toml: {spec.of!r} is a graph of a training step, which holds no answer",
            hint="give graph = FILE.onnx of the forward pass",
        )


def _read(name: str, folder: Path) -> AnySpec:
    if not NAME.fullmatch(name):
        raise CallerError(f"{name!r} is not a circuit name", hint="lower-case letters, digits and hyphens")
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(available(folder)) or "none"
        raise CallerError(f"no circuit {name!r}: {path.name} is not in {folder}", hint=f"there are: {known}")
    try:
        return _ADAPTER.validate_python(tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise CallerError(f"{path.name} is not valid TOML: {e}") from e
    except ValidationError as e:
        raise CallerError(f"{path.name}: {_listed(e)}") from e


def _listed(error: ValidationError, above: str = "") -> str:
    # The first place is the kind, unless it is numbers alone that were read.
    problems = []
    for err in error.errors():
        place = (above, *err["loc"]) if above else err["loc"][1:]
        where = ".".join(map(str, place)) or ("kind" if not err["loc"] else "declaration")
        problems.append(f"{where}: {err['msg'].removeprefix('Value error, ')}")
    return "; ".join(problems)


def available(folder: Path) -> list[str]:
    """Names of the circuits declared in ``folder``, sorted."""
    return sorted(p.stem for p in folder.glob("*.toml"))
