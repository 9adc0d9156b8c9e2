"""Random numbers: published answers, independence of how a mask is cut, and statistics over ten million draws."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbnet.engine.jit.linker import DISABLE_JIT
from nbnet.engine.kernels import philox as philox_module
from nbnet.engine.kernels.abi import attribute, bytevec, intvec, kernel, seed, vec
from nbnet.engine.kernels.philox import CHUNK, ROUNDS, fill_mask, philox, threshold
from nbnet.random import derive
from tests.engine.toys import F32, F64, Array, compiled_only, run

# Random123's kat_vectors, lines "philox4x32 7" and "philox4x32 10": counter, key, words.
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)
ONES = (2**32 - 1,) * 4, (2**32 - 1,) * 2
ZEROS = (0,) * 4, (0,) * 2
KNOWN = [
    (7, *ZEROS, (0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48)),
    (7, *ONES, (0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662)),
    (7, *PI, (0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A)),
    (10, *ZEROS, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (10, *ONES, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (10, *PI, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]
known = pytest.mark.parametrize(("rounds", "counter", "key", "words"), KNOWN)


@kernel
def words_of(mem: Any, ins: Any, step: Any) -> None:
    """Four words from a counter and a key."""
    c, out = intvec(mem, ins, 0), intvec(mem, ins, 1)
    c0, c1, c2, c3 = np.uint64(c[0]), np.uint64(c[1]), np.uint64(c[2]), np.uint64(c[3])
    w0, w1, w2, w3 = philox(c0, c1, c2, c3, np.uint64(c[4]), np.uint64(c[5]), attribute(ins, 0))
    out[0] = w0
    out[1] = w1
    out[2] = w2
    out[3] = w3


@kernel
def draw(mem: Any, ins: Any, step: Any) -> None:
    """A mask from element ``attribute 0`` on."""
    fill_mask(bytevec(mem, ins, 0), attribute(ins, 0), seed(ins), step, vec(mem, ins, 1)[0])


def mask(n: int, start: int = 0, key: int = 1, step: int = 0, rate: float = 0.5, dtype: Any = F32) -> Array:
    """Elements ``start ... start + n`` of a mask, as bytes between two canaries that must survive."""
    memory = np.full(n + 2, 7, np.uint8)
    run(draw, memory[1:-1], np.array([rate], dtype), attributes=(start,), key=key, step=step)
    assert memory[0] == memory[-1] == 7
    assert n == 0 or memory[1:-1].max() <= 1
    return memory[1:-1]


# ---- the generator -----------------------------------------------------------------------------------------------


@known
def test_known_answers_in_python(rounds: int, counter: Any, key: Any, words: Any) -> None:
    got = philox(*(np.uint64(v) for v in (*counter, *key)), rounds)
    assert tuple(map(int, got)) == words


@known
def test_known_answers_compiled(rounds: int, counter: Any, key: Any, words: Any) -> None:
    got = np.zeros(4, np.int64)
    run(words_of, np.array([*counter, *key], np.int64), got, attributes=(rounds,), dtype=F32)
    assert tuple(got.tolist()) == words


@given(st.lists(st.integers(0, 2**32 - 1), min_size=6, max_size=6))
def test_python_and_compiled_agree_with_numpy(counter_and_key: list[int]) -> None:
    got = np.zeros(4, np.int64)
    run(words_of, np.array(counter_and_key, np.int64), got, attributes=(ROUNDS,), dtype=F64)
    plain = [int(w) for w in philox(*(np.uint64(v) for v in counter_and_key), ROUNDS)]
    assert got.tolist() == plain == [int(w[0]) for w in reference(*([np.uint64(v)] for v in counter_and_key))]


def reference(*counter_and_key: Any) -> list[Array]:
    """Philox4x32 as in the paper, with 32-bit words, over arrays."""
    c = [np.asarray(v, np.uint64).astype(np.uint32) for v in counter_and_key[:4]]
    k = [np.asarray(v, np.uint64).astype(np.uint32) for v in counter_and_key[4:]]
    for _ in range(ROUNDS):
        low, high = [], []
        for m, x in ((0xD2511F53, c[0]), (0xCD9E8D57, c[2])):
            product = np.uint64(m) * x.astype(np.uint64)
            low.append(product.astype(np.uint32))
            high.append((product >> np.uint64(32)).astype(np.uint32))
        c = [high[1] ^ c[1] ^ k[0], low[1], high[0] ^ c[3] ^ k[1], low[0]]
        with np.errstate(over="ignore"):
            k = [k[0] + np.uint32(0x9E3779B9), k[1] + np.uint32(0xBB67AE85)]
    return c


def mask_by_the_book(start: int, n: int, key: int, step: int, rate: float) -> Array:
    """Element e of chunk e // 256 has 16 bits: i = e % 128 is half i % 2 of word i // 2 % 2 of counter i // 4, and of
    the word after next in the chunk's second half."""
    e = np.arange(start, start + n, dtype=np.uint64)
    chunk, i = e // np.uint64(256), (e % np.uint64(128)).astype(int)
    word = i // 2 % 2 + 2 * (e % np.uint64(256) // np.uint64(128)).astype(int)
    words = words_at(chunk * np.uint64(32) + (i // 4).astype(np.uint64), step, key)[word, np.arange(n)]
    drawn = words >> (16 * (i % 2)).astype(np.uint32) & np.uint32(0xFFFF)
    chance = words_at(chunk, step | 1 << 63, key)[0] & np.uint32(0xFFFF)
    limit = int(np.float64(F32.type(rate)) * 2.0**32) + chance.astype(np.int64) >> 16
    return (drawn >= limit).astype(np.uint8)


def words_at(counters: Array, step: int, key: int) -> Array:
    """Words of counters, (4, n)."""
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    pair = [np.uint64(v) for v in (step & 0xFFFFFFFF, step >> 32, key & 0xFFFFFFFF, key >> 32)]
    return np.array(reference(counters & low, counters >> shift, *(np.full(len(counters), v) for v in pair)))


# ---- masks -------------------------------------------------------------------------------------------------------


@given(
    st.integers(0, 3000),
    st.integers(0, 1200),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**50),
    st.floats(0, 1, width=32),
)
@settings(max_examples=10 if DISABLE_JIT else 60)
def test_masks_by_the_book(start: int, n: int, key: int, step: int, rate: float) -> None:
    np.testing.assert_array_equal(mask(n, start, key, step, rate), mask_by_the_book(start, n, key, step, rate))


def test_masks_far_into_a_batch() -> None:
    start = 2**42 + 77  # past 2**32 counters
    np.testing.assert_array_equal(mask(300, start), mask_by_the_book(start, 300, 1, 0, 0.5))


@functools.cache
def whole() -> Array:
    return mask(4096, key=9, step=3, rate=0.3)


@given(st.lists(st.integers(0, 4096), max_size=12))
@settings(max_examples=10 if DISABLE_JIT else 100)
def test_masks_do_not_depend_on_how_the_range_is_cut(cuts: list[int]) -> None:
    bounds = sorted({0, 4096, *cuts})
    parts = [mask(b - a, a, key=9, step=3, rate=0.3) for a, b in itertools.pairwise(bounds)]
    np.testing.assert_array_equal(np.concatenate(parts), whole())


@given(st.integers(0, 1000), st.integers(0, 700), st.integers(0, 2**64 - 1))
@settings(max_examples=10)
def test_compiled_masks_are_those_of_python(start: int, n: int, key: int) -> None:
    plain = np.zeros(n, np.uint8)
    fill_mask(plain, start, np.uint64(key), 5, np.float32(0.4))
    np.testing.assert_array_equal(mask(n, start, key, 5, 0.4), plain)


def test_float64_models_draw_the_same() -> None:
    for rate in (0.5, 0.25):
        np.testing.assert_array_equal(mask(1000, rate=rate, dtype=F32), mask(1000, rate=rate, dtype=F64))


@pytest.mark.parametrize("dtype", [F32, F64])
def test_rate_0_keeps_all_and_rate_1_drops_all(dtype: Any) -> None:
    n = 10_000 if DISABLE_JIT else 1_000_000
    assert mask(n, rate=0.0, dtype=dtype).all()
    assert not mask(n, rate=1.0, dtype=dtype).any()
    assert threshold(dtype.type(0)) == 0
    assert threshold(dtype.type(1)) == 2**32


def test_a_higher_rate_drops_the_same_and_more() -> None:
    low, high = mask(20_000, rate=0.2), mask(20_000, rate=0.6)
    assert (high <= low).all()


@compiled_only
@pytest.mark.parametrize("rate", [2.0**-20, 1 - 2.0**-20])
def test_rates_finer_than_16_bits(rate: float) -> None:
    # A chunk's share of such a step is a multiple of 2^-16; over chunks and over steps it is the rate.
    n, steps = 1_000_000, 20
    dropped = sum(n - int(np.count_nonzero(mask(n, step=step, rate=rate, dtype=F64))) for step in range(steps))
    p = min(rate, 1 - rate)
    assert abs(dropped - n * steps * rate) <= 5 * np.sqrt(n * steps * p)


def test_an_empty_mask() -> None:
    assert mask(0).size == 0
    assert mask(0, start=CHUNK + 3).size == 0


# ---- ten million draws -------------------------------------------------------------------------------------------

N = 10_000_000
KEY, OTHER = derive(1), derive(2)


@compiled_only
@pytest.mark.parametrize("rate", [0.001, 0.1, 0.2, 0.5, 0.8, 0.999])
@pytest.mark.parametrize("key", [0, KEY])
def test_keep_rate(rate: float, key: int) -> None:
    p = 1 - float(F32.type(rate))
    kept = int(np.count_nonzero(mask(N, key=key, step=17, rate=rate)))
    assert abs(kept - N * p) <= 5 * np.sqrt(N * p * (1 - p))


def sigmas(a: Array, b: Array, rate: float) -> float:
    """How far a 2x2 table is from independence: the covariance in units of its standard deviation."""
    p, n = 1 - rate, a.size
    both, one, other = (int(np.count_nonzero(v)) for v in (a & b, a, b))
    covariance = both - p * one - p * other + n * p * p
    return abs(covariance) / (np.sqrt(n) * p * (1 - p))


@pytest.fixture(scope="module")
def drawn() -> dict[float, Array]:
    return {rate: mask(N + 1024, key=KEY, step=5, rate=rate) for rate in (0.5, 0.125)}


@compiled_only
@pytest.mark.parametrize("rate", [0.5, 0.125])
# Neighbours in a row; in a counter (1 to 3, 128 to 131); in the next chunk (256); in the next row of layers so wide.
@pytest.mark.parametrize("lag", [1, 2, 3, 16, 63, 64, 65, 100, 127, 128, 129, 130, 131, 256, 320, 512, 784, 1024])
def test_neighbours_are_independent(lag: int, rate: float, drawn: dict[float, Array]) -> None:
    assert sigmas(drawn[rate][:N], drawn[rate][lag : lag + N], rate) < 5


NEIGHBOURS = {
    "next step": {"step": 6},
    "step after next": {"step": 7},
    "step that differs in one high bit": {"step": 5 + 2**32},
    "step of eager mode": {"step": 5 + 2**40},
    "next key": {"key": (KEY + 1) % 2**64},
    "key that differs in one high bit": {"key": KEY ^ 2**63},
    "key with halves swapped": {"key": (KEY >> 32) | (KEY & 0xFFFFFFFF) << 32},
    "another layer's key": {"key": OTHER},
    "second call of a layer": {"key": derive(KEY, 1)},
}


@compiled_only
@pytest.mark.parametrize("rate", [0.5, 0.125])
@pytest.mark.parametrize("what", NEIGHBOURS)
def test_steps_and_layers_are_independent(what: str, rate: float, drawn: dict[float, Array]) -> None:
    other = mask(N, **{"key": KEY, "step": 5, "rate": rate} | NEIGHBOURS[what])
    assert sigmas(drawn[rate][:N], other, rate) < 5


@compiled_only
def test_columns_are_independent_of_each_other_and_fair() -> None:
    # As a layer of 100 units sees it: each unit's share, and every pair of units.
    n, units = N // 100, 100
    kept = mask(N, key=KEY, step=2, rate=0.5).reshape(n, units).astype(F64) - 0.5
    shares = kept.sum(0) / (0.5 * np.sqrt(n))
    assert np.abs(shares).max() < 5
    pairs = (kept.T @ kept) / (0.25 * np.sqrt(n))
    assert np.abs(pairs[np.triu_indices(units, 1)]).max() < 5.5  # 4,950 of them


@compiled_only
def test_the_statistics_would_notice() -> None:
    a = mask(N, key=KEY, step=5).copy()
    b = mask(N, key=OTHER, step=5).copy()
    b[: N // 400] = a[: N // 400]  # a quarter of a per cent is copied
    assert sigmas(a, b, 0.5) > 5


def test_constants_are_those_of_the_paper() -> None:
    assert (int(philox_module._M0), int(philox_module._M1)) == (0xD2511F53, 0xCD9E8D57)
    assert (int(philox_module._W0), int(philox_module._W1)) == (0x9E3779B9, 0xBB67AE85)
