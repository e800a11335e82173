"""A finalized hash goes from the hub to the registry through the real LayerZero V2, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chain_world import World, rpc
from eth_utils.crypto import keccak

from fedproof.chain.accounts import devnet_account
from fedproof.chain.client import ChainClient
from fedproof.chain.deploy import LAYERZERO_ROUTE, deploy, pathway
from fedproof.chain.digests import RelayMessage
from fedproof.chain.networks import ETHEREUM_TRANSACTION_GAS
from fedproof.chain.registry import RecordStatus
from fedproof.chain.reverts import ClaimRejected, ContractRejected
from fedproof.chain.solidity import compile_project
from fedproof.errors import CallerError, InvalidProof, RetryableError
from fedproof.relay.layerzero.packet import Packet, address_word, receive_gas, receive_options
from fedproof.relay.layerzero.pathway import (
    InsecureRelay,
    Pathway,
    problems,
    require_safe,
)
from fedproof.relay.layerzero.sender import RelayClient
from fedproof.relay.layerzero.stack import dvn_signers
from fedproof.relay.layerzero.worker import DeliveryState, LayerZeroWorker, SentPacket, WorkerFailed

pytestmark = pytest.mark.evm


@pytest.fixture(autouse=True)
def as_before(world):
    with world.undone():
        yield


@pytest.fixture
def path(world: World) -> Pathway:
    return pathway(world.deployment, world.chains)


@pytest.fixture
def relay(path: Pathway) -> RelayClient:
    return RelayClient(path)


@pytest.fixture
def worker(path: Pathway) -> LayerZeroWorker:
    return LayerZeroWorker(path)


def sent_by(worker: LayerZeroWorker, tx: str) -> SentPacket:
    return next(item for item in worker.packets() if item.tx == tx)


def impersonate(client: ChainClient, address: str) -> None:
    rpc(client, "anvil_impersonateAccount", address)
    rpc(client, "anvil_setBalance", address, hex(10**18))


def forged(genuine: Packet, message: RelayMessage, nonce: int | None = None) -> Packet:
    """A packet on the genuine path that the sender never sent."""
    blank = replace(genuine, message=message.encode(), nonce=nonce or genuine.nonce)
    return replace(blank, guid=blank.path_guid())


def test_the_finalized_hash_arrives(world, relay, worker):
    game = world.game()
    number, found = game.play()
    sent = relay.relay(game.model_id, number)
    assert world.registry.latest(game.model_id) is None
    delivery = worker.deliver_transaction(sent.tx)
    assert delivery.state is DeliveryState.DELIVERED
    record = world.registry.latest(game.model_id)
    assert (record.round_number, record.model_hash, record.agreeing) == (number, found, 1)
    assert record.status is RecordStatus.PROVISIONAL
    assert world.registry.report_of(game.model_id, number, LAYERZERO_ROUTE) == found
    assert [name for name, _ in delivery.steps] == ["verify1", "verify2", "commit", "execute"]
    message = RelayMessage.decode(delivery.sent.packet.message)
    assert message == RelayMessage(412346, world.deployment.hub, game.model_id, number, found)


def test_every_transaction_of_a_delivery_fits_ethereum(world, relay, worker):
    for _ in range(2):
        game = world.game()
        number, _ = game.play()
        delivery = worker.deliver_transaction(relay.relay(game.model_id, number).tx)
        for _, receipt in delivery.steps:
            asked = world.chains.l1.w3.eth.get_transaction(receipt.raw["transactionHash"])["gas"]
            assert receipt.gas <= asked < ETHEREUM_TRANSACTION_GAS
        assert delivery.gas < 600_000


def test_the_enforced_gas_is_enough_with_room_to_spare(world, relay, worker):
    game = world.game()
    number, _ = game.play()
    sent = sent_by(worker, relay.relay(game.model_id, number).tx)
    for index in (0, 1):
        worker.attest(sent.packet, index)
    worker.commit(sent.packet)
    worker.execute(sent, gas=receive_gas(sent.options) * 2 // 3)
    assert world.registry.latest(game.model_id) is not None


def test_a_round_that_is_not_finalized_cannot_be_relayed(world, relay):
    game = world.game()
    number, _ = game.submit_all()
    with pytest.raises(ContractRejected):
        relay.relay(game.model_id, number)
    with pytest.raises(ContractRejected, match="UnknownModel"):
        relay.quote(bytes(32), 1)


def test_running_the_worker_again_delivers_each_message_once(world, relay, worker):
    game = world.game()
    rounds = [game.play() for _ in range(3)]
    for number, _ in rounds:
        relay.relay(game.model_id, number)
    first = worker.run()
    assert [item.state for item in first if item.steps] == [DeliveryState.DELIVERED] * 3
    block = world.chains.l1.w3.eth.block_number
    again = worker.run()
    assert all(item.state is DeliveryState.DELIVERED and not item.steps for item in again)
    assert world.chains.l1.w3.eth.block_number == block
    for number, found in rounds:
        assert world.registry.record_of(game.model_id, number).model_hash == found
        assert world.registry.record_of(game.model_id, number).agreeing == 1


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_worker_that_died_half_way_is_continued(world, relay, worker, done):
    game = world.game()
    number, found = game.play()
    sent = sent_by(worker, relay.relay(game.model_id, number).tx)
    steps = [lambda: worker.attest(sent.packet, 1), lambda: worker.attest(sent.packet, 0)]
    for step in (*steps, lambda: worker.commit(sent.packet))[:done]:
        step()
    delivery = worker.deliver_transaction(sent.tx)
    assert len(delivery.steps) == 4 - done
    assert world.registry.latest(game.model_id).model_hash == found


def test_one_dvn_is_not_enough(world, relay, worker):
    game = world.game()
    number, _ = game.play()
    sent = sent_by(worker, relay.relay(game.model_id, number).tx)
    with pytest.raises(ContractRejected, match="LZ_ULN_Verifying"):
        worker.commit(sent.packet)
    worker.attest(sent.packet, 0)
    with pytest.raises(ContractRejected, match="LZ_ULN_Verifying"):
        worker.commit(sent.packet)
    worker.attest(sent.packet, 1)
    worker.commit(sent.packet)


def test_too_few_foreign_or_repeated_dvn_signers_are_noticed_in_a_successful_receipt(world, relay, worker):
    game = world.game()
    number, _ = game.play()
    packet = sent_by(worker, relay.relay(game.model_id, number).tx).packet
    own, other = dvn_signers(0), dvn_signers(1)
    for signers in ([own[0]], [own[0], own[0]], [own[0], other[0]], [own[0], devnet_account(0)]):
        with pytest.raises(WorkerFailed) as failed:
            worker.attest(packet, 0, signers=signers)
        assert failed.value.event == "VerifySignaturesFailed"
    worker.attest(packet, 0, signers=own[1:])


def test_too_few_confirmations_do_not_count(world, relay, worker):
    game = world.game()
    number, _ = game.play()
    sent = sent_by(worker, relay.relay(game.model_id, number).tx)
    worker.attest(sent.packet, 0)
    worker.attest(sent.packet, 1, confirmations=0)
    with pytest.raises(ContractRejected, match="LZ_ULN_Verifying"):
        worker.commit(sent.packet)
    assert worker.deliver_transaction(sent.tx).state is DeliveryState.DELIVERED


def test_a_forged_message_is_not_executed(world, relay, worker, path):
    game = world.game()
    number, found = game.play()
    sent = sent_by(worker, relay.relay(game.model_id, number).tx)
    for index in (0, 1):
        worker.attest(sent.packet, index)
    worker.commit(sent.packet)
    genuine = RelayMessage.decode(sent.packet.message)
    lie = forged(sent.packet, replace(genuine, model_hash=keccak(text="lie")))
    with pytest.raises(ContractRejected, match="LZ_PayloadHashNotFound"):
        worker.execute(replace(sent, packet=lie))
    function = path.l1_endpoint.functions.lzReceive(lie.origin, lie.receiver, lie.guid, lie.message, b"")
    with pytest.raises(ContractRejected, match="LZ_PayloadHashNotFound"):
        path.l1.send(function)
    worker.execute(sent)
    assert world.registry.latest(game.model_id).model_hash == found


def test_a_replayed_message_is_not_executed(world, relay, worker, path):
    game = world.game()
    number, _ = game.play()
    sent = worker.deliver_transaction(relay.relay(game.model_id, number).tx).sent
    with pytest.raises(ContractRejected, match="LZ_PayloadHashNotFound"):
        worker.execute(sent)
    with pytest.raises(ContractRejected):
        worker.commit(sent.packet)


def test_a_wrong_peer_reaches_neither_endpoint_nor_registry(world, relay, worker, path):
    """An attacker's own sender contract, a copy of ours, on the same chain."""
    game = world.game()
    number, _ = game.play()
    attacker = path.l2.with_account(devnet_account(9))
    artefact = compile_project()["LayerZeroSender"]
    arguments = (path.l2_stack.endpoint, world.deployment.hub, path.l1_stack.eid, devnet_account(9).address)
    copy = attacker.at(attacker.deploy(artefact, *arguments).contract, artefact.abi)
    attacker.send(copy.functions.setPeer(path.l1_stack.eid, address_word(path.receiver.address)))
    options = receive_options(200_000)
    attacker.send(copy.functions.setEnforcedOptions([(path.l1_stack.eid, 1, options)]))
    fee = attacker.call(copy.functions.quote(game.model_id, number))[0]
    receipt = attacker.send(copy.functions.relay(game.model_id, number), value=fee)
    event = path.l2.events(path.l2_endpoint, "PacketSent", receipt)[0]
    foreign = Packet.decode(bytes(event["args"]["encodedPayload"]))
    assert foreign.sender == copy.address
    for index in (0, 1):
        worker.attest(foreign, index)
    with pytest.raises(ContractRejected, match="LZ_PathNotInitializable"):
        worker.commit(foreign)
    # and if LayerZero itself misbehaved, the receiver would refuse the peer
    impersonate(path.l1, path.l1_stack.endpoint)
    function = path.receiver.functions.lzReceive(
        foreign.origin, foreign.guid, foreign.message, path.l1_stack.endpoint, b""
    )
    with pytest.raises(ClaimRejected) as refused:
        path.l1.call(function, sender=path.l1_stack.endpoint)
    assert isinstance(refused.value, InvalidProof)
    assert refused.value.name == "OnlyPeer"
    assert refused.value.args_["sender"] == address_word(copy.address)
    assert world.registry.latest(game.model_id) is None


