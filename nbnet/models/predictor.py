"""Predictions of few rows, again and again, with everything prepared."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.core import parameter
from nbnet.core.arena import aligned
from nbnet.core.executor import Runner
from nbnet.core.processors import limited
from nbnet.data.checks import check_finite
from nbnet.models.intake import packed
from nbnet.models.programs import Builder
from nbnet.models.running import new_steps, sources_of
from nbnet.ranges import count

if TYPE_CHECKING:
    from nbnet.models.learner import Learner

Array = NDArray[Any]


class _Ready(NamedTuple):
    """A program of one thread, what it reads and writes, and what it was written for."""

    moves: int
    structure: tuple[Any, ...]
    x: Array
    bad: NDArray[np.int64]
    outs: list[Array]
    cursor: Array
    run: Runner
    draws: bool
    template: Any


class Predictor:
    """``model.predict`` for batches of one size, without what it takes to look at them: see
    :meth:`nbnet.Model.predictor`.

    A call runs in the thread that makes it. Threads may share a predictor; each has a program and memory of its own.
    What the model learns meanwhile counts in the next call.

    Parameters
    ----------
    model
        With one input, which holds no numbers of categories.
    rows
        Of each batch.

    Raises
    ------
    ValueError
        If the model has several inputs, one of numbers that an embedding looks up, a shape that is not known, or a
        ``predict_step`` of its own.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(2)])
    >>> predictor = model.predictor()
    >>> x = np.ones((1, 3), "float32")
    >>> np.array_equal(predictor(x), model.predict(x))
    True
    """

    def __init__(self, model: Learner, rows: int = 1) -> None:
        self.model, self.rows = model, count(rows, "rows")
        known = model.inputs_known
        if len(known.shapes) != 1:
            raise ValueError(f"predictor: {model.name} has {len(known.shapes)} inputs; use predict")
        shape = tuple(size for size in known.shapes[0] if size is not None)
        if len(shape) < len(known.shapes[0]):
            raise ValueError(f"predictor: {model.name} takes rows of any shape {known.shapes[0]}; use predict")
        if model._overrides("predict_step"):
            raise ValueError(f"predictor: {model.name} has a predict_step of its own; use predict")
        self._shape = (self.rows, *shape)
        self._local = threading.local()
        self._prepare()

    def __call__(self, x: Any) -> Any:
        """The outputs for a batch, new arrays.

        Parameters
        ----------
        x : array_like, (rows, ...)
            Finite real numbers.

        Raises
        ------
        ValueError, TypeError
            If it is anything else.
        """
        ready: _Ready = getattr(self._local, "ready", None) or self._prepare()
        if ready.moves != parameter.moves() or ready.structure != self.model.structure():
            ready = self._prepare()
        given = x if type(x) is np.ndarray else np.asarray(x)
        if given.shape != self._shape or given.dtype.kind not in "fiub":
            self._refuse(given)
        if given.dtype == ready.x.dtype:
            ready.x[...] = given
        else:
            with np.errstate(over="ignore"):  # It becomes infinite.
                ready.x[...] = given
        ready.cursor[0] = 0
        ready.run(1, new_steps() if ready.draws else 0)
        if ready.bad[0]:
            check_finite(np.ascontiguousarray(given), "x", ready.x.dtype)
        return packed(ready.template, [out.copy() for out in ready.outs])

    def _prepare(self) -> _Ready:
        """Write the program of this thread."""
        model, moves = self.model, parameter.moves()
        x = aligned(math.prod(self._shape), model.compute_dtype).reshape(self._shape)
        rows = model._input_rows(x)
        if any(rows.ids):
            raise ValueError(f"predictor: {model.name} looks numbers up in a table; use predict")
        bad = np.zeros(1, np.int64)
        with limited(1):
            batch = Builder(model).predict(self.rows, sources_of(rows), bad)
        outs = [np.empty((self.rows, *shape), model.compute_dtype) for shape in batch.output_rows]
        batch.bind(x0=x, **{f"out{k}": out for k, out in enumerate(outs)})
        self._local.batch = batch  # It owns the arena.
        self._local.ready = _Ready(
            moves, model.structure(), x, bad, outs, batch.cursor, batch.linked.run, batch.draws, batch.template
        )
        return self._local.ready  # type: ignore[no-any-return]

    def _refuse(self, given: Array) -> None:
        if given.dtype.kind not in "fiub":
            raise TypeError(f"x: wants real numbers, got {given.dtype}")
        raise ValueError(f"x: this predictor takes arrays of shape {self._shape}, got {given.shape}")

    def __repr__(self) -> str:
        return f"<Predictor of {self.model.name} for batches of shape {self._shape}>"
