"""Figures of matplotlib (the extra ``plot``)."""

from __future__ import annotations

from typing import Any


def figure(width: float, height: float) -> Any:
    """An empty one, in inches.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as reason:
        raise ImportError("pictures need matplotlib: pip install 'nbnet[plot]'") from reason
    return Figure(figsize=(width, height), layout="constrained")
