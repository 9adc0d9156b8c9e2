"""Thinned models: the smaller model that remains when masks drop units, and its weights merged back."""

from nbnet.thinning.build import merge, thin

__all__ = ["merge", "thin"]
