"""The progress bar by the name it has as a callback."""

from __future__ import annotations

from nbnet.callbacks.callback import Callback


class ProgbarLogger(Callback):
    """Accepted as in Keras: ``fit`` shows its progress itself, and its ``verbose`` says how, with this or without.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[0.0]], [[0.0]], verbose=0, callbacks=[nb.callbacks.ProgbarLogger()])
    """
