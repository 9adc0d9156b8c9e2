"""Random tensors in layers of one's own: programs draw them anew in each step, reproducibly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import ops, random

ROWS = 4000
X = np.zeros((ROWS, 3), np.float32)
FLOATS = np.arange(6, dtype=np.float32)


class Draw(nb.layers.Layer):
    """Adds what a function draws for the shape of the input."""

    def __init__(self, draw: Any, seed: Any = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.draw, self.seed = draw, random.SeedGenerator(seed) if isinstance(seed, int) else None

    def call(self, x: Any) -> Any:
        return x + self.draw(ops.shape(x), self.seed)


def model(draw: Any, seed: Any = 1) -> nb.Sequential:
    return nb.Sequential([nb.Input((3,)), Draw(draw, seed)])


DRAWS = {
    "normal": (lambda shape, seed: random.normal(shape, 2.0, 0.5, seed=seed), 2.0, 0.5),
    "uniform": (lambda shape, seed: random.uniform(shape, -1.0, 3.0, seed=seed), 1.0, 4 / np.sqrt(12)),
    "truncated": (lambda shape, seed: random.truncated_normal(shape, 1.0, 2.0, seed=seed), 1.0, 2 * 0.8796),
    "randint": (lambda shape, seed: ops.take(FLOATS, random.randint(shape, 2, 6, seed=seed)), 3.5, np.sqrt(15 / 12)),
    "dropout": (lambda shape, seed: random.dropout(ops.ones(shape), 0.2, seed=seed), 1.0, 0.5),
    "categorical": (
        lambda shape, seed: ops.take(FLOATS, random.categorical(ops.zeros((shape[0], 4)), shape[1], seed=seed)),
        1.5,
        np.sqrt(15 / 12),
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_distributions(name: str) -> None:
    draw, mean, deviation = DRAWS[name]
    values = model(draw).predict(X, verbose=0, batch_size=ROWS)
    assert values.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(values.size))
    assert values.std() == pytest.approx(deviation, rel=0.04)
    if name == "uniform":
        assert values.min() >= -1
        assert values.max() < 3
    if name == "truncated":
        assert np.abs(values - 1).max() <= 4
    if name == "randint":
        assert set(np.unique(values)) == {2, 3, 4, 5}


@pytest.mark.parametrize("name", DRAWS)
def test_each_step_draws_anew_and_equal_seeds_draw_the_same(name: str) -> None:
    draw, *_ = DRAWS[name]
    found = []
    for seed in (1, 1, 2):
        nb.set_random_seed(0)
        net = model(draw, seed)
        found.append([net.predict(X[:50], verbose=0) for _ in range(2)])
    assert (found[0][0] != found[0][1]).any()
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0][0] != found[2][0]).any()


def test_batches_of_a_training_draw_anew() -> None:
    """A layer that remembers nothing: the loss of each batch is that of other numbers, whatever the slices."""
    histories = []
    for slices in (1, 2):
        nb.set_random_seed(0)
        net = nb.Sequential([nb.Input((3,)), Draw(DRAWS["normal"][0], 1), nb.layers.Dense(1)])
        net.compile(nb.optimizers.SGD(0.0), "mse", slices=slices)
        losses: list[float] = []
        note = nb.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs, into=losses: into.append(logs["loss"])
        )
        net.fit(X[:40], X[:40, :1], batch_size=8, epochs=2, verbose=0, callbacks=[note])
        histories.append(losses)
    assert len(set(histories[0])) == 10
    assert histories[0] == histories[1]


def test_two_draws_of_one_generator_differ() -> None:
    def draw(shape: Any, seed: Any) -> Any:
        return random.normal(shape, seed=seed) - random.normal(shape, seed=seed)

    assert model(draw).predict(X[:9], verbose=0).std() > 0.5


def test_an_integer_seed_gives_the_same_numbers_in_each_step() -> None:
    net = model(lambda shape, seed: random.normal(shape, seed=7))
    first, second = (net.predict(X[:20], verbose=0) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, random.normal((20, 3), seed=7).numpy())


def test_a_shuffle_permutes_rows() -> None:
    rows = np.arange(24, dtype=np.float32).reshape(8, 3)

    class Shuffle(nb.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.seed = random.SeedGenerator(1)

        def call(self, x: Any) -> Any:
            return random.shuffle(x, seed=self.seed)

    net = nb.Sequential([nb.Input((3,)), Shuffle()])
    first, second = (net.predict(rows, verbose=0) for _ in range(2))
    for found in (first, second):
        np.testing.assert_array_equal(found[np.argsort(found[:, 0])], rows)
    assert (first != second).any()


def test_a_variational_autoencoder_trains_its_deviation() -> None:
    """Gradients flow through what is computed with the numbers."""

    class Sampling(nb.layers.Layer):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.seed_generator = random.SeedGenerator(3)

        def build(self, input_shape: Any) -> None:
            self.log_variance = self.add_weight((3,), "zeros", name="log_variance")

        def call(self, x: Any) -> Any:
            epsilon = random.normal(ops.shape(x), seed=self.seed_generator)
            return x + ops.exp(0.5 * self.log_variance) * epsilon

    net = nb.Sequential([nb.Input((3,)), Sampling()])
    net.compile(nb.optimizers.SGD(0.5), "mse")
    history = net.fit(X[:200], X[:200], epochs=20, verbose=0).history["loss"]
    assert history[-1] < 0.1 * history[0]


@pytest.mark.parametrize("name", ["gamma", "beta", "binomial"])
def test_what_programs_cannot_draw(name: str) -> None:
    arguments = {"gamma": (2.0,), "beta": (1.0, 2.0), "binomial": (3, 0.5)}[name]
    assert getattr(random, name)((5,), *arguments, seed=1).shape == (5,)
    with pytest.raises(NotImplementedError, match=rf"random\.{name} cannot draw anew in each step"):
        model(lambda shape, seed: getattr(random, name)(shape, *arguments, seed=seed))


def test_a_shape_that_is_not_known() -> None:
    with pytest.raises(ValueError, match=r"shape: expected integers, got \(None, 3\)"):
        random.normal(nb.Input((3,)).shape)
