"""Threads that train, predict, change models and fork at once: results are those of one after the other."""

from __future__ import annotations

import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers

X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
Y = X[:, :1] - X[:, 1:2]


def make(seed: int, built: bool = True, slices: int | None = None) -> nb.Sequential:
    nb.set_random_seed(seed)
    front = [nb.Input((6,))] if built else []
    model = nb.Sequential([*front, layers.Dense(8, "relu"), layers.Dropout(0.3), layers.Dense(1)])
    model.compile("adam", "mse", slices=slices)
    return model


def fit(model: nb.Model, epochs: int = 3) -> list[np.ndarray]:
    model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0)
    return model.get_weights()


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


class Stepped(nb.Model):
    """Trained by a step in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.out = layers.Dropout(0.4), layers.Dense(1)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.drop(x, training=training))

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with nb.Tape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        return {"loss": loss}


def stepped(seed: int) -> nb.Model:
    nb.set_random_seed(seed)
    model = Stepped()
    model.compile("sgd", "mse")
    return model


KINDS: dict[str, Callable[[int], nb.Model]] = {
    "built": make,
    "not built": lambda seed: make(seed, built=False),
    "two slices": lambda seed: make(seed, slices=2),
    "a step in Python": stepped,
}


@pytest.mark.parametrize("kind", KINDS)
def test_fits_at_once_are_those_of_one_after_the_other(kind: str) -> None:
    count = 6
    alone = [[*fit(model), *fit(model)] for model in map(KINDS[kind], range(count))]
    models, gate = [KINDS[kind](seed) for seed in range(count)], threading.Barrier(count)

    def work(model: nb.Model) -> list[np.ndarray]:
        gate.wait(60)
        return [*fit(model), *fit(model)]

    with ThreadPoolExecutor(count) as pool:
        together = list(pool.map(work, models))
    assert all(equal(a, b) for a, b in zip(alone, together, strict=True))


def test_seeds_in_threads_are_their_own() -> None:
    count = 6
    alone = [fit(make(seed, built=seed % 2 == 0)) for seed in range(count)]
    gate = threading.Barrier(count)

    def work(seed: int) -> list[np.ndarray]:
        found = []
        for _ in range(4):
            gate.wait(60)
            found.append(fit(make(seed, built=seed % 2 == 0)))
        assert all(equal(one, found[0]) for one in found)
        return found[0]

    with ThreadPoolExecutor(count) as pool:
        together = list(pool.map(work, range(count)))
    assert all(equal(a, b) for a, b in zip(alone, together, strict=True))


def test_fit_many_and_one_after_the_other() -> None:
    alone = [fit(make(seed)) for seed in range(4)]
    models = [make(seed) for seed in range(4)]
    nb.fit_many(models, X, Y, batch_size=16, epochs=3, verbose=0, n_jobs=3)
    assert all(equal(a, model.get_weights()) for a, model in zip(alone, models, strict=True))


def test_predictions_while_the_model_is_trained() -> None:
    plain, model, stop = make(1), make(1), threading.Event()
    expected = fit(plain, 200)
    frozen = make(2)
    right = frozen.predict(X, verbose=0)

    def predict() -> int:
        calls = 0
        while not stop.is_set():
            assert np.isfinite(model.predict(X, verbose=0)).all()
            np.testing.assert_array_equal(frozen.predict(X, verbose=0), right)
            calls += 1
        return calls

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(predict) for _ in range(4)]
        try:
            found = fit(model, 200)
        finally:
            stop.set()
        assert all(one.result(60) > 0 for one in running)
    assert equal(found, expected)


# ---- changes while a model is trained ----


class Paused(nb.callbacks.Callback):
    """Holds a training after its first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = threading.Event(), threading.Event()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.reached.set()
        assert self.go_on.wait(60)


