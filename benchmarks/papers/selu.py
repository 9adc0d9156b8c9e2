"""Means and variances through 32 layers: SELU with alpha dropout, and ReLU with dropout.

G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter: Self-normalizing neural networks. NIPS (2017), section 2.

SELU layers whose weights have variance 1 / inputs (LeCun) take activations of mean 0 and variance 1 to such of the
same, and alpha dropout keeps both. ReLU layers stand beside them as they are usually made: He's variance 2 / inputs,
and dropout, which keeps the mean alone, so that the variance grows with each layer. 32 hidden layers of 256 units,
MNIST's pixels standardised as a whole, plain gradient descent. The moments are those of all units over 1,000 test
images, dropout at work, before training and after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import nbnet as nb
from benchmarks.harness import plotting
from benchmarks.harness.record import Record
from benchmarks.harness.table import markdown
from benchmarks.papers import images, networks, script
from benchmarks.papers.tables import grouped, mean

Array = NDArray[Any]

NAME, TITLE, SEEDS = "selu", "Self-normalizing networks: moments through 32 layers", 3
DEPTH, UNITS, RATE, BATCH, EPOCHS, LEARNING_RATE = 32, 256, 0.05, 128, 3, 0.01
#: Test images that the moments are found on, and layers whose moments the table shows.
LOOKED_AT, SHOWN = 1000, (1, 2, 4, 8, 16, 24, 32)


class Kind(NamedTuple):
    """How layers are made: activation, initial weights, and the dropout behind them."""

    activation: str
    initializer: str
    dropout: Callable[..., nb.Layer]


KINDS = {
    "selu": Kind("selu", "lecun_normal", nb.layers.AlphaDropout),
    "relu": Kind("relu", "he_normal", nb.layers.Dropout),
}


def build(kind: Kind, inputs: int, depth: int = DEPTH) -> nb.Sequential:
    """The network; what the dropout layer number i returns is called ``hidden_i``."""
    layers: list[nb.Layer] = []
    for number in range(1, depth + 1):
        layers.append(nb.layers.Dense(UNITS, kind.activation, kernel_initializer=kind.initializer))
        layers.append(kind.dropout(RATE, name=f"hidden_{number}"))
    layers.append(nb.layers.Dense(networks.CLASSES, "softmax", kernel_initializer="lecun_normal"))
    model = nb.Sequential([nb.Input((inputs,)), *layers])
    model.compile(nb.optimizers.SGD(LEARNING_RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def moments(model: nb.Sequential, x: Array) -> list[list[float]]:
    """Mean and variance of what each hidden layer returns in training."""
    names = [layer.name for layer in model.layers if layer.name.startswith("hidden_")]
    found = nb.inspect.activations(model, x, names, training=True, step=0)
    return [[round(float(y.mean(dtype=float)), 3), round(float(y.var(dtype=float)), 3)] for y in found.values()]


def run(kind: str, seed: int, epochs: int, data: images.Images, depth: int = DEPTH) -> dict[str, Any]:
    """One network: moments before and after training, and its error on the test images in per cent."""
    nb.set_random_seed(seed)
    mean, std = data.x.mean(), data.x.std()
    x, x_test = (data.x - mean) / std, (data.x_test - mean) / std
    model = build(KINDS[kind], x.shape[1], depth)
    started = moments(model, x_test[:LOOKED_AT])
    began = time.perf_counter()
    model.fit(x, data.y, batch_size=BATCH, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - began
    error = 100 * (1 - model.evaluate(x_test, data.y_test, verbose=0)[1])
    trained = moments(model, x_test[:LOOKED_AT])
    return {"start": started, "trained": trained, "error": round(error, 2), "seconds": round(seconds, 1)}


def table(record: Record) -> str:
    """Moments of some layers, as means over seeds, in Markdown."""
    runs = record.runs()
    shown = [number for number in SHOWN if runs and number <= len(runs[0]["start"])]
    rows = []
    for (kind, epochs), of in grouped(runs, lambda one: (one["run"]["network"], one["run"]["epochs"])).items():
        error = mean([one["error"] for one in of], 1)
        rows.append([kind, "0", str(len(of)), "", *_moments(of, "start", shown)])
        rows.append([kind, str(epochs), str(len(of)), error, *_moments(of, "trained", shown)])
    head = ["", "epochs", "seeds", "test error, %", *(f"layer {number}" for number in shown)]
    return "Mean; variance of the activations.\n\n" + markdown(head, rows)


def _moments(runs: Sequence[dict[str, Any]], when: str, shown: Sequence[int]) -> list[str]:
    means = np.mean([found[when] for found in runs], 0)
    return [f"{means[number - 1, 0]:.2f}; {means[number - 1, 1]:.2f}" for number in shown]


def plot(record: Record) -> Any:
    """A matplotlib figure (the extra ``plot``) of the moments of all layers."""
    figure = plotting.figure(10, 4)
    axes = figure.subplots(1, 2)
    for found in record.runs():
        colour = f"C{list(KINDS).index(found['run']['network'])}"
        for when, style in (("start", "-"), ("trained", ":")):
            values = np.array(found[when])
            for axis, column in zip(axes, values.T, strict=True):
                label = f"{found['run']['network']}, {when}" if found["run"]["seed"] == 0 else None
                axis.plot(range(1, len(column) + 1), column, style, color=colour, label=label)
    for axis, name in zip(axes, ("mean", "variance"), strict=True):
        axis.set(xlabel="layer", title=name)
    axes[1].set_yscale("log")
    axes[1].legend()
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the runs that are missing; see ``--help``."""
    parser = script.parser(NAME, __doc__, SEEDS)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of each training ({EPOCHS})")
    parser.add_argument("--depth", type=int, default=DEPTH, help=f"hidden layers ({DEPTH})")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="where to draw all moments")
    options = parser.parse_args(arguments)
    data = images.load(options.data)

    def perform(wanted: script.Run, place: Path) -> dict[str, Any]:
        return run(wanted["network"], wanted["seed"], wanted["epochs"], data, wanted["depth"])

    runs = [
        {"network": kind, "seed": seed, "epochs": options.epochs, "depth": options.depth}
        for seed in range(options.seeds)
        for kind in KINDS
    ]
    script.work(options, runs, perform)
    record = Record(options.results)
    print(table(record))
    if options.plot is not None:
        plot(record).savefig(options.plot)


if __name__ == "__main__":
    main()
