"""RMSprop: ``v = rho v + (1 - rho) g**2``, ``p -= lr g / sqrt(v + eps)``; centred and with momentum if asked."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nbnet.core.abi import attribute, doublevec, kernel, mat, vec
from nbnet.optimizers.optimizer import BLOCK, Optimizer, sum_slices


@kernel
def rmsprop(mem: Any, ins: Any, step: Any) -> None:
    p, g, c, v = vec(mem, ins, 0), mat(mem, ins, 1), doublevec(mem, ins, 2), vec(mem, ins, 3)
    real = p.dtype.type
    lr, d, epsilon = real(c[0]), real(1.0 - c[1]), real(c[3])
    for low in range(attribute(ins, 0), attribute(ins, 1), BLOCK):
        high = min(low + BLOCK, attribute(ins, 1))
        pb, gb, vb = p[low:high], sum_slices(g, low, high), v[low:high]
        for i in range(gb.size):
            vi = vb[i] + (gb[i] * gb[i] - vb[i]) * d
            vb[i] = vi
            pb[i] -= lr * gb[i] / np.sqrt(vi + epsilon)


@kernel
def rmsprop_full(mem: Any, ins: Any, step: Any) -> None:
    """With momentum (which may be 0) and an average gradient (which may be unused)."""
    p, g, c = vec(mem, ins, 0), mat(mem, ins, 1), doublevec(mem, ins, 2)
    v, m, average = vec(mem, ins, 3), vec(mem, ins, 4), vec(mem, ins, 5)
    real = p.dtype.type
    lr, d, momentum, epsilon, centered = real(c[0]), real(1.0 - c[1]), real(c[2]), real(c[3]), real(c[4])
    for low in range(attribute(ins, 0), attribute(ins, 1), BLOCK):
        high = min(low + BLOCK, attribute(ins, 1))
        pb, gb, vb = p[low:high], sum_slices(g, low, high), v[low:high]
        mb, ab = m[low:high], average[low:high]
        for i in range(gb.size):
            gi = gb[i]
            vi = vb[i] + (gi * gi - vb[i]) * d
            ai = ab[i] + (gi - ab[i]) * d
            vb[i] = vi
            ab[i] = ai
            # A variance; where rounding makes it negative, the root would be NaN.
            spread = max(vi - centered * ai * ai, 0.0)
            mi = momentum * mb[i] + lr * gi / np.sqrt(spread + epsilon)
            mb[i] = mi
            pb[i] -= mi


class RMSprop(Optimizer):
    """Gradient divided by a running average of its magnitude.

    Parameters
    ----------
    learning_rate
        Size of a step.
    rho
        In [0, 1): decay of the average.
    momentum
        In [0, 1): share of the last step that is kept.
    epsilon
        Added under the root.
    centered
        Whether to divide by an estimate of the variance, not of the second moment.

    Raises
    ------
    ValueError
        If a number is out of range.

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

    hyper: ClassVar[tuple[str, ...]] = ("learning_rate", "rho", "momentum", "epsilon", "centered")
    fractions: ClassVar[tuple[str, ...]] = ("rho", "momentum")

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            rho=rho,
            momentum=momentum,
            epsilon=epsilon,
            centered=bool(centered),
        )

    def _is_full(self) -> bool:
        return self.momentum > 0 or self.centered > 0

    @property
    def kernel(self) -> Any:  # type: ignore[override]
        return rmsprop_full if self._is_full() else rmsprop

    def used_slots(self) -> tuple[str, ...]:
        return ("velocity", "momentum", "average_gradient") if self._is_full() else ("velocity",)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"centered": bool(self.centered)}
