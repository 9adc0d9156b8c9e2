"""nbnet: neural networks with dropout, trained on CPUs in one compiled call per epoch."""

from typing import TYPE_CHECKING

from nbnet import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    dropout_schedules,
    engine,
    initializers,
    layers,
    losses,
    masks,
    metrics,
    models,
    ops,
    optimizers,
    random,
    regularizers,
    saving,
    utils,
)
from nbnet.base.unsupported_keras import keras_hint
from nbnet.base.version import __version__ as __version__
from nbnet.callbacks.callback import History
from nbnet.config import floatx, set_floatx
from nbnet.engine.graph.op import Op
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import Tape
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.engine.kernels.abi import device, kernel
from nbnet.initializers import Initializer
from nbnet.layers import Input, Layer
from nbnet.losses import Loss
from nbnet.masks import load_masks, save_masks
from nbnet.metrics import Metric
from nbnet.models import Model, Sequential, fit_many
from nbnet.optimizers import Optimizer
from nbnet.random import set_random_seed
from nbnet.regularizers import Regularizer
from nbnet.saving import clone_model, load_model
from nbnet.utils import plot_model
from nbnet.warmup import warmup

__all__ = [
    "History",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Op",
    "Optimizer",
    "Parameter",
    "Regularizer",
    "Sequential",
    "Tape",
    "Tensor",
    "Variable",
    "activations",
    "backend",
    "calibration",
    "callbacks",
    "clone_model",
    "config",
    "constraints",
    "datasets",
    "device",
    "dropout_schedules",
    "engine",
    "estimators",
    "fit_many",
    "floatx",
    "function",
    "initializers",
    "inspect",
    "install_as_keras",
    "kernel",
    "layers",
    "load_masks",
    "load_model",
    "losses",
    "masks",
    "metrics",
    "models",
    "name_scope",
    "ops",
    "optimizers",
    "plot_model",
    "random",
    "regularizers",
    "save_masks",
    "saving",
    "set_floatx",
    "set_random_seed",
    "tensor",
    "uninstall_as_keras",
    "utils",
    "warmup",
]

if TYPE_CHECKING:
    from nbnet import calibration, datasets, estimators, inspect
    from nbnet.as_keras import install_as_keras, uninstall_as_keras
    from nbnet.layers.input_spec import InputSpec
    from nbnet.layers.variable import KerasTensor, Variable, name_scope
    from nbnet.train.function import function
else:
    # What few scripts use is imported when they do.
    __getattr__ = keras_hint(
        __name__,
        parts=("calibration", "datasets", "estimators", "inspect"),
        elsewhere={
            **dict.fromkeys(("install_as_keras", "uninstall_as_keras"), "nbnet.as_keras"),
            **dict.fromkeys(("KerasTensor", "Variable", "name_scope"), "nbnet.layers.variable"),
            "InputSpec": "nbnet.layers.input_spec",
            "function": "nbnet.train.function",
        },
    )
