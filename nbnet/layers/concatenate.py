"""Tensors joined along an axis, as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet import ops
from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.layers.merging import check_inputs


class Concatenate(Layer):
    """Joins its inputs along an axis.

    Called with a list of tensors, equal in shape but for that axis.

    Parameters
    ----------
    axis
        Where they are joined; not the batch's.

    Raises
    ------
    ValueError
        If the input is no list of tensors, their shapes differ elsewhere, or the axis is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[3.0]])
    >>> nb.layers.Concatenate()([a, b]).numpy()
    array([[1., 2., 3.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, int) or axis == 0:
            raise ValueError(f"axis: wants an integer that is not 0, the batch's; got {axis!r}")
        self.axis = axis

    def call(self, inputs: Sequence[Tensor]) -> Tensor:  # type: ignore[override]
        tensors = check_inputs(self, inputs)
        if self.axis + tensors[0].ndim == 0:
            raise ValueError(f"{self.name}: axis {self.axis} is the batch's for shape {tensors[0].shape}")
        return ops.concatenate(tensors, self.axis)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axis": self.axis}


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """:class:`Concatenate` as a function.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[3.0]])
    >>> nb.layers.concatenate([a, b]).numpy()
    array([[1., 2., 3.]], dtype=float32)
    """
    return Concatenate(axis, **kwargs)(inputs)
