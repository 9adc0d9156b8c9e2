"""Layers and functions of older versions of Keras that are more than another name."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import layers, utils
from nbnet.as_keras.old_arguments import adapt_class

Array = NDArray[Any]

_MERGED = {
    "sum": layers.Add,
    "mul": layers.Multiply,
    "ave": layers.Average,
    "max": layers.Maximum,
    "concat": layers.Concatenate,
    "dot": layers.Dot,
}


def Convolution1D(*args: Any, **kwargs: Any) -> Any:
    """A Conv1D: ``Convolution1D(nb_filter, filter_length)``."""
    return adapt_class(layers.Conv1D)(*args, **kwargs)


def Convolution2D(*args: Any, **kwargs: Any) -> Any:
    """A Conv2D: ``Convolution2D(nb_filter, nb_row, nb_col)`` of Keras 1, or its arguments of today."""
    if len(args) >= 3 and isinstance(args[1], int) and isinstance(args[2], int):
        args = (args[0], (args[1], args[2]), *args[3:])
    return adapt_class(layers.Conv2D)(*args, **kwargs)


def merge(inputs: Sequence[Any], mode: str = "sum", concat_axis: int = -1, dot_axes: Any = -1) -> Any:
    """Merge tensors of a model: ``mode`` is sum, mul, ave, max, concat, dot or cos."""
    if mode == "cos":
        return layers.Dot(dot_axes, normalize=True)(inputs)
    if mode not in _MERGED:
        raise ValueError(f"mode: expected one of {sorted([*_MERGED, 'cos'])}, got {mode!r}")
    options = {"concat": {"axis": concat_axis}, "dot": {"axes": dot_axes}}.get(mode, {})
    layer: Any = _MERGED[mode]
    return layer(**options)(inputs)


class ThresholdedReLU(layers.Layer):
    """``x`` where it is above ``theta``, else 0."""

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.theta = float(theta)

    def call(self, x: Any) -> Any:
        from nbnet import ops

        return ops.where(ops.greater(x, self.theta), x, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "theta": self.theta}


def print_summary(model: Any, line_length: int | None = None, **others: Any) -> None:
    """Print the table of a model's layers."""
    model.summary(line_length=line_length)


def plot_model(model: Any, to_file: Any = "model.png", **kwargs: Any) -> Any:
    """Draw a model; without Graphviz, which draws .png files, an .svg file is written beside that name."""
    try:
        return utils.plot_model(model, to_file, **kwargs)
    except ImportError as error:
        other = os.path.splitext(os.fspath(to_file))[0] + ".svg"
        warnings.warn(f"{error}; the drawing is in {other}", stacklevel=2)
        return utils.plot_model(model, other, **kwargs)


def multi_gpu_model(model: Any, gpus: Any = None, **others: Any) -> Any:
    """The model itself: nbnet shares out batches to threads on its own."""
    return model


def probas_to_classes(probabilities: Any) -> Array:
    """Numbers of the most probable classes."""
    array = np.asarray(probabilities)
    return array.argmax(axis=1) if array.ndim > 1 and array.shape[1] > 1 else (array > 0.5).astype(np.int64)
