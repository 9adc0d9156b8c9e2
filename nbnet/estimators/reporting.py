"""scikit-learn's own callbacks (``set_callbacks``, from its version 1.9 on): each epoch is a task of the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nbnet.callbacks.callback import Callback, Logs

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # an older scikit-learn

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Any) -> Any:
        """The method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "Epochs", "reported", "with_callbacks"]


class Epochs(Callback):
    """Tells scikit-learn's callbacks of each epoch; one that wants to stop ends the training.

    Parameters
    ----------
    context
        Of the fit.
    given
        What hooks are told: the estimator, the data, how it would be now if it were fitted.

    Examples
    --------
    >>> from nbnet.estimators.reporting import Epochs
    >>> Epochs(None, {}).wants_batches("train")
    False
    """

    def __init__(self, context: Any, given: dict[str, Any]) -> None:
        super().__init__()
        self._context, self._given, self._epoch = context, given, context

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = self._context.subcontext(task_name="epoch").call_on_fit_task_begin(**self._given)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self._epoch.call_on_fit_task_end(**self._given):
            self.model.stop_training = True


@contextmanager
def reported(
    estimator: Any, epochs: int, X: Any, y: Any, weights: Any, fitted: Callable[[], dict[str, Any]]
) -> Iterator[list[Callback]]:
    """Inside, an estimator is fitted; yields what its model is to be trained with so that its callbacks are told.

    Parameters
    ----------
    epochs
        How many there will be at most.
    X, y, weights
        The data it is fitted to.
    fitted
        Its attributes as if the fit were over.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        yield []
        return
    metadata = None if weights is None else {"sample_weight": weights}
    given = {"estimator": estimator, "X": X, "y": y, "metadata": metadata, "reconstruction_attributes": fitted}
    context = estimator._init_callback_context(max_subtasks=epochs)
    context.call_on_fit_task_begin(**given)
    yield [Epochs(context, given)]
    context.call_on_fit_task_end(**given)
