"""A whole round, checked from its files alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fedproof.chain.digests import model_hash
from fedproof.circuits import AverageSpec
from fedproof.circuits.store import Circuit
from fedproof.commitments import add
from fedproof.errors import CallerError
from fedproof.exchange.deferred import DeferredVerifier
from fedproof.exchange.documents import RoundPlan, RoundResult
from fedproof.exchange.faults import RoundFault, checking, demand
from fedproof.exchange.fields import to_hex
from fedproof.exchange.folder import AVERAGE, BASE, MODEL, PLAN, RESULT, RoundFolder
from fedproof.exchange.report import NEVER_PROVEN, RoundReport
from fedproof.exchange.signing import check_signature, result_message
from fedproof.exchange.store import ContentStore
from fedproof.exchange.verify_plan import check_plan, check_published
from fedproof.exchange.verify_submission import CheckedUpdate, SubmissionChecks
from fedproof.provers import CpuProver, Prover
from fedproof.rounds.aggregator import fold_weights
from fedproof.rounds.average_check import check_average
from fedproof.rounds.vectors import ModelVector, training_spec

#: Returns a compiled circuit by its name.
Circuits = Callable[[str], Circuit]


def verify_round(
    path: Path | str,
    circuits: Circuits,
    *,
    model_id: bytes | None = None,
    store: ContentStore | None = None,
    prover: Prover | None = None,
) -> RoundReport:
    """Check a finished round from its files, down to every proof; return what was found.

    ``circuits`` returns the circuits as compiled here, from declarations and an SRS that one trusts.
    ``model_id`` is the model it must be of: without, whoever made the folder chose it. Raises
    :class:`RoundFault` naming the check, the file and the reason, :class:`CallerError` where there is no
    finished round.
    """
    folder = RoundFolder(path, store=store)
    _demand_round(folder)
    with checking("plan", folder.path / PLAN):
        plan = folder.plan
    training, average = circuits(plan.model.training.name), circuits(plan.model.average.name)
    base = check_plan(folder, training, average, model_id=model_id)
    report = RoundReport(folder.path, plan, caveats=_caveats(plan, model_id))
    report.found("plan", folder.path / PLAN, f"signed by {plan.model.owner}, {len(plan.trainers)} trainers")
    report.found("circuits", folder.path / PLAN, f"{training.name}, {average.name}, as compiled here")
    report.found("base model", folder.path / BASE, f"round {plan.base.round}, {plan.base.model_hash}")
    result = _result(folder, training)
    report.included, report.left_out, report.model_hash = result.included, result.left_out, result.model_hash
    noted = DeferredVerifier()
    updates = _submissions(folder, training, base, result, noted, report)
    report.model = _average(folder, (training, average), base, result, updates, noted, report)
    report.proofs = _verified(noted, prover)
    report.found("proofs", folder.path, f"{report.proofs} verified")
    return report


def _verified(noted: DeferredVerifier, prover: Prover | None) -> int:
    if prover is not None:
        return noted.finish(prover)
    with CpuProver() as own:
        return noted.finish(own)


def verify_rounds(
    paths: Sequence[Path | str],
    circuits: Circuits,
    *,
    model_id: bytes | None = None,
    store: ContentStore | None = None,
    prover: Prover | None = None,
) -> list[RoundReport]:
    """Check rounds that follow one another: each starts from the model that one before it produced.

    Raises as :func:`verify_round`, and :class:`RoundFault` for another model or another base.
    """
    reports: list[RoundReport] = []
    for path in paths:
        report = verify_round(path, circuits, model_id=model_id, store=store, prover=prover)
        if reports:
            with checking("order of rounds", report.path / PLAN):
                _demand_follows(report, reports)
            report.caveats = [c for c in report.caveats if not c.startswith(_BASE_TRUSTED)]
        reports.append(report)
    if not reports:
        raise CallerError("no folder is given")
    return reports


_BASE_TRUSTED = "that the model it starts from"


def _caveats(plan: RoundPlan, model_id: bytes | None) -> list[str]:
    found = list(NEVER_PROVEN)
    if plan.base.round:
        found.append(
            f"{_BASE_TRUSTED} is the result of round {plan.base.round}: give the folders before it as well"
        )
    if model_id is None:
        found.append(f"that {plan.model_id} is the model you mean: compare it, or give it")
    if plan.model.training.development:
        found.append("anything against the maker of its development SRS, who can forge every proof")
    return found


def _demand_follows(report: RoundReport, before: list[RoundReport]) -> None:
    plan, last = report.plan, before[-1].plan
    demand(plan.model_id == last.model_id, f"a round of model {plan.model_id}, not of {last.model_id}")
    demand(plan.number > last.number, f"round {plan.number} comes after round {last.number}")
    known = {r.plan.number: r.model_hash for r in before}
    wanted = known.get(plan.base.round)
    demand(wanted is not None, f"it starts from round {plan.base.round}, which is not among those given")
    demand(
        plan.base.model_hash == wanted,
        f"it starts from {plan.base.model_hash}, round {plan.base.round} ended at {wanted}",
    )


def _demand_round(folder: RoundFolder) -> None:
    if not (folder.path / PLAN).is_file():
        raise CallerError(f"{folder.path} holds no round: no {PLAN}")
    if not folder.is_finished:
        raise CallerError(
            f"the round in {folder.path} is not finished: no {RESULT}",
            hint="fedproof offline aggregate FOLDER",
        )


def _result(folder: RoundFolder, training: Circuit) -> RoundResult:
    plan = folder.plan
    with checking("result", folder.path / RESULT):
        result = folder.result
        for name, wanted in {
            "model_id": plan.model_id,
            "round": plan.number,
            "plan": to_hex(plan.digest),
        }.items():
            found = getattr(result, name)
            demand(found == wanted, f"{name} is {found}, here it must be {wanted}")
        message = result_message(plan.id_bytes, plan.number, result.digest)
        check_signature(message, result.signature, plan.model.owner, what="the result")
        batch = training_spec(training).batch
        for share in result.included:
            demand(
                share.samples == share.steps * batch,
                f"{share.trainer} counts {share.samples} samples; {share.steps} steps have "
                f"{share.steps * batch}",
            )
    with checking("trainers", folder.path / RESULT):
        _demand_everyone(plan, result)
    return result


def _demand_everyone(plan: RoundPlan, result: RoundResult) -> None:
    """Nobody is forgotten: whoever is in the plan counts, or is left out by name and with a reason."""
    planned = [r.trainer for r in plan.trainers]
    included = [share.trainer for share in result.included]
    left_out = [left.trainer for left in result.left_out]
    for trainer in [*included, *left_out]:
        demand(trainer in planned, f"{trainer} is not in the plan")
    for trainer in planned:
        times = included.count(trainer) + left_out.count(trainer)
        demand(times > 0, f"{trainer} is in the plan, and neither counted nor left out")
        demand(times == 1, f"{trainer} is in the result {times} times")
    demand(
        included == [t for t in planned if t in included],
        "those who count are in another order than the plan",
    )
    demand(
        len(included) >= plan.min_trainers,
        f"{len(included)} trainers count, the plan wants {plan.min_trainers}",
    )


def _submissions(
    folder: RoundFolder,
    training: Circuit,
    base: ModelVector,
    result: RoundResult,
    noted: DeferredVerifier,
    report: RoundReport,
) -> list[CheckedUpdate]:
    checks = SubmissionChecks(folder, training, training.committer.pure(base.vector.tolist()), noted)
    updates = []
    for share in result.included:
        update = checks.check(share.trainer)
        with checking("samples", folder.path / RESULT):
            demand(
                update.steps == share.steps,
                f"{share.trainer} counts {share.steps} steps, it has handed in {update.steps}",
            )
        detail = f"{update.steps} steps, commitment signed, batches in the dataset, update recommitted"
        report.found("trainer", folder.trainer_path(share.trainer), detail)
        updates.append(update)
    for left in result.left_out:
        report.found("left out", folder.trainer_path(left.trainer), f"by the owner's word: {left.reason}")
    return updates


def _average(
    folder: RoundFolder,
    circuits: tuple[Circuit, Circuit],
    base: ModelVector,
    result: RoundResult,
    updates: list[CheckedUpdate],
    noted: DeferredVerifier,
    report: RoundReport,
) -> ModelVector:
    plan, (training, average) = folder.plan, circuits
    spec = average.manifest.spec
    assert isinstance(spec, AverageSpec)  # checked with the circuits
    weights = fold_weights([share.samples for share in result.included], spec.table)
    with checking("weights", folder.path / RESULT):
        for share, weight in zip(result.included, weights, strict=True):
            demand(share.weight == weight, f"the weight of {share.trainer} is {share.weight}, not {weight}")
    report.found("weights", folder.path / RESULT, f"by samples, of {2**spec.table}: {weights}")
    with checking("average", folder.average_path), noted.of(folder.average_path) as verifier:
        delta = check_average(average, folder.average, [u.points for u in updates], weights, prover=verifier)
    report.found("average", folder.path / AVERAGE, "of exactly these updates, rounded once")
    end = add(training.committer.pure(base.vector.tolist()), delta)
    with checking("model", folder.path / RESULT):
        expected = to_hex(model_hash(plan.id_bytes, plan.number, end))
        demand(result.model_hash == expected, f"the new model is {expected}, not {result.model_hash}")
    with checking("model", folder.path / MODEL):
        published = folder.model
        demand(
            check_published(published, training, plan.id_bytes, plan.number) == end,
            "these weights are not those that the average leads to",
        )
    report.found("model", folder.path / MODEL, result.model_hash)
    return published.model


__all__ = ["Circuits", "RoundFault", "verify_round", "verify_rounds"]
