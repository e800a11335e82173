"""Every sample of one subject but gas, of either side alike."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.ledger import Row
from benchmarks.subject import Subject


def take_samples(subject: Subject, say: Callable[[str], None]) -> Row:
    """Measure setup, proofs and verifications; return the subject's row. Raises StageFailed."""
    row = subject.row
    subject.setup()
    say(f"setup {row.seconds['setup'][-1]:.1f} s, key {(row.proving_key_bytes or 0) / 1e6:.0f} MB")
    count = subject.options.rounds_at(int(row.logrows or 0))
    for n in range(count):
        subject.prove()
        say(f"proof {n + 1} of {count}: {row.seconds['prove'][-1]:.2f} s")
        subject.verify()
    return row
