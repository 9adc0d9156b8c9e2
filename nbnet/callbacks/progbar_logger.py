"""The progress bar as a callback."""

from __future__ import annotations

from nbnet.callbacks.callback import Callback, Logs
from nbnet.progress import Progress


class ProgbarLogger(Callback):
    """Shows the progress of each epoch, unless ``fit`` shows it already.

    With ``verbose=1`` or 2 ``fit`` has a display of its own and this one stays silent. With ``verbose=0`` it prints the
    bar of each epoch when the epoch ends: batches are not watched, so that training is no slower for it.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[0.0]], [[0.0]], verbose=0, callbacks=[nb.callbacks.ProgbarLogger()])
    Epoch 1/1 ... - loss: 0.0000
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: Progress | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._bar = None
        if not self.params.get("verbose"):
            self._bar = Progress(1, self.params.get("epochs"), self.params.get("steps") or 1)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self._bar is not None:
            self._bar.begin_epoch(epoch)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self._bar is not None:
            self._bar.end_epoch(logs or {})

    def on_train_end(self, logs: Logs = None) -> None:
        if self._bar is not None:
            self._bar.close()
