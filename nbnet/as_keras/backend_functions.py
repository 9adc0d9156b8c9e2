"""``keras.backend`` of Keras 2: functions of tensors, which Keras 3 has in ``keras.ops``.

Scripts call them as ``K.mean(x)``; most are functions of nbnet.ops under another name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from nbnet import losses, ops, random
from nbnet.as_keras.old_keras import lambda_rows
from nbnet.as_keras.tf import environment, nn
from nbnet.as_keras.tf.tensors import Shape, Variable, as_tensor, cast, constant, known_dtype, sizes
from nbnet.config import floatx
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.symbolic import Symbol
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers import Dot, UpSampling2D, ZeroPadding1D, ZeroPadding2D
from nbnet.layers.arguments import call_context
from nbnet.models import Model

#: Functions of one or more tensors by their names in nbnet.ops.
_SAME = """abs argmax argmin clip cos elu equal exp expand_dims greater greater_equal hard_sigmoid less less_equal log
    maximum minimum not_equal one_hot reshape round sigmoid sign sin softmax softplus softsign sqrt square squeeze
    stack stop_gradient tanh tile zeros_like ones_like logsumexp cumsum cumprod arange eye shape ndim"""
_OTHERS = {"pow": "power", "permute_dimensions": "transpose", "repeat_elements": "repeat"}
_REDUCTIONS = "mean sum max min prod std var any all"


def _function(name: str) -> Callable[..., Any]:
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        first = x if isinstance(x, (list, tuple, int)) else as_tensor(x)
        return getattr(ops, name)(first, *args, **kwargs)

    call.__name__ = name
    call.__doc__ = f"``nbnet.ops.{name}``."
    return call


def _reduction(name: str) -> Callable[..., Any]:
    def call(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        axes = tuple(axis) if isinstance(axis, list) else axis
        return getattr(ops, name)(as_tensor(x), axis=axes, keepdims=keepdims)

    call.__name__ = name
    call.__doc__ = f"``nbnet.ops.{name}`` over axes."
    return call


globals().update({name: _function(name) for name in _SAME.split()})
globals().update({old: _function(name) for old, name in _OTHERS.items()})
globals().update({name: _reduction(name) for name in _REDUCTIONS.split()})

name_scope = device = environment.context
l2_normalize = nn.l2_normalize


# ---- making and reading tensors ----


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """A variable of a value."""
    return Variable(np.asarray(value), dtype=dtype or floatx(), name=name or "variable")


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of zeros."""
    return variable(np.zeros(sizes(shape)), dtype, name)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of ones."""
    return variable(np.ones(sizes(shape)), dtype, name)


def cast_to_floatx(x: Any) -> Any:
    """An array or tensor in the default dtype."""
    return cast(x, floatx()) if isinstance(x, (Tensor, Symbol)) else np.asarray(x, floatx())


def int_shape(x: Any) -> tuple[Any, ...]:
    """The sizes of the axes, None for one of any length."""
    return Shape(x.shape)


def count_params(x: Any) -> int:
    """The number of elements."""
    return int(np.prod(x.shape, dtype=int))


def dtype(x: Any) -> str:
    """The name of the dtype."""
    return str(np.dtype(x.dtype).name)


def eval(x: Any) -> Any:
    """The value as an array."""
    return np.asarray(x)


get_value = eval


def set_value(x: Any, value: Any) -> None:
    """Give a variable, or the learning rate of an optimizer, another value."""
    x.assign(value)


def batch_get_value(tensors: Sequence[Any]) -> list[Any]:
    """The values as arrays."""
    return [np.asarray(x) for x in tensors]


def batch_set_value(tuples: Sequence[tuple[Any, Any]]) -> None:
    """Give variables other values."""
    for x, value in tuples:
        x.assign(value)


def update(x: Any, new_x: Any) -> Any:
    """Give a variable another value, and return it."""
    x.assign(new_x)
    return x


def update_add(x: Any, increment: Any) -> Any:
    """Add to a variable, and return it."""
    x.assign_add(increment)
    return x


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtract from a variable, and return it."""
    x.assign_sub(decrement)
    return x


def is_keras_tensor(x: Any) -> bool:
    """True if x stands for a tensor of a model."""
    return isinstance(x, Symbol)


