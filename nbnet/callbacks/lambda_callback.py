"""Hooks from functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbnet.callbacks.callback import Callback


class LambdaCallback(Callback):
    """Hooks from functions.

    Parameters
    ----------
    **hooks
        Functions by name of hook: ``on_epoch_end=lambda epoch, logs: ...``; None for none.

    Raises
    ------
    TypeError
        If a name is no hook.

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
