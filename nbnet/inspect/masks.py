"""Statistics of dropout masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array

Array = NDArray[Any]


def keep_rates(masks: Mapping[str, Any] | Iterable[Any]) -> dict[str, Array]:
    """Share of rows in which each unit was kept.

    Parameters
    ----------
    masks
        Masks by name of layer, such as ``tape.masks`` or ``model.masks(step)``, or those of several steps, such as
        ``history.masks``.

    Returns
    -------
    dict
        Arrays (units,) by name of layer: the share of rows, positions and steps that kept the unit.

    Raises
    ------
    ValueError
        If there are no masks.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.inspect.keep_rates({"drop": [[True, False], [True, True]]})
    {'drop': array([1. , 0.5])}
    """
    return {name: kept / rows for name, (kept, rows) in keep_counts(masks).items()}


def keep_counts(masks: Mapping[str, Any] | Iterable[Any]) -> dict[str, tuple[Array, int]]:
    """Return the number of rows that kept each unit, (units,), and the number of rows; see :func:`keep_rates`."""
    found: dict[str, tuple[Array, int]] = {}
    for step in _steps(masks):
        for name, mask in step.items():
            lines = _lines(mask)
            kept, rows = found.get(name, (np.zeros(lines.shape[1], int), 0))
            found[name] = kept + lines.sum(0), rows + len(lines)
    if not found:
        raise ValueError("masks: expected at least one; record masks with fit(record_masks=k)")
    return found


def mask_raster(masks: Iterable[Any], layer: str, row: int | None = None) -> Array:
    """Kept units of a layer in each step.

    Parameters
    ----------
    masks
        Masks of several steps: ``history.masks``, or dicts by name of layer.
    layer
        Name of the layer.
    row
        Number of a row of the batch; by default the share of rows that kept a unit.

    Returns
    -------
    ndarray, (steps, units)
        Floats from 0 (dropped) to 1 (kept).

    Raises
    ------
    ValueError
        If a step has no masks of this layer, or no such row.

    Examples
    --------
    >>> import nbnet as nb
    >>> steps = [{"drop": [[True, False], [True, True]]}, {"drop": [[False, False], [True, True]]}]
    >>> nb.inspect.mask_raster(steps, "drop")
    array([[1. , 0.5],
           [0.5, 0.5]])
    >>> nb.inspect.mask_raster(steps, "drop", row=0)
    array([[1., 0.],
           [0., 0.]])
    """
    found = []
    for step in _steps(masks):
        if layer not in step:
            raise ValueError(f"layer: expected one of {sorted(step)}, got {layer!r}")
        mask = plain_array(step[layer], f"masks[{layer!r}]")
        if row is not None and not -len(mask) <= row < len(mask):
            raise ValueError(f"row: expected the number of one of {len(mask)} rows, got {row}")
        found.append(_lines(mask if row is None else mask[row][None]).mean(0))
    if not found:
        raise ValueError("masks: expected at least one; record masks with fit(record_masks=k)")
    return np.stack(found)


def _steps(masks: Any) -> list[Mapping[str, Any]]:
    """Return the masks of each step, as dicts."""
    if isinstance(masks, Mapping):
        return [masks]
    return [step if isinstance(step, Mapping) else step.masks for step in masks]


def _lines(mask: Any) -> Array:
    """Return a mask as (rows and positions, units)."""
    array = plain_array(mask, "masks")
    if array.ndim == 0:
        raise ValueError("masks: expected arrays (rows, ..., units), got a single value")
    return np.asarray(array.reshape(-1, array.shape[-1]) != 0)
