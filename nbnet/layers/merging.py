"""Merging layers: one tensor from a list of tensors, each also as a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any, ClassVar, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from nbnet import ops
from nbnet.base.validation import check_int
from nbnet.engine.graph.symbolic import Symbol
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer
from nbnet.ops.reshape import reshape


class MergingFunction(Protocol):
    """A merging layer as a function: symbols give a symbol; tensors and arrays, a tensor."""

    @overload
    def __call__(self, inputs: Sequence[Symbol], *args: Any, **kwargs: Any) -> Symbol: ...
    @overload
    def __call__(self, inputs: Sequence[Tensor | NDArray[Any]], *args: Any, **kwargs: Any) -> Tensor: ...


def _typed(function: Callable[..., Any]) -> MergingFunction:
    return function


def as_function(cls: type[Layer], summary: str) -> MergingFunction:
    """The function that makes a merging layer without arguments of its own and calls it."""

    def merge(inputs: Sequence[Any], **kwargs: Any) -> Any:
        return cls(**kwargs)(inputs)

    merge.__name__ = merge.__qualname__ = cls.__name__.lower()
    example = (cls.__doc__ or "").partition("    Examples\n")[2].replace(f"{cls.__name__}()(", f"{merge.__name__}(")
    merge.__doc__ = f"{summary}: :class:`{cls.__name__}` as a function.\n\n    Examples\n{example}"
    return merge


class Merging(Layer):
    """Base of the layers that merge a list of tensors element by element.

    Shapes of samples broadcast. An input with fewer axes gets axes of length 1 after the batch's. If all inputs have a
    mask of time steps, the output has one: steps count that count in any of them.
    """

    supports_masking = True

    #: The op that merges two tensors.
    merge: ClassVar[Callable[..., Tensor]]

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        tensors = check_inputs(self, inputs)
        axes = max(x.ndim for x in tensors)
        return reduce(self.merge, [_with_axes(x, axes) for x in tensors])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        masks = check_masks(inputs, mask)
        if not masks or any(m is None for m in masks):
            return None
        return reduce(ops.logical_or, masks)


def check_masks(inputs: Any, mask: Any) -> list[Any]:
    """The masks of the inputs of a layer, empty for None; ValueError if there are not as many."""
    if mask is None:
        return []
    for name, value in (("mask", mask), ("inputs", inputs)):
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{name}: expected a list, got {value!r}")
    if len(mask) != len(inputs):
        raise ValueError(f"mask: expected as many as inputs, {len(inputs)}, got {len(mask)}")
    return list(mask)


def check_inputs(layer: Layer, inputs: Any, least: int = 1) -> list[Tensor]:
    """The inputs of a layer; ValueError if they are no list of tensors with one number of rows."""
    if not isinstance(inputs, (list, tuple)) or len(inputs) < least:
        given = f"a list of {len(inputs)}" if isinstance(inputs, (list, tuple)) else type(inputs).__name__
        raise ValueError(f"{layer.name}: expected a list of at least {least} tensors, got {given}")
    shapes = [tuple(x.shape) for x in inputs]
    if any(not shape or shape[0] != shapes[0][0] for shape in shapes):
        raise ValueError(f"{layer.name}: expected tensors with one number of rows, got shapes {shapes}")
    return list(inputs)


def _steps(mask: Tensor) -> Tensor:
    """A mask of time steps with an axis for features."""
    return ops.expand_dims(mask, -1)


def _without_padding(tensors: list[Tensor]) -> list[Tensor]:
    """Tensors to compare: where one is padding, it takes the values of one before or after it."""
    first, mask = tensors[0], tensors[0].time_mask
    found = [first]
    for x in tensors[1:]:
        y = x if x.time_mask is None else ops.where(_steps(x.time_mask), x, found[-1])
        if mask is not None:
            found[-1] = ops.where(_steps(mask), found[-1], y)
        mask = None if mask is None or x.time_mask is None else ops.logical_or(mask, x.time_mask)
        found.append(y)
    return found


def _with_axes(x: Tensor, axes: int) -> Tensor:
    return x if x.ndim == axes else reshape(x, (x.shape[0], *[1] * (axes - x.ndim), *x.shape[1:]))


class Add(Merging):
    """The sum of its inputs.

    Called with a list of tensors whose samples broadcast.

    Raises
    ------
    ValueError
        If the input is no list of tensors, or their shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.Add()([a, b]).numpy()
    array([[11., 22.]], dtype=float32)
    """

    merge = staticmethod(ops.add)


add = as_function(Add, "The sum of tensors")


class Subtract(Merging):
    """The first of its two inputs minus the second.

    Called with a list of two tensors whose samples broadcast.

    Raises
    ------
    ValueError
        If the input is no list of two tensors, or their shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.Subtract()([a, b]).numpy()
    array([[ -9., -18.]], dtype=float32)
    """

    merge = staticmethod(ops.subtract)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ValueError(f"{self.name}: expected a list of two tensors")
        return super().call(inputs)


subtract = as_function(Subtract, "The difference of two tensors")


class Multiply(Merging):
    """The product of its inputs, element by element.

    Inputs and errors are those of :class:`Add`.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.Multiply()([a, b]).numpy()
    array([[10., 40.]], dtype=float32)
    """

    merge = staticmethod(ops.multiply)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        tensors = check_inputs(self, inputs)
        # Padding is neither a factor nor, where it is padding in all inputs, a product.
        y = super().call([x if x.time_mask is None else ops.where(_steps(x.time_mask), x, 1.0) for x in tensors])
        output_mask = self.compute_mask(tensors, [x.time_mask for x in tensors])
        return y if output_mask is None else ops.where(_steps(output_mask), y, 0.0)


multiply = as_function(Multiply, "The product of tensors")


class Average(Merging):
    """The mean of its inputs.

    Inputs and errors are those of :class:`Add`.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.Average()([a, b]).numpy()
    array([[ 5.5, 11. ]], dtype=float32)
    """

    merge = staticmethod(ops.add)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return super().call(inputs) / len(inputs)


average = as_function(Average, "The mean of tensors")


class Maximum(Merging):
    """The largest of its inputs, element by element; equal ones share the gradient.

    Inputs and errors are those of :class:`Add`.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, -20.0]])
    >>> nb.layers.Maximum()([a, b]).numpy()
    array([[10.,  2.]], dtype=float32)
    """

    merge = staticmethod(ops.maximum)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return super().call(_without_padding(check_inputs(self, inputs)))


maximum = as_function(Maximum, "The largest of tensors")


class Minimum(Merging):
    """The smallest of its inputs, element by element; equal ones share the gradient.

    Inputs and errors are those of :class:`Add`.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, -20.0]])
    >>> nb.layers.Minimum()([a, b]).numpy()
    array([[  1., -20.]], dtype=float32)
    """

    merge = staticmethod(ops.minimum)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return super().call(_without_padding(check_inputs(self, inputs)))


minimum = as_function(Minimum, "The smallest of tensors")


class Concatenate(Layer):
    """Joins its inputs along an axis.

    Called with a list of tensors, equal in shape but for that axis.

    Parameters
    ----------
    axis
        Axis along which they are joined; not the batch's.

    Raises
    ------
    ValueError
        If the input is no list of tensors, their shapes differ elsewhere, or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[3.0]])
    >>> nb.layers.Concatenate()([a, b]).numpy()
    array([[1., 2., 3.]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_int(axis, "axis", least=None)
        if self.axis == 0:
            raise ValueError("axis: expected an integer that is not 0, the batch's; got 0")

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        tensors = check_inputs(self, inputs)
        if self.axis + tensors[0].ndim == 0:
            raise ValueError(f"{self.name}: axis {self.axis} is the batch's for shape {tensors[0].shape}")
        return ops.concatenate(tensors, self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        masks = check_masks(inputs, mask)
        if all(m is None for m in masks):
            return None
        # One for each feature, to be joined as the features are.
        whole = [
            ops.ones_like(x) if m is None else m if m.ndim == x.ndim else ops.where(_steps(m), ops.ones_like(x), 0.0)
            for x, m in zip(inputs, masks, strict=True)
        ]
        return ops.any(ops.concatenate(whole, self.axis), axis=-1)


@_typed
def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Tensors joined along an axis: :class:`Concatenate` as a function.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.concatenate([nb.tensor([[1.0, 2.0]]), nb.tensor([[3.0]])]).numpy()
    array([[1., 2., 3.]], dtype=float32)
    """
    return Concatenate(axis, **kwargs)(inputs)


class Dot(Layer):
    """The inner products of two tensors for each sample, along an axis of each: of (batch, n) and (batch, n), (batch,
    1); of (batch, n, k) and (batch, k, m) with ``axes=(2, 1)``, the products of matrices (batch, n, m).

    The other axes of the first tensor come before those of the second.

    Parameters
    ----------
    axes
        The axis that is summed over, or a pair: that of the first tensor and that of the second. Not the batch's.
    normalize
        If True, divide vectors along these axes by their lengths: the cosine of the angle between them.

    Raises
    ------
    ValueError
        If the input is no pair of tensors with axes of one length, or an axis is out of range.
    TypeError
        If axes are no integers.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.Dot(axes=1)([a, b]).numpy()
    array([[50.]], dtype=float32)
    >>> nb.layers.Dot(axes=(2, 1))([nb.ops.ones((4, 2, 3)), nb.ops.ones((4, 3, 5))]).shape
    (4, 2, 5)
    """

    supports_masking = True
    _arguments = ("axes", "normalize")

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        several = isinstance(axes, Sequence) and not isinstance(axes, str)
        pair = list(axes) if isinstance(axes, Sequence) else [axes]
        if any(isinstance(axis, bool) or not isinstance(axis, (int, np.integer)) for axis in pair):
            raise TypeError(f"axes: expected an integer or a pair of integers, got {axes!r}")
        if several and len(pair) != 2:
            raise ValueError(f"axes: expected an integer or a pair of integers, got {axes!r}")
        self.axes: int | list[int] = [int(axis) for axis in pair] if several else int(pair[0])
        self.normalize = bool(normalize)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        tensors = check_inputs(self, inputs, 2)
        shapes = [x.shape for x in tensors]
        if len(tensors) != 2 or any(x.ndim < 2 for x in tensors):
            raise ValueError(f"{self.name}: expected two tensors with an axis beside the batch's, got shapes {shapes}")
        wanted = self.axes if isinstance(self.axes, list) else [self.axes, self.axes]
        if any(not -x.ndim <= axis < x.ndim or axis % x.ndim == 0 for axis, x in zip(wanted, tensors, strict=True)):
            raise ValueError(f"{self.name}: axes {self.axes} are out of range, or the batch's, for shapes {shapes}")
        (k, m), (a, b) = (axis % x.ndim for axis, x in zip(wanted, tensors, strict=True)), tensors
        if a.shape[k] != b.shape[m]:
            raise ValueError(f"{self.name}: axes {self.axes} have different lengths for shapes {shapes}")
        if self.normalize:
            a, b = ops.normalize(a, k, epsilon=1e-6), ops.normalize(b, m, epsilon=1e-6)
        if a.ndim == b.ndim == 2:
            return ops.sum(a * b, axis=1, keepdims=True)
        left, right = (*a.shape[1:k], *a.shape[k + 1 :]), (*b.shape[1:m], *b.shape[m + 1 :])
        rows = reshape(ops.moveaxis(a, k, -1), (a.shape[0], prod(left), a.shape[k]))
        columns = reshape(ops.moveaxis(b, m, 1), (b.shape[0], b.shape[m], prod(right)))
        return reshape(ops.matmul(rows, columns), (a.shape[0], *left, *right))


@_typed
def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """The inner products of two tensors for each sample: :class:`Dot` as a function.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.dot([nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])], axes=1).numpy()
    array([[50.]], dtype=float32)
    """
    return Dot(axes, **kwargs)(inputs)
