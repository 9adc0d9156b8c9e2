"""Layers of images: random moves as SciPy interpolates, in training only, drawn anew in each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

import nbnet as nb
from nbnet.layers import (
    CenterCrop,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    Resizing,
)

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 5, 7, 2))
#: Names of the ways to fill in SciPy.
MODES = {"reflect": "reflect", "wrap": "grid-wrap", "constant": "grid-constant", "nearest": "nearest"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("kind", [RandomZoom, RandomTranslation, RandomRotation])
def test_moves(kind: Any, mode: str, interpolation: str) -> None:
    down, right = 0.63, -0.37
    factors = ((0.1, 0.1),) if kind is RandomRotation else ((down, down), (right, right))
    layer = kind(*factors, fill_mode=mode, interpolation=interpolation, fill_value=3.0, dtype="float64")
    y = layer(IMAGES, training=True).numpy()
    height, width = IMAGES.shape[1:3]
    i, j = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    up, left, y0, x0 = i - (height - 1) / 2, j - (width - 1) / 2, (height - 1) / 2, (width - 1) / 2
    sine, cosine = np.sin(0.2 * np.pi), np.cos(0.2 * np.pi)
    at = {
        RandomZoom: [up * (1 + down) + y0, left * (1 + right) + x0],
        RandomTranslation: [i - down * height, j - right * width],
        RandomRotation: [sine * left + cosine * up + y0, cosine * left - sine * up + x0],
    }[kind]
    at = [np.round(places) for places in at] if interpolation == "nearest" else at
    for image, made in zip(IMAGES, y, strict=True):
        for channel in range(2):
            wanted = map_coordinates(image[..., channel], at, order=1, mode=MODES[mode], cval=3.0)
            np.testing.assert_allclose(made[..., channel], wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("mode", "axes"), [("horizontal", 2), ("vertical", 1), ("horizontal_and_vertical", (1, 2))])
def test_flips(mode: str, axes: Any) -> None:
    x = np.repeat(IMAGES[:1].astype("float32"), 400, 0)
    y = RandomFlip(mode, seed=3)(x, training=True).numpy()
    flipped = (y == np.flip(x, axes)).all((1, 2, 3))
    assert ((y == x).all((1, 2, 3)) | flipped).all()
    assert 150 < flipped.sum() < 250


def test_colours() -> None:
    x = np.repeat(IMAGES[:1], 300, 0)
    brighter = RandomBrightness((0.1, 0.3), seed=1, dtype="float64")(x, training=True).numpy()
    inside = (brighter > 0) & (brighter < 255)
    shift = np.where(inside, brighter - x, np.nan)
    assert np.nanmin(shift) > 25
    assert np.nanmax(shift) < 77
    np.testing.assert_allclose(np.nanmax(shift, (1, 2, 3)), np.nanmin(shift, (1, 2, 3)))
    assert len(np.unique(np.nanmax(shift, (1, 2, 3)).round(6))) > 250
    assert brighter.max() == 255
    mean = x.mean((1, 2), keepdims=True)
    sharper = RandomContrast((0.5, 0.2), value_range=(-999, 999), seed=1, dtype="float64")(x, training=True).numpy()
    ratio = (sharper - mean) / (x - mean)
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1, :1], x.shape), rtol=1e-6)
    assert 0.8 < ratio.min() < 0.85
    assert 1.4 < ratio.max() < 1.5


@pytest.mark.parametrize(
    "make",
    [lambda: RandomFlip(seed=1), lambda: RandomZoom(0.3, seed=1), lambda: RandomRotation(0.3, seed=1),
     lambda: RandomTranslation(0.3, 0.3, seed=1),
     lambda: RandomBrightness(0.3, seed=1), lambda: RandomContrast(0.3, seed=1)],
)  # fmt: skip
def test_only_in_training_and_anew_in_each_step(make: Any) -> None:
    x = np.repeat(IMAGES.astype("float32"), 8, 0)
    layer = make()
    np.testing.assert_array_equal(layer(x, training=False).numpy(), x)
    first, second = layer(x).numpy(), layer(x).numpy()
    assert not np.array_equal(first, x)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(make()(x).numpy(), first)
    assert layer(x[0], training=True).shape == x[0].shape

    def losses() -> list[float]:
        nb.set_random_seed(3)
        model = nb.Sequential([nb.Input(x.shape[1:]), make(), nb.layers.Flatten(), nb.layers.Dense(1)])
        model.compile(nb.optimizers.SGD(0.0), "mse")
        np.testing.assert_array_equal(model.predict(x, verbose=0), model(x).numpy())
        return list(model.fit(x, np.zeros(len(x)), epochs=4, batch_size=len(x), verbose=0).history["loss"])

    found = losses()
    assert len(set(found)) == 4
    assert losses() == found


def test_resizing_and_cropping() -> None:
    x = np.arange(24.0).reshape(1, 4, 6, 1)
    assert Resizing(2, 3, "nearest")(x).numpy().ravel().tolist() == [7, 9, 11, 19, 21, 23]
    assert Resizing(2, 2, crop_to_aspect_ratio=True)(x).shape == (1, 2, 2, 1)
    assert CenterCrop(2, 2)(x).numpy().ravel().tolist() == [8, 9, 14, 15]
    assert CenterCrop(2, 2)(x[0]).shape == (2, 2, 1)
    assert CenterCrop(8, 8)(x).shape == (1, 8, 8, 1)
    model = nb.Sequential([nb.Input((4, 6, 1), dtype="uint8"), Resizing(8, 8), nb.layers.Rescaling(1 / 255)])
    np.testing.assert_allclose(model.predict(x.astype("uint8"), verbose=0), model(x).numpy(), rtol=1e-6)


def test_random_crops() -> None:
    x = np.arange(63.0).reshape(1, 7, 9, 1) + np.array([0.0, 100.0]).reshape(2, 1, 1, 1)
    layer, seen = RandomCrop(3, 4, seed=1), set()
    for _ in range(200):
        found = layer(x, training=True).numpy()
        down, right = divmod(int(found[0, 0, 0, 0]), 9)
        np.testing.assert_array_equal(found, x[:, down : down + 3, right : right + 4])
        seen.add((down, right))
    assert len(seen) == 30
    assert layer(x[0], training=True).shape == (3, 4, 1)
    wanted = Resizing(3, 4, crop_to_aspect_ratio=True)(x).numpy()
    np.testing.assert_array_equal(layer(x, training=False).numpy(), wanted)
    np.testing.assert_array_equal(RandomCrop(7, 9)(x, training=False).numpy(), x)
    model = nb.Sequential([nb.Input((7, 9, 1)), layer, nb.layers.Flatten(), nb.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, np.zeros(2), verbose=0)
    assert (layer.output.shape, model.predict(x, verbose=0).shape) == ((None, 3, 4, 1), (2, 1))
    # What is cut off does not count, and needs no memory.
    x[:, [0, -1]] = x[:, :, [0, -1]] = np.nan
    assert {np.isnan(RandomCrop(1, 1, seed=k)(x, training=True).numpy()).all() for k in range(20)} == {True, False}
    assert RandomCrop(1, 40_000)(np.ones((1, 2, 80_000, 1), np.float32), training=True).shape == (1, 1, 40_000, 1)
    x = np.nan_to_num(x)
    # One of the sides is too small: the part is cut as far as it goes, and resized.
    np.testing.assert_array_equal(RandomCrop(7, 4)(x).numpy(), x[:, :, 2:6])
    assert RandomCrop(10, 4)(x).shape == (2, 10, 4, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomCrop(0, 2), "height: expected"),
        (lambda: RandomCrop(1, 1)(nb.Input((2, (1 << 24) + 1, 1)), training=True), "sides of"),
        (lambda: Resizing(0, 3), "height: expected"),
        (lambda: Resizing(2, 3, "cubic"), "interpolation: expected"),
        (lambda: Resizing(2, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "one of them at most"),
        (lambda: CenterCrop(2, 2.5), "width: expected"),
        (lambda: CenterCrop(2, 2)(np.zeros((2, 3))), "expected images"),
        (lambda: RandomFlip("sideways"), "mode: expected"),
        (lambda: RandomZoom(-1.0), "height_factor: expected"),
        (lambda: RandomZoom(0.1, fill_mode="mirror"), "fill_mode: expected"),
        (lambda: RandomTranslation(0.1, None), "width_factor: expected"),
        (lambda: RandomTranslation(0.1, (0.1, 1.2)), "width_factor: expected"),
        (lambda: RandomTranslation(0.1, "a"), "width_factor: expected a finite number"),
        (lambda: RandomRotation(1.5), "factor: expected"),
        (lambda: RandomBrightness(2.0), "factor: expected"),
        (lambda: RandomBrightness(0.1, value_range=3), "value_range: expected two numbers"),
        (lambda: RandomContrast(-0.5), "factor: expected"),
    ],
)
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
