"""A believable run record for the tests, and one full of hostile text."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from fedproof.record import (
    AggregateProof,
    CircuitFacts,
    Dataset,
    FinalCheck,
    Host,
    L1Delivery,
    Network,
    Round,
    RunRecord,
    SetupSeconds,
    Srs,
    StageSeconds,
    StepProof,
    TrainerRound,
    Transaction,
    Versions,
)

STEP = "mlp-step"
AGGREGATE = "mlp-aggregate"


def some_hash(seed: str) -> str:
    return "0x" + sha256(seed.encode()).hexdigest()


def address(index: int) -> str:
    return "0x" + sha256(f"trainer {index}".encode()).hexdigest()[:40]


def a_round(number: int, accuracy: float, accuracy_float: float, **changes: object) -> Round:
    model_hash = some_hash(f"model {number}")
    fields: dict[str, object] = {
        "round": number,
        "trainers": [
            TrainerRound(
                address=address(index),
                samples=32,
                steps=[
                    StepProof(circuit=STEP, prove_s=2.1 + 0.1 * index, proof_bytes=7904, witness_s=0.2)
                    for _ in range(2)
                ],
                commit_gas=51_223,
                submit_gas=1_912_345 + index,
            )
            for index in range(4)
        ],
        "aggregate": AggregateProof(circuit=AGGREGATE, prove_s=1.4, proof_bytes=4096),
        "finalize_gas": 702_118,
        "model_hash": model_hash,
        "l1": L1Delivery(route="layerzero", tx=some_hash(f"l1 {number}"), gas=231_402, model_hash=model_hash),
        "accuracy": accuracy,
        "accuracy_float": accuracy_float,
        "loss": 0.5 - accuracy / 4,
        "loss_float": 0.5 - accuracy_float / 4,
        "seconds": StageSeconds(
            train=0.3, prove=17.8 + number, commit=0.4, submit=1.9, aggregate=1.6, finalize=0.5, relay=1.2
        ),
    }
    return Round.model_validate(fields | changes)


def transactions(rounds: int) -> list[Transaction]:
    sent = [
        Transaction(chain="l2", purpose="deploy", label=name, tx=some_hash(name), gas=gas)
        for name, gas in [
            ("AggregationHub", 4_102_991),
            ("StepVerifier", 3_800_102),
            ("EndpointV2", 4_500_777),
        ]
    ]
    sent.append(
        Transaction(chain="l1", purpose="deploy", label="ModelRegistry", tx=some_hash("reg"), gas=1_711_002)
    )
    for number in range(1, rounds + 1):
        for purpose, gas in [
            ("open", 88_120),
            ("commit", 51_223),
            ("submit", 1_912_345),
            ("finalize", 702_118),
            ("relay", 310_441),
        ]:
            for index in range(4 if purpose in {"commit", "submit"} else 1):
                sent.append(
                    Transaction(
                        chain="l2",
                        purpose=purpose,
                        label=f"trainer {index}" if gas in {51_223, 1_912_345} else "",
                        round=number,
                        tx=some_hash(f"{purpose} {number} {index}"),
                        gas=gas + index,
                    )
                )
        sent.append(
            Transaction(
                chain="l1", purpose="deliver", round=number, tx=some_hash(f"l1 {number}"), gas=231_402
            )
        )
    return sent


def a_record(**changes: object) -> RunRecord:
    rounds = [a_round(1, 0.3028, 0.3056), a_round(2, 0.5861, 0.5833), a_round(3, 0.7917, 0.7944)]
    fields: dict[str, object] = {
        "started": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "versions": Versions(
            fedproof="0.1.0",
            python="3.11.7",
            ezkl="23.0.5",
            torch="2.13.0",
            onnx="1.23.2",
            onnxruntime="1.31.1",
            numpy="2.4.6",
            web3="8.0.0",
            solc="0.8.37",
            anvil="1.7.1",
            node="20.20.2",
            commit="0" * 40,
        ),
        "host": Host(
            cpu="A processor at 3 GHz", cores=2, ram_bytes=24 << 30, system="Linux 6.1", machine="x86_64"
        ),
        "model": "mlp 64→16→10",
        "parameters": 1210,
        "trainers": 4,
        "dataset": Dataset(name="scikit-learn digits", train_samples=1437, test_samples=360),
        "network": Network(
            name="devnet",
            devnet=True,
            l2_chain_id=412346,
            l1_chain_id=31337,
            emulated=[
                "Arbitrum L2, by anvil with an emulated ArbSys",
                "LayerZero's DVNs and executor, by a local worker",
            ],
        ),
        "srs": Srs(digest="sha256:" + sha256(b"srs").hexdigest(), logrows=14, development=True),
        "circuits": [
            CircuitFacts(
                name=STEP,
                kind="step",
                rows=14_411,
                logrows=14,
                proving_key_bytes=41 << 20,
                proof_bytes=7904,
                verifier_bytes=19_184,
                verifying_key_bytes=3200,
                cells=21_000,
            ),
            CircuitFacts(
                name=AGGREGATE,
                kind="aggregate",
                rows=2_420,
                logrows=14,
                proving_key_bytes=12 << 20,
                proof_bytes=4096,
                verifier_bytes=9_704,
            ),
        ],
        "accuracy_before": 0.1,
        "accuracy_float_before": 0.1,
        "loss_before": 0.5,
        "loss_float_before": 0.5,
        "setup_seconds": SetupSeconds(data=0.4, circuits=12.5, devnet=1.4, deploy=4.4),
        "rounds": rounds,
        "transactions": transactions(3),
        "final_check": FinalCheck(
            model_hash=rounds[-1].model_hash, registry_hash=rounds[-1].model_hash, seconds=0.8
        ),
        "total_s": 95.2,
    }
    return RunRecord.model_validate(fields | changes)


HOSTILE = "<script>alert('x')</script>\"'&amp;<img src=x onerror=alert(1)>{{ 7*7 }}</style></title>"


def a_hostile_record() -> RunRecord:
    good = a_record()
    step = StepProof(circuit=HOSTILE, prove_s=1.0, proof_bytes=1)
    first = good.rounds[0]
    trainers = [first.trainers[0].model_copy(update={"steps": [step]})]
    entry = first.model_copy(
        update={
            "trainers": trainers,
            "aggregate": AggregateProof(circuit=HOSTILE, prove_s=1.0),
            "l1": first.l1.model_copy(update={"route": HOSTILE}),
        }
    )
    return a_record(
        model=HOSTILE,
        dataset=Dataset(name=HOSTILE, train_samples=1, test_samples=1),
        versions=Versions(fedproof=HOSTILE, python=HOSTILE, node=HOSTILE),
        host=Host(cpu=HOSTILE, cores=1, ram_bytes=1, system=HOSTILE, machine=HOSTILE),
        network=Network(name=HOSTILE, devnet=True, l2_chain_id=1, l1_chain_id=1, emulated=[HOSTILE]),
        srs=Srs(digest=HOSTILE, logrows=1, development=True),
        circuits=[good.circuits[0].model_copy(update={"name": HOSTILE})],
        rounds=[entry],
        transactions=[Transaction(chain="l1", purpose=HOSTILE, label=HOSTILE, tx=some_hash("x"), gas=1)],
        notes=[HOSTILE],
        error=HOSTILE,
    )
