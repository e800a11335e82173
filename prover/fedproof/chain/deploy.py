"""Deployment of everything of ours on a network pair, resumable step by step.

On the L2: the hub, a verifier with its adapter for each circuit, the LayerZero sender. On the L1: the
registry and the LayerZero receiver as its route. On a devnet LayerZero itself too; elsewhere its existing
contracts are checked and used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from eth_utils.address import is_address
from eth_utils.crypto import keccak
from filelock import FileLock, Timeout
from web3.contract import Contract

from fedproof.chain.accounts import load_account
from fedproof.chain.client import ChainClient, checksum
from fedproof.chain.deployment import Deployment, SideRecord, VerifierRecord, deployment_path
from fedproof.chain.devnet import Devnet
from fedproof.chain.journal import ContractRecord, Journal, Progress, silent
from fedproof.chain.networks import Chain, Network, Side, rpc_url
from fedproof.chain.reverts import ErrorBook
from fedproof.chain.solidity import Contracts, compile_project, compile_verifier
from fedproof.chain.verifier_specs import AnyVerifierSpec, SegmentedSpec, ShardedSpec, VerifierSpec
from fedproof.chain.vka import vka_digest
from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.relay.layerzero.pathway import Pathway, configure
from fedproof.relay.layerzero.stack import LayerZeroStack, deploy_stack, layerzero_artefact

LAYERZERO_ROUTE = keccak(text="fedproof.route.layerzero")
"""The registry's name for the LayerZero route."""

__all__ = [
    "ChainPair",
    "SegmentedSpec",
    "ShardedSpec",
    "VerifierSpec",
    "deploy",
    "layerzero_dvns",
    "learn_errors",
    "open_chains",
    "pathway",
    "read_only",
]

_ABIS = (
    "FedproofHub",
    "ModelRegistry",
    "LayerZeroSender",
    "LayerZeroReceiver",
    "ICircuitVerifier",
    "SegmentedCircuitVerifier",
    "ShardedCircuitVerifier",
)


@dataclass(frozen=True)
class ChainPair:
    """Clients of both chains of a network, sharing one book of errors."""

    network: Network
    l2: ChainClient
    l1: ChainClient

    def __post_init__(self) -> None:
        for client, chain in ((self.l2, self.network.l2), (self.l1, self.network.l1)):
            if client.chain != chain:
                raise CallerError(f"{client} is not a client of {chain.name} of network {self.network.name}")

    @property
    def errors(self) -> ErrorBook:
        """The custom errors known to both."""
        return self.l2.errors


def open_chains(
    network: Network, *, devnet: Devnet | None = None, environ: Mapping[str, str] = os.environ
) -> ChainPair:
    """Clients of ``network`` signed by its account (see :func:`load_account`), on the right chains.

    A devnet's URLs come from ``devnet`` (default: the one of this checkout), others' from the environment.
    Raises RetryableError when a chain does not answer, CallerError for a wrong chain or missing settings.
    """
    account, errors = load_account(network, environ), ErrorBook()
    local = (devnet or Devnet(environ=environ)) if network.is_devnet else None

    def client(side: Side) -> ChainClient:
        url = local.url(side) if local else rpc_url(network, side, environ)
        return ChainClient(network.chain(side), url, account, errors=errors).connect()

    return ChainPair(network, client("l2"), client("l1"))


def read_only(network: Network, side: Side, url: str) -> ChainClient:
    """A client that can only read, for someone with nothing but an RPC URL."""
    return ChainClient(network.chain(side), url).connect()


