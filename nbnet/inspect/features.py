"""What the units of a first layer look for."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet.layers import Conv1D, Conv2D, Dense
from nbnet.ranges import count as check_count

if TYPE_CHECKING:
    from nbnet.models import Model

Array = NDArray[Any]


def features(
    model: Model, layer: str | None = None, shape: Sequence[int] | None = None, count: int | None = None
) -> Array:
    """The weights that units of a layer multiply their inputs by, as images.

    Units of a network that was trained without dropout often show noise, and make sense together only: they have
    adapted to one another. With dropout they show strokes and spots (figure 7 of the paper).

    Parameters
    ----------
    model
        Built.
    layer
        Name of a Dense or convolution layer; by default the first of them.
    shape
        Of an image, (height, width) or (height, width, channels); by default that of the model's input, or a square.
    count
        How many: those with the largest weights (in the sum of squares), these first. By default all, in their order.

    Returns
    -------
    ndarray, (units, height, width) or (units, height, width, channels)

    Raises
    ------
    ValueError
        If there is no such layer, or its weights do not make such images.

    References
    ----------
    N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014), section
    7.1.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((28, 28)), nb.layers.Flatten(), nb.layers.Dense(100, "relu")])
    >>> nb.inspect.features(model, count=64).shape
    (64, 28, 28)
    """
    found = _layer(model, layer)
    kernel = found.kernel.numpy()
    units = np.moveaxis(kernel, -1, 0)
    if count is not None:
        norms = (units.reshape(len(units), -1) ** 2).sum(1)
        units = units[np.argsort(-norms, kind="stable")[: check_count(count, "count")]]
    sizes = _shape(model, kernel.shape[:-1]) if shape is None else tuple(shape)
    if prod(sizes) != prod(kernel.shape[:-1]) or len(sizes) not in (2, 3):
        raise ValueError(f"shape: {found.name} has {prod(kernel.shape[:-1])} weights a unit, which make no {sizes}")
    return np.ascontiguousarray(units.reshape(-1, *sizes))


def _layer(model: Model, name: str | None) -> Any:
    for layer in model.layers:
        if isinstance(layer, (Dense, Conv1D, Conv2D)) and name in (None, layer.name):
            if not layer.built:
                raise ValueError(f"model: {model.name} is not built")
            return layer
    what = "no Dense or convolution layer" if name is None else f"no such layer {name!r} of weights"
    raise ValueError(f"layer: {model.name} has {what}")


def _shape(model: Model, inputs: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of images of so many weights."""
    if len(inputs) > 1:
        return inputs if inputs[-1] in (1, 3) or len(inputs) == 2 else (inputs[0], prod(inputs[1:]))
    (n,) = inputs
    given = tuple(size or 0 for size in model.inputs_known.shapes[0])
    if len(given) in (2, 3) and prod(given) == n:
        return given
    side = isqrt(n)
    return (side, side) if side * side == n else (1, n)
