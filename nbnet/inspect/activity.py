"""What units compute: activations, how sparse they are, how they go together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.core.structure import flatten
from nbnet.core.symbol import evaluate
from nbnet.core.tape import Tape, paused
from nbnet.layers.calling import training_mode
from nbnet.layers.layer import Layer
from nbnet.models.calls import call_names, model_calls
from nbnet.ranges import FROM_ZERO

if TYPE_CHECKING:
    from nbnet.models import Model

Array = NDArray[Any]


class ActivityStatistics(NamedTuple):
    """How active the units of a layer are.

    Attributes
    ----------
    values
        (rows, units): the activations; places count as rows.
    means
        (units,): the mean activation of each unit.
    mean
        Of all.
    sparsity
        Share of the activations that are 0, or not farther from it than the threshold.
    dead
        Share of the units that are so in all rows.

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
    """What layers of a model return.

    Parameters
    ----------
    model
        A Sequential, or a model of symbols.
    x
        A batch of inputs.
    layers
        Names; by default all. A layer's second call has the name ``name:1``.
    training
        Whether dropout is at work.
    step
        Number of the step whose random numbers dropout draws; by default new ones.

    Returns
    -------
    dict
        Arrays (rows, ...) by name, in the order of the calls.

    Raises
    ------
    ValueError
        If the model's class defines ``call``, or a layer is not known.

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
    tensors = list(flatten(model._input_tensors(x)))
    values = {id(symbol): tensor for symbol, tensor in zip(inputs, tensors, strict=True)}
    averages = [(weight, weight.numpy().copy()) for weight in model.non_trainable_weights]
    with paused(), Tape(step=step), training_mode(training):
        results = evaluate(calls, values, [call.outputs for call in calls])
    # Looking leaves no trace: a call for training moves the averages of batch normalization.
    for weight, value in averages:
        weight.numpy()[...] = value
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
    """How active and how sparse the units of a model are.

    Hidden units that were trained with dropout are sparser, even where it is not at work: figure 8 of the paper
    compares two models by the histograms of ``means`` and ``values``.

    Parameters
    ----------
    model, x, layers, training, step
        As for :func:`activations`.
    threshold
        An activation up to here, or above minus this, counts as 0.

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
    """Correlations of units with each other: how much they adapt to one another.

    Parameters
    ----------
    values
        (rows, units): activations.

    Returns
    -------
    ndarray, (units, units)
        Of Pearson's; 0 for units that are constant, 1 on the diagonal.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.inspect.correlations([[0.0, 0.0, 1.0], [1.0, -2.0, 1.0]])
    array([[ 1., -1.,  0.],
           [-1.,  1.,  0.],
           [ 0.,  0.,  1.]])
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or len(array) < 2:
        raise ValueError(f"values: wants two rows or more of (rows, units), got shape {array.shape}")
    centred = array - array.mean(0)
    lengths = np.sqrt((centred**2).sum(0))
    unit = centred / np.where(lengths > 0, lengths, 1.0)
    found: Array = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return found
