"""Compiled prediction: for whole arrays, and with low overhead for repeated calls on a few rows."""

from __future__ import annotations

import math
import threading
import weakref
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import settled
from nbnet.base.cpu import limited
from nbnet.base.tree import restructure
from nbnet.base.uninterrupted import apart_from_handlers
from nbnet.base.validation import check_int
from nbnet.data.arrays import check_finite, numbers
from nbnet.engine.gemm.blas import SingleThread
from nbnet.engine.graph.parameter import layout_version
from nbnet.engine.kernels.executor import RowRunner, aligned
from nbnet.train.compiled_runner import KEPT_PROGRAMS, cached_program, new_steps, run, sources_of
from nbnet.train.data_source import PREDICT_ROWS, ArraySource, StreamSource
from nbnet.train.epoch_loop import Bar, Callbacks, Chunk, EpochLoop, Report
from nbnet.train.inputs import Rows, input_rows
from nbnet.train.python_runner import PythonRunner, join_batches
from nbnet.train.step_builder import ArraySpec, CompiledStep, StepBuilder
from nbnet.train.trainable import Logs, Trainable, runs_in_python

Array = NDArray[Any]


class PredictRunner:
    """Predicts by programs.

    Parameters
    ----------
    n
        Number of all rows; None if it is not known, for they come batch by batch.
    """

    single = False

    def __init__(self, model: Trainable, n: int | None) -> None:
        self._model, self._n = model, n
        self.step: CompiledStep | None = None
        self.begin()

    def begin(self) -> None:
        self._outs: list[Array] = []
        self._parts: list[Any] = []
        self._rows: Rows | None = None

    def run(self, chunk: Chunk, report: Report | None = None) -> None:
        if chunk.rows is not self._rows:
            self._take(chunk.rows)
        make = partial(StepBuilder.predict, rows=chunk.size, sources=self._sources)
        step = self.step = cached_program(self._model, ("predict", chunk.size, *self._key), make)
        if self._n is None or not self._outs:
            n, slots = self._n or len(chunk.rows), step.slots
            self._outs = [np.empty((n, *shape), slots[f"out{k}"].dtype) for k, shape in enumerate(step.output_rows)]
        # The arrays of a chunk are some of all rows: the program writes where these lie.
        for k, out in enumerate(self._outs):
            self._arrays[f"out{k}"] = out[chunk.first :] if chunk.first else out
        step.in_use = True
        try:
            step.bind(**self._arrays)
            step.reader = None
            step.cursor[0] = chunk.start
            run(step, chunk.steps, None, report)
        finally:
            step.in_use = False
        self._last = chunk
        if self._n is None:
            self._parts.append(self._structured(self._outs))

    def _take(self, rows: Rows) -> None:
        self._rows, self._arrays = rows, rows.named()
        sources: dict[str, ArraySpec] = sources_of(rows, self._arrays)
        self._sources, self._key = sources, (*sources.items(), self._model.structure())

    def means(self) -> Logs:
        return {}

    logs = means

    def batch_logs(self) -> Logs:
        rows = slice(self._last.first + self._last.start, self._last.first + self._last.stop)
        return {"outputs": self._structured([out[rows] for out in self._outs])}

    def outputs(self) -> Any:
        """Return the outputs of all batches."""
        if self._n is None:
            return join_batches(self._parts)
        done = self._last.first + self._last.stop  # fewer than all if a callback stopped the prediction
        return self._structured(self._outs if done == self._n else [out[:done] for out in self._outs])

    def _structured(self, outs: list[Array]) -> Any:
        assert self.step is not None
        return restructure(self.step.template, outs)


def predict_source(
    model: Trainable, source: ArraySource | StreamSource, bar: Bar | None = None, calls: Callbacks | None = None
) -> Any:
    """Return the outputs of a model, each (n, ...), in the structure it returns."""
    if runs_in_python(model, "predict_step"):
        stepped = PythonRunner(model, "predict")
        EpochLoop(model, "predict", stepped, source, calls, bar).run()
        return stepped.outputs()
    arrays = source if isinstance(source, ArraySource) else None
    runner = PredictRunner(model, None if arrays is None else len(arrays.rows))
    EpochLoop(model, "predict", runner, source, calls, bar).run()
    if arrays is not None and len(arrays.rows) <= min(arrays.size, PREDICT_ROWS):
        _remember(model, arrays.rows, runner.step)
    return runner.outputs()


def predict(model: Trainable, rows: Rows, size: int = PREDICT_ROWS) -> Any:
    """Return the outputs for checked rows, computed ``size`` rows at a time."""
    return predict_source(model, ArraySource(rows, size))


def _remember(model: Trainable, rows: Rows, step: CompiledStep | None) -> None:
    """Let :func:`predict_again` find the program of a single batch of one plain array."""
    plain = len(rows.x) == 1 and isinstance(rows.x[0], np.ndarray) and not any(rows.ids)
    plain = plain and rows.x[0].dtype != np.bool_  # Their bytes are looked at each time.
    if plain and step is not None and isinstance(step.template, str):
        kept = vars(model._train_state.local).setdefault("again", {})
        if len(kept) >= KEPT_PROGRAMS:
            kept.clear()
        kept[rows.x[0].shape, rows.x[0].dtype, model.structure()] = step


#: The reader of programs that :func:`predict_again` has bound.
_AGAIN = object()


