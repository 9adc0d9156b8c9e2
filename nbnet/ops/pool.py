"""Pooling of sequences and images: the largest element or mean of each window, channel by channel.

Elements of a window that lie outside the input do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensor
from nbnet.engine.kernels.abi import accumulates, attribute, device, kernel, scratch, vec
from nbnet.ops.elementwise import documents
from nbnet.ops.reduction import max as max_of
from nbnet.ops.reduction import mean as mean_of
from nbnet.ops.reshape import reshape
from nbnet.ops.slicing import concatenate, cut
from nbnet.ops.windows import (
    CHANNELS,
    COLUMNS,
    HEIGHT,
    IMAGES,
    LEFT,
    NAMES,
    OUT_HEIGHT,
    OUT_WIDTH,
    ROWS,
    SAMPLES,
    STEP_DOWN,
    STEP_RIGHT,
    TOP,
    WIDTH,
    check_data_format,
    check_padding,
    geometry,
    out_shape,
    per_axis,
)  # fmt: skip


@device
def _bounds(at: Any, window: Any, size: Any) -> Any:
    """The elements of a window from ``at`` on that lie inside the input."""
    return max(-at, 0), min(size - at, window)


@device
def _rows(ins: Any, i: Any) -> Any:
    """The first row of a row of windows, and the range of their rows that lie inside the input."""
    h = i * attribute(ins, STEP_DOWN) - attribute(ins, TOP)
    top, bottom = _bounds(h, attribute(ins, ROWS), attribute(ins, HEIGHT))
    return h, top, bottom


@device
def _columns(ins: Any, j: Any) -> Any:
    """The same for a column of windows."""
    w = j * attribute(ins, STEP_RIGHT) - attribute(ins, LEFT)
    left, right = _bounds(w, attribute(ins, COLUMNS), attribute(ins, WIDTH))
    return w, left, right


@device
def _largest(
    x: Any, ins: Any, corner: Any, best: Any, number: Any, top: Any, bottom: Any, left: Any, right: Any
) -> None:
    """The largest element of a window for each channel, and its number in the window; the first of equals; NaN wins.

    x: flat, from the first channel's element of the sample's first pixel; corner: number of the pixel at the window's
    corner; best, number: (channels,), scratch, which the compiler knows to be apart from x
    """
    channels, columns, width = attribute(ins, CHANNELS), attribute(ins, COLUMNS), attribute(ins, WIDTH)
    real = x.dtype.type
    start, this = (corner + top * width + left) * channels, real(top * columns + left)
    pixel = x[start : start + best.size]
    for k in range(best.size):
        best[k] = pixel[k]
        number[k] = this
    for r in range(top, bottom):
        for c in range(left, right):
            start, this = (corner + r * width + c) * channels, real(r * columns + c)
            pixel = x[start : start + best.size]
            for k in range(best.size):
                new = (pixel[k] > best[k]) | (pixel[k] != pixel[k])
                best[k] = pixel[k] if new else best[k]
                number[k] = this if new else number[k]


@kernel
def max_pool_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y, winner = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    height, width, n = attribute(ins, HEIGHT), attribute(ins, WIDTH), attribute(ins, CHANNELS)
    at, room = 0, scratch(mem)
    half = room.size // 2
    for sample in range(attribute(ins, SAMPLES)):
        image = x[sample * height * width * n :]
        for i in range(attribute(ins, OUT_HEIGHT)):
            h, top, bottom = _rows(ins, i)
            for j in range(attribute(ins, OUT_WIDTH)):
                w, left, right = _columns(ins, j)
                for first in range(0, n, half):
                    size = min(half, n - first)
                    best, number = room[:size], room[half : half + size]
                    _largest(image[first:], ins, h * width + w, best, number, top, bottom, left, right)
                    into, won = y[at : at + size], winner[at : at + size]
                    for k in range(size):
                        into[k] = best[k]
                        won[k] = number[k]
                    at += size


@kernel
def max_pool_backward(mem: Any, ins: Any, step: Any) -> None:
    winner, dy, dx = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    height, width, n = attribute(ins, HEIGHT), attribute(ins, WIDTH), attribute(ins, CHANNELS)
    at, real, columns = 0, dx.dtype.type, attribute(ins, COLUMNS)
    if not accumulates(ins, 2):
        dx[:] = 0.0
    for sample in range(attribute(ins, SAMPLES)):
        for i in range(attribute(ins, OUT_HEIGHT)):
            h, top, bottom = _rows(ins, i)
            for j in range(attribute(ins, OUT_WIDTH)):
                w, left, right = _columns(ins, j)
                d, won = dy[at : at + n], winner[at : at + n]
                at += n
                for r in range(top, bottom):
                    for c in range(left, right):
                        start, number = ((sample * height + h + r) * width + w + c) * n, real(r * columns + c)
                        into = dx[start : start + n]
                        for k in range(n):
                            into[k] += d[k] if won[k] == number else 0.0


@kernel
def average_pool_forward(mem: Any, ins: Any, step: Any) -> None:
    x, y = vec(mem, ins, 0), vec(mem, ins, 1)
    height, width, n = attribute(ins, HEIGHT), attribute(ins, WIDTH), attribute(ins, CHANNELS)
    at, real = 0, y.dtype.type
    for sample in range(attribute(ins, SAMPLES)):
        for i in range(attribute(ins, OUT_HEIGHT)):
            h, top, bottom = _rows(ins, i)
            for j in range(attribute(ins, OUT_WIDTH)):
                w, left, right = _columns(ins, j)
                mean, share = y[at : at + n], 1.0 / real((bottom - top) * (right - left))
                at += n
                mean[:] = 0.0
                for r in range(top, bottom):
                    for c in range(left, right):
                        start = ((sample * height + h + r) * width + w + c) * n
                        pixel = x[start : start + n]
                        for k in range(n):
                            mean[k] += pixel[k]
                for k in range(n):
                    mean[k] *= share


@kernel
def average_pool_backward(mem: Any, ins: Any, step: Any) -> None:
    dy, dx = vec(mem, ins, 0), vec(mem, ins, 1)
    height, width, n = attribute(ins, HEIGHT), attribute(ins, WIDTH), attribute(ins, CHANNELS)
    at, real = 0, dx.dtype.type
    if not accumulates(ins, 1):
        dx[:] = 0.0
    for sample in range(attribute(ins, SAMPLES)):
        for i in range(attribute(ins, OUT_HEIGHT)):
            h, top, bottom = _rows(ins, i)
            for j in range(attribute(ins, OUT_WIDTH)):
                w, left, right = _columns(ins, j)
                d, share = dy[at : at + n], 1.0 / real((bottom - top) * (right - left))
                at += n
                for r in range(top, bottom):
                    for c in range(left, right):
                        start = ((sample * height + h + r) * width + w + c) * n
                        into = dx[start : start + n]
                        for k in range(n):
                            into[k] += d[k] * share


def _encode_pool(x: Tensor, pool_size: Sequence[int], strides: Sequence[int], padding: str) -> tuple[int, ...]:
    return geometry(x, pool_size, strides, padding, (1,) * len(pool_size), "pool_size")


def _infer_pool(x: Tensor, **windows: Any) -> tuple[Spec, ...]:
    return (Spec(out_shape(x, _encode_pool(x, **windows), x.shape[-1])),)


_POOL = f"x[{IMAGES}] y[samples*out_height*out_width*channels] winner[samples*out_height*out_width*channels]; {NAMES}"


def _pool_within(sizes: Mapping[str, int]) -> bool:
    """True if each window has an element inside the input."""
    down, right = (sizes["out_height"] - 1) * sizes["down"], (sizes["out_width"] - 1) * sizes["right"]
    after = down - sizes["top"] < sizes["height"] and right - sizes["left"] < sizes["width"]
    return after and sizes["top"] < sizes["rows"] and sizes["left"] < sizes["columns"]


MAX_POOL = register(
    Op("max_pool", max_pool_forward, ("x",), infer=lambda x, **windows: _infer_pool(x, **windows) * 2,
       saves=("winner",), backward=max_pool_backward, gradient=("winner", "dy", "dx"), role="pool",
       window=lambda attributes: attributes[ROWS] * attributes[COLUMNS], encode=_encode_pool,
       extents=_POOL, within=_pool_within)
)  # fmt: skip
AVERAGE_POOL = register(
    Op("average_pool", average_pool_forward, ("x",), infer=_infer_pool, backward=average_pool_backward,
       gradient=("dy", "dx"), role="pool", linear=True,
       window=lambda attributes: attributes[ROWS] * attributes[COLUMNS], encode=_encode_pool,
       extents=_POOL, within=_pool_within)
)  # fmt: skip


def _pool(op: Op, inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Tensor:
    check_data_format(data_format)
    x = tensor(inputs)
    rank = max(x.ndim - 2, 1)
    size = per_axis(pool_size, rank, "pool_size")
    steps = size if strides is None else per_axis(strides, rank, "strides")
    kind = check_padding(padding)
    if x.ndim != 5:
        return apply(op, x, pool_size=size, strides=steps, padding=kind)
    # Windows of a volume: those of its lines, then those of the planes of what is left.
    n, depth, height, width, channels = x.shape
    lines = reshape(x, (n, depth * height, width, channels))
    y = apply(op, lines, pool_size=(1, size[2]), strides=(1, steps[2]), padding=kind)
    width = y.shape[2]
    planes = reshape(y, (n, depth, height, width * channels))
    y = apply(op, planes, pool_size=size[:2], strides=steps[:2], padding=kind)
    return reshape(y, (n, *y.shape[1:3], width, channels))


documents_windows = documents(
    first="""inputs
    (batch, length, channels), (batch, height, width, channels) or (batch, depth, height, width, channels)
