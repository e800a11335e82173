"""Deployment: complete, recorded, resumable, and never with a development SRS on a public network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from chain_world import World, free_port
from filelock import FileLock

from fedproof.chain.client import ChainClient
from fedproof.chain.deploy import (
    ChainPair,
    VerifierSpec,
    deploy,
    layerzero_dvns,
    open_chains,
    pathway,
    read_only,
)
from fedproof.chain.deployment import load_deployment
from fedproof.chain.devnet import Devnet
from fedproof.chain.networks import Network, network
from fedproof.chain.registry import RecordStatus, RegistryClient
from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.relay.layerzero.pathway import problems

pytestmark = pytest.mark.evm

VERIFIER = """
pragma solidity ^0.8.0;
contract Halo2Verifier {
    function verifyProof(bytes calldata, uint256[] calldata) public returns (bool) { return true; }
}
"""
REUSABLE = """
pragma solidity ^0.8.0;
contract Halo2VerifierReusable {
    mapping(bytes32 => bool) registeredVkas;
    function registerVka(bytes32[] memory vka) public returns (bytes32 digest) {
        digest = keccak256(abi.encodePacked(vka));
        registeredVkas[digest] = true;
    }
}
"""


def spec(circuit: str, **changes: object) -> VerifierSpec:
    fields = {
        "circuit": circuit,
        "source": VERIFIER,
        "instances": [3],
        "commitment_count": 3,
        "proof_bytes": 256,
        "development_srs": True,
        "srs_sha256": "ab" * 32,
    }
    return VerifierSpec(**{**fields, **changes})


def test_everything_is_deployed_configured_and_recorded(world: World):
    deployment = load_deployment("world", world.folder)
    assert deployment == world.deployment
    deployment.check(world.chains.l2, world.chains.l1)
    assert deployment.l1.gas() > 0
    assert any("anvil" in line for line in deployment.emulated)
    assert world.registry.source() == (412346, deployment.hub)
    assert world.registry.fast_quorum() == 1
    assert world.registry.route_of(bytes.fromhex(deployment.route_id[2:])) == (deployment.receiver, False)
    for side, limit in ((deployment.l2, 32_000_000), (deployment.l1, 16_777_216)):
        created = {**side.contracts, **side.layerzero_contracts}
        assert max(record.gas for record in created.values()) < limit


def test_the_record_holds_no_secret(world: World):
    text = (world.folder / "world.json").read_text() + (world.folder / "world.journal.json").read_text()
    key = world.chains.l2.account.key.hex().removeprefix("0x")
    assert key not in text


def test_the_same_deployment_again_sends_nothing(world: World):
    chains = world.chains
    blocks = (chains.l2.w3.eth.block_number, chains.l1.w3.eth.block_number)
    again = deploy("world", chains, folder=world.folder)
    assert (chains.l2.w3.eth.block_number, chains.l1.w3.eth.block_number) == blocks
    assert (again.l2, again.l1) == (world.deployment.l2, world.deployment.l1)


def test_verifiers_are_added_later_and_kept(world: World):
    with world.undone():
        folder = world.folder
        saved = {path: path.read_bytes() for path in folder.iterdir()}
        try:
            deploy("world", world.chains, [spec("step")], folder=folder)
            vka = [bytes([index]) * 32 for index in (1, 2)]
            both = deploy("world", world.chains, [spec("wide", source=REUSABLE, vka=vka)], folder=folder)
            assert set(both.verifiers) == {"step", "wide"}
            assert both.verifier("step").kind == "plain"
            assert both.verifier("step").challenge_points == 0
            assert (both.verifier("wide").kind, both.development_srs) == ("reusable", True)
            blocks = world.chains.l2.w3.eth.block_number
            deploy("world", world.chains, [spec("wide", source=REUSABLE, vka=vka)], folder=folder)
            assert world.chains.l2.w3.eth.block_number == blocks
            with pytest.raises(CallerError, match=r"no verifier of circuit 'other'.*step, wide"):
                both.verifier("other")
        finally:
            for path, content in saved.items():
                path.write_bytes(content)


def test_a_killed_deployment_resumes_and_deploys_nothing_twice(empty_devnet: Devnet, tmp_path):
    script = f"""
import os, signal
from pathlib import Path
from fedproof.chain.deploy import deploy, open_chains
from fedproof.chain.devnet import Devnet
from fedproof.chain.client import ChainClient
ports = {empty_devnet.ports!r}
devnet = Devnet(Path({str(empty_devnet.folder)!r}), l2_port=ports["l2"], l1_port=ports["l1"])
chains = open_chains(devnet.network, devnet=devnet)
waiting = ChainClient.await_receipt
def die_at_the_third(self, tx, *, during="", **rest):
    if during == "deployment of layerzero/SendUln302":
        os.kill(os.getpid(), signal.SIGKILL)
    return waiting(self, tx, during=during, **rest)
