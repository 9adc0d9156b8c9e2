"""``mean(w * u**gamma * crossentropy)`` over the last axis, where u is the probability given to what is wrong,
``t (1 - p) + (1 - t) p``, and w weighs the classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import data
from nbnet.core.abi import Function, device
from nbnet.core.graph import Tensor
from nbnet.core.math import exp, log, log1p, sigmoid
from nbnet.core.op import Op
from nbnet.losses.binary_crossentropy import smooth
from nbnet.losses.crossentropy import Crossentropy, clip
from nbnet.losses.loss import Array
from nbnet.losses.pairwise import pairwise
from nbnet.ops.sigmoid import SIGMOID

# Bases of powers are no smaller.
TINY = 1e-30


@device
def power(u: Any, gamma: Any) -> Any:
    """``u ** gamma`` for u from 0 on, in arithmetic that turns into vector code."""
    return exp(gamma * log(max(u, TINY)))


@device
def _probabilities(p: Any, s: Any) -> Any:
    """Of a prediction and its target: what the wrong class is given, the cross-entropy, and the derivatives of both."""
    q = clip(p)
    dc = (q - s) / (q * (1.0 - q)) if p == q else 0.0
    return s * (1.0 - p) + (1.0 - s) * p, -s * log(q) - (1.0 - s) * log(1.0 - q), 1.0 - 2.0 * s, dc


@device
def _logits(z: Any, s: Any) -> Any:
    e = exp(-abs(z))
    p, n = sigmoid(z), sigmoid(-z)
    return s * n + (1.0 - s) * p, max(z, 0.0) - z * s + log1p(e), (1.0 - 2.0 * s) * p * n, p - s


@device
def _parameters(p: Any) -> Any:
    """Label smoothing, gamma, and the weights of class 1 and of class 0."""
    return p[0], p[1], p[2], p[3]


def _focal(name: str, parts: Function) -> Op:
    """The op for predictions of which ``parts`` tells."""

    @device
    def f(z: Any, t: Any, a: Any) -> Any:
        smoothing, gamma, one, zero = a
        s = smooth(t, smoothing)
        u, c, _du, _dc = parts(z, s)
        return (s * one + (1.0 - s) * zero) * power(u, gamma) * c

    @device
    def df(z: Any, t: Any, a: Any) -> Any:
        smoothing, gamma, one, zero = a
        s = smooth(t, smoothing)
        u, c, du, dc = parts(z, s)
        return (s * one + (1.0 - s) * zero) * power(u, gamma - 1.0) * (gamma * du * c + max(u, TINY) * dc)

    return pairwise(name, f, df, parameters=_parameters)


BINARY_FOCAL_CROSSENTROPY = _focal("binary_focal_crossentropy", _probabilities)
BINARY_FOCAL_CROSSENTROPY_LOGITS = _focal("binary_focal_crossentropy_logits", _logits)


class BinaryFocalCrossentropy(Crossentropy):
    """Binary cross-entropy in which easy samples count less.

    Parameters
    ----------
    apply_class_balancing
        Whether class 1 is weighed with alpha and class 0 with ``1 - alpha``.
    alpha
        In [0, 1].
    gamma
        From 0: how much less easy samples count; with 0 this is the cross-entropy.
    from_logits
        Whether predictions are logits. A sigmoid right before the loss is recognised and treated as logits.
    label_smoothing
        In [0, 1]: targets are moved by this share towards 0.5.
    axis
        The last one.
    reduction, name
        See :class:`Loss`.

    Raises
    ------
    ValueError
        If alpha, gamma, label_smoothing or a target lies outside its range.

    References
    ----------
    T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollar: Focal loss for dense object detection. ICCV (2017).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.BinaryFocalCrossentropy()([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
    0.1733
    """

    name = "binary_focal_crossentropy"
    activation = SIGMOID.op
    of_probabilities, of_logits = BINARY_FOCAL_CROSSENTROPY, BINARY_FOCAL_CROSSENTROPY_LOGITS

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha, self.gamma = data.as_number(alpha, "alpha"), check_gamma(gamma)
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha: wants a number in [0, 1], got {alpha!r}")

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return data.check_probabilities(super().targets(y, name, n, shape, dtype), name)

    def _parameters(self, width: int) -> list[float]:
        weights = [self.alpha, 1.0 - self.alpha] if self.apply_class_balancing else [1.0, 1.0]
        return [self.label_smoothing, self.gamma, *weights]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "apply_class_balancing": self.apply_class_balancing,
            "alpha": self.alpha,
            "gamma": self.gamma,
        }


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Focal cross-entropy of each sample; see :class:`BinaryFocalCrossentropy`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.binary_focal_crossentropy([[0.0, 1.0], [0.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]]).numpy().round(3)
    array([0.33 , 0.206], dtype=float32)
    """
    loss = BinaryFocalCrossentropy(apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis)
    return loss.each(y_true, y_pred)


def check_gamma(value: Any) -> float:
    """The exponent of a focal loss: a number from 0."""
    gamma = data.as_number(value, "gamma")
    if not 0 <= gamma < np.inf:
        raise ValueError(f"gamma: wants a number from 0, got {value!r}")
    return gamma
