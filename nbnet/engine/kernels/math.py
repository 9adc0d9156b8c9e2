"""Elementary functions of one number, for use inside the loops of kernels.

The plain bodies are the reference: they run in float64 and in pure Python. In float32, where ``np.exp`` and its like
would be one call of the C library per element, the bodies at the end of this module run instead. They are only
arithmetic and selects, so LLVM turns the loop they stand in into vector code, and ``precise``, because reordering their
additions would undo the reduction of the argument. Error bounds are float32 units in the last place (ulp).

Coefficients are minimax fits of the relative error, each rounded to float32 before the next was fitted: e^r - 1 on
|r| <= ln(2)/2 to 1.4e-8, log(1 + f) on sqrt(1/2) <= 1 + f <= sqrt(2) to 5.9e-9, erf on 0 <= x <= 4 to 4.3e-9, sin r on
|r| <= pi/4 to 4.0e-9, cos r there to 1.2e-10.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbnet.engine.jit.linker import precise
from nbnet.engine.kernels.abi import bits_float32, float32_bits

INF, NAN = math.inf, math.nan
LOG2_E = 1.442695
#: ln 2 in two parts; the first has 15 bits, so that its product with an exponent is exact.
LN2_HIGH, LN2_LOW = 0.693145751953125, 1.4286068e-06
#: 1.5 * 2**23: added to a small number, it leaves the nearest integer in the low bits of the sum.
ROUND = 12582912.0
#: exp overflows from the one on and leaves the normal numbers below the other.
EXP_MAX, EXP_MIN = 88.72284, -87.33654
SQRT_HALF_BITS, EXPONENT_MASK = 0x3F3504F3, -0x800000
#: pi/2 in two parts and 2/pi, which stay float64; 1.5 * 2**52 is to float64 what ROUND is to float32.
HALF_PI, HALF_PI_LOW = np.float64(1.5707963267948966), np.float64(6.123233995736766e-17)
TWO_OVER_PI, ROUND64 = np.float64(0.6366197723675814), np.float64(6755399441055744.0)
#: Series of log2((1 + s) / (1 - s)) in odd powers of s, and of 2^r, in float64.
LOG2_SERIES = tuple(np.float64(2 / math.log(2) / (2 * k + 1)) for k in range(8))
EXP2_SERIES = tuple(np.float64(math.log(2) ** k / math.factorial(k)) for k in range(9))


@precise
def exp(x: Any) -> Any:
    """e^x = 2^n e^r. Error <= 2 ulp; in float32, results below 2^-126 are 0."""
    return np.exp(x)


@precise
def log(x: Any) -> Any:
    """ln x = k ln 2 + log(1 + f) with x = 2^k (1 + f). Error <= 2 ulp."""
    return np.log(x)


@precise
def log1p(x: Any) -> Any:
    """ln(1 + x), to full relative accuracy for small x. Error <= 4 ulp."""
    return np.log1p(x)


@precise
def expm1(x: Any) -> Any:
    """e^x - 1 = 2^n (e^r - 1) + 2^n - 1, to full relative accuracy for small x. Error <= 4 ulp."""
    return np.expm1(x)


@precise
def tanh(x: Any) -> Any:
    """tanh |x| = -u / (u + 2) with u = e^(-2 |x|) - 1. Error <= 4 ulp, odd, never beyond 1."""
    return np.tanh(x)


@precise
def sin(x: Any) -> Any:
    """sin x = +-sin r or +-cos r with x = n pi/2 + r, r found in float64. Error <= 2 ulp where |x| <= 2^40."""
    return np.sin(x)


@precise
def cos(x: Any) -> Any:
    """cos x = sin(x + pi/2). Error <= 2 ulp where |x| <= 2^40."""
    return np.cos(x)


@precise
def power(x: Any, p: Any) -> Any:
    """x^p = 2^(p log2 x), the exponent in float64. Error <= 1 ulp; in float32, numbers below 2^-126 are 0."""
    return x**p


@precise
def erf(x: Any) -> Any:
    """erf |x| = 1 - e^-u, where u = -ln(1 - erf |x|) is |x| times a polynomial. Error <= 4 ulp, odd, never beyond 1."""
    return math.erf(x)


@precise
def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x), as z / (1 + z) with z = e^x where x < 0. Error <= 4 ulp."""
    z = exp(-abs(x))
    return (1.0 if x >= 0.0 else z) / (1.0 + z)


