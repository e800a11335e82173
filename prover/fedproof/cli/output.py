"""What a command says: its result on stdout, as text or as one JSON document; everything else on stderr."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

#: Called with what is being done now.
Say = Callable[[str], None]
_WIDE = 200


class Output:
    """The two streams of one command. With ``json`` stdout gets exactly one JSON document."""

    def __init__(self, *, json: bool) -> None:
        self.json = json

    def result(self, document: Mapping[str, Any], text: str | None = None) -> None:
        """Print the result: ``document`` as JSON, or ``text`` for people."""
        if self.json:
            self._document(document)
        elif text is not None:
            sys.stdout.write(text.rstrip("\n") + "\n")

    def table(
        self, document: Mapping[str, Any], head: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        """Print the result: ``document`` as JSON, or a table for people."""
        if self.json:
            self._document(document)
            return
        from rich.table import Table  # noqa: PLC0415 - not for --json
        from rich.text import Text  # noqa: PLC0415

        body = [list(row) for row in rows]
        table = Table(box=None, pad_edge=False, header_style="bold")
        for i, title in enumerate(head):
            numbers = bool(body) and all(isinstance(row[i], int | float) for row in body)
            table.add_column(title, justify="right" if numbers else "left", overflow="fold")
        for row in body:
            table.add_row(*(Text(_cell(value)) for value in row))
        console_on(sys.stdout).print(table)

    def failure(self, error: str, message: str, hint: str | None, exit_code: int) -> int:
        """Report a failure, as one line and with ``json`` as the document; return ``exit_code``."""
        if self.json:
            self._document({"error": error, "message": message, "hint": hint, "exit_code": exit_code})
        line = f"error: {_one_line(message)}"
        if hint:
            line += f"\n  hint: {_one_line(hint)}"
        sys.stderr.write(line + "\n")
        return exit_code

    def warn(self, message: str) -> None:
        """Say on stderr what the reader must know."""
        sys.stderr.write(f"warning: {_one_line(message)}\n")

    @contextmanager
    def working(self, title: str, *, chatty: bool = False) -> Iterator[Say]:
        """Show that something long is going on, and which part: a spinner on a terminal, else log lines.

        The parts of something ``chatty`` are logged with --verbose only.
        """
        from fedproof.cli.logs import log, to_json  # noqa: PLC0415 - structlog is not needed for --help

        if to_json() or not sys.stderr.isatty():
            log().info(title)
            level = "debug" if chatty else "info"
            yield lambda stage: getattr(log(), level)(f"{title}: {stage}")
            return
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Progress(*columns, console=console_on(sys.stderr), transient=True) as progress:
            task = progress.add_task(title)
            yield lambda stage: progress.update(task, description=f"{title}: {stage}")

    def _document(self, document: Mapping[str, Any]) -> None:
        sys.stdout.write(jsonlib.dumps(document, indent=2) + "\n")


def console_on(stream: Any) -> Console:  # noqa: ANN401 - a text stream
    """A console that does not fold lines where there is no terminal."""
    from rich.console import Console  # noqa: PLC0415

    return Console(file=stream, width=None if stream.isatty() else _WIDE, highlight=False)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
