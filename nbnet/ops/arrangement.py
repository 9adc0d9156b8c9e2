"""Pieces put together, taken apart and turned: append, array_split, rot90, select, unfold and the like."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from math import prod
from operator import index
from typing import Any

import numpy as np

from nbnet.base.loading_budget import count_steps, reserve
from nbnet.engine.graph.tensor import Tensor, exact_tensor, tensor, tensors
from nbnet.ops import constants
from nbnet.ops.broadcast import add
from nbnet.ops.compare import where
from nbnet.ops.gather import put_columns, take_columns
from nbnet.ops.index import flip, pad
from nbnet.ops.reshape import checked_axis, expand_dims, ravel, reshape, transpose
from nbnet.ops.slicing import concatenate, cut, split
from nbnet.ops.windows import in_format, pair, with_channels_last


def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """``x2`` behind x1.

    Parameters
    ----------
    x1, x2
        Tensors or arrays, equal in shape but for the axis.
    axis
        The axis; None to join the flattened tensors.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.append([1.0, 2.0], [3.0]).numpy()
    array([1., 2., 3.], dtype=float32)
    """
    a, b = tensors(x1, x2)
    return concatenate([ravel(a), ravel(b)], 0) if axis is None else concatenate([a, b], axis)


def array_split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Parts of ``x`` along an axis, of which the first may be longer by one element.

    Parameters
    ----------
    x
        Tensor or array.
    indices_or_sections
        Number of parts, or the starts of all parts after the first.
    axis
        The axis.

    Raises
    ------
    ValueError
        If the number of parts is not positive, or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.numpy().tolist() for part in nb.ops.array_split([1.0, 2.0, 3.0], 2)]
    [[1.0, 2.0], [3.0]]
    """
    made = tensor(x)
    if isinstance(indices_or_sections, (Sequence, np.ndarray, Tensor)):
        return split(made, indices_or_sections, axis)
    axis, parts = checked_axis(axis, made.ndim), index(indices_or_sections)
    if parts < 1:
        raise ValueError(f"indices_or_sections: expected a positive number of parts, got {parts}")
    count_steps(parts, "array_split")
    each, more = divmod(made.shape[axis], parts)
    bounds = [k * each + min(k, more) for k in range(parts + 1)]
    return [cut(made, axis, low, high - low) for low, high in itertools.pairwise(bounds)]


def hsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """Parts of ``x`` along the second axis, of a vector along its only one; see :func:`nbnet.ops.split`.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.numpy().tolist() for part in nb.ops.hsplit([[1.0, 2.0]], 2)]
    [[[1.0]], [[2.0]]]
    """
    made = tensor(x)
    return split(made, indices_or_sections, 0 if made.ndim == 1 else 1)


def vsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """Parts of ``x`` along the first axis; see :func:`nbnet.ops.split`.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.numpy().tolist() for part in nb.ops.vsplit([[1.0], [2.0]], 2)]
    [[[1.0]], [[2.0]]]
    """
    return split(_with_axes(x, 2), indices_or_sections, 0)


def dsplit(x: Any, indices_or_sections: int | Sequence[int]) -> list[Tensor]:
    """Parts of ``x`` along the third axis; see :func:`nbnet.ops.split`.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.shape for part in nb.ops.dsplit(nb.ops.zeros((2, 3, 4)), [1])]
    [(2, 3, 1), (2, 3, 3)]
    """
    return split(_with_axes(x, 3), indices_or_sections, 2)


def _with_axes(x: Any, least: int) -> Tensor:
    made = tensor(x)
    if made.ndim < least:
        raise ValueError(f"x: expected at least {least} axes, got shape {made.shape}")
    return made


