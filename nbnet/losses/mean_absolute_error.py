"""``mean(abs(y_true - y_pred))`` over the last axis."""

from __future__ import annotations

from typing import Any, ClassVar

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensors
from nbnet.losses.loss import Loss
from nbnet.losses.pairwise import pairwise


@device
def _f(z: Any, t: Any, a: Any) -> Any:
    return abs(z - t)


@device
def _df(z: Any, t: Any, a: Any) -> Any:
    return 1.0 if z > t else (-1.0 if z < t else 0.0)


MEAN_ABSOLUTE_ERROR = pairwise("mean_absolute_error", _f, _df)


class MeanAbsoluteError(Loss):
    """Mean of absolute differences; the derivative at 0 is 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.MeanAbsoluteError()([[0.0, 1.0]], [[3.0, 1.0]]).item()
    1.5
    """

    name: ClassVar[str] = "mean_absolute_error"

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(MEAN_ABSOLUTE_ERROR, *tensors(y_pred, y_true, 0.0))  # type: ignore[no-any-return]
