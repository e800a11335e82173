"""``--prover ray`` without a cluster: one is started, and leaves nothing behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from conformance import OnChainConformance
from ray_world import left_behind

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from chain_world import empty_devnet

from fedproof.errors import CallerError
from fedproof.provers.ray import RayProver, open_backend

__all__ = ["empty_devnet"]

pytestmark = [pytest.mark.ray, pytest.mark.evm]


@pytest.fixture(scope="module")
def prover():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("FEDPROOF_MEMORY", "2GiB")
        made = open_backend("")
    folder = Path(made._cluster().connection.folder)
    assert folder.is_dir()
    yield made
    made.close()
    assert not left_behind(folder)
    assert not folder.exists()


class TestLocalRay(OnChainConformance):
    def test_it_has_the_cores_and_the_budget_of_the_machine(self, prover):
        [node] = prover.nodes.usable()
        assert prover.parallel == len(os.sched_getaffinity(0))
        assert node.resources["memory"] == 2 * 2**30

    def test_a_second_prover_shares_it_and_another_cluster_is_refused(self, prover):
        with RayProver() as second:
            assert second.parallel == prover.parallel
        with pytest.raises(CallerError, match="connected to a local cluster, not to ray://elsewhere:1"):
            open_backend("elsewhere:1")
        assert prover.parallel  # what is shared is not closed by the first that leaves
