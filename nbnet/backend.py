"""Keras's backend functions: the default dtype, a small constant, and ``clear_session``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbnet.base.unsupported_keras import keras_hint
from nbnet.config import backend, epsilon, floatx, image_data_format, set_floatx, standardize_dtype
from nbnet.utils.session import clear_session

__all__ = ["backend", "clear_session", "epsilon", "floatx", "image_data_format", "set_floatx", "standardize_dtype"]

if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
