"""The CPU backend does what every prover must do."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import psutil
import pytest
from conformance import OnChainConformance, ProverConformance

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from chain_world import empty_devnet

from fedproof.provers import CpuProver

__all__ = ["empty_devnet"]


@pytest.fixture(scope="module")
def prover():
    with CpuProver() as made:
        yield made


@pytest.mark.prove
class TestCpu(ProverConformance):
    @pytest.fixture
    def slayer(self):
        def slay() -> int:
            found = 0
            for child in psutil.Process(os.getpid()).children():
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    if "fedproof.provers.cpu.worker" in child.cmdline():
                        child.kill()
                        found += 1
            return found

        return slay


@pytest.mark.evm
class TestCpuOnChain(OnChainConformance):
    pass
