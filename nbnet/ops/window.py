"""Windows that slide over a sequence or an image: their geometry, for convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as _index
from typing import Any

from nbnet.core.graph import Tensor

#: Integer attributes of a row, in the order of :func:`geometry`. A sequence is an image of height 1.
(SAMPLES, HEIGHT, WIDTH, CHANNELS, OUT_HEIGHT, OUT_WIDTH, ROWS, COLUMNS, STEP_DOWN, STEP_RIGHT, TOP, LEFT, GAP_DOWN,
 GAP_RIGHT) = range(14)  # fmt: skip
PADDINGS = ("valid", "same", "causal")


def per_axis(value: Any, rank: int, name: str) -> tuple[int, ...]:
    """One integer above 0 for each spatial axis; a single one stands for all.

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
    if len(sizes) != rank or any(v < 1 for v in sizes) or any(isinstance(v, bool) for v in values):
        many = "an integer above 0" if rank == 1 else f"an integer above 0, or {rank} of them"
        raise ValueError(f"{name}: wants {many}, got {value!r}")
    return sizes


def check_padding(padding: Any, allowed: Sequence[str] = PADDINGS[:2]) -> str:
    """A padding in lower case."""
    found = padding.lower() if isinstance(padding, str) else padding
    if found not in allowed:
        raise ValueError(f"padding: wants {' or '.join(map(repr, allowed))}, got {padding!r}")
    return str(found)


def check_data_format(data_format: Any) -> None:
    """Refuse everything but channels on the last axis."""
    if data_format == "channels_first":
        raise ValueError(
            "data_format: nbnet keeps channels on the last axis, (batch, height, width, channels); move the axis of "
            "your arrays with np.moveaxis(x, 1, -1)"
        )
    if data_format not in (None, "channels_last"):
        raise ValueError(f"data_format: wants 'channels_last', got {data_format!r}")


def spans(
    size: int, window: int, stride: int, padding: str, dilation: int = 1, name: str = "the window"
) -> tuple[int, int]:
    """Along one axis: how many windows there are, and how far the first stands before the start.

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
    x: Tensor,
    window: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
    name: str,
) -> tuple[int, ...]:
    """The attributes, in their order, for x of shape (batch, length, channels) or (batch, height, width, channels);
    ``name`` is what an error calls the window."""
    spatial = x.shape[1:-1]
    if len(spatial) != len(window):
        axes = "length" if len(window) == 1 else "height, width"
        raise ValueError(f"wants an input of shape (batch, {axes}, channels), got {x.shape}")
    found = [spans(n, k, s, padding, d, name) for n, k, s, d in zip(spatial, window, strides, dilation, strict=True)]
    columns = [spatial, [n for n, _ in found], window, strides, [before for _, before in found], dilation]
    neutral = (1, 1, 1, 1, 0, 1)
    height, out_height, rows, down, top, gap_down = neutral if len(spatial) == 1 else (c[0] for c in columns)
    width, out_width, across, right, left, gap_right = (c[-1] for c in columns)
    return (x.shape[0], height, width, x.shape[-1], out_height, out_width, rows, across, down, right, top, left,
            gap_down, gap_right)  # fmt: skip


def out_shape(x: Tensor, attributes: Sequence[int], channels: int) -> tuple[int, ...]:
    """Shape of what the windows give."""
    spatial = attributes[OUT_WIDTH : OUT_WIDTH + 1] if x.ndim == 3 else attributes[OUT_HEIGHT : OUT_WIDTH + 1]
    return (x.shape[0], *spatial, channels)
