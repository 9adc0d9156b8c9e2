"""Looking into models: what units compute and when they are dropped, as arrays and as figures.

Each ``plot_`` function draws what the function of its name returns, and gives a matplotlib figure (the extra ``plot``).
"""

from nbnet.inspect.activity import ActivityStatistics, activations, activity, correlations
from nbnet.inspect.dropped import keep_rates, mask_raster
from nbnet.inspect.features import features
from nbnet.inspect.plots import (
    plot_activity,
    plot_correlations,
    plot_features,
    plot_keep_rates,
    plot_mask_raster,
)

__all__ = [
    "ActivityStatistics",
    "activations",
    "activity",
    "correlations",
    "features",
    "keep_rates",
    "mask_raster",
    "plot_activity",
    "plot_correlations",
    "plot_features",
    "plot_keep_rates",
    "plot_mask_raster",
]
