"""The input of a model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.base.validation import check_int
from nbnet.config import floatx
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.symbolic import Producer, Symbol
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import refuse
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
        int32, int64 and their unsigned kinds are indices, such as an Embedding takes; ``"string"`` is for texts, which
        :class:`StringLookup`, :class:`TextVectorization` and the like read; all else becomes floats.
    ragged, optional
        Only False: nbnet has no ragged tensors, and a model is called with all of its inputs.
    batch_shape
        The shape with the batch axis, instead of ``shape``.
    input_tensor
        A symbol without a producer, whose shape and dtype are taken, and which becomes the output.
    name
        By default ``input_layer``, numbered.
    **kwargs
        ``input_shape`` and ``batch_input_shape``, earlier names of ``shape`` and ``batch_shape``.

    Raises
    ------
    ValueError
        If a size is no integer above 0, arguments contradict each other, or neither tells the shape.

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
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Symbol | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse("pad the rows to one length", ragged=ragged)
        refuse("call the model with all of its inputs", optional=optional)
        shape, batch_shape = _older_names(shape, batch_shape, kwargs)
        if input_tensor is not None:
            _check_tensor(input_tensor, shape, batch_size, dtype, sparse, batch_shape)
            shape, batch_shape, batch_size = None, input_tensor.shape, None
            dtype, name = input_tensor.dtype, name or input_tensor.name or None
        if (shape is None) == (batch_shape is None):
            raise ValueError(f"shape: expected either shape or batch_shape, got {shape!r} and {batch_shape!r}")
        if batch_shape is not None:
            if batch_size is not None:
                raise ValueError(f"batch_size: expected None beside batch_shape {batch_shape!r}, got {batch_size!r}")
            batch_size, *shape = batch_shape
        if batch_size is not None:
            batch_size = check_int(batch_size, "batch_size")
        sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else (0,)
        if any(n is not None and (isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1) for n in sizes):
            raise ValueError(
                f"shape: expected sizes of one sample, integers above 0, without the batch axis; got {shape!r}"
            )
        if len(sizes) >= MAX_AXES:
            raise ValueError(f"shape: expected fewer than {MAX_AXES} axes, got {len(sizes)}")
        data_dtype = np.dtype(floatx() if dtype is None else str if dtype == "string" else dtype)
        if data_dtype.kind not in "fiubU":
            raise ValueError(f"dtype: expected a dtype of real numbers, or 'string', got {dtype!r}")
        floating = data_dtype.kind == "f" and data_dtype.itemsize in (4, 8)
        super().__init__(name=name, dtype=data_dtype if floating else None, input_shape=sizes)
        self.batch_size, self._data_dtype = batch_size, data_dtype
        self.sparse, self.ragged, self.optional = bool(sparse), False, False
        producer = Producer(self, (), {}, self.name)
        value = INT if data_dtype in _INDICES else data_dtype if data_dtype.kind == "U" else self.dtype
        producer.outputs = Symbol((batch_size, *sizes), value, self.name, producer)
        if input_tensor is not None:
            input_tensor.producer, producer.outputs = producer, input_tensor
        self._producer, self.built = producer, True

    def call(self, x: Tensor | None = None) -> Tensor | None:
        return x

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """The shape with the batch axis."""
        assert self.batch_input_shape is not None
        return (self.batch_size, *self.batch_input_shape[1:])

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
            "dtype": "string" if self._data_dtype.kind == "U" else self._data_dtype.name,
            "name": self.name,
        }


def _older_names(shape: Any, batch_shape: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The shape and the shape with the batch axis, which earlier versions of Keras gave other names."""
    if "input_shape" in kwargs:
        warnings.warn("input_shape: its name is shape today", DeprecationWarning, stacklevel=3)
        shape = kwargs.pop("input_shape")
    if "batch_input_shape" in kwargs:
        warnings.warn("batch_input_shape: its name is batch_shape today", DeprecationWarning, stacklevel=3)
        batch_shape = kwargs.pop("batch_input_shape")
    if kwargs:
        raise TypeError(f"InputLayer() got an unexpected keyword argument {next(iter(kwargs))!r}")
    return shape, batch_shape


def _check_tensor(x: Any, shape: Any, batch_size: Any, dtype: Any, sparse: Any, batch_shape: Any) -> None:
    """Raise ValueError if a symbol cannot be an input, or the other arguments describe another one."""
    if not isinstance(x, Symbol):
        raise ValueError(f"input_tensor: expected a symbol, such as nbnet.Input returns, got {type(x).__name__}")
    if x.producer is not None:
        raise ValueError(f"input_tensor: {x!r} has a producer; pass it to nbnet.Model as an input")
    told = {
        "shape": (shape, tuple(x.shape[1:])),
        "batch_shape": (batch_shape, tuple(x.shape)),
        "batch_size": (batch_size, x.shape[0]),
        "dtype": (dtype, x.dtype),
        "sparse": (sparse or None, False),
    }
    for name, (given, found) in told.items():
        same = given is None or (tuple(given) == found if isinstance(found, tuple) else given == found)
        if not same:
            raise ValueError(f"{name}: input_tensor has {found}, got {given!r}")


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Symbol | None = None,
    optional: bool = False,
) -> Symbol:
    """The input of a model: a symbol to call layers with, or the first entry of a :class:`nbnet.Sequential`.

    Parameters
    ----------
    shape, batch_size, dtype, sparse, ragged, batch_shape, name, tensor, optional
        See :class:`nbnet.layers.InputLayer`, where the symbol is called ``input_tensor``.

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
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name).output
