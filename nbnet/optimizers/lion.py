"""Lion: ``p -= lr sign(b1 m + (1 - b1) g)``, ``m = b2 m + (1 - b2) g``."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from nbnet.core.abi import device
from nbnet.optimizers.hyper import Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.rows import update_rule
from nbnet.optimizers.settings import Common
from nbnet.ranges import FRACTION, Range


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    return learning_rate, 1.0 - h[0], 1.0 - h[1]


@device
def _update(p: Any, g: Any, m: Any, b: Any, c: Any, k: Any) -> None:
    lr, d1, d2 = p.dtype.type(k[0]), p.dtype.type(k[1]), p.dtype.type(k[2])
    for i in range(p.size):
        way = m[i] + (g[i] - m[i]) * d1
        m[i] += (g[i] - m[i]) * d2
        # The sign; 0 and NaN stay what they are.
        way = 1.0 if way > 0.0 else way
        way = -1.0 if way < 0.0 else way
        p[i] -= lr * way


class Lion(Optimizer):
    """Steps of one size, in the direction of the sign of the momentum.

    A learning rate three to ten times smaller than Adam's fits, and a weight decay so many times larger.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        Size of a step.
    beta_1 : float
        In (0, 1]: weight of the momentum against the gradient, in the step.
    beta_2 : float
        In [0, 1]: decay of the momentum.
    **common
        See :class:`Optimizer`.

    Raises
    ------
    ValueError
        If a number is out of range.

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

    beta_1 = Hyper(Range(0, 1, above=True))
    beta_2 = Hyper(FRACTION)
    slots: ClassVar[tuple[str, ...]] = ("momentum",)
    kernel = update_rule("lion", _prepare, _update)

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **common: Unpack[Common]
    ) -> None:
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2}, **common)
