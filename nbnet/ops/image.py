"""Functions of images: resize, crop_images, pad_images, extract_patches, gaussian_blur, colours.

Images are (height, width, channels) or (batch, height, width, channels); with ``data_format="channels_first"``, the
channels come before height and width. A model that calls them on symbols cannot be saved: wrap them in a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.loading_budget import reserve
from nbnet.base.unsupported_keras import keras_hint
from nbnet.base.validation import check_choice
from nbnet.engine.graph.symbolic import symbolic
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.ops.arithmetic import clip
from nbnet.ops.broadcast import add, divide, maximum, minimum, mod, multiply, subtract
from nbnet.ops.compare import equal, greater, less, where
from nbnet.ops.constants import arange, zeros
from nbnet.ops.elementwise import abs, documents
from nbnet.ops.index import pad, take
from nbnet.ops.matmul import matmul
from nbnet.ops.reshape import expand_dims, reshape, squeeze, swapaxes, transpose
from nbnet.ops.slicing import cut, stack, unstack
from nbnet.ops.windows import in_format, pair, with_channels_last

__all__ = [
    "crop_images", "extract_patches", "gaussian_blur", "hsv_to_rgb", "pad_images", "resize", "rgb_to_grayscale",
    "rgb_to_hsv",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)


Array = NDArray[Any]

# ---- interpolation, each axis on its own, as a product with a matrix of weights ------------------------------


def _triangle(d: Array) -> Array:
    return np.maximum(1.0 - d, 0.0)


def _cubic(d: Array) -> Array:
    """Keys's kernel with a = -1/2: R. G. Keys, IEEE Trans. Acoust., Speech, Signal Process. 29 (1981)."""
    near = (1.5 * d - 2.5) * d * d + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d < 1.0, near, np.where(d < 2.0, far, 0.0))


def _lanczos(lobes: int) -> Callable[[Array], Array]:
    return lambda d: np.where(d < lobes, np.sinc(d) * np.sinc(d / lobes), 0.0)


_KERNELS: dict[str, Callable[[Array], Array]] = {
    "bicubic": _cubic,
    "bilinear": _triangle,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}
INTERPOLATIONS = (*_KERNELS, "nearest")


