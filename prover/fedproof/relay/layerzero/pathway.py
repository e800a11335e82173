"""The one way our messages go, from the sender on the L2 to the receiver on the L1: configured and checked.

Everything is set explicitly for our two contracts. LayerZero's defaults belong to LayerZero and change; with
them, or with a single DVN, one compromised operator could write any hash into the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eth_abi.abi import encode
from web3.contract import Contract

from fedproof.chain.client import ChainClient
from fedproof.chain.journal import Journal
from fedproof.errors import CallerError, TerminalError
from fedproof.relay.layerzero.packet import address_word, receive_gas, receive_options
from fedproof.relay.layerzero.stack import LayerZeroStack, layerzero_artefact

RELAY_MESSAGE = 1
"""Message type of the sender's one kind of message (LayerZeroSender.RELAY)."""

RECEIVER_GAS = 250_000
"""Gas the executor gives to the receiver. Recording a hash takes about half of it when every slot is new."""

MINIMUM_DVNS = 2
MESSAGE_BYTES = 1_024
"""Longest message the sender may send; a payload has 192 bytes."""

_EXECUTOR_CONFIG = 1
_ULN_CONFIG = 2
_ULN_TYPE = "(uint64,uint8,uint8,uint8,address[],address[])"
_NO_OPTIONAL_DVNS = 255  # 0 would mean "LayerZero's default", which may name DVNs we never chose
_ZERO = "0x" + "00" * 20


class InsecureRelay(TerminalError):
    """The relay's configuration is not the pinned one; ``problems`` lists what is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(
            "the LayerZero configuration is not safe: " + "; ".join(problems),
            hint="deploy again with the same name to repair it",
        )


@dataclass(frozen=True)
class Pathway:
    """Both ends of the relay: clients, LayerZero's contracts and ours. ``confirmations`` are L2 blocks."""

    l2: ChainClient
    l1: ChainClient
    l2_stack: LayerZeroStack
    l1_stack: LayerZeroStack
    sender: Contract
    receiver: Contract

    @property
    def confirmations(self) -> int:
        """L2 blocks the DVNs wait for."""
        return self.l2.chain.confirmations

    def contract(self, client: ChainClient, name: str, address: str) -> Contract:
        """A LayerZero contract of the npm packages at ``address``."""
        return client.at(address, layerzero_artefact(name).abi)

    @property
    def l2_endpoint(self) -> Contract:
        """EndpointV2 of the L2."""
        return self.contract(self.l2, "EndpointV2", self.l2_stack.endpoint)

    @property
    def l1_endpoint(self) -> Contract:
        """EndpointV2 of the L1."""
        return self.contract(self.l1, "EndpointV2", self.l1_stack.endpoint)

    @property
    def send_library(self) -> Contract:
        """SendUln302 of the L2."""
        return self.contract(self.l2, "SendUln302", self.l2_stack.send_library)

    @property
    def receive_library(self) -> Contract:
        """ReceiveUln302 of the L1."""
        return self.contract(self.l1, "ReceiveUln302", self.l1_stack.receive_library)


def configure(path: Pathway, journal: Journal, *, gas: int = RECEIVER_GAS) -> None:
    """Set peers, libraries, executor, DVNs and options of both ends, then check them. Idempotent.

    The clients' accounts must own sender and receiver. Raises CallerError when fewer than two DVNs are given
    or they are not ascending, InsecureRelay when the result is not what was asked for.
    """
    for name, stack in (("L2", path.l2_stack), ("L1", path.l1_stack)):
        _require_dvns(name, stack.dvns)
    _configure_sender(path, journal, gas)
    _configure_receiver(path, journal)
    require_safe(path)


def problems(path: Pathway) -> list[str]:
    """What is wrong with the relay's configuration on the chains, one sentence each; empty when nothing."""
    return [*_sender_problems(path), *_receiver_problems(path)]


def require_safe(path: Pathway) -> None:
    """Raise InsecureRelay unless libraries, DVNs, executor, peers and options are all pinned."""
    if found := problems(path):
        raise InsecureRelay(found)


