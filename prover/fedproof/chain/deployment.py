"""The record of a deployment: ``build/deployments/NAME.json``. It holds addresses and ABIs, no secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from fedproof.chain.client import ChainClient
from fedproof.chain.journal import CallRecord, ContractRecord
from fedproof.chain.networks import Network, network
from fedproof.chain.places import build_root
from fedproof.errors import CallerError, TerminalError
from fedproof.files import write_whole
from fedproof.relay.layerzero.stack import LayerZeroStack

Abi = list[dict[str, Any]]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeploymentTransaction(NamedTuple):
    """One transaction of a deployment: ``chain`` is l2 or l1, ``step`` says what it did."""

    chain: str
    step: str
    tx: str
    gas: int


class VerifierRecord(_Frozen):
    """The verifier of one circuit: the hub is given ``adapter``, which calls ``generated``.

    ``vka_digest`` is set for a reusable verifier: keccak256 of its key's words. ``development_srs`` says that
    whoever made the SRS can forge proofs. ``challenge_points`` is 0 for a circuit without a challenge. The
    verifier of a circuit in ``segments`` calls their adapters, that of one in shards the adapter of the only
    one there is.
    """

    circuit: str
    kind: Literal["plain", "reusable", "segmented", "sharded"]
    adapter: ContractRecord
    generated: ContractRecord | None = None
    segments: tuple[VerifierRecord, ...] = ()
    commitment_count: int
    challenge_points: int = 0
    proof_bytes: int
    vka_digest: str | None
    development_srs: bool
    srs_sha256: str


class SideRecord(_Frozen):
    """One chain of a deployment. ``layerzero_contracts`` are those deployed here, none on a public chain."""

    chain_id: int
    genesis: str
    deployer: str
    contracts: dict[str, ContractRecord]
    layerzero: LayerZeroStack
    layerzero_contracts: dict[str, ContractRecord]
    calls: list[CallRecord]

    def gas(self) -> int:
        """Gas used by everything deployed and configured on this chain."""
        created = (*self.contracts.values(), *self.layerzero_contracts.values())
        return sum(record.gas for record in created) + sum(call.gas for call in self.calls)


class Deployment(_Frozen):
    """Everything a client needs to use a deployment; ``emulated`` says in words what is not real."""

    format: Literal[1] = 1
    name: str
    network: str
    created_at: str
    l2: SideRecord
    l1: SideRecord
    verifiers: dict[str, VerifierRecord]
    route_id: str
    abis: dict[str, Abi]
    emulated: list[str]

    @property
    def hub(self) -> str:
        """Address of the hub on the L2."""
        return self.l2.contracts["FedproofHub"].address

    @property
    def sender(self) -> str:
        """Address of the LayerZero sender on the L2."""
        return self.l2.contracts["LayerZeroSender"].address

    @property
    def registry(self) -> str:
        """Address of the model registry on the L1."""
        return self.l1.contracts["ModelRegistry"].address

    @property
    def receiver(self) -> str:
        """Address of the LayerZero receiver on the L1."""
        return self.l1.contracts["LayerZeroReceiver"].address

    @property
    def development_srs(self) -> bool:
        """Whether any verifier rests on a development SRS."""
        return any(verifier.development_srs for verifier in self.verifiers.values())

    def transactions(self) -> list[DeploymentTransaction]:
        """Every transaction of the deployment with the gas it used: contracts first, then configuration."""
        found = []
        for side, chain in ((self.l2, "l2"), (self.l1, "l1")):
            created = {**side.contracts, **side.layerzero_contracts}
            found += [DeploymentTransaction(chain, step, item.tx, item.gas) for step, item in created.items()]
            found += [DeploymentTransaction(chain, call.step, call.tx, call.gas) for call in side.calls]
        return found

    def the_network(self) -> Network:
        """The network pair it stands on."""
        return network(self.network)

    def verifier(self, circuit: str) -> VerifierRecord:
        """The verifier of ``circuit``. Raises CallerError when it is not part of the deployment."""
        if circuit not in self.verifiers:
            raise CallerError(
                f"deployment {self.name} has no verifier of circuit {circuit!r}",
                hint=f"it has: {', '.join(self.verifiers) or 'none'}",
            )
        return self.verifiers[circuit]

    def check(self, l2: ChainClient, l1: ChainClient) -> None:
        """Raise TerminalError unless every contract on the chains is the one that was deployed."""
        for side, client in ((self.l2, l2), (self.l1, l1)):
            if _genesis(client) != side.genesis:
                raise TerminalError(
                    f"{client.chain.name} is not the chain {self.name} was deployed to",
                    hint="a devnet forgets everything when it stops; run 'fedproof deploy' again",
                )
            for name, record in {**side.contracts, **side.layerzero_contracts}.items():
                if client.code_hash(record.address) != record.code_hash:
                    raise TerminalError(f"{name} at {record.address} is not the code that was deployed")

    def write(self, folder: Path | None = None) -> Path:
        """Write the record; its path."""
        path = deployment_path(self.name, folder)
        write_whole(path, self.model_dump_json(indent=1) + "\n")
        return path


def deployment_path(name: str, folder: Path | None = None) -> Path:
    """Where deployment ``name`` is recorded. Raises CallerError when the name cannot be a file name."""
    if not name or not name.replace("-", "").replace("_", "").isalnum():
        raise CallerError(f"deployment name {name!r} may hold letters, digits, '-' and '_' only")
    return (folder or build_root() / "deployments") / f"{name}.json"


def load_deployment(name: str, folder: Path | None = None) -> Deployment:
    """The recorded deployment ``name``. Raises CallerError when there is none or it is not a record."""
    path = deployment_path(name, folder)
    try:
        return Deployment.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CallerError(
            f"no deployment {name!r}: {path} is missing", hint="run 'fedproof deploy'"
        ) from None
    except (ValidationError, ValueError) as error:
        raise CallerError(f"{path} is not a deployment record: {error}") from error


def _genesis(client: ChainClient) -> str:
    return "0x" + bytes(client.connect().w3.eth.get_block(0)["hash"]).hex()
