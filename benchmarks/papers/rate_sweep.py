"""How much to drop: MNIST with hidden units kept with probability 0.1 to 1.

N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: a simple way to prevent neural
networks from overfitting. JMLR 15 (2014), figure 9.

Three hidden layers, once of fixed width, and once so wide that the number of units kept is fixed: a layer that keeps a
tenth of its units has ten times as many. No dropout on the pixels. Smaller than there: widths of 512 where the paper
has 2048, and 128 units kept where it has 256 in two layers and 512 in the third; 20,000 of the 60,000 images. Weights
begin the smaller the more is dropped before them. The paper's numbers exist as a picture only; it says that the error
is flat from 0.4 to 0.8 at fixed width, and that with a tenth kept it falls from 2.7 to 1.7 % if the number of units
kept is held fixed instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness.record import Record
from benchmarks.harness.table import markdown
from benchmarks.papers import images, pictures, script, tables
from benchmarks.papers.networks import dense_network
from benchmarks.papers.training import Recipe, train

KEEPS = (0.1, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
LAYERS, WIDTH, KEPT = 3, 512, 128
IMAGES, RECIPE = 20_000, Recipe(30, 0.001)
KINDS = ("fixed width", "fixed number kept")
NAME, TITLE, SEEDS = "rate_sweep", "How much to drop", 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Do the runs that are missing; see ``--help``."""
    parser = script.parser(NAME, __doc__, SEEDS)
    parser.add_argument("--keeps", nargs="+", type=float, choices=KEEPS, default=list(KEEPS))
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    options = parser.parse_args(arguments)
    data = images.load(options.data)

    def perform(run: script.Run, place: Path) -> dict[str, Any]:
        few = data.sample(run["images"], run["seed"])
        hidden, rate = [run["units"]] * LAYERS, round(1 - run["keep"], 6)
        recipe = replace(RECIPE, epochs=run["epochs"])
        return train(lambda: dense_network(hidden, 0.0, rate, scaled=True), recipe, few, run["seed"], place)

    runs = [
        {"row": row, "keep": keep, "units": units(row, keep), "seed": seed, "epochs": options.epochs, "images": IMAGES}
        for seed in range(options.seeds)
        for keep in options.keeps
        for row in KINDS
    ]
    script.work(options, runs, perform)


def units(row: str, keep: float) -> int:
    """Of a hidden layer."""
    return WIDTH if row == KINDS[0] else round(KEPT / keep)


def table(record: Record) -> str:
    """Test errors for each probability to keep a unit."""
    groups = _groups(record)
    lines = []
    for keep in KEEPS:
        cells = [f"{keep:g}"]
        for row in KINDS:
            group = groups.get((row, keep), [])
            cells += [str(units(row, keep)), tables.errors(group), str(len(group))]
        lines.append(cells)
    head = ["kept"]
    for row in KINDS:
        head += [f"units, {row}", "test error, %", "seeds"]
    return markdown(head, lines)


def plot(record: Record) -> Any:
    """The same as a figure."""
    groups = _groups(record)
    lines = {row: {keep: group for (mine, keep), group in groups.items() if mine == row} for row in KINDS}
    return pictures.curves(lines, "probability to keep a unit")


def _groups(record: Record) -> dict[Any, list[tables.Found]]:
    return tables.grouped(record.runs(), lambda found: (found["run"]["row"], found["run"]["keep"]))


if __name__ == "__main__":
    main()
