"""The JSON Schema of a run record, shipped with the package as ``run.schema.json``.

After a change of the model refresh it with ``python -m fedproof.record.schema``; a test compares the two.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from fedproof.files import write_whole
from fedproof.record.model import RunRecord

_NAME = "run.schema.json"


def schema_from_models() -> dict[str, Any]:
    """Generate the schema of what :meth:`RunRecord.write` writes from the models."""
    schema = RunRecord.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def shipped_schema() -> dict[str, Any]:
    """Read the schema shipped with the package."""
    loaded: dict[str, Any] = json.loads((files(__package__) / _NAME).read_text(encoding="utf-8"))
    return loaded


def refresh() -> Path:
    """Write the generated schema over the shipped one and return its path."""
    path = Path(__file__).with_name(_NAME)
    write_whole(path, json.dumps(schema_from_models(), indent=2, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    refresh()
