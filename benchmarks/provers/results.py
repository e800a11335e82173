"""``build/bench/provers.json``: every sample of every measurement, kept from run to run."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fedproof.files import write_whole
from fedproof.record import collect_host, collect_versions

FORMAT = "fedproof-provers/1"
FILE = "provers.json"


class Results:
    """Measurements by part and name. Every change is written at once, whole or not at all."""

    def __init__(self, path: Path, project: Path) -> None:
        self.path, self.project = path, project
        self.parts: dict[str, dict[str, Any]] = {}
        if path.is_file():
            self.parts = json.loads(path.read_text(encoding="utf-8"))["parts"]

    def has(self, part: str, name: str, fingerprint: str) -> bool:
        """Whether it was measured on the same thing."""
        return self.parts.get(part, {}).get(name, {}).get("fingerprint") == fingerprint

    def put(self, part: str, name: str, fingerprint: str, measured: dict[str, Any]) -> None:
        """Keep a measurement, with when, and how busy the machine was with other things."""
        about = {
            "fingerprint": fingerprint,
            "measured_at": datetime.now(UTC).replace(microsecond=0).isoformat(),
            "load_average": [round(v, 2) for v in os.getloadavg()],
        }
        self.parts.setdefault(part, {})[name] = about | measured
        self.write()

    def forget(self, parts: list[str]) -> None:
        """Drop parts, to measure them again."""
        for part in parts:
            self.parts.pop(part, None)

    def write(self) -> None:
        """Write the document."""
        document = {
            "format": FORMAT,
            "host": collect_host().model_dump(mode="json"),
            "versions": collect_versions(self.project).model_dump(mode="json"),
            "parts": self.parts,
        }
        write_whole(self.path, json.dumps(document, indent=1) + "\n")
