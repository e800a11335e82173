"""Attacks on the verifiers themselves: mangled bytes, calldata the generated code misreads, foreign keys."""

from __future__ import annotations

import random

import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak
from forged_calldata import forge, quotient_offsets
from real_world import RealWorld, refused
from web3.exceptions import Web3Exception

from fedproof.chain.circuit_verifiers import verifier_spec
from fedproof.chain.client import ChainClient
from fedproof.chain.deploy import ChainPair, deploy
from fedproof.chain.deployment import Deployment, VerifierRecord
from fedproof.chain.networks import network
from fedproof.chain.solidity import compile_project, compile_verifier
from fedproof.chain.vka import read_vka, vka_digest
from fedproof.circuits import layout
from fedproof.circuits.store import Circuit
from fedproof.commitments import NO_CONTEXT
from fedproof.commitments.field import BASE_MODULUS, SCALAR_MODULUS
from fedproof.errors import CallerError
from fedproof.rounds import Proof

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("undone")]

WORD = 32
CONTEXT = keccak(text="what the step is proven for")
SAMPLED_EVERY = 89
"""Bytes between two flips: prime, so that every position within a word is met."""


class Verifier:
    """The deployed verifier of one circuit with an honest proof of it."""

    def __init__(self, world: RealWorld, circuit: Circuit, record: VerifierRecord, proof: Proof) -> None:
        self.client, self.circuit, self.record, self.proof = world.chains.l2, circuit, record, proof
        self.context = bytes.fromhex(proof.context)
        self.adapter = self.client.at(record.adapter.address, world.deployment.abis["ICircuitVerifier"])
        for artefact in compile_project().values():
            self.client.errors.learn(artefact.abi)
        first, last = quotient_offsets((circuit.folder / layout.PLAIN_VERIFIER).read_text())
        self.quotient = first
        self.regions = {
            "commitments": range(64 * sum(slot.columns for slot in circuit.manifest.slots)),
            "other points": range(64 * sum(slot.columns for slot in circuit.manifest.slots), last),
            "evaluations": range(last, len(proof.raw) - 128),
            "openings": range(len(proof.raw) - 128, len(proof.raw)),
        }

    @property
    def points(self) -> list[tuple[int, int]]:
        """What the adapter returns for the honest proof."""
        every = [tuple(point) for commitment in self.proof.commitments for point in commitment]
        return every[: self.record.commitment_count]

    def verify(
        self, proof: bytes, vka: tuple[bytes, ...] = (), *, context: bytes | None = None
    ) -> list[tuple[int, int]]:
        made_for = self.context if context is None else context
        points = self.client.call(self.adapter.functions.verify(made_for, proof, list(vka)))
        return [tuple(point) for point in points]

    def generated_accepts(self, calldata: bytes) -> bool:
        """Whether the generated verifier, called directly, says yes."""
        try:
            answer = self.client.w3.eth.call(
                {"to": self.record.generated.address, "data": "0x" + calldata.hex()}
            )
        except Web3Exception:
            return False
        return int.from_bytes(bytes(answer)[:WORD], "big") == 1

    def canonical(self, proof: bytes, instances, vka: tuple[bytes, ...] = ()) -> bytes:
        signature = "verifyProof(bytes,uint256[],bytes32[])" if vka else "verifyProof(bytes,uint256[])"
        types = ["bytes", "uint256[]", "bytes32[]"] if vka else ["bytes", "uint256[]"]
        return keccak(text=signature)[:4] + encode(types, [proof, list(instances), list(vka)][: len(types)])


@pytest.fixture(params=["step", "average"])
def verifier(request, real_world: RealWorld) -> Verifier:
    evidence = real_world.evidence
    circuit = getattr(evidence, request.param)
    proof = evidence.steps[1][0].proof_for(CONTEXT) if request.param == "step" else evidence.honest.proof
    return Verifier(real_world, circuit, real_world.deployment.verifier(circuit.name), proof)


