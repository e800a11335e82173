"""A small SRS with a known secret, so that a commitment can be computed in the exponent too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "srs"))

from commitments_circuit import K
from srs_forge import SMALL_K, write_srs

from fedproof.commitments import Committer
from fedproof.srs import SrsStore


@pytest.fixture(scope="session")
def small_srs(tmp_path_factory):
    return write_srs(tmp_path_factory.mktemp("srs") / "small.srs", SMALL_K)


@pytest.fixture
def committer(small_srs):
    return Committer(small_srs, SMALL_K)


@pytest.fixture(scope="session")
def srs(tmp_path_factory):
    """A development SRS made by ezkl."""
    return SrsStore(tmp_path_factory.mktemp("srs")).ensure_development(K)


@pytest.fixture(scope="session")
def ezkl_committer(srs):
    return Committer(srs.path, K)
