"""skorch: PyTorch's modules as estimators, its loop over a DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier

from benchmarks.peers.exercise import Array, Exercise, Network
from benchmarks.peers.threads import choices, named
from benchmarks.peers.with_torch import build, set_weights

LOOP: dict[str, Any] = {
    "criterion": torch.nn.CrossEntropyLoss,
    "optimizer": torch.optim.Adam,
    "train_split": None,
    "verbose": 0,
}


def settings(network: Network) -> dict[str, dict[str, Any]]:
    """On all threads, as it does by itself, and on one."""
    return {named(threads): {"threads": threads} for threads in reversed(choices())}


def classifier(network: Network) -> NeuralNetClassifier:
    """The estimator, silent and without a validation set."""
    return NeuralNetClassifier(
        build(network),
        optimizer__betas=network.betas,
        optimizer__eps=network.epsilon,
        optimizer__fused=True,
        optimizer__weight_decay=network.penalty,
        lr=network.learning_rate,
        batch_size=network.batch_size,
        iterator_train__shuffle=network.shuffle,
        **LOOP,
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

    def predictors(self, rows: int) -> dict[str, Callable[[Array], Any]]:
        return {"predict_proba": self.model.predict_proba}


class Perceptron(torch.nn.Sequential):
    """A network whose hidden layers are a parameter."""

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__(*build(Network((inputs, *hidden, outputs), 1)))


def search(exercise: Exercise, grid: Mapping[str, Sequence[Any]], folds: int, epochs: int) -> float:
    """The best score that is found by as many processes as there are processors."""
    sizes = exercise.network.sizes
    network = NeuralNetClassifier(
        Perceptron,
        module__inputs=sizes[0],
        module__outputs=sizes[-1],
        max_epochs=epochs,
        **LOOP,
        optimizer__fused=True,
        iterator_train__shuffle=True,
    )
    names = {
        "hidden_layer_sizes": "module__hidden",
        "alpha": "optimizer__weight_decay",
        "learning_rate_init": "lr",
        "batch_size": "batch_size",
    }
    named = {names[name]: values for name, values in grid.items()}
    # In scikit-learn it is divided by the rows of a batch; here it is the same for all batches, and for biases.
    named["optimizer__weight_decay"] = [alpha / max(grid["batch_size"]) for alpha in grid["alpha"]]
    found = GridSearchCV(network, named, cv=folds, n_jobs=choices()[-1], scoring="accuracy")
    return float(found.fit(exercise.x, exercise.y).best_score_)


start = SkorchLearner
