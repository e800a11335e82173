"""Whole rounds with local trainers: every stage looks at the chain first and does what is still missing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fedproof.chain.client import Receipt
from fedproof.chain.hub import HubClient, Phase
from fedproof.errors import CallerError, TerminalError
from fedproof.lowering.ir import IntArray
from fedproof.rounds.aggregator import Aggregator
from fedproof.rounds.averaging import Averaging
from fedproof.rounds.proof import Proof
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.session import TrainerRound, TrainerSession
from fedproof.rounds.threads import of_use, proving_threads
from fedproof.rounds.updates import UpdateMissing, Updates, read_update
from fedproof.rounds.vectors import ModelVector

#: ``on(stage, done, total)``: progress within a stage.
Progress = Callable[[str, int, int], None]


def _quiet(_stage: str, _done: int, _total: int) -> None:
    pass


@dataclass
class RoundOutcome:
    """What a finalized round was. Gas receipts are None where an earlier run had done the work already."""

    number: int
    model: ModelVector
    model_hash: bytes
    work: dict[str, TrainerRound]
    commits: dict[str, Receipt | None] = field(default_factory=dict)
    submits: dict[str, Receipt | None] = field(default_factory=dict)
    opened: Receipt | None = None
    average_proof: Proof | None = None
    finalized: Receipt | None = None
    seconds: dict[str, float] = field(default_factory=dict)


class RoundDriver:
    """Plays rounds of one model. ``hub`` acts as coordinator and aggregator, ``sessions`` as the trainers.

    ``folder`` keeps the models of all rounds (public) and the average proofs. ``provers`` is
    how many trainers prove at a time, as many as the sessions' prover has use for unless given. A driver made
    again over the same folder and chain goes on where the last one stopped.
    """

    def __init__(
        self,
        hub: HubClient,
        model_id: bytes,
        sessions: Sequence[TrainerSession],
        aggregator: Aggregator,
        folder: Path,
        *,
        steps: int,
        vka: tuple[tuple[bytes, ...], tuple[bytes, ...]] = ((), ()),
        provers: int | None = None,
        updates: Updates | None = None,
        progress: Progress = _quiet,
    ) -> None:
        if not sessions:
            raise CallerError("a round needs at least one trainer")
        self.hub = hub
        self.model_id = model_id
        self.sessions = list(sessions)
        self.aggregator = aggregator
        self.folder = folder
        self.steps = steps
        self.provers = provers or of_use(self.sessions[0].prover, len(self.sessions))
        self.step_vka, average_vka = vka
        found = updates or _OfSessions(self.sessions)
        self.averaging = Averaging(hub, model_id, aggregator, found, folder, average_vka)
        self.progress = progress

    # -- models -------------------------------------------------------------------------------------

    def keep_model(self, model: ModelVector, round_number: int) -> Path:
        """Write the model that a round produced (0: the genesis)."""
        path = self.model_path(round_number)
        PublishedModel.of(self.sessions[0].circuit, model, self.model_id, round_number).save(path)
        return path

    def model_path(self, round_number: int) -> Path:
        """Where the model of a round lies."""
        return self.folder / "models" / f"round{round_number}.json"

    def model_of(self, round_number: int) -> ModelVector:
        """Return the model of a round, checked against the hub's commitment before anyone trains from it."""
        model = PublishedModel.load(self.model_path(round_number)).model
        state = self.hub.model(self.model_id)
        if state.current_round == round_number:
            self.sessions[0].circuit.committer.check_opening(
                model.vector, state.current, what=f"model of round {round_number}"
            )
        return model

    # -- a round ------------------------------------------------------------------------------------

    def run(self, *, finalize: bool = True) -> RoundOutcome:
        """Finish the round in progress, or open the next one and play it to its end.

        Without ``finalize`` the last submission is the end: an aggregator does the rest, and the outcome has
        the model that the round started from.
        """
        number = self.hub.latest_round(self.model_id)
        opened = None
        if number == 0 or self.hub.phase(self.model_id, number) not in (
            Phase.COMMIT,
            Phase.SUBMIT,
            Phase.FINALIZE,
        ):
            if number and self.hub.phase(self.model_id, number) is Phase.EXPIRED:
                self.hub.cancel(self.model_id, number)
            number, opened = self.hub.open_round(self.model_id)
        base = self.model_of(self.hub.round(self.model_id, number).parent)
        outcome = RoundOutcome(number, base, b"", {}, opened=opened)
        self._train(outcome, base)
        self._commit(outcome)
        self._prove(outcome)
        self._submit(outcome)
        if finalize:
            self._finalize(outcome, base)
        return outcome

    @contextmanager
    def _stage(self, outcome: RoundOutcome, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        outcome.seconds[name] = outcome.seconds.get(name, 0.0) + time.perf_counter() - started

    def _train(self, outcome: RoundOutcome, base: ModelVector) -> None:
        with self._stage(outcome, "train"):
            for i, session in enumerate(self.sessions):
                outcome.work[session.address] = session.train(outcome.number, base, self.steps)
                self.progress("train", i + 1, len(self.sessions))

    def _commit(self, outcome: RoundOutcome) -> None:
        with self._stage(outcome, "commit"):
            for i, session in enumerate(self.sessions):
                work = outcome.work[session.address]
                outcome.commits[session.address] = session.commit(outcome.number, work)
                self.progress("commit", i + 1, len(self.sessions))

    def _prove(self, outcome: RoundOutcome) -> None:
        total = sum(len(w.steps) for w in outcome.work.values())
        with self._stage(outcome, "prove"):
            finished = itertools.count(1)

            def prove(session: TrainerSession) -> None:
                work = outcome.work[session.address]
                for index in range(len(work.steps)):
                    session.prove(outcome.number, work, index)
                    self.progress("prove", next(finished), total)

            # Threads, because each proof is a process of its own; a trainer's steps stay in order.
            with proving_threads(self.provers) as pool:
                for _ in pool.map(prove, self.sessions):
                    pass

    def _submit(self, outcome: RoundOutcome) -> None:
        with self._stage(outcome, "submit"):
            for i, session in enumerate(self.sessions):
                work = outcome.work[session.address]
                outcome.submits[session.address] = session.submit(outcome.number, work, self.step_vka)
                session.publish_update(outcome.number, work)
                self.progress("submit", i + 1, len(self.sessions))

    def _finalize(self, outcome: RoundOutcome, base: ModelVector) -> None:
        number = outcome.number
        with self._stage(outcome, "aggregate"):
            try:
                average = self.averaging.average(number, self.averaging.collect(number))
            except UpdateMissing as error:
                # All trainers of this driver have published: nobody will bring it.
                raise TerminalError(error.message, hint=error.hint) from error
            outcome.average_proof = self.averaging.prove(number, average)
            self.progress("aggregate", 1, 1)
        with self._stage(outcome, "finalize"):
            outcome.model = base.plus(average.delta)
            # Kept first: once the hub has moved, a run that finds no model could not train from it.
            self.keep_model(outcome.model, number)
            outcome.model_hash, outcome.finalized = self.averaging.finalize(number, outcome.average_proof)
            self.progress("finalize", 1, 1)


class _OfSessions:
    """Updates as the sessions of this machine publish them."""

    def __init__(self, sessions: Sequence[TrainerSession]) -> None:
        self.folders = {s.address: s.folder for s in sessions}

    def fetch(self, round_number: int, trainer: str) -> IntArray:
        folder = self.folders.get(trainer)
        path = folder and folder / f"round{round_number}" / "update.json"
        if path is None or not path.is_file():
            raise UpdateMissing(trainer)
        return read_update(path)
