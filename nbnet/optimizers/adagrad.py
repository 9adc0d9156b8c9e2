"""Adagrad and its descendants, which divide a gradient by the root of its squares so far; FTRL, which keeps them.

Adagrad is ``a += g**2``, ``p -= lr g / sqrt(a + eps)``; Adadelta and RMSprop forget old gradients. RMSprop is ``v = rho
v + (1 - rho) g**2``, ``p -= lr g / sqrt(v + eps)``; optionally centered, with momentum. Adafactor keeps the squares of
a matrix by row and column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from nbnet.base.validation import ABOVE_ZERO, DECAY, FRACTION, Interval
from nbnet.engine.graph.parameter import FlatParams, Parameter
from nbnet.engine.kernels.abi import Function, Kernel, device, root
from nbnet.engine.kernels.math import exp, log
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


class Adafactor(Optimizer):
    """Adaptive steps whose squares are kept by row and column: of a matrix (n, m), n + m numbers decide the step.

    Its rule is written in Python: a model is trained by a loop in Python, one parameter after the other.

    Parameters
    ----------
    beta_2_decay : float
        Up to 0: in update t, ``1 - t**beta_2_decay`` of the squares is kept.
    epsilon_1 : float
        Added to the squares of gradients.
    epsilon_2 : float
        The least scale of a parameter, by which its step is multiplied.
    clip_threshold : float
        The largest root mean square of a step before it is scaled.
    relative_step : bool
        Accepted as in Keras; there and here the learning rate is at most ``1 / sqrt(t)`` in any case.

    References
    ----------
    N. Shazeer, M. Stern: Adafactor: adaptive learning rates with sublinear memory cost. ICML 2018.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([[1.0, 2.0], [3.0, 4.0]])
    >>> nb.optimizers.Adafactor(learning_rate=0.5).apply([[[1.0, 6.0], [7.0, 2.0]]], [w])
    >>> w.numpy().round(2)
    array([[ 0.7 , -0.01],
           [ 1.25,  3.44]], dtype=float32)
    """

    beta_2_decay = Hyper(Interval(-math.inf, 0))
    epsilon_1 = Hyper()
    epsilon_2 = Hyper()
    clip_threshold = Hyper(ABOVE_ZERO)
    relative_step = BoolHyper()

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **common: Unpack[CommonOptions],
    ) -> None:
        own = {"beta_2_decay": beta_2_decay, "epsilon_1": epsilon_1, "epsilon_2": epsilon_2}
        own |= {"clip_threshold": clip_threshold, "relative_step": relative_step}
        super().__init__(learning_rate, own, **common)
        #: The squares of each parameter by row, by column, and as they are used.
        self._squares: list[tuple[Parameter, Parameter, Parameter]] = []

    def build(self, variables: Sequence[Parameter]) -> FlatParams:
        block = super().build(variables)
        self._squares = []
        for p in variables:
            # A vector has none by row and column; Keras keeps a zero in their place.
            shapes = (p.shape[:-1], (*p.shape[:-2], p.shape[-1])) if p.ndim > 1 else ((), ())
            rows, columns = (self.add_variable(shape, dtype=p.dtype, name=p.name) for shape in shapes)
            self._squares.append((rows, columns, self.add_variable_from_reference(p, "velocity")))
        return block

    def update_step(self, gradient: Any, variable: Parameter, learning_rate: Any) -> None:
        """Change a parameter, and the squares of its gradients, by its gradient."""
        g, t, rate = gradient.numpy(), self.iterations + 1, float(learning_rate)
        rows, columns, both = self._squares[self._get_variable_index(variable)]
        scale = max(self.epsilon_2, _root_mean_square(variable.memory())) * min(rate, t**-0.5)
        squares, kept = g * g + g.dtype.type(self.epsilon_1), 1.0 - t**self.beta_2_decay
        if variable.ndim > 1:
            self.assign(rows, rows.memory() * kept + squares.mean(-1) * (1.0 - kept))
            self.assign(columns, columns.memory() * kept + squares.mean(-2) * (1.0 - kept))
            shares = rows.memory() / rows.memory().mean(-1, keepdims=True)
            self.assign(both, shares[..., None] * columns.memory()[..., None, :])
        else:
            self.assign(both, both.memory() * kept + squares * (1.0 - kept))
        step = g / np.sqrt(both.memory())
        self.assign_sub(variable, step * (scale / max(1.0, _root_mean_square(step) / self.clip_threshold)))


def _root_mean_square(x: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


@device
def _prepare_ftrl(learning_rate: Any, h: Any, step: Any) -> Any:
    # 1 / lr, the exponent, l1, twice the whole l2, twice the shrinkage. With a learning rate of 0 nothing changes.
    rate = 1.0 / learning_rate if learning_rate > 0 else np.float64(0)
    return rate, -h[0], h[1], 2.0 * h[2] + h[4] * rate, 2.0 * h[3]


@device
def _root(x: Any, exponent: Any) -> Any:
    return np.sqrt(x)


@device
def _any_power(x: Any, exponent: Any) -> Any:
    return 1.0 if exponent == 0.0 else exp(exponent * log(x))


def _kernel(name: str, power: Function) -> Kernel:
    def update(p: Any, g: Any, total: Any, linear: Any, c: Any, k: Any) -> None:
        real = p.dtype.type
        rate, exponent, l1, l2, shrinkage = real(k[0]), real(k[1]), real(k[2]), real(k[3]), real(k[4])
        if rate > 0.0:
            for i in range(p.size):
                ti = total[i] + g[i] * g[i]
                after = power(ti, exponent)
                z = linear[i] + g[i] + shrinkage * p[i] - (after - power(total[i], exponent)) * rate * p[i]
                total[i] = ti
                linear[i] = z
                bounded = -l1 if z < -l1 else z
                bounded = l1 if bounded > l1 else bounded
                curvature = after * rate + l2
                p[i] = p[i] if curvature == 0.0 else (bounded - z) / curvature

    return UpdateKernel(name, _prepare_ftrl, Function(update, name))


_ftrl, _ftrl_power = _kernel("ftrl", _root), _kernel("ftrl_power", _any_power)


class Ftrl(Optimizer):
    """Follow the regularized leader: with an L1 penalty, parameters become exactly 0.

    With ``a`` the sum of squared gradients before a step, ``a'`` after it and ``q = -learning_rate_power``: the linear
    term ``z`` grows by ``g + 2 l2_shrinkage p - (a'**q - a**q) / lr p``, and the parameter becomes ``(clip(z, -l1, l1)
    - z) / (a'**q / lr + 2 l2 + beta / lr)``. A learning rate of 0 changes nothing.

    Parameters
    ----------
    learning_rate_power : float
        At most 0: exponent of the sum of squares in the learning rate; values other than -0.5 are slower.
    initial_accumulator_value : float
        Initial value of the sums of squares.
    l1_regularization_strength, l2_regularization_strength : float
        Penalties on the parameters.
    l2_shrinkage_regularization_strength : float
        Penalty that acts through the gradient.
    beta : float
        Added, in effect, to the root of the sum of squares.

    References
    ----------
    H. B. McMahan and others: Ad click prediction: a view from the trenches. KDD 2013.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([0.0, 0.0])
    >>> optimizer = nb.optimizers.Ftrl(0.5, initial_accumulator_value=0.0, l1_regularization_strength=0.25)
    >>> optimizer.apply([[1.0, 0.25]], [w])
    >>> w.numpy()
    array([-0.375,  0.   ], dtype=float32)
    """

    learning_rate_power = Hyper(Interval(-math.inf, 0))
    l1_regularization_strength = Hyper()
    l2_regularization_strength = Hyper()
    l2_shrinkage_regularization_strength = Hyper()
    beta = Hyper()
    initial_accumulator_value = Hyper()
    slots = paired = ("accumulator", "linear")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **common: Unpack[CommonOptions],
    ) -> None:
        own = {
            "learning_rate_power": learning_rate_power,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
            "beta": beta,
            "initial_accumulator_value": initial_accumulator_value,
        }
        super().__init__(learning_rate, own, **common)

    @property
    def kernel(self) -> Kernel:
        return _ftrl if self.learning_rate_power == -0.5 else _ftrl_power

    def initial(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0
