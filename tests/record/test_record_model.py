"""The record's shape, its schema and its file."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError
from record_samples import a_record, a_round, address, some_hash

from fedproof.errors import TerminalError
from fedproof.record import (
    AggregateProof,
    FinalCheck,
    L1Delivery,
    RecordError,
    RunRecord,
    StepProof,
    TrainerRound,
    collect_host,
    collect_versions,
)
from fedproof.record.report import render_report
from fedproof.record.schema import schema_from_models, shipped_schema

pytestmark = pytest.mark.reference


def written(record: RunRecord) -> dict:
    return json.loads(record.model_dump_json())


def test_shipped_schema_is_current() -> None:
    assert shipped_schema() == schema_from_models(), "run: python -m fedproof.record.schema"


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(shipped_schema())


def test_record_follows_the_schema() -> None:
    jsonschema.validate(written(a_record()), shipped_schema(), cls=jsonschema.Draft202012Validator)


def test_schema_refuses_what_the_models_refuse() -> None:
    for spoil in (
        lambda record: record.pop("rounds"),
        lambda record: record.update(surprise=1),
        lambda record: record["rounds"][0].update(accuracy=1.5),
        lambda record: record["rounds"][0]["trainers"][0].update(address="0x12"),
        lambda record: record["rounds"][0].update(model_hash="0xABC"),
        lambda record: record["rounds"][0]["l1"].pop("tx"),
    ):
        record = written(a_record())
        spoil(record)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(record, shipped_schema(), cls=jsonschema.Draft202012Validator)


def test_every_promised_key_is_in_its_place() -> None:
    record = written(a_record())
    assert {"versions", "host", "model", "parameters", "trainers", "rounds", "total_s"} <= record.keys()
    assert isinstance(record["trainers"], int)
    first = record["rounds"][0]
    assert {
        "round", "trainers", "aggregate", "finalize_gas", "model_hash", "l1", "accuracy", "accuracy_float",
    } <= first.keys()  # fmt: skip
    assert {"address", "samples", "steps", "commit_gas", "submit_gas"} <= first["trainers"][0].keys()
    assert {"circuit", "prove_s", "proof_bytes"} <= first["trainers"][0]["steps"][0].keys()
    assert {"circuit", "prove_s"} <= first["aggregate"].keys()
    assert {"route", "tx", "gas", "model_hash"} <= first["l1"].keys()


def test_a_record_without_losses_has_a_page_without_their_chart() -> None:
    rounds = [a_round(number, 0.3, 0.3, loss=None, loss_float=None) for number in (1, 2, 3)]
    assert 'id="losses"' in render_report(a_record())
    assert 'id="losses"' not in render_report(a_record(rounds=rounds))


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "demo" / "run.json"
    record = a_record()
    record.write(path)
    assert RunRecord.read(path) == record
    assert [entry.name for entry in path.parent.iterdir()] == ["run.json"]


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TerminalError, match=r"run\.json: No space left on device"):
        a_record().write(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read"),
        ("{", "not a run record"),
        ("[]", "not a run record"),
        ('{"format": "other/1"}', "format"),
    ],
)
def test_unreadable_record_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "run.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecordError, match=message) as caught:
        RunRecord.read(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match="cannot read"):
        RunRecord.read(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_seconds_are_finite_and_not_negative(value: float) -> None:
    with pytest.raises(ValidationError, match="prove_s"):
        StepProof(circuit="c", prove_s=value, proof_bytes=1)


def test_round_numbers_are_consecutive() -> None:
    with pytest.raises(ValidationError, match=r"numbered \[1, 3\]"):
        a_record(rounds=[a_round(1, 0.1, 0.1), a_round(3, 0.1, 0.1)])


def test_trainer_counts_and_names() -> None:
    with pytest.raises(ValidationError, match="4 trainers of 3"):
        a_record(trainers=3)
    step = StepProof(circuit="mlp-step", prove_s=1.0, proof_bytes=1)
    twice = [
        TrainerRound(address=spelled, samples=1, steps=[step], commit_gas=1, submit_gas=1)
        for spelled in (address(0), "0x" + address(0)[2:].upper())
    ]
    with pytest.raises(ValidationError, match="twice"):
        a_record(rounds=[a_round(1, 0.1, 0.1, trainers=twice)])


def test_used_circuits_are_described() -> None:
    with pytest.raises(ValidationError, match=r"\['other'\] are used"):
        a_record(rounds=[a_round(1, 0.1, 0.1, aggregate=AggregateProof(circuit="other", prove_s=1.0))])


def test_complete_only_if_everything_agrees() -> None:
    assert a_record().complete
    assert a_record().proofs == 3 * (4 * 2 + 1)
    assert not a_record(error="stopped").complete
    assert not a_record(rounds=[]).complete
    elsewhere = L1Delivery(route="layerzero", tx=some_hash("t"), gas=1, model_hash=some_hash("other"))
    assert not a_record(rounds=[a_round(1, 0.1, 0.1, l1=elsewhere)]).complete
    foreign = FinalCheck(model_hash=some_hash("a"), registry_hash=some_hash("b"))
    assert not a_record(final_check=foreign).complete


def test_host_and_versions_name_no_place(tmp_path: Path) -> None:
    host, versions = collect_host(), collect_versions(tmp_path)
    text = host.model_dump_json() + versions.model_dump_json()
    assert os.uname().nodename not in text
    assert str(Path.home()) not in text
    assert str(Path.cwd()) not in text
    assert versions.ezkl == "23.0.5"
    assert versions.commit is None
    assert versions.anvil is None


def test_npm_versions_come_from_the_installed_packages(tmp_path: Path) -> None:
    modules = tmp_path / "verifier_contracts" / "node_modules"
    for name, text in {"solc": '{"version": "0.8.37"}', "@foundry-rs/anvil": "broken"}.items():
        (modules / name).mkdir(parents=True)
        (modules / name / "package.json").write_text(text)
    versions = collect_versions(tmp_path)
    assert versions.solc == "0.8.37"
    assert versions.anvil is None
