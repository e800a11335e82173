"""A malicious prover writes any advice it likes.

Each attack is tried three ways: the honest witness verifies; the forged one does not; and with the one claim
removed that the attack is up against, the same forgery verifies. So it is that claim which stops it.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

import numpy as np
import pytest
from attacks_programs import TINY, tiny_step
from field_model import P, computed
from forged_arguments import ATTACKS_ON_ARGUMENTS
from forged_inverses import ATTACKS_ON_INVERSES
from forged_values import ATTACKS as OTHER_ATTACKS
from forged_values import TABLE, TOTALS, average, average_inputs
from forgery import Forgery, slots_of, without

from fedproof.commitments import SCALAR_MODULUS, CommitmentMismatch, Committer, read_commitments
from fedproof.lowering import Program, circuit_graph, evaluate
from fedproof.srs import SrsStore

prove = pytest.mark.prove

K = 9
ATTACKS = OTHER_ATTACKS | ATTACKS_ON_ARGUMENTS | ATTACKS_ON_INVERSES
#: The fixtures of this folder are those of whole rounds; these attacks need an SRS and nothing else.


@pytest.fixture(scope="module")
def attack_srs(tmp_path_factory):
    return SrsStore(tmp_path_factory.mktemp("srs")).ensure_development(K).path


@pytest.fixture(scope="module")
def compiled(attack_srs, tmp_path_factory):
    """A program under attack; equal ones are compiled once, and their honest witness verifies."""
    made = {}

    def get(program, honest):
        key = circuit_graph(program).SerializeToString(deterministic=True)
        if key not in made:
            made[key] = Forgery.of(program, tmp_path_factory.mktemp("forgery") / "whole", attack_srs, K)
            assert made[key].attempt(honest).valid
        return made[key]

    return get


def integers(inputs):
    return {k: np.array(v, dtype=np.int64) for k, v in inputs.items()}


def passes(program, slots):
    """Whether the circuit's public instance is the pinned one, over the field, at a random challenge."""
    late = [[secrets.randbelow(P)]] if program.challenged else []
    reduced = [[v % P for v in slot] for slot in slots]
    outputs = computed(circuit_graph(program), reduced + late, program.table_bits)
    return int(outputs[0][0]) == program.lookups


@pytest.mark.reference
@pytest.mark.parametrize("name", ATTACKS)
def test_forgery_breaks_one_claim_and_no_other(name):
    attack = ATTACKS[name]
    program = attack.build()
    values = evaluate(program, integers(attack.inputs))
    forged = attack.forge(program, values)
    weak = without(program, attack.stopped_by)
    assert passes(program, slots_of(program, values))
    assert not passes(program, slots_of(program, values, forged))
    assert passes(weak, slots_of(weak, values, forged))


@prove
@pytest.mark.parametrize("name", ATTACKS)
def test_forgery_is_stopped_by_its_claim_alone(name, compiled, attack_srs, tmp_path):
    attack = ATTACKS[name]
    program = attack.build()
    values = evaluate(program, integers(attack.inputs))
    changed = attack.forge(program, values)
    honest, forged = slots_of(program, values), slots_of(program, values, changed)
    assert forged != honest

    outcome = compiled(program, honest).attempt(honest, forged)
    assert not outcome.valid, f"a forged witness verified: {name}"
    assert "constraint system is not satisfied" in outcome.refusal
    # An honest layout of the forged witness gives it away too: its public instance is another.
    assert outcome.refused_by_gen_witness or outcome.computed_instances != outcome.instances

    # Vectors are made anew: what is no longer looked up is no longer stored shifted.
    weak = without(program, attack.stopped_by)
    weakened = Forgery.of(weak, tmp_path / "weakened", attack_srs, K)
    outcome = weakened.attempt(slots_of(weak, values), slots_of(weak, values, changed))
    assert outcome.valid, f"{name} is not stopped by {attack.stopped_by!r} alone: {outcome.refusal}"


