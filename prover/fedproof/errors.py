"""The one hierarchy of failures, typed by who can do something about them.

Every error that leaves the package is a :class:`FedproofError`. Its class says whose turn it is, and
its ``exit_code`` is what the command exits with (docs/operating.md lists them):

======================  =========  =====================================================
class                   exit code  meaning
======================  =========  =====================================================
:class:`CallerError`    2          the input was wrong; fix it and call again
:class:`InvalidProof`   3          a proof, commitment or hash did not check out
:class:`TerminalError`  70         this cannot succeed as it stands; a person must look
:class:`RetryableError` 75         a passing fault; the same call may succeed later
======================  =========  =====================================================
"""

from __future__ import annotations


class FedproofError(Exception):
    """Base of every error raised on purpose. ``hint`` says what to do about it, in one sentence."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class CallerError(FedproofError):
    """The caller's fault: a missing file, a wrong shape, a value out of range, an unknown key."""

    exit_code = 2


class InvalidProof(FedproofError):
    """Something claimed did not verify: a proof, a commitment, a chain of steps, a model hash."""

    exit_code = 3


class RetryableError(FedproofError):
    """A passing fault: a chain that does not answer, a killed worker, a port in use."""

    exit_code = 75


class TerminalError(FedproofError):
    """Cannot succeed as it stands: a full disk, a corrupted store, a rejected transaction."""

    exit_code = 70
