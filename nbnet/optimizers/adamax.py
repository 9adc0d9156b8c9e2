"""Adamax: ``m = b1 m + (1 - b1) g``, ``u = max(b2 u, |g|)``, ``p -= lr / (1 - b1**t) m / (u + eps)``."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import numpy as np

from nbnet.core.abi import device
from nbnet.optimizers.hyper import Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.rows import update_rule
from nbnet.optimizers.settings import Common
from nbnet.ranges import DECAY


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    return learning_rate / (1.0 - h[0] ** np.float64(step + 1)), 1.0 - h[0], h[1], h[2]


@device
def _update(p: Any, g: Any, m: Any, u: Any, c: Any, k: Any) -> None:
    real = p.dtype.type
    alpha, d, beta, epsilon = real(k[0]), real(k[1]), real(k[2]), real(k[3])
    for i in range(p.size):
        mi = m[i] + (g[i] - m[i]) * d
        decayed, size = beta * u[i], abs(g[i])
        ui = decayed if decayed > size else size
        m[i] = mi
        u[i] = ui
        p[i] -= alpha * mi / (ui + epsilon)


class Adamax(Optimizer):
    """Adam with the largest recent gradient in place of the second moment.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        Size of a step.
    beta_1, beta_2 : float
        In [0, 1): decay of the first moment, and of the largest gradient.
    epsilon : float
        Added to the largest gradient.
    **common
        See :class:`Optimizer`.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    D. P. Kingma, J. Ba: Adam: a method for stochastic optimization. ICLR 2015, section 7.1.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.Adamax(learning_rate=0.5).apply([[2.0]], [w])
    >>> w.numpy()
    array([0.5], dtype=float32)
    """

    beta_1 = Hyper(DECAY)
    beta_2 = Hyper(DECAY)
    epsilon = Hyper()
    slots: ClassVar[tuple[str, ...]] = ("momentum", "norm")
    kernel = update_rule("adamax", _prepare, _update)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}, **common)
