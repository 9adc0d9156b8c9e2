"""Adam and its variants.

Adam is ``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g**2``, ``p -= lr sqrt(1 - b2**t) / (1 - b1**t) m / (sqrt(v) +
eps)``.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from nbnet.base.validation import DECAY
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Call
from nbnet.engine.kernels.abi import Kernel, device, doublevec, kernel, root
from nbnet.optimizers.hyperparams import BoolHyper, CommonOptions, Hyper, OptimizerNumber, OptionsWithoutDecay
from nbnet.optimizers.optimizer import Optimizer
from nbnet.optimizers.schedules import LearningRateSchedule
from nbnet.optimizers.update import OWN, UpdateKernel, in_place


@device
def _adam_prepare(learning_rate: Any, h: Any, step: Any) -> Any:
    t = np.float64(step + 1)
    return learning_rate * np.sqrt(1.0 - h[1] ** t) / (1.0 - h[0] ** t), 1.0 - h[0], 1.0 - h[1], h[2]


@device
def _adam_update(p: Any, g: Any, m: Any, v: Any, c: Any, k: Any) -> None:
    real = p.dtype.type
    alpha, d1, d2, epsilon = real(k[0]), real(k[1]), real(k[2]), real(k[3])
    for i in range(p.size):
        mi = m[i] + (g[i] - m[i]) * d1
        vi = v[i] + (g[i] * g[i] - v[i]) * d2
        m[i] = mi
        v[i] = vi
        p[i] -= alpha * mi / (root(vi) + epsilon)


@device
def _amsgrad_update(p: Any, g: Any, m: Any, v: Any, top: Any, k: Any) -> None:
    real = p.dtype.type
    alpha, d1, d2, epsilon = real(k[0]), real(k[1]), real(k[2]), real(k[3])
    for i in range(p.size):
        mi = m[i] + (g[i] - m[i]) * d1
        vi = v[i] + (g[i] * g[i] - v[i]) * d2
        m[i] = mi
        v[i] = vi
        vi = top[i] if top[i] > vi else vi
        top[i] = vi
        p[i] -= alpha * mi / (root(vi) + epsilon)


_adam = UpdateKernel("adam", _adam_prepare, _adam_update)
_amsgrad = UpdateKernel("amsgrad", _adam_prepare, _amsgrad_update)


class MomentOptimizer(Optimizer):
    """Base class of the optimizers with decaying moments."""

    beta_1 = Hyper(DECAY)
    beta_2 = Hyper(DECAY)
    epsilon = Hyper()

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}, **common)


class Adam(MomentOptimizer):
    """Adaptive moment estimation, in Keras's form: epsilon is added to the uncorrected square root.

    The weights of dropped units have a gradient of 0 in that step and still move, by their first moment.

    Parameters
    ----------
    beta_1, beta_2 : float
        In [0, 1): decay of the first and second moment.
    epsilon : float
        Added to the root of the second moment ("epsilon hat" in section 2 of the paper).
    amsgrad : bool
        If True, divide by the largest second moment so far.

    References
    ----------
    D. P. Kingma, J. Ba: Adam: a method for stochastic optimization. ICLR 2015.
    S. J. Reddi, S. Kale, S. Kumar: On the convergence of Adam and beyond. ICLR 2018 (amsgrad).

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.Adam(learning_rate=0.5).apply([[1.0]], [w])
    >>> w.numpy().round(4)
    array([0.5], dtype=float32)
    """

    amsgrad = BoolHyper()
    slots = ("momentum", "velocity", "velocity_hat")
    paired = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **common)
        self.amsgrad = amsgrad

    @property
    def kernel(self) -> Kernel:
        return _amsgrad if self.amsgrad else _adam

    def used_slots(self) -> tuple[str, ...]:
        return self.slots if self.amsgrad else self.slots[:2]


class AdamW(Adam):
    """Adam with weight decay that does not pass through the moments.

    Parameters
    ----------
    weight_decay : float
        Before each update, a parameter p loses ``p * weight_decay * learning_rate``.
    beta_1, beta_2, epsilon, amsgrad
        See :class:`Adam`.

    References
    ----------
    I. Loshchilov, F. Hutter: Decoupled weight decay regularization. ICLR 2019.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.AdamW(learning_rate=0.5, weight_decay=0.1).apply([[0.0]], [w])
    >>> w.numpy()
    array([0.95], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[OptionsWithoutDecay],
    ) -> None:
        if weight_decay is None:
            raise ValueError("weight_decay: expected a finite number from 0, got None; without weight decay, take Adam")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **common)


