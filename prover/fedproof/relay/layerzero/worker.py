"""The LayerZero workers of the devnet, emulated: DVN signers, committer and executor in one process.

On a public network independent operators do this work. Here one process holds all the signers' keys, but it
goes through the same contracts in the same order, waits for the configured confirmations, and reads the
events that tell of a failure inside a transaction that succeeded. Every step looks at the chain first, so
running it again over the same packets delivers each exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.types import RPCEndpoint

from fedproof.chain.client import ChainClient, Receipt
from fedproof.chain.reverts import ContractRejected
from fedproof.errors import CallerError, TerminalError
from fedproof.relay.layerzero.packet import Packet, receive_gas
from fedproof.relay.layerzero.pathway import Pathway
from fedproof.relay.layerzero.stack import DVN_QUORUM, dvn_signers, learn_layerzero_errors, worker_account

_EXPIRES_S = 3600
_EXECUTE_OVERHEAD = 150_000  # the executor's own work around the receiver, and writing an alert if it fails
_NIL_HASH = b"\xff" * 32


class WorkerFailed(TerminalError):
    """A worker's transaction succeeded but the work inside it failed. ``event`` is what told so."""

    def __init__(self, event: str, detail: str) -> None:
        self.event = event
        super().__init__(f"LayerZero worker failed with {event}: {detail}")


class DeliveryState(StrEnum):
    """How far a packet got: attested by DVNs, committed to the endpoint, delivered to the receiver."""

    SENT = "sent"
    COMMITTED = "committed"
    DELIVERED = "delivered"


@dataclass(frozen=True)
class SentPacket:
    """A packet seen on the L2: where it was sent, with which options."""

    packet: Packet
    options: bytes
    tx: str
    block: int


@dataclass
class Delivery:
    """What this run did for one packet. ``steps`` lists (name, receipt) in order, all on the L1.

    ``failure`` is set when the receiver refused the message; the packet waits and can be retried.
    """

    sent: SentPacket
    state: DeliveryState
    steps: list[tuple[str, Receipt]] = field(default_factory=list)
    failure: ContractRejected | None = None

    @property
    def gas(self) -> int:
        """Gas used on the L1 by this run, over all steps."""
        return sum(receipt.gas for _, receipt in self.steps)

    @property
    def tx(self) -> str | None:
        """The transaction that delivered the message, when this run did."""
        if self.state is DeliveryState.DELIVERED and self.steps:
            return self.steps[-1][1].tx
        return None


Report = Callable[[str], None]


def _nothing(_message: str) -> None:
    """Report nothing."""


