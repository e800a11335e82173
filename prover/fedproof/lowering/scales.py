"""The policy for scales: sums stay exact, what enters a product is rescaled to its class's format, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fedproof.lowering.gadgets import commit, limbs, rescale, signed
from fedproof.lowering.ir import MAX_BOUND, Node, Program
from fedproof.lowering.numbers import Numbers

#: Ops that move elements without computing on them.
MOVES = frozenset({"transpose", "reshape", "slice", "concat"})
#: Ops of one operand that a rescale may be moved behind: an element of the result is one of the operand.
_UNDONE = frozenset({"transpose", "reshape", "expand", "restate", "gather"})
#: Linear ops of one operand whose result may be computed from the rescaled operand.
_SUMMED = frozenset({"sum", "transpose", "reshape", "times", "restate"})


@dataclass
class Scales:
    """Rescales tensors of a program, each once for each number of bits dropped."""

    program: Program
    numbers: Numbers
    targets: set[int] = field(default_factory=set)
    _rescaled: dict[tuple[int, int], Node] = field(default_factory=dict)
    #: Rescaled tensors that nothing has proven to be small integers yet.
    _unproven: set[int] = field(default_factory=set)
    _gradient: dict[int, bool] = field(default_factory=dict)
    _expensive: dict[int, bool] = field(default_factory=dict)

    def is_gradient(self, x: Node) -> bool:
        """Whether ``x`` depends on the targets."""
        # Remembered by node: a graph of n diamonds has 2**n paths.
        if x.id not in self._gradient:
            self._gradient[x.id] = x.id in self.targets or any(
                self.is_gradient(self.program.nodes[i]) for i in x.inputs
            )
        return self._gradient[x.id]

    def is_leaf(self, x: Node) -> bool:
        """Whether ``x`` only moves elements of declared inputs."""
        if x.op in MOVES or x.op in ("gather", "expand"):
            return all(self.is_leaf(self.program.nodes[i]) for i in x.inputs)
        return x.op in ("input", "const")

    def limit(self, x: Node) -> int:
        """Fractional bits that the class of ``x`` keeps in a product."""
        return self.numbers.gradients if self.is_gradient(x) else self.numbers.activations

    def narrow(self, x: Node, label: str, *, ranged: bool = True) -> Node:
        """Return ``x`` rescaled to the format of its class, if it has more fractional bits than that.

        Called where a tensor enters a product or a comparison, so that sums before it stay exact. With
        ``ranged=False`` the caller proves that every element is a small integer and says so (:meth:`proven`).
        """
        if self.is_leaf(x):
            return x
        # Dropping bits of what is small already, a masked gradient say, would cost more than it saves.
        if x.scale > self.limit(x) and x.bound <= 2**self.program.table_bits:
            return self.settled(x, label)
        return self.narrow_to(x, self.limit(x), label, ranged=ranged)

    def narrow_to(self, x: Node, limit: int, label: str, *, ranged: bool = True, bits: int = 0) -> Node:
        """Return ``x`` with at most ``limit`` fractional bits, committed, of at least ``bits`` bits.

        ``ranged`` as in :meth:`narrow`.
        """
        if x.scale <= limit:
            return self.settled(x, label)
        return self._drop(x, x.scale - limit, label, ranged=ranged, bits=max(bits, self.numbers.range))

    def rounded(self, x: Node, other: Node, results: int, label: str) -> Node:
        """Return declared weights ``x``, rounded to ``numbers.parameters`` bits where that pays.

        Wide weights make wide products, whose remainders take more lookups. ``results`` is how many elements
        are computed from x and ``other`` together: a kernel of a convolution has many, a matrix few.
        """
        bits = self.numbers.parameters
        if not bits or x.scale <= bits or not self.is_leaf(x):
            return x
        limit = max(self.limit(x), self.limit(other))
        wide, slim = (
            limbs(max(s + other.scale - limit, 1), self.program.table_bits) for s in (x.scale, bits)
        )
        # Four cells a limb; the rounding itself takes a quotient and its remainder.
        saved = 4 * (wide - slim) * results
        cost = 4 * x.size * (1 + limbs(x.scale - bits, self.program.table_bits))
        return self.narrow_to(x, bits, label) if saved > cost else x

    def rounded_bias(self, x: Node, other: Node) -> Node:
        """Return declared weights ``x``, rounded to the scale of a larger tensor they are added to."""
        bits = self.numbers.parameters
        if not bits or not self.is_leaf(x) or 4 * x.size > other.size or other.op in ("input", "const"):
            return x
        scale = max(bits, other.scale)
        # As large as a kernel's weights may be, with a bit to spare.
        whole = self.program.table_bits - bits + 1
        return self.narrow_to(x, scale, "bias", bits=scale + whole)

    def proven(self, x: Node) -> None:
        """Note that all elements of ``x`` were proven to be small integers."""
        while x.op in ("transpose", "reshape", "restate"):
            x = self.program.nodes[x.inputs[0]]
        self._unproven.discard(x.id)

    def _drop(self, x: Node, q: int, label: str, *, ranged: bool, bits: int) -> Node:
        # Movements are undone first, so that a tensor, its transpose and its copies share one division, and
        # so do two tensors with a part in common.
        if x.op == "concat":
            parts = [self.program.nodes[i] for i in x.inputs]
            dropped = [self._drop(part, q, f"{label} part", ranged=ranged, bits=bits) for part in parts]
            return self.program.concat(dropped, x.attr("axis"))
        if x.op == "times" and (factor := x.attr("factor")) > 1 and factor & (factor - 1) == 0:
            zeros = factor.bit_length() - 1
            if zeros < q:
                parent = self.program.nodes[x.inputs[0]]
                inner = self._drop(parent, q - zeros, label, ranged=ranged, bits=bits)
                # Where the factor was no change of scale, it is one now.
                return self.program.restate(inner, x.scale - q)
        if x.op in _UNDONE:
            parent = self.program.nodes[x.inputs[0]]
            if x.size >= parent.size:
                inner = self._drop(parent, q, label, ranged=ranged or x.size > parent.size, bits=bits)
                return self._redone(x, inner)
        key = (x.id, q)
        if key not in self._rescaled:
            if x.op == "hint":
                # Its bound is what it can be, not a sum of worst cases: an inverse root's is large.
                bits = max(bits, min((x.bound >> q).bit_length() + 1, 2 * self.program.table_bits))
            d = rescale(self.program, x, q, bits, label, ranged=ranged)
            self._rescaled[key] = d
            if not ranged:
                self._unproven.add(d.id)
        d = self._rescaled[key]
        if ranged and d.id in self._unproven:
            signed(self.program, d, self.numbers.range, f"{label} range")
            self.proven(d)
        return d

    def _is_dropped(self, x: Node, q: int) -> bool:
        """Whether ``x`` without its last q bits is there already, as :meth:`_drop` would return it."""
        while x.op in _UNDONE and x.size >= self.program.nodes[x.inputs[0]].size:
            x = self.program.nodes[x.inputs[0]]
        return (x.id, q) in self._rescaled

    def _redone(self, x: Node, inner: Node) -> Node:
        """Return what op ``x`` makes of ``inner`` in place of its operand."""
        p, dropped = self.program, self.program.nodes[x.inputs[0]].scale - inner.scale
        redo: dict[str, Callable[[], Node]] = {
            "transpose": lambda: p.transpose(inner, x.attr("perm")),
            "reshape": lambda: p.reshape(inner, x.shape),
            "expand": lambda: p.expand(inner, x.shape),
            "gather": lambda: p.gather(inner, x.attr("axis"), x.attr("indices")),
            "sum": lambda: p.sum(inner, x.attr("axes"), keepdims=x.attr("keepdims")),
            "times": lambda: p.times(inner, x.attr("factor"), x.scale - dropped),
            "restate": lambda: p.restate(inner, x.scale - dropped),
        }
        return redo[x.op]()

    def bounded(self, x: Node, label: str) -> Node:
        """Return ``x``, proven to be within the declared range: where worst cases add up to more than int64
        holds, but no value that occurs does. As it is where its bound says so already, or moved inputs.
        """
        x = self.narrow(x, label)
        return x if self.is_leaf(x) else self.within(x, self.numbers.range, label)

    def within(self, x: Node, bits: int, label: str) -> Node:
        """Return ``x``, proven to be of ``bits`` bits in whole lookups; as it is if its bound is less."""
        proven = limbs(bits, self.program.table_bits) * self.program.table_bits
        if x.bound <= 2**proven:
            return x
        y = commit(self.program, self.program.copy(x, 0), label, 2 ** (proven - 1))
        signed(self.program, y, bits, f"{label} range")
        return y

    def fitting(self, a: Node, b: Node, label: str, terms: int = 1) -> tuple[Node, Node]:
        """Return the factors of a sum of ``terms`` products: :meth:`bounded` if it could leave int64.

        If that is not enough, weights are rounded as what is computed is: a product of weights with weights
        has twice their fractional bits.
        """

        def fits() -> bool:
            return a.bound * b.bound * terms <= MAX_BOUND

        if not fits():
            a, b = self.bounded(a, f"{label} left"), self.bounded(b, f"{label} right")
        if not fits():
            a, b = self._rounded_leaf(a, f"{label} left"), self._rounded_leaf(b, f"{label} right")
        return a, b

    def _rounded_leaf(self, x: Node, label: str) -> Node:
        dropped = x.scale - self.limit(x)
        if dropped <= 0 or not self.is_leaf(x) or x.op == "const":
            return x
        return self.narrow_to(x, self.limit(x), label, bits=(x.bound >> dropped).bit_length() + 1)

    def settled(self, x: Node, label: str) -> Node:
        """Return ``x``, committed if the circuit would have to compute a product of matrices for it."""
        return commit(self.program, x, label) if self._is_expensive(x) else x

    def _is_expensive(self, x: Node) -> bool:
        # Remembered by node, as above.
        if x.id not in self._expensive:
            linear = x.op in MOVES or x.op in ("add", "sub", "times", "restate", "gather", "expand")
            self._expensive[x.id] = x.op in ("matmul", "conv", "sum") or (
                linear and any(self._is_expensive(self.program.nodes[i]) for i in x.inputs)
            )
        return self._expensive[x.id]

    def narrow_terms(self, x: Node, label: str) -> Node:
        """Return ``x`` computed from rescaled tensors: what is summed up is rescaled, not each sum of it.

        A bias's gradient is a sum of what its layer's products read rescaled already.
        """
        limit = self.limit(x)
        if x.scale <= limit or x.op not in _SUMMED or self._is_dropped(x, x.scale - limit):
            return self.narrow(x, label)
        return self._redone(x, self.narrow_terms(self.program.nodes[x.inputs[0]], label))
