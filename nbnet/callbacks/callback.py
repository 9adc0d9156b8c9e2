"""Callbacks: hooks with Keras's names that training calls; and :class:`History`, the record that ``fit`` returns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nbnet.base import html
from nbnet.base.html import Markup, element
from nbnet.engine.graph.parameter import Parameter
from nbnet.optimizers import Optimizer

Logs = dict[str, Any] | None

#: Epochs to spare of a callback that needs to see none.
NO_LIMIT = 1 << 62
EPOCH_HOOKS = ("on_epoch_begin", "on_epoch_end", "on_test_begin", "on_test_end")


class CallbackModel(Protocol):
    """A model, as callbacks use it."""

    name: str
    optimizer: Optimizer  # None before ``compile``
    #: Set by a callback to end training after the current epoch, or the current batch.
    stop_training: bool

    @property
    def weights(self) -> list[Parameter]: ...

    #: The record of the last training.
    history: Any

    @property
    def steps_per_execution(self) -> int: ...
    def get_weights(self) -> list[NDArray[Any]]: ...
    def set_weights(self, weights: Sequence[Any]) -> None: ...
    def get_layer(self, *args: Any, **kwargs: Any) -> Any: ...
    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any: ...
    def evaluate(self, *args: Any, **kwargs: Any) -> Any: ...
    def save(self, filepath: str | Path, *args: Any, **kwargs: Any) -> None: ...
    def save_weights(self, filepath: str | Path, *args: Any, **kwargs: Any) -> None: ...
    def _save_training_state(self, path: Path, callbacks: Mapping[str, Mapping[str, Any]]) -> None: ...
    def _load_training_state(self, path: Path) -> Mapping[str, Mapping[str, Any]]: ...


class Callback:
    """Base class of callbacks: a subclass defines the hooks that it needs.

    Training runs many batches in one compiled call, which cannot stop for Python. With a callback that defines a batch
    hook, each batch is a call of its own.

    Attributes
    ----------
    model : Model
        The model, set before training begins.
    params : dict
        ``epochs``, ``steps`` and ``verbose`` of the training.

    Examples
    --------
    >>> import nbnet as nb
    >>> class Stop(nb.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.stop_training = logs["loss"] < 0.1
    """

    #: True for a callback that saves the state of the others.
    saves_others = False
    #: True for a callback that prints that a loss is not finite: ``fit`` prints where it began, too, and does not warn.
    reports_nan = False

    def __init__(self) -> None:
        self._model: CallbackModel | None = None
        self.params: dict[str, Any] = {}

    @property
    def model(self) -> CallbackModel:
        """The model that is being trained."""
        if self._model is None:
            raise RuntimeError(f"{type(self).__name__} belongs to no model yet: pass it to fit(callbacks=[...])")
        return self._model

    @property
    def _optimizer(self) -> Optimizer:
        """The optimizer of the model."""
        if (optimizer := self.model.optimizer) is None:
            raise RuntimeError(f"{type(self).__name__}: the model has no optimizer; compile it")
        return optimizer

    def set_model(self, model: CallbackModel) -> None:
        self._model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_others(self, callbacks: Sequence[Callback]) -> None:
        """Called before training with all callbacks, in the order in which they are called."""

    def get_state(self) -> dict[str, Any]:
        """Return what the callback knows of the training so far, for :class:`nbnet.callbacks.BackupAndRestore`.

        A callback of your own that remembers something from epoch to epoch defines this and :meth:`set_state`, and is
        then resumed with the training.

        Returns
        -------
        dict
            Finite numbers, strings, booleans, None, lists and dicts of them; and, not in lists or dicts, arrays of
            float32, float64 or int64.
        """
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue with a state of :meth:`get_state`; called after :meth:`on_train_begin`."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Called after the last epoch; logs are those of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Called before each epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Called after each epoch, with losses and metrics, those of validation among them."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """The same as :meth:`on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """The same as :meth:`on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before each batch of training."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after each batch of training, with the means of the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Called before an evaluation, that of an epoch's end included."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Called after an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before each batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after each batch of an evaluation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Called before a prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Called after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Called before each batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Called after each batch of a prediction."""

    def spare_epochs(self) -> int:
        """Number of further epochs that may be trained before the callback sees the end of this one.

        They are trained in one compiled call if all callbacks allow it. The hooks are still called for each epoch, with
        the model ahead of them. By default, a callback with hooks of epochs or tests sees every epoch at once.
        """
        return 0 if self._defines(EPOCH_HOOKS) else NO_LIMIT

    def wants_batches(self, kind: str) -> bool:
        """True if a batch hook of ``"train"``, ``"test"`` or ``"predict"`` is defined."""
        names = [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"]
        names += ["on_batch_begin", "on_batch_end"] if kind == "train" else []
        return self._defines(names)

    def _defines(self, hooks: Iterable[str], base: type[Callback] | None = None) -> bool:
        """True if any of these methods is another than that of a base class: one of its class, or a function set on
        it."""
        base = base or Callback
        return any(getattr(getattr(self, hook), "__func__", None) is not getattr(base, hook) for hook in hooks)


class CallbackList:
    """Callbacks that are called one after the other, in the order of the list.

    A :class:`nbnet.callbacks.BackupAndRestore` is called after the last callback with a state, so that the state it
    saves is one after the epoch or batch, and the state it restores is not reset.

    Parameters
    ----------
    callbacks : Callback, iterable or None
        Callbacks, or lists of them.
    model : Model
        The model of all callbacks.
    **params
        Their ``params``.

    Examples
    --------
    >>> import nbnet as nb
    >>> calls = nb.callbacks.CallbackList([nb.callbacks.TerminateOnNaN()], nb.Sequential(), epochs=3)
    >>> calls.wants_batches("train"), calls.callbacks[0].params
    (True, {'epochs': 3})
    """

    def __init__(self, callbacks: Iterable[Any] | Callback | None, model: CallbackModel, **params: Any) -> None:
        self.callbacks = list(_flat(callbacks))
        if any(callback.saves_others for callback in self.callbacks):
            self.callbacks = _savers_behind(self.callbacks)
        for callback in self.callbacks:
            callback.set_params(params)
            callback.set_model(model)
            callback.set_others(self.callbacks)

    def spare_epochs(self) -> int:
        """The smallest number of epochs that any of them can spare."""
        return min((callback.spare_epochs() for callback in self.callbacks), default=NO_LIMIT)

    def wants_batches(self, kind: str) -> bool:
        """True if any of them defines a batch hook."""
        return any(callback.wants_batches(kind) for callback in self.callbacks)

    def call(self, hook: str, *args: Any) -> None:
        """Call one hook of all of them."""
        for callback in self.callbacks:
            getattr(callback, hook)(*args)


def _savers_behind(callbacks: Sequence[Callback]) -> list[Callback]:
    """Return callbacks in an order in which those that save others come after those that have a state."""
    stateful = [type(callback).get_state is not Callback.get_state for callback in callbacks]
    end = max((i + 1 for i, (c, has) in enumerate(zip(callbacks, stateful, strict=True)) if has and not c.saves_others),
              default=0)  # fmt: skip
    savers = [callback for callback in callbacks[:end] if callback.saves_others]
    return [callback for callback in callbacks[:end] if not callback.saves_others] + savers + list(callbacks[end:])


def _flat(callbacks: Any) -> Iterable[Callback]:
    if callbacks is None:
        return
    if isinstance(callbacks, Callback):
        yield callbacks
    elif isinstance(callbacks, (list, tuple)):
        for part in callbacks:
            yield from _flat(part)
    else:
        raise TypeError(f"callbacks: expected callbacks, got {callbacks!r}")


_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 280, 150, 48, 8, 22, 18
_COLOURS = ("#1f77b4", "#ff7f0e")


class MaskSequence(Protocol):
    """Dropout masks of training steps, the oldest first: a sequence that knows its bytes."""

    @property
    def nbytes(self) -> int: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, index: int, /) -> Any: ...


class NoMasks(tuple[Any, ...]):
    """The masks of a training that records none."""

    nbytes = 0


@dataclass(repr=False)
class History(Callback):
    """The losses and metrics of every epoch, as ``fit`` returns them.

    ``fit`` makes one; one of your own among its callbacks is filled, and returned, in its place.

    Parameters
    ----------
    params : dict
        Arguments of ``fit``: ``epochs``, ``steps``, ``verbose`` ...
    epoch : list of int
        Numbers of the completed epochs, from 0.
    history : dict of lists
        For each name (``"loss"``, ``"accuracy"``, ``"val_loss"`` ...) its value after each epoch.
    masks : sequence of nbnet.masks.StepMasks
        With ``fit(record_masks=k)`` the dropout masks of the last k steps, the oldest first.

    Examples
    --------
    >>> from nbnet.callbacks.callback import History
    >>> h = History(params={"epochs": 2})
    >>> h.append(0, {"loss": 0.5, "val_loss": 0.75})
    >>> h.append(1, {"loss": 0.25, "val_loss": 0.5})
    >>> h.history["loss"], h.epoch
    ([0.5, 0.25], [0, 1])
    >>> h
    <History of 2 epochs: loss=0.25, val_loss=0.5>
    """

    params: dict[str, Any] = field(default_factory=dict)
    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[Any]] = field(default_factory=dict)
    masks: MaskSequence = field(default_factory=NoMasks)

    def __post_init__(self) -> None:
        self._model = None

    def spare_epochs(self) -> int:
        """Number of epochs that may be trained before the end of this one is recorded; none for a subclass with hooks
        of its own."""
        return 0 if self._defines(EPOCH_HOOKS, History) else NO_LIMIT

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.append(epoch, logs or {})
        self.model.history = self

    def append(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Add the logs of an epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        logs : dict
            Losses and metrics; arrays, of metrics with a score for each class, become lists. What is no number, a
            callback has written: it is kept as it is.
        """
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value if type(value) is float else _recorded(value))

    def plot(self, metrics: str | Sequence[str] | None = None, ax: Any = None) -> Any:
        """Draw the curves with matplotlib.

        Parameters
        ----------
        metrics : str or list of str, optional
            Names of the curves, by default of all single numbers. The curve of validation is drawn with each.
        ax : matplotlib axes, or a sequence of one for each panel, optional
            The axes to draw on; by default those of a new figure with one panel for each metric.

        Returns
        -------
        matplotlib axes, or an array of them

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If the history has no such metric, or numbers of axes and panels differ.

        Examples
        --------
        >>> from nbnet.callbacks.callback import History
        >>> h = History(epoch=[0, 1], history={"loss": [0.5, 0.25], "val_loss": [0.75, 0.5]})
        >>> h.plot("loss").get_title()  # doctest: +SKIP
        'loss'
        """
        wanted = self._panels(metrics)
        if ax is None:
            try:
                from matplotlib import pyplot
            except ImportError as error:
                raise ImportError("History.plot needs matplotlib: pip install 'nbnet[plot]'") from error
            count = max(len(wanted), 1)
            _, ax = pyplot.subplots(1, count, figsize=(4.5 * count, 3.2), layout="constrained")
        axes = list(np.ravel(np.asarray(ax, object)))
        if len(axes) not in (1, len(wanted)):
            raise ValueError(f"ax: expected one, or {len(wanted)} for {', '.join(wanted)}; got {len(axes)}")
        shared = len(axes) < len(wanted)
        for (title, names), into in zip(wanted.items(), axes * len(wanted) if shared else axes, strict=False):
            for name in names:
                into.plot([epoch + 1 for epoch in self.epoch], self.history[name], label=name)
            into.set_title("" if shared else title)
            into.set_xlabel("epoch")
            into.legend()
        return ax

    def _panels(self, metrics: str | Sequence[str] | None) -> dict[str, list[str]]:
        """The names of the curves in each panel, for some metrics or all."""
        known = panels(self.history)
        if metrics is None:
            return known
        chosen = {}
        for name in [metrics] if isinstance(metrics, str) else metrics:
            if name not in known and not (name in self.history and is_curve(self.history[name])):
                raise ValueError(f"metrics: the history has no curve {name!r}; it has {', '.join(known) or 'none'}")
            chosen[name] = known.get(name, [name])
        return chosen

    def _repr_html_(self) -> str:
        drawn = [
            panel(title, self.epoch, {name: self.history[name] for name in names})
            for title, names in self._panels(None).items()
        ]
        last = [["", *self.history], ["last epoch", *(_shown(values[-1]) for values in self.history.values())]]
        numbers = html.table(last, range(1, 1 + len(self.history))) if self.history else ""
        return element("div", element("div", repr(self).strip("<>").split(":")[0]), *drawn, numbers)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={_shown(values[-1])}" for name, values in self.history.items())
        count = f"{len(self.epoch)} epoch{'' if len(self.epoch) == 1 else 's'}"
        return f"<History of {count}: {last}>" if last else f"<History of {count}>"


