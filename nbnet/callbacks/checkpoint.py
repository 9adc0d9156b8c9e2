"""Callbacks that save after each epoch, or after a number of batches."""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nbnet.base.atomic_file import remove_abandoned, target
from nbnet.base.console import show
from nbnet.base.registry import UniqueNames
from nbnet.base.regular_file import check_name
from nbnet.callbacks.callback import Callback, Logs
from nbnet.callbacks.monitor import Monitor


class Saver(Monitor):
    """Base class of callbacks that save after each epoch, or after a number of batches.

    With a number of batches, each batch is a call of its own.
    """

    def __init__(self, save_freq: str | int = "epoch", monitor: str = "val_loss", mode: str = "auto") -> None:
        super().__init__(monitor, mode)
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(f"save_freq: expected 'epoch' or a number of batches from 1, got {save_freq!r}")
        self.save_freq = None if save_freq == "epoch" else int(save_freq)
        self._epoch = self._batches = 0

    def get_state(self) -> dict[str, Any]:
        return super().get_state() | {"_batches": self._batches}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._set_state(state, "_batches")

    @abstractmethod
    def _save_model(self, epoch: int, batch: int | None, logs: Logs) -> None:
        """Save after an epoch (``batch`` is None), or after a batch; both are counted from 0."""

    def wants_batches(self, kind: str) -> bool:
        return kind == "train" and self.save_freq is not None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.save_freq is not None:
            self._batches += self.model.steps_per_execution
            if self._batches >= self.save_freq:
                self._batches = 0
                self._save_model(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq is None:
            self._save_model(epoch, None, logs)


#: Endings of files of models and of weights, and of those that need h5py.
_MODELS, _WEIGHTS = (".nbnet", ".keras", ".h5", ".hdf5"), (".nbnet", ".safetensors", ".weights.h5")
_OF_KERAS = (".keras", ".h5", ".hdf5")


class ModelCheckpoint(Saver):
    """Saves the model, or its weights, after each epoch or after a number of batches.

    Parameters
    ----------
    filepath : str or path
        Name of the file, which ends in ``.nbnet``, ``.keras`` or ``.h5``; with save_weights_only, in
        ``.weights.nbnet``, ``.safetensors`` or ``.weights.h5``. It may contain entries of the logs,
        ``"m-{epoch:02d}-{val_loss:.2f}.nbnet"``, where ``epoch`` and ``batch`` count from 1.
    monitor, mode : str
        See :class:`EarlyStopping`.
    verbose : int
        1 prints a line for each file.
    save_best_only : bool
        If True, save only when the monitored number is better than ever before; with a warning, also when there is no
        such number.
    save_weights_only : bool
        If True, call ``model.save_weights`` instead of ``model.save``.
    save_freq : "epoch" or int
        When to save: after each epoch, or after a number of batches.
    initial_value_threshold : float, optional
        With save_best_only, the number that the first saved model has to beat.

    Raises
    ------
    ValueError
        If an argument is invalid; in training, if the logs lack an entry that filepath names.
    OSError
        When training begins, if a filepath without entries cannot be written to; otherwise when it is.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keep = nb.callbacks.ModelCheckpoint(folder + "/m{epoch}.nbnet", monitor="loss")
    ...     history = model.fit(np.ones((8, 1)), np.ones(8), epochs=2, callbacks=[keep], verbose=0)
    ...     nb.load_model(folder + "/m2.nbnet").optimizer.iterations
    2
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(save_freq, monitor, mode)
        self.filepath, self.verbose = os.fspath(filepath), verbose
        check_name(self.filepath, "filepath")
        endings = _WEIGHTS if save_weights_only else _MODELS
        if not self.filepath.endswith(endings):
            expected = f"{', '.join(map(repr, endings[:-1]))} or {endings[-1]!r}"
            raise ValueError(f"filepath: expected a name that ends in {expected}, got {self.filepath!r}")
        self.save_best_only, self.save_weights_only = bool(save_best_only), bool(save_weights_only)
        if initial_value_threshold is not None:
            self.best = float(initial_value_threshold)

    def on_train_begin(self, logs: Logs = None) -> None:
        super().on_train_begin(logs)
        if self.filepath.endswith(_OF_KERAS):
            from nbnet.base.hdf5_file import library  # late: it reads files in processes

            library()
        # What no save could write to is an error before the training; a path with entries of the logs is not known yet.
        with suppress(KeyError, IndexError):
            path = Path(self.filepath.format())
            path.parent.mkdir(parents=True, exist_ok=True)
            target(path)

    def _save_model(self, epoch: int, batch: int | None, logs: Logs) -> None:
        path = self._get_file_path(epoch, batch, logs)
        if not self._should_save_model(epoch, batch, logs, path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            show(f"Epoch {epoch + 1}: saved to {path}")

    def _should_save_model(self, epoch: int, batch: int | None, logs: Logs, filepath: Path) -> bool:
        """Return True if the model is to be saved; of a better one, note how good it is. A model of which that is not
        known is saved."""
        if not self.save_best_only:
            return True
        value = self.get_monitor_value(logs)
        if value is None:
            return True
        if not self._is_improvement(value, self.best):
            return False
        self.best = value
        return True

    def _get_file_path(self, epoch: int, batch: int | None, logs: Logs) -> Path:
        """Return the path of a file; ValueError if it names an entry that the logs lack."""
        known = {**(logs or {}), "epoch": epoch + 1} | ({} if batch is None else {"batch": batch + 1})
        try:
            return Path(self.filepath.format(**known))
        except (KeyError, IndexError) as error:
            raise ValueError(f"filepath: {self.filepath!r} names {error}, the logs have {sorted(known)}") from None


class BackupAndRestore(Saver):
    """Keeps the state of a training in a folder; a ``fit`` that finds a state there continues from it.

    A program that was killed and is run again ends with the same weights, bit for bit, as without the interruption: the
    state holds the weights, the optimizer's state, the numbers of epochs and batches, the seeds of row orders and
    dropout masks, and the state of other callbacks that have any: :class:`EarlyStopping`, :class:`ReduceLROnPlateau`,
    :class:`LearningRateScheduler`, :class:`ModelCheckpoint`, and those of your own with :meth:`Callback.get_state`. It
    is called after the last of these, wherever it is in the list. A file is replaced as a whole, so that a process that
    dies while it saves does not lose the last one.

    A dataset, or an object that is iterated in each epoch, gives its batches again, and those that were trained are
    skipped. A generator begins anew: it has to give the batches from the resumed epoch on.

    Parameters
    ----------
    backup_dir : str or path
        The folder, for this training only.
    save_freq : "epoch" or int
        When to save: after each epoch, or after a number of batches. In the latter case training continues in the
        middle of an epoch. Its mean losses and metrics include the batches before; metrics that need a whole epoch at
        once, and those of a ``train_step`` of your own, are those of the rest.
    double_checkpoint : bool
        Accepted as in Keras; one file is enough.
    delete_checkpoint : bool
        If True, delete the file at the end of training.

    Raises
    ------
    ValueError
        If an argument is invalid; in training, if the state in the folder does not fit the model.
    OSError
        When training begins, if the folder, or the file in it, cannot be written to.

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

    saves_others = True

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__(save_freq)
        if backup_dir is None or not os.fspath(backup_dir):
            raise ValueError(f"backup_dir: expected the name of a folder, got {backup_dir!r}")
        check_name(backup_dir, "backup_dir")
        self.backup_dir, self.delete_checkpoint = Path(os.fspath(backup_dir)), bool(delete_checkpoint)
        self.double_checkpoint = bool(double_checkpoint)
        self._others: dict[str, Callback] = {}

    def set_others(self, callbacks: Sequence[Callback]) -> None:
        self._others, names = {}, UniqueNames()
        for callback in callbacks:
            if not callback.saves_others and type(callback).get_state is not Callback.get_state:
                self._others[names.take(type(callback).__name__)] = callback

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.backup_dir / "latest.nbnet"

    def on_train_begin(self, logs: Logs = None) -> None:
        self._batches = 0
        # What no save could write to is an error before the training, not after its first epoch.
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target(self.path).parent)
        if not self.path.exists():
            return
        states = self.model._load_training_state(self.path)
        for name, state in states.items():
            if name not in self._others:
                warnings.warn(
                    f"BackupAndRestore: {self.path} has the state of {name}, which is not there", stacklevel=2
                )
                continue
            try:
                self._others[name].set_state(state)
            except Exception as error:
                raise ValueError(f"{self.path.name}: {name} cannot continue: {error}") from error

    def _save_model(self, epoch: int, batch: int | None, logs: Logs) -> None:
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        states = {name: callback.get_state() for name, callback in self._others.items()}
        self.model._save_training_state(self.path, states)

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint:
            self.path.unlink(missing_ok=True)
