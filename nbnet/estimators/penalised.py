"""``(sum_i w[i] l[i] + alpha / 2 sum(kernel**2)) / sum_i w[i]``: the objective of scikit-learn's networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import losses, ops
from nbnet.core.graph import Tensor
from nbnet.core.parameter import Parameter
from nbnet.core.tape import tensors
from nbnet.losses import Loss
from nbnet.ops.l1_l2 import l1_l2
from nbnet.ops.weighted_mean import weighted_mean
from nbnet.ops.weighted_sum import weighted_sum

Array = NDArray[Any]


class Penalised(Loss):
    """The weighted mean of a loss and a penalty on kernels, both divided by the sum of weights.

    Parameters
    ----------
    base
        The loss of a sample.
    factor
        What it is multiplied by.
    outputs
        The gradient is that of a loss so many times as large: scikit-learn reports the mean squared error of several
        targets, and descends their sum.
    constant
        What reported losses are larger by.

    Attributes
    ----------
    kernels
        The weights that alpha, the strength of the penalty, is for.
    weighted
        Whether samples have weights.
    rows
        Number of all rows, if the batches are parts of one: then their values add up to its loss. None: each batch is
        divided by weights of its own.
    weight
        The sum of all weights; of interest with ``rows``.
    """

    name = "penalised"

    def __init__(self, base: Loss, factor: float = 1.0, outputs: int = 1, constant: float = 0.0) -> None:
        super().__init__()
        self.base, self.factor, self.outputs, self.constant = base, factor, outputs, constant
        self.alpha = 0.0
        self.kernels: Sequence[Parameter] = ()
        self.weighted = False
        self.rows: int | None = None
        self.weight = 0.0

    @property
    def sparse(self) -> bool:  # type: ignore[override]
        """Whether targets are numbers of classes."""
        return self.base.sparse

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        found = self.base.losses(y_true, y_pred)
        if self.factor != 1:
            found = ops.multiply(found, self.factor)
        if self.outputs > 1:
            descended = ops.multiply(found, float(self.outputs))
            found = ops.add(descended, ops.stop_gradient(ops.subtract(found, descended)))
        return found

    def reduce(self, per_sample: Tensor, weights: Tensor, count: int) -> Tensor:
        if self.rows is not None:
            mean = weighted_sum(per_sample, weights, _number(per_sample, 1 / self.weight))
            return self._with_penalty(mean, len(per_sample) / self.rows / self.weight)
        if self.weighted:
            return self._with_penalty(weighted_mean(per_sample, weights, weights), ops.sum(weights))
        mean = weighted_sum(per_sample, weights, _number(per_sample, 1 / count))
        # A slice has the share of the penalty that it has of the batch.
        return self._with_penalty(mean, len(per_sample) / count / count)

    def _with_penalty(self, value: Tensor, share: float | Tensor) -> Tensor:
        """The value plus the penalty times a share, or over a sum of weights."""
        if not self.alpha:
            return value
        half = 0.5 * self.alpha
        scale = ops.divide_no_nan(half, share) if isinstance(share, Tensor) else _number(value, half * share)
        for kernel in self.kernels:
            value = ops.add(value, l1_l2(kernel, 0.0, scale))
        return value

    def value(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The loss of rows without the penalty: of targets as programs read them, and outputs."""
        with np.errstate(all="ignore"):
            each = self.base.each(y_true, y_pred).numpy().astype(np.float64) * self.factor
            return float(np.average(each, weights=weights)) + self.constant


def _number(like: Tensor, value: float) -> Tensor:
    return tensors(like, value)[1]


def of_classes(given: Any, outputs: int, sparse: bool) -> Penalised:
    """The objective of a classifier.

    Parameters
    ----------
    given
        ``"log_loss"``, or what :func:`nbnet.losses.get` takes.
    outputs
        Of the network.
    sparse
        Whether its outputs are probabilities of classes, and targets numbers of them.
    """
    if given != "log_loss":
        return Penalised(losses.get(given))
    if sparse:
        return Penalised(losses.SparseCategoricalCrossentropy())
    return Penalised(losses.BinaryCrossentropy(), outputs)


def of_numbers(given: Any, y: Array, weights: Array | None) -> Penalised:
    """The objective of a regressor for targets (n, outputs)."""
    if given == "squared_error":
        return Penalised(losses.MeanSquaredError(), 0.5, y.shape[1])
    if given == "poisson":
        logs = np.log(y, out=np.zeros(y.shape), where=y > 0)
        constant = np.average((y * logs - y).sum(1), weights=weights)
        return Penalised(losses.Poisson(), y.shape[1], constant=float(constant))
    return Penalised(losses.get(given))
