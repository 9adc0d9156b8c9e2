"""``tf.image``: pictures (height, width, channels), or batches of them, changed with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import ops, random
from nbnet.as_keras.tf.tensors import as_tensor, cast, constant


def resize(images: Any, size: Any, method: Any = "bilinear", *args: Any, **kwargs: Any) -> Any:
    """Another height and width: by the nearest pixel, or bilinear between pixels."""
    x = np.asarray(images).astype(np.float32)
    height, width = (int(n) for n in size)
    rows = _places(height, x.shape[-3], method)
    columns = _places(width, x.shape[-2], method)
    for axis, (low, high, share) in ((-3, rows), (-2, columns)):
        form = (-1, 1, 1) if axis == -3 else (-1, 1)
        part = share.reshape(form).astype(np.float32)
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return constant(x)


def _places(n: int, length: int, method: Any) -> tuple[Any, Any, Any]:
    """Return for each new pixel the two old ones beside it, and how far it is from the first."""
    if str(getattr(method, "value", method)).lower() in ("nearest", "1"):
        near = np.minimum(((np.arange(n) + 0.5) * length / n).astype(int), length - 1)
        return near, near, np.zeros(n)
    at = np.clip((np.arange(n) + 0.5) * length / n - 0.5, 0, length - 1)
    low = np.floor(at).astype(int)
    return low, np.minimum(low + 1, length - 1), at - low


class ResizeMethod:
    """Ways to find new pixels."""

    BILINEAR, NEAREST_NEIGHBOR = "bilinear", "nearest"


def flip_left_right(image: Any) -> Any:
    """Mirrored from left to right."""
    return ops.flip(as_tensor(image), -2)


def flip_up_down(image: Any) -> Any:
    """Upside down."""
    return ops.flip(as_tensor(image), -3)


def _coin(seed: Any) -> bool:
    return bool(random.uniform((), seed=seed).numpy() < 0.5)


def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    """Mirrored with probability one half."""
    return flip_left_right(image) if _coin(seed) else as_tensor(image)


def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    """Upside down with probability one half."""
    return flip_up_down(image) if _coin(seed) else as_tensor(image)


def rot90(image: Any, k: int = 1, name: str | None = None) -> Any:
    """Turned by quarters, counterclockwise."""
    return constant(np.rot90(np.asarray(image), k, axes=(-3, -2)).copy())


def adjust_brightness(image: Any, delta: float) -> Any:
    """Brighter by a number."""
    return as_tensor(image) + delta


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Any:
    """Brighter or darker by a random number."""
    return as_tensor(image) + float(random.uniform((), -max_delta, max_delta, seed=seed).numpy())


def adjust_contrast(images: Any, contrast_factor: float) -> Any:
    """The distances from each channel's mean, multiplied."""
    x = as_tensor(images)
    mean = ops.mean(x, axis=(-3, -2), keepdims=True)
    return (x - mean) * contrast_factor + mean


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """The distances from each channel's mean, multiplied by a random factor."""
    return adjust_contrast(image, float(random.uniform((), lower, upper, seed=seed).numpy()))


def random_crop(value: Any, size: Any, seed: Any = None, name: str | None = None) -> Any:
    """A part of given sizes at a random place."""
    x = np.asarray(value)
    starts = [int(random.randint((), 0, n - m + 1, seed=seed).numpy()) for n, m in zip(x.shape, size, strict=True)]
    return constant(x[tuple(slice(s, s + int(m)) for s, m in zip(starts, size, strict=True))].copy())


def central_crop(image: Any, central_fraction: float) -> Any:
    """The part in the middle."""
    x = np.asarray(image)
    cut = [int((n - n * central_fraction) / 2) for n in x.shape[-3:-1]]
    return constant(x[..., cut[0] : x.shape[-3] - cut[0], cut[1] : x.shape[-2] - cut[1], :].copy())


def rgb_to_grayscale(images: Any, name: str | None = None) -> Any:
    """One channel of the three."""
    return constant(np.asarray(images).astype(np.float32) @ np.array([[0.2989], [0.587], [0.114]], np.float32))


def grayscale_to_rgb(images: Any, name: str | None = None) -> Any:
    """Three equal channels."""
    return ops.repeat(as_tensor(images), 3, axis=-1)


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: str | None = None) -> Any:
    """Bytes as floats from 0 to 1."""
    x = np.asarray(image)
    whole = x.dtype.kind in "iu" and np.dtype(dtype).kind == "f"
    return cast(constant(x), dtype) / 255.0 if whole else cast(constant(x), dtype)


def per_image_standardization(image: Any) -> Any:
    """Mean 0 and standard deviation 1 of each picture."""
    x = np.asarray(image).astype(np.float32)
    mean, std = x.mean((-3, -2, -1), keepdims=True), x.std((-3, -2, -1), keepdims=True)
    return constant((x - mean) / np.maximum(std, 1 / np.sqrt(np.prod(x.shape[-3:]))))


def psnr(a: Any, b: Any, max_val: float, name: str | None = None) -> Any:
    """The ratio of peak signal to noise, in decibels."""
    error = np.square(np.asarray(a).astype(np.float64) - np.asarray(b)).mean((-3, -2, -1))
    return constant((20 * np.log10(max_val) - 10 * np.log10(error)).astype(np.float32))


def __getattr__(name: str) -> Any:
    raise AttributeError(f"nbnet's tf.image has no {name!r}: change pictures with NumPy or Pillow", name=name)
