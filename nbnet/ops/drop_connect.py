"""DropConnect: ``y = (x @ (w * mask) + b * mask) / (1 - rate)``, which drops weights instead of units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

from nbnet.base.validation import check_int
from nbnet.engine.gemm.dispatch import matmul
from nbnet.engine.graph.op import BYTE, Op, Spec, register
from nbnet.engine.graph.tensor import Tensor, apply, node_name, tensors
from nbnet.engine.kernels.abi import accumulates, attribute, bytevec, device, first_row, kernel, mat, present, seed, vec
from nbnet.engine.kernels.philox import fill_mask
from nbnet.ops.dense import infer_dense
from nbnet.ops.dropout import as_rate, documents_noise, injected_mask, keep_scale

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
def _forward(x: Any, w: Any, b: Any, mask: Any, rate: Any, y: Any, masked: Any, rows: Any) -> None:
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
    _forward(mat(mem, ins, 0), w, vec(mem, ins, 2), mask, rate, mat(mem, ins, 4), mat(mem, ins, 6),
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


def _infer(x: Tensor, w: Tensor, b: Tensor, rate: Tensor, group_size: int) -> tuple[Spec, ...]:
    return infer_dense(x, w, b), Spec(mask_shape(x, w, group_size), BYTE), Spec(w.shape), Spec(w.shape)


def _encode(x: Tensor, w: Tensor, b: Tensor, rate: Tensor, group_size: int) -> tuple[int, ...]:
    return group_size, (group_size or max(x.shape[0], 1)) * prod(x.shape[1:-1])


def _within(sizes: Mapping[str, int]) -> bool:
    """True if the mask consists of whole masks, each for rows that x has."""
    masks, rest = divmod(sizes["mask"], max((sizes["k"] + 1) * sizes["m"], 1))
    return rest == 0 and (masks - 1) * sizes["rows"] <= sizes["n"]


#: One mask for the whole batch: slices of it draw the same.
DROP_CONNECT = register(
    Op("drop_connect", drop_connect_forward, ("x", "w", "b", "rate"), saves=("mask", "masked"), infer=_infer,
       backward=drop_connect_backward, gradient=("x", "w", "rate", "mask", "dy", "part", "dx", "dw", "db"),
       work=("part",), encode=_encode, mask="mask", random=True, role="product",
       extents="x[n,k] w[k,m] b[m] rate[1] y[n,m] mask:u1[mask] masked[k,m] part[k,m]; _ rows", within=_within,
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