ChainClient.await_receipt = die_at_the_third
deploy("killed", chains, folder=Path({str(tmp_path)!r}))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not (tmp_path / "killed.json").exists()
    chains = open_chains(empty_devnet.network, devnet=empty_devnet)
    owner, before = chains.l2.account.address, chains.l2.w3.eth.block_number
    said: list[str] = []
    deployment = deploy("killed", chains, folder=tmp_path, progress=said.append)
    assert any("resuming layerzero/SendUln302" in line for line in said)
    # hub, endpoint and send library were there: their addresses come from transactions of before
    created = {**deployment.l2.contracts, **deployment.l2.layerzero_contracts}
    for step in ("FedproofHub", "layerzero/EndpointV2", "layerzero/SendUln302"):
        assert created[step].block <= before
    sent = len(created) + len(deployment.l2.calls)
    assert chains.l2.w3.eth.block_number == before + sent - 3
    assert owner == deployment.l2.deployer


def test_a_restarted_devnet_is_noticed(tmp_path):
    devnet = Devnet(tmp_path / "net", l2_port=free_port(), l1_port=free_port())
    try:
        devnet.up()
        chains = open_chains(devnet.network, devnet=devnet)
        first = deploy("mine", chains, folder=tmp_path)
        devnet.down()
        with pytest.raises(RetryableError, match="does not answer"):
            open_chains(devnet.network, devnet=devnet)
        devnet.up()
        chains = open_chains(devnet.network, devnet=devnet)
        with pytest.raises(TerminalError, match="is not the chain mine was deployed to"):
            first.check(chains.l2, chains.l1)
        deploy("mine", chains, folder=tmp_path).check(chains.l2, chains.l1)
    finally:
        devnet.down()


def test_two_processes_do_not_make_the_same_deployment(world: World):
    with (
        FileLock(world.folder / "world.lock"),
        pytest.raises(RetryableError, match="being made by another process"),
    ):
        deploy("world", world.chains, folder=world.folder)


def test_every_transaction_of_the_deployment_is_listed(world: World):
    listed = world.deployment.transactions()
    assert sum(item.gas for item in listed) == world.deployment.l2.gas() + world.deployment.l1.gas()
    assert {"FedproofHub", "layerzero/DVN1", "relay: pin DVNs of the receiver"} <= {
        item.step for item in listed
    }


def a_public_network(world: World) -> Network:
    """The devnet as if it were public: LayerZero exists there and is described by addresses."""
    fields = world.devnet.network.model_dump()
    for side, stack in (("l2", world.deployment.l2.layerzero), ("l1", world.deployment.l1.layerzero)):
        known = ("endpoint", "send_library", "receive_library", "executor")
        fields[side]["layerzero"] = {"source": "here", **{key: getattr(stack, key) for key in known}}
    changes = {"name": "public", "kind": "testnet", "development_srs_allowed": False}
    return Network.model_validate({**fields, **changes})


def as_public(world: World, network_: Network) -> ChainPair:
    account = world.chains.l2.account
    l2 = ChainClient(network_.l2, world.chains.l2.url, account, errors=world.chains.errors)
    return ChainPair(
        network_, l2, ChainClient(network_.l1, world.chains.l1.url, account, errors=world.chains.errors)
    )


def dvn_environment(world: World) -> dict[str, str]:
    stacks = {
        "FEDPROOF_L2_DVNS": world.deployment.l2.layerzero,
        "FEDPROOF_L1_DVNS": world.deployment.l1.layerzero,
    }
    return {name: ",".join(stack.dvns) for name, stack in stacks.items()}


def test_on_a_public_network_the_existing_layerzero_is_used(world: World, tmp_path):
    with world.undone():
        public = as_public(world, a_public_network(world))
        deployment = deploy("public", public, [], folder=tmp_path, environ=dvn_environment(world))
        assert deployment.l2.layerzero_contracts == deployment.l1.layerzero_contracts == {}
        assert deployment.l2.layerzero.endpoint == world.deployment.l2.layerzero.endpoint
        assert not deployment.l2.layerzero.emulated_workers
        assert deployment.emulated == []
        assert set(deployment.l2.contracts) == {"FedproofHub", "LayerZeroSender"}
        assert problems(pathway(deployment, public)) == []


