"""Rescaling with fixed numbers, and normalisation by statistics of the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet.layers import preprocessing

Array = NDArray[Any]


def test_rescaling() -> None:
    x = np.random.default_rng(0).integers(0, 256, (3, 4, 2)).astype("uint8")
    y = nb.layers.Rescaling(1 / 127.5, offset=-1)(x).numpy()
    np.testing.assert_allclose(y, x / 127.5 - 1, rtol=1e-6, atol=1e-7)
    arrays = nb.layers.Rescaling(np.array([2.0, 3.0]), np.array([1.0, -1.0]))
    np.testing.assert_array_equal(arrays(x).numpy(), x * np.float32([2, 3]) + np.float32([1, -1]))


@pytest.mark.parametrize("value", [np.nan, np.inf, "a", None])
def test_rescaling_refuses_what_is_no_number(value: Any) -> None:
    with pytest.raises(ValueError, match="scale: expected finite numbers"):
        nb.layers.Rescaling(value)


@pytest.mark.parametrize(("axis", "others"), [(-1, (0, 1)), (1, (0, 2)), ((1, 2), (0,)), (None, (0, 1, 2))])
def test_adapt(axis: Any, others: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(5, 3, (20, 3, 4))
    layer = nb.layers.Normalization(axis, dtype="float64")
    layer.adapt(x)
    wanted = (x - x.mean(others, keepdims=True)) / x.std(others, keepdims=True)
    np.testing.assert_allclose(layer(x).numpy(), wanted, rtol=1e-10, atol=1e-12)
    mean, variance, count = layer.get_weights()
    np.testing.assert_allclose(mean, x.mean(others))
    np.testing.assert_allclose(variance, x.var(others))
    assert count == x.size / mean.size
    assert layer.trainable_weights == []


def test_invert() -> None:
    x = np.random.default_rng(0).normal(5, 3, (20, 4))
    there, back = (nb.layers.Normalization(invert=invert, dtype="float64") for invert in (False, True))
    there.adapt(x)
    back.adapt(x)
    np.testing.assert_allclose(back(there(x)).numpy(), x, rtol=1e-10)


def chunked(x: Array) -> Iterator[Array]:
    yield from (x[:7], x[7:8], x[8:])


def test_adapt_takes_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    x = 1e4 + np.random.default_rng(0).normal(5, 3, (20, 4))
    results = []
    pairs = [(x[:12], np.zeros(12)), (x[12:], np.zeros(8))]
    for data in (x, x.tolist(), list(chunked(x)), chunked(x), pairs, nb.tensor(x)):
        layer = nb.layers.Normalization(dtype="float64")
        layer.adapt(np.zeros((3, 4)))  # is forgotten
        layer.adapt(data)
        results.append(layer.get_weights())
    monkeypatch.setattr(preprocessing, "CHUNK", 12)
    layer = nb.layers.Normalization(dtype="float64")
    layer.adapt(x)
    results.append(layer.get_weights())
    for found in results:
        np.testing.assert_allclose(found[0], x.mean(0), rtol=1e-12)
        np.testing.assert_allclose(found[1], x.var(0), rtol=1e-9)
        assert found[2] == 20


def test_feature_that_never_varies_is_zero() -> None:
    layer = nb.layers.Normalization()
    layer.adapt(np.full((5, 2), 3.0))
    np.testing.assert_array_equal(layer(np.full((5, 2), 3.0)).numpy(), 0)


def test_given_statistics() -> None:
    layer = nb.layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0])
    np.testing.assert_allclose(layer(np.array([[3.0, 5.0]])).numpy(), [[1, 1]])
    assert layer.get_weights() == []
    with pytest.raises(ValueError, match="cannot be adapted"):
        layer.adapt(np.ones((2, 2)))


@pytest.mark.parametrize(
    ("axis", "mean", "shape", "aligned"),
    [
        (2, np.arange(5.0), (2, 4, 5, 3), (1, 1, 5, 1)),
        ((1, 2), np.zeros((7, 5)), (2, 7, 5, 3), (1, 7, 5, 1)),
        ((1, 2), np.arange(5.0), (2, 7, 5, 3), (1, 7, 5, 1)),
        (-1, 5.0, (3, 7), (1, 7)),
        (-1, None, (3, 7), (1, 7)),
        (None, None, (3, 7), (1, 1)),
    ],
)
def test_statistics_broadcast_with_the_input(axis: Any, mean: Any, shape: Any, aligned: Any) -> None:
    layer = nb.layers.Normalization(axis, mean, None if mean is None else np.ones_like(mean))
    assert layer.mean is layer.variance is None
    x = np.random.default_rng(0).normal(5, 3, shape)
    if mean is None:
        layer.adapt(x)
    y = layer(x)
    assert layer.mean is not None
    assert layer.variance is not None
    assert layer.mean.shape == layer.variance.shape == aligned
    if mean is not None:
        sizes = [n for n in aligned if n > 1]
        np.testing.assert_array_equal(layer.mean[:, :1], np.broadcast_to(mean, sizes).reshape(aligned)[:, :1])
    np.testing.assert_allclose(y, (x - layer.mean.numpy()) / np.sqrt(layer.variance.numpy()), rtol=1e-5, atol=1e-5)


def test_statistics_of_last_axes_fit_inputs_with_more_axes() -> None:
    layer = nb.layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(size=(32, 5, 3)))
    assert layer(np.ones((1, 2, 5, 3))).shape == (1, 2, 5, 3)
    for x in (np.ones((2, 4)), np.ones(())):
        with pytest.raises(ValueError, match=r"was built for inputs of shape \((None, )?3"):
            layer(x)
    with pytest.raises(TypeError, match=r"expected arrays of numbers \(n, ...\)"):
        layer.adapt(iter([42]))


def test_adapt_reaches_programs_that_exist() -> None:
    x = np.random.default_rng(0).normal(5, 3, (20, 4))
    layer = nb.layers.Normalization(dtype="float64")
    model = nb.Sequential([nb.Input((4,), dtype="float64"), layer], dtype="float64")
    np.testing.assert_array_equal(model.predict(x), x)
    layer.adapt(x)
    np.testing.assert_allclose(model.predict(x), (x - x.mean(0)) / x.std(0), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "data", "message"),
    [
        ({"mean": 1.0}, None, "given together"),
        ({"mean": 1.0, "variance": -1.0}, None, "variance: expected numbers from 0"),
        ({"mean": [1.0] * 3, "variance": [1.0] * 3}, None, "does not fit"),
        ({"axis": 5}, np.ones((3, 2)), "out of range"),
        ({"axis": 0}, np.ones((3, 2)), "no known size"),
        ({}, np.ones(3), "axis=None"),
        ({}, np.ones((0, 2)), "no rows"),
        ({}, [], "no rows"),
        ({}, np.array([[1.0, np.nan]]), "NaN"),
        ({}, np.array([["a"]]), "arrays of numbers"),
        ({}, [np.ones((3, 2)), np.ones((3, 4))], "does not fit"),
    ],
)
def test_errors(arguments: dict[str, Any], data: Any, message: str) -> None:
    def run() -> None:
        layer = nb.layers.Normalization(**arguments)
        if data is None:
            layer(np.ones((3, 2)))
        else:
            layer.adapt(data)

    with pytest.raises(ValueError, match=message):
        run()
