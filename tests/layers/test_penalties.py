"""Losses that layers add, one call at a time; regularizers and constraints as arguments of layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import constraints, regularizers
from nbnet.engine.graph.tape import Trace
from nbnet.layers import Layer

X = np.random.default_rng(0).normal(size=(6, 4))
IMAGES = np.random.default_rng(1).normal(size=(2, 5, 5, 3))
LINES = np.random.default_rng(2).normal(size=(2, 7, 3))
IDS = np.array([[0, 1], [4, 2]])
#: A layer, its other arguments, something to call it on, and prefixes of its regularizers and constraints.
TABLE: list[tuple[str, dict[str, Any], Any, tuple[str, ...]]] = [
    ("Dense", {"units": 3}, X, ("kernel", "bias")),
    ("Conv1D", {"filters": 2, "kernel_size": 2}, LINES, ("kernel", "bias")),
    ("Conv2D", {"filters": 2, "kernel_size": 3}, IMAGES, ("kernel", "bias")),
    ("Embedding", {"input_dim": 5, "output_dim": 3}, IDS, ("embeddings",)),
    ("BatchNormalization", {}, X, ("beta", "gamma")),
    ("LayerNormalization", {}, X, ("beta", "gamma")),
    ("PReLU", {}, X, ("alpha",)),
]
PREFIXES = [(name, own, x, prefix) for name, own, x, prefixes in TABLE for prefix in prefixes]
prefixes = pytest.mark.parametrize(
    ("name", "own", "x", "prefix"), PREFIXES, ids=[f"{name}-{prefix}" for name, _, _, prefix in PREFIXES]
)
L2 = regularizers.L2(0.5)


def numbers(losses: list[nb.Tensor]) -> list[float]:
    return [loss.item() for loss in losses]


@prefixes
def test_weight_penalties(name: str, own: dict[str, Any], x: Any, prefix: str) -> None:
    layer = getattr(nb.layers, name)(**own, **{f"{prefix}_regularizer": L2}, dtype="float64")
    assert layer.losses == []
    layer(x)
    weight = getattr(layer, prefix)
    weight.assign(np.random.default_rng(3).normal(size=weight.shape))
    with nb.Tape() as tape:
        losses = layer.losses
    np.testing.assert_allclose(numbers(losses), [0.5 * (weight.numpy() ** 2).sum()], 1e-12)
    np.testing.assert_allclose(tape.gradient(losses[0], weight).numpy(), weight.numpy(), 1e-12)
    layer.trainable = False
    assert layer.losses == []


@prefixes
def test_constraints_reach_the_weight(name: str, own: dict[str, Any], x: Any, prefix: str) -> None:
    layer = getattr(nb.layers, name)(**own, **{f"{prefix}_constraint": "non_neg"}, dtype="float64")
    layer(x)
    weight = getattr(layer, prefix)
    assert weight.constraint == constraints.NonNeg()
    assert [w.constraint for w in layer.weights if w is not weight] == [None] * (len(layer.weights) - 1)
    weight.assign(np.full(weight.shape, 0.25))
    gradients = [np.ones(w.shape) for w in layer.trainable_weights]
    nb.optimizers.SGD(1.0).apply(gradients, layer.trainable_weights)
    np.testing.assert_array_equal(weight.numpy(), np.zeros(weight.shape))


@prefixes
@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        ("regularizer", "l1_l2", regularizers.L1L2(0.01, 0.01)),
        ("regularizer", regularizers.L1(0.3), regularizers.L1(0.3)),
        ("constraint", "max_norm", constraints.MaxNorm()),
        ("constraint", constraints.MinMaxNorm(0.5, 2.0), constraints.MinMaxNorm(0.5, 2.0)),
    ],
)
def test_arguments_go_round(
    name: str, own: dict[str, Any], x: Any, prefix: str, kind: str, given: Any, wanted: Any
) -> None:
    cls, argument = getattr(nb.layers, name), f"{prefix}_{kind}"
    config = json.loads(json.dumps(cls(**own, **{argument: given}).get_config()))
    made = cls.from_config(config)
    assert getattr(made, argument) == wanted
    made(x)
    assert getattr(getattr(made, prefix), kind) == wanted
    with pytest.raises(ValueError, match=f"{argument}: 'nothing' is not known"):
        cls(**own, **{argument: "nothing"})


def test_positions_are_those_of_keras() -> None:
    dense = nb.layers.Dense(2, None, True, "ones", "zeros", "l1", "l2", "l1_l2", "max_norm", "non_neg")
    assert (dense.kernel_regularizer, dense.bias_regularizer) == (regularizers.L1(), regularizers.L2())
    assert dense.activity_regularizer == regularizers.L1L2(0.01, 0.01)
    assert (dense.kernel_constraint, dense.bias_constraint) == (constraints.MaxNorm(), constraints.NonNeg())
    table = nb.layers.Embedding(3, 2, "ones", "l1", "non_neg")
    assert (table.embeddings_regularizer, table.embeddings_constraint) == (regularizers.L1(), constraints.NonNeg())
    slope = nb.layers.PReLU("ones", "l2", "non_neg", [1])
    assert (slope.alpha_regularizer, slope.shared_axes) == (regularizers.L2(), [1])
    norm = nb.layers.BatchNormalization(
        -1, 0.9, 1e-3, True, True, "zeros", "ones", "zeros", "ones", "l1", "l2", None, "non_neg"
    )
    assert (norm.beta_regularizer, norm.gamma_regularizer) == (regularizers.L1(), regularizers.L2())
    assert norm.gamma_constraint == constraints.NonNeg()


# ---- what calls add ------------------------------------------------------------------------------------------


def test_activity_is_divided_by_the_rows_of_the_batch() -> None:
    layer = nb.layers.Dense(3, "relu", activity_regularizer=regularizers.L1L2(0.3, 0.2), dtype="float64")
    y = layer(X).numpy()
    np.testing.assert_allclose(numbers(layer.losses), [(0.3 * abs(y) + 0.2 * y**2).sum() / len(X)], 1e-12)
    layer = nb.layers.ActivityRegularization(0.3, 0.2, dtype="float64")
    np.testing.assert_array_equal(layer(X).numpy(), X)
    np.testing.assert_allclose(numbers(layer.losses), [(0.3 * abs(X) + 0.2 * X**2).sum() / len(X)], 1e-12)


def test_gradients_flow_through_activity() -> None:
    layer = nb.layers.Dense(3, use_bias=False, activity_regularizer=L2, dtype="float64")
    with nb.Tape() as tape:
        y = layer(X)
        loss = layer.losses[0]
    wanted = X.T @ y.numpy() / len(X)
    np.testing.assert_allclose(tape.gradient(loss, layer.kernel).numpy(), wanted, 1e-12)


def test_activity_regularization_goes_round() -> None:
    layer = nb.layers.ActivityRegularization(0.3, 0.2)
    config = json.loads(json.dumps(layer.get_config()))
    assert "activity_regularizer" not in config
    made = nb.layers.ActivityRegularization.from_config(config)
    assert made.activity_regularizer == regularizers.L1L2(0.3, 0.2)
    with pytest.raises(ValueError, match="l1: expected"):
        nb.layers.ActivityRegularization(l1=-1.0)
    config = nb.layers.ReLU(activity_regularizer="l1").get_config()
    assert nb.layers.ReLU.from_config(config).activity_regularizer == regularizers.L1()
    assert "activity_regularizer" not in nb.layers.ReLU().get_config()


class Adds(Layer):
    """Adds its input's sum, and passes it on."""

    def call(self, x: nb.Tensor, training: bool = False) -> nb.Tensor:
        if training:
            self.add_loss(nb.ops.sum(x))
        return x


