"""The input of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.config import floatx
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.symbolic import Producer, Symbol
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer
from nbnet.ops.reshape import MAX_AXES

#: Integers of more than two bytes are indices; smaller ones, such as the bytes of images, are quantities.
_INDICES = frozenset(np.dtype(name) for name in ("int32", "int64", "uint32", "uint64"))


class InputLayer(Layer):
    """Describes the input of a model, and returns it.

    Parameters
    ----------
    shape
        Of one sample, without the batch axis; None for an axis of any length.
    batch_size, sparse
        Accepted as in Keras; models take batches of any size, and sparse matrices wherever they take dense ones.
    dtype
        int32, int64 and their unsigned kinds are indices, such as an Embedding takes; all else becomes floats.
    batch_shape
        The shape with the batch axis, instead of ``shape``.
    name
        By default ``input_layer``, numbered.

    Raises
    ------
    ValueError
        If a size is no integer above 0, or shape and batch_shape are both given, or both missing.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.InputLayer((28, 28, 1)).output.shape
    (None, 28, 28, 1)
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        name: str | None = None,
    ) -> None:
        if (shape is None) == (batch_shape is None):
            raise ValueError(f"shape: expected either shape or batch_shape, got {shape!r} and {batch_shape!r}")
        if batch_shape is not None:
            batch_size, *shape = batch_shape
        sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else (0,)
        if any(n is not None and (isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1) for n in sizes):
            raise ValueError(
                f"shape: expected sizes of one sample, integers above 0, without the batch axis; got {shape!r}"
            )
        if len(sizes) >= MAX_AXES:
            raise ValueError(f"shape: expected fewer than {MAX_AXES} axes, got {len(sizes)}")
        data_dtype = np.dtype(floatx() if dtype is None else dtype)
        if data_dtype.kind not in "fiub":
            raise ValueError(f"dtype: expected a dtype of real numbers, got {dtype!r}")
        floating = data_dtype.kind == "f" and data_dtype.itemsize in (4, 8)
        super().__init__(name=name, dtype=data_dtype if floating else None, input_shape=sizes)
        self.batch_size, self._data_dtype = batch_size, data_dtype
        producer = Producer(self, (), {}, self.name)
        value = INT if data_dtype in _INDICES else self.dtype
        producer.outputs = Symbol((None, *sizes), value, self.name, producer)
        self._producer, self.built = producer, True

    def call(self, x: Tensor) -> Tensor:
        return x

    @property
    def input(self) -> Symbol:
        return self.output

    @property
    def output(self) -> Symbol:
        assert self._producer is not None
        symbol: Symbol = self._producer.outputs
        return symbol

    def get_config(self) -> dict[str, Any]:
        assert self.batch_input_shape is not None
        return {
            "shape": list(self.batch_input_shape[1:]),
            "batch_size": self.batch_size,
            "dtype": self._data_dtype.name,
            "name": self.name,
        }


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
) -> Symbol:
    """The input of a model: a symbol to call layers with, or the first entry of a :class:`nbnet.Sequential`.

    Parameters
    ----------
    shape, batch_size, dtype, sparse, batch_shape, name
        See :class:`nbnet.layers.InputLayer`.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(2)])
    >>> model.count_params()
    10
    >>> x = nb.Input((4,), name="x")
    >>> nb.Model(x, nb.layers.Dense(2)(x)).output_shape
    (None, 2)
    """
    return InputLayer(shape, batch_size, dtype, sparse, batch_shape, name).output
