"""``y = scale * sum_i l[i] * w[i]``: how losses of samples become the loss of a batch."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import accumulates, kernel, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply


@kernel
def weighted_sum_forward(mem: Any, ins: Any, step: Any) -> None:
    l, w, scale, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)  # noqa: E741
    total = 0.0
    for i in range(l.size):
        total += l[i] * w[i]
    y[0] = total * scale


@kernel
def weighted_sum_backward(mem: Any, ins: Any, step: Any) -> None:
    w, scale, dy, dl = vec(mem, ins, 0), vec(mem, ins, 1)[0], vec(mem, ins, 2)[0], vec(mem, ins, 3)
    add = accumulates(ins, 3)
    for i in range(dl.size):
        d = w[i] * scale * dy
        dl[i] = dl[i] + d if add else d


def _infer(l: Tensor, w: Tensor, scale: Tensor) -> tuple[Spec, ...]:  # noqa: E741
    if l.shape != w.shape:
        raise ValueError(f"sample_weight: wants one weight for each loss, shape {l.shape}, got {w.shape}")
    return (Spec(()),)


WEIGHTED_SUM = register(
    Op(
        "weighted_sum",
        weighted_sum_forward,
        ("l", "w", "scale"),
        infer=_infer,
        backward=weighted_sum_backward,
        gradient=("w", "scale", "dy", "dl"),
    )
)


def weighted_sum(losses: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
    """``scale * sum(losses * weights)``; weights and scale get no gradient.

    Examples
    --------
    >>> import nbnet as nb
    >>> losses, weights = nb.tensor([1.0, 5.0]), nb.tensor([3.0, 1.0])
    >>> nb.ops.weighted_sum(losses, weights, nb.tensor(0.5)).item()
    4.0
    """
    return apply(WEIGHTED_SUM, losses, weights, scale)  # type: ignore[no-any-return]
