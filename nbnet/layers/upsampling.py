"""Layers that make sequences, images and volumes longer along the axes of space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from nbnet.base.validation import check_choice
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer, Shape, check_rank
from nbnet.ops.broadcast import multiply
from nbnet.ops.constants import full
from nbnet.ops.reshape import reshape
from nbnet.ops.resize import INTERPOLATIONS, resize
from nbnet.ops.windows import check_data_format, per_axis


class UpSampling(Layer):
    """Base of the layers that repeat each element along the axes of space."""

    _shared_docs: ClassVar[dict[str, str]] = {
        "raises": "ValueError\n    If an argument is out of range, or the input has other axes.",
    }
    _arguments: ClassVar[tuple[str, ...]] = ("size",)
    #: Number of spatial axes.
    rank: ClassVar[int]
    size: Any

    def __init__(self, size: int | Sequence[int] = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._factors = per_axis(size, self.rank, "size")
        self.size = self._factors if self.rank > 1 else self._factors[0]

    def _check_input(self, shape: Shape) -> None:
        check_rank(self.name, shape, self.rank)

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
        return resize(x, size, self.interpolation)


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
