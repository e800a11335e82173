"""Training whose steps are proven: a loop as one writes it, with proofs made in the background."""

from fedproof.training.trainer import ProvingTrainer, TakenStep

__all__ = ["ProvingTrainer", "TakenStep"]
