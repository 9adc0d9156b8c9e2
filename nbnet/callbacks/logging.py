"""Callbacks that write the logs (to CSV, to TensorBoard), show or check them."""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from nbnet.base.atomic_file import replacing
from nbnet.base.console import show
from nbnet.base.regular_file import check_name, open_regular, open_text
from nbnet.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """Writes the number, losses and metrics of each epoch to a CSV file.

    The file has a column for each name in the logs of any epoch. Where an epoch lacks it, as ``val_loss`` in one
    without validation, there is ``NA``.

    Parameters
    ----------
    filename : str or path
        Path of the file.
    separator : str
        One character, between values.
    append : bool
        If True, append to an existing file instead of overwriting it.

    Raises
    ------
    ValueError
        If no file can have that name; when training begins, if a file to append to is no table.
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
        self._file: TextIO | None = None
        self._columns: list[str] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self._columns = []
        if self.append and os.path.exists(self.filename):
            self._columns = next(iter(self._rows()), [])
            if self._columns and "epoch" not in self._columns:
                raise ValueError(
                    f"filename: expected a table with a column 'epoch', {self.filename} has {self._columns}"
                )
        # Kept open between epochs, closed when training ends.
        self._file = open_text(self.filename, self.append)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        row = {"epoch": epoch} | {name: _cell(value) for name, value in (logs or {}).items()}
        assert self._file is not None
        if new := [name for name in row if name not in self._columns]:
            self._add_columns(new)
        csv.writer(self._file, delimiter=self.separator).writerow([row.get(name, _NOT_KNOWN) for name in self._columns])
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add_columns(self, new: list[str]) -> None:
        """Replace the file by one with further columns."""
        assert self._file is not None
        self._file.close()
        _, *rows = self._rows() or [[]]
        self._columns += new
        with replacing(Path(self.filename)) as aside:
            table = io.TextIOWrapper(aside, "utf-8", newline="")
            write = csv.writer(table, delimiter=self.separator).writerow
            write(self._columns)
            for row in rows:
                write(row + [_NOT_KNOWN] * (len(self._columns) - len(row)))
            table.detach()
        self._file = open_text(self.filename, append=True)

    def _rows(self) -> list[list[str]]:
        with io.TextIOWrapper(open_regular(self.filename), "utf-8", newline="") as file:
            return list(csv.reader(file, delimiter=self.separator))


#: The entry of a column that an epoch has no value for.
_NOT_KNOWN = "NA"


def _cell(value: Any) -> Any:
    """Return the value of a cell: the numbers of an array in brackets."""
    return f"[{', '.join(map(str, np.ravel(value).tolist()))}]" if np.ndim(value) else value


class LambdaCallback(Callback):
    """A callback whose hooks are given as functions.

    Parameters
    ----------
    **hooks
        Functions by name of hook: ``on_epoch_end=lambda epoch, logs: ...``; None leaves a hook out. Anything of another
        name becomes an attribute.

    Raises
    ------
    TypeError
        If a name begins with ``on_`` and is not that of a hook, or a hook is no function.

    Examples
    --------
    >>> import nbnet as nb
    >>> show = nb.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(self, **hooks: Any) -> None:
        super().__init__()
        for name, function in hooks.items():
            hook = hasattr(Callback, name)
            if name.startswith("on_") and not hook:
                raise TypeError(f"{name}: is not the name of a hook")
            if hook and function is None:
                continue
            if hook and not callable(function):
                raise TypeError(f"{name}: expected a function, got {function!r}")
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


class TensorBoard(Callback):
    """Writes losses, metrics and weights for TensorBoard (extra ``tensorboard``: the package tensorboardX).

    Folders and names are Keras's: ``train`` and ``validation`` in the folder of logs, with ``epoch_loss`` and its like
    over epochs, and ``batch_loss`` over steps.

    Parameters
    ----------
    log_dir : str or path
        The folder of logs.
    histogram_freq : int
        Number of epochs between two histograms of the weights; 0 for none.
    write_graph, write_images, profile_batch, embeddings_freq, embeddings_metadata
        Accepted as in Keras; nothing is written for them.
    write_steps_per_second : bool
        If True, write the number of steps per second of each epoch.
    update_freq : {"epoch", "batch"} or int
        When to write: after each epoch, and also after each batch or a number of batches, which makes each batch a
        call of its own.

    Raises
    ------
    ImportError
        If tensorboardX is missing.
    ValueError
        If a frequency is invalid.

    Examples
    --------
    >>> import nbnet as nb
    >>> board = nb.callbacks.TensorBoard("logs/first")  # doctest: +SKIP
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        if not isinstance(histogram_freq, int) or histogram_freq < 0:
            raise ValueError(f"histogram_freq: expected a number of epochs, or 0 for never; got {histogram_freq!r}")
        if update_freq not in ("epoch", "batch") and not (isinstance(update_freq, int) and update_freq > 0):
            raise ValueError(f"update_freq: expected 'epoch', 'batch' or a number of batches, got {update_freq!r}")
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError("TensorBoard needs tensorboardX: pip install 'nbnet[tensorboard]'") from error
        self.log_dir, self.histogram_freq = os.fspath(log_dir), histogram_freq
        self.write_steps_per_second, self.update_freq = write_steps_per_second, update_freq
        self._every = None if update_freq == "epoch" else 1 if update_freq == "batch" else int(update_freq)
        self._make_writer: Any = SummaryWriter
        self._writers: dict[str, Any] = {}
        self._began, self._clock = 0, 0.0

    def wants_batches(self, kind: str) -> bool:
        return kind == "train" and self._every is not None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._writer("train")

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._began, self._clock = self._steps(), time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self._every is not None and (batch + 1) % self._every == 0:
            self._write("train", "batch_", logs, self._steps())

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        held = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
        own = {name: value for name, value in logs.items() if not name.startswith("val_")}
        own["learning_rate"] = float(self._optimizer.learning_rate)
        if self.write_steps_per_second:
            own["steps_per_second"] = (self._steps() - self._began) / max(time.perf_counter() - self._clock, 1e-9)
        self._write("train", "epoch_", own, epoch)
        if held:
            self._write("validation", "epoch_", held, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for weight in self.model.weights:
                self._writer("train").add_histogram(f"{weight.name}/histogram", weight.numpy(), epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_test_end(self, logs: Logs = None) -> None:
        for name, value in _scalars(logs or {}):
            self._writer("validation").add_scalar(f"evaluation_{name}_vs_iterations", value, self._steps())

    def on_train_end(self, logs: Logs = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, name: str) -> Any:
        """The writer of a folder, opened when first needed."""
        if name not in self._writers:
            self._writers[name] = self._make_writer(os.path.join(self.log_dir, name))
        return self._writers[name]

    def _write(self, folder: str, prefix: str, logs: Logs, step: int) -> None:
        for name, value in _scalars(logs or {}):
            self._writer(folder).add_scalar(prefix + name, value, step)

    def _steps(self) -> int:
        optimizer = self.model.optimizer
        return 0 if optimizer is None else int(optimizer.iterations)


def _scalars(logs: Any) -> Iterator[tuple[str, float]]:
    """Names and numbers; a metric with a number for each class gives several, what is no number none."""
    for name, value in logs.items():
        if np.asarray(value).dtype.kind not in "fiub":
            continue
        if np.ndim(value):
            yield from ((f"{name}_{k}", float(part)) for k, part in enumerate(np.ravel(value)))
        else:
            yield name, float(value)
