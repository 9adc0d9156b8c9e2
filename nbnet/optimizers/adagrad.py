"""Adagrad: ``a += g**2``, ``p -= lr g / sqrt(a + eps)``."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from nbnet.core.abi import device, root
from nbnet.optimizers.hyper import Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.rows import update_rule
from nbnet.optimizers.settings import Common
from nbnet.ranges import FROM_ZERO


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    return learning_rate, h[0]


@device
def _update(p: Any, g: Any, total: Any, b: Any, c: Any, k: Any) -> None:
    lr, epsilon = p.dtype.type(k[0]), p.dtype.type(k[1])
    for i in range(p.size):
        ti = total[i] + g[i] * g[i]
        total[i] = ti
        p[i] -= lr * g[i] / root(ti + epsilon)


class Adagrad(Optimizer):
    """Gradient divided by the root of the sum of all its squares.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        Size of a step.
    initial_accumulator_value : float
        What the sums of squares start from.
    epsilon : float
        Added under the root.
    **common
        See :class:`Optimizer`.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer: Adaptive subgradient methods for online learning and stochastic optimization. JMLR
    12 (2011).

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.Adagrad(learning_rate=0.5, initial_accumulator_value=3.0).apply([[1.0]], [w])
    >>> w.numpy()
    array([0.75], dtype=float32)
    """

    epsilon = Hyper()
    slots: ClassVar[tuple[str, ...]] = ("accumulator",)
    kernel = update_rule("adagrad", _prepare, _update)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **common: Unpack[Common],
    ) -> None:
        self.initial_accumulator_value = FROM_ZERO.check(initial_accumulator_value, "initial_accumulator_value")
        super().__init__(learning_rate, {"epsilon": epsilon}, **common)

    def initial(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"initial_accumulator_value": self.initial_accumulator_value}
