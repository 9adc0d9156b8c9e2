"""Follow the regularized leader: parameters that minimise all gradients and penalties so far."""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from nbnet.base.validation import Interval
from nbnet.engine.kernels.abi import Function, Kernel, device
from nbnet.engine.kernels.math import exp, log
from nbnet.optimizers.hyperparams import CommonOptions, Hyper
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.schedules import LearningRateSchedule
from nbnet.optimizers.update import UpdateKernel


@device
def _prepare(learning_rate: Any, h: Any, step: Any) -> Any:
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

    return UpdateKernel(name, _prepare, Function(update, name))


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
