"""Optimizers without a second moment: stochastic gradient descent, and Lion, which steps by the sign of the momentum.

SGD is ``m = momentum m - lr g``, ``p += m``, or ``p += momentum m - lr g`` (Nesterov's). Lion is ``p -= lr sign(b1 m +
(1 - b1) g)``, ``m = b2 m + (1 - b2) g``.
"""

from __future__ import annotations

from typing import Any, Unpack

from nbnet.base.validation import FRACTION, Interval
from nbnet.engine.kernels.abi import Kernel, device
from nbnet.optimizers.hyperparams import BoolHyper, CommonOptions, Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.schedules import LearningRateSchedule
from nbnet.optimizers.update import UpdateKernel


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


_sgd, _sgd_momentum = UpdateKernel("sgd", _prepare, _plain), UpdateKernel("sgd_momentum", _prepare, _with_momentum)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    Without momentum, the weights of dropped units stay bit for bit as they are; with momentum they move on.

    Parameters
    ----------
    momentum : float
        In [0, 1]: share of the last step that the next one keeps.
    nesterov : bool
        If True, step from where the momentum leads (Nesterov's momentum).

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
    nesterov = BoolHyper()
    slots = ("momentum",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, {"momentum": momentum, "nesterov": nesterov}, **common)

    @property
    def kernel(self) -> Kernel:
        return _sgd_momentum if self.momentum > 0 else _sgd

    def used_slots(self) -> tuple[str, ...]:
        return self.slots if self.momentum > 0 else ()


class Lion(Optimizer):
    """Steps of a constant size, in the direction of the sign of the momentum.

    A good learning rate is three to ten times smaller than Adam's, a good weight decay as many times larger.

    Parameters
    ----------
    beta_1 : float
        In (0, 1]: weight of the momentum, against the gradient, in the step.
    beta_2 : float
        In [0, 1]: decay of the momentum.

    References
    ----------
    X. Chen and others: Symbolic discovery of optimization algorithms. NeurIPS 2023.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0, 1.0, 1.0])
    >>> nb.optimizers.Lion(learning_rate=0.5).apply([[3.0, -0.1, 0.0]], [w])
    >>> w.numpy()
    array([0.5, 1.5, 1. ], dtype=float32)
    """

    beta_1 = Hyper(Interval(0, 1, above=True))
    beta_2 = Hyper(FRACTION)
    slots = ("momentum",)

    @device
    def prepare(learning_rate: Any, h: Any, step: Any) -> Any:
        return learning_rate, 1.0 - h[0], 1.0 - h[1]

    @device
    def update(p: Any, g: Any, m: Any, b: Any, c: Any, k: Any) -> None:
        lr, d1, d2 = p.dtype.type(k[0]), p.dtype.type(k[1]), p.dtype.type(k[2])
        for i in range(p.size):
            way = m[i] + (g[i] - m[i]) * d1
            m[i] += (g[i] - m[i]) * d2
            # The sign; 0 and NaN stay as they are.
            way = 1.0 if way > 0.0 else way
            way = -1.0 if way < 0.0 else way
            p[i] -= lr * way

    kernel = UpdateKernel("lion", prepare, update)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2}, **common)
