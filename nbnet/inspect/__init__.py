"""Inspection of models: activations, features and dropout masks, as arrays and as figures.

Each ``plot_`` function draws the result of the function of its name as a matplotlib figure (extra ``plot``).
"""

from nbnet.inspect.plots import plot_activity, plot_correlations, plot_features, plot_keep_rates, plot_mask_raster
from nbnet.inspect.units import (
    ActivityStatistics,
    activations,
    activity,
    correlations,
    features,
    keep_rates,
    mask_raster,
)

__all__ = [
    "ActivityStatistics", "activations", "activity", "correlations", "features", "keep_rates", "mask_raster",
    "plot_activity", "plot_correlations", "plot_features", "plot_keep_rates", "plot_mask_raster",
]  # fmt: skip