class Adamax(MomentOptimizer):
    """Adam with a decaying maximum of gradients in place of the second moment.

    Parameters
    ----------
    beta_1, beta_2 : float
        In [0, 1): decay of the first moment, and of the maximum.
    epsilon : float
        Added to the maximum.

    References
    ----------
    D. P. Kingma, J. Ba: Adam: a method for stochastic optimization. ICLR 2015, section 7.1.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.Adamax(learning_rate=0.5).apply([[2.0]], [w])
    >>> w.numpy()
    array([0.5], dtype=float32)
    """

    slots = paired = ("momentum", "norm")

    @device
    def prepare(learning_rate: Any, h: Any, step: Any) -> Any:
        return learning_rate / (1.0 - h[0] ** np.float64(step + 1)), 1.0 - h[0], h[1], h[2]

    @device
    def update(p: Any, g: Any, m: Any, u: Any, c: Any, k: Any) -> None:
        real = p.dtype.type
        alpha, d, beta, epsilon = real(k[0]), real(k[1]), real(k[2]), real(k[3])
        for i in range(p.size):
            mi = m[i] + (g[i] - m[i]) * d
            decayed, size = beta * u[i], abs(g[i])
            ui = decayed if decayed > size else size
            m[i] = mi
            u[i] = ui
            p[i] -= alpha * mi / (ui + epsilon)

    kernel = UpdateKernel("adamax", prepare, update)


#: Nadam's own numbers beside its hyperparameters: the running product of momenta, the base of their schedule.
PRODUCT, BASE = 3, 4


@device
def momentum_at(beta: Any, base: Any, t: Any) -> Any:
    """The momentum of update t, counted from 1."""
    return beta * (1.0 - 0.5 * base**t)


@kernel(extents="cells:f8[cells]", within=lambda sizes: sizes["cells"] > OWN + BASE)
def multiply_momentum(mem: Any, ins: Any, step: Any) -> None:
    """Before an update, multiply the running product by the momentum of this one."""
    h = doublevec(mem, ins, 0)[OWN:]
    h[PRODUCT] *= momentum_at(h[0], h[BASE], np.float64(step + 1))


class Nadam(MomentOptimizer):
    """Adam with Nesterov's momentum.

    With ``u_t = beta_1 (1 - 0.96**t / 2)`` and ``U_t = u_1 u_2 ... u_t``, the first moment that a step follows is
    ``u_{t+1} m / (1 - U_{t+1}) + (1 - u_t) g / (1 - U_t)``.

    Parameters
    ----------
    beta_1, beta_2 : float
        In [0, 1): decay of the first and second moment.
    epsilon : float
        Added to the root of the corrected second moment.

    References
    ----------
    T. Dozat: Incorporating Nesterov momentum into Adam. ICLR 2016 workshop.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([1.0])
    >>> nb.optimizers.Nadam(learning_rate=0.5).apply([[1.0]], [w])
    >>> w.numpy().round(4)
    array([0.4686], dtype=float32)
    """

    slots = paired = ("momentum", "velocity")
    extra = (1.0, 0.96)

    @device
    def prepare(learning_rate: Any, h: Any, step: Any) -> Any:
        t = np.float64(step + 1)
        now, next_ = momentum_at(h[0], h[BASE], t), momentum_at(h[0], h[BASE], t + 1.0)
        of_m = next_ / (1.0 - h[PRODUCT] * next_)
        of_g = (1.0 - now) / (1.0 - h[PRODUCT])
        # sqrt(v / (1 - b2**t)) + eps, times the root of the correction.
        correction = np.sqrt(1.0 - h[1] ** t)
        return learning_rate * correction, of_m, of_g, 1.0 - h[0], 1.0 - h[1], h[2] * correction

    @device
    def update(p: Any, g: Any, m: Any, v: Any, c: Any, k: Any) -> None:
        real = p.dtype.type
        alpha, of_m, of_g = real(k[0]), real(k[1]), real(k[2])
        d1, d2, epsilon = real(k[3]), real(k[4]), real(k[5])
        for i in range(p.size):
            gi = g[i]
            mi = m[i] + (gi - m[i]) * d1
            vi = v[i] + (gi * gi - v[i]) * d2
            m[i] = mi
            v[i] = vi
            p[i] -= alpha * (of_m * mi + of_g * gi) / (root(vi) + epsilon)

    kernel = UpdateKernel("nadam", prepare, update)

    def prelude(self) -> list[Call]:
        every = self.gradient_accumulation_steps or 1
        return [*super().prelude(), in_place(multiply_momentum, (self._cells(),), (0,), (), self._built().dtype, every)]

    def initial(self, slot: str) -> float:
        return 1.0 if slot == "momentum_product" else 0.0

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        product = self.cells[OWN + PRODUCT :][:1]
        return super().state | ({} if self.block is None else {"momentum_product": product})

    @property
    def variables(self) -> list[Parameter | OptimizerNumber]:
        product = self.state.get("momentum_product")
        return super().variables + ([] if product is None else [Parameter.over(product.reshape(()), "product")])
