"""Where the command begins and ends: arguments in, exit code out, every failure one clear line."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import typer

from fedproof.cli.app import app
from fedproof.cli.output import Output
from fedproof.errors import FedproofError

#: Exit codes besides those of :mod:`fedproof.errors`; docs/operating.md lists all of them.
USAGE, BUG, INTERRUPTED, TERMINATED = 2, 70, 130, 143

# typer keeps the classes of its usage errors to itself; BadParameter is the one it shows.
_UsageError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def main() -> None:
    """Entry point of the installed command."""
    # So that a terminated command ends its workers and removes its temporary files.
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command with ``arguments``; return its exit code. Never raises an ``Exception``."""
    out = Output(json=_wants_json(arguments))
    try:
        # typer may return the exit code of an Exit instead of raising it.
        code = typer.main.get_command(app)(list(arguments), prog_name="fedproof", standalone_mode=False)
    except FedproofError as error:
        return out.failure(type(error).__name__, error.message, error.hint, error.exit_code)
    except _UsageError as error:
        return _misused(out, error)
    except (KeyboardInterrupt, typer.Abort):
        return out.failure("Interrupted", "interrupted", None, INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the outermost boundary of the command
        return _bug(out, error)
    if code == INTERRUPTED:
        return out.failure("Interrupted", "interrupted", None, INTERRUPTED)
    return code if isinstance(code, int) else 0


def _wants_json(arguments: Sequence[str]) -> bool:
    # Known before parsing, so that what is wrong with the arguments is JSON too.
    own = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    return "--json" in own


def _misused(out: Output, error: Exception) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "fedproof"
    message = str(getattr(error, "format_message", lambda: str(error))())
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(message.rstrip() + "\n")
        return USAGE
    return out.failure("UsageError", message, f"see: {command} --help", USAGE)


def _bug(out: Output, error: Exception) -> int:
    if os.environ.get("FEDPROOF_DEBUG"):
        sys.stderr.write("".join(traceback.format_exception(error)))
    message = f"this is a bug: {type(error).__name__}: {error}"
    return out.failure("Bug", message, "set FEDPROOF_DEBUG=1 to see where", BUG)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(TERMINATED)
