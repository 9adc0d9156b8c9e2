"""The objective of scikit-learn's networks: ``(sum_i w[i] l[i] + alpha / 2 sum(kernel**2)) / sum_i w[i]``."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import losses, ops
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor, tensors
from nbnet.estimators.base import Array
from nbnet.losses import Loss
from nbnet.losses.loss import spread
from nbnet.ops.reduction import l1_l2, weighted_mean, weighted_sum


class PenalizedLoss(Loss):
    """The weighted mean of a loss plus an L2 penalty on kernels, both divided by the sum of weights.

    ``factor`` multiplies the ``base`` loss of a sample, and ``constant`` is added to reported losses. ``outputs``
    multiplies the gradient only: scikit-learn reports the mean squared error of several targets, and descends their
    sum.
    """

    name = "penalised"

    def __init__(self, base: Loss, factor: float = 1.0, outputs: int = 1, constant: float = 0.0) -> None:
        super().__init__()
        self.base, self.factor, self.outputs, self.constant = base, factor, outputs, constant
        self.sparse = base.sparse  # type: ignore[misc]
        #: Strength of the penalty, and the weights it applies to.
        self.alpha, self.kernels = 0.0, list[Parameter]()
        #: True if samples have weights.
        self.weighted = False
        #: If the losses of batches are to add up to the loss of all rows: their number, and the sum of their weights.
        self.rows: int | None = None
        self.weight = 0.0

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        found = self.base.losses(y_true, y_pred)
        if self.factor != 1:
            found = ops.multiply(found, self.factor)
        if self.outputs > 1:
            descended = ops.multiply(found, float(self.outputs))
            found = ops.add(descended, ops.stop_gradient(ops.subtract(found, descended)))
        return found

    def reduce(self, per_sample: Tensor, weights: Tensor | None, count: int, mask: Tensor | None = None) -> Tensor:
        weights = spread(weights, per_sample)
        if self.rows is not None:
            mean = weighted_sum(per_sample, weights, _number(per_sample, 1 / self.weight))
            return self._with_penalty(mean, len(per_sample) / self.rows / self.weight)
        if self.weighted:
            return self._with_penalty(weighted_mean(per_sample, weights, weights), ops.sum(weights))
        mean = weighted_sum(per_sample, weights, _number(per_sample, 1 / count))
        # A slice has the share of the penalty that it has of the batch.
        return self._with_penalty(mean, len(per_sample) / count / count)

    def _with_penalty(self, value: Tensor, share: float | Tensor) -> Tensor:
        """Add the penalty times a share, or over a sum of weights."""
        if not self.alpha:
            return value
        half = 0.5 * self.alpha
        scale = ops.divide_no_nan(half, share) if isinstance(share, Tensor) else _number(value, half * share)
        for kernel in self.kernels:
            value = ops.add(value, l1_l2(kernel, 0.0, scale))
        return value

    def value(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """Return the loss of rows without the penalty, for encoded targets and outputs."""
        with np.errstate(all="ignore"):
            each = self.base.each(y_true, y_pred).numpy().astype(np.float64) * self.factor
            return float(np.average(each, weights=weights)) + self.constant


def _number(like: Tensor, value: float) -> Tensor:
    return tensors(like, value)[1]


def classification_loss(given: Any, outputs: int, sparse: bool) -> PenalizedLoss:
    """Return the objective of a classifier; ``sparse`` if targets are class indices, not indicators of outputs."""
    if given != "log_loss":
        return PenalizedLoss(losses.as_loss(given))
    if sparse:
        return PenalizedLoss(losses.SparseCategoricalCrossentropy())
    return PenalizedLoss(losses.BinaryCrossentropy(), outputs)


def regression_loss(given: Any, y: Array, weights: Array | None) -> PenalizedLoss:
    """Return the objective of a regressor for targets (n, outputs)."""
    if given == "squared_error":
        return PenalizedLoss(losses.MeanSquaredError(), 0.5, y.shape[1])
    if given == "poisson":
        logs = np.log(y, out=np.zeros(y.shape), where=y > 0)
        constant = np.average((y * logs - y).sum(1), weights=weights)
        return PenalizedLoss(losses.Poisson(), y.shape[1], constant=float(constant))
    return PenalizedLoss(losses.as_loss(given))
