"""What workers know by heart, for its home takes long to import. A test compares the two."""

from __future__ import annotations

#: Files of a compiled circuit: those of fedproof.circuits.layout and fedproof.circuits.compiled.
SETTINGS, COMPILED, VK, PK = "settings.json", "circuit.ezkl", "vk.key", "pk.key"
MANIFEST = "manifest.json"
#: r of BN254: that of fedproof.commitments.
SCALAR_MODULUS = 21888242871839275222246405745257275088548364400416034343698204186575808495617
