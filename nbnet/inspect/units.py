"""Units of a model and their masks: activations, sparsity, correlations, weights as images, statistics of masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isqrt, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.tree import flatten
from nbnet.base.validation import FROM_ZERO, check_int
from nbnet.engine.graph.symbolic import evaluate
from nbnet.engine.graph.tape import Tape, paused
from nbnet.layers import Conv1D, Conv2D, Dense
from nbnet.layers.arguments import training_mode
from nbnet.layers.layer import Layer
from nbnet.models.call_graph import call_names, model_calls
from nbnet.train.inputs import input_tensors

if TYPE_CHECKING:
    from nbnet.models import Model


Array = NDArray[Any]


class ActivityStatistics(NamedTuple):
    """Statistics of the activations of a layer.

    Attributes
    ----------
    values
        Activations (rows, units); positions count as rows.
    means
        Mean activation of each unit, (units,).
    mean
        Mean of all activations.
    sparsity
        Share of activations whose magnitude does not exceed the threshold.
    dead
        Share of units for which this holds in all rows.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(3, "sigmoid", name="hidden")])
    >>> nb.inspect.activity(model, [[1.0], [2.0]])["hidden"].dead
    0.0
    """

    values: Array
    means: Array
    mean: float
    sparsity: float
    dead: float


def activations(
    model: Model, x: Any, layers: Iterable[str] | None = None, training: bool = False, step: int | None = None
) -> dict[str, Array]:
    """Outputs of the layers of a model.

    Parameters
    ----------
    model
        A Sequential, or a functional model.
    x
        A batch of inputs.
    layers
        Names of layers; by default all. The second call of a layer is ``name:1``.
    training
        If True, dropout is active.
    step
        Number of the step whose random numbers dropout draws; by default new ones.

    Returns
    -------
    dict
        Arrays (rows, ...) by name, in the order of the calls.

    Raises
    ------
    ValueError
        If the model's class defines ``call``, or a layer is unknown.

    Examples
    --------
    >>> import nbnet as nb
    >>> first = nb.layers.Dense(2, "relu", kernel_initializer="ones", name="first")
    >>> model = nb.Sequential([nb.Input((1,)), first, nb.layers.Dropout(0.5, name="drop")])
    >>> nb.inspect.activations(model, [[3.0]])
    {'first': array([[3., 3.]], dtype=float32), 'drop': array([[3., 3.]], dtype=float32)}
    """
    calls, inputs, _ = model_calls(model)
    names = call_names(calls)
    wanted = _chosen(names, layers, model.name)
    tensors = list(flatten(input_tensors(model, x)))
    values = {id(symbol): tensor for symbol, tensor in zip(inputs, tensors, strict=True)}
    averages = [(weight, weight.numpy()) for weight in model.non_trainable_weights]
    with paused(), Tape(step=step), training_mode(training):
        results = evaluate(calls, values, [call.outputs for call in calls])
    # A call for training moves the averages of batch normalization: restore them.
    for weight, value in averages:
        weight.memory()[...] = value
    return {
        name: next(flatten(result)).numpy()
        for name, call, result in zip(names, calls, results, strict=True)
        if name in wanted and isinstance(call.function, Layer)
    }


def _chosen(names: list[str], layers: Iterable[str] | None, model: str) -> set[str]:
    wanted = set(names) if layers is None else {layers} if isinstance(layers, str) else set(layers)
    if unknown := sorted(wanted - set(names)):
        raise ValueError(f"layers: {model} has no layer {unknown[0]!r}; it has {names}")
    return wanted


def activity(
    model: Model,
    x: Any,
    layers: Iterable[str] | None = None,
    training: bool = False,
    step: int | None = None,
    threshold: float = 0.0,
) -> dict[str, ActivityStatistics]:
    """Activity and sparsity of the units of a model.

    Hidden units trained with dropout are sparser, even in inference: figure 8 of the paper compares histograms of
    ``means`` and ``values`` of two models.

    Parameters
    ----------
    model, x, layers, training, step
        As for :func:`activations`.
    threshold
        Activations up to this magnitude count as 0.

    References
    ----------
    N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014), section
    7.2.

    Examples
    --------
    >>> import nbnet as nb
    >>> first = nb.layers.Dense(2, "relu", kernel_initializer=lambda shape, dtype: [[1.0, -1.0]], name="first")
    >>> model = nb.Sequential([nb.Input((1,)), first])
    >>> found = nb.inspect.activity(model, [[1.0], [3.0]])["first"]
    >>> found.means, found.sparsity, found.dead
    (array([2., 0.], dtype=float32), 0.5, 0.5)
    """
    near = FROM_ZERO.check(threshold, "threshold")
    return {name: _statistics(y, near) for name, y in activations(model, x, layers, training, step).items()}


def _statistics(y: Array, threshold: float) -> ActivityStatistics:
    values = y.reshape(-1, y.shape[-1])
    zero = np.abs(values) <= threshold
    return ActivityStatistics(
        values, values.mean(0), float(values.mean()), float(zero.mean()), float(zero.all(0).mean())
    )


def correlations(values: Any) -> Array:
    """Pearson correlations between units, a measure of co-adaptation.

    Parameters
    ----------
    values
        Activations (rows, units).

    Returns
    -------
    ndarray, (units, units)
        0 for units that are constant, 1 on the diagonal.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.inspect.correlations([[0.0, 0.0, 1.0], [1.0, -2.0, 1.0]])
    array([[ 1., -1.,  0.],
           [-1.,  1.,  0.],
           [ 0.,  0.,  1.]])
    """
    array = np.asarray(plain_array(values, "values"), np.float64)
    if array.ndim != 2 or len(array) < 2:
        raise ValueError(f"values: expected two rows or more of (rows, units), got shape {array.shape}")
    centred = array - array.mean(0)
    lengths = np.sqrt((centred**2).sum(0))
    unit = centred / np.where(lengths > 0, lengths, 1.0)
    found: Array = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return found


def features(
    model: Model, layer: str | None = None, shape: Sequence[int] | None = None, count: int | None = None
) -> Array:
    """Weights of the units of a layer, as images.

    Without dropout, units co-adapt and often look like noise; with it, they show strokes and spots (figure 7 of the
    paper).

    Parameters
    ----------
    model
        A built model.
    layer
        Name of a Dense or convolution layer; by default the first one.
    shape
        Shape of an image, (height, width) or (height, width, channels); by default that of the model's input, or a
        square.
    count
        Number of units: those with the largest sums of squared weights, in this order. By default all units in their
        own order.

    Returns
    -------
    ndarray, (units, height, width) or (units, height, width, channels)

    Raises
    ------
    ValueError
        If there is no such layer, or its weights do not fit the shape.

    References
    ----------
    N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014), section
    7.1.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((28, 28)), nb.layers.Flatten(), nb.layers.Dense(100, "relu")])
    >>> nb.inspect.features(model, count=64).shape
    (64, 28, 28)
    """
    found = _layer(model, layer)
    kernel = found.kernel.numpy()
    units = np.moveaxis(kernel, -1, 0)
    if count is not None:
        norms = (units.reshape(len(units), -1) ** 2).sum(1)
        units = units[np.argsort(-norms, kind="stable")[: check_int(count, "count")]]
    sizes = _shape(model, kernel.shape[:-1]) if shape is None else tuple(shape)
    if prod(sizes) != prod(kernel.shape[:-1]) or len(sizes) not in (2, 3):
        raise ValueError(
            f"shape: expected one of {prod(kernel.shape[:-1])} weights a unit of {found.name}, got {sizes}"
        )
    return np.ascontiguousarray(units.reshape(-1, *sizes))


def _layer(model: Model, name: str | None) -> Any:
    for layer in model.layers:
        if isinstance(layer, (Dense, Conv1D, Conv2D)) and name in (None, layer.name):
            if not layer.built:
                raise ValueError(f"model: {model.name} is not built")
            return layer
    called = "" if name is None else f" {name!r}"
    raise ValueError(f"layer: {model.name} has no Dense or convolution layer{called}")


def _shape(model: Model, inputs: tuple[int, ...]) -> tuple[int, ...]:
    """Return the default shape of images."""
    if len(inputs) > 1:
        return inputs if inputs[-1] in (1, 3) or len(inputs) == 2 else (inputs[0], prod(inputs[1:]))
    (n,) = inputs
    given = tuple(size or 0 for size in model.inputs_known.shapes[0])
    if len(given) in (2, 3) and prod(given) == n:
        return given
    side = isqrt(n)
    return (side, side) if side * side == n else (1, n)


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
