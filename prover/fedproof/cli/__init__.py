"""The ``fedproof`` command: every room of the package, with exit codes and JSON."""

from fedproof.cli.entry import main, run

__all__ = ["main", "run"]
