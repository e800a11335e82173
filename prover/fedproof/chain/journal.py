"""What a deployment has done so far, written down before it happens, so that a killed one resumes.

A creation is signed, its transaction stored, and only then broadcast: whenever the process dies, the
next run finds the transaction, broadcasts it again if need be, and never deploys the same thing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from eth_utils.crypto import keccak
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from web3.contract.contract import ContractFunction

from fedproof.chain.artefacts import Artefact
from fedproof.chain.client import ChainClient, Receipt, Signed
from fedproof.errors import CallerError, TerminalError
from fedproof.files import write_whole

Progress = Callable[[str], None]


def silent(_message: str) -> None:
    """A progress callback that says nothing."""


class ContractRecord(BaseModel):
    """One deployed contract. ``gas`` is gas used by its creation; ``code_hash`` is keccak256 of its code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    tx: str
    block: int
    gas: int
    code_hash: str


class CallRecord(BaseModel):
    """One configuring transaction and the gas it used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    tx: str
    gas: int


class _Pending(BaseModel):
    tx: str
    raw: str
    sender: str
    nonce: int
    creation_hash: str


class _Side(BaseModel):
    chain_id: int
    genesis: str
    contracts: dict[str, ContractRecord] = Field(default_factory=dict)
    creations: dict[str, str] = Field(default_factory=dict)
    pending: dict[str, _Pending] = Field(default_factory=dict)
    calls: list[CallRecord] = Field(default_factory=list)


class _Pages(BaseModel):
    format: int = 1
    sides: dict[str, _Side] = Field(default_factory=dict)


class Journal:
    """The journal of one deployment, in the JSON file ``path``. Steps are named; a name is done once.

    ``replacing`` says whether a step whose code or arguments have changed since is done anew.
    """

    def __init__(self, path: Path, progress: Progress = silent, *, replacing: bool = True) -> None:
        self.path = path
        self.progress = progress
        self.replacing = replacing
        self._pages = self._read()

    def _read(self) -> _Pages:
        try:
            return _Pages.model_validate_json(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return _Pages()
        except (ValidationError, ValueError) as error:
            raise TerminalError(
                f"deployment journal {self.path} is damaged", hint="move it away to deploy anew"
            ) from error

    def _write(self) -> None:
        write_whole(self.path, self._pages.model_dump_json(indent=1))

    def _side(self, client: ChainClient) -> _Side:
        key = str(client.connect().chain.chain_id)
        genesis = "0x" + bytes(client.w3.eth.get_block(0)["hash"]).hex()
        side = self._pages.sides.get(key)
        if side is not None and side.genesis != genesis:
            # a devnet that was restarted has the old chain id and an empty state
            self.progress(f"{client.chain.name} was restarted: forgetting what was deployed there")
            side = None
        if side is None:
            side = self._pages.sides[key] = _Side(chain_id=client.chain.chain_id, genesis=genesis)
        return side

    def genesis(self, client: ChainClient) -> str:
        """Hash of the chain's first block: tells a restarted devnet from the one deployed to."""
        return self._side(client).genesis

    def contracts(self, client: ChainClient) -> dict[str, ContractRecord]:
        """What has been deployed on the client's chain, by step."""
        return dict(self._side(client).contracts)

    def calls(self, client: ChainClient) -> list[CallRecord]:
        """The configuring transactions sent on the client's chain, in order."""
        return list(self._side(client).calls)

    def deploy(
        self,
        client: ChainClient,
        step: str,
        artefact: Artefact,
        *arguments: object,
        replacing: bool | None = None,
    ) -> ContractRecord:
        """Deploy ``artefact`` as ``step`` unless that was done with the same code and arguments.

        Raises as :meth:`ChainClient.deploy` does, CallerError when the step was done with other code or
        arguments and may not be replaced, TerminalError when its contract has vanished or changed.
        """
        side = self._side(client)
        creation = client.creation(artefact, *arguments)
        fingerprint = "0x" + keccak(hexstr=str(creation["data"])).hex()
        done = side.contracts.get(step)
        if done is not None and side.creations.get(step) == fingerprint:
            if client.code_hash(done.address) != done.code_hash:
                raise TerminalError(
                    f"{step} at {done.address} on {client.chain.name} is not what was deployed there",
                    hint="check the RPC URL",
                )
            return done
        if done is not None and not (self.replacing if replacing is None else replacing):
            raise CallerError(
                f"{step} on {client.chain.name} was deployed at {done.address} with other code or arguments",
                hint="what is there stays in use; choose another deployment name for a new one",
            )
        receipt = self._finish(client, side, step, fingerprint)
        if receipt is None:

            def remember(signed: Signed) -> None:
                side.pending[step] = _Pending(
                    tx=signed.tx,
                    raw="0x" + signed.raw.hex(),
                    sender=signed.sender,
                    nonce=signed.nonce,
                    creation_hash=fingerprint,
                )
                self._write()

            receipt = client.transact(creation, during=f"deployment of {step}", before_broadcast=remember)
        return self._keep(client, side, step, fingerprint, receipt)

    def ensure(
        self,
        client: ChainClient,
        step: str,
        function: ContractFunction,
        done: Callable[[], bool],
    ) -> None:
        """Send ``function`` unless ``done()``. Raises TerminalError when it is not done afterwards either."""
        if done():
            return
        receipt = client.send(function)
        if not done():
            raise TerminalError(f"{step} on {client.chain.name} had no effect ({receipt.tx})")
        self._side(client).calls.append(CallRecord(step=step, tx=receipt.tx, gas=receipt.gas))
        self._write()
        self.progress(f"{client.chain.name}: {step}")

    def _finish(self, client: ChainClient, side: _Side, step: str, fingerprint: str) -> Receipt | None:
        """Receipt of a creation that an earlier run signed, or None when it has to be made anew."""
        pending = side.pending.get(step)
        if pending is None or pending.creation_hash != fingerprint:
            return None
        try:
            client.broadcast(
                Signed(
                    tx=pending.tx,
                    raw=bytes.fromhex(pending.raw[2:]),
                    sender=pending.sender,
                    nonce=pending.nonce,
                )
            )
        except TerminalError:
            return None  # its nonce went to another transaction: it can never be mined
        self.progress(f"{client.chain.name}: resuming {step}")
        return client.await_receipt(pending.tx, during=f"deployment of {step}")

    def _keep(
        self, client: ChainClient, side: _Side, step: str, fingerprint: str, receipt: Receipt
    ) -> ContractRecord:
        if receipt.contract is None:
            raise TerminalError(f"deployment of {step} made no contract ({receipt.tx})")
        record = ContractRecord(
            address=receipt.contract,
            tx=receipt.tx,
            block=receipt.block,
            gas=receipt.gas,
            code_hash=client.code_hash(receipt.contract),
        )
        side.contracts[step] = record
        side.creations[step] = fingerprint
        side.pending.pop(step, None)
        self._write()
        self.progress(f"{client.chain.name}: {step} at {record.address}")
        return record
