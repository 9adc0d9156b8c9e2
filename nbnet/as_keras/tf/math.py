"""``tf.math``, and functions of numbers in ``tf`` itself: those of nbnet.ops under TensorFlow's names and arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nbnet import ops
from nbnet.as_keras.tf.tensors import as_tensor, cast, constant, known_dtype

#: Functions of one or two tensors, elementwise, that have the same name in nbnet.ops.
_SAME = """abs add ceil cos cosh divide divide_no_nan equal erf exp expm1 floor greater greater_equal less
    less_equal log log1p log_sigmoid logical_and logical_not logical_or logical_xor maximum minimum mod multiply
    negative not_equal reciprocal round rsqrt sigmoid sign sin sinh softplus softsign sqrt square subtract tan tanh"""
_ELEMENTWISE = {name: name for name in _SAME.split()} | {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2",
    "atanh": "arctanh", "floordiv": "floor_divide", "floormod": "mod", "is_finite": "isfinite", "is_inf": "isinf",
    "is_nan": "isnan", "pow": "power", "truediv": "divide",
}  # fmt: skip


def _elementwise(name: str, own: str) -> Callable[..., Any]:
    @functools.wraps(getattr(ops, own))
    def function(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("name", None)
        operands = [a if isinstance(a, (int, float)) else as_tensor(a) for a in (*args, *kwargs.values())]
        if all(isinstance(a, (int, float)) for a in operands):
            operands = [constant(a) for a in operands]
        return getattr(ops, own)(*operands)

    function.__name__ = name
    return function


globals().update({name: _elementwise(name, own) for name, own in _ELEMENTWISE.items()})


def _reduction(own: str) -> Callable[..., Any]:
    def function(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
        x = as_tensor(input_tensor)
        axes = tuple(axis) if isinstance(axis, list) else axis
        y = getattr(ops, own)(x, axis=axes, keepdims=keepdims)
        return cast(y, x.dtype) if own == "prod" and x.dtype.kind in "iu" else y

    function.__name__ = f"reduce_{own}"
    function.__doc__ = f"``nbnet.ops.{own}`` over axes."
    return function


reduce_sum, reduce_mean, reduce_max, reduce_min = map(_reduction, ("sum", "mean", "max", "min"))
reduce_prod, reduce_any, reduce_all, reduce_std = map(_reduction, ("prod", "any", "all", "std"))
reduce_variance, reduce_logsumexp = map(_reduction, ("var", "logsumexp"))


def reduce_euclidean_norm(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The Euclidean norm over axes."""
    return ops.sqrt(reduce_sum(ops.square(as_tensor(input_tensor)), axis, keepdims))


def argmax(input: Any, axis: int | None = None, output_type: Any = None, name: str | None = None) -> Any:
    """The index of the largest value along an axis, by default the first."""
    return ops.argmax(as_tensor(input), axis=0 if axis is None else int(axis))


def argmin(input: Any, axis: int | None = None, output_type: Any = None, name: str | None = None) -> Any:
    """The index of the smallest value along an axis, by default the first."""
    return ops.argmin(as_tensor(input), axis=0 if axis is None else int(axis))


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None) -> Any:
    """Sorted along an axis."""
    x = ops.sort(as_tensor(values), axis=axis)
    return ops.flip(x, axis) if direction == "DESCENDING" else x


def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None
) -> Any:
    """The indices that sort along an axis."""
    x = as_tensor(values)
    return ops.argsort(-x if direction == "DESCENDING" else x, axis=axis)


