"""Routes that carry a finalized model hash from the L2 to the L1."""
