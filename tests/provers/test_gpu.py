"""The GPU backend: what it finds, what it refuses; the conformance suite where there is a build, or a GPU."""

from __future__ import annotations

import contextlib
import os
import sys

import psutil
import pytest
from conformance import ProverConformance

from fedproof.errors import CallerError
from fedproof.provers import gpu, offers, open_prover
from fedproof.provers.gpu import GpuProver, detection
from fedproof.provers.gpu.artefacts import folder_of
from fedproof.provers.gpu.detection import Build, BuildNotFoundError, build_of, no_gpu
from fedproof.provers.registry import deployable

TOO_OLD = Build(sys.executable, "ezkl-gpu", "16.1.0")


@pytest.mark.reference
class TestDetection:
    def test_a_missing_driver_is_named(self):
        assert "libnothing.so" in no_gpu("libnothing.so")

    def test_an_interpreter_that_is_not_set_or_none(self, monkeypatch, tmp_path):
        monkeypatch.delenv(detection.SETTING, raising=False)
        with pytest.raises(BuildNotFoundError, match="FEDPROOF_GPU_PYTHON is not set"):
            build_of()
        monkeypatch.setenv(detection.SETTING, str(tmp_path))
        with pytest.raises(BuildNotFoundError, match="no program"):
            build_of()

    def test_an_interpreter_without_ezkl_says_what_python_says(self, tmp_path):
        script = tmp_path / "python"
        script.write_text("#!/bin/sh\necho ModuleNotFoundError: no ezkl >&2; exit 1\n")
        script.chmod(0o700)
        with pytest.raises(BuildNotFoundError, match="has no ezkl: ModuleNotFoundError"):
            build_of(str(script))

    def test_builds_are_told_apart(self):
        own = build_of(sys.executable)
        assert own.toolchain == "ezkl 23.0.5 cuda"
        assert TOO_OLD.toolchain == "ezkl-gpu 16.1.0"
        assert deployable("ezkl 23.0.5")
        assert deployable(own.toolchain)
        assert not deployable(TOO_OLD.toolchain)
        assert not deployable("ezkl 23.0.4 cuda")
        places = {folder_of(build_of(sys.executable).python, t) for t in (own.toolchain, TOO_OLD.toolchain)}
        assert len(places) == 2

    def test_what_is_not_offered_says_why(self, monkeypatch):
        monkeypatch.delenv(detection.SETTING, raising=False)
        found = {o.name: o for o in offers()}
        assert list(found) == ["cpu", "gpu", "ray"]
        assert found["cpu"].available
        assert not found["gpu"].available
        assert "FEDPROOF_GPU_PYTHON is not set" in found["gpu"].reason
        with pytest.raises(CallerError, match="FEDPROOF_GPU_PYTHON is not set"):
            open_prover("gpu")

    def test_a_build_for_benchmarks_is_refused_for_anything_else(self, monkeypatch):
        monkeypatch.setattr(gpu, "no_gpu", lambda: "")
        monkeypatch.setattr(gpu, "build_of", lambda: TOO_OLD)
        assert "benchmarks only" in gpu.offer().reason
        assert gpu.offer().available
        with pytest.raises(CallerError, match=r"ezkl-gpu 16\.1\.0: no deployed verifier"):
            open_prover("gpu")
        with open_prover("gpu", benchmark=True) as prover:
            assert prover.toolchain == "ezkl-gpu 16.1.0"

    @pytest.mark.parametrize("name", ["tpu", "cpu://here", "ray://", "gpu://x"])
    def test_what_is_no_prover(self, name):
        with pytest.raises(CallerError, match="prover"):
            open_prover(name)

    def test_the_setting_chooses(self, monkeypatch):
        monkeypatch.setenv("FEDPROOF_PROVER", "nobody")
        with pytest.raises(CallerError, match="nobody"):
            open_prover()
        assert open_prover("cpu").name == "cpu"


@pytest.fixture(scope="module")
def build():
    try:
        return build_of()
    except BuildNotFoundError as e:
        pytest.skip(str(e))


class OwnArtefacts(ProverConformance):
    """The suite for a prover whose artefacts and proofs are its own."""

    on_cpu = False

    @pytest.fixture
    def prover(self, build):
        with GpuProver(build, on_cpu=self.on_cpu) as made:
            yield made

    @pytest.fixture
    def files(self, prover, copy, circuit):
        return prover.artefacts(copy, circuit.srs.path)

    @pytest.fixture
    def reference(self, prover, circuit, slots):
        return prover.prove(circuit.folder, circuit.srs.path, slots)

    @pytest.fixture
    def slayer(self):
        def slay() -> int:
            found = 0
            for child in psutil.Process(os.getpid()).children():
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    if any(word.endswith("gpu/worker.py") for word in child.cmdline()):
                        child.kill()
                        found += 1
            return found

        return slay


@pytest.mark.prove
@pytest.mark.gpu
class TestGpu(OwnArtefacts):
    @pytest.fixture(autouse=True)
    def _there_is_one(self):
        if missing := no_gpu():
            pytest.skip(missing)


@pytest.mark.prove
class TestTheBuildForGpusWithoutOne(OwnArtefacts):
    """Everything but CUDA: the interpreter, the worker, the artefacts."""

    on_cpu = True

    @pytest.fixture(autouse=True)
    def _there_is_none(self):
        if not no_gpu():
            pytest.skip("there is a GPU")
