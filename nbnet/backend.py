"""Keras's backend functions: the default dtype, a small constant, masks of time steps, and ``clear_session``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbnet.base.unsupported_keras import keras_hint
from nbnet.config import backend, epsilon, floatx, image_data_format, set_floatx, standardize_dtype
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.utils.session import clear_session

__all__ = [
    "backend", "clear_session", "epsilon", "floatx", "get_keras_mask", "image_data_format", "set_floatx",
    "set_keras_mask", "standardize_dtype",
]  # fmt: skip


def get_keras_mask(x: Any) -> Tensor | None:
    """Return the mask of time steps of a tensor; None if there is none.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.backend.get_keras_mask(nb.layers.Masking()([[[1.0], [0.0]]])).numpy().astype(bool)
    array([[ True, False]])
    """
    return getattr(x, "time_mask", None)


def set_keras_mask(x: Tensor, mask: Any) -> None:
    """Set the mask of time steps of a tensor: 0 for those that do not count.

    Examples
    --------
    >>> import nbnet as nb
    >>> y_pred = nb.tensor([[1.0], [5.0]])
    >>> nb.backend.set_keras_mask(y_pred, [True, False])
    >>> nb.losses.MeanSquaredError()([[0.0], [0.0]], y_pred).item()
    1.0
    """
    x.time_mask = None if mask is None else mask if isinstance(mask, Tensor) else tensor(mask)


if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
