"""Sub-networks: the smaller model that is left when a mask drops units, and what it learns, written back."""

from nbnet.thinning.build import merge, thin

__all__ = ["merge", "thin"]
