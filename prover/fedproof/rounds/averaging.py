"""The end of a round: updates are fetched and recommitted to, averaged, proven, and shown to the hub."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from fedproof.chain.client import Receipt
from fedproof.chain.hub import HubClient, Submission
from fedproof.commitments import Commitment
from fedproof.errors import CallerError, FedproofError, InvalidProof
from fedproof.files import write_whole
from fedproof.lowering.ir import IntArray
from fedproof.rounds.aggregator import Aggregator, Average
from fedproof.rounds.proof import Proof
from fedproof.rounds.updates import UpdateMissing, Updates


@dataclass(frozen=True)
class Arrivals:
    """What came of the updates of a round. ``problems`` says by trainer why one cannot be relied on."""

    included: list[Submission]
    updates: dict[str, IntArray]
    problems: dict[str, FedproofError] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """Trainers whose update is not there."""
        return [t for t, e in self.problems.items() if isinstance(e, UpdateMissing)]

    @property
    def refused(self) -> list[str]:
        """Trainers who sent something else than they committed to."""
        return [t for t, e in self.problems.items() if isinstance(e, CallerError | InvalidProof)]

    def demand(self) -> None:
        """Raise the gravest problem, if there is any: what was refused before what may still come."""
        for trainer in [*self.refused, *self.problems]:
            raise self.problems[trainer]


class Averaging:
    """Averages rounds of one model. ``folder`` keeps the proofs; an average is proven once.

    ``vka`` are the key words for the hub. Rounds are finalized as ``hub`` 's account.
    """

    def __init__(
        self,
        hub: HubClient,
        model_id: bytes,
        aggregator: Aggregator,
        updates: Updates,
        folder: Path,
        vka: tuple[bytes, ...] = (),
    ) -> None:
        self.hub = hub
        self.model_id = model_id
        self.aggregator = aggregator
        self.updates = updates
        self.folder = folder
        self.vka = vka
        self._checked: dict[tuple[int, str], tuple[Commitment, IntArray]] = {}

    def collect(self, number: int) -> Arrivals:
        """Fetch the updates of a round's submissions so far, and check each against the hub's commitment.

        An update that was checked once is not fetched again. What is wrong with one stands in the answer;
        raised is only what the hub raises.
        """
        self._checked = {k: v for k, v in self._checked.items() if k[0] == number}
        arrivals = Arrivals([s for s in self.hub.submissions(self.model_id, number) if not s.left_out], {})
        for submission in arrivals.included:
            trainer = submission.trainer
            try:
                arrivals.updates[trainer] = self._checked_update(number, submission)
            except FedproofError as error:
                arrivals.problems[trainer] = error
        return arrivals

    def _checked_update(self, number: int, submission: Submission) -> IntArray:
        place = (number, submission.trainer)
        known = self._checked.get(place)
        if known is not None and known[0] == submission.update:
            return known[1]
        sent = self.updates.fetch(number, submission.trainer)
        update = self.aggregator.receive(sent, submission.update, trainer=submission.trainer)
        self._checked[place] = (submission.update, update)
        return update

    def average(self, number: int, arrivals: Arrivals) -> Average:
        """Average the updates with the hub's weights; raises what :meth:`Arrivals.demand` does."""
        arrivals.demand()
        weights = self.hub.weights(self.model_id, number)
        included = [s.trainer for s in arrivals.included]
        return self.aggregator.average(
            [arrivals.updates[t] for t in included], [weights[t] for t in included]
        )

    def kept(self, number: int, average: Average) -> Proof | None:
        """Return the proof of exactly this average, if it was made already."""
        circuit = self.aggregator.circuit
        try:
            proof = Proof.load(self._path(number, "proof"))
            found = proof.commitments
        except (CallerError, InvalidProof):
            return None
        if proof.key != circuit.manifest.key or len(found) != len(average.slots):
            return None
        same = all(found[i] == average.commitment(i) for i in self._unsalted())
        return proof if same else None

    def prove(self, number: int, average: Average) -> Proof:
        """Prove the average, or return the proof that is there."""
        return self.kept(number, average) or self.make(number, average)

    def make(self, number: int, average: Average) -> Proof:
        """Prove the average, and keep the proof."""
        proof = self.aggregator.prove(self._resumed(number, average))
        proof.save(self._path(number, "proof"))
        self._path(number, "slots").unlink(missing_ok=True)
        return proof

    def _resumed(self, number: int, average: Average) -> Average:
        """Take the salts of an earlier attempt: a prover that keeps its jobs knows them by their content."""
        path = self._path(number, "slots")
        try:
            kept = [[int(v) for v in slot] for slot in json.loads(path.read_text())]
        except (OSError, ValueError, TypeError):
            kept = []
        shapes = [len(slot) for slot in average.slots]
        if [len(slot) for slot in kept] == shapes and all(
            kept[i] == average.slots[i] for i in self._unsalted()
        ):
            return replace(average, slots=kept)
        # As strings: a salt has 254 bits.
        text = json.dumps([[str(v) for v in slot] for slot in average.slots])
        write_whole(path, text, mode=0o600)
        return average

    def _unsalted(self) -> list[int]:
        """Places of the vectors that the updates and weights determine."""
        return [i for i, s in enumerate(self.aggregator.circuit.program.slots) if s.salt == 0]

    def discard(self, number: int) -> None:
        """Forget the proof of a round's average: the hub does not take it."""
        self._path(number, "proof").unlink(missing_ok=True)

    def finalize(self, number: int, proof: Proof) -> tuple[bytes, Receipt]:
        """Show the proof to the hub; return the hash of the new model and the receipt."""
        return self.hub.finalize(self.model_id, number, proof.raw, self.vka)

    def _path(self, number: int, what: str) -> Path:
        return self.folder / "averages" / f"round{number}.{what}.json"
