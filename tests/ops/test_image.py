"""Functions of images: shapes, layouts, sides, and numbers by NumPy."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet.ops import image

Array = NDArray[Any]
rng = np.random.default_rng(2)
X = rng.random((2, 5, 6, 3))


def blurred(x: Array) -> Array:
    across, down = (np.exp(-0.5 * (np.arange(-h, h + 1) / s) ** 2) for h, s in ((1, 0.8), (2, 1.5)))
    kernel = np.outer(down / down.sum(), across / across.sum())[..., None]
    padded = np.pad(x, [(0, 0), (2, 2), (1, 1), (0, 0)])
    rows = range(x.shape[1])
    return np.stack([[(part[i : i + 5, j : j + 3] * kernel).sum((0, 1)) for i in rows for j in range(6)]
                     for part in padded]).reshape(x.shape)  # fmt: skip


def patches(x: Array) -> Array:
    windows = [x[:, i : i + 2, j : j + 3].reshape(len(x), -1) for i in (0, 2) for j in (0, 3)]
    return np.stack(windows, 1).reshape(len(x), 2, 2, -1)


TABLE: dict[str, tuple[Callable[..., nb.Tensor], Callable[[Array], Array]]] = {
    "crop_images": (
        lambda x, **k: image.crop_images(x, 1, 2, target_height=3, target_width=3, **k),
        lambda x: x[:, 1:4, 2:5],
    ),
    "crop_images by margins": (
        lambda x, **k: image.crop_images(x, bottom_cropping=1, top_cropping=1, left_cropping=0, right_cropping=2, **k),
        lambda x: x[:, 1:-1, :-2],
    ),
    "pad_images": (
        lambda x, **k: image.pad_images(x, 1, target_height=8, right_padding=1, target_width=9, **k),
        lambda x: np.pad(x, [(0, 0), (1, 2), (2, 1), (0, 0)]),
    ),
    "extract_patches": (lambda x, **k: image.extract_patches(x, (2, 3), **k), patches),
    "gaussian_blur": (lambda x, **k: image.gaussian_blur(x, (3, 5), (0.8, 1.5), **k), blurred),
    "resize": (lambda x, **k: image.resize(x, (10, 3), "nearest", **k), lambda x: np.repeat(x, 2, 1)[:, :, 1::2]),
    "resize with a cut": (
        lambda x, **k: image.resize(x, (5, 5), crop_to_aspect_ratio=True, **k),
        lambda x: x[:, :, :5],
    ),
    "resize with a margin": (
        lambda x, **k: image.resize(x, (9, 6), pad_to_aspect_ratio=True, fill_value=2.0, **k),
        lambda x: np.pad(x, [(0, 0), (2, 2), (0, 0), (0, 0)], constant_values=2.0),
    ),
    "rgb_to_grayscale": (image.rgb_to_grayscale, lambda x: x @ [[0.2989], [0.5870], [0.1140]]),
    "rgb_to_hsv": (image.rgb_to_hsv, lambda x: np.apply_along_axis(lambda c: colorsys.rgb_to_hsv(*c), -1, x)),
    "hsv_to_rgb": (image.hsv_to_rgb, lambda x: np.apply_along_axis(lambda c: colorsys.hsv_to_rgb(*c), -1, x)),
}


@pytest.mark.parametrize("name", TABLE)
def test_numbers_and_layouts(name: str) -> None:
    function, reference = TABLE[name]
    wanted = reference(X)
    np.testing.assert_allclose(function(X).numpy(), wanted, rtol=1e-12)
    np.testing.assert_allclose(function(X[0]).numpy(), wanted[0], rtol=1e-12)
    first = function(X.transpose(0, 3, 1, 2), data_format="channels_first").numpy()
    np.testing.assert_allclose(first, wanted.transpose(0, 3, 1, 2), rtol=1e-12)
    assert function(nb.Input(X.shape[1:])).shape == (None, *wanted.shape[1:])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: image.resize(X, (2,)), r"size: expected a height and a width, got \(2,\)"),
        (lambda: image.resize(X, (2, 2), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "one of them at most"),
        (lambda: image.resize(X, (2, 2), fill_mode="edge"), "fill_mode: expected 'constant', got 'edge'"),
        (lambda: image.resize(X[0, 0], (2, 2)), "images: expected 3 axes, or 4 with a batch"),
        (lambda: image.crop_images(X, 1, 1), "top_cropping, bottom_cropping, target_height: expected two of them"),
        (lambda: image.crop_images(X, 3, 0, 3, 0), "3 and 3 pixels do not fit to 5"),
        (lambda: image.pad_images(X, 1, 1, target_height=4, target_width=8), "1 and -2 pixels do not fit to 5"),
        (lambda: image.extract_patches(X, 7), "size: windows of 7 pixels do not fit in 5"),
        (lambda: image.extract_patches(X, 2, padding="full"), "padding: expected 'valid' or 'same', got 'full'"),
        (lambda: image.gaussian_blur(X, sigma=(0.0, 1.0)), "sigma: expected two positive numbers"),
        (lambda: image.rgb_to_hsv(X[..., :2]), "images: expected 3 channels"),
        (lambda: image.rgb_to_grayscale(X, "channels"), "data_format: expected 'channels_last' or"),
    ],
    ids=lambda value: "",
)
def test_errors(call: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


def test_grey_images_stay_as_they_are_and_black_has_no_hue() -> None:
    np.testing.assert_array_equal(image.rgb_to_grayscale(X[..., :1]).numpy(), X[..., :1])
    np.testing.assert_array_equal(
        image.rgb_to_hsv([[[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]]).numpy().ravel(), [0, 0, 0, 0, 0, 0.5]
    )


def test_other_functions_of_keras_are_refused_by_name() -> None:
    with pytest.raises(AttributeError, match=r"nbnet does not offer ops\.image\.map_coordinates"):
        nb.ops.image.map_coordinates  # noqa: B018
