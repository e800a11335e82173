"""Our commitments are ezkl's: those it computes for a circuit's key, for any vector."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from commitments_circuit import USABLE, K, lookup_circuit

from fedproof.commitments import CommitmentMismatch, Committer
from fedproof.commitments.ezkl_commit import ezkl_commitment
from fedproof.commitments.field import SCALAR_MODULUS
from fedproof.errors import CallerError
from fedproof.srs import check_srs, open_srs

pytestmark = pytest.mark.witness


@pytest.fixture(scope="module")
def circuit(tmp_path_factory, srs):
    return lookup_circuit(tmp_path_factory.mktemp("circuit"), srs.path, K, [100, 50], 1)


def test_ezkls_development_srs_is_a_true_srs(srs):
    assert srs.development
    check_srs(open_srs(srs.path, K))


@pytest.mark.parametrize("length", [0, 1, 700, USABLE - 1, USABLE, USABLE + 1, 2 * USABLE, 2500])
def test_kzg_commit_agrees_for_every_number_of_columns(length, circuit, ezkl_committer, srs):
    vector = np.random.default_rng(length).integers(-(2**15), 2**15, length)
    theirs = ezkl_commitment(vector, circuit.key, circuit.settings, srs.path)
    assert ezkl_committer.full(vector) == theirs
    assert len(theirs) == ezkl_committer.columns(length)


@pytest.mark.parametrize("bits", [1, 16, 40, 63, 128, 253])
def test_kzg_commit_agrees_for_every_size_of_element(bits, circuit, ezkl_committer, srs):
    vector = [secrets.randbits(bits) * (-1) ** i for i in range(40)] + [SCALAR_MODULUS - 1, 0, -1]
    theirs = ezkl_commitment(vector, circuit.key, circuit.settings, srs.path)
    assert ezkl_committer.full(vector) == theirs


def test_small_vectors_with_salts(circuit, ezkl_committer, srs):
    vector = [*range(-300, 300), *(secrets.randbelow(SCALAR_MODULUS) for _ in range(3))]
    assert ezkl_committer.full(vector) == ezkl_commitment(vector, circuit.key, circuit.settings, srs.path)


def test_the_tail_is_the_commitment_of_nothing(circuit, ezkl_committer, srs):
    assert (ezkl_committer.tail,) == ezkl_commitment([], circuit.key, circuit.settings, srs.path)
    assert (ezkl_committer.tail,) == ezkl_commitment([0] * 9, circuit.key, circuit.settings, srs.path)


def test_a_circuit_is_checked_against_the_committer(circuit, ezkl_committer, srs):
    ezkl_committer.check_circuit(circuit.key, circuit.settings)
    with pytest.raises(CommitmentMismatch, match="than 7 reserved rows"):
        Committer(srs.path, K, reserved_rows=7).check_circuit(circuit.key, circuit.settings)
    with pytest.raises(CallerError, match="ezkl cannot commit with"):
        ezkl_committer.check_circuit(circuit.folder / "none", circuit.settings)
