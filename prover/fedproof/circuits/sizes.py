"""The size of a program's circuit in a layout, without ezkl."""

from __future__ import annotations

from fedproof.circuits.cost_model import Size
from fedproof.commitments.committer import RESERVED_ROWS
from fedproof.lowering import Program
from fedproof.lowering.circuit.counting import CellCounter


def points(program: Program, logrows: int) -> int:
    """Commitments of a proof: a vector that is longer than a column takes several."""
    usable = int(2**logrows) - RESERVED_ROWS
    lengths = [program.slot_size(slot) for slot in program.slots]
    return sum(n // usable + 1 for n in lengths) + (1 if program.challenged else 0)


def size_of(program: Program, logrows: int, columns: int, counter: CellCounter | None = None) -> Size:
    """Return what the cost model asks for."""
    cells = (counter or CellCounter(program)).total(columns)
    return Size(logrows, columns, points(program, logrows), cells, program.challenged)


def least_logrows(program: Program, columns: int, counter: CellCounter) -> int:
    """Return the least logrows with room for the cells and the table."""
    logrows = program.table_bits + 1
    while not size_of(program, logrows, columns, counter).fits:
        logrows += 1
    return logrows
