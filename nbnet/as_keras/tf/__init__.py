"""``tf``: what scripts for Keras use of TensorFlow beside ``tf.keras``, on nbnet's tensors.

Everything runs at once, as in TensorFlow 2. What is not here raises an error with its name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from nbnet.engine.graph.tensor import Tensor as Tensor

__all__ = ["Dataset", "Options", "Tensor", "TensorSpec"]

#: Modules of this package, which are imported when they are needed, and the names of ``tf`` that are found in them.
_MODULES: list[tuple[str, str]] = [
    (
        "tensors",
        """IndexedSlices Variable boolean_mask broadcast_to cast concat constant convert_to_tensor expand_dims eye fill
        gather gather_nd identity is_tensor linspace meshgrid numpy_function one_hot ones ones_like pad py_function
        range rank repeat reshape reverse scatter_nd shape size slice split squeeze stack tensor_scatter_nd_update tile
        transpose unique unstack where zeros zeros_like""",
    ),
    (
        "math",
        """abs acos acosh add add_n argmax argmin argsort asin asinh atan atan2 atanh clip_by_global_norm clip_by_norm
        clip_by_value cos cosh cumsum divide einsum equal exp floor greater greater_equal less less_equal logical_and
        logical_not logical_or matmul maximum minimum multiply negative norm not_equal pow reduce_all reduce_any
        reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum round scalar_mul sigmoid sign sin sinh
        sort sqrt square subtract tan tanh tensordot truediv""",
    ),
    (
        "environment",
        "Module UnconnectedGradients cond executing_eagerly get_logger map_fn print vectorized_map while_loop",
    ),
    ("data", "Dataset Options TensorSpec"),
    ("gradient_tape", "GradientTape function recompute_grad stop_gradient"),
]
_FOUND: dict[str, tuple[str, str]] = {name: (module, name) for module, names in _MODULES for name in names.split()}
#: Names that are others there.
_FOUND |= {
    "Assert": ("environment", "check"),
    "TensorShape": ("tensors", "Shape"),
    "control_dependencies": ("environment", "context"),
    "device": ("environment", "context"),
    "group": ("environment", "nothing"),
    "init_scope": ("environment", "context"),
    "log": ("math", "log"),
    "name_scope": ("environment", "context"),
    "no_op": ("environment", "nothing"),
    "random_normal": ("random", "normal"),
    "random_uniform": ("random", "uniform"),
    "set_random_seed": ("random", "set_seed"),
}

_FOUND |= {
    f"{name}_initializer": ("nbnet.initializers", own)
    for name, own in (
        ("constant", "Constant"), ("ones", "Ones"), ("random_normal", "RandomNormal"),
        ("random_uniform", "RandomUniform"), ("truncated_normal", "TruncatedNormal"), ("zeros", "Zeros"),
    )
}  # fmt: skip

#: The version of TensorFlow whose interface this follows.
__version__ = "2.20.0"

float32, float64, float16 = np.dtype("float32"), np.dtype("float64"), np.dtype("float16")
int8, int16, int32, int64 = (np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{n}") for n in (8, 16, 32, 64))
double, half, bool = float64, float16, np.dtype("bool")
string = "string"
newaxis = None
DType = np.dtype
AUTO_REUSE = True


def as_dtype(type_value: Any) -> Any:
    """A dtype by its name."""
    return np.dtype(type_value)


#: What there is instead of parts of TensorFlow that are not here.
_INSTEAD = {
    "Session": "tensors have values at once: call functions instead of running graphs",
    "placeholder": "use keras.Input, or call functions on arrays",
    "contrib": "it was removed from TensorFlow 2",
    "estimator": "use a Keras model, or nbnet.estimators",
    "feature_column": "use keras.layers.Normalization, CategoryEncoding and the like",
    "ragged": "sequences are padded: keras.utils.pad_sequences",
    "RaggedTensor": "sequences are padded: keras.utils.pad_sequences",
    "sparse": "use matrices of scipy.sparse, which fit and predict take",
    "lookup": "use keras.layers.StringLookup or IntegerLookup",
    "lite": "export a model with model.export and use the tools of ONNX Runtime",
    "saved_model": "use model.save, or model.export for ONNX",
    "quantization": "numbers are float32 or float64",
    "complex64": "numbers are real",
    "signal": "use scipy.signal on arrays",
    "hessians": "gradients are of first order",
    "gradients": "use tf.GradientTape",
    "custom_gradient": "write an op: see nbnet.Op",
    "hub": "there are no pretrained networks",
}


def __getattr__(name: str) -> Any:
    if name in _FOUND:
        module, own = _FOUND[name]
        return getattr(import_module(module if "." in module else f"{__name__}.{module}"), own)
    instead = _INSTEAD.get(name)
    text = f"nbnet's stand-in for TensorFlow has no tf.{name}"
    raise AttributeError(text if instead is None else f"{text}: {instead}", name=name)
