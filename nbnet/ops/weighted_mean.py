"""``y = sum_i l[i] * w[i] / sum_i d[i]``, or 0 where the divisor is: a mean over the weights, or over what a mask
leaves."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply


@kernel
def weighted_mean_forward(mem: Any, ins: Any, step: Any) -> None:
    l, w, d, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)  # noqa: E741
    total, whole = 0.0, 0.0
    for i in range(l.size):
        total += l[i] * w[i]
        whole += d[i]
    y[0] = total / whole if whole != 0.0 else 0.0


@kernel
def weighted_mean_backward(mem: Any, ins: Any, step: Any) -> None:
    w, d, dy, dl = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
    add, whole = accumulates(ins, 3), 0.0
    for i in range(d.size):
        whole += d[i]
    scale = dy / whole if whole != 0.0 else 0.0
    for i in range(dl.size):
        v = w[i] * scale
        dl[i] = dl[i] + v if add else v


def _infer(l: Tensor, w: Tensor, d: Tensor) -> tuple[Spec, ...]:  # noqa: E741
    if not l.shape == w.shape == d.shape:
        raise ValueError(f"sample_weight: wants one weight for each loss, shape {l.shape}, got {w.shape}, {d.shape}")
    return (Spec(()),)


WEIGHTED_MEAN = register(
    Op(
        "weighted_mean",
        weighted_mean_forward,
        ("l", "w", "d"),
        infer=_infer,
        backward=weighted_mean_backward,
        gradient=("w", "d", "dy", "dl"),
        whole_batch=True,
    )
)


def weighted_mean(losses: Tensor, weights: Tensor, divisor: Tensor) -> Tensor:
    """``sum(losses * weights) / sum(divisor)``, 0 if the divisor is; weights and divisor get no gradient.

    Parameters
    ----------
    losses, weights, divisor
        Tensors of one shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> losses, weights = nb.tensor([1.0, 5.0]), nb.tensor([3.0, 1.0])
    >>> nb.ops.weighted_mean(losses, weights, weights).item()
    2.0
    """
    return apply(WEIGHTED_MEAN, losses, weights, divisor)  # type: ignore[no-any-return]
