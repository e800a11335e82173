"""Writing other numbers into a declaration, comments and order kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import onnx

from fedproof.circuits.changes import COLUMNS
from fedproof.circuits.cost_model import Size
from fedproof.circuits.program import build_program
from fedproof.circuits.shards import digit_columns, shard_program
from fedproof.circuits.sizes import size_of
from fedproof.circuits.spec import AverageSpec, TrainingSpec, available, load_spec
from fedproof.commitments.committer import RESERVED_ROWS
from fedproof.errors import CallerError
from fedproof.files import write_whole
from fedproof.lowering import Program
from fedproof.lowering.circuit.counting import CellCounter


def with_values(text: str, section: str, values: Mapping[str, int]) -> str:
    """Return TOML with other values in ``[section]``, '' being the top; keys that are not there are added."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if re.fullmatch(rf"\[{section}\]\s*(#.*)?", line.strip())]
    start = starts[0] + 1 if section and starts else 0
    if section and not starts:
        lines += ["", f"[{section}]"]
        start = len(lines)
    stop = next((i for i in range(start, len(lines)) if lines[i].lstrip().startswith("[")), len(lines))
    for key, value in values.items():
        pattern = re.compile(rf"(\s*{key}\s*=\s*)([^#\s]+)(.*)")
        for i in range(start, stop):
            if found := pattern.fullmatch(lines[i]):
                lines[i] = f"{found[1]}{value}{found[3]}"
                break
        else:
            while stop > start and not lines[stop - 1].strip():
                stop -= 1
            lines.insert(stop, f"{key} = {value}")
            stop += 1
    return "\n".join(lines) + "\n"


def write_spec(name: str, folder: Path, spec: TrainingSpec) -> None:
    """Bring ``folder/NAME.toml`` to the numbers and the layout of ``spec``."""
    path = folder / f"{name}.toml"
    before = load_spec(name, folder)
    assert isinstance(before, TrainingSpec)
    text = path.read_text()
    for section, old, new in (
        ("numbers", before.numbers.model_dump(), spec.numbers.model_dump()),
        ("plonk", before.plonk.model_dump(), spec.plonk.model_dump()),
    ):
        text = with_values(text, section, {k: v for k, v in new.items() if v != old[k]})
    write_whole(path, text)


def rewrite(
    name: str,
    folder: Path,
    spec: TrainingSpec,
    graph: onnx.ModelProto,
    affordable: Callable[[Size], bool] = lambda _: True,
) -> list[str]:
    """Write ``spec`` and what :func:`follow` makes of what belongs to it; return which files were changed.

    All of them or none: where an average has no layout, or the search for one is interrupted, every
    declaration is as it was.
    """
    names = [name, *_belonging(name, folder)]
    before = {folder / f"{n}.toml": (folder / f"{n}.toml").read_text() for n in names}
    try:
        if spec != load_spec(name, folder):
            write_spec(name, folder, spec)
        follow(name, folder, graph, affordable)
    except BaseException:
        for path, text in before.items():
            write_whole(path, text)
        raise
    return [path.stem for path, text in before.items() if path.read_text() != text]


def _belonging(name: str, folder: Path) -> list[str]:
    """Names of the circuits that are declared to be ``of`` circuit ``name``."""
    declared = re.compile(rf'^\s*of\s*=\s*"{name}"\s*(#.*)?$', re.MULTILINE)
    return [other for other in available(folder) if declared.search((folder / f"{other}.toml").read_text())]


def follow(
    name: str, folder: Path, graph: onnx.ModelProto, affordable: Callable[[Size], bool] = lambda _: True
) -> list[str]:
    """Bring what belongs to circuit ``name`` to its logrows; return which.

    Averages get as few columns as hold them in an ``affordable`` circuit, in shards if it takes shards; other
    kinds keep theirs. Raises :class:`CallerError` for an average that no layout holds.
    """
    training, changed = load_spec(name, folder), []
    for other in _belonging(name, folder):
        path = folder / f"{other}.toml"
        before, logrows = path.read_text(), training.plonk.logrows
        path.write_text(with_values(before, "plonk", {"logrows": logrows}))
        spec = load_spec(other, folder)
        if not isinstance(spec, AverageSpec):
            changed += [other] * (path.read_text() != before)
            continue
        table = min(spec.table, logrows - 1)
        text = with_values(path.read_text(), "", {"table": table}) if table < spec.table else path.read_text()
        spec = spec.model_copy(update={"table": table})
        layout = _layout(other, spec, build_program(spec, folder, graph), logrows, affordable)
        if layout is None:
            path.write_text(before)
            raise CallerError(
                f"the average {other!r} does not fit 2^{logrows} rows of {COLUMNS[-1]} columns, "
                "or not the memory and the gas of a proof",
                hint="more rows (--logrows) or more memory (--memory)",
            )
        after = with_values(text, "plonk", layout)
        write_whole(path, after)
        if after != before:
            changed.append(other)
    return changed


def _layout(
    name: str, spec: AverageSpec, program: Program, logrows: int, affordable: Callable[[Size], bool]
) -> dict[str, int] | None:
    """The first layout of an average that has room: in one circuit if it was, then in the fewest shards."""
    for shards, part in _shared_out(name, spec, program, int(2**logrows) - RESERVED_ROWS):
        counter = CellCounter(part)
        for columns in COLUMNS:
            size = size_of(part, logrows, columns, counter)
            if size.fits and affordable(size):
                return {"columns": columns} | ({"shards": shards} if shards else {})
    return None


def _shared_out(
    name: str, spec: AverageSpec, program: Program, usable: int
) -> Iterator[tuple[int | None, Program]]:
    if spec.plonk.shards is None:
        yield None, program
    for count in range(1, digit_columns(program, usable) + 1):
        plonk = spec.plonk.model_copy(update={"shards": count})
        # Not every number of shards is one of equal shards.
        with suppress(CallerError):
            yield count, shard_program(name, spec.model_copy(update={"plonk": plonk}), program, usable)
