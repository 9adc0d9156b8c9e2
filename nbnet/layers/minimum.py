"""``min(a, b)``, as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet import ops
from nbnet.core.graph import Tensor
from nbnet.layers.merging import Merging


class Minimum(Merging):
    """The smallest of its inputs, element by element; equal ones share the gradient.

    Called with a list of tensors whose samples broadcast.

    Raises
    ------
    ValueError
        If the input is no list of tensors, or their shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, -20.0]])
    >>> nb.layers.Minimum()([a, b]).numpy()
    array([[  1., -20.]], dtype=float32)
    """

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.minimum(a, b)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """:class:`Minimum` as a function.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, -20.0]])
    >>> nb.layers.minimum([a, b]).numpy()
    array([[  1., -20.]], dtype=float32)
    """
    return Minimum(**kwargs)(inputs)
