"""nbnet as its README uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import nbnet as nb
from benchmarks.peers.exercise import Array, Exercise, Network


def settings(network: Network) -> dict[str, dict[str, Any]]:
    """One: it chooses threads itself."""
    return {"fit": {}}


class NbnetLearner:
    """A ``Sequential`` model."""

    def __init__(self, exercise: Exercise) -> None:
        self.exercise = exercise
        network = exercise.network
        nb.config.set_floatx(network.dtype)
        nb.set_random_seed(0)
        layers: list[Any] = [nb.Input((network.sizes[0],))]
        last = len(network.sizes) - 2
        regularizer = nb.regularizers.L2(network.penalty / 2) if network.penalty else None
        for i, (rate, units) in enumerate(zip(network.rates(), network.sizes[1:], strict=True)):
            if rate:
                layers.append(nb.layers.Dropout(rate, batchwise=network.batchwise))
            layers.append(nb.layers.Dense(units, "softmax" if i == last else "relu", kernel_regularizer=regularizer))
        self.model = nb.Sequential(layers)
        self.optimizer = nb.optimizers.Adam(network.learning_rate, *network.betas, epsilon=network.epsilon)
        self.model.compile(self.optimizer, "sparse_categorical_crossentropy")
        self.model.set_weights(exercise.weights)

    def reset(self) -> None:
        self.model.set_weights(self.exercise.weights)
        self.optimizer.set_state({name: np.zeros_like(values) for name, values in self.optimizer.state.items()})

    def train(self, epochs: int) -> list[float]:
        exercise, network = self.exercise, self.exercise.network
        history = self.model.fit(
            exercise.x, exercise.y, network.batch_size, epochs, verbose=0, shuffle=network.shuffle
        ).history
        return list(map(float, history["loss"]))

    def predictors(self, rows: int) -> dict[str, Callable[[Array], Any]]:
        return {"predictor": self.model.predictor(rows), "predict": self.model.predict}


def dropout(shape: tuple[int, int], rate: float) -> dict[str, Callable[[], Any]]:
    """Forward and backward of a layer: on the tape, and as the program that training has in it."""
    # Not at the top: nobody else imports them to train a network.
    from nbnet.engine.graph.autodiff import differentiate
    from nbnet.engine.graph.tape import Trace
    from nbnet.engine.graph.tensor import Tensor
    from nbnet.engine.runtime.program import Linked, lower

    layer = nb.layers.Dropout(rate, seed=0)
    x, dy = nb.Parameter(np.ones(shape, np.float32)), np.ones(shape, np.float32)

    def eager() -> None:
        x.grad = None
        layer(x, training=True).backward(dy)

    with Trace() as trace:
        y = layer(x, training=True)
    backward, gradients = differentiate(trace.nodes, {y: Tensor(shape, x.dtype, dy)}, [x])
    calls = [*(node.call() for node in trace.nodes), *backward]
    linked = Linked(lower([[calls]], [0], x.dtype, keep=(y, gradients[x])))
    return {"tape": eager, "program": lambda: linked.run(1, 0)}


def adam(shapes: Sequence[tuple[int, ...]]) -> dict[str, Callable[[], Any]]:
    """An update of parameters of these shapes: with gradients that are handed over, and as training has it."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
    parameters = [nb.Parameter(array, name=f"p{i}") for i, array in enumerate(arrays)]
    optimizer = nb.optimizers.Adam()
    optimizer.apply(arrays, parameters)
    linked, _ = optimizer._program(optimizer.build_for(parameters))
    return {"apply": lambda: optimizer.apply(arrays), "program": lambda: linked.run(1, 1)}


def search(exercise: Exercise, grid: Mapping[str, Sequence[Any]], folds: int, epochs: int) -> float:
    """The best score that is found by fits side by side."""
    from nbnet.estimators import MLPClassifier, MultiFitSearchCV

    network = MLPClassifier(max_iter=epochs, tol=0.0, n_iter_no_change=epochs, random_state=0)
    return float(MultiFitSearchCV(network, dict(grid), cv=folds).fit(exercise.x, exercise.y).best_score_)


start = NbnetLearner
