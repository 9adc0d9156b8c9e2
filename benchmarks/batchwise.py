"""Time dropout whose mask a batch shares: ``python -m benchmarks.batchwise``.

One network, 784-1024-1024-1024-10 at rates 0.2 and 0.5, batches of 128, Adam: with a mask for each row, which is
multiplied, and with masks that the batch shares, so that what they drop is not computed. They take turns. What it does
to accuracy is measured by ``python -m benchmarks.papers.batchwise``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

import nbnet as nb
from benchmarks.harness import machine
from benchmarks.harness.table import aligned, spread
from benchmarks.harness.turns import in_turn, ratios
from benchmarks.harness.workloads import WORKLOADS, Data

NOTES = """\
ms/step, ratio: medians over the rounds [smallest - largest]; the ratio is to the masks of rows in the same round.
lazy: weights that the mask cuts off stay where they are; otherwise Adam's moments move them on."""

LOAD = WORKLOADS["mnist"]
ROWS = "a mask a row"
#: Arguments of the dropout layers and of Adam.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    ROWS: ({}, {}),
    "a mask a batch": ({"batchwise": True}, {}),
    "a mask a batch, lazy": ({"batchwise": True}, {"lazy": True}),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batchwise", description="Time shared dropout masks.")
    parser.add_argument("--rounds", type=int, default=9, help="how often each variant is timed (9)")
    parser.add_argument("--steps", type=int, default=40, help="steps a round trains for (40)")
    parser.add_argument("--quick", action="store_true", help="two rounds of two steps: no measurement")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.steps) < 1:
        parser.error("--rounds, --steps: expected numbers above 0")
    rounds, steps = (2, 2) if options.quick else (options.rounds, options.steps)
    print("\n".join(machine.lines(machine.describe())), flush=True)
    sizes = "-".join(map(str, LOAD.sizes))
    print(
        f"{sizes}, dropout {LOAD.input_dropout:g} and {LOAD.hidden_dropout:g}, batch {LOAD.batch_size}",
        end="\n\n",
        flush=True,
    )
    print(table(run(rounds, steps)), NOTES, sep="\n\n")


def run(rounds: int, steps: int) -> dict[str, list[float]]:
    """Milliseconds a step took, for each round."""
    x, y = LOAD.make()
    data = x[: steps * LOAD.batch_size], y[: steps * LOAD.batch_size]
    calls = {name: partial(train, build(*arguments), data) for name, arguments in VARIANTS.items()}
    for call in calls.values():  # kernels and programs are made
        call()
    return {name: [one / steps * 1e3 for one in taken] for name, taken in in_turn(calls, rounds).items()}


def build(dropout: dict[str, Any], adam: dict[str, Any]) -> nb.Sequential:
    """The network, compiled."""
    nb.set_random_seed(0)
    layers: list[Any] = [nb.Input((LOAD.sizes[0],)), nb.layers.Dropout(LOAD.input_dropout, **dropout)]
    for units in LOAD.sizes[1:-1]:
        layers += [nb.layers.Dense(units, "relu"), nb.layers.Dropout(LOAD.hidden_dropout, **dropout)]
    model = nb.Sequential([*layers, nb.layers.Dense(LOAD.sizes[-1], "softmax")])
    model.compile(nb.optimizers.Adam(**adam), "sparse_categorical_crossentropy")
    return model


def train(model: nb.Sequential, data: Data) -> None:
    """One epoch."""
    model.fit(*data, LOAD.batch_size, verbose=0)


def table(times: dict[str, list[float]]) -> str:
    """Times and ratios."""
    rows = [["dropout", "ms/step", "ratio"]]
    for name, found in times.items():
        rows.append([name, spread(found), spread(ratios(found, times[ROWS]))])
    return aligned(rows)


if __name__ == "__main__":
    main()
