"""``mean(max(q * e, (q - 1) * e))`` over the last axis, where e is ``y_true - y_pred``: the pinball loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet import data
from nbnet.core.abi import accumulates, device, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensors
from nbnet.losses.loss import Array, Loss
from nbnet.losses.pairwise import infer_rows, pairwise


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    e = t - z
    return e * (a if e > 0.0 else a - 1.0)


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    return -a if t > z else (1.0 - a if t < z else 0.0)


QUANTILE = pairwise("quantile", _f, _df)


@kernel
def quantiles_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, q, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    share = 1.0 / z.dtype.type(z.shape[1])
    for i in range(z.shape[0]):
        total = 0.0
        for j in range(z.shape[1]):
            total += _f(z[i, j], t[i, j], q[j])
        y[i] = total * share


@kernel
def quantiles_backward(mem: Any, ins: Any, step: Any) -> None:
    z, t, q, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), mat(mem, ins, 4)
    share, add = 1.0 / z.dtype.type(z.shape[1]), accumulates(ins, 4)
    for i in range(z.shape[0]):
        scale = dy[i] * share
        for j in range(z.shape[1]):
            d = scale * _df(z[i, j], t[i, j], q[j])
            dz[i, j] = dz[i, j] + d if add else d


def _infer(z: Tensor, t: Tensor, q: Tensor) -> tuple[Spec, ...]:
    if q.shape != z.shape[-1:]:
        raise ValueError(f"q: wants one quantile for each of {z.shape[-1]} predictions, got {q.size}")
    return infer_rows(z, t)


QUANTILES = register(
    Op(
        "quantiles",
        quantiles_forward,
        ("z", "t", "q"),
        infer=_infer,
        backward=quantiles_backward,
        gradient=("z", "t", "q", "dy", "dz"),
    )
)


class Quantile(Loss):
    """Pinball loss: what it is smallest for is the q-quantile of the targets.

    Parameters
    ----------
    q
        In (0, 1): one quantile; or a list of as many as the last axis of predictions is long. Several quantiles of one
        target may be given that target as one column.
    reduction, name
        See :class:`Loss`.

    Raises
    ------
    ValueError
        If a quantile lies outside (0, 1), or there are not as many as predictions.

    References
    ----------
    R. Koenker, G. Bassett: Regression quantiles. Econometrica 46 (1978).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.Quantile(0.75)([[2.0], [0.0]], [[0.0], [2.0]]).item()
    1.0
    >>> nb.losses.Quantile([0.25, 0.75])([1.0], [[0.0, 2.0]]).item()
    0.25
    """

    name = "quantile"

    def __init__(
        self,
        q: float | Sequence[float] = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(name, reduction)
        many = isinstance(q, (Sequence, np.ndarray)) and not isinstance(q, str)
        levels = [data.as_number(value, "q") for value in (q if many else [q])]  # type: ignore[union-attr]
        if not levels or not all(0 < value < 1 for value in levels):
            raise ValueError(f"q: wants quantiles between 0 and 1, got {q!r}")
        self.q = levels if many else levels[0]

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        if isinstance(self.q, list) and np.shape(y)[1:] in ((), (*shape[:-1], 1)):
            column = super().targets(y, name, n, (*shape[:-1], 1), dtype)
            return np.ascontiguousarray(np.broadcast_to(column, (n, *shape)))
        return super().targets(y, name, n, shape, dtype)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        op = QUANTILES if isinstance(self.q, list) else QUANTILE
        return apply(op, *tensors(y_pred, y_true, self.q))  # type: ignore[no-any-return]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"q": self.q}


def quantile(y_true: Any, y_pred: Any, q: float | Sequence[float] = 0.5) -> Tensor:
    """Pinball loss of each sample; see :class:`Quantile`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.quantile([[2.0], [0.0]], [[0.0], [2.0]], q=0.75).numpy()
    array([1.5, 0.5], dtype=float32)
    """
    return Quantile(q).each(y_true, y_pred)
