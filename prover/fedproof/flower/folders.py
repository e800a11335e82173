"""The end of a round on the server: the exact average, proven, and a round folder that others can verify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eth_account.signers.local import LocalAccount

from fedproof.chain.digests import model_hash
from fedproof.circuits.store import Circuit
from fedproof.errors import InvalidProof
from fedproof.exchange.documents import LeftOut, RoundResult, Share
from fedproof.exchange.fields import to_hex
from fedproof.exchange.folder import MODEL, RESULT, RoundFolder
from fedproof.exchange.signing import result_message, sign
from fedproof.exchange.vectors import pack
from fedproof.flower.answers import Answer, Checked
from fedproof.lowering.ir import IntArray
from fedproof.rounds import Aggregator, ModelVector
from fedproof.rounds.aggregator import fold_weights
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.vectors import training_spec

_UNSIGNED = "0x" + "00" * 65


def demand_range(average: Circuit, update: IntArray, trainer: str) -> None:
    """Raise :class:`InvalidProof` for an update that an average of it could be out of the circuit's range.

    Only a circuit with narrower ``limbs`` than its default has less room than what can be proven.
    """
    bound = next(n.bound for n in average.program.nodes if n.label == "delta")
    largest = max(int(update.max()), -int(update.min()))
    if largest >= bound:
        raise InvalidProof(
            f"the update of {trainer} has an element of {largest}, {average.name} averages less than {bound}"
        )


def keep_answer(folder: RoundFolder, answer: Answer) -> None:
    """Write what a trainer handed in, as it was received."""
    folder.store.put(pack(answer.update))
    folder.write_commitment(answer.commitment)
    folder.write_submission(answer.submission, list(answer.proofs))


def close_round(
    folder: RoundFolder,
    training: Circuit,
    aggregator: Aggregator,
    base: ModelVector,
    included: Sequence[Checked],
    left_out: Mapping[str, str],
    key: LocalAccount,
) -> ModelVector:
    """Average the updates with the weights of their steps, prove it, sign the result; return the new model.

    ``left_out`` says by trainer why it does not count.
    """
    plan = folder.plan
    weights = fold_weights([c.steps for c in included], aggregator.bits)
    average = aggregator.average([c.answer.update for c in included], weights)
    aggregator.prove(average).save(folder.average_path)
    model = base.plus(average.delta)
    PublishedModel.of(training, model, plan.id_bytes, plan.number).save(folder.path / MODEL)
    points = training.committer.pure(model.vector.tolist())
    samples = training_spec(training).batch
    result = RoundResult(
        model_id=plan.model_id,
        round=plan.number,
        plan=to_hex(plan.digest),
        included=tuple(
            Share(trainer=c.trainer, steps=c.steps, samples=c.steps * samples, weight=weight)
            for c, weight in zip(included, weights, strict=True)
        ),
        left_out=tuple(LeftOut(trainer=t, reason=reason[:500]) for t, reason in sorted(left_out.items())),
        model_hash=to_hex(model_hash(plan.id_bytes, plan.number, points)),
        signature=_UNSIGNED,
    )
    signature = sign(result_message(plan.id_bytes, plan.number, result.digest), key)
    folder.write(RESULT, result.model_copy(update={"signature": signature}))
    return model
