"""Signal handlers that call nbnet while they interrupt it: nothing hangs, and no number is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import masks
from nbnet.base import hdf5_file
from nbnet.base.uninterrupted import apart_from_handlers, uninterrupted
from nbnet.engine.gemm.blas import SingleThread
from nbnet.engine.jit import linker
from nbnet.engine.kernels.thread_pool import run_parallel, shutdown_idle
from nbnet.saving import weights
from nbnet.train.fit import training_lock

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6)).astype(np.float32)
Y = X[:, :2] @ np.array([[1.0], [2.0]], np.float32)


def network(slices: int | None = None) -> nb.Sequential:
    nb.set_random_seed(5)
    layers = [nb.layers.Dense(12, "relu"), nb.layers.Dropout(0.3, seed=1), nb.layers.Dense(1)]
    model = nb.Sequential([nb.Input((6,)), *layers])
    model.compile("adam", "mse", slices=slices)
    return model


def trained(epochs: int = 60, **arguments: Any) -> nb.Sequential:
    model = network()
    model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, **arguments)
    return model


@contextmanager
def timer(action: Callable[[], Any], seconds: float = 0.003) -> Iterator[list[BaseException]]:
    """Call an action from a handler again and again, one call at a time; collect its errors."""
    errors: list[BaseException] = []

    def handler(*_: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            action()
        except BaseException as error:
            errors.append(error)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield errors
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def same(one: nb.Model, other: nb.Model) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


OTHER = {
    "fit": lambda model: model.fit(X, Y, epochs=2, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "predict": lambda model: model.predict(X, verbose=0),
    "evaluate": lambda model: model.evaluate(X, Y, verbose=0),
    "predict_mc": lambda model: model.predict_mc(X, samples=3),
}


@pytest.mark.parametrize("action", OTHER)
def test_another_model_in_a_handler_that_interrupts_fit(action: str) -> None:
    plain, other, calls = trained(), network(), list[int]()
    OTHER[action](other)
    model = network()

    def act() -> None:
        OTHER[action](other)
        calls.append(1)

    with timer(act) as errors:
        while len(calls) < 3:
            model = network()
            model.fit(X, Y, batch_size=16, epochs=60, verbose=0)
    assert errors == []
    assert same(model, plain)


@pytest.mark.parametrize("callbacks", [False, True], ids=["fused", "each batch"])
@pytest.mark.parametrize("action", ["predict", "evaluate", "predict_mc"])
def test_the_same_model_in_a_handler_that_interrupts_fit(action: str, callbacks: bool) -> None:
    seen = nb.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    arguments = {"validation_data": (X, Y), "callbacks": [seen] if callbacks else None}
    plain, model = trained(**arguments), network()
    calls: list[int] = []

    def act() -> None:
        OTHER[action](model)
        calls.append(1)

    with timer(act) as errors:
        while len(calls) < 3:
            model = network()
            model.fit(X, Y, batch_size=16, epochs=60, verbose=0, **arguments)
    assert errors == []
    assert same(model, plain)
    assert model.history.history == plain.history.history


def test_predictions_that_interrupt_predictions_are_right() -> None:
    model = trained(5)
    inputs = [X[k : k + n] for n in (1, 7, 40) for k in range(3)]
    predictor = model.predictor(4)
    right = [model.predict(x, verbose=0) for x in inputs]
    right_small, wrong, calls = predictor(X[:4]), list[int](), list[int]()

    def act() -> None:
        for x, y in zip(inputs, right, strict=True):
            if not np.array_equal(model.predict(x, verbose=0), y):
                wrong.append(1)
        if not np.array_equal(predictor(X[:4]), right_small):
            wrong.append(2)
        calls.append(1)

    with timer(act, 0.001) as errors:
        while len(calls) < 20:
            for x, y in zip(inputs, right, strict=True):
                np.testing.assert_array_equal(model.predict(x, verbose=0), y)
            np.testing.assert_array_equal(model.predict(X, batch_size=16, verbose=0)[:7], right[3])
            for _ in range(20):
                np.testing.assert_array_equal(predictor(X[:4]), right_small)
    assert errors == []
    assert wrong == []


def test_a_program_in_use_is_not_run_by_the_call_that_interrupts_it() -> None:
    """Without a timer: a trace function calls the model on each line of the prediction that it interrupts."""
    model, calls, wrong = trained(2), list[int](), list[str]()
    small, large = X[:5], X[5:10]
    right = model.predict(small, verbose=0), model.predict(large, verbose=0)

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if "nbnet/train" not in frame.f_code.co_filename.replace(os.sep, "/"):
            return None
        sys.settrace(None)
        if not np.array_equal(model.predict(large, verbose=0), right[1]):
            wrong.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        calls.append(1)
        sys.settrace(trace)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        found = [model.predict(small, verbose=0), model.predict(small, batch_size=5, verbose=0)]
    finally:
        sys.settrace(before)
    assert len(calls) > 20
    assert wrong == []
    for y in found:
        np.testing.assert_array_equal(y, right[0])


def test_a_model_is_not_trained_inside_its_own_training() -> None:
    plain, model, errors = trained(3), network(), list[str]()

    def act(epoch: int, logs: Any) -> None:
        for train in (model.train_on_batch, model.fit):
            with pytest.raises(RuntimeError, match="is being trained"):
                train(X, Y)
            errors.append(train.__name__)

    model.fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[nb.callbacks.LambdaCallback(on_epoch_end=act)])
    assert errors == ["train_on_batch", "fit"] * 3
    assert same(model, plain)
    with timer(lambda: model.fit(X, Y, verbose=0)) as refused:
        while not refused:
            model.fit(X, Y, batch_size=16, epochs=20, verbose=0)
    assert all(isinstance(error, RuntimeError) and "is being trained" in str(error) for error in refused)


class Stop(Exception):
    pass


@pytest.mark.parametrize("slices", [1, 2])
def test_exceptions_of_handlers_leave_everything_usable(slices: int) -> None:
    nb.set_random_seed(1)
    model, armed, stopped = network(slices), [False], 0
    weights = model.get_weights()

    def handler(*_: Any) -> None:
        if armed[0]:
            armed[0] = False
            raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    try:
        while stopped < 40:
            try:
                armed[0] = True
                while True:
                    model.fit(X, Y, batch_size=16, epochs=5, verbose=0)
                    model.predict(X, verbose=0)
            except Stop:
                stopped += 1
            finally:
                armed[0] = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not model._train_state.lock.locked()
    again, fresh = network(slices), network(slices)
    assert all(np.array_equal(a, b) for a, b in zip(again.get_weights(), weights, strict=True))
    for one in (again, fresh):
        one.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    assert same(again, fresh)
    model.fit(X, Y, epochs=1, verbose=0)
    # Threads that were taken, and could not be given work, end as well.
    shutdown_idle()
    deadline = time.monotonic() + 60
    while (left := [one for one in threading.enumerate() if one.name == "nbnet-slice"]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


@pytest.mark.parametrize("inside", ["blas", "seeds", "threads", "names", "link", "build"])
def test_no_lock_keeps_a_handler_waiting(inside: str) -> None:
    """A fit that interrupts each part which once held a lock, and threads that it starts and waits for."""
    done: list[str] = []

    def work() -> None:
        models = [network(2), network()]
        nb.fit_many(models, X, Y, epochs=2, verbose=0, n_jobs=2)
        models[0].fit(X, Y, epochs=2, verbose=0)
        nb.set_random_seed(3)
        done.append(inside)

    class Slow(nb.layers.Dense):
        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            work()

    if inside == "blas":
        with SingleThread():
            work()
    elif inside == "seeds":
        with nb.random.seed_scope(1):
            work()
    elif inside == "threads":
        run_parallel(lambda t: work() if t == 0 else None, (), 2, ())
    elif inside == "names":
        nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
        work()
    elif inside == "link":
        uninterrupted(lambda: None)
        with training_lock(network()):
            work()
    else:
        Slow(2)(X)
    assert done == [inside]


def test_a_layer_is_not_built_inside_its_own_build() -> None:
    class Twice(nb.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
            with pytest.raises(RuntimeError, match="is being built"):
                self(X)

        def call(self, x: Any) -> Any:
            return x * self.factor

    layer = Twice()
    np.testing.assert_array_equal(layer(X).numpy(), X)
    assert len(layer.weights) == 1


def test_the_main_thread_does_not_link() -> None:
    """Numba and LLVM are not entered where a handler can interrupt them, and no lock is held there."""
    seen: list[bool] = []

    @linker.kernel
    def nothing(mem: Any, ins: Any, step: Any) -> None:
        pass

    real = linker._link_missing

    def spy(*arguments: Any) -> None:
        seen.append(threading.current_thread() is threading.main_thread())
        real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linker, "_link_missing", spy)
        first = linker.link([nothing], np.dtype(np.float32))
        assert linker.link([nothing], np.dtype(np.float32)) == first
    assert seen == [False]


def test_errors_of_uninterrupted_work_are_raised() -> None:
    def work() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        uninterrupted(work)
    thread = threading.Thread(target=uninterrupted, args=(lambda: seen.append(threading.current_thread()),))
    seen: list[threading.Thread] = []
    thread.start()
    thread.join()
    assert seen == [thread]


class Poke(nb.layers.Layer):
    """Has a signal delivered while it is made."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        poke()

    def call(self, x: Any) -> Any:
        return x * 1.0


