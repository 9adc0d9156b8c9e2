"""Models."""

from nbnet.models.model import Model
from nbnet.models.sequential import Sequential

__all__ = ["Model", "Sequential"]
