"""Compiled functions compute what the same code computes eagerly, call after call."""

from __future__ import annotations

import contextlib
import copy
import pickle
import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers as L
from nbnet import ops
from nbnet.train import function as module

rng = np.random.default_rng(0)
X = rng.normal(size=(16, 8, 6))
Z = rng.normal(size=(16, 8, 3))
LABELS = rng.integers(0, 3, (16, 8))

#: A step, its arguments in call i, and the state that it changes.
Case = tuple[Callable[..., Any], Callable[[int], tuple[Any, ...]], Callable[[], list[Any]]]


def gan(dtype: str) -> Case:
    """Two models and optimizers, one clipped by norm; batch normalization."""
    generator = nb.Sequential([nb.Input((3,)), L.Dense(9, "relu"), L.BatchNormalization(), L.Dense(6)])
    critic = nb.Sequential([nb.Input((6,)), L.Dense(9), L.LeakyReLU(), L.Dense(1)])
    adam, rmsprop = nb.optimizers.Adam(0.01), nb.optimizers.RMSprop(0.01, clipnorm=0.5)
    loss_of = nb.losses.BinaryCrossentropy(from_logits=True)

    def step(real: Any, z: Any) -> Any:
        n = real.shape[0]
        with nb.Tape() as tape:
            fake = ops.stop_gradient(generator(z, training=True))
            loss = loss_of(np.ones((n, 1)), critic(real)) + loss_of(np.zeros((n, 1)), critic(fake))
        rmsprop.apply(tape.gradient(loss, critic.trainable_weights), critic.trainable_weights)
        with nb.Tape() as tape:
            fooled = loss_of(np.ones((n, 1)), critic(generator(z, training=True)))
        gradients = tape.gradient(fooled, generator.trainable_weights)
        adam.apply_gradients(zip(gradients, generator.trainable_weights, strict=True))
        return loss, fooled

    return step, lambda i: (X[i].astype(dtype), Z[i].astype(dtype)), lambda: generator.weights + critic.weights


def clipped(dtype: str) -> Case:
    """Gradients that are computed with, a schedule, penalties, a target network, metrics, a float argument."""
    model = nb.Sequential([nb.Input((6,)), L.Dense(8, "tanh", kernel_regularizer="l2"), L.Dense(1)])
    target = nb.models.clone_model(model)
    optimizer = nb.optimizers.SGD(nb.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5), momentum=0.9)
    mean, error, total = nb.metrics.Mean(), nb.metrics.MeanSquaredError(), nb.metrics.Sum()

    def step(x: Any, limit: float) -> Any:
        y = x[:, :1]
        with nb.Tape() as tape:
            p = model(x, training=True)
            loss = ops.mean((p - y) ** 2) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_weights)
        norm = ops.sqrt(sum(ops.sum(g * g) for g in gradients))
        optimizer.apply([g * ops.minimum(1.0, limit / norm) for g in gradients], model.trainable_weights)
        for mine, its in zip(target.weights, model.weights, strict=True):
            mine.assign(0.9 * mine + 0.1 * its)
        mean.update_state(loss)
        total.update_state(p)
        error.update_state(y, p, sample_weight=np.arange(8.0))
        return {
            "loss": loss,
            "mean": mean.result(),
            "error": error.result(),
            "sum": total.result(),
            "values": [target(x), norm],
        }

    return step, lambda i: (X[i].astype(dtype), 0.3), lambda: [*model.weights, *target.weights, mean.result()]


def adversarial(dtype: str) -> Case:
    """The gradient of an input, labels, two updates of one optimizer, a choice by values."""
    model = nb.Sequential([nb.Input((6,)), L.Dense(8, "tanh"), L.Dense(3)])
    optimizer = nb.optimizers.AdamW(0.01, use_ema=True)
    loss_of = nb.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(x: Any, y: Any) -> Any:
        found = []
        for _ in range(2):
            with nb.Tape() as tape:
                clean = loss_of(y, model(x))
            moved = x + 0.1 * ops.sign(tape.gradient(clean, x))
            with nb.Tape() as tape:
                loss = loss_of(y, model(moved, training=True))
            optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
            found.append(ops.where(loss > clean, loss, clean))
        return found

    return step, lambda i: (nb.tensor(X[i], dtype), LABELS[i]), lambda: [*model.weights, optimizer.steps]


