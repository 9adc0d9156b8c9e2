"""Stop when the loss is no number any more."""

from __future__ import annotations

import math

from nbnet.callbacks.callback import Callback, Logs


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite, at the end of the batch in which that happens.

    Parameters
    ----------
    raise_error
        Whether to raise a RuntimeError instead, which ``fit`` passes on.

    Examples
    --------
    >>> import nbnet as nb
    >>> guard = nb.callbacks.TerminateOnNaN()
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = bool(raise_error)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            if self.raise_error:
                raise RuntimeError(f"Batch {batch}: the loss is {loss}")
            print(f"Batch {batch}: the loss is {loss}, training stops")
            self.model.stop_training = True
