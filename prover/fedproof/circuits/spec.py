"""What a circuit is, as declared in ``circuits/NAME.toml``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fedproof.errors import CallerError
from fedproof.lowering import Numbers

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class Strict(BaseModel):
    """An immutable declaration: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Plonk(Strict):
    """How the circuit is laid out."""

    logrows: int = Field(ge=6, le=24, description="log2 of the rows; equal in all circuits of a model")
    columns: int = Field(
        default=1, ge=1, le=16, description="ezkl's num_inner_cols: cells worked on in a row"
    )
    segments: int = Field(
        default=1, ge=1, le=32, description="circuits that a step is cut into, each with a proof of its own"
    )


class TrainingSpec(Strict):
    """One SGD step of a module on a batch."""

    kind: Literal["training"]
    model: str = Field(description="FILE.py:CLASS, a torch.nn.Module without constructor arguments")
    loss: str = Field(description="FILE.py:FUNCTION of (prediction, target)")
    batch: int = Field(ge=1)
    sample: tuple[int, ...] = Field(description="shape of one sample")
    target: tuple[int, ...] = Field(description="shape of one target")
    learning_rate_log2: int = Field(ge=-24, le=4)
    numbers: Numbers
    plonk: Plonk

    @property
    def learning_rate(self) -> float:
        """The learning rate, a power of two."""
        return float(2.0**self.learning_rate_log2)


class AverageSpec(Strict):
    """The exact weighted average of updates of a training circuit."""

    kind: Literal["average"]
    of: str = Field(description="the training circuit whose updates are averaged")
    table: int = Field(ge=2, le=20, description="log2 of the sum of the weights, and width of a lookup")
    steps: int = Field(default=2, ge=1, le=4096, description="most steps of a trainer in a round")
    limbs: int = Field(
        default=0,
        ge=0,
        le=5,
        description="width of an average in lookups of table bits; 0: any provable updates' average fits",
    )
    plonk: Plonk


CircuitSpec = Annotated[TrainingSpec | AverageSpec, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[TrainingSpec | AverageSpec] = TypeAdapter(CircuitSpec)


def load_spec(name: str, folder: Path) -> TrainingSpec | AverageSpec:
    """Read and check ``folder/NAME.toml``. Raises :class:`CallerError` naming what is wrong and where."""
    spec = _read(name, folder)
    if isinstance(spec, AverageSpec):
        if spec.plonk.segments != 1:
            raise CallerError(f"{name}.toml: an average is one circuit, it cannot be cut into segments")
        whole = _read(spec.of, folder)
        if not isinstance(whole, TrainingSpec):
            raise CallerError(f"{name}.toml: 'of' must name a training circuit, {spec.of!r} is not one")
        if whole.plonk.logrows != spec.plonk.logrows:
            raise CallerError(
                f"{name}.toml: logrows is {spec.plonk.logrows}, that of {spec.of!r} is {whole.plonk.logrows}",
                hint="commitments agree only between circuits of equal logrows",
            )
    return spec


def _read(name: str, folder: Path) -> TrainingSpec | AverageSpec:
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
        problems = [(".".join(map(str, err["loc"][1:])) or "kind", err["msg"]) for err in e.errors()]
        listed = "; ".join(f"{place}: {problem}" for place, problem in problems)
        raise CallerError(f"{path.name}: {listed}") from e


def available(folder: Path) -> list[str]:
    """Names of the circuits declared in ``folder``, sorted."""
    return sorted(p.stem for p in folder.glob("*.toml"))
