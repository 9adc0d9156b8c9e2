"""Activations: relu and its relatives, gelu, silu, sigmoid, tanh and the like, element by element.

Softmax and gated linear units, which work on rows, are in :mod:`nbnet.ops.softmax`; shrinkage in
:mod:`nbnet.ops.threshold`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbnet.engine.graph.tensor import Tensor, apply, tensor, tensors
from nbnet.engine.jit.linker import device, precise
from nbnet.engine.kernels.math import erf, exp, expm1
from nbnet.engine.kernels.math import sigmoid as sigmoid_of
from nbnet.engine.kernels.math import softplus as softplus_of
from nbnet.engine.kernels.math import tanh as tanh_of
from nbnet.ops.broadcast import binary
from nbnet.ops.elementwise import documents_x, elementwise, from_zero, unary
from nbnet.ops.threshold import rectify

SIXTH = 1.0 / 6.0

RELU = elementwise(
    "relu", lambda x, a: 0.0 if x <= 0.0 else x, lambda y, a: 1.0 if y > 0.0 else 0.0, keeps="y", sign_only=True
)


@documents_x
def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """``max(x, 0)``, element by element; the derivative at 0 is 0.

    Parameters
    ----------
    negative_slope
        Slope below the threshold: there y is ``negative_slope * (x - threshold)``.
    max_value
        The largest value of y; None for no limit.
    threshold
        Above it y is x.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    >>> nb.ops.relu([-1.0, 0.5, 9.0], negative_slope=0.1, max_value=4.0, threshold=1.0).numpy()
    array([-0.2 , -0.05,  4.  ], dtype=float32)
    """
    if threshold == 0:
        if negative_slope == 0 and max_value is None:
            return apply(RELU.op, tensor(x))
        if negative_slope == 0 and max_value == 6:
            return relu6(x)
        if negative_slope > 0 and max_value is None:
            return leaky_relu(x, negative_slope)
    # With a limit above, Keras cuts off at 0 below, too: that matters where the threshold is negative.
    limits = {} if max_value is None else {"low": 0.0, "high": max_value}
    return rectify(x, threshold, negative_slope, -negative_slope * threshold, **limits)


@unary(
    lambda x, a: 0.0 if x <= 0.0 else (6.0 if x > 6.0 else x),
    lambda y, a: 1.0 if y > 0.0 and y < 6.0 else 0.0,
    keeps="y",
)
def relu6(x: Any) -> Any:
    """``x``, cut off at 0 and 6; the derivative at the corners is 0.

    References
    ----------
    A. Krizhevsky: Convolutional deep belief networks on CIFAR-10. Technical report (2010).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.relu6([-1.0, 2.0, 7.0]).numpy()
    array([0., 2., 6.], dtype=float32)
    """


# With a slope that is not negative, y > 0 where x > 0.
LEAKY_RELU = elementwise(
    "leaky_relu",
    lambda x, a: x if x > 0.0 else a * x,
    lambda y, a: 1.0 if y > 0.0 else a,
    keeps="y",
    parameter="negative_slope",
    sign_only=True,
)


@documents_x
def leaky_relu(x: Any, negative_slope: Any = 0.2) -> Tensor:
    """``x`` where it is above 0, else ``negative_slope * x``; the derivative at 0 is the slope.

    Parameters
    ----------
    negative_slope
        A number from 0, or a one-element tensor that holds one and may change between steps. It gets no gradient.

    Raises
    ------
    ValueError
        If the slope is negative.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.leaky_relu([-1.0, 2.0]).numpy()
    array([-0.2,  2. ], dtype=float32)
    """
    slope = from_zero(negative_slope, "negative_slope")
    return apply(LEAKY_RELU.op, *tensors(tensor(x), slope))


PRELU = binary(
    "prelu",
    lambda x, alpha: x if x > 0.0 else alpha * x,
    lambda x, alpha: 1.0 if x > 0.0 else alpha,
    lambda x, alpha: 0.0 if x > 0.0 else x,
)


@documents_x
def prelu(x: Any, alpha: Any) -> Tensor:
    """``x`` where it is above 0, else ``alpha * x``; the derivative by x at 0 is alpha.

    Parameters
    ----------
    alpha
        Tensor or array that broadcasts with x.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun: Delving deep into rectifiers. ICCV (2015), section 2.1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.prelu([[-1.0, -1.0, 2.0]], [0.5, 0.25, 0.0]).numpy()
    array([[-0.5 , -0.25,  2.  ]], dtype=float32)
    """
    return apply(PRELU, *tensors(x, alpha))


ELU = elementwise(
    "elu", lambda x, a: x if x > 0.0 else a * expm1(x), lambda x, a: 1.0 if x > 0.0 else a * exp(x), parameter="alpha"
)


@documents_x
def elu(x: Any, alpha: Any = 1.0) -> Tensor:
    """``x`` where it is above 0, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    alpha
        Minus the limit for large negative x: a number, or a one-element tensor. It gets no gradient.

    References
    ----------
    D.-A. Clevert, T. Unterthiner, S. Hochreiter: Fast and accurate deep network learning by exponential linear units
    (ELUs). ICLR (2016).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.elu([-1e4, 0.0, 2.0]).numpy()
    array([-1.,  0.,  2.], dtype=float32)
    """
    return apply(ELU.op, *tensors(tensor(x), alpha))


CELU = elementwise(
    "celu",
    lambda x, a: x if x > 0.0 else a * expm1(x / a),
    lambda x, a: 1.0 if x > 0.0 else exp(x / a),
    parameter="alpha",
)


@documents_x
def celu(x: Any, alpha: Any = 1.0) -> Tensor:
    """``x`` where it is above 0, else ``alpha * (exp(x / alpha) - 1)``: the slope at 0 is 1 for any alpha.

    Parameters
    ----------
    alpha
        Minus the limit for large negative x: a number above 0, or a one-element tensor. It gets no gradient.

    Raises
    ------
    ValueError
        If alpha is not above 0.

    References
    ----------
    J. T. Barron: Continuously differentiable exponential linear units. arXiv:1704.07483 (2017).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.celu([-1e4, 0.0, 2.0], alpha=0.5).numpy()
    array([-0.5,  0. ,  2. ], dtype=float32)
    """
    if not isinstance(alpha, Tensor) and not alpha > 0:
        raise ValueError(f"alpha: expected a number above 0, got {alpha!r}")
    return apply(CELU.op, *tensors(tensor(x), alpha))


# The fixed point of the appendix, for mean 0 and variance 1.
SELU_SCALE = 1.0507009873554804934193349852946
SELU_SCALE_ALPHA = SELU_SCALE * 1.6732632423543772848170429916717


@unary(
    lambda x, a: SELU_SCALE * x if x > 0.0 else SELU_SCALE_ALPHA * expm1(x),
    lambda x, a: SELU_SCALE if x > 0.0 else SELU_SCALE_ALPHA * exp(x),
)
def selu(x: Any) -> Any:
    """Scaled exponential linear unit, which drives activations to mean 0 and variance 1 from layer to layer.

    References
    ----------
    G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter: Self-normalizing neural networks. NIPS (2017), equation 2.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.selu([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-1.7581,  0.    ,  1.0507], dtype=float32)
    """


SQRT_HALF = math.sqrt(0.5)
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
GELU_SCALE, GELU_CUBIC = 2.0 * math.sqrt(2.0 / math.pi), 0.044715


# (1 + tanh u) / 2 is sigmoid(2 u), which keeps its relative accuracy where x is negative.


@device
def _gelu_tanh_derivative(x: Any, a: Any) -> Any:
    # Beyond 15 the sigmoid is 0 or 1 to the last bit; the cut keeps powers of x finite.
    z = -15.0 if x < -15.0 else (15.0 if x > 15.0 else x)
    s = sigmoid_of(GELU_SCALE * z * (1.0 + GELU_CUBIC * z * z))
    return s * (1.0 + z * (1.0 - s) * (GELU_SCALE * (1.0 + 3.0 * GELU_CUBIC * z * z)))


GELU = elementwise(
    "gelu",
    lambda x, a: 0.5 * x * (1.0 + erf(x * SQRT_HALF)),
    lambda x, a: 0.5 * (1.0 + erf(x * SQRT_HALF)) + x * (DENSITY * exp(-0.5 * x * x)),
)
GELU_TANH = elementwise(
    "gelu_tanh", lambda x, a: x * sigmoid_of(GELU_SCALE * x * (1.0 + GELU_CUBIC * x * x)), _gelu_tanh_derivative
)


@documents_x
def gelu(x: Any, approximate: bool = True) -> Tensor:
    """``x * Phi(x)``, where Phi is the distribution function of the standard normal distribution.

    Parameters
    ----------
    approximate
        If True, use ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``. As in Keras that is the default here,
        while :func:`nbnet.activations.gelu` is exact by default.

    References
    ----------
    D. Hendrycks, K. Gimpel: Gaussian error linear units (GELUs). arXiv:1606.08415 (2016), section 2.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.gelu([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-0.    ,  0.    ,  0.8412], dtype=float32)
    >>> nb.ops.gelu([1.0], approximate=False).numpy().round(4)
    array([0.8413], dtype=float32)
    """
    return apply((GELU_TANH if approximate else GELU).op, tensor(x))


@device
def _silu_derivative(x: Any, a: Any) -> Any:
    s = sigmoid_of(x)
    return s * (1.0 + x * (1.0 - s))


@unary(lambda x, a: x * sigmoid_of(x), _silu_derivative)
def silu(x: Any) -> Any:
    """``x * sigmoid(x)``, element by element; also known as swish.

    References
    ----------
    S. Elfwing, E. Uchibe, K. Doya: Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning. Neural Networks 107 (2018).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.silu([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-0.    ,  0.    ,  0.7311], dtype=float32)
    """


@unary(
    lambda x, a: 0.0 if x <= -3.0 else (x if x >= 3.0 else x * (x * SIXTH + 0.5)),
    lambda x, a: 0.0 if x <= -3.0 else (1.0 if x >= 3.0 else 2.0 * SIXTH * x + 0.5),
)
def hard_silu(x: Any) -> Any:
    """``x * hard_sigmoid(x)``, element by element; also known as hard swish.

    References
    ----------
    A. Howard and others: Searching for MobileNetV3. ICCV (2019), section 5.2.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hard_silu([-4.0, 1.5, 5.0]).numpy()
    array([0.   , 1.125, 5.   ], dtype=float32)
    """


@device
def _mish_parts(x: Any) -> Any:
    """n, r and z = e^-|x| with tanh(log(1 + e^x)) = n / (n + r): one exponential that never overflows, and
    no difference of nearly equal numbers."""
    z = exp(-abs(x))
    if x >= 0.0:
        n, r = 1.0 + 2.0 * z, 2.0 * z * z
    else:
        n, r = z * (z + 2.0), 2.0
    return n, r, z


@device
def _mish(x: Any, a: Any) -> Any:
    n, r, _z = _mish_parts(x)
    return x * n / (n + r)


@device
def _mish_derivative(x: Any, a: Any) -> Any:
    n, r, z = _mish_parts(x)
    d = n + r
    return n / d + x * r * (n + d) / (d * d) * ((1.0 if x >= 0.0 else z) / (1.0 + z))


@unary(_mish, _mish_derivative)
def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))``, element by element.

    References
    ----------
    D. Misra: Mish: a self regularized non-monotonic activation function. BMVC (2020).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.mish([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-0.    ,  0.    ,  0.8651], dtype=float32)
    """


