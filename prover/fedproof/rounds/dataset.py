"""A trainer's data: batches fixed in advance, each committed, under one Merkle root."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fedproof.chain.digests import batch_leaf
from fedproof.chain.merkle import MerkleTree
from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import random_salt
from fedproof.commitments import Commitment, Point
from fedproof.errors import CallerError
from fedproof.files import write_whole
from fedproof.lowering import batch_shift, quantize
from fedproof.lowering.ir import IntArray
from fedproof.rounds.vectors import Floats, check_finite, training_spec


@dataclass(frozen=True)
class Batch:
    """One batch in the circuit's integers, with the salt of its commitment.

    ``x`` (B, *sample) and ``y`` (B, *target) int64; ``salt`` uniform field elements, secret as the data are;
    ``shift`` is what a committed element is larger by than its value. ``mask`` (B, K) of 0 and 1 says what
    dropout keeps, in a circuit that drops anything.
    """

    x: IntArray
    y: IntArray
    salt: tuple[int, ...]
    shift: int
    mask: IntArray | None = None

    @classmethod
    def from_floats(cls, circuit: Circuit, x: Floats, y: Floats, mask: Floats | None = None) -> Batch:
        """Quantise one batch; raises :class:`CallerError` for a wrong shape, NaN or a value out of range."""
        spec = training_spec(circuit)
        n = spec.numbers
        half = 2.0 ** (n.table - 1)
        xs = check_finite("x", x, (spec.batch, *spec.sample), half / 2**n.inputs)
        ys = check_finite("y", y, (spec.batch, *spec.target), half / 2**n.targets)
        salt = random_salt(circuit.manifest.slot("batch").salt)
        x_ints, y_ints = quantize(xs, n.inputs, "x"), quantize(ys, n.targets, "y")
        return cls(
            _in_range(x_ints, n.table),
            _in_range(y_ints, n.table),
            tuple(salt),
            batch_shift(n),
            _checked_mask(circuit, mask),
        )

    @property
    def vector(self) -> list[int]:
        """The committed vector: x, y, mask, all shifted to the rows of the lookup table, and the salt."""
        parts = [self.x, self.y] + ([] if self.mask is None else [self.mask])
        return [v for part in parts for v in (part.ravel() + self.shift).tolist()] + list(self.salt)


def mask_length(circuit: Circuit) -> int:
    """K, the elements of a dropout mask that a sample of a training circuit takes; 0 without dropout."""
    spec, slot = training_spec(circuit), circuit.manifest.slot("batch")
    return (slot.length - slot.salt) // spec.batch - prod(spec.sample) - prod(spec.target)


def _checked_mask(circuit: Circuit, mask: Floats | None) -> IntArray | None:
    length = mask_length(circuit)
    if not length:
        if mask is not None:
            raise CallerError(f"{circuit.name!r} drops nothing and takes no mask")
        return None
    shape = (training_spec(circuit).batch, length)
    if mask is None:
        raise CallerError(
            f"{circuit.name!r} drops elements at random and needs a mask of shape {shape}",
            hint="draw it with the module's own probability: 1 keeps an element, 0 drops it",
        )
    given = np.asarray(mask)
    if given.shape != shape or not np.isin(given, (0, 1)).all():
        raise CallerError(f"a mask has shape {shape} and holds 0 and 1; this one has shape {given.shape}")
    return given.astype(np.int64)


def _in_range(values: IntArray, bits: int) -> IntArray:
    # Rounding half up can reach the limit itself; the largest representable value stands for it.
    clipped: IntArray = np.minimum(values, 2 ** (bits - 1) - 1)
    return clipped


class Dataset:
    """The batches of one trainer, in a fixed order. Samples that do not fill a batch are left over."""

    def __init__(self, circuit: Circuit, batches: list[Batch]) -> None:
        if not batches:
            raise CallerError("a dataset needs at least one full batch")
        self.circuit = circuit
        self.batches = batches

    @classmethod
    def from_floats(cls, circuit: Circuit, x: Floats, y: Floats, masks: Floats | None = None) -> Dataset:
        """Cut ``x`` (n, *sample), ``y`` (n, *target) and dropout ``masks`` (n, K) into batches, in order."""
        size = training_spec(circuit).batch
        if len(x) != len(y):
            raise CallerError(f"x has {len(x)} samples, y has {len(y)}")
        if masks is not None and len(masks) != len(x):
            raise CallerError(f"x has {len(x)} samples, masks has {len(masks)}")
        if len(x) < size:
            raise CallerError(f"{len(x)} samples do not fill a batch of {size}")
        starts = range(0, len(x) - size + 1, size)
        parts = [slice(i, i + size) for i in starts]
        kept = [None if masks is None else masks[part] for part in parts]
        return cls(
            circuit,
            [Batch.from_floats(circuit, x[p], y[p], m) for p, m in zip(parts, kept, strict=True)],
        )

    def __len__(self) -> int:
        return len(self.batches)

    @cached_property
    def commitments(self) -> list[Commitment]:
        """Pure commitment of each batch."""
        return [self.circuit.committer.pure(b.vector) for b in self.batches]

    @cached_property
    def tree(self) -> MerkleTree:
        """Merkle tree over the batches; its root is what the trainer registers."""
        return MerkleTree([batch_leaf(c) for c in self.commitments])

    def path(self, index: int) -> list[bytes]:
        """Merkle path of a batch."""
        return self.tree.path(batch_leaf(self.commitments[index]))

    def save(self, path: Path) -> None:
        """Write the batches and their salts: private data."""
        write_whole(
            path,
            json.dumps(
                {
                    "circuit": self.circuit.manifest.key,
                    "batches": [
                        {"x": b.x.tolist(), "y": b.y.tolist(), "salt": [hex(s) for s in b.salt]}
                        | ({} if b.mask is None else {"mask": b.mask.tolist()})
                        for b in self.batches
                    ],
                    "commitments": [[[hex(p.x), hex(p.y)] for p in c] for c in self.commitments],
                }
            ),
            mode=0o600,
        )

    @classmethod
    def load(cls, circuit: Circuit, path: Path) -> Dataset:
        """Read what :meth:`save` wrote: the same salts, hence the same commitments and the same root.

        Raises :class:`CallerError` if the file is missing, is none, is of another build of the circuit, or
        holds other batches than its commitments say.
        """
        try:
            kept = json.loads(path.read_text())
            key = kept["circuit"]
            batches = [_stored(circuit, b) for b in kept["batches"]]
            stated = [tuple(Point(int(x, 16), int(y, 16)) for x, y in c) for c in kept["commitments"]]
        except FileNotFoundError as e:
            raise CallerError(f"no dataset file {path}") from e
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as e:
            raise CallerError(f"{path} is not a dataset file: {type(e).__name__}: {e}") from e
        if key != circuit.manifest.key:
            raise CallerError(
                f"{path} holds batches for the build {key} of a circuit, {circuit.name!r} is "
                f"{circuit.manifest.key}",
                hint="make the dataset again and register its root",
            )
        dataset = cls(circuit, batches)
        if dataset.commitments != stated:
            raise CallerError(f"{path} is damaged: its batches do not match their commitments")
        return dataset


def _stored(circuit: Circuit, batch: dict[str, Any]) -> Batch:
    spec = training_spec(circuit)
    x = np.array(batch["x"], dtype=np.int64).reshape(spec.batch, *spec.sample)
    y = np.array(batch["y"], dtype=np.int64).reshape(spec.batch, *spec.target)
    length = mask_length(circuit)
    mask = np.array(batch["mask"], dtype=np.int64).reshape(spec.batch, length) if length else None
    return Batch(x, y, tuple(int(s, 16) for s in batch["salt"]), batch_shift(spec.numbers), mask)