@precise
def softplus(x: Any) -> Any:
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|). Error <= 6 ulp."""
    return (0.0 if x < 0.0 else x) + log1p(exp(-abs(x)))


# ---- float32 -------------------------------------------------------------------------------------------------


@precise
def _reduced(x: Any) -> Any:
    """x = n ln 2 + r with |r| <= ln(2)/2: the bits of 2^n less those of 1, and e^r - 1."""
    shifted = x * LOG2_E + ROUND
    n = shifted - ROUND
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = 0.0013870657
    p = p * r + 0.008366262
    p = p * r + 0.041667435
    p = p * r + 0.16666546
    p = p * r + 0.49999997
    return np.int32(float32_bits(shifted) << 23), r + r * r * p


@precise
def _expm1_negative(x: Any) -> Any:
    """e^x - 1 for x <= 0."""
    scale_bits, e = _reduced(-20.0 if x < -20.0 else x)
    scale = bits_float32(np.int32(scale_bits + 0x3F800000))
    return scale * e + (scale - 1.0)


@precise
def _log1p_reduced(f: Any, k: Any) -> Any:
    """k ln 2 + ln(1 + f), where sqrt(1/2) <= 1 + f <= sqrt(2)."""
    p = -0.07636356
    p = p * f + 0.12762144
    p = p * f - 0.131596
    p = p * f + 0.14201586
    p = p * f - 0.1662341
    p = p * f + 0.20001242
    p = p * f - 0.2500082
    p = p * f + 0.3333333
    tail = f * f * (f * p - 0.5) + k * LN2_LOW
    return k * LN2_HIGH + (f + tail)


@exp.variant("float32")
def _exp(x: Any) -> Any:
    scale_bits, e = _reduced(x)
    y = bits_float32(np.int32(float32_bits(1.0 + e) + scale_bits))
    y = 0.0 if x < EXP_MIN else y
    return y if x < EXP_MAX else x + INF  # inf, or NaN


@expm1.variant("float32")
def _expm1(x: Any) -> Any:
    bounded = -20.0 if x < -20.0 else x
    scale_bits, e = _reduced(89.0 if bounded > 89.0 else bounded)
    half = bits_float32(np.int32(scale_bits + 0x3F000000))  # 2^(n - 1): 2^n may be infinite
    return 2.0 * (half * e + (half - 0.5))


@log.variant("float32")
def _log(x: Any) -> Any:
    tiny = x < 1.1754944e-38
    bits = float32_bits(x * 8388608.0 if tiny else x)
    scale_bits = np.int32(np.int32(bits - SQRT_HALF_BITS) & EXPONENT_MASK)
    k = np.float32(np.int32(scale_bits >> 23)) - (23.0 if tiny else 0.0)
    y = _log1p_reduced(bits_float32(np.int32(bits - scale_bits)) - 1.0, k)
    y = y if x > 0.0 else (-INF if x == 0.0 else NAN)
    return y if x < INF else x


@log1p.variant("float32")
def _log1p(x: Any) -> Any:
    scale_bits = np.int32(np.int32(float32_bits(1.0 + x) - SQRT_HALF_BITS) & EXPONENT_MASK)
    k = np.float32(np.int32(scale_bits >> 23))
    four = bits_float32(np.int32(0x40800000 - scale_bits))  # 4 2^-k: 2^-k may not be a normal number
    f = bits_float32(np.int32(float32_bits(x) - scale_bits)) + (0.25 * four - 1.0)
    y = _log1p_reduced(f, k)
    y = y if x > -1.0 else (-INF if x == -1.0 else NAN)
    return y if x < INF else x


@tanh.variant("float32")
def _tanh(x: Any) -> Any:
    u = _expm1_negative(-2.0 * abs(x))
    y = -u / (u + 2.0)
    return -y if x < 0.0 else y


@precise
def _sin_of_quarters(x: Any, quarters: Any) -> Any:
    """sin(x + quarters pi/2)."""
    wide = np.float64(x)
    n = wide * TWO_OVER_PI + ROUND64 - ROUND64
    r: Any = np.float32(wide - n * HALF_PI - n * HALF_PI_LOW)
    r = 1.0 if r > 1.0 else (-1.0 if r < -1.0 else r)  # of numbers too large for a remainder
    turn = np.float32(0.25 * (n + quarters) - np.floor(0.25 * (n + quarters)))
    z = r * r
    p = -0.00019518095
    p = p * z + 0.008332188
    p = p * z - 0.16666655
    q = 2.4432327e-05
    q = q * z - 0.0013887309
    q = q * z + 0.041666646
    odd = turn == 0.25 or turn == 0.75
    y = 1.0 + z * (z * q - 0.5) if odd else r + r * (z * p)
    return -y if turn >= 0.5 else y


@sin.variant("float32")
def _sin(x: Any) -> Any:
    return _sin_of_quarters(x, 0.0)


@cos.variant("float32")
def _cos(x: Any) -> Any:
    return _sin_of_quarters(x, 1.0)


@power.variant("float32")
def _power(x: Any, p: Any) -> Any:
    a = abs(x)
    bits = float32_bits(a)
    scale_bits = np.int32(np.int32(bits - SQRT_HALF_BITS) & EXPONENT_MASK)
    m = np.float64(bits_float32(np.int32(bits - scale_bits)))
    s = (m - 1.0) / (m + 1.0)
    log2 = LOG2_SERIES[7]
    for k in range(6, -1, -1):
        log2 = log2 * (s * s) + LOG2_SERIES[k]
    t: Any = np.float64(p) * (np.float64(scale_bits >> 23) + s * log2)
    t = 250.0 if t > 250.0 else (-250.0 if t < -250.0 else t)
    n = t + ROUND64 - ROUND64
    e = EXP2_SERIES[8]
    for k in range(7, -1, -1):
        e = e * (t - n) + EXP2_SERIES[k]
    first = np.int32(np.int32(n) >> 1)  # 2^n in two steps: it may be infinite where the result is not
    second = np.int32(np.int32(n) - first)
    y = np.float32(e) * bits_float32(np.int32((first + 127) << 23)) * bits_float32(np.int32((second + 127) << 23))
    y = (0.0 if p > 0.0 else INF) if a < 1.1754944e-38 else y
    y = y if a < INF else (a if p > 0.0 else 1.0 / a)
    odd, whole = np.floor(0.5 * p) * 2.0 != p, np.floor(p) == p
    y = y if not x < 0.0 else ((-y if odd else y) if whole else (NAN if x > -INF else y))
    return 1.0 if p == 0.0 or x == 1.0 else y


@erf.variant("float32")
def _erf(x: Any) -> Any:
    a = abs(x)
    a = 4.0 if a > 4.0 else a
    p = -9.387435e-06
    p = p * a + 1.18856835e-04
    p = p * a - 6.3735025e-04
    p = p * a + 0.0016756594
    p = p * a - 1.6949468e-04
    p = p * a - 0.019147824
    p = p * a + 0.102776304
    p = p * a + 0.63661957
    p = p * a + 0.12837917
    y = -_expm1_negative(-(a + a * p))
    return -y if x < 0.0 else y


@softplus.variant("float32")
def _softplus(x: Any) -> Any:  # log1p(exp(-|x|)) without the cases that cannot arise
    a = abs(x)
    scale_bits, e = _reduced(-a)
    z = bits_float32(np.int32(float32_bits(1.0 + e) + scale_bits))
    z = 0.0 if -a < EXP_MIN else z
    upper = z > 0.41421357
    f = 0.5 * z - 0.5 if upper else z
    return (0.0 if x < 0.0 else x) + _log1p_reduced(f, 1.0 if upper else 0.0)
