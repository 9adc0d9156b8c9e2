"""Figures of what the other functions return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.inspect.activity import ActivityStatistics
from nbnet.inspect.dropped import keep_counts, mask_raster

Array = NDArray[Any]

INK, QUIET, BLUE, ORANGE, PALE = "#1f2933", "#7b8794", "#1f5f99", "#e8702a", "#e9eff5"


def figure(width: float, height: float, title: str) -> Any:
    """An empty matplotlib figure, in inches, with a title at the left.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots of nbnet.inspect want matplotlib: pip install 'nbnet[plot]'") from error
    made = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    if title:
        made.suptitle(title, x=0.01, ha="left", fontsize=12.5, fontweight="bold", color=INK)
    return made


def _plain(axes: Any, title: str = "") -> None:
    """A title at the left, no frame."""
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.tick_params(which="both", length=0, labelsize=8, labelcolor=QUIET)
    axes.xaxis.label.set(fontsize=8.5, color=QUIET)
    axes.yaxis.label.set(fontsize=8.5, color=QUIET)
    for spine in axes.spines.values():
        spine.set_visible(False)


def plot_features(images: Mapping[str, Array] | Array, columns: int | None = None, title: str = "") -> Any:
    """Draw features as a grid of images, or several grids side by side.

    Parameters
    ----------
    images
        From :func:`features`, or a dict of several by heading. Dark is positive, orange negative, white 0; each image
        has a scale of its own. Images with three channels are drawn in colours.
    columns
        Images in a row; by default as many as make a square.
    title
        Of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((6, 6)), nb.layers.Flatten(), nb.layers.Dense(9)])
    >>> figure = nb.inspect.plot_features(nb.inspect.features(model))  # doctest: +SKIP
    """
    parts = images if isinstance(images, Mapping) else {"": images}
    made = figure(5.2 * len(parts), 5.2 + (0.3 if title else 0), title)
    for axes, (name, part) in zip(made.subplots(1, len(parts), squeeze=False)[0], parts.items(), strict=True):
        axes.imshow(grid(part, columns or isqrt(max(len(part) - 1, 0)) + 1), interpolation="nearest")
        _plain(axes, name)
        axes.set(xticks=[], yticks=[])
    return made


