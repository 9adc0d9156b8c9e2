"""Functions of tensors: what layers and losses are made of, and what ``x + y`` and its like mean."""

from nbnet.core.graph import operators
from nbnet.ops.abs import abs
from nbnet.ops.add import add
from nbnet.ops.concatenate import concatenate
from nbnet.ops.dense import dense
from nbnet.ops.divide import divide
from nbnet.ops.dropout import dropout
from nbnet.ops.elu import elu
from nbnet.ops.exp import exp
from nbnet.ops.gelu import gelu
from nbnet.ops.hard_sigmoid import hard_sigmoid
from nbnet.ops.leaky_relu import leaky_relu
from nbnet.ops.log import log
from nbnet.ops.matmul import matmul
from nbnet.ops.maximum import maximum
from nbnet.ops.mean import mean
from nbnet.ops.minimum import minimum
from nbnet.ops.mish import mish
from nbnet.ops.multiply import multiply
from nbnet.ops.negative import negative
from nbnet.ops.power import power
from nbnet.ops.relu import relu
from nbnet.ops.reshape import reshape
from nbnet.ops.selu import selu
from nbnet.ops.sigmoid import sigmoid
from nbnet.ops.silu import silu
from nbnet.ops.softmax import log_softmax, softmax
from nbnet.ops.softplus import softplus
from nbnet.ops.softsign import softsign
from nbnet.ops.sqrt import sqrt
from nbnet.ops.square import square
from nbnet.ops.subtract import subtract
from nbnet.ops.sum import sum
from nbnet.ops.take import take
from nbnet.ops.tanh import tanh
from nbnet.ops.transpose import transpose
from nbnet.ops.weighted_sum import weighted_sum

operators.update(add=add, subtract=subtract, multiply=multiply, divide=divide, power=power, matmul=matmul, take=take)

__all__ = [
    "abs",
    "add",
    "concatenate",
    "dense",
    "divide",
    "dropout",
    "elu",
    "exp",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "log",
    "log_softmax",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "mish",
    "multiply",
    "negative",
    "power",
    "relu",
    "reshape",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "subtract",
    "sum",
    "take",
    "tanh",
    "transpose",
    "weighted_sum",
]
