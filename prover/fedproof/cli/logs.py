"""Logging to stderr: readable lines, or JSON lines with ``FEDPROOF_LOG=json``."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog

from fedproof.errors import CallerError

_FORMATS = ("text", "json")
#: On debug these log whole URLs, access tokens included.
_TALKATIVE = ("urllib3", "web3")


def to_json() -> bool:
    """Whether logs are JSON lines. Raises :class:`CallerError` when ``FEDPROOF_LOG`` says neither."""
    chosen = os.environ.get("FEDPROOF_LOG") or "text"
    if chosen not in _FORMATS:
        raise CallerError(f"FEDPROOF_LOG is {chosen!r}", hint=f"one of: {', '.join(_FORMATS)}")
    return chosen == "json"


def configure(*, verbose: bool) -> None:
    """Log to stderr from level info, or with ``verbose`` from debug, libraries included."""
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level if verbose else logging.WARNING, stream=sys.stderr, force=True)
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.INFO)
    if to_json():
        shape: list[Any] = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    else:
        shape = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso" if to_json() else "%H:%M:%S", utc=to_json()),
            *shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # stderr of the moment: whoever redirects it (a test runner, a host program) may close the old one.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def log() -> Any:  # noqa: ANN401 - structlog's bound logger has no useful type
    """The command's logger."""
    return structlog.get_logger("fedproof")
