"""Verifying keys of reusable verifiers as ezkl writes them."""

from __future__ import annotations

import pytest
from eth_utils.crypto import keccak

from fedproof.chain.vka import read_vka, vka_digest
from fedproof.errors import CallerError

pytestmark = pytest.mark.reference

WORDS = (bytes(range(32)), b"\xff" * 32, bytes(32))


def test_the_words_come_back(tmp_path):
    path = tmp_path / "vka.bin"
    path.write_bytes((3).to_bytes(8, "little") + b"".join(WORDS))
    assert read_vka(path) == WORDS
    assert vka_digest(WORDS) == keccak(b"".join(WORDS))


@pytest.mark.parametrize(
    "content", [b"", bytes(8), (3).to_bytes(8, "little") + bytes(95), (1).to_bytes(8, "big") + bytes(32)]
)
def test_a_file_of_another_shape(tmp_path, content):
    path = tmp_path / "vka.bin"
    path.write_bytes(content)
    with pytest.raises(CallerError, match="is not a verifying key"):
        read_vka(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(CallerError, match="cannot read verifying key"):
        read_vka(tmp_path / "nowhere")
