"""Masking: steps of a sequence that are padding do not count."""

from __future__ import annotations

from typing import Any

from nbnet import ops
from nbnet.base.validation import FINITE
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer


class Masking(Layer):
    """Gives a sequence a mask of time steps: those whose features all equal a value are padding.

    Padding becomes 0 in the output. Layers that support masks hand the mask on, and the loss and metrics leave out
    positions whose mask is 0.

    Parameters
    ----------
    mask_value
        The value that padding consists of.

    Examples
    --------
    >>> import nbnet as nb
    >>> y = nb.layers.Masking(mask_value=-1.0)([[[2.0, 3.0], [-1.0, -1.0]]])
    >>> y.numpy().tolist()
    [[[2.0, 3.0], [0.0, 0.0]]]
    >>> y.time_mask.numpy().astype(bool)
    array([[ True, False]])
    """

    _arguments = ("mask_value",)

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = FINITE.check(mask_value, "mask_value")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, x: Tensor) -> Tensor:
        if x.dtype == INT:
            x = ops.cast(x, self.dtype)
        found: Tensor = self.compute_mask(x)
        y = ops.where(ops.expand_dims(found, -1), x, 0.0)
        y.time_mask = found
        return y
