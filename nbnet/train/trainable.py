"""A model as training sees it: the Protocol :class:`Trainable`, the state of its training, and sums of losses and
metrics over an epoch.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nbnet import metrics, random
from nbnet.base import seeds
from nbnet.base.tree import flatten
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.optimizers.optimizer import Optimizer
from nbnet.train.mask_recording import Recording
from nbnet.train.objective import Objective, OutputSpec

Array = NDArray[Any]
Logs = dict[str, Any]
#: Targets, outputs and weights of rows of an output, and the number of rows of a batch.
Kept = tuple[Array, Array, Array | None, int]


class LogLayout:
    """Names of losses and metrics in logs, and the cells of a program's sums that hold them.

    The cells are the loss, then that of each output if several are trained, then the metrics of each output. Each is a
    pair (sum, count).
    """

    def __init__(self, specs: Sequence[OutputSpec]) -> None:
        self.specs = specs
        self.trained = [k for k, spec in enumerate(specs) if spec.loss is not None]
        #: For each output, True if targets are read.
        self.wanted = [spec.wanted for spec in specs]
        several = len(specs) > 1
        self.parts = self.trained if len(self.trained) > 1 else []
        self.watched = [(k, metric, counts) for k, spec in enumerate(specs) for metric, counts in spec.metrics]
        self.names: list[str] = ["loss", *(f"{specs[k].label}_loss" for k in self.parts)]
        for k, metric, counts in self.watched:
            self.names.append(self._name(f"{specs[k].name}_" if several else "", metric.name, counts))
        self.cells = len(self.names)
        self.first = 1 + len(self.parts)
        #: Each metric and its name in logs.
        self.named_metrics = [
            (name, metric) for name, (_, metric, _) in zip(self.names[self.first :], self.watched, strict=True)
        ]
        #: The mean of the losses of the model, if it has one.
        self.tracker: metrics.Metric | None = None
        #: Outputs that have to be kept for metrics that want the whole epoch.
        self.kept = sorted({k for k, metric, _ in self.watched if metric.epoch_end})

    def _name(self, prefix: str, name: str, counts: bool) -> str:
        if counts and prefix + name in self.names:
            name = f"weighted_{name}"
        used = self.names.count(prefix + name)
        return f"{prefix}{name}_{used}" if used else prefix + name

    def keep(self, sums: Sequence[Sequence[float]]) -> None:
        """Leave sums in the state of the metrics, whose ``result`` they are."""
        if self.tracker is not None:
            self.tracker.cell()[...] = sums[0]
        for (_, metric), pair in zip(self.named_metrics, sums[self.first :], strict=True):
            if not metric.epoch_end:
                metric.cell()[...] = pair

    def means(self, sums: Sequence[Sequence[float]]) -> dict[str, float]:
        """Return losses and metrics so far, without those that want the whole epoch."""
        logs = {}
        for name, (total, count) in zip(self.names[: self.first], sums, strict=False):
            logs[name] = total / count if count else float("nan")
        for (name, metric), (total, count) in zip(self.named_metrics, sums[self.first :], strict=True):
            if not metric.epoch_end:
                # Weights that are all 0 make a metric 0.
                logs[name] = float(metric.finish(total / count if count else 0.0))
        return logs

    def logs(
        self,
        sums: Sequence[Sequence[float]],
        kept: Mapping[int, Sequence[Kept]],
        known: Mapping[int, Any] | None = None,
    ) -> Logs:
        """Return losses and metrics of an epoch.

        Parameters
        ----------
        kept
            For each output in :attr:`kept`, targets, outputs and weights of the epoch.
        known
            Results of metrics that were updated batch by batch, by ``id``.
        """
        means: Logs = self.means(sums)
        if not self.kept:
            return means
        for name, (k, metric, counts) in zip(self.names[self.first :], self.watched, strict=True):
            if metric.epoch_end:
                if k not in kept:  # There were no batches.
                    means[name] = float("nan")
                    continue
                found = (known or {}).get(id(metric))
                means[name] = _score(metric, kept[k], counts) if found is None else found
        logs: Logs = {}
        for name in self.names:
            value = means[name]
            logs |= value if isinstance(value, dict) else {name: value}
        return logs


#: For metrics that are updated batch by batch, the token of the epoch whose state they have.
_updated_by: WeakKeyDictionary[metrics.Metric, object] = WeakKeyDictionary()


class EpochTotals:
    """Losses and metrics of an epoch, as far as it has come; ``earlier`` has the sums of an epoch to continue."""

    def __init__(self, layout: LogLayout, earlier: Sums | None = None) -> None:
        self.layout = layout
        fits = earlier is not None and len(earlier) == layout.cells
        self.sums: Sums = earlier if earlier is not None and fits else [[0.0, 0.0] for _ in range(layout.cells)]
        self._kept: dict[int, list[Kept]] = {k: [] for k in layout.kept}
        self._token = object()

    def add(self, sums: Array) -> None:
        """Add the sums of a program: (slices, cells, 2)."""
        self.sums = self.with_sums(sums)

    def keep(self, k: int, y: Array, out: Array, w: Array | None, size: int) -> None:
        """Keep copies of targets, outputs and weights of output k for metrics that want the whole epoch."""
        part = y.copy(), out.copy(), None if w is None else w.copy(), size
        for at, metric, counts in self.layout.watched:
            if at == k and metric.epoch_end and metric.by_batch:
                if not self._kept[k]:
                    metric.reset_state()
                    _updated_by[metric] = self._token
                if _updated_by.get(metric) is self._token:
                    _update(metric, [part], counts)
        self._kept[k].append(part)

    def means(self, running: Array | None = None) -> dict[str, float]:
        """Return losses and metrics so far, including the sums of a program that is running."""
        return self.layout.means(self.sums if running is None else self.with_sums(running))

    def logs(self) -> Logs:
        """Return losses and metrics of the epoch, which their metrics have from now on."""
        self.layout.keep(self.sums)
        return self.logs_so_far()()

    def logs_so_far(self) -> Callable[[], Logs]:
        """Return a function that computes losses and metrics of the batches of the epoch so far."""
        sums, counts = self.sums, {k: len(parts) for k, parts in self._kept.items() if parts}
        known = {
            id(metric): _result(metric)
            for k, metric, _ in self.layout.watched
            if k in counts and _updated_by.get(metric) is self._token
        }
        return lambda: self.layout.logs(sums, {k: self._kept[k][:count] for k, count in counts.items()}, known)

    def with_sums(self, sums: Array) -> Sums:
        """Return the sums of the epoch and those of a program, added up."""
        added: list[list[float]] = (sums[0] if len(sums) == 1 else sums.sum(0)).tolist()
        return [[a + c, b + d] for (a, b), (c, d) in zip(self.sums, added, strict=True)]


def epoch_logs(layout: LogLayout, sums: Sequence[Array]) -> list[Logs]:
    """Return losses and metrics of several epochs from the sums of each program in them: (epochs, slices, cells, 2).

    For layouts that keep nothing.
    """
    total = np.zeros((len(sums[0]), layout.cells, 2))
    for part in sums:
        total += part[:, 0] if part.shape[1] == 1 else part.sum(1)
    if len(total):
        layout.keep(total[-1])
    return [layout.logs(epoch, {}) for epoch in total.tolist()]


def _score(metric: metrics.Metric, parts: Sequence[Kept], counts: bool) -> Any:
    """A metric of the rows of an epoch: batch by batch if the user wrote how it is updated, else at once."""
    if not metric.by_batch:
        rows, outs, all_weights, _ = zip(*parts, strict=True)
        weighted = counts and all_weights[0] is not None
        given = {"sample_weight": np.concatenate(all_weights)} if weighted else {}
        return metric.compute(np.concatenate(rows), np.concatenate(outs), **given)
    _updated_by.pop(metric, None)
    metric.reset_state()
    _update(metric, parts, counts)
    return _result(metric)


def _update(metric: metrics.Metric, parts: Sequence[Kept], counts: bool) -> None:
    """Update a metric batch by batch."""
    for y, out, w, size in parts:
        for at in range(0, len(y), size):
            batch = slice(at, at + size)
            weights = {"sample_weight": w[batch]} if counts and w is not None else {}
            metric.update_state(y[batch], out[batch], **weights)


def _result(metric: metrics.Metric) -> Any:
    """A number, an array, or a dict of them."""
    found: Any = metric.result()
    scores = {name: np.asarray(score) for name, score in (found if isinstance(found, dict) else {"": found}).items()}
    numbers = {name: score if score.ndim else float(score) for name, score in scores.items()}
    return numbers if isinstance(found, dict) else numbers[""]


F = TypeVar("F", bound=Callable[..., Any])
Shape = tuple[int | None, ...]
RowShapes = tuple[tuple[int, ...], ...]

_default_steps: set[Callable[..., Any]] = set()


class Inputs(NamedTuple):
    """The inputs of a model.

    Attributes
    ----------
    template
        A name, or a list or dict of names: the structure that ``call`` takes.
    shapes
        Shape of a row of each input.
    whole
        For each input, True if it holds whole numbers.
    prepare
        Makes these inputs of the data, where layers read strings; None: they are the data.
    """

    template: Any
    shapes: tuple[Shape, ...]
    whole: tuple[bool, ...]
    prepare: Callable[[Any], Any] | None = None

    @property
    def names(self) -> list[str]:
        return [self.template] if isinstance(self.template, str) else list(flatten(self.template))

    def sample_shapes(self) -> RowShapes:
        """Shapes of a row of each input, 1 where a length is open."""
        return tuple(tuple(n or 1 for n in shape) for shape in self.shapes)


class ModelSignature(NamedTuple):
    """The outputs of a model for rows of given shapes, and how it uses its inputs.

    Attributes
    ----------
    template
        A name, or a list or dict of names: the structure that ``call`` returns.
    shapes
        Shape of a row of each output.
    tables
        For each input that indexes rows of tables, the number of rows of the shortest table; else None.
    whole
        For each input, True if it holds nothing but such indices: they are gathered as integers.
    adds_loss
        True if layers add to the loss, or weights are penalised.
    alone
        True if rows do not depend on each other, nor on their number: layers of nbnet's compute each by itself.
    """

    template: Any
    shapes: RowShapes
    tables: tuple[int | None, ...]
    whole: tuple[bool, ...]
    adds_loss: bool
    alone: bool

    @property
    def names(self) -> list[str]:
        """Names of the outputs."""
        return [self.template] if isinstance(self.template, str) else list(flatten(self.template))


#: Number of rows, rows of a batch, and batches of an epoch.
Extent = tuple[int | None, int | None, int | None]
#: For each cell of a layout of logs, a sum and the number of rows in it.
Sums = list[list[float]]


@dataclass
class TrainingPosition:
    """Progress of a training: key, epoch and batch, enough to resume it bit for bit.

    Parameters
    ----------
    key
        Key that the orders of rows are drawn from; None before the first training.
    epoch
        Number of epochs that are done.
    batch
        Number of batches of the next epoch that are done.
    extent
        Number of rows, rows of a batch, and batches of an epoch; None for what is not known.
    totals
        Sums of losses and metrics over those batches: those of :class:`EpochTotals`.
    restored
        True from :meth:`restore` on, until a training begins.
    unused
        True as long as no training has used the key.
    taken, chance
        Moment at which keys were taken, see :func:`nbnet.base.seeds.seeded_since`; True if no seed had been set.
    reserve
        Keys for a model that was compiled before it was built.
    planned
        Key of the next training that is no continuation, for a copy of a model after whose last training a seed was
        set; else None.
    logs
        Of a training by steps in Python: the finite numbers in the logs of the last batch, while an epoch is not done.

    Examples
    --------
    >>> from nbnet.train.trainable import TrainingPosition
    >>> position = TrainingPosition(key=7, epoch=2)
    >>> position.begin(2)
    True
    >>> position.key
    7
    """

    key: int | None = None
    epoch: int = 0
    batch: int = 0
    extent: Extent | None = None
    totals: Sums | None = None
    restored: bool = False
    unused: bool = False
    taken: int = field(default=0, compare=False)
    chance: bool = False
    reserve: seeds.Reserve | None = None
    planned: int | None = None
    logs: dict[str, float] | None = None

    def set_aside(self, built: bool) -> None:
        """Take the key of the first training, so that it depends on no other model that is trained meanwhile; for a
        model that is not built, its weights' keys come before."""
        if self.key is None and self.reserve is None:
            if built:
                self.key = random.next_key()
                self.unused = True
            else:
                self.reserve = seeds.Reserve()
            self.taken, self.chance = seeds.moment(), seeds.from_entropy()

    def own_keys(self) -> AbstractContextManager[None]:
        """Inside, keys are those that were set aside, unless they are outdated."""
        if self.reserve is None or self._outdated:
            self.reserve = None
            return nullcontext()
        return self.reserve.scope()

    @property
    def _outdated(self) -> bool:
        """True if keys are to be taken anew: since they were taken, this thread has set a seed of its own, or the
        process its first seed, or one from which nothing was drawn yet."""
        if not seeds.seeded_since(self.taken):
            return False
        return self.chance or seeds.is_scoped() or seeds.first_key() is not None

    def _next_key(self) -> int:
        """Return the key of a new training: the first one of a new seed; else the one that was set aside, whatever
        seeds other models were made with since; else one that follows from the last one."""
        first = seeds.first_key() if seeds.seeded_since(self.taken) else None
        if first is not None:
            key = first
        elif self.planned is not None and not self._outdated:
            key = self.planned
        elif self.key is None or self._outdated:
            with self.own_keys():
                key = random.next_key()
            self.chance = seeds.from_entropy()
        else:
            key = self.key if self.unused else random.derive(self.key, 1)
        self.taken, self.planned = seeds.moment(), None
        return key

    def upcoming(self) -> int | None:
        """Return the key of the next training that is no continuation, if that does not follow from :attr:`key`."""
        if self.key is not None and seeds.seeded_since(self.taken):
            if (first := seeds.first_key()) is not None:
                return first
            if self._outdated:
                return seeds.peek_key()
        return self.planned

    def begin(self, initial_epoch: int, extent: Extent | None = None) -> bool:
        """Begin a training, or continue the last one if it ended before ``initial_epoch``, or in that epoch.

        In epoch 0, which every training begins with by default, only one continues that was restored from a file.

        Parameters
        ----------
        initial_epoch
            Number of the epoch to begin with.
        extent
            That of the data.

        Returns
        -------
        True if it continues.
        """
        continues = self.key is not None and initial_epoch == self.epoch
        if initial_epoch == 0:
            continues = continues and self.restored and self.batch > 0
        if not continues:
            self.key, self.batch, self.totals = self._next_key(), 0, None
        self.epoch, self.restored, self.unused = initial_epoch, False, False
        if self.batch:
            self._continue_with(extent)
        self.extent = extent
        return continues

    def restore(
        self, key: int | None, epoch: int, batch: int, extent: Extent | None = None, totals: Sums | None = None
    ) -> None:
        """Continue from a saved position; a training under way follows."""
        current = self.extent
        self.key, self.epoch, self.batch, self.extent, self.totals = key, epoch, batch, extent, totals
        self.restored, self.unused = True, epoch == batch == 0
        self.taken, self.chance = seeds.moment(), False
        if current is not None:
            self._continue_with(current)

    def _continue_with(self, extent: Extent | None) -> None:
        """Continue with data of an extent; an epoch that was interrupted with other data starts over, with a
        warning."""
        before = self.extent or extent
        if self.batch and extent is not None and (before != extent or self.batch > (extent[2] or self.batch)):
            warnings.warn(
                f"epoch {self.epoch} starts over: it was interrupted after batch {self.batch}"
                f"{_described(self.extent)}, and continues{_described(extent)}",
                stacklevel=6,
            )
            self.batch, self.totals = 0, None
        self.extent = extent