def test_nobody_but_the_endpoint_and_the_route_may_speak(world, relay, worker, path):
    game = world.game()
    number, _ = game.play()
    packet = sent_by(worker, relay.relay(game.model_id, number).tx).packet
    function = path.receiver.functions.lzReceive(
        packet.origin, packet.guid, packet.message, path.l1_stack.endpoint, b""
    )
    with pytest.raises(ContractRejected, match="OnlyEndpoint"):
        path.l1.send(function)
    registry = path.l1.at(world.deployment.registry, world.deployment.abis["ModelRegistry"])
    with pytest.raises(ContractRejected, match="NotARoute"):
        path.l1.send(registry.functions.record(packet.message))


def test_a_message_of_another_hub_or_chain_is_refused_and_waits(world, relay, worker):
    """Colluding DVNs attest messages our sender never sent, on the genuine path."""
    game = world.game()
    number, found = game.play()
    sent = worker.deliver_transaction(relay.relay(game.model_id, number).tx).sent
    genuine = RelayMessage.decode(sent.packet.message)
    lies = {
        "WrongHub": replace(genuine, hub=devnet_account(9).address),
        "WrongSourceChain": replace(genuine, source_chain_id=1),
    }
    for offset, (error, lie) in enumerate(lies.items(), start=1):
        fake = replace(sent, packet=forged(sent.packet, lie, sent.packet.nonce + offset))
        (delivery,) = worker.deliver([fake])
        assert delivery.failure is not None
        assert (delivery.failure.name, delivery.state) == (error, DeliveryState.COMMITTED)
        assert isinstance(delivery.failure, InvalidProof)
    assert world.registry.latest(game.model_id).model_hash == found


