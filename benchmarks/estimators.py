"""Compare nbnet's estimators to scikit-learn's network: ``python -m benchmarks.estimators``."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import machine
from benchmarks.harness.estimator_trials import (
    DATA,
    DROPOUT,
    FITS,
    HELD_OUT,
    OURS,
    RATES,
    THEIRS,
    THEIRS_ALONE,
    Data,
    Fit,
    Timed,
    accuracies,
    time_fits,
    time_imports,
)
from benchmarks.harness.table import aligned, between_markers, spread
from benchmarks.harness.turns import ratios

NOTES = """\
ms, seconds, ratios: medians over the rounds [smallest - largest]; a ratio is taken within a round. All take turns.
fit: MLPClassifier.fit of either library, from float32 arrays to a fitted estimator, with the same random_state: equal
weights to begin with, equal batches, equal numbers of epochs. auto: batches of 200. one BLAS thread: scikit-learn held
to one, which is the faster way for small products.
accuracy: means over the seeds +- standard errors, on rows held out. equal: the means are no farther apart than one
standard error of their difference. better: they are, on the good side.
import: whole processes, from start to exit; Python's own .pyc files exist."""

#: Markers around the tables in a README.
BEGIN, END = "<!-- estimators:begin -->", "<!-- estimators:end -->"
PARTS = ("fits", "accuracy", "imports")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__.partition(":")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=str(PARTS))
    parser.add_argument("--sets", nargs="+", choices=DATA, default=list(DATA), metavar="SET", help=str(tuple(DATA)))
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where MNIST is (default: NBNET_DATA)")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed (7)")
    parser.add_argument("--seeds", type=int, default=10, help="fits of each whose accuracies are compared (10)")
    parser.add_argument("--quick", action="store_true", help="few rounds of little work: no measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there, too")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="write the tables between their markers")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seeds < 2:
        parser.error("--rounds, --seeds: expected numbers above 0 and above 1")
    if options.data is None and not os.environ.get("NBNET_DATA"):
        options.sets = [name for name in options.sets if name != "mnist"]
        print("mnist is left out: name its folder with --data or in NBNET_DATA")
    if options.quick:
        options.rounds, options.seeds = 1, 2

    described = machine.describe("scikit-learn", "scipy")
    print("\n".join(machine.lines(described)), end="\n\n", flush=True)
    tables, found = measure(options)
    print("\n" + NOTES)
    if options.json:
        options.json.write_text(json.dumps({"machine": described, **found}, indent=1) + "\n")
    if options.readme:
        block = "\n\n".join(["\n".join(machine.lines(described)), *tables])
        text = between_markers(options.readme.read_text(), f"```text\n{block}\n```", BEGIN, END)
        options.readme.write_text(text)


def measure(options: argparse.Namespace) -> tuple[list[str], dict[str, Any]]:
    """The tables, and every number in them."""
    data = {name: few(DATA[name](options.data), options.quick) for name in options.sets}
    fits, held = ([brief(fit, options.quick) for fit in chosen if fit.data in data] for chosen in (FITS, HELD_OUT))
    tables: list[str] = []
    found: dict[str, Any] = {}

    def add(name: str, table: str, numbers: Any) -> None:
        tables.append(table)
        found[name] = numbers
        print(table, end="\n\n", flush=True)

    if "fits" in options.parts:
        timed = []
        for fit in fits:
            timed.append(time_fits(fit, data[fit.data], options.rounds))
            print(f"{label(fit)}: {timed[-1].factor:.1f} times as fast", flush=True)
        print()
        add("fits", fit_table(timed), [one._asdict() for one in timed])
    if "accuracy" in options.parts:
        scores = []
        for fit in held:
            scores.append((fit, accuracies(fit, data[fit.data], range(options.seeds))))
            print(f"{label(fit)}: {verdict(scores[-1][1][OURS], scores[-1][1][THEIRS])} accuracy", flush=True)
        print()
        add("accuracy", accuracy_table(scores), scores)
    if "imports" in options.parts:
        seconds = time_imports(options.rounds)
        add("imports", import_table(seconds), seconds)
    return tables, found


def few(data: Data, quick: bool) -> Data:
    """The last rows, if there is to be little work."""
    return Data(data.x[-500:], data.y[-500:], 100) if quick else data


def brief(fit: Fit, quick: bool) -> Fit:
    """The same settings for two epochs, if there is to be little work."""
    return fit._replace(epochs=2) if quick else fit


def label(fit: Fit) -> str:
    """Data, hidden layers, batch, epochs."""
    units = "-".join(map(str, fit.hidden))
    return f"{fit.data}, {units}, {fit.batch_size}, {fit.epochs} epoch{'s' * (fit.epochs > 1)}"


def fit_table(timed: Sequence[Timed]) -> str:
    """Times of fits, and the others' over nbnet's."""
    others = (THEIRS, THEIRS_ALONE)
    rows = [["fit: hidden, batch", "rows", "nbnet ms", *(f"{name} ms" for name in others)]]
    rows[0] += [f"{name} / nbnet" for name in others]
    for one in timed:
        times = [spread([1e3 * t for t in one.seconds[name]]) for name in (OURS, *others)]
        factors = [spread(one.ratios(name)) for name in others]
        rows.append([label(one.fit), str(one.rows), *times, *factors])
    return aligned(rows)


def accuracy_table(scores: Sequence[tuple[Fit, Mapping[str, Sequence[float]]]]) -> str:
    """Accuracies of each learner, and how they compare to scikit-learn's."""
    rows = [["accuracy: hidden, batch", "learner", "held out", "to scikit-learn"]]
    for fit, found in scores:
        for name, values in found.items():
            rates = f" {RATES[fit.data][0]}, {RATES[fit.data][1]}" if name == DROPOUT else ""
            mean = f"{np.mean(values):.4f} +- {standard_error(values):.4f}"
            rows.append([label(fit), name + rates, mean, "" if name == THEIRS else verdict(values, found[THEIRS])])
    return aligned(rows)


def verdict(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return ``better`` or ``worse`` if means differ by more than a standard error of the difference, else ``equal``.

    Examples
    --------
    >>> verdict([0.90, 0.92], [0.91, 0.93]), verdict([0.90, 0.92], [0.94, 0.96])
    ('equal', 'worse')
    """
    difference = float(np.mean(ours)) - float(np.mean(theirs))
    if abs(difference) <= np.hypot(standard_error(ours), standard_error(theirs)):
        return "equal"
    return "better" if difference > 0 else "worse"


def standard_error(values: Sequence[float]) -> float:
    """Standard error of the mean."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def import_table(seconds: Mapping[str, Sequence[float]]) -> str:
    """Time of each import, and over that of scikit-learn's network."""
    base = seconds["scikit-learn's MLP"]
    rows = [["import", "seconds", "/ scikit-learn's MLP"]]
    rows += [[name, spread(times), spread(ratios(times, base))] for name, times in seconds.items()]
    return aligned(rows)


if __name__ == "__main__":
    main()
