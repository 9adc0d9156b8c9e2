"""Transposed convolution: the gradient of a convolution with respect to its input, as an op of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet.engine.gemm.dispatch import matmul
from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, fill_rows, kernel, mat, present, sum_rows, vec
from nbnet.ops.conv import BLOCK_ROWS, block_of, conv_within, exchange, with_block_rows
from nbnet.ops.windows import (
    CHANNELS,
    NAMES,
    OUT_WIDTH,
    PADDINGS,
    check_data_format,
    check_kernel,
    checked_bias,
    checked_steps,
    per_axis,
)  # fmt: skip

# The attributes are those of the convolution that leads back: from the result y, its input, to x, its output. Its
# windows lie in y, and x has a row for each of them.


@kernel
def conv_transpose_forward(mem: Any, ins: Any, step: Any) -> None:
    x, w, b, y, cells = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3), mat(mem, ins, 4)
    image, flat = vec(mem, ins, 3), vec(mem, ins, 4)
    rows, turned = attribute(ins, BLOCK_ROWS), attribute(ins, CHANNELS) == 1
    m = rows * attribute(ins, OUT_WIDTH)
    fill_rows(y, b)
    for k in range(x.shape[0] // m):
        part = x[k * m : k * m + m]
        if turned:
            matmul(w, False, part, True, cells, False)
        else:
            matmul(part, False, w, True, cells, False)
        exchange(image, flat, ins, k * rows, rows, True)


@kernel
def conv_transpose_backward(mem: Any, ins: Any, step: Any) -> None:
    x, w, dy, dx, dw, db, cells = (mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), mat(mem, ins, 3),
    mat(mem, ins, 4), vec(mem, ins, 5), mat(mem, ins, 6))  # fmt: skip
    image, flat = vec(mem, ins, 2), vec(mem, ins, 6)
    rows, turned = attribute(ins, BLOCK_ROWS), attribute(ins, CHANNELS) == 1
    m = rows * attribute(ins, OUT_WIDTH)
    if present(ins, 5):
        sum_rows(dy, db, accumulates(ins, 5))
    for k in range(x.shape[0] // m):
        exchange(image, flat, ins, k * rows, rows, False)
        if present(ins, 4):
            matmul(cells, not turned, x[k * m : k * m + m], False, dw, k > 0 or accumulates(ins, 4))
        if present(ins, 3):
            matmul(cells, turned, w, False, dx[k * m : k * m + m], accumulates(ins, 3))


def transposed_span(
    size: int, window: int, stride: int, padding: str, dilation: int, extra: int | None
) -> tuple[int, int]:
    """Along one axis: the length of the result, and how far the first window lies before its start.

    Parameters
    ----------
    size, window, stride, padding, dilation
        As for :func:`conv_transpose`.
    extra
        The output padding; None for ``stride * size`` elements with ``"same"``, and with ``"valid"`` for as many as
        windows reach, and strides.

    Examples
    --------
    >>> from nbnet.ops.transposed import transposed_span
    >>> transposed_span(4, 3, 2, "valid", 1, None), transposed_span(4, 3, 2, "same", 1, None)
    ((9, 0), (8, 0))
    """
    reach = (window - 1) * dilation + 1
    if padding == "valid":
        return (size - 1) * stride + reach + (max(stride - reach, 0) if extra is None else extra), 0
    margin = stride + reach - 2 if extra is None else reach + reach % 2 - 2 + extra
    length = (size - 1) * stride + 2 - reach + margin
    return length, reach - 1 - min(margin - margin // 2, reach - 1)


def _geometry(
    x: Tensor,
    w: Tensor,
    strides: Sequence[int],
    padding: str,
    output_padding: Sequence[int | None],
    dilation_rate: Sequence[int],
) -> tuple[int, ...]:
    check_kernel("conv_transpose", x, w, ("filters", "channels"))
    axes = list(zip(x.shape[1:-1], w.shape[:-2], strides, output_padding, dilation_rate, strict=True))
    found = [transposed_span(n, k, s, padding, d, extra) for n, k, s, extra, d in axes]
    if any(n < 1 for n, _ in found) or any(n < 1 for n in x.shape[1:-1]):
        raise ValueError(f"conv_transpose: nothing is left of an input of shape {x.shape} with padding={padding!r}")
    # Length of y, length of x, window, step, windows before the start, gap; a sequence is an image of height 1.
    columns = [(n, m, k, s, before, d) for (n, before), (m, k, s, _, d) in zip(found, axes, strict=True)]
    down, right = columns if len(columns) == 2 else [(1, 1, 1, 1, 0, 1), *columns]
    pairs = [side for pair in zip(down, right, strict=True) for side in pair]
    return (x.shape[0], pairs[0], pairs[1], w.shape[-2], *pairs[2:])


def _encode(x: Tensor, w: Tensor, b: Tensor, **windows: Any) -> tuple[int, ...]:
    return with_block_rows(_geometry(x, w, **windows), w)


def _infer(x: Tensor, w: Tensor, b: Tensor, **windows: Any) -> tuple[Spec, ...]:
    filters = w.shape[-2]
    if b.shape != (filters,):
        raise ValueError(f"conv_transpose: expected one bias for each of {filters} filters, got shape {b.shape}")
    at = _encode(x, w, b, **windows)
    spatial = at[2:3] if x.ndim == 3 else at[1:3]
    return Spec((x.shape[0], *spatial, filters)), block_of(at, w), block_of(at, w)


# The block of windows is scratch of forward and, separately, of backward; nothing is kept between them.
CONV_TRANSPOSE = register(
    Op("conv_transpose", conv_transpose_forward, ("x", "w", "b"), infer=_infer, saves=("block",),
       backward=conv_transpose_backward, gradient=("x", "w", "dy", "dx", "dw", "db", "cells"), work=("cells",),
       encode=_encode, role="product", linear=True, within=conv_within,
       extents="x[samples*out_height*out_width,depth] w[rows*columns*channels,depth] b[channels] "
               "y[samples*height*width,channels] "
               "block[height_of_block,width_of_block] cells[height_of_block,width_of_block]; "
               f"{NAMES} lines")
)  # fmt: skip


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    output_padding: int | Sequence[int] | None = None,
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
    *,
    bias: Any = None,
) -> Tensor:
    """Transposed convolution over one or two spatial axes: each element of the input adds a multiple of the kernel to a
    window of the result.

    Parameters
    ----------
    inputs
        (batch, length, channels) or (batch, height, width, channels)
    kernel
        (width, filters, channels) or (height, width, filters, channels)
    strides, data_format, dilation_rate
        As for :func:`nbnet.ops.conv`.
    padding
        ``"valid"``: the result holds all windows. ``"same"``: it is as long as the input, times the stride.
    output_padding
        Elements that the result has more, one or one for each axis; None for the lengths above.
    bias
        (filters,), added; None for none.

    Returns
    -------
    Tensor (batch, ..., filters).

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> from nbnet.ops.transposed import conv_transpose
    >>> conv_transpose([[[1.0], [2.0]]], [[[1.0]], [[10.0]]]).numpy().ravel()
    array([ 1., 12., 20.], dtype=float32)
    """
    check_data_format(data_format)
    x, w = tensors(inputs, kernel)
    rank = max(x.ndim - 2, 1)
    b = checked_bias("conv_transpose", x, bias, w.shape[-2] if w.ndim > 1 else 1)
    extra = (None,) * rank if output_padding is None else per_axis(output_padding, rank, "output_padding", 0)
    windows = checked_steps(rank, strides, padding, dilation_rate, PADDINGS[:2])
    return apply(CONV_TRANSPOSE, x, w, b, output_padding=extra, **windows)
