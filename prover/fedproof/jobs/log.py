"""The log of jobs: structured, with the job's key, its circuit, the backend and the attempt."""

from __future__ import annotations

import logging
from typing import Any

import structlog

from fedproof.jobs.states import Claim


def log_of(claim: Claim, backend: str) -> Any:  # noqa: ANN401 - structlog's bound loggers have no useful type
    """Return a logger bound to an attempt; through logging in a program that has not set structlog up."""
    if structlog.is_configured():
        logger = structlog.get_logger("fedproof.jobs")
    else:
        # structlog's own default prints to stdout, which belongs to the program.
        logger = structlog.wrap_logger(
            logging.getLogger("fedproof.jobs"),
            processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
            wrapper_class=structlog.BoundLogger,
        )
    return logger.bind(
        job=claim.key[:12], circuit=claim.job.work.circuit, backend=backend, attempt=claim.number
    )
