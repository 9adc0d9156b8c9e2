"""What the cross-entropies share whose targets are probabilities."""

from __future__ import annotations

from typing import Any, ClassVar

from nbnet import data
from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.op import Op
from nbnet.core.tape import apply, tensors
from nbnet.losses.loss import Loss, check_axis, logits_before

EPSILON = 1e-7


@device
def clip(p: Any) -> Any:
    """As in Keras, probabilities are clipped before the logarithm."""
    return min(max(p, EPSILON), 1.0 - EPSILON)


class Crossentropy(Loss):
    """Base of the losses that are computed from probabilities or, more exactly, from logits."""

    #: What probabilities are made of logits with, and the op for either.
    activation: ClassVar[Op]
    of_probabilities: ClassVar[Op]
    of_logits: ClassVar[Op]

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(name, reduction)
        self.from_logits = bool(from_logits)
        self.label_smoothing = _check_smoothing(label_smoothing)
        self.axis = check_axis(axis)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits = y_pred if self.from_logits else logits_before(y_pred, self.activation)
        op = self.of_probabilities if logits is None else self.of_logits
        z = y_pred if logits is None else logits
        return apply(op, *tensors(z, y_true, self._parameters(z.shape[-1])))  # type: ignore[no-any-return]

    def _parameters(self, width: int) -> Any:
        """What the op takes beside predictions, of which there are so many, and targets."""
        return self.label_smoothing

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}


def _check_smoothing(value: Any) -> float:
    """Label smoothing as a float in [0, 1]."""
    share = data.as_number(value, "label_smoothing")
    if not 0 <= share <= 1:
        raise ValueError(f"label_smoothing: wants a number in [0, 1], got {value!r}")
    return share
