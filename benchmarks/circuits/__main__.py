"""``python -m benchmarks.circuits [MODEL ...] [--fresh] [--only ours|stock]``: see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from benchmarks.circuits.results import FILE, SIDES, Results
from benchmarks.circuits.run import Run, zoo
from benchmarks.circuits.summary import summary
from benchmarks.circuits.table import markdown
from benchmarks.options import Options
from fedproof.errors import FedproofError
from fedproof.files import write_whole
from fedproof.project import Project

SUMMARY = "circuits-summary.json"
#: Limits of one stage where the environment sets none. Others need memory, too.
TIME_LIMIT_S, MEMORY_GIB = 3600.0, 14


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print the table. Returns the exit code: 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.circuits", description=__doc__)
    parser.add_argument("models", nargs="*", help="names of circuits (default: $MODELS, or all)")
    parser.add_argument("--fresh", action="store_true", help="measure again what is finished")
    parser.add_argument("--only", choices=SIDES, help="one side")
    chosen = parser.parse_args(arguments)
    project = Project.find(Path(__file__).parent)
    path = project.build / "bench" / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Two runs would each write the file as it was for them, and take each other's cores.
        with FileLock(path.with_suffix(".lock"), timeout=0):
            return _run(project, Results(path), chosen, parser)
    except Timeout:
        parser.exit(2, f"another run is at work on {path}\n")


def _run(
    project: Project, results: Results, chosen: argparse.Namespace, parser: argparse.ArgumentParser
) -> int:
    sides = [chosen.only] if chosen.only else list(SIDES)
    try:
        models = zoo(project, chosen.models or os.environ.get("MODELS", "").split())
    except FedproofError as error:
        parser.exit(2, f"{error}\n")
    if chosen.fresh:
        results.forget(models, sides)
    with Run(project, results, _options()).open() as run:
        for model in models:
            run.model(model, sides)
    results.write()
    write_whole(
        results.path.with_name(SUMMARY), json.dumps(summary(results.entries.values()), indent=1) + "\n"
    )
    print(markdown(results))
    print(f"  {results.path}")
    for what, reason in run.failed.items():
        print(f"{what} failed: {reason}", file=sys.stderr)
    return 1 if run.failed else 0


def _options(environ: Mapping[str, str] = os.environ) -> Options:
    options = Options.read(environ)
    if not environ.get("BENCH_TIME_LIMIT_S"):
        options = replace(options, time_limit_s=TIME_LIMIT_S)
    if not environ.get("BENCH_MEMORY_GIB"):
        options = replace(options, memory_limit=min(options.memory_limit, MEMORY_GIB * 2**30))
    return options


if __name__ == "__main__":
    sys.exit(main())
