"""Predictions by sampling: running the programs of ``sampler.py``, batch after batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet import data, random
from nbnet.models.feeds import Source
from nbnet.models.intake import Rows
from nbnet.models.programs import Builder
from nbnet.models.running import FIRST_STEP, STEPS, program, run, sources_of
from nbnet.models.sampler import Sampler, Sampling

if TYPE_CHECKING:
    from nbnet.models.learner import Learner
    from nbnet.progress import Progress

Array = NDArray[Any]

#: The least number that 1 to 16 divide.
TURNS = 720_720


class Wish(NamedTuple):
    """What is to be sampled: how often, whether rows share masks, quantiles, and whether the samples are kept."""

    samples: int
    masks: str
    quantiles: Any
    keep: bool


class Found(NamedTuple):
    """What was found for rows of an output: mean (n, ...), sum of squared deviations, sum of entropies if it is
    probabilities, samples (samples, n, ...) and quantiles if they are wanted."""

    mean: Array
    squares: Array
    entropy: Array | None
    samples: Array | None
    quantiles: Array | None


def first_step(seed: int | None) -> int:
    """The number of the first sample: a pure function of the seed; None: one that no other call gets. What takes turns
    by it (up to 16 things) begins with the first."""
    key = random.next_key() if seed is None else random.derive(random.as_integer(seed, "seed"))
    return (FIRST_STEP + key % STEPS) // TURNS * TURNS


def sample(model: Learner, rows: Rows, size: int, wish: Wish, step: int, bar: Progress | None) -> tuple[Any, list[Any]]:
    """Names in the structure of the outputs, and what was found for each.

    Parameters
    ----------
    size
        Rows computed at a time.
    step
        Number of the first sample's step.
    """
    if (blocks := data.Blocks.of(rows.arrays())) is None:
        return _sample(model, rows, size, wish, step, bar, 0)
    parts: list[tuple[Any, list[Found]]] = []
    row = 0
    for arrays in blocks.read(range(len(rows)), size):
        part = rows.like(arrays)
        parts.append(_sample(model, part, size, wish, step, bar, row))
        row += len(part)
    return parts[0][0], [joined(found) for found in zip(*(found for _, found in parts), strict=True)]


def joined(parts: Sequence[Found]) -> Found:
    """What was found for some rows, then for the next, as one."""
    rows = parts[0].mean.ndim
    # What has an axis in front of that of the rows is joined along the second.
    made: Any = (
        None if one[0] is None else np.concatenate(one, int(one[0].ndim > rows)) for one in zip(*parts, strict=True)
    )
    return Found(*made)


def _sample(
    model: Learner, rows: Rows, size: int, wish: Wish, step: int, bar: Progress | None, row: int
) -> tuple[Any, list[Found]]:
    """The same for rows in memory, the first of which is ``row`` of all."""
    sources, n = sources_of(rows), len(rows)
    keep = wish.keep or wish.quantiles is not None
    found: list[Found] = []
    for start in range(0, n, size):
        count = min(size, n - start)
        key = "sample", count, wish.masks, keep, *sources.items(), model.structure()
        make = partial(_make, rows=count, sources=sources, masks=wish.masks, keep=keep)
        batch = program(model, key, make)
        assert isinstance(batch, Sampling)
        found = found or [_room(batch, k, n, wish) for k in range(len(batch.output_rows))]
        batch.bind(**rows.named())
        buffers = [_bind(batch, k, one, wish.samples if keep else 0) for k, one in enumerate(found)]
        batch.begin(start, row + start, step)
        run(batch, wish.samples, None, None, step)
        # A program that is kept for later does not keep what it has found.
        batch.bound.clear()
        for one, buffer in zip(found, buffers, strict=True):
            _take(one, slice(start, start + count), buffer, wish.quantiles)
        if bar is not None:
            bar.update(-(-(row + start + count) // size), {})
    return batch.template, found


def _take(found: Found, rows: slice, samples: Array, quantiles: Any) -> None:
    """Keep what is wanted of the samples of some rows."""
    if found.samples is not None:
        found.samples[:, rows] = samples
    if found.quantiles is not None:
        part = found.quantiles[:, rows] if np.ndim(quantiles) else found.quantiles[rows]
        part[...] = np.quantile(samples, quantiles, 0)


def _make(builder: Builder, rows: int, sources: Mapping[str, Source], masks: str, keep: bool) -> Sampling:
    return Sampler(builder.model).sample(rows, sources, masks, keep)


def _room(batch: Sampling, k: int, n: int, wish: Wish) -> Found:
    """Zeros for what is found for all rows."""
    shape, dtype, binary = (n, *batch.output_rows[k]), batch.linked.program.dtype, batch.binary[k]
    return Found(
        np.zeros(shape),
        np.zeros(shape),
        None if binary is None else np.zeros(shape if binary else shape[:-1]),
        np.empty((wish.samples, *shape), dtype) if wish.keep else None,
        None if wish.quantiles is None else np.empty((*np.shape(wish.quantiles), *shape), dtype),
    )


def _bind(batch: Sampling, k: int, found: Found, samples: int) -> Array:
    """Let the program add to what was found for output k; returns where it keeps the samples of the batch."""
    buffer = np.empty((samples, batch.rows, *batch.output_rows[k]), batch.linked.program.dtype)
    named = {"mean": found.mean, "squares": found.squares, "entropy": found.entropy}
    if samples:
        named["samples"] = buffer
    batch.bind(**{f"{name}{k}": array for name, array in named.items() if array is not None})
    return buffer