def _recorded(value: Any) -> Any:
    """A value of the logs as a history keeps it: numbers as floats, arrays as lists, anything else as it is."""
    if not isinstance(value, Real) and not hasattr(value, "__array__"):
        return value
    array = np.asarray(value)
    return array.tolist() if array.ndim or array.dtype.kind not in "fiub" else float(array)


def _shown(value: Any) -> str:
    return format(value, ".4g") if isinstance(value, (int, float)) else str(value)


def is_curve(values: Sequence[Any]) -> bool:
    """True if these are single numbers, which make a curve."""
    return all(isinstance(value, (int, float)) for value in values)


def panels(history: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
    """Names of the curves in each panel: a metric, and the same metric of validation.

    Examples
    --------
    >>> from nbnet.callbacks.callback import panels
    >>> panels({"loss": [1.0], "accuracy": [0.5], "val_loss": [2.0]})
    {'loss': ['loss', 'val_loss'], 'accuracy': ['accuracy']}
    """
    found: dict[str, list[str]] = {}
    for name, values in history.items():
        base = name.removeprefix("val_")
        if is_curve(values):
            found.setdefault(base if base in history else name, []).append(name)
    return found


def panel(title: str, epochs: Sequence[int], curves: Mapping[str, Sequence[float]]) -> Markup:
    """A small chart of a few curves over epochs, by name; a value that is not finite makes a gap."""
    finite = [v for values in curves.values() for v in values if math.isfinite(v)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    first, last = min(epochs, default=0), max(epochs, default=0)

    def place(epoch: int, value: float) -> str:
        across = (epoch - first) / (last - first) if last > first else 0.5
        up = (value - low) / (high - low) if high > low else 0.5
        x = _LEFT + across * (_WIDTH - _LEFT - _RIGHT)
        return f"{x:.1f},{_HEIGHT - _BOTTOM - up * (_HEIGHT - _BOTTOM - _TOP):.1f}"

    lines = []
    for colour, (name, values) in zip(_COLOURS, curves.items(), strict=False):
        for run in _runs(epochs, values):
            points = [place(*point) for point in run]
            dot = len(points) == 1  # a line of no length with round ends
            style = {"stroke": colour, "stroke_width": 5 if dot else 1.5, "stroke_linecap": "round", "fill": "none"}
            shape = " ".join(points * 2 if dot else points)
            lines.append(element("polyline", element("title", name), points=shape, **style))
    labels = [
        _text(_WIDTH / 2, 14, title, "middle"),
        _text(_LEFT - 4, _TOP + 4, f"{high:.4g}", "end"),
        _text(_LEFT - 4, _HEIGHT - _BOTTOM, f"{low:.4g}", "end"),
        _text(_LEFT, _HEIGHT - 4, str(first + 1), "start"),
        _text(_WIDTH - _RIGHT, _HEIGHT - 4, str(last + 1), "end"),
    ]
    path = f"M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}"
    frame = element("path", d=path, fill="none", stroke="currentColor", stroke_width=0.5)
    return element("svg", frame, *lines, *labels, xmlns="http://www.w3.org/2000/svg", width=_WIDTH, height=_HEIGHT)


def _runs(epochs: Sequence[int], values: Sequence[float]) -> list[list[tuple[int, float]]]:
    """Points without a gap between them."""
    runs: list[list[tuple[int, float]]] = [[]]
    for point in zip(epochs, values, strict=False):
        if math.isfinite(point[1]):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _text(x: float, y: float, content: str, anchor: str) -> Markup:
    style = {"text_anchor": anchor, "font_size": 11, "font_family": "sans-serif", "fill": "currentColor"}
    return element("text", content, x=x, y=y, **style)
