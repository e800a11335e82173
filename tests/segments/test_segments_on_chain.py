"""Real proofs of segments before their verifier contract: accepted together, refused link by link."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from segmented_steps import OURS, Taken, links, resalted

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from chain_world import free_port

from fedproof.chain.circuit_verifiers import segment_places, verifier_spec, verifying_key
from fedproof.chain.client import ChainClient
from fedproof.chain.deploy import deploy, open_chains
from fedproof.chain.deployment import VerifierRecord
from fedproof.chain.devnet import Devnet
from fedproof.chain.solidity import compile_project
from fedproof.chain.verifier_specs import SegmentedSpec
from fedproof.circuits.store import Circuit
from fedproof.errors import InvalidProof
from fedproof.rounds.audit import adapter_differences
from fedproof.rounds.prepared import prove_part

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Deployed:
    """The verifier of the segmented circuit on a devnet."""

    client: ChainClient
    record: VerifierRecord
    spec: SegmentedSpec
    key: tuple[bytes, ...]

    def verify(self, context: bytes, proof: bytes) -> list[tuple[int, int]]:
        adapter = self.client.at(
            self.record.adapter.address, compile_project()["SegmentedCircuitVerifier"].abi
        )
        points = self.client.call(adapter.functions.verify(context, proof, list(self.key)))
        return [tuple(p) for p in points]


@pytest.fixture(scope="module", params=["plain", "reusable"])
def deployed(
    request: pytest.FixtureRequest, circuit: Circuit, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    net = Devnet(tmp_path_factory.mktemp("segments"), l2_port=free_port(), l1_port=free_port())
    net.up()
    try:
        chains = open_chains(net.network, devnet=net)
        spec = verifier_spec(circuit, request.param)
        assert isinstance(spec, SegmentedSpec)
        made = deploy("segments", chains, [spec], folder=tmp_path_factory.mktemp("deployments"))
        record = made.verifier("cut")
        assert record.kind == "segmented"
        assert {s.kind for s in record.segments} == {request.param}
        yield Deployed(chains.l2, record, spec, verifying_key(circuit, record))
    finally:
        net.down()


def test_a_step_in_segments_is_verified_by_a_contract(deployed: Deployed, circuit: Circuit, honest: Taken):
    told = deployed.verify(OURS, honest.whole.raw)
    expected = [p for name in ("model", "batch", "step") for p in honest.step.commitment(name)]
    assert told == [tuple(p) for p in expected]
    # the key of a plain verifier is in its code
    assert len(deployed.key) == len(deployed.spec.vka)
    assert deployed.record.proof_bytes == circuit.manifest.costs.proof_bytes == len(honest.whole.raw)


def test_every_link_is_checked_by_the_contract(deployed: Deployed, circuit: Circuit, honest: Taken):
    for name, places in links(circuit).items():
        segment, _ = places[-1]
        forged = honest.with_part(segment, prove_part(resalted(honest.step, name), segment, context=OURS))
        with pytest.raises(InvalidProof, match="LinkMismatch"):
            deployed.verify(OURS, forged.raw)


def test_segments_of_another_step_order_and_context_are_refused(
    deployed: Deployed, honest: Taken, another: Taken
):
    mixed = honest.with_part(2, another.proofs[2])
    with pytest.raises(InvalidProof, match="LinkMismatch"):
        deployed.verify(OURS, mixed.raw)
    a, b, c = (p.raw for p in honest.proofs)
    assert len(a) == len(b) == len(c)
    with pytest.raises(InvalidProof, match=r"LinkMismatch|SegmentRejected"):
        deployed.verify(OURS, b + a + c)
    with pytest.raises(InvalidProof, match=r"SegmentRejected\(segment=0"):
        deployed.verify(bytes(32), a + b + c)
    with pytest.raises(InvalidProof, match="WrongProofLength"):
        deployed.verify(OURS, a + b)


def test_an_audit_sees_a_verifier_that_leaves_out_a_link(
    deployed: Deployed, circuit: Circuit, monkeypatch: pytest.MonkeyPatch
):
    address = deployed.record.adapter.address
    outputs, pairs = segment_places(circuit.manifest)
    for changed, word in (
        (deployed.spec, ""),
        (replace(deployed.spec, links=pairs[1:]), "links"),
        (replace(deployed.spec, outputs=outputs[::-1]), "commitments told"),
        (replace(deployed.spec, segments=deployed.spec.segments[::-1]), "has other code|instances"),
        (replace(deployed.spec, segments=deployed.spec.segments[:2]), "3 segments, not 2"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr("fedproof.rounds.audit.verifier_spec", lambda _, spec=changed: spec)
            found = "; ".join(adapter_differences(deployed.client, address, circuit))
        assert any(w in found for w in word.split("|")), found
        assert bool(found) == bool(word)