def grid(images: Array, columns: int) -> Array:
    """Images (n, height, width[, channels]) side by side, as one in red, green and blue, with a margin around each.

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
    made = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), 0.86)
    for k, image in enumerate(array):
        top, left = (k // columns) * (height + 1) + 1, (k % columns) * (width + 1) + 1
        made[top : top + height, left : left + width] = _colours(image)
    return made


def _colours(image: Array) -> Array:
    """Numbers as colours: of three channels those they are, else from orange by white to ink."""
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


def plot_activity(
    models: Mapping[str, ActivityStatistics] | ActivityStatistics, bins: int = 40, title: str = ""
) -> Any:
    """Draw histograms of the mean activations of units, and of all activations.

    Parameters
    ----------
    models
        A layer's entry of :func:`activity`, or a dict of several by heading: with and without dropout, say.
    bins
        Bars of a histogram.
    title
        Of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(9, "relu", name="hidden")])
    >>> found = nb.inspect.activity(model, [[1.0, 2.0, 3.0, 4.0]])
    >>> figure = nb.inspect.plot_activity(found["hidden"])  # doctest: +SKIP
    """
    parts = {"": models} if isinstance(models, ActivityStatistics) else models
    made = figure(9.6, 2.9 * len(parts) + (0.3 if title else 0), title)
    most = max(float(np.max(np.abs(part.values))) for part in parts.values()) or 1.0
    means = max(float(np.max(np.abs(part.means))) for part in parts.values()) or 1.0
    low = 0.0 if all(part.values.min() >= 0 for part in parts.values()) else -1.0
    panels = made.subplots(len(parts), 2, squeeze=False, sharex="col", sharey="col")
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
            axes.grid(axis="y", color=PALE)
            axes.set_axisbelow(True)
    panels[-1][0].set_xlabel("mean activation of a unit")
    panels[-1][1].set_xlabel("activation")
    return made


def plot_keep_rates(
    masks: Mapping[str, Any] | Iterable[Any], rates: Mapping[str, float] | None = None, title: str = ""
) -> Any:
    """Draw histograms of how often units were kept, a panel for each layer.

    Parameters
    ----------
    masks
        As for :func:`keep_rates`.
    rates
        Probabilities to DROP by name of layer: with them goes a curve, what independent draws give.
    title
        Of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import nbnet as nb
    >>> masks = {"drop": [[True, False], [True, True]]}
    >>> figure = nb.inspect.plot_keep_rates(masks, {"drop": 0.5})  # doctest: +SKIP
    >>> nb.inspect.keep_rates(masks)
    {'drop': array([1. , 0.5])}
    """
    counts = keep_counts(masks)
    made = figure(3.6 * len(counts), 3 + (0.3 if title else 0), title)
    for axes, (name, (kept, rows)) in zip(made.subplots(1, len(counts), squeeze=False)[0], counts.items(), strict=True):
        share = kept / rows
        _, edges, _ = axes.hist(share, 30, color=BLUE)
        if rates is not None and name in rates:
            _draw_binomial(axes, 1 - rates[name], rows, len(kept) * (edges[1] - edges[0]))
        _plain(axes, f"{name}: {share.mean():.2%} kept")
        axes.set(xlabel=f"share of {rows:,} rows that kept a unit", ylabel="units")
        axes.grid(axis="y", color=PALE)
        axes.set_axisbelow(True)
    return made


def _draw_binomial(axes: Any, keep: float, rows: int, area: float) -> None:
    """The normal curve that shares of so many independent draws follow."""
    deviation = np.sqrt(keep * (1 - keep) / rows)
    if deviation > 0:
        z = np.linspace(-4, 4, 200)
        axes.plot(keep + z * deviation, area * np.exp(-z * z / 2) / (deviation * np.sqrt(2 * np.pi)), color=ORANGE)


def plot_mask_raster(
    masks: Iterable[Any], layer: str, row: int | None = 0, units: int | None = None, title: str = ""
) -> Any:
    """Draw which units were dropped in which step: a line a step, orange where dropped.

    Parameters
    ----------
    masks, layer
        As for :func:`mask_raster`.
    row
        Number of a row of the batch; None for the share of all rows.
    units
        Draw so many, the first; by default all.
    title
        Of the figure.

    Returns
    -------
    matplotlib.figure.Figure

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
    made = figure(9.6, min(max(0.03 * len(kept), 1.6), 6.0) + 0.8, title)
    axes = made.subplots()
    first = getattr(steps[0], "step", 0)
    colours = kept[..., None] * _rgb(PALE) + (1 - kept[..., None]) * _rgb(ORANGE)
    bounds = (-0.5, kept.shape[1] - 0.5, first + len(kept) - 0.5, first - 0.5)
    axes.imshow(colours, aspect="auto", interpolation="nearest", extent=bounds)
    whose = "all rows of the batch" if row is None else f"row {row} of the batch"
    _plain(axes, f"{layer}, {whose}: {1 - kept.mean():.1%} dropped")
    axes.set(xlabel="unit", ylabel="step")
    axes.yaxis.get_major_locator().set_params(integer=True)
    return made


def plot_correlations(matrices: Mapping[str, Array] | Array, title: str = "") -> Any:
    """Draw correlations between units: squares of colour.

    Parameters
    ----------
    matrices
        From :func:`correlations`, or a dict of several by heading. Dark is positive, orange negative.
    title
        Of the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> found = nb.inspect.correlations(np.eye(3))
    >>> figure = nb.inspect.plot_correlations(found)  # doctest: +SKIP
    """
    parts = matrices if isinstance(matrices, Mapping) else {"": matrices}
    made = figure(4.8 * len(parts), 4.8 + (0.3 if title else 0), title)
    for axes, (name, matrix) in zip(made.subplots(1, len(parts), squeeze=False)[0], parts.items(), strict=True):
        axes.imshow(_colours(np.asarray(matrix)), interpolation="nearest")
        others = np.abs(matrix[~np.eye(len(matrix), dtype=bool)])
        mean = float(others.mean()) if others.size else 0.0
        _plain(axes, f"{name}: mean magnitude {mean:.3f}".removeprefix(": "))
        axes.set(xlabel="unit", ylabel="unit")
    return made
