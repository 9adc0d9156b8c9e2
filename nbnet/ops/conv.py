"""Ops on the windows of sequences and images: convolution, and pooling, the largest element or mean of each window.

Elements of a pooling window that lie outside the input do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from operator import index as _index
from typing import Any

from nbnet.engine.gemm.dispatch import matmul
from nbnet.engine.graph.op import Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, tensor, tensors
from nbnet.engine.kernels.abi import (
    accumulates,
    attribute,
    device,
    fill_rows,
    kernel,
    mat,
    present,
    scratch,
    sum_rows,
    vec,
)
from nbnet.ops.elementwise import documents

#: Integer attributes of a row, in the order of :func:`geometry`. A sequence is an image of height 1.
(SAMPLES, HEIGHT, WIDTH, CHANNELS, OUT_HEIGHT, OUT_WIDTH, ROWS, COLUMNS, STEP_DOWN, STEP_RIGHT, TOP, LEFT, GAP_DOWN,
 GAP_RIGHT) = range(14)  # fmt: skip
PADDINGS = ("valid", "same", "causal")


def per_axis(value: Any, rank: int, name: str) -> tuple[int, ...]:
    """One integer above 0 for each spatial axis; a single integer is repeated.

    Examples
    --------
    >>> per_axis(3, 2, "kernel_size"), per_axis((1, 2), 2, "strides")
    ((3, 3), (1, 2))
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,) * rank
    try:
        sizes = tuple(_index(v) for v in values)
    except TypeError:
        sizes = ()
    if len(sizes) != rank or any(not 0 < v < 1 << 63 for v in sizes) or any(isinstance(v, bool) for v in values):
        many = "an integer above 0" if rank == 1 else f"an integer above 0, or {rank} of them"
        raise ValueError(f"{name}: expected {many}, got {value!r}")
    return sizes


def check_padding(padding: Any, allowed: Sequence[str] = PADDINGS[:2]) -> str:
    """Return a padding in lower case; raise ValueError if it is not allowed."""
    found = padding.lower() if isinstance(padding, str) else padding
    if found not in allowed:
        raise ValueError(f"padding: expected {' or '.join(map(repr, allowed))}, got {padding!r}")
    return str(found)


def check_data_format(data_format: Any) -> None:
    """Raise ValueError unless channels are on the last axis."""
    if data_format == "channels_first":
        raise ValueError(
            "data_format: nbnet keeps channels on the last axis, (batch, height, width, channels); move the axis of "
            "your arrays with np.moveaxis(x, 1, -1)"
        )
    if data_format not in (None, "channels_last"):
        raise ValueError(f"data_format: expected 'channels_last', got {data_format!r}")


def spans(
    size: int, window: int, stride: int, padding: str, dilation: int = 1, name: str = "the window"
) -> tuple[int, int]:
    """Along one axis: the number of windows, and how far the first lies before the start.

    Examples
    --------
    >>> spans(28, 3, 1, "valid"), spans(28, 3, 1, "same"), spans(5, 2, 2, "same")
    ((26, 0), (28, 1), (3, 0))
    """
    reach = (window - 1) * dilation + 1
    if padding == "same":
        count = -(-size // stride)
        return count, max((count - 1) * stride + reach - size, 0) // 2
    before = reach - 1 if padding == "causal" else 0
    count = (size + before - reach) // stride + 1
    if count < 1:
        raise ValueError(f"{name}: spans {reach} elements, more than the {size} of the input; padding='same' allows it")
    return count, before


def geometry(
    x: Tensor, window: Sequence[int], strides: Sequence[int], padding: str, dilation: Sequence[int], name: str
) -> tuple[int, ...]:
    """The attributes, in their order, for x of shape (batch, length, channels) or (batch, height, width, channels);
    ``name`` is the name of the window in errors."""
    spatial = x.shape[1:-1]
    if len(spatial) != len(window) or len(window) not in (1, 2):
        axes = "length" if len(window) == 1 else "height, width"
        raise ValueError(f"expected an input of shape (batch, {axes}, channels), got {x.shape}")
    found = [spans(n, k, s, padding, d, name) for n, k, s, d in zip(spatial, window, strides, dilation, strict=True)]
    columns = [spatial, [n for n, _ in found], window, strides, [before for _, before in found], dilation]
    neutral = (1, 1, 1, 1, 0, 1)
    height, out_height, rows, down, top, gap_down = neutral if len(spatial) == 1 else (c[0] for c in columns)
    width, out_width, across, right, left, gap_right = (c[-1] for c in columns)
    return (x.shape[0], height, width, x.shape[-1], out_height, out_width, rows, across, down, right, top, left,
            gap_down, gap_right)  # fmt: skip


def out_shape(x: Tensor, attributes: Sequence[int], channels: int) -> tuple[int, ...]:
    """Shape of the output."""
    spatial = attributes[OUT_WIDTH : OUT_WIDTH + 1] if x.ndim == 3 else attributes[OUT_HEIGHT : OUT_WIDTH + 1]
    return (x.shape[0], *spatial, channels)


#: Attribute after those of :func:`geometry`: rows of the output in a block, a divisor of all of them.
BLOCK_ROWS = 14
#: Elements of a block: of the windows, and of their products.
BLOCK = 1 << 17


@device
def _exchange(x: Any, cells: Any, ins: Any, first: Any, count: Any, back: bool) -> None:
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
            "conv: expected x (batch, length, channels) and a kernel (width, channels, filters), or x (batch, height, "
            f"width, channels) and a kernel (height, width, channels, filters), got {x.shape} and {w.shape}"
        )
    if w.shape[-2] != x.shape[-1]:
        raise ValueError(f"conv: the kernel {w.shape} is for {w.shape[-2]} channels, the input has shape {x.shape}")
    return geometry(x, w.shape[:-2], strides, padding, dilation_rate, "kernel_size")


