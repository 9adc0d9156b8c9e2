"""Convolution layers: weights, geometry, errors, and a small network that learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import signal

import nbnet as nb


def test_conv2d_against_scipy() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 8, 9, 2))
    layer = nb.layers.Conv2D(4, (3, 2), dtype="float64", bias_initializer="ones")
    y = layer(x).numpy()
    kernel, bias = layer.get_weights()
    assert (kernel.shape, bias.shape) == ((3, 2, 2, 4), (4,))
    for n in range(3):
        for f in range(4):
            wanted = sum(signal.correlate2d(x[n, :, :, c], kernel[:, :, c, f], "valid") for c in range(2)) + 1
            np.testing.assert_allclose(y[n, :, :, f], wanted, rtol=1e-10, atol=1e-12)


def test_conv1d_causal_sees_no_future() -> None:
    layer = nb.layers.Conv1D(3, 4, padding="causal", dilation_rate=2)
    x = np.random.default_rng(0).normal(size=(2, 12, 5)).astype("float32")
    later = x.copy()
    later[:, 7:] += 1
    before, after = layer(x).numpy(), layer(later).numpy()
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert np.all(before[:, 7] != after[:, 7])


def test_conv1d_is_conv2d_of_height_1() -> None:
    rng = np.random.default_rng(0)
    line, image = (nb.layers.Conv1D(4, 3, 2, "same", dtype="float64"),
                   nb.layers.Conv2D(4, (1, 3), (1, 2), "same", dtype="float64"))  # fmt: skip
    x = rng.normal(size=(2, 11, 3))
    image.build_for((None, 1, 11, 3))
    y = line(x).numpy()
    kernel, bias = line.get_weights()
    image.set_weights([kernel[None], bias])
    np.testing.assert_array_equal(image(x[:, None]).numpy()[:, 0], y)


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("window", [1, 2, 3, 6])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_same_padding_counts_steps(size: int, window: int, step: int) -> None:
    layer = nb.layers.Conv2D(1, window, step, "same", kernel_initializer="ones", dtype="float64")
    y = layer(np.ones((1, size, size, 1))).numpy()[0, :, :, 0]
    count = -(-size // step)
    before = max((count - 1) * step + window - size, 0) // 2
    inside = [sum(0 <= i * step - before + k < size for k in range(window)) for i in range(count)]
    np.testing.assert_array_equal(y, np.outer(inside, inside))


def test_activation_follows_the_bias() -> None:
    layer = nb.layers.Conv2D(2, 1, activation="relu", kernel_initializer="zeros", bias_initializer="ones")
    np.testing.assert_array_equal(layer(np.ones((1, 2, 2, 1))).numpy(), 1)


def stripes(n: int) -> tuple[Any, Any]:
    """Images of noise with a horizontal or a vertical line somewhere."""
    rng = np.random.default_rng(0)
    x, y, at = rng.normal(0, 0.3, (n, 8, 8, 1)), rng.integers(0, 2, n), rng.integers(0, 8, n)
    for i in range(n):
        x[(i, at[i]) if y[i] else (i, slice(None), at[i])] += 1
    return x, y


def test_small_network_learns() -> None:
    nb.set_random_seed(0)
    x, y = stripes(256)
    layers = nb.layers
    model = nb.Sequential(
        [
            nb.Input((8, 8, 1)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(nb.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:200], y[:200], batch_size=32, epochs=12, verbose=0)
    assert model.evaluate(x[200:], y[200:], verbose=0)[1] > 0.9


def test_sequence_network_learns() -> None:
    nb.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 256)
    x = rng.normal(0, 0.2, (256, 20, 1))
    for i, at in enumerate(rng.integers(0, 17, 256)):
        x[i, at : at + 3, 0] += [1, -1, 1] if y[i] else [-1, 1, -1]
    model = nb.Sequential(
        [
            nb.Input((20, 1)),
            nb.layers.Conv1D(8, 3, activation="relu"),
            nb.layers.MaxPooling1D(2),
            nb.layers.GlobalMaxPooling1D(),
            nb.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(nb.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x[:200], y[:200], batch_size=16, epochs=40, verbose=0)
    assert model.evaluate(x[200:], y[200:], verbose=0)[1] > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters: expected an integer from 1"),
        ({"kernel_size": 0}, "kernel_size: expected an integer above 0"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size: expected an integer above 0, or 2"),
        ({"kernel_size": 2.5}, "kernel_size: expected an integer above 0"),
        ({"strides": True}, "strides: expected an integer above 0"),
        ({"padding": "causal"}, "padding: expected 'valid' or 'same'"),
        ({"data_format": "channels_first"}, "channels on the last axis"),
        ({"data_format": "nchw"}, "data_format: expected 'channels_last'"),
        ({"groups": 2}, "groups: nbnet convolves all channels together"),
        ({"strides": 2, "dilation_rate": 2}, "exclude each other"),
        ({"activation": "nonsense"}, "'nonsense' is not known"),
        ({"kernel_size": 9}, "kernel_size: spans 9 elements, more than the 8 of the input"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nb.layers.Conv2D(**({"filters": 2, "kernel_size": 3} | arguments))(np.zeros((1, 8, 8, 1)))


def test_wrong_inputs() -> None:
    layer = nb.layers.Conv2D(2, 3)
    with pytest.raises(
        ValueError, match=r"expected inputs \(batch, height, width, channels\), got shape \(None, 28, 28\)"
    ):
        layer(np.zeros((1, 28, 28)))
    layer(np.zeros((1, 5, 5, 3)))
    with pytest.raises(ValueError, match="for 3 channels"):
        layer(np.zeros((1, 5, 5, 4)))
