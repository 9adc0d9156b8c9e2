"""Convolution of each channel by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, device, fill_rows, kernel, mat, present, sum_rows, vec
from nbnet.ops.constants import zeros
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
)  # fmt: skip


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


def _encode(
    x: Tensor, w: Tensor, b: Tensor, strides: Sequence[int], padding: str, dilation_rate: Sequence[int]
) -> tuple[int, ...]:
    if w.ndim != x.ndim or x.ndim not in (3, 4):
        raise ValueError(
            "depthwise_conv: expected x (batch, length, channels) and a kernel (width, channels, multiplier), or x "
            "(batch, height, width, channels) and a kernel (height, width, channels, multiplier), got "
            f"{x.shape} and {w.shape}"
        )
    if w.shape[-2] != x.shape[-1]:
        raise ValueError(
            f"depthwise_conv: the kernel {w.shape} is for {w.shape[-2]} channels, the input has shape {x.shape}"
        )
    return geometry(x, w.shape[:-2], strides, padding, dilation_rate, "kernel_size")


def _infer(x: Tensor, w: Tensor, b: Tensor, **windows: Any) -> tuple[Spec, ...]:
    at = _encode(x, w, b, **windows)
    filters = w.shape[-2] * w.shape[-1]
    if b.shape != (filters,):
        raise ValueError(f"depthwise_conv: expected one bias for each of {filters} channels, got shape {b.shape}")
    return (Spec(out_shape(x, at, filters)),)


DEPTHWISE_CONV = register(
    Op("depthwise_conv", depthwise_conv_forward, ("x", "w", "b"), infer=_infer, backward=depthwise_conv_backward,
       gradient=("x", "w", "dy", "dx", "dw", "db"), encode=_encode, linear=True,
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
        As for :func:`nbnet.ops.conv`.
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
    >>> from nbnet.ops.depthwise import depthwise_conv
    >>> depthwise_conv([[[1.0, 2.0], [3.0, 4.0]]], [[[1.0], [1.0]], [[1.0], [10.0]]]).numpy()
    array([[[ 4., 42.]]], dtype=float32)
    """
    check_data_format(data_format)
    x, w = tensors(inputs, kernel)
    rank = max(x.ndim - 2, 1)
    filters = w.shape[-2] * w.shape[-1] if w.ndim > 1 else 1
    b = tensors(x, zeros(filters, x.dtype, "depthwise_conv") if bias is None else bias)[1]
    return apply(
        DEPTHWISE_CONV,
        x,
        w,
        b,
        strides=per_axis(strides, rank, "strides"),
        padding=check_padding(padding, PADDINGS),
        dilation_rate=per_axis(dilation_rate, rank, "dilation_rate"),
    )
