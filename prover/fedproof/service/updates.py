"""Updates from a content store, as an aggregator fetches them."""

from __future__ import annotations

from fedproof.exchange import ContentMissing, UpdateExchange
from fedproof.exchange.vectors import packed_bytes, unpack
from fedproof.lowering.ir import IntArray
from fedproof.rounds.updates import UpdateMissing


class ExchangeUpdates:
    """Updates of a model in an exchange. ``length`` is that of its vectors, salt included."""

    def __init__(self, exchange: UpdateExchange, model_id: bytes, length: int) -> None:
        self.exchange = exchange
        self.model_id = model_id
        self.length = length

    def fetch(self, round_number: int, trainer: str) -> IntArray:
        """See :class:`fedproof.rounds.updates.Updates`."""
        try:
            package = self.exchange.package(self.model_id, round_number, trainer)
            data = self.exchange.store.get(package.content, max_bytes=packed_bytes(self.length))
        except ContentMissing as error:
            raise UpdateMissing(trainer) from error
        return unpack(data, self.length)
