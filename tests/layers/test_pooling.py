"""Pooling layers: windows, padding, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

IMAGE = np.random.default_rng(0).normal(size=(3, 6, 8, 2))
LINE = IMAGE[:, :, 0]


def test_windows_side_by_side() -> None:
    cut = IMAGE.reshape(3, 3, 2, 4, 2, 2)
    np.testing.assert_array_equal(nb.layers.MaxPooling2D(dtype="float64")(IMAGE).numpy(), cut.max((2, 4)))
    np.testing.assert_allclose(nb.layers.AveragePooling2D(2, dtype="float64")(IMAGE).numpy(), cut.mean((2, 4)))
    cut = LINE.reshape(3, 3, 2, 2)
    np.testing.assert_array_equal(nb.layers.MaxPooling1D(dtype="float64")(LINE).numpy(), cut.max(2))
    np.testing.assert_allclose(nb.layers.AveragePooling1D(2, dtype="float64")(LINE).numpy(), cut.mean(2))


def test_same_padding_counts_what_lies_inside() -> None:
    x = np.arange(1.0, 6.0).reshape(1, 5, 1)
    average = nb.layers.AveragePooling1D(3, 2, "same")(x).numpy().ravel()
    np.testing.assert_array_equal(average, [1.5, 3, 4.5])
    largest = nb.layers.MaxPooling1D(3, 2, "same")(-x).numpy().ravel()
    np.testing.assert_array_equal(largest, [-1, -2, -4])


@pytest.mark.parametrize("keepdims", [True, False])
def test_global(keepdims: bool) -> None:
    kwargs: dict[str, Any] = {"keepdims": keepdims, "dtype": "float64"}
    layers = nb.layers
    np.testing.assert_allclose(
        layers.GlobalAveragePooling2D(**kwargs)(IMAGE).numpy(), IMAGE.mean((1, 2), keepdims=keepdims)
    )
    np.testing.assert_array_equal(
        layers.GlobalMaxPooling2D(**kwargs)(IMAGE).numpy(), IMAGE.max((1, 2), keepdims=keepdims)
    )
    np.testing.assert_allclose(layers.GlobalAveragePooling1D(**kwargs)(LINE).numpy(), LINE.mean(1, keepdims=keepdims))
    np.testing.assert_array_equal(layers.GlobalMaxPooling1D(**kwargs)(LINE).numpy(), LINE.max(1, keepdims=keepdims))


def test_keras_short_names() -> None:
    layers = nb.layers
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.AvgPool1D is layers.AveragePooling1D
    assert layers.GlobalAvgPool2D is layers.GlobalAveragePooling2D


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nb.layers.MaxPooling2D((2, 2, 2)), "pool_size: expected an integer above 0, or 2"),
        (lambda: nb.layers.MaxPooling1D(0), "pool_size: expected an integer above 0"),
        (lambda: nb.layers.MaxPooling2D(strides=0), "strides: expected"),
        (lambda: nb.layers.MaxPooling2D(padding="full"), "padding: expected"),
        (lambda: nb.layers.AveragePooling2D(data_format="channels_first"), "channels on the last axis"),
        (lambda: nb.layers.GlobalMaxPooling2D(data_format="channels_first"), "channels on the last axis"),
        (lambda: nb.layers.MaxPooling2D()(LINE), "expected inputs"),
        (lambda: nb.layers.GlobalMaxPooling1D()(IMAGE), "expected inputs"),
        (lambda: nb.layers.MaxPooling2D(7)(IMAGE), "pool_size: spans 7 elements, more than the 6"),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
