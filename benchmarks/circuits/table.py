"""Tables of the results: ``python -m benchmarks.circuits.table [--short] [build/bench/circuits.json]``."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from benchmarks.cells import line, number, rule, size, told
from benchmarks.circuits.results import SIDES, Entry, Results, Side
from benchmarks.circuits.summary import FIGURES, means, ratios
from fedproof.chain.artefacts import MAX_RUNTIME_BYTES

COLUMNS = ["model", "side", "k", "rows", "prove", "setup", "key", "memory", "proof", "verifier", "gas"]
COLUMNS += ["max error"]
TITLES = {
    "prove_cpu": "prove, CPU",
    "with_witness": "data to proof",
    "memory": "peak memory",
    "key": "proving key",
    "gas": "verify gas",
    "verifier": "verifier size",
}


def markdown(results: Results) -> str:
    """Render every side, the ratios with their means, and what was measured on."""
    entries = list(results.entries.values())
    lines = [line(COLUMNS), rule(2, len(COLUMNS) - 2)]
    for entry in entries:
        lines += [line(_cells(entry, name)) for name in SIDES if name in entry]
    compared = ratios(entries)
    if compared:
        lines += ["", line(["stock / ours", *(TITLES.get(f, f) for f in FIGURES)]), rule(1, len(FIGURES))]
        lines += [line([_named(r.model, r.extrapolated), *_row(r.values)]) for r in compared]
        run = [r for r in compared if not r.extrapolated]
        if run and len(run) < len(compared):
            lines.append(line([f"geometric mean, run ({len(run)})", *_row(means(run))]))
        lines.append(line([f"geometric mean, all ({len(compared)})", *_row(means(compared))]))
    return "\n".join([*lines, "", _foot(results), ""])


def short(results: Results) -> str:
    """Render one row a model, the figures that matter most, and how many times better they are."""
    entries = list(results.entries.values())
    compared = {r.model: r for r in ratios(entries)}
    head = ["model (parameters)", "prove, ours", "ezkl", "key, ours", "ezkl", "memory, ours", "ezkl"]
    lines = [line([*head, "verify gas", "prove", "key", "memory"]), rule(1, len(head) + 3)]
    for entry in sorted(entries, key=lambda e: e["ours"]["rows"]):
        sides = [entry.get(name, {}) for name in SIDES]
        about = ["", "≈ " if sides[1].get("extrapolated") else ""]
        cells = [f"{entry['model']} ({entry['parameters']:,})"]
        cells += [
            a + _seconds(median(s["prove_s"])) if s.get("prove_s") else "–"
            for a, s in zip(about, sides, strict=True)
        ]
        for figure in ("pk_bytes", "peak_rss"):
            cells += [
                a + size(s.get(figure)) if s.get(figure) else "–" for a, s in zip(about, sides, strict=True)
            ]
        found = compared.get(entry["model"])
        shares = [found.values.get(f) if found else None for f in ("prove", "key", "memory")]
        lines.append(
            line([*cells, number(sides[0].get("verify_gas")), *(f"{v:.1f}×" if v else "–" for v in shares)])
        )
    run = [r for r in compared.values() if not r.extrapolated]
    if run:
        mean = means(run)
        shares = [f"{mean[f]:.1f}×" for f in ("prove", "key", "memory")]
        lines.append(line([f"geometric mean of the {len(run)} run on both sides", *[""] * 7, *shares]))
    return "\n".join([*lines, "", _foot(results), ""])


def _named(model: str, extrapolated: bool) -> str:
    return f"≈ {model}" if extrapolated else model


def _row(values: dict[str, float]) -> list[str]:
    return [f"{values[f]:.2f}×" if f in values else "–" for f in FIGURES]


def _cells(entry: Entry, name: str) -> list[str]:
    side: Side = entry[name]
    title = f"{entry['model']} ({entry['parameters']:,})"
    who = "ours" if name == "ours" else f"ezkl, scale {side.get('scale', '–')}"
    if "failure" in side:
        return [title, who, "–", "–", f"none: {side['failure']}"[:120], *["–"] * (len(COLUMNS) - 5)]
    about = "≈ " if side["extrapolated"] else ""
    code = side.get("verifier_bytes")
    over = " (over the limit)" if code and code > MAX_RUNTIME_BYTES else ""
    proving = side.get("prove_s", [])
    return [
        title,
        who,
        number(side["logrows"]),
        number(side["rows"]),
        f"≈ {proving[0]:,.0f} s" if about and proving else told(proving),
        about + _seconds(side.get("setup_s")),
        about + size(side.get("pk_bytes")),
        about + size(side.get("peak_rss")),
        about + number(side.get("proof_bytes"), " B"),
        about + number(code, " B") + over,
        about + number(side.get("verify_gas")),
        _error(side),
    ]


def _seconds(value: float | None) -> str:
    if not value:
        return "–"
    return f"{value:,.0f} s" if value >= 100 else f"{value:.3g} s"


def _error(side: Side) -> str:
    if side.get("max_error") is None:
        return "–"
    return f"{side['max_error']:.1e}" + ("" if side.get("scale_reached", True) else " (not reached)")


def _foot(results: Results) -> str:
    sides: list[Side] = [e[s] for e in results.entries.values() for s in SIDES if s in e]
    measured = [side for side in sides if "host" in side]
    if not measured:
        return ""
    last = max(measured, key=lambda side: side["at"])
    host, versions, found = last["host"], last["versions"], results.fit()
    lines = [
        f"`make bench-circuits`: {host['cpu']}, {host['cores']} cores, {host['ram_bytes'] / 2**30:.0f} GiB; "
        f"ezkl {versions['ezkl']}, torch {versions['torch']}, Python {versions['python']}, "
        f"commit {(versions['commit'] or 'unknown')[:12]}, {last['at'][:10]}. Median [least–most], n samples."
    ]
    if any(e.get("stock", {}).get("extrapolated") for e in results.entries.values()):
        off = ", ".join(f"{name} {share:.0%}" for name, share in found.off.items())
        lines.append(
            f"≈ does not fit: extrapolated by rows from the {found.runs} circuits of ezkl's that were run"
            + (f"; each of those is predicted from the others to within {off}." if off else ".")
        )
    return "\n".join(lines)


if __name__ == "__main__":
    files = [a for a in sys.argv[1:] if a != "--short"]
    render = short if "--short" in sys.argv[1:] else markdown
    print(render(Results(Path(files[0] if files else "build/bench/circuits.json"))))
