"""The solvers of the multi-layer perceptrons: SGD, Adam, any optimizer of nbnet, and scipy's L-BFGS-B."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize as scipy_minimize
from sklearn.utils.optimize import _check_optimize_result

from nbnet import losses, ops, optimizers
from nbnet.base.console import show
from nbnet.engine.gemm.blas import SingleThread
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor, tensors
from nbnet.engine.kernels.abi import device
from nbnet.estimators.base import Array
from nbnet.estimators.mlp_parameters import MLPParameters
from nbnet.losses import Loss
from nbnet.losses.loss import spread
from nbnet.models import Model
from nbnet.ops.reduction import l1_l2, weighted_mean, weighted_sum
from nbnet.optimizers import Optimizer
from nbnet.optimizers.update import UpdateKernel
from nbnet.train.compiled_runner import CompiledRunner
from nbnet.train.data_source import array_chunks
from nbnet.train.fit import training_lock
from nbnet.train.inputs import Rows

Float64 = NDArray[np.float64]

#: The adaptive learning rate is not lowered below this.
LOWEST_RATE = 1e-6
#: Rows that L-BFGS computes at a time: enough for fast products, few enough to stay in the cache.
_ROWS = 512


def uses_lbfgs(estimator: MLPParameters) -> bool:
    """True if the solver is L-BFGS, which uses all rows in each step."""
    return estimator.solver == "lbfgs" and estimator.optimizer is None


def is_stochastic(estimator: MLPParameters) -> bool:
    """True; for L-BFGS, which has no ``partial_fit``, an AttributeError."""
    if uses_lbfgs(estimator):
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


def compute_dtype(estimator: MLPParameters, X: Any) -> np.dtype[Any]:
    """Dtype of the network. The line search of L-BFGS needs small differences of the loss."""
    if estimator.dtype != "auto":
        return cast("np.dtype[Any]", np.dtype(estimator.dtype))
    return np.dtype("float64" if uses_lbfgs(estimator) and X.dtype != np.float32 else "float32")


def accepted_dtypes(estimator: MLPParameters) -> list[Any]:
    """Dtypes that X may have; any other is converted to the first one."""
    wide = compute_dtype(estimator, np.empty(0)) == np.float64
    return [np.float64, np.float32] if wide else [np.float32, np.float64]


# ---- stochastic solvers ----


def new_optimizer(estimator: MLPParameters) -> Optimizer:
    """Return the optimizer that the parameters of an estimator describe."""
    given = estimator.optimizer
    if isinstance(given, Optimizer):
        return type(given).from_config(given.get_config())
    rate = estimator.learning_rate_init if isinstance(estimator.learning_rate, str) else estimator.learning_rate
    if given is not None:
        kind: type[Any] = type(optimizers.as_optimizer(given))
        return cast(Optimizer, kind(rate))
    if estimator.solver == "sgd":
        return optimizers.SGD(rate, estimator.momentum, estimator.nesterovs_momentum)
    return optimizers.Adam(rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)


@dataclass
class RatePolicy:
    """The learning rate of an optimizer, by scikit-learn's policies."""

    optimizer: Optimizer
    policy: str  # "constant", "invscaling" or "adaptive"
    initial: float
    power: float  # "invscaling" divides the rate by this power of the number of rows seen

    @classmethod
    def of(cls, estimator: MLPParameters, optimizer: Optimizer) -> Self:
        """Return the policy of an estimator; as in scikit-learn, that of Adam and of a schedule is "constant"."""
        given, policy = estimator.optimizer, estimator.learning_rate
        if not isinstance(policy, str) or (given is None and estimator.solver == "adam"):
            policy = "constant"
        initial: Any = given.learning_rate if isinstance(given, Optimizer) else estimator.learning_rate_init
        return cls(optimizer, policy, float(initial), estimator.power_t)

    def end_epoch(self, seen: int) -> None:
        """Set the rate after an epoch; ``seen`` rows were seen since the first fit."""
        if self.policy == "invscaling":
            self.optimizer.learning_rate = self.initial / (seen + 1) ** self.power

    def reach_plateau(self) -> tuple[bool, str]:
        """Lower the rate if the policy is "adaptive"; return True if training stops instead, and a message."""
        if self.policy != "adaptive":
            return True, " Stopping."
        if self.optimizer.learning_rate <= LOWEST_RATE:
            return True, " Learning rate too small. Stopping."
        self.optimizer.learning_rate = self.optimizer.learning_rate / 5.0
        return False, f" Setting learning rate to {self.optimizer.learning_rate:f}"


# ---- L-BFGS: loss and gradient of all rows by compiled calls over the flat parameters ----


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    return (learning_rate,)


@device
def _keep(p: Any, g: Any, a: Any, b: Any, c: Any, k: Any) -> None:
    for i in range(p.size):
        a[i] += g[i]


class _GradientSum(Optimizer):
    """Optimizer that adds up gradients and leaves parameters as they are."""

    slots = ("gradient",)
    kernel = UpdateKernel("keep_gradient", _prepare, _keep)

    def __init__(self, name: str | None = None) -> None:
        super().__init__(1.0, {}, name=name)


class FullBatchLoss:
    """The loss of all rows and its gradient, as functions of the flat parameters.

    It compiles the model with the loss, so the model must be compiled again before other training.
    """

    def __init__(self, model: Model, loss: PenalizedLoss, rows: Rows) -> None:
        weights = rows.w[0]
        loss.rows, loss.weight = len(rows), float(len(rows) if weights is None else weights.sum(dtype=np.float64))
        self._optimizer = _GradientSum()
        model.compile(self._optimizer, loss)
        size = min(_ROWS, len(rows))
        self._runner = CompiledRunner(model, "train")
        self._chunks = array_chunks(rows, size, np.arange(len(rows)), slice(0, len(rows)))
        self._runner.prepare(self._chunks[0])
        block = self._optimizer.block
        assert block is not None
        self._flat, self._gradient = block.flat.numpy()[0], self._optimizer.state["gradient"]
        self._constant = loss.constant

    @property
    def parameters(self) -> Float64:
        """A copy of the flat parameters."""
        return cast(Float64, self._flat.astype(np.float64))

    def set(self, x: Float64) -> None:
        """Overwrite the flat parameters."""
        self._flat[:] = x

    def __call__(self, x: Float64) -> tuple[float, Float64]:
        """Return loss and gradient at x."""
        self.set(x)
        self._gradient[:] = 0
        value = self._constant
        for chunk in self._chunks:
            self._runner.begin()
            self._runner.run(chunk)
            value += self._runner.logs()["loss"] * chunk.steps
        return value, self._gradient.astype(np.float64)


def minimize(estimator: MLPParameters, model: Model, loss: PenalizedLoss, rows: Rows) -> tuple[float, int]:
    """Train by L-BFGS until the gradient is below ``tol``; return the loss and the number of iterations.

    Give a ConvergenceWarning if the largest number of iterations or calls is reached before.
    """
    objective = FullBatchLoss(model, loss, rows)
    with training_lock(model), SingleThread():
        numbers = itertools.count(1)

        def report(intermediate_result: Any) -> None:
            show(f"Iteration {next(numbers)}, loss = {intermediate_result.fun:.8f}")

        options = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol}
        callback = report if estimator.verbose else None
        found = scipy_minimize(
            objective, objective.parameters, method="L-BFGS-B", jac=True, callback=callback, options=options
        )
        objective.set(found.x)
    return float(found.fun), _check_optimize_result("lbfgs", found, estimator.max_iter)


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
