"""Tools around a model: targets, arrays, seeds, diagrams."""

from typing import TYPE_CHECKING

from nbnet.base.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from nbnet.base.unsupported_keras import keras_hint
from nbnet.config import standardize_dtype
from nbnet.data.streams import PyDataset
from nbnet.saving.objects import deserialize_keras_object, serialize_keras_object
from nbnet.utils.arrays import (
    normalize,
    pack_x_y_sample_weight,
    pad_sequences,
    split_dataset,
    to_categorical,
    unpack_x_y_sample_weight,
)
from nbnet.utils.model_plot import model_to_dot, plot_model
from nbnet.utils.session import clear_session, set_random_seed

# Keras's other names.
CustomObjectScope, Sequence = custom_object_scope, PyDataset

__all__ = [
    "CustomObjectScope", "PyDataset", "Sequence", "clear_session", "custom_object_scope", "deserialize_keras_object",
    "get_custom_objects", "get_registered_name", "get_registered_object", "model_to_dot", "normalize",
    "pack_x_y_sample_weight", "pad_sequences", "plot_model", "register_keras_serializable", "serialize_keras_object",
    "set_random_seed", "split_dataset", "standardize_dtype", "to_categorical", "unpack_x_y_sample_weight",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
