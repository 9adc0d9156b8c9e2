"""The logs of each epoch as lines of a file."""

from __future__ import annotations

import csv
import os
from typing import Any

from nbnet.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """Writes the number, losses and metrics of each epoch to a CSV file.

    Parameters
    ----------
    filename
        Path of the file.
    separator
        Between values.
    append
        Whether to add to a file that is there, not to begin it anew.

    Examples
    --------
    >>> import nbnet as nb
    >>> log = nb.callbacks.CSVLogger("training.csv")
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self._file: Any = None
        self._writer: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._headed = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        # Kept open between epochs, closed when training ends.
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115
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
