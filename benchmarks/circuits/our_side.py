"""Our side of a model: the compiled circuit, or all segments that it is cut into."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.circuits.results import STAGES, Side, measured, size_of
from benchmarks.circuits.samples import take_samples
from benchmarks.ledger import Row
from benchmarks.onchain import Chain, gas_of_parts
from benchmarks.options import Options
from benchmarks.ours import Ours, Work
from benchmarks.workloads import TrainingWork, our_training
from fedproof.circuits import layout
from fedproof.circuits.store import Circuit

#: How the figures of segments make that of the step; what all have alike is taken from the first.
SUMS = ("rows", "cells", "lookups", "setup_s", "pk_bytes", "vk_bytes", "proof_bytes")
LARGEST = ("peak_rss", "setup_peak_rss", "verifier_bytes", "arguments")


def measure_ours(
    circuit: Circuit,
    work: TrainingWork,
    options: Options,
    folder: Path,
    chain: Callable[[], Chain],
    say: Callable[[str], None],
) -> Side:
    """Take every sample of every part of a circuit. Raises StageFailed."""
    started = time.perf_counter()
    whole = our_training(circuit, work)
    prepare_s = time.perf_counter() - started
    names = [slot.name for slot in circuit.program.slots]
    vectors = dict(zip(names, whole.slots, strict=True))
    subjects, sides = [], []
    try:
        for i, part in enumerate(circuit.parts):
            row = Row("training-step", circuit.name, "ours", "fedproof")
            own = Work([vectors[s.name] for s in part.program.slots], whole.result, whole.expected)
            given = partial(_given, own)
            subject = Ours(row, options, folder / f"part{i}", circuit=part, prepare_work=given)
            take_samples(subject, say)
            subjects.append(subject)
        gas = gas_of_parts(circuit, subjects, chain())
        say(f"verified on chain: {gas:,} gas")
        for subject in subjects:
            size = size_of(json.loads((subject.folder / layout.SETTINGS).read_text()))
            size["lookups"] = subject.circuit.manifest.costs.lookups
            sides.append(measured(subject.row, size))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    about = {"prepare_s": [round(prepare_s, 4)], "verify_gas": gas, "verify_gas_deployable": gas}
    return joined(sides) | about


def _given(work: Work, _: Row) -> Work:
    return work


def joined(sides: Sequence[Side]) -> Side:
    """Return segments proven one after the other as one side: times and sizes add up, memory does not."""
    made = dict(sides[0])
    for name in SUMS:
        made[name] = sum(side[name] for side in sides)
    for name in LARGEST:
        made[name] = max(side[name] for side in sides)
    for name in (f"{stage}_s" for stage in STAGES):
        if name in made:
            made[name] = [round(sum(parts), 4) for parts in zip(*(s[name] for s in sides), strict=True)]
    return made | {"segments": len(sides)}