def _require_dvns(name: str, dvns: tuple[str, ...]) -> None:
    if len(set(dvns)) < MINIMUM_DVNS:
        raise CallerError(
            f"{name} has {len(set(dvns))} DVNs; at least {MINIMUM_DVNS} of different operators are required"
        )
    if list(dvns) != sorted(set(dvns), key=lambda address: int(address, 16)):
        raise CallerError(f"DVNs of {name} must be in ascending order without repetition: {', '.join(dvns)}")


def _uln(confirmations: int, dvns: tuple[str, ...]) -> bytes:
    return encode([_ULN_TYPE], [(confirmations, len(dvns), _NO_OPTIONAL_DVNS, 0, list(dvns), [])])


def _configure_sender(path: Pathway, journal: Journal, gas: int) -> None:
    client, sender, endpoint, library = path.l2, path.sender, path.l2_endpoint, path.send_library
    remote, call = path.l1_stack.eid, path.l2.call
    journal.ensure(
        client,
        "relay: pin send library",
        endpoint.functions.setSendLibrary(sender.address, remote, library.address),
        lambda: not _send_library_problems(path),
    )
    settings = [
        (
            remote,
            _EXECUTOR_CONFIG,
            encode(["(uint32,address)"], [(MESSAGE_BYTES, path.l2_stack.executor)]),
        ),
        (remote, _ULN_CONFIG, _uln(path.confirmations, path.l2_stack.dvns)),
    ]
    journal.ensure(
        client,
        "relay: pin executor and DVNs of the sender",
        endpoint.functions.setConfig(sender.address, library.address, settings),
        lambda: not _executor_problems(path) and not _sender_uln_problems(path),
    )
    options = receive_options(gas)
    journal.ensure(
        client,
        "relay: enforce execution gas",
        sender.functions.setEnforcedOptions([(remote, RELAY_MESSAGE, options)]),
        lambda: bytes(call(sender.functions.enforcedOptions(remote, RELAY_MESSAGE))) == options,
    )
    journal.ensure(
        client,
        "relay: set peer of the sender",
        sender.functions.setPeer(remote, address_word(path.receiver.address)),
        lambda: not _peer_problems(path.l2, sender, remote, path.receiver.address, "sender"),
    )


def _configure_receiver(path: Pathway, journal: Journal) -> None:
    client, receiver, endpoint, library = path.l1, path.receiver, path.l1_endpoint, path.receive_library
    remote = path.l2_stack.eid
    journal.ensure(
        client,
        "relay: pin receive library",
        endpoint.functions.setReceiveLibrary(receiver.address, remote, library.address, 0),
        lambda: not _receive_library_problems(path),
    )
    settings = [(remote, _ULN_CONFIG, _uln(path.confirmations, path.l1_stack.dvns))]
    journal.ensure(
        client,
        "relay: pin DVNs of the receiver",
        endpoint.functions.setConfig(receiver.address, library.address, settings),
        lambda: not _receiver_uln_problems(path),
    )
    journal.ensure(
        client,
        "relay: set peer of the receiver",
        receiver.functions.setPeer(remote, address_word(path.sender.address)),
        lambda: not _peer_problems(path.l1, receiver, remote, path.sender.address, "receiver"),
    )


def _sender_problems(path: Pathway) -> list[str]:
    checks: tuple[Callable[[Pathway], list[str]], ...] = (
        _send_library_problems,
        _executor_problems,
        _sender_uln_problems,
        _options_problems,
    )
    return [
        *(problem for check in checks for problem in check(path)),
        *_peer_problems(path.l2, path.sender, path.l1_stack.eid, path.receiver.address, "sender"),
        *_delegate_problems(path.l2, path.l2_endpoint, path.sender, "sender"),
    ]


def _receiver_problems(path: Pathway) -> list[str]:
    return [
        *_receive_library_problems(path),
        *_receiver_uln_problems(path),
        *_peer_problems(path.l1, path.receiver, path.l2_stack.eid, path.sender.address, "receiver"),
        *_delegate_problems(path.l1, path.l1_endpoint, path.receiver, "receiver"),
    ]


