"""What a dishonest trainer, thief, aggregator or guardian tries in a round: the real contracts, real proofs.

Each attack is met by exactly one named error, and what the attacker should have done instead goes through.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from chain_world import rpc
from real_world import PERIOD, ProvenAverage, ProvenStep, refused

from fedproof.chain.accounts import devnet_account
from fedproof.chain.deploy import pathway
from fedproof.chain.digests import batch_leaf, commit_digest, model_hash, points_hash
from fedproof.chain.hub import Phase, StepProof
from fedproof.chain.networks import ETHEREUM_TRANSACTION_GAS
from fedproof.chain.registry import RecordStatus, RegistryClient
from fedproof.commitments import CommitmentMismatch, sub
from fedproof.provers.base import WitnessRejected
from fedproof.relay.layerzero.sender import RelayClient
from fedproof.relay.layerzero.worker import LayerZeroWorker

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("undone")]

FIRST, SECOND, THIRD = 0, 1, 2


def test_an_honest_round_ends_in_one_hash_on_both_chains(finalized, real_world, record_property):
    """Sanity: nothing below is refused because everything is."""
    world, evidence = real_world, real_world.evidence
    moved = evidence.genesis.plus(evidence.honest.average.delta)
    opened = evidence.step.committer.pure(moved.vector)
    expected = model_hash(finalized.model_id, finalized.number, opened)
    assert finalized.result() == opened
    assert finalized.hub.model_hash(finalized.model_id, finalized.number) == expected
    way = pathway(world.deployment, world.chains)
    relayed = RelayClient(way).relay(finalized.model_id, finalized.number)
    delivery = LayerZeroWorker(way).deliver_transaction(relayed.tx)
    record = RegistryClient(world.chains.l1, world.deployment.registry).latest(finalized.model_id)
    assert (record.round_number, record.model_hash, record.status) == (1, expected, RecordStatus.PROVISIONAL)
    gas = {name: receipt.gas for name, receipt in finalized.receipts.items()} | {"relay": relayed.gas}
    l1 = {name: receipt.gas for name, receipt in delivery.steps}
    l1 |= {item.step: item.gas for item in world.deployment.transactions() if item.chain == "l1"}
    print(f"\nL2 gas {gas}\nL1 gas {l1}")
    assert max(l1.values()) < ETHEREUM_TRANSACTION_GAS
    record_property("gas", gas)


# -- submit ---------------------------------------------------------------------------------------------------
