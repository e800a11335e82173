"""Bit widths: where each class of tensor keeps its binary point."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Numbers(BaseModel):
    """Fixed-point formats of a circuit. All widths in bits.

    A tensor that depends on the targets is a *gradient*, any other computed one an *activation*.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: int = Field(ge=2, le=20, description="width w of the lookup table: one lookup checks w bits")
    weights: int = Field(ge=0, le=48, description="fractional bits of the model vector and of a step")
    inputs: int = Field(ge=0, le=16, description="fractional bits of a sample")
    targets: int = Field(ge=0, le=16, description="fractional bits of a target")
    activations: int = Field(ge=0, le=24, description="fractional bits kept in the forward pass")
    gradients: int = Field(ge=0, le=32, description="fractional bits kept in the backward pass")
    parameters: int = Field(
        default=0,
        ge=0,
        le=24,
        description="fractional bits of weights in products, where rounding them saves lookups; 0: never",
    )
    range: int = Field(
        default=2,
        ge=2,
        le=40,
        description="least width of a rescaled value; it has whole lookups at any rate",
    )
    step: int = Field(
        default=2,
        ge=2,
        le=40,
        description="least width of an element of a step that is rounded to the weights",
    )
    constants: int = Field(default=12, ge=1, le=24, description="significant bits of a constant factor")
    functions: int = Field(default=10, ge=2, le=16, description="log2 of the entries of a function's table")
    function_input: int = Field(
        default=6, ge=0, le=12, description="fractional bits of the argument of a tabulated function"
    )
    model: int = Field(default=40, ge=2, le=60, description="width within which the model vector stays")
