"""The trials of ``python -m benchmarks.estimators``: fits, accuracies, imports; nbnet and scikit-learn take turns."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as ScikitMLP
from threadpoolctl import threadpool_limits

from benchmarks.harness import turns
from benchmarks.harness.workloads import WORKLOADS
from benchmarks.startup import run
from nbnet.datasets import mnist
from nbnet.estimators import MLPClassifier

Array = NDArray[Any]

OURS, THEIRS, THEIRS_ALONE, DROPOUT = "nbnet", "scikit-learn", "one BLAS thread", "nbnet, dropout"
#: How far the losses of the first epoch may be apart, relatively: weights and batches are the same, and what remains is
#: rounding. It grows: where a unit's input is within rounding of 0, one library clips it and the other does not.
LOSSES_APART = 0.01
#: Seconds after each turn: BLAS threads wait for more work, and take a processor, for some time after they had some.
PAUSE = 0.2


class Data(NamedTuple):
    """Rows in float32, in which both libraries then compute, and their labels; the last ones can be held out."""

    x: Array
    y: Array
    held: int


class Fit(NamedTuple):
    """Settings of a fit."""

    data: str
    hidden: tuple[int, ...]
    batch_size: int | str
    epochs: int

    def settings(self, seed: int) -> dict[str, Any]:
        """Parameters of either class. Nothing stops the fit before its last epoch."""
        return {
            "hidden_layer_sizes": self.hidden,
            "batch_size": self.batch_size,
            "max_iter": self.epochs,
            "tol": 0.0,
            "n_iter_no_change": self.epochs + 1,
            "random_state": seed,
        }


def digits(folder: Path | None) -> Data:
    """The digits that scikit-learn has, as bytes of 0 to 1, shuffled."""
    x, y = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))
    return Data((x[rows] / 16).astype(np.float32), y[rows], len(x) // 5)


def tabular(folder: Path | None) -> Data:
    """20,000 rows of 54 numbers."""
    return Data(*WORKLOADS["tabular"].make(), held=4000)


def images(folder: Path | None) -> Data:
    """MNIST; its 10,000 test images are the last."""
    parts = mnist.load_data(folder)
    x, y = (np.concatenate(both) for both in zip(*parts, strict=True))
    return Data(x.reshape(len(x), -1) / np.float32(255), y.astype(np.int64), len(parts[1][0]))


DATA: Mapping[str, Callable[[Path | None], Data]] = {"digits": digits, "tabular": tabular, "mnist": images}
FITS = (
    Fit("digits", (100,), 32, 20),
    Fit("digits", (128, 64), 32, 20),
    Fit("digits", (100,), "auto", 20),
    Fit("digits", (128, 64), "auto", 20),
    Fit("tabular", (100,), "auto", 3),
    Fit("tabular", (256, 256), 128, 2),
    Fit("mnist", (256, 128), 128, 1),
)
#: Trained on what is not held out.
HELD_OUT = (
    Fit("digits", (100,), 32, 50),
    Fit("tabular", (256, 256), 128, 5),
    Fit("mnist", (256, 128), 128, 10),
)
#: Rates of the input and of each hidden layer: the best of four on the last 10,000 training images.
RATES = {"mnist": (0.1, [0.1, 0.1])}
IMPORTS = {
    "import sklearn": "import sklearn",
    "scikit-learn's MLP": "from sklearn.neural_network import MLPClassifier",
    "import nbnet.estimators": "import nbnet.estimators",
    "import nbnet": "import nbnet",
}


class Timed(NamedTuple):
    """Seconds of each learner in each round, and its losses after the first epoch and the last in the last round."""

    fit: Fit
    rows: int
    seconds: dict[str, list[float]]
    losses: dict[str, tuple[float, float]]

    def ratios(self, name: str) -> list[float]:
        """A learner's time over nbnet's, for each round."""
        return turns.ratios(self.seconds[name], self.seconds[OURS])

    @property
    def factor(self) -> float:
        """How many times as fast as the faster of the others nbnet is."""
        return min(float(np.median(self.ratios(name))) for name in self.seconds if name != OURS)


def time_fits(fit: Fit, data: Data, rounds: int) -> Timed:
    """Fit networks with equal weights, batches and numbers of epochs on all rows, in turn.

    Raises
    ------
    RuntimeError
        If they do not learn the same.
    """
    seconds: dict[str, list[float]] = {name: [] for name in (OURS, THEIRS, THEIRS_ALONE)}
    losses: dict[str, tuple[float, float]] = {}
    for number in range(-1, rounds):  # the first one loads kernels and warms everything up
        # Now one comes first, then the other: who comes second finds a warm processor, or a throttled one.
        for name in list(seconds)[:: 1 if number % 2 else -1]:
            elapsed, net = _fit(name, fit, data.x, data.y, number + 1)
            losses[name] = float(net.loss_curve_[0]), float(net.loss_curve_[-1])
            if number >= 0:
                seconds[name].append(elapsed)
        if not np.allclose([first for first, _ in losses.values()], losses[THEIRS][0], rtol=LOSSES_APART):
            raise RuntimeError(f"{fit}: the networks have not learned the same: {losses}")
    return Timed(fit, len(data.y), seconds, losses)


def accuracies(fit: Fit, data: Data, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Of each learner on the rows held out, for each seed."""
    train, test = slice(None, -data.held), slice(-data.held, None)
    names = [OURS, THEIRS, *([DROPOUT] if fit.data in RATES else [])]
    found: dict[str, list[float]] = {name: [] for name in names}
    for seed in seeds:
        for name, scores in found.items():
            _, net = _fit(name, fit, data.x[train], data.y[train], seed)
            scores.append(float(net.score(data.x[test], data.y[test])))
    return found


def _fit(name: str, fit: Fit, x: Array, y: Array, seed: int) -> tuple[float, Any]:
    """The seconds that a fit took, and what was fitted."""
    settings = fit.settings(seed)
    if name == DROPOUT:
        settings["input_dropout"], settings["dropout"] = RATES[fit.data]
    net = (MLPClassifier if name in (OURS, DROPOUT) else ScikitMLP)(**settings)
    alone = threadpool_limits(1, user_api="blas") if name == THEIRS_ALONE else nullcontext()
    with alone, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        elapsed = turns.seconds(partial(net.fit, x, y))
    time.sleep(PAUSE)
    if net.n_iter_ != fit.epochs:
        raise RuntimeError(f"{name}: expected {fit.epochs} epochs, trained for {net.n_iter_}")
    return elapsed, net


def time_imports(rounds: int) -> dict[str, list[float]]:
    """Seconds that processes take that import something and nothing else, in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(-1, rounds):  # the first one writes .pyc files
            for name in list(IMPORTS)[:: 1 if number % 2 else -1]:
                elapsed = run(IMPORTS[name], folder, Path(folder, "cache"))
                if number >= 0:
                    seconds[name].append(elapsed)
    return seconds
