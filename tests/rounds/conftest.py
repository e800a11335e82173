from tiny_circuits import average, circuits, tiny_srs, training

__all__ = ["average", "circuits", "tiny_srs", "training"]
