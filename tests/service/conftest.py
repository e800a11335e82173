import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rounds"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))

from cli_project import _compiled_once, compiled, fedproof, project
from service_world import arena
from tiny_circuits import average, circuits, tiny_srs, training

__all__ = [
    "_compiled_once",
    "arena",
    "average",
    "circuits",
    "compiled",
    "fedproof",
    "project",
    "tiny_srs",
    "training",
]
