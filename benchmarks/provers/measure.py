"""The measurements of the CPU backend, each a document with every sample."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from benchmarks.provers.sampling import MemorySampler
from benchmarks.provers.subject import Subject
from fedproof.provers import CpuProver, ProofRun, Prover, open_prover
from fedproof.provers.artefacts import PK, SETTINGS

MIB = 2**20

#: Loads a proving key as ezkl.prove does, and nothing else; ezkl's own log says how long it took.
_LOAD = """
import json, logging, os, re, sys, time
told = []
class Told(logging.Handler):
    def emit(self, record):
        found = re.search(r"loaded proving key in ([\\d.]+)(µs|ms|s)$", record.getMessage())
        if found:
            told.append(float(found[1]) * {"µs": 1e-6, "ms": 1e-3, "s": 1.0}[found[2]])
logger = logging.getLogger("ezkl.pfsys")
logger.addHandler(Told())
logger.setLevel(logging.INFO)
import ezkl
key, settings, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
cpu = []
for _ in range(times):
    before = time.process_time()
    ezkl.gen_vk_from_pk_single(key, settings, os.devnull)
    cpu.append(round(time.process_time() - before, 4))
print(json.dumps({"seconds": [round(t, 4) for t in told], "cpu_seconds": cpu}))
"""


def timed(subject: Subject, prover: Prover) -> tuple[float, ProofRun]:
    """One proof; the seconds that its caller waited."""
    started = time.perf_counter()
    run = subject.prove(prover)
    return time.perf_counter() - started, run


def overhead(subject: Subject, samples: int) -> dict[str, Any]:
    """What a proof takes beside ezkl's own calls: with kept workers, and with a process a proof.

    ``prove_s`` is ezkl's prove call, ``witness_s`` its witness, ``call_s`` what the caller waited.
    """
    document: dict[str, Any] = {"circuit": subject.name, "logrows": subject.circuit.manifest.costs.logrows}
    for name, kept in (("kept", True), ("fresh", False)):
        runs = []
        with CpuProver(workers=1) as prover:
            if kept:
                subject.prove(prover)  # the first one starts the worker
            for _ in range(samples):
                seconds, run = timed(subject, prover)
                runs.append((seconds, run))
                if not kept:
                    prover.close()
            subject.check(prover, runs[-1][1])
        rows = [
            {
                "call_s": round(seconds, 4),
                "witness_s": round(run.witness_s, 4),
                "prove_s": round(run.prove_s, 4),
                "load_s": round(run.load_s, 4),
                "peak_bytes": run.peak_bytes,
            }
            for seconds, run in runs
        ]
        beside = [seconds - run.prove_s - run.witness_s for seconds, run in runs]
        around = [seconds - run.prove_s for seconds, run in runs]
        proving = median(run.prove_s for _, run in runs)
        document[name] = {
            "samples": rows,
            "beside_ezkl_s": round(median(beside), 4),
            "beside_ezkl_share": round(median(beside) / proving, 4),
            "around_prove_share": round(median(around) / proving, 4),
            "key_loading_share": round(median(run.load_s for _, run in runs) / proving, 4),
        }
    return document


def key_loading(subject: Subject, samples: int) -> dict[str, Any]:
    """Seconds to load the proving key, by key format, buffer and place, and from a cold page cache."""
    folder = subject.circuit.folder
    key = folder / PK
    checked, unchecked = ({"EZKL_KEY_FORMAT": f} for f in ("raw-bytes", "raw-bytes-unchecked"))

    def load(settings: dict[str, str], place: str = str(key), times: int = samples) -> dict[str, Any]:
        command = [sys.executable, "-c", _LOAD, place, str(folder / SETTINGS), str(times)]
        done = subprocess.run(command, env=os.environ | settings, capture_output=True, check=True)
        return json.loads(done.stdout)

    def cold(settings: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {"seconds": [], "cpu_seconds": []}
        for _ in range(samples):
            descriptor = os.open(key, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
            for name, values in load(settings, times=1).items():
                found[name] += values
        return found

    return {
        "circuit": subject.name,
        "key_bytes": key.stat().st_size,
        "before": load(checked),
        "after": load(unchecked),
        "after, buffer of 1 MiB": load(unchecked | {"EZKL_BUF_CAPACITY": str(MIB)}),
        "after, buffer of 16 MiB": load(unchecked | {"EZKL_BUF_CAPACITY": str(16 * MIB)}),
        "after, cold": cold(unchecked),
    }


def throughput(
    subject: Subject, backend: str, workers: int, threads: int | None, each: int
) -> dict[str, Any]:
    """Proofs an hour with so many at once; ``threads`` is what each may use of the CPU, None for all."""
    prover = (
        CpuProver(workers=workers, threads=threads)
        if backend == "cpu"
        else open_prover(backend, benchmark=True)
    )
    with prover, ThreadPoolExecutor(workers) as callers, MemorySampler() as memory:
        list(callers.map(lambda _: subject.prove(prover), range(workers)))  # workers are started
        started = time.perf_counter()
        runs = list(callers.map(lambda _: timed(subject, prover), range(workers * each)))
        seconds = time.perf_counter() - started
        subject.check(prover, runs[-1][1])
    return {
        "circuit": subject.name,
        "backend": backend,
        "workers": workers,
        "threads": threads,
        "proofs": len(runs),
        "seconds": round(seconds, 3),
        "proofs_an_hour": round(3600 * len(runs) / seconds, 1),
        "calls_s": [round(s, 3) for s, _ in runs],
        "most_bytes": memory.most,
    }


def within_budget(subjects: list[Subject], budget: int, callers: int) -> dict[str, Any]:
    """Proofs of several circuits at once under a budget that not all of them fit into."""
    prover = CpuProver(workers=callers, memory=budget)
    with prover, ThreadPoolExecutor(callers) as threads, MemorySampler() as memory:
        runs = list(threads.map(lambda s: s.prove(prover), subjects))
    return {
        "circuits": [s.name for s in subjects],
        "callers": callers,
        "budget_bytes": budget,
        "most_bytes": memory.most,
        "samples": len(memory.samples),
        "waited_s": [round(r.waited_s, 3) for r in runs],
        "peaks_bytes": [r.peak_bytes for r in runs],
        "held": memory.most <= budget,
    }
