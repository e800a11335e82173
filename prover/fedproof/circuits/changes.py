"""Single changes of a declaration's numbers, and declarations with other numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from fedproof.circuits.spec import Plonk, TrainingSpec
from fedproof.lowering import Numbers

#: Numbers of columns that are tried.
COLUMNS = (1, 2, 3, 4)
#: Where each number may go, from where it is.
STEPS: dict[str, tuple[int, ...]] = {
    "table": (-2, -1, 1, 2),
    "activations": (-3, -2, -1, 1, 2),
    "gradients": (-3, -2, -1, 1, 2),
    "weights": (-2, -1, 1, 2),
}
#: Fractional bits that weights may be rounded to in products; 0: as they are.
PARAMETERS = (0, 10, 12, 14)


def with_numbers(spec: TrainingSpec, **numbers: Any) -> TrainingSpec | None:  # noqa: ANN401 - Numbers' fields
    """Return ``spec`` with other numbers, or None where one is out of its bounds."""
    try:
        changed = Numbers.model_validate(spec.numbers.model_dump() | numbers)
    except ValidationError:
        return None
    return spec.model_copy(update={"numbers": changed})


def with_plonk(spec: TrainingSpec, **plonk: int) -> TrainingSpec:
    """Return ``spec`` in another layout."""
    return spec.model_copy(update={"plonk": Plonk.model_validate(spec.plonk.model_dump() | plonk)})


def single_changes(spec: TrainingSpec) -> Iterator[tuple[str, TrainingSpec]]:
    """Every declaration that differs in one number, with the difference in words."""
    numbers = spec.numbers.model_dump()
    others = {name: [numbers[name] + step for step in steps] for name, steps in STEPS.items()}
    others["parameters"] = [value for value in PARAMETERS if value != numbers["parameters"]]
    for name, values in others.items():
        for value in values:
            changed = with_numbers(spec, **{name: value})
            if changed is not None and changed.numbers.table < spec.plonk.logrows:
                yield f"{name} {numbers[name]} → {value}", changed
