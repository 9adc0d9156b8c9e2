"""Figures of activations, features, correlations and masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import ceil, isqrt
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nbnet.base.docstrings import join_common_sections
from nbnet.inspect.units import ActivityStatistics, keep_counts, mask_raster

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

F = TypeVar("F", bound="Callable[..., Figure]")

INK, QUIET, BLUE, ORANGE, PALE = "#1f2933", "#7b8794", "#1f5f99", "#e8702a", "#e9eff5"


def figure(width: float, height: float, title: str) -> Figure:
    """Return an empty matplotlib figure of a size in inches; a title at the left adds to its height.

    Raise ImportError if matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots of nbnet.inspect require matplotlib: pip install 'nbnet[plot]'") from error
    fig = Figure(figsize=(width, height + (0.3 if title else 0)), layout="constrained", facecolor="white")
    if title:
        fig.suptitle(title, x=0.01, ha="left", fontsize=12.5, fontweight="bold", color=INK)
    return fig


def _panels(parts: Any, size: tuple[float, float], title: str) -> tuple[Figure, list[tuple[Any, str, Any]]]:
    """Return a figure with a panel for each part, side by side, and its axes with headings and parts."""
    named = parts if isinstance(parts, Mapping) else {"": parts}
    fig = figure(size[0] * len(named), size[1], title)
    axes = fig.subplots(1, len(named), squeeze=False)[0]
    return fig, [(ax, *item) for ax, item in zip(axes, named.items(), strict=True)]


def _plain(axes: Any, title: str = "") -> None:
    """Set a title at the left, and remove the frame."""
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.tick_params(which="both", length=0, labelsize=8, labelcolor=QUIET)
    axes.xaxis.label.set(fontsize=8.5, color=QUIET)
    axes.yaxis.label.set(fontsize=8.5, color=QUIET)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _ruled(axes: Any) -> None:
    """Draw horizontal grid lines behind the data."""
    axes.grid(axis="y", color=PALE)
    axes.set_axisbelow(True)


def _documented(function: F) -> F:
    """Add the parameter and the section that all plots share to a docstring."""
    shared = "title : str\n    Title of the figure."
    join_common_sections(function, last=shared, returns="matplotlib.figure.Figure")
    return function


@_documented
def plot_features(images: Mapping[str, Array] | Array, columns: int | None = None, title: str = "") -> Figure:
    """Draw features as a grid of images, or several grids side by side.

    Parameters
    ----------
    images
        Images from :func:`features`, or a dict of several by heading. Dark is positive, orange negative, white 0, with
        a scale for each image. Images with three channels are drawn in colour.
    columns
        Number of images in a row; by default the grid is a square.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((6, 6)), nb.layers.Flatten(), nb.layers.Dense(9)])
    >>> figure = nb.inspect.plot_features(nb.inspect.features(model))  # doctest: +SKIP
    """
    fig, panels = _panels(images, (5.2, 5.2), title)
    for axes, name, part in panels:
        axes.imshow(grid(part, columns or isqrt(max(len(part) - 1, 0)) + 1), interpolation="nearest")
        _plain(axes, name)
        axes.set(xticks=[], yticks=[])
    return fig


