"""Look at a model with the moving averages of its weights."""

from __future__ import annotations

from nbnet.callbacks.callback import Callback, Logs
from nbnet.optimizers import Optimizer


class SwapEMAWeights(Callback):
    """Puts the moving averages of weights into the model while it is evaluated.

    The optimizer keeps them with ``use_ema=True``.

    Parameters
    ----------
    swap_on_epoch
        Whether they are also in the model at the end of each epoch, for callbacks that come after this one in the list,
        such as :class:`nbnet.callbacks.ModelCheckpoint`.

    Raises
    ------
    ValueError
        In training, if the optimizer keeps no averages.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1)])
    >>> model.compile(nb.optimizers.SGD(0.1, use_ema=True), "mse")
    >>> x, y = np.ones((8, 1)), np.ones(8)
    >>> swap = nb.callbacks.SwapEMAWeights()
    >>> history = model.fit(x, y, epochs=2, validation_data=(x, y), callbacks=[swap], verbose=0)
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = bool(swap_on_epoch)
        self._swapped = False

    def _put(self, averages: bool) -> None:
        """Have the averages in the model, or the weights themselves."""
        optimizer = self._optimizer()
        if averages != self._swapped and optimizer.block is not None:
            optimizer.swap_averages()
            self._swapped = averages

    def _optimizer(self) -> Optimizer:
        optimizer = self.model.optimizer
        if optimizer is None or not optimizer.use_ema:
            raise ValueError("SwapEMAWeights: the optimizer keeps no averages; make it with use_ema=True")
        return optimizer

    def on_train_begin(self, logs: Logs = None) -> None:
        self._optimizer()
        self._swapped = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._put(False)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if not self.swap_on_epoch:
            return
        self._put(True)
        if self.model.stop_training or epoch + 1 == self.params.get("epochs"):
            # Training ends with the averages in the model: they are not to be replaced by the weights.
            optimizer = self._optimizer()
            assert optimizer.block is not None
            optimizer.state["average"][...] = optimizer.block.flat.numpy()[0]
            self._swapped = False

    def on_test_begin(self, logs: Logs = None) -> None:
        self._put(True)

    def on_test_end(self, logs: Logs = None) -> None:
        self._put(False)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._put(True)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._put(False)