class LayerZeroWorker:
    """Plays every LayerZero worker between one sender and one receiver on the devnet (emulated)."""

    def __init__(self, path: Pathway, *, report: Report = _nothing) -> None:
        if not (path.l1_stack.emulated_workers and path.l2_stack.emulated_workers):
            raise CallerError("only a devnet's LayerZero workers can be emulated")
        self.path = path
        self.report = report
        self.client: ChainClient = path.l1.with_account(worker_account())
        learn_layerzero_errors(self.client.errors)

    def packets(self, from_block: int = 0) -> list[SentPacket]:
        """Packets our sender sent to our receiver since L2 block ``from_block``, oldest first."""
        endpoint = self.path.l2_endpoint
        self.path.l2.connect()
        found = [
            SentPacket(
                packet=Packet.decode(bytes(event["args"]["encodedPayload"])),
                options=bytes(event["args"]["options"]),
                tx="0x" + bytes(event["transactionHash"]).hex(),
                block=event["blockNumber"],
            )
            for event in endpoint.events.PacketSent().get_logs(from_block=from_block)
        ]
        ours = (self.path.sender.address, self.path.receiver.address)
        return [item for item in found if (item.packet.sender, item.packet.receiver) == ours]

    def state(self, packet: Packet) -> DeliveryState:
        """How far ``packet`` got, read from the L1."""
        endpoint, call = self.path.l1_endpoint, self.client.call
        source, sender, nonce = packet.origin
        where = (packet.receiver, source, sender)
        waiting = bytes(call(endpoint.functions.inboundPayloadHash(*where, nonce)))
        if waiting == packet.payload_hash:
            return DeliveryState.COMMITTED
        if waiting not in {bytes(32), _NIL_HASH}:
            raise TerminalError(f"another message waits at nonce {nonce}: 0x{waiting.hex()}")
        # an executed message leaves no hash behind, but the nonces up to it count as used
        if waiting == bytes(32) and call(endpoint.functions.lazyInboundNonce(*where)) >= nonce:
            return DeliveryState.DELIVERED
        return DeliveryState.SENT

    def run(self, from_block: int = 0) -> list[Delivery]:
        """Carry every packet since ``from_block`` as far as it goes, oldest first.

        A message the receiver refuses is reported in its Delivery and does not stop the others. Raises
        WorkerFailed when a DVN's or the committer's work fails, RetryableError when a chain does not answer.
        """
        return self.deliver(self.packets(from_block))

    def deliver(self, sent: Iterable[SentPacket]) -> list[Delivery]:
        """Carry the given packets as far as they go; see :meth:`run`."""
        return [self._deliver(item) for item in sent]

    def deliver_transaction(self, tx: str) -> Delivery:
        """Deliver the packet that L2 transaction ``tx`` sent.

        Raises CallerError when it sent none, ContractRejected when the receiver refuses the message.
        """
        block = self.path.l2.receipt(tx)["blockNumber"]
        sent = [item for item in self.packets(block) if item.block == block and item.tx == tx]
        if not sent:
            raise CallerError(f"transaction {tx} sent no message to the registry")
        delivery = self._deliver(sent[0])
        if delivery.failure is not None:
            raise delivery.failure
        return delivery

    def attest(
        self,
        packet: Packet,
        dvn: int,
        *,
        signers: Sequence[LocalAccount] | None = None,
        confirmations: int | None = None,
    ) -> Receipt:
        """Let DVN ``dvn`` (0 or 1, in deployment order) attest ``packet``. Tests choose other signers.

        Raises WorkerFailed when its multisig refuses the signatures or its call fails.
        """
        address = self._dvn_by_signers(dvn)
        return self._attest(packet, address, signers or dvn_signers(dvn)[:DVN_QUORUM], confirmations)

    def commit(self, packet: Packet) -> Receipt:
        """Commit ``packet`` to the endpoint. Raises ContractRejected unless all required DVNs attested it."""
        return self.client.send(self._commit(packet))

    def execute(self, sent: SentPacket, *, gas: int | None = None) -> Receipt:
        """Let the executor deliver ``sent`` with the gas its options ask for (or ``gas``).

        Raises ContractRejected with the receiver's error when it refuses (the transaction itself succeeds).
        """
        packet, endpoint = sent.packet, self.path.l1_endpoint
        wanted = gas if gas is not None else receive_gas(sent.options)
        executor = self._at("Executor", self.path.l1_stack.executor)
        parameters = (packet.receiver, packet.origin, packet.guid, packet.message, b"", wanted)
        # an estimate would be too low: with less gas the inner call fails, the outer one still succeeds
        receipt = self.client.send(
            executor.functions.execute302(parameters), gas=wanted * 64 // 63 + _EXECUTE_OVERHEAD
        )
        for alert in self.client.events(endpoint, "LzReceiveAlert", receipt):
            raise self.client.errors.rejection(bytes(alert["args"]["reason"]), "delivery to the receiver")
        if not self.client.events(endpoint, "PacketDelivered", receipt):
            raise WorkerFailed("no PacketDelivered", receipt.tx)
        return receipt

    def _deliver(self, sent: SentPacket) -> Delivery:
        packet = sent.packet
        delivery = Delivery(sent, self.state(packet))
        if delivery.state is DeliveryState.SENT:
            self._await_confirmations(sent)
            for index in range(len(self.path.l1_stack.dvns)):
                if not self._attested(packet, self._dvn_by_signers(index)):
                    self.report(f"DVN {index + 1} attests message {packet.nonce} (emulated)")
                    delivery.steps.append((f"verify{index + 1}", self.attest(packet, index)))
            self.report(f"committing message {packet.nonce}")
            delivery.steps.append(("commit", self.commit(packet)))
            delivery.state = DeliveryState.COMMITTED
        if delivery.state is DeliveryState.COMMITTED:
            self.report(f"executor delivers message {packet.nonce} (emulated)")
            try:
                delivery.steps.append(("execute", self.execute(sent)))
                delivery.state = DeliveryState.DELIVERED
            except ContractRejected as refusal:
                delivery.failure = refusal
        return delivery

    def _await_confirmations(self, sent: SentPacket) -> None:
        missing = sent.block + self.path.confirmations - self.path.l2.w3.eth.block_number
        if missing > 0:
            # nobody else makes blocks on the devnet: mine the ones a DVN would wait for
            self.path.l2.w3.provider.make_request(RPCEndpoint("anvil_mine"), [hex(missing)])

    def _attest(
        self, packet: Packet, dvn: str, signers: Sequence[LocalAccount], confirmations: int | None
    ) -> Receipt:
        contract = self._at("DVN", dvn)
        waited = self.path.confirmations if confirmations is None else confirmations
        verify = self.path.receive_library.functions.verify(packet.header, packet.payload_hash, waited)
        target, data = self.path.receive_library.address, HexBytes(verify._encode_transaction_data())
        vid = self.client.call(contract.functions.vid())
        expires = self.client.w3.eth.get_block("latest")["timestamp"] + _EXPIRES_S
        digest = self.client.call(contract.functions.hashCallData(vid, target, data, expires))
        ordered = sorted(signers, key=lambda account: int(account.address, 16))
        signatures = b"".join(
            bytes(account.sign_message(encode_defunct(bytes(digest))).signature) for account in ordered
        )
        receipt = self.client.send(contract.functions.execute([(vid, target, data, expires, signatures)]))
        if self.client.events(contract, "VerifySignaturesFailed", receipt):
            raise WorkerFailed("VerifySignaturesFailed", f"DVN {dvn} refused the signatures in {receipt.tx}")
        for failed in self.client.events(contract, "ExecuteFailed", receipt):
            name, arguments = self.client.errors.decode(bytes(failed["args"]["_data"]))
            raise WorkerFailed("ExecuteFailed", f"DVN {dvn} in {receipt.tx}: {name}({arguments})")
        if not self.client.events(self.path.receive_library, "PayloadVerified", receipt):
            raise WorkerFailed("no PayloadVerified", f"DVN {dvn} in {receipt.tx}")
        return receipt

    def _attested(self, packet: Packet, dvn: str) -> bool:
        library = self.path.receive_library
        header_hash = self.client.w3.keccak(packet.header)
        submitted, waited = self.client.call(
            library.functions.hashLookup(header_hash, packet.payload_hash, dvn)
        )
        return bool(submitted) and int(waited) >= self.path.confirmations

    def _commit(self, packet: Packet) -> ContractFunction:
        function: ContractFunction = self.path.receive_library.functions.commitVerification(
            packet.header, packet.payload_hash
        )
        return function

    def _dvn_by_signers(self, index: int) -> str:
        if not 0 <= index < len(self.path.l1_stack.dvns):
            raise CallerError(f"no DVN {index}; there are {len(self.path.l1_stack.dvns)}")
        signer = dvn_signers(index)[0].address
        for address in self.path.l1_stack.dvns:
            if self.client.call(self._at("DVN", address).functions.isSigner(signer)):
                return address
        raise TerminalError(f"no DVN of this devnet has the signer {signer}")

    def _at(self, name: str, address: str) -> Contract:
        return self.path.contract(self.client, name, address)
