"""One mask a batch: what it costs in accuracy, at equal epochs and at equal time.

B. Graham, J. Reizenstein, L. Robinson: Efficient batchwise dropout training using submatrices. arXiv:1502.02478 (2015).

When all images of a batch drop the same units, a step multiplies smaller matrices. Networks 784-1024-1024-1024-10 that
drop a fifth of the pixels and half of the hidden units: a mask for each image, or one for each batch; on MNIST and on
Fashion-MNIST. At equal time, networks with one mask are trained for more epochs, as many as their faster steps allow,
which `benchmarks.batchwise` measures and `--ratio` says. Where zeros are multiplied, steps with one mask took 0.46 of
those with a mask an image: 26 epochs for 12. Where they are left out, which masks an image gain most from, it is 0.60:
20 epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbnet as nb
from benchmarks.harness.record import Record
from benchmarks.harness.table import markdown
from benchmarks.papers import images, script, tables
from benchmarks.papers.networks import dense_network
from benchmarks.papers.training import Recipe, train

DATA = ("mnist", "fashion_mnist")
HIDDEN, INPUT_RATE, HIDDEN_RATE = (1024, 1024, 1024), 0.2, 0.5
MASKS: dict[str, dict[str, Any]] = {
    "no dropout": {},
    "a mask an image": {},
    "one mask a batch": {"batchwise": True},
}
NONE, _, ONE = MASKS
EPOCHS, RATE, RATIO = 12, 0.001, 0.6
NAME, TITLE, SEEDS = "batchwise", "Batchwise dropout", 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the runs that are missing; see ``--help``."""
    parser = script.parser(NAME, __doc__, SEEDS)
    parser.add_argument("--sets", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--masks", nargs="+", choices=MASKS, default=list(MASKS))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument(
        "--ratio",
        type=float,
        default=RATIO,
        help=f"time of a step with one mask over one with ordinary masks ({RATIO})",
    )
    options = parser.parse_args(arguments)
    if not 0 < options.ratio <= 1:
        parser.error(f"--ratio: expected a number above 0 and up to 1, got {options.ratio}")
    longer = {ONE: round(options.epochs / options.ratio)}
    data = {name: images.load(options.data, name) for name in options.sets}

    def perform(run: script.Run, place: Path) -> dict[str, Any]:
        return train(lambda: build(run["masks"]), Recipe(run["epochs"], RATE), data[run["set"]], run["seed"], place)

    runs = [
        {"set": name, "masks": masks, "seed": seed, "epochs": epochs}
        for seed in range(options.seeds)
        for name in options.sets
        for masks in options.masks
        for epochs in sorted({options.epochs, longer.get(masks, options.epochs)})
    ]
    script.work(options, runs, perform)


def build(masks: str) -> nb.Sequential:
    """The network with dropout of a kind."""
    if masks == NONE:
        return dense_network(HIDDEN)
    return dense_network(HIDDEN, INPUT_RATE, HIDDEN_RATE, **MASKS[masks])


def table(record: Record) -> str:
    """Test errors at equal epochs, and of networks that were trained for longer."""
    key = ("set", "masks", "epochs")
    groups = tables.grouped(record.runs(), lambda found: tuple(found["run"][name] for name in key))
    lines = [
        [
            name,
            masks,
            str(epochs),
            tables.errors(group),
            str(len(group)),
            tables.minutes(group),
        ]
        for name in DATA
        for masks in MASKS
        for (*mine, epochs), group in sorted(groups.items())
        if mine == [name, masks]
    ]
    return markdown(["set", "masks", "epochs", "test error, %", "seeds", "minutes"], lines)


if __name__ == "__main__":
    main()