def weights(n: int, m: int, interpolation: str, antialias: bool = False) -> Array:
    """Return the weights by which n elements of an axis become m.

    Centres of elements lie at 1/2, 3/2, ...; weights of an output add up to 1.

    Parameters
    ----------
    n, m
        Elements before and after, from 1.
    interpolation
        ``"bicubic"``, ``"bilinear"``, ``"lanczos3"`` or ``"lanczos5"``.
    antialias
        If True, kernels are wider where the axis becomes shorter, so that every element counts.

    Returns
    -------
    float64 array (n, m).

    Examples
    --------
    >>> from nbnet.ops.image import weights
    >>> weights(2, 4, "bilinear").T
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    found = zeros((n, m), np.float64, "resize")
    wider = max(n / m, 1.0) if antialias else 1.0
    centres = (np.arange(m) + 0.5) * (n / m) - 0.5
    for rows in np.array_split(np.arange(n), max(n * m >> 16, 1)):  # kernels make several arrays of that size
        found[rows] = _KERNELS[interpolation](np.abs(centres - rows[:, None]) / wider)
    totals = found.sum(0)
    found /= np.where(np.abs(totals) > 1e-12, totals, 1.0)
    return found


def interpolated(images: Any, size: Sequence[int], interpolation: str = "bilinear", antialias: bool = False) -> Tensor:
    """Images or sequences of another size: interpolation along the axes between the batch's and the channels'.

    Parameters
    ----------
    images
        (batch, ..., channels)
    size
        New lengths of the axes in between.
    interpolation
        ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
    antialias
        If True, kernels are wider where an axis becomes shorter, so that every element counts.

    Raises
    ------
    ValueError
        If the lengths do not fit the axes, or the interpolation is not known.

    Examples
    --------
    >>> from nbnet.ops.image import interpolated
    >>> interpolated([[[0.0], [4.0]]], (4,)).numpy().ravel()
    array([0., 1., 3., 4.], dtype=float32)
    """
    x, kind = tensor(images), check_choice(interpolation, "interpolation", INTERPOLATIONS)
    if len(size) != x.ndim - 2 or any(n < 1 for n in (*size, *x.shape[1:-1])):
        raise ValueError(f"size: expected lengths above 0 of axes 1 to {x.ndim - 2} of shape {x.shape}, got {size!r}")
    for axis, m in enumerate(size, 1):
        n = x.shape[axis]
        if n == m:
            continue
        if kind == "nearest":
            x = take(x, np.floor((arange(0, m, 1, "resize") + 0.5) * (n / m)).astype(int), axis)
        else:
            order = list(range(x.ndim))
            order[axis], order[-1] = order[-1], order[axis]
            x = transpose(matmul(transpose(x, order), weights(n, m, kind, antialias).astype(x.dtype)), order)
    return x


# ---- images in both orders of their axes ---------------------------------------------------------------------

_documents_images = documents(
    first="images\n    Tensor or array.",
    last='data_format : {None, "channels_last", "channels_first"}\n    The order of the axes.',
)


def _batch(images: Any, data_format: str | None) -> Tensor:
    """Images as (batch, height, width, channels)."""
    made = tensor(images)
    if made.ndim not in (3, 4):
        raise ValueError(f"images: expected 3 axes, or 4 with a batch, got shape {made.shape}")
    return with_channels_last(expand_dims(made, 0) if made.ndim == 3 else made, data_format)


def _as_given(made: Tensor, images: Any, data_format: str | None) -> Tensor:
    """Images in the form in which they came."""
    made = in_format(made, data_format)
    return squeeze(made, 0) if tensor(images).ndim == 3 else made


@symbolic
@_documents_images
def resize(
    images: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images of another size.

    Parameters
    ----------
    size
        New height and width.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}
        How pixels are found between others.
    antialias
        If True, more pixels count where an image becomes smaller.
    crop_to_aspect_ratio, pad_to_aspect_ratio
        If True, the image is cut, or gets a margin, so that it is not distorted.
    fill_mode, fill_value
        ``"constant"``, and the value of the margin.

    Raises
    ------
    ValueError
        If an argument is none of these, or both ways to keep the ratio are asked for.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.image.resize(nb.ops.zeros((2, 6, 8, 3)), (3, 4)).shape
    (2, 3, 4, 3)
    """
    made = _batch(images, data_format)
    if len(size) != 2:
        raise ValueError(f"size: expected a height and a width, got {size!r}")
    if fill_mode != "constant":
        raise ValueError(f"fill_mode: expected 'constant', got {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("crop_to_aspect_ratio, pad_to_aspect_ratio: expected one of them at most")
    wanted = [index(n) for n in size]
    sides = list(made.shape[1:3])
    if crop_to_aspect_ratio:
        kept = [min(n, int(float(other * m) / k)) for n, other, m, k in _ratios(sides, wanted)]
        for axis, (n, m) in enumerate(zip(sides, kept, strict=True), 1):
            made = cut(made, axis, int(float(n - m) / 2), m)
    elif pad_to_aspect_ratio:
        grown = [max(n, int(float(other * m) / k)) for n, other, m, k in _ratios(sides, wanted)]
        margins = [int(float(m - n) / 2) for n, m in zip(sides, grown, strict=True)]
        widths = [(m, m) for m in (margins if not margins[0] else [margins[0], 0])]
        made = pad(made, [(0, 0), *widths, (0, 0)], constant_values=fill_value)
    return _as_given(interpolated(made, wanted, interpolation, antialias), images, data_format)


def _ratios(sides: Sequence[int], wanted: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """For each side: its length, that of the other, and the new lengths of both."""
    (h, w), (height, width) = sides, wanted
    return [(h, w, height, width), (w, h, width, height)]


def _margins(
    size: int, first: Any, last: Any, target: Any, names: tuple[str, str, str], grows: bool
) -> tuple[int, int]:
    """Numbers of pixels before and after, from two of three arguments."""
    if sum(value is None for value in (first, last, target)) != 1:
        raise ValueError(f"{', '.join(names)}: expected two of them")
    change = 0 if target is None else (index(target) - size if grows else size - index(target))
    before = change - index(last) if first is None else index(first)
    after = change - before if last is None else index(last)
    if before < 0 or after < 0 or (not grows and before + after > size):
        raise ValueError(f"{', '.join(names)}: {before} and {after} pixels do not fit to {size}")
    return before, after


@symbolic
@_documents_images
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images with a margin of zeros.

    Parameters
    ----------
    top_padding, bottom_padding, target_height
        Two of these: pixels above, below, and the new height.
    left_padding, right_padding, target_width
        The same across.

    Raises
    ------
    ValueError
        If not two of each are given, or they do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.image.pad_images(nb.ops.zeros((4, 4, 3)), 1, 2, target_height=6, target_width=7).shape
    (6, 7, 3)
    """
    made = _batch(images, data_format)
    names = ("top_padding", "bottom_padding", "target_height"), ("left_padding", "right_padding", "target_width")
    rows = _margins(made.shape[1], top_padding, bottom_padding, target_height, names[0], True)
    columns = _margins(made.shape[2], left_padding, right_padding, target_width, names[1], True)
    return _as_given(pad(made, [(0, 0), rows, columns, (0, 0)]), images, data_format)


@symbolic
@_documents_images
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images without their margins.

    Parameters
    ----------
    top_cropping, bottom_cropping, target_height
        Two of these: pixels cut off above, below, and the new height.
    left_cropping, right_cropping, target_width
        The same across.

    Raises
    ------
    ValueError
        If not two of each are given, or they do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.image.crop_images(nb.ops.zeros((4, 4, 3)), 1, 0, target_height=2, target_width=3).shape
    (2, 3, 3)
    """
    made = _batch(images, data_format)
    names = ("top_cropping", "bottom_cropping", "target_height"), ("left_cropping", "right_cropping", "target_width")
    top, bottom = _margins(made.shape[1], top_cropping, bottom_cropping, target_height, names[0], False)
    left, right = _margins(made.shape[2], left_cropping, right_cropping, target_width, names[1], False)
    made = cut(made, 1, top, made.shape[1] - top - bottom)
    return _as_given(cut(made, 2, left, made.shape[2] - left - right), images, data_format)


@symbolic
@_documents_images
def extract_patches(
    images: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Windows of images, as channels.

    Parameters
    ----------
    size
        Height and width of the windows.
    strides
        Distances of the windows; None for their size.
    dilation_rate
        Distances of the pixels of a window.
    padding : {"valid", "same"}
        Whether windows lie inside the image, or there is one for each of its pixels, with zeros around.

    Returns
    -------
    Tensor (batch, rows, columns, pixels of a window * channels).

    Raises
    ------
    ValueError
        If sizes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.image.extract_patches(nb.ops.zeros((2, 8, 8, 3)), 4).shape
    (2, 2, 2, 48)
    """
    made = _batch(images, data_format)
    if padding not in ("valid", "same"):
        raise ValueError(f"padding: expected 'valid' or 'same', got {padding!r}")
    kernel, gaps = (
        pair(size, "size", 1, "a positive integer"),
        pair(dilation_rate, "dilation_rate", 1, "a positive integer"),
    )
    steps = kernel if strides is None else pair(strides, "strides", 1, "a positive integer")
    places: list[Any] = []
    for axis, (k, gap, step) in enumerate(zip(kernel, gaps, steps, strict=True), 1):
        n, reach = made.shape[axis], (k - 1) * gap + 1
        if padding == "same":
            missing = max((-(-n // step) - 1) * step + reach - n, 0)
            widths = [(missing // 2, missing - missing // 2) if m == axis else (0, 0) for m in range(4)]
            made, n = pad(made, widths), n + missing
        if n < reach:
            raise ValueError(f"size: windows of {reach} pixels do not fit in {n}")
        places.append(np.arange((n - reach) // step + 1)[:, None] * step + np.arange(k) * gap)
    down, right = places
    reserve(down.size * right.size, "extract_patches")
    found = down[:, None, :, None] * made.shape[2] + right[None, :, None, :]
    channels = made.shape[3]
    flat = reshape(made, (-1, made.shape[1] * made.shape[2], channels))
    patches = take(flat, found.reshape(-1), 1)
    shape = len(down), len(right), kernel[0] * kernel[1] * channels
    return _as_given(reshape(patches, (-1, *shape)), images, data_format)


@symbolic
@_documents_images
def gaussian_blur(
    images: Any,
    kernel_size: Sequence[int] = (3, 3),
    sigma: Sequence[float] = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:
    """Images, each pixel with the weighted mean of those around it; around the image are zeros.

    Parameters
    ----------
    kernel_size
        Width and height of the part that counts.
    sigma
        Standard deviations of the weights, across and down.

    Raises
    ------
    ValueError
        If kernel_size or sigma is not positive.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.image.gaussian_blur(nb.ops.ones((4, 4, 1)), (3, 3)).numpy()[1, 1].round(4)
    array([1.], dtype=float32)
    """
    made = _batch(images, data_format)
    across, down = pair(kernel_size, "kernel_size", 1, "a positive integer")
    if len(sigma) != 2 or min(sigma) <= 0:
        raise ValueError(f"sigma: expected two positive numbers, got {sigma!r}")
    for axis, k, deviation in ((1, down, sigma[1]), (2, across, sigma[0])):
        n = made.shape[axis]
        reserve(n * n * k, "gaussian_blur")
        bell = np.exp(-0.5 * ((np.arange(k) - (k - 1) / 2) / deviation) ** 2)
        # Weights of each pixel in each result.
        band = sum(weight * np.eye(n, k=(k - 1) // 2 - at) for at, weight in enumerate((bell / bell.sum()).tolist()))
        made = swapaxes(matmul(swapaxes(made, axis, -1), np.asarray(band, made.dtype)), axis, -1)
    return _as_given(made, images, data_format)


def _colours(images: Any, data_format: str | None) -> list[Tensor]:
    made = _batch(images, data_format)
    if made.shape[-1] != 3:
        raise ValueError(f"images: expected 3 channels, got shape {tensor(images).shape}")
    return unstack(made, 3, -1)


@symbolic
@_documents_images
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """Images in shades of grey: ``0.2989 r + 0.5870 g + 0.1140 b``.

    Parameters
    ----------
    images
        Tensor or array with 3 channels; or with 1, which is returned.

    Raises
    ------
    ValueError
        If there is another number of channels.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.image.rgb_to_grayscale([[[1.0, 1.0, 1.0]]]).numpy().round(4).ravel()
    array([0.9999], dtype=float32)
    """
    if _batch(images, data_format).shape[-1] == 1:
        return tensor(images)
    r, g, b = _colours(images, data_format)
    grey = add(add(multiply(r, 0.2989), multiply(g, 0.5870)), multiply(b, 0.1140))
    return _as_given(expand_dims(grey, -1), images, data_format)


@symbolic
@_documents_images
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value of colours, each from 0 to 1.

    Parameters
    ----------
    images
        Tensor or array with 3 channels: red, green and blue from 0 to 1.

    Raises
    ------
    ValueError
        If there is another number of channels.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.image.rgb_to_hsv([[[0.0, 0.5, 0.0]]]).numpy().round(4).ravel()
    array([0.3333, 1.    , 0.5   ], dtype=float32)
    """
    tiny = float(np.finfo(tensor(images).dtype).eps)
    r, g, b = (where(less(abs(x), tiny), 0.0, x) for x in _colours(images, data_format))
    value = maximum(maximum(r, g), b)
    spread = subtract(value, minimum(minimum(r, g), b))
    some = greater(spread, 0.0)
    saturation = where(greater(value, 0.0), divide(spread, where(greater(value, 0.0), value, 1.0)), 0.0)
    scale = divide(1.0 / 6.0, where(some, spread, 1.0))
    hue = where(
        equal(value, g),
        add(multiply(scale, subtract(b, r)), 2.0 / 6.0),
        add(multiply(scale, subtract(r, g)), 4.0 / 6.0),
    )
    hue = where(equal(value, r), multiply(scale, subtract(g, b)), hue)
    hue = where(less(hue, 0.0), add(hue, 1.0), hue)
    return _as_given(stack([where(some, hue, 0.0), saturation, value], -1), images, data_format)


@symbolic
@_documents_images
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Red, green and blue of colours: the inverse of :func:`rgb_to_hsv`.

    Parameters
    ----------
    images
        Tensor or array with 3 channels: hue, saturation and value from 0 to 1.

    Raises
    ------
    ValueError
        If there is another number of channels.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.image.hsv_to_rgb([[[1 / 3, 1.0, 0.5]]]).numpy().round(4).ravel()
    array([0. , 0.5, 0. ], dtype=float32)
    """
    hue, saturation, value = _colours(images, data_format)
    turn = multiply(mod(hue, 1.0), 6.0)
    parts = (
        subtract(abs(subtract(turn, 3.0)), 1.0),
        subtract(2.0, abs(subtract(turn, 2.0))),
        subtract(2.0, abs(subtract(turn, 4.0))),
    )
    rest = subtract(1.0, saturation)
    made = [multiply(value, add(rest, multiply(saturation, clip(part, 0.0, 1.0)))) for part in parts]
    return _as_given(stack(made, -1), images, data_format)
