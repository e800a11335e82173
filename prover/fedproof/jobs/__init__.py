"""Durable proving: a queue that outlives every process that works on it.

A job is a proof that somebody wants, named by a hash of what goes into it. :class:`JobStore` keeps the queue,
:class:`DurableProver` is a prover that goes through it, :class:`Engine` works on what is queued.
"""

from fedproof.jobs.durable import DurableProver, JobHandle
from fedproof.jobs.engine import Engine
from fedproof.jobs.failures import JobCancelled, JobsDamaged, JobsNewer, PoisonedJob
from fedproof.jobs.place import durable_prover, jobs_folder, open_jobs
from fedproof.jobs.states import Attempt, Job, Outcome, State
from fedproof.jobs.store import JobStore

__all__ = [
    "Attempt",
    "DurableProver",
    "Engine",
    "Job",
    "JobCancelled",
    "JobHandle",
    "JobStore",
    "JobsDamaged",
    "JobsNewer",
    "Outcome",
    "PoisonedJob",
    "State",
    "durable_prover",
    "jobs_folder",
    "open_jobs",
]
