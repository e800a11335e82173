"""Driving ezkl: settings, compilation and keys of a circuit graph. Runs in a worker process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from fedproof.errors import CallerError, TerminalError
from fedproof.lowering.table import lookup_range

#: Artefacts of a compiled circuit, besides the ONNX graphs.
SETTINGS, COMPILED, VK, PK = "settings.json", "circuit.ezkl", "vk.key", "pk.key"
#: ezkl's counts of a circuit differ by a few rows in thousands; a large circuit takes seconds to count.
COUNTS = 3
#: Rows of a column that ezkl keeps for blinding: what lies beyond goes to a second column of the table.
RESERVED_TABLE_ROWS = 9
PLAIN_VERIFIER, REUSABLE_VERIFIER, VKA = "verifier.sol", "verifier_reusable.sol", "vka.bin"


def run_args(table: int, logrows: int, columns: int) -> dict[str, Any]:
    """Return every ezkl setting. Nothing is left to calibration: scale 0 means plain integers."""
    return {
        "input_visibility": "polycommit",
        "output_visibility": "public",
        "param_visibility": "fixed",
        "input_scale": 0,
        "param_scale": 0,
        "scale_rebase_multiplier": 1,
        "lookup_range": lookup_range(table),
        "logrows": logrows,
        "num_inner_cols": columns,
        # Products are checked with a challenge of our own (lowering/circuit): fewer columns than ezkl's.
        "disable_freivalds": True,
        "ignore_range_check_inputs_outputs": True,
        "rebase_frac_zero_constants": False,
        "bounded_log_lookup": False,
        "decomp_base": 16384,
        "decomp_legs": 2,
        # The prover need not verify its own proof: whoever receives one does.
        "check_mode": "unsafe",
    }


def lay_out(folder: Path, args: dict[str, Any]) -> dict[str, Any]:
    """Make the settings and the compiled circuit of ``folder/circuit.onnx``; return ezkl's settings."""
    import ezkl  # noqa: PLC0415 - only workers load it

    py_args = ezkl.PyRunArgs()
    for name, value in args.items():
        setattr(py_args, name, tuple(value) if isinstance(value, list) else value)
    onnx_path, settings = str(folder / "circuit.onnx"), folder / SETTINGS
    made = _count(onnx_path, settings, py_args)
    if made["required_range_checks"]:
        raise TerminalError(f"ezkl added its own range checks: {made['required_range_checks']}")
    # The soundness of every range check rests on this one op over one table of one column.
    lookups = [next(iter(op)) for op in made["required_lookups"]]
    if lookups != ["Pow"]:
        raise TerminalError(f"ezkl looks up {made['required_lookups']}, not one power")
    capacity = 2 ** args["logrows"]
    if args["lookup_range"][1] > capacity - RESERVED_TABLE_ROWS:
        raise CallerError(
            f"a table of {args['lookup_range'][1]} rows does not fit logrows = {args['logrows']}",
            hint="the table must be at least one bit narrower than logrows",
        )
    if made["num_rows"] > capacity:
        raise CallerError(
            f"the circuit needs {made['num_rows']} rows of {args['num_inner_cols']} cells, logrows = "
            f"{args['logrows']} has {capacity}",
            hint="more logrows (in every circuit of the model) or more columns",
        )
    ezkl.compile_circuit(onnx_path, str(folder / COMPILED), str(settings))
    return made


def _count(onnx_path: str, settings: Path, py_args: Any) -> dict[str, Any]:  # noqa: ANN401 - ezkl has no types
    """Have ezkl count the circuit ``COUNTS`` times; keep and return the settings of the smallest count.

    ezkl 23.0.5 counts the same circuit differently from run to run, by a few rows; the keys do not differ.
    """
    import ezkl  # noqa: PLC0415

    best: tuple[tuple[int, int], str] | None = None
    for _ in range(COUNTS):
        ezkl.gen_settings(onnx_path, str(settings), py_run_args=py_args)
        text = settings.read_text()
        made = json.loads(text)
        size = (made["num_rows"], made["total_assignments"])
        if best is None or size < best[0]:
            best = (size, text)
    assert best is not None
    settings.write_text(best[1])
    result: dict[str, Any] = json.loads(best[1])
    return result


def make_keys(folder: Path, srs: Path) -> None:
    """Make the proving and verifying key."""
    import ezkl  # noqa: PLC0415

    ezkl.setup(
        str(folder / COMPILED),
        str(folder / VK),
        str(folder / PK),
        str(srs),
        None,
        disable_selector_compression=False,
    )


def write_verifiers(folder: Path, srs: Path) -> None:
    """Write the Solidity of the plain and the reusable verifier, and the key artefact of the latter."""
    import ezkl  # noqa: PLC0415

    def source(path: Path, *, reusable: bool) -> None:
        async def make() -> None:
            result = ezkl.create_evm_verifier(
                str(folder / VK),
                str(folder / SETTINGS),
                str(path),
                str(folder / f".{path.stem}.abi"),
                str(srs),
                reusable=reusable,
            )
            if asyncio.isfuture(result) or asyncio.iscoroutine(result):
                await result

        try:
            asyncio.run(make())
        # ezkl raises what its solc download raises; the source is written before that, and is checked below.
        except BaseException as error:  # noqa: BLE001
            failure: BaseException | None = error
        else:
            failure = None
        (folder / f".{path.stem}.abi").unlink(missing_ok=True)
        if not path.is_file() or "contract" not in path.read_text():
            raise TerminalError(f"ezkl wrote no verifier: {failure}") from failure

    source(folder / PLAIN_VERIFIER, reusable=False)
    source(folder / REUSABLE_VERIFIER, reusable=True)

    async def vka() -> None:
        result = ezkl.create_evm_vka(str(folder / VK), str(folder / SETTINGS), str(folder / VKA), str(srs))
        if asyncio.isfuture(result) or asyncio.iscoroutine(result):
            await result

    asyncio.run(vka())
