"""Calls and transactions on one chain: bounded gas, EIP-1559 fees, decoded refusals."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress, HexStr
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import (
    BadFunctionCallOutput,
    ContractLogicError,
    TimeExhausted,
    TransactionNotFound,
    Web3RPCError,
)
from web3.logs import DISCARD
from web3.middleware import AttributeDictMiddleware
from web3.types import EventData, TxParams, TxReceipt

from fedproof.chain.artefacts import Artefact
from fedproof.chain.networks import Chain, public_name
from fedproof.chain.provider import PatientProvider
from fedproof.chain.reverts import ErrorBook
from fedproof.errors import CallerError, FedproofError, RetryableError, TerminalError

_GAS_MARGIN_PERCENT = 120
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_RATE_LIMITED = {-32005, 429}
_OVERTAKEN = ("nonce too low", "replacement transaction underpriced")
_TRANSACTION_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_LOCKS: dict[tuple[int, str], threading.Lock] = {}
_KNOWN_TRANSACTION = ("already known", "nonce too low", "already imported", "known transaction")


@dataclass(frozen=True)
class Receipt:
    """A transaction that succeeded. ``gas`` is gas used, ``fee`` what it cost in wei (without value sent)."""

    tx: str
    gas: int
    fee: int
    block: int
    contract: str | None
    raw: TxReceipt


@dataclass(frozen=True)
class Signed:
    """A signed transaction ready to be broadcast, again and again if need be. ``raw`` holds no key."""

    tx: str
    raw: bytes
    sender: str
    nonce: int


class ChainClient:
    """One chain as seen by one default account.

    ``account`` signs unless a call names another; without one only reading works. ``errors`` is shared by
    all clients of a session so that every contract's errors decode everywhere.
    """

    def __init__(
        self,
        chain: Chain,
        url: str,
        account: LocalAccount | None = None,
        *,
        errors: ErrorBook | None = None,
        timeout_s: float = 60,
        receipt_timeout_s: float = 300,
        attempts: int = 4,
    ) -> None:
        self.chain = chain
        self.url = url
        self.account = account
        self.errors = errors if errors is not None else ErrorBook()
        self.receipt_timeout_s = receipt_timeout_s
        self._poll_s = 0.02 if urlsplit(url).hostname in _LOOPBACK else 1.0
        # the default middleware also resolves names and fills in transactions: requests that we do not need
        provider = PatientProvider(url, timeout_s=timeout_s, attempts=attempts)
        self.w3 = Web3(provider, middleware=[AttributeDictMiddleware])
        self._checked = False

    def __repr__(self) -> str:
        return f"ChainClient({self.chain.name!r}, {public_name(self.url)!r})"

    def connect(self) -> ChainClient:
        """Check that the URL answers with the chain's own id, and return self.

        Raises RetryableError when nothing answers, CallerError when it is another chain.
        """
        if not self._checked:
            found = self.w3.eth.chain_id
            if found != self.chain.chain_id:
                raise CallerError(
                    f"chain at {public_name(self.url)} has id {found}; "
                    f"{self.chain.name} has id {self.chain.chain_id}",
                    hint="check FEDPROOF_L1_RPC and FEDPROOF_L2_RPC",
                )
            self._checked = True
        return self

    def with_account(self, account: LocalAccount) -> ChainClient:
        """The same chain and errors, signed by ``account``."""
        other = copy(self)
        other.account = account
        return other

    def at(self, address: str, abi: list[dict[str, Any]]) -> Contract:
        """The contract at ``address``; its custom errors become decodable."""
        self.errors.learn(abi)
        return self.w3.eth.contract(address=checksum(address), abi=abi)

    def code(self, address: str) -> bytes:
        """Runtime code at ``address``, empty when there is none."""
        return bytes(self.w3.eth.get_code(to_checksum_address(address)))

    def code_hash(self, address: str) -> str:
        """keccak256 of the runtime code at ``address``, 0x-prefixed."""
        return "0x" + keccak(self.code(address)).hex()

    def call(self, function: ContractFunction, *, sender: str | None = None, value: int = 0) -> Any:  # noqa: ANN401
        """Result of a view call.

        Raises ContractRejected with the decoded error when it reverts, CallerError when there is no such
        contract at the address.
        """
        self.connect()
        options: TxParams = {"value": value} if value else {}  # type: ignore[typeddict-item]
        if sender or self.account:
            options["from"] = to_checksum_address(sender or self._signer(None).address)
        try:
            return function.call(options)
        except ContractLogicError as error:
            raise self.errors.rejection(_revert_data(error), _told(function)) from None
        except BadFunctionCallOutput:
            raise CallerError(
                f"{function.address} on {self.chain.name} does not answer {_told(function)}",
                hint="check the address and the network",
            ) from None
        except Web3RPCError as error:
            raise self._refused(error, _told(function)) from error

    def send(
        self,
        function: ContractFunction,
        *,
        value: int = 0,
        account: LocalAccount | None = None,
        gas: int | None = None,
    ) -> Receipt:
        """Send a contract call and wait for its receipt. ``value`` in wei; ``gas`` overrides the estimate.

        Raises ContractRejected when it reverts (before or after it was mined), TerminalError when it needs
        more gas than the chain allows a transaction, RetryableError when the chain does not answer.
        """
        params: TxParams = {
            "to": function.address,
            "data": HexStr(function._encode_transaction_data()),
            "value": Web3.to_wei(value, "wei"),
        }
        return self.transact(params, account=account, gas=gas, during=_told(function))

    def deploy(
        self,
        artefact: Artefact,
        *arguments: object,
        account: LocalAccount | None = None,
        gas: int | None = None,
    ) -> Receipt:
        """Deploy ``artefact``; the receipt's ``contract`` is its address. Raises as :meth:`send` does."""
        during = f"deployment of {artefact.name}"
        return self.transact(self.creation(artefact, *arguments), account=account, gas=gas, during=during)

    def creation(self, artefact: Artefact, *arguments: object) -> TxParams:
        """The transaction that deploys ``artefact``, unsigned. Raises TerminalError when it is too large."""
        artefact.require_deployable()
        self.errors.learn(artefact.abi)
        factory = self.w3.eth.contract(abi=artefact.abi, bytecode=artefact.bytecode)
        return {"data": factory.constructor(*arguments).data_in_transaction}

    def transact(
        self,
        params: TxParams,
        *,
        account: LocalAccount | None = None,
        gas: int | None = None,
        during: str = "transaction",
        before_broadcast: Callable[[Signed], None] | None = None,
    ) -> Receipt:
        """Sign, broadcast and await one transaction. ``before_broadcast`` sees it signed."""
        self.connect()
        signer = self._signer(account)
        with _sending(self.chain.chain_id, signer.address):
            signed = self.sign(params, signer, gas=gas, during=during)
            if before_broadcast:
                before_broadcast(signed)
            self.broadcast(signed)
        return self.await_receipt(signed.tx, during=during, params=params, sender=signer.address)

    def sign(
        self, params: TxParams, signer: LocalAccount, *, gas: int | None = None, during: str = ""
    ) -> Signed:
        """``params`` completed with nonce, gas and EIP-1559 fees, and signed."""
        base_fee = self.w3.eth.get_block("latest").get("baseFeePerGas")
        if base_fee is None:
            raise TerminalError(f"{self.chain.name} has no EIP-1559 fees", hint="use a chain after London")
        tip = self.w3.eth.max_priority_fee
        nonce = self.w3.eth.get_transaction_count(signer.address, "pending")
        full: TxParams = {
            **params,
            "from": signer.address,
            "chainId": self.chain.chain_id,
            "nonce": nonce,
            "maxPriorityFeePerGas": tip,
            "maxFeePerGas": Web3.to_wei(2 * base_fee + tip, "wei"),
        }
        full["gas"] = self._bounded(gas) if gas is not None else self.estimate(full, during=during)
        fields: dict[str, Any] = {key: value for key, value in full.items() if key != "from"}
        signed = signer.sign_transaction(fields)
        return Signed(
            tx="0x" + bytes(signed.hash).hex(),
            raw=bytes(signed.raw_transaction),
            sender=signer.address,
            nonce=nonce,
        )

    def estimate(self, params: TxParams, *, during: str = "transaction") -> int:
        """Gas to give ``params``: the node's estimate with a margin, never above the chain's limit.

        Raises ContractRejected when the transaction would revert, TerminalError when the estimate itself
        exceeds the limit.
        """
        # the limit is stated so that the node does not assume a lower one of its own; the fees are
        # not, so that it does not lower the limit to what the account can pay
        bounded: TxParams = {**params, "gas": self.chain.block_gas_limit}
        bounded.pop("maxFeePerGas", None)
        bounded.pop("maxPriorityFeePerGas", None)
        try:
            needed = self.w3.eth.estimate_gas(bounded)
        except ContractLogicError as error:
            raise self.errors.rejection(_revert_data(error), during) from None
        except Web3RPCError as error:
            if "gas required exceeds" in _rpc_message(error).lower():
                raise self._too_much(f"more than {self.chain.transaction_gas_limit}", during) from None
            raise self._refused(error, during) from error
        if needed > self.chain.transaction_gas_limit:
            raise self._too_much(str(needed), during)
        return min(needed * _GAS_MARGIN_PERCENT // 100, self.chain.transaction_gas_limit)

    def broadcast(self, signed: Signed) -> None:
        """Hand ``signed`` to the chain. A repeated broadcast of a transaction it has is no error."""
        try:
            self.w3.eth.send_raw_transaction(signed.raw)
        except Web3RPCError as error:
            told = str(error).lower()
            if any(known in told for known in _KNOWN_TRANSACTION) and self._is_known(signed.tx):
                return
            raise self._refused(error, "transaction") from error
        except ContractLogicError as error:
            raise self.errors.rejection(_revert_data(error), "transaction") from None

    def receipt(self, tx: str) -> TxReceipt:
        """The raw receipt of ``tx``, whatever its status. Raises CallerError when there is none."""
        if not _TRANSACTION_HASH.fullmatch(tx):
            raise CallerError(f"not a transaction hash: {tx!r}", hint="0x and 64 hex digits")
        try:
            return self.w3.eth.get_transaction_receipt(HexBytes(tx))
        except TransactionNotFound:
            raise CallerError(f"{self.chain.name} does not know transaction {tx}") from None

    def await_receipt(
        self,
        tx: str,
        *,
        during: str = "transaction",
        params: TxParams | None = None,
        sender: str | None = None,
    ) -> Receipt:
        """Receipt of ``tx`` once mined.

        Raises ContractRejected when it reverted (decoded by replaying ``params``), RetryableError when it is
        not mined in time.
        """
        try:
            raw = self.w3.eth.wait_for_transaction_receipt(
                HexBytes(tx), timeout=self.receipt_timeout_s, poll_latency=self._poll_s
            )
        except TimeExhausted:
            raise RetryableError(
                f"{during}: {tx} was not mined within {self.receipt_timeout_s:g} s on {self.chain.name}",
                hint="it may still be; look it up before sending it again",
            ) from None
        if raw["status"] != 1:
            rejected = self.errors.rejection(self._replayed(raw, params, sender), f"{during} ({tx})")
            rejected.gas = raw["gasUsed"]
            raise rejected
        return Receipt(
            tx=tx,
            gas=raw["gasUsed"],
            fee=raw["gasUsed"] * raw["effectiveGasPrice"],
            block=raw["blockNumber"],
            contract=raw["contractAddress"],
            raw=raw,
        )

    def events(self, contract: Contract, name: str, receipt: Receipt) -> list[EventData]:
        """Events called ``name`` that ``contract`` itself emitted in ``receipt``."""
        found = contract.events[name]().process_receipt(receipt.raw, errors=DISCARD)
        return [event for event in found if event["address"] == contract.address]

    def height(self) -> int:
        """Number of the newest block."""
        return int(self.w3.eth.block_number)

    def balance(self, address: str) -> int:
        """Balance of ``address`` in wei."""
        return self.w3.eth.get_balance(to_checksum_address(address))

    def _signer(self, account: LocalAccount | None) -> LocalAccount:
        signer = account or self.account
        if signer is None:
            raise CallerError(
                f"no account to sign for {self.chain.name}",
                hint="set FEDPROOF_KEYSTORE or FEDPROOF_PRIVATE_KEY",
            )
        return signer

    def _bounded(self, gas: int) -> int:
        if not 0 < gas <= self.chain.transaction_gas_limit:
            raise CallerError(
                f"gas {gas} is outside 1..{self.chain.transaction_gas_limit}, the limit of {self.chain.name}"
            )
        return gas

    def _is_known(self, tx: str) -> bool:
        try:
            self.w3.eth.get_transaction(HexBytes(tx))
        except TransactionNotFound:
            return False
        return True

    def _replayed(self, raw: TxReceipt, params: TxParams | None, sender: str | None) -> bytes:
        if params is None:
            return b""
        replay: TxParams = {**params, "from": to_checksum_address(sender or raw["from"])}
        try:
            self.w3.eth.call(replay, raw["blockNumber"])
        except ContractLogicError as error:
            return _revert_data(error)
        except Web3RPCError:
            return b""
        return b""

    def _too_much(self, needed: str, during: str) -> TerminalError:
        return TerminalError(
            f"{during} needs {needed} gas; a transaction on {self.chain.name} "
            f"may use {self.chain.transaction_gas_limit}",
            hint="split it into smaller transactions",
        )

    def _refused(self, error: Web3RPCError, during: str) -> FedproofError:
        told = _rpc_message(error)
        if _rpc_code(error) in _RATE_LIMITED:
            return RetryableError(
                f"{during}: {self.chain.name} answers too many requests", hint="wait a while"
            )
        if any(words in told.lower() for words in _OVERTAKEN):
            return RetryableError(
                f"{during}: another transaction of the same account was faster on {self.chain.name}: {told}",
                hint="use one process per account, and try again",
            )
        if "insufficient funds" in told.lower():
            return TerminalError(
                f"{during}: cannot pay on {self.chain.name}: {told}", hint="fund the account"
            )
        return TerminalError(f"{during}: {self.chain.name} refused it: {told}")


def _sending(chain_id: int, address: str) -> threading.Lock:
    # one at a time per account: between reading a nonce and using it nobody else may take it
    return _LOCKS.setdefault((chain_id, address), threading.Lock())


def checksum(address: str) -> ChecksumAddress:
    """``address`` with its checksum. Raises CallerError when it is not 20 bytes of hex."""
    try:
        return to_checksum_address(address)
    except (ValueError, TypeError) as error:
        raise CallerError(f"not an address: {address!r}", hint="0x and 40 hex digits") from error


def _told(function: ContractFunction) -> str:
    return str(function.fn_name)


def _revert_data(error: ContractLogicError) -> bytes:
    data: Any = error.data
    if isinstance(data, Mapping):
        data = data.get("data", "")
    if not isinstance(data, str) or not data.startswith("0x"):
        return b""
    return bytes.fromhex(data[2:])


def _rpc_code(error: Web3RPCError) -> int | None:
    response = error.rpc_response
    detail: Any = response.get("error") if response else None
    return detail.get("code") if isinstance(detail, Mapping) else None


def _rpc_message(error: Web3RPCError) -> str:
    response = error.rpc_response
    detail: Any = response.get("error") if response else None
    return str(detail.get("message")) if isinstance(detail, Mapping) else str(error)
