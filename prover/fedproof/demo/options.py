"""What the demo can be told."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class DemoOptions(BaseModel):
    """Options of ``fedproof demo``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    circuit: str = Field(default="digits-mlp", description="training circuit; NAME-average must exist too")
    trainers: int = Field(default=4, ge=1, le=16)
    rounds: int = Field(default=4, ge=1)
    steps: int = Field(default=2, ge=1, description="local SGD steps of each trainer in a round")
    held_out: int = Field(default=357, ge=1, description="samples held out for the accuracy")
    seed: int = Field(default=4, description="of the split of the data")
    provers: int = Field(default=2, ge=1, le=16, description="steps proven at a time")
    prover: str | None = Field(default=None, description="who proves; FEDPROOF_PROVER, or cpu, unless given")
    keep_devnet: bool = Field(default=False, description="leave the chains running at the end")
    output: Path | None = Field(default=None, description="folder of all it writes; build/demo unless given")
