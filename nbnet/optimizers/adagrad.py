"""Adagrad and its descendants, which divide a gradient by the root of its squares so far.

Adagrad is ``a += g**2``, ``p -= lr g / sqrt(a + eps)``; Adadelta and RMSprop forget old gradients. RMSprop is ``v = rho
v + (1 - rho) g**2``, ``p -= lr g / sqrt(v + eps)``; optionally centered, with momentum.
"""

from __future__ import annotations

from typing import Any, Unpack

from nbnet.base.validation import DECAY, FRACTION
from nbnet.engine.kernels.abi import Kernel, device, root
from nbnet.optimizers.hyperparams import BoolHyper, CommonOptions, Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.schedules import LearningRateSchedule
from nbnet.optimizers.update import UpdateKernel


class Adagrad(Optimizer):
    """Gradient divided by the root of the sum of all its squares so far.

    Parameters
    ----------
    initial_accumulator_value : float
        Initial value of the sums of squares.
    epsilon : float
        Added under the root.

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
    initial_accumulator_value = Hyper()
    slots = ("accumulator",)

    @device
    def prepare(learning_rate: Any, h: Any, step: Any) -> Any:
        return learning_rate, h[0]

    @device
    def update(p: Any, g: Any, total: Any, b: Any, c: Any, k: Any) -> None:
        lr, epsilon = p.dtype.type(k[0]), p.dtype.type(k[1])
        for i in range(p.size):
            ti = total[i] + g[i] * g[i]
            total[i] = ti
            p[i] -= lr * g[i] / root(ti + epsilon)

    kernel = UpdateKernel("adagrad", prepare, update)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **common: Unpack[CommonOptions],
    ) -> None:
        own = {"epsilon": epsilon, "initial_accumulator_value": initial_accumulator_value}
        super().__init__(learning_rate, own, **common)

    def initial(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0


class Adadelta(Optimizer):
    """Gradient scaled so that a step has the units, and the average size, of earlier steps.

    The paper's step is that of a learning rate of 1.

    Parameters
    ----------
    rho : float
        In [0, 1): decay of the averages.
    epsilon : float
        Added under the roots.

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
    slots = paired = ("accumulated_gradient", "accumulated_change")

    @device
    def prepare(learning_rate: Any, h: Any, step: Any) -> Any:
        return learning_rate, 1.0 - h[0], h[1]

    @device
    def update(p: Any, g: Any, a: Any, s: Any, c: Any, k: Any) -> None:
        lr, d, epsilon = p.dtype.type(k[0]), p.dtype.type(k[1]), p.dtype.type(k[2])
        for i in range(p.size):
            ai = a[i] + (g[i] * g[i] - a[i]) * d
            change = root((s[i] + epsilon) / (ai + epsilon)) * g[i]
            a[i] = ai
            s[i] += (change * change - s[i]) * d
            p[i] -= lr * change

    kernel = UpdateKernel("adadelta", prepare, update)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, {"rho": rho, "epsilon": epsilon}, **common)


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


_rmsprop, _rmsprop_full = UpdateKernel("rmsprop", _prepare, _plain), UpdateKernel("rmsprop_full", _prepare, _full)


class RMSprop(Optimizer):
    """Gradient divided by the root of a running average of its square.

    Parameters
    ----------
    rho : float
        In [0, 1): decay of the average.
    momentum : float
        In [0, 1]: share of the last step that the next one keeps.
    epsilon : float
        Added under the root.
    centered : bool
        If True, divide by the root of an estimate of the variance, not of the second moment.

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
    centered = BoolHyper()
    slots = ("velocity", "momentum", "average_gradient")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **common: Unpack[CommonOptions],
    ) -> None:
        own = {"rho": rho, "momentum": momentum, "epsilon": epsilon, "centered": centered}
        super().__init__(learning_rate, own, **common)

    def _is_full(self) -> bool:
        return self.momentum > 0 or self.centered

    @property
    def kernel(self) -> Kernel:
        return _rmsprop_full if self._is_full() else _rmsprop

    def used_slots(self) -> tuple[str, ...]:
        return self.slots if self._is_full() else self.slots[:1]

    def slot_groups(self) -> list[list[str]]:
        without = [["momentum"]] * (self.momentum == 0) + [["average_gradient"]] * (not self.centered)
        return [group for group in super().slot_groups() if group not in without]
