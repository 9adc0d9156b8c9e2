"""Predictions by programs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet import data
from nbnet.core import parameter
from nbnet.core.blas import single_thread
from nbnet.core.structure import flatten, restructure
from nbnet.data.checks import check_finite
from nbnet.models.batch import Batch
from nbnet.models.intake import Rows, packed
from nbnet.models.programs import Builder
from nbnet.models.running import KEPT_PROGRAMS, batches, program, run, sources_of

if TYPE_CHECKING:
    from nbnet.models.learner import Learner
    from nbnet.progress import Progress

Array = NDArray[Any]

#: Rows that evaluation and prediction compute at a time.
USUAL_ROWS = 256


def predict(model: Learner, rows: Rows, size: int, bar: Progress | None) -> Any:
    """The outputs of a model, each (n, ...), in the structure it returns."""
    if (blocks := data.Blocks.of(rows.arrays())) is not None:
        return joined([predict(model, rows.like(part), size, None) for part in blocks.read(range(len(rows)), size)])
    sources, arrays, n = sources_of(rows), rows.named(), len(rows)
    key = *sources.items(), model.structure()
    outs: list[Array] = []
    for start, count, steps in batches(n, size):
        make = partial(Builder.predict, rows=count, sources=sources)
        batch = program(model, ("predict", count, *key), make)
        if not outs:
            outs = [np.empty((n, *shape), model.compute_dtype) for shape in batch.output_rows]
            arrays |= {f"out{k}": out for k, out in enumerate(outs)}
        batch.bind(**arrays)
        batch.cursor[0] = start
        report = None if bar is None else partial(_show, bar, batch, size)
        run(batch, steps, None, report)
    if n <= min(size, USUAL_ROWS):
        _remember(model, rows, batch)
    return packed(batch.template, outs)


def _remember(model: Learner, rows: Rows, batch: Batch) -> None:
    """Let :func:`predict_again` find the program of a single batch of one plain array."""
    if len(rows.x) == 1 and type(rows.x[0]) is np.ndarray and not any(rows.ids) and isinstance(batch.template, str):
        kept = vars(model._local).setdefault("again", {})
        if len(kept) >= KEPT_PROGRAMS:
            kept.clear()
        kept[rows.x[0].shape, rows.x[0].dtype, model.structure()] = batch


def predict_again(model: Learner, x: Any) -> Array | None:
    """What :func:`predict` gives for an array like one before, without the way there; None if there was none."""
    if type(x) is not np.ndarray or not (kept := vars(model._local).get("again")):
        return None
    batch: Batch | None = kept.get((x.shape, x.dtype, model.structure()))
    if batch is None or batch.moves != parameter.moves():
        return None
    if not (x.flags.c_contiguous and x.flags.aligned):
        return None
    check_finite(x, "x", model.compute_dtype)
    out = np.empty((len(x), *batch.output_rows[0]), model.compute_dtype)
    with single_thread:
        batch.bind(x0=x, out0=out)
        batch.cursor[0] = 0
        run(batch, 1, None, None)
    return out


def joined(parts: Sequence[Any]) -> Any:
    """Outputs for one batch after the other as one, in the structure that each has."""
    leaves = zip(*(flatten(part) for part in parts), strict=True)
    return restructure(parts[0], [np.concatenate([np.asarray(y) for y in ys]) for ys in leaves])


def _show(bar: Progress, batch: Batch, size: int, steps: int, sums: Array) -> None:
    bar.update(-(-int(batch.cursor[0]) // size), {})
