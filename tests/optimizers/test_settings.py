"""Optimizers outside a training: updates by hand, and settings that change between trainings."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import Dense
from nbnet.optimizers import SGD, Adam, RMSprop
from nbnet.train import step_builder

rng = np.random.default_rng(4)
X = rng.normal(size=(40, 4))
Y = rng.normal(size=(40, 2))
MAKERS = {
    "sgd": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.05, momentum=0.9),
    "nesterov": lambda: SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda: RMSprop(0.01),
    "rmsprop with momentum": lambda: RMSprop(0.01, momentum=0.5),
    "centered": lambda: RMSprop(0.01, centered=True),
    "adam": lambda: Adam(0.01),
    "amsgrad": lambda: Adam(0.01, beta_2=0.9, amsgrad=True),
}
each = pytest.mark.parametrize("name", MAKERS)


def network(optimizer, dtype="float64"):
    nb.set_random_seed(2)
    model = nb.Sequential([nb.Input((4,)), Dense(6, "tanh", dtype=dtype), Dense(2, dtype=dtype)])
    model.compile(optimizer, "mse")
    return model


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


# ---- updates by hand -----------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("how", ["apply", "apply_gradients"])
def test_updates_by_hand_are_those_of_training(name, how):
    by_hand, fitted = network(MAKERS[name]()), network(MAKERS[name]())
    for _ in range(5):
        with nb.Tape() as tape:
            loss = by_hand.loss(Y, by_hand(X))
        gradients = tape.gradient(loss, by_hand.trainable_weights)
        if how == "apply":
            by_hand.optimizer.apply(gradients, by_hand.trainable_weights)
        else:
            by_hand.optimizer.apply_gradients(zip(gradients, by_hand.trainable_weights, strict=True))
        fitted.train_on_batch(X, Y)
    assert equal(by_hand.get_weights(), fitted.get_weights())
    assert by_hand.optimizer.iterations == 5


def test_training_goes_on_after_updates_by_hand():
    mixed, fitted = network(Adam(0.01)), network(Adam(0.01))
    for i in range(4):
        if i % 2:
            with nb.Tape() as tape:
                loss = mixed.loss(Y, mixed(X))
            mixed.optimizer.apply(tape.gradient(loss, mixed.trainable_weights), mixed.trainable_weights)
        else:
            mixed.train_on_batch(X, Y)
        fitted.train_on_batch(X, Y)
    assert equal(mixed.get_weights(), fitted.get_weights())


def test_gradients_of_all_kinds():
    """Tensors, arrays, lists; None changes nothing."""
    w = [nb.Parameter(v) for v in ([1.0, 2.0], [[3.0]], [4.0])]
    with pytest.warns(UserWarning, match="no gradient"):
        SGD(0.5).apply([nb.tensor([2.0, 4.0]), [[2]], None], w)
    assert [p.numpy().tolist() for p in w] == [[0.0, 0.0], [[2.0]], [4.0]]


def test_gradients_that_are_refused():
    w = [nb.Parameter([1.0, 2.0], name="first"), nb.Parameter([3.0])]
    optimizer = Adam()
    for gradients, words in [
        ([[1.0, 2.0]], "grads: expected 2, one for each parameter, got 1"),
        ([[1.0], [1.0]], r"grads: first has shape \(2,\), its gradient \(1,\)"),
        ([[1.0, np.nan], [1.0]], "grads: expected finite numbers for first"),
        ([[1.0, 1.0], [np.inf]], "grads: expected finite numbers for a parameter"),
        ([["a", "b"], [1.0]], "grads: expected finite numbers for first"),
    ]:
        with pytest.raises(ValueError, match=words):
            optimizer.apply(gradients, w)
    assert [p.numpy().tolist() for p in w] == [[1.0, 2.0], [3.0]]
    assert optimizer.iterations == 0
    optimizer.apply([[1.0, 1.0], [1.0]], w)
    with pytest.raises(ValueError, match="this optimizer has trained other parameters"):
        optimizer.apply([[1.0]], [nb.Parameter([1.0])])
    with pytest.raises(TypeError, match="a model is trained in one dtype"):
        SGD().apply([[1.0], [1.0]], [nb.Parameter([1.0]), nb.Parameter([1.0], dtype="float64")])


def test_a_constant_gradient_does_not_break_centered_rmsprop():
    """The estimate of its variance is 0 but for rounding, and must not become negative."""
    w = nb.Parameter(np.linspace(-1, 1, 64))
    optimizer, gradient = RMSprop(1e-3, rho=0.9, centered=True), np.linspace(900, 1100, 64)
    for _ in range(300):
        optimizer.apply([gradient], [w])
    assert np.isfinite(w.numpy()).all()


# ---- settings ------------------------------------------------------------------------------------------------


def test_keras_defaults():
    assert (SGD().learning_rate, SGD().momentum, SGD().nesterov) == (0.01, 0.0, False)
    rmsprop, adam = RMSprop(), Adam()
    assert (rmsprop.learning_rate, rmsprop.rho, rmsprop.momentum, rmsprop.epsilon) == (0.001, 0.9, 0.0, 1e-7)
    assert not rmsprop.centered
    assert (adam.learning_rate, adam.beta_1, adam.beta_2, adam.epsilon) == (0.001, 0.9, 0.999, 1e-7)
    assert adam.amsgrad is False


def test_the_learning_rate_may_change_between_trainings(monkeypatch):
    """It is a cell that each step reads: no program is written for it."""
    fresh, expected = network(SGD(0.125)), []
    for _ in range(2):
        fresh.train_on_batch(X, Y)
        expected.append(fresh.get_weights())
    written, lower = [], step_builder.lower
    monkeypatch.setattr(step_builder, "lower", lambda *args: written.append(1) or lower(*args))
    changed = network(SGD(0.5))
    changed.optimizer.learning_rate = np.float32(0.125)
    assert changed.optimizer.learning_rate == 0.125
    changed.train_on_batch(X, Y)
    assert equal(changed.get_weights(), expected[0])
    changed.optimizer.learning_rate = 0
    changed.train_on_batch(X, Y)
    assert equal(changed.get_weights(), expected[0])
    changed.optimizer.learning_rate = 0.125
    changed.train_on_batch(X, Y)
    assert equal(changed.get_weights(), expected[1])
    assert len(written) == 1


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [(lambda: SGD(0.1, 0.5), "momentum", 0.75), (Adam, "beta_1", 0.5), (Adam, "beta_2", 0.9), (Adam, "epsilon", 0.1),
     (RMSprop, "rho", 0.5), (RMSprop, "epsilon", 0.1), (lambda: SGD(0.1, 0.5), "nesterov", True)],
)  # fmt: skip
def test_other_settings_may_change_too(make, name, value):
    changed, fresh = make(), make()
    setattr(changed, name, value)
    assert getattr(changed, name) == value
    config = fresh.get_config() | {name: value}
    first, second = network(changed), network(type(fresh).from_config(config))
    for model in (first, second, first, second):
        model.train_on_batch(X, Y)
    assert equal(first.get_weights(), second.get_weights())
    unchanged = network(fresh)
    for _ in range(2):
        unchanged.train_on_batch(X, Y)
    assert not equal(first.get_weights(), unchanged.get_weights())


def test_momentum_may_be_turned_on_and_off():
    model = network(SGD(0.1))
    weights = [w.copy() for w in model.get_weights()]
    velocity = [np.zeros_like(w) for w in weights]
    twin = network("sgd")
    for momentum in (0.0, 0.0, 0.9, 0.9, 0.9, 0.0):
        model.optimizer.momentum = momentum
        model.train_on_batch(X, Y)
        twin.set_weights(weights)
        with nb.Tape() as tape:
            loss = twin.loss(Y, twin(X))
        gradients = tape.gradient(loss, twin.trainable_weights)
        for k, g in enumerate(gradients):
            if momentum:
                velocity[k] = momentum * velocity[k] - 0.1 * g.numpy()
                weights[k] = weights[k] + velocity[k]
            else:
                weights[k] = weights[k] - 0.1 * g.numpy()
        for a, b in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("make", "name", "value", "error"),
    [
        *[(kind, "learning_rate", v, ValueError) for kind in (SGD, Adam, RMSprop) for v in (-1, np.inf, np.nan)],
        *[(kind, "learning_rate", v, TypeError) for kind in (SGD, Adam, RMSprop) for v in ("0.1", None, [0.1])],
        *[(SGD, "momentum", v, ValueError) for v in (-0.1, 1.5, np.nan)],
        *[(Adam, name, v, ValueError) for name in ("beta_1", "beta_2") for v in (-0.1, 1.0, 2)],
        *[(RMSprop, "rho", v, ValueError) for v in (-0.1, 1.0, 2)],
        *[(kind, "epsilon", v, ValueError) for kind in (Adam, RMSprop) for v in (-1e-7, np.nan)],
    ],
)
def test_settings_that_are_refused(make, name, value, error):
    """In the constructor, and when assigned; then the old one holds."""
    with pytest.raises(error, match=f"^{name}: expected a"):
        make(**{name: value})
    optimizer = make()
    before = getattr(optimizer, name)
    with pytest.raises(error, match=f"^{name}: expected a"):
        setattr(optimizer, name, value)
    assert getattr(optimizer, name) == before


@each
def test_configurations(name):
    optimizer = MAKERS[name]()
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert repr(again) == repr(optimizer)
    same = nb.optimizers.get({"class_name": type(optimizer).__name__, "config": optimizer.get_config()})
    assert same.get_config() == optimizer.get_config()
    assert repr(optimizer).startswith(f"{type(optimizer).__name__}(learning_rate=")


@pytest.mark.parametrize(
    ("names", "kind"), [(("sgd", "SGD"), SGD), (("adam", "Adam"), Adam), (("rmsprop", "RMSprop"), RMSprop)]
)
def test_optimizers_by_name(names, kind):
    for identifier in (*names, kind, kind()):
        assert type(nb.optimizers.get(identifier)) is kind
    optimizer = kind()
    assert nb.optimizers.get(optimizer) is optimizer
    assert nb.optimizers.get(names[0]) is not nb.optimizers.get(names[0])


def test_state_follows_the_parameters():
    model = network(Adam(0.01))
    assert model.optimizer.state == {}
    model.train_on_batch(X, Y)
    state = {name: vector.copy() for name, vector in model.optimizer.state.items()}
    assert set(state) == {"momentum", "velocity"}
    assert all(vector.any() for vector in state.values())
    # Another optimizer moves the parameters; what this one remembers stays.
    other = SGD(0.0)
    other.apply([np.ones(w.shape) for w in model.weights], model.weights)
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.train_on_batch(X, Y)
    assert equal(before, model.get_weights())
    assert model.optimizer.iterations == 2
    for name, vector in model.optimizer.state.items():
        assert not np.array_equal(vector, state[name])


def test_the_learning_rate_is_a_number_with_the_methods_of_a_variable():
    optimizer = nb.optimizers.SGD(0.1)
    rate = optimizer.learning_rate
    rate.assign(0.25)
    assert (rate, optimizer.learning_rate, float(optimizer.learning_rate.numpy())) == (0.1, 0.25, 0.25)
    assert type(pickle.loads(pickle.dumps(rate))) is type(copy.deepcopy(rate)) is float
    assert json.dumps(rate) == "0.1"
    assert type(optimizer.get_config()["learning_rate"]) is float
    scheduled = nb.optimizers.SGD(nb.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))
    with pytest.raises(TypeError, match="learning_rate"):
        scheduled.learning_rate.assign(0.2)
