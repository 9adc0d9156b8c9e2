"""Functions of tensors: what layers and losses are made of, and what ``x + y`` and its like mean."""

from nbnet.core.graph import operators
from nbnet.ops.abs import abs
from nbnet.ops.add import add
from nbnet.ops.batch_norm import batch_norm, batch_normalization
from nbnet.ops.celu import celu
from nbnet.ops.concatenate import concatenate
from nbnet.ops.conv import conv
from nbnet.ops.dense import dense
from nbnet.ops.divide import divide
from nbnet.ops.dropout import dropout
from nbnet.ops.elu import elu
from nbnet.ops.embedding import embedding
from nbnet.ops.exp import exp
from nbnet.ops.gelu import gelu
from nbnet.ops.glu import glu
from nbnet.ops.hard_shrink import hard_shrink
from nbnet.ops.hard_sigmoid import hard_sigmoid
from nbnet.ops.hard_silu import hard_silu
from nbnet.ops.hard_tanh import hard_tanh
from nbnet.ops.layer_norm import layer_norm
from nbnet.ops.leaky_relu import leaky_relu
from nbnet.ops.log import log
from nbnet.ops.log_sigmoid import log_sigmoid
from nbnet.ops.matmul import matmul
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
from nbnet.ops.selu import selu
from nbnet.ops.sigmoid import sigmoid
from nbnet.ops.silu import silu
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
from nbnet.ops.subtract import subtract
from nbnet.ops.sum import sum
from nbnet.ops.take import take
from nbnet.ops.tanh import tanh
from nbnet.ops.tanh_shrink import tanh_shrink
from nbnet.ops.threshold import threshold
from nbnet.ops.transpose import transpose
from nbnet.ops.weighted_mean import weighted_mean
from nbnet.ops.weighted_sum import weighted_sum

operators.update(add=add, subtract=subtract, multiply=multiply, divide=divide, power=power, matmul=matmul, take=take)

__all__ = [
    "abs",
    "add",
    "average_pool",
    "batch_norm",
    "batch_normalization",
    "celu",
    "concatenate",
    "conv",
    "dense",
    "divide",
    "dropout",
    "elu",
    "embedding",
    "exp",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "layer_norm",
    "leaky_relu",
    "log",
    "log_sigmoid",
    "log_softmax",
    "matmul",
    "max_pool",
    "maximum",
    "mean",
    "minimum",
    "mish",
    "multiply",
    "negative",
    "power",
    "prelu",
    "rectify",
    "relu",
    "relu6",
    "reshape",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "sqrt",
    "square",
    "squareplus",
    "subtract",
    "sum",
    "take",
    "tanh",
    "tanh_shrink",
    "threshold",
    "transpose",
    "weighted_mean",
    "weighted_sum",
]