@unary(lambda x, a: softplus_of(x), lambda x, a: sigmoid_of(x))
def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``, element by element, without overflow.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.softplus([-1e4, 0.0, 1e4]).numpy().round(4)
    array([0.0000e+00, 6.9310e-01, 1.0000e+04], dtype=float32)
    """


@device
def _squareplus(x: Any, a: Any) -> Any:
    # Where x is negative, x + r is a difference of nearly equal numbers; b / (r - x) is the same without it.
    r = np.sqrt(x * x + a)
    return 0.5 * (a / (r - x) if x < 0.0 else r + x)


@device
def _squareplus_derivative(x: Any, a: Any) -> Any:
    r = np.sqrt(x * x + a)
    return 0.5 if r == 0.0 else 0.5 * (a / (r - x) if x < 0.0 else r + x) / r


# Not "b": in a fused op that is the bias of the dense layer.
SQUAREPLUS = elementwise("squareplus", _squareplus, _squareplus_derivative, parameter="softness")


@documents_x
def squareplus(x: Any, b: Any = 4.0) -> Tensor:
    """``(x + sqrt(x**2 + b)) / 2``: like softplus, without exponentials.

    Parameters
    ----------
    b
        How soft: a number from 0, where 0 gives relu, or a one-element tensor. It gets no gradient.

    Raises
    ------
    ValueError
        If b is negative.

    References
    ----------
    J. T. Barron: Squareplus: a softplus-like algebraic rectifier. arXiv:2112.11687 (2021).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.squareplus([-1.5, 0.0, 1.5]).numpy()
    array([0.5, 1. , 2. ], dtype=float32)
    """
    return apply(SQUAREPLUS.op, *tensors(tensor(x), from_zero(b, "b")))


@unary(
    lambda x, a: 0.0 if x <= -1.0 else (x if x >= 1.0 else 0.25 * (x + 1.0) * (x + 1.0)),
    lambda x, a: 0.0 if x <= -1.0 else (1.0 if x >= 1.0 else 0.5 * (x + 1.0)),
)
def sparse_plus(x: Any) -> Any:
    """``(x + 1)**2 / 4`` between -1 and 1, 0 below and ``x`` above: a softplus that reaches 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sparse_plus([-2.0, 0.0, 3.0]).numpy()
    array([0.  , 0.25, 3.  ], dtype=float32)
    """


SIGMOID = elementwise("sigmoid", lambda x, a: sigmoid_of(x), lambda y, a: y * (1.0 - y), keeps="y")


@documents_x
def sigmoid(x: Any) -> Tensor:
    """``1 / (1 + exp(-x))``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sigmoid([-1e4, 0.0, 1e4]).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return apply(SIGMOID.op, tensor(x))