def _described(extent: Extent | None) -> str:
    if extent is None:
        return ""
    parts = [f"{extent[0]} rows", f"a batch size of {extent[1]}", f"{extent[2]} batches in an epoch"]
    return " with " + ", ".join(part for part, number in zip(parts, extent, strict=True) if number is not None)


class TrainingState:
    """The state of training that a model carries.

    Copies and pickles have the position and the objective; programs, signatures and the lock belong to this process,
    and are made anew.

    Attributes
    ----------
    position : TrainingPosition
        How far the training has come.
    objective : Objective or None
        Losses and metrics that ``compile`` was given.
    eager : bool
        True if ``compile(run_eagerly=True)`` asks for steps in Python.
    slices : int or None
        Number of slices that a batch is cut into; None: as many as pay.
    steps_per_execution : int
        Number of batches for which hooks of batches are called once.
    draws : nbnet.base.seeds.DrawCounter
        Of predictions and evaluations that draw random numbers.
    signatures, layouts : dict
        Signatures by the shapes of rows and the structure of the model; layouts of logs by the id of the signature.
    watched : tuple
        The layers of the user's classes, whose attributes may be metrics, and the structure of the model with them.
    changing : tuple or None
        Of :mod:`nbnet.train.finite_watch`: where the arrays lie that training changes, and which they are.
    local : threading.local
        The programs of each thread: see :mod:`nbnet.train.compiled_runner`.
    lock : threading.Lock
        Held by the thread that trains the model.
    recording : Recording or None
        Where the programs of the current training keep their masks.
    """

    def __init__(self) -> None:
        self.position = TrainingPosition()
        self.objective: Objective | None = None
        self.eager = False
        self.slices: int | None = None
        self.steps_per_execution = 1
        self.draws = seeds.DrawCounter()
        self._renew()

    def _renew(self) -> None:
        self.forget()
        self.lock = threading.Lock()
        self.recording: Recording | None = None

    def forget(self) -> None:
        """Drop the programs of all threads and the signatures: the model has changed."""
        self.signatures: dict[Any, ModelSignature] = {}
        self.layouts: dict[tuple[Any, ...], tuple[ModelSignature, LogLayout]] = {}
        self.changing: object = None
        self.watched: tuple[Any, list[Any]] = None, []
        self.local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        state = {name: vars(self)[name] for name in ("objective", "eager", "slices", "steps_per_execution", "draws")}
        # The moment at which keys were taken is known in this process alone.
        return state | {"position": replace(self.position, planned=self.position.upcoming())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.position.taken = seeds.moment()  # Another process counts its own.
        self._renew()


class Trainable(Protocol):
    """A model as training, evaluation and prediction see it."""

    name: str
    #: Dtype that programs compute in.
    dtype: np.dtype[Any]
    built: bool
    #: False for a class that only trains other models in a step of its own.
    defines_call: bool
    #: False if steps of the user's run as Python.
    jit_compile: bool
    optimizer: Optimizer  # None before ``compile``
    #: Set by a callback to end training after the current epoch, or the current batch.
    stop_training: bool
    stop_evaluating: bool
    #: The record that ``fit`` returns.
    history: Any
    #: The inputs, or None before the model has seen any.
    _inputs: Inputs | None
    _train_state: TrainingState

    @property
    def inputs_known(self) -> Inputs: ...  # an error before the model has seen any
    @property
    def learned_inputs(self) -> bool: ...  # True if no Input told their shapes
    def open_inputs(self, inputs: Inputs) -> None: ...  # other lengths of axes are open
    @property
    def output_template(self) -> Any: ...  # names in the structure of the outputs, or None
    @property
    def weights(self) -> list[Parameter]: ...
    @property
    def trainable_weights(self) -> list[Parameter]: ...
    @property
    def losses(self) -> list[Tensor]: ...
    @property
    def metrics(self) -> list[Any]: ...  # those that steps in Python update
    @property
    def attached_metrics(self) -> list[Any]: ...  # those of them that are attributes

    def take_layout(self, layout: LogLayout) -> None: ...
    def build_for(self, input_shape: Any) -> None: ...
    def count_params(self) -> int: ...
    def forward(self, inputs: Any, training: bool) -> Any: ...  # tensors, in the structure that ``call`` takes
    def structure(self) -> tuple[Any, ...]: ...  # a key that changes with the layers, and with every compile
    def _changed(self) -> None: ...  # programs written before do not fit any more
    def train_step(self, data: Any) -> Mapping[str, Any]: ...
    def test_step(self, data: Any) -> Mapping[str, Any]: ...
    def predict_step(self, data: Any) -> Any: ...
    def reset_metrics(self) -> None: ...
    def evaluate(self, *args: Any, **kwargs: Any) -> Any: ...


#: What steps of a model use. If a subclass overrides one, the steps run in Python, where they do.
_STEP_PARTS = ("compute_loss", "compute_metrics", "get_metrics_result", "reset_metrics", "metrics")


def default_step(step: F) -> F:
    """Mark a method as the default of a step: the compiled loop computes the same without calling it."""
    _default_steps.add(step)
    return step


def overrides(model: Trainable, method: str) -> bool:
    """Return True if the class of a model has a method of its own in place of a default step."""
    return getattr(type(model), method) not in _default_steps


def runs_in_python(model: Trainable, step: str) -> bool:
    """Return True if a step (``"train_step"``, ``"test_step"``, ``"predict_step"``) is the user's, or runs eagerly."""
    state, cls = model._train_state, type(model)
    if hasattr(cls, function := f"make_{step.removesuffix('_step')}_function"):
        raise NotImplementedError(f"{cls.__name__}.{function}: is never called; override {step} instead")
    if state.eager or overrides(model, step):
        return True
    if step == "predict_step":
        return False
    if any(overrides(model, name) for name in _STEP_PARTS) or model.attached_metrics:
        return True
    if state.objective is not None and state.objective.in_python:
        return True
    return step == "train_step" and model.optimizer is not None and model.optimizer.in_python


def check_compiled(model: Trainable) -> None:
    """Raise ValueError if the model is not compiled."""
    if model.optimizer is None:
        raise ValueError(f"{model.name} is not compiled: call compile(optimizer, loss) first")
