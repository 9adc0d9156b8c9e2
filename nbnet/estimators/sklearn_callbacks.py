"""scikit-learn's own callbacks (``set_callbacks``, since its version 1.9): each epoch is a task of the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from nbnet.callbacks.callback import Callback, Logs
from nbnet.estimators.base import F

try:
    from sklearn import callback as _sklearn
except ImportError:  # an older scikit-learn
    _sklearn = None

#: Base class of estimators with callbacks.
CallbackSupportMixin: Any = type("NoCallbacks", (), {}) if _sklearn is None else _sklearn.CallbackSupportMixin


def with_callbacks(method: F) -> F:
    """Decorator of ``fit``: it releases the callbacks at the end."""
    return method if _sklearn is None else cast(F, _sklearn.with_callbacks(method))


class EpochReporter(Callback):
    """Reports each epoch to scikit-learn's callbacks; one that wants to stop ends the training.

    Examples
    --------
    >>> from nbnet.estimators.sklearn_callbacks import EpochReporter
    >>> EpochReporter(None, {}).wants_batches("train")
    False
    """

    def __init__(self, context: Any, arguments: dict[str, Any]) -> None:
        super().__init__()
        self._context, self._arguments, self._epoch = context, arguments, context

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = self._context.subcontext(task_name="epoch").call_on_fit_task_begin(**self._arguments)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self._epoch.call_on_fit_task_end(**self._arguments):
            self.model.stop_training = True


@contextmanager
def reported_fit(
    estimator: Any, epochs: int, X: Any, y: Any, weights: Any, fitted: Callable[[], dict[str, Any]]
) -> Iterator[list[Callback]]:
    """Context of a fit; yields the callbacks that report it to those of the estimator.

    ``epochs`` is the largest number of epochs; ``fitted`` returns the attributes of the estimator as if the fit were
    over.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        yield []
        return
    metadata = None if weights is None else {"sample_weight": weights}
    arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata, "reconstruction_attributes": fitted}
    context = estimator._init_callback_context(max_subtasks=epochs)
    context.call_on_fit_task_begin(**arguments)
    yield [EpochReporter(context, arguments)]
    context.call_on_fit_task_end(**arguments)
