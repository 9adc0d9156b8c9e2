"""Time many small trainings: ``python -m benchmarks.search``.

First ``nbnet.fit_many`` against the same fits one by one, for nets of several sizes. Then a grid search with five
folds over 24 settings of a classifier of digits: ``MultiFitSearchCV`` against ``GridSearchCV(n_jobs=2)`` around
scikit-learn's own MLP, at equal settings and equal numbers of epochs, and around nbnet's. All take turns.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as ScikitMLP

import nbnet as nb
from benchmarks.harness import machine, turns
from benchmarks.harness.table import aligned, spread
from nbnet.base.cpu import processors
from nbnet.estimators import MLPClassifier, MultiFitSearchCV

NOTES = """\
ms, s: medians over the rounds [smallest - largest]. ratio: of the time of the first row in the group, round by round.
step: microseconds of a step, fits one by one. score: the best mean accuracy that the search found."""

Array = NDArray[Any]


class Nets(NamedTuple):
    """Trainings that differ in their seeds."""

    name: str
    sizes: tuple[int, ...]
    rows: int
    batch_size: int
    epochs: int
    models: int

    @property
    def steps(self) -> int:
        """Of all of them."""
        return -(-self.rows // self.batch_size) * self.epochs * self.models


NETS = (
    Nets("tiny", (2, 16, 16, 2), 500, 16, 100, 24),
    Nets("narrow", (64, 32, 10), 1797, 32, 20, 24),
    Nets("digits", (64, 128, 64, 10), 1797, 32, 20, 24),
    Nets("tabular", (54, 256, 256, 7), 4096, 128, 3, 8),
)
SETTINGS: Mapping[str, Sequence[Any]] = {
    "hidden_layer_sizes": [(64,), (64, 32)],
    "batch_size": [32, 200],
    "alpha": [1e-5, 1e-4, 1e-3],
    "learning_rate_init": [1e-3, 3e-3],
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description="Time many small trainings.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed (5)")
    parser.add_argument("--epochs", type=int, default=100, help="of each fit in the search (100)")
    parser.add_argument("--quick", action="store_true", help="one round of little work: no measurement")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.epochs) < 1:
        parser.error("--rounds and --epochs: expected numbers above 0")
    print("\n".join(machine.lines(machine.describe())), end="\n\n", flush=True)
    for nets in NETS:
        if options.quick:
            nets = nets._replace(rows=100, epochs=2, models=4)
        print(
            trainings_table(nets, time_trainings(nets, 1 if options.quick else options.rounds)), end="\n\n", flush=True
        )
    settings = {name: values[:1] for name, values in SETTINGS.items()} if options.quick else SETTINGS
    rounds, epochs, n_jobs = (1, 2, 1) if options.quick else (options.rounds, options.epochs, 2)
    print(searches_table(*time_searches(settings, rounds, epochs, n_jobs)), end="\n\n", flush=True)
    print(NOTES)


def time_trainings(nets: Nets, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of all fits, one by one and together, for each round.

    Raises
    ------
    RuntimeError
        If they do not end with the same losses.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((nets.rows, nets.sizes[0]), dtype=np.float32)
    y = rng.integers(0, nets.sizes[-1], nets.rows)
    options: dict[str, Any] = {"batch_size": nets.batch_size, "epochs": nets.epochs, "verbose": 0}

    def one_by_one(models: list[nb.Sequential]) -> None:
        for model in models:
            model.fit(x, y, **options)

    ways: dict[str, Callable[[list[nb.Sequential]], Any]] = {
        "one by one": one_by_one,
        "fit_many": lambda models: nb.fit_many(models, x, y, **options),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):
        losses = []
        for name, way in ways.items():
            models = build(nets)
            elapsed = turns.seconds(partial(way, models))
            losses.append([model.history.history["loss"][-1] for model in models])
            if number >= 0:
                times[name].append(elapsed * 1e3)
        # One by one, a large net has a slice for each processor, and other rounding.
        if not np.allclose(losses[0], losses[1], rtol=1e-2):
            raise RuntimeError(f"{nets.name}: the fits have ended with different losses")
    return times


def build(nets: Nets) -> list[nb.Sequential]:
    """Compiled models, the same each time."""
    nb.set_random_seed(0)
    models = []
    for _ in range(nets.models):
        hidden = [nb.layers.Dense(units, "relu") for units in nets.sizes[1:-1]]
        models.append(nb.Sequential([nb.Input((nets.sizes[0],)), *hidden, nb.layers.Dense(nets.sizes[-1], "softmax")]))
        models[-1].compile("adam", "sparse_categorical_crossentropy")
    return models


def time_searches(
    settings: Mapping[str, Sequence[Any]], rounds: int, epochs: int, n_jobs: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of each search for each round, and the best score that it found."""
    x, y = load_digits(return_X_y=True)
    x = x / 16
    how: dict[str, Any] = {"max_iter": epochs, "tol": 0.0, "n_iter_no_change": epochs, "random_state": 0}
    searches = {
        f"scikit-learn, GridSearchCV(n_jobs={n_jobs})": GridSearchCV(ScikitMLP(**how), settings, cv=5, n_jobs=n_jobs),
        f"nbnet, GridSearchCV(n_jobs={n_jobs})": GridSearchCV(MLPClassifier(**how), settings, cv=5, n_jobs=n_jobs),
        "nbnet, MultiFitSearchCV": MultiFitSearchCV(MLPClassifier(**how), settings, cv=5),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Kernels come from the disk, and joblib's processes start; that does not count.
        for search in searches.values():
            GridSearchCV(search.estimator, {"alpha": [1e-4, 1e-3]}, cv=2, n_jobs=n_jobs).fit(x[:200], y[:200])
        times = turns.in_turn({name: partial(search.fit, x, y) for name, search in searches.items()}, rounds)
    return times, {name: float(search.best_score_) for name, search in searches.items()}


def trainings_table(nets: Nets, times: Mapping[str, Sequence[float]]) -> str:
    """Times, and how many of each fit into those one by one."""
    step = float(np.median(times["one by one"])) / nets.steps * 1e3
    rows = [[f"{nets.models} x {nets.name}, step {step:.1f}, {processors()} processors", "ms", "ratio"]]
    return aligned(rows + _rows(times))


def searches_table(times: Mapping[str, Sequence[float]], scores: Mapping[str, float]) -> str:
    """Times, and how many of each fit into scikit-learn's."""
    rows = [["search, 5 folds", "s", "ratio", "score"]]
    return aligned(rows + [[*row, f"{scores[row[0]]:.4f}"] for row in _rows(times)])


def _rows(times: Mapping[str, Sequence[float]]) -> list[list[str]]:
    first = next(iter(times.values()))
    return [[name, spread(found), spread(turns.ratios(first, found))] for name, found in times.items()]


if __name__ == "__main__":
    main()
