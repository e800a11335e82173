"""What a run keeps, how it extrapolates, and what the ratios say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.circuits.extrapolate import PEAK_A_ROW, fit
from benchmarks.circuits.our_side import joined
from benchmarks.circuits.results import Results
from benchmarks.circuits.summary import ratios, summary
from benchmarks.circuits.table import markdown, short

pytestmark = pytest.mark.reference


def side(logrows: int, arguments: int, **more: Any) -> dict[str, Any]:
    rows = 2**logrows
    return {
        "rows": rows - 5,
        "logrows": logrows,
        "arguments": arguments,
        "prove_s": [1e-4 * (2 + arguments) * rows] * 3,
        "setup_s": 1e-4 * rows,
        "pk_bytes": 1000 * (3 + arguments) * rows,
        "peak_rss": 2500 * (3 + arguments) * rows,
        "setup_peak_rss": 2000 * (3 + arguments) * rows,
        "proof_bytes": 3000 + 500 * arguments,
        "verifier_bytes": 9000 + 1000 * arguments,
        "verify_gas": 400_000 + 50_000 * arguments,
        "max_error": 1e-4,
        "extrapolated": False,
    } | more


def not_run(logrows: int, arguments: int) -> dict[str, Any]:
    return {
        "rows": 2**logrows,
        "logrows": logrows,
        "arguments": arguments,
        "max_error": 1e-4,
        "extrapolated": True,
    }


def test_what_is_linear_is_extrapolated_exactly() -> None:
    runs = [side(15, 2), side(17, 4), side(16, 2), side(19, 3)]
    found, whole = fit(runs), side(22, 5)
    made = found.predict(22, 5)
    assert made["prove_s"] == pytest.approx(whole["prove_s"][0], abs=0.1)
    for name in ("pk_bytes", "peak_rss", "proof_bytes", "verifier_bytes", "verify_gas"):
        assert made[name] == pytest.approx(whole[name], rel=1e-6)
    assert max(found.off.values()) < 1e-3


def test_one_run_gives_a_mean_and_no_run_only_memory() -> None:
    assert fit([side(15, 2)]).predict(16, 9)["pk_bytes"] == 2 * side(15, 2)["pk_bytes"]
    assert fit([]).predict(20, 3) == {}
    assert fit([not_run(20, 3)]).peak(20, 3) == PEAK_A_ROW * 2**20


def test_a_falling_slope_is_no_slope() -> None:
    runs = [side(15, a, pk_bytes=(9 - a) * 2**15) for a in (2, 3, 4)]
    assert fit(runs).coefficients["pk_bytes"][1] == 0


def test_sides_are_kept_while_they_are_of_the_same_thing(tmp_path: Path) -> None:
    path = tmp_path / "circuits.json"
    results = Results(path)
    results.put(
        "mlp",
        {"parameters": 9},
        ours=side(12, 1, fingerprint="a"),
        stock=not_run(20, 3) | {"fingerprint": "s"},
    )
    results.put("linear", {"parameters": 3}, stock=side(15, 2, fingerprint="t"))
    again = Results(path)
    assert again.side("mlp", "ours", "a")
    assert again.side("mlp", "ours", "b") is None
    assert again.side("cnn", "ours", "a") is None
    # What was not run has figures from what was, and says so.
    held = {e["model"]: e for e in json.loads(path.read_text())}
    assert held["mlp"]["stock"]["extrapolated"]
    assert held["mlp"]["stock"]["prove_s"] == [pytest.approx(32 * side(15, 2)["prove_s"][0], abs=0.1)]
    # What was too large may fit the next time; what was tried in vain is not tried again.
    assert again.side("mlp", "stock", "s") is None
    again.entries["mlp"]["stock"]["tried"] = True
    assert again.side("mlp", "stock", "s")
    again.forget(["mlp"], ["stock"])
    assert again.side("mlp", "ours", "a")
    assert again.side("mlp", "stock", "s") is None


def test_means_tell_what_was_run_from_what_was_not() -> None:
    entries = [
        {"model": "a", "parameters": 1, "ours": side(12, 1), "stock": side(15, 1)},
        {"model": "b", "parameters": 1, "ours": side(12, 1), "stock": side(17, 1, extrapolated=True)},
        {"model": "c", "parameters": 1, "ours": side(12, 1)},
    ]
    assert [r.values["prove"] for r in ratios(entries)] == [8, 32]
    made = summary(entries)
    assert made["all"] == {"n": 2, "geometric_means": made["all"]["geometric_means"]}
    assert made["all"]["geometric_means"]["prove"] == 16
    assert made["run"]["geometric_means"]["prove"] == 8
    assert made["least_prove"] == 8


def test_segments_add_up_but_for_memory() -> None:
    more = {"cells": 10, "lookups": 4, "vk_bytes": 6, "n": 3}
    made = joined([side(12, 1, **more), side(12, 2, **more)])
    assert made["segments"] == 2
    assert made["prove_s"] == pytest.approx([7e-4 * 2**12] * 3, abs=1e-3)
    assert made["pk_bytes"] == 9000 * 2**12
    assert made["peak_rss"] == 2500 * 5 * 2**12
    assert made["verifier_bytes"] == 11_000
    assert (made["cells"], made["logrows"], made["n"]) == (20, 12, 3)


def test_the_table_marks_what_was_not_run(tmp_path: Path) -> None:
    results = Results(tmp_path / "circuits.json")
    results.put("a", {"parameters": 1}, ours=side(12, 1), stock=side(15, 1, scale=9))
    results.put("b", {"parameters": 1}, ours=side(12, 1), stock=not_run(20, 3) | {"scale": 8})
    text = markdown(results)
    assert "| ≈ b | " in text
    assert "geometric mean, run (1)" in text
    assert text.count("ezkl, scale") == 2


def test_the_short_table_has_a_row_a_model_and_the_mean_of_what_was_run(tmp_path: Path) -> None:
    results = Results(tmp_path / "circuits.json")
    results.put("a", {"parameters": 1}, ours=side(12, 1), stock=side(15, 1, scale=9))
    results.put("b", {"parameters": 1}, ours=side(13, 1), stock=not_run(20, 3) | {"scale": 8})
    results.put("c", {"parameters": 1}, ours=side(14, 1))
    rows = short(results).splitlines()[2:6]
    assert [row.split(" | ")[0] for row in rows] == [
        "| a (1)",
        "| b (1)",
        "| c (1)",
        "| geometric mean of the 1 run on both sides",
    ]
    assert "≈" in rows[1]
    assert "≈" not in rows[0]
