"""One round, as far as it can be taken now. What was done before is found on the chain and the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fedproof.chain.hub import HubClient, Phase, RoundState
from fedproof.chain.reverts import ClaimRejected, ContractRejected
from fedproof.errors import FedproofError, RetryableError, TerminalError
from fedproof.rounds.aggregator import Average
from fedproof.rounds.averaging import Arrivals, Averaging
from fedproof.rounds.proof import Proof
from fedproof.service.models import Models
from fedproof.service.outcomes import Kind, Outcome, Problem
from fedproof.service.stopping import Stop

#: ``on(stage, seconds)``: a stage of a round has ended.
Timed = Callable[[str, float], None]

_ENDED = {
    Phase.EXPIRED: (Kind.EXPIRED, "a deadline has passed: anyone may cancel it (fedproof round cancel)"),
    Phase.CANCELLED: (Kind.CANCELLED, "it was cancelled"),
    Phase.ROLLED_BACK: (Kind.ROLLED_BACK, "the guardians have undone it"),
}


class Overtaken(Exception):
    """Somebody else has moved the round on. ``gas`` is what was paid for nothing."""

    def __init__(self, gas: int = 0) -> None:
        super().__init__("overtaken")
        self.gas = gas


class Settler:
    """Takes rounds of one model to their end.

    ``standby_s`` is how long it leaves a round to other aggregators before it proves anything itself.
    """

    def __init__(
        self,
        averaging: Averaging,
        models: Models,
        stop: Stop,
        timed: Timed = lambda _stage, _seconds: None,
        standby_s: float = 0.0,
    ) -> None:
        self.averaging = averaging
        self.hub: HubClient = averaging.hub
        self.model_id = averaging.model_id
        self.models = models
        self.stop = stop
        self.timed = timed
        account = self.hub.client.account
        self.address = None if account is None else str(account.address)
        self.standby_s = standby_s
        #: What is being done now, None between rounds.
        self.stage: str | None = None
        self._least: int | None = None
        self._waiting: dict[int, float] = {}

    def settle(self, number: int) -> Outcome | None:
        """Do what can be done about a round; None while it only has to be waited for.

        Raises :class:`Problem` for what keeps it from ending, and what the chain raises when it is looked at.
        """
        state = self.hub.round(self.model_id, number)
        if state.phase is Phase.FINALIZE:
            return self._try(state) if self._is_our_turn(number) else None
        if state.phase is Phase.SUBMIT:
            # Early: what is wrong with an update is better known while its trainer is there.
            self._demand(number, self.averaging.collect(number), missing=False)
        return self._ended(state)

    def _ended(
        self, state: RoundState, *, gas: int = 0, seconds: dict[str, float] | None = None
    ) -> Outcome | None:
        if state.phase is Phase.FINALIZED:
            return self._finalized(state, gas, seconds or {})
        if state.phase not in _ENDED:
            return None
        kind, detail = _ENDED[state.phase]
        return Outcome(state.number, kind, detail, gas=gas, seconds=seconds or {})

    def _try(self, state: RoundState) -> Outcome | None:
        seconds: dict[str, float] = {}
        try:
            with self._telling(state.number):
                return self._finalize(state, seconds)
        except Overtaken as overtaken:
            after = self.hub.round(self.model_id, state.number)
            return self._ended(after, gas=overtaken.gas, seconds=seconds)

    def _is_our_turn(self, number: int) -> bool:
        """Whether the round has waited for long enough for others to end it."""
        now = time.monotonic()
        self._waiting = {number: self._waiting.get(number, now)}
        return now - self._waiting[number] >= self.standby_s

    # -- finalizing ---------------------------------------------------------------------------------

    def _finalize(self, state: RoundState, seconds: dict[str, float]) -> Outcome:
        number = state.number
        self._demand_enough(state)
        with self._stage("collect", seconds):
            arrivals = self.averaging.collect(number)
        self._demand(number, arrivals)
        average = self.averaging.average(number, arrivals)
        proof = self._prove(number, average, seconds)
        base = self.models.of(state.parent)
        # Kept first: who trains next must find the model as soon as the hub has moved.
        path = None if base is None else self.models.keep(base.plus(average.delta), number)
        with self._stage("finalize", seconds):
            try:
                found, receipt = self.averaging.finalize(number, proof)
            except ContractRejected as error:
                if self.hub.phase(self.model_id, number) is not Phase.FINALIZE:
                    raise Overtaken(error.gas) from error
                if isinstance(error, ClaimRejected):
                    # Of other submissions by now, or damaged on the disk: it is not shown again.
                    self.averaging.discard(number)
                raise
        return Outcome(
            number,
            Kind.FINALIZED,
            f"{len(arrivals.included)} updates averaged",
            finalizer=self.address,
            model_hash="0x" + found.hex(),
            model=None if path is None else str(path),
            tx=receipt.tx,
            gas=receipt.gas,
            seconds=seconds,
        )

    def _prove(self, number: int, average: Average, seconds: dict[str, float]) -> Proof:
        proof = self.averaging.kept(number, average)
        if proof is None:
            self._still_open(number)
            with self._stage("prove", seconds), self.stop.abandoning():
                proof = self.averaging.make(number, average)
        self._still_open(number)
        return proof

    def _still_open(self, number: int) -> None:
        if self.hub.phase(self.model_id, number) is not Phase.FINALIZE:
            raise Overtaken

    def _demand_enough(self, state: RoundState) -> None:
        if self._least is None:
            self._least = self.hub.model(self.model_id).config.min_trainers
        included = state.submitted - state.left_out
        if included < self._least:
            error = TerminalError(
                f"round {state.number} has {included} submissions, the model needs {self._least}",
                hint="it can only be cancelled (fedproof round cancel)",
            )
            raise self._problem(state.number, Kind.FAILED, error)

    # -- what others did ----------------------------------------------------------------------------

    def _finalized(self, state: RoundState, gas: int, seconds: dict[str, float]) -> Outcome:
        model = self.models.of(state.number)
        ours = state.finalizer == self.address
        return Outcome(
            state.number,
            Kind.FINALIZED if ours else Kind.OVERTAKEN,
            "it stands on the hub" if ours else f"{state.finalizer} was faster",
            finalizer=state.finalizer,
            model_hash="0x" + state.model_hash.hex(),
            model=None if model is None else str(self.models.path(state.number)),
            gas=gas,
            seconds=seconds,
        )

    # -- what is wrong ------------------------------------------------------------------------------

    def _demand(self, number: int, arrivals: Arrivals, *, missing: bool = True) -> None:
        """Raise :class:`Problem` unless all updates are right and, with ``missing``, there."""
        for kind, trainers in ((Kind.REFUSED, arrivals.refused), (Kind.MISSING, arrivals.missing)):
            if trainers and (missing or kind is Kind.REFUSED):
                raise self._problem(number, kind, arrivals.problems[trainers[0]], tuple(trainers))
        if not missing:
            return
        for error in arrivals.problems.values():
            raise self._problem(number, Kind.FAILED, error)

    @contextmanager
    def _telling(self, number: int) -> Iterator[None]:
        try:
            yield
        except Problem:
            raise
        except FedproofError as error:
            raise self._problem(number, Kind.FAILED, error) from error

    def _problem(
        self, number: int, kind: Kind, error: FedproofError, trainers: tuple[str, ...] = ()
    ) -> Problem:
        outcome = Outcome(number, kind, error.message, error=type(error).__name__, trainers=trainers)
        return Problem(outcome, error)

    @contextmanager
    def _stage(self, name: str, seconds: dict[str, float]) -> Iterator[None]:
        started, self.stage = time.perf_counter(), name
        try:
            yield
        finally:
            self.stage = None
            seconds[name] = round(time.perf_counter() - started, 3)
            self.timed(name, seconds[name])


def is_passing(error: FedproofError) -> bool:
    """Whether the same attempt may succeed later without anybody's help."""
    return isinstance(error.error if isinstance(error, Problem) else error, RetryableError)