REFUSED: dict[str, Callable[[Any], Any]] = {
    "compile": lambda model: model.compile("sgd", "mae"),
    "optimizer": lambda model: setattr(model, "optimizer", nb.optimizers.SGD()),
    "add": lambda model: model.add(layers.Dense(2)),
    "pop": lambda model: model.pop(),
    "fit": lambda model: model.fit(X, Y, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "fit_many": lambda model: nb.fit_many([model], X, Y, verbose=0),
}


@pytest.mark.parametrize("change", REFUSED)
def test_changes_are_refused_while_a_model_is_trained(change: str) -> None:
    plain, model, paused = make(1), make(1), Paused()
    expected = fit(plain)
    optimizer = model.optimizer
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(model.fit, X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[paused])
        assert paused.reached.wait(60)
        try:
            with pytest.raises(RuntimeError, match="is being trained"):
                REFUSED[change](model)
        finally:
            paused.go_on.set()
        running.result(60)
    assert equal(model.get_weights(), expected)
    assert model.optimizer is optimizer
    assert len(model.layers) == 3
    REFUSED[change](model)


@pytest.mark.parametrize("change", ["compile", "optimizer", "add", "pop"])
def test_callbacks_do_not_change_what_is_trained(change: str) -> None:
    plain, model = make(1), make(1)
    expected, refused = fit(plain), list[int]()

    def act(epoch: int, logs: Any) -> None:
        with pytest.raises(RuntimeError, match="is being trained"):
            REFUSED[change](model)
        refused.append(epoch)

    model.fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[nb.callbacks.LambdaCallback(on_epoch_end=act)])
    assert refused == [0, 1, 2]
    assert equal(model.get_weights(), expected)


def test_changes_that_a_training_follows() -> None:
    """Weights, learning rate and the wish to stop; ``trainable`` counts from the next training on."""
    model, paused = make(1), Paused()
    zeros = [np.zeros_like(w) for w in model.get_weights()]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(model.fit, X, Y, batch_size=16, epochs=50, verbose=0, callbacks=[paused])
        assert paused.reached.wait(60)
        model.optimizer.learning_rate = 0.0
        model.set_weights(zeros)
        model.layers[0].trainable = False
        model.stop_training = True
        paused.go_on.set()
        history = running.result(60)
    assert len(history.epoch) == 1
    assert equal(model.get_weights(), zeros)
    assert len(model.trainable_weights) == 2
    with pytest.raises(ValueError, match="compile it again"):
        fit(model)
    model.compile("sgd", "mse")
    fit(model)


# ---- processes ----


def child(seed: int) -> list[np.ndarray]:
    return fit(make(seed))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_forks_while_other_threads_train() -> None:
    right, stop = child(7), threading.Event()
    expected = fit(make(1), 10)

    def train() -> int:
        rounds = 0
        while not stop.is_set():
            assert equal(fit(make(1), 10), expected)
            rounds += 1
        return rounds

    codes = []
    with ThreadPoolExecutor(3) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads
        running = [pool.submit(train) for _ in range(3)]
        try:
            for _ in range(5):
                process = os.fork()
                if process == 0:
                    code = 1
                    try:
                        code = 0 if equal(child(7), right) else 2
                    finally:
                        os._exit(code)
                codes.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        finally:
            stop.set()
        assert all(one.result(60) > 0 for one in running)
    assert codes == [0] * 5


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pools_of_processes(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    right = [child(seed) for seed in range(4)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map(child, range(4))
    assert all(equal(a, b) for a, b in zip(right, found, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib(backend: str) -> None:
    joblib = pytest.importorskip("joblib")
    right = [child(seed) for seed in range(4)]
    found = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(child)(seed) for seed in range(4))
    assert all(equal(a, b) for a, b in zip(right, found, strict=True))


@pytest.mark.slow
def test_eight_threads_with_fifty_fits_each() -> None:
    alone = [[fit(make(100 * k + i, built=i % 2 == 0)) for i in range(50)] for k in range(8)]

    def work(k: int) -> list[list[np.ndarray]]:
        return [fit(make(100 * k + i, built=i % 2 == 0)) for i in range(50)]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(work, range(8)))
    for a, b in zip(alone, together, strict=True):
        assert all(equal(one, other) for one, other in zip(a, b, strict=True))
