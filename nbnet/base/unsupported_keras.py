"""Names of Keras that nbnet does not offer, each with an alternative for the error message."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.abc import MetaPathFinder
from typing import Any

_NO_SEQUENCES = "there are no recurrent layers; for sequences use Embedding, Conv1D, TimeDistributed and pooling"
_NO_ATTENTION = "there are no attention layers; write one with nbnet.ops, as examples/padded_sequences.py does"
_NO_IMAGES = "use RandomFlip, RandomRotation and the like, or change images batch by batch in a nbnet.utils.PyDataset"
_NO_FILES = "read the files into arrays and hand these to fit"
_ONE_BACKEND = "kernels compiled by Numba are its only backend"
_SUBCLASS = "subclass nbnet.layers.Layer and write call(self, x) with functions of nbnet.ops"

#: For each module, groups of names by alternative.
_TABLE: dict[str, dict[str, str]] = {
    "nbnet": {
        "there are no pretrained networks; build the network of layers": "applications",
        "compute in float32 or float64: set_floatx": "mixed_precision dtype_policies DTypePolicy FloatDTypePolicy",
        "threads work on slices of the batch on their own": "distribution",
        "export a model with model.export and use the tools of ONNX Runtime": "quantizers Quantizer distillation",
        "see nbnet.utils, which has what is left of it: pad_sequences, image_dataset_from_directory": "preprocessing",
        "see nbnet.estimators": "wrappers",
        "use nbnet.Model(inputs, outputs)": "Function Operation",
        "there is no state to be scoped": "StatelessScope SymbolicScope RematScope remat",
        "nothing in nbnet needs it": "tree visualization legacy",
    },
    "nbnet.layers": {
        _NO_SEQUENCES: """LSTM GRU SimpleRNN RNN LSTMCell GRUCell SimpleRNNCell StackedRNNCells Bidirectional
            ConvLSTM1D ConvLSTM2D ConvLSTM3D""",
        _NO_ATTENTION: "Attention AdditiveAttention MultiHeadAttention GroupQueryAttention GroupedQueryAttention",
        "use Conv1DTranspose, Conv2DTranspose or UpSampling3D and Conv3D": """Conv3DTranspose
            Convolution3DTranspose""",
        _NO_IMAGES: """AugMix AutoContrast CutMix Equalization MixUp RandAugment RandomColorJitter
            RandomColorDegeneration RandomElasticTransform RandomErasing RandomGaussianBlur
            RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization
            RandomSaturation RandomSharpness RandomShear
            ContrastLimitedAdaptiveHistogramEqualization Solarization MaxNumBoundingBoxes
            MelSpectrogram STFTSpectrogram""",
        _ONE_BACKEND: "FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper",
        "use AveragePooling or GlobalAveragePooling": """AdaptiveAveragePooling1D AdaptiveAveragePooling2D
            AdaptiveAveragePooling3D""",
        "use MaxPooling or GlobalMaxPooling": "AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D",
        _SUBCLASS: "Pipeline",
        "use Embedding, and its weights with nbnet.ops.matmul": "ReversibleEmbedding",
    },
    "nbnet.losses": {
        _NO_SEQUENCES: "CTC ctc",
    },
    "nbnet.optimizers": {
        "Adam and AdamW are near": "Lamb Muon ScheduleFreeAdamW",
        "training computes in float32 or float64, which need no scaling of the loss": "LossScaleOptimizer OptimizerMap",
        "a model has one optimizer; those of nbnet.optimizers are the present ones": "MultiOptimizer legacy",
    },
    "nbnet.callbacks": {
        "send the logs from a nbnet.callbacks.LambdaCallback": "RemoteMonitor",
        "use ModelCheckpoint": "OrbaxCheckpoint",
    },
    "nbnet.utils": {
        _NO_FILES: "audio_dataset_from_directory",
        "nothing in nbnet needs it": "bounding_boxes legacy get_source_inputs Config is_keras_tensor",
    },
    "nbnet.backend": {
        "the channels are the last axis": "set_image_data_format",
        "give losses and layers their own epsilon where they take one": "set_epsilon",
        "nothing in nbnet needs it": "get_uid is_keras_tensor result_type is_float_dtype is_int_dtype",
    },
    "nbnet.config": {
        _ONE_BACKEND: "set_backend",
        "see floatx and set_floatx": "dtype_policy set_dtype_policy",
        "the channels are the last axis": "set_image_data_format",
        "give losses and layers their own epsilon where they take one": "set_epsilon",
        "files of models hold no code": "enable_unsafe_deserialization",
        "nothing in nbnet needs it": "is_nnx_enabled",
        "see the arguments of fit": "max_epochs set_max_epochs max_steps_per_epoch set_max_steps_per_epoch",
        _NO_ATTENTION: "enable_flash_attention disable_flash_attention is_flash_attention_enabled",
    },
    "nbnet.ops": {
        _NO_ATTENTION: "dot_product_attention",
        _NO_SEQUENCES: "ctc_loss ctc_decode",
        "tensors hold real numbers; use numpy.fft on arrays": "fft fft2 ifft2 irfft rfft stft istft",
        "tensors hold real numbers": "eig polar view_as_complex view_as_real",
        "the bits of numbers cannot be reinterpreted; see nbnet.ops.cast": "view",
        "gradients are computed backwards, by nbnet.Tape": "jvp",
        "use nbnet.ops.stop_gradient, or write a nbnet.Op with kernels of your own": "custom_gradient",
        "use nbnet.ops.vectorized_map, or numpy.vectorize on arrays": "vectorize",
        "use scipy.special on arrays": "gammainc",
    },
    "nbnet.ops.image": {
        _NO_IMAGES: """affine_transform elastic_transform extract_patches_3d map_coordinates perspective_transform
            scale_and_translate sobel_edges ssim""",
    },
    "nbnet.saving": {"files are safetensors, which the package of that name reads": "KerasFileEditor"},
}  # fmt: skip


def absent_names(module: str) -> dict[str, str]:
    """Return the names of Keras that a module does not offer, each with an alternative.

    Examples
    --------
    >>> from nbnet.base.unsupported_keras import absent_names
    >>> absent_names("nbnet.layers")["LSTM"]
    'there are no recurrent layers; for sequences use Embedding, Conv1D, TimeDistributed and pooling'
    """
    return {name: instead for instead, names in _TABLE.get(module, {}).items() for name in names.split()}


def refusal(module: str, name: str) -> str | None:
    """Return the message for a name of Keras that a module does not offer; None for any other name.

    Examples
    --------
    >>> from nbnet.base.unsupported_keras import refusal
    >>> refusal("nbnet.layers", "Attention").split(";")[0]
    'nbnet does not offer layers.Attention: there are no attention layers'
    >>> refusal("nbnet.layers", "Dense") is None
    True
    """
    instead = absent_names(module).get(name)
    return None if instead is None else f"nbnet does not offer {f'{module}.{name}'.removeprefix('nbnet.')}: {instead}"


def keras_hint(
    module: str, parts: Collection[str] = (), elsewhere: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module: its AttributeError knows the names of Keras.

    The submodules ``parts`` are imported on first access, and names ``elsewhere`` from the modules that it gives. A
    module that is no package gets an empty search path: ``from nbnet.config import set_backend`` then asks the finder
    below for a submodule of that name, and it raises the same message.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.LSTM
    Traceback (most recent call last):
        ...
    AttributeError: nbnet does not offer layers.LSTM: there are no recurrent layers; for sequences use Embedding, ...
    """

    def refuse(name: str) -> Any:
        if name in parts:
            return importlib.import_module(f"{module}.{name}")
        if elsewhere and name in elsewhere:
            return getattr(importlib.import_module(elsewhere[name]), name)
        if name == "__path__":
            return []
        text = refusal(module, name) or f"module {module!r} has no attribute {name!r}"
        raise AttributeError(text, name=name, obj=sys.modules.get(module))

    return refuse


class _AbsentFinder(MetaPathFinder):
    """Raises the message for an absent name when it is imported: ``from nbnet.layers import LSTM``.

    A ``from`` import that finds no attribute looks for a submodule, after all other finders here.
    """

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        module, _, name = fullname.rpartition(".")
        if module in _TABLE and (text := refusal(module, name)) is not None:
            raise ImportError(text, name=fullname)


sys.meta_path.append(_AbsentFinder())
