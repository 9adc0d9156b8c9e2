"""Functions of tensors: what layers and losses are made of, and what ``x + y`` and its like mean."""

from typing import TYPE_CHECKING

from nbnet.absences import absent
from nbnet.core.arithmetic import operators
from nbnet.core.symbol import symbolic
from nbnet.ops.abs import abs
from nbnet.ops.add import add
from nbnet.ops.alpha_dropout import alpha_dropout
from nbnet.ops.arrange import flip, pad, repeat, roll, tile
from nbnet.ops.axes import broadcast_to, expand_dims, moveaxis, ravel, squeeze, swapaxes
from nbnet.ops.batch_norm import batch_norm
from nbnet.ops.batch_normalization import batch_normalization
from nbnet.ops.bernoulli import bernoulli
from nbnet.ops.ceil import ceil
from nbnet.ops.celu import celu
from nbnet.ops.combine import (
    clip,
    divide_no_nan,
    dot,
    exp2,
    floor_divide,
    heaviside,
    log2,
    log10,
    logaddexp,
    mod,
    outer,
    reciprocal,
    rsqrt,
)
from nbnet.ops.compare import equal, greater, greater_equal, less, less_equal, not_equal
from nbnet.ops.concatenate import concatenate
from nbnet.ops.concrete_dropout import concrete_dropout
from nbnet.ops.conv import conv
from nbnet.ops.convert import cast, convert_to_numpy, convert_to_tensor, is_tensor, ndim, shape, size
from nbnet.ops.cos import cos
from nbnet.ops.create import arange, eye, full, full_like, linspace, one_hot, ones, ones_like, zeros, zeros_like
from nbnet.ops.deal_masks import deal_masks
from nbnet.ops.dense import dense
from nbnet.ops.divide import divide
from nbnet.ops.drop_block import drop_block
from nbnet.ops.drop_connect import drop_connect
from nbnet.ops.dropout import dropout
from nbnet.ops.elu import elu
from nbnet.ops.embedding import embedding
from nbnet.ops.erf import erf
from nbnet.ops.exp import exp
from nbnet.ops.expm1 import expm1
from nbnet.ops.floor import floor
from nbnet.ops.gaussian_dropout import gaussian_dropout
from nbnet.ops.gaussian_noise import gaussian_noise
from nbnet.ops.gelu import gelu
from nbnet.ops.glu import glu
from nbnet.ops.hard_shrink import hard_shrink
from nbnet.ops.hard_sigmoid import hard_sigmoid
from nbnet.ops.hard_silu import hard_silu
from nbnet.ops.hard_tanh import hard_tanh
from nbnet.ops.index import get_item, take
from nbnet.ops.join import hstack, split, stack, unstack, vstack
from nbnet.ops.layer_norm import layer_norm
from nbnet.ops.leaky_relu import leaky_relu
from nbnet.ops.log import log
from nbnet.ops.log1p import log1p
from nbnet.ops.log_sigmoid import log_sigmoid
from nbnet.ops.logical import (
    all,
    any,
    count_nonzero,
    isclose,
    isfinite,
    isinf,
    isnan,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    nan_to_num,
)
from nbnet.ops.matmul import matmul
from nbnet.ops.max import max, min
from nbnet.ops.maximum import maximum
from nbnet.ops.mean import mean
from nbnet.ops.minimum import minimum
from nbnet.ops.mish import mish
from nbnet.ops.multiply import multiply
from nbnet.ops.negative import negative
from nbnet.ops.pool import average_pool, max_pool
from nbnet.ops.power import power
from nbnet.ops.prelu import prelu
from nbnet.ops.rectify import rectify
from nbnet.ops.relu import relu
from nbnet.ops.relu6 import relu6
from nbnet.ops.reshape import reshape
from nbnet.ops.round import round
from nbnet.ops.search import argmax, argmin, argsort
from nbnet.ops.selu import selu
from nbnet.ops.sigmoid import sigmoid
from nbnet.ops.sign import sign
from nbnet.ops.silu import silu
from nbnet.ops.sin import sin
from nbnet.ops.soft_shrink import soft_shrink
from nbnet.ops.softmax import log_softmax, softmax
from nbnet.ops.softplus import softplus
from nbnet.ops.softsign import softsign
from nbnet.ops.sparse_plus import sparse_plus
from nbnet.ops.sparse_sigmoid import sparse_sigmoid
from nbnet.ops.sparsemax import sparsemax
from nbnet.ops.sqrt import sqrt
from nbnet.ops.square import square
from nbnet.ops.squareplus import squareplus
from nbnet.ops.statistics import average, logsumexp, moments, norm, normalize, std, var
from nbnet.ops.stop_gradient import stop_gradient
from nbnet.ops.subtract import subtract
from nbnet.ops.sum import sum
from nbnet.ops.take_turn import take_turn
from nbnet.ops.tanh import tanh
from nbnet.ops.tanh_shrink import tanh_shrink
from nbnet.ops.threshold import threshold
from nbnet.ops.transpose import transpose
from nbnet.ops.weighted_mean import weighted_mean
from nbnet.ops.weighted_sum import weighted_sum
from nbnet.ops.where import where

