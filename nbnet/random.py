"""Random tensors, and the seed of everything random in nbnet.

Called eagerly, these functions draw with NumPy. In a layer or loss of one's own that becomes part of a program, they
are operations that draw anew in each step, as a mask is: by key, step and place. An integer as seed always gives the
same numbers, there as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet import ops
from nbnet.base.array_memory import plain_array
from nbnet.base.seeds import Counter, as_integer, derive, generator, next_draw, next_key, seed_scope, set_random_seed
from nbnet.base.unsupported_keras import keras_hint
from nbnet.base.validation import Interval
from nbnet.config import standardize_dtype
from nbnet.engine.graph.tensor import Tensor, recorder, tensor
from nbnet.ops import random_draws

__all__ = [
    "SeedGenerator", "as_integer", "beta", "binomial", "categorical", "derive", "dropout", "gamma", "generator",
    "next_draw", "next_key", "normal", "randint", "seed_scope", "set_random_seed", "shuffle", "truncated_normal",
    "uniform",
]  # fmt: skip


class SeedGenerator:
    """A sequence of seeds: draws differ from call to call, and are the same for an equal generator.

    Copies and pickles continue from the same place.

    Parameters
    ----------
    seed : int or None
        None takes a fresh key (see :func:`nbnet.random.set_random_seed`).
    name : str, optional
        By default ``seed_generator``.

    Examples
    --------
    >>> import nbnet as nb
    >>> first, second = nb.random.SeedGenerator(1), nb.random.SeedGenerator(1)
    >>> first.next() == second.next(), first.next() == first.next()
    (True, False)
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        self.name = name or "seed_generator"
        self.seed = next_key() if seed is None else as_integer(seed, "seed")
        self._taken = Counter()

    def next(self) -> int:
        """The next seed: 64 bits."""
        return derive(self.seed, self._taken.next())

    @property
    def state(self) -> tuple[int, int]:
        """The seed, and the number of seeds taken; can be set."""
        return self.seed, self._taken.count

    @state.setter
    def state(self, state: tuple[int, int]) -> None:
        self.seed, self._taken = state[0], Counter(state[1])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"seed": self.seed, "name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A generator of a configuration of :meth:`get_config`."""
        return cls(**config)


Seed = int | SeedGenerator | None
#: The most integers that :func:`randint` chooses from in a program: uniform numbers have 23 bits there.
_MOST_INTEGERS = 1 << 22


def _in_program() -> bool:
    """Return True while a program is built, in which operations do not run yet."""
    active = recorder()
    return active is not None and active.deferred


def _draws_in_steps(seed: Seed) -> bool:
    """Return True if each step of a program that is being built draws other numbers."""
    return _in_program() and (seed is None or isinstance(seed, SeedGenerator))


def _key(seed: Seed) -> int | None:
    """Return the key of an operation that draws; a generator's is the same for all programs of a model."""
    return seed.seed if isinstance(seed, SeedGenerator) else None


def _generator(seed: Seed) -> np.random.Generator:
    if isinstance(seed, SeedGenerator):
        return generator(seed.next())
    if seed is None:
        return generator(next_key())
    return generator(derive(as_integer(seed, "seed")))


def _eager(seed: Seed, name: str) -> np.random.Generator:
    """Return the generator of a function that programs have no operation for."""
    if _draws_in_steps(seed):
        raise NotImplementedError(
            f"nbnet.random.{name} cannot draw anew in each step of a program: use normal, uniform, truncated_normal, "
            "randint, categorical, shuffle or dropout, or pass the numbers to the model"
        )
    return _generator(seed)


def _shape(shape: Sequence[int]) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if any(size is None for size in sizes):
        raise ValueError(
            f"shape: expected integers, got {sizes}: the number of rows is known in a layer's call, not outside of it"
        )
    return tuple(as_integer(size, "shape") for size in sizes)


def _real(values: NDArray[Any], dtype: DTypeLike | None) -> Tensor:
    """Return numbers as a tensor: a constant of the whole batch, if a program is being built."""
    drawn = tensor(values, standardize_dtype(dtype))
    return random_draws.constant(drawn.numpy()) if _in_program() else drawn


def _integers(values: Any, dtype: DTypeLike) -> Tensor:
    if np.dtype(dtype).kind not in "iu":
        raise ValueError(f"dtype: expected an integer dtype, got {dtype!r}")
    array = np.array(values, np.int64, order="C")
    return Tensor(array.shape, array.dtype, array)


def normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: DTypeLike | None = None, seed: Seed = None
) -> Tensor:
    """Normal numbers.

    Parameters
    ----------
    shape
        Of the tensor; in a layer, ``ops.shape(x)`` gives the sizes of an input.
    mean, stddev
        Of the distribution.
    dtype
        float32 or float64; None for the framework's default.
    seed
        An integer always draws the same; a :class:`SeedGenerator` or None draws anew each time.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.random.normal((2, 3), seed=1).shape
    (2, 3)
    """
    shape = _shape(shape)
    if _draws_in_steps(seed):
        return random_draws.draw_normal(shape, mean, stddev, standardize_dtype(dtype), _key(seed))
    return _real(_generator(seed).normal(mean, stddev, shape), dtype)


def uniform(
    shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: DTypeLike | None = None, seed: Seed = None
) -> Tensor:
    """Uniform numbers.

    Parameters
    ----------
    shape, dtype, seed
        As for :func:`normal`.
    minval, maxval
        Bounds of the interval; the upper one is excluded.

    Examples
    --------
    >>> import nbnet as nb
    >>> x = nb.random.uniform((100,), 2.0, 3.0, seed=1).numpy()
    >>> bool(((2 <= x) & (x < 3)).all())
    True
    """
    shape, kind = _shape(shape), standardize_dtype(dtype)
    if _draws_in_steps(seed):
        return random_draws.draw_uniform(shape, minval, maxval, kind, _key(seed))
    drawn = np.asarray(_generator(seed).uniform(minval, maxval, shape), kind)
    # Rounding to float32 may reach the end.
    return _real(np.where(drawn >= maxval, np.nextafter(kind.type(maxval), kind.type(minval)), drawn), kind)


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: DTypeLike | None = None, seed: Seed = None
) -> Tensor:
    """Normal numbers no further from the mean than two standard deviations.

    Parameters
    ----------
    shape, mean, stddev, dtype, seed
        As for :func:`normal`; stddev is that of the distribution before it is truncated.

    Examples
    --------
    >>> import nbnet as nb
    >>> bool((abs(nb.random.truncated_normal((1000,), seed=1).numpy()) <= 2).all())
    True
    """
    shape = _shape(shape)
    if _draws_in_steps(seed):
        low = 0.5 * math.erfc(math.sqrt(2.0))  # the probability of a number below -2
        places = random_draws.draw_uniform(shape, 2 * low - 1, 1 - 2 * low, standardize_dtype(dtype), _key(seed))
        return mean + stddev * math.sqrt(2.0) * ops.erfinv(places)
    generator = _generator(seed)
    values: NDArray[Any] = generator.normal(size=shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = generator.normal(size=int(outside.sum()))
    return _real(values * stddev + mean, dtype)


def randint(shape: Sequence[int], minval: int, maxval: int, dtype: DTypeLike = "int32", seed: Seed = None) -> Tensor:
    """Whole numbers from ``minval`` up to ``maxval``, without it; the tensor is int64.

    Parameters
    ----------
    shape, seed
        As for :func:`normal`.
    minval, maxval
        Bounds; the upper one is excluded.
    dtype
        Any integer dtype; integers are int64 here.

    Examples
    --------
    >>> import nbnet as nb
    >>> sorted(set(nb.random.randint((100,), 0, 3, seed=1).numpy().tolist()))
    [0, 1, 2]
    """
    shape = _shape(shape)
    if _draws_in_steps(seed):
        if not 0 < maxval - minval <= _MOST_INTEGERS:
            raise ValueError(f"maxval: expected {_MOST_INTEGERS} integers at most in a program, got {maxval - minval}")
        return random_draws.draw_integers(shape, minval, maxval, standardize_dtype(None), _key(seed))
    return _integers(_generator(seed).integers(minval, maxval, shape), dtype)


def categorical(logits: Any, num_samples: int, dtype: DTypeLike = "int32", seed: Seed = None) -> Tensor:
    """Class numbers, drawn with the probabilities ``softmax(logits)``.

    Parameters
    ----------
    logits : array_like, (batch, classes)
    num_samples
        Number of draws for each row.
    dtype, seed
        As for :func:`randint`.

    Returns
    -------
    Tensor, (batch, num_samples)

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.random.categorical([[-1e9, 0.0]], 3).numpy()
    array([[1, 1, 1]])
    """
    rows = logits if isinstance(logits, Tensor) and _in_program() else plain_array(logits, "logits")
    if rows.ndim != 2:
        raise ValueError(f"logits: expected shape (batch, classes), got {rows.shape}")
    if isinstance(rows, Tensor):
        shape = (rows.shape[0], num_samples, rows.shape[1])
        places = uniform(shape, dtype=rows.dtype, seed=seed)
        return ops.argmax(ops.expand_dims(rows, 1) - ops.log(-ops.log(places)), axis=-1)
    # The argmax of logits with Gumbel noise is distributed as the softmax.
    noise = _generator(seed).gumbel(size=(len(rows), num_samples, rows.shape[1]))
    return _integers((rows[:, None, :] + noise).argmax(-1), dtype)


def shuffle(x: Any, axis: int = 0, seed: Seed = None) -> Tensor:
    """Shuffle x along an axis.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        The axis.
    seed
        As for :func:`normal`.

    Examples
    --------
    >>> import nbnet as nb
    >>> sorted(nb.random.shuffle([1.0, 2.0, 3.0], seed=1).numpy().tolist())
    [1.0, 2.0, 3.0]
    """
    if isinstance(x, Tensor) and _in_program():
        return ops.take(x, ops.argsort(uniform((x.shape[axis],), seed=seed)), axis=axis)
    shuffled = _generator(seed).permutation(plain_array(x, "x"), axis=axis)
    return tensor(shuffled, shuffled.dtype if isinstance(x, Tensor) else None)


def dropout(inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None) -> Tensor:
    """Drop elements with a probability and scale those that are kept, whether in training or not.

    Parameters
    ----------
    inputs : array_like
        Tensor or array of floats.
    rate
        Probability that an element is dropped, in [0, 1].
    noise_shape
        Shape of the mask, which is broadcast; None stands for the size of the inputs there.
    seed
        As for :func:`normal`.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> sorted(set(nb.random.dropout(np.ones(100), 0.5, seed=1).numpy().tolist()))
    [0.0, 2.0]
    """
    x = tensor(inputs)
    rate = Interval(0, 1).check(rate, "rate")
    if rate == 1:
        return x * 0.0
    sizes = x.shape if noise_shape is None else [n or m for n, m in zip(noise_shape, x.shape, strict=True)]
    drawn = uniform(sizes, dtype=x.dtype, seed=seed)
    return ops.where(ops.greater_equal(drawn, rate), x / (1 - rate), 0.0)


def gamma(shape: Sequence[int], alpha: float, dtype: DTypeLike | None = None, seed: Seed = None) -> Tensor:
    """Numbers of a gamma distribution of scale 1.

    Parameters
    ----------
    shape, dtype, seed
        As for :func:`normal`.
    alpha
        The distribution's shape, above 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> bool((nb.random.gamma((100,), 2.0, seed=1).numpy() > 0).all())
    True
    """
    return _real(_eager(seed, "gamma").gamma(alpha, size=_shape(shape)), dtype)


def beta(shape: Sequence[int], alpha: float, beta: float, dtype: DTypeLike | None = None, seed: Seed = None) -> Tensor:
    """Numbers of a beta distribution, in [0, 1].

    Parameters
    ----------
    shape, dtype, seed
        As for :func:`normal`.
    alpha, beta
        Of the distribution, above 0.

    Examples
    --------
    >>> import nbnet as nb
    >>> bool((nb.random.beta((100,), 2.0, 1.0, seed=1).numpy() <= 1).all())
    True
    """
    return _real(_eager(seed, "beta").beta(alpha, beta, _shape(shape)), dtype)


def binomial(
    shape: Sequence[int], counts: int, probabilities: float, dtype: DTypeLike | None = None, seed: Seed = None
) -> Tensor:
    """Numbers of successes in ``counts`` trials, as floats.

    Parameters
    ----------
    shape, dtype, seed
        As for :func:`normal`.
    counts, probabilities
        Number of trials, and the probability of success in each.

    Examples
    --------
    >>> import nbnet as nb
    >>> sorted(set(nb.random.binomial((100,), 2, 0.5, seed=1).numpy().tolist()))
    [0.0, 1.0, 2.0]
    """
    return _real(np.asarray(_eager(seed, "binomial").binomial(counts, probabilities, _shape(shape)), float), dtype)


if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
