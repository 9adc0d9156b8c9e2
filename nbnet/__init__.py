"""nbnet: neural networks with dropout, trained on CPUs in one compiled call an epoch."""

from nbnet import (
    activations,
    callbacks,
    config,
    constraints,
    core,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    random,
    regularizers,
)
from nbnet.config import floatx, set_floatx
from nbnet.core.abi import device, kernel
from nbnet.core.graph import Parameter, Tensor
from nbnet.core.op import Op
from nbnet.core.tape import Tape, tensor
from nbnet.history import History
from nbnet.layers import Input
from nbnet.models import Model, Sequential
from nbnet.random import set_random_seed

__version__ = "0.1.0"

__all__ = [
    "History",
    "Input",
    "Model",
    "Op",
    "Parameter",
    "Sequential",
    "Tape",
    "Tensor",
    "activations",
    "callbacks",
    "config",
    "constraints",
    "core",
    "datasets",
    "device",
    "floatx",
    "initializers",
    "kernel",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "random",
    "regularizers",
    "set_floatx",
    "set_random_seed",
    "tensor",
]
