"""Adam: ``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g**2``, ``p -= lr sqrt(1 - b2**t) / (1 - b1**t) m / (sqrt(v)
+ eps)``."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nbnet.core.abi import attribute, doublevec, kernel, mat, present, vec
from nbnet.optimizers.optimizer import BLOCK, Optimizer, sum_slices


@kernel
def adam(mem: Any, ins: Any, step: Any) -> None:
    p, g, c = vec(mem, ins, 0), mat(mem, ins, 1), doublevec(mem, ins, 2)
    m, v, top = vec(mem, ins, 3), vec(mem, ins, 4), vec(mem, ins, 5)
    real = p.dtype.type
    t = np.float64(step + 1)
    alpha = real(c[0] * np.sqrt(1.0 - c[2] ** t) / (1.0 - c[1] ** t))
    d1, d2, epsilon = real(1.0 - c[1]), real(1.0 - c[2]), real(c[3])
    for low in range(attribute(ins, 0), attribute(ins, 1), BLOCK):
        high = min(low + BLOCK, attribute(ins, 1))
        pb, gb, mb, vb = p[low:high], sum_slices(g, low, high), m[low:high], v[low:high]
        if present(ins, 5):
            tb = top[low:high]
            for i in range(gb.size):
                mi = mb[i] + (gb[i] - mb[i]) * d1
                vi = vb[i] + (gb[i] * gb[i] - vb[i]) * d2
                mb[i] = mi
                vb[i] = vi
                tb[i] = max(tb[i], vi)
                pb[i] -= alpha * mi / (np.sqrt(tb[i]) + epsilon)
        else:
            for i in range(gb.size):
                mi = mb[i] + (gb[i] - mb[i]) * d1
                vi = vb[i] + (gb[i] * gb[i] - vb[i]) * d2
                mb[i] = mi
                vb[i] = vi
                pb[i] -= alpha * mi / (np.sqrt(vi) + epsilon)


class Adam(Optimizer):
    """Adaptive moment estimation, in Keras's form: epsilon is added to the uncorrected square root.

    Weights of units that dropout dropped have a gradient of 0 in that step, and still move: by their first moment.

    Parameters
    ----------
    learning_rate
        Size of a step.
    beta_1, beta_2
        In [0, 1): decay of the first and second moment.
    epsilon
        Added to the root of the second moment ("epsilon hat" in section 2 of the paper).
    amsgrad
        Whether to divide by the largest second moment so far.

    Raises
    ------
    ValueError
        If a number is out of range.

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

    kernel = adam
    hyper: ClassVar[tuple[str, ...]] = ("learning_rate", "beta_1", "beta_2", "epsilon")
    fractions: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
        )
        self.amsgrad = bool(amsgrad)

    def used_slots(self) -> tuple[str, ...]:
        return ("momentum", "velocity", "velocity_max") if self.amsgrad else ("momentum", "velocity")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"amsgrad": self.amsgrad}
