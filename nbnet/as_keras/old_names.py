"""Names and modules of older versions of Keras, by what they are called today."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

_told: set[str] = set()


def warn_old(name: str, today: str) -> None:
    """Warn once that a name is an old one, at the line of the script that uses it.

    Examples
    --------
    >>> import warnings
    >>> from nbnet.as_keras.old_names import warn_old
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     warn_old("keras.docs.old", "keras.docs.new")
    ...     warn_old("keras.docs.old", "keras.docs.new")
    >>> [str(warning.message) for warning in caught]
    ['keras.docs.old is an old name: today it is keras.docs.new']
    """
    if name in _told:
        return
    _told.add(name)
    frame = sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    text = f"{name} is an old name: today it is {today}"
    module = frame.f_globals.get("__name__")
    warnings.warn_explicit(text, DeprecationWarning, frame.f_code.co_filename, frame.f_lineno, module)


def _is_ours(file: str) -> bool:
    return file.startswith(_PACKAGE) or "importlib" in file


_PACKAGE = __file__.removesuffix("old_names.py")


def attribute(path: str) -> Any:
    """Import ``"module:name"``; the module itself if the name is empty."""
    module, _, name = path.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, name) if name else loaded


#: Modules of Keras 1 and 2, and private ones of today, by the place that has their names now.
_MODULES = {
    "keras": """engine engine.topology engine.training engine.base_layer engine.input_layer engine.input_spec
        engine.sequential engine.functional engine.network legacy""",
    "keras.activations": "layers.activation_functions",
    "keras.backend": "backend.tensorflow_backend backend.theano_backend backend.common",
    "keras.callbacks": "callbacks.callbacks",
    "keras.initializers": "initializations initializers.initializers_v2",
    "keras.layers": """layers.core layers.convolutional layers.convolutional_recurrent layers.recurrent
        layers.embeddings layers.normalization layers.advanced_activations layers.merge layers.noise
        layers.pooling layers.local layers.wrappers layers.cudnn_recurrent layers.experimental
        layers.experimental.preprocessing layers.preprocessing layers.containers layers.serialization layers.merging
        layers.reshaping layers.activation layers.normalization.batch_normalization layers.regularization
        layers.rnn legacy.layers""",
    "keras.losses": "objectives",
    "keras.models": "models.functional models.sequential models.model",
    "keras.optimizers": "optimizers.legacy optimizers.experimental optimizer_v2 optimizer_v1",
    "keras.optimizers.schedules": "optimizers.schedules.learning_rate_schedule",
    "keras.preprocessing.image": "utils.image_utils legacy.preprocessing.image",
    "keras.preprocessing.sequence": "legacy.preprocessing.sequence",
    "keras.preprocessing.text": "legacy.preprocessing.text",
    "keras.saving": "saving.legacy saving.saving_lib saving.object_registration",
    "keras.utils": """utils.np_utils utils.vis_utils utils.visualize_util utils.generic_utils utils.data_utils
        utils.layer_utils utils.io_utils utils.conv_utils utils.all_utils utils.training_utils""",
    "keras.mixed_precision": "mixed_precision.experimental",
    "keras.backend.legacy": "",
}
PATHS = {f"keras.{path}": place for place, paths in _MODULES.items() for path in paths.split()}
#: Paths of today's Keras among them, of which nothing is said.
TODAY = ("keras.legacy", "keras.optimizers.legacy", "keras.models.", "keras.saving.", "keras.layers.experimental")


class Old(NamedTuple):
    """A name of an older version of Keras: what today's is called, and a function that returns what it stands for."""

    today: str
    value: Callable[[], Any]


def _old(names: dict[str, str]) -> dict[str, Old]:
    """Names of old by today's, which are given as ``"module:name"``, or as ``"module:name today's name"``."""

    def entry(path: str) -> Old:
        path, _, today = path.partition(" ")
        module, _, name = path.partition(":")
        return Old(today or f"{module.replace('nbnet', 'keras', 1)}.{name}", lambda: attribute(path))

    return {name: entry(path) for name, path in names.items()}


_BY_HAND = "nbnet.as_keras.old_functions"
OLD_NAMES: dict[str, Old] = _old(
    {
        "keras.layers.Convolution1D": f"{_BY_HAND}:Convolution1D keras.layers.Conv1D",
        "keras.layers.Convolution2D": f"{_BY_HAND}:Convolution2D keras.layers.Conv2D",
        "keras.layers.Deconvolution2D": "nbnet.layers:Conv2DTranspose",
        "keras.layers.SeparableConvolution2D": "nbnet.layers:SeparableConv2D",
        "keras.layers.merge": f"{_BY_HAND}:merge keras.layers.concatenate, add, multiply or dot",
        "keras.layers.Merge": f"{_BY_HAND}:merge keras.layers.Concatenate, Add, Multiply or Dot",
        "keras.layers.ThresholdedReLU": f"{_BY_HAND}:ThresholdedReLU keras.layers.ReLU(threshold=...)",
        "keras.layers.CuDNNLSTM": "nbnet.layers:LSTM",
        "keras.layers.CuDNNGRU": "nbnet.layers:GRU",
        "keras.initializers.normal": "nbnet.initializers:RandomNormal",
        "keras.initializers.uniform": "nbnet.initializers:RandomUniform",
        "keras.initializers.zero": "nbnet.initializers:Zeros",
        "keras.initializers.one": "nbnet.initializers:Ones",
        "keras.constraints.maxnorm": "nbnet.constraints:MaxNorm",
        "keras.constraints.nonneg": "nbnet.constraints:NonNeg",
        "keras.constraints.unitnorm": "nbnet.constraints:UnitNorm",
        "keras.regularizers.l1l2": "nbnet.regularizers:L1L2",
        "keras.regularizers.activity_l1": "nbnet.regularizers:L1",
        "keras.regularizers.activity_l2": "nbnet.regularizers:L2",
        "keras.regularizers.WeightRegularizer": "nbnet.regularizers:L1L2",
        "keras.utils.plot": "nbnet.utils:plot_model",
        "keras.utils.print_summary": f"{_BY_HAND}:print_summary model.summary()",
        "keras.utils.multi_gpu_model": f"{_BY_HAND}:multi_gpu_model the model itself",
        "keras.utils.probas_to_classes": f"{_BY_HAND}:probas_to_classes numpy.argmax(probabilities, axis=-1)",
        "keras.models.Functional": "nbnet.models:Model",
        "keras.optimizers.rmsprop": "nbnet.optimizers:RMSprop",
        "keras.optimizers.adadelta": "nbnet.optimizers:Adadelta",
        "keras.optimizers.adagrad": "nbnet.optimizers:Adagrad",
        "keras.optimizers.adam": "nbnet.optimizers:Adam",
        "keras.optimizers.adamax": "nbnet.optimizers:Adamax",
        "keras.optimizers.nadam": "nbnet.optimizers:Nadam",
        "keras.optimizers.sgd": "nbnet.optimizers:SGD",
    }
)