def is_tensor(x: Any) -> bool:
    """True if x is a tensor."""
    return isinstance(x, (Tensor, Symbol))


def function(inputs: Any, outputs: Any, updates: Any = None, **others: Any) -> Callable[..., Any]:
    """A function of arrays that computes a model's tensors: a list of arrays."""
    kept = [x for x in (inputs if isinstance(inputs, (list, tuple)) else [inputs]) if isinstance(x, Symbol)]
    many = isinstance(outputs, (list, tuple))
    model = Model(kept, list(outputs) if many else [outputs])

    def call(values: Any) -> Any:
        arrays = list(values)[: len(kept)] if isinstance(values, (list, tuple)) else [values]
        results = model.predict(arrays if len(arrays) > 1 else arrays[0], verbose=0)
        listed = list(results) if isinstance(results, (list, tuple)) else [results]
        return listed if many else listed[0]

    return call


def gradients(loss: Any, variables: Any) -> Any:
    """Refused: gradients are computed on a tape."""
    raise NotImplementedError("K.gradients: use tf.GradientTape or nbnet.Tape around the computation")


# ---- arithmetic ----


def dot(x: Any, y: Any) -> Any:
    """The product of the last axis of x and the last but one of y."""
    return ops.dot(as_tensor(x), as_tensor(y))


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """The product over an axis of each, row by row of the batch."""
    a, b = as_tensor(x), as_tensor(y)
    if axes is None:
        axes = (len(a.shape) - 1, max(len(b.shape) - 2, 1))
    return Dot(axes)([a, b])


def transpose(x: Any) -> Any:
    """The axes in reverse order."""
    return ops.transpose(as_tensor(x))


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    """Tensors one after the other along an axis."""
    return ops.concatenate([as_tensor(x) for x in tensors], axis)


def gather(reference: Any, indices: Any) -> Any:
    """Rows by their numbers."""
    return ops.take(as_tensor(reference), as_tensor(indices), axis=0)


def flatten(x: Any) -> Any:
    """All elements along one axis."""
    return ops.reshape(as_tensor(x), (-1,))


def batch_flatten(x: Any) -> Any:
    """All elements of each row along one axis."""
    given = as_tensor(x)
    return ops.reshape(given, (-1, int(np.prod(given.shape[1:], dtype=int))))


def reverse(x: Any, axes: Any) -> Any:
    """In reverse order along axes."""
    return ops.flip(as_tensor(x), axes)


def repeat(x: Any, n: int) -> Any:
    """Each row of a matrix n times along a new axis: (batch, n, features)."""
    return ops.repeat(ops.expand_dims(as_tensor(x), 1), n, axis=1)


def bias_add(x: Any, bias: Any, data_format: Any = None) -> Any:
    """The sum of a tensor and a bias along its last axis."""
    return ops.add(as_tensor(x), as_tensor(bias))


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One expression where a condition is true, else the other."""
    then, other = (e() if callable(e) else e for e in (then_expression, else_expression))
    return ops.where(condition, then, other)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """A share of the elements becomes 0, the others grow."""
    return nn.dropout(x, level, noise_shape, seed)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Binary cross-entropy of each element."""
    p = as_tensor(output)
    if from_logits:
        return nn.sigmoid_cross_entropy_with_logits(target, p)
    p, y = ops.clip(p, 1e-7, 1 - 1e-7), as_tensor(target)
    return -(y * ops.log(p) + (1.0 - y) * ops.log(1.0 - p))


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy of each row."""
    return losses.categorical_crossentropy(target, output, from_logits=from_logits)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy of each row, by class numbers."""
    return losses.sparse_categorical_crossentropy(target, output, from_logits=from_logits)


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """x above a threshold, up to the largest value; below, its distance times ``alpha``."""
    return ops.relu(as_tensor(x), alpha, max_value, threshold)


# ---- pictures and series ----


def pool2d(
    x: Any, pool_size: Any, strides: Any = (1, 1), padding: str = "valid", data_format: Any = None,
    pool_mode: str = "max",
) -> Any:  # fmt: skip
    """The largest value, or the mean, of each window of height and width."""
    pool = {"max": ops.max_pool, "avg": ops.average_pool}[pool_mode]
    return pool(as_tensor(x), tuple(pool_size), tuple(strides), padding)


