"""Focal cross-entropies: ``w * u**gamma * crossentropy``, where u is the probability of the wrong class, ``t (1 - p) +
(1 - t) p``, and w weighs the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbnet.base.validation import FRACTION, FROM_ZERO
from nbnet.engine.graph.op import Op, Spec
from nbnet.engine.graph.tensor import Tensor
from nbnet.engine.kernels.abi import Function, accumulates, device, kernel, mat, vec
from nbnet.engine.kernels.math import exp, expm1, log, log1p, sigmoid
from nbnet.losses.crossentropy import Crossentropy, clip, smooth
from nbnet.losses.loss import infer_rows, loss_op, one_or_many, pairwise
from nbnet.ops.activation import SIGMOID
from nbnet.ops.softmax import SOFTMAX, largest

#: Smallest base of a power.
TINY = 1e-30


@device
def power(u: Any, gamma: Any) -> Any:
    """``u ** gamma`` for u from 0 on, in arithmetic that compiles to vector code."""
    return exp(gamma * log(max(u, TINY)))


@device
def _probabilities(p: Any, s: Any) -> Any:
    """Of a prediction and its target: probability of the wrong class, cross-entropy, and the derivatives of both."""
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
    """The op for probabilities or logits, which ``parts`` reads."""

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

    return pairwise(name, f, df, parameters=_parameters, numbers=4)


BINARY_FOCAL_CROSSENTROPY = _focal("binary_focal_crossentropy", _probabilities)
BINARY_FOCAL_CROSSENTROPY_LOGITS = _focal("binary_focal_crossentropy_logits", _logits)


class BinaryFocalCrossentropy(Crossentropy):
    """Binary cross-entropy in which easy samples count less.

    Parameters
    ----------
    apply_class_balancing : bool
        If True, class 1 has the weight alpha and class 0 the weight ``1 - alpha``.
    alpha : float
        In [0, 1].
    gamma : float
        From 0: easy samples count less with a larger gamma; 0 makes this the cross-entropy.

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

    _arguments = (*Crossentropy._arguments, "apply_class_balancing", "alpha", "gamma")
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
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha, self.gamma = FRACTION.check(alpha, "alpha"), FROM_ZERO.check(gamma, "gamma")

    def _parameters(self, width: int) -> list[float]:
        weights = [self.alpha, 1.0 - self.alpha] if self.apply_class_balancing else [1.0, 1.0]
        return [self.label_smoothing, self.gamma, *weights]


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


# Of the following kernels, the parameters are one vector: label smoothing, gamma, and alpha of each class.


@kernel
def logits_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, p, y, logs = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), mat(mem, ins, 4)
    a, gamma = p[0], p[1]
    even = a / z.dtype.type(z.shape[1])
    for i in range(z.shape[0]):
        top, whole, total = largest(z[i]), 0.0, 0.0
        for j in range(z.shape[1]):
            whole += exp(z[i, j] - top)
        norm = top + log(whole)
        for j in range(z.shape[1]):
            logs[i, j] = z[i, j] - norm
        for j in range(z.shape[1]):
            weight = p[2 + j] * (t[i, j] * (1.0 - a) + even)
            total -= weight * power(-expm1(logs[i, j]), gamma) * logs[i, j]
        y[i] = total


@kernel
def logits_backward(mem: Any, ins: Any, step: Any) -> None:
    logs, t, p, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), mat(mem, ins, 4)
    work = mat(mem, ins, 5)
    a, gamma = p[0], p[1]
    even, add = a / logs.dtype.type(logs.shape[1]), accumulates(ins, 4)
    for i in range(logs.shape[0]):
        total = 0.0
        for j in range(logs.shape[1]):
            weight, u = p[2 + j] * (t[i, j] * (1.0 - a) + even), -expm1(logs[i, j])
            d = weight * power(u, gamma - 1.0) * (gamma * logs[i, j] * exp(logs[i, j]) - max(u, TINY))
            work[i, j] = d
            total += d
        for j in range(logs.shape[1]):
            d, old = dy[i] * (work[i, j] - exp(logs[i, j]) * total), dz[i, j]
            dz[i, j] = old + d if add else d


