"""The kinds of circuits, as their declarations say: training, average, inference, evaluation."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedproof.lowering import Numbers

#: Numbers that say how a model's integers are to be read: whatever shares a model shares them.
MODEL_NUMBERS = ("weights", "model")


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
    # Without a default number: what a declaration does not use leaves its circuit's key as it was.
    shards: int | None = Field(
        default=None, ge=1, le=64, description="proofs of one circuit that an average is shared out over"
    )


class OptimiserSpec(Strict):
    """What SGD does beyond the plain step; see :class:`fedproof.export.SGD`."""

    momentum: float = Field(default=0.0, ge=0, lt=1, description="of the velocity: a state beside the model")
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    clip: float | None = Field(default=None, gt=0, description="bound of an element of the gradient")


class TrainingSpec(Strict):
    """One SGD step on a batch: of a module and its loss, or as an ONNX file has it."""

    kind: Literal["training"]
    model: str | None = Field(
        default=None, description="FILE.py:CLASS, a torch.nn.Module without constructor arguments"
    )
    loss: str | None = Field(default=None, description="FILE.py:FUNCTION of (prediction, target)")
    graph: str | None = Field(default=None, description="FILE.onnx, the whole step; in place of model, loss")
    batch: int = Field(ge=1)
    sample: tuple[int, ...] = Field(description="shape of one sample")
    target: tuple[int, ...] = Field(description="shape of one target")
    learning_rate_log2: int | None = Field(default=None, ge=-24, le=4)
    optimiser: OptimiserSpec | None = None
    numbers: Numbers
    plonk: Plonk

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        named = ("model", "loss", "learning_rate_log2")
        if self.graph is None:
            if missing := [name for name in named if getattr(self, name) is None]:
                raise ValueError(f"{missing[0]} is missing; only a graph = FILE.onnx does without")
        elif extra := [name for name in (*named, "optimiser") if getattr(self, name) is not None]:
            raise ValueError(f"{extra[0]} is given, but the graph is the whole step")
        return self

    @property
    def learning_rate(self) -> float:
        """The learning rate, a power of two. Of a module's step: a graph has its own inside."""
        assert self.learning_rate_log2 is not None
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


class ForwardSpec(Strict):
    """A model's answer to a batch. The model, a sample and the numbers are those of ``of``."""

    of: str = Field(description="the training circuit whose model answers")
    graph: str | None = Field(default=None, description="FILE.onnx, in place of the module of 'of'")
    batch: int = Field(ge=1)
    numbers: dict[str, int] = Field(default={}, description="those that differ from the numbers of 'of'")
    plonk: Plonk

    @model_validator(mode="after")
    def _of_one_model(self) -> Self:
        if shared := [name for name in MODEL_NUMBERS if name in self.numbers]:
            raise ValueError(f"numbers.{shared[0]} is the model's, and stands in the circuit {self.of!r}")
        if self.plonk.segments != 1:
            raise ValueError("plonk.segments: only a training step can be cut into segments")
        return self


class InferenceSpec(ForwardSpec):
    """``y = f(model, x)``, committed: which model gave this answer."""

    kind: Literal["inference"]


class EvaluationSpec(ForwardSpec):
    """How many answers of a batch are right, by a committed model on a committed batch with labels."""

    kind: Literal["evaluation"]


AnySpec = TrainingSpec | AverageSpec | InferenceSpec | EvaluationSpec
CircuitSpec = Annotated[AnySpec, Field(discriminator="kind")]
