"""What is left of a backend where there is one: the default dtype, a small constant, and starting over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbnet.absences import absent
from nbnet.config import backend, epsilon, floatx, image_data_format, set_floatx, standardize_dtype
from nbnet.utils.session import clear_session

__all__ = ["backend", "clear_session", "epsilon", "floatx", "image_data_format", "set_floatx", "standardize_dtype"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
