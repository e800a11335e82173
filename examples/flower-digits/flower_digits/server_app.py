"""The server: FedAvg, over replies that hold."""

from __future__ import annotations

import logging

from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from fedproof.flower import VerifiableStrategy, arrays_of, model_of
from flower_digits import on_hub, task

logger = logging.getLogger("flwr")
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds; say in the end who was dropped, and how others verify the rounds."""
    config = context.run_config
    name, clients = str(config["circuit"]), int(config["clients"])
    training, average = task.circuit(name), task.circuit(f"{name}-average")
    folder = task.folder(context)
    first = task.first_model(name)
    inner = FedAvg(fraction_evaluate=0.0, min_train_nodes=clients, min_available_nodes=clients)
    if config["deployment"]:
        strategy: VerifiableStrategy = on_hub.strategy(inner, context, first)
    else:
        strategy = VerifiableStrategy(
            inner,
            (training, average),
            task.owner(),
            folder / "rounds",
            on_invalid=config["on-invalid"],
            trainers=[str(task.trainer_key(i).address) for i in range(clients)],
            min_trainers=2,
        )

    def evaluate(_round: int, arrays: ArrayRecord) -> MetricRecord:
        found = task.accuracy(name, model_of(training, arrays), *task.held_out(context))
        return MetricRecord({"accuracy": found})

    strategy.start(
        grid=grid,
        initial_arrays=arrays_of(first),
        num_rounds=int(config["num-server-rounds"]),
        evaluate_fn=evaluate,
    )
    for refused in strategy.refused:
        logger.info("dropped in round %s: %s: %s", refused.round, refused.trainer, refused.reason)
    if not config["deployment"]:
        logger.info("verify a round with: fedproof verify-round %s", folder / "rounds" / "round1")
