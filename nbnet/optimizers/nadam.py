"""Nadam: Adam's moments, where the gradient is weighed as momentum will weigh it: see :class:`Nadam`."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from nbnet.core.abi import device, doublevec, kernel, root
from nbnet.core.graph import Call
from nbnet.optimizers.hyper import Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.rows import OWN, in_place, update_rule
from nbnet.optimizers.settings import Common
from nbnet.ranges import DECAY

#: Where the running product lies among Nadam's own numbers, and the base of the momentum's schedule.
PRODUCT, BASE = 3, 4


@device
def momentum_at(beta: Any, base: Any, t: Any) -> Any:
    """The momentum of update t, counted from 1."""
    return beta * (1.0 - 0.5 * base**t)


@kernel
def multiply_momentum(mem: Any, ins: Any, step: Any) -> None:
    """Before an update, multiply the running product by the momentum of this one."""
    h = doublevec(mem, ins, 0)[OWN:]
    h[PRODUCT] *= momentum_at(h[0], h[BASE], np.float64(step + 1))


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    t = np.float64(step + 1)
    now, next_ = momentum_at(h[0], h[BASE], t), momentum_at(h[0], h[BASE], t + 1.0)
    of_m = next_ / (1.0 - h[PRODUCT] * next_)
    of_g = (1.0 - now) / (1.0 - h[PRODUCT])
    # sqrt(v / (1 - b2**t)) + eps, times the root of the correction.
    correction = np.sqrt(1.0 - h[1] ** t)
    return learning_rate * correction, of_m, of_g, 1.0 - h[0], 1.0 - h[1], h[2] * correction


@device
def _update(p: Any, g: Any, m: Any, v: Any, c: Any, k: Any) -> None:
    real = p.dtype.type
    alpha, of_m, of_g = real(k[0]), real(k[1]), real(k[2])
    d1, d2, epsilon = real(k[3]), real(k[4]), real(k[5])
    for i in range(p.size):
        gi = g[i]
        mi = m[i] + (gi - m[i]) * d1
        vi = v[i] + (gi * gi - v[i]) * d2
        m[i] = mi
        v[i] = vi
        p[i] -= alpha * (of_m * mi + of_g * gi) / (root(vi) + epsilon)


class Nadam(Optimizer):
    """Adam with Nesterov's momentum.

    With ``u_t = beta_1 (1 - 0.96**t / 2)`` and ``U_t = u_1 u_2 ... u_t``, the first moment that a step follows is
    ``u_{t+1} m / (1 - U_{t+1}) + (1 - u_t) g / (1 - U_t)``.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        Size of a step.
    beta_1, beta_2 : float
        In [0, 1): decay of the first and second moment.
    epsilon : float
        Added to the root of the corrected second moment.
    **common
        See :class:`Optimizer`.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    T. Dozat: Incorporating Nesterov momentum into Adam. ICLR 2016 workshop.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.Nadam(learning_rate=0.5).apply([[1.0]], [w])
    >>> w.numpy().round(4)
    array([0.4686], dtype=float32)
    """

    beta_1 = Hyper(DECAY)
    beta_2 = Hyper(DECAY)
    epsilon = Hyper()
    slots: ClassVar[tuple[str, ...]] = ("momentum", "velocity")
    kernel = update_rule("nadam", _prepare, _update)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}, **common)
        self.cells = np.append(self.cells, [1.0, 0.96])

    def prelude(self) -> list[Call]:
        every = self.gradient_accumulation_steps or 1
        call = in_place(multiply_momentum, (self.cells_tensor(),), (0,), (), self._built().dtype, every)
        return [*super().prelude(), call]

    def initial(self, slot: str) -> float:
        return 1.0 if slot == "momentum_product" else 0.0

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        at = OWN + PRODUCT
        return super().state | ({"momentum_product": self.cells[at : at + 1]} if self._block else {})
