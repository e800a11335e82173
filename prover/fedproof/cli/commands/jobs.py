"""``fedproof jobs``: the queue of proofs, looked at and worked on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedproof.cli.options import Json, ProverName
from fedproof.cli.output import Output
from fedproof.errors import CallerError

if TYPE_CHECKING:
    from fedproof.jobs import Job, JobStore, State

app = typer.Typer(
    no_args_is_help=True,
    help="Proofs that were asked for: queued, running, done. Any command that proves puts them here, and "
    "whatever is killed, the next that asks for them goes on.",
)

_KEY = Annotated[str, typer.Argument(metavar="KEY", help="The job's key, or its first digits.")]
_CIRCUIT = Annotated[str | None, typer.Option("--circuit", help="Only jobs of this circuit.")]
#: Digits of a key that are shown.
_SHOWN = 12


@app.command("list")
def list_(
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state", help="queued, running, done, failed or cancelled; repeat it. All unless given."
        ),
    ] = None,
    circuit: _CIRCUIT = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 50,
    json: Json = False,
) -> None:
    """List jobs, newest first, with how long each still takes.

    Example:

        fedproof jobs list --state queued --state running
    """
    from fedproof.jobs.estimates import Estimates  # noqa: PLC0415

    out, states = Output(json=json), [_state(s) for s in state or []]
    with _opened() as store:
        estimates = Estimates(store)
        found = [_facts(job, estimates) for job in store.jobs(states, circuit, limit)]
        counts = estimates.outlook(store.jobs((), circuit), 1).counts
    head = ("job", "circuit", "state", "tries", "backend", "submitted", "left", "cause")
    rows = [
        (
            f["key"][:_SHOWN],
            f["circuit"],
            "cancelling" if f["cancelling"] else f["state"],
            f["attempts"],
            f["backend"],
            f["submitted"][:19].replace("T", " "),
            None if f["left_s"] is None else f"{f['left_s']:.0f} s",
            f["cause"],
        )
        for f in found
    ]
    out.table({"jobs": found, "counts": counts}, head, rows)


@app.command("show")
def show(key: _KEY, json: Json = False) -> None:
    """Show a job: what it proves, where it stands, and every attempt at it.

    Example:

        fedproof jobs show 3f9a
    """
    from fedproof.jobs.estimates import Estimates  # noqa: PLC0415

    out = Output(json=json)
    with _opened() as store:
        job = store.find(key)
        facts = _facts(job, Estimates(store))
        attempts = [_attempt(a) for a in store.attempts(job.key)]
        proof = store.results.path(job.key)
        facts |= {"proof": str(proof) if proof.is_file() else None, "attempts_made": attempts}
    rows: list[tuple[str, object]] = [
        (name.replace("_", " "), value) for name, value in facts.items() if name != "attempts_made"
    ]
    rows += [(f"attempt {a['number']}", _told(a)) for a in attempts]
    out.table(facts, ("job", ""), [(name, value) for name, value in rows if value is not None])


@app.command("retry")
def retry(
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY...", help="Keys, or first digits.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Every job that failed.")] = False,
    circuit: _CIRCUIT = None,
    json: Json = False,
) -> None:
    """Queue failed jobs again, also those that failed so often that nothing else tries them.

    Example:

        fedproof jobs retry 3f9a && fedproof jobs run
    """
    from fedproof.jobs import State  # noqa: PLC0415

    out = Output(json=json)
    with _opened() as store:
        chosen = _chosen(store, keys, State.FAILED if failed else None, circuit, "--failed")
        again = [store.retry(job.key) for job in chosen]
    document = {"jobs": [j.key for j in again]}
    out.result(document, f"queued again: {len(again)} (fedproof jobs run works on them)")


@app.command("cancel")
def cancel(
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY...", help="Keys, or first digits.")] = None,
    queued: Annotated[bool, typer.Option("--queued", help="Every job that is queued.")] = False,
    circuit: _CIRCUIT = None,
    json: Json = False,
) -> None:
    """Give jobs up and remove their private values. One that runs is kept if it comes to a proof.

    Example:

        fedproof jobs cancel 3f9a
    """
    from fedproof.jobs import State  # noqa: PLC0415

    out = Output(json=json)
    with _opened() as store:
        chosen = _chosen(store, keys, State.QUEUED if queued else None, circuit, "--queued")
        ended = [store.cancel(job.key) for job in chosen]
    document = {"jobs": [{"key": j.key, "state": j.state, "cancelling": j.cancelling} for j in ended]}
    out.result(document, f"cancelled: {len(ended)}")


@app.command("run")
def run(
    prover: ProverName = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on waiting for jobs when there are none.")
    ] = False,
    json: Json = False,
) -> None:
    """Work on queued jobs, whoever asked for them, until there are none. Exit code 70 if one failed.

    Several may run at once, and beside commands that prove. What is interrupted stays queued.

    Example:

        fedproof jobs run --prover cpu
    """
    from fedproof.cli.jobs_progress import work  # noqa: PLC0415
    from fedproof.provers.registry import open_prover  # noqa: PLC0415

    out = Output(json=json)
    with _opened() as store, open_prover(prover) as backend:
        document = work(backend, store, watch=watch)
    proven, failed = len(document["proven"]), len(document["failed"])
    out.result(document, f"{proven} proven, {failed} failed, in {document['seconds']:.1f} s")
    if failed:
        raise typer.Exit(70)


@contextmanager
def _opened() -> Iterator[JobStore]:
    from fedproof.jobs import open_jobs  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    store = open_jobs(Project.find())
    try:
        store.take_back()
        yield store
    finally:
        store.close()


def _state(text: str) -> State:
    from fedproof.jobs import State  # noqa: PLC0415

    try:
        return State(text)
    except ValueError as e:
        raise CallerError(f"{text!r} is no state of a job", hint=f"one of: {', '.join(State)}") from e


def _chosen(
    store: JobStore, keys: list[str] | None, state: State | None, circuit: str | None, option: str
) -> list[Job]:
    if bool(keys) == (state is not None):
        raise CallerError(f"give keys of jobs or {option}, one of both")
    if keys:
        if circuit is not None:
            raise CallerError(f"--circuit goes with {option}, not with keys")
        return [store.find(key) for key in keys]
    return store.jobs([state] if state else (), circuit)


def _facts(job: Job, estimates: Any) -> dict[str, Any]:  # noqa: ANN401 - Estimates, imported late
    from fedproof.jobs.owners import shown  # noqa: PLC0415
    from fedproof.jobs.states import State  # noqa: PLC0415

    unfinished = job.state in (State.QUEUED, State.RUNNING)
    return {
        "key": job.key,
        "circuit": job.work.circuit,
        "circuit_key": job.work.circuit_key,
        "srs_digest": job.work.srs_digest,
        "toolchain": job.work.toolchain,
        "state": job.state,
        "cancelling": job.cancelling,
        "attempts": job.attempts,
        "backend": job.backend,
        "owner": shown(job.owner) if job.owner else None,
        "submitted": _time(job.submitted),
        "changed": _time(job.changed),
        "left_s": round(estimates.left(job), 3) if unfinished else None,
        "cause": job.cause,
        "message": job.message,
        "hint": job.hint,
    }


def _attempt(attempt: Any) -> dict[str, Any]:  # noqa: ANN401 - Attempt, imported late
    from dataclasses import asdict  # noqa: PLC0415

    from fedproof.jobs.owners import shown  # noqa: PLC0415

    facts = asdict(attempt)
    return facts | {
        "owner": shown(attempt.owner),
        "started": _time(attempt.started),
        "ended": _time(attempt.ended) if attempt.ended is not None else None,
    }


def _told(attempt: dict[str, Any]) -> str:
    said = f"{attempt['outcome'] or 'running'} on {attempt['backend']}, {attempt['owner']}"
    if attempt["prove_s"] is not None:
        said += f", {attempt['prove_s']:.1f} s, {attempt['peak_bytes'] >> 20:,} MiB"
    return said + (f": {attempt['message']}" if attempt["message"] else "")


def _time(seconds: float) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