class Twice(Layer):
    """Calls a layer twice."""

    def __init__(self, inner: Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x: nb.Tensor, training: bool = False) -> nb.Tensor:
        return self.inner(self.inner(x, training=training), training=training)


def test_losses_are_those_of_the_last_call() -> None:
    layer = Adds()
    assert layer.losses == []
    for total in (1.0, 2.0):
        layer([[total]], training=True)
        assert numbers(layer.losses) == [total]
    layer([[5.0]])
    assert layer.losses == []


def test_layers_inside_count() -> None:
    outer = Twice(Adds())
    outer([[2.0]], training=True)
    assert numbers(outer.losses) == [2.0, 2.0]
    assert numbers(outer.inner.losses) == [2.0, 2.0]
    outer([[2.0]])
    assert outer.losses == outer.inner.losses == []


def test_other_layers_are_left_alone() -> None:
    first, second = Adds(), Adds()
    first([[1.0]], training=True)
    second([[2.0]], training=True)
    assert numbers(first.losses + second.losses) == [1.0, 2.0]


def test_lists_and_arrays_of_losses() -> None:
    class Several(Layer):
        def call(self, x: nb.Tensor) -> nb.Tensor:
            self.add_loss([nb.ops.sum(x), x * 2.0])
            return x

    layer = Several()
    layer([[1.0, 2.0]])
    assert numbers(layer.losses) == [3.0, 6.0]


def test_descriptions_leave_no_losses_behind() -> None:
    layer = Adds()
    layer([[1.0]], training=True)
    with Trace() as trace:
        layer(np.ones((2, 3), "float32"), training=True)
        assert [loss.data for loss in layer.losses] == [None]
    assert len(trace.losses) == 1
    assert numbers(layer.losses) == [1.0]


def test_weights_come_after_calls_and_count_once() -> None:
    inner = nb.layers.Dense(1, kernel_initializer="ones", kernel_regularizer=L2, activity_regularizer=L2)
    outer = Twice(inner)
    outer([[2.0]])
    assert numbers(outer.losses) == [2.0, 2.0, 0.5]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Adds().add_loss(1.0), TypeError, "loss: expected a tensor computed with nbnet.ops, got 1.0"),
        (
            lambda: nb.layers.Dense(1, activity_regularizer=lambda y: 3)(X),
            TypeError,
            "activity_regularizer: expected a tensor",
        ),
        (lambda: nb.layers.Dense(1, activity_regularizer="l3"), ValueError, "activity_regularizer: 'l3' is not known"),
        (lambda: Layer().add_weight((1,), dtype="float64"), ValueError, "dtype: layer.* computes in float32"),
        (lambda: Layer().add_weight((1,), constraint=3), TypeError, "constraint"),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_weights_of_ones_own() -> None:
    class Scale(Layer):
        def build(self, input_shape: Any) -> None:
            self.factor = self.add_weight(
                shape=(input_shape[-1],),
                initializer="ones",
                dtype="float32",
                trainable=True,
                regularizer=lambda w: nb.ops.sum(w) * 0.5,
                constraint=nb.ops.abs,
                name="factor",
            )

        def call(self, x: nb.Tensor) -> nb.Tensor:
            return x * self.factor

    layer = Scale()
    layer(X)
    assert numbers(layer.losses) == [2.0]
    nb.optimizers.SGD(1.0).apply([[0.0, 1.0, 2.0, 3.0]], layer.trainable_weights)
    np.testing.assert_array_equal(layer.factor.numpy(), [1, 0, 1, 2])
