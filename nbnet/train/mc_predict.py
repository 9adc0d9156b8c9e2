"""Monte Carlo prediction: running the programs of :mod:`nbnet.train.mc_program`, batch after batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet import random
from nbnet.base.seeds import DrawCounter
from nbnet.base.validation import check_choice, check_int
from nbnet.train.compiled_runner import FIRST_STEP, STEPS, cached_program, run, sources_of
from nbnet.train.data_source import ArraySource
from nbnet.train.epoch_loop import Bar, Chunk, EpochLoop, Report
from nbnet.train.inputs import Rows
from nbnet.train.mc_program import SamplingBuilder, SamplingStep
from nbnet.train.step_builder import ArraySpec, StepBuilder, StepDraft
from nbnet.train.trainable import Logs, Trainable

Array = NDArray[Any]

#: The least number that 1 to 16 divide.
TURNS = 720_720


class MCRequest(NamedTuple):
    """Arguments of ``predict_mc``, checked: number of samples, ``"per_sample"`` or ``"shared"`` masks, quantiles, and
    whether to keep the samples."""

    samples: int
    masks: str
    quantiles: Any
    keep: bool

    @classmethod
    def checked(cls, samples: Any, masks: Any, quantiles: Any, keep: Any) -> MCRequest:
        """Return the request that the arguments of ``predict_mc`` make.

        Raises
        ------
        ValueError, TypeError
            If one of them is out of range.
        """
        count = check_int(samples, "samples")
        check_choice(masks, "masks", ["per_sample", "shared"])
        if quantiles is not None:
            given, quantiles = quantiles, np.asarray(quantiles)
            if quantiles.dtype.kind not in "fiu":
                raise TypeError(f"quantiles: expected numbers in [0, 1], got {given!r}")
            quantiles = quantiles.astype(np.float64)
            if quantiles.ndim > 1 or not ((quantiles >= 0) & (quantiles <= 1)).all():
                raise ValueError(f"quantiles: expected numbers in [0, 1], got {quantiles.tolist()}")
        return cls(count, masks, quantiles, bool(keep))


class MCResult(NamedTuple):
    """Statistics of an output over the samples: mean (n, ...), sum of squared deviations, sum of entropies if it is
    probabilities, samples (samples, n, ...) and quantiles if they are wanted."""

    mean: Array
    squares: Array
    entropy: Array | None
    samples: Array | None
    quantiles: Array | None


def first_step(seed: int | None, draws: DrawCounter) -> int:
    """Return the number of the first sample: a pure function of the seed; None: of the draws so far.

    Layers that take turns by the step (up to 16) begin with the first.
    """
    key = random.derive(draws.next(), 0) if seed is None else random.derive(random.as_integer(seed, "seed"))
    return (FIRST_STEP + key % STEPS) // TURNS * TURNS


def sample(
    model: Trainable, rows: Rows, size: int, request: MCRequest, step: int, bar: Bar | None
) -> tuple[Any, list[MCResult]]:
    """Return names in the structure of the outputs, and the statistics of each.

    Parameters
    ----------
    size
        Rows computed at a time.
    step
        Number of the first sample's step.
    """
    runner = SampleRunner(model, len(rows), request, step)
    EpochLoop(model, "predict", runner, ArraySource(rows, size), None, bar).run()
    return runner.template, runner.results


class SampleRunner:
    """Samples each batch many times.

    Parameters
    ----------
    n
        Number of all rows.
    request, step
        As for :func:`sample`.
    """

    single = True

    def __init__(self, model: Trainable, n: int, request: MCRequest, step: int) -> None:
        self._model, self._n, self._request, self._first_step = model, n, request, step
        self.begin()

    def begin(self) -> None:
        self.results: list[MCResult] = []
        self.template: Any = None

    def run(self, chunk: Chunk, report: Report | None = None) -> None:
        request, model = self._request, self._model
        sources, keep = sources_of(chunk.rows), request.keep or request.quantiles is not None
        key = "sample", chunk.size, request.masks, keep, *sources.items(), model.structure()
        make = partial(_make, rows=chunk.size, sources=sources, masks=request.masks, keep=keep)
        step = cached_program(model, key, make)
        assert isinstance(step, SamplingStep)
        if not self.results:
            self.template = step.template
            self.results = [_zeros(step, k, self._n, request) for k in range(len(step.output_rows))]
        count, row = request.samples if keep else 0, chunk.first + chunk.start
        step.in_use = True
        try:
            step.bind(**chunk.rows.named())
            buffers = [_bind(step, k, result, chunk.first, count) for k, result in enumerate(self.results)]
            step.begin(chunk.start, row, self._first_step)
            run(step, request.samples, None, first=self._first_step)
        finally:
            step.in_use = False
        for result, buffer in zip(self.results, buffers, strict=True):
            _store(result, slice(row, row + chunk.size), buffer, request.quantiles)
        if report is not None:
            report(1)

    def means(self) -> Logs:
        return {}

    batch_logs = logs = means


def _make(builder: StepBuilder, rows: int, sources: Mapping[str, ArraySpec], masks: str, keep: bool) -> StepDraft:
    return SamplingBuilder(builder.model).sample(rows, sources, masks, keep)


def _store(result: MCResult, rows: slice, samples: Array, quantiles: Any) -> None:
    """Store the samples of some rows, and their quantiles, if they are wanted."""
    if result.samples is not None:
        result.samples[:, rows] = samples
    if result.quantiles is not None:
        part = result.quantiles[:, rows] if np.ndim(quantiles) else result.quantiles[rows]
        part[...] = np.quantile(samples, quantiles, 0)


def _zeros(step: SamplingStep, k: int, n: int, request: MCRequest) -> MCResult:
    """Return zeros for the statistics of all rows."""
    shape, dtype, binary = (n, *step.output_rows[k]), step.linked.program.dtype, step.binary[k]
    return MCResult(
        np.zeros(shape),
        np.zeros(shape),
        None if binary is None else np.zeros(shape if binary else shape[:-1]),
        np.empty((request.samples, *shape), dtype) if request.keep else None,
        None if request.quantiles is None else np.empty((*np.shape(request.quantiles), *shape), dtype),
    )


def _bind(step: SamplingStep, k: int, result: MCResult, first: int, samples: int) -> Array:
    """Let the program add to the statistics of output k, from row ``first`` on; return the buffer of its samples."""
    buffer = np.empty((samples, step.rows, *step.output_rows[k]), step.linked.program.dtype)
    named = {"mean": result.mean, "squares": result.squares, "entropy": result.entropy}
    arrays = {f"{name}{k}": array[first:] for name, array in named.items() if array is not None}
    step.bind(**arrays, **({f"samples{k}": buffer} if samples else {}))
    return buffer
