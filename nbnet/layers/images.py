"""Images: resizing and cropping, and random changes of each image in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nbnet import ops, random
from nbnet.base.validation import check_choice, check_int
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer, Shape
from nbnet.ops import constants
from nbnet.ops.image import INTERPOLATIONS, resize
from nbnet.ops.windows import check_data_format

FILL_MODES = ("reflect", "wrap", "constant", "nearest")


class ImageLayer(Layer):
    """Base of the layers of images: (batch, height, width, channels), or one image without the batch axis."""

    _shared_docs: ClassVar[dict[str, str]] = {
        "last": 'data_format\n    ``"channels_last"`` or None.',
        "raises": "ValueError\n    If an argument is out of range, or the input has other axes.",
    }
    _arguments: ClassVar[tuple[str, ...]] = ("data_format",)
    data_format = "channels_last"

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format(data_format)

    def _check_input(self, shape: Shape) -> None:
        if len(shape) not in (3, 4):
            raise ValueError(f"{self.name}: expected images (batch, height, width, channels), got shape {shape}")


class Resizing(ImageLayer):
    """Resizes images; the result is floats.

    Parameters
    ----------
    height, width
        New sizes.
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"}
        How pixels are found between others.
    crop_to_aspect_ratio, pad_to_aspect_ratio
        If True, cut the image, or add margins, so that it is not distorted; at most one of them.
    fill_mode, fill_value
        ``"constant"``, and the value of margins.
    antialias
        If True, more pixels count where an image becomes smaller.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Resizing(2, 3)(nb.ops.zeros((1, 4, 9, 3))).shape
    (1, 2, 3, 3)
    """

    _arguments = (
        "height", "width", "interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value",
        "antialias",
    )  # fmt: skip

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.height, self.width = check_int(height, "height"), check_int(width, "width")
        self.interpolation = check_choice(interpolation, "interpolation", INTERPOLATIONS)
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = bool(crop_to_aspect_ratio), bool(pad_to_aspect_ratio)
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ValueError("crop_to_aspect_ratio, pad_to_aspect_ratio: expected one of them at most")
        self.fill_mode = check_choice(fill_mode, "fill_mode", ("constant",))
        self.fill_value, self.antialias = _finite(fill_value, "fill_value"), bool(antialias)

    def call(self, images: Tensor) -> Tensor:
        return resize(
            images, (self.height, self.width), self.interpolation, self.antialias, self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio, self.fill_mode, self.fill_value,
        )  # fmt: skip


class CenterCrop(ImageLayer):
    """Cuts the middle out of images; smaller images are cut to the ratio of the sides, and resized.

    Parameters
    ----------
    height, width
        New sizes.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.CenterCrop(1, 2)(np.arange(12.0).reshape(1, 3, 4, 1)).numpy().ravel()
    array([5., 6.], dtype=float32)
    """

    _arguments = ("height", "width")

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.height, self.width = check_int(height, "height"), check_int(width, "width")

    def call(self, images: Tensor) -> Tensor:
        down, right = images.shape[-3] - self.height, images.shape[-2] - self.width
        if down < 0 or right < 0:
            return resize(images, (self.height, self.width), crop_to_aspect_ratio=True)
        return ops.slice(
            images,
            (*[0] * (images.ndim - 3), down // 2, right // 2, 0),
            (*images.shape[:-3], self.height, self.width, images.shape[-1]),
        )


class RandomImageLayer(ImageLayer):
    """Base of the layers that change each image of a batch by random numbers of its own, in training."""

    _shared_docs: ClassVar[dict[str, str]] = ImageLayer._shared_docs | {
        "last": "seed\n    Integer; by default the layer draws its own from the global seed.\n"
        + ImageLayer._shared_docs["last"],
    }
    _arguments: ClassVar[tuple[str, ...]] = ("seed",)

    def __init__(self, seed: int | None = None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.seed = None if seed is None else random.as_integer(seed, "seed")
        self._seeds = random.SeedGenerator(self.seed)

    def call(self, images: Tensor, training: bool = True) -> Tensor:
        if not training:
            return images
        changed = self._change(ops.expand_dims(images, 0) if images.ndim == 3 else images)
        return ops.squeeze(changed, 0) if images.ndim == 3 else changed

    def _change(self, images: Tensor) -> Tensor:
        """Return a batch of changed images."""
        raise NotImplementedError

    def _draw(self, images: Tensor, limits: Sequence[float]) -> Tensor:
        """Return a number between two limits for each image, (batch, 1, 1, 1)."""
        return random.uniform((images.shape[0], 1, 1, 1), limits[0], limits[1], dtype=images.dtype, seed=self._seeds)


class RandomFlip(RandomImageLayer):
    """Flips each image with probability 1/2, in training.

    Parameters
    ----------
    mode : {"horizontal_and_vertical", "horizontal", "vertical"}
        Sides that change places. With ``"horizontal_and_vertical"``, an image is flipped in both ways or in none.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> layer = nb.layers.RandomFlip("horizontal", seed=1)
    >>> images = np.tile(np.array([1.0, 2.0]).reshape(1, 1, 2, 1), (100, 1, 1, 1))
    >>> flipped = layer(images, training=True).numpy()[:, 0, :, 0]
    >>> sorted({tuple(row) for row in flipped.tolist()})
    [(1.0, 2.0), (2.0, 1.0)]
    """

    _arguments = ("mode",)

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.mode = check_choice(mode, "mode", ("horizontal_and_vertical", "horizontal", "vertical"))

    def _change(self, images: Tensor) -> Tensor:
        axes = [axis for axis, side in ((1, "vertical"), (2, "horizontal")) if side in self.mode]
        chosen = ops.less_equal(self._draw(images, (0.0, 1.0)), 0.5)
        return ops.where(chosen, ops.flip(images, axes), images)


class RandomCrop(RandomImageLayer):
    """Cuts the same part out of all images of a batch, at a random place, in training.

    In inference, images are cut to the ratio of the sides, and resized, so that a model gets one shape in both (Keras
    leaves them as they are); in training those that are not larger in both directions are cut and resized, too.

    Parameters
    ----------
    height, width
        New sizes.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> layer = nb.layers.RandomCrop(1, 2, seed=1)
    >>> images = np.arange(12.0).reshape(1, 3, 4, 1)
    >>> layer(images, training=True).shape, layer(images, training=False).shape
    ((1, 1, 2, 1), (1, 1, 2, 1))
    """

    _arguments = ("height", "width")

    def __init__(
        self, height: int, width: int, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.height, self.width = check_int(height, "height"), check_int(width, "width")

    def call(self, images: Tensor, training: bool = True) -> Tensor:
        if training:
            return super().call(images, training)
        same = images.shape[-3:-1] == (self.height, self.width)
        return images if same else resize(images, (self.height, self.width), crop_to_aspect_ratio=True)

    def _change(self, images: Tensor) -> Tensor:
        height, width = images.shape[1:3]
        if max(height, width) > 1 << 24 and images.dtype == np.float32:
            raise ValueError(f"{self.name}: expected sides of 2**24 pixels at most, got {height} x {width}")
        if height > self.height and width > self.width:
            picked = ops.take(ops.transpose(images, (1, 2, 0, 3)), self._places(height, self.height, images.dtype), 0)
            picked = ops.take(ops.transpose(picked, (1, 2, 0, 3)), self._places(width, self.width, images.dtype), 0)
            return ops.transpose(picked, (1, 2, 0, 3))
        down = (height - max(min(height, width * self.height // self.width), 1)) // 2
        right = (width - max(min(width, height * self.width // self.height), 1)) // 2
        part = images[:, down : down + self.height, right : right + self.width]
        return part if part.shape[1:3] == (self.height, self.width) else resize(part, (self.height, self.width))

    def _places(self, n: int, m: int, dtype: Any) -> Tensor:
        """Return m places in a row of n, from a random one on."""
        drawn = random.uniform((1,), 0.0, n - m + 1.0, dtype=dtype, seed=self._seeds)
        first = ops.minimum(ops.floor(drawn), float(n - m))
        return ops.cast(constants.places(m, self.name).astype(dtype) + first, "int64")


class Moves(RandomImageLayer):
    """Base of the layers that move pixels, and fill places that come from outside of an image."""

    _arguments: ClassVar[tuple[str, ...]] = ("fill_mode", "interpolation", "fill_value")

    def __init__(
        self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float, data_format: str | None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(seed, data_format, **kwargs)
        self.fill_mode = check_choice(fill_mode, "fill_mode", FILL_MODES)
        self.interpolation = check_choice(interpolation, "interpolation", ("bilinear", "nearest"))
        self.fill_value = _finite(fill_value, "fill_value")

    def _inside(self, at: Tensor, n: int) -> Tensor:
        """Return the place on an axis of n pixels that stands for each place, with "wrap" from 0 and below n."""
        if self.fill_mode == "wrap":
            return at - ops.floor(at / float(n)) * float(n)
        if self.fill_mode == "reflect":
            # Reflected at the outer edges of the first and the last pixel: a period is 2 n.
            at = n - ops.abs((at + 0.5) - 2.0 * n * ops.floor((at + 0.5) / (2.0 * n)) - n) - 0.5
        return ops.clip(at, 0.0, n - 1.0)


class SeparateMoves(Moves):
    """Base of the layers that move pixels along each axis on its own: a product with a matrix for each image."""

    _arguments = ("height_factor", "width_factor")
    #: Limits of the factors.
    _bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._down = limits(height_factor, "height_factor", self._bounds)
        self._right = self._width_limits(width_factor)

    def _width_limits(self, factor: Any) -> list[float] | None:
        """Return the limits of the factor of the width; None if it is that of the height."""
        if factor is None:
            raise ValueError("width_factor: expected a number or a pair of them, got None")
        return limits(factor, "width_factor", self._bounds)

    def _change(self, images: Tensor) -> Tensor:
        rows, height, width, channels = images.shape
        down = ops.reshape(self._draw(images, self._down), (rows, 1))
        right = down if self._right is None else ops.reshape(self._draw(images, self._right), (rows, 1))
        moved = ops.reshape(images, (rows, height, width * channels)) - self.fill_value
        moved = ops.matmul(self._mixing(down, height, images.dtype), moved)
        moved = ops.transpose(ops.reshape(moved, (rows, height, width, channels)), (0, 2, 1, 3))
        moved = ops.reshape(moved, (rows, width, height * channels))
        moved = ops.matmul(self._mixing(right, width, images.dtype), moved)
        moved = ops.transpose(ops.reshape(moved, (rows, width, height, channels)), (0, 2, 1, 3))
        return moved + self.fill_value

    def _mixing(self, factor: Tensor, n: int, dtype: Any) -> Tensor:
        """Return the weights (batch, n, n) of the n old places along an axis in each new one.

        Outside of the image they are 0, with ``fill_mode="constant"``.
        """
        places = constants.places(n, self.name).astype(dtype)
        at = self._sources(factor, places, n)
        if self.interpolation == "nearest":
            at = ops.round(at)
        if self.fill_mode != "constant":
            at = self._inside(at, n)
        apart = ops.abs(ops.expand_dims(at, -1) - places)
        if self.fill_mode == "wrap":
            apart = ops.minimum(apart, n - apart)
        return ops.relu(1.0 - apart)

    def _sources(self, factor: Tensor, places: Any, n: int) -> Tensor:
        """Return the old places (batch, n) of the pixels at new ones, for a factor (batch, 1) of each image."""
        raise NotImplementedError


class RandomZoom(SeparateMoves):
    """Zooms out of each image, or into it, by a random part of its sides, in training.

    Parameters
    ----------
    height_factor
        ``(low, high)`` in (-1, 1]: 0.2 makes an image show 20 % more of its height, -0.2 shows 20 % less. A number f
        stands for ``(-f, f)``.
    width_factor
        The same for the width; None for that of the height, which keeps the ratio of the sides.
    fill_mode : {"reflect", "wrap", "constant", "nearest"}
        What is outside of an image: itself reflected, or again; ``fill_value``; or the pixel at the border.
    interpolation : {"bilinear", "nearest"}
        How pixels are found between others.
    fill_value
        Value outside with ``fill_mode="constant"``.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> layer = nb.layers.RandomZoom((-0.5, -0.5), interpolation="nearest")
    >>> layer(np.arange(16.0).reshape(1, 4, 4, 1), training=True).numpy()[0, 0, :, 0]
    array([5., 5., 6., 6.], dtype=float32)
    """

    _bounds = (float(np.nextafter(-1.0, 0.0)), 1.0)

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            height_factor, width_factor, fill_mode, interpolation, seed, fill_value, data_format, **kwargs
        )  # fmt: skip

    def _width_limits(self, factor: Any) -> list[float] | None:
        return None if factor is None else super()._width_limits(factor)

    def _sources(self, factor: Tensor, places: Any, n: int) -> Tensor:
        middle = (n - 1) / 2
        return ops.add(ops.multiply(ops.add(factor, 1.0), places - middle), middle)


class RandomTranslation(SeparateMoves):
    """Moves each image by a random part of its sides, in training.

    Parameters
    ----------
    height_factor, width_factor
        ``(low, high)`` in [-1, 1]: 0.2 moves an image down, or to the right, by 20 % of the side. A number f stands
        for ``(-f, f)``.
    fill_mode, interpolation, fill_value
        As for :class:`RandomZoom`.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> layer = nb.layers.RandomTranslation(0, (0.25, 0.25), fill_mode="constant")
    >>> layer(np.arange(4.0).reshape(1, 1, 4, 1), training=True).numpy().ravel()
    array([0., 0., 1., 2.], dtype=float32)
    """

    def _sources(self, factor: Tensor, places: Any, n: int) -> Tensor:
        return ops.subtract(places, ops.multiply(factor, float(n)))


class RandomRotation(Moves):
    """Rotates each image about its middle by a random angle, in training.

    Parameters
    ----------
    factor
        ``(low, high)`` in [-1, 1], as parts of a full turn; positive angles turn counterclockwise. A number f stands
        for ``(-f, f)``.
    fill_mode, interpolation, fill_value
        As for :class:`RandomZoom`.

    Raises
    ------
    ValueError
        If an argument is out of range, or the input has other axes, or more pixels than its dtype can number.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> layer = nb.layers.RandomRotation((0.5, 0.5), interpolation="nearest")
    >>> layer(np.arange(4.0).reshape(1, 2, 2, 1), training=True).numpy().ravel()
    array([3., 2., 1., 0.], dtype=float32)
    """

    _arguments = ("factor",)

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = limits(factor, "factor", (-1.0, 1.0))

    def _change(self, images: Tensor) -> Tensor:
        rows, height, width, channels = images.shape
        if height * width > 1 << 24 and images.dtype == np.float32:
            raise ValueError(f"{self.name}: expected images of 2**24 pixels at most, got {height} x {width}")
        angle = ops.reshape(self._draw(images, self.factor), (rows, 1)) * (2.0 * np.pi)
        cosine, sine = ops.cos(angle), ops.sin(angle)
        i, j = np.divmod(constants.places(height * width, self.name), width)
        up, right = (i - (height - 1) / 2).astype(images.dtype), (j - (width - 1) / 2).astype(images.dtype)
        y = ops.add(ops.add(ops.multiply(sine, right), ops.multiply(cosine, up)), (height - 1) / 2)
        x = ops.add(ops.subtract(ops.multiply(cosine, right), ops.multiply(sine, up)), (width - 1) / 2)
        pixels = ops.reshape(images, (rows, height * width, channels))
        if self.interpolation == "nearest":
            found = self._pixels(pixels, ops.round(y), ops.round(x), height, width)
        else:
            above, left = ops.floor(y), ops.floor(x)
            low, near = ops.expand_dims(y - above, -1), ops.expand_dims(x - left, -1)
            first = self._between(pixels, above, left, near, height, width)
            second = self._between(pixels, above + 1.0, left, near, height, width)
            found = first * (1.0 - low) + second * low
        return ops.reshape(found, images.shape)

    def _between(self, pixels: Tensor, y: Tensor, left: Tensor, near: Tensor, height: int, width: int) -> Tensor:
        """Return the pixels between those at whole places and their neighbours to the right."""
        first = self._pixels(pixels, y, left, height, width)
        return first * (1.0 - near) + self._pixels(pixels, y, left + 1.0, height, width) * near

    def _pixels(self, pixels: Tensor, y: Tensor, x: Tensor, height: int, width: int) -> Tensor:
        """Return the pixels (batch, places, channels) at whole places (batch, places), also outside of an image."""
        row, column = (ops.clip(self._inside(at, n), 0.0, n - 1.0) for at, n in ((y, height), (x, width)))
        places = ops.expand_dims(row * float(width) + column, -1)
        numbers = ops.cast(ops.broadcast_to(places, pixels.shape), "int64")
        found = ops.take_along_axis(pixels, numbers, 1)
        if self.fill_mode != "constant":
            return found
        outside = ops.expand_dims(ops.abs(row - y) + ops.abs(column - x), -1)
        return ops.where(ops.greater(ops.broadcast_to(outside, pixels.shape), 0.0), self.fill_value, found)


class RandomColours(RandomImageLayer):
    """Base of the layers that change the values of pixels, and clip them to a range."""

    _arguments = ("factor", "value_range")
    #: Limits of the factor.
    _bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def __init__(
        self, factor: Any, value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.factor = limits(factor, "factor", self._bounds)
        self.value_range = _pair(value_range, "value_range")


class RandomBrightness(RandomColours):
    """Makes each image brighter or darker by a random number, in training.

    Parameters
    ----------
    factor
        ``(low, high)`` in [-1, 1]: -1 makes an image black, 1 white. A number f stands for ``(-f, f)``.
    value_range
        Least and greatest value of a pixel, to which the result is clipped.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.RandomBrightness((0.1, 0.1))
    >>> layer(nb.ops.zeros((1, 1, 2, 1)), training=True).numpy().ravel()
    array([25.5, 25.5], dtype=float32)
    """

    def _change(self, images: Tensor) -> Tensor:
        low, high = self.value_range
        return ops.clip(images + self._draw(images, self.factor) * (high - low), low, high)


class RandomContrast(RandomColours):
    """Changes the contrast of each image by a random factor, in training: ``(x - mean) * factor + mean``, with the
    mean of each channel.

    Parameters
    ----------
    factor
        ``(low, high)`` in [0, 1]: factors lie between ``1 - low`` and ``1 + high``. A number f stands for ``(0, f)``,
        as in Keras.
    value_range
        Least and greatest value of a pixel, to which the result is clipped.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> y = nb.layers.RandomContrast(0.5, seed=1)(np.array([10.0, 30.0]).reshape(1, 1, 2, 1), training=True)
    >>> bool(5 <= y.numpy().min() <= 10), round(float(y.numpy().mean()), 4)
    (True, 20.0)
    """

    _bounds = (0.0, 1.0)

    def _change(self, images: Tensor) -> Tensor:
        less, more = self.factor
        mean = ops.mean(images, (1, 2), keepdims=True)
        changed = (images - mean) * self._draw(images, (1.0 - less, 1.0 + more)) + mean
        return ops.clip(changed, *self.value_range)


def limits(factor: Any, name: str, bounds: tuple[float, float]) -> list[float]:
    """Return the limits of a random factor: two numbers in order, or the two of a number f, ``-f`` and ``f``.

    Examples
    --------
    >>> from nbnet.layers.images import limits
    >>> limits(0.5, "factor", (0.0, 1.0)), limits((0.3, -0.2), "factor", (-1.0, 1.0))
    ([0.0, 0.5], [-0.2, 0.3])
    """
    low, high = bounds
    given = _pair(factor, name) if isinstance(factor, (list, tuple)) else [_finite(factor, name)]
    pair = given if len(given) == 2 else [max(-abs(given[0]), low), abs(given[0])]
    if not all(low <= value <= high for value in (*given, *pair)):
        raise ValueError(f"{name}: expected a number, or two, from {low:.3g} to {high:.3g}, got {factor!r}")
    return pair


def _pair(values: Any, name: str) -> list[float]:
    if not isinstance(values, (list, tuple)) or len(values) != 2:
        raise ValueError(f"{name}: expected two numbers, got {values!r}")
    return sorted(_finite(value, name) for value in values)


def _finite(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value!r}")
    return float(value)
