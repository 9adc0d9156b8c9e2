"""Convolution over sequences, images and volumes: of all channels together, of groups, or of each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from nbnet.base.loading_budget import count_steps
from nbnet.engine.gemm.dispatch import matmul
from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, device, fill_rows, kernel, mat, present, sum_rows, vec
from nbnet.ops.constants import arange
from nbnet.ops.index import pad, take
from nbnet.ops.reshape import reshape, transpose
from nbnet.ops.slicing import concatenate, split
from nbnet.ops.windows import (
    CHANNELS,
    COLUMNS,
    GAP_DOWN,
    GAP_RIGHT,
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
    check_kernel,
    checked_bias,
    checked_steps,
    geometry,
    out_shape,
    spans,
)  # fmt: skip

#: Attribute after those of :func:`geometry`: rows of the output in a block, a divisor of all of them.
BLOCK_ROWS = 14
#: Elements of a block: of the windows, and of their products.
BLOCK = 1 << 17


@device
def exchange(x: Any, cells: Any, ins: Any, first: Any, count: Any, back: bool) -> None:
    """Write the windows of ``count`` rows of the output to the matrix; or add the matrix back to their places.

    With one channel, where a line of a window is very short, windows are columns of the matrix: then one loop moves an
    element of many windows, not the few elements of one.

    x: (samples, height, width, channels), flat; cells: the matrix, flat
    """
    height, width, channels = attribute(ins, HEIGHT), attribute(ins, WIDTH), attribute(ins, CHANNELS)
    out_height, out_width = attribute(ins, OUT_HEIGHT), attribute(ins, OUT_WIDTH)
    columns, gap, right = attribute(ins, COLUMNS), attribute(ins, GAP_RIGHT), attribute(ins, STEP_RIGHT)
    line = columns * channels
    size = attribute(ins, ROWS) * line
    for k in range(count):
        sample, i = (first + k) // out_height, (first + k) % out_height
        for r in range(attribute(ins, ROWS)):
            h = i * attribute(ins, STEP_DOWN) - attribute(ins, TOP) + r * attribute(ins, GAP_DOWN)
            inside = h >= 0 and h < height
            source, at = (sample * height + h) * width * channels, k * out_width * size + r * line
            if channels == 1:
                for c in range(columns):
                    at = ((r * columns + c) * count + k) * out_width
                    _column(x, cells[at : at + out_width], ins, source, c, inside, back)
            elif gap == 1 or not inside:
                for j in range(out_width):
                    w = j * right - attribute(ins, LEFT)
                    low, high = max(-w, 0), min(width - w, columns) if inside else 0
                    _run(x, cells, at + j * size, source + w * channels, line, low * channels, high * channels, back)
            else:
                for j in range(out_width):
                    for c in range(columns):
                        w = j * right - attribute(ins, LEFT) + c * gap
                        high = channels if w >= 0 and w < width else 0
                        _run(x, cells, at + j * size + c * channels, source + w * channels, channels, 0, high, back)


@device
def _run(x: Any, cells: Any, at: Any, source: Any, n: Any, low: Any, high: Any, back: bool) -> None:
    """Copy or add n elements of a window from ``cells[at]`` and ``x[source]`` on; low ... high - 1 lie in the image."""
    if back:
        if high > low:
            into, part = x[source + low : source + high], cells[at + low : at + high]
            for e in range(into.size):
                into[e] += part[e]
    elif high > low:
        cells[at : at + low] = 0.0
        cells[at + high : at + n] = 0.0
        row, part = cells[at + low : at + high], x[source + low : source + high]
        for e in range(row.size):
            row[e] = part[e]
    else:
        cells[at : at + n] = 0.0


@device
def _column(x: Any, row: Any, ins: Any, source: Any, c: Any, inside: bool, back: bool) -> None:
    """Copy or add column c of all windows in a row of the output: a row of the matrix."""
    step, offset = attribute(ins, STEP_RIGHT), c * attribute(ins, GAP_RIGHT) - attribute(ins, LEFT)
    # Windows low ... high - 1 have this column inside the image.
    low = min(max((step - 1 - offset) // step, 0), row.size)
    high = max(min((attribute(ins, WIDTH) - 1 - offset) // step + 1, row.size), low) if inside else low
    if high > low:
        start, part = source + offset + low * step, row[low:high]
        pixels = x[start : start + (part.size - 1) * step + 1]
        if back:
            for j in range(part.size):
                pixels[j * step] += part[j]
        elif step == 1:
            for j in range(part.size):
                part[j] = pixels[j]
        else:
            for j in range(part.size):
                part[j] = pixels[j * step]
    if not back:
        row[:low] = 0.0
        row[high:] = 0.0


@kernel
def conv_forward(mem: Any, ins: Any, step: Any) -> None:
    x, w, b, y, cells = vec(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3), mat(mem, ins, 4)
    flat, rows, turned = vec(mem, ins, 4), attribute(ins, BLOCK_ROWS), attribute(ins, CHANNELS) == 1
    m = rows * attribute(ins, OUT_WIDTH)
    for k in range(y.shape[0] // m):
        part = y[k * m : k * m + m]
        exchange(x, flat, ins, k * rows, rows, False)
        fill_rows(part, b)
        matmul(cells, turned, w, False, part, True)


@kernel
def conv_backward(mem: Any, ins: Any, step: Any) -> None:
    x, w, dy, dx, dw, db, cells = (vec(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), vec(mem, ins, 3),
    mat(mem, ins, 4), vec(mem, ins, 5), mat(mem, ins, 6))  # fmt: skip
    flat, rows, turned = vec(mem, ins, 6), attribute(ins, BLOCK_ROWS), attribute(ins, CHANNELS) == 1
    m = rows * attribute(ins, OUT_WIDTH)
    if present(ins, 3) and not accumulates(ins, 3):
        dx[:] = 0.0
    for k in range(dy.shape[0] // m):
        part = dy[k * m : k * m + m]
        if present(ins, 5):
            sum_rows(part, db, k > 0 or accumulates(ins, 5))
        if present(ins, 4):
            exchange(x, flat, ins, k * rows, rows, False)
            matmul(cells, not turned, part, False, dw, k > 0 or accumulates(ins, 4))
        if present(ins, 3):
            if turned:
                matmul(w, False, part, True, cells, False)
            else:
                matmul(part, False, w, True, cells, False)
            exchange(dx, flat, ins, k * rows, rows, True)


def _geometry(
    x: Tensor, w: Tensor, strides: Sequence[int], padding: str, dilation_rate: Sequence[int]
) -> tuple[int, ...]:
    check_kernel("conv", x, w, ("channels", "filters"))
    return geometry(x, w.shape[:-2], strides, padding, dilation_rate, "kernel_size")


def with_block_rows(at: Sequence[int], w: Tensor) -> tuple[int, ...]:
    """Attributes, and behind them the rows of windows in a block: as many as fit, with their products."""
    total, widest = at[SAMPLES] * at[OUT_HEIGHT], max(prod(w.shape[:-1]), w.shape[-1])
    most = BLOCK // max(at[OUT_WIDTH] * widest, 1)
    return (*at, next(n for n in range(max(1, min(total, most)), 0, -1) if total % n == 0))


def block_of(at: Sequence[int], w: Tensor) -> Spec:
    """The matrix of the windows in a block."""
    cells = at[BLOCK_ROWS] * at[OUT_WIDTH], prod(w.shape[:-1])
    return Spec(cells[::-1] if at[CHANNELS] == 1 else cells)


def _encode(x: Tensor, w: Tensor, b: Tensor, **windows: Any) -> tuple[int, ...]:
    return with_block_rows(_geometry(x, w, **windows), w)


def _infer(x: Tensor, w: Tensor, b: Tensor, **windows: Any) -> tuple[Spec, ...]:
    filters = w.shape[-1]
    if b.shape != (filters,):
        raise ValueError(f"conv: expected one bias for each of {filters} filters, got shape {b.shape}")
    at = _encode(x, w, b, **windows)
    return Spec(out_shape(x, at, filters)), block_of(at, w), block_of(at, w)


def conv_within(sizes: Mapping[str, int]) -> bool:
    """True if blocks are whole rows of the output, and windows move."""
    windows = sizes["lines"] * sizes["out_width"], sizes["rows"] * sizes["columns"] * sizes["channels"]
    block = sizes["height_of_block"], sizes["width_of_block"]
    moves = min(sizes["down"], sizes["right"], sizes["gap_down"], sizes["gap_right"], windows[0]) > 0
    return moves and block == (windows[::-1] if sizes["channels"] == 1 else windows)


# The block of windows is scratch of forward and, separately, of backward; nothing is kept between them.
CONV = register(
    Op("conv", conv_forward, ("x", "w", "b"), infer=_infer, saves=("block",), backward=conv_backward,
       gradient=("x", "w", "dy", "dx", "dw", "db", "cells"), work=("cells",), encode=_encode, role="product",
       linear=True, within=conv_within,
       extents=f"x[{IMAGES}] w[rows*columns*channels,filters] b[filters] y[samples*out_height*out_width,filters] "
               f"block[height_of_block,width_of_block] cells[height_of_block,width_of_block]; {NAMES} lines")
)  # fmt: skip


def conv(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
    *,
    bias: Any = None,
) -> Tensor:
    """Convolution over one, two or three spatial axes (the kernel is not flipped).

    Parameters
    ----------
    inputs
        (batch, length, channels), (batch, height, width, channels) or (batch, depth, height, width, channels)
    kernel
        (width, channels, filters), (height, width, channels, filters) or (depth, height, width, channels, filters).
        If its channels are a fraction of those of the input, these are convolved in groups, each with its share of the
        filters.
    strides
        Steps from window to window: one, or one for each axis.
    padding
        ``"valid"``: windows lie inside the input. ``"same"``: as many windows as steps fit in the input, which is
        surrounded by zeros. ``"causal"``: the zeros stand before the input.
    data_format
        ``"channels_last"`` or None.
    dilation_rate
        Steps between the elements of a window: one, or one for each axis.
    bias
        (filters,), added; None for none.

    Returns
    -------
    Tensor (batch, ..., filters).

    Raises
    ------
    ValueError
        If the shapes do not fit, or the window is larger than the input.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.conv([[[1.0], [2.0], [4.0]]], [[[-1.0]], [[1.0]]]).numpy().ravel()
    array([1., 2.], dtype=float32)
    """
    check_data_format(data_format)
    x, w = tensors(inputs, kernel)
    b = checked_bias("conv", x, bias, w.shape[-1])
    windows = checked_steps(max(x.ndim - 2, 1), strides, padding, dilation_rate)
    groups = x.shape[-1] // (w.shape[-2] or 1) if w.ndim == x.ndim > 1 else 1
    if groups < 2 or x.shape[-1] % groups:
        return _convolved(x, w, b, windows)
    if w.shape[-1] % groups:
        raise ValueError(f"conv: {w.shape[-1]} filters do not make {groups} groups, as the channels of {x.shape} do")
    if w.shape[-2] == 1 and x.ndim < 5:
        return apply(DEPTHWISE_CONV, x, reshape(w, (*w.shape[:-2], groups, w.shape[-1] // groups)), b, **windows)
    count_steps(groups, "conv")
    parts = zip(split(x, groups, -1), split(w, groups, -1), split(b, groups, -1), strict=True)
    return concatenate([_convolved(*part, windows) for part in parts], -1)


def _convolved(x: Tensor, w: Tensor, b: Tensor, windows: Mapping[str, Any]) -> Tensor:
    """Convolution of all channels together."""
    return _convolved_volume(x, w, b, **windows) if x.ndim == 5 else apply(CONV, x, w, b, **windows)


def _convolved_volume(
    x: Tensor, w: Tensor, b: Tensor, strides: Sequence[int], padding: str, dilation_rate: Sequence[int]
) -> Tensor:
    """Convolution of images whose channels are those of all slices that a window spans.

    x: (batch, depth, height, width, channels); w: (depth, height, width, channels, filters)
    """
    if w.ndim != 5 or w.shape[-2] != x.shape[-1]:
        raise ValueError(f"conv: a kernel of shape {w.shape} does not fit an input of shape {x.shape}")
    batch, channels, window = x.shape[0], x.shape[-1], w.shape[0]
    (size, *_), (step, *steps), (gap, *gaps) = x.shape[1:], strides, dilation_rate
    count, before = spans(size, window, step, padding, gap, "kernel_size")
    after = max((count - 1) * step + (window - 1) * gap + 1 - size - before, 0)
    slices = arange(0, count, 1, "conv")[:, None] * step + arange(0, window, 1, "conv") * gap
    if (count, window) != (size, 1) or step > 1:
        x = take(pad(x, ((0, 0), (before, after), *[(0, 0)] * 3)), slices, 1)
    images = reshape(transpose(reshape(x, (batch, count, window, *x.shape[-3:])), (0, 1, 3, 4, 2, 5)),
                     (batch * count, *x.shape[-3:-1], window * channels))  # fmt: skip
    flat = reshape(transpose(w, (1, 2, 0, 3, 4)), (*w.shape[1:3], window * channels, w.shape[-1]))
    y = apply(CONV, images, flat, b, strides=tuple(steps), padding=padding, dilation_rate=tuple(gaps))
    return reshape(y, (batch, count, *y.shape[1:]))


# ---- each channel by itself ----------------------------------------------------------------------------------


@device
def _source(ins: Any, line: Any, j: Any, r: Any, c: Any) -> Any:
    """Place in x of the pixel that element (r, c) of window j of a line of windows reads; -1 outside the image."""
    sample, i = line // attribute(ins, OUT_HEIGHT), line % attribute(ins, OUT_HEIGHT)
    h = i * attribute(ins, STEP_DOWN) - attribute(ins, TOP) + r * attribute(ins, GAP_DOWN)
    w = j * attribute(ins, STEP_RIGHT) - attribute(ins, LEFT) + c * attribute(ins, GAP_RIGHT)
    height, width = attribute(ins, HEIGHT), attribute(ins, WIDTH)
    inside = h >= 0 and h < height and w >= 0 and w < width
    return ((sample * height + h) * width + w) * attribute(ins, CHANNELS) if inside else -1


@kernel
def depthwise_conv_forward(mem: Any, ins: Any, step: Any) -> None:
    x, w, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 3)
    n, across, columns = attribute(ins, CHANNELS), attribute(ins, OUT_WIDTH), attribute(ins, COLUMNS)
    several = mat(mem, ins, 1).shape[1]
    filters = n * several
    fill_rows(mat(mem, ins, 3), vec(mem, ins, 2))
    for line in range(attribute(ins, SAMPLES) * attribute(ins, OUT_HEIGHT)):
        for j in range(across):
            into = y[(line * across + j) * filters :]
            for r in range(attribute(ins, ROWS)):
                for c in range(columns):
                    start = _source(ins, line, j, r, c)
                    if start >= 0:
                        pixel, weight = x[start : start + n], w[(r * columns + c) * filters :]
                        if several == 1:
                            for k in range(pixel.size):
                                into[k] += pixel[k] * weight[k]
                        else:
                            for k in range(pixel.size):
                                value = pixel[k]
                                for m in range(k * several, k * several + several):
                                    into[m] += value * weight[m]


@kernel
def depthwise_conv_backward(mem: Any, ins: Any, step: Any) -> None:
    x, w, dy, dx, dw = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), vec(mem, ins, 4)
    n, across, columns = attribute(ins, CHANNELS), attribute(ins, OUT_WIDTH), attribute(ins, COLUMNS)
    several = mat(mem, ins, 1).shape[1]
    filters = n * several
    if present(ins, 5):
        sum_rows(mat(mem, ins, 2), vec(mem, ins, 5), accumulates(ins, 5))
    if present(ins, 3) and not accumulates(ins, 3):
        dx[:] = 0.0
    if present(ins, 4) and not accumulates(ins, 4):
        dw[:] = 0.0
    for line in range(attribute(ins, SAMPLES) * attribute(ins, OUT_HEIGHT)):
        for j in range(across):
            d = dy[(line * across + j) * filters : (line * across + j) * filters + filters]
            for r in range(attribute(ins, ROWS)):
                for c in range(columns):
                    start, at = _source(ins, line, j, r, c), (r * columns + c) * filters
                    if start >= 0 and present(ins, 3):
                        into, weight = dx[start : start + n], w[at : at + filters]
                        if several == 1:
                            for k in range(into.size):
                                into[k] += d[k] * weight[k]
                        else:
                            for k in range(into.size):
                                for m in range(k * several, k * several + several):
                                    into[k] += d[m] * weight[m]
                    if start >= 0 and present(ins, 4):
                        pixel, total = x[start : start + n], dw[at : at + filters]
                        if several == 1:
                            for k in range(pixel.size):
                                total[k] += d[k] * pixel[k]
                        else:
                            for k in range(pixel.size):
                                for m in range(k * several, k * several + several):
                                    total[m] += d[m] * pixel[k]


def _encode_depthwise(
    x: Tensor, w: Tensor, b: Tensor, strides: Sequence[int], padding: str, dilation_rate: Sequence[int]
) -> tuple[int, ...]:
    check_kernel("depthwise_conv", x, w, ("channels", "multiplier"))
    return geometry(x, w.shape[:-2], strides, padding, dilation_rate, "kernel_size")


def _infer_depthwise(x: Tensor, w: Tensor, b: Tensor, **windows: Any) -> tuple[Spec, ...]:
    at = _encode_depthwise(x, w, b, **windows)
    filters = w.shape[-2] * w.shape[-1]
    if b.shape != (filters,):
        raise ValueError(f"depthwise_conv: expected one bias for each of {filters} channels, got shape {b.shape}")
    return (Spec(out_shape(x, at, filters)),)


DEPTHWISE_CONV = register(
    Op("depthwise_conv", depthwise_conv_forward, ("x", "w", "b"), infer=_infer_depthwise,
       backward=depthwise_conv_backward, gradient=("x", "w", "dy", "dx", "dw", "db"), encode=_encode_depthwise,
       linear=True,
       extents=f"x[{IMAGES}] w[rows*columns*channels,multiplier] b[channels*multiplier] "
               f"y[samples*out_height*out_width,channels*multiplier]; {NAMES}")
)  # fmt: skip


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
    *,
    bias: Any = None,
) -> Tensor:
    """Convolution of each channel with kernels of its own.

    Parameters
    ----------
    inputs
        (batch, length, channels) or (batch, height, width, channels)
    kernel
        (width, channels, multiplier) or (height, width, channels, multiplier)
    strides, padding, data_format, dilation_rate
        As for :func:`conv`.
    bias
        (channels * multiplier,), added; None for none.

    Returns
    -------
    Tensor (batch, ..., channels * multiplier): first the results of the first channel.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the window is larger than the input.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.depthwise_conv([[[1.0, 2.0], [3.0, 4.0]]], [[[1.0], [1.0]], [[1.0], [10.0]]]).numpy()
    array([[[ 4., 42.]]], dtype=float32)
    """
    check_data_format(data_format)
    x, w = tensors(inputs, kernel)
    b = checked_bias("depthwise_conv", x, bias, w.shape[-2] * w.shape[-1] if w.ndim > 1 else 1)
    return apply(DEPTHWISE_CONV, x, w, b, **checked_steps(max(x.ndim - 2, 1), strides, padding, dilation_rate))


def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
    *,
    bias: Any = None,
) -> Tensor:
    """Convolution of each channel by itself, then a mix of channels at each place.

    Parameters
    ----------
    inputs
        (batch, length, channels) or (batch, height, width, channels)
    depthwise_kernel
        (width, channels, multiplier) or (height, width, channels, multiplier)
    pointwise_kernel
        (1, channels * multiplier, filters) or (1, 1, channels * multiplier, filters)
    strides, padding, data_format, dilation_rate
        Of the first convolution, as for :func:`conv`.
    bias
        (filters,), added; None for none.

    Returns
    -------
    Tensor (batch, ..., filters).

    Raises
    ------
    ValueError
        If the shapes do not fit, or the window is larger than the input.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.separable_conv([[[1.0, 2.0]]], [[[1.0], [10.0]]], [[[1.0], [1.0]]]).numpy()
    array([[[21.]]], dtype=float32)
    """
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, bias=bias)
