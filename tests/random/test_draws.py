"""Random tensors: distributions, seeds, errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import nbnet as nb

N = (4000,)
P = 1e-4


@pytest.mark.parametrize(
    ("draw", "distribution"),
    [
        (lambda seed: nb.random.normal(N, 1.0, 2.0, seed=seed), stats.norm(1, 2)),
        (lambda seed: nb.random.uniform(N, -1.0, 3.0, seed=seed), stats.uniform(-1, 4)),
        (lambda seed: nb.random.truncated_normal(N, 1.0, 2.0, seed=seed), stats.truncnorm(-2, 2, 1, 2)),
    ],
)
def test_distributions(draw, distribution):
    assert stats.kstest(draw(3).numpy(), distribution.cdf).pvalue > P
    assert draw(3).dtype == np.float32
    assert np.array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))
    assert not np.array_equal(draw(None), draw(None))
    seeds, again = nb.random.SeedGenerator(1), nb.random.SeedGenerator(1)
    first = draw(seeds)
    assert np.array_equal(first, draw(again))
    assert not np.array_equal(first, draw(seeds))
    nb.set_random_seed(2)
    first = draw(None)
    nb.set_random_seed(2)
    assert np.array_equal(first, draw(None))


def test_whole_numbers():
    drawn = nb.random.randint(N, -2, 3, seed=1)
    assert drawn.dtype == np.int64
    counts = np.unique(drawn.numpy(), return_counts=True)
    assert counts[0].tolist() == [-2, -1, 0, 1, 2]
    assert stats.chisquare(counts[1]).pvalue > P
    with pytest.raises(ValueError, match="dtype: expected an integer dtype, got 'float32'"):
        nb.random.randint((2,), 0, 1, dtype="float32")


def test_categorical():
    logits = np.log([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    drawn = nb.random.categorical(logits, N[0], seed=1).numpy()
    assert drawn.shape == (2, N[0])
    for row, p in zip(drawn, np.exp(logits), strict=True):
        assert stats.chisquare(np.bincount(row, minlength=3), p * N[0]).pvalue > P
    with pytest.raises(ValueError, match="logits: expected shape"):
        nb.random.categorical([0.0], 1)


def test_uniform_never_reaches_its_end():
    x = nb.random.uniform((200_000,), 0.0, 1e-3 * (1 + 1e-7), seed=1).numpy()
    assert x.max() < np.float32(1e-3 * (1 + 1e-7))


def test_shuffle():
    x = np.arange(20.0).reshape(2, 10)
    y = nb.random.shuffle(x, axis=1, seed=1).numpy()
    assert not np.array_equal(y, x)
    assert np.array_equal(np.sort(y, 1), x)
    assert np.array_equal(y[1], y[0] + 10)
    assert nb.random.shuffle(nb.tensor(x), seed=1).dtype == np.float64


def test_seeds_are_integers():
    with pytest.raises(TypeError, match="seed: expected an integer, got 'a'"):
        nb.random.normal((2,), seed="a")  # type: ignore[arg-type]
    config = nb.random.SeedGenerator(3, name="draws").get_config()
    assert config == {"seed": 3, "name": "draws"}
    assert nb.random.SeedGenerator.from_config(config).next() == nb.random.SeedGenerator(3).next()
    assert not nb.random.dropout(np.ones(4), 1.0, seed=1).numpy().any()
