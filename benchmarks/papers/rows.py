"""Tables with a network in each row: several seeds of each are trained and tested on MNIST."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbnet as nb
from benchmarks.harness.record import Record
from benchmarks.harness.table import markdown
from benchmarks.papers import images, script, tables
from benchmarks.papers.script import RESULTS
from benchmarks.papers.training import Recipe, train


@dataclass(frozen=True)
class Row:
    """A network.

    Parameters
    ----------
    network
        In words.
    build
        Makes it.
    recipe
        Trains it.
    published
        The paper's test error in per cent.
    """

    network: str
    build: Callable[[], nb.Sequential]
    recipe: Recipe
    published: str


def run(
    name: str,
    doc: str | None,
    rows: Mapping[str, Row],
    seeds: int,
    arguments: Sequence[str] | None,
    wanted: Sequence[str] | None = None,
) -> None:
    """Do the runs of a script that are missing: rows with the first seed, then with the next.

    Parameters
    ----------
    name, doc
        Of the script.
    seeds
        Of each row by default.
    arguments
        Of the command line.
    wanted
        Rows by default; None for all.
    """
    parser = script.parser(name, doc, seeds)
    parser.add_argument("--rows", nargs="+", choices=rows, default=list(wanted or rows))
    parser.add_argument("--epochs", type=int, help="of all rows (default: of each its own)")
    parser.add_argument("--held-out", action="store_true", help="test on the last 10,000 training images instead")
    options = parser.parse_args(arguments)
    if options.held_out and options.results == RESULTS / f"{name}.jsonl":
        parser.error("--held-out: expected another file in --results")
    data = images.load(options.data)
    if options.held_out:
        data = data.held_out()

    def perform(run: script.Run, place: Path) -> dict[str, Any]:
        row = rows[run["row"]]
        return train(row.build, replace(row.recipe, epochs=run["epochs"]), data, run["seed"], place)

    runs = [
        {"row": row, "seed": seed, "epochs": options.epochs or rows[row].recipe.epochs, "images": len(data.x)}
        for seed in range(options.seeds)
        for row in options.rows
    ]
    script.work(options, runs, perform)


def table(record: Record, rows: Mapping[str, Row]) -> str:
    """Test errors after the last epoch, beside the paper's."""
    groups = tables.grouped(record.runs(), lambda found: (found["run"]["row"], found["run"]["epochs"]))
    lines = [
        [
            name,
            row.network,
            row.published,
            tables.errors(group),
            str(len(group)),
            tables.minutes(group),
            tables.recipe(group),
        ]
        for name, row in rows.items()
        for (mine, _), group in sorted(groups.items())
        if mine == name
    ]
    return markdown(["", "network", "paper", "test error, %", "seeds", "minutes", "training"], lines)
