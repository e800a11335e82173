"""Whose key signs: the environment, an encrypted keystore, or the devnet's public mnemonic."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from fedproof.chain.networks import Network
from fedproof.errors import CallerError

DEVNET_MNEMONIC = "test test test test test test test test test test test junk"
"""The mnemonic anvil funds by default. It is public: whatever it controls outside a devnet is lost."""

DEVNET_ACCOUNTS = 32
"""Funded accounts of each devnet chain."""


@cache
def devnet_account(index: int) -> LocalAccount:
    """Account ``index`` of the devnet mnemonic, m/44'/60'/0'/0/index. Funded for index < DEVNET_ACCOUNTS."""
    if index < 0:
        raise CallerError(f"devnet account index must not be negative, got {index}")
    Account.enable_unaudited_hdwallet_features()
    account: LocalAccount = Account.from_mnemonic(DEVNET_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return account


def load_account(network: Network, environ: Mapping[str, str] = os.environ) -> LocalAccount:
    """The signing account for ``network``.

    On the devnet account 0 of the public mnemonic; elsewhere FEDPROOF_PRIVATE_KEY, or FEDPROOF_KEYSTORE with
    FEDPROOF_KEYSTORE_PASSWORD. Raises CallerError when none or both are set, when the keystore cannot be
    opened, and when a key of the public mnemonic would be used on a public network.
    """
    if network.is_devnet:
        return devnet_account(0)
    account = account_of_environment(f"network {network.name}", environ)
    if any(account.address == devnet_account(index).address for index in range(DEVNET_ACCOUNTS)):
        raise CallerError(
            f"{account.address} is an account of anvil's public mnemonic; anyone can spend from it",
            hint=f"use a key of your own on {network.name}",
        )
    return account


def account_of_environment(what: str, environ: Mapping[str, str] = os.environ) -> LocalAccount:
    """The account of FEDPROOF_PRIVATE_KEY, or of FEDPROOF_KEYSTORE with FEDPROOF_KEYSTORE_PASSWORD.

    Raises CallerError when none or both are set, naming ``what`` needs it, or the keystore cannot be opened.
    """
    key, keystore = environ.get("FEDPROOF_PRIVATE_KEY", ""), environ.get("FEDPROOF_KEYSTORE", "")
    if bool(key) == bool(keystore):
        state = "both are set" if key else "neither is set"
        raise CallerError(
            f"{what} needs either FEDPROOF_PRIVATE_KEY or FEDPROOF_KEYSTORE; {state}",
            hint="prefer an encrypted keystore with FEDPROOF_KEYSTORE_PASSWORD",
        )
    if key:
        return _from_key(key)
    return _from_keystore(Path(keystore), environ.get("FEDPROOF_KEYSTORE_PASSWORD"))


def _from_key(key: str) -> LocalAccount:
    try:
        account: LocalAccount = Account.from_key(key)
    except Exception as error:  # noqa: BLE001 - eth-account raises many types, some quoting the key
        raise CallerError(
            f"FEDPROOF_PRIVATE_KEY is not a private key ({type(error).__name__})", hint="32 bytes in hex"
        ) from None
    return account


def _from_keystore(path: Path, password: str | None) -> LocalAccount:
    if password is None:
        raise CallerError("FEDPROOF_KEYSTORE is set but FEDPROOF_KEYSTORE_PASSWORD is not")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CallerError(f"cannot read keystore {path}: {error.strerror}") from error
    except ValueError as error:
        raise CallerError(f"keystore {path} is not JSON") from error
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(content, password))
    except ValueError as error:
        if "MAC" in str(error):
            raise CallerError(f"wrong password for keystore {path}") from None
        raise CallerError(f"keystore {path} cannot be opened: {error}") from None
    except (KeyError, TypeError, NotImplementedError) as error:
        raise CallerError(f"{path} is not an Ethereum keystore (version 3)") from error
    return account
