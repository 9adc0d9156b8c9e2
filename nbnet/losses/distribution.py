"""Losses of predicted distributions: the Gaussian negative log-likelihood, and the quantile loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.base.validation import Interval
from nbnet.engine.graph.op import Spec
from nbnet.engine.graph.tensor import Tensor, apply, tensors
from nbnet.engine.kernels.abi import accumulates, device, kernel, mat, vec
from nbnet.engine.kernels.math import exp
from nbnet.losses.loss import Array, Loss, infer_rows, loss_op, one_or_many, pairwise

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