def _encode(x: Tensor, w: Tensor, b: Tensor, **windows: Any) -> tuple[int, ...]:
    at = _geometry(x, w, **windows)
    total, widest = at[SAMPLES] * at[OUT_HEIGHT], max(prod(w.shape[:-1]), w.shape[-1])
    most = BLOCK // (at[OUT_WIDTH] * widest)
    return (*at, next(n for n in range(max(1, min(total, most)), 0, -1) if total % n == 0))


def _infer(x: Tensor, w: Tensor, b: Tensor, **windows: Any) -> tuple[Spec, ...]:
    filters = w.shape[-1]
    if b.shape != (filters,):
        raise ValueError(f"conv: expected one bias for each of {filters} filters, got shape {b.shape}")
    at = _encode(x, w, b, **windows)
    cells = at[BLOCK_ROWS] * at[OUT_WIDTH], prod(w.shape[:-1])
    block = Spec(cells[::-1] if at[CHANNELS] == 1 else cells)
    return Spec(out_shape(x, at, filters)), block, block


_IMAGES = "samples*height*width*channels"
_NAMES = "samples height width channels out_height out_width rows columns down right top left gap_down gap_right"


def _conv_within(sizes: Mapping[str, int]) -> bool:
    """True if blocks are whole rows of the output, and windows move."""
    windows = sizes["lines"] * sizes["out_width"], sizes["rows"] * sizes["columns"] * sizes["channels"]
    block = sizes["height_of_block"], sizes["width_of_block"]
    moves = min(sizes["down"], sizes["right"], sizes["gap_down"], sizes["gap_right"], windows[0]) > 0
    return moves and block == (windows[::-1] if sizes["channels"] == 1 else windows)


# The block of windows is scratch of forward and, separately, of backward; nothing is kept between them.
CONV = register(
    Op("conv", conv_forward, ("x", "w", "b"), infer=_infer, saves=("block",), backward=conv_backward,
       gradient=("x", "w", "dy", "dx", "dw", "db", "cells"), work=("cells",), encode=_encode, role="product",
       linear=True, within=_conv_within,
       extents=f"x[{_IMAGES}] w[rows*columns*channels,filters] b[filters] y[samples*out_height*out_width,filters] "
               f"block[height_of_block,width_of_block] cells[height_of_block,width_of_block]; {_NAMES} lines")
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
    return apply(
        CONV,
        x,
        w,
        b,
        strides=per_axis(strides, rank, "strides"),
        padding=check_padding(padding, PADDINGS),
        dilation_rate=per_axis(dilation_rate, rank, "dilation_rate"),
    )


# ---- pooling ------------------------------------------------------------------------------------------------


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


_POOL = f"x[{_IMAGES}] y[samples*out_height*out_width*channels] winner[samples*out_height*out_width*channels]; {_NAMES}"


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
    return apply(op, x, pool_size=size, strides=steps, padding=check_padding(padding))


documents_windows = documents(
    first="""inputs
    (batch, length, channels) or (batch, height, width, channels)
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