def layerzero_dvns(side: Side, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The DVNs an operator chose for one side, from ``FEDPROOF_L2_DVNS`` or ``FEDPROOF_L1_DVNS``.

    Comma-separated addresses of at least two operators, the same operators on both sides. Whom to trust is
    for whoever deploys to decide, so there is no default. Raises CallerError when unset or malformed.
    """
    variable = f"FEDPROOF_{side.upper()}_DVNS"
    found = [item.strip() for item in environ.get(variable, "").split(",") if item.strip()]
    if not found:
        raise CallerError(f"{variable} is not set", hint="list at least two DVNs of different operators")
    for item in found:
        if not is_address(item):
            raise CallerError(f"{variable}: {item!r} is not an address")
    return tuple(sorted({checksum(item) for item in found}, key=lambda address: int(address, 16)))


def deploy(
    name: str,
    chains: ChainPair,
    verifiers: Sequence[AnyVerifierSpec] = (),
    *,
    folder: Path | None = None,
    contracts: Contracts | None = None,
    fast_quorum: int = 1,
    progress: Progress = silent,
    environ: Mapping[str, str] = os.environ,
) -> Deployment:
    """Deploy and configure everything, check it, and record it as ``folder``/``name``.json.

    Running it again with the same name continues where it stopped, repairs configuration, and adds or renews
    verifiers. Our other contracts are replaced, when their code has changed, on a devnet only.
    ``fast_quorum`` is how many routes must agree before a hash is provisional. Raises CallerError when a
    verifier rests on a development SRS outside a devnet, RetryableError when another process makes the same
    deployment, InsecureRelay when LayerZero is not configured as asked, and as ChainClient.send does.
    """
    _refuse_development_srs(chains.network, verifiers)
    path = deployment_path(name, folder)
    with _alone(path):
        # elsewhere a new hub would silently take the place of one whose models are in use
        journal = Journal(_journal_path(path), progress, replacing=chains.network.is_devnet)
        run = _Run(chains, contracts or compile_project(), journal)
        return _deploy(run, path, verifiers, fast_quorum=fast_quorum, environ=environ)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            yield
    except Timeout:
        raise RetryableError(
            f"deployment {path.stem} is being made by another process", hint="wait until it has ended"
        ) from None


def _journal_path(path: Path) -> Path:
    return path.with_suffix(".journal.json")


def _deploy(
    run: _Run,
    path: Path,
    verifiers: Sequence[AnyVerifierSpec],
    *,
    fast_quorum: int,
    environ: Mapping[str, str],
) -> Deployment:
    chains = run.chains
    hub = run.deploy(chains.l2, "FedproofHub")
    checked = {spec.circuit: run.verifier(spec) for spec in verifiers}
    l2_stack, l1_stack = run.layerzero("l2", environ), run.layerzero("l1", environ)
    registry = run.deploy(
        chains.l1, "ModelRegistry", chains.l2.chain.chain_id, hub.address, fast_quorum, run.owner(chains.l1)
    )
    sender = run.deploy(
        chains.l2, "LayerZeroSender", l2_stack.endpoint, hub.address, l1_stack.eid, run.owner(chains.l2)
    )
    receiver = run.deploy(
        chains.l1, "LayerZeroReceiver", l1_stack.endpoint, registry.address, run.owner(chains.l1)
    )
    way = Pathway(
        l2=chains.l2,
        l1=chains.l1,
        l2_stack=l2_stack,
        l1_stack=l1_stack,
        sender=run.at(chains.l2, "LayerZeroSender", sender),
        receiver=run.at(chains.l1, "LayerZeroReceiver", receiver),
    )
    configure(way, run.journal)
    run.route(registry, receiver)
    deployment = Deployment(
        name=path.stem,
        network=chains.network.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        l2=run.side(chains.l2, l2_stack),
        l1=run.side(chains.l1, l1_stack),
        verifiers={**run.earlier_verifiers(path), **checked},
        route_id="0x" + LAYERZERO_ROUTE.hex(),
        abis={item: run.contracts[item].abi for item in _ABIS},
        emulated=_emulated(chains.network),
    )
    deployment.write(path.parent)
    return deployment


def pathway(deployment: Deployment, chains: ChainPair) -> Pathway:
    """The LayerZero pathway of a recorded deployment."""
    learn_errors(deployment, chains)
    return Pathway(
        l2=chains.l2,
        l1=chains.l1,
        l2_stack=deployment.l2.layerzero,
        l1_stack=deployment.l1.layerzero,
        sender=chains.l2.at(deployment.sender, deployment.abis["LayerZeroSender"]),
        receiver=chains.l1.at(deployment.receiver, deployment.abis["LayerZeroReceiver"]),
    )


def learn_errors(deployment: Deployment, chains: ChainPair) -> None:
    """Make the custom errors of all contracts of ``deployment`` decodable for ``chains``."""
    for abi in deployment.abis.values():
        chains.errors.learn(abi)
        chains.l1.errors.learn(abi)


def _refuse_development_srs(network: Network, verifiers: Sequence[AnyVerifierSpec]) -> None:
    refused = [spec.circuit for spec in verifiers if spec.development_srs]
    if refused and not network.development_srs_allowed:
        raise CallerError(
            f"circuits {', '.join(refused)} rest on a development SRS, whose maker can forge proofs; "
            f"network {network.name} refuses it",
            hint="compile the circuits with an SRS of a public ceremony",
        )


def _emulated(network: Network) -> list[str]:
    if not network.is_devnet:
        return []
    return [
        "L2: an anvil chain in place of Arbitrum; no sequencer, no L1 data fee, no fraud proofs",
        "L1: an anvil chain in place of Ethereum; no consensus",
        "LayerZero workers: one local process holds the keys of both DVNs' signers and of the executor",
    ]


class _Run:
    """One run of :func:`deploy`."""

    def __init__(self, chains: ChainPair, contracts: Contracts, journal: Journal) -> None:
        self.chains = chains
        self.contracts = contracts
        self.journal = journal
        for client in (chains.l2, chains.l1):
            for artefact in contracts.values():
                client.errors.learn(artefact.abi)

    def owner(self, client: ChainClient) -> str:
        if client.account is None:
            raise CallerError(f"deploying to {client.chain.name} needs an account")
        return str(client.account.address)

    def deploy(
        self,
        client: ChainClient,
        name: str,
        *arguments: object,
        step: str | None = None,
        replacing: bool | None = None,
    ) -> ContractRecord:
        return self.journal.deploy(
            client, step or name, self.contracts[name], *arguments, replacing=replacing
        )

    def at(self, client: ChainClient, name: str, record: ContractRecord) -> Contract:
        return client.at(record.address, self.contracts[name].abi)

    def verifier(self, spec: AnyVerifierSpec) -> VerifierRecord:
        if isinstance(spec, VerifierSpec):
            return self._verifier(spec)
        segments = tuple(self._verifier(s) for s in spec.segments)
        kind, arguments = spec.adapter_arguments([s.adapter.address for s in segments])
        adapter = self.deploy(self.chains.l2, kind, *arguments, step=f"{kind}/{spec.circuit}", replacing=True)
        return VerifierRecord(
            circuit=spec.circuit,
            kind="sharded" if isinstance(spec, ShardedSpec) else "segmented",
            adapter=adapter,
            segments=segments,
            commitment_count=spec.commitment_count,
            proof_bytes=spec.proof_bytes,
            vka_digest=None,
            development_srs=spec.development_srs,
            srs_sha256=spec.srs_sha256,
        )

    def _verifier(self, spec: VerifierSpec) -> VerifierRecord:
        client, artefact = self.chains.l2, compile_verifier(spec.source)
        code = keccak(artefact.bytecode).hex()[:16]
        # circuits of one shape share a reusable verifier, so its step is named by its code
        generated = self.journal.deploy(client, f"{artefact.name}/{code}", artefact)
        kind, arguments = spec.adapter_arguments(generated.address)
        digest = vka_digest(tuple(spec.vka)) if spec.vka else None
        if digest:
            self._register_key(client.at(generated.address, artefact.abi), spec.vka, digest)
        # models that were registered with an earlier adapter keep it
        adapter = self.deploy(client, kind, *arguments, step=f"{kind}/{spec.circuit}", replacing=True)
        return VerifierRecord(
            circuit=spec.circuit,
            kind="reusable" if spec.vka else "plain",
            adapter=adapter,
            generated=generated,
            commitment_count=spec.commitment_count,
            challenge_points=spec.challenge_points,
            proof_bytes=spec.proof_bytes,
            vka_digest="0x" + digest.hex() if digest else None,
            development_srs=spec.development_srs,
            srs_sha256=spec.srs_sha256,
        )

    def _register_key(self, generated: Contract, vka: Sequence[bytes], digest: bytes) -> None:
        slot = int.from_bytes(
            keccak(digest + bytes(32)), "big"
        )  # registeredVkas[digest], a mapping in slot 0
        storage = self.chains.l2.w3.eth.get_storage_at
        self.journal.ensure(
            self.chains.l2,
            f"register verifying key 0x{digest.hex()[:16]}",
            generated.functions.registerVka(list(vka)),
            lambda: int.from_bytes(storage(generated.address, slot), "big") == 1,
        )

    def layerzero(self, side: Side, environ: Mapping[str, str]) -> LayerZeroStack:
        network = self.chains.network
        client, other = (self.chains.l2, network.l1) if side == "l2" else (self.chains.l1, network.l2)
        if network.is_devnet:
            return deploy_stack(client, other, self.journal)
        return _existing_stack(client, other, layerzero_dvns(side, environ))

    def route(self, registry: ContractRecord, receiver: ContractRecord) -> None:
        contract = self.at(self.chains.l1, "ModelRegistry", registry)
        self.journal.ensure(
            self.chains.l1,
            "registry: add the LayerZero route",
            contract.functions.setRoute(LAYERZERO_ROUTE, receiver.address, False),
            lambda: (
                tuple(self.chains.l1.call(contract.functions.routeOf(LAYERZERO_ROUTE)))
                == (receiver.address, False)
            ),
        )

    def side(self, client: ChainClient, stack: LayerZeroStack) -> SideRecord:
        records = self.journal.contracts(client)
        foreign = {step: record for step, record in records.items() if step.startswith("layerzero/")}
        return SideRecord(
            chain_id=client.chain.chain_id,
            genesis=self.journal.genesis(client),
            deployer=self.owner(client),
            contracts={step: record for step, record in records.items() if step not in foreign},
            layerzero=stack,
            layerzero_contracts=foreign,
            calls=self.journal.calls(client),
        )

    def earlier_verifiers(self, path: Path) -> dict[str, VerifierRecord]:
        """Verifiers that an earlier run of this deployment recorded and that still stand."""
        if not path.is_file():
            return {}
        standing = {record.address for record in self.journal.contracts(self.chains.l2).values()}
        recorded = Deployment.model_validate_json(path.read_text(encoding="utf-8")).verifiers
        return {name: item for name, item in recorded.items() if item.adapter.address in standing}


def _existing_stack(client: ChainClient, other: Chain, dvns: tuple[str, ...]) -> LayerZeroStack:
    known = client.chain.layerzero
    if known is None:
        raise TerminalError(f"no LayerZero addresses are known for {client.chain.name}")
    endpoint = client.at(known.endpoint, layerzero_artefact("EndpointV2").abi)
    for address in (known.endpoint, known.send_library, known.receive_library, known.executor, *dvns):
        if not client.code(address):
            raise CallerError(f"there is no contract at {address} on {client.chain.name}")
    eid = client.call(endpoint.functions.eid())
    if eid != client.chain.lz_eid:
        raise TerminalError(
            f"the LayerZero endpoint of {client.chain.name} has eid {eid}, not {client.chain.lz_eid}"
        )
    for library in (known.send_library, known.receive_library):
        if not client.call(endpoint.functions.isRegisteredLibrary(library)):
            raise TerminalError(f"{library} is not a LayerZero library of {client.chain.name}")
    if not client.call(endpoint.functions.isSupportedEid(other.lz_eid)):
        raise TerminalError(f"LayerZero on {client.chain.name} does not reach {other.name}")
    return LayerZeroStack(
        eid=eid,
        endpoint=known.endpoint,
        send_library=known.send_library,
        receive_library=known.receive_library,
        executor=known.executor,
        dvns=dvns,
        emulated_workers=False,
    )
