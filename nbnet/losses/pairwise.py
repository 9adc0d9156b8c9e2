"""Losses that are a mean, or a sum, over the last axis of something computed element by element."""

from __future__ import annotations

from typing import Any, ClassVar

from nbnet.core.abi import Function, Kernel, accumulates, device, mat, scratch, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensors
from nbnet.losses.loss import Loss

#: Rows shorter than this are computed many at a time, as one long row: short loops do not fill vector registers.
NARROW = 48


def infer_rows(z: Tensor, t: Tensor, *rest: Tensor) -> tuple[Spec, ...]:
    """One loss for each row of two matrices of one shape."""
    if z.shape != t.shape or not z.shape:
        raise ValueError(f"y_true: predictions have shape {z.shape}, so targets must have; got {t.shape}")
    return (Spec(z.shape[:-1]),)


@device
def _first(p: Any) -> Any:
    """The parameter of a loss that has one."""
    return p[0]


@device
def _rows_in(each: Any, width: Any) -> Any:
    """How many rows the scratch has room for: if for 16, then a multiple of it, which leaves no rest of a vector."""
    rows = each.size // max(width, 1)
    return max(rows // 16 * 16 if rows >= 16 else rows, 1)


@device
def _flat(x: Any, low: Any, rows: Any, width: Any) -> Any:
    """As many rows of a flat matrix, from one on."""
    return x[low * width : (low + rows.size) * width]


@device
def _sum_rows(each: Any, width: Any, share: Any, y: Any) -> None:
    """``y[i] = share * sum_j each[i, j]``"""
    if width == 1:
        for i in range(y.size):
            y[i] = each[i] * share
    else:
        for i in range(y.size):
            row, total = each[i * width : i * width + width], 0.0
            for j in range(width):
                total += row[j]
            y[i] = total * share


@device
def _scale_rows(each: Any, width: Any, share: Any, dy: Any, dz: Any, add: bool) -> None:
    """``dz[i, j] (+)= share * dy[i] * each[i, j]``"""
    if width == 1:
        for i in range(dy.size):
            each[i] *= share * dy[i]
    else:
        for i in range(dy.size):
            row, scale = each[i * width : i * width + width], share * dy[i]
            for j in range(width):
                row[j] *= scale
    if add:
        for k in range(dz.size):
            dz[k] += each[k]
    else:
        for k in range(dz.size):
            dz[k] = each[k]


def pairwise(name: str, f: Function, df: Function, mean: bool = True, parameters: Function = _first) -> Op:
    """The op ``l[i] = mean_j f(z[i, j], t[i, j], a)``; or a sum, if not ``mean``.

    Parameters
    ----------
    f, df
        Device functions ``f(z, t, a)`` and its derivative by z; z is the prediction, t the target, a the parameters of
        the loss.
    parameters
        Device function that makes a from the op's last input, a vector.
    """

    # A long loop with a choice inside, between adding and writing, would not be vectorised.
    def forward(mem: Any, ins: Any, step: Any) -> None:
        z, t, a, y = mat(mem, ins, 0), mat(mem, ins, 1), parameters(vec(mem, ins, 2)), vec(mem, ins, 3)
        width = z.shape[1]
        share = 1.0 / z.dtype.type(width if mean else 1)
        if width < NARROW:
            each = scratch(mem)
            rows = _rows_in(each, width)
            for low in range(0, y.size, rows):
                into = y[low : low + rows]
                zb, tb = _flat(vec(mem, ins, 0), low, into, width), _flat(vec(mem, ins, 1), low, into, width)
                for k in range(zb.size):
                    each[k] = f(zb[k], tb[k], a)
                _sum_rows(each, width, share, into)
        else:
            for i in range(z.shape[0]):
                total = 0.0
                for j in range(z.shape[1]):
                    total += f(z[i, j], t[i, j], a)
                y[i] = total * share

    def backward(mem: Any, ins: Any, step: Any) -> None:
        z, t, a = mat(mem, ins, 0), mat(mem, ins, 1), parameters(vec(mem, ins, 2))
        dy, dz = vec(mem, ins, 3), mat(mem, ins, 4)
        width = z.shape[1]
        share = 1.0 / z.dtype.type(width if mean else 1)
        if width < NARROW:
            each = scratch(mem)
            rows = _rows_in(each, width)
            for low in range(0, dy.size, rows):
                d = dy[low : low + rows]
                zb, tb = _flat(vec(mem, ins, 0), low, d, width), _flat(vec(mem, ins, 1), low, d, width)
                for k in range(zb.size):
                    each[k] = df(zb[k], tb[k], a)
                _scale_rows(each, width, share, d, _flat(vec(mem, ins, 4), low, d, width), accumulates(ins, 4))
        else:
            for i in range(z.shape[0]):
                scale = dy[i] * share
                if accumulates(ins, 4):
                    for j in range(z.shape[1]):
                        dz[i, j] += scale * df(z[i, j], t[i, j], a)
                else:
                    for j in range(z.shape[1]):
                        dz[i, j] = scale * df(z[i, j], t[i, j], a)

    return register(
        Op(
            name,
            Kernel(forward, f"{name}_forward"),
            ("z", "t", "a"),
            infer=infer_rows,
            backward=Kernel(backward, f"{name}_backward"),
            gradient=("z", "t", "a", "dy", "dz"),
        )
    )


class PairwiseLoss(Loss):
    """Base of the losses that one such op computes and that have no parameters."""

    op: ClassVar[Op]

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(name, reduction)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(self.op, *tensors(y_pred, y_true, 0.0))  # type: ignore[no-any-return]
