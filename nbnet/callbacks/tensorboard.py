"""A callback that writes logs for TensorBoard."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from nbnet.callbacks.callback import Callback, Logs


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