pool_size
    Size of a window: one, or one for each axis.
strides
    Steps from window to window; None for the size of a window.
padding
    ``"valid"``: windows lie inside the input. ``"same"``: as many windows as steps fit in the input.
data_format
    ``"channels_last"`` or None.""",
    raises="ValueError\n    If the shapes do not fit, or the window is larger than the input.",
)


@documents_windows
def max_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest element of each window, channel by channel. The first of equals gets the gradient; NaN wins.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.max_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).numpy().ravel()
    array([3., 2.], dtype=float32)
    """
    return _pool(MAX_POOL, inputs, pool_size, strides, padding, data_format)


@documents_windows
def average_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of each window, channel by channel, over the elements that lie inside the input.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.average_pool([[[1.0], [3.0], [2.0]]], 2, padding="same").numpy().ravel()
    array([2., 2.], dtype=float32)
    """
    return _pool(AVERAGE_POOL, inputs, pool_size, strides, padding, data_format)


# ---- as many windows as are asked for ------------------------------------------------------------------------


def adaptive_average_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """Means of as many windows as are asked for along each spatial axis.

    Parameters
    ----------
    inputs
        (n, ..., channels): tensor or array with one to three spatial axes.
    output_size
        Number of windows: an integer, or one for each axis. Window i of m goes from ``floor(i n / m)`` to
        ``ceil((i + 1) n / m)``.
    data_format : {None, "channels_last", "channels_first"}
        The place of the channels.

    Raises
    ------
    ValueError
        If sizes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.adaptive_average_pool([[[1.0], [2.0], [3.0], [6.0]]], 2).numpy().ravel()
    array([1.5, 4.5], dtype=float32)
    """
    return _adaptive(inputs, output_size, data_format, mean_of)


def adaptive_max_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """Maxima of as many windows as are asked for along each spatial axis.

    Parameters
    ----------
    inputs, output_size, data_format
        As for :func:`adaptive_average_pool`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.adaptive_max_pool([[[1.0], [2.0], [3.0], [6.0]]], 2).numpy().ravel()
    array([2., 6.], dtype=float32)
    """
    return _adaptive(inputs, output_size, data_format, max_of)


def _adaptive(inputs: Any, output_size: Any, data_format: str | None, reduce: Any) -> Tensor:
    made = tensor(inputs)
    if made.ndim < 3:
        raise ValueError(f"inputs: expected at least 3 axes, got shape {made.shape}")
    first = {None: 1, "channels_last": 1, "channels_first": 2}.get(data_format)
    if first is None:
        raise ValueError(f"data_format: expected 'channels_last' or 'channels_first', got {data_format!r}")
    spatial = made.ndim - 2
    sizes = [index(n) for n in output_size] if isinstance(output_size, Sequence) else [index(output_size)] * spatial
    if len(sizes) != spatial or min(sizes) < 1:
        raise ValueError(f"output_size: expected a positive integer, or {spatial}, got {output_size!r}")
    for axis, m in enumerate(sizes, first):
        n = made.shape[axis]
        if m > n:
            raise ValueError(f"output_size: {m} windows do not fit in {n} elements")
        bounds = [(k * n // m, -(-(k + 1) * n // m)) for k in range(m)]
        made = concatenate([reduce(cut(made, axis, a, b - a), axis, keepdims=True) for a, b in bounds], axis)
    return made