def cumsum(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Any:
    """Running sums."""
    return _running(ops.cumsum, lambda y, given: y - given, x, axis, exclusive, reverse)


def cumprod(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Any:
    """Running products."""
    return _running(ops.cumprod, lambda y, given: y / given, x, axis, exclusive, reverse)


def _running(function: Any, without: Any, x: Any, axis: int, exclusive: bool, reverse: bool) -> Any:
    given = as_tensor(x)
    y = ops.flip(function(ops.flip(given, axis), axis=axis), axis) if reverse else function(given, axis=axis)
    return without(y, given) if exclusive else y


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, **others: Any) -> Any:
    """The product of matrices."""
    x, y = as_tensor(a), as_tensor(b)
    return ops.matmul(_swapped(x) if transpose_a else x, _swapped(y) if transpose_b else y)


def _swapped(x: Any) -> Any:
    return ops.swapaxes(x, -1, -2)


def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Any:
    """The sum of products over axes."""
    return ops.tensordot(as_tensor(a), as_tensor(b), axes)


def einsum(equation: str, *inputs: Any, **others: Any) -> Any:
    """The sum of products that an equation of indices describes."""
    return ops.einsum(equation, *(as_tensor(x) for x in inputs))


def norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The norm of vectors, or of all elements."""
    x = as_tensor(tensor)
    if ord in ("euclidean", 2) and not isinstance(axis, (list, tuple)):
        return reduce_euclidean_norm(x, axis, keepdims)
    return ops.norm(x, ord=ord, axis=axis, keepdims=keepdims)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """Values held between two limits."""
    return ops.clip(as_tensor(t), clip_value_min, clip_value_max)


def clip_by_norm(t: Any, clip_norm: float, axes: Any = None, name: str | None = None) -> Any:
    """Scaled down to a largest norm."""
    x = as_tensor(t)
    length = reduce_euclidean_norm(x, axes, axes is not None)
    return x * (clip_norm / ops.maximum(length, clip_norm))


def global_norm(t_list: Sequence[Any], name: str | None = None) -> Any:
    """The norm of several tensors together."""
    squares = [ops.sum(ops.square(as_tensor(t))) for t in t_list if t is not None]
    return ops.sqrt(functools.reduce(ops.add, squares))


def clip_by_global_norm(t_list: Sequence[Any], clip_norm: float, use_norm: Any = None, name: str | None = None) -> Any:
    """Tensors scaled down to a largest norm together, and the norm they had."""
    length = global_norm(t_list) if use_norm is None else use_norm
    factor = clip_norm / ops.maximum(length, clip_norm)
    return [None if t is None else as_tensor(t) * factor for t in t_list], length


def add_n(inputs: Sequence[Any], name: str | None = None) -> Any:
    """The sum of tensors."""
    return functools.reduce(ops.add, [as_tensor(x) for x in inputs])


accumulate_n = add_n


def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Any:
    """The product of a number and a tensor."""
    return ops.multiply(scalar, as_tensor(x))


def squared_difference(x: Any, y: Any, name: str | None = None) -> Any:
    """The squares of differences."""
    return ops.square(ops.subtract(as_tensor(x), as_tensor(y)))


def count_nonzero(input: Any, axis: Any = None, keepdims: Any = None, dtype: Any = None, name: Any = None) -> Any:
    """The number of elements that are not 0."""
    return ops.count_nonzero(as_tensor(input), axis=axis)


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None) -> Any:
    """Vectors divided by their Euclidean norm."""
    given = as_tensor(x)
    squares = reduce_sum(ops.square(given), axis if dim is None else dim, True)
    return given * ops.rsqrt(ops.maximum(squares, epsilon))


def confusion_matrix(
    labels: Any, predictions: Any, num_classes: int | None = None, weights: Any = None, dtype: Any = "int64",
    name: str | None = None,
) -> Any:  # fmt: skip
    """The number of rows of each class that were taken for each class."""
    y, p = (np.asarray(v).astype(np.int64).reshape(-1) for v in (labels, predictions))
    n = int(max(y.max(initial=0), p.max(initial=0))) + 1 if num_classes is None else int(num_classes)
    counts = np.zeros((n, n), np.float64)
    np.add.at(counts, (y, p), 1.0 if weights is None else np.asarray(weights))
    return cast(constant(counts), known_dtype(dtype))


def bias_add(value: Any, bias: Any, data_format: Any = None, name: str | None = None) -> Any:
    """The sum of a tensor and a bias along its last axis."""
    return ops.add(as_tensor(value), as_tensor(bias))


def top_k(input: Any, k: int = 1, sorted: bool = True, name: str | None = None) -> Any:
    """The largest values along the last axis, and their indices."""
    return ops.top_k(as_tensor(input), k, sorted)


def in_top_k(targets: Any, predictions: Any, k: int, name: str | None = None) -> Any:
    """True where a target is among the k most probable classes."""
    return ops.in_top_k(as_tensor(targets), as_tensor(predictions), k)


def bincount(arr: Any, minlength: Any = None, maxlength: Any = None, **others: Any) -> Any:
    """The number of times that each integer occurs."""
    return constant(np.bincount(np.asarray(arr).reshape(-1), minlength=int(minlength or 0))[: maxlength or None])


def __getattr__(name: str) -> Any:
    raise AttributeError(f"nbnet's tf.math has no {name!r}: see nbnet.ops for the functions there are", name=name)