def predict_again(model: Trainable, x: Any) -> Array | None:
    """Return the outputs for an array like one before, by a short path; None if there was none."""
    if type(x) is not np.ndarray or not (kept := vars(model._train_state.local).get("again")):
        return None
    step: CompiledStep | None = kept.get((x.shape, x.dtype, model.structure()))
    if step is None or step.moves != layout_version() or step.in_use:
        return None
    memory, flags = x if x.base is None else x.base, x.flags
    if type(memory) is not np.ndarray or memory.base is not None or not (flags.c_contiguous and flags.aligned):
        return None
    # NumPy does not resize an array that has a weak reference, so its memory stays where it is.
    pin = weakref.ref(memory)
    check_finite(x, "x", model.dtype)
    out = np.empty((len(x), *step.output_rows[0]), step.slots["out0"].dtype)
    with SingleThread():
        step.in_use = True
        try:
            if step.reader is _AGAIN:
                step.rebind(x0=x, out0=out)
            else:
                step.bind(x0=x, out0=out)
                step.bound.clear()
                step.reader = _AGAIN
            step.cursor[0] = 0
            run(step, 1, None, None)
        finally:
            step.in_use = False
    del pin
    return out


class _Prepared(NamedTuple):
    """The program of one thread, its input and outputs, and the structure it was written for."""

    step: CompiledStep
    moves: int
    structure: tuple[Any, ...]
    x: Array
    bad: NDArray[np.int64]
    outs: list[Array]
    cursor: Array
    run: RowRunner
    draws: bool
    template: Any


class Predictor:
    """``model.predict`` for batches of one size, prepared once: see :meth:`nbnet.Model.predictor`.

    A call runs in the thread that makes it. Threads may share a predictor; each has a program and memory of its own.
    Each call uses the weights as they are then.

    Parameters
    ----------
    model
        A model with one input, which is no index into a table.
    rows
        Number of rows of each batch.

    Raises
    ------
    ValueError
        If the model has several inputs, an input that an embedding looks up, a shape that is not known, or a
        ``predict_step`` of its own.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(2)])
    >>> predictor = model.predictor()
    >>> x = np.ones((1, 3), "float32")
    >>> np.array_equal(predictor(x), model.predict(x, verbose=0))
    True
    """

    def __init__(self, model: Trainable, rows: int = 1) -> None:
        self.model, self.rows = model, check_int(rows, "rows")
        known = model.inputs_known
        if len(known.shapes) != 1:
            raise ValueError(f"predictor: {model.name} has {len(known.shapes)} inputs; use predict")
        shape = tuple(size for size in known.shapes[0] if size is not None)
        if len(shape) < len(known.shapes[0]):
            raise ValueError(f"predictor: {model.name} has an input of open shape {known.shapes[0]}; use predict")
        if known.prepare is not None:
            raise ValueError(f"predictor: {model.name} begins with a layer that reads strings; use predict")
        if runs_in_python(model, "predict_step"):
            raise ValueError(f"predictor: {model.name} has a predict_step of its own; use predict")
        self._shape = (self.rows, *shape)
        self._pins = math.prod(self._shape) > 500
        self._local = threading.local()
        self._prepare()

    def __call__(self, x: Any) -> Any:
        """Return the outputs for a batch, new arrays.

        Parameters
        ----------
        x : array_like, (rows, ...)
            Finite real numbers.

        Raises
        ------
        ValueError, TypeError
            If it is anything else.
        """
        prepared: _Prepared = getattr(self._local, "prepared", None) or self._prepare()
        step = prepared.step
        if step.in_use or prepared.moves != layout_version() or prepared.structure != self.model.structure():
            prepared = self._prepare()
            step = prepared.step
        memory = x.base if type(x) is np.ndarray else x
        plain = memory is None or (type(memory) is np.ndarray and memory.base is None)
        given = x if plain else settled(numbers(x, "x"), "x")
        # As in predict_again; NumPy lets other threads run while it copies more than 500 numbers.
        pin = weakref.ref(x if memory is None else memory) if plain and self._pins else None
        if given.shape != self._shape or given.dtype.kind not in "fiub":
            self._refuse(given)
        step.in_use = True
        try:
            if given.dtype == prepared.x.dtype:
                prepared.x[...] = given
            else:
                with np.errstate(over="ignore"):  # It becomes infinite.
                    prepared.x[...] = given
            del pin
            prepared.cursor[0] = 0
            prepared.run(1, new_steps(self.model._train_state.draws) if prepared.draws else 0)
            if prepared.bad[0]:
                for array in (np.ascontiguousarray(given), prepared.x):  # The first may have changed since.
                    check_finite(array, "x", prepared.x.dtype)
            return restructure(prepared.template, [out.copy() for out in prepared.outs])
        finally:
            step.in_use = False

    def _prepare(self) -> _Prepared:
        """Write the program of this thread."""
        model, moves = self.model, layout_version()
        x = aligned(math.prod(self._shape), model.dtype).reshape(self._shape)
        rows = input_rows(model, x)
        if any(rows.ids):
            raise ValueError(f"predictor: {model.name} has an input that an embedding reads; use predict")
        bad = np.zeros(1, np.int64)
        with limited(1):
            sources, write = sources_of(rows), StepBuilder(model).predict
            step = apart_from_handlers(lambda: write(self.rows, sources, bad)).compile()
        outs = [np.empty((self.rows, *shape), step.slots[f"out{k}"].dtype) for k, shape in enumerate(step.output_rows)]
        step.bind(x0=x, **{f"out{k}": out for k, out in enumerate(outs)})
        prepared = _Prepared(
            step, moves, model.structure(), x, bad, outs, step.cursor, step.linked.run, step.draws, step.template
        )
        self._local.prepared = prepared
        return prepared

    def _refuse(self, given: Array) -> None:
        if given.dtype.kind not in "fiub":
            raise TypeError(f"x: expected real numbers, got {given.dtype}")
        raise ValueError(f"x: this predictor takes arrays of shape {self._shape}, got {given.shape}")

    def __repr__(self) -> str:
        return f"<Predictor of {self.model.name} for batches of shape {self._shape}>"