def test_a_second_different_hash_freezes_the_record(world, relay, worker):
    """Even if both DVNs collude, a hash that was recorded is not replaced: the conflict shows."""
    game = world.game()
    number, found = game.play()
    sent = worker.deliver_transaction(relay.relay(game.model_id, number).tx).sent
    lie = replace(RelayMessage.decode(sent.packet.message), model_hash=keccak(text="lie"))
    fake = replace(sent, packet=forged(sent.packet, lie, sent.packet.nonce + 1))
    (delivery,) = worker.deliver([fake])
    assert delivery.state is DeliveryState.DELIVERED
    record = world.registry.record_of(game.model_id, number)
    assert (record.model_hash, record.status) == (found, RecordStatus.FROZEN)


def test_a_duplicate_message_changes_nothing(world, relay, worker, path):
    game = world.game()
    number, _ = game.play()
    worker.deliver_transaction(relay.relay(game.model_id, number).tx)
    before = world.registry.record_of(game.model_id, number)
    second = worker.deliver_transaction(relay.relay(game.model_id, number).tx)
    assert second.state is DeliveryState.DELIVERED
    assert world.registry.record_of(game.model_id, number) == before
    registry = path.l1.at(world.deployment.registry, world.deployment.abis["ModelRegistry"])
    execute = second.steps[-1][1]
    assert len(path.l1.events(registry, "DuplicateReported", execute)) == 1


