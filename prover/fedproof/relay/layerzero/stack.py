"""The LayerZero V2 contracts of one chain, and their deployment on a devnet from the npm packages.

On a public network the contracts exist; on the devnet the same bytecode is deployed here. The DVNs' signers
are devnet accounts that :mod:`fedproof.relay.layerzero.worker` plays.
"""

from __future__ import annotations

from eth_account.signers.local import LocalAccount
from pydantic import BaseModel, ConfigDict
from web3.contract import Contract

from fedproof.chain.accounts import devnet_account
from fedproof.chain.artefacts import Artefact, npm_artefact
from fedproof.chain.client import ChainClient
from fedproof.chain.journal import Journal
from fedproof.chain.networks import Chain
from fedproof.chain.reverts import ErrorBook
from fedproof.errors import CallerError

_PROTOCOL = "@layerzerolabs/lz-evm-protocol-v2"
_MESSAGELIB = "@layerzerolabs/lz-evm-messagelib-v2"
_FOLDERS = {
    "EndpointV2": (_PROTOCOL, ""),
    "SendUln302": (_MESSAGELIB, "uln/uln302"),
    "ReceiveUln302": (_MESSAGELIB, "uln/uln302"),
    "DVN": (_MESSAGELIB, "uln/dvn"),
    "DVNFeeLib": (_MESSAGELIB, "uln/dvn"),
    "Executor": (_MESSAGELIB, ""),
    "ExecutorFeeLib": (_MESSAGELIB, ""),
    "PriceFeed": (_MESSAGELIB, ""),
    "Treasury": (_MESSAGELIB, ""),
}

DVN_COUNT = 2
DVN_SIGNERS = 3
DVN_QUORUM = 2
_FIRST_SIGNER = 1000  # devnet account index: far from the accounts that trainers and aggregators use
_ADMIN = 31  # devnet account that sends the worker's transactions; funded

_ZERO = "0x" + "00" * 20
_WAD = 10**18
_PRICE_RATIO = 10**20  # PriceFeed's denominator: both chains' coins are worth the same here
_GAS_PRICE = 10**9
_COIN_USD = 3000 * 10**20
_MESSAGE_BYTES = 10_000
_DVN_GAS = 120_000
_EXECUTOR_BASE_GAS = 50_000
_MULTIPLIER_BPS = 12_000
_TREASURY_GAS = 10_000


class LayerZeroStack(BaseModel):
    """Addresses of LayerZero V2 on one chain. ``dvns`` are the required ones, in ascending order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    eid: int
    endpoint: str
    send_library: str
    receive_library: str
    executor: str
    dvns: tuple[str, ...]
    emulated_workers: bool


def layerzero_artefact(name: str) -> Artefact:
    """A contract of the LayerZero npm packages by name. Raises CallerError when it is not one we use."""
    if name not in _FOLDERS:
        raise CallerError(f"no LayerZero contract {name!r}", hint=f"known: {', '.join(_FOLDERS)}")
    package, folder = _FOLDERS[name]
    return npm_artefact(package, name, folder)


def learn_layerzero_errors(errors: ErrorBook) -> None:
    """Make the custom errors of all LayerZero contracts decodable."""
    for name in _FOLDERS:
        errors.learn(layerzero_artefact(name).abi)


def dvn_signers(index: int) -> list[LocalAccount]:
    """The devnet signers of DVN ``index``, ascending by address. No signer serves two DVNs."""
    first = _FIRST_SIGNER + index * DVN_SIGNERS
    accounts = [devnet_account(first + offset) for offset in range(DVN_SIGNERS)]
    return sorted(accounts, key=lambda account: int(account.address, 16))


def worker_account() -> LocalAccount:
    """The devnet account that administers DVNs and executors and sends the worker's transactions."""
    return devnet_account(_ADMIN)


def deploy_stack(client: ChainClient, remote: Chain, journal: Journal) -> LayerZeroStack:
    """Deploy LayerZero V2 on a devnet chain for messages to and from ``remote``. Resumable and idempotent.

    Two DVNs, each with its own three signers of which two must sign. Raises as the client does.
    """
    return _Stack(client, remote, journal).deploy()


