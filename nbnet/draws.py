"""Random tensors: what ``nbnet.random`` draws outside a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet import random
from nbnet.config import standardize_dtype

# As modules, whose contents are looked up when something is drawn: both import nbnet.random themselves.
from nbnet.core import graph, tape


class SeedGenerator:
    """A sequence of seeds: what is drawn with it differs from call to call, and repeats for an equal generator.

    Parameters
    ----------
    seed : int or None
        None takes a key of the framework's (see :func:`nbnet.random.set_random_seed`).

    Examples
    --------
    >>> import nbnet as nb
    >>> first, second = nb.random.SeedGenerator(1), nb.random.SeedGenerator(1)
    >>> first.next() == second.next(), first.next() == first.next()
    (True, False)
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = random.next_key() if seed is None else random.as_integer(seed, "seed")
        self._taken = 0

    def next(self) -> int:
        """The next seed: 64 bits."""
        self._taken += 1
        return random.derive(self.seed, self._taken)

    def get_config(self) -> dict[str, Any]:
        """What the constructor was given, or took."""
        return {"seed": self.seed}


Seed = int | SeedGenerator | None


def _generator(seed: Seed) -> np.random.Generator:
    recorder = tape.recorder()
    if recorder is not None and recorder.deferred:
        raise RuntimeError(
            "nbnet.random draws once, while a model is written down, not in each step: use layers.Dropout, or draw "
            "outside the model and hand the numbers to it"
        )
    if isinstance(seed, SeedGenerator):
        return random.generator(seed.next())
    if seed is None:
        return random.generator(random.next_key())
    return random.generator(random.derive(random.as_integer(seed, "seed")))


def _floats(values: Any, dtype: DTypeLike | None) -> graph.Tensor:
    array = np.array(values, standardize_dtype(dtype), order="C")
    return graph.Tensor(array.shape, array.dtype, array)


def _integers(values: Any, dtype: DTypeLike) -> graph.Tensor:
    if np.dtype(dtype).kind not in "iu":
        raise ValueError(f"dtype: wants an integer dtype, got {dtype!r}")
    array = np.array(values, np.int64, order="C")
    return graph.Tensor(array.shape, array.dtype, array)


def normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: DTypeLike | None = None, seed: Seed = None
) -> graph.Tensor:
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
        Where a model is being written down: there the numbers would be the same in each step.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.random.normal((2, 3), seed=1).shape
    (2, 3)
    """
    return _floats(_generator(seed).normal(mean, stddev, shape), dtype)


def uniform(
    shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: DTypeLike | None = None, seed: Seed = None
) -> graph.Tensor:
    """Numbers that are equally likely anywhere between two.

    Parameters
    ----------
    shape, dtype, seed
        As for :func:`normal`.
    minval, maxval
        The smallest number, and the one that none reaches.

    Examples
    --------
    >>> import nbnet as nb
    >>> x = nb.random.uniform((100,), 2.0, 3.0, seed=1).numpy()
    >>> bool(((2 <= x) & (x < 3)).all())
    True
    """
    drawn = _floats(_generator(seed).uniform(minval, maxval, shape), dtype)
    # Rounding to float32 may reach the end.
    drawn.numpy()[drawn.numpy() >= maxval] = np.nextafter(drawn.dtype.type(maxval), drawn.dtype.type(minval))
    return drawn


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: DTypeLike | None = None, seed: Seed = None
) -> graph.Tensor:
    """Normal numbers no further from the mean than two standard deviations.

    Parameters
    ----------
    shape, mean, stddev, dtype, seed
        As for :func:`normal`; stddev is that before others are drawn again.

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
    return _floats(values * stddev + mean, dtype)


def randint(
    shape: Sequence[int], minval: int, maxval: int, dtype: DTypeLike = "int32", seed: Seed = None
) -> graph.Tensor:
    """Whole numbers from ``minval`` up to ``maxval``, without it; the tensor is int64.

    Parameters
    ----------
    shape, seed
        As for :func:`normal`.
    minval, maxval
        The smallest, and the one above the largest.
    dtype
        Any integer dtype; integers are int64 here.

    Examples
    --------
    >>> import nbnet as nb
    >>> sorted(set(nb.random.randint((100,), 0, 3, seed=1).numpy().tolist()))
    [0, 1, 2]
    """
    return _integers(_generator(seed).integers(minval, maxval, shape), dtype)


def categorical(logits: Any, num_samples: int, dtype: DTypeLike = "int32", seed: Seed = None) -> graph.Tensor:
    """Class numbers, drawn with the probabilities ``softmax(logits)``.

    Parameters
    ----------
    logits : array_like, (batch, classes)
    num_samples
        How many for each row.
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
    rows = np.asarray(logits)
    if rows.ndim != 2:
        raise ValueError(f"logits: wants shape (batch, classes), got {rows.shape}")
    # The largest of logits with Gumbel noise is a class with the probability of the softmax.
    noise = _generator(seed).gumbel(size=(len(rows), num_samples, rows.shape[1]))
    return _integers((rows[:, None, :] + noise).argmax(-1), dtype)


def shuffle(x: Any, axis: int = 0, seed: Seed = None) -> graph.Tensor:
    """x with its parts along an axis in a random order.

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
    shuffled = _generator(seed).permutation(np.asarray(x), axis=axis)
    return tape.tensor(shuffled, shuffled.dtype if isinstance(x, graph.Tensor) else None)
