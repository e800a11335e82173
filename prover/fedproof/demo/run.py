"""The demo: rounds on real data, and the record of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from fedproof.circuits import AverageSpec
from fedproof.circuits.program import training_step
from fedproof.circuits.store import Circuit
from fedproof.demo.display import final_table, progress_bars, round_line
from fedproof.demo.ledger import circuit_facts
from fedproof.demo.options import DemoOptions
from fedproof.demo.stages import Array, Data, Demo
from fedproof.demo.twin import FloatTwin, standing
from fedproof.errors import CallerError
from fedproof.export import TrainingStep, flat_parameters
from fedproof.jobs import durable_prover
from fedproof.project import Project
from fedproof.record import Dataset as DatasetFacts
from fedproof.record import (
    FinalCheck,
    Network,
    RunRecord,
    SetupSeconds,
    Srs,
    collect_host,
    collect_versions,
    write_report,
)
from fedproof.rounds import ModelVector
from fedproof.rounds.driver import RoundDriver, RoundOutcome
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.vectors import training_spec


def _batches(
    driver: RoundDriver, outcome: RoundOutcome, data: Data, size: int
) -> list[list[tuple[Array, Array]]]:
    """Return the real-valued batches that each trainer used in a round."""
    return [
        [
            (x[b * size : (b + 1) * size], y[b * size : (b + 1) * size])
            for b in outcome.work[session.address].batches
        ]
        for session, (x, y) in zip(driver.sessions, data.shards, strict=True)
    ]


def run_demo(project: Project, options: DemoOptions, console: Console) -> RunRecord:
    """Run whole rounds on the digits; write ``build/demo/run.json`` and ``report.html``; return the record.

    Raises what its stages raise; whatever was finished until then is in the record, with the error.
    """
    with durable_prover(project, options.prover) as prover:
        return _play(Demo(project, options, console, prover))


def _play(demo: Demo) -> RunRecord:
    started = time.perf_counter()
    project, options, console = demo.project, demo.options, demo.console
    data = demo.load_data()
    training, average, compiled = demo.compile()
    spec = training_spec(training)
    step: TrainingStep = training_step(spec, project.root)
    genesis = ModelVector.from_floats(training, flat_parameters(step.module))
    twin = FloatTwin(step, genesis.floats)
    before = standing(step, genesis.floats, *data.test)
    devnet, chains = demo.start_chains()
    try:
        deployment = demo.deploy(chains, (training, average))
        driver = demo.register(chains, deployment, (training, average), data, genesis)
        facts = [
            circuit_facts(c, kind, deployment.verifiers[c.name].kind, compiled[c.name])
            for c, kind in ((training, "step"), (average, "aggregate"))
        ]
        average_bits = _weight_bits(average)

        def record(error: str | None = None, check: FinalCheck | None = None) -> RunRecord:
            return RunRecord(
                versions=collect_versions(project.root),
                host=collect_host(),
                model=spec.model,
                parameters=len(genesis.parameters),
                trainers=options.trainers,
                dataset=DatasetFacts(
                    name="scikit-learn digits",
                    train_samples=sum(len(x) for x, _ in data.shards),
                    test_samples=len(data.test[0]),
                ),
                network=Network(
                    name=deployment.network,
                    devnet=True,
                    l2_chain_id=deployment.l2.chain_id,
                    l1_chain_id=deployment.l1.chain_id,
                    emulated=deployment.emulated,
                ),
                srs=Srs(
                    digest=training.srs.digest,
                    logrows=spec.plonk.logrows,
                    development=training.srs.development,
                ),
                circuits=facts,
                accuracy_before=before.accuracy,
                accuracy_float_before=before.accuracy,
                loss_before=before.loss,
                loss_float_before=before.loss,
                setup_seconds=SetupSeconds(
                    **{k: round(demo.ledger.seconds.get(k, 0.0), 3) for k in SetupSeconds.model_fields}
                ),
                rounds=demo.rounds,
                transactions=demo.ledger.transactions,
                final_check=check,
                notes=_notes(training),
                error=error,
                total_s=round(time.perf_counter() - started, 3),
            )

        last = driver.model_path(0)
        try:
            for _ in range(options.rounds):
                with progress_bars(console) as bars:
                    driver.progress = _on(bars)
                    outcome = driver.run()
                finish = demo.relay(chains, deployment, outcome, driver.model_id)
                weights = driver.hub.weights(driver.model_id, outcome.number)
                shares = [weights[s.address] / 2**average_bits for s in driver.sessions]
                twin.round(_batches(driver, outcome, data, spec.batch), shares)
                exact = standing(step, outcome.model.floats, *data.test)
                floating = standing(step, twin.theta.numpy(), *data.test)
                demo.rounds.append(finish(exact, floating, spec.batch))
                last = demo.folder / "model.json"
                PublishedModel.of(
                    training,
                    outcome.model,
                    driver.model_id,
                    outcome.number,
                    registry=deployment.registry,
                    l1_chain_id=deployment.l1.chain_id,
                ).save(last)
                demo.say(round_line(record(), len(demo.rounds) - 1))
            check = demo.check_like_a_stranger(devnet.url("l1"), deployment.network, last)
            demo.say(
                f"a stranger with the weights and an L1 RPC: hash {check.model_hash[:18]}… "
                f"{'matches the registry' if check.matches else 'DOES NOT MATCH'}"
            )
            final = record(check=check)
        except BaseException as error:
            if demo.rounds:
                _write(demo.folder, record(error=f"{type(error).__name__}: {error}"))
            raise
        _write(demo.folder, final)
    finally:
        if not options.keep_devnet:
            devnet.down()
    console.print(final_table(final))
    demo.say(
        f"record {_shown(demo.folder / 'run.json')}, page {_shown(demo.folder / 'report.html')}, "
        f"{final.total_s:.0f} s"
    )
    return final


def _weight_bits(average: Circuit) -> int:
    """Return t: weights sum to 2**t."""
    spec = average.manifest.spec
    if not isinstance(spec, AverageSpec):
        raise CallerError(f"{average.name!r} is not a circuit of kind 'average'")
    return spec.table


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _write(folder: Path, record: RunRecord) -> None:
    record.write(folder / "run.json")
    write_report(record, folder / "report.html")


def _notes(circuit: Circuit) -> list[str]:
    notes = ["Both chains are local and emulated; gas is that of anvil, without Arbitrum's L1 data fee."]
    if circuit.manifest.development:
        notes.append("Development SRS: whoever made it can forge proofs. Refused outside a devnet.")
    return notes


def _on(bars: Progress) -> Callable[[str, int, int], None]:
    tasks: dict[str, TaskID] = {}

    def on(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done)

    return on
