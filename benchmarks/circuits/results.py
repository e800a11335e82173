"""``build/bench/circuits.json``: a list, one entry a model, kept from run to run."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.circuits.extrapolate import Fit, complete
from benchmarks.ledger import Row
from fedproof.files import write_whole

Side = dict[str, Any]
Entry = dict[str, Any]
FILE = "circuits.json"
SIDES = ("ours", "stock")
#: Stages of which a side holds every sample.
STAGES = ("prove", "prove_cpu", "witness", "verify", "challenge", "prepare")


class Results:
    """The entries by model. Every change is written at once, whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        if path.is_file():
            self.entries = {e["model"]: e for e in json.loads(path.read_text(encoding="utf-8"))}

    def side(self, model: str, name: str, fingerprint: str) -> Side | None:
        """Return a side that was measured on the same thing, or tried in vain.

        One that was found too large is not: the machine may have more memory now.
        """
        side: Side = self.entries.get(model, {}).get(name, {})
        settled = not side.get("extrapolated") or side.get("tried")
        return side if side.get("fingerprint") == fingerprint and settled else None

    def probes(self, model: str, fingerprint: str) -> list[dict[str, Any]]:
        """Return scales of ezkl that were tried on the same graph and batch."""
        held = self.entries.get(model, {}).get("search", {})
        return list(held["probes"]) if held.get("fingerprint") == fingerprint else []

    def put(self, model: str, about: dict[str, Any], **parts: Any) -> None:
        """Set parts of an entry."""
        self.entries.setdefault(model, {"model": model}).update(about | parts)
        self.write()

    def forget(self, models: list[str], sides: list[str]) -> None:
        """Drop sides, to measure them again; with the stock side the scales tried."""
        for entry in (self.entries[m] for m in models if m in self.entries):
            for name in (*sides, *(["search"] if "stock" in sides else [])):
                entry.pop(name, None)

    def fit(self) -> Fit:
        """What the stock sides that were run say about those that were not."""
        return complete([e["stock"] for e in self.entries.values() if "stock" in e])

    def write(self) -> None:
        """Write all entries, the figures of what was not run derived anew from what was."""
        self.fit()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, json.dumps(list(self.entries.values()), indent=1) + "\n")


def measured(row: Row, size: dict[str, Any]) -> Side:
    """Return a row of a run as a side. Seconds, bytes, gas; ``prove_s`` and the like hold every sample."""
    seconds, peaks = row.seconds, row.peak_bytes
    kept = {f"{n}_s": seconds[n] for n in STAGES if n in seconds}
    return (
        size
        | kept
        | {
            "n": len(seconds["prove"]),
            "setup_s": median(seconds["setup"]),
            "pk_bytes": row.proving_key_bytes,
            "vk_bytes": row.verifying_key_bytes,
            "peak_rss": max(peaks["prove"]),
            "setup_peak_rss": max(peaks["setup"]),
            "proof_bytes": row.proof_bytes,
            "verifier_bytes": row.verifier_bytes,
            "verifier_kind": row.verifier_kind,
            "verify_gas": row.gas.get("verify_plain", row.gas.get("verify")),
            "verify_gas_deployable": row.gas.get("verify"),
            "max_error": row.error and row.error["max_abs"],
            "largest": row.error and row.error["largest"],
            "extrapolated": False,
        }
    )


def size_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what ezkl's settings say about a circuit's size.

    ``columns`` are cells worked on in a row; ``arguments`` lookups, range checks and shuffles, each with
    columns of its own.
    """
    args = settings["run_args"]
    return {
        "rows": settings["num_rows"],
        "logrows": args["logrows"],
        "cells": settings["total_assignments"],
        "columns": args["num_inner_cols"],
        "arguments": len(settings["required_lookups"])
        + len(settings["required_range_checks"])
        + (settings["num_shuffles"] > 0)
        + (settings["num_dynamic_lookups"] > 0),
    }
