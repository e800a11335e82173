"""The models of all rounds, as an aggregator keeps them: each checked against the hub's commitment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog

from fedproof.chain.hub import HubClient, Phase
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, Point
from fedproof.errors import FedproofError
from fedproof.rounds.averaging import Averaging
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.vectors import ModelVector

_WITH_MODEL = (Phase.FINALIZED, Phase.ROLLED_BACK)


class Models:
    """Files of models in ``folder``. A model that is not there is made again from its round's updates.

    ``published`` are the fields that a file has besides (registry, L1). No model is needed to end a round: an
    aggregator that does not know one says so, and goes on.
    """

    def __init__(
        self, averaging: Averaging, circuit: Circuit, folder: Path, published: dict[str, Any] | None = None
    ) -> None:
        self.averaging = averaging
        self.hub: HubClient = averaging.hub
        self.model_id = averaging.model_id
        self.circuit = circuit
        self.folder = folder
        self.published = published or {}
        self._known: dict[int, tuple[Commitment, ModelVector]] = {}

    def path(self, number: int) -> Path:
        """Where the model of a round lies (0: the genesis)."""
        return self.folder / f"round{number}.json"

    def keep(self, model: ModelVector, number: int) -> Path:
        """Write the model that a round produced, or is about to."""
        path = self.path(number)
        PublishedModel.of(self.circuit, model, self.model_id, number, **self.published).save(path)
        return path

    def of(self, number: int) -> ModelVector | None:
        """Return the model of a finalized round; None if it is neither here nor can be made.

        Raises what the hub raises.
        """
        missing: list[int] = []
        found = None
        while (found := self._kept(number)) is None and number > 0:
            missing.append(number)
            number = self.hub.round(self.model_id, number).parent
        for later in reversed(missing):
            if found is None:
                return None
            found = self._made(later, found)
        return found

    def _commitment(self, number: int) -> Commitment:
        if number == 0:
            return tuple(Point(*p) for p in self.hub.model(self.model_id).config.genesis)
        return self.hub.round(self.model_id, number).result

    def _kept(self, number: int) -> ModelVector | None:
        commitment = self._commitment(number)
        known = self._known.get(number)
        if known is not None and known[0] == commitment:
            return known[1]
        try:
            model = PublishedModel.load(self.path(number)).model
        except FedproofError:
            return None
        return self._checked(number, model, commitment)

    def _made(self, number: int, base: ModelVector) -> ModelVector | None:
        """Make the model of a round from the one before: the average is what the updates determine."""
        if self.hub.phase(self.model_id, number) not in _WITH_MODEL:
            return None
        try:
            average = self.averaging.average(number, self.averaging.collect(number))
        except FedproofError as error:
            _log().warning("model not known", round=number, cause=error.message)
            return None
        model = self._checked(number, base.plus(average.delta), self._commitment(number))
        if model is not None:
            self.keep(model, number)
        return model

    def _checked(self, number: int, model: ModelVector, commitment: Commitment) -> ModelVector | None:
        try:
            self.circuit.committer.check_opening(model.vector, commitment, what=f"model of round {number}")
        except FedproofError as error:
            structlog.get_logger("fedproof").warning(
                "model not as the hub has it", round=number, cause=str(error)
            )
            return None
        # Only the newest is trained from.
        self._known = {number: (commitment, model)}
        return model


def _log() -> Any:  # noqa: ANN401 - structlog's bound logger has no useful type
    return structlog.get_logger("fedproof")