def leaves(value: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(leaf) for leaf in nb.base.tree.flatten(value)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", [gan, clipped, adversarial])
def test_compiled_steps_compute_what_eager_ones_do(case: Callable[[str], Case], dtype: str) -> None:
    nb.set_floatx(dtype)
    try:
        results = []
        for compiled in (False, True):
            nb.set_random_seed(3)
            step, arguments, state = case(dtype)
            run = nb.function(step) if compiled else step
            given = [
                [a if compiled or not isinstance(a, np.ndarray) or a.dtype.kind == "i" else nb.tensor(a) for a in at]
                for at in map(arguments, range(12))
            ]
            returned = [leaves(run(*at)) for at in given]
            results.append((returned, leaves(state())))
    finally:
        nb.set_floatx("float32")
    (eager, weights), (found, own) = results
    for a, b in zip(eager, found, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(y, x, rtol=1e-6 if dtype == "float32" else 1e-13)
    for x, y in zip(weights, own, strict=True):
        assert np.array_equal(x, y)


def mlp(*more: Any) -> Any:
    nb.set_random_seed(1)
    model = nb.Sequential([nb.Input((6,)), L.Dense(8, "relu"), *more, L.Dense(3)])
    optimizer, loss_of = nb.optimizers.Adam(0.01), nb.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(x: Any, y: Any, at: int | None = None) -> Any:
        with nb.Tape(step=at) as tape:
            loss = loss_of(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        return loss

    return model, step


def test_masks_are_those_of_the_number_of_the_call() -> None:
    (a, eager), (b, step) = mlp(L.Dropout(0.5, seed=7)), mlp(L.Dropout(0.5, seed=7))
    compiled = nb.function(step)
    for k in range(6):
        x, y = nb.tensor(X[k], "float32"), LABELS[k]
        assert eager(x, y, k).item() == compiled(x, y).item()
    assert all(np.array_equal(v, w) for v, w in zip(a.get_weights(), b.get_weights(), strict=True))


def test_random_numbers_are_drawn_anew_in_each_call() -> None:
    draw = nb.function(lambda: nb.random.normal((200,)))
    first, second, later = draw().numpy(), draw().numpy(), draw.run(3).numpy()
    assert len({first[0], second[0], later[0]}) == 3
    assert draw.calls == 5
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.3
    assert 0.8 < later.std() < 1.2


@pytest.mark.parametrize("times", [1, 2, 50])
def test_run_makes_the_same_calls(times: int) -> None:
    (a, first), (b, second) = mlp(L.Dropout(0.2, seed=7)), mlp(L.Dropout(0.2, seed=7))
    one, many, x = nb.function(first), nb.function(second), X[0].astype("float32")
    last = [one(x, LABELS[0]).item() for _ in range(times)][-1]
    assert many.run(times, x, LABELS[0]).item() == last
    assert one.calls == many.calls == times
    assert all(np.array_equal(v, w) for v, w in zip(a.get_weights(), b.get_weights(), strict=True))
    with pytest.raises(ValueError, match="times"):
        many.run(0, x, LABELS[0])


def test_a_program_for_each_kind_of_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[Any] = []

    @nb.function
    def total(x: Any, times: int = 1, *, more: Any = None) -> Any:
        traced.append((x.shape, x.dtype))
        added = sum(ops.sum(v) for v in more.values()) if more else 0
        return {"total": times * ops.sum(x) + added, "name": "total"}

    x = np.ones((2, 3))
    assert total(x)["total"].item() == 6
    assert total(2 * x)["total"].item() == 12
    assert len(traced) == 1
    assert total(x, 2)["total"].item() == 12
    assert total(x, times=2)["name"] == "total"
    assert len(traced) == 3
    assert total(x[:, :2])["total"].item() == 4
    assert total(x.astype("int64"))["total"].item() == 6
    assert len(traced) == 5
    for k in range(3):
        assert total(x, more={"a": k * x, "b": 1.5 + k})["total"].item() == 6 + 6 * k + 1.5 + k
    assert len(traced) == 6
    monkeypatch.setattr(module, "KEPT_PROGRAMS", 2)
    for n in (4, 5, 6, 4):
        total(np.ones(n))
    assert len(traced) == 10


def test_results_and_arguments_are_copies() -> None:
    same = nb.function(lambda x: x)
    x = np.zeros(3)
    first = same(x)
    x[:] = 1
    second = same(x)
    first.numpy()[:] = 7
    assert second.numpy().tolist() == [1, 1, 1]
    assert same(x).numpy().tolist() == [1, 1, 1]


def test_training_by_fit_and_by_a_function_in_turn() -> None:
    model, _ = mlp()
    model.compile("sgd", nb.losses.SparseCategoricalCrossentropy(from_logits=True))
    twin = nb.models.clone_model(model)
    twin.set_weights(model.get_weights())
    twin.compile("sgd", nb.losses.SparseCategoricalCrossentropy(from_logits=True))

    @nb.function
    def step(x: Any, y: Any) -> Any:
        with nb.Tape() as tape:
            loss = model.compute_loss(x, y, model(x, training=True))
        model.optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        return loss

    x, y = X[0].astype("float32"), LABELS[0]
    for _ in range(3):
        step(x, y)
        model.fit(x, y, batch_size=8, verbose=0)
        for _ in range(2):
            twin.fit(x, y, batch_size=8, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_under_a_tape_or_in_another_function_it_runs_as_python() -> None:
    square = nb.function(lambda x: x * x)
    with nb.Tape() as tape:
        x = nb.Parameter([3.0])
        y = square(x)
    assert tape.gradient(y, x).numpy().tolist() == [6.0]
    assert square.calls == 0
    assert nb.function(lambda x: square(x) + 1)(np.array([2.0])).numpy().tolist() == [5.0]


def test_a_layer_that_is_not_built_is_built() -> None:
    layer = L.Dense(2, kernel_initializer=lambda shape, dtype: nb.random.normal(shape))
    assert nb.function(lambda x: layer(x))(np.ones((1, 3))).shape == (1, 2)
    assert layer.built


def test_methods_copies_pickles() -> None:
    class Agent:
        def __init__(self, scale: float) -> None:
            self.scale = nb.Parameter([scale])

        @nb.function
        def act(self, x: Any) -> Any:
            """Scale x."""
            return self.scale * x

    assert [Agent(s).act(np.ones(2)).numpy()[0] for s in (2.0, 5.0)] == [2.0, 5.0]
    assert Agent.act.__doc__ == "Scale x."
    assert "act" in repr(Agent.act)
    copied = pickle.loads(pickle.dumps(nb.function(ops.exp)))
    assert copied(np.zeros(1)).item() == copy.deepcopy(copied)(np.zeros(1)).item() == 1.0


def test_threads_have_programs_of_their_own() -> None:
    double = nb.function(lambda x: 2 * x)
    wrong: list[int] = []

    def work(k: int) -> None:
        wrong.extend(k for _ in range(200) if double(np.full(3, float(k))).numpy().tolist() != [2.0 * k] * 3)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


MODEL = nb.Sequential([nb.Input((6,)), L.Dense(3)])


def second_order(x: Any) -> Any:
    with nb.Tape() as outer:
        with nb.Tape() as tape:
            y = ops.sum(x * x * x)
        slope = ops.sum(tape.gradient(y, x))
    return outer.gradient(slope, x)


def masked(x: Any) -> Any:
    with nb.Tape(masks={"dropout": np.ones((8, 6), bool)}):
        return MODEL(x)


def recorded(x: Any) -> Any:
    with nb.Tape() as tape:
        MODEL(x)
    return tape.masks


class InPython(nb.optimizers.SGD):
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any = None) -> None:
        variable.assign(variable.numpy() - 0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: float(MODEL(x)[0, 0]), "has no value.*nbnet.ops"),
        (lambda x: MODEL(x) if ops.sum(x) > 0 else x, "nbnet.ops.where instead of if"),
        (lambda x: MODEL(x).numpy(), "has no value"),
        (lambda x: MODEL.layers[0].kernel.numpy() + 1, "kernel: its value changes"),
        (lambda x: MODEL.get_weights(), "kernel: its value changes"),
        (lambda x: nb.metrics.AUC().update_state(x, x), "has no value"),
        (lambda x: MODEL.layers[0].bias.assign(x), "bias is float32 .3,., got float32 .8, 6."),
        (lambda x: nb.optimizers.SGD().apply([None], [MODEL.layers[0].bias]), "got only None"),
        (lambda x: nb.optimizers.SGD().apply([x], [MODEL.layers[0].bias]), "grads.*bias"),
        (lambda x: InPython().apply([x[0, :3]], [MODEL.layers[0].bias]), "step in Python"),
        (second_order, "second derivatives"),
        (masked, "masks, step: cannot be given"),
        (recorded, "run it eagerly"),
    ],
)
def test_what_cannot_be_compiled_is_an_error_that_names_the_line(call: Callable[..., Any], message: str) -> None:
    before = MODEL.get_weights()
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        nb.function(call)(X[0].astype("float32"))
    assert any("test_function.py" in note for note in caught.value.__notes__)
    assert all(np.array_equal(a, b) for a, b in zip(before, MODEL.get_weights(), strict=True))


@pytest.mark.parametrize("argument", [{1, 2}, np.array(["a"]), np.array([1j]), np.ma.masked_array([1.0], [True])])
def test_arguments_that_are_refused(argument: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="arguments: "):
        nb.function(lambda x: x)(argument)
    with pytest.raises(TypeError, match="function: expected a function"):
        nb.function(3)


def test_gradients_are_those_of_the_values_that_were_read() -> None:
    def two_tapes() -> tuple[Any, list[nb.Parameter]]:
        a, sgd = nb.Parameter([2.0]), nb.optimizers.SGD(0.1)

        def step() -> Any:
            with nb.Tape() as first:
                tripled = ops.sum(3 * a)
            with nb.Tape() as second:
                squared = ops.sum(a * a)
            sgd.apply(first.gradient(tripled, [a]), [a])
            return second.gradient(squared, a)

        return step, [a]

    def read_before_and_after() -> tuple[Any, list[nb.Parameter]]:
        a, sgd = nb.Parameter([2.0]), nb.optimizers.SGD(0.01)

        def step() -> Any:
            with nb.Tape() as tape:
                y = a * a
                a.assign(a * 0.5)
                loss = ops.sum(y + a * a * a)
            gradient = tape.gradient(loss, a)
            sgd.apply([gradient], [a])
            return gradient

        return step, [a]

    def state_of_a_layer() -> tuple[Any, list[nb.Parameter]]:
        w, u, sgd = nb.Parameter([2.0]), nb.Parameter([1.0], trainable=False), nb.optimizers.SGD(0.01)

        def step() -> Any:
            with nb.Tape() as tape:
                loss = ops.sum(ops.tanh(w * u) * w)
                u.assign(u * 1.5)
            gradient = tape.gradient(loss, w)
            sgd.apply([gradient], [w])
            return gradient

        return step, [w, u]

    for make, first in ((two_tapes, 4.0), (read_before_and_after, 7.0), (state_of_a_layer, 1.1053289)):
        (eager, weights), (step, own) = make(), make()
        compiled = nb.function(step)
        expected = [eager().item() for _ in range(4)]
        assert expected[0] == pytest.approx(first, rel=1e-6)
        assert [compiled().item() for _ in range(4)] == pytest.approx(expected, rel=1e-6)
        for a, b in zip(weights, own, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


def test_a_value_that_is_not_kept_is_an_error() -> None:
    a = nb.Parameter([2.0], name="a")
    with nb.Tape() as tape:
        loss = ops.sum(a * a)
    a.assign([3.0])
    assert tape.gradient(loss, a).item() == 4.0
    with nb.Tape():
        ops.sum(a * a)
    a.assign([4.0])
    with pytest.raises(ValueError, match="a has changed more than once since it was read"):
        tape.gradient(loss, a)


def test_labels_that_are_no_whole_numbers_have_no_loss() -> None:
    loss_of = nb.losses.SparseCategoricalCrossentropy(from_logits=True)
    compiled = nb.function(lambda x, y: loss_of(y, x))
    found = [compiled(np.eye(3), np.full(3, label)).item() for label in (1.5, np.nan, -0.5, 5.0)]
    assert np.isnan(found).all()
    assert compiled(np.eye(3), np.arange(3.0)).item() == pytest.approx(0.5514447)


def test_lists_and_tuples_have_programs_of_their_own() -> None:
    kind = nb.function(lambda a: a[0] if isinstance(a, tuple) else 100 * a[0])
    assert kind([np.ones(1)]).item() == 100
    assert kind((np.ones(1),)).item() == 1


def test_captured_tensors_cannot_be_resized() -> None:
    constant = ops.convert_to_tensor(np.ones(1000, "float32"))
    total = nb.function(lambda a: a + ops.sum(constant))
    total(np.ones(1))
    with pytest.raises(ValueError, match="resize"):
        constant.numpy().resize(1, refcheck=False)


def test_two_optimizers_of_the_same_weights() -> None:
    w, first, second = nb.Parameter([1.0]), nb.optimizers.SGD(), nb.optimizers.Adam()

    @nb.function
    def step() -> None:
        first.apply([np.ones(1)], [w])
        second.apply([np.ones(1)], [w])

    with pytest.raises(ValueError, match="another optimizer of the function updates its parameters"):
        step()
    assert w.numpy() == 1.0


def test_calls_are_counted_though_a_handler_raises() -> None:
    class Stop(Exception):
        pass

    def handler(*_: Any) -> None:
        raise Stop

    count = nb.Parameter([0.0], dtype="float64")
    step = nb.function(lambda: count.assign_add([1.0]), dtype="float64")
    step()
    before = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(10):
            with contextlib.suppress(Stop):
                signal.setitimer(signal.ITIMER_REAL, 0.005)
                while True:
                    step.run(1000)
            assert count.numpy()[0] == step.calls
    finally:
        signal.signal(signal.SIGALRM, before)
