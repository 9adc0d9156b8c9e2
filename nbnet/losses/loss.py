"""What every loss is: per-sample losses, weighted and averaged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nbnet import data
from nbnet.core.graph import Tensor
from nbnet.core.op import INT, Op
from nbnet.core.tape import tensor, tensors
from nbnet.ops.weighted_sum import weighted_sum

Array = NDArray[Any]


class Loss(ABC):
    """A loss: ``loss(y_true, y_pred, sample_weight=None)`` is the mean over the batch of weighted per-sample losses.

    As in Keras 3, the weighted losses are divided by the number of losses, not by the sum of weights.
    """

    #: Name in the registry, in snake case.
    name: ClassVar[str]
    #: Whether targets are class labels (integers) and not arrays shaped like the predictions.
    sparse: ClassVar[bool] = False

    @abstractmethod
    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One loss for each sample: shape ``y_pred.shape[:-1]``."""

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Check targets for predictions of ``shape`` (without the batch axis) and bring them to the form this loss
        reads."""
        if self.sparse:
            if len(shape) != 1:
                raise ValueError(
                    f"{name}: {self.name} wants predictions of shape (n, classes), the model's are (n, {shape})"
                )
            return data.as_labels(y, name, n, shape[-1])
        return data.as_dense_targets(y, name, n, shape, dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch, a scalar tensor.

        Parameters
        ----------
        y_true
            Targets: an array, or a tensor.
        y_pred
            Predictions: a tensor (gradients flow to it) or an array.
        sample_weight
            One weight a sample, by default 1.
        """
        y_pred = tensor(y_pred)
        n = y_pred.shape[0] if y_pred.shape else 0
        if not isinstance(y_true, Tensor):
            array = self.targets(y_true, "y_true", n, y_pred.shape[1:], y_pred.dtype)
            y_true = Tensor(array.shape, array.dtype, array) if self.sparse else tensor(array, y_pred.dtype)
        per_sample = self.losses(y_true, y_pred)
        if sample_weight is None:
            weights = np.ones(per_sample.shape, y_pred.dtype)
        elif isinstance(sample_weight, Tensor):
            return self.reduce(per_sample, sample_weight, max(per_sample.size, 1))
        else:
            given = data.as_weights(sample_weight, "sample_weight", n, y_pred.dtype)
            weights = np.ascontiguousarray(
                np.broadcast_to(given.reshape(n, *[1] * (per_sample.ndim - 1)), per_sample.shape)
            )
        return self.reduce(per_sample, tensor(weights, y_pred.dtype), max(per_sample.size, 1))

    def reduce(self, per_sample: Tensor, weights: Tensor, count: int) -> Tensor:
        """Sum of weighted losses over ``count``."""
        return weighted_sum(per_sample, weights, tensors(per_sample, 1.0 / count)[1])

    def get_config(self) -> dict[str, Any]:
        """What the constructor was given."""
        return {}

    def __repr__(self) -> str:
        config = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({config})"


def before(y_pred: Tensor, op: Op) -> Tensor | None:
    """The tensor that ``op`` was applied to when it gave ``y_pred``: the logits before a softmax or sigmoid."""
    node = y_pred.node
    return node.inputs[0] if node is not None and node.op is op else None


def labels(y: Tensor) -> Tensor:
    """Check that a tensor holds class labels."""
    if y.dtype != INT:
        raise TypeError(f"y_true: class labels are int64, got {y.dtype}")
    return y
