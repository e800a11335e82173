"""Provers: proofs an hour, what the pipeline adds to ezkl's call, key loading, memory, whole rounds."""
