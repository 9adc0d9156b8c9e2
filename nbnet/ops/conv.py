"""``y[n, i, j, f] = b[f] + sum_{r, c, k} x[n, i s + r d, j s + c d, k] * w[r, c, k, f]``: convolution.

A block of windows at a time is laid out as the rows of a matrix and multiplied by the kernel: the matrix stays in the
cache, whatever the batch. Backward lays it out again: that costs less than keeping it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from nbnet.core.abi import accumulates, attribute, device, fill_rows, kernel, mat, matmul, present, sum_rows, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensors
from nbnet.ops.window import (
    CHANNELS,
    COLUMNS,
    GAP_DOWN,
    GAP_RIGHT,
    HEIGHT,
    LEFT,
    OUT_HEIGHT,
    OUT_WIDTH,
    PADDINGS,
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
)

#: Attribute after those of :mod:`nbnet.ops.window`: rows of the output in a block, a divisor of all of them.
BLOCK_ROWS = 14
#: Elements of a block: of the windows, and of what they are multiplied to.
BLOCK = 1 << 17


@device
def _exchange(x: Any, cells: Any, ins: Any, first: Any, count: Any, back: bool) -> None:
    """Write the windows of ``count`` rows of the output to the matrix; or add the matrix to where they come from.

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
    """n elements of one window from ``cells[at]`` and ``x[source]`` on, of which low ... high - 1 lie in the image."""
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
    """Column c of all windows in a row of the output: a row of the matrix."""
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
        _exchange(x, flat, ins, k * rows, rows, False)
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
            _exchange(x, flat, ins, k * rows, rows, False)
            matmul(cells, not turned, part, False, dw, k > 0 or accumulates(ins, 4))
        if present(ins, 3):
            if turned:
                matmul(w, False, part, True, cells, False)
            else:
                matmul(part, False, w, True, cells, False)
            _exchange(dx, flat, ins, k * rows, rows, True)


def _geometry(
    x: Tensor, w: Tensor, strides: Sequence[int], padding: str, dilation_rate: Sequence[int]
) -> tuple[int, ...]:
    if w.ndim != x.ndim or x.ndim not in (3, 4):
        raise ValueError(
            "conv: wants x (batch, length, channels) and a kernel (width, channels, filters), or x (batch, height, "
            f"width, channels) and a kernel (height, width, channels, filters), got {x.shape} and {w.shape}"
        )
    if w.shape[-2] != x.shape[-1]:
        raise ValueError(f"conv: the kernel {w.shape} is for {w.shape[-2]} channels, the input {x.shape} has others")
    return geometry(x, w.shape[:-2], strides, padding, dilation_rate, "kernel_size")


def _encode(x: Tensor, w: Tensor, b: Tensor, **windows: Any) -> tuple[int, ...]:
    at = _geometry(x, w, **windows)
    total, widest = at[SAMPLES] * at[OUT_HEIGHT], max(prod(w.shape[:-1]), w.shape[-1])
    most = BLOCK // (at[OUT_WIDTH] * widest)
    return (*at, next(n for n in range(max(1, min(total, most)), 0, -1) if total % n == 0))


def _infer(x: Tensor, w: Tensor, b: Tensor, **windows: Any) -> tuple[Spec, ...]:
    filters = w.shape[-1]
    if b.shape != (filters,):
        raise ValueError(f"conv: wants one bias for each of {filters} filters, got shape {b.shape}")
    at = _encode(x, w, b, **windows)
    cells = at[BLOCK_ROWS] * at[OUT_WIDTH], prod(w.shape[:-1])
    block = Spec(cells[::-1] if at[CHANNELS] == 1 else cells)
    return Spec(out_shape(x, at, filters)), block, block


# The block of windows is forward's scratch and, again, backward's: the one is not kept for the other.
CONV = register(
    Op(
        "conv",
        conv_forward,
        ("x", "w", "b"),
        infer=_infer,
        saves=("block",),
        backward=conv_backward,
        gradient=("x", "w", "dy", "dx", "dw", "db", "cells"),
        work=("cells",),
        encode=_encode,
        multiplies=True,
    )
)


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
    """Convolution over one or two spatial axes (the kernel is not flipped).

    Parameters
    ----------
    inputs
        (batch, length, channels) or (batch, height, width, channels)
    kernel
        (width, channels, filters) or (height, width, channels, filters)
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
    b = tensors(x, [0.0] * w.shape[-1] if bias is None else bias)[1]
    rank = max(x.ndim - 2, 1)
    return apply(  # type: ignore[no-any-return]
        CONV,
        x,
        w,
        b,
        strides=per_axis(strides, rank, "strides"),
        padding=check_padding(padding, PADDINGS),
        dilation_rate=per_axis(dilation_rate, rank, "dilation_rate"),
    )
