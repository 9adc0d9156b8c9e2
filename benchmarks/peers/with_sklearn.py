"""scikit-learn's MLPClassifier: no dropout, and one logistic unit where there are two classes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from benchmarks.peers.exercise import Array, Exercise, Network
from benchmarks.peers.threads import choices, named


def settings(network: Network) -> dict[str, dict[str, Any]]:
    """On all threads of BLAS, as it does by itself, and on one."""
    return {named(threads): {"threads": threads} for threads in reversed(choices())}


class SklearnLearner:
    """An estimator that starts warm, from the weights it is given."""

    def __init__(self, exercise: Exercise, threads: int | None = None) -> None:
        threadpool_limits(threads or choices()[-1], user_api="blas")
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.exercise = exercise
        self.reset()

    def reset(self) -> None:
        exercise, network = self.exercise, self.exercise.network
        self.model = MLPClassifier(
            network.sizes[1:-1],
            # In scikit-learn the penalty is divided by the rows of the batch.
            alpha=network.penalty * network.batch_size,
            batch_size=network.batch_size,
            learning_rate_init=network.learning_rate,
            beta_1=network.betas[0],
            beta_2=network.betas[1],
            epsilon=network.epsilon,
            shuffle=network.shuffle,
            tol=0.0,
            random_state=0,
        )
        few = min(len(exercise.x), network.batch_size)
        self.model.partial_fit(exercise.x[:few], exercise.y[:few], classes=np.arange(network.sizes[-1]))
        kernels, biases = exercise.weights[::2], exercise.weights[1::2]
        if network.sizes[-1] == 2:
            # One logistic unit stands for two of a softmax: its input is the difference of theirs.
            kernels, biases = ([*last[:-1], last[-1][..., 1:] - last[-1][..., :1]] for last in (kernels, biases))
        self.model.coefs_ = [w.copy() for w in kernels]
        self.model.intercepts_ = [b.copy() for b in biases]
        del self.model._optimizer
        self.model.set_params(warm_start=True)

    def train(self, epochs: int) -> list[float]:
        self.model.set_params(max_iter=epochs, n_iter_no_change=epochs + 1)
        self.model.fit(self.exercise.x, self.exercise.y)
        return [float(loss) for loss in self.model.loss_curve_[-epochs:]]

    def predictors(self, rows: int) -> dict[str, Callable[[Array], Any]]:
        return {"predict_proba": self.model.predict_proba}


def search(exercise: Exercise, grid: Mapping[str, Sequence[Any]], folds: int, epochs: int) -> float:
    """The best score that is found by as many processes as there are processors."""
    network = MLPClassifier(max_iter=epochs, tol=0.0, n_iter_no_change=epochs, random_state=0)
    found = GridSearchCV(network, dict(grid), cv=folds, n_jobs=choices()[-1]).fit(exercise.x, exercise.y)
    return float(found.best_score_)


start = SklearnLearner
