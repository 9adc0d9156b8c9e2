"""Steps in Python, ``train_step``, ``test_step`` and ``predict_step``: the runners that call them, and their losses."""

from __future__ import annotations

import math
import operator
import random
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet import metrics
from nbnet.base.tree import flatten, restructure
from nbnet.data import SparseRows
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.train.epoch_loop import Chunk, Report
from nbnet.train.inputs import Rows, output_names
from nbnet.train.objective import OutputSpec
from nbnet.train.trainable import LogLayout, Logs, Trainable, TrainingPosition

if TYPE_CHECKING:
    from nbnet.train.function import Function

Array = NDArray[Any]


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return inputs, targets and weights of the batch that ``train_step`` is given; None for those missing.

    Examples
    --------
    >>> from nbnet.train.python_runner import unpack_x_y_sample_weight
    >>> unpack_x_y_sample_weight(([1.0], [2.0]))
    ([1.0], [2.0], None)
    """
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"data: expected (x,), (x, y) or (x, y, sample_weight), got {len(data)} parts")
    x, y, w = (*data, None, None)[:3]
    return x, y, w


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return a batch as ``train_step`` takes it.

    Examples
    --------
    >>> from nbnet.train.python_runner import pack_x_y_sample_weight
    >>> pack_x_y_sample_weight([1.0], [2.0])
    ([1.0], [2.0])
    """
    if y is None and sample_weight is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def batch_of(model: Trainable, chunk: Chunk) -> Any:
    """Return the batch of a chunk as ``train_step`` takes it: tensors, in the structures that the user gave."""
    rows, dtype = chunk.rows, model.dtype
    taken: Any = slice(chunk.start, chunk.stop)
    if chunk.order is not None:
        taken = chunk.order[taken]

    def part(array: Array | None) -> Tensor | None:
        if array is None:
            return None
        # A copy, for arrays may be buffers that the next block of rows overwrites.
        chosen = array.dense(taken) if isinstance(array, SparseRows) else np.array(array[taken], order="C")
        return Tensor(chosen.shape, INT, chosen) if chosen.dtype == INT else tensor(chosen, dtype)

    return pack_x_y_sample_weight(*given_rows(model, rows, part))


def given_rows(model: Trainable, rows: Rows, part: Callable[[Any], Any] = lambda array: array) -> tuple[Any, Any, Any]:
    """Return inputs, targets and weights of rows, or parts of them, in the structures that the user gave."""
    x = restructure(model.inputs_known.template, map(part, rows.x))
    y, w = (
        restructure(template, map(part, arrays)) if any(array is not None for array in arrays) else None
        for template, arrays in ((rows.targets, rows.y), (rows.weights, rows.w))
    )
    return x, y, w


class StepFunction:
    """``train_step`` or ``test_step`` of the user's as a compiled function, if it can be one; else as Python, after a
    warning.

    A step that draws numbers of NumPy's or Python's, or changes attributes of the model, cannot: what it does while it
    is traced is done once.
    """

    def __init__(self, model: Trainable, kind: str) -> None:
        from nbnet.train.function import Function

        self._model, self._name = weakref.proxy(model), f"{kind}_step"
        self._function: Function[[Any], Any] | None = Function(self._traced, model.dtype)

    def __call__(self, data: Any) -> Any:
        model, function = self._model, self._function
        if function is None:
            return getattr(model, self._name)(data)
        if model.optimizer is not None:
            function.calls = model.optimizer.steps  # Masks are those of the step, also when training is resumed.
        try:
            prepared = function.prepare((data,), {})
        except Exception as error:
            why = str(error).partition("\n")[0]
        else:
            return function.execute(*prepared)
        self._function = None
        returned = getattr(model, self._name)(data)
        warnings.warn(f"{model.name}.{self._name} is not compiled, and runs as Python: {why}", stacklevel=2)
        return returned

    def _traced(self, data: Any) -> Any:
        model, before, drawn = self._model, _attributes(self._model), _GlobalDraws()
        returned = getattr(model, self._name)(data)
        if changed := _undone(model, before):
            raise TypeError(f"it changes self.{changed}, which a program does not")
        if drawn.changed():
            raise TypeError("it draws random numbers from NumPy or Python; draw them from nbnet.random")
        return returned


