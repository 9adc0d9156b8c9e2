"""Curves of test errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness import plotting
from benchmarks.papers.tables import Found, error


def curves(lines: Mapping[str, Mapping[float, Sequence[Found]]], label: str, logarithmic: bool = False) -> Any:
    """Return a figure with a line for each name: means and standard errors of test errors.

    Parameters
    ----------
    lines
        Findings by name and place on the axis.
    label
        Label of the axis.
    logarithmic
        True for logarithmic axes.
    """
    figure = plotting.figure(6, 4)
    axes = figure.add_subplot(xlabel=label, ylabel="test error, %")
    for name, places in lines.items():
        errors = [[error(one) for one in places[x]] for x in sorted(places)]
        means, spreads = [np.mean(e) for e in errors], [np.std(e) / math.sqrt(max(1, len(e) - 1)) for e in errors]
        axes.errorbar(sorted(places), means, spreads, marker="o", capsize=3, label=name)
    if logarithmic:
        axes.set(xscale="log", yscale="log")
    axes.legend(frameon=False)
    return figure
