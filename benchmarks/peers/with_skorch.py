"""skorch: PyTorch's modules as estimators, its loop over a DataLoader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from skorch import NeuralNetClassifier

from benchmarks.peers.exercise import Array, Exercise, Network
from benchmarks.peers.threads import choices
from benchmarks.peers.with_torch import build, set_weights


def settings(network: Network) -> dict[str, dict[str, Any]]:
    """On one thread and on all."""
    return {f"{threads} thread{'s' * (threads > 1)}": {"threads": threads} for threads in choices()}


def classifier(network: Network, **more: Any) -> NeuralNetClassifier:
    """The estimator, silent and without a validation set."""
    return NeuralNetClassifier(
        build(network),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__eps=network.epsilon,
        optimizer__fused=True,
        optimizer__weight_decay=network.penalty,
        lr=network.learning_rate,
        batch_size=network.batch_size,
        iterator_train__shuffle=network.shuffle,
        train_split=None,
        verbose=0,
        **more,
    )


class SkorchLearner:
    """A ``NeuralNetClassifier``."""

    def __init__(self, exercise: Exercise, threads: int | None = None) -> None:
        torch.set_num_threads(threads or choices()[-1])
        torch.manual_seed(0)
        self.exercise = exercise
        self.reset()

    def reset(self) -> None:
        self.model = classifier(self.exercise.network).initialize()
        set_weights(self.model.module_, self.exercise.weights)

    def train(self, epochs: int) -> list[float]:
        self.model.partial_fit(self.exercise.x, self.exercise.y, epochs=epochs)
        return [float(loss) for loss in self.model.history[-epochs:, "train_loss"]]

    def predictors(self) -> dict[str, Callable[[Array], Any]]:
        return {"predict_proba": self.model.predict_proba}


start = SkorchLearner