def _attributes(model: Any) -> dict[str, tuple[Any, list[Any] | None]]:
    """The numbers, strings and containers that a user's class keeps in its models; of containers, the contents."""
    found: dict[str, tuple[Any, list[Any] | None]] = {}
    for name, value in vars(model).items():
        if isinstance(value, (list, tuple, dict, set)):
            found[name] = value, list(value.items() if isinstance(value, dict) else value)
        elif value is None or isinstance(value, (bool, int, float, str)):
            found[name] = value, None
    return {name: known for name, known in found.items() if name[0] != "_"}


def _undone(model: Any, before: Mapping[str, tuple[Any, list[Any] | None]]) -> str:
    """Undo changes of attributes; returns the name of one, or nothing if there are none."""
    changed = ""
    for name, (value, contents) in _attributes(model).items():
        known, kept = before.get(name, (before, None))
        if kept is not None and value is known:
            same = len(kept) == len(contents or ()) and all(map(operator.is_, _flat(kept), _flat(contents or [])))
            if not same and isinstance(value, list):
                value[:] = kept
            elif not same:
                value.clear()
                value.update(kept)
        else:
            same = value is known or (contents is None and value == known)
            if not same and known is before:
                delattr(model, name)
            elif not same:
                setattr(model, name, known)
        changed = changed if same else name
    return changed


def _flat(contents: list[Any]) -> list[Any]:
    """The keys and values of a dict's items; other contents as they are."""
    return [part for item in contents for part in (item if type(item) is tuple else (item,))]


class _GlobalDraws:
    """The states of the generators that all of a program shares: NumPy's and Python's."""

    def __init__(self) -> None:
        self.numpy, self.python = np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002

    def changed(self) -> bool:
        """Return True if numbers were drawn, and put the states back."""
        now = np.random.get_state(legacy=False)  # noqa: NPY002
        same = all(np.array_equal(now["state"][k], self.numpy["state"][k]) for k in now["state"])
        if same and now["has_gauss"] == self.numpy["has_gauss"] and random.getstate() == self.python:
            return False
        np.random.set_state(self.numpy)  # noqa: NPY002
        random.setstate(self.python)
        return True


def step_of(model: Trainable, kind: str) -> Callable[[Any], Any]:
    """Return what runs a batch: the compiled step of the user's, or a method of the model."""
    state = model._train_state
    method: Callable[[Any], Any] = getattr(model, f"{kind}_step")
    in_python = kind == "predict" or state.eager or not model.jit_compile
    in_python = in_python or (state.objective is not None and state.objective.in_python)
    if in_python or (model.optimizer is not None and model.optimizer.in_python):
        return method
    kept: dict[Any, StepFunction] = vars(state.local).setdefault("steps", {})
    key = kind, model.structure(), *(id(weight) for weight in model.trainable_weights)
    if key not in kept:
        kept[key] = StepFunction(model, kind)
    return kept[key]


class PythonRunner:
    """Calls ``train_step``, ``test_step`` or ``predict_step`` for each batch: compiled, if that is possible.

    Logs are those of the last step, for metrics accumulate from batch to batch; a prediction keeps the outputs.

    Parameters
    ----------
    kind : {"train", "test", "predict"}
    position
        Of a training: it keeps the logs of the last batch, for an epoch of which no batch is left when it is resumed.
    """

    single = True

    def __init__(self, model: Trainable, kind: str, position: TrainingPosition | None = None) -> None:
        self._position = position
        self._model, self._predicts, self._step = model, kind == "predict", step_of(model, kind)
        self._logs: Logs = {}
        self._parts: list[Any] = []

    def begin(self) -> None:
        if not self._predicts:
            self._model.reset_metrics()
        self._logs, self._parts = {}, []

    def run(self, chunk: Chunk, report: Report | None = None) -> None:
        returned = self._step(batch_of(self._model, chunk))
        if self._predicts:
            self._parts.append(returned)
        else:
            self._logs = flat_numbers(returned)
            if self._position is not None:
                finite = (n for n, value in self._logs.items() if isinstance(value, float) and math.isfinite(value))
                self._position.logs = {name: self._logs[name] for name in finite}
        if report is not None:
            report(1)

    def means(self) -> Logs:
        return self._logs

    def logs(self) -> Logs:
        position = self._position
        if not self._logs and position is not None and position.batch and position.logs:
            return dict(position.logs)
        return self._logs

    def batch_logs(self) -> Logs:
        return {"outputs": join_batches(self._parts[-1:])} if self._predicts else self._logs

    def outputs(self) -> Any:
        """Return the outputs of all batches."""
        return join_batches(self._parts)


