"""The main job: whole rounds on real data, from PyTorch to a hash on the L1, with a record of everything."""

from fedproof.demo.options import DemoOptions
from fedproof.demo.run import run_demo

__all__ = ["DemoOptions", "run_demo"]
