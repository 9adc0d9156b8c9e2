"""Adadelta: ``a = rho a + (1 - rho) g**2``, ``d = -sqrt(s + eps) / sqrt(a + eps) g``, ``s = rho s + (1 - rho) d**2``,
``p += lr d``."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from nbnet.core.abi import device, root
from nbnet.optimizers.hyper import Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.rows import update_rule
from nbnet.optimizers.settings import Common
from nbnet.ranges import DECAY


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    return learning_rate, 1.0 - h[0], h[1]


@device
def _update(p: Any, g: Any, a: Any, s: Any, c: Any, k: Any) -> None:
    lr, d, epsilon = p.dtype.type(k[0]), p.dtype.type(k[1]), p.dtype.type(k[2])
    for i in range(p.size):
        ai = a[i] + (g[i] * g[i] - a[i]) * d
        change = root((s[i] + epsilon) / (ai + epsilon)) * g[i]
        a[i] = ai
        s[i] += (change * change - s[i]) * d
        p[i] -= lr * change


class Adadelta(Optimizer):
    """Gradient scaled so that steps have the units, and the running size, of earlier steps.

    The paper's own step is that of a learning rate of 1.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        Size of a step.
    rho : float
        In [0, 1): decay of the averages.
    epsilon : float
        Added under the roots.
    **common
        See :class:`Optimizer`.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    M. D. Zeiler: ADADELTA: an adaptive learning rate method. 2012.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.Adadelta(learning_rate=1.0, rho=0.5, epsilon=0.5).apply([[1.0]], [w])
    >>> w.numpy().round(4)
    array([0.2929], dtype=float32)
    """

    rho = Hyper(DECAY)
    epsilon = Hyper()
    slots: ClassVar[tuple[str, ...]] = ("accumulated_gradient", "accumulated_change")
    kernel = update_rule("adadelta", _prepare, _update)

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **common: Unpack[Common]
    ) -> None:
        super().__init__(learning_rate, {"rho": rho, "epsilon": epsilon}, **common)