@kernel
def probabilities_forward(mem: Any, ins: Any, step: Any) -> None:
    z, t, p, y = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3)
    a, gamma = p[0], p[1]
    even = a / z.dtype.type(z.shape[1])
    for i in range(z.shape[0]):
        whole, total = 0.0, 0.0
        for j in range(z.shape[1]):
            whole += z[i, j]
        for j in range(z.shape[1]):
            q = clip(z[i, j] / whole)
            total -= p[2 + j] * (t[i, j] * (1.0 - a) + even) * power(1.0 - q, gamma) * log(q)
        y[i] = total


@kernel
def probabilities_backward(mem: Any, ins: Any, step: Any) -> None:
    z, t, p, dy, dz = mat(mem, ins, 0), mat(mem, ins, 1), vec(mem, ins, 2), vec(mem, ins, 3), mat(mem, ins, 4)
    work = mat(mem, ins, 5)
    a, gamma = p[0], p[1]
    even, add = a / z.dtype.type(z.shape[1]), accumulates(ins, 4)
    for i in range(z.shape[0]):
        whole, through = 0.0, 0.0
        for j in range(z.shape[1]):
            whole += z[i, j]
        for j in range(z.shape[1]):
            q = z[i, j] / whole
            weight = p[2 + j] * (t[i, j] * (1.0 - a) + even)
            d = weight * power(1.0 - q, gamma - 1.0) * (gamma * log(q) - (1.0 - q) / q)
            d = d if clip(q) == q else 0.0
            work[i, j] = d
            through += d * q
        for j in range(z.shape[1]):
            d, old = dy[i] * (work[i, j] - through) / whole, dz[i, j]
            dz[i, j] = old + d if add else d


def _infer_focal(z: Tensor, t: Tensor, p: Tensor) -> tuple[Spec, ...]:
    if p.size != z.shape[-1] + 2:
        raise ValueError(f"alpha: expected one number, or one for each of {z.shape[-1]} classes, got {p.size - 2}")
    return infer_rows(z, t)


_EXTENTS = "z[r,c] t[r,c] p[numbers] y[r] logs[r,c] work[r,c]"


def _within(sizes: Mapping[str, int]) -> bool:
    return sizes["numbers"] == sizes["c"] + 2


CATEGORICAL_FOCAL_CROSSENTROPY_LOGITS = loss_op(
    "categorical_focal_crossentropy_logits",
    logits_forward,
    logits_backward,
    ("z", "t", "p"),
    _infer_focal,
    saves=("logs",),
    work=("work",),
    extents=_EXTENTS,
    within=_within,
)
CATEGORICAL_FOCAL_CROSSENTROPY = loss_op(
    "categorical_focal_crossentropy",
    probabilities_forward,
    probabilities_backward,
    ("z", "t", "p"),
    _infer_focal,
    work=("work",),
    extents=_EXTENTS,
    within=_within,
)


class CategoricalFocalCrossentropy(Crossentropy):
    """Cross-entropy of one-hot targets in which easy samples count less.

    Parameters
    ----------
    alpha : float or sequence of float
        From 0: the weight of all classes, or of each class.
    gamma : float
        From 0: easy samples count less with a larger gamma; 0 makes this alpha times the cross-entropy.

    Raises
    ------
    ValueError
        If alpha, gamma or label_smoothing lies outside its range, or there are not as many alphas as classes.

    References
    ----------
    T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollar: Focal loss for dense object detection. ICCV (2017).

    Examples
    --------
    >>> import nbnet as nb
    >>> round(nb.losses.CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    0.0433
    """

    of_rows = True
    _arguments = (*Crossentropy._arguments, "alpha", "gamma")
    activation = SOFTMAX
    of_probabilities, of_logits = CATEGORICAL_FOCAL_CROSSENTROPY, CATEGORICAL_FOCAL_CROSSENTROPY_LOGITS

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.alpha, self.gamma = one_or_many(alpha, "alpha", FROM_ZERO), FROM_ZERO.check(gamma, "gamma")

    def _parameters(self, width: int) -> list[float]:
        weights = self.alpha if isinstance(self.alpha, list) else [self.alpha] * width
        return [self.label_smoothing, self.gamma, *weights]


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Focal cross-entropy of each sample; see :class:`CategoricalFocalCrossentropy`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.categorical_focal_crossentropy([[0.0, 1.0]], [[0.75, 0.25]], alpha=[0.5, 1.0]).numpy().round(4)
    array([0.7798], dtype=float32)
    """
    return CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing, axis).each(y_true, y_pred)
