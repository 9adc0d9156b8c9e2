"""AdamW: Adam, with ``p -= wd lr p`` before each update."""

from __future__ import annotations

from typing import Any, Unpack

from nbnet.optimizers.adam import Adam
from nbnet.optimizers.settings import Extras


class AdamW(Adam):
    """Adam with weight decay that does not pass through the moments.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        Size of a step.
    weight_decay : float
        Before each update, a parameter p loses ``p * weight_decay * learning_rate``.
    beta_1, beta_2, epsilon, amsgrad
        See :class:`Adam`.
    **common
        See :class:`Optimizer`.

    Raises
    ------
    ValueError
        If a number is out of range.

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
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[Extras],
    ) -> None:
        if weight_decay is None:
            raise ValueError("weight_decay: wants a finite number from 0; Adam goes without")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **common)
