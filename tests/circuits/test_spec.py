"""Declarations: what is wrong is named, with its place and what to do."""

from __future__ import annotations

import pytest
from tiny_project import AVERAGE, TRAINING

from fedproof.circuits import AverageSpec, TrainingSpec, available, load_spec
from fedproof.circuits.program import build_program, float_graph
from fedproof.errors import CallerError
from fedproof.lowering import step_bound

pytestmark = pytest.mark.reference


def test_both_kinds_load(project):
    training, average = (load_spec(n, project.circuits) for n in ("tiny", "tiny-average"))
    assert isinstance(training, TrainingSpec)
    assert isinstance(average, AverageSpec)
    assert training.learning_rate == 0.5
    assert training.numbers.constants == 12
    assert available(project.circuits) == ["tiny", "tiny-average"]


def test_an_average_is_as_wide_as_its_steps(project):
    training, average = (load_spec(n, project.circuits) for n in ("tiny", "tiny-average"))
    assert average.steps == 2
    graph = float_graph(training, project.root)
    step = build_program(training, project.circuits, graph)

    def proven(steps: int, table: int = 7) -> tuple[int, int]:
        declared = AVERAGE.replace("table = 7", f"table = {table}\nsteps = {steps}")
        (project.circuits / "tiny-average.toml").write_text(declared)
        program = build_program(load_spec("tiny-average", project.circuits), project.circuits, graph)
        return program.nodes[1].bound, step_bound(step) * steps

    for steps in (1, 2, 3, 100, 4096):
        for table in (7, 12):
            width, wanted = proven(steps, table)
            assert width > wanted > width >> (table + 2)


TRAINING_ERRORS = [
    ("batch = 2", "batch = 2\nbatches = 3", r"tiny.toml: batches: Extra inputs are not permitted"),
    ("table = 7", "table = 7\nwidth = 3", r"numbers.width: Extra inputs"),
    ('kind = "training"', 'kind = "guess"', r"kind: .*'training', 'average', 'inference'"),
    ('kind = "training"\n', "", r"kind: Unable to extract tag"),
    ("batch = 2", 'batch = "two"', r"batch: Input should be a valid integer"),
    ("batch = 2", "batch = 0", r"batch: Input should be greater than or equal to 1"),
    ("learning_rate_log2 = -1", "learning_rate_log2 = 0.5", r"learning_rate_log2: .*integer"),
    ("logrows = 9", "logrows = 40", r"plonk.logrows: Input should be less than or equal to 24"),
    ("table = 7", "table = 1", r"numbers.table: Input should be greater than or equal to 2"),
    ("batch = 2\n", "", r"batch: Field required"),
    ("batch = 2", "batch = ", r"not valid TOML"),
    ("sample = [2]", "sample = 2", r"sample: Input should be a valid tuple"),
]


@pytest.mark.parametrize(("old", "new", "message"), TRAINING_ERRORS)
def test_a_wrong_training_declaration(project, old, new, message):
    assert old in TRAINING
    (project.circuits / "tiny.toml").write_text(TRAINING.replace(old, new, 1))
    with pytest.raises(CallerError, match=message):
        load_spec("tiny", project.circuits)


AVERAGE_ERRORS = [
    ('of = "tiny"', 'of = "huge"', r"no circuit 'huge'.*there are: tiny, tiny-average"),
    ('of = "tiny"', 'of = "tiny-average"', r"recurs|must name a training circuit|is not one"),
    ("logrows = 9", "logrows = 10", r"logrows is 10, that of 'tiny' is 9.*equal logrows"),
    ("table = 7", "tables = 7", r"tables: Extra inputs"),
]


@pytest.mark.parametrize(("old", "new", "message"), AVERAGE_ERRORS)
def test_a_wrong_average_declaration(project, old, new, message):
    (project.circuits / "tiny-average.toml").write_text(AVERAGE.replace(old, new, 1))
    with pytest.raises(CallerError, match=message):
        load_spec("tiny-average", project.circuits)


@pytest.mark.parametrize("name", ["Tiny", "../tiny", "", "-tiny", "tiny.toml"])
def test_what_is_no_name(project, name):
    with pytest.raises(CallerError, match=r"is not a circuit name.*lower-case"):
        load_spec(name, project.circuits)


def test_a_missing_declaration_lists_those_there_are(project):
    with pytest.raises(CallerError, match=r"no circuit 'other': other.toml is not in .*tiny, tiny-average"):
        load_spec("other", project.circuits)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("models/tiny.py", "not of the form FILE.py:NAME"),
        ("models/none.py:Tiny", "no file models/none.py"),
        ("models/tiny.py:Huge", "defines no Huge"),
        ("models/tiny.py:squared", "missing 2 required positional arguments|not a torch.nn.Module"),
        ("models/broken.py:Tiny", "importing models/broken.py failed: ZeroDivisionError"),
    ],
)
def test_a_wrong_model_reference(project, reference, message):
    from fedproof.circuits.program import training_step

    (project.root / "models" / "broken.py").write_text("1 / 0\n")
    text = TRAINING.replace("models/tiny.py:Tiny", reference)
    (project.circuits / "tiny.toml").write_text(text)
    with pytest.raises(CallerError, match=message):
        training_step(load_spec("tiny", project.circuits), project.root)
