"""Connecting to a network's chains, with advice for a devnet that does not run."""

from __future__ import annotations

from fedproof.chain.deploy import ChainPair, open_chains
from fedproof.chain.networks import Network
from fedproof.errors import RetryableError


def connect(network: Network) -> ChainPair:
    """Clients of both chains; see :func:`fedproof.chain.deploy.open_chains`."""
    try:
        return open_chains(network)
    except RetryableError as error:
        if not network.is_devnet:
            raise
        raise RetryableError(error.message, hint="start the devnet: fedproof devnet up") from error
