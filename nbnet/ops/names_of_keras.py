"""Modules of Keras whose functions are found in :mod:`nbnet.ops`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from nbnet.base.unsupported_keras import keras_hint


def from_ops(module: str, names: Sequence[str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module that offers functions of :mod:`nbnet.ops`.

    Its AttributeError knows the names of Keras.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.linalg.norm is nb.ops.norm
    True
    """
    refuse = keras_hint("nbnet.ops")

    def find(name: str) -> Any:
        if name not in names:
            return refuse(name)
        found = getattr(importlib.import_module("nbnet.ops"), name)
        vars(importlib.import_module(module))[name] = found
        return found

    return find