def _send_library_problems(path: Pathway) -> list[str]:
    endpoint, remote, sender = path.l2_endpoint, path.l1_stack.eid, path.sender.address
    if path.l2.call(endpoint.functions.isDefaultSendLibrary(sender, remote)):
        return ["the sender uses the default send library"]
    used = path.l2.call(endpoint.functions.getSendLibrary(sender, remote))
    if used != path.l2_stack.send_library:
        return [f"the sender's library is {used}, expected {path.l2_stack.send_library}"]
    return []


def _receive_library_problems(path: Pathway) -> list[str]:
    endpoint, remote, receiver = path.l1_endpoint, path.l2_stack.eid, path.receiver.address
    used, is_default = path.l1.call(endpoint.functions.getReceiveLibrary(receiver, remote))
    if is_default:
        return ["the receiver uses the default receive library"]
    if used != path.l1_stack.receive_library:
        return [f"the receiver's library is {used}, expected {path.l1_stack.receive_library}"]
    former, expiry = path.l1.call(endpoint.functions.receiveLibraryTimeout(receiver, remote))
    if former != _ZERO and expiry > path.l1.w3.eth.block_number:
        return [f"the receiver still accepts its former library {former} until block {expiry}"]
    return []


def _executor_problems(path: Pathway) -> list[str]:
    own = path.send_library.functions.executorConfigs(path.sender.address, path.l1_stack.eid)
    size, executor = path.l2.call(own)
    if size == 0 or executor == _ZERO:
        return ["the sender uses the default executor"]
    if executor != path.l2_stack.executor:
        return [f"the sender's executor is {executor}, expected {path.l2_stack.executor}"]
    return [] if size == MESSAGE_BYTES else [f"the sender allows {size} bytes, expected {MESSAGE_BYTES}"]


def _sender_uln_problems(path: Pathway) -> list[str]:
    own = path.send_library.functions.getAppUlnConfig(path.sender.address, path.l1_stack.eid)
    return _uln_problems("sender", path.l2.call(own), path.confirmations, path.l2_stack.dvns)


def _receiver_uln_problems(path: Pathway) -> list[str]:
    own = path.receive_library.functions.getAppUlnConfig(path.receiver.address, path.l2_stack.eid)
    return _uln_problems("receiver", path.l1.call(own), path.confirmations, path.l1_stack.dvns)


def _uln_problems(
    end: str,
    config: tuple[int, int, int, int, list[str], list[str]],
    confirmations: int,
    dvns: tuple[str, ...],
) -> list[str]:
    waited, count, optional_count, threshold, required, optional = config
    found = []
    if count == 0:
        found.append(f"the {end} uses the default DVNs")
    elif len(set(required)) < MINIMUM_DVNS:
        found.append(f"the {end} requires {len(set(required))} DVNs, at least {MINIMUM_DVNS} are needed")
    elif tuple(required) != dvns:
        found.append(f"the {end} requires the DVNs {', '.join(required)}, expected {', '.join(dvns)}")
    if optional_count != _NO_OPTIONAL_DVNS or threshold or optional:
        found.append(f"the {end} has optional or default optional DVNs, expected none")
    if waited != confirmations:
        found.append(f"the {end} waits for {waited} confirmations (0: the default), expected {confirmations}")
    return found


def _options_problems(path: Pathway) -> list[str]:
    options = bytes(path.l2.call(path.sender.functions.enforcedOptions(path.l1_stack.eid, RELAY_MESSAGE)))
    try:
        gas = receive_gas(options)
    except CallerError:
        gas = 0
    return [] if gas else ["the sender enforces no execution gas"]


def _peer_problems(client: ChainClient, end: Contract, remote: int, expected: str, name: str) -> list[str]:
    peer = bytes(client.call(end.functions.peers(remote)))
    if peer == address_word(expected):
        return []
    return [f"the peer of the {name} is 0x{peer.hex()}, expected {expected}"]


def _delegate_problems(client: ChainClient, endpoint: Contract, end: Contract, name: str) -> list[str]:
    delegate = client.call(endpoint.functions.delegates(end.address))
    owner = client.call(end.functions.owner())
    if delegate == owner:
        return []
    return [f"the delegate of the {name} is {delegate}, not its owner {owner}"]
