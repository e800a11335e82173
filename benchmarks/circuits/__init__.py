"""``make bench-circuits``: every training circuit of the project beside its float graph through ezkl."""
