"""RMSprop: ``v = rho v + (1 - rho) g**2``, ``p -= lr g / sqrt(v + eps)``; centred and with momentum if asked."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from nbnet.core.abi import Kernel, device, root
from nbnet.optimizers.hyper import Flag, Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.rows import update_rule
from nbnet.optimizers.settings import Common
from nbnet.ranges import DECAY, FRACTION


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    return learning_rate, 1.0 - h[0], h[1], h[2], h[3]


@device
def _plain(p: Any, g: Any, v: Any, b: Any, c: Any, k: Any) -> None:
    real = p.dtype.type
    lr, d, epsilon = real(k[0]), real(k[1]), real(k[3])
    for i in range(p.size):
        vi = v[i] + (g[i] * g[i] - v[i]) * d
        v[i] = vi
        p[i] -= lr * g[i] / root(vi + epsilon)


@device
def _full(p: Any, g: Any, v: Any, m: Any, average: Any, k: Any) -> None:
    """With momentum (which may be 0) and an average gradient (which may be unused)."""
    real = p.dtype.type
    lr, d, momentum, epsilon, centered = real(k[0]), real(k[1]), real(k[2]), real(k[3]), real(k[4])
    for i in range(p.size):
        gi = g[i]
        vi = v[i] + (gi * gi - v[i]) * d
        ai = average[i] + (gi - average[i]) * d
        v[i] = vi
        average[i] = ai
        # A variance; where rounding makes it negative, the root would be NaN.
        spread = vi - centered * ai * ai
        spread = 0.0 if spread < 0.0 else spread
        mi = momentum * m[i] + lr * gi / root(spread + epsilon)
        m[i] = mi
        p[i] -= mi


rmsprop = update_rule("rmsprop", _prepare, _plain)
rmsprop_full = update_rule("rmsprop_full", _prepare, _full)


class RMSprop(Optimizer):
    """Gradient divided by a running average of its magnitude.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        Size of a step.
    rho : float
        In [0, 1): decay of the average.
    momentum : float
        In [0, 1]: share of the last step that is kept.
    epsilon : float
        Added under the root.
    centered : bool
        Whether to divide by an estimate of the variance, not of the second moment.
    **common
        See :class:`Optimizer`.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    T. Tieleman, G. Hinton: Lecture 6.5, RMSprop. Coursera: Neural networks for machine learning (2012).

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.RMSprop(learning_rate=0.1).apply([[1.0]], [w])
    >>> w.numpy().round(4)
    array([0.6838], dtype=float32)
    """

    rho = Hyper(DECAY)
    momentum = Hyper(FRACTION)
    epsilon = Hyper()
    centered = Flag()
    slots: ClassVar[tuple[str, ...]] = ("velocity", "momentum", "average_gradient")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **common: Unpack[Common],
    ) -> None:
        own = {"rho": rho, "momentum": momentum, "epsilon": epsilon, "centered": centered}
        super().__init__(learning_rate, own, **common)

    def _is_full(self) -> bool:
        return self.momentum > 0 or self.centered

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        return rmsprop_full if self._is_full() else rmsprop

    def used_slots(self) -> tuple[str, ...]:
        return self.slots if self._is_full() else self.slots[:1]
