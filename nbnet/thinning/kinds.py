"""What a call of a layer does with single units: whether it can be thinned, and how.

A unit is an element along the last axis: a feature, a channel.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.structure import flatten
from nbnet.core.symbol import Producer, Symbol
from nbnet.core.tape import Trace, paused
from nbnet.layers import (
    ELU,
    Activation,
    Add,
    Average,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GaussianDropout,
    Identity,
    LeakyReLU,
    Maximum,
    Minimum,
    Multiply,
    ReLU,
    Rescaling,
    SpatialDropout1D,
    SpatialDropout2D,
    Subtract,
)
from nbnet.layers.global_pooling import GlobalPooling
from nbnet.layers.layer import Layer
from nbnet.layers.pooling import Pooling
from nbnet.ops.add import add
from nbnet.ops.elementwise import fusible
from nbnet.ops.maximum import maximum
from nbnet.ops.minimum import minimum
from nbnet.ops.multiply import multiply
from nbnet.ops.subtract import subtract

#: Layers whose masks can be taken: what they drop is 0, what they keep is multiplied by 1 / (1 - rate).
DROPPING = (Dropout, SpatialDropout1D, SpatialDropout2D)
#: Layers with a kernel (..., inputs, units) and perhaps a bias (units,), and what their configurations call the units.
LINEAR: dict[type[Layer], str] = {Dense: "units", Conv1D: "filters", Conv2D: "filters"}
#: Layers that make one unit of one unit, and 0 of 0.
_FROM_ZERO = (*DROPPING, GaussianDropout, Identity, Pooling, GlobalPooling)
#: Layers that do so by a function of single numbers.
_ELEMENTWISE = (Activation, ELU, LeakyReLU, ReLU, Rescaling)
#: Layers that make one unit of those at its place in several inputs, and 0 of zeros; and functions that do.
_MERGING = (Add, Average, Maximum, Minimum, Multiply, Subtract)
_MERGING_OPS = (add, maximum, minimum, multiply, subtract)


class Kind(Enum):
    """How a call treats units."""

    #: A dropout layer that one of the masks is for.
    MASK = auto()
    #: A sum over all units that come in, for each that goes out.
    LINEAR = auto()
    #: The same, and an activation that mixes units.
    MIXING = auto()
    #: Each unit for itself.
    UNITWISE = auto()
    #: Each unit for itself, with weights for it.
    NORMALISING = auto()
    #: Units are those of several places.
    FLATTEN = auto()
    #: Each unit for itself, of several inputs: 0 where all of them are.
    MERGING = auto()
    #: Units of several inputs, one after the other.
    JOINING = auto()
    #: Anything else: it wants all units, and gives all.
    WHOLE = auto()


def kind_of(producer: Producer, masked: bool, shared: bool) -> Kind:
    """What a call is.

    Parameters
    ----------
    masked
        Whether there is a mask for it.
    shared
        Whether the layer is called more than once.
    """
    layer, inputs = producer.function, producer.inputs()
    if masked:
        return Kind.MASK
    if isinstance(layer, Layer) and layer.activity_regularizer is not None:
        return Kind.WHOLE
    if (isinstance(layer, _MERGING) or layer in _MERGING_OPS) and len({x.shape for x in inputs}) == 1:
        return Kind.MERGING if len(inputs) == _operands(producer) else Kind.WHOLE
    if isinstance(layer, Concatenate) and layer.axis in (-1, inputs[0].ndim - 1) and all(x.shape[-1] for x in inputs):
        return Kind.JOINING
    if len(inputs) != 1:
        return Kind.WHOLE
    if not isinstance(layer, Layer):
        shape = tuple(n or 2 for n in inputs[0].shape)
        alone = _operands(producer) == 1 and inputs[0].dtype.kind == "f"
        return Kind.UNITWISE if alone and elementwise(layer, inputs[0].dtype, shape) else Kind.WHOLE
    if type(layer) in LINEAR and not shared:
        return Kind.LINEAR if _activates_numbers(layer) else Kind.MIXING
    if isinstance(layer, BatchNormalization) and not shared and layer.axis in (-1, inputs[0].ndim - 1):
        return Kind.NORMALISING
    if type(layer) is Flatten:
        return Kind.FLATTEN if inputs[0].ndim > 2 else Kind.UNITWISE
    simple = isinstance(layer, _FROM_ZERO) or (type(layer) in _ELEMENTWISE and _acts_on_numbers(layer))
    return Kind.UNITWISE if simple else Kind.WHOLE


def _operands(producer: Producer) -> int:
    """Arguments of a call, those of a list one by one."""
    return sum(1 for _ in flatten((producer.args, producer.kwargs)))


def _acts_on_numbers(layer: Any) -> bool:
    if isinstance(layer, Rescaling):
        return np.ndim(layer.scale) == np.ndim(layer.offset) == 0
    return not isinstance(layer, Activation) or _activates_numbers(layer)


def _activates_numbers(layer: Any) -> bool:
    return elementwise(layer.activation, layer.dtype)


def elementwise(function: Any, dtype: Any, shape: tuple[int, ...] = (2, 3)) -> bool:
    """Whether a function computes each number from one number, as far as its ops tell."""
    x = Tensor(shape, dtype)
    with Trace() as trace:
        y = function(x)
    return y is x or bool(
        trace.nodes and all(node.op.name in fusible and len(node.inputs) == 1 for node in trace.nodes)
    )


def keeps_zero(layer: Any, dtype: Any) -> bool:
    """Whether a unitwise layer, or function, makes 0 of 0."""
    if isinstance(layer, Layer) and not isinstance(layer, _ELEMENTWISE):
        return isinstance(layer, (*_FROM_ZERO, Flatten))
    with paused():
        return not np.any(layer(Tensor((1, 1), dtype, np.zeros((1, 1), dtype))).numpy())


def units(symbol: Symbol) -> int:
    """Length of the last axis; 1 for something without, or of any length, which is never thinned."""
    return (symbol.shape[-1] or 1) if len(symbol.shape) > 1 else 1
