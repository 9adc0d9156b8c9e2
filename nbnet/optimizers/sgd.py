"""Stochastic gradient descent, with momentum: ``m = momentum m - lr g``, ``p += m``; Nesterov's: ``p += momentum m -
lr g``."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from nbnet.core.abi import Kernel, device
from nbnet.optimizers.hyper import Flag, Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.rows import update_rule
from nbnet.optimizers.settings import Common
from nbnet.ranges import FRACTION


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    return learning_rate, h[0], h[1]


@device
def _plain(p: Any, g: Any, a: Any, b: Any, c: Any, k: Any) -> None:
    lr = p.dtype.type(k[0])
    for i in range(p.size):
        p[i] -= lr * g[i]


@device
def _with_momentum(p: Any, g: Any, m: Any, b: Any, c: Any, k: Any) -> None:
    lr, momentum = p.dtype.type(k[0]), p.dtype.type(k[1])
    if k[2] > 0:
        for i in range(p.size):
            d = lr * g[i]
            mi = momentum * m[i] - d
            m[i] = mi
            p[i] += momentum * mi - d
    else:
        for i in range(p.size):
            mi = momentum * m[i] - lr * g[i]
            m[i] = mi
            p[i] += mi


sgd = update_rule("sgd", _prepare, _plain)
sgd_momentum = update_rule("sgd_momentum", _prepare, _with_momentum)


class SGD(Optimizer):
    """Gradient descent with momentum.

    Without momentum, the weights of units that dropout dropped are left bit for bit as they were; with it they move on.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        Size of a step.
    momentum : float
        In [0, 1]: share of the last step that is kept.
    nesterov : bool
        Whether to look ahead along the momentum.
    **common
        See :class:`Optimizer`.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl, G. Hinton: On the importance of initialization and momentum in deep learning.
    ICML 2013.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.SGD(learning_rate=0.5).apply([[1.0]], [w])
    >>> w.numpy()
    array([0.5], dtype=float32)
    """

    momentum = Hyper(FRACTION)
    nesterov = Flag()
    slots: ClassVar[tuple[str, ...]] = ("momentum",)

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **common: Unpack[Common]
    ) -> None:
        super().__init__(learning_rate, {"momentum": momentum, "nesterov": nesterov}, **common)

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        return sgd_momentum if self.momentum > 0 else sgd

    def used_slots(self) -> tuple[str, ...]:
        return self.slots if self.momentum > 0 else ()