def test_a_late_message_does_not_take_the_registry_back(world, relay, worker, path):
    game = world.game()
    (first, first_hash), (second, second_hash) = game.play(), game.play()
    worker.deliver_transaction(relay.relay(game.model_id, second).tx)
    late = worker.deliver_transaction(relay.relay(game.model_id, first).tx)
    registry = path.l1.at(world.deployment.registry, world.deployment.abis["ModelRegistry"])
    assert len(path.l1.events(registry, "LateReported", late.steps[-1][1])) == 1
    assert world.registry.latest(game.model_id).round_number == second
    assert world.registry.latest(game.model_id).model_hash == second_hash
    assert world.registry.record_of(game.model_id, first).model_hash == first_hash


def test_messages_committed_out_of_order_arrive_in_any_order(world, relay, worker):
    game = world.game()
    numbers = [game.play()[0] for _ in range(2)]
    first, second = (sent_by(worker, relay.relay(game.model_id, number).tx) for number in numbers)
    for index in (0, 1):
        worker.attest(second.packet, index)
    worker.commit(second.packet)
    with pytest.raises(ContractRejected, match="LZ_InvalidNonce"):
        worker.execute(second)
    deliveries = worker.run()
    assert [item.state for item in deliveries][-2:] == [DeliveryState.DELIVERED] * 2
    assert world.registry.latest(game.model_id).round_number == numbers[1]
    assert worker.state(first.packet) is DeliveryState.DELIVERED


def test_a_starved_message_is_told_and_can_be_retried(world, relay, worker):
    game = world.game()
    number, found = game.play()
    sent = sent_by(worker, relay.relay(game.model_id, number).tx)
    for index in (0, 1):
        worker.attest(sent.packet, index)
    worker.commit(sent.packet)
    with pytest.raises(ContractRejected, match="delivery to the receiver was rejected"):
        worker.execute(sent, gas=30_000)
    assert worker.state(sent.packet) is DeliveryState.COMMITTED
    assert worker.deliver_transaction(sent.tx).state is DeliveryState.DELIVERED
    assert world.registry.latest(game.model_id).model_hash == found


def test_an_underpaid_message_is_not_sent(world, relay, path):
    game = world.game()
    number, _ = game.play()
    fee = relay.quote(game.model_id, number)
    assert fee > 0
    with pytest.raises(ContractRejected, match="LZ_InsufficientFee"):
        path.l2.send(path.sender.functions.relay(game.model_id, number), value=fee - 1)


def test_a_transaction_that_sent_nothing(world, worker):
    receipt = world.chains.l2.transact({"to": devnet_account(1).address, "value": 1})
    with pytest.raises(CallerError, match="sent no message to the registry"):
        worker.deliver_transaction(receipt.tx)


