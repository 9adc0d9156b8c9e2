"""Inner products of two vectors, as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet import ops
from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.layers.merging import check_inputs


class Dot(Layer):
    """The inner product of two vectors for each sample: (batch, n) and (batch, n) to (batch, 1).

    Parameters
    ----------
    axes
        1 or -1 (or a pair of these): the axis that is summed over. Of the inputs that Keras knows, nbnet offers
        vectors.
    normalize
        Whether to divide by the lengths of the vectors: the cosine of the angle between them.

    Raises
    ------
    ValueError
        If the input is no pair of vectors, or the axes are others.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.Dot(axes=1)([a, b]).numpy()
    array([[50.]], dtype=float32)
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes: int | list[int] = list(axes) if isinstance(axes, Sequence) else axes
        self.normalize = bool(normalize)
        pair = self.axes if isinstance(self.axes, list) else [self.axes, self.axes]
        if len(pair) != 2 or any(axis not in (1, -1) for axis in pair):
            raise ValueError(f"axes: nbnet multiplies vectors (batch, n), axes=1; got {axes!r}")

    def call(self, inputs: Sequence[Tensor]) -> Tensor:  # type: ignore[override]
        tensors = check_inputs(self, inputs, 2)
        if len(tensors) != 2 or any(x.ndim != 2 or x.shape != tensors[0].shape for x in tensors):
            raise ValueError(f"{self.name}: wants two vectors (batch, n), got shapes {[x.shape for x in tensors]}")
        a, b = (_unit(x) if self.normalize else x for x in tensors)
        return ops.sum(a * b, axis=1, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axes": self.axes, "normalize": self.normalize}


def _unit(x: Tensor) -> Tensor:
    return x / ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=1, keepdims=True), 1e-12))


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """:class:`Dot` as a function.

    Examples
    --------
    >>> import nbnet as nb
    >>> a, b = nb.tensor([[1.0, 2.0]]), nb.tensor([[10.0, 20.0]])
    >>> nb.layers.dot([a, b], axes=1).numpy()
    array([[50.]], dtype=float32)
    """
    return Dot(axes, **kwargs)(inputs)
