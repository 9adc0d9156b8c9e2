"""Save the model, or the best of it, while it trains."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nbnet.callbacks.callback import Logs
from nbnet.callbacks.saver import Saver


class ModelCheckpoint(Saver):
    """Saves the model, or its weights, after each epoch or after so many batches.

    Parameters
    ----------
    filepath
        Of the file, which may have entries of the logs in it: ``"m-{epoch:02d}-{val_loss:.2f}.nbnet"``. Epochs count
        from 1 there, and so does ``{batch}``. Ends in ``.nbnet``; with save_weights_only in ``.weights.nbnet``, or in
        ``.safetensors``.
    monitor, mode
        What to watch, and whether more of it is better: see :class:`nbnet.callbacks.EarlyStopping`.
    verbose
        1 prints a line for each file.
    save_best_only
        Whether to save only when the monitored number is better than ever before.
    save_weights_only
        Whether to call ``model.save_weights`` and not ``model.save``.
    save_freq
        ``"epoch"``, or a number of batches.
    initial_value_threshold
        With save_best_only, what the monitored number has to beat at first.

    Raises
    ------
    ValueError
        If an argument is none of these; in training, if the logs lack an entry that filepath names.

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
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        from nbnet.saving.weights import checked_path

        super().__init__(save_freq, monitor, mode)
        checked_path(filepath, ".nbnet", *([".safetensors"] if save_weights_only else []))
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only = bool(save_best_only), bool(save_weights_only)
        if initial_value_threshold is not None:
            self.best = float(initial_value_threshold)

    def save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        if self.save_best_only:
            value = self.value(logs)
            if value is None or not self.is_better(value, self.best):
                return
            self.best = value
        path = self._path(epoch, batch, logs)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved to {path}")

    def _path(self, epoch: int, batch: int | None, logs: Logs) -> Path:
        known = {**(logs or {}), "epoch": epoch + 1} | ({} if batch is None else {"batch": batch + 1})
        try:
            return Path(self.filepath.format(**known))
        except (KeyError, IndexError) as error:
            raise ValueError(f"filepath: {self.filepath!r} names {error}, the logs have {sorted(known)}") from None
