"""Windows of sequences and images: their arguments and geometry, for ops that convolve and pool."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as _index
from typing import Any

from nbnet.engine.graph.tensor import Tensor, tensors
from nbnet.ops.constants import zeros
from nbnet.ops.reshape import transpose

#: Integer attributes of a row, in the order of :func:`geometry`. A sequence is an image of height 1.
(SAMPLES, HEIGHT, WIDTH, CHANNELS, OUT_HEIGHT, OUT_WIDTH, ROWS, COLUMNS, STEP_DOWN, STEP_RIGHT, TOP, LEFT, GAP_DOWN,
 GAP_RIGHT) = range(14)  # fmt: skip
PADDINGS = ("valid", "same", "causal")


def per_axis(value: Any, rank: int, name: str, least: int = 1) -> tuple[int, ...]:
    """One integer from ``least`` for each spatial axis; a single integer is repeated.

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
    if len(sizes) != rank or any(not least <= v < 1 << 63 for v in sizes) or any(isinstance(v, bool) for v in values):
        bound = "above 0" if least == 1 else f"from {least}"
        many = f"an integer {bound}" if rank == 1 else f"an integer {bound}, or {rank} of them"
        raise ValueError(f"{name}: expected {many}, got {value!r}")
    return sizes


def pair(value: int | Sequence[int], name: str, least: int, wanted: str = "") -> tuple[int, int]:
    """Two integers from ``least``, which an error calls ``wanted``; a single integer is repeated."""
    found = tuple(_index(n) for n in value) if isinstance(value, Sequence) else (_index(value),) * 2
    if len(found) != 2 or min(found) < least:
        raise ValueError(f"{name}: expected {wanted or f'an integer from {least}'}, or two, got {value!r}")
    return found[0], found[1]


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


def with_channels_last(images: Tensor, data_format: str | None) -> Tensor:
    """Images of either order of axes as (batch, height, width, channels)."""
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(f"data_format: expected 'channels_last' or 'channels_first', got {data_format!r}")
    return transpose(images, (0, 2, 3, 1)) if data_format == "channels_first" else images


def in_format(images: Tensor, data_format: str | None) -> Tensor:
    """Images (batch, height, width, channels) in the order of axes that is asked for."""
    return transpose(images, (0, 3, 1, 2)) if data_format == "channels_first" else images


def check_kernel(op: str, x: Tensor, w: Tensor, axes: tuple[str, str]) -> None:
    """Raise ValueError unless a kernel fits an input; ``axes`` names its axes behind those of the window."""
    if w.ndim != x.ndim or x.ndim not in (3, 4):
        last = ", ".join(axes)
        raise ValueError(
            f"{op}: expected x (batch, length, channels) and a kernel (width, {last}), or x (batch, height, width, "
            f"channels) and a kernel (height, width, {last}), got {x.shape} and {w.shape}"
        )
    channels = w.shape[axes.index("channels") - 2]
    if channels != x.shape[-1]:
        raise ValueError(f"{op}: the kernel {w.shape} is for {channels} channels, the input has shape {x.shape}")


def checked_bias(op: str, x: Tensor, bias: Any, count: int) -> Tensor:
    """The biases of a convolution as a tensor; zeros if there are none."""
    return tensors(x, zeros(count, x.dtype, op) if bias is None else bias)[1]


def checked_steps(
    rank: int, strides: Any, padding: Any, dilation_rate: Any, allowed: Sequence[str] = PADDINGS
) -> dict[str, Any]:
    """The attributes of a convolution over ``rank`` axes."""
    return {
        "strides": per_axis(strides, rank, "strides"),
        "padding": check_padding(padding, allowed),
        "dilation_rate": per_axis(dilation_rate, rank, "dilation_rate"),
    }


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


#: Parts of the statements of extents (see :mod:`nbnet.engine.graph.extents`): the input, and names of attributes.
IMAGES = "samples*height*width*channels"
NAMES = "samples height width channels out_height out_width rows columns down right top left gap_down gap_right"
