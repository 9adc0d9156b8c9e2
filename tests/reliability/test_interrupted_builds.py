"""Signal handlers that call nbnet, or raise an exception, while a program is being built; forks and failures beside."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.base.uninterrupted import hold_over_forks
from nbnet.engine.gemm.blas import SingleThread

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of POSIX")

X = np.random.default_rng(0).normal(size=(96, 6)).astype(np.float32)
Y = X[:, :1]


def network() -> nb.Sequential:
    model = nb.Sequential([nb.Input((6,)), nb.layers.Dense(4, "relu"), nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def python(script: str) -> str:
    """The output of a process that runs a script and ends within a minute."""
    command = [sys.executable, "-c", textwrap.dedent(script)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, check=True
    ).stdout.strip()


class Interrupted(nb.layers.Layer):
    """Raises a signal when it is called, once."""

    armed = False

    def call(self, x: Any) -> Any:
        if self.armed:
            self.armed = False
            signal.raise_signal(signal.SIGUSR1)
        return x


#: What a handler does while a program of another model is being built.
EAGER: dict[str, Any] = {
    "op": lambda: nb.ops.relu(X - 0.5).numpy(),
    "model": lambda: MODEL(X).numpy(),
    "batch normalization": lambda: NORMALIZATION(X, training=True).numpy(),
    "dropout": lambda: nb.layers.Dropout(0.5, seed=7)(X, training=True).numpy(),
    "loss": lambda: nb.losses.MeanSquaredError()(X, X + 1).numpy(),
    "random": lambda: nb.random.normal((3,), seed=1).numpy(),
    "functional": lambda: nb.Model(*2 * [nb.Input((2,))]).count_params(),
}
MODEL, NORMALIZATION = nb.Sequential([nb.Input(X.shape[1:]), nb.layers.Dense(2)]), nb.layers.BatchNormalization()


@pytest.mark.parametrize("build", ["fit", "predict", "functional"])
@pytest.mark.parametrize("name", EAGER)
def test_eager_calls_in_a_handler_that_interrupts_a_build(name: str, build: str) -> None:
    """They are not recorded into the program that is being built, and give what they give elsewhere."""
    NORMALIZATION(X)
    expected, found = EAGER[name](), []
    mean = NORMALIZATION.moving_mean.numpy().copy()
    before = signal.signal(signal.SIGUSR1, lambda *_: found.append(EAGER[name]()))
    layer = Interrupted()
    try:
        model = nb.Sequential([nb.Input(X.shape[1:]), layer, nb.layers.Dense(1)])
        model.compile(nb.optimizers.SGD(0.0), "mse")
        layer.armed = True
        if build == "fit":
            model.fit(X, X[:, :1], epochs=3, verbose=0)
        elif build == "predict":
            model.predict(X, verbose=0)
        else:
            layer(nb.Input(X.shape[1:]))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not layer.armed
    np.testing.assert_array_equal(found[0], expected)
    moved = (NORMALIZATION.moving_mean.numpy() != mean).any()
    assert moved == (name == "batch normalization" and np.any(mean != X.mean(0)))


def test_an_exception_of_a_handler_ends_a_build_that_another_thread_does() -> None:
    def stop(*_: Any) -> None:
        raise InterruptedError("enough")

    before = signal.signal(signal.SIGUSR1, stop)
    layer = Interrupted()
    model = nb.Sequential([nb.Input(X.shape[1:]), layer, nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    try:
        layer.armed = True
        with pytest.raises(InterruptedError, match="enough"):
            model.fit(X, X[:, :1], verbose=0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    model.fit(X, X[:, :1], verbose=0)


def test_an_error_in_a_build_that_another_thread_does() -> None:
    class Broken(nb.layers.Layer):
        def call(self, x: Any) -> Any:
            raise LookupError("no such thing")

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with pytest.raises(LookupError, match="no such thing"):
            Broken()(nb.Input((2,)))
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_an_optimizer_whose_state_could_not_be_made_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    model.fit(X, Y, verbose=0)
    model.compile("adam", "mse")
    with monkeypatch.context() as patch:
        patch.setattr(nb.optimizers.Adam, "initial", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            model.fit(X, Y, verbose=0)
    copy.deepcopy(model)
    model.fit(X, Y, verbose=0)
    assert model.optimizer.iterations > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no limit of processes")
def test_a_process_ends_if_it_may_start_no_thread() -> None:
    script = """
    import _thread
    import nbnet as nb
    def refused(*_):
        raise RuntimeError("can't start new thread")
    _thread.start_new_thread = refused
    try:
        nb.ops.tanh([1.0])
    except RuntimeError as error:
        print(error)
    """
    assert python(script) == "can't start new thread"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_waits_for_its_locks_though_a_handler_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: dict[str, Any] = {}
    monkeypatch.setattr(os, "register_at_fork", lambda **given: hooks.update(given))
    lock, calls = threading.RLock(), []

    class Interrupts:
        """A lock that a handler interrupts before it is taken, and right after."""

        def acquire(self) -> bool:
            calls.append("acquire")
            if len(calls) == 1:
                raise KeyboardInterrupt
            return lock.acquire()

        def release(self) -> None:
            calls.append("release")
            lock.release()

    hold_over_forks(Interrupts())
    with pytest.raises(KeyboardInterrupt):
        hooks["before"]()
    assert calls == ["acquire", "acquire"]
    hooks["after_in_parent"]()
    assert calls == ["acquire", "acquire", "release"]


def test_an_exception_on_leaving_lifts_the_limit_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler may raise before the first line of a method in Python."""
    blas = __import__("nbnet.engine.gemm.blas", fromlist=["limit"])
    moved: list[str] = []

    class Moves:
        def moves(self) -> Any:
            enter, leave = (iter(lambda name=name: moved.append(name) or name, None) for name in ("enter", "leave"))
            return enter, leave

    def interrupted(*_: Any) -> None:
        raise InterruptedError

    monkeypatch.setattr(blas, "limit", Moves())
    monkeypatch.setattr(SingleThread, "__exit__", interrupted)
    with pytest.raises(InterruptedError), SingleThread():
        assert moved == ["enter"]
    assert moved == ["enter", "leave"]
