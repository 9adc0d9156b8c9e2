"""Stochastic gradient descent, with momentum: ``v = momentum v - lr g``, ``p += v``; Nesterov's: ``p += momentum v -
lr g``."""

from __future__ import annotations

from typing import Any, ClassVar

from nbnet.core.abi import attribute, doublevec, kernel, mat, vec
from nbnet.core.jit import Kernel
from nbnet.optimizers.optimizer import BLOCK, Optimizer, sum_slices


@kernel
def sgd(mem: Any, ins: Any, step: Any) -> None:
    p, g, c = vec(mem, ins, 0), mat(mem, ins, 1), doublevec(mem, ins, 2)
    lr = p.dtype.type(c[0])
    for low in range(attribute(ins, 0), attribute(ins, 1), BLOCK):
        high = min(low + BLOCK, attribute(ins, 1))
        pb, gb = p[low:high], sum_slices(g, low, high)
        for i in range(gb.size):
            pb[i] -= lr * gb[i]


@kernel
def sgd_momentum(mem: Any, ins: Any, step: Any) -> None:
    p, g, c, v = vec(mem, ins, 0), mat(mem, ins, 1), doublevec(mem, ins, 2), vec(mem, ins, 3)
    lr, momentum = p.dtype.type(c[0]), p.dtype.type(c[1])
    nesterov = c[2] > 0
    for low in range(attribute(ins, 0), attribute(ins, 1), BLOCK):
        high = min(low + BLOCK, attribute(ins, 1))
        pb, gb, vb = p[low:high], sum_slices(g, low, high), v[low:high]
        if nesterov:
            for i in range(gb.size):
                d = lr * gb[i]
                m = momentum * vb[i] - d
                vb[i] = m
                pb[i] += momentum * m - d
        else:
            for i in range(gb.size):
                m = momentum * vb[i] - lr * gb[i]
                vb[i] = m
                pb[i] += m


class SGD(Optimizer):
    """Gradient descent with momentum.

    Without momentum, the weights of units that dropout dropped are left bit for bit as they were; with it they move on.

    Parameters
    ----------
    learning_rate
        Size of a step.
    momentum
        In [0, 1): share of the last step that is kept.
    nesterov
        Whether to look ahead along the momentum.

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

    hyper: ClassVar[tuple[str, ...]] = ("learning_rate", "momentum", "nesterov")
    fractions: ClassVar[tuple[str, ...]] = ("momentum",)

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False) -> None:
        super().__init__(
            learning_rate=learning_rate, momentum=momentum, nesterov=bool(nesterov)
        )

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        return sgd_momentum if self.momentum > 0 else sgd

    def used_slots(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum > 0 else ()

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"nesterov": bool(self.nesterov)}
