"""``make bench-provers``: measure what was not measured yet."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from benchmarks.provers.measure import key_loading, overhead, throughput, within_budget
from benchmarks.provers.results import FILE, Results
from benchmarks.provers.round import whole_round
from benchmarks.provers.subject import Subject
from fedproof.project import Project
from fedproof.provers import CpuProver, open_prover
from fedproof.provers.cpu.backend import cores

SMALL, OTHERS = "digits-linear", ("digits-mlp", "digits-cnn", "digits-mlp-wide")
PARTS = ("overhead", "keys", "throughput", "budget", "rounds")
TRAINERS = (4, 16, 64)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.provers")
    parser.add_argument("--part", nargs="*", choices=PARTS, default=PARTS, help="all unless given")
    parser.add_argument("--backend", nargs="*", default=["cpu"], help="cpu, ray, ray://HOST:PORT, gpu")
    parser.add_argument("--circuit", nargs="*", default=[SMALL, *OTHERS], help="of overhead and keys")
    parser.add_argument("--trainers", nargs="*", type=int, default=TRAINERS)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured")
    given = parser.parse_args()
    project = Project.find()
    results = Results(project.build / "bench" / FILE, project.root)
    if given.fresh:
        results.forget(given.part)
    known: dict[str, Subject] = {}

    def subject(name: str) -> Subject:
        return known.get(name) or known.setdefault(name, Subject.of(project, name))

    def once(part: str, name: str, fingerprint: str, measure: Callable[[], dict[str, Any]]) -> None:
        if part in given.part and not results.has(part, name, fingerprint):
            print(f"{part}: {name}", flush=True)
            results.put(part, name, fingerprint, measure())

    for name in given.circuit:
        if {"overhead", "keys"} & set(given.part):
            one = subject(name)
            # A proof of a minute is sampled once: its noise is small beside it.
            few = given.samples if one.circuit.manifest.costs.logrows < 15 else 1
            once("overhead", name, one.key, lambda one=one, few=few: overhead(one, few))
            once("keys", name, one.key, lambda one=one: key_loading(one, given.samples))
    if "throughput" in given.part:
        one = subject(SMALL)
        for backend in given.backend:
            for workers, threads in _layouts(backend):
                name = f"{backend}, {workers} workers, {threads or 'all'} threads"
                once(
                    "throughput",
                    name,
                    one.key,
                    lambda b=backend, w=workers, t=threads: throughput(one, b, w, t, 4),
                )
    if "budget" in given.part:
        pair = [subject("digits-cnn"), subject("digits-mlp")] * 2
        most = max(s.circuit.manifest.costs.prove_peak_bytes for s in pair)
        once("budget", "cnn and mlp", pair[0].key, lambda: within_budget(pair, int(most * 1.5), 4))
    if "rounds" in given.part:
        for backend in given.backend:
            for trainers in given.trainers:
                name = f"{backend}, {trainers} trainers"
                with (
                    CpuProver(workers=cores())
                    if backend == "cpu"
                    else open_prover(backend, benchmark=True) as prover
                ):
                    once(
                        "rounds",
                        name,
                        subject(SMALL).key,
                        lambda n=trainers, p=prover: whole_round(project, SMALL, n, p, p.parallel),
                    )


def _layouts(backend: str) -> list[tuple[int, int | None]]:
    """Workers and threads: powers of two up to the cores, each on its share of them or on all."""
    counts = [n for n in (1, 2, 4, 8, 16, 32) if n <= cores()]
    if backend != "cpu":
        return [(n, None) for n in counts]
    return [layout for n in counts for layout in ([(n, None)] if n == 1 else [(n, cores() // n), (n, None)])]


if __name__ == "__main__":
    main()
