"""Benchmarks: our circuits beside the same float graphs through ezkl's own fixed-point path."""
