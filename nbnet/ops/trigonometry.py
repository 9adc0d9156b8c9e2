"""Trigonometric and hyperbolic functions and their inverses, special functions, and angles, element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbnet.engine.graph.tensor import Tensor, tensor, tensors
from nbnet.engine.kernels.abi import device
from nbnet.ops.arithmetic import logaddexp
from nbnet.ops.broadcast import binary_function, divide, maximum, minimum, multiply, power
from nbnet.ops.compare import equal, isnan, less, where
from nbnet.ops.create import zeros_like
from nbnet.ops.elementwise import sin, step_function, unary


@unary(lambda x, a: np.tan(x), lambda y, a: 1.0 + y * y, keeps="y", fuses=False)
def tan(x: Any) -> Any:
    """The tangent, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.tan([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.5574], dtype=float32)
    """


@unary(lambda x, a: np.arcsin(x), lambda x, a: 1.0 / np.sqrt(1.0 - x * x), fuses=False)
def arcsin(x: Any) -> Any:
    """The inverse sine, from -pi/2 to pi/2; NaN beyond -1 and 1, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.arcsin([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.5708], dtype=float32)
    """


@unary(lambda x, a: np.arccos(x), lambda x, a: -1.0 / np.sqrt(1.0 - x * x), fuses=False)
def arccos(x: Any) -> Any:
    """The inverse cosine, from 0 to pi; NaN beyond -1 and 1, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.arccos([0.0, 1.0]).numpy().round(4)
    array([1.5708, 0.    ], dtype=float32)
    """


@unary(lambda x, a: np.arctan(x), lambda x, a: 1.0 / (1.0 + x * x), fuses=False)
def arctan(x: Any) -> Any:
    """The inverse tangent, from -pi/2 to pi/2, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.arctan([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.7854], dtype=float32)
    """


@unary(lambda x, a: np.sinh(x), lambda x, a: np.cosh(x), fuses=False)
def sinh(x: Any) -> Any:
    """The hyperbolic sine, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sinh([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.1752], dtype=float32)
    """


@unary(lambda x, a: np.cosh(x), lambda x, a: np.sinh(x), fuses=False)
def cosh(x: Any) -> Any:
    """The hyperbolic cosine, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cosh([0.0, 1.0]).numpy().round(4)
    array([1.    , 1.5431], dtype=float32)
    """


@unary(lambda x, a: np.arcsinh(x), lambda x, a: 1.0 / np.sqrt(x * x + 1.0), fuses=False)
def arcsinh(x: Any) -> Any:
    """The inverse hyperbolic sine, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.arcsinh([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8814], dtype=float32)
    """


@unary(lambda x, a: np.arccosh(x), lambda x, a: 1.0 / np.sqrt(x * x - 1.0), fuses=False)
def arccosh(x: Any) -> Any:
    """The inverse hyperbolic cosine; NaN below 1, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.arccosh([1.0, 2.0]).numpy().round(4)
    array([0.   , 1.317], dtype=float32)
    """


@unary(lambda x, a: np.arctanh(x), lambda x, a: 1.0 / (1.0 - x * x), fuses=False)
def arctanh(x: Any) -> Any:
    """The inverse hyperbolic tangent; infinite at -1 and 1, NaN beyond, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.arctanh([0.0, 0.5]).numpy().round(4)
    array([0.    , 0.5493], dtype=float32)
    """


@binary_function(
    lambda a, b: np.arctan2(a, b),
    lambda a, b: b / (a * a + b * b),
    lambda a, b: -a / (a * a + b * b),
    kinds="f",
)
def arctan2(x1: Any, x2: Any) -> Any:
    """The angle of the point (x2, x1), from -pi to pi, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.arctan2([1.0, 1.0], [1.0, -1.0]).numpy().round(4)
    array([0.7854, 2.3562], dtype=float32)
    """


@device
def _length(a: Any, b: Any) -> Any:
    a, b = abs(a), abs(b)
    if a == math.inf or b == math.inf:
        return math.inf
    long, short = (a, b) if a > b else (b, a)
    if not long > 0.0 or short != short:
        return a + b
    part = short / long
    return long * np.sqrt(1.0 + part * part)


@device
def _part(x: Any, length: Any) -> Any:
    return x / length if length > 0.0 else 0.0


@binary_function(
    lambda a, b: _length(a, b),
    lambda a, b: _part(a, _length(a, b)),
    lambda a, b: _part(b, _length(a, b)),
    kinds="f",
)
def hypot(x1: Any, x2: Any) -> Any:
    """``sqrt(x1**2 + x2**2)`` without overflow, element by element; at the origin no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.hypot([3.0], [4.0]).numpy()
    array([5.], dtype=float32)
    """


def deg2rad(x: Any) -> Tensor:
    """Degrees as radians.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.deg2rad([180.0]).numpy().round(4)
    array([3.1416], dtype=float32)
    """
    return multiply(x, math.pi / 180)


def rad2deg(x: Any) -> Tensor:
    """Radians as degrees.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.rad2deg([3.14159265]).numpy().round(4)
    array([180.], dtype=float32)
    """
    return multiply(x, 180 / math.pi)


def sinc(x: Any) -> Tensor:
    """``sin(pi x) / (pi x)``, element by element; 1 at 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.sinc([0.0, 0.5]).numpy().round(4)
    array([1.    , 0.6366], dtype=float32)
    """
    x = tensor(x)
    at_zero = equal(x, 0.0)
    angle = multiply(where(at_zero, 1.0, x), math.pi)
    return where(at_zero, 1.0, divide(sin(angle), angle))


# ---- special functions ---------------------------------------------------------------------------------------


@device
def _cube_root(x: Any) -> Any:
    a = np.float64(abs(x))
    y = a ** (1.0 / 3.0)
    # One step of Newton's method.
    y = y - (y - a / (y * y)) / 3.0 if y > 0.0 and a < math.inf else y
    return -y if x < 0.0 else y


@unary(lambda x, a: _cube_root(x), lambda y, a: 1.0 / (3.0 * y * y), keeps="y", fuses=False)
def cbrt(x: Any) -> Any:
    """The cube root, element by element; the derivative at 0 is infinite.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cbrt([-8.0, 27.0]).numpy()
    array([-2.,  3.], dtype=float32)
    """


@unary(lambda x, a: math.erfc(x), lambda x, a: -2.0 / math.sqrt(math.pi) * np.exp(-x * x), fuses=False)
def erfc(x: Any) -> Any:
    """One minus the error function, accurate where it is small, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.erfc([0.0, 1.0]).numpy().round(4)
    array([1.    , 0.1573], dtype=float32)
    """


@device
def _inverse_erf(x: Any) -> Any:
    # A first guess, right to two digits (S. Winitzki, 2008), and steps of Halley's method for what erfc leaves.
    a = np.float64(abs(x))
    if not a < 1.0:
        return np.sign(x) * math.inf if a == 1.0 else math.nan
    t = math.log1p(-a * a)
    h = 4.330746750799873 + 0.5 * t
    y = math.sqrt(max(math.sqrt(h * h - 6.802721088435374 * t) - h, 0.0))
    for _ in range(3):
        left = a - math.erf(y) if a < 0.5 else math.erfc(y) - (1.0 - a)
        d = left * math.exp(y * y) * 0.8862269254527579
        y = y + d / (1.0 - d * y)
    return -y if x < 0.0 else y


@unary(lambda x, a: _inverse_erf(x), lambda y, a: 0.5 * math.sqrt(math.pi) * np.exp(y * y), keeps="y", fuses=False)
def erfinv(x: Any) -> Any:
    """The inverse of the error function, element by element; infinite at -1 and 1, NaN beyond.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.erfinv([0.0, 0.5]).numpy().round(4)
    array([0.    , 0.4769], dtype=float32)
    """


@device
def _bessel(x: Any, order: Any) -> Any:
    """The series of the modified Bessel functions of order 0 and 1, in powers of ``x**2 / 4``."""
    half = 0.5 * np.float64(x)
    term = half if order == 1 else 1.0
    total, k = term, 1.0
    while abs(term) > 1e-17 * abs(total) and abs(total) < math.inf:
        term = term * half * half / (k * (k + order))
        total += term
        k += 1.0
    return total


@unary(lambda x, a: _bessel(x, 0), lambda x, a: _bessel(x, 1), fuses=False)
def i0(x: Any) -> Any:
    """The modified Bessel function of the first kind, of order 0, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.i0([0.0, 1.0]).numpy().round(4)
    array([1.    , 1.2661], dtype=float32)
    """


@step_function(lambda x: np.floor(x) if x > 0.0 else np.ceil(x))
def trunc(x: Any) -> Any:
    """``x`` without the digits behind the point, element by element; no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.trunc([-1.5, 0.5]).numpy()
    array([-1.,  0.], dtype=float32)
    """


# ---- two operands --------------------------------------------------------------------------------------------


@binary_function(lambda a, b: np.fmod(a, b), lambda a, b: 1.0, lambda a, b: (np.fmod(a, b) - a) / b)
def fmod(x1: Any, x2: Any) -> Any:
    """The remainder of x1 after division by x2, with the sign of x1, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.fmod([5.0, -5.0], 3.0).numpy()
    array([ 2., -2.], dtype=float32)
    """


def fmax(x1: Any, x2: Any) -> Tensor:
    """The larger of x1 and x2, element by element; of NaN and a number, the number.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.fmax([1.0, float("nan")], [2.0, 3.0]).numpy()
    array([2., 3.], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    return where(isnan(x1), x2, where(isnan(x2), x1, maximum(x1, x2)))


def fmin(x1: Any, x2: Any) -> Tensor:
    """The smaller of x1 and x2, element by element; of NaN and a number, the number.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.fmin([1.0, float("nan")], [2.0, 3.0]).numpy()
    array([1., 3.], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    return where(isnan(x1), x2, where(isnan(x2), x1, minimum(x1, x2)))


def ldexp(x1: Any, x2: Any) -> Tensor:
    """``x1 * 2**x2``, element by element.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.ldexp([0.75, 3.0], [2, -1]).numpy()
    array([3. , 1.5], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    return multiply(x1, power(2.0, x2))


def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """``log2(2**x1 + 2**x2)``, without overflow.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.logaddexp2([1000.0], [1000.0]).numpy()
    array([1001.], dtype=float32)
    """
    x1, x2 = tensors(x1, x2)
    scale = math.log(2)
    return multiply(logaddexp(multiply(x1, scale), multiply(x2, scale)), 1 / scale)


def isposinf(x: Any) -> Tensor:
    """True where x is plus infinity.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isposinf([1.0, float("inf")]).numpy() > 0
    array([False,  True])
    """
    return equal(x, math.inf)


def isneginf(x: Any) -> Tensor:
    """True where x is minus infinity.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isneginf([1.0, -float("inf")]).numpy() > 0
    array([False,  True])
    """
    return equal(x, -math.inf)


def signbit(x: Any) -> Tensor:
    """True where x is negative, or minus zero.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.signbit([1.0, -0.0, -2.0]).numpy() > 0
    array([False,  True,  True])
    """
    x = tensor(x)
    return less(where(equal(x, 0.0), divide(1.0, x), x), 0.0)


# ---- complex numbers, of which tensors hold the real ones ----------------------------------------------------


def real(x: Any) -> Tensor:
    """The real part: x itself, as tensors hold real numbers.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.real([1.0]).numpy()
    array([1.], dtype=float32)
    """
    return tensor(x)


def conj(x: Any) -> Tensor:
    """The complex conjugate: x itself, as tensors hold real numbers.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.conj([1.0]).numpy()
    array([1.], dtype=float32)
    """
    return tensor(x)


conjugate = conj


def imag(x: Any) -> Tensor:
    """The imaginary part: zeros, as tensors hold real numbers.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.imag([1.0]).numpy()
    array([0.], dtype=float32)
    """
    return zeros_like(tensor(x))


def angle(x: Any) -> Tensor:
    """The angle of a complex number: pi where x is negative, else 0, as tensors hold real numbers.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.angle([1.0, -1.0]).numpy().round(4)
    array([0.    , 3.1416], dtype=float32)
    """
    x = tensor(x)
    return where(less(x, 0.0), math.pi, where(isnan(x), x, 0.0))


def isreal(x: Any) -> Tensor:
    """True everywhere, as tensors hold real numbers.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isreal([1.0]).numpy() > 0
    array([ True])
    """
    zeros = zeros_like(tensor(x))
    return equal(zeros, zeros)
