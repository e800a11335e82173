"""What a program demands of its tensors: ranges, equations, and places in committed vectors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """The claim that every element of ``node``, plus ``offset``, lies in the table ``[0, 2**table_bits)``."""

    node: int
    offset: int
    label: str


@dataclass(frozen=True)
class Equation:
    """The claim that ``sum(coefficient * node) + constant`` is zero, elementwise.

    ``terms`` are (coefficient, node) pairs of tensors of one shape. The circuit proves all equations of a
    program at once: a random linear combination of them is zero, with powers of a challenge that is derived
    from the commitments to everything the equations range over.
    """

    terms: tuple[tuple[int, int], ...]
    constant: int
    label: str


@dataclass(frozen=True)
class FunctionTable:
    """A function of integers from ``first`` on: x maps to ``values[x - first]``."""

    name: str
    first: int
    values: tuple[int, ...]


@dataclass(frozen=True)
class FunctionLookup:
    """The claim that every element of ``y`` is what table number ``table`` maps that of ``x`` to."""

    x: int
    y: int
    table: int


@dataclass(frozen=True)
class Slot:
    """One committed vector of the circuit: the tensors it is made of, flat and in order, then its salt.

    ``salt`` elements follow the tensors. They are free field elements unless a tensor of the program ranges
    over them. In a ``shifted`` vector a tensor with a range check is stored as the rows of the table that
    are looked up, which saves the circuit an addition an element; a vector whose commitment takes part in
    sums outside the circuit is not.
    """

    name: str
    nodes: tuple[int, ...]
    salt: int
    shifted: bool = False
