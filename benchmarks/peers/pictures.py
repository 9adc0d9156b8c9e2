"""How the time of a step grows, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import plotting
from benchmarks.peers.libraries import OURS
from benchmarks.peers.tables import label


def growth(lines: Mapping[str, Mapping[float, float]], axis: str, limits: Sequence[str]) -> Any:
    """Draw the microseconds of a step over a size, on logarithmic axes.

    Parameters
    ----------
    lines
        Times by size, of each library and limit.
    axis
        Label of the axis of sizes.
    limits
        Names of the lines that no library can go below; they are not drawn solid.
    """
    figure = plotting.figure(7, 5)
    axes = figure.add_subplot(xlabel=axis, ylabel="µs a training step", xscale="log", yscale="log")
    for name, times in lines.items():
        places = sorted(times)
        style: dict[str, Any] = {"marker": "o", "markersize": 3, "linewidth": 2.5 if name == OURS else 1.2}
        if name in limits:
            style = {"linestyle": "--" if name == limits[0] else ":", "color": "0.4"}
        axes.plot(places, [times[x] for x in places], label=label(name), **style)
    sizes = sorted({x for times in lines.values() for x in times})
    axes.set_xticks(sizes, [f"{x:g}" for x in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize="small")
    return figure


def save(figure: Any, path: Path) -> None:
    """Write an SVG that is the same whenever the picture is."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata={"Date": None})
