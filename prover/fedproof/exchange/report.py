"""What was found in a round folder, and what no folder can show."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fedproof.exchange.documents import LeftOut, RoundPlan, Share
from fedproof.rounds.vectors import ModelVector

#: What files alone do not prove, whatever is in them.
NEVER_PROVEN = (
    "when anything was written: that datasets and commitments came before what they bind, only a chain shows",
    "that this is the only folder of its round: the model's owner can sign another one for somebody else",
    "that the data are true, or different from other trainers' data",
)


@dataclass(frozen=True)
class Finding:
    """One check that held, and where."""

    check: str
    file: str
    detail: str


@dataclass
class RoundReport:
    """A round that holds. ``model`` is what it produced; ``caveats`` is what it does not prove."""

    path: Path
    plan: RoundPlan
    findings: list[Finding] = field(default_factory=list)
    included: tuple[Share, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    model_hash: str = ""
    model: ModelVector | None = None
    proofs: int = 0
    caveats: list[str] = field(default_factory=list)

    def found(self, check: str, file: Path, detail: str) -> None:
        """Note a check that held."""
        shown = file.relative_to(self.path) if file.is_relative_to(self.path) else file
        self.findings.append(Finding(check, str(shown), detail))

    @property
    def document(self) -> dict[str, object]:
        """The report as a JSON document."""
        return {
            "valid": True,
            "folder": str(self.path),
            "model_id": self.plan.model_id,
            "round": self.plan.number,
            "base_round": self.plan.base.round,
            "base_hash": self.plan.base.model_hash,
            "model_hash": self.model_hash,
            "owner": self.plan.model.owner,
            "development": self.plan.model.training.development,
            "proofs": self.proofs,
            "included": [share.model_dump(mode="json") for share in self.included],
            "left_out": [left.model_dump(mode="json") for left in self.left_out],
            "checks": [vars(finding) for finding in self.findings],
            "not_proven": self.caveats,
        }