def _convolution(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(
        x: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: Any = None, dilation_rate: Any = 1
    ) -> Any:
        return function(as_tensor(x), as_tensor(kernel), strides, padding, dilation_rate=dilation_rate)

    call.__doc__ = f"``nbnet.ops.{function.__name__}``."
    return call


conv1d = conv2d = _convolution(ops.conv)
depthwise_conv2d = _convolution(ops.depthwise_conv)


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: Any = None, interpolation: str = "nearest"
) -> Any:
    """Pictures made larger by whole factors."""
    return UpSampling2D((height_factor, width_factor), interpolation=interpolation)(as_tensor(x))


def temporal_padding(x: Any, padding: Any = (1, 1)) -> Any:
    """Zeros before and after the steps of series."""
    return ZeroPadding1D(tuple(padding))(as_tensor(x))


def spatial_2d_padding(x: Any, padding: Any = ((1, 1), (1, 1)), data_format: Any = None) -> Any:
    """Zeros around pictures."""
    return ZeroPadding2D(padding)(as_tensor(x))


# ---- random numbers ----


def _drawn(shape: Any) -> tuple[Any, ...]:
    """The shape of a draw. A number of rows written into a Lambda is the size of its batches, which differs from that
    of the rows at hand in the last batch, in predictions, and while the model is defined."""
    wanted, rows = sizes(shape), lambda_rows.get()
    return (rows, *wanted[1:]) if rows is not None and len(wanted) > 1 and wanted[0] != 1 else wanted


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None, std: Any = None
) -> Any:
    """Normal numbers."""
    return random.normal(_drawn(shape), mean, stddev if std is None else std, known_dtype(dtype), seed)


def random_uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Uniform numbers."""
    return random.uniform(_drawn(shape), minval, maxval, known_dtype(dtype), seed)


random_normal_variable = truncated_normal = random_normal


def random_bernoulli(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Any:
    """1 with a probability, else 0."""
    return cast(random.uniform(_drawn(shape), 0.0, 1.0, None, seed) < p, known_dtype(dtype) or floatx())


random_binomial = random_bernoulli


# ---- the session ----


def backend() -> str:
    """The name of the backend that scripts which ask for it expect."""
    return "tensorflow"


def get_uid(prefix: str = "") -> int:
    """A number for names, counted from 1 for each prefix."""
    _used[prefix] += 1
    return _used[prefix]


_used: Counter[str] = Counter()


def learning_phase() -> int:
    """1 while a layer is called for training, else 0."""
    return int(bool(call_context.training))


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x while a layer is called for training, else alt."""
    chosen = x if (learning_phase() if training is None else training) else alt
    return chosen() if callable(chosen) and not isinstance(chosen, (Tensor, Symbol)) else chosen


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """alt while a layer is called for training, else x."""
    return in_train_phase(alt, x, training)


def set_learning_phase(value: Any) -> None:
    """Accept it: layers know for what they are called."""


set_session = manual_variable_initialization = environment.nothing


def image_dim_ordering() -> str:
    """The position of channels in Keras 1's word: they are the last axis."""
    return "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Accept that channels are the last axis, refuse that they are the first."""
    if dim_ordering not in ("tf", "channels_last"):
        raise ValueError(f"dim_ordering: the channels are the last axis here, got {dim_ordering!r}")


set_image_data_format = set_image_dim_ordering


def get_session() -> Any:
    """Refused: tensors have values at once."""
    raise NotImplementedError("K.get_session: there are no sessions, tensors have values at once")


@contextmanager
def learning_phase_scope(value: Any) -> Any:
    """Accept it: layers know for what they are called."""
    yield


def print_tensor(x: Any, message: str = "") -> Any:
    """Print a value, and return it."""
    environment.print(message, x)
    return x


__all__ = [
    *_SAME.split(), *_OTHERS, *_REDUCTIONS.split(), "batch_dot", "batch_flatten", "cast", "concatenate", "constant",
    "dot", "eval", "flatten", "relu", "function", "get_value", "int_shape", "learning_phase", "Parameter", "set_value",
    "variable", "zeros", "ones",
]  # fmt: skip