def grid(images: Array, columns: int) -> Array:
    """Return images (n, height, width[, channels]) in a grid, as one RGB image with a margin around each.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.inspect.plots import grid
    >>> grid(np.ones((3, 5, 4)), columns=2).shape
    (13, 11, 3)
    """
    array = np.asarray(images, float)
    n, height, width = array.shape[:3]
    rows = max(ceil(n / columns), 1)
    picture = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), 0.86)
    for k, image in enumerate(array):
        top, left = (k // columns) * (height + 1) + 1, (k % columns) * (width + 1) + 1
        picture[top : top + height, left : left + width] = _colours(image)
    return picture


def _colours(image: Array) -> Array:
    """Return numbers as colours: three channels as they are, others from orange through white to ink."""
    if image.ndim == 3 and image.shape[-1] == 3:
        low, high = float(image.min()), float(image.max())
        scaled: Array = (image - low) / (high - low if high > low else 1.0)
        return scaled
    flat = image.reshape(*image.shape[:2], -1).mean(-1)
    strength = (flat / (np.abs(flat).max() or 1.0))[..., None]
    positive, negative = (1 - _rgb(INK)), (1 - _rgb(ORANGE))
    return np.asarray(1 - np.where(strength > 0, strength * positive, -strength * negative))


def _rgb(colour: str) -> Array:
    return np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255


@_documented
def plot_activity(
    models: Mapping[str, ActivityStatistics] | ActivityStatistics, bins: int = 40, title: str = ""
) -> Figure:
    """Draw histograms of the mean activations of units, and of all activations.

    Parameters
    ----------
    models
        A layer's entry of :func:`activity`, or a dict of several by heading, such as with and without dropout.
    bins
        Number of bars of a histogram.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(9, "relu", name="hidden")])
    >>> found = nb.inspect.activity(model, [[1.0, 2.0, 3.0, 4.0]])
    >>> figure = nb.inspect.plot_activity(found["hidden"])  # doctest: +SKIP
    """
    parts = {"": models} if isinstance(models, ActivityStatistics) else models
    fig = figure(9.6, 2.9 * len(parts), title)
    most = max(float(np.max(np.abs(part.values))) for part in parts.values()) or 1.0
    means = max(float(np.max(np.abs(part.means))) for part in parts.values()) or 1.0
    low = 0.0 if all(part.values.min() >= 0 for part in parts.values()) else -1.0
    panels = fig.subplots(len(parts), 2, squeeze=False, sharex="col", sharey="col")
    for row, (name, part) in zip(panels, parts.items(), strict=True):
        about = f"{part.sparsity:.0%} are 0" if part.sparsity else "none is 0"
        row[0].hist(part.means, bins, range=(low * means, means), color=BLUE)
        row[0].axvline(part.mean, color=ORANGE, lw=1.2)
        _plain(row[0], f"{name}: mean activation {part.mean:.3g}".removeprefix(": "))
        row[0].set_ylabel("units")
        share = np.full(part.values.size, 1 / part.values.size)
        row[1].hist(part.values.ravel(), bins, range=(low * most, most), weights=share, color=BLUE)
        _plain(row[1], f"{name}: {about}".removeprefix(": "))
        row[1].set(yscale="log", ylabel="share of activations")
        for axes in row:
            _ruled(axes)
    panels[-1][0].set_xlabel("mean activation of a unit")
    panels[-1][1].set_xlabel("activation")
    return fig


@_documented
def plot_keep_rates(
    masks: Mapping[str, Any] | Iterable[Any], rates: Mapping[str, float] | None = None, title: str = ""
) -> Figure:
    """Draw histograms of the keep rates of units, a panel for each layer.

    Parameters
    ----------
    masks
        As for :func:`keep_rates`.
    rates
        Probabilities of DROPPING by name of layer; a curve shows the distribution of independent draws.

    Examples
    --------
    >>> import nbnet as nb
    >>> masks = {"drop": [[True, False], [True, True]]}
    >>> figure = nb.inspect.plot_keep_rates(masks, {"drop": 0.5})  # doctest: +SKIP
    >>> nb.inspect.keep_rates(masks)
    {'drop': array([1. , 0.5])}
    """
    fig, panels = _panels(keep_counts(masks), (3.6, 3), title)
    for axes, name, (kept, rows) in panels:
        share = kept / rows
        _, edges, _ = axes.hist(share, 30, color=BLUE)
        if rates is not None and name in rates:
            _draw_binomial(axes, 1 - rates[name], rows, len(kept) * (edges[1] - edges[0]))
        _plain(axes, f"{name}: {share.mean():.2%} kept")
        axes.set(xlabel=f"share of {rows:,} rows that kept a unit", ylabel="units")
        _ruled(axes)
    return fig


def _draw_binomial(axes: Any, keep: float, rows: int, area: float) -> None:
    """Draw the normal approximation of the shares of independent draws."""
    deviation = np.sqrt(keep * (1 - keep) / rows)
    if deviation > 0:
        z = np.linspace(-4, 4, 200)
        axes.plot(keep + z * deviation, area * np.exp(-z * z / 2) / (deviation * np.sqrt(2 * np.pi)), color=ORANGE)


@_documented
def plot_mask_raster(
    masks: Iterable[Any], layer: str, row: int | None = 0, units: int | None = None, title: str = ""
) -> Figure:
    """Draw the dropped units of each step: a line a step, orange where dropped.

    Parameters
    ----------
    masks, layer
        As for :func:`mask_raster`.
    row
        Number of a row of the batch; None for the share of all rows.
    units
        Number of units to draw, the first ones; by default all.

    Examples
    --------
    >>> import nbnet as nb
    >>> steps = [{"drop": [[True, False]]}, {"drop": [[True, True]]}]
    >>> figure = nb.inspect.plot_mask_raster(steps, "drop")  # doctest: +SKIP
    >>> nb.inspect.mask_raster(steps, "drop", row=0)
    array([[1., 0.],
           [1., 1.]])
    """
    steps = list(masks)
    kept = mask_raster(steps, layer, row)[:, :units]
    fig = figure(9.6, min(max(0.03 * len(kept), 1.6), 6.0) + 0.8, title)
    axes = fig.subplots()
    first = getattr(steps[0], "step", 0)
    colours = kept[..., None] * _rgb(PALE) + (1 - kept[..., None]) * _rgb(ORANGE)
    bounds = (-0.5, kept.shape[1] - 0.5, first + len(kept) - 0.5, first - 0.5)
    axes.imshow(colours, aspect="auto", interpolation="nearest", extent=bounds)
    whose = "all rows of the batch" if row is None else f"row {row} of the batch"
    _plain(axes, f"{layer}, {whose}: {1 - kept.mean():.1%} dropped")
    axes.set(xlabel="unit", ylabel="step")
    axes.locator_params(axis="y", integer=True)
    return fig


@_documented
def plot_correlations(matrices: Mapping[str, Array] | Array, title: str = "") -> Figure:
    """Draw correlations between units as coloured squares.

    Parameters
    ----------
    matrices
        Matrices from :func:`correlations`, or a dict of several by heading. Dark is positive, orange negative.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> found = nb.inspect.correlations(np.eye(3))
    >>> figure = nb.inspect.plot_correlations(found)  # doctest: +SKIP
    """
    fig, panels = _panels(matrices, (4.8, 4.8), title)
    for axes, name, matrix in panels:
        axes.imshow(_colours(np.asarray(matrix)), interpolation="nearest")
        others = np.abs(matrix[~np.eye(len(matrix), dtype=bool)])
        mean = float(others.mean()) if others.size else 0.0
        _plain(axes, f"{name}: mean magnitude {mean:.3f}".removeprefix(": "))
        axes.set(xlabel="unit", ylabel="unit")
    return fig
