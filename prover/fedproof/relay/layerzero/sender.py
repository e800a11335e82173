"""Sending a finalized hash: what it costs, and the transaction that does it."""

from __future__ import annotations

from contextlib import suppress

from fedproof.chain.client import Receipt
from fedproof.errors import CallerError
from fedproof.relay.layerzero.pathway import Pathway
from fedproof.relay.layerzero.stack import learn_layerzero_errors


class RelayClient:
    """Our LayerZero sender on the L2, paid by the L2 client's account. Model ids are 32 raw bytes."""

    def __init__(self, path: Pathway) -> None:
        self.path = path
        with suppress(CallerError):  # without the npm packages errors of LayerZero stay selectors
            learn_layerzero_errors(path.l2.errors)

    def quote(self, model_id: bytes, round_number: int) -> int:
        """What relaying a round costs now, in wei of the L2's coin.

        Raises ContractRejected when the round has no finalized hash.
        """
        fee = self.path.l2.call(self.path.sender.functions.quote(model_id, round_number))
        return int(fee[0])

    def relay(self, model_id: bytes, round_number: int) -> Receipt:
        """Send the finalized hash of a round to the L1; what is paid too much comes back.

        Anyone may do this, and repeating it is harmless. Raises ContractRejected when the round has no
        finalized hash.
        """
        fee = self.quote(model_id, round_number)
        return self.path.l2.send(self.path.sender.functions.relay(model_id, round_number), value=fee)
