"""Time what can be added to a training step: ``python -m benchmarks.extras``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import nbnet as nb
from benchmarks.harness import machine, turns
from benchmarks.harness.learners import build
from benchmarks.harness.table import aligned, spread
from benchmarks.harness.workloads import WORKLOADS, Data, Workload

NOTES = """\
us/step, ratios: medians over the rounds [smallest - largest]. All train the same network with Adam, and take turns;
each has a turn of the plain one beside it, and the ratio is to that. Plain over plain says how much is noise.
together: global_clipnorm, a schedule, use_ema and max_norm at once.
max_norm, non_neg: all kernels are held to it. l2, activity l2: all kernels, or hidden activations, are penalised."""

#: Of the step without extras, each of them may cost so much, except penalties, which are part of the loss.
ALLOWED = 0.15
PLAIN, PENALTIES = "plain", ("l2", "activity l2")
#: Microseconds a step took without an extra, and with it.
Pair = tuple[float, float]


def _optimizer(**arguments: Any) -> Callable[[nb.Sequential], nb.optimizers.Optimizer]:
    return lambda model: nb.optimizers.Adam(**arguments)


def _each_kernel(name: str, value: object, **arguments: Any) -> Callable[[nb.Sequential], nb.optimizers.Optimizer]:
    def change(model: nb.Sequential) -> nb.optimizers.Optimizer:
        for weight in model.trainable_weights:
            if weight.ndim > 1:
                setattr(weight, name, value)
        return nb.optimizers.Adam(**arguments)

    return change


def _activity(model: nb.Sequential) -> nb.optimizers.Optimizer:
    for layer in model.layers[:-1]:
        if isinstance(layer, nb.layers.Dense):
            layer.activity_regularizer = nb.regularizers.L2(1e-4)
    return nb.optimizers.Adam()


#: Functions that change a model and return its optimizer.
VARIANTS: dict[str, Callable[[nb.Sequential], nb.optimizers.Optimizer]] = {
    PLAIN: _optimizer(),
    "weight_decay": _optimizer(weight_decay=1e-4),
    "clipnorm": _optimizer(clipnorm=1.0),
    "global_clipnorm": _optimizer(global_clipnorm=1.0),
    "schedule": _optimizer(learning_rate=nb.optimizers.schedules.CosineDecay(1e-3, 10_000)),
    "use_ema": _optimizer(use_ema=True),
    "max_norm": _each_kernel("constraint", nb.constraints.MaxNorm(3.0)),
    "non_neg": _each_kernel("constraint", nb.constraints.NonNeg()),
    "together": _each_kernel(
        "constraint",
        nb.constraints.MaxNorm(3.0),
        learning_rate=nb.optimizers.schedules.CosineDecay(1e-3, 10_000),
        global_clipnorm=1.0,
        use_ema=True,
    ),
    "l2": _each_kernel("regularizer", nb.regularizers.L2(1e-4)),
    "activity l2": _activity,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extras", description="Time additions to a step.")
    parser.add_argument("--workload", choices=WORKLOADS, default="tabular", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=15, help="how often each variant is timed (15)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a round, at least one epoch each (2)")
    parser.add_argument("--quick", action="store_true", help="two short rounds on a few rows: no measurement")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or not options.seconds > 0:
        parser.error("--rounds and --seconds: expected numbers above 0")
    print("\n".join(machine.lines(machine.describe())), end="\n\n", flush=True)
    load = WORKLOADS[options.workload]
    times = run(load, 2, 0.02, 5 * load.batch_size) if options.quick else run(load, options.rounds, options.seconds)
    print(table(options.workload, times), end="\n\n")
    print(NOTES)


def run(load: Workload, rounds: int, seconds: float, rows: int | None = None) -> dict[str, list[Pair]]:
    """Return the microseconds that a step took, without and with each variant, for each round.

    Parameters
    ----------
    load
        The workload to train on.
    rounds
        Number of times that each variant is timed.
    seconds
        Time that a round of all variants should take; each has at least one epoch.
    rows
        Number of rows to train on, from the first; None for all.
    """
    x, y = load.make()
    data = x[:rows], y[:rows]
    # A turn that does not count says how many epochs the others have, and warms everything up.
    trainers = {name: _trainer(name, load, data) for name in VARIANTS}
    pilot = sum(train(1) for train in trainers.values())
    epochs = max(1, round(seconds / (2 * pilot)))
    step = -(-len(data[0]) // load.batch_size) * epochs / 1e6
    times: dict[str, list[Pair]] = {name: [] for name in VARIANTS}
    for turn in range(rounds):
        for name, found in times.items():
            # They take turns to be first: the second one finds a warm processor, or a throttled one.
            order = (PLAIN, name) if turn % 2 else (name, PLAIN)
            took = [trainers[one](epochs) / step for one in order]
            found.append((took[0], took[1]) if turn % 2 else (took[1], took[0]))
    return times


def _trainer(name: str, load: Workload, data: Data) -> Callable[[int], float]:
    """Return a function that trains a variant for some epochs and returns the seconds; its programs are compiled."""
    (x, y), size = data, load.batch_size
    nb.set_random_seed(0)
    model = build(load)
    model.compile(VARIANTS[name](model), "sparse_categorical_crossentropy")
    model.fit(x, y, size, verbose=0)
    return lambda epochs: turns.seconds(partial(model.fit, x, y, size, epochs, verbose=0))


def table(workload: str, times: dict[str, list[Pair]]) -> str:
    """Time of a step of each variant, and what it costs."""
    rows = [[workload, "us/step", f"over {PLAIN}"]]
    for name, found in times.items():
        ratios = [mine / plain for plain, mine in found]
        costly = np.median(ratios) > 1 + ALLOWED and name not in PENALTIES
        rows.append([name, spread([mine for _, mine in found]), spread(ratios) + (" !" if costly else "")])
    return aligned(rows)


if __name__ == "__main__":
    main()
