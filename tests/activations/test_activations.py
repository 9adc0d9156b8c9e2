"""Activations by name and as functions, against Keras 3's formulas in NumPy; their arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

import nbnet as nb

Array = NDArray[Any]
A = nb.activations
X = np.concatenate([np.linspace(-8, 8, 97), [-0.5, 0.5, -3.0, 3.0, 6.0, 1.0, -1.0]]).reshape(8, 13)
EVEN = X.reshape(-1, 8)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def sparsemax(x: Array) -> Array:
    """The nearest point of the simplex, by bisection for the threshold."""
    low, high = x.min(-1, keepdims=True) - 1, x.max(-1, keepdims=True)
    for _ in range(100):
        tau = (low + high) / 2
        over = np.maximum(x - tau, 0).sum(-1, keepdims=True) > 1
        low, high = np.where(over, tau, low), np.where(over, high, tau)
    return np.maximum(x - tau, 0)


REFERENCES: dict[str, Callable[[Array], Array]] = {
    "celu": elu,
    "elu": elu,
    "exponential": np.exp,
    "gelu": lambda x: x * special.ndtr(x),
    "glu": lambda x: x[..., : x.shape[-1] // 2] * special.expit(x[..., x.shape[-1] // 2 :]),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
    "log_sigmoid": special.log_expit,
    "log_softmax": lambda x: special.log_softmax(x, -1),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: 1.05070098 * elu(x, 1.67326324),
    "sigmoid": special.expit,
    "silu": lambda x: x * special.expit(x),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "softmax": lambda x: special.softmax(x, -1),
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
    "sparse_sigmoid": lambda x: np.where(x <= -1, 0, np.where(x >= 1, 1, (x + 1) / 2)),
    "sparsemax": sparsemax,
    "squareplus": lambda x: (x + np.sqrt(x**2 + 4)) / 2,
    "swish": lambda x: x * special.expit(x),
    "tanh": np.tanh,
    "tanh_shrink": lambda x: x - np.tanh(x),
}
names = pytest.mark.parametrize("name", REFERENCES)


@names
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_agree_with_the_formula(name: str, dtype: Any) -> None:
    x = EVEN if name == "glu" else X
    found = A.get(name)(nb.tensor(x.astype(dtype)))
    assert found.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-8
    np.testing.assert_allclose(found.numpy(), REFERENCES[name](x), rtol=tolerance, atol=tolerance)
    assert getattr(A, name) is A.get(name)


def test_every_activation_has_a_reference() -> None:
    functions = set(A.__all__) - {"deserialize", "get", "name_of", "serialize", "threshold"}
    assert functions == set(REFERENCES)


@names
def test_a_layer_takes_it_by_name(name: str) -> None:
    x = (EVEN if name == "glu" else X)[:2].astype(np.float32)
    layer = nb.layers.Activation(name)
    np.testing.assert_allclose(layer(x).numpy(), A.get(name)(nb.tensor(x)).numpy())
    again = nb.layers.Activation(**layer.get_config())
    assert again.activation is layer.activation
    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(4, name)])
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(model.predict(rows), model(rows).numpy(), rtol=1e-5, atol=1e-6)
    assert model.output_shape == (None, 2 if name == "glu" else 4)


@pytest.mark.parametrize("name", ["glu", "sparsemax", "relu6", "threshold"])
def test_training_goes_through_it(name: str) -> None:
    activation = (lambda x: A.threshold(x, 0.1, -1.0)) if name == "threshold" else name
    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(6, activation), nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(64, 3))
    history = model.fit(x, x[:, :1] ** 2, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({}, [0, 0, 0, 5, 10]),
        ({"negative_slope": 0.5}, [-5, -2.5, 0, 5, 10]),
        ({"max_value": 5.0}, [0, 0, 0, 5, 5]),
        ({"max_value": 6.0}, [0, 0, 0, 5, 6]),
        ({"threshold": 5.0}, [0, 0, 0, 0, 10]),
        ({"threshold": 2.0, "negative_slope": 0.5}, [-6, -3.5, -1, 5, 10]),
        ({"threshold": 2.0, "negative_slope": 0.5, "max_value": 7.0}, [-6, -3.5, -1, 5, 7]),
        ({"negative_slope": -0.5}, [5, 2.5, 0, 5, 10]),
        ({"threshold": -7.0}, [0, -5, 0, 5, 10]),
        ({"threshold": -7.0, "max_value": 6.0}, [0, 0, 0, 5, 6]),
    ],
)
def test_relu(arguments: dict[str, float], wanted: list[float]) -> None:
    x = [-10.0, -5.0, 0.0, 5.0, 10.0]
    np.testing.assert_allclose(A.relu(x, **arguments).numpy(), wanted)
    # The same once more, written as Keras computes it.
    slope, top, t = (arguments.get(k, d) for k, d in [("negative_slope", 0.0), ("max_value", None), ("threshold", 0.0)])
    z = np.array(x)
    up = np.where(z > t, z, 0) if t else np.maximum(z, 0)
    up = up if top is None else np.clip(up, 0, top)
    np.testing.assert_allclose(wanted, up - slope * np.maximum(t - z, 0))


def test_relu_has_gradients_with_all_arguments() -> None:
    x = nb.Parameter([-10.0, 1.0, 3.0, 9.0])
    with nb.Tape() as tape:
        y = nb.ops.sum(A.relu(x, negative_slope=0.5, max_value=7.0, threshold=2.0))
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), [0.5, 0.5, 1.0, 0.0])


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda x: A.elu(x, alpha=2.0), lambda x: elu(x, 2.0)),
        (lambda x: A.celu(x, alpha=2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0) / 2))),
        (lambda x: A.leaky_relu(x, negative_slope=0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
        (lambda x: A.gelu(x, approximate=True), lambda x: x / 2 * (1 + np.tanh(0.79788456 * (x + 0.044715 * x**3)))),
        (lambda x: A.hard_shrink(x, threshold=2.0), lambda x: np.where(np.abs(x) > 2, x, 0)),
        (lambda x: A.soft_shrink(x, threshold=2.0), lambda x: np.sign(x) * np.maximum(np.abs(x) - 2, 0)),
        (lambda x: A.squareplus(x, b=0.1), lambda x: (x + np.sqrt(x**2 + 0.1)) / 2),
        (lambda x: A.squareplus(x, b=0), lambda x: np.maximum(x, 0)),
        (lambda x: A.threshold(x, 1.5, -7.0), lambda x: np.where(x > 1.5, x, -7)),
        (lambda x: A.softmax(x, axis=1), lambda x: special.softmax(x, -1)),
    ],
)
def test_arguments(call: Callable[[Any], nb.Tensor], wanted: Callable[[Array], Array]) -> None:
    np.testing.assert_allclose(call(X).numpy(), wanted(X), rtol=1e-6, atol=1e-9)


def test_squareplus_keeps_its_digits_far_below_zero() -> None:
    x = -np.geomspace(1, 1e6, 30)
    np.testing.assert_allclose(A.squareplus(x.astype(np.float32)).numpy(), 2 / (np.sqrt(x**2 + 4) - x), rtol=1e-6)


def test_sparsemax_is_a_distribution_with_zeros() -> None:
    rng = np.random.default_rng(0)
    for width in (1, 2, 3, 50, 1000):
        x = 5 * rng.normal(size=(20, width)).astype(np.float32)
        p = A.sparsemax(x).numpy()
        np.testing.assert_allclose(p.sum(-1), 1, atol=2e-6)
        assert (p >= 0).all()
        np.testing.assert_allclose(p, sparsemax(x.astype(float)), atol=2e-6)
    np.testing.assert_allclose(A.sparsemax(np.zeros((1, 4))).numpy(), 0.25)
    assert np.isnan(A.sparsemax(np.full((1, 3), np.nan)).numpy()).all()


def test_serialize() -> None:
    for name in REFERENCES:
        assert A.deserialize(A.serialize(A.get(name))) is A.get(name)
    assert A.serialize(A.hard_swish) == "hard_silu"
    assert A.serialize(A.exponential) == "exponential"
    assert A.get("exp") is A.exponential
    assert A.get({"class_name": "function", "config": "relu"}) is A.relu

    def double(x: nb.Tensor) -> nb.Tensor:
        return x + x

    assert A.serialize(double) == "double"
    assert A.deserialize("double", {"double": double}) is double


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: A.get("reluu"), ValueError, "activation: 'reluu' is not known; known are celu, elu"),
        (lambda: A.get(3), TypeError, "activation: expected a name or a function"),
        (lambda: A.get({}), TypeError, "activation: expected a name or a function"),
        (lambda: A.serialize(lambda x: x), ValueError, "has no name to load it by"),
        (lambda: A.glu([[1.0, 2.0, 3.0]]), ValueError, "glu: expected a last axis of even length"),
        (lambda: A.softmax([[1.0, 2.0]], axis=2), ValueError, "axis: 2 is out of range for 2 axes"),
        (lambda: A.log_softmax([[1.0, 2.0]], axis=-3), ValueError, "axis: -3 is out of range for 2 axes"),
        (lambda: A.sparsemax(1.0), ValueError, "axis: -1 is out of range for 0 axes"),
        (lambda: A.celu([1.0], alpha=0), ValueError, "alpha: expected a number above 0"),
        (lambda: A.hard_shrink([1.0], threshold=-1), ValueError, "threshold: expected a number from 0"),
        (lambda: A.soft_shrink([1.0], threshold=-1), ValueError, "threshold: expected a number from 0"),
        (lambda: A.squareplus([1.0], b=-1), ValueError, "b: expected a number from 0"),
    ],
)
def test_refusals(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
