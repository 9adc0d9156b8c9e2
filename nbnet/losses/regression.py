"""Losses of regression: distances between numbers, means over the last axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbnet.base.validation import ABOVE_ZERO
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.kernels.abi import accumulates, device, kernel, mat, vec
from nbnet.engine.kernels.math import expm1, log, log1p, tanh
from nbnet.losses.loss import EPSILON, Loss, PairwiseLoss, check_axis, last_axis, loss_op, pairwise


class MeanSquaredError(PairwiseLoss):
    """Mean of squared differences.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]]).item()
    0.5
    """

    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        return (z - t) * (z - t)

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        return 2.0 * (z - t)

    op = pairwise("mean_squared_error", f, df)


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean of squared differences of each sample; see :class:`MeanSquaredError`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.mean_squared_error([[0.0, 1.0], [2.0, 2.0]], [[0.0, 3.0], [2.0, 3.0]]).numpy()
    array([2. , 0.5], dtype=float32)
    """
    return MeanSquaredError().each(y_true, y_pred)


class MeanAbsoluteError(PairwiseLoss):
    """Mean of absolute differences; the derivative at 0 is 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.MeanAbsoluteError()([[0.0, 1.0]], [[3.0, 1.0]]).item()
    1.5
    """

    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        return abs(z - t)

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        return 1.0 if z > t else (-1.0 if z < t else 0.0)

    op = pairwise("mean_absolute_error", f, df)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """Mean of absolute differences of each sample; see :class:`MeanAbsoluteError`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.mean_absolute_error([[0.0, 1.0], [2.0, 2.0]], [[0.0, 3.0], [2.0, 3.0]]).numpy()
    array([1. , 0.5], dtype=float32)
    """
    return MeanAbsoluteError().each(y_true, y_pred)


class MeanAbsolutePercentageError(PairwiseLoss):
    """Mean of absolute differences in percent of the target; epsilon is 1e-7. The derivative at 0 is 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.MeanAbsolutePercentageError()([[2.0, 4.0]], [[3.0, 3.0]]).item()
    37.5
    """

    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        return 100.0 * abs(z - t) / max(abs(t), EPSILON)

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        scale = 100.0 / max(abs(t), EPSILON)
        return scale if z > t else (-scale if z < t else 0.0)

    op = pairwise("mean_absolute_percentage_error", f, df)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """Percentage error of each sample; see :class:`MeanAbsolutePercentageError`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.mean_absolute_percentage_error([[2.0], [4.0]], [[3.0], [3.0]]).numpy()
    array([50., 25.], dtype=float32)
    """
    return MeanAbsolutePercentageError().each(y_true, y_pred)


@device
def _difference(z: Any, t: Any) -> Any:
    return log1p(max(z, EPSILON)) - log1p(max(t, EPSILON))


class MeanSquaredLogarithmicError(PairwiseLoss):
    """Mean of squared differences of logarithms; targets and predictions below 1e-7 count as 1e-7.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]]).item(), 4)
    0.2402
    """

    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        d = _difference(z, t)
        return d * d

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        return 2.0 * _difference(z, t) / (1.0 + z) if z > EPSILON else 0.0

    op = pairwise("mean_squared_logarithmic_error", f, df)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """Squared logarithmic error of each sample; see :class:`MeanSquaredLogarithmicError`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.mean_squared_logarithmic_error([[0.0], [1.0]], [[1.0], [1.0]]).numpy().round(4)
    array([0.4805, 0.    ], dtype=float32)
    """
    return MeanSquaredLogarithmicError().each(y_true, y_pred)


class Huber(Loss):
    """Quadratic near 0, linear beyond ``delta``.

    Parameters
    ----------
    delta : float
        Above 0: error at which the loss turns linear.

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
    broadcasts = True
    _arguments = ("delta",)

    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        e = abs(z - t)
        return 0.5 * e * e if e <= a else a * e - 0.5 * a * a

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        return min(max(z - t, -a), a)

    op = pairwise("huber", f, df)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.delta = ABOVE_ZERO.check(delta, "delta")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return apply(self.op, *tensors(y_pred, y_true, self.delta))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Huber loss of each sample; see :class:`Huber`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.huber([[0.0, 0.0]], [[1.0, 3.0]], delta=2.0).numpy()
    array([2.25], dtype=float32)
    """
    return Huber(delta).each(y_true, y_pred)


