"""Small callbacks: from functions, and against NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nbnet.callbacks.callback import Callback, Logs


class LambdaCallback(Callback):
    """Hooks from functions.

    Parameters
    ----------
    **hooks
        Functions by name of hook: ``on_epoch_end=lambda epoch, logs: ...``.

    Raises
    ------
    TypeError
        If a name is no hook.

    Examples
    --------
    >>> import nbnet as nb
    >>> show = nb.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        super().__init__()
        for name, function in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise TypeError(f"{name}: is not the name of a hook")
            setattr(self, name, function)
        self._names = set(hooks)

    def wants_batches(self, kind: str) -> bool:
        return any(
            "batch" in name and (kind in name or (kind == "train" and name.startswith("on_batch")))
            for name in self._names
        )


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
