"""What every prover must do: the same proofs, the same refusals, the same errors for the same faults.

A backend's test module derives from the classes, says ``pytestmark`` and gives two fixtures, both of the
class's scope or wider:

    class TestCpu(ProverConformance):
        @pytest.fixture(scope="class")
        def prover(self): ...        # an open prover; closed by the fixture

        @pytest.fixture
        def slayer(self, prover): ... # slayer() -> how many proving processes it has just killed

Circuit, slots and an honest proof come from conftest.py.
"""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fedproof.circuits import layout
from fedproof.commitments import SCALAR_MODULUS, read_commitments
from fedproof.errors import CallerError, TerminalError
from fedproof.provers import Prover, ProverKilled, WitnessRejected


class ProverConformance:
    """One proof in and out, and every fault that a prover must name."""

    @pytest.fixture
    def copy(self, circuit, tmp_path):
        return Path(shutil.copytree(circuit.folder, tmp_path / "copy"))

    @pytest.fixture
    def files(self, copy):
        """Where the artefacts lie that the prover uses for the circuit in ``copy``."""
        return copy

    @pytest.fixture
    def reference(self, proven):
        """A proof that the prover must accept: anyone's, where all make the same ones."""
        return proven

    def test_it_says_what_it_is(self, prover: Prover):
        assert prover.name
        assert prover.toolchain.startswith("ezkl")
        assert prover.parallel >= 1

    def test_a_proof_verifies_and_commits_to_its_slots(self, prover, circuit, slots):
        run = prover.prove(circuit.folder, circuit.srs.path, slots)
        assert run.instances == (*circuit.manifest.instances, *slots[-1])
        assert len(run.proof) == circuit.manifest.costs.proof_bytes
        assert run.witness_s > 0
        assert run.prove_s > 0
        assert run.waited_s >= 0
        assert run.peak_bytes > 2**20
        assert prover.verify(circuit.folder, circuit.srs.path, run.proof, run.instances)
        columns = [s.columns for s in circuit.manifest.slots]
        for vector, commitment in zip(slots, read_commitments(run.proof, columns), strict=True):
            circuit.committer.check_opening(vector, circuit.committer.to_pure(commitment))

    def test_proofs_of_the_reference_verify_and_nothing_else(self, prover, circuit, reference):
        def holds(proof: bytes, instances) -> bool:
            return prover.verify(circuit.folder, circuit.srs.path, proof, instances)

        proven = reference
        first, *others = proven.instances
        assert holds(proven.proof, proven.instances)
        assert not holds(bytes([proven.proof[0] ^ 1]) + proven.proof[1:], proven.instances)
        assert not holds(proven.proof[:-1], proven.instances)
        assert not holds(proven.proof + b"\0", proven.instances)
        assert not holds(b"", proven.instances)
        assert not holds(proven.proof, [first + 1, *others])
        assert not holds(proven.proof, [first + SCALAR_MODULUS, *others])
        assert not holds(proven.proof, others)

    def test_whole_field_elements_survive(self, prover, circuit, slots):
        vectors = [list(s) for s in slots]
        vectors[0][-1], vectors[1][-1] = SCALAR_MODULUS - 1, 2**200 + 1
        run = prover.prove(circuit.folder, circuit.srs.path, vectors)
        columns = [s.columns for s in circuit.manifest.slots]
        for vector, commitment in zip(vectors, read_commitments(run.proof, columns), strict=True):
            circuit.committer.check_opening(vector, circuit.committer.to_pure(commitment))

    def test_calls_from_many_threads(self, prover, circuit, slots):
        with ThreadPoolExecutor(4) as threads:
            runs = list(
                threads.map(lambda _: prover.prove(circuit.folder, circuit.srs.path, slots), range(4))
            )
        assert all(prover.verify(circuit.folder, circuit.srs.path, run.proof, run.instances) for run in runs)
        assert len({run.proof for run in runs}) == len(runs)

    @pytest.mark.parametrize("shape", ["a slot too few", "a slot too many", "short", "long", "none"])
    def test_vectors_of_another_shape_are_the_callers_fault(self, prover, circuit, slots, shape):
        given = {
            "a slot too few": slots[:-1],
            "a slot too many": [*slots, [1]],
            "short": [slots[0][:-1], *slots[1:]],
            "long": [[*slots[0], 5], *slots[1:]],
            "none": [],
        }[shape]
        with pytest.raises(CallerError, match=r"vectors|elements"):
            prover.prove(circuit.folder, circuit.srs.path, given)

    @pytest.mark.parametrize("name", ["batch", "step", "advice"])
    def test_values_out_of_range_have_no_proof(self, prover, circuit, slots, name):
        given = [list(s) for s in slots]
        given[[s.name for s in circuit.manifest.slots].index(name)][0] += 2**7
        with pytest.raises(WitnessRejected, match="break range checks"):
            prover.prove(circuit.folder, circuit.srs.path, given)

    @pytest.mark.parametrize("file", [layout.PK, layout.COMPILED])
    def test_a_missing_file_is_no_rejected_witness(self, prover, circuit, slots, copy, files, file):
        (files / file).unlink()
        with pytest.raises(TerminalError, match=f"{file} is not in"):
            prover.prove(copy, circuit.srs.path, slots)

    @pytest.mark.parametrize("file", [layout.VK, layout.SETTINGS])
    def test_a_missing_file_is_no_invalid_proof(self, prover, circuit, reference, copy, files, file):
        (files / file).unlink()
        with pytest.raises(TerminalError, match=f"{file} is not in"):
            prover.verify(copy, circuit.srs.path, reference.proof, reference.instances)

    @pytest.mark.parametrize("file", [layout.PK, layout.COMPILED])
    @pytest.mark.parametrize("how", ["garbage", "half"])
    def test_a_damaged_file_is_named(self, prover, circuit, slots, copy, files, file, how):
        good = (files / file).read_bytes()
        (files / file).write_bytes(b"garbage" if how == "garbage" else good[: len(good) // 2])
        with pytest.raises(TerminalError, match=file):
            prover.prove(copy, circuit.srs.path, slots)

    @pytest.mark.parametrize("how", ["missing", "garbage", "half"])
    def test_a_damaged_srs_is_named(self, prover, circuit, slots, tmp_path, how):
        srs, good = tmp_path / "damaged.srs", circuit.srs.path.read_bytes()
        if how != "missing":
            srs.write_bytes(b"garbage" if how == "garbage" else good[: len(good) // 2])
        with pytest.raises(TerminalError, match=r"damaged\.srs"):
            prover.prove(circuit.folder, srs, slots)

    def test_a_worker_that_is_killed_is_said_and_replaced(self, prover, circuit, slots, slayer):
        """Whoever tries again elsewhere (ray) loses every worker that it tries."""
        over, killed = threading.Event(), []

        def slay() -> None:
            while not over.wait(0.002):
                killed.append(slayer())

        thread = threading.Thread(target=slay)
        thread.start()
        try:
            with pytest.raises(ProverKilled) as died:
                prover.prove(circuit.folder, circuit.srs.path, slots)
        finally:
            over.set()
            thread.join()
        assert died.value.exit_code == 75
        assert sum(killed) > 0
        run = prover.prove(circuit.folder, circuit.srs.path, slots)
        assert prover.verify(circuit.folder, circuit.srs.path, run.proof, run.instances)

    def test_closed_and_called_again(self, prover, circuit, reference):
        with prover as same:
            assert same is prover
        assert prover.verify(circuit.folder, circuit.srs.path, reference.proof, reference.instances)


class OnChainConformance:
    """The evm tier: the generated verifier behind its adapter takes the prover's proofs and no others.

    Needs the fixture ``prover``, and ``empty_devnet`` of tests/chain/chain_world.py.
    """

    @pytest.fixture
    def adapter(self, empty_devnet, circuit):
        from fedproof.chain.circuit_verifiers import verifier_spec
        from fedproof.chain.deploy import open_chains
        from fedproof.chain.solidity import compile_project, compile_verifier

        client = open_chains(empty_devnet.network, devnet=empty_devnet).l2
        spec = verifier_spec(circuit, "plain")
        generated = client.deploy(compile_verifier(spec.source)).contract
        kind, arguments = spec.adapter_arguments(str(generated))
        artefact = compile_project()[kind]
        contract = client.at(str(client.deploy(artefact, *arguments).contract), artefact.abi)
        return lambda context, proof: client.call(contract.functions.verify(context, proof, []))

    def test_the_contract_takes_its_proofs_and_no_others(self, prover, adapter, circuit, slots):
        from fedproof.commitments import NO_CONTEXT
        from fedproof.errors import InvalidProof

        run = prover.prove(circuit.folder, circuit.srs.path, slots)
        found = [tuple(p) for p in adapter(NO_CONTEXT, run.proof)]
        points = [
            p for c in read_commitments(run.proof, [s.columns for s in circuit.manifest.slots]) for p in c
        ]
        assert found == [tuple(p) for p in points]
        forged = run.proof[:-1] + bytes([run.proof[-1] ^ 1])
        with pytest.raises(InvalidProof):
            adapter(NO_CONTEXT, forged)
