"""Uniform and normal numbers in kernels: pure functions of key, step and number, with the right distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from nbnet.engine.graph.tensor import Call, Tensor, encode, run_call
from nbnet.engine.kernels.abi import Memory, attribute, kernel, seed, vec
from nbnet.engine.kernels.layout import WIDTH
from nbnet.engine.kernels.random import fill_normal, fill_uniform, sin_turns


@kernel
def normals(mem: Any, ins: Any, step: Any) -> None:
    fill_normal(vec(mem, ins, 0), attribute(ins, 0), seed(ins), step)


@kernel
def uniforms(mem: Any, ins: Any, step: Any) -> None:
    fill_uniform(vec(mem, ins, 0), attribute(ins, 0), seed(ins), step)


@kernel
def sines(mem: Any, ins: Any, step: Any) -> None:
    x = vec(mem, ins, 0)
    for i in range(x.size):
        x[i] = sin_turns(x[i])


def call(made: Any, out: NDArray[Any], start: int = 0, key: int = 7) -> Call:
    tensor = Tensor(out.shape, out.dtype, out)
    return Call(made, (tensor,), (0,), 0, key, (start,), "test", out.dtype)


def draw(made: Any, n: int, start: int = 0, key: int = 7, step: int = 3, dtype: str = "float32") -> NDArray[Any]:
    out = np.empty(n, dtype)
    run_call(call(made, out, start, key), step)
    return out


both = pytest.mark.parametrize("made", [normals, uniforms], ids=["normal", "uniform"])


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_are_parts_of_the_whole(made: Any, dtype: str) -> None:
    """Not a bit depends on how a batch is cut."""
    whole = draw(made, 3000, dtype=dtype)
    for start, n in [(0, 1), (1, 300), (255, 3), (5, 64), (63, 130), (100, 1000), (300, 100), (513, 511), (9, 0)]:
        np.testing.assert_array_equal(draw(made, n, start, dtype=dtype), whole[start : start + n])


@both
def test_twin_and_float64_draw_the_same(made: Any) -> None:
    compiled, out = draw(made, 600, 100), np.empty(600, np.float32)
    row = np.zeros(WIDTH, np.int64)
    encode(row, call(made, out, 100))
    made(Memory(0, out.dtype), row, 3)
    np.testing.assert_allclose(out, compiled, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(draw(made, 600, 100, dtype="float64"), compiled, rtol=2e-5, atol=2e-6)


@both
def test_keys_and_steps_differ(made: Any) -> None:
    n = 100_000
    first = draw(made, n)
    for other in (draw(made, n, key=8), draw(made, n, step=4), draw(made, n, start=1), draw(made, n, step=2**40)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 5 / np.sqrt(n)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(dtype: str) -> None:
    n = 300_000
    u, z = draw(uniforms, n, dtype=dtype).astype(float), draw(normals, n, dtype=dtype).astype(float)
    assert u.min() > 0
    assert u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    assert stats.kstest(z, "norm").pvalue > 1e-4
    # Both numbers of a pair, which are 64 elements apart, and those of the two pairs.
    chunks = z[: n // 256 * 256].reshape(-1, 4, 64).transpose(1, 0, 2).reshape(4, -1)
    off = np.corrcoef(chunks) - np.eye(4)
    assert np.abs(off).max() < 5 / np.sqrt(chunks.shape[1])
    assert np.abs(np.corrcoef(chunks**2) - np.eye(4)).max() < 5 / np.sqrt(chunks.shape[1])


def test_sine_of_turns() -> None:
    x = np.linspace(-0.25, 0.25, 200_001, dtype=np.float32)
    found, wanted = x.copy(), np.sin(2 * np.pi * x.astype(float))
    run_call(call(sines, found), 0)
    assert np.abs((found - wanted) / np.spacing(np.abs(wanted).astype(np.float32) + np.float32(1e-30))).max() < 4
