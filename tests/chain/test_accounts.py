"""Keys: from the environment, from an encrypted keystore, never anvil's on a public network."""

from __future__ import annotations

import json

import pytest
from eth_account import Account

from fedproof.chain.accounts import devnet_account, load_account
from fedproof.chain.networks import network
from fedproof.errors import CallerError

pytestmark = pytest.mark.reference

KEY = "0x" + "5a" * 32
ADDRESS = Account.from_key(KEY).address


@pytest.fixture(scope="module")
def keystore(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keystore.json"
    path.write_text(json.dumps(Account.encrypt(KEY, "correct horse", kdf="pbkdf2", iterations=2)))
    return path


def test_the_devnet_uses_its_public_mnemonic():
    assert load_account(network("devnet"), {}).address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def test_a_key_from_the_environment():
    assert load_account(network("sepolia"), {"FEDPROOF_PRIVATE_KEY": KEY}).address == ADDRESS


def test_an_encrypted_keystore(keystore):
    environ = {"FEDPROOF_KEYSTORE": str(keystore), "FEDPROOF_KEYSTORE_PASSWORD": "correct horse"}
    assert load_account(network("sepolia"), environ).address == ADDRESS


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "neither is set"),
        ({"FEDPROOF_PRIVATE_KEY": KEY, "FEDPROOF_KEYSTORE": "x"}, "both are set"),
        ({"FEDPROOF_KEYSTORE": "x"}, "FEDPROOF_KEYSTORE_PASSWORD is not"),
        ({"FEDPROOF_KEYSTORE": "/nowhere", "FEDPROOF_KEYSTORE_PASSWORD": "x"}, "cannot read keystore"),
    ],
)
def test_incomplete_settings_say_what_is_missing(environ, told):
    with pytest.raises(CallerError, match=told):
        load_account(network("mainnet"), environ)


def test_a_wrong_password(keystore):
    environ = {"FEDPROOF_KEYSTORE": str(keystore), "FEDPROOF_KEYSTORE_PASSWORD": "guess"}
    with pytest.raises(CallerError, match="wrong password"):
        load_account(network("sepolia"), environ)


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"version": 3}', '{"crypto": 1, "version": 3}'])
def test_a_file_that_is_no_keystore(tmp_path, content):
    path = tmp_path / "keystore.json"
    path.write_text(content)
    environ = {"FEDPROOF_KEYSTORE": str(path), "FEDPROOF_KEYSTORE_PASSWORD": "x"}
    with pytest.raises(CallerError):
        load_account(network("sepolia"), environ)


def test_a_malformed_key_is_not_repeated():
    with pytest.raises(CallerError) as refused:
        load_account(network("sepolia"), {"FEDPROOF_PRIVATE_KEY": "0xdeadbeefcafe"})
    assert "deadbeef" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_anvils_accounts_are_refused_on_public_networks():
    environ = {"FEDPROOF_PRIVATE_KEY": "0x" + devnet_account(3).key.hex()}
    with pytest.raises(CallerError, match="public mnemonic"):
        load_account(network("mainnet"), environ)
