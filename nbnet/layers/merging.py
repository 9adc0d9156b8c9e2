"""What the layers of several inputs share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import Any

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.ops.reshape import reshape


class Merging(Layer, ABC):
    """Base of the layers that make one tensor of a list of tensors, element by element.

    Shapes of samples broadcast. An input with fewer axes gets axes of length 1 behind the batch's.
    """

    @abstractmethod
    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        """What becomes of two tensors."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:  # type: ignore[override]
        tensors = check_inputs(self, inputs)
        axes = max(x.ndim for x in tensors)
        return reduce(self.merge, [_with_axes(x, axes) for x in tensors])


def check_inputs(layer: Layer, inputs: Any, least: int = 1) -> list[Tensor]:
    """A list of tensors of one batch."""
    if not isinstance(inputs, (list, tuple)) or len(inputs) < least:
        found = f"a list of {len(inputs)}" if isinstance(inputs, (list, tuple)) else type(inputs).__name__
        raise ValueError(f"{layer.name}: wants a list of at least {least} tensors, got {found}")
    shapes = [tuple(x.shape) for x in inputs]
    if any(not shape or shape[0] != shapes[0][0] for shape in shapes):
        raise ValueError(f"{layer.name}: wants tensors with one number of rows, got shapes {shapes}")
    return list(inputs)


def _with_axes(x: Tensor, axes: int) -> Tensor:
    return x if x.ndim == axes else reshape(x, (x.shape[0], *[1] * (axes - x.ndim), *x.shape[1:]))
