"""A Flower app whose every training step is proven."""
