"""Random tensors drawn outside a model, and the seed of everything random in nbnet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.seeds import Counter, as_integer, derive, generator, next_draw, next_key, seed_scope, set_random_seed
from nbnet.base.unsupported_keras import keras_hint
from nbnet.config import standardize_dtype
from nbnet.engine.graph.tensor import Tensor, recorder, tensor

__all__ = [
    "SeedGenerator", "as_integer", "categorical", "derive", "generator", "next_draw", "next_key", "normal",
    "randint", "seed_scope", "set_random_seed", "shuffle", "truncated_normal", "uniform",
]  # fmt: skip


class SeedGenerator:
    """A sequence of seeds: draws differ from call to call, and are the same for an equal generator.

    Copies and pickles continue from the same place.

    Parameters
    ----------
    seed : int or None
        None takes a fresh key (see :func:`nbnet.random.set_random_seed`).

    Examples
    --------
    >>> import nbnet as nb
    >>> first, second = nb.random.SeedGenerator(1), nb.random.SeedGenerator(1)
    >>> first.next() == second.next(), first.next() == first.next()
    (True, False)
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = next_key() if seed is None else as_integer(seed, "seed")
        self._taken = Counter()

    def next(self) -> int:
        """The next seed: 64 bits."""
        return derive(self.seed, self._taken.next())

    def get_config(self) -> dict[str, Any]:
        """The seed, as an argument of the constructor."""
        return {"seed": self.seed}


Seed = int | SeedGenerator | None


def _generator(seed: Seed) -> np.random.Generator:
    active = recorder()
    if active is not None and active.deferred:
        raise RuntimeError(
            "nbnet.random draws once, while a program is built, not in each step: use layers.Dropout, or draw outside "
            "the model and pass the numbers to it"
        )
    if isinstance(seed, SeedGenerator):
        return generator(seed.next())
    if seed is None:
        return generator(next_key())
    return generator(derive(as_integer(seed, "seed")))


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
        Of the tensor.
    mean, stddev
        Of the distribution.
    dtype
        float32 or float64; None for the framework's default.
    seed
        An integer always draws the same; a :class:`SeedGenerator` or None draws anew each time.

    Raises
    ------
    RuntimeError
        While a program is built: the numbers would be the same in each step.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.random.normal((2, 3), seed=1).shape
    (2, 3)
    """
    return tensor(_generator(seed).normal(mean, stddev, shape), standardize_dtype(dtype))


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
    drawn = tensor(_generator(seed).uniform(minval, maxval, shape), standardize_dtype(dtype))
    # Rounding to float32 may reach the end.
    drawn.numpy()[drawn.numpy() >= maxval] = np.nextafter(drawn.dtype.type(maxval), drawn.dtype.type(minval))
    return drawn


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
    generator = _generator(seed)
    values: NDArray[Any] = generator.normal(size=shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = generator.normal(size=int(outside.sum()))
    return tensor(values * stddev + mean, standardize_dtype(dtype))


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
    rows = plain_array(logits, "logits")
    if rows.ndim != 2:
        raise ValueError(f"logits: expected shape (batch, classes), got {rows.shape}")
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
    shuffled = _generator(seed).permutation(plain_array(x, "x"), axis=axis)
    return tensor(shuffled, shuffled.dtype if isinstance(x, Tensor) else None)


if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
