"""The network pairs Fedproof knows: ``devnet``, ``sepolia`` and ``mainnet``.

The table is ``networks.toml`` beside this file; RPC URLs come from the environment, never from the table.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from eth_utils.address import to_checksum_address
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fedproof.errors import CallerError

ETHEREUM_TRANSACTION_GAS = 16_777_216
"""Most gas one Ethereum transaction may ask for (EIP-7825)."""

Side = Literal["l2", "l1"]


def _checksummed(address: str) -> str:
    if to_checksum_address(address) != address:
        raise ValueError(f"address {address} has a wrong checksum, expected {to_checksum_address(address)}")
    return address


Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$"), AfterValidator(_checksummed)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LayerZeroAddresses(_Frozen):
    """LayerZero V2 contracts that exist on a public chain, and the page that names them."""

    source: str
    endpoint: Address
    send_library: Address
    receive_library: Address
    executor: Address


class Chain(_Frozen):
    """One chain: its ids and its limits. Gas in gas units, confirmations in blocks."""

    name: str
    chain_id: int = Field(gt=0)
    lz_eid: int = Field(gt=0, lt=2**32)
    confirmations: int = Field(gt=0, lt=2**63)
    block_gas_limit: int = Field(gt=0)
    transaction_gas_limit: int = Field(gt=0)
    layerzero: LayerZeroAddresses | None = None

    @model_validator(mode="after")
    def _a_transaction_fits_a_block(self) -> Self:
        if self.transaction_gas_limit > self.block_gas_limit:
            raise ValueError(
                f"transaction_gas_limit {self.transaction_gas_limit} exceeds "
                f"block_gas_limit {self.block_gas_limit}"
            )
        return self


class Network(_Frozen):
    """A pair of chains: ``l2`` verifies rounds, ``l1`` records model hashes."""

    name: str
    kind: Literal["devnet", "testnet", "mainnet"]
    development_srs_allowed: bool
    l2: Chain
    l1: Chain

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.development_srs_allowed and self.kind != "devnet":
            raise ValueError("development_srs_allowed: only a devnet may use a development SRS")
        if self.l2.chain_id == self.l1.chain_id or self.l2.lz_eid == self.l1.lz_eid:
            raise ValueError("l2 and l1 must differ in chain_id and lz_eid")
        if self.l1.transaction_gas_limit > ETHEREUM_TRANSACTION_GAS:
            raise ValueError(f"l1.transaction_gas_limit may not exceed {ETHEREUM_TRANSACTION_GAS} (EIP-7825)")
        for chain in (self.l2, self.l1):
            if self.kind != "devnet" and chain.layerzero is None:
                raise ValueError(f"{chain.name}: a public chain needs its LayerZero addresses")
        return self

    @property
    def is_devnet(self) -> bool:
        """Whether both chains are local and start empty."""
        return self.kind == "devnet"

    def chain(self, side: Side) -> Chain:
        """The chain on ``side``."""
        return self.l2 if side == "l2" else self.l1


def parse_networks(text: str) -> dict[str, Network]:
    """Networks by name from the text of a TOML table. Raises CallerError naming each wrong key and value."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CallerError(f"networks table is not TOML: {error}") from error
    networks = {}
    for name, body in table.items():
        try:
            networks[name] = Network.model_validate({"name": name, **body})
        except ValidationError as error:
            found = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or name}: {item['msg']} (got {item['input']!r:.80})"
                for item in error.errors()
            )
            raise CallerError(f"network {name!r} is not valid: {found}") from error
        except TypeError as error:
            raise CallerError(f"network {name!r} is not a table") from error
    return networks


@cache
def networks() -> Mapping[str, Network]:
    """The shipped networks by name."""
    table = resources.files("fedproof.chain").joinpath("networks.toml").read_text(encoding="utf-8")
    return parse_networks(table)


def network(name: str) -> Network:
    """The network called ``name``. Raises CallerError listing those that exist."""
    try:
        return networks()[name]
    except KeyError:
        raise CallerError(f"unknown network {name!r}", hint=f"known: {', '.join(networks())}") from None


def rpc_url(chosen: Network, side: Side, environ: Mapping[str, str] = os.environ) -> str:
    """RPC URL of one side of a public network, from ``FEDPROOF_L2_RPC`` or ``FEDPROOF_L1_RPC``.

    The devnet's URLs come from :class:`fedproof.chain.devnet.Devnet`. Raises CallerError when the variable
    is unset or not an http(s) URL; the message never holds the URL's path, which may carry an access token.
    """
    variable = f"FEDPROOF_{side.upper()}_RPC"
    url = environ.get(variable, "")
    if not url:
        raise CallerError(
            f"{variable} is not set: no RPC URL for {chosen.chain(side).name}",
            hint=f"export {variable}=https://...",
        )
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise CallerError(f"{variable} is not an http or https URL", hint=f"export {variable}=https://...")
    return url


def public_name(url: str) -> str:
    """``url`` without user, path and query, fit for a message: access tokens live in those."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"
