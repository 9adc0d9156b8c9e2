"""Losses of regression: distances between numbers, means over the last axis; quantiles and normal distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.base.validation import ABOVE_ZERO, Interval
from nbnet.engine.graph.op import Spec
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.kernels.abi import accumulates, device, kernel, mat, vec
from nbnet.engine.kernels.math import exp, expm1, log, log1p, tanh
from nbnet.losses.loss import (
    EPSILON,
    Array,
    Loss,
    PairwiseLoss,
    check_axis,
    infer_rows,
    last_axis,
    loss_op,
    one_or_many,
    pairwise,
)


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


LOG_2_PI = math.log(2.0 * math.pi)


@kernel
def gaussian_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, constant, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2)[0], vec(mem, ins, 3)
    n = t.shape[1]
    share = 0.5 / z.dtype.type(n)
    for i in range(z.shape[0]):
        total = 0.0
        for j in range(n):
            e, s = t[i, j] - z[i, j], z[i, n + j]
            total += s + e * e * exp(-s)
        y[i] = total * share + 0.5 * constant


@kernel
def gaussian_backward(mem: Any, ins: Any, step: Any) -> None:
    z, t, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3)
    n = t.shape[1]
    share = 1.0 / z.dtype.type(n)
    for i in range(z.shape[0]):
        scale, mean, spread, target = dy[i] * share, z[i, :n], z[i, n:], t[i]
        dmean, dspread = dz[i, :n], dz[i, n:]
        if not accumulates(ins, 3):
            for j in range(z.shape[1]):
                dz[i, j] = 0.0
        for j in range(n):
            e, precision = mean[j] - target[j], exp(-spread[j])
            dmean[j] += scale * e * precision
            dspread[j] += 0.5 * scale * (1.0 - e * e * precision)


def _infer_gaussian(z: Tensor, t: Tensor, constant: Tensor) -> tuple[Spec, ...]:
    if not z.shape or z.shape[-1] % 2 or t.shape != (*z.shape[:-1], z.shape[-1] // 2):
        raise ValueError(
            f"y_true: expected predictions (..., 2 n), means and logarithms of variances, and targets (..., n); "
            f"got {z.shape} and {t.shape}"
        )
    return (Spec(z.shape[:-1]),)


GAUSSIAN_NEGATIVE_LOG_LIKELIHOOD = loss_op(
    "gaussian_negative_log_likelihood",
    gaussian_forward,
    gaussian_backward,
    ("z", "t", "constant"),
    _infer_gaussian,
    gradient=("z", "t", "dy", "dz"),
    extents="z[r,2*c] t[r,c] constant[1] y[r]",
)


class GaussianNegativeLogLikelihood(Loss):
    """Negative log-likelihood of targets under normal distributions whose means and variances are predicted.

    The last axis of predictions, of length 2 n for targets of n numbers, holds n means, then n logarithms of variances;
    for one target that is ``Dense(2)``. Logarithms need no activation to keep variances positive.

    Parameters
    ----------
    full : bool
        If True, add the constant ``log(2 pi) / 2``.

    References
    ----------
    D. A. Nix, A. S. Weigend: Estimating the mean and variance of the target probability distribution. ICNN (1994).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.GaussianNegativeLogLikelihood()([[1.0]], [[3.0, 0.5]]).item(), 4)
    1.4631
    """

    _arguments = ("full",)

    def __init__(
        self,
        full: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.full = bool(full)

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        if shape[-1] % 2:
            raise ValueError(f"{name}: {self.name} expected predictions (..., 2 n), the last axis has {shape[-1]}")
        return super().targets(y, name, n, (*shape[:-1], shape[-1] // 2), dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        constant = LOG_2_PI if self.full else 0.0
        return apply(GAUSSIAN_NEGATIVE_LOG_LIKELIHOOD, *tensors(y_pred, y_true, constant))


def gaussian_negative_log_likelihood(y_true: Any, y_pred: Any, full: bool = False) -> Tensor:
    """Negative log-likelihood of each sample; see :class:`GaussianNegativeLogLikelihood`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.gaussian_negative_log_likelihood([[1.0], [1.0]], [[1.0, 2.0], [3.0, 0.0]]).numpy()
    array([1., 2.], dtype=float32)
    """
    return GaussianNegativeLogLikelihood(full).each(y_true, y_pred)


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


def _infer_quantiles(z: Tensor, t: Tensor, q: Tensor) -> tuple[Spec, ...]:
    if q.shape != z.shape[-1:]:
        raise ValueError(f"q: expected one quantile for each of {z.shape[-1]} predictions, got {q.size}")
    return infer_rows(z, t)


QUANTILES = loss_op("quantiles", quantiles_forward, quantiles_backward, ("z", "t", "q"), _infer_quantiles,
                    extents="z[r,c] t[r,c] q[c] y[r]")  # fmt: skip


class Quantile(Loss):
    """Pinball loss, whose minimum is at the q-quantile of the targets.

    Parameters
    ----------
    q : float or sequence of float
        In (0, 1): one quantile, or one for each element of the last axis of predictions. Several quantiles of one
        target may be given that target as one column.

    Raises
    ------
    ValueError
        If a quantile lies outside (0, 1), or numbers of quantiles and predictions differ.

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

    _arguments = ("q",)

    def __init__(
        self,
        q: float | Sequence[float] = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.q = one_or_many(q, "q", Interval(0, 1, above=True, below=True))

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        if isinstance(self.q, list) and np.shape(y)[1:] in ((), (*shape[:-1], 1)):
            column = super().targets(y, name, n, (*shape[:-1], 1), dtype)
            return np.ascontiguousarray(np.broadcast_to(column, (n, *shape)))
        return super().targets(y, name, n, shape, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        op = QUANTILES if isinstance(self.q, list) else QUANTILE
        return apply(op, *tensors(y_pred, y_true, self.q))


def quantile(y_true: Any, y_pred: Any, q: float | Sequence[float] = 0.5) -> Tensor:
    """Pinball loss of each sample; see :class:`Quantile`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.quantile([[2.0], [0.0]], [[0.0], [2.0]], q=0.75).numpy()
    array([1.5, 0.5], dtype=float32)
    """
    return Quantile(q).each(y_true, y_pred)
