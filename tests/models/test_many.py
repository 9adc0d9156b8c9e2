"""Many models trained at once become what they become one by one."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nbnet as nb
from nbnet.base.cpu import limited, processors
from nbnet.layers import BatchNormalization, Dense, Dropout
from nbnet.models import many
from nbnet.random import seed_scope
from nbnet.train.fit import training_lock
from tests.networks import equal

rng = np.random.default_rng(8)
X = rng.normal(size=(120, 6)).astype("float32")
LABELS = rng.integers(0, 3, 120)
SCCE = "sparse_categorical_crossentropy"


def network(width=8, rate=0.2, optimizer="adam", built=True):
    layers = [Dense(width, "relu"), BatchNormalization(), Dropout(rate), Dense(3, "softmax")]
    model = nb.Sequential([nb.Input((6,)), *layers] if built else layers)
    model.compile(optimizer, SCCE, metrics=["accuracy"])
    return model


def jobs():
    """Different in everything; the last two are built by their data."""
    fold = {"x": X[::2], "y": LABELS[::2], "validation_data": (X[1::2], LABELS[1::2])}
    return [
        network(),
        network(16, 0.5),
        {"model": network(optimizer=nb.optimizers.SGD(0.1, momentum=0.9)), "epochs": 9},
        {"model": network(64), "batch_size": 7, "validation_split": 0.25},
        {"model": network(rate=0.0), **fold},
        {"model": network(), "callbacks": [nb.callbacks.EarlyStopping("loss", patience=0)], "epochs": 50},
        {"model": network(built=False), "sample_weight": np.linspace(0, 2, 120)},
        network(5, built=False),
    ]


def one_by_one(given, x=None, y=None, **shared):
    histories = []
    with limited(1):
        for job in given:
            own = {"x": x, "y": y, **shared, **(job if isinstance(job, dict) else {"model": job})}
            histories.append(own.pop("model").fit(verbose=0, **own))
    return histories


def models(given):
    return [job["model"] if isinstance(job, dict) else job for job in given]


class Raising(nb.callbacks.Callback):
    def __init__(self, error=None, at=1):
        super().__init__()
        self.error, self.at = error, at

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.at:
            raise self.error or RuntimeError("no more")


# ---- results ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 3, -1])
def test_the_same_as_one_by_one(n_jobs):
    nb.set_random_seed(2)
    expected = jobs()
    wanted = one_by_one(expected, X, LABELS, epochs=6)
    nb.set_random_seed(2)
    given = jobs()
    histories = nb.fit_many(given, X, LABELS, epochs=6, n_jobs=n_jobs)
    for model, other, history, alone in zip(models(given), models(expected), histories, wanted, strict=True):
        assert model.history is history
        assert history.history == alone.history
        assert history.epoch == alone.epoch
        assert history.params == alone.params
        assert equal(model.get_weights(), other.get_weights())
        # They go on alike, too.
        model.fit(X, LABELS, verbose=0)
        assert model.optimizer.iterations == other.optimizer.iterations + 4


def test_jobs_may_be_any_iterable_and_none():
    assert nb.fit_many([]) == []
    assert nb.fit_many((), verbose=2) == []
    made = nb.fit_many((network(width) for width in (2, 3)), x=X, y=LABELS)
    assert [len(history.epoch) for history in made] == [1, 1]


def test_a_large_model_alone_has_all_processors(monkeypatch):
    monkeypatch.setattr("nbnet.engine.runtime.parallel.processors", lambda: 4)
    monkeypatch.setattr("nbnet.base.cpu.available_processors", lambda: 4)
    found = []

    class Look(nb.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            found.append(processors())

    for count, each in ((1, 4), (2, 2), (3, 1), (5, 1)):
        given = [{"model": network(), "callbacks": [Look()]} for _ in range(count)]
        nb.fit_many(given, X, LABELS)
        assert found == [each] * count
        found.clear()


def test_arrays_are_read_where_they_are(monkeypatch):
    held, real = [], many.prepare_fit

    def spy(*args, **kwargs):
        held.append(real(*args, **kwargs))
        return held[-1]

    monkeypatch.setattr(many, "prepare_fit", spy)
    nb.fit_many([network() for _ in range(3)], X, LABELS, epochs=2)
    assert len(held) == 3
    for prepared in held:
        assert np.shares_memory(prepared.fit.source.rows.x[0], X)
        assert np.array_equal(prepared.fit.source.rows.y[0], LABELS)


def test_a_step_in_python_and_a_fit_of_ones_own():
    class Stepped(nb.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    class Twice(nb.Sequential):
        def fit(self, *args, **kwargs):
            super().fit(*args, **kwargs)
            return super().fit(*args, **kwargs)

    def made():
        nb.set_random_seed(6)
        given = [kind([nb.Input((6,)), Dense(3, "softmax")]) for kind in (Stepped, Twice)]
        for model in given:
            model.compile("adam", SCCE)
        return given

    first, second = made(), made()
    one_by_one(second, X, LABELS, epochs=2, shuffle=False)
    nb.fit_many(first, X, LABELS, epochs=2, shuffle=False)
    for model, other in zip(first, second, strict=True):
        assert equal(model.get_weights(), other.get_weights())


def test_streams():
    def batches(k):
        for start in range(0, 120, 30):
            yield X[start : start + 30] * k, LABELS[start : start + 30]

    nb.set_random_seed(1)
    given = [{"model": network(), "x": batches(k)} for k in (1, 2)]
    nb.fit_many(given)
    nb.set_random_seed(1)
    expected = [{"model": network(), "x": batches(k)} for k in (1, 2)]
    one_by_one(expected)
    for model, other in zip(models(given), models(expected), strict=True):
        assert equal(model.get_weights(), other.get_weights())


# ---- errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"x": X[:, :5]}, ValueError, "x: expected . columns, got 5"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"y": LABELS + 1}, ValueError, "y: "),
        ({"colour": "red"}, TypeError, "colour"),
    ],
)
def test_arguments_are_checked_before_anything_is_trained(bad, error, message):
    given = [network(), {"model": network(), **bad}, network()]
    before = [model.get_weights() for model in models(given)]
    with pytest.raises(error, match=message) as caught:
        nb.fit_many(given, X, LABELS, epochs=2)
    assert caught.value.__notes__ == [f"fit_many: in jobs[1], model {given[1]['model'].name}"]
    assert all(equal(model.get_weights(), weights) for model, weights in zip(models(given), before, strict=True))
    results = nb.fit_many(given, X, LABELS, epochs=2, return_exceptions=True)
    assert [type(result) for result in results] == [nb.History, error, nb.History]
    # No model is left locked.
    for model in models(given):
        model.fit(X, LABELS, verbose=0)


def test_a_job_that_fails_does_not_stop_the_others():
    given = [
        network(),
        {"model": network(), "callbacks": [Raising()]},
        network(),
        {"model": network(), "callbacks": Raising(OSError("disk full"))},
        *(network() for _ in range(4)),
    ]
    with pytest.raises(RuntimeError, match="no more") as caught:
        nb.fit_many(given, X, LABELS, epochs=3)
    notes = caught.value.__notes__
    assert notes == [
        f"fit_many: in jobs[1], model {given[1]['model'].name}",
        "fit_many: 2 of 8 jobs have failed: 1, 3",
    ]
    assert [len(model.history.epoch) for model in models(given)] == [3, 1, 3, 1, 3, 3, 3, 3]
    results = nb.fit_many(given, X, LABELS, epochs=3, return_exceptions=True)
    assert [type(result) for result in results[:4]] == [nb.History, RuntimeError, nb.History, OSError]
    assert all(isinstance(result, nb.History) for result in results[4:])


def test_what_jobs_must_not_share():
    model, optimizer, callback = network(), nb.optimizers.Adam(), nb.callbacks.TerminateOnNaN()
    layer = Dense(3, "softmax")
    both = [nb.Sequential([nb.Input((6,)), layer]) for _ in range(2)]
    for one in both:
        one.compile("adam", SCCE)
    generator = iter([(X, LABELS)])
    for given, shared, message in [
        ([model, network(), model], {}, f"jobs: 0 and 2 share the model {model.name}"),
        ([network(optimizer=optimizer), network(optimizer=optimizer)], {}, "share the optimizer adam"),
        (both, {}, "jobs: 0 and 1 share the weight .*kernel"),
        ([network(), network()], {"callbacks": [callback]}, "share the callback TerminateOnNaN"),
        ([network(), network()], {"callbacks": callback}, "share the callback TerminateOnNaN"),
        ([network(), network()], {"x": generator, "y": None}, "share the generator x"),
    ]:
        with pytest.raises(ValueError, match=message):
            nb.fit_many(given, **({"x": X, "y": LABELS} | shared))


@pytest.mark.parametrize(
    ("given", "arguments", "error", "message"),
    [
        ([3], {}, TypeError, r"jobs\[0\]: expected a model, or a dict with a 'model', got 3"),
        ([{"x": X}], {}, TypeError, r"jobs\[0\]: expected a model"),
        ([(1, 2)], {}, TypeError, r"jobs\[0\]"),
        ([], {"n_jobs": 0}, ValueError, "n_jobs: expected"),
        ([], {"n_jobs": 1.5}, TypeError, "n_jobs: expected"),
        ([], {"verbose": 3}, ValueError, "verbose: expected"),
    ],
)
def test_arguments(given, arguments, error, message):
    with pytest.raises(error, match=message):
        nb.fit_many(given, **arguments)


def test_more_arguments():
    with pytest.raises(TypeError, match="verbose is for fit_many"):
        nb.fit_many([{"model": network(), "verbose": 1}], X, LABELS)
    with pytest.raises(ValueError, match="is not compiled"):
        nb.fit_many([nb.Sequential([nb.Input((6,)), Dense(1)])], X, LABELS)


def test_a_model_that_is_being_trained():
    model = network()
    with training_lock(model), pytest.raises(RuntimeError, match="is being trained in another thread"):
        nb.fit_many([network(), model], X, LABELS)


# ---- interruption, threads, processes --------------------------------------------------------------------------


def test_ctrl_c_stops_all(request):
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, previous))
    many_rows, many_labels = np.tile(X, (500, 1)), np.tile(LABELS, 500)
    given = [network(64) for _ in range(4)]
    before, threads = [model.get_weights() for model in given], threading.active_count()
    nb.fit_many(given, X, LABELS)
    timer = threading.Timer(0.4, _thread.interrupt_main)
    timer.start()
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        nb.fit_many(given, many_rows, many_labels, epochs=10_000, n_jobs=2)
    assert time.perf_counter() - began < 5
    timer.join()
    assert threading.active_count() <= threads
    for model, weights in zip(given, before, strict=True):
        assert not equal(model.get_weights(), weights)
        assert all(np.isfinite(w).all() for w in model.get_weights())
        model.fit(X, LABELS, verbose=0)


def test_an_interrupt_inside_a_job_stops_all():
    given = [{"model": network(), "callbacks": [Raising(KeyboardInterrupt())]}, network()]
    with pytest.raises(KeyboardInterrupt):
        nb.fit_many(given, X, LABELS, epochs=100_000, n_jobs=2)


def test_in_several_threads_at_once():
    def train(seed):
        with seed_scope(seed):
            given = [network() for _ in range(3)]
            nb.fit_many(given, X, LABELS, epochs=4)
            return [model.get_weights() for model in given]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(train, [5, 5])
    for weights, other in zip(first, second, strict=True):
        assert equal(weights, other)


def test_inside_a_job():
    found = []

    class Nested(nb.callbacks.Callback):
        def on_train_end(self, logs=None):
            found.extend(nb.fit_many([network(), network()], X, LABELS, epochs=2))

    nb.fit_many([{"model": network(), "callbacks": [Nested()]}, network()], X, LABELS, n_jobs=2)
    assert [len(history.epoch) for history in found] == [2, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_a_forked_child():
    nb.fit_many([network(), network()], X, LABELS)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            nb.fit_many([network(), network()], X, LABELS, epochs=3, n_jobs=2)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# ---- what is shown ---------------------------------------------------------------------------------------------


def test_a_line_for_each_job(capsys):
    given = [network(), {"model": network(), "callbacks": [Raising(at=0)]}, network()]
    nb.fit_many(given, X, LABELS, verbose=2, return_exceptions=True, n_jobs=1)
    first, second, third, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"1/3 - jobs[0], model {given[0].name}: <History of 1 epoch: loss=")
    assert second == f"2/3 - jobs[1], model {given[1]['model'].name}: RuntimeError('no more')"
    assert third.startswith("3/3 - jobs[2]")
    assert last.startswith("3/3 - ")


def test_a_bar_for_all(capsys):
    nb.fit_many([network() for _ in range(3)], X, LABELS, verbose=1)
    assert "3/3" in capsys.readouterr().out
    nb.fit_many([network()], X, LABELS, verbose=0)
    assert capsys.readouterr().out == ""
