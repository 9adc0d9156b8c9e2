"""Adam: ``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g**2``, ``p -= lr sqrt(1 - b2**t) / (1 - b1**t) m / (sqrt(v)
+ eps)``."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import numpy as np

from nbnet.core.abi import Kernel, device, root
from nbnet.optimizers.hyper import Flag, Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.rows import update_rule
from nbnet.optimizers.settings import Common
from nbnet.ranges import DECAY


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    t = np.float64(step + 1)
    return learning_rate * np.sqrt(1.0 - h[1] ** t) / (1.0 - h[0] ** t), 1.0 - h[0], 1.0 - h[1], h[2]


@device
def _plain(p: Any, g: Any, m: Any, v: Any, c: Any, k: Any) -> None:
    real = p.dtype.type
    alpha, d1, d2, epsilon = real(k[0]), real(k[1]), real(k[2]), real(k[3])
    for i in range(p.size):
        mi = m[i] + (g[i] - m[i]) * d1
        vi = v[i] + (g[i] * g[i] - v[i]) * d2
        m[i] = mi
        v[i] = vi
        p[i] -= alpha * mi / (root(vi) + epsilon)


@device
def _amsgrad(p: Any, g: Any, m: Any, v: Any, top: Any, k: Any) -> None:
    real = p.dtype.type
    alpha, d1, d2, epsilon = real(k[0]), real(k[1]), real(k[2]), real(k[3])
    for i in range(p.size):
        mi = m[i] + (g[i] - m[i]) * d1
        vi = v[i] + (g[i] * g[i] - v[i]) * d2
        m[i] = mi
        v[i] = vi
        vi = top[i] if top[i] > vi else vi
        top[i] = vi
        p[i] -= alpha * mi / (root(vi) + epsilon)


adam = update_rule("adam", _prepare, _plain)
amsgrad = update_rule("amsgrad", _prepare, _amsgrad)


class Adam(Optimizer):
    """Adaptive moment estimation, in Keras's form: epsilon is added to the uncorrected square root.

    Weights of units that dropout dropped have a gradient of 0 in that step, and still move: by their first moment.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        Size of a step.
    beta_1, beta_2 : float
        In [0, 1): decay of the first and second moment.
    epsilon : float
        Added to the root of the second moment ("epsilon hat" in section 2 of the paper).
    amsgrad : bool
        Whether to divide by the largest second moment so far.
    **common
        See :class:`Optimizer`.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    D. P. Kingma, J. Ba: Adam: a method for stochastic optimization. ICLR 2015.
    S. J. Reddi, S. Kale, S. Kumar: On the convergence of Adam and beyond. ICLR 2018 (amsgrad).

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.Adam(learning_rate=0.5).apply([[1.0]], [w])
    >>> w.numpy().round(4)
    array([0.5], dtype=float32)
    """

    beta_1 = Hyper(DECAY)
    beta_2 = Hyper(DECAY)
    epsilon = Hyper()
    amsgrad = Flag()
    slots: ClassVar[tuple[str, ...]] = ("momentum", "velocity", "velocity_hat")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[Common],
    ) -> None:
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "amsgrad": amsgrad}
        super().__init__(learning_rate, own, **common)

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        return amsgrad if self.amsgrad else adam

    def used_slots(self) -> tuple[str, ...]:
        return self.slots if self.amsgrad else self.slots[:2]