# Precise: x / 6 + 1/2 would be above 0 at -3 by a rounding error, and the derivative with it.
@precise
def _hard_sigmoid(x: Any, a: Any) -> Any:
    y = (x + 3.0) * SIXTH
    return 0.0 if y < 0.0 else (1.0 if y > 1.0 else y)


@unary(_hard_sigmoid, lambda y, a: SIXTH if y > 0.0 and y < 1.0 else 0.0, keeps="y")
def hard_sigmoid(x: Any) -> Any:
    """``x / 6 + 1/2``, cut off at 0 and 1; the derivative at the corners is 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hard_sigmoid([-4.0, 0.0, 1.5]).numpy()
    array([0.  , 0.5 , 0.75], dtype=float32)
    """


@unary(lambda x, a: -softplus_of(-x), lambda x, a: sigmoid_of(-x))
def log_sigmoid(x: Any) -> Any:
    """``log(sigmoid(x))``, element by element, without overflow.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.log_sigmoid([-1e4, 0.0]).numpy().round(4)
    array([-1.0000e+04, -6.9310e-01], dtype=float32)
    """


@device
def _sparse_sigmoid(x: Any, a: Any) -> Any:
    y = 0.5 * x + 0.5
    return 0.0 if y < 0.0 else (1.0 if y > 1.0 else y)


