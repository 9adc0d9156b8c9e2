"""Layers that change the lengths of the axes of space: zero padding, cropping and upsampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nbnet.base.validation import check_choice, check_int
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Shape
from nbnet.layers.pooling import Spatial
from nbnet.ops.broadcast import multiply
from nbnet.ops.constants import full
from nbnet.ops.image import INTERPOLATIONS, interpolated
from nbnet.ops.index import pad
from nbnet.ops.reshape import reshape
from nbnet.ops.slicing import cut
from nbnet.ops.windows import check_data_format, per_axis

Margins = tuple[tuple[int, int], ...]


def margins(value: Any, rank: int, name: str) -> Margins:
    """Return the elements before and after each spatial axis: of one number for all, one for each axis, or pairs. For a
    sequence, two numbers are a pair.

    Examples
    --------
    >>> from nbnet.layers.padding import margins
    >>> margins((1, 2), 1, "padding"), margins((1, (0, 2)), 2, "padding")
    (((1, 2),), ((1, 1), (0, 2)))
    """
    kinds = "a number from 0 or a pair of them" if rank == 1 else f"a number from 0, or {rank} numbers or pairs"
    parts = [value] if rank == 1 else list(value) if isinstance(value, Sequence) else [value] * rank
    if len(parts) != rank or isinstance(value, str):
        raise ValueError(f"{name}: expected {kinds}, got {value!r}")
    found = []
    for part in parts:
        pair = list(part) if isinstance(part, Sequence) and not isinstance(part, str) else [part, part]
        try:
            before, after = (check_int(n, name, 0) for n in pair)
        except ValueError:
            raise ValueError(f"{name}: expected {kinds}, got {value!r}") from None
        found.append((before, after))
    return tuple(found)


class ZeroPadding(Spatial):
    """Base of the layers that surround a sample with zeros."""

    _shared_docs: ClassVar[dict[str, str]] = {
        "raises": "ValueError\n    If the numbers are below 0, or too many or too few; or the input has other axes.",
    }
    _arguments = ("padding", "data_format")
    data_format = "channels_last"

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_data_format(data_format)
        self._margins = margins(padding, self.rank, "padding")
        self.padding: Any = self._margins if self.rank > 1 else self._margins[0]

    def call(self, x: Tensor) -> Tensor:
        return pad(x, ((0, 0), *self._margins, (0, 0)))


class ZeroPadding1D(ZeroPadding):
    """Surrounds a sequence with zeros: (batch, length, channels) to (batch, new length, channels).

    Parameters
    ----------
    padding
        Number of zeros before and after, or a pair of these numbers.
    data_format
        ``"channels_last"`` or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.ZeroPadding1D((1, 2))([[[1.0], [3.0]]]).numpy().ravel()
    array([0., 1., 3., 0., 0.], dtype=float32)
    """

    rank = 1


class ZeroPadding2D(ZeroPadding):
    """Surrounds an image with zeros: (batch, height, width, channels) to (batch, new height, new width, channels).

    Parameters
    ----------
    padding
        One number for all sides; ``(vertical, horizontal)``; or ``((top, bottom), (left, right))``.
    data_format
        ``"channels_last"`` or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.ZeroPadding2D(((1, 0), 2))(np.ones((1, 4, 4, 3))).shape
    (1, 5, 8, 3)
    """

    rank = 2


class ZeroPadding3D(ZeroPadding):
    """Surrounds a volume with zeros: (batch, depth, height, width, channels) to longer axes of space.

    Parameters
    ----------
    padding
        One number for all sides; one number for each axis; or a pair for each axis.
    data_format
        ``"channels_last"`` or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.ZeroPadding3D((0, 1, 2))(np.ones((1, 4, 4, 4, 3))).shape
    (1, 4, 6, 8, 3)
    """

    rank = 3


class Cropping(Spatial):
    """Base of the layers that cut off the borders of a sample."""

    _shared_docs: ClassVar[dict[str, str]] = {
        "raises": """ValueError
    If the numbers are below 0, or too many or too few; or nothing is left of an axis; or the input has other axes.""",
    }
    _arguments: ClassVar[tuple[str, ...]] = ("cropping",)

    def __init__(self, cropping: Any = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._margins = margins(cropping, self.rank, "cropping")
        self.cropping: Any = self._margins if self.rank > 1 else self._margins[0]

    def _check_input(self, shape: Shape) -> None:
        super()._check_input(shape)
        for n, pair in zip(shape[1:-1], self._margins, strict=True):
            if n is not None and n <= sum(pair):
                raise ValueError(f"cropping: {self.cropping} leaves nothing of an input of shape {shape}")

    def call(self, x: Tensor) -> Tensor:
        for axis, (before, after) in enumerate(self._margins, 1):
            x = cut(x, axis, before, x.shape[axis] - before - after)
        return x


class Cropping1D(Cropping):
    """Cuts off the ends of a sequence: (batch, length, channels) to (batch, new length, channels).

    Parameters
    ----------
    cropping
        Number of elements at the beginning and at the end, or a pair of these numbers.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Cropping1D((1, 0))([[[1.0], [3.0]]]).numpy().ravel()
    array([3.], dtype=float32)
    """

    rank = 1


class Cropping2D(Cropping):
    """Cuts off the borders of an image: (batch, height, width, channels) to (batch, new height, new width, channels).

    Parameters
    ----------
    cropping
        One number for all sides; ``(vertical, horizontal)``; or ``((top, bottom), (left, right))``.
    data_format
        ``"channels_last"`` or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.Cropping2D(((1, 0), 1))(np.ones((1, 4, 4, 3))).shape
    (1, 3, 2, 3)
    """

    rank = 2
    _arguments = ("data_format",)
    data_format = "channels_last"

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)
        check_data_format(data_format)


class Cropping3D(Cropping):
    """Cuts off the borders of a volume: (batch, depth, height, width, channels) to shorter axes of space.

    Parameters
    ----------
    cropping
        One number for all sides; one number for each axis; or a pair for each axis.
    data_format
        ``"channels_last"`` or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.Cropping3D((0, 1, (1, 0)))(np.ones((1, 4, 4, 4, 3))).shape
    (1, 4, 2, 3, 3)
    """

    rank = 3
    _arguments = ("data_format",)
    data_format = "channels_last"

    def __init__(self, cropping: Any = ((1, 1),) * 3, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)
        check_data_format(data_format)


class UpSampling(Spatial):
    """Base of the layers that repeat each element along the axes of space."""

    _shared_docs: ClassVar[dict[str, str]] = {
        "raises": "ValueError\n    If an argument is out of range, or the input has other axes.",
    }
    _arguments: ClassVar[tuple[str, ...]] = ("size",)
    size: Any

    def __init__(self, size: int | Sequence[int] = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._factors = per_axis(size, self.rank, "size")
        self.size = self._factors if self.rank > 1 else self._factors[0]

    def call(self, x: Tensor) -> Tensor:
        for axis, factor in enumerate(self._factors, 1):
            if factor > 1:
                before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
                ones = full((factor, *[1] * len(after)), 1.0, x.dtype, self.name)
                x = multiply(reshape(x, (*before, 1, *after)), ones)
                x = reshape(x, (*before[:-1], before[-1] * factor, *after))
        return x


class UpSampling1D(UpSampling):
    """Repeats each element of a sequence: (batch, length, channels) to (batch, size * length, channels).

    Parameters
    ----------
    size
        Number of repetitions.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.UpSampling1D(2)([[[1.0], [3.0]]]).numpy().ravel()
    array([1., 1., 3., 3.], dtype=float32)
    """

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool):
            raise TypeError(f"size: expected an integer above 0, got {size!r}")
        super().__init__(size, **kwargs)


class UpSampling2D(UpSampling):
    """Enlarges images: (batch, height, width, channels) to (batch, size * height, size * width, channels).

    Parameters
    ----------
    size
        Factors of height and width, or one number for both.
    data_format
        ``"channels_last"`` or None.
    interpolation
        ``"nearest"`` repeats each pixel; ``"bilinear"``, ``"bicubic"``, ``"lanczos3"`` and ``"lanczos5"`` interpolate.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.UpSampling2D((1, 2), interpolation="bilinear")([[[[0.0], [4.0]]]]).numpy().ravel()
    array([0., 1., 3., 4.], dtype=float32)
    """

    rank = 2
    _arguments = ("data_format", "interpolation")
    data_format = "channels_last"

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(size, **kwargs)
        check_data_format(data_format)
        kind = interpolation.lower() if isinstance(interpolation, str) else interpolation
        self.interpolation = check_choice(kind, "interpolation", INTERPOLATIONS)

    def call(self, x: Tensor) -> Tensor:
        if self.interpolation == "nearest":
            return super().call(x)
        size = [n * factor for n, factor in zip(x.shape[1:-1], self._factors, strict=True)]
        return interpolated(x, size, self.interpolation)


class UpSampling3D(UpSampling):
    """Repeats each element of a volume along depth, height and width.

    Parameters
    ----------
    size
        Factors of depth, height and width, or one number for all.
    data_format
        ``"channels_last"`` or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.UpSampling3D((1, 2, 3))(np.ones((1, 2, 2, 2, 5))).shape
    (1, 2, 4, 6, 5)
    """

    rank = 3
    _arguments = ("data_format",)
    data_format = "channels_last"

    def __init__(self, size: int | Sequence[int] = (2, 2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(size, **kwargs)
        check_data_format(data_format)
