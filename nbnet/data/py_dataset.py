"""What a user subclasses to hand over batches by number."""

from __future__ import annotations

from typing import Any


class PyDataset:
    """Batches by number: a subclass says what batch ``index`` is, and how many there are.

    Batches are computed in background threads while the model trains on those before; their order stays. Shuffling
    (``fit(shuffle=True)``) is of the batches among each other.

    Parameters
    ----------
    workers : int
        Threads that compute batches; with 0 the training thread does it, when it needs one.
    use_multiprocessing : bool
        Accepted for the sake of Keras's signature. Workers are threads in either case: NumPy leaves the interpreter
        to others while it computes, and nothing has to be copied between processes.
    max_queue_size : int
        Batches that may wait for their turn.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> class Squares(nb.utils.PyDataset):
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def __getitem__(self, index):
    ...         x = np.linspace(index, index + 1, 8, dtype="float32")[:, None]
    ...         return x, x**2
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(8, "tanh"), nb.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> model.fit(Squares(), epochs=2, verbose=0).epoch
    [0, 1]
    """

    # Of the class too, for subclasses that do not call this __init__.
    workers: int = 1
    use_multiprocessing: bool = False
    max_queue_size: int = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        if not isinstance(workers, int) or workers < 0:
            raise ValueError(f"workers must be a whole number from 0, got {workers!r}")
        if not isinstance(max_queue_size, int) or max_queue_size < 1:
            raise ValueError(f"max_queue_size must be a whole number from 1, got {max_queue_size!r}")
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Batch ``index``: ``(x, y)``, ``(x, y, sample_weight)``, or for prediction ``x``."""
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__(index) that returns a batch")

    @property
    def num_batches(self) -> int | None:
        """Batches of one pass: the length; None, for a class without one, means without end."""
        return len(self) if hasattr(self, "__len__") else None

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch: the place to shuffle samples."""
