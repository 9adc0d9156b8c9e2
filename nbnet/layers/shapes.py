"""Shapes of what layers are given: the batch axis is open, others may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Shape = tuple[int | None, ...]


def open_shape(x: Any) -> Shape:
    """Shape of a tensor or symbol with an open batch axis."""
    return (None, *x.shape[1:]) if x is not None else ()


def map_shapes(function: Any, shapes: Any) -> Any:
    """Apply a function to a shape, or to each in a list or dict of them."""
    if isinstance(shapes, Mapping):
        return {name: function(shape) for name, shape in shapes.items()}
    nested = any(isinstance(part, (list, tuple)) for part in shapes)
    return [function(shape) for shape in shapes] if nested else function(shapes)


def features(layer: str, shape: Shape) -> int:
    """The size of the last axis of a layer's input; ValueError if it is not known, or there is only the batch's."""
    size = shape[-1] if len(shape) > 1 else None
    if size is None:
        raise ValueError(f"{layer}: wants inputs (batch, ..., features) with a known last axis, got {shape}")
    return int(size)


def check_rank(layer: str, shape: Shape, rank: int) -> None:
    """Refuse an input of a layer that has not so many spatial axes."""
    if len(shape) != rank + 2:
        axes = "length" if rank == 1 else "height, width"
        raise ValueError(f"{layer}: wants inputs (batch, {axes}, channels), got shape {shape}")
