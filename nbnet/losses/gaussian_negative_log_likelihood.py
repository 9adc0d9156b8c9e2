"""``mean(s + (y_true - m)**2 * exp(-s)) / 2``, where m and s, means and logarithms of variances, are the halves of the
last axis of y_pred."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbnet.core.abi import accumulates, kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.math import exp
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensors
from nbnet.losses.loss import Array, Loss

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


def _infer(z: Tensor, t: Tensor, constant: Tensor) -> tuple[Spec, ...]:
    if not z.shape or z.shape[-1] % 2 or t.shape != (*z.shape[:-1], z.shape[-1] // 2):
        raise ValueError(
            f"y_true: wants predictions (..., 2 n), means and logarithms of variances, and targets (..., n); "
            f"got {z.shape} and {t.shape}"
        )
    return (Spec(z.shape[:-1]),)


GAUSSIAN_NEGATIVE_LOG_LIKELIHOOD = register(
    Op(
        "gaussian_negative_log_likelihood",
        gaussian_forward,
        ("z", "t", "constant"),
        infer=_infer,
        backward=gaussian_backward,
        gradient=("z", "t", "dy", "dz"),
    )
)


class GaussianNegativeLogLikelihood(Loss):
    """Negative log-likelihood of targets under normal distributions whose means and variances are predicted.

    The last axis of predictions, of length 2 n for targets of n numbers, holds n means, then n logarithms of variances;
    for one target that is ``Dense(2)``. Logarithms need no activation to keep variances positive.

    Parameters
    ----------
    full
        Whether to add the constant ``log(2 pi) / 2``.
    reduction, name
        See :class:`Loss`.

    References
    ----------
    D. A. Nix, A. S. Weigend: Estimating the mean and variance of the target probability distribution. ICNN (1994).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.GaussianNegativeLogLikelihood()([[1.0]], [[3.0, 0.5]]).item(), 4)
    1.4631
    """

    name = "gaussian_negative_log_likelihood"

    def __init__(
        self, full: bool = False, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(name, reduction)
        self.full = bool(full)

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        if shape[-1] % 2:
            raise ValueError(f"{name}: {self.name} wants predictions (..., 2 n), the last axis has {shape[-1]}")
        return super().targets(y, name, n, (*shape[:-1], shape[-1] // 2), dtype)

    def losses(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        constant = LOG_2_PI if self.full else 0.0
        return apply(GAUSSIAN_NEGATIVE_LOG_LIKELIHOOD, *tensors(y_pred, y_true, constant))  # type: ignore[no-any-return]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"full": self.full}


def gaussian_negative_log_likelihood(y_true: Any, y_pred: Any, full: bool = False) -> Tensor:
    """Negative log-likelihood of each sample; see :class:`GaussianNegativeLogLikelihood`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.gaussian_negative_log_likelihood([[1.0], [1.0]], [[1.0, 2.0], [3.0, 0.0]]).numpy()
    array([1., 2.], dtype=float32)
    """
    return GaussianNegativeLogLikelihood(full).each(y_true, y_pred)
