"""Powers of the challenge, and vectors of them, each computed once."""

from __future__ import annotations

import numpy as np
import onnx

from fedproof.lowering.circuit.cells import CellEmitter, float_summands
from fedproof.lowering.ir import IntArray, Program, Shape

#: Input of the circuit that holds the challenge, and what it is called among the outputs.
LATE, CHALLENGE = "late", "challenge"


class Powers(CellEmitter):
    """``r**e`` and ``(1, r**e, r**2e, ...)`` as cells, r being the challenge."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._scalars: dict[int, str] = {}
        self._vectors: dict[int, tuple[str, int]] = {}
        self._pool: dict[int, str] = {}

    def challenge(self) -> str:
        """Return the challenge r, of shape (1,)."""
        return self.power(1)

    def power(self, exponent: int) -> str:
        """``r**exponent`` of shape (1,), for an exponent of at least 1, by squaring and multiplying."""
        known = self._scalars
        if exponent not in known:
            if exponent == 1:
                known[1] = self.op("Gather", [LATE, self.indices(np.array([0]))], "r_1", axis=0)
            else:
                high = 1 << (exponent.bit_length() - 1)
                a, b = (high // 2, high // 2) if exponent == high else (high, exponent - high)
                known[exponent] = self.op("Mul", [self.power(a), self.power(b)], f"r_{exponent}")
        return known[exponent]

    def geometric(self, stride: int, n: int) -> str:
        """``(r**(stride*i))`` for i < n, of shape (n,): n products, fewer if a shorter one is there."""
        if stride == 0:
            return self.take(self.one(), np.zeros(n, dtype=np.int64))
        vectors = self._vectors
        name, length = vectors.get(stride) or (self.one(), 1)
        while length < n:
            more = min(length, n - length)
            part = self.take(name, np.arange(more)) if more < length else name
            part = self.op("Mul", [part, self.power(stride * length)], self.fresh("powers"))
            name, length = self.joined([name, part], length + more), length + more
        vectors[stride] = (name, length)
        return name if length == n else self.take(name, np.arange(n))

    def zero(self) -> str:
        """Return a cell that is 0, of shape (1,)."""
        known = self._scalars
        if 0 not in known:
            some = (
                self.challenge()
                if self.program.challenged
                else self.take(self.program.slots[0].name, np.array([0]))
            )
            known[0] = self.op("Sub", [some, some], "zero")
        return known[0]

    def one(self) -> str:
        """Return a cell that is 1, of shape (1,)."""
        return self.scalar(1)

    def scalar(self, value: int) -> str:
        """Return a cell that is ``value``, of shape (1,).

        All of them are one vector of constants: of two equal scalars, each with an operation of its own,
        ezkl would make one constant with two consumers (see :meth:`with_constants`).
        """
        first, *rest = float_summands(value)
        if first not in self._pool:
            self._pool[first] = f"scalar_{len(self._pool)}"
        name = self._pool[first]
        for other in rest:
            name = self.op("Add", [name, self.scalar(other)], self.fresh("large"))
        return name

    def with_constants(self, op: str, x: str, shape: Shape, values: IntArray) -> str:
        """See :meth:`CellEmitter.with_constants`. A single number is one of the pool: ezkl's parser pulls
        the gather that would make it another constant through the operation, and has two equal ones again.
        """
        if values.size > 1 or not self.program.challenged:
            return super().with_constants(op, x, shape, values)
        number = self.scalar(int(values.ravel()[0]))
        return self.reshape(self.op(op, [self.reshape(x, (1,)), number], self.fresh("single")), shape)

    def constant_pool(self) -> list[onnx.NodeProto]:
        """Return the nodes of the challenge, the zero and all scalars: they come first in the graph."""
        body, self.nodes = self.nodes, []
        self.forget()
        used = set(self._scalars)
        self._scalars.clear()
        self.power(1)
        if self._pool or 0 in used:
            self.zero()
        if self._pool:
            values = np.array(list(self._pool))
            pool = super().with_constants("Add", self.zeros(values.shape), values.shape, values)
            for i, name in enumerate(self._pool.values()):
                self.op("Gather", [pool, self.indices(np.array([i]))], name, axis=0)
        head = self.nodes
        made = {n.output[0] for n in head}
        self.nodes = [n for n in body if n.output[0] not in made]
        return head

    def zeros(self, shape: tuple[int, ...]) -> str:
        """Return cells that are 0, free after the first."""
        return self.take(self.zero(), np.zeros(shape, dtype=np.int64))
