"""``a + b``, as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet import ops
from nbnet.core.graph import Tensor
from nbnet.layers.merging import Merging


class Add(Merging):
    """The sum of its inputs.

    Called with a list of tensors whose samples broadcast.

    Raises
    ------
    ValueError
        If the input is no list of tensors, or their shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.Add()([a, b]).numpy()
    array([[11., 22.]], dtype=float32)
    """

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.add(a, b)


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """:class:`Add` as a function.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.add([a, b]).numpy()
    array([[11., 22.]], dtype=float32)
    """
    return Add(**kwargs)(inputs)
