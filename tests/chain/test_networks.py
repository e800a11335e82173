"""The networks table and the environment it leaves URLs to."""

from __future__ import annotations

from importlib import resources

import pytest

from fedproof.chain.networks import (
    ETHEREUM_TRANSACTION_GAS,
    network,
    networks,
    parse_networks,
    public_name,
    rpc_url,
)
from fedproof.errors import CallerError

pytestmark = pytest.mark.reference

TABLE = resources.files("fedproof.chain").joinpath("networks.toml").read_text(encoding="utf-8")


def test_the_three_pairs_are_what_they_say():
    assert set(networks()) == {"devnet", "sepolia", "mainnet"}
    sepolia, mainnet = network("sepolia"), network("mainnet")
    assert (sepolia.l2.chain_id, sepolia.l1.chain_id) == (421614, 11155111)
    assert (sepolia.l2.lz_eid, sepolia.l1.lz_eid) == (40231, 40161)
    assert (mainnet.l2.chain_id, mainnet.l1.chain_id) == (42161, 1)
    assert (mainnet.l2.lz_eid, mainnet.l1.lz_eid) == (30110, 30101)


def test_only_the_devnet_takes_a_development_srs():
    assert [name for name, item in networks().items() if item.development_srs_allowed] == ["devnet"]


def test_every_l1_keeps_the_ethereum_transaction_cap():
    assert {item.l1.transaction_gas_limit for item in networks().values()} == {ETHEREUM_TRANSACTION_GAS}


def test_no_url_and_no_key_in_the_table():
    lines = [line for line in TABLE.splitlines() if "://" in line]
    assert all(line.startswith("source = ") for line in lines)


def test_an_unknown_network_lists_the_known_ones():
    with pytest.raises(CallerError, match=r"unknown network 'goerli'.*devnet, sepolia, mainnet"):
        network("goerli")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("chain_id = 1337", "chain_id = -3", r"l1\.chain_id.*-3"),
        ("chain_id = 1337", 'chain_id = 1337\nrpc = "http://x"', r"l1\.rpc"),
        ("lz_eid = 50161", "lz_eid = 50231", "must differ"),
        ('kind = "devnet"', 'kind = "testnet"', "only a devnet may use a development SRS"),
        (
            "block_gas_limit = 60_000_000\ntransaction_gas_limit = 16_777_216",
            "block_gas_limit = 60_000_000\ntransaction_gas_limit = 30_000_000",
            "EIP-7825",
        ),
        ("block_gas_limit = 60_000_000", "block_gas_limit = 1_000", "exceeds block_gas_limit"),
        ("0x4f7cd4DA", "0x4F7cd4DA", "wrong checksum"),
        ("[devnet]", "[devnet", "not TOML"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(old, new, told):
    assert old in TABLE
    with pytest.raises(CallerError, match=told):
        parse_networks(TABLE.replace(old, new, 1))


def test_the_rpc_url_comes_from_the_environment():
    environ = {"FEDPROOF_L2_RPC": "https://rpc.example/v2/secret"}
    assert rpc_url(network("sepolia"), "l2", environ) == "https://rpc.example/v2/secret"
    with pytest.raises(CallerError, match="FEDPROOF_L1_RPC is not set"):
        rpc_url(network("sepolia"), "l1", environ)
    with pytest.raises(CallerError, match="not an http or https URL") as refused:
        rpc_url(network("sepolia"), "l2", {"FEDPROOF_L2_RPC": "ftp://rpc.example/secret"})
    assert "secret" not in str(refused.value)


def test_a_message_never_shows_the_token_in_a_url():
    assert public_name("https://user:pass@rpc.example:8443/v2/secret?key=1") == "https://rpc.example:8443"