def test_a_message_that_does_not_arrive_in_time(world):
    with pytest.raises(RetryableError, match=r"round 4 did not arrive at the registry within 0\.1 s"):
        world.registry.await_record(bytes(32), 4, timeout_s=0.1, poll_s=0.05)


def test_real_workers_are_not_emulated(path):
    public = replace(path, l1_stack=path.l1_stack.model_copy(update={"emulated_workers": False}))
    with pytest.raises(CallerError, match="only a devnet"):
        LayerZeroWorker(public)


class TestTheConfiguration:
    """What the chains hold is compared with what was asked for; every deviation is found and repaired."""

    def test_is_safe_as_deployed(self, path):
        assert problems(path) == []

    def set_uln(self, path: Pathway, end: str, config: tuple) -> None:
        from eth_abi.abi import encode

        encoded = encode(["(uint64,uint8,uint8,uint8,address[],address[])"], [config])
        client, oapp, endpoint, library, remote = {
            "sender": (path.l2, path.sender, path.l2_endpoint, path.send_library, path.l1_stack.eid),
            "receiver": (path.l1, path.receiver, path.l1_endpoint, path.receive_library, path.l2_stack.eid),
        }[end]
        client.send(endpoint.functions.setConfig(oapp.address, library.address, [(remote, 2, encoded)]))

    @pytest.mark.parametrize("end", ["sender", "receiver"])
    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda dvns: (0, 0, 0, 0, [], []), "uses the default DVNs"),
            (lambda dvns: (1, 1, 255, 0, dvns[:1], []), "requires 1 DVNs, at least 2 are needed"),
            (lambda dvns: (1, 2, 0, 0, dvns, []), "default optional DVNs"),
            (lambda dvns: (1, 2, 2, 1, dvns, dvns), "optional DVNs"),
            (lambda dvns: (1, 255, 2, 1, [], dvns), "requires 0 DVNs"),
            (lambda dvns: (2**64 - 1, 2, 255, 0, dvns, []), "confirmations"),
            (lambda dvns: (0, 2, 255, 0, dvns, []), r"waits for 0 confirmations \(0: the default\)"),
        ],
    )
    def test_weak_dvns_are_found(self, path, end, change, told):
        dvns = (path.l2_stack if end == "sender" else path.l1_stack).dvns
        self.set_uln(path, end, change(list(dvns)))
        with pytest.raises(InsecureRelay, match=told) as found:
            require_safe(path)
        assert all(end in problem for problem in found.value.problems)

    def test_default_libraries_are_found(self, path):
        zero = "0x" + "00" * 20
        path.l2.send(path.l2_endpoint.functions.setSendLibrary(path.sender.address, path.l1_stack.eid, zero))
        path.l1.send(
            path.l1_endpoint.functions.setReceiveLibrary(path.receiver.address, path.l2_stack.eid, zero, 0)
        )
        told = problems(path)
        assert "the sender uses the default send library" in told
        assert "the receiver uses the default receive library" in told

    def test_a_foreign_peer_or_delegate_is_found(self, path):
        stranger = devnet_account(9).address
        path.l1.send(path.receiver.functions.setPeer(path.l2_stack.eid, address_word(stranger)))
        path.l2.send(path.sender.functions.setDelegate(stranger))
        told = " ".join(problems(path))
        assert "the peer of the receiver is" in told
        assert f"the delegate of the sender is {stranger}" in told

    def test_missing_execution_gas_is_found(self, path):
        path.l2.send(path.sender.functions.setEnforcedOptions([(path.l1_stack.eid, 1, b"\0\3")]))
        assert problems(path) == ["the sender enforces no execution gas"]

    def test_deploying_again_repairs_it(self, world, path):
        saved = {item: item.read_bytes() for item in world.folder.iterdir()}
        try:
            self.set_uln(path, "receiver", (1, 1, 255, 0, [path.l1_stack.dvns[0]], []))
            stranger = address_word(devnet_account(9).address)
            path.l1.send(path.receiver.functions.setPeer(path.l2_stack.eid, stranger))
            assert len(problems(path)) == 2
            deploy("world", world.chains, folder=world.folder)
            assert problems(path) == []
        finally:
            for item, content in saved.items():
                item.write_bytes(content)
