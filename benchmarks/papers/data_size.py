"""How much dropout helps with few and with many images.

N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: a simple way to prevent neural
networks from overfitting. JMLR 15 (2014), figure 10.

Random subsets of MNIST's training images, the same with dropout and without; the test images are all 10,000. Smaller
than there: hidden layers of 512, 512 and 1024 units where the paper has 1024, 1024 and 2048. A small subset is shown
more often; what is called an epoch here shows it as often as it takes to see 20,000 images. The paper's numbers exist
as a picture only; it says that dropout gives no improvement with 100 and 500 images, and that the gain first grows with
the size of the data and then declines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.record import Record
from benchmarks.harness.table import markdown
from benchmarks.papers import images, pictures, script, tables
from benchmarks.papers.networks import dense_network
from benchmarks.papers.training import Recipe, train


@dataclass(frozen=True)
class Size:
    """How many networks learn from a subset, and for how many epochs; those of few images differ more."""

    seeds: int
    epochs: int


SIZES = {
    100: Size(5, 10),
    500: Size(5, 10),
    1000: Size(5, 10),
    5000: Size(3, 40),
    10_000: Size(3, 60),
    50_000: Size(2, 60),
}
HIDDEN, RATES = (512, 512, 1024), {"none": (0.0, 0.0), "dropout": (0.2, 0.5)}
EPOCH, LEARNING_RATE = 20_000, 0.001
NAME, TITLE = "data_size", "Dropout with few and many images"


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the runs that are missing; see ``--help``."""
    parser = script.parser(NAME, __doc__, max(size.seeds for size in SIZES.values()))
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=list(SIZES))
    parser.add_argument("--epochs", type=int, help="of all sizes (default: of each its own)")
    options = parser.parse_args(arguments)
    data = images.load(options.data)

    def perform(run: script.Run, place: Path) -> dict[str, Any]:
        rates, size = RATES[run["row"]], run["images"]
        few = data.sample(size, run["seed"], max(1, EPOCH // size))
        return train(
            lambda: dense_network(HIDDEN, *rates), Recipe(run["epochs"], LEARNING_RATE), few, run["seed"], place
        )

    runs = [
        {"images": size, "row": row, "seed": seed, "epochs": options.epochs or SIZES[size].epochs}
        for seed in range(options.seeds)
        for size in options.sizes
        if seed < SIZES[size].seeds
        for row in RATES
    ]
    script.work(options, runs, perform)


def table(record: Record) -> str:
    """Test errors with dropout and without."""
    groups = _groups(record)
    lines = []
    for size in SIZES:
        if all((size, row) in groups for row in RATES):
            without, dropout = (groups[size, row] for row in RATES)
            gains = [
                tables.error(a) - tables.error(b)
                for a, b in zip(without, dropout, strict=False)
                if a["run"]["seed"] == b["run"]["seed"]
            ]
            cells = [tables.errors(without), tables.errors(dropout), tables.mean(gains), str(len(gains))]
            shown = without[0]["recipe"]["epochs"] * max(1, EPOCH // size)
            lines.append([f"{size:,}", *cells, f"{shown:,}", tables.minutes([*without, *dropout])])
    head = ["images", "error without dropout, %", "with dropout, %", "gain", "seeds", "each shown", "minutes"]
    return markdown(head, lines)


def plot(record: Record) -> Any:
    """The same as a figure."""
    groups = _groups(record)
    lines = {row: {size: group for (size, mine), group in groups.items() if mine == row} for row in RATES}
    return pictures.curves(lines, "images", logarithmic=True)


def _groups(record: Record) -> dict[Any, list[tables.Found]]:
    return tables.grouped(record.runs(), lambda found: (found["run"]["images"], found["run"]["row"]))


if __name__ == "__main__":
    main()
