"""``(a + b) / 2``, as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet import ops
from nbnet.core.graph import Tensor
from nbnet.layers.merging import Merging


class Average(Merging):
    """The mean of its inputs.

    Called with a list of tensors whose samples broadcast.

    Raises
    ------
    ValueError
        If the input is no list of tensors, or their shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.Average()([a, b]).numpy()
    array([[ 5.5, 11. ]], dtype=float32)
    """

    def call(self, inputs: Sequence[Tensor]) -> Tensor:  # type: ignore[override]
        return super().call(inputs) / len(inputs)

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.add(a, b)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """:class:`Average` as a function.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.average([a, b]).numpy()
    array([[ 5.5, 11. ]], dtype=float32)
    """
    return Average(**kwargs)(inputs)
