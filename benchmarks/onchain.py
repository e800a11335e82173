"""Gas: generated verifiers and the hub on a local chain. The chain is anvil; its gas is the EVM's."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hexbytes import HexBytes
from web3.contract import Contract
from web3.types import RPCEndpoint, TxParams

from benchmarks.isolated import run_stage
from benchmarks.ledger import Row
from benchmarks.ours import Ours
from benchmarks.stock import Stock
from benchmarks.subject import Subject
from fedproof.chain.accounts import devnet_account
from fedproof.chain.artefacts import MAX_RUNTIME_BYTES, Artefact
from fedproof.chain.circuit_verifiers import verifier_spec
from fedproof.chain.client import ChainClient
from fedproof.chain.devnet import Devnet
from fedproof.chain.solidity import Contracts, compile_project, compile_verifier
from fedproof.chain.verifier_specs import AnyVerifierSpec, VerifierSpec
from fedproof.chain.vka import read_vka
from fedproof.circuits import layout
from fedproof.circuits.store import Circuit
from fedproof.commitments import NO_CONTEXT

#: Where a verifier over the code size limit is put.
BEYOND = "0x" + "be" * 20


@dataclass(frozen=True)
class Verifier:
    """A deployed verifier. ``vka`` are the key's words that go with a call to a reusable one."""

    contract: Contract
    vka: tuple[bytes, ...]


class Chain:
    """The L2 of a devnet of its own, and what is deployed on it."""

    def __init__(self, folder: Path) -> None:
        self.devnet = Devnet(folder, l2_port=_free_port(), l1_port=_free_port())
        self.devnet.up()
        client = ChainClient(self.devnet.network.l2, self.devnet.url("l2"), devnet_account(0))
        self.client: ChainClient = client.connect()
        self.contracts: Contracts = compile_project()
        self._adapters: dict[str, Verifier] = {}

    def close(self) -> None:
        """Stop the chains."""
        self.devnet.down()

    def deploy(self, artefact: Artefact, *arguments: object) -> Contract:
        """Deploy a contract."""
        address = self.client.deploy(artefact, *arguments).contract
        assert address
        return self.client.at(address, artefact.abi)

    def adapter(self, circuit: Circuit) -> Verifier:
        """Deploy the verifier of one of our circuits behind its adapter, once."""
        if circuit.name not in self._adapters:
            self._adapters[circuit.name] = self._deploy_adapter(verifier_spec(circuit))
        return self._adapters[circuit.name]

    def _deploy_adapter(self, spec: AnyVerifierSpec) -> Verifier:
        if not isinstance(spec, VerifierSpec):
            parts = [self._deploy_adapter(part) for part in spec.segments]
            kind, arguments = spec.adapter_arguments([str(part.contract.address) for part in parts])
            words = tuple(word for part in parts for word in part.vka)
            return Verifier(self.deploy(self.contracts[kind], *arguments), words)
        generated = self.deploy(compile_verifier(spec.source))
        (kind, arguments), vka = spec.adapter_arguments(generated.address), tuple(spec.vka)
        if vka:
            self.client.send(generated.functions.registerVka(list(vka)))
        return Verifier(self.deploy(self.contracts[kind], *arguments), vka)


def measure_gas(subject: Subject, chain: Chain) -> None:
    """Verify the subject's proof in a transaction; note gas used, kind and size of the verifier."""
    row = subject.row
    if not subject.proof.is_file():
        subject.prove()
    if isinstance(subject, Ours):
        row.gas["verify"] = gas_of_parts(subject.circuit, [subject], chain)
    elif isinstance(subject, Stock):
        _gas_of_stock(subject, chain)
    else:
        raise TypeError(type(subject).__name__)
    assert row.gas["verify"]


def _sizes(row: Row, folder: Path) -> Artefact:
    plain = compile_verifier(folder / layout.PLAIN_VERIFIER)
    row.verifier_bytes = len(plain.runtime)
    row.verifier_kind = "plain" if len(plain.runtime) <= MAX_RUNTIME_BYTES else "reusable"
    return plain


def gas_of_parts(circuit: Circuit, subjects: Sequence[Ours], chain: Chain) -> int:
    """Verify the proofs of all parts of a circuit in one transaction; return its gas.

    It is what the hub pays for: the call goes through our adapter. Sizes of verifiers go into the rows.
    """
    for subject in subjects:
        _sizes(subject.row, subject.folder)
    verifier = chain.adapter(circuit)
    proof = b"".join(subject.raw_proof for subject in subjects)
    return chain.client.send(verifier.contract.functions.verify(NO_CONTEXT, proof, list(verifier.vka))).gas


def _gas_of_stock(subject: Stock, chain: Chain) -> None:
    # Called directly, without an adapter: that favours this side by a few thousand gas.
    row, folder = subject.row, subject.keys
    (folder / layout.SETTINGS).write_bytes((subject.folder / layout.SETTINGS).read_bytes())
    run_stage("verifier", subject.options, folder=folder, srs=subject.srs)
    plain = _sizes(row, folder)
    if row.verifier_kind == "plain":
        contract = chain.deploy(plain)
        call = contract.functions.verifyProof(subject.raw_proof, subject.instances)
    else:
        vka = read_vka(folder / layout.VKA)
        contract = chain.deploy(compile_verifier(folder / layout.REUSABLE_VERIFIER))
        row.gas["register_key"] = chain.client.send(contract.functions.registerVka(list(vka))).gas
        call = contract.functions.verifyProof(subject.raw_proof, subject.instances, list(vka))
        row.gas["verify_plain"] = _gas_beyond_the_limit(subject, chain, plain)
    request: TxParams = {"to": contract.address, "data": HexBytes(call._encode_transaction_data())}
    # The reusable verifier's answer is not valid ABI: its first word says whether the proof holds.
    if int.from_bytes(bytes(chain.client.w3.eth.call(request))[:32], "big") != 1:
        raise AssertionError("the contract does not accept the proof")
    row.gas["verify"] = chain.client.send(call).gas


def _gas_beyond_the_limit(subject: Stock, chain: Chain, plain: Artefact) -> int:
    """What the plain verifier would cost if a chain took its code: it is put there without a deployment."""
    chain.client.w3.provider.make_request(
        RPCEndpoint("anvil_setCode"), [BEYOND, HexBytes(plain.runtime).to_0x_hex()]
    )
    contract = chain.client.at(BEYOND, plain.abi)
    call = contract.functions.verifyProof(subject.raw_proof, subject.instances)
    if not call.call():
        raise AssertionError("the contract does not accept the proof")
    return chain.client.send(call).gas


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