def test_a_contract_in_use_is_replaced_on_a_devnet_only(world: World, tmp_path):
    with world.undone():
        public = as_public(world, a_public_network(world))
        environ = dvn_environment(world)
        first = deploy(
            "public", public, [spec("step", development_srs=False)], folder=tmp_path, environ=environ
        )
        with pytest.raises(
            CallerError, match=r"ModelRegistry .* with other code or arguments.*another deployment"
        ):
            deploy("public", public, [], folder=tmp_path, environ=environ, fast_quorum=2)
        renewed = spec("step", development_srs=False, proof_bytes=512)
        second = deploy("public", public, [renewed], folder=tmp_path, environ=environ)
        assert second.verifier("step").adapter.address != first.verifier("step").adapter.address
        assert (second.hub, second.registry) == (first.hub, first.registry)
    with world.undone():
        one = deploy("local", world.chains, [], folder=tmp_path)
        two = deploy("local", world.chains, [], folder=tmp_path, fast_quorum=2)
        assert one.hub == two.hub
        assert one.registry != two.registry


def test_a_single_dvn_is_refused_on_a_public_network(world: World, tmp_path):
    with world.undone():
        public = as_public(world, a_public_network(world))
        environ = dvn_environment(world)
        environ["FEDPROOF_L1_DVNS"] = environ["FEDPROOF_L1_DVNS"].split(",")[0]
        with pytest.raises(CallerError, match="L1 has 1 DVNs; at least 2 of different operators"):
            deploy("public", public, [], folder=tmp_path, environ=environ)
        environ["FEDPROOF_L1_DVNS"] = ",".join(f"0x{digit * 40}" for digit in "12")
        with pytest.raises(CallerError, match="there is no contract at 0x1111"):
            deploy("public", public, [], folder=tmp_path, environ=environ)


def test_a_wrong_endpoint_is_noticed_before_anything_relies_on_it(world: World, tmp_path):
    with world.undone():
        network_ = a_public_network(world)
        swapped = network_.model_copy(update={"l2": network_.l2.model_copy(update={"lz_eid": 40231})})
        public = as_public(world, swapped)
        with pytest.raises(TerminalError, match="has eid 50231, not 40231"):
            deploy("public", public, [], folder=tmp_path, environ=dvn_environment(world))


def test_clients_of_another_network_are_refused(world: World):
    with pytest.raises(CallerError, match="is not a client of Arbitrum Sepolia of network sepolia"):
        ChainPair(network("sepolia"), world.chains.l2, world.chains.l1)


def test_a_development_srs_is_refused_outside_a_devnet(world: World, tmp_path):
    public = as_public(world, network("sepolia"))
    with pytest.raises(
        CallerError, match=r"circuits step rest on a development SRS.*network sepolia refuses"
    ):
        deploy("public", public, [spec("step")], folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_public_network_needs_dvns_of_the_operators_choice(world: World, tmp_path):
    with pytest.raises(CallerError, match=r"FEDPROOF_L2_DVNS is not set.*two DVNs"):
        layerzero_dvns("l2", {})
    with pytest.raises(CallerError, match="'x' is not an address"):
        layerzero_dvns("l1", {"FEDPROOF_L1_DVNS": "x"})
    two = world.deployment.l2.layerzero.dvns
    assert layerzero_dvns("l2", {"FEDPROOF_L2_DVNS": ", ".join(reversed(two))}) == two


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b"])
def test_a_name_that_is_no_file_name(world: World, tmp_path, name):
    with pytest.raises(CallerError, match="may hold letters"):
        deploy(name, world.chains, folder=tmp_path)


def test_a_missing_or_damaged_record(world: World, tmp_path):
    with pytest.raises(CallerError, match="no deployment 'none'"):
        load_deployment("none", tmp_path)
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(CallerError, match="is not a deployment record"):
        load_deployment("bad", tmp_path)
    (tmp_path / "bad.journal.json").write_text("{")
    with pytest.raises(TerminalError, match=r"journal .* is damaged"):
        deploy("bad", world.chains, folder=tmp_path)


def test_the_registry_is_read_with_nothing_but_a_url(world: World):
    reader = read_only(world.devnet.network, "l1", world.devnet.url("l1"))
    registry = RegistryClient(reader, world.deployment.registry)
    assert registry.latest(bytes(32)) is None
    assert registry.record_of(bytes(32), 1).status is RecordStatus.NONE
    assert registry.report_of(bytes(32), 1, bytes(32)) is None
    assert reader.account is None
    assert os.environ.get("FEDPROOF_PRIVATE_KEY") is None
