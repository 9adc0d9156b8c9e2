"""Callbacks that write, show or check the logs."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable
from typing import Any

from nbnet.base.console import show
from nbnet.base.regular_file import check_name, open_text
from nbnet.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """Writes the number, losses and metrics of each epoch to a CSV file.

    Parameters
    ----------
    filename : str or path
        Path of the file.
    separator : str
        Text between values.
    append : bool
        If True, append to an existing file instead of overwriting it.

    Raises
    ------
    ValueError
        If no file can have that name.
    OSError
        When training begins, if the file cannot be written, or is a folder, a FIFO, a socket or a device.

    Examples
    --------
    >>> import nbnet as nb
    >>> log = nb.callbacks.CSVLogger("training.csv")
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        check_name(self.filename, "filename")
        self._file: Any = None
        self._writer: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        # Kept open between epochs, closed when training ends.
        self._file = open_text(self.filename, self.append)
        self._headed = os.fstat(self._file.fileno()).st_size > 0
        self._writer = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), delimiter=self.separator, extrasaction="ignore")
            if not self._headed:
                self._writer.writeheader()
        self._writer.writerow(row)
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class LambdaCallback(Callback):
    """A callback whose hooks are given as functions.

    Parameters
    ----------
    **hooks
        Functions by name of hook: ``on_epoch_end=lambda epoch, logs: ...``; None leaves a hook out.

    Raises
    ------
    TypeError
        If a name is not that of a hook.

    Examples
    --------
    >>> import nbnet as nb
    >>> show = nb.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        super().__init__()
        for name, function in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise TypeError(f"{name}: is not the name of a hook")
            if function is not None:
                setattr(self, name, function)


class ProgbarLogger(Callback):
    """Accepted as in Keras, without effect: ``fit`` shows its progress itself, as its ``verbose`` says.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[0.0]], [[0.0]], verbose=0, callbacks=[nb.callbacks.ProgbarLogger()])
    """


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite, at the end of the batch in which that happens.

    It prints the batch; what ``fit(on_nan="warn")`` has to say of it, the step and the layer, is printed as well.

    Parameters
    ----------
    raise_error : bool
        If True, raise a RuntimeError instead.

    Examples
    --------
    >>> import nbnet as nb
    >>> guard = nb.callbacks.TerminateOnNaN()
    """

    reports_nan = True

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = bool(raise_error)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            if self.raise_error:
                raise RuntimeError(f"Batch {batch}: the loss is {loss}")
            show(f"Batch {batch}: the loss is {loss}, training stops")
            self.model.stop_training = True
