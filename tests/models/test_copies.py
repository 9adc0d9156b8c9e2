"""Models that are copied, and pickled."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = X[:, :1] * X[:, 1:2]


def stack():
    return nb.Sequential(
        [
            nb.Input((3,)),
            layers.Dense(4, "relu", kernel_regularizer="l2", kernel_constraint="max_norm"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(1),
        ]
    )


def residual(depth=120):
    """Deeper than Python's limit of recursion is wide."""
    inputs = x = nb.Input((3,))
    for _ in range(depth):
        x = layers.Add()([layers.Dense(3, kernel_initializer="zeros")(x), x])
    return nb.Model(inputs, layers.Dense(1)(nb.ops.relu(x) * 2.0 + stack()(x)))


def without_input():
    return nb.Sequential([layers.Dense(3, "gelu"), layers.Dense(1)])


class Own(nb.Model):
    def __init__(self):
        super().__init__()
        self.first, self.inner = layers.Dense(3), stack()

    def call(self, x):
        return self.inner(self.first(x))


def averaged():
    schedule = nb.optimizers.schedules.CosineDecay(1e-3, 10)
    return nb.optimizers.SGD(schedule, momentum=0.9, use_ema=True)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def same(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a.get_weights(), b.get_weights(), strict=True))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
@pytest.mark.parametrize("optimizer", [nb.optimizers.Adam, averaged])
@pytest.mark.parametrize("make", [stack, residual, without_input, Own])
def test_a_copy_goes_on_as_the_original_would(make, optimizer, duplicate):
    nb.set_random_seed(0)
    model = make()
    model.compile(optimizer(), "mse", metrics=["mae", nb.metrics.R2Score()])
    model.fit(X, Y, epochs=2, verbose=0)
    other = duplicate(model)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    before = model.get_weights()
    there = other.fit(X, Y, epochs=4, initial_epoch=2, verbose=0)
    assert all(np.array_equal(v, w) for v, w in zip(before, model.get_weights(), strict=True))
    here = model.fit(X, Y, epochs=4, initial_epoch=2, verbose=0)
    assert there.history == here.history
    assert same(model, other)
    assert other.optimizer.iterations == model.optimizer.iterations


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
def test_models_that_were_not_trained(duplicate):
    model = stack()
    assert same(model, duplicate(model))
    bare = duplicate(without_input())
    bare.compile("adam", "mse")
    bare.fit(X, Y, verbose=0)


def test_functions_of_ops_are_pickled_by_name():
    for name in nb.ops.__all__:
        assert pickle.loads(pickle.dumps(getattr(nb.ops, name))) is getattr(nb.ops, name)


def test_what_belonged_to_an_earlier_compile_is_released():
    model = stack()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    block = weakref.ref(model.optimizer.block)
    model.compile("adam", "mse")
    gc.collect()
    assert block() is None


def test_the_tree_of_all_variables():
    model, other = stack(), stack()
    for made in (model, other):
        made.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    tree = model.get_state_tree()
    first = model.layers[0]
    np.testing.assert_array_equal(tree["trainable_variables"][first.name]["kernel"], first.kernel)
    assert tree["optimizer_variables"][model.optimizer.name]["iteration"] == 2
    assert set(tree["metrics_variables"]["loss"]) == {"total", "count"}
    names = {a.name: b.name for a, b in zip(model.layers, other.layers, strict=True)}
    for kind in ("trainable_variables", "non_trainable_variables"):
        other.set_state_tree({kind: {names[name]: part for name, part in tree[kind].items()}})
    other.set_state_tree({"optimizer_variables": {other.optimizer.name: {"iteration": 7, "learning_rate": 0.25}}})
    assert (other.optimizer.iterations, other.optimizer.learning_rate) == (7, 0.25)
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    assert isinstance(model.get_state_tree("numpy_array")["trainable_variables"][first.name]["kernel"], np.ndarray)
    for mistake in ({"weights": {}}, {"trainable_variables": {"none": {"kernel": 1.0}}}):
        with pytest.raises(ValueError, match="state_tree: "):
            model.set_state_tree(mistake)
