"""Saving and loading of models, weights and configurations."""

from typing import TYPE_CHECKING

from nbnet.base.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register,
    register_keras_serializable,
)
from nbnet.base.unsupported_keras import keras_hint
from nbnet.models.clone import clone_model, model_from_json
from nbnet.saving.models import load_model, save_model
from nbnet.saving.objects import deserialize_keras_object, serialize_keras_object
from nbnet.saving.weights import load_weights, save_weights

# Keras's other name.
CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope", "clone_model", "custom_object_scope", "deserialize_keras_object", "get_custom_objects",
    "get_registered_name", "get_registered_object", "load_model", "load_weights", "model_from_json", "register",
    "register_keras_serializable", "save_model", "save_weights", "serialize_keras_object",
]  # fmt: skip


if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
