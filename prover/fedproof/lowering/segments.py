"""A program cut into segments: circuits of their own, linked by equal commitments.

All that is not computed is committed, and every claim speaks of committed tensors. So a cut is a
partition of the claims. Tensors of one segment lie in an advice vector of its own; tensors of several in
*link* vectors, one for each set of segments that share some; a vector with a name of its own (model,
batch, step) appears whole wherever a segment speaks of one of its tensors. A vector has the same elements,
salt included, in every segment that has it, hence the same commitment: who verifies compares those.

Why that proves the whole program. Each segment's challenge is a hash of the commitments to all that its
own equations range over, so its claims hold for the vectors behind its commitments, whatever the other
segments are and in whichever order they were made. Equal commitments are to equal vectors, since they are
made with the same generators and start at the same row; so all claims hold for the same tensors. A
challenge needs no number of its segment: two segments with the same vectors would share a challenge, at
which each one's polynomial, fixed before, is zero by chance only. Rows behind a vector are free, as in one
circuit: no claim reads them. Every segment has a challenge, so each proof belongs to its context.

What is shared is shared by name: see :func:`shared`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fedproof.lowering.claims import Check, Equation, FunctionLookup, FunctionTable, Slot
from fedproof.lowering.ir import Program
from fedproof.lowering.partition import Claim, Part, all_claims, leaves_of

ADVICE, LINK = "advice", "link"
Users = tuple[int, ...]


@dataclass(frozen=True)
class Cut:
    """``segments`` are programs over the nodes of ``joint``, the whole program with all their vectors."""

    joint: Program
    segments: tuple[Program, ...]


def cut(program: Program, parts: Sequence[Part], column: int) -> Cut:
    """Cut a program into segments of these claims (:func:`partition`); one segment is the program itself.

    ``column`` is how many elements a committed column holds: small links are merged where that saves columns.
    """
    if len(parts) == 1:
        return Cut(program, (program,))
    nodes = list(program.nodes)
    whole = replace(program, nodes=nodes, fixed_shifts=program.shifts(), origin=None, _interned={})
    claims, leaves = all_claims(program), leaves_of(program)
    drafts = [_claims_of(whole, [claims[i] for i in part]) for part in parts]
    users = _users(program, [[leaves[i] for i in part] for part in parts], drafts)
    links = _merged(whole, _links(users, program), column)
    segments = tuple(
        replace(draft, slots=_slots_of(i, program, users, links)) for i, draft in enumerate(drafts)
    )
    slots = {s.name: s for segment in segments for s in segment.slots}
    first = [s.name for s in program.slots if s.name in slots]
    order = first + sorted(slots.keys() - set(first), key=lambda n: (not n.startswith(LINK), _numbers(n)))
    return Cut(replace(whole, slots=[slots[n] for n in order]), segments)


def shared(segments: Sequence[Sequence[str]]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return where each vector that several segments have stands: (segment, place) pairs.

    ``segments`` are the names of each segment's vectors, without late ones, in the order of its proof.
    """
    places: dict[str, list[tuple[int, int]]] = {}
    for s, names in enumerate(segments):
        for i, name in enumerate(names):
            places.setdefault(name, []).append((s, i))
    return {name: tuple(found) for name, found in places.items() if len(found) > 1}


def is_named(vector: str) -> bool:
    """Whether a committed vector means something outside the circuit: neither advice nor a link."""
    return vector.partition("-")[0] not in (ADVICE, LINK)


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(n) for n in name.split("-")[1:])


def _claims_of(whole: Program, claims: Sequence[Claim]) -> Program:
    """A program of these claims alone, with how often each table is looked up by them; no slots yet."""
    functions = [c for c in claims if isinstance(c, FunctionLookup)]
    used = sorted({f.table for f in functions})
    tables: list[FunctionTable] = [whole.tables[t] for t in used]
    counts = []
    for t in used:
        count = whole.nodes[whole.counts[t]]
        arguments = [f.x for f in functions if f.table == t]
        if sorted(arguments) != sorted(count.inputs):
            first, most = count.attr("first"), sum(whole.nodes[i].size for i in arguments)
            given = [whole.nodes[i] for i in arguments]
            count = whole.hint("count", given, count.shape, 0, most, count.label, first=first)
        counts.append(count.id)
    return replace(
        whole,
        checks=[c for c in claims if isinstance(c, Check)],
        equations=[c for c in claims if isinstance(c, Equation)],
        tables=tables,
        functions=[replace(f, table=used.index(f.table)) for f in functions],
        counts=counts,
        slots=[],
    )


def _users(
    program: Program, leaves: Sequence[Sequence[frozenset[int]]], drafts: Sequence[Program]
) -> dict[int, Users]:
    """Which segments speak of each committed tensor."""
    found: dict[int, set[int]] = {}
    for s, (own, draft) in enumerate(zip(leaves, drafts, strict=True)):
        for i in set(draft.counts).union(*own):
            found.setdefault(i, set()).add(s)
    # A vector that no claim speaks of is still committed to.
    for slot in program.slots:
        if slot.name != ADVICE and slot.nodes and not any(i in found for i in slot.nodes):
            found[slot.nodes[0]] = {0}
    return {i: tuple(sorted(s)) for i, s in found.items()}


def _links(users: dict[int, Users], program: Program) -> dict[Users, list[int]]:
    named = {i for s in program.slots if s.name != ADVICE for i in s.nodes}
    links: dict[Users, list[int]] = {}
    for i, who in sorted(users.items()):
        if i not in named and len(who) > 1:
            links.setdefault(who, []).append(i)
    return links


def _merged(p: Program, links: dict[Users, list[int]], column: int) -> dict[Users, list[int]]:
    """Merge links as long as fewer columns are committed to: a segment may carry tensors it does not need."""

    def columns(who: Users, nodes: list[int]) -> int:
        return int(len(who) * ((sum(p.nodes[i].size for i in nodes) + 1) // column + 1))

    links = dict(links)
    while True:
        best: tuple[int, Users, Users] | None = None
        for a in links:
            for b in links:
                if a < b:
                    both = tuple(sorted({*a, *b}))
                    # What is there under that name already is joined as well.
                    others = [links[w] for w in {a, b, both} if w in links]
                    before = sum(columns(w, links[w]) for w in {a, b, both} if w in links)
                    saved = before - columns(both, [i for nodes in others for i in nodes])
                    if saved > 0 and (best is None or saved > best[0]):
                        best = (saved, a, b)
        if best is None:
            return links
        _, a, b = best
        both = tuple(sorted({*a, *b}))
        links[both] = sorted(i for w in {a, b, both} for i in links.pop(w, []))


def _slots_of(segment: int, p: Program, users: dict[int, Users], links: dict[Users, list[int]]) -> list[Slot]:
    mine = {i for i, who in users.items() if segment in who}
    named = [s for s in p.slots if s.name != ADVICE]
    slots = [s for s in named if mine & set(s.nodes)]
    linked = {i for nodes in links.values() for i in nodes}
    for who in sorted(links):
        if segment in who:
            slots.append(Slot("-".join([LINK, *map(str, who)]), tuple(links[who]), 1, shifted=True))
    rest = mine - linked - {i for s in named for i in s.nodes}
    if rest:
        slots.append(Slot(f"{ADVICE}-{segment}", tuple(sorted(rest)), 1, shifted=True))
    return slots
