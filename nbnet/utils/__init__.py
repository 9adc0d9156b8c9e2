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
from nbnet.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
    standardize_dtype,
)
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
from nbnet.utils.progbar import Progbar
from nbnet.utils.session import clear_session, set_random_seed

# Keras's other names.
CustomObjectScope, Sequence = custom_object_scope, PyDataset

__all__ = [
    "CustomObjectScope", "FeatureSpace", "Progbar", "PyDataset", "Sequence", "array_to_img", "clear_session",
    "custom_object_scope",
    "deserialize_keras_object", "disable_interactive_logging", "enable_interactive_logging", "get_custom_objects",
    "get_file", "get_registered_name", "get_registered_object", "image_dataset_from_directory", "img_to_array",
    "is_interactive_logging_enabled", "load_img", "model_to_dot", "normalize", "pack_x_y_sample_weight",
    "pad_sequences", "plot_model", "register_keras_serializable", "save_img", "serialize_keras_object",
    "set_random_seed", "split_dataset", "standardize_dtype", "text_dataset_from_directory",
    "timeseries_dataset_from_array", "to_categorical", "unpack_x_y_sample_weight",
]  # fmt: skip

if TYPE_CHECKING:
    from nbnet.utils.batches import text_dataset_from_directory, timeseries_dataset_from_array
    from nbnet.utils.feature_space import FeatureSpace
    from nbnet.utils.files import get_file
    from nbnet.utils.images import array_to_img, image_dataset_from_directory, img_to_array, load_img, save_img
else:
    __getattr__ = keras_hint(
        __name__,
        elsewhere={
            "FeatureSpace": "nbnet.utils.feature_space",
            "get_file": "nbnet.utils.files",
            **dict.fromkeys(
                ("array_to_img", "image_dataset_from_directory", "img_to_array", "load_img", "save_img"),
                "nbnet.utils.images",
            ),
            **dict.fromkeys(("text_dataset_from_directory", "timeseries_dataset_from_array"), "nbnet.utils.batches"),
        },
    )