def column_stack(xs: Sequence[Any]) -> Tensor:
    """Tensors joined along the second axis; vectors are columns.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.column_stack([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    return concatenate([reshape(part, (-1, 1)) if part.ndim < 2 else part for part in tensors(*xs)], 1)


def dstack(xs: Sequence[Any]) -> Tensor:
    """Tensors joined along the third axis; vectors and matrices get one first.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.dstack([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([[[1., 3.],
            [2., 4.]]], dtype=float32)
    """
    deep = []
    for part in tensors(*xs):
        rows = reshape(part, (1, -1)) if part.ndim < 2 else part
        deep.append(expand_dims(rows, -1) if rows.ndim == 2 else rows)
    return concatenate(deep, 2)


def fliplr(x: Any) -> Tensor:
    """``x`` with the order of its second axis reversed.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.fliplr([[1.0, 2.0]]).numpy()
    array([[2., 1.]], dtype=float32)
    """
    return flip(_with_axes(x, 2), 1)


def flipud(x: Any) -> Tensor:
    """``x`` with the order of its first axis reversed.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.flipud([1.0, 2.0]).numpy()
    array([2., 1.], dtype=float32)
    """
    return flip(_with_axes(x, 1), 0)


def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """``array`` turned by right angles in the plane of two axes, from the first towards the second.

    Parameters
    ----------
    array
        Tensor or array with at least two axes.
    k
        Number of right angles.
    axes
        The two axes.

    Raises
    ------
    ValueError
        If the axes are not two, or out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.rot90([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([[2., 4.],
           [1., 3.]], dtype=float32)
    """
    made = tensor(array)
    if made.ndim < 2:
        raise ValueError(f"array: expected at least 2 axes, got shape {made.shape}")
    pair = tuple(checked_axis(axis, made.ndim) for axis in axes)
    if len(pair) != 2 or pair[0] == pair[1]:
        raise ValueError(f"axes: expected two axes, got {axes}")
    first, second = pair
    turns = index(k) % 4
    if turns in (0, 2):
        return flip(made, pair) if turns else made
    order = list(range(made.ndim))
    order[first], order[second] = second, first
    return flip(transpose(made, order), first) if turns == 1 else transpose(flip(made, first), order)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """Elements of the first choice whose condition holds, else of a default.

    Parameters
    ----------
    condlist
        Conditions: tensors or arrays of booleans or numbers.
    choicelist
        As many tensors or arrays; all shapes broadcast.
    default
        The value where no condition holds.

    Raises
    ------
    ValueError
        If the numbers of conditions and choices differ, or there are none.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.select([[True, False, False], [True, True, False]], [1.0, 2.0], 3.0).numpy()
    array([1., 2., 3.], dtype=float32)
    """
    if not condlist or len(condlist) != len(choicelist):
        raise ValueError(f"condlist: expected a condition for each of {len(choicelist)} choices, got {len(condlist)}")
    y = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = where(condition, choice, y)
    return tensor(y)


# ---- blocks and windows of images ----------------------------------------------------------------------------


def _images(x: Any, data_format: str | None) -> Tensor:
    """Images with the channels last."""
    made = tensor(x)
    if made.ndim != 4:
        raise ValueError(f"x: expected images with 4 axes, got shape {made.shape}")
    return with_channels_last(made, data_format)


def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Blocks of pixels as channels: the pixels of a block one after the other, each with its channels.

    Parameters
    ----------
    x
        (n, height, width, channels), or (n, channels, height, width).
    block_size
        Side of the blocks, which divides height and width.
    data_format : {"channels_last", "channels_first"}
        The order of the axes. With ``"channels_first"``, the channels of the result are those of the first channel,
        then those of the next.

    Raises
    ------
    ValueError
        If sizes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.space_to_depth(nb.ops.zeros((1, 4, 6, 3)), 2).shape
    (1, 2, 3, 12)
    """
    images, b = _images(x, data_format), index(block_size)
    _, height, width, channels = images.shape
    if b < 1 or height % b or width % b:
        raise ValueError(f"block_size: expected a divisor of {height} and {width}, got {block_size}")
    blocks = reshape(images, (-1, height // b, b, width // b, b, channels))
    order = (0, 1, 3, 5, 2, 4) if data_format == "channels_first" else (0, 1, 3, 2, 4, 5)
    y = reshape(transpose(blocks, order), (-1, height // b, width // b, b * b * channels))
    return in_format(y, data_format)


def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Channels as blocks of pixels: the inverse of :func:`space_to_depth`.

    Parameters
    ----------
    x, data_format
        As for :func:`space_to_depth`.
    block_size
        Side of the blocks, whose square divides the number of channels.

    Raises
    ------
    ValueError
        If sizes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.depth_to_space(nb.ops.zeros((1, 2, 3, 12)), 2).shape
    (1, 4, 6, 3)
    """
    images, b = _images(x, data_format), index(block_size)
    _, height, width, channels = images.shape
    if b < 1 or channels % (b * b):
        raise ValueError(f"block_size: expected a number whose square divides {channels} channels, got {block_size}")
    left = channels // (b * b)
    if data_format == "channels_first":
        blocks = transpose(reshape(images, (-1, height, width, left, b, b)), (0, 1, 4, 2, 5, 3))
    else:
        blocks = transpose(reshape(images, (-1, height, width, b, b, left)), (0, 1, 3, 2, 4, 5))
    return in_format(reshape(blocks, (-1, height * b, width * b, left)), data_format)


def _window_places(
    size: Sequence[int], kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> tuple[np.ndarray[Any, Any], tuple[int, int], tuple[int, int]]:
    """Places of the pixels of all windows in a padded image, (pixels of a window, windows); sides of that image, and
    the padding."""
    kernel, gaps = pair(kernel_size, "kernel_size", 1), pair(dilation, "dilation", 1)
    margins, steps = pair(padding, "padding", 0), pair(stride, "stride", 1)
    sides = size[0] + 2 * margins[0], size[1] + 2 * margins[1]
    places: list[Any] = []
    for n, k, gap, step in zip(sides, kernel, gaps, steps, strict=True):
        count = (n - (k - 1) * gap - 1) // step + 1
        if count < 1:
            raise ValueError(f"kernel_size: windows of {kernel} with gaps {gaps} do not fit in an image of {sides}")
        places.append(np.arange(k)[:, None] * gap + np.arange(count) * step)
    down, right = places
    reserve(down.size * right.size, "unfold")
    found = down[:, None, :, None] * sides[1] + right[None, :, None, :]
    return found.reshape(prod(kernel), -1), sides, margins


def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """All windows of images.

    Parameters
    ----------
    x
        (n, channels, height, width)
    kernel_size, dilation, padding, stride
        Size of the windows, distance of their pixels, zeros around the image, distance of the windows: integers, or
        pairs.

    Returns
    -------
    Tensor (n, channels * pixels of a window, windows).

    Raises
    ------
    ValueError
        If sizes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.unfold(nb.ops.zeros((1, 2, 4, 4)), 2).shape
    (1, 8, 9)
    """
    made = tensor(x)
    if made.ndim != 4:
        raise ValueError(f"x: expected images (n, channels, height, width), got shape {made.shape}")
    places, sides, (down, right) = _window_places(made.shape[2:], kernel_size, dilation, padding, stride)
    padded = pad(made, ((0, 0), (0, 0), (down, down), (right, right)))
    flat = reshape(padded, (-1, made.shape[1], prod(sides)))
    found = take_columns(flat, exact_tensor(places.reshape(-1)))
    return reshape(found, (-1, made.shape[1] * places.shape[0], places.shape[1]))


def fold(x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Images, as sums of windows that overlap: what :func:`unfold` took apart.

    Parameters
    ----------
    x
        (n, channels * pixels of a window, windows)
    output_size
        Height and width of the images.
    kernel_size, dilation, padding, stride
        As for :func:`unfold`.

    Returns
    -------
    Tensor (n, channels, height, width).

    Raises
    ------
    ValueError
        If sizes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.fold(nb.ops.ones((1, 4, 9)), 4, 2).numpy()[0, 0]
    array([[1., 2., 2., 1.],
           [2., 4., 4., 2.],
           [2., 4., 4., 2.],
           [1., 2., 2., 1.]], dtype=float32)
    """
    made, size = tensor(x), pair(output_size, "output_size", 1)
    places, sides, (down, right) = _window_places(size, kernel_size, dilation, padding, stride)
    if made.ndim != 3 or made.shape[1] % len(places) or made.shape[2] != places.shape[1]:
        raise ValueError(f"x: expected (n, a multiple of {len(places)}, {places.shape[1]}), got shape {made.shape}")
    channels = made.shape[1] // len(places)
    parts = reshape(made, (-1, channels, *places.shape))
    total = None
    for k, row in enumerate(places):
        part = reshape(cut(parts, 2, k, 1), (-1, channels, row.size))
        placed = put_columns(part, exact_tensor(row), prod(sides))
        total = placed if total is None else add(total, placed)
    assert total is not None
    images = reshape(total, (-1, channels, *sides))
    return cut(cut(images, 2, down, size[0]), 3, right, size[1])


def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Tensor:
    """Windows of the last axis.

    Parameters
    ----------
    x
        (..., n): tensor or array.
    sequence_length
        Elements of a window.
    sequence_stride
        Distance of the windows.

    Returns
    -------
    Tensor (..., windows, sequence_length).

    Raises
    ------
    ValueError
        If no window fits.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.extract_sequences([1.0, 2.0, 3.0, 4.0, 5.0], 3, 2).numpy()
    array([[1., 2., 3.],
           [3., 4., 5.]], dtype=float32)
    """
    made = _with_axes(x, 1)
    length, step = index(sequence_length), index(sequence_stride)
    if not 1 <= length <= made.shape[-1] or step < 1:
        raise ValueError(
            f"sequence_length, sequence_stride: expected from 1 to {made.shape[-1]}, and from 1; got {length}, {step}"
        )
    starts = constants.arange(0, made.shape[-1] - length + 1, step, "extract_sequences")
    reserve(starts.size * length, "extract_sequences")
    places = starts[:, None] + np.arange(length)
    return reshape(take_columns(made, exact_tensor(places.reshape(-1))), (*made.shape[:-1], *places.shape))


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """Axes named, joined, taken apart and reordered, as in einops.

    Parameters
    ----------
    tensor
        Tensor or array.
    pattern
        Names of the axes before and after: ``"b (h p) c -> b h (p c)"``. Parentheses hold axes that are one.
    **axes_lengths
        Lengths of axes that the shape does not give.

    Raises
    ------
    ValueError
        If pattern and shape do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.rearrange(nb.ops.zeros((2, 6, 3)), "b (h p) c -> b h (p c)", p=2).shape
    (2, 3, 6)
    """
    (x,) = tensors(tensor)
    left, arrow, right = pattern.partition("->")
    before, after = ([group.split() for group in _groups(side)] for side in (left, right))
    names = [name for group in before for name in group if name != "1"]
    wanted = [name for group in after for name in group if name != "1"]
    if not arrow or len(before) != x.ndim or sorted(names) != sorted(wanted) or len(set(names)) != len(names):
        raise ValueError(f"pattern: expected each name once on both sides for shape {x.shape}, got {pattern!r}")
    lengths: dict[str, int] = {name: index(n) for name, n in axes_lengths.items()}
    for n, group in zip(x.shape, before, strict=True):
        open_ = [name for name in group if name not in lengths and name != "1"]
        known = prod(lengths[name] for name in group if name in lengths)
        if len(open_) > 1 or (known and n % known) or (not open_ and n != known):
            raise ValueError(f"pattern: lengths of {group} are not known, or do not fit in {n}")
        lengths |= dict.fromkeys(open_, n // known if known else 0)
    # The first axis keeps its length as it is: it may be that of a model's batch.
    apart = reshape(x, tuple(lengths[name] for name in names))
    order = [names.index(name) for name in wanted]
    made = apart if order == sorted(order) else transpose(apart, order)
    return reshape(made, tuple(prod(lengths.get(name, 1) for name in group) for group in after))


def _groups(side: str) -> list[str]:
    """Names outside parentheses one by one, and the content of parentheses."""
    found = re.findall(r"\(([^()]*)\)|(\w+)", side)
    return [inside or name for inside, name in found]


def copy(x: Any) -> Tensor:
    """A tensor with the value of another one; gradients flow.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.copy([1.0]).numpy()
    array([1.], dtype=float32)
    """
    made = tensor(x)
    return reshape(made, made.shape)
