"""Dropout of more than single units: DropBlock, of squares of images; DropConnect, of weights; and Masksembles, whose
fixed masks the rows of a batch (deal_masks), or the steps (take_turn), use in turn.

DropBlock is ``y = x * mask * elements / kept``, DropConnect ``y = (x @ (w * mask) + b * mask) / (1 - rate)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from nbnet.base.validation import check_int
from nbnet.engine.gemm.dispatch import matmul
from nbnet.engine.graph.op import BYTE, Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, node_name, tensor, tensors
from nbnet.engine.kernels.abi import (
    accumulates,
    attribute,
    bytemat,
    bytevec,
    device,
    first_row,
    kernel,
    mat,
    present,
    seed,
    vec,
)  # fmt: skip
from nbnet.engine.kernels.philox import fill_mask
from nbnet.ops.dense import infer_dense
from nbnet.ops.dropout import as_rate, documents_noise, draw_mask, injected_mask, keep_scale, spread

# ---- DropBlock -----------------------------------------------------------------------------------------------

# Attributes: elements of a sample's mask, height, width, size of a block, channels of x that share an element of the
# mask: all or 1.


@device
def _gamma(rate: Any, height: Any, width: Any, block: Any) -> Any:
    """The probability of a seed, equation 1 of the paper; 1 at rate 1, which drops everything."""
    places = (height - block + 1) * (width - block + 1)
    gamma = rate * (height * width) / (block * block * places)
    return min(gamma, 1.0) if rate < 1 else rate


@device
def _drop_blocks(seeds: Any, mask: Any, height: Any, width: Any, block: Any) -> None:
    """Zero the squares of a sample's mask whose upper left corners are seeds. Both are (height * width, channels)."""
    for i in range(height - block + 1):
        for j in range(width - block + 1):
            for c in range(mask.shape[1]):
                if seeds[i * width + j, c] == 0:
                    for k in range(block):
                        first = (i + k) * width + j
                        for p in range(first, first + block):
                            mask[p, c] = 0


@device
def _scale(x: Any, mask: Any, scale: Any, y: Any, channels: Any) -> None:
    """Multiply each sample by its mask and by elements / kept. All are flat."""
    real, size = x.dtype.type, mask.size // max(scale.size, 1)
    for n in range(scale.size):
        m, kept = mask[n * size : (n + 1) * size], np.int64(0)
        for i in range(m.size):
            kept += np.int64(m[i])
        scale[n] = real(size) / real(kept) if kept > 0 else real(0)
    _multiply_blocks(x, mask, scale, y, channels, False)


@device
def _multiply_blocks(x: Any, mask: Any, scale: Any, y: Any, channels: Any, add: Any) -> None:
    """y = x * mask * scale, or added to it; ``channels`` neighbours share an element of the mask."""
    size = mask.size // max(scale.size, 1)
    for n in range(scale.size):
        if channels == 1:
            low, high = n * size, (n + 1) * size
            spread(x[low:high], mask[low:high], scale[n], y[low:high], 1, add)
        else:
            for p in range(n * size, (n + 1) * size):
                low, high = p * channels, (p + 1) * channels
                spread(x[low:high], mask[p:], scale[n], y[low:high], 0, add)


@kernel
def drop_block_forward(mem: Any, ins: Any, step: Any) -> None:
    rate, mask, seeds, scale = vec(mem, ins, 1)[0], bytemat(mem, ins, 3), bytemat(mem, ins, 4), vec(mem, ins, 5)
    height, width, block, flat = attribute(ins, 1), attribute(ins, 2), attribute(ins, 3), bytevec(mem, ins, 3)
    if not accumulates(ins, 3):
        points, gamma = height * width, _gamma(rate, height, width, block)
        draw_mask(bytevec(mem, ins, 4), ins, 4, step, gamma)
        for i in range(flat.size):
            flat[i] = 1
        for n in range(scale.size):
            low, high = n * points, (n + 1) * points
            _drop_blocks(seeds[low:high], mask[low:high], height, width, block)
    _scale(vec(mem, ins, 0), flat, scale, vec(mem, ins, 2), attribute(ins, 4))


@kernel
def drop_block_backward(mem: Any, ins: Any, step: Any) -> None:
    mask, scale, add = bytevec(mem, ins, 0), vec(mem, ins, 1), accumulates(ins, 3)
    _multiply_blocks(vec(mem, ins, 2), mask, scale, vec(mem, ins, 3), attribute(ins, 4), add)


def _block_mask_shape(x: Tensor, shared: bool) -> tuple[int, ...]:
    return (*x.shape[:-1], 1) if shared else x.shape


def _block_infer(x: Tensor, rate: Tensor, block_size: int, shared: bool) -> tuple[Spec, ...]:
    mask = Spec(_block_mask_shape(x, shared), BYTE)
    return Spec(x.shape), mask, mask, Spec(x.shape[:1])


