"""How many times ours is cheaper: by model, and as geometric means over models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import geometric_mean, median
from typing import Any

from benchmarks.circuits.results import Entry, Side

#: Figures compared, each stock / ours.
FIGURES = ("prove", "prove_cpu", "with_witness", "setup", "key", "memory", "proof", "verifier", "gas")


@dataclass(frozen=True)
class Ratios:
    """One model: stock / ours of each figure that both sides have."""

    model: str
    extrapolated: bool
    values: dict[str, float]


def ratios(entries: Iterable[Entry]) -> list[Ratios]:
    """Compare the sides of every model that has both."""
    found = []
    for entry in entries:
        ours, stock = entry.get("ours"), entry.get("stock")
        if not ours or not stock or not stock.get("prove_s"):
            continue
        mine, theirs = _figures(ours), _figures(stock)
        values = {n: round(theirs[n] / mine[n], 3) for n in FIGURES if n in mine and n in theirs}
        found.append(Ratios(entry["model"], stock["extrapolated"], values))
    return found


def means(compared: Iterable[Ratios]) -> dict[str, float]:
    """Return the geometric mean of each figure over the models that have it."""
    columns: dict[str, list[float]] = {}
    for one in compared:
        for name, value in one.values.items():
            columns.setdefault(name, []).append(value)
    return {name: round(geometric_mean(values), 3) for name, values in columns.items()}


def summary(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return ratios by model, their means over all and over those run on both sides, and the extremes.

    ``least_prove`` and ``least_memory`` are the worst ratios of any model, ``most_gas`` the gas of our
    dearest verifier.
    """
    entries = list(entries)
    compared = ratios(entries)
    run = [r for r in compared if not r.extrapolated]
    gas = [e["ours"]["verify_gas"] for e in entries if e.get("ours", {}).get("verify_gas")]
    return {
        "models": [asdict(r) for r in compared],
        "all": {"n": len(compared), "geometric_means": means(compared)},
        "run": {"n": len(run), "geometric_means": means(run)},
        "least_prove": min((r.values["prove"] for r in compared), default=None),
        "least_memory": min((r.values["memory"] for r in compared if "memory" in r.values), default=None),
        "most_gas": max(gas, default=None),
    }


def _figures(side: Side) -> dict[str, float]:
    held = {
        "prove": side.get("prove_s"),
        "prove_cpu": side.get("prove_cpu_s"),
        "setup": side.get("setup_s"),
        "key": side.get("pk_bytes"),
        "memory": side.get("peak_rss"),
        "proof": side.get("proof_bytes"),
        "verifier": side.get("verifier_bytes"),
        "gas": side.get("verify_gas"),
    }
    found = {n: float(median(v)) if isinstance(v, list) else float(v) for n, v in held.items() if v}
    if not side["extrapolated"]:
        # All that it takes from data to proof: the exact step, the challenge, ezkl's witness, the proof.
        parts = ("prepare_s", "challenge_s", "witness_s", "prove_s")
        found["with_witness"] = sum(median(side[p]) for p in parts if side.get(p))
    return found
