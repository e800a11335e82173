"""``make bench-million``: the average of four trainers' updates of 1,000,000 parameters, every shard proven.

Random updates are made, committed to and received as an aggregator receives them; their average is taken and
proven shard by shard; the proof is checked as the hub checks it, and finalizes a round of a hub on a local
chain.
What is there is kept: interrupted, it goes on with the next shard. Results are in build/bench/million.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.million.run import Million
from fedproof.project import Project


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--parameters", type=int, default=1_000_000, help="a square number (1000000)")
    parser.add_argument("--logrows", type=int, default=18, help="log2 of the rows; 20 takes one column (18)")
    parser.add_argument("--trainers", type=int, default=4)
    parser.add_argument("--fresh", action="store_true", help="prove again what was proven")
    options = parser.parse_args()
    project = Project.find()
    out = Path(project.build) / "bench"
    run = Million(project, out, options.parameters, options.logrows, options.trainers)
    if options.fresh:
        run.forget()
    console = Console()
    for line in run.steps():
        console.print(line, highlight=False)


if __name__ == "__main__":
    main()