def _block_encode(x: Tensor, rate: Tensor, block_size: int, shared: bool) -> tuple[int, ...]:
    height, width, channels = _block_mask_shape(x, shared)[1:]
    return height * width * channels, height, width, block_size, x.shape[3] // max(channels, 1)


def _block_within(sizes: Mapping[str, int]) -> bool:
    height, width, block, points = sizes["height"], sizes["width"], sizes["block"], sizes["points"]
    return (
        points == sizes["samples"] * height * width
        and points * sizes["c"] * sizes["channels"] == sizes["x"]
        and 0 < block <= min(height, width)
    )


DROP_BLOCK = register(
    Op("drop_block", drop_block_forward, ("x", "drop_rate"), saves=("mask", "seeds", "scale"), infer=_block_infer,
       backward=drop_block_backward, gradient=("mask", "scale", "dy", "dx"), encode=_block_encode, mask="mask",
       random=True, role="noise", extents="x[x] drop_rate[1] y[x] mask:u1[points,c] seeds:u1[points,c] scale[samples]; "
       "_ height width block channels", within=_block_within, partial=("seeds",))
)  # fmt: skip


@documents_noise
def drop_block(x: Any, rate: Any, block_size: int, shared: bool = False, *, key: int | None = None) -> Tensor:
    """Set squares of images to 0 and multiply the rest of each image by elements / elements kept.

    Parameters
    ----------
    x
        Tensor or array (batch, height, width, channels).
    rate
        Share of the elements to DROP, approximately: a number in [0, 1], or a one-element tensor. 0 is the identity, 1
        gives zeros.
    block_size
        Height and width of a square, at most those of the image.
    shared
        If True, the channels of an image share one mask.

    Raises
    ------
    ValueError
        If the rate lies outside [0, 1], x is no batch of images, or a block is larger than they are.

    References
    ----------
    G. Ghiasi, T.-Y. Lin, Q. V. Le: DropBlock: a regularization method for convolutional networks. NeurIPS (2018),
    algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> with nb.Tape(step=1) as tape:
    ...     y = nb.ops.drop_block(np.ones((1, 4, 4, 1)), rate=0.5, block_size=2, key=1)
    >>> y.numpy().mean().round(4).item()
    1.0
    """
    x, size = tensor(x), check_int(block_size, "block_size")
    if x.ndim != 4 or size > min(x.shape[1:3]):
        raise ValueError(
            f"drop_block: expected (batch, height, width, channels) with at least {size} x {size} points, got {x.shape}"
        )
    rate, name = as_rate(x, rate), node_name("drop_block")
    injected = injected_mask(name, _block_mask_shape(x, shared))
    return apply(DROP_BLOCK, x, rate, key=key, name=name, injected=injected, block_size=size, shared=bool(shared))


# ---- DropConnect ---------------------------------------------------------------------------------------------

# Attributes: samples that share a mask, 0 for all; rows of x that share it. A mask is (n + 1, units): n rows for the
# weights, then one for the bias.


@device
def _mask_weights(w: Any, mask: Any, scale: Any, masked: Any) -> None:
    """``masked = w * mask * scale``; mask is flat."""
    real = w.dtype.type
    for i in range(w.shape[0]):
        m = mask[i * w.shape[1] : (i + 1) * w.shape[1]]
        for j in range(m.size):
            masked[i, j] = w[i, j] * (scale * real(m[j]))