LOG_2 = math.log(2.0)


class LogCosh(PairwiseLoss):
    """Logarithm of the hyperbolic cosine of the error: ``e**2 / 2`` near 0, ``abs(e) - log(2)`` far out.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.LogCosh()([[0.0, 0.0]], [[1.0, 0.0]]).item(), 4)
    0.2169
    """

    # cosh e = (1 + u) e^|e| / 2 with u = (e^-|e|)^2. Near 0, where that would round to 1, cosh e = 1 + u with
    # u = s^2 / (2 (1 + s)) and s = e^-|e| - 1.
    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        e = abs(z - t)
        s = expm1(-e)
        far = e > 1.0
        u = (1.0 + s) * (1.0 + s) if far else s * s / (2.0 + 2.0 * s)
        return log1p(u) + (e - LOG_2 if far else 0.0)

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        return tanh(z - t)

    op = pairwise("log_cosh", f, df)


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """Log-cosh of each sample; see :class:`LogCosh`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.log_cosh([[0.0], [0.0]], [[1.0], [100.0]]).numpy().round(4)
    array([ 0.4338, 99.3069], dtype=float32)
    """
    return LogCosh().each(y_true, y_pred)


class Poisson(PairwiseLoss):
    """Negative log-likelihood of counts whose expectation is predicted, without its constant; epsilon is 1e-7.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.Poisson()([[1.0, 0.0]], [[2.0, 0.5]]).item(), 4)
    0.9034
    """

    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        return z - t * log(z + EPSILON)

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        return 1.0 - t / (z + EPSILON)

    op = pairwise("poisson", f, df)


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """Poisson loss of each sample; see :class:`Poisson`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.poisson([[1.0], [0.0]], [[2.0], [0.5]]).numpy().round(4)
    array([1.3069, 0.5   ], dtype=float32)
    """
    return Poisson().each(y_true, y_pred)


@device
def _parts(z: Any, t: Any) -> Any:
    """The norm of z, 1 / the product of norms, and the cosine."""
    inner, zz, tt = 0.0, 0.0, 0.0
    for j in range(z.size):
        inner += z[j] * t[j]
        zz += z[j] * z[j]
        tt += t[j] * t[j]
    norm = np.sqrt(zz)
    scale = 1.0 / (max(norm, EPSILON) * max(np.sqrt(tt), EPSILON))
    return norm, scale, inner * scale


@kernel
def cosine_similarity_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)
    for i in range(z.shape[0]):
        _norm, _scale, cosine = _parts(z[i], t[i])
        y[i] = -cosine


@kernel
def cosine_similarity_backward(mem: Any, ins: Any, step: Any) -> None:
    z, t, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3)
    add = accumulates(ins, 3)
    for i in range(z.shape[0]):
        norm, scale, cosine = _parts(z[i], t[i])
        along = cosine / (norm * norm) if norm > EPSILON else 0.0
        for j in range(z.shape[1]):
            d, old = dy[i] * (along * z[i, j] - scale * t[i, j]), dz[i, j]
            dz[i, j] = old + d if add else d


class CosineSimilarity(PairwiseLoss):
    """Minus the cosine of the angle between target and prediction: -1 where both point the same way, 1 where opposite.

    Parameters
    ----------
    axis : int
        Axis of the vectors, by default the last.

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.CosineSimilarity()([[3.0, 4.0]], [[4.0, 3.0]]).item(), 4)
    -0.96
    """

    broadcasts, of_rows = False, True
    _arguments = ("axis",)
    op = loss_op("cosine_similarity", cosine_similarity_forward, cosine_similarity_backward, ("z", "t"))

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.axis = check_axis(axis)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return super().call(last_axis(y_true, self.axis), last_axis(y_pred, self.axis))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Minus the cosine for each sample; see :class:`CosineSimilarity`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.cosine_similarity([[0.0, 1.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, 1.0]]).numpy()
    array([-1., -0.], dtype=float32)
    """
    return CosineSimilarity(axis).each(y_true, y_pred)
