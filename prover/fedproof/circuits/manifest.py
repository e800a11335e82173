"""What was compiled, from what, with every setting that matters."""

from __future__ import annotations

from pydantic import Field

from fedproof.circuits.shards import Shards
from fedproof.circuits.spec import AnySpec, Strict

FORMAT = 3


class SlotShape(Strict):
    """One committed vector of a circuit, in the order of the proof."""

    name: str
    length: int = Field(description="elements, salt included")
    salt: int = Field(description="free elements at the end")
    columns: int = Field(description="points of its commitment")


class Costs(Strict):
    """What a circuit costs. All but the measured last three are exact and stand in circuits/costs.csv."""

    logrows: int
    rows: int = Field(description="rows that the cells need in num_inner_cols columns")
    cells: int = Field(description="assignments")
    columns: int = Field(description="num_inner_cols")
    lookups: int = Field(description="range checks of one table width")
    commitments: int
    proof_bytes: int
    proving_key_bytes: int
    setup_s: float
    prove_s: float = Field(description="of the proof of sample values made when it was compiled")
    prove_peak_bytes: int


class SegmentEntry(Strict):
    """One segment of a step that was cut: a circuit of its own, with a manifest of its own in its folder.

    Vectors of equal names in several segments are one vector, and must have equal commitments.
    """

    key: str
    claims: tuple[int, ...] = Field(description="places among the program's checks, equations and lookups")
    slots: tuple[SlotShape, ...]
    costs: Costs


class Manifest(Strict):
    """The pinned description of one set of artefacts. Content-addressed: ``key`` is a hash of the inputs."""

    format: int = FORMAT
    name: str
    key: str
    spec: AnySpec = Field(discriminator="kind")
    slots: tuple[SlotShape, ...]
    instances: tuple[int, ...] = Field(description="public instances of every proof: known constants")
    challenge_points: int = Field(
        default=0,
        description="commitments that the last instance, a challenge, is a hash of; 0: there is none",
    )
    segments: tuple[SegmentEntry, ...] = Field(
        default=(),
        description="where the step was cut: each is proven for itself, and has a challenge; costs are sums",
    )
    shards: Shards | None = Field(
        default=None,
        description="of an average in shards: how; the circuit they share has its own manifest",
    )
    srs_digest: str
    development: bool = Field(description="made with a development SRS; refused outside a devnet")
    versions: dict[str, str]
    run_args: dict[str, str] = Field(description="every ezkl setting, as given")
    artefacts: dict[str, str] = Field(description="file name to SHA-256")
    costs: Costs

    def slot(self, name: str) -> SlotShape:
        """Return the committed vector of that name."""
        return next(s for s in self.slots if s.name == name)

    def has(self, name: str) -> bool:
        """Whether there is a committed vector of that name."""
        return any(s.name == name for s in self.slots)
