"""What every callback is: hooks with Keras's names that training calls."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbnet.models.model import Model

Logs = MutableMapping[str, float] | None

#: Epochs to spare of who does not care.
NO_LIMIT = 1 << 62
_EPOCH_HOOKS = ("on_epoch_begin", "on_epoch_end", "on_test_begin", "on_test_end")


class Callback:
    """Subclass it and define the hooks you need.

    Training runs many batches in one compiled call, which cannot stop for Python. A callback that defines a batch hook
    gets every batch, at the price of one call a batch.

    Attributes
    ----------
    model
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

    def __init__(self) -> None:
        self._model: Model | None = None
        self.params: dict[str, Any] = {}

    @property
    def model(self) -> Model:
        """The model that is being trained."""
        if self._model is None:
            raise RuntimeError(f"{type(self).__name__} belongs to no model yet: pass it to fit(callbacks=[...])")
        return self._model

    def set_model(self, model: Model) -> None:
        self._model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

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
        """How many more epochs may be trained before the callback sees the end of this one.

        They are trained in one compiled call if nobody wants to see more of them. The hooks are called for each
        epoch all the same; the model is ahead then. One that defines hooks of epochs, or tests, sees every epoch
        at once, unless it overwrites this.
        """
        return 0 if self._defines(_EPOCH_HOOKS) else NO_LIMIT

    def wants_batches(self, kind: str) -> bool:
        """Whether a batch hook of ``"train"``, ``"test"`` or ``"predict"`` is defined."""
        names = [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"]
        names += ["on_batch_begin", "on_batch_end"] if kind == "train" else []
        return self._defines(names)

    def _defines(self, hooks: Iterable[str]) -> bool:
        """Whether any of these hooks is its own: a method of its class, or a function set on it."""
        return any(getattr(getattr(self, hook), "__func__", None) is not getattr(Callback, hook) for hook in hooks)


class CallbackList:
    """Callbacks that are called one after the other.

    Parameters
    ----------
    callbacks
        Callbacks, or lists of them.
    model, params
        What they are told.

    Examples
    --------
    >>> import nbnet as nb
    >>> calls = nb.callbacks.CallbackList([nb.callbacks.TerminateOnNaN()], nb.Sequential(), epochs=3)
    >>> calls.wants_batches("train"), calls.callbacks[0].params
    (True, {'epochs': 3})
    """

    def __init__(self, callbacks: Iterable[Any] | Callback | None, model: Model, **params: Any) -> None:
        self.callbacks = list(_flat(callbacks))
        for callback in self.callbacks:
            callback.set_params(params)
            callback.set_model(model)

    def spare_epochs(self) -> int:
        """The fewest that any of them has to spare."""
        return min((callback.spare_epochs() for callback in self.callbacks), default=NO_LIMIT)

    def wants_batches(self, kind: str) -> bool:
        """Whether any of them has a batch hook."""
        return any(callback.wants_batches(kind) for callback in self.callbacks)

    def call(self, hook: str, *args: Any) -> None:
        """Call one hook of all of them."""
        for callback in self.callbacks:
            getattr(callback, hook)(*args)


def _flat(callbacks: Any) -> Iterable[Callback]:
    if callbacks is None:
        return
    if isinstance(callbacks, Callback):
        yield callbacks
    elif isinstance(callbacks, (list, tuple)):
        for part in callbacks:
            yield from _flat(part)
    else:
        raise TypeError(f"callbacks: wants callbacks, got {callbacks!r}")
