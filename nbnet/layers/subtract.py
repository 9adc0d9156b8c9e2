"""``a - b``, as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet import ops
from nbnet.core.graph import Tensor
from nbnet.layers.merging import Merging


class Subtract(Merging):
    """The first of its two inputs less the second.

    Called with a list of two tensors whose samples broadcast.

    Raises
    ------
    ValueError
        If the input is no list of two tensors, or their shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.Subtract()([a, b]).numpy()
    array([[ -9., -18.]], dtype=float32)
    """

    def call(self, inputs: Sequence[Tensor]) -> Tensor:  # type: ignore[override]
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ValueError(f"{self.name}: wants a list of two tensors")
        return super().call(inputs)

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.subtract(a, b)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """:class:`Subtract` as a function.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.subtract([a, b]).numpy()
    array([[ -9., -18.]], dtype=float32)
    """
    return Subtract(**kwargs)(inputs)
