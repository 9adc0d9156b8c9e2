"""Axes for what was predicted, from 0 to 1, against what came true."""

from __future__ import annotations

from typing import Any


def unit_axes(ax: Any, caller: str, xlabel: str, ylabel: str) -> Any:
    """Matplotlib axes with the diagonal that perfect predictions lie on.

    Parameters
    ----------
    ax
        Where to draw; None: in a new figure.
    caller
        Who wants matplotlib, for the error.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    if ax is None:
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError(f"{caller} wants matplotlib: pip install 'nbnet[plot]'") from error
        ax = pyplot.subplots(figsize=(4.2, 4.2), layout="constrained")[1]
    ax.plot([0, 1], [0, 1], color="gray", linestyle=":", label="perfect")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=xlabel, ylabel=ylabel, aspect="equal")
    return ax
