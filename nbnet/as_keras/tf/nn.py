"""``tf.nn``: activations, losses of logits, convolution and pooling, as functions of nbnet.ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbnet import ops
from nbnet.as_keras.tf import math as tf_math
from nbnet.as_keras.tf.math import bias_add as bias_add
from nbnet.as_keras.tf.math import in_top_k as in_top_k
from nbnet.as_keras.tf.math import l2_normalize as l2_normalize
from nbnet.as_keras.tf.math import top_k as top_k
from nbnet.as_keras.tf.tensors import as_tensor
from nbnet.layers import Dropout


def _activation(name: str) -> Callable[..., Any]:
    def function(features: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("name", None)
        return getattr(ops, name)(as_tensor(features), *args, **kwargs)

    function.__name__ = name
    function.__doc__ = f"``nbnet.ops.{name}``."
    return function


relu, relu6, elu, selu, silu, swish, tanh = map(_activation, ("relu", "relu6", "elu", "selu", "silu", "silu", "tanh"))
sigmoid, softplus, softsign = map(_activation, ("sigmoid", "softplus", "softsign"))


def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Any:
    """The Gaussian error linear unit, exact by default."""
    return ops.gelu(as_tensor(features), approximate)


def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Any:
    """``x``, and ``alpha * x`` below 0."""
    return ops.leaky_relu(as_tensor(features), alpha)


def softmax(logits: Any, axis: int | None = -1, name: str | None = None) -> Any:
    """Probabilities of logits."""
    return ops.softmax(as_tensor(logits), axis=-1 if axis is None else axis)


def log_softmax(logits: Any, axis: int | None = -1, name: str | None = None) -> Any:
    """Logarithms of the probabilities of logits."""
    return ops.log_softmax(as_tensor(logits), axis=-1 if axis is None else axis)


def dropout(x: Any, rate: float, noise_shape: Any = None, seed: Any = None, name: str | None = None) -> Any:
    """A share ``rate`` of the elements becomes 0, the others grow."""
    return Dropout(rate, noise_shape=noise_shape, seed=seed)(as_tensor(x), training=True)


def sigmoid_cross_entropy_with_logits(labels: Any = None, logits: Any = None, name: str | None = None) -> Any:
    """Binary cross-entropy of each logit."""
    x, z = as_tensor(logits), as_tensor(labels)
    # Stable for large logits of either sign.
    return ops.relu(x) - x * z + ops.softplus(-ops.abs(x))


def softmax_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, axis: int = -1, name: str | None = None
) -> Any:
    """Cross-entropy of probabilities and the softmax of logits, for each row."""
    return -ops.sum(as_tensor(labels) * ops.log_softmax(as_tensor(logits), axis=axis), axis=axis)


def sparse_softmax_cross_entropy_with_logits(labels: Any = None, logits: Any = None, name: str | None = None) -> Any:
    """Cross-entropy of class numbers and the softmax of logits, for each row."""
    x = as_tensor(logits)
    hot = ops.one_hot(as_tensor(labels), int(x.shape[-1]))
    return -ops.sum(hot * ops.log_softmax(x), axis=-1)


def l2_loss(t: Any, name: str | None = None) -> Any:
    """Half the sum of squares."""
    return ops.sum(ops.square(as_tensor(t))) * 0.5


def moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """Mean and variance over axes."""
    return ops.moments(as_tensor(x), axes=list(axes), keepdims=keepdims)


def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> Any:
    """Rows of a table by their numbers."""
    return ops.take(as_tensor(params), as_tensor(ids), axis=0)


def _window(size: Any, rank: int) -> Any:
    if isinstance(size, int):
        return size
    numbers = tuple(size)
    return numbers[1:-1] if len(numbers) == rank + 2 else numbers


def conv2d(input: Any, filters: Any, strides: Any, padding: str, data_format: str = "NHWC", **others: Any) -> Any:
    """Convolution over height and width."""
    if data_format != "NHWC" or not isinstance(padding, str):
        raise NotImplementedError("tf.nn.conv2d: data_format 'NHWC' and padding 'SAME' or 'VALID' are there")
    return ops.conv(as_tensor(input), as_tensor(filters), _window(strides, 2), padding.lower())


def conv1d(input: Any, filters: Any, stride: Any, padding: str, **others: Any) -> Any:
    """Convolution over steps."""
    return ops.conv(as_tensor(input), as_tensor(filters), _window(stride, 1), padding.lower())


def max_pool(input: Any, ksize: Any, strides: Any, padding: str, **others: Any) -> Any:
    """The largest value of each window."""
    return ops.max_pool(as_tensor(input), _window(ksize, 2), _window(strides, 2), padding.lower())


def avg_pool(input: Any, ksize: Any, strides: Any, padding: str, **others: Any) -> Any:
    """The mean of each window."""
    return ops.average_pool(as_tensor(input), _window(ksize, 2), _window(strides, 2), padding.lower())


max_pool2d, avg_pool2d = max_pool, avg_pool


def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: float, name: str | None = None
) -> Any:
    """``(x - mean) / sqrt(variance + epsilon) * scale + offset``."""
    y = (as_tensor(x) - mean) * ops.rsqrt(as_tensor(variance) + variance_epsilon)
    y = y if scale is None else y * scale
    return y if offset is None else y + offset


def __getattr__(name: str) -> Any:
    if hasattr(tf_math, name):
        return getattr(tf_math, name)
    raise AttributeError(f"nbnet's tf.nn has no {name!r}: see nbnet.ops for the functions there are", name=name)
