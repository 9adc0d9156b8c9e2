"""Functions of tensors: the parts of layers and losses, and the meaning of operators such as ``x + y``."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbnet.base.unsupported_keras import keras_hint
from nbnet.engine.graph.symbolic import symbolic
from nbnet.engine.graph.tensor import operators
from nbnet.ops.activation import (
    celu,
    elu,
    gelu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    tanh,
)
from nbnet.ops.arithmetic import (
    clip,
    divide_no_nan,
    exp2,
    floor_divide,
    heaviside,
    log2,
    log10,
    logaddexp,
    mod,
    reciprocal,
    rsqrt,
)
from nbnet.ops.broadcast import add, divide, maximum, minimum, multiply, power, subtract
from nbnet.ops.compare import (
    all,
    any,
    count_nonzero,
    equal,
    greater,
    greater_equal,
    isclose,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    nan_to_num,
    not_equal,
    where,
)
from nbnet.ops.conv import conv
from nbnet.ops.convert import cast, convert_to_numpy, convert_to_tensor, is_tensor, ndim, shape, size
from nbnet.ops.create import arange, eye, full, full_like, linspace, one_hot, ones, ones_like, zeros, zeros_like
from nbnet.ops.dense import dense
from nbnet.ops.drop_block import drop_block
from nbnet.ops.drop_connect import drop_connect
from nbnet.ops.dropout import alpha_dropout, bernoulli, dropout
from nbnet.ops.elementwise import (
    abs,
    ceil,
    cos,
    erf,
    exp,
    expm1,
    floor,
    log,
    log1p,
    negative,
    round,
    sign,
    sin,
    sqrt,
    square,
    stop_gradient,
)
from nbnet.ops.gather import embedding
from nbnet.ops.index import flip, get_item, pad, repeat, roll, take, tile
from nbnet.ops.masksembles import deal_masks, take_turn
from nbnet.ops.matmul import dot, matmul, outer
from nbnet.ops.noise import concrete_dropout, gaussian_dropout, gaussian_noise
from nbnet.ops.normalization import batch_norm, batch_normalization, layer_norm
from nbnet.ops.pool import average_pool, max_pool
from nbnet.ops.reduction import max, mean, min, sum, weighted_mean, weighted_sum
from nbnet.ops.reshape import broadcast_to, expand_dims, moveaxis, ravel, reshape, squeeze, swapaxes, transpose
from nbnet.ops.slicing import concatenate, hstack, split, stack, unstack, vstack
from nbnet.ops.softmax import glu, log_softmax, softmax, sparsemax
from nbnet.ops.statistics import average, logsumexp, moments, norm, normalize, std, var
from nbnet.ops.threshold import hard_shrink, rectify, soft_shrink, tanh_shrink, threshold

# Keras's other names.
absolute = fabs = abs
amax, amin, true_divide = max, min, divide
hard_swish, swish = hard_silu, silu

__all__ = [
    "abs",
    "absolute",
    "add",
    "all",
    "alpha_dropout",
    "amax",
    "amin",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "average",
    "average_pool",
    "batch_norm",
    "batch_normalization",
    "bernoulli",
    "broadcast_to",
    "cast",
    "ceil",
    "celu",
    "clip",
    "concatenate",
    "concrete_dropout",
    "conv",
    "conv_transpose",
    "convert_to_numpy",
    "convert_to_tensor",
    "cos",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "deal_masks",
    "dense",
    "depthwise_conv",
    "diff",
    "digitize",
    "divide",
    "divide_no_nan",
    "dot",
    "drop_block",
    "drop_connect",
    "dropout",
    "elu",
    "embedding",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "eye",
    "fabs",
    "flip",
    "floor",
    "floor_divide",
    "full",
    "full_like",
    "gaussian_dropout",
    "gaussian_noise",
    "gelu",
    "get_item",
    "glu",
    "greater",
    "greater_equal",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "heaviside",
    "hstack",
    "in_top_k",
    "is_tensor",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "layer_norm",
    "leaky_relu",
    "less",
    "less_equal",
    "linspace",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_sigmoid",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsumexp",
    "matmul",
    "max",
    "max_pool",
    "maximum",
    "mean",
    "median",
    "min",
    "minimum",
    "mish",
    "mod",
    "moments",
    "moveaxis",
    "multiply",
    "nan_to_num",
    "ndim",
    "negative",
    "norm",
    "normalize",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "outer",
    "pad",
    "percentile",
    "power",
    "prelu",
    "prod",
    "quantile",
    "ravel",
    "reciprocal",
    "rectify",
    "relu",
    "relu6",
    "repeat",
    "reshape",
    "roll",
    "round",
    "rsqrt",
    "scatter",
    "scatter_update",
    "searchsorted",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "selu",
    "separable_conv",
    "shape",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "size",
    "slice",
    "slice_update",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sort",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "split",
    "sqrt",
    "square",
    "squareplus",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "swapaxes",
    "swish",
    "take",
    "take_along_axis",
    "take_turn",
    "tanh",
    "tanh_shrink",
    "threshold",
    "tile",
    "top_k",
    "transpose",
    "trapezoid",
    "true_divide",
    "unstack",
    "var",
    "vstack",
    "weighted_mean",
    "weighted_sum",
    "where",
    "zeros",
    "zeros_like",
]  # fmt: skip

if TYPE_CHECKING:
    from nbnet.ops.cumulative import cumprod, cumsum, diff, prod, trapezoid
    from nbnet.ops.depthwise import depthwise_conv
    from nbnet.ops.places import (
        scatter,
        scatter_update,
        segment_max,
        segment_min,
        segment_prod,
        segment_sum,
        slice,
        slice_update,
        take_along_axis,
    )
    from nbnet.ops.separable import separable_conv
    from nbnet.ops.sorting import (
        argmax,
        argmin,
        argpartition,
        argsort,
        digitize,
        in_top_k,
        median,
        percentile,
        quantile,
        searchsorted,
        sort,
        top_k,
    )
    from nbnet.ops.transposed import conv_transpose

#: Modules that are imported when one of their functions is first asked for, and these functions.
_LATER = {
    "depthwise": "depthwise_conv",
    "separable": "separable_conv",
    "transposed": "conv_transpose",
    "cumulative": "cumprod cumsum diff prod trapezoid",
    "places": """scatter scatter_update segment_max segment_min segment_prod segment_sum slice slice_update
        take_along_axis""",
    "sorting": """argmax argmin argpartition argsort digitize in_top_k median percentile quantile searchsorted
        sort top_k""",
}
_homes = {name: module for module, names in _LATER.items() for name in names.split()}
_refuse = keras_hint(__name__)


def _import_later(name: str) -> Any:
    """A function of a module that is imported now; AttributeError for a name that is not there."""
    if name not in _homes:
        return _refuse(name)
    module = import_module(f"{__name__}.{_homes[name]}")
    for other in _LATER[_homes[name]].split():
        function = getattr(module, other)
        globals()[other] = function if other in _plain else symbolic(function, __name__)
    return globals()[name]


if not TYPE_CHECKING:
    __getattr__ = _import_later

# Modules of this package call each other's plain functions; callers outside may pass symbols and get wrappers.
_plain = {"convert_to_numpy", "is_tensor", "ndim", "shape", "size"}
_functions = {name: globals()[name] for name in __all__ if name not in _plain and name not in _homes}
_wrapped = {function: symbolic(function, __name__) for function in _functions.values()}
globals().update({name: _wrapped[function] for name, function in _functions.items()})
operators.update(
    add=add, subtract=subtract, multiply=multiply, divide=divide, power=power, matmul=matmul, take=get_item
)
