"""Go on after the process has died."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nbnet.callbacks.callback import Logs
from nbnet.callbacks.saver import Saver


class BackupAndRestore(Saver):
    """Keeps the state of a training in a folder; a fit that finds one there goes on from it.

    Run the same program again after it was killed, and it ends with the same weights, bit for bit, as if it had not
    been: the state holds weights, the optimizer's moments, how many epochs and batches are done, and what orders of
    rows and dropout masks come from. What other callbacks remember is not in it. A file is replaced as a whole, so a
    process that dies while it saves does not lose the last one.

    Parameters
    ----------
    backup_dir
        The folder; for this one training alone.
    save_freq
        ``"epoch"``, or a number of batches: the training goes on in the middle of an epoch then, whose mean loss is
        that of the rest.
    double_checkpoint
        Accepted as in Keras; one file is enough.
    delete_checkpoint
        Whether the file is deleted at the end of training.

    Raises
    ------
    ValueError
        If an argument is none of these; in training, if what is in the folder does not fit the model.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     backup = nb.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    ...     first = model.fit(np.ones((8, 1)), np.ones(8), epochs=2, callbacks=[backup], verbose=0)
    ...     again = model.fit(np.ones((8, 1)), np.ones(8), epochs=5, callbacks=[backup], verbose=0)
    >>> again.epoch
    [2, 3, 4]
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__(save_freq)
        if not os.fspath(backup_dir):
            raise ValueError(f"backup_dir: wants the name of a folder, got {backup_dir!r}")
        self.backup_dir, self.delete_checkpoint = Path(os.fspath(backup_dir)), bool(delete_checkpoint)
        self.double_checkpoint = bool(double_checkpoint)

    @property
    def path(self) -> Path:
        """The file."""
        return self.backup_dir / "latest.nbnet"

    def on_train_begin(self, logs: Logs = None) -> None:
        from nbnet.saving.models import load_state

        self._batches = 0
        # What a process that was killed had not finished.
        for left in self.backup_dir.glob(f".{self.path.name}.*.tmp"):
            left.unlink(missing_ok=True)
        if self.path.exists():
            load_state(self.model, self.path)

    def save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        from nbnet.saving.models import save_state

        self.backup_dir.mkdir(parents=True, exist_ok=True)
        save_state(self.model, self.path)

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint:
            self.path.unlink(missing_ok=True)
