"""Structured reference strings: where they are kept and whether they are what they claim."""

from fedproof.srs.check import StageProgress, check_srs
from fedproof.srs.layout import InvalidSrs, SrsFile, file_size, open_srs
from fedproof.srs.store import (
    Srs,
    SrsConflictError,
    SrsNotFoundError,
    SrsRecord,
    SrsStore,
    development_srs,
    import_srs,
)

__all__ = [
    "InvalidSrs",
    "Srs",
    "SrsConflictError",
    "SrsFile",
    "SrsNotFoundError",
    "SrsRecord",
    "SrsStore",
    "StageProgress",
    "check_srs",
    "development_srs",
    "file_size",
    "import_srs",
    "open_srs",
]
