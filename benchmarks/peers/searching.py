"""A search by hand, for libraries that bring none: a loop over settings, in it one over folds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np

from benchmarks.peers.exercise import Exercise, Network
from benchmarks.peers.libraries import Module

#: Values by parameter, as scikit-learn names them.
Grid = Mapping[str, Sequence[Any]]


def networks(exercise: Exercise, grid: Grid) -> Iterator[Network]:
    """That of each setting."""
    first, last = exercise.network.sizes[0], exercise.network.sizes[-1]
    for values in product(*grid.values()):
        named = dict(zip(grid, values, strict=True))
        yield replace(
            exercise.network,
            sizes=(first, *named["hidden_layer_sizes"], last),
            batch_size=named["batch_size"],
            learning_rate=named["learning_rate_init"],
            # In scikit-learn it is divided by the rows of a batch.
            penalty=named["alpha"] / named["batch_size"],
        )


def best(module: Module, setting: Mapping[str, Any], exercise: Exercise, grid: Grid, folds: int, epochs: int) -> float:
    """The best mean accuracy that a setting reached in cross-validation.

    Parameters
    ----------
    module, setting
        Of the library, and how to use it.
    exercise
        The data.
    folds
        Of equal size: the rows that are left over are left out.
    """
    rows = np.arange(len(exercise.x) // folds * folds)
    rng = np.random.default_rng(0)
    scores = []
    for network in networks(exercise, grid):
        right = []
        for fold in range(folds):
            held = rows % folds == fold
            x, y = exercise.x[rows], exercise.y[rows]
            learner = module.start(Exercise(network, x[~held], y[~held], drawn(network, rng)), **setting)
            learner.train(epochs)
            predict = next(iter(learner.predictors(len(held) - held.sum()).values()))
            right.append(np.mean(np.argmax(predict(x[held]), axis=1) == y[held]))
        scores.append(np.mean(right))
    return float(max(scores))


def drawn(network: Network, rng: np.random.Generator) -> list[Any]:
    """Initial weights: Glorot's, and biases of 0."""
    found = []
    for n, m in pairwise(network.sizes):
        limit = np.sqrt(6 / (n + m))
        found += [rng.uniform(-limit, limit, (n, m)).astype(network.dtype), np.zeros(m, network.dtype)]
    return found
