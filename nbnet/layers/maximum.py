"""``max(a, b)``, as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet import ops
from nbnet.core.graph import Tensor
from nbnet.layers.merging import Merging


class Maximum(Merging):
    """The largest of its inputs, element by element; equal ones share the gradient.

    Called with a list of tensors whose samples broadcast.

    Raises
    ------
    ValueError
        If the input is no list of tensors, or their shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, -20.0]])
    >>> nb.layers.Maximum()([a, b]).numpy()
    array([[10.,  2.]], dtype=float32)
    """

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.maximum(a, b)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """:class:`Maximum` as a function.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, -20.0]])
    >>> nb.layers.maximum([a, b]).numpy()
    array([[10.,  2.]], dtype=float32)
    """
    return Maximum(**kwargs)(inputs)