def join_batches(parts: list[Any]) -> Any:
    """Return the outputs of several batches as one, in the structure that each has."""
    leaves = zip(*(flatten(part) for part in parts), strict=True)
    return restructure(parts[0], [np.concatenate([np.asarray(y) for y in ys]) for ys in leaves])


def flat_numbers(logs: Any) -> Logs:
    """Return logs as numbers (or arrays of them), with the entries of inner dicts among the others."""
    if not isinstance(logs, Mapping):
        raise TypeError(f"train_step and test_step return a dict of numbers, got {type(logs).__name__}")
    flat: Logs = {}
    for name, value in logs.items():
        if isinstance(value, Mapping):
            flat |= flat_numbers(value)
        else:
            array = np.asarray(value)
            flat[name] = array if array.ndim else float(array)
    return flat


# ---- the default loss and metrics ----


class CompiledMetrics(metrics.Metric):
    """The metrics that ``compile`` was given, as one: its result is a dict."""

    epoch_end = True

    def __init__(self, model: Trainable) -> None:
        super().__init__("compile_metrics")
        # A model that its own metrics held would not be freed before a search for cycles.
        self._model: Trainable = weakref.proxy(model)
        self.specs: Sequence[OutputSpec] = ()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        known, self.specs = self.specs, specs_for(self._model, y_pred, y_true)
        if not known:  # The metrics of a copy have the state of the model that was copied.
            self.reset_state()
        for spec, y, p, w in _each_output(self.specs, y_true, y_pred, sample_weight):
            for metric, counts in spec.metrics:
                metric.update_state(y, p, **({"sample_weight": w} if counts and w is not None else {}))

    @property
    def variables(self) -> list[Parameter]:
        """Those of the metrics."""
        return [variable for spec in self.specs for metric, _ in spec.metrics for variable in metric.variables]

    def result(self) -> Any:
        """Return each metric's result by its name in logs."""
        return {name: metric.result() for name, metric in LogLayout(self.specs).named_metrics}

    def reset_state(self) -> None:
        for _, metric in LogLayout(self.specs).named_metrics:
            metric.reset_state()


def specs_for(model: Trainable, y_pred: Any, y_true: Any = None) -> Sequence[OutputSpec]:
    """Return the loss and metrics of outputs like these, and of such targets."""
    objective = model._train_state.objective
    if objective is None:
        raise ValueError(f"{model.name} is not compiled: call compile(optimizer, loss) first")
    widths = [y.shape[-1] if y.shape else 1 for y in flatten(y_pred)]
    names = output_names(model, y_pred)
    specs = objective.specs(names, widths)
    if len(objective.labelled) == len(specs):
        return specs
    for spec, target, output in _each_output(specs, y_true, y_pred):
        if target is not None:
            shape = target.shape if hasattr(target, "shape") else np.shape(target)
            objective.see(spec.name, tuple(shape[1:]), output.shape[1:])
    return objective.specs(names, widths)


def compute_loss(model: Trainable, y: Any, y_pred: Any, sample_weight: Any) -> Tensor:
    """Return the loss that ``compile`` described, penalties included; see :meth:`nbnet.Model.compute_loss`."""
    parts = []
    for spec, target, output, w in _each_output(specs_for(model, y_pred, y), y, y_pred, sample_weight):
        if spec.loss is not None:
            value = spec.loss(target, output, w)
            parts.append(value if spec.weight == 1 else value * spec.weight)
    parts += model.losses
    if not parts:
        raise ValueError(f"{model.name}: there is no loss: compile(optimizer, loss), or compute one in train_step")
    total: Tensor = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _each_output(specs: Sequence[OutputSpec], *structures: Any) -> Any:
    """Return for each output its spec, and its entries in targets, predictions and weights."""
    entries: list[list[Any]] = []
    for structure in structures:
        several = isinstance(structure, (Mapping, list, tuple))
        if isinstance(structure, Mapping) and not any(
            isinstance(v, (Mapping, list, tuple)) for v in structure.values()
        ):
            entries.append([structure.get(spec.name) for spec in specs])
        elif several and len(leaves := list(flatten(structure))) == len(specs):
            entries.append(leaves)
        else:
            entries.append([structure] * len(specs))
    return zip(specs, *entries, strict=True)
