"""``0.5 e**2`` where ``abs(e) <= delta``, else ``delta abs(e) - 0.5 delta**2``; mean over the last axis."""

from __future__ import annotations

from typing import Any, ClassVar

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
        Where the loss turns linear; above 0.

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

    name: ClassVar[str] = "huber"

    def __init__(self, delta: float = 1.0) -> None:
        if not delta > 0:
            raise ValueError(f"delta: wants a number above 0, got {delta!r}")
        self.delta = float(delta)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(HUBER, *tensors(y_pred, y_true, self.delta))  # type: ignore[no-any-return]

    def get_config(self) -> dict[str, Any]:
        return {"delta": self.delta}