@device
def _masked_product(x: Any, w: Any, b: Any, mask: Any, rate: Any, y: Any, masked: Any, rows: Any) -> None:
    scale, real, size, weights = keep_scale(rate), x.dtype.type, w.size + b.size, w.size
    for g in range(mask.size // size):
        low, high, m = g * rows, min((g + 1) * rows, x.shape[0]), mask[g * size : (g + 1) * size]
        _mask_weights(w, m, scale, masked)
        matmul(x[low:high], False, masked, False, y[low:high], False)
        mb = m[weights:]
        for i in range(low, high):
            for j in range(b.size):
                y[i, j] += b[j] * (scale * real(mb[j]))


@kernel
def drop_connect_forward(mem: Any, ins: Any, step: Any) -> None:
    rate, mask = vec(mem, ins, 3)[0], bytevec(mem, ins, 5)
    w, group, before = mat(mem, ins, 1), attribute(ins, 0), 0
    if group > 0:
        # Groups are numbered from the first row of all; a batch that begins within one begins the next.
        before = (first_row(ins) + group - 1) // group
    if not accumulates(ins, 5):
        fill_mask(mask, before * (w.shape[0] + 1) * w.shape[1], seed(ins), step, rate)
    _masked_product(mat(mem, ins, 0), w, vec(mem, ins, 2), mask, rate, mat(mem, ins, 4), mat(mem, ins, 6),
    attribute(ins, 1))  # fmt: skip


@kernel
def drop_connect_backward(mem: Any, ins: Any, step: Any) -> None:
    x, w, rate, mask = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)[0], bytevec(mem, ins, 3)
    dy, part, dx, dw, db = mat(mem, ins, 4), mat(mem, ins, 5), mat(mem, ins, 6), mat(mem, ins, 7), vec(mem, ins, 8)
    scale, real, rows = keep_scale(rate), dy.dtype.type, attribute(ins, 1)
    weights, size = w.size, w.size + w.shape[1]
    if present(ins, 7) and not accumulates(ins, 7):
        for i in range(dw.shape[0]):
            for j in range(dw.shape[1]):
                dw[i, j] = 0.0
    if present(ins, 8) and not accumulates(ins, 8):
        for j in range(db.size):
            db[j] = 0.0
    for g in range(mask.size // size):
        low, high, m = g * rows, min((g + 1) * rows, x.shape[0]), mask[g * size : (g + 1) * size]
        if present(ins, 6):
            _mask_weights(w, m, scale, part)
            matmul(dy[low:high], False, part, True, dx[low:high], accumulates(ins, 6))
        if present(ins, 7):
            matmul(x[low:high], True, dy[low:high], False, part, False)
            for i in range(dw.shape[0]):
                mw = m[i * dw.shape[1] : (i + 1) * dw.shape[1]]
                for j in range(mw.size):
                    dw[i, j] += part[i, j] * (scale * real(mw[j]))
        if present(ins, 8):
            mb = m[weights:]
            for i in range(low, high):
                for j in range(db.size):
                    db[j] += dy[i, j] * (scale * real(mb[j]))


def mask_shape(x: Tensor, w: Tensor, group_size: int) -> tuple[int, ...]:
    """(masks, n + 1, units): one mask for each ``group_size`` samples, or a single one (0)."""
    groups = -(-x.shape[0] // group_size) if group_size else 1
    return groups, w.shape[0] + 1, w.shape[1]


def _connect_infer(x: Tensor, w: Tensor, b: Tensor, rate: Tensor, group_size: int) -> tuple[Spec, ...]:
    return infer_dense(x, w, b), Spec(mask_shape(x, w, group_size), BYTE), Spec(w.shape), Spec(w.shape)


def _connect_encode(x: Tensor, w: Tensor, b: Tensor, rate: Tensor, group_size: int) -> tuple[int, ...]:
    return group_size, (group_size or max(x.shape[0], 1)) * prod(x.shape[1:-1])


def _connect_within(sizes: Mapping[str, int]) -> bool:
    """True if the mask consists of whole masks, each for rows that x has."""
    masks, rest = divmod(sizes["mask"], max((sizes["k"] + 1) * sizes["m"], 1))
    return rest == 0 and (masks - 1) * sizes["rows"] <= sizes["n"]


#: One mask for the whole batch: slices of it draw the same.
DROP_CONNECT = register(
    Op("drop_connect", drop_connect_forward, ("x", "w", "b", "rate"), saves=("mask", "masked"), infer=_connect_infer,
       backward=drop_connect_backward, gradient=("x", "w", "rate", "mask", "dy", "part", "dx", "dw", "db"),
       work=("part",), encode=_connect_encode, mask="mask", random=True, role="product",
       extents="x[n,k] w[k,m] b[m] rate[1] y[n,m] mask:u1[mask] masked[k,m] part[k,m]; _ rows", within=_connect_within,
       partial=("masked",))
)  # fmt: skip
#: One mask for each group of samples.
DROP_CONNECT_GROUPS = register(replace(DROP_CONNECT, name="drop_connect_groups", whole_batch=True))


@documents_noise
def drop_connect(x: Any, w: Any, b: Any, rate: Any, group_size: int | None = None, *, key: int | None = None) -> Tensor:
    """``x @ w + b``, where each weight and bias is 0 with probability ``rate`` and multiplied by ``1 / (1 - rate)``
    otherwise.

    Parameters
    ----------
    x
        (batch, ..., n)
    w
        (n, units)
    b
        (units,)
    rate
        Probability of DROPPING, in [0, 1]: a number, or a one-element tensor. 0 is ``x @ w + b``, 1 gives zeros.
    group_size
        Consecutive samples of the batch that share a mask: None for all, 1 for a mask of its own for each sample.

    Raises
    ------
    ValueError
        If shapes do not fit, the rate lies outside [0, 1], or a mask that the tape injects has another shape than
        (masks, n + 1, units), where the last row is the bias's.

    References
    ----------
    L. Wan, M. Zeiler, S. Zhang, Y. LeCun, R. Fergus: Regularization of neural networks using DropConnect. ICML (2013).

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(masks={"drop_connect": [[[True], [False], [True]]]}):
    ...     y = nb.ops.drop_connect([[1.0, 1.0]], [[1.0], [10.0]], [0.5], rate=0.5)
    >>> y.numpy()
    array([[3.]], dtype=float32)
    """
    x, w, b = tensors(x, w, b)
    infer_dense(x, w, b)
    if x.ndim < 2:
        raise ValueError(f"drop_connect: expected x (batch, ..., n), got shape {x.shape}")
    size = 0 if group_size is None else check_int(group_size, "group_size")
    rate, name = as_rate(x, rate), node_name("drop_connect")
    injected = injected_mask(name, mask_shape(x, w, size))
    op = DROP_CONNECT_GROUPS if size else DROP_CONNECT
    return apply(op, x, w, b, rate, key=key, name=name, injected=injected, group_size=size)


# ---- Masksembles ---------------------------------------------------------------------------------------------


@device
def _multiply_rows(x: Any, masks: Any, y: Any, first: Any, rows: Any, add: Any) -> None:
    """y = x * mask of the sample, or added to it; ``rows``: rows of the matrix x in a sample."""
    for i in range(x.shape[0]):
        m = (first + i // rows) % masks.shape[0]
        for j in range(x.shape[1]):
            v = x[i, j] * masks[m, j]
            y[i, j] = y[i, j] + v if add else v


@kernel
def deal_masks_forward(mem: Any, ins: Any, step: Any) -> None:
    _multiply_rows(mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2), first_row(ins), attribute(ins, 0), False)


@kernel
def deal_masks_backward(mem: Any, ins: Any, step: Any) -> None:
    masks, dy, dx = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    _multiply_rows(dy, masks, dx, first_row(ins), attribute(ins, 0), accumulates(ins, 2))


def _deal_masks_infer(x: Tensor, masks: Tensor) -> tuple[Spec, ...]:
    if x.ndim < 2 or masks.ndim != 2 or masks.shape[1] != x.shape[-1] or not masks.shape[0]:
        raise ValueError(f"deal_masks: expected x (batch, ..., c) and masks (n, c), got {x.shape} and {masks.shape}")
    return (Spec(x.shape),)


DEAL_MASKS = register(
    Op("deal_masks", deal_masks_forward, ("x", "masks"), infer=_deal_masks_infer, backward=deal_masks_backward,
       gradient=("masks", "dy", "dx"), encode=lambda x, masks: (prod(x.shape[1:-1]),),
       extents="x[r,c] masks[k,c] y[r,c]; rows",
       within=lambda sizes: sizes["k"] > 0 and (sizes["rows"] > 0 or sizes["r"] == 0))
)  # fmt: skip


def deal_masks(x: Any, masks: Any) -> Tensor:
    """Multiply row r of a batch by mask r modulo their number.

    Parameters
    ----------
    x
        (batch, ..., c)
    masks
        (n, c); no gradient flows to them.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.deal_masks([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[1.0, 0.0], [0.0, 1.0]]).numpy()
    array([[1., 0.],
           [0., 4.],
           [5., 0.]], dtype=float32)
    """
    return apply(DEAL_MASKS, *tensors(x, masks))


@kernel
def take_turn_forward(mem: Any, ins: Any, step: Any) -> None:
    table, y = mat(mem, ins, 0), vec(mem, ins, 1)
    row = step % table.shape[0]
    for j in range(y.size):
        y[j] = table[row, j]


def _take_turn_infer(table: Tensor) -> tuple[Spec, ...]:
    if table.ndim != 2 or not table.shape[0]:
        raise ValueError(f"take_turn: expected a table (n, c) with a row or more, got shape {table.shape}")
    return (Spec(table.shape[1:]),)


#: It draws nothing; ``random`` has the step's number passed to it in eager calls too.
TAKE_TURN = register(Op("take_turn", take_turn_forward, ("table",), infer=_take_turn_infer, random=True,
                        extents="table[n,c] y[c]", within=lambda sizes: sizes["n"] > 0))  # fmt: skip


def take_turn(table: Any, *, key: int = 0) -> Tensor:
    """Row ``step % n`` of a table of n rows.

    Parameters
    ----------
    table
        (n, c); no gradient flows to it.
    key
        One that counts its draws (that of a layer) says which step it is, where neither a program nor a tape does.

    Raises
    ------
    ValueError
        If it is not a table.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(step=5):
    ...     y = nb.ops.take_turn([[1.0, 2.0], [3.0, 4.0]])
    >>> y.numpy()
    array([3., 4.], dtype=float32)
    """
    return apply(TAKE_TURN, tensor(table), key=key)
