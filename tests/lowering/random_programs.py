"""Random programs: linear and bilinear operations under equations, with shifted vectors and without."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from fedproof.errors import CallerError
from fedproof.lowering import Equation, Node, Program
from fedproof.lowering.gadgets import commit
from fedproof.lowering.windows import direct_taps, transposed_taps

#: Tensors larger than this are left out: what is tested is Python integers.
LARGEST = 100
COEFFICIENTS = (1, -1, -3, 4095, 2**50, 10**9 + 7)


class Builder:
    """A program under construction and its inputs."""

    def __init__(self, g: Random) -> None:
        self.g, self.p, self.inputs = g, Program(6), list[Node]()

    def input(self, *shape: int, bits: int = 2) -> Node:
        node = self.p.input(f"x{len(self.inputs)}", shape, 0, bits)
        self.inputs.append(node)
        if bits == 2 and self.g.random() < 0.5:
            self.p.check(node, self.g.choice([0, 2, 32]), node.label)
        return node

    def factors(self, size: int) -> tuple[int, ...]:
        """A shape of that many elements, some axes of length one in it."""
        found: list[int] = []
        while size > 1:
            found.append(self.g.choice([k for k in range(2, size + 1) if size % k == 0]))
            size //= found[-1]
        for _ in range(self.g.randint(0, 2)):
            found.insert(self.g.randint(0, len(found)), 1)
        return tuple(found) or (1,)


def _matmul(b: Builder, a: Node) -> Node:
    p, g = b.p, b.g
    a = a if len(a.shape) > 1 else p.reshape(a, (1, a.size))
    w = b.input(*a.shape[:-2], a.shape[-1], g.randint(1, 4))
    if g.random() < 0.5:
        return p.matmul(a, w)
    flip = (*range(len(a.shape) - 2), len(a.shape) - 1, len(a.shape) - 2)
    return p.matmul(p.transpose(w, flip), p.transpose(a, flip))


def _conv(b: Builder, a: Node) -> Node:
    p, g = b.p, b.g
    while len(a.shape) < 4:
        a = p.reshape(a, (1, *a.shape))
    if len(a.shape) > 4:
        a = p.reshape(a, (1, 1, a.shape[0], a.size // a.shape[0]))
    _, c, height, width = a.shape
    groups = g.choice([k for k in range(1, c + 1) if c % k == 0])
    k, m = g.randint(1, 3), g.randint(1, 3)
    stride, pad, dilation = g.randint(1, 2), g.randint(0, 2), g.randint(1, 2)
    taps = g.choice([direct_taps, transposed_taps])
    w = b.input(groups * g.randint(1, 2), c // groups, k, m)
    rows = taps(height, g.randint(1, 5), k, stride, dilation, pad)
    columns = taps(width, g.randint(1, 5), m, stride, dilation, pad)
    return p.conv(a, w, rows, columns, groups)


def _gather(b: Builder, a: Node) -> Node:
    axis = b.g.randrange(len(a.shape))
    return b.p.gather(a, axis, tuple(b.g.randrange(a.shape[axis]) for _ in range(b.g.randint(1, 5))))


def _slice(b: Builder, a: Node) -> Node:
    axis = b.g.randrange(len(a.shape))
    start = b.g.randrange(a.shape[axis])
    return b.p.slice(a, axis, start, b.g.randint(start + 1, a.shape[axis]))


def _concat(b: Builder, a: Node) -> Node:
    parts = [a, b.p.times(a, 2), a][: b.g.randint(2, 3)]
    return b.p.concat(parts, b.g.randrange(len(a.shape)))


def _sum(b: Builder, a: Node) -> Node:
    axes = tuple(sorted(b.g.sample(range(len(a.shape)), b.g.randint(1, len(a.shape)))))
    total = b.p.sum(a, axes, keepdims=b.g.random() < 0.5)
    return total if total.shape else b.p.reshape(total, (1,))


def _expand(b: Builder, a: Node) -> Node:
    more = (2,) * b.g.randint(0, 1)
    return b.p.expand(a, more + tuple(b.g.randint(1, 4) if n == 1 else n for n in a.shape))


def _transpose(b: Builder, a: Node) -> Node:
    return b.p.transpose(a, tuple(b.g.sample(range(len(a.shape)), len(a.shape))))


OPERATIONS: dict[str, Callable[[Builder, Node, Node], Node]] = {
    "add": lambda b, x, y: b.p.add(x, y),
    "sub": lambda b, x, y: b.p.sub(x, y),
    "mul": lambda b, x, y: b.p.mul(x, y),
    "times": lambda b, x, y: b.p.times(x, b.g.choice([2, -1, 3, 4095])),
    "restate": lambda b, x, y: b.p.restate(b.p.restate(x, 3), 0),
    "commit": lambda b, x, y: commit(b.p, x, f"value {len(b.p.nodes)}"),
    "reshape": lambda b, x, y: b.p.reshape(x, b.factors(x.size)),
    "transpose": lambda b, x, y: _transpose(b, x),
    "matmul": lambda b, x, y: _matmul(b, x),
    "conv": lambda b, x, y: _conv(b, x),
    "gather": lambda b, x, y: _gather(b, x),
    "slice": lambda b, x, y: _slice(b, x),
    "concat": lambda b, x, y: _concat(b, x),
    "sum": lambda b, x, y: _sum(b, x),
    "expand": lambda b, x, y: _expand(b, x),
}


def random_program(g: Random, operations: int = 9, only: tuple[str, ...] = tuple(OPERATIONS)) -> Program:
    """A program of up to so many operations, the last of which stands in an equation."""
    b = Builder(g)
    p = b.p
    for _ in range(g.randint(1, 3)):
        b.input(*(g.randint(1, 4) for _ in range(g.randint(1, 4))))
    pool = list(b.inputs)
    for _ in range(g.randint(1, operations)):
        name = g.choice(only)
        try:
            made = OPERATIONS[name](b, g.choice(pool[-4:]), g.choice(pool))
        except CallerError:
            continue  # shapes that do not go together, numbers that are too large
        if made.size <= LARGEST:
            pool.append(made)
    if not p.checks:
        p.check(b.inputs[0], 0, "some check")
    for x in (pool[-1], g.choice(pool)):
        y = b.input(*x.shape, bits=40)
        terms = ((g.choice(COEFFICIENTS), x.id), (-1, y.id))
        p.equations.append(Equation(terms, g.choice([0, 5, -(2**40)]), f"equation {x.op}"))
    p.slot("given", b.inputs, 1, shifted=g.random() < 0.7)
    if p.hints:
        p.slot("advice", p.hints, 1, shifted=True)
    return p
