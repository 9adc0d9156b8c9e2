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
        ({"groups": 2, "filters": 4}, "groups: expected a divisor of the input's channels, 1, got 2"),
        ({"groups": 2, "filters": 3}, "groups: expected a divisor of the filters, 3, got 2"),
        ({"groups": 0}, "groups: expected an integer from 1"),
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
    with pytest.raises(ValueError, match="was built for inputs of shape"):
        layer(np.zeros((1, 5, 5, 4)))


def test_groups_are_convolutions_side_by_side() -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 4))
    layer = nb.layers.Conv2D(6, 3, groups=2, padding="same", dtype="float64")
    y = layer(x).numpy()
    kernel, bias = layer.get_weights()
    for group, (channels, filters) in enumerate([(slice(0, 2), slice(0, 3)), (slice(2, 4), slice(3, 6))]):
        one = nb.layers.Conv2D(3, 3, padding="same", dtype="float64", name=f"group_{group}")
        one.build((None, 6, 7, 2))
        one.set_weights([kernel[..., filters], bias[filters]])
        np.testing.assert_allclose(y[..., filters], one(x[..., channels]).numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("strides", "padding", "dilation"), [(1, "valid", 1), (2, "same", 1), (1, "same", 2)])
def test_conv3d_against_a_sum_over_windows(strides: int, padding: str, dilation: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 4, 2))
    layer = nb.layers.Conv3D(3, (3, 2, 2), strides, padding, dilation_rate=dilation, dtype="float64")
    y = layer(x).numpy()
    kernel = layer.get_weights()[0]
    reach = [(k - 1) * dilation + 1 for k in kernel.shape[:3]]
    counts = [-(-n // strides) if padding == "same" else (n - r) // strides + 1
              for n, r in zip(x.shape[1:4], reach, strict=True)]  # fmt: skip
    before = [max((c - 1) * strides + r - n, 0) // 2 if padding == "same" else 0
              for c, r, n in zip(counts, reach, x.shape[1:4], strict=True)]  # fmt: skip
    padded = np.pad(x, [(0, 0), *((b, 9) for b in before), (0, 0)])
    assert y.shape == (2, *counts, 3)
    for at in np.ndindex(*counts):
        window = padded[:, *(slice(a * strides, a * strides + r, dilation) for a, r in zip(at, reach, strict=True))]
        np.testing.assert_allclose(y[:, *at], np.tensordot(window, kernel, 4), rtol=1e-10, atol=1e-12)


def test_transposed_convolution_is_the_gradient_of_convolution() -> None:
    rng = np.random.default_rng(0)
    x, dy = nb.Parameter(rng.normal(size=(2, 10, 8, 3)), dtype="float64"), rng.normal(size=(2, 5, 4, 2))
    kernel = rng.normal(size=(3, 2, 3, 2))
    with nb.Tape() as tape:
        loss = nb.ops.sum(nb.ops.conv(x, kernel, 2, "same") * dy)
    (gradient,) = tape.gradient(loss, [x])
    back = nb.layers.Conv2DTranspose(3, (3, 2), 2, "same", use_bias=False, dtype="float64")
    back.build((None, 5, 4, 2))
    back.set_weights([kernel])
    np.testing.assert_allclose(back(dy).numpy(), gradient.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nb.layers.Conv2DTranspose(2, 3, output_padding=1), "output_padding: expected numbers below the"),
        (lambda: nb.layers.Conv1DTranspose(2, 3, 2, dilation_rate=2), "exclude each other"),
        (lambda: nb.layers.Conv1DTranspose(2, 3, padding="causal"), "padding: expected 'valid' or 'same'"),
        (lambda: nb.layers.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier: expected an integer from 1"),
        (lambda: nb.layers.SeparableConv1D(0, 3), "filters: expected an integer from 1"),
        (lambda: nb.layers.SeparableConv1D(2, 3)(np.zeros((2, 2, 1))), "kernel_size: spans 3 elements"),
        (lambda: nb.layers.DepthwiseConv1D(3)(np.zeros((2, 5, 5, 1))), r"expected inputs \(batch, length, channels\)"),
        (lambda: nb.layers.Conv3D(3, 2)(np.zeros((2, 5, 5, 1))), r"\(batch, depth, height, width, channels\)"),
    ],
)
def test_errors_of_other_kinds(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Conv2D"])
def test_other_channels_than_built_for_are_refused(name: str) -> None:
    cls = getattr(nb.layers, name)
    layer = cls(3) if name == "DepthwiseConv2D" else cls(4, 3)
    layer(np.zeros((1, 5, 5, 4)))
    with pytest.raises(ValueError, match="was built for inputs of shape"):
        layer(np.zeros((1, 5, 5, 2)))


def test_a_network_of_all_kinds_learns_saves_and_loads(tmp_path: Any) -> None:
    nb.set_random_seed(0)
    L = nb.layers
    model = nb.Sequential([
        nb.Input((8, 8, 1)),
        L.SeparableConv2D(4, 3, padding="same", activation="relu"),
        L.Conv2D(8, 2, strides=2, groups=2, activation="relu"),
        L.DepthwiseConv2D(3, padding="same"),
        L.Conv2DTranspose(4, 2, strides=2),
        L.SpatialDropout2D(0.1),
        L.Flatten(),
        L.Dense(2, "softmax"),
    ])  # fmt: skip
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 1))
    y = (x[:, 2:6, 2:6].mean((1, 2, 3)) > 0).astype(int)
    model.compile(nb.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    losses = model.fit(x, y, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    model.save(tmp_path / "m.nbnet")
    np.testing.assert_array_equal(nb.load_model(tmp_path / "m.nbnet").predict(x), model.predict(x))
