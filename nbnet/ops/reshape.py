"""Shapes and axes: reshape, transpose, expand_dims, squeeze, moveaxis, broadcast_to and the like."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from operator import index as _index
from typing import Any

import numpy as np

from nbnet.engine.graph.arithmetic import operators
from nbnet.engine.graph.extents import spanned
from nbnet.engine.graph.op import Op, Shape, Spec, register
from nbnet.engine.graph.tape import assign_in_step
from nbnet.engine.graph.tensor import Tensor, apply, tensor
from nbnet.engine.kernels.abi import accumulates, attribute, device, in_place, kernel, mat, vec
from nbnet.ops.broadcast import add
from nbnet.ops.constants import zeros

Axis = int | Sequence[int] | None

#: NumPy's arrays have no more, in any version.
MAX_AXES = 32


def checked_axis(axis: int, ndim: int) -> int:
    """Return an axis as a number from 0; raise ValueError if it is out of range."""
    if not -ndim <= _index(axis) < ndim:
        raise ValueError(f"axis: {axis} is out of range for {ndim} axes")
    return axis % ndim


@kernel
def reshape_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    if not in_place(ins, 0, 1):
        for i in range(y.size):
            y[i] = x[i]


def assign(parameter: Tensor, value: Tensor) -> Tensor:
    """Assign a parameter in every step of the program that is being built; returns the value."""
    if value.shape != parameter.shape:
        name = parameter.name or "the parameter"
        raise ValueError(f"value: {name} has shape {parameter.shape}, got {value.shape}")
    if value.dtype != parameter.dtype:
        value = operators["cast"](value, parameter.dtype)
    assign_in_step(reshape_forward, parameter, value)
    return value


operators["assign"] = assign


@kernel
def reshape_backward(mem: Any, ins: Any, step: Any) -> None:
    dy, dx = vec(mem, ins, 0), vec(mem, ins, 1)
    if accumulates(ins, 1):
        for i in range(dx.size):
            dx[i] += dy[i]
    elif not in_place(ins, 0, 1):
        for i in range(dx.size):
            dx[i] = dy[i]


def _reshape_infer(x: Tensor, shape: Shape) -> tuple[Spec, ...]:
    if prod(shape) != x.size:
        raise ValueError(f"reshape: shape {x.shape} holds {x.size} elements, {shape} would hold {prod(shape)}")
    return (Spec(shape),)


RESHAPE = register(
    Op("reshape", reshape_forward, ("x",), infer=_reshape_infer, backward=reshape_backward, gradient=("dy", "dx"),
       reuse={"y": "x", "dx": "dy"}, role="move", linear=True, moves_values=True, extents="x[n] y[n]")
)  # fmt: skip
#: The same where the first axis changes: rows of y are not rows of x.
RESHAPE_BATCH = register(replace(RESHAPE, name="reshape_batch", whole_batch=True))


def reshape(x: Any, newshape: int | Sequence[int]) -> Tensor:
    """The elements of x, in the same order, in another shape.

    Parameters
    ----------
    x
        Tensor or array.
    newshape
        The new shape; one -1 stands for the remaining length.

    Raises
    ------
    ValueError
        If the numbers of elements differ.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.reshape([[1.0, 2.0], [3.0, 4.0]], (-1,)).numpy()
    array([1., 2., 3., 4.], dtype=float32)
    """
    x = tensor(x)
    wanted = tuple(operator.index(n) for n in (newshape if np.iterable(newshape) else (newshape,)))
    if len(wanted) > MAX_AXES:
        raise ValueError(f"newshape: expected at most {MAX_AXES} axes, got {len(wanted)}")
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise ValueError(f"newshape: expected lengths from 0 and at most one -1, got {wanted}")
    known = prod(n for n in wanted if n != -1)
    left = x.size // known if known else 0
    new = tuple(left if n == -1 else n for n in wanted)
    return apply(RESHAPE if new[:1] == x.shape[:1] else RESHAPE_BATCH, x, shape=new)


#: Side of the tiles that are transposed one by one where x is not read along rows: two fit in the L1 cache.
TILE = 16


# Unsigned indices skip the test for counting from the end.
@device
def strided_copy(x: Any, down: Any, right: Any, y: Any, rows: Any, columns: Any, stride: Any) -> None:
    """``y[i * stride + j] = x[i * down + j * right]``"""
    if right == 1:
        for i in range(rows):
            row, into = x[i * down : i * down + columns], y[i * stride : i * stride + columns]
            for j in range(columns):
                into[j] = row[j]
    else:
        for i0 in range(0, rows, TILE):
            for j0 in range(0, columns, TILE):
                for i in range(i0, min(i0 + TILE, rows)):
                    for j in range(j0, min(j0 + TILE, columns)):
                        y[np.uint64(i * stride + j)] = x[np.uint64(i * down + j * right)]


@device
def strided_gradient(dy: Any, stride: Any, dx: Any, down: Any, right: Any, rows: Any, columns: Any, add: bool) -> None:
    """``dx[i * down + j * right] (+)= dy[i * stride + j]``"""
    if right == 1:
        for i in range(rows):
            row, into = dy[i * stride : i * stride + columns], dx[i * down : i * down + columns]
            for j in range(columns):
                into[j] = into[j] + row[j] if add else row[j]
    else:
        for j0 in range(0, columns, TILE):
            for i0 in range(0, rows, TILE):
                for j in range(j0, min(j0 + TILE, columns)):
                    for i in range(i0, min(i0 + TILE, rows)):
                        at, d = np.uint64(i * down + j * right), dy[np.uint64(i * stride + j)]
                        dx[at] = dx[at] + d if add else d


@kernel
def transpose_forward(mem: Any, ins: Any, step: Any) -> None:
    rows, columns = mat(mem, ins, 1).shape
    strided_copy(vec(mem, ins, 0), 1, rows, vec(mem, ins, 1), rows, columns, columns)


@kernel
def transpose_backward(mem: Any, ins: Any, step: Any) -> None:
    rows, columns = mat(mem, ins, 0).shape
    strided_gradient(vec(mem, ins, 0), columns, vec(mem, ins, 1), 1, rows, rows, columns, accumulates(ins, 1))


def _transpose_infer(x: Tensor) -> tuple[Spec, ...]:
    if x.ndim != 2:
        raise ValueError(f"transpose: expected a matrix, got shape {x.shape}")
    return (Spec((x.shape[1], x.shape[0])),)


TRANSPOSE = register(
    Op("transpose", transpose_forward, ("x",), infer=_transpose_infer, backward=transpose_backward,
       gradient=("dy", "dx"), role="move", linear=True, moves_values=True, whole_batch=True,
       extents="x[r,c] y[c,r]")
)  # fmt: skip
#: Maximum number of axes. Attributes: lengths of y's axes, then x's strides along them.
AXES = 6


@device
def _second(ins: Any) -> Any:
    """The axis of y that is walked with the last one: the axis along which x is contiguous, unless that is the last."""
    found = AXES - 2
    if attribute(ins, 2 * AXES - 1) != 1:
        for axis in range(AXES - 1):
            if attribute(ins, AXES + axis) == 1 and attribute(ins, axis) > 1:
                found = axis
    return found


@device
def _stride(ins: Any, axis: Any) -> Any:
    """The stride of y along an axis."""
    stride = 1
    for k in range(axis + 1, AXES):
        stride *= attribute(ins, k)
    return stride


@device
def _corner(ins: Any, number: Any, second: Any) -> Any:
    """Start in x and in y of the matrix of this number; there is one for each index along the other axes."""
    at_x, at_y, stride = 0, 0, attribute(ins, AXES - 1)
    for axis in range(AXES - 2, -1, -1):
        n = attribute(ins, axis)
        if axis != second:
            at_x += number % n * attribute(ins, AXES + axis)
            at_y += number % n * stride
            number //= n
        stride *= n
    return at_x, at_y


@kernel
def permute_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y, columns, right = vec(mem, ins, 0), vec(mem, ins, 1), attribute(ins, AXES - 1), attribute(ins, 2 * AXES - 1)
    second = _second(ins)
    rows, down, stride = attribute(ins, second), attribute(ins, AXES + second), _stride(ins, second)
    for number in range(y.size // max(rows * columns, 1)):
        at_x, at_y = _corner(ins, number, second)
        strided_copy(x[at_x:], down, right, y[at_y:], rows, columns, stride)


@kernel
def permute_backward(mem: Any, ins: Any, step: Any) -> None:
    dy, dx, columns, right = vec(mem, ins, 0), vec(mem, ins, 1), attribute(ins, AXES - 1), attribute(ins, 2 * AXES - 1)
    second, add = _second(ins), accumulates(ins, 1)
    rows, down, stride = attribute(ins, second), attribute(ins, AXES + second), _stride(ins, second)
    for number in range(dy.size // max(rows * columns, 1)):
        at_x, at_y = _corner(ins, number, second)
        strided_gradient(dy[at_y:], stride, dx[at_x:], down, right, rows, columns, add)


def _permute_infer(x: Tensor, axes: Sequence[int]) -> tuple[Spec, ...]:
    return (Spec(tuple(x.shape[a] for a in axes)),)


def _encode(x: Tensor, axes: Sequence[int]) -> tuple[int, ...]:
    spare = AXES - x.ndim
    return *[1] * spare, *(x.shape[a] for a in axes), *[0] * spare, *(prod(x.shape[a + 1 :]) for a in axes)


def _permute_within(sizes: Mapping[str, int]) -> bool:
    lengths, strides = ([sizes[f"{x}{k}"] for k in range(AXES)] for x in "ns")
    return prod(lengths) == sizes["y"] and (sizes["y"] == 0 or spanned(lengths, strides) <= sizes["x"])


PERMUTE = register(
    Op("permute", permute_forward, ("x",), infer=_permute_infer, backward=permute_backward, gradient=("dy", "dx"),
       encode=_encode, role="move", linear=True, moves_values=True,
       extents="x[x] y[y]; n0 n1 n2 n3 n4 n5 s0 s1 s2 s3 s4 s5", within=_permute_within)
)  # fmt: skip
#: The same where the first axis moves: rows of y are not rows of x.
PERMUTE_BATCH = register(replace(PERMUTE, name="permute_batch", whole_batch=True))


def permute(x: Tensor, axes: Sequence[int]) -> Tensor:
    """``x`` with its axes in the order ``axes``: :func:`transpose` of more than a matrix."""
    wanted = tuple(axes)
    if len(wanted) != x.ndim or sorted(a % x.ndim for a in wanted if -x.ndim <= a < x.ndim) != list(range(x.ndim)):
        raise ValueError(f"axes: expected each axis of a tensor of shape {x.shape} once, got {axes!r}")
    if x.ndim > AXES:
        raise ValueError(f"axes: a tensor of at most {AXES} axes can be transposed, got shape {x.shape}")
    order = tuple(a % x.ndim for a in wanted)
    return apply(PERMUTE if order[0] == 0 else PERMUTE_BATCH, x, axes=order)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """``x`` with its axes in another order.

    Parameters
    ----------
    x
        Tensor or array of at most 6 axes.
    axes
        For each axis of the result, the number of the axis of x; None for the reverse order.

    Raises
    ------
    ValueError
        If axes do not name each axis exactly once.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.transpose([[1.0, 2.0]]).numpy()
    array([[1.],
           [2.]], dtype=float32)
    """
    x = tensor(x)
    if x.ndim == 2 and (axes is None or tuple(axes) == (1, 0)):
        return apply(TRANSPOSE, x)
    return permute(x, range(x.ndim)[::-1] if axes is None else axes) if x.shape else x


def expand_dims(x: Any, axis: int | Sequence[int]) -> Tensor:
    """``x`` with new axes of length 1.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        Place of the new axis, or of each of several, in the result.

    Raises
    ------
    ValueError
        If an axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.expand_dims([1.0, 2.0], -1).shape
    (2, 1)
    """
    x = tensor(x)
    wanted = list(axis) if isinstance(axis, Sequence) else [axis]
    ndim = x.ndim + len(wanted)
    new = {checked_axis(k, ndim) for k in wanted}
    lengths = iter(x.shape)
    return reshape(x, tuple(1 if k in new else next(lengths) for k in range(ndim)))


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """``x`` without axes of length 1.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        Axis or axes to drop; all of length 1 by default.

    Raises
    ------
    ValueError
        If an axis is longer, or out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.squeeze([[1.0], [2.0]]).shape
    (2,)
    """
    x = tensor(x)
    if axis is None:
        return reshape(x, tuple(n for n in x.shape if n != 1))
    dropped = {checked_axis(k, x.ndim) for k in (axis if isinstance(axis, Sequence) else (axis,))}
    if any(x.shape[k] != 1 for k in dropped):
        raise ValueError(f"axis: only axes of length 1 can be dropped, got {axis} for shape {x.shape}")
    return reshape(x, tuple(n for k, n in enumerate(x.shape) if k not in dropped))


def ravel(x: Any) -> Tensor:
    """All elements in one axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.ravel([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([1., 2., 3., 4.], dtype=float32)
    """
    return reshape(x, (-1,))


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """``x`` with two axes exchanged.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.swapaxes([[1.0, 2.0]], 0, 1).shape
    (2, 1)
    """
    x = tensor(x)
    axes = list(range(x.ndim))
    one, other = checked_axis(axis1, x.ndim), checked_axis(axis2, x.ndim)
    axes[one], axes[other] = other, one
    return x if one == other else transpose(x, axes)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """``x`` with one axis, or several, moved to other places; the others keep their order.

    Parameters
    ----------
    x
        Tensor or array.
    source, destination
        Axes of x, and their places in the result.

    Raises
    ------
    ValueError
        If an axis is out of range or named twice, or there are more of one than of the other.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.moveaxis(nb.ops.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = tensor(x)
    moved, places = (
        [checked_axis(k, x.ndim) for k in (given if isinstance(given, Sequence) else (given,))]
        for given in (source, destination)
    )
    if len(moved) != len(places) or len(set(moved)) != len(moved) or len(set(places)) != len(places):
        raise ValueError(f"source, destination: expected as many different axes, got {source} and {destination}")
    axes = [k for k in range(x.ndim) if k not in moved]
    for place, axis in sorted(zip(places, moved, strict=True)):
        axes.insert(place, axis)
    return x if axes == sorted(axes) else transpose(x, axes)


def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """``x`` repeated along axes of length 1 and along new first axes.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.broadcast_to([1.0, 2.0], (2, 2)).numpy()
    array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    made, wanted = tensor(x), tuple(shape)
    if made.shape != wanted:
        made = add(made, zeros(wanted, made.dtype, "broadcast_to"))
    if made.shape != wanted:
        raise ValueError(f"shape: {np.shape(x)} does not broadcast to {wanted}")
    return made