def poke() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.05)


OWN = {"Poke": Poke}
LOADS = {
    "model.nbnet": lambda path: nb.load_model(path, OWN),
    "model.keras": lambda path: nb.load_model(path, OWN),
    "model.h5": lambda path: nb.load_model(path, OWN),
    "model.json": lambda path: nb.models.model_from_json(path.read_text(), OWN),
    "from_config": lambda path: nb.Sequential.from_config(json.loads(path.read_text()), OWN),
    "deserialize": lambda path: nb.saving.deserialize_keras_object(json.loads(path.read_text()), OWN),
    "clone": lambda path: nb.models.clone_model(poking()),
    "weights.nbnet": lambda path: poking().load_weights(path),
    "masks": lambda path: nb.load_masks(path),
}


def poking() -> Any:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    model = nb.Sequential([nb.Input((6,)), Poke(name="poke"), nb.layers.Dense(3, name="dense")])
    signal.signal(signal.SIGUSR1, before)
    return model


@pytest.fixture(params=LOADS)
def loading(request: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Return a function that loads something, which a signal interrupts."""
    before, path, model = signal.signal(signal.SIGUSR1, signal.SIG_IGN), tmp_path / request.param, poking()
    if request.param.startswith("weights"):
        model.save_weights(path)
    elif request.param.startswith("model") and path.suffix != ".json":
        model.save(path)
    elif request.param == "masks":
        nb.save_masks(path, {"drop": np.ones((2, 3), bool)})
    elif request.param == "deserialize":
        path.write_text(json.dumps(nb.saving.serialize_keras_object(model)))
    else:
        path.write_text(json.dumps(model.get_config()) if request.param == "from_config" else model.to_json())
    for name, module in (("check_about", weights), ("_mask", masks)):  # where no layer is made
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, f=function: (poke(), f(*args))[1])
    yield partial(LOADS[request.param], path)
    signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_interrupts_loading_meets_nothing_of_it(loading: Callable[[], Any], tmp_path: Any) -> None:
    trained(1).save(tmp_path / "other.nbnet")
    facts: list[Any] = []

    def handler(*_: Any) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        made = network()
        facts.append(all(bool(layer.kernel.numpy().any()) for layer in made.layers if hasattr(layer, "kernel")))
        facts.append(nb.load_model(tmp_path / "other.nbnet").count_params() == made.count_params())
        facts.append(nb.saving.get_registered_object("Poke"))
        facts.append(nb.layers.Activation(nb.activations.relu).get_config()["activation"])

    signal.signal(signal.SIGUSR1, handler)
    loading()
    assert facts == [True, True, None, "relu"]


class Interrupt(KeyboardInterrupt):
    pass


@pytest.mark.parametrize("error", [TimeoutError("late"), ValueError("bad"), KeyError("x"), Interrupt(), MemoryError()])
def test_exceptions_of_handlers_pass_loading_unchanged(error: BaseException, loading: Callable[[], Any]) -> None:
    def handler(*_: Any) -> None:
        raise error

    signal.signal(signal.SIGUSR1, handler)
    with pytest.raises(type(error)) as found:
        loading()
    assert found.value is error


def test_an_exception_of_a_handler_ends_the_process_that_reads(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(1).save(tmp_path / "m.keras")
    monkeypatch.setattr(hdf5_file, "_PROGRAM", "import time\ntime.sleep(10**6)")
    monkeypatch.setattr(hdf5_file, "PATIENCE", 10**6)

    def handler(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(TimeoutError):
            nb.load_model(tmp_path / "m.keras")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_handler_of_interrupts_counts_as_one() -> None:
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        assert apart_from_handlers(threading.current_thread) is not threading.main_thread()
    finally:
        signal.signal(signal.SIGINT, before)


COLD = """
    import signal
    import numpy as np
    import nbnet as nb

    x = np.linspace(-1, 1, 32, dtype="float32")[:, None]

    def network(activation):
        nb.set_random_seed(1)
        model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(4, activation), nb.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    calls, models = [], [network(a) for a in ("tanh", "sigmoid", "softplus", "relu")]

    def handler(*_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        if models:
            model = models.pop()
            model.fit(x, x, epochs=2, verbose=0)
            calls.append(model.predict(x, verbose=0))
            signal.setitimer(signal.ITIMER_REAL, 0.05)

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    main = network("elu")
    main.fit(x, x, epochs=2, verbose=0)
    while models:
        main.predict(x, verbose=0)
    again = [network(a) for a in ("relu", "softplus", "sigmoid", "tanh")]
    for model, y in zip(again, calls, strict=True):
        model.fit(x, x, epochs=2, verbose=0)
        np.testing.assert_array_equal(model.predict(x, verbose=0), y)
    print("equal", len(calls))
"""


@pytest.mark.slow
def test_handlers_that_interrupt_the_compiler(tmp_path: Any) -> None:
    environment = os.environ | {"NBNET_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(COLD)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert found.stdout == "equal 4\n", found.stderr


INTERRUPT = """
    import os, signal, threading
    import numpy as np
    import nbnet as nb

    x = np.linspace(-1, 1, 32, dtype="float32")[:, None]
    model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(4, "tanh"), nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    stopped = 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Processes in the background begin by ignoring it.
    for _ in range(3):
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        try:
            model.fit(x, x, epochs=10**7, verbose=0)
        except KeyboardInterrupt:
            stopped += 1
    model.fit(x, x, epochs=2, verbose=0)
    print("stopped", stopped)
"""


@pytest.mark.slow
def test_interrupts_of_the_compiler(tmp_path: Any) -> None:
    environment = os.environ | {"NBNET_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INTERRUPT)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert found.stdout == "stopped 3\n", found.stderr


@contextmanager
def interrupted(seconds: float) -> Iterator[None]:
    """Ctrl-C comes after some seconds."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
        pytest.fail("nothing was interrupted")
    except KeyboardInterrupt:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


ONES, ZEROS = np.ones((512, 64), np.float32), np.zeros((512, 1), np.float32)


def counting_network(slices: int | None = None) -> nb.Sequential:
    """Each step takes the same from each of the last weights, which says so how many there were."""
    wide = nb.layers.Dense(64, use_bias=False, kernel_initializer="ones", trainable=False)
    layers = [wide, nb.layers.Rescaling(1 / 4096), nb.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    model = nb.Sequential([nb.Input((64,)), *layers])
    model.compile(nb.optimizers.SGD(2.0**-12), lambda y, p: nb.ops.mean(p - y, axis=-1), slices=slices)
    return model


def repeat_batches(model: nb.Sequential) -> None:
    while True:
        model.train_on_batch(ONES, ZEROS)


def repeat_gradients(model: nb.Sequential) -> None:
    while True:
        model.optimizer.apply([np.full((64, 1), 1 / 64, np.float32)])


def repeat_fit(model: nb.Sequential, **arguments: Any) -> None:
    model.fit(ONES, ZEROS, **{"epochs": 10**6, "verbose": 0} | arguments)


@pytest.mark.parametrize(
    ("work", "slices"),
    [
        (repeat_fit, None),
        (partial(repeat_fit, validation_data=(ONES, ZEROS)), None),
        (partial(repeat_fit, batch_size=1, callbacks=[nb.callbacks.LambdaCallback(on_epoch_end=print)]), None),
        (partial(repeat_fit, batch_size=30), 2),
        (repeat_batches, None),
        (repeat_gradients, None),
    ],
    ids=["epochs", "validation", "callbacks", "slices", "batches", "apply"],
)
def test_interrupts_leave_counts_that_agree_with_the_weights(
    work: Callable[[nb.Sequential], None], slices: int | None
) -> None:
    model = counting_network(slices)
    model.fit(ONES, ZEROS, verbose=0)
    kernel, unit = model.layers[-1].kernel, -model.get_weights()[-1][0, 0] / model.optimizer.steps
    most = 0
    for k in range(5):
        kernel.assign(np.zeros((64, 1)))
        before = model.optimizer.steps
        with interrupted(0.03 + 0.02 * k):
            work(model)
        done = model.optimizer.steps - before
        assert round(-model.get_weights()[-1][0, 0] / unit) == done
        most = max(most, done)
        position = model._train_state.position
        if isinstance(work, partial) or work is repeat_fit:
            assert position.extent is not None
            assert position.epoch * position.extent[2] + position.batch == done
            assert position.totals is None or position.totals[0][1] == min(position.batch * position.extent[1], 512)
    assert most > 0


@pytest.mark.parametrize("verbose", [0, 1])
def test_an_epoch_that_was_interrupted_goes_on_where_it_was(verbose: int) -> None:
    x, y = np.tile(X, (2000, 1)), np.tile(Y, (2000, 1))
    whole, parts = network(), network()
    arguments: dict[str, Any] = {"batch_size": 4, "verbose": verbose}
    parts.fit(x, y, **arguments)
    position = parts._train_state.position
    for k in range(4):
        with interrupted(0.05 + 0.02 * k):
            parts.fit(x, y, initial_epoch=position.epoch, epochs=10**6, **arguments)
    epochs = position.epoch + 1
    loss = parts.fit(x, y, initial_epoch=position.epoch, epochs=epochs, **arguments).history["loss"][0]
    assert loss == pytest.approx(whole.fit(x, y, epochs=epochs, **arguments).history["loss"][-1])
    assert same(whole, parts)