@unary(_sparse_sigmoid, lambda y, a: 0.5 if y > 0.0 and y < 1.0 else 0.0, keeps="y")
def sparse_sigmoid(x: Any) -> Any:
    """``(x + 1) / 2``, cut off at 0 and 1; the derivative at the corners is 0.

    References
    ----------
    A. F. T. Martins, R. F. Astudillo: From softmax to sparsemax. ICML (2016).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sparse_sigmoid([-2.0, 0.5, 3.0]).numpy()
    array([0.  , 0.75, 1.  ], dtype=float32)
    """


@unary(lambda x, a: tanh_of(x), lambda y, a: (1.0 - y) * (1.0 + y), keeps="y")
def tanh(x: Any) -> Any:
    """Hyperbolic tangent, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.tanh([-1e4, 0.0, 1.0]).numpy().round(4)
    array([-1.    ,  0.    ,  0.7616], dtype=float32)
    """


@unary(
    lambda x, a: -1.0 if x < -1.0 else (1.0 if x > 1.0 else x),
    lambda y, a: 1.0 if y > -1.0 and y < 1.0 else 0.0,
    keeps="y",
)
def hard_tanh(x: Any) -> Any:
    """``x``, cut off at -1 and 1; the derivative at the corners is 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hard_tanh([-4.0, 0.5, 1.5]).numpy()
    array([-1. ,  0.5,  1. ], dtype=float32)
    """


@device
def _softsign_derivative(x: Any, a: Any) -> Any:
    r = 1.0 / (1.0 + abs(x))
    return r * r


@unary(lambda x, a: x / (1.0 + abs(x)), _softsign_derivative)
def softsign(x: Any) -> Any:
    """``x / (1 + abs(x))``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.softsign([-1.0, 0.0, 3.0]).numpy()
    array([-0.5 ,  0.  ,  0.75], dtype=float32)
    """