@prove
def test_step_beyond_its_range(attack_srs, tmp_path):
    program = tiny_step()
    honest = evaluate(program, integers(TINY))
    beyond = evaluate(program, integers({**TINY, "x": [[31]], "y": [[-31]]}), check=False)
    step = int(beyond[program.slots[2].nodes[0]].ravel()[0])
    assert not -(2 ** (TABLE - 1)) <= step < 2 ** (TABLE - 1)
    whole = Forgery.of(program, tmp_path / "whole", attack_srs, K)
    assert not whole.attempt(slots_of(program, honest), slots_of(program, beyond)).valid
    weak = without(program, "check step 0 range")
    weakened = Forgery.of(weak, tmp_path / "weakened", attack_srs, K)
    assert weakened.attempt(slots_of(weak, honest), slots_of(weak, beyond)).valid


@prove
@pytest.mark.parametrize("value", [2**TABLE, 2**TABLE + 1, 500, 502, 503, 504, 2**K, -1, -2, 2**40])
def test_table_rows_beyond_the_range_do_not_count(value, range_check_circuit):
    """Regression: ezkl fills its table beyond lookup_range, and a sigmoid made of that a wider range."""
    honest = [[0, 1, 2**TABLE - 1, 5, 1]]
    assert range_check_circuit.attempt(honest).valid
    assert not range_check_circuit.attempt(honest, [[value, 1, 2, 3, 1]]).valid


@pytest.fixture(scope="module")
def range_check_circuit(attack_srs, tmp_path_factory):
    p = Program(TABLE)
    x = p.input("x", (4,), 0, 10)
    p.check(x, 0, "x")
    p.slot("x", [x], 1)
    return Forgery.of(p, tmp_path_factory.mktemp("range") / "whole", attack_srs, K)


@prove
def test_garbage_beyond_a_vector_verifies_and_is_caught_on_receipt(attack_srs, tmp_path):
    """A known limit, not of the hub's making: rows of a committed column beyond the vector are unconstrained.

    The forger lays out a circuit whose vector is one element longer and proves it under the honest key. The
    proof verifies, with a commitment that no vector of the right length opens, so whoever receives the vector
    must commit to it again before relying on it.
    """
    program = average()
    honest = slots_of(program, evaluate(program, integers(average_inputs(TOTALS))))
    longer = replace(program, slots=[replace(s, salt=s.salt + 1) for s in program.slots])
    forgery = Forgery.of(program, tmp_path / "whole", attack_srs, K, laid_out_as=longer)
    outcome = forgery.attempt(honest, [[*vector, 12345] for vector in honest])
    assert outcome.refused_by_gen_witness
    assert outcome.valid

    committer = Committer(attack_srs, K)
    for vector, full in zip(honest, read_commitments(outcome.proof, [1, 1]), strict=True):
        pure = committer.to_pure(full)
        with pytest.raises(CommitmentMismatch, match="does not match"):
            committer.check_opening(vector, pure)
        committer.check_opening([*vector, 12345], pure)


@prove
def test_the_table_in_the_key_is_one_in_the_range_and_zero_beyond(range_check_circuit):
    """Read from the proving key: the rows of the table, all of them, and what each maps to.

    The forgeries above show that single values fail; this shows that there is no other row to hit.
    """
    key = (range_check_circuit.folder / "pk.key").read_bytes()
    montgomery = pow(2, -256, SCALAR_MODULUS)
    rows = 2**K

    def column(start: int) -> list[int]:
        words = [key[start + 32 * i : start + 32 * i + 32] for i in range(rows)]
        return [int.from_bytes(w, "little") * montgomery % SCALAR_MODULUS for w in words]

    pattern = b"".join((v * 2**256 % SCALAR_MODULUS).to_bytes(32, "little") for v in range(1, 9))
    start = key.index(pattern)
    numbers, results = column(start), column(start + 32 * rows + 4)
    filled = next(i for i, v in enumerate(numbers) if v != i + 1)
    assert filled > 2**TABLE  # ezkl fills the column, whatever lookup_range says
    assert set(numbers[filled:]) <= {0, 1}
    pairs = set(zip(numbers, results, strict=True)) - {(0, 0)}
    assert {x for x, y in pairs if y} == set(range(1, 2**TABLE + 1))
    assert {y for _, y in pairs} == {0, 1}