class _Stack:
    """One chain's deployment in progress."""

    def __init__(self, client: ChainClient, remote: Chain, journal: Journal) -> None:
        self.client = client
        self.remote = remote
        self.journal = journal
        self.eid = client.chain.lz_eid
        if client.account is None:
            raise CallerError("deploying LayerZero needs an account")
        self.owner = client.account.address
        self.admin = worker_account().address

    def deploy(self) -> LayerZeroStack:
        endpoint = self._contract("EndpointV2", self.eid, self.owner)
        send = self._contract("SendUln302", endpoint.address, _TREASURY_GAS, 0)
        receive = self._contract("ReceiveUln302", endpoint.address)
        self._set_treasury(send)
        prices = self._price_feed()
        executor = self._executor(endpoint, send, prices)
        dvns = [self._dvn(index, send, prices) for index in range(DVN_COUNT)]
        dvns.sort(key=lambda address: int(address, 16))  # ULN configurations must be ascending
        self._register(endpoint, send, receive)
        self._defaults(endpoint, send, receive, executor, dvns)
        return LayerZeroStack(
            eid=self.eid,
            endpoint=endpoint.address,
            send_library=send.address,
            receive_library=receive.address,
            executor=executor,
            dvns=tuple(dvns),
            emulated_workers=True,
        )

    def _contract(self, name: str, *arguments: object, step: str | None = None) -> Contract:
        artefact = layerzero_artefact(name)
        record = self.journal.deploy(self.client, step or f"layerzero/{name}", artefact, *arguments)
        return self.client.at(record.address, artefact.abi)

    def _set_treasury(self, send: Contract) -> None:
        treasury = self._contract("Treasury")
        self.journal.ensure(
            self.client,
            "layerzero: set treasury",
            send.functions.setTreasury(treasury.address),
            lambda: bool(self.client.call(send.functions.treasury()) == treasury.address),
        )

    def _price_feed(self) -> Contract:
        feed = self._contract("PriceFeed")
        key = self.remote.lz_eid % 30_000  # the feed is keyed by version 1 ids
        price = (_PRICE_RATIO, _GAS_PRICE, 16)
        call = self.client.call
        self.journal.ensure(
            self.client,
            "layerzero: initialize price feed",
            feed.functions.initialize(self.owner),
            lambda: bool(call(feed.functions.owner()) != _ZERO),
        )
        self.journal.ensure(
            self.client,
            "layerzero: set price",
            feed.functions.setPrice([(key, price)]),
            lambda: tuple(call(feed.functions.getPrice(key))) == price,
        )
        self.journal.ensure(
            self.client,
            "layerzero: set coin price",
            feed.functions.setNativeTokenPriceUSD(_COIN_USD),
            lambda: bool(call(feed.functions.nativeTokenPriceUSD()) == _COIN_USD),
        )
        return feed

    def _executor(self, endpoint: Contract, send: Contract, prices: Contract) -> str:
        executor = self._contract("Executor")
        call = self.client.call
        initialize = executor.functions.initialize(
            endpoint.address, _ZERO, [send.address], prices.address, self.owner, [self.owner, self.admin]
        )
        self.journal.ensure(
            self.client,
            "layerzero: initialize executor",
            initialize,
            lambda: bool(call(executor.functions.endpoint()) == endpoint.address),
        )
        self._fee_library("ExecutorFeeLib", executor, "executor")
        config = (_EXECUTOR_BASE_GAS, _EXECUTOR_BASE_GAS, _MULTIPLIER_BPS, 0, _WAD)
        self.journal.ensure(
            self.client,
            "layerzero: configure executor",
            executor.functions.setDstConfig([(self.remote.lz_eid, *config)]),
            lambda: call(executor.functions.dstConfig(self.remote.lz_eid))[0] == _EXECUTOR_BASE_GAS,
        )
        return str(executor.address)

    def _dvn(self, index: int, send: Contract, prices: Contract) -> str:
        signers = [account.address for account in dvn_signers(index)]
        dvn = self._contract(
            "DVN",
            self.eid,
            self.eid % 30_000,
            [send.address],
            prices.address,
            signers,
            DVN_QUORUM,
            [self.owner, self.admin],
            step=f"layerzero/DVN{index}",
        )
        self._fee_library("DVNFeeLib", dvn, f"DVN{index}")
        self.journal.ensure(
            self.client,
            f"layerzero: configure DVN{index}",
            dvn.functions.setDstConfig([(self.remote.lz_eid, _DVN_GAS, _MULTIPLIER_BPS, 0)]),
            lambda: self.client.call(dvn.functions.dstConfig(self.remote.lz_eid))[0] == _DVN_GAS,
        )
        return str(dvn.address)

    def _fee_library(self, name: str, worker: Contract, label: str) -> None:
        library = self._contract(name, self.eid, _WAD, step=f"layerzero/{name}/{label}")
        self.journal.ensure(
            self.client,
            f"layerzero: set fee library of {label}",
            worker.functions.setWorkerFeeLib(library.address),
            lambda: bool(self.client.call(worker.functions.workerFeeLib()) == library.address),
        )

    def _register(self, endpoint: Contract, *libraries: Contract) -> None:
        for library in libraries:
            self.journal.ensure(
                self.client,
                f"layerzero: register library {library.address}",
                endpoint.functions.registerLibrary(library.address),
                lambda library=library: bool(  # type: ignore[misc]
                    self.client.call(endpoint.functions.isRegisteredLibrary(library.address))
                ),
            )

    def _defaults(
        self, endpoint: Contract, send: Contract, receive: Contract, executor: str, dvns: list[str]
    ) -> None:
        # A chain is only "supported" once it has defaults. Our two ends never rely on them.
        remote, call, client = self.remote.lz_eid, self.client.call, self.client
        config: tuple[object, ...] = (self.client.chain.confirmations, len(dvns), 0, 0, dvns, [])
        self.journal.ensure(
            client,
            "layerzero: default executor",
            send.functions.setDefaultExecutorConfigs([(remote, (_MESSAGE_BYTES, executor))]),
            lambda: call(send.functions.executorConfigs(_ZERO, remote))[1] == executor,
        )
        for library, name in ((send, "send"), (receive, "receive")):
            self.journal.ensure(
                client,
                f"layerzero: default {name} configuration",
                library.functions.setDefaultUlnConfigs([(remote, config)]),
                lambda library=library: (
                    list(  # type: ignore[misc]
                        call(library.functions.getAppUlnConfig(_ZERO, remote))[4]
                    )
                    == dvns
                ),
            )
        self.journal.ensure(
            client,
            "layerzero: default send library",
            endpoint.functions.setDefaultSendLibrary(remote, send.address),
            lambda: bool(call(endpoint.functions.defaultSendLibrary(remote)) == send.address),
        )
        self.journal.ensure(
            client,
            "layerzero: default receive library",
            endpoint.functions.setDefaultReceiveLibrary(remote, receive.address, 0),
            lambda: bool(call(endpoint.functions.defaultReceiveLibrary(remote)) == receive.address),
        )
