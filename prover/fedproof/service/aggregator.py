"""The aggregator as a service: it watches the hub and ends rounds, for as long as it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter
from web3.exceptions import Web3Exception

from fedproof.chain.hub import HubClient
from fedproof.errors import CallerError, FedproofError, RetryableError
from fedproof.service.gauges import Gauges
from fedproof.service.outcomes import Journal, Kind, Outcome, Problem
from fedproof.service.settling import Settler, is_passing
from fedproof.service.stopping import Stop


@dataclass(frozen=True)
class Pace:
    """How often the hub is looked at, and for how long a missing update is waited for. Seconds."""

    poll_s: float = 5.0
    most_s: float = 60.0
    patience_s: float = 600.0

    def __post_init__(self) -> None:
        if not 0 < self.poll_s <= self.most_s or self.patience_s < 0:
            raise CallerError(
                f"cannot look every {self.poll_s:g} s and at least every {self.most_s:g} s, "
                f"with a patience of {self.patience_s:g} s"
            )


@dataclass
class _Seen:
    outcome: Outcome
    block: int


@dataclass
class Progress:
    """What a service last saw; for those who ask whether it is well. Times as of ``time.monotonic``."""

    looked: float = field(default_factory=time.monotonic)
    number: int = 0
    problem: Outcome | None = None


class AggregatorService:
    """Ends the rounds of one model, one after the other.

    Nothing is remembered but what lies in the folder and on the chain: a service that is started again goes
    on where the chain says. Several may serve one model. A round counts as settled ``confirmations`` blocks
    after it was seen to end; one that comes back in a reorganisation is ended again, with the proof that is
    there.
    """

    def __init__(
        self,
        settler: Settler,
        journal: Journal,
        stop: Stop,
        pace: Pace | None = None,
        gauges: Gauges | None = None,
    ) -> None:
        self.settler = settler
        self.hub: HubClient = settler.hub
        self.model_id = settler.model_id
        self.journal = journal
        self.stop = stop
        self.pace = pace or Pace()
        self.gauges = gauges or Gauges()
        self.progress = Progress()
        self.settled: list[Outcome] = []
        self._from: int | None = None
        self._seen: dict[int, _Seen] = {}
        self._problem_since: dict[tuple[int, Kind], float] = {}
        self._told: Outcome | None = None
        self._log = structlog.get_logger("fedproof").bind(model="0x" + self.model_id.hex()[:12])

    def run(self, rounds: int | None = None, *, once: bool = False) -> list[Outcome]:
        """Serve until told to stop, or until ``rounds`` rounds are settled; return the settled ones.

        With ``once`` it does what can be done about the newest round now, and raises what keeps it from
        ending: what is passing after ``patience_s``, what is not at once.
        """
        while not self.stop.requested:
            self._look_patiently(once=once)
            if once or (rounds is not None and len(self.settled) >= rounds):
                break
            self.stop.sleep(self.pace.poll_s)
        return self.settled

    # -- looking ------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at the hub once, and do what can be done. Raises what keeps a round from ending."""
        latest = self.hub.latest_round(self.model_id)
        if self._from is None or latest < self._from - 1:
            # At the start, or after a reorganisation that took settled rounds away.
            self._from = max(latest, 1)
        self._seen = {n: s for n, s in self._seen.items() if n <= latest}
        self._alive(latest)
        for number in range(self._from, latest + 1):
            if self.stop.requested:
                return
            outcome = self.settler.settle(number)
            self._problem_over(number)
            if outcome is None:
                self._seen.pop(number, None)
                return
            self._note(outcome)
        self._alive(latest)

    def _note(self, outcome: Outcome) -> None:
        block = self.hub.client.height()
        seen = self._seen.get(outcome.number)
        if seen is None or not outcome.same_as(seen.outcome):
            self._seen[outcome.number] = seen = _Seen(outcome, block)
            self._tell(outcome)
        if block - seen.block + 1 >= self.hub.client.chain.confirmations and outcome.number == self._from:
            self.settled.append(seen.outcome)
            del self._seen[outcome.number]
            self._from = outcome.number + 1

    def _alive(self, latest: int) -> None:
        self.progress.looked = time.monotonic()
        self.progress.number = latest
        self.gauges.looked(latest)

    # -- what keeps a round from ending -------------------------------------------------------------

    def _look_patiently(self, *, once: bool) -> None:
        """Look, and look again for as long as something is in the way; less and less often."""
        started = time.monotonic()

        def again(error: BaseException) -> bool:
            if not isinstance(error, FedproofError) or self.stop.requested:
                return False
            if not once:
                return True
            return is_passing(error) and time.monotonic() - started < self.pace.patience_s

        def look() -> None:
            try:
                self.look()
            except Web3Exception as error:
                # What the client did not foresee of a node: it may answer better next time.
                raise RetryableError(f"the hub cannot be read: {type(error).__name__}: {error}") from error

        attempts = Retrying(
            retry=retry_if_exception(again),
            wait=wait_exponential_jitter(
                multiplier=self.pace.poll_s, max=self.pace.most_s, jitter=self.pace.poll_s / 4
            ),
            sleep=self.stop.sleep,
            before_sleep=self._in_the_way,
            reraise=True,
        )
        try:
            attempts(look)
        except Problem as problem:
            if once:
                self._report(problem.outcome)
                raise problem.error from problem
            # Asked to stop: the next start finds it again.
        except FedproofError:
            if once or not self.stop.requested:
                raise

    def _in_the_way(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = round(state.next_action.sleep, 1) if state.next_action else None
        if isinstance(error, Problem):
            self._consider(error)
            self._log.info("round waits", **_facts(error.outcome), again_in_s=wait)
        else:
            self._log.warning("hub not reached", cause=str(error), again_in_s=wait)

    def _consider(self, problem: Problem) -> None:
        """Report a problem, unless it may pass by itself and has not had the time to."""
        outcome = problem.outcome
        since = self._problem_since.setdefault((outcome.number, outcome.kind), time.monotonic())
        self.gauges.problem(outcome.kind)
        if not is_passing(problem) or time.monotonic() - since >= self.pace.patience_s:
            self.progress.problem = outcome
            self._report(outcome)

    def _report(self, outcome: Outcome) -> None:
        if not outcome.same_as(self._told):
            self._told = outcome
            self._tell(outcome)

    def _problem_over(self, number: int) -> None:
        if any(at <= number for at, _ in self._problem_since):
            self.progress.problem = self._told = None
            self._problem_since.clear()
            self.gauges.problem(None)

    def _tell(self, outcome: Outcome) -> None:
        self.gauges.outcome(outcome)
        try:
            self.journal.add(outcome)
        except FedproofError as error:
            # The chain knows what became of the round; a full disk is told by the checks.
            self._log.error("outcome not written", cause=error.message)
        say = self._log.info if outcome.kind.settled else self._log.warning
        say(f"round {outcome.kind}", **_facts(outcome))


def _facts(outcome: Outcome) -> dict[str, Any]:
    found = outcome.document
    return {k: v for k, v in found.items() if v not in (None, (), {}) and k != "kind"}
