"""Models in several threads, and training that is interrupted."""

from __future__ import annotations

import _thread
import io
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import Dense, Dropout
from nbnet.train import step_builder
from tests.slicing import always_cut

rng = np.random.default_rng(5)
X = rng.normal(size=(400, 6)).astype("float32")
LABELS = rng.integers(0, 3, 400)


def network(seed=0, optimizer="adam", width=24):
    nb.set_random_seed(seed)
    layers = [nb.Input((6,)), Dense(width, "relu"), Dropout(0.3), Dense(3, "softmax")]
    model = nb.Sequential(layers)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def together(count, work):
    """``work(i)`` in so many threads that start at once."""
    start = threading.Barrier(count)

    def run(i):
        start.wait()
        return work(i)

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(run, i) for i in range(count)]]


@pytest.mark.parametrize("slices", [1, 2])
def test_predictions_from_several_threads(slices, monkeypatch):
    always_cut(monkeypatch)
    monkeypatch.setattr(step_builder, "processors", lambda: slices)
    model = network()
    parts = [X[i * 20 : i * 20 + 20 + i] for i in range(8)]
    expected = [model.predict(part, verbose=0) for part in parts]

    def work(i):
        return all(np.array_equal(model.predict(parts[i], verbose=0), expected[i]) for _ in range(50))

    assert all(together(8, work))


def test_two_models_are_trained_at_once():
    """Each becomes what it becomes alone."""
    alone = [network(seed) for seed in (1, 2)]
    for model in alone:
        model.fit(X, LABELS, epochs=15, shuffle=False, validation_split=0.1, verbose=0)
    models = [network(seed) for seed in (1, 2)]
    together(2, lambda i: models[i].fit(X, LABELS, epochs=15, shuffle=False, validation_split=0.1, verbose=0))
    for model, expected in zip(models, alone, strict=True):
        assert equal(model.get_weights(), expected.get_weights())


def test_models_are_made_and_trained_in_many_threads():
    def work(seed):
        layers = [
            nb.Input((6,)),
            Dense(8, "tanh", kernel_initializer=nb.initializers.GlorotUniform(seed=seed)),
            Dense(1),
        ]
        model = nb.Sequential(layers)
        model.set_weights([w if w.ndim == 1 else np.full(w.shape, 0.1) for w in model.get_weights()])
        model.compile(nb.optimizers.SGD(0.05), "mse")
        model.fit(X, X[:, :1], epochs=5, shuffle=False, verbose=0)
        return model.get_weights()

    trained = together(6, work)
    for weights in trained[1:]:
        assert equal(weights, trained[0])


def test_predictions_while_the_same_model_is_trained():
    """The first fit moves the parameters to other memory: programs of other threads neither crash nor go stale."""
    for seed in range(5):
        model, stop = network(seed), threading.Event()

        def predict(model=model, stop=stop):
            found = []
            while not stop.is_set() or not found:
                found.append(np.isfinite(model.predict(X[:50], verbose=0)).all())
            return found, model.predict(X, verbose=0)

        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(predict) for _ in range(2)]
            model.fit(X, LABELS, epochs=10, verbose=0)
            stop.set()
            results = [future.result() for future in futures]
        expected = model.predict(X, verbose=0)
        for found, last in results:
            assert all(found)
            np.testing.assert_array_equal(last, expected)


def test_a_model_is_built_once():
    for _ in range(20):
        model = nb.Sequential([Dense(8, "relu"), Dense(3)])
        outputs = together(4, lambda i, model=model: model.predict(X[:10], verbose=0))
        assert [w.shape for w in model.get_weights()] == [(6, 8), (8,), (8, 3), (3,)]
        for y in outputs:
            np.testing.assert_array_equal(y, outputs[0])


class Gate(io.StringIO):
    """A stream that blocks writers until the gate opens."""

    def __init__(self):
        super().__init__()
        self.reached, self.opened = threading.Event(), threading.Event()

    def write(self, text):
        self.reached.set()
        assert self.opened.wait(30)
        return super().write(text)


def test_one_model_is_trained_by_one_thread(monkeypatch):
    model, plain, gate = network(), network(), Gate()
    plain.fit(X, LABELS, epochs=2, shuffle=False, verbose=0)
    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", gate)
        training = pool.submit(model.fit, X, LABELS, epochs=2, shuffle=False, verbose=2)
        assert gate.reached.wait(30)  # one epoch is done, and its line is about to be printed
        try:
            with pytest.raises(RuntimeError, match="is being trained in another thread"):
                model.fit(X, LABELS, verbose=0)
            with pytest.raises(RuntimeError, match="is being trained in another thread"):
                model.train_on_batch(X, LABELS)
            # Everything else may be done meanwhile.
            assert model.evaluate(X, LABELS, verbose=0)[0] > 0
            assert np.isfinite(model.predict(X, verbose=0)).all()
        finally:
            gate.opened.set()
        training.result(30)
    assert equal(model.get_weights(), plain.get_weights())
    model.fit(X, LABELS, verbose=0)


def test_a_training_that_fails_frees_the_model(monkeypatch):
    class Broken(io.StringIO):
        def write(self, text):
            raise OSError("no space left")

    model = network()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Broken())
        with pytest.raises(OSError, match="no space left"):
            model.fit(X, LABELS, verbose=2)
    model.fit(X, LABELS, verbose=0)


def test_an_interrupted_training_leaves_a_usable_model(request):
    """Ctrl-C answers soon, in the middle of an epoch too."""
    # A process started in the background of a shell ignores SIGINT.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, previous))
    model = network(width=64)
    model.fit(X, LABELS, verbose=0)
    before, iterations = model.get_weights(), model.optimizer.iterations
    many = np.tile(X, (500, 1)), np.tile(LABELS, 500)
    timer = threading.Timer(0.4, _thread.interrupt_main)
    timer.start()
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*many, epochs=100, shuffle=False, verbose=0)
    assert time.perf_counter() - began < 5
    after = model.get_weights()
    assert not equal(before, after)
    assert all(np.isfinite(w).all() for w in after)
    assert model.optimizer.iterations > iterations
    np.testing.assert_allclose(model.predict(X, verbose=0), model(X).numpy(), rtol=1e-5, atol=1e-6)
    assert equal(after, model.get_weights())
    history = model.fit(X, LABELS, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert model.train_on_batch(X, LABELS)[0] > 0
