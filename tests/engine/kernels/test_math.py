"""Elementary functions: error in units in the last place (ulp), special values, agreement of the bodies."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from nbnet.engine.jit.linker import DISABLE_JIT, link
from nbnet.engine.kernels import math as nbmath
from nbnet.engine.kernels.abi import Function, Kernel, kernel, vec
from nbnet.engine.kernels.layout import OPERANDS, WIDTH

Array = NDArray[Any]
compiled_only = pytest.mark.skipif(DISABLE_JIT, reason="tests compiled code")


def softplus(x: Array) -> Array:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


# The function, a float64 reference, and the error allowed in float32, in ulp.
CASES: dict[str, tuple[Function, Callable[[Array], Array], float]] = {
    "exp": (nbmath.exp, np.exp, 2.0),
    "log": (nbmath.log, np.log, 2.0),
    "log1p": (nbmath.log1p, np.log1p, 4.0),
    "expm1": (nbmath.expm1, np.expm1, 4.0),
    "tanh": (nbmath.tanh, np.tanh, 4.0),
    "sigmoid": (nbmath.sigmoid, special.expit, 4.0),
    "erf": (nbmath.erf, special.erf, 4.0),
    "softplus": (nbmath.softplus, softplus, 6.0),
    "sin": (nbmath.sin, np.sin, 2.0),
    "cos": (nbmath.cos, np.cos, 2.0),
}
#: The bound holds for magnitudes up to this.
LIMITS = dict.fromkeys(("sin", "cos"), 2.0**40)
each = pytest.mark.parametrize("name", CASES)


def elementwise(function: Function) -> Kernel:
    @kernel
    def apply(mem: Any, ins: Any, step: int) -> None:
        x = vec(mem, ins, 0)
        y = vec(mem, ins, 1)
        for i in range(x.size):
            y[i] = function(x[i])

    return apply


def run(compiled: Kernel, x: Array) -> Array:
    """``compiled`` called with ``x`` as operand 0 and a new array as operand 1."""
    memory = np.concatenate([x, np.zeros_like(x)])
    row = np.zeros(WIDTH, np.int64)
    row[OPERANDS : OPERANDS + 6] = 0, 1, x.size, x.nbytes, 1, x.size
    (address,) = link([compiled], x.dtype)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)(
        memory.ctypes.data, row.ctypes.data, 0
    )
    return memory[x.size :]


@pytest.fixture(scope="module")
def compiled() -> dict[str, Kernel]:
    return {name: elementwise(function) for name, (function, _, _) in CASES.items()}


@pytest.fixture(scope="module")
def sweep() -> Array:
    """Floats of every binade and both signs, random bit patterns, and the range that matters, finely."""
    bits = np.arange(0, 1 << 32, 2999, dtype=np.uint64)
    random = np.random.default_rng(0).integers(0, 1 << 32, 1 << 20, dtype=np.uint64)
    everywhere = np.concatenate([bits, random]).astype(np.uint32).view(np.float32)
    fine = [np.linspace(-bound, bound, 1_000_001, dtype=np.float32) for bound in (110.0, 10.0, 2.0)]
    # Every float near the arguments where a body changes course: overflow, underflow, one, an odd power of sqrt(2).
    turns = np.array([88.72284, -87.33654, -88.72284, 87.33654, 1.0, -1.0, 1.4142135, 0.70710677, 4.0], np.float32)
    near = (turns.view(np.int32)[:, None] + np.arange(-1000, 1001, dtype=np.int32)).astype(np.int32).view(np.float32)
    return np.concatenate([everywhere, *fine, near.ravel()])


def double(x: Array) -> Array:
    with np.errstate(invalid="ignore"):  # a signalling NaN
        return x.astype(np.float64)


# ---- float32 -------------------------------------------------------------------------------------------------


@compiled_only
@each
def test_float32_error(name: str, compiled: dict[str, Kernel], sweep: Array) -> None:
    _, reference, bound = CASES[name]
    sweep = sweep[~(np.abs(sweep) > LIMITS.get(name, math.inf))]
    tiny = np.finfo(np.float32).tiny
    with np.errstate(all="ignore"):
        want = reference(double(sweep))
        rounded = want.astype(np.float32)
        got = run(compiled[name], sweep)
        error = np.abs(got - want) / np.spacing(np.abs(rounded))
    normal = np.isfinite(rounded) & (np.abs(rounded) >= tiny)
    small = np.abs(rounded) < tiny
    assert normal.sum() > 1_000_000
    assert error[normal].max() <= bound
    np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded))
    np.testing.assert_array_equal(got[np.isinf(rounded)], rounded[np.isinf(rounded)])
    assert np.all(np.abs(double(got)[small] - want[small]) <= tiny)


@compiled_only
@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh", "erf", "sin"])
def test_small_arguments_keep_their_accuracy(name: str, compiled: dict[str, Kernel]) -> None:
    x = np.geomspace(1e-37, 1e-3, 100_000).astype(np.float32)
    x = np.concatenate([x, -x])
    _, reference, bound = CASES[name]
    want = reference(double(x))
    assert np.max(np.abs(run(compiled[name], x) - want) / np.spacing(np.abs(want.astype(np.float32)))) <= bound


@compiled_only
@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_odd_and_never_beyond_one(name: str, compiled: dict[str, Kernel], sweep: Array) -> None:
    y = run(compiled[name], sweep)
    np.testing.assert_array_equal(run(compiled[name], -sweep), -y)
    assert np.nanmax(np.abs(y)) == 1.0


@compiled_only
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_remainders_of_huge_numbers_are_none_but_stay_within_one(name: str, compiled: dict[str, Kernel]) -> None:
    huge = np.geomspace(2.0**40, 3e38, 10_000).astype(np.float32)
    assert np.abs(run(compiled[name], np.concatenate([huge, -huge]))).max() <= 1.0


@compiled_only
def test_probabilities_stay_within_their_range(compiled: dict[str, Kernel], sweep: Array) -> None:
    for name, highest in ("sigmoid", 1.0), ("exp", math.inf), ("softplus", math.inf):
        y = run(compiled[name], sweep)
        assert np.nanmin(y) == 0.0
        assert np.nanmax(y) <= highest


@compiled_only
def test_sums_around_a_call_may_be_reordered_but_not_those_within(sweep: Array) -> None:
    exp = nbmath.exp

    @kernel
    def scaled(mem: Any, ins: Any, step: int) -> None:
        x = vec(mem, ins, 0)
        y = vec(mem, ins, 1)
        for i in range(x.size):
            y[i] = 3.0 + (exp(0.5 * x[i] - 1.0) - 3.0) * 2.0 - 1.0

    x = np.linspace(0.0, 100.0, 100_001).astype(np.float32)
    want = 2.0 * np.exp(0.5 * double(x) - 1.0) - 4.0
    np.testing.assert_allclose(run(scaled, x), want, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def powers() -> Callable[[Array, Array], Array]:
    """Powers of one array by another, compiled."""

    power = nbmath.power

    @kernel
    def apply(mem: Any, ins: Any, step: int) -> None:
        x = vec(mem, ins, 0)
        y = vec(mem, ins, 1)
        n = y.size // 2
        for i in range(n):
            y[i] = power(x[i], x[n + i])

    return lambda x, p: run(apply, np.concatenate([x, p]))[: x.size]


@compiled_only
def test_powers(powers: Callable[[Array, Array], Array]) -> None:
    rng = np.random.default_rng(3)
    x = np.exp2(rng.uniform(-125, 127, 300_000)).astype(np.float32)
    p = (rng.uniform(-125, 125, x.size) / np.log2(x)).astype(np.float32)
    near = rng.uniform(0.5, 2, 300_000).astype(np.float32), rng.uniform(-30, 30, 300_000).astype(np.float32)
    whole = rng.normal(0, 3, 300_000).astype(np.float32), rng.integers(-9, 10, 300_000).astype(np.float32)
    for base, exponent in (x, p), near, whole:
        want = double(base) ** double(exponent)
        error = np.abs(powers(base, exponent) - want) / np.spacing(np.abs(want).astype(np.float32))
        assert error.max() <= 1.0


@compiled_only
def test_special_powers(powers: Callable[[Array, Array], Array]) -> None:
    values = np.array([0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.5, INF, -INF, NAN, 1e30, -1e30, 1e-30], np.float32)
    x, p = (a.ravel() for a in np.meshgrid(values, np.array([0.0, 1.0, 2.0, 3.0, -1.0, -2.0, -3.0, 0.5, -0.5, 1e4])))
    with np.errstate(all="ignore"):
        want = np.power(x, p.astype(np.float32))
    small = np.abs(want) < np.finfo(np.float32).tiny
    got = powers(x, p.astype(np.float32))
    np.testing.assert_allclose(np.where(small, 0, got), np.where(small, 0, want), rtol=2e-7)


# ---- both dtypes ---------------------------------------------------------------------------------------------

INF, NAN = math.inf, math.nan
SPECIAL = {
    "exp": [(INF, INF), (-INF, 0.0), (0.0, 1.0), (1e4, INF), (-1e4, 0.0)],
    "log": [(0.0, -INF), (-0.0, -INF), (-1.0, NAN), (-1e-40, NAN), (-INF, NAN), (INF, INF), (1.0, 0.0)],
    "log1p": [(-1.0, -INF), (-1.5, NAN), (-INF, NAN), (INF, INF), (0.0, 0.0)],
    "expm1": [(INF, INF), (-INF, -1.0), (0.0, 0.0), (1e4, INF), (-1e4, -1.0)],
    "tanh": [(INF, 1.0), (-INF, -1.0), (0.0, 0.0), (1e4, 1.0), (-1e4, -1.0)],
    "sigmoid": [(INF, 1.0), (-INF, 0.0), (0.0, 0.5), (1e4, 1.0), (-1e4, 0.0)],
    "erf": [(INF, 1.0), (-INF, -1.0), (0.0, 0.0), (1e4, 1.0), (-1e4, -1.0)],
    "softplus": [(INF, INF), (-INF, 0.0), (1e4, 1e4), (-1e4, 0.0)],
    "sin": [(INF, NAN), (-INF, NAN), (0.0, 0.0)],
    "cos": [(INF, NAN), (-INF, NAN), (0.0, 1.0)],
}


@compiled_only
@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(name: str, dtype: Any, compiled: dict[str, Kernel]) -> None:
    cases = np.array([*SPECIAL[name], (NAN, NAN)], dtype)
    # Enough of them that the vector loop sees them, and a few for the scalar loop after it.
    repeated = np.tile(cases, (65, 1))[: 64 * len(cases) + 3]
    np.testing.assert_array_equal(run(compiled[name], repeated[:, 0].copy()), repeated[:, 1])


@compiled_only
@each
def test_float64_agrees_with_numpy(name: str, compiled: dict[str, Kernel]) -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=100_000) * scale for scale in (1e-8, 1e-3, 1.0, 30.0, 300.0)])
    x = np.abs(x) if name.startswith("log") else x
    with np.errstate(over="ignore", under="ignore"):
        want = CASES[name][1](x)
    np.testing.assert_allclose(run(compiled[name], x), want, rtol=3e-15, atol=1e-300)


# ---- plain Python --------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plain_body_agrees(name: str, dtype: Any, compiled: dict[str, Kernel]) -> None:
    function, reference, bound = CASES[name]
    x = np.random.default_rng(2).normal(size=500).astype(dtype) * dtype(3)
    x = np.abs(x) if name.startswith("log") else x
    plain = np.array([function(v) for v in x], dtype)
    tolerance = (bound + 4.0) * np.finfo(dtype).eps
    np.testing.assert_allclose(plain, reference(double(x)), rtol=tolerance)
    if not DISABLE_JIT:
        np.testing.assert_allclose(plain, run(compiled[name], x), rtol=tolerance)


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values_of_the_plain_body(name: str, dtype: Any) -> None:
    with np.errstate(all="ignore"):
        for x, want in [*SPECIAL[name], (NAN, NAN)]:
            np.testing.assert_array_equal(dtype(CASES[name][0](dtype(x))), dtype(want))


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "tanh", "erf"])
def test_plain_body_raises_no_warning_at_the_ends(name: str) -> None:
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        for x in (-1e4, 1e4, -math.inf, math.inf):
            CASES[name][0](np.float64(x))