def test_a_flipped_byte_in_every_region_of_a_proof(verifier):
    honest = verifier.proof.raw
    assert verifier.verify(honest) == verifier.points
    chooser = random.Random(5)
    for name, region in verifier.regions.items():
        assert len(region) >= 128, name
        places = {*region[::SAMPLED_EVERY], region[0], region[-1], region[len(region) // 2]}
        for place in sorted(places):
            forged = bytearray(honest)
            forged[place] ^= 1 << chooser.randrange(8)
            with refused("ProofRejected"):
                verifier.verify(bytes(forged))


def test_numbers_that_are_not_reduced(verifier):
    """The same proof in other bytes: a coordinate plus q, an evaluation plus r."""
    honest = verifier.proof.raw
    moduli = {"commitments": BASE_MODULUS, "other points": BASE_MODULUS, "evaluations": SCALAR_MODULUS}
    for name, modulus in (moduli | {"openings": BASE_MODULUS}).items():
        for place in verifier.regions[name][: 8 * WORD : WORD]:
            value = int.from_bytes(honest[place : place + WORD], "big") + modulus
            forged = honest[:place] + value.to_bytes(WORD, "big") + honest[place + WORD :]
            with refused("ProofRejected"):
                verifier.verify(forged)


def test_a_proof_of_another_length(verifier):
    honest = verifier.proof.raw
    for forged in (honest + bytes(WORD), honest[:-1], b""):
        with refused("WrongProofLength", expected=len(honest), actual=len(forged)):
            verifier.verify(forged)


def test_a_step_proof_in_another_context(real_world: RealWorld):
    """Every context is another challenge, and what the late vector holds is of one challenge alone."""
    evidence = real_world.evidence
    record = real_world.deployment.verifier(evidence.step.name)
    verifier = Verifier(real_world, evidence.step, record, evidence.steps[1][0].proof_for(CONTEXT))
    others = [
        NO_CONTEXT,
        keccak(CONTEXT),
        *(bytes([*CONTEXT[:i], CONTEXT[i] ^ 1, *CONTEXT[i + 1 :]]) for i in (0, 31)),
    ]
    for other in others:
        with refused("ProofRejected"):
            verifier.verify(verifier.proof.raw, context=other)
    assert verifier.verify(verifier.proof.raw) == verifier.points


def test_a_non_canonical_calldata_offset(verifier):
    """Finding A of the notes on ezkl, on our circuits: raw calldata proves anything to the generated code."""
    honest, pinned = verifier.proof.raw, verifier.proof.instances
    assert verifier.generated_accepts(verifier.canonical(honest, pinned))
    false = [(pinned[0] - 1, *pinned[1:]), tuple(range(999, 999 + len(pinned)))]
    if len(pinned) > 1:
        false.append((pinned[0], pinned[1] + 1))
    for claimed in false:
        assert not verifier.generated_accepts(verifier.canonical(honest, claimed))
        forged = forge(
            verifier.client.w3, verifier.record.generated.address, honest, claimed, verifier.quotient
        )
        assert verifier.generated_accepts(forged.calldata), "the finding no longer holds: tell the notes"
    forged = forge(verifier.client.w3, verifier.record.generated.address, honest, pinned, verifier.quotient)
    assert verifier.generated_accepts(forged.calldata)
    with refused("ProofRejected"):
        verifier.verify(forged.region)


def test_a_non_canonical_calldata_offset_does_not_reach_through_the_adapter(verifier):
    """The same trick one call earlier: the adapter encodes anew the bytes that its offset points to."""
    honest = verifier.proof.raw
    forged = forge(
        verifier.client.w3,
        verifier.record.generated.address,
        honest,
        verifier.proof.instances,
        verifier.quotient,
    )
    body = _bytes(forged.region) + bytes(WORD) + _bytes(honest)
    at_vka = 3 * WORD + WORD + len(forged.region)
    selector = keccak(text="verify(bytes32,bytes,bytes32[])")[:4]
    head = encode(["bytes32", "uint256", "uint256"], [verifier.context, at_vka + WORD, at_vka])
    answer = verifier.client.w3.eth.call(
        {"to": verifier.record.adapter.address, "data": "0x" + (selector + head + body).hex()}
    )
    (points,) = decode(["(uint256,uint256)[]"], bytes(answer))
    assert [tuple(point) for point in points] == verifier.verify(honest)


def _bytes(content: bytes) -> bytes:
    return len(content).to_bytes(WORD, "big") + content


def test_a_non_canonical_calldata_offset_does_not_reach_the_hub(submitted, real_world):
    evidence = real_world.evidence
    record = real_world.deployment.verifier(evidence.average.name)
    verifier = Verifier(real_world, evidence.average, record, evidence.honest.proof)
    forged = forge(
        real_world.chains.l2.w3,
        record.generated.address,
        evidence.honest.proof.raw,
        verifier.proof.instances,
        verifier.quotient,
    )
    with refused("ProofRejected"):
        submitted.hub.finalize(submitted.model_id, submitted.number, forged.region)
    # the offset points to a valid proof of the wrong average, the region lies where a proof belongs
    wrong = evidence.with_delta_off_by_one.proof.raw
    at_vka = 4 * WORD + WORD + len(forged.region)
    head = encode(
        ["bytes32", "uint64", "uint256", "uint256"],
        [submitted.model_id, submitted.number, at_vka + WORD, at_vka],
    )
    selector = keccak(text="finalize(bytes32,uint64,bytes,bytes32[])")[:4]
    data = selector + head + _bytes(forged.region) + bytes(WORD) + _bytes(wrong)
    with refused("RemainderMismatch"):
        real_world.chains.l2.transact({"to": submitted.hub.address, "data": "0x" + data.hex()})


# -- reusable verifiers --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reusable(real_world: RealWorld, tmp_path_factory) -> Deployment:
    """The same circuits behind reusable verifiers, which take their keys in calldata."""
    specs = [verifier_spec(c, "reusable") for c in (real_world.evidence.step, real_world.evidence.average)]
    return deploy("reusable", real_world.chains, specs, folder=tmp_path_factory.mktemp("deployments"))


def test_an_unpinned_vka(reusable, real_world: RealWorld):
    """Anyone registers any key, and the generated verifier serves it; the adapter serves one."""
    evidence, client = real_world.evidence, real_world.chains.l2
    record = reusable.verifier(evidence.average.name)
    verifier = Verifier(real_world, evidence.average, record, evidence.honest.proof)
    own = read_vka(evidence.average.folder / layout.VKA)
    foreign = read_vka(evidence.step.folder / layout.VKA)
    artefact = compile_verifier(evidence.average.folder / layout.REUSABLE_VERIFIER)
    generated = client.at(record.generated.address, artefact.abi)
    client.send(generated.functions.registerVka(list(foreign)))
    assert verifier.verify(verifier.proof.raw, own) == verifier.points
    # the danger is real: under the foreign key the same generated contract takes another circuit's proof
    step = evidence.steps[1][0].proof_for(CONTEXT)
    assert verifier.generated_accepts(verifier.canonical(step.raw, step.instances, foreign))
    for words in (foreign, own[:-1], (*own[:-1], bytes(WORD)), ()):
        with refused("UnpinnedVerifyingKey", expected=vka_digest(own), actual=vka_digest(words)):
            verifier.verify(verifier.proof.raw, words)


def test_an_unpinned_vka_at_finalize(reusable, real_world: RealWorld):
    evidence = real_world.evidence
    game = real_world.register(reusable.verifier(evidence.average.name).adapter.address)
    game.submit_all()
    with refused("UnpinnedVerifyingKey"):
        game.finalize(evidence.honest, read_vka(evidence.step.folder / layout.VKA))
    with refused("UnpinnedVerifyingKey"):
        game.finalize(evidence.honest)
    game.finalize(evidence.honest, read_vka(evidence.average.folder / layout.VKA))
    print(f"\nreusable verifier: finalize {game.receipts['finalize'].gas} gas")


def test_a_non_canonical_calldata_offset_with_a_reusable_verifier(reusable, real_world: RealWorld):
    evidence = real_world.evidence
    record = reusable.verifier(evidence.average.name)
    verifier = Verifier(real_world, evidence.average, record, evidence.honest.proof)
    own, honest = read_vka(evidence.average.folder / layout.VKA), verifier.proof.raw
    forged = forge(real_world.chains.l2.w3, record.generated.address, honest, [999], verifier.quotient, own)
    assert not verifier.generated_accepts(verifier.canonical(honest, [999], own))
    assert verifier.generated_accepts(forged.calldata), "the finding no longer holds: tell the notes"
    with refused("ProofRejected"):
        verifier.verify(forged.region, own)


# -- the SRS -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sepolia", "mainnet"])
def test_verifiers_on_a_development_srs_stay_on_a_devnet(real_world: RealWorld, tmp_path, name):
    """The circuits of these tests rest on one, and their own manifests say so."""
    specs = [verifier_spec(c, "plain") for c in (real_world.evidence.step, real_world.evidence.average)]
    assert all(spec.development_srs for spec in specs)
    public, chains = network(name), real_world.chains
    sides = [
        ChainClient(chain, client.url, client.account)
        for chain, client in ((public.l2, chains.l2), (public.l1, chains.l1))
    ]
    with pytest.raises(CallerError, match=rf"rest on a development SRS.*network {name} refuses it"):
        deploy("public", ChainPair(public, *sides), specs, folder=tmp_path)
    assert not list(tmp_path.iterdir())
