import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from chain_world import empty_devnet, world

__all__ = ["empty_devnet", "world"]
