"""``0.5 e**2`` where ``abs(e) <= delta``, else ``delta abs(e) - 0.5 delta**2``; mean over the last axis."""

from __future__ import annotations

from math import inf
from typing import Any

from nbnet import data
from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensors
from nbnet.losses.loss import Loss
from nbnet.losses.pairwise import pairwise


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    e = abs(z - t)
    return 0.5 * e * e if e <= a else a * e - 0.5 * a * a


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    return min(max(z - t, -a), a)


HUBER = pairwise("huber", _f, _df)


class Huber(Loss):
    """Quadratic near 0, linear beyond ``delta``.

    Parameters
    ----------
    delta
        Where the loss turns linear; above 0, finite.
    reduction, name
        See :class:`Loss`.

    Raises
    ------
    ValueError
        If delta is not above 0.

    References
    ----------
    P. J. Huber: Robust estimation of a location parameter. Annals of Mathematical Statistics 35 (1964).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.Huber()([[0.0, 0.0]], [[1.0, 3.0]]).item()
    1.5
    """

    name = "huber_loss"

    def __init__(
        self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(name, reduction)
        self.delta = data.as_number(delta, "delta")
        if not 0 < self.delta < inf:
            raise ValueError(f"delta: wants a finite number above 0, got {delta!r}")

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(HUBER, *tensors(y_pred, y_true, self.delta))  # type: ignore[no-any-return]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"delta": self.delta}


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Huber loss of each sample.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.huber([[0.0, 0.0]], [[1.0, 3.0]], delta=2.0).numpy()
    array([2.25], dtype=float32)
    """
    return Huber(delta).each(y_true, y_pred)