# Keras's other names.
absolute = fabs = abs
amax, amin, true_divide = max, min, divide
hard_swish, swish = hard_silu, silu

__all__ = [
    "abs", "absolute", "add", "all", "alpha_dropout", "amax", "amin", "any", "arange", "argmax", "argmin", "argsort",
    "average", "average_pool", "batch_norm", "batch_normalization", "bernoulli", "broadcast_to", "cast", "ceil", "celu",
    "clip", "concatenate", "concrete_dropout", "conv", "convert_to_numpy", "convert_to_tensor", "cos", "count_nonzero",
    "deal_masks", "dense", "divide", "divide_no_nan", "dot", "drop_block", "drop_connect", "dropout", "elu",
    "embedding", "equal", "erf", "exp", "exp2", "expand_dims", "expm1", "eye", "fabs", "flip", "floor", "floor_divide",
    "full", "full_like", "gaussian_dropout", "gaussian_noise", "gelu", "get_item", "glu", "greater", "greater_equal",
    "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "heaviside", "hstack", "is_tensor",
    "isclose", "isfinite", "isinf", "isnan", "layer_norm", "leaky_relu", "less", "less_equal", "linspace", "log",
    "log1p", "log2", "log10", "log_sigmoid", "log_softmax", "logaddexp", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logsumexp", "matmul", "max", "max_pool", "maximum", "mean", "min", "minimum", "mish", "mod",
    "moments", "moveaxis", "multiply", "nan_to_num", "ndim", "negative", "norm", "normalize", "not_equal", "one_hot",
    "ones", "ones_like", "outer", "pad", "power", "prelu", "ravel", "reciprocal", "rectify", "relu", "relu6", "repeat",
    "reshape", "roll", "round", "rsqrt", "selu", "shape", "sigmoid", "sign", "silu", "sin", "size", "soft_shrink",
    "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "split", "sqrt", "square",
    "squareplus", "squeeze", "stack", "std", "stop_gradient", "subtract", "sum", "swapaxes", "swish", "take",
    "take_turn", "tanh", "tanh_shrink", "threshold", "tile", "transpose", "true_divide", "unstack", "var", "vstack",
    "weighted_mean", "weighted_sum", "where", "zeros", "zeros_like",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)

# Modules of this package call each other's functions as they are; whoever comes from outside may hand them symbols.
_plain = {"convert_to_numpy", "is_tensor", "ndim", "shape", "size"}
_functions = {name: globals()[name] for name in __all__ if name not in _plain}
_wrapped = {function: symbolic(function, __name__) for function in _functions.values()}
globals().update({name: _wrapped[function] for name, function in _functions.items()})
operators.update(
    add=add, subtract=subtract, multiply=multiply, divide=divide, power=power, matmul=matmul, take=get_item
)
