"""Tensors of TensorFlow: how they are made, converted, put together and taken apart, as functions of nbnet.ops.

All integers are int64 here, and all floats float32 or float64.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple
from weakref import ref

import numpy as np

from nbnet import ops
from nbnet.base.tree import map_structure
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.symbolic import Symbol
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.input import InputLayer
from nbnet.layers.variable import StandsFor

_FLOATS = ("float16", "bfloat16", "half")


def known_dtype(dtype: Any) -> Any:
    """Return the dtype that nbnet computes in for one of TensorFlow's; float16 is float32 here."""
    name = getattr(dtype, "name", dtype)
    if isinstance(name, type):
        name = np.dtype(name).name
    return "float32" if name in _FLOATS else name


def as_tensor(x: Any) -> Any:
    """Return a tensor or symbol as it is, text as an array, and anything else as a tensor of its numbers."""
    return (
        x
        if isinstance(x, np.ndarray) and x.dtype.kind in "OSU"
        else x
        if isinstance(x, (Tensor, Symbol))
        else ops.convert_to_tensor(_joined(x))
    )


def _joined(x: Any) -> Any:
    """Return a list that holds tensors as a stack of them."""
    if isinstance(x, (list, tuple)) and any(isinstance(part, (Tensor, Symbol, list, tuple)) for part in x):
        parts = [_joined(part) for part in x]
        if any(isinstance(part, (Tensor, Symbol)) for part in parts):
            return ops.stack([as_tensor(part) for part in parts])
    return x


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A tensor of a value: integers are int64, booleans bool, all else floats; text is an array of objects."""
    if dtype == "string" or (dtype is None and np.asarray(value).dtype.kind in "US"):
        return np.asarray(value, object)
    if dtype is None and not isinstance(value, (Tensor, np.ndarray)):
        array = np.asarray(value) if not isinstance(value, (list, tuple)) or not _holds_tensors(value) else None
        dtype = "float32" if array is not None and array.dtype == np.float64 else None
    x = as_tensor(value)
    x = x if dtype is None else cast(x, dtype)
    if shape is None:
        return x
    sizes = tuple(int(n) for n in shape)
    return ops.broadcast_to(x, sizes) if x.size == 1 else ops.reshape(x, sizes)


def _holds_tensors(value: Any) -> bool:
    return any(isinstance(v, Tensor) or (isinstance(v, (list, tuple)) and _holds_tensors(v)) for v in value)


def convert_to_tensor(value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None) -> Any:
    """A tensor of a value; a tensor is returned as it is."""
    return value if isinstance(value, Symbol) else constant(value, dtype)


class Variable(Parameter, metaclass=StandsFor):
    """A parameter that a script makes on its own: ``tf.Variable(3.0)``.

    Examples
    --------
    >>> from nbnet.as_keras.tf.tensors import Variable
    >>> v = Variable(3.0)
    >>> v.assign_add(1.0).numpy()
    array(4., dtype=float32)
    """

    __slots__ = ("whole",)
    stands_for: ClassVar[type] = Parameter

    def __init__(
        self, initial_value: Any = None, trainable: bool = True, name: str = "", dtype: Any = None, **others: Any
    ) -> None:
        value = initial_value() if callable(initial_value) else initial_value
        x = value if isinstance(value, np.ndarray) and dtype is None else constant(value, dtype)
        kind = np.dtype(getattr(x, "dtype", np.float32))
        #: True for a counter: it is kept as float64, and read as an integer.
        self.whole = kind.kind in "iu"
        values = np.asarray(x, np.float64) if self.whole else x
        super().__init__(values, trainable=trainable and not self.whole, name=name or "Variable", dtype=values.dtype)

    def numpy(self) -> Any:
        """A copy of the value."""
        return super().numpy().astype(np.int64) if self.whole else super().numpy()

    def __getitem__(self, rows: Any) -> Any:
        part = super().__getitem__(rows)
        key = id(part)
        _parts[key] = self, rows, ref(part, lambda _: _parts.pop(key, None))
        return part

    def assign(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        super().assign(value)
        return self

    def scatter_nd_update(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Give elements, or rows, by their places other values."""
        values = super().numpy()
        values[tuple(np.moveaxis(np.asarray(indices), -1, 0))] = np.asarray(updates)
        return self.assign(values)

    def scatter_update(self, sparse_delta: Any, name: str | None = None) -> Any:
        """Give rows other values: those of a ``tf.IndexedSlices``."""
        values = super().numpy()
        values[np.asarray(sparse_delta.indices)] = np.asarray(sparse_delta.values)
        return self.assign(values)

    def assign_add(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        super().assign_add(value)
        return self

    def assign_sub(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        super().assign_sub(value)
        return self

    def read_value(self) -> Any:
        """The value as a tensor."""
        return ops.convert_to_tensor(self.numpy())


#: For each part of a variable that is held, by ``id``: the variable, the place of the part, and what removes the entry.
_parts: dict[int, tuple[Variable, Any, Any]] = {}


def assign_part(part: Tensor, value: Any, *args: Any, **kwargs: Any) -> Variable:
    """Give the part of a variable, as ``variable[rows]``, other values."""
    if id(part) not in _parts:
        raise TypeError("tensors do not change: assign to a variable, or to a part of one, variable[rows]")
    variable, rows, _ = _parts[id(part)]
    values = Parameter.numpy(variable)
    values[rows] = np.asarray(value)
    variable.assign(values)
    return variable


class IndexedSlices(NamedTuple):
    """Rows of a tensor, and which these are."""

    values: Any
    indices: Any


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """A tensor in another dtype."""
    return ops.cast(as_tensor(x), known_dtype(dtype))


def zeros(shape: Any, dtype: Any = "float32", name: str | None = None) -> Any:
    """Zeros."""
    return ops.zeros(sizes(shape), known_dtype(dtype))


def ones(shape: Any, dtype: Any = "float32", name: str | None = None) -> Any:
    """Ones."""
    return ops.ones(sizes(shape), known_dtype(dtype))


def fill(dims: Any, value: Any, name: str | None = None) -> Any:
    """A tensor of one value."""
    return ops.broadcast_to(as_tensor(value), sizes(dims))


def zeros_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros of the shape of a tensor."""
    return ops.zeros_like(as_tensor(input), **({} if dtype is None else {"dtype": known_dtype(dtype)}))


def ones_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones of the shape of a tensor."""
    return ops.ones_like(as_tensor(input), **({} if dtype is None else {"dtype": known_dtype(dtype)}))


def eye(num_rows: int, num_columns: int | None = None, batch_shape: Any = None, dtype: Any = "float32") -> Any:
    """The identity matrix."""
    x = ops.eye(int(num_rows), num_columns, dtype=known_dtype(dtype))
    return x if batch_shape is None else ops.broadcast_to(x, (*sizes(batch_shape), *x.shape))


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str | None = None) -> Any:
    """Numbers from ``start`` up to ``limit``, without it."""
    first, last = (0, start) if limit is None else (start, limit)
    numbers = np.arange(*(np.asarray(part).item() for part in (first, last, delta)))
    return constant(numbers, dtype or ("float32" if numbers.dtype.kind == "f" else "int64"))


def linspace(start: Any, stop: Any, num: Any, name: str | None = None, axis: int = 0) -> Any:
    """Evenly spaced numbers, both ends included."""
    return constant(np.linspace(np.asarray(start), np.asarray(stop), int(num), axis=axis).astype("float32"))


def sizes(shape: Any) -> tuple[Any, ...]:
    """Return a shape, which may be a tensor or hold tensors, as a tuple of numbers; None stays."""
    if isinstance(shape, (int, np.integer)):
        return (int(shape),)
    if isinstance(shape, (Tensor, np.ndarray)):
        return tuple(int(n) for n in np.asarray(shape).reshape(-1))
    return tuple(int(n) if n is not None and not isinstance(n, Symbol) else n for n in shape)


class Shape(tuple[Any, ...]):
    """A shape with the methods of ``tf.TensorShape``."""

    def __new__(cls, dims: Any = ()) -> Shape:
        return super().__new__(cls, () if dims is None else sizes(dims))

    @property
    def rank(self) -> int:
        return len(self)

    ndims = rank

    @property
    def dims(self) -> list[Any]:
        return list(self)

    def as_list(self) -> list[Any]:
        """The sizes as a list."""
        return list(self)

    def num_elements(self) -> int:
        """The number of elements."""
        return int(np.prod([int(n) for n in self], dtype=int))

    def is_fully_defined(self) -> bool:
        """True if every size is known."""
        return None not in self

    def concatenate(self, other: Any) -> Shape:
        """This shape, then another."""
        return Shape((*self, *other))

    def numpy(self) -> Any:
        """The sizes as an array."""
        return np.array(self)


def get_shape(x: Any) -> Any:
    return Shape(x.shape)


def shape_of(name: str, layer: Any) -> Any:
    """The shape of the input or output of a layer's first call, as Keras 2 told it."""
    shape = map_structure(lambda symbol: Shape(symbol.shape), getattr(layer, name))
    return [shape] if isinstance(layer, InputLayer) else shape


def symbol_at(layer: Any, name: str, node_index: int) -> Any:
    """The input or output of a call of a layer; the first one is known."""
    if node_index:
        raise ValueError(f"node_index: {layer.name} knows its first call, 0, got {node_index}")
    return getattr(layer, name)


def shape_at(layer: Any, name: str, node_index: int) -> Any:
    """The shape of the input or output of a call of a layer."""
    return map_structure(lambda symbol: Shape(symbol.shape), symbol_at(layer, name, node_index))


def with_shapes(method: Callable[..., Any]) -> Any:
    """Return ``build_for`` that gives ``build`` shapes with the methods of TensorFlow's."""

    def shaped(shape: Any) -> Any:
        if isinstance(shape, tuple) and all(n is None or isinstance(n, int) for n in shape):
            return Shape(shape)
        if isinstance(shape, dict):
            return {key: shaped(part) for key, part in shape.items()}
        return type(shape)(map(shaped, shape)) if isinstance(shape, (list, tuple)) else shape

    @functools.wraps(method)
    def wrapper(self: Any, input_shape: Any, shapes: Any = None) -> Any:
        return method(self, shaped(input_shape), shaped(shapes))

    return wrapper


class Number(float):
    """A result of a metric, which is a tensor in Keras."""

    shape = ()

    def numpy(self) -> Any:
        """The number as one of NumPy's."""
        return np.float32(self)


def with_numpy(result: Callable[[Any], Any]) -> Any:
    """Return ``result`` of a metric, whose value has ``numpy``."""

    @functools.wraps(result)
    def wrapper(self: Any) -> Any:
        found = result(self)
        if isinstance(found, float):
            return Number(found)
        return constant(found, "float32") if isinstance(found, np.ndarray) else found

    return wrapper


def with_methods(slot: Any) -> property:
    """Return the property ``shape`` of a class of tensors, whose values have the methods of ``tf.TensorShape``."""

    def get(x: Any) -> Any:
        return tuple.__new__(Shape, vars(x)["shape"] if slot is None else slot.__get__(x))

    def put(x: Any, value: Any) -> None:
        if slot is None:
            vars(x)["shape"] = value
        else:
            slot.__set__(x, value)

    return property(get, put)


def shape(input: Any, out_type: Any = None, name: str | None = None) -> Shape:
    """The sizes of the axes: numbers."""
    return Shape(ops.shape(input))


def size(input: Any, out_type: Any = None, name: str | None = None) -> int:
    """The number of elements."""
    return int(ops.size(input))


def rank(input: Any, name: str | None = None) -> int:
    """The number of axes."""
    return len(ops.shape(input))


def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The same elements in another shape."""
    x = as_tensor(tensor)
    return np.reshape(x, sizes(shape)) if isinstance(x, np.ndarray) else ops.reshape(x, sizes(shape))


def expand_dims(input: Any, axis: int = -1, name: str | None = None) -> Any:
    """A new axis of length 1."""
    x = as_tensor(input)
    return np.expand_dims(x, int(axis)) if isinstance(x, np.ndarray) else ops.expand_dims(x, int(axis))


def squeeze(input: Any, axis: Any = None, name: str | None = None) -> Any:
    """Without axes of length 1."""
    x = as_tensor(input)
    if isinstance(x, np.ndarray):
        return np.squeeze(x, tuple(axis) if isinstance(axis, list) else axis)
    if isinstance(axis, (list, tuple)):
        for number in sorted((int(a) % len(x.shape) for a in axis), reverse=True):
            x = ops.squeeze(x, number)
        return x
    return ops.squeeze(x, axis)


def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str | None = None) -> Any:
    """The axes in another order."""
    return ops.transpose(as_tensor(a), None if perm is None else sizes(perm))


def concat(values: Sequence[Any], axis: int = 0, name: str | None = None) -> Any:
    """Tensors one after the other along an axis."""
    return ops.concatenate([as_tensor(value) for value in values], int(axis))


def stack(values: Sequence[Any], axis: int = 0, name: str | None = None) -> Any:
    """Tensors along a new axis."""
    return ops.stack([as_tensor(value) for value in values], int(axis))


def unstack(value: Any, num: int | None = None, axis: int = 0, name: str | None = None) -> list[Any]:
    """The parts along an axis, without it."""
    return list(ops.unstack(as_tensor(value), num, axis))


def split(value: Any, num_or_size_splits: Any, axis: int = 0, num: int | None = None, name: str | None = None) -> Any:
    """Equal parts of a number, or parts of given sizes; -1 is what is left."""
    x = as_tensor(value)
    if isinstance(num_or_size_splits, (int, np.integer)):
        return list(ops.split(x, int(num_or_size_splits), axis))
    parts = list(sizes(num_or_size_splits))
    if -1 in parts:
        parts[parts.index(-1)] = int(x.shape[axis]) - sum(n for n in parts if n != -1)
    return list(ops.split(x, np.cumsum(parts)[:-1].tolist(), axis))


def tile(input: Any, multiples: Any, name: str | None = None) -> Any:
    """Repeated along each axis."""
    return ops.tile(as_tensor(input), sizes(multiples))


def repeat(input: Any, repeats: Any, axis: int | None = None, name: str | None = None) -> Any:
    """Each element several times."""
    return ops.repeat(as_tensor(input), repeats, axis)


def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: float = 0, name: str | None = None) -> Any:
    """With values before and after, along each axis."""
    pairs = [tuple(int(n) for n in pair) for pair in np.asarray(paddings)]
    constant_mode = mode.lower() == "constant"
    return ops.pad(
        as_tensor(tensor), pairs, mode.lower(), **({"constant_values": constant_values} if constant_mode else {})
    )


def gather(
    params: Any, indices: Any, validate_indices: Any = None, axis: int | None = None, batch_dims: int = 0,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Parts along an axis by their indices."""
    x = as_tensor(params)
    places = indices if isinstance(indices, (Tensor, Symbol)) else constant(np.asarray(indices), "int64")
    if batch_dims:
        if batch_dims != 1 or len(x.shape) != 2 or len(places.shape) != 2:
            raise NotImplementedError("tf.gather: batch_dims is there for params (batch, n) and indices (batch, k)")
        return ops.take_along_axis(x, places, axis=1)
    return ops.take(x, places, axis=0 if axis is None else axis)


def gather_nd(params: Any, indices: Any, batch_dims: int = 0, name: str | None = None) -> Any:
    """Elements, or parts, by indices along the first axes."""
    x, places = as_tensor(params), np.asarray(indices)
    if batch_dims:
        raise NotImplementedError("tf.gather_nd: batch_dims is not offered")
    depth = places.shape[-1]
    leading = tuple(int(n) for n in x.shape[:depth])
    flat = np.ravel_multi_index(tuple(places.reshape(-1, depth).T), leading).reshape(places.shape[:-1])
    return ops.take(ops.reshape(x, (-1, *x.shape[depth:])), flat, axis=0)


def boolean_mask(tensor: Any, mask: Any, axis: int = 0, name: str | None = None) -> Any:
    """The parts where a mask is true."""
    chosen = np.asarray(mask).astype(bool)
    x = as_tensor(tensor)
    if chosen.ndim > 1:
        x, chosen = ops.reshape(x, (-1, *x.shape[chosen.ndim :])), chosen.reshape(-1)
    return ops.take(x, np.flatnonzero(chosen), axis=axis)


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """``x`` where the condition is true, else ``y``; without them, the indices where it is true."""
    if x is None and y is None:
        return constant(np.argwhere(np.asarray(condition)), "int64")
    return ops.where(condition, x, y)


def slice(input: Any, begin: Any, size: Any, name: str | None = None) -> Any:
    """A part of given sizes, -1 for all that is left."""
    pairs = zip(sizes(begin), sizes(size), strict=True)
    return as_tensor(input)[tuple(builtins.slice(b, None if n == -1 else b + n) for b, n in pairs)]


def reverse(tensor: Any, axis: Any, name: str | None = None) -> Any:
    """In reverse order along axes."""
    return ops.flip(as_tensor(tensor), sizes(axis))


def one_hot(
    indices: Any, depth: int, on_value: float = 1.0, off_value: float = 0.0, axis: int | None = None,
    dtype: Any = "float32", name: str | None = None,
) -> Any:  # fmt: skip
    """Rows that are 1 at an index."""
    hot = ops.one_hot(as_tensor(indices), int(depth), axis=-1 if axis is None else axis, dtype=known_dtype(dtype))
    return hot if (on_value, off_value) == (1.0, 0.0) else hot * (on_value - off_value) + off_value


def identity(input: Any, name: str | None = None) -> Any:
    """The tensor itself."""
    return as_tensor(input)


def is_tensor(x: Any) -> bool:
    """True if x is a tensor."""
    return isinstance(x, (Tensor, Symbol))


def tensor_scatter_nd_update(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """A copy with other values at some places."""
    return ops.scatter_update(as_tensor(tensor), as_tensor(indices), as_tensor(updates))


def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Any:
    """Zeros with values at some places, added up."""
    return ops.scatter(as_tensor(indices), as_tensor(updates), sizes(shape))


def unique(x: Any, out_idx: Any = None, name: str | None = None) -> tuple[Any, Any]:
    """The different values in the order they come, and the number of each element's."""
    values, first, inverse = np.unique(np.asarray(x), return_index=True, return_inverse=True)
    order = np.argsort(first)
    return constant(values[order]), constant(np.argsort(order)[inverse], "int64")


def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    """Repeated to a shape."""
    return ops.broadcast_to(as_tensor(input), sizes(shape))


def meshgrid(*args: Any, indexing: str = "xy") -> list[Any]:
    """Coordinates of a grid."""
    arrays: list[Any] = [np.asarray(a) for a in args]
    return [constant(part) for part in np.meshgrid(*arrays, indexing="ij" if indexing == "ij" else "xy")]


def numpy_function(func: Callable[..., Any], inp: Sequence[Any], Tout: Any = None, *args: Any, **kwargs: Any) -> Any:
    """A function of arrays, called with the values of tensors; no gradient flows."""
    result = func(*(np.asarray(x) for x in inp))
    return tuple(map(as_tensor, result)) if isinstance(result, (list, tuple)) else as_tensor(result)


def py_function(func: Callable[..., Any], inp: Sequence[Any], Tout: Any = None, name: str | None = None) -> Any:
    """A Python function of tensors, called."""
    return func(*(as_tensor(x) for x in inp))
