"""Activations: functions of a tensor, and their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nbnet.base import registry
from nbnet.engine.graph.tensor import Tensor
from nbnet.ops import (
    celu,
    elu,
    exp,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
)
from nbnet.ops import gelu as _gelu

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "name_of", "relu",
    "relu6", "selu", "serialize", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold",
]  # fmt: skip

Activation = Callable[..., Tensor]
#: Arguments that :func:`get` accepts.
ActivationLike = str | Mapping[str, Any] | Activation | None


def linear(x: Tensor) -> Tensor:
    """The identity.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.activations.linear(nb.tensor([-1.0, 2.0])).numpy()
    array([-1.,  2.], dtype=float32)
    """
    return x


def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """``x * Phi(x)``: :func:`nbnet.ops.gelu`, exact by default.

    Parameters
    ----------
    x
        Tensor or array of any shape.
    approximate
        If True, use the approximation by tanh.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.activations.gelu(nb.tensor([0.0, 1.0])).numpy().round(4)
    array([0.    , 0.8413], dtype=float32)
    """
    return _gelu(x, approximate)


exponential, hard_swish, swish = exp, hard_silu, silu

#: By name; the first name of a function is its own.
_known: dict[str, Activation] = {name: globals()[name] for name in __all__ if name in globals()} | {"exp": exp}


def get(identifier: Any) -> Activation:
    """An activation from its name, a function of a tensor, or None (linear).

    Parameters
    ----------
    identifier
        A name, a function, None, or a configuration ``{"class_name": "function", "config": name}``.

    Raises
    ------
    ValueError, TypeError
        If it is none of these.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.activations.get("relu")([-1.0, 1.0]).numpy()
    array([0., 1.], dtype=float32)
    """
    return deserialize(identifier)


def deserialize(config: Any, custom_objects: Mapping[str, Activation] | None = None) -> Activation:
    """An activation from its name, as returned by :func:`serialize`.

    Parameters
    ----------
    custom_objects
        Your own functions by name.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.activations.deserialize("double", custom_objects={"double": lambda x: x + x})(3)
    6
    """
    if config is None:
        return linear
    if isinstance(config, Mapping):
        config = config.get("config")
    if isinstance(config, str):
        found = registry.get_registered_object(config, custom_objects) or _known.get(config)
        if found is None:
            raise ValueError(f"activation: {config!r} is not known; known are {', '.join(sorted(_known))}")
        config = registry.named_function(found, "activation")
    if callable(config):
        activation: Activation = config
        return activation
    raise TypeError(f"activation: expected a name or a function, got {config!r}")


def serialize(activation: Activation) -> str:
    """The name of an activation; that of your own function is its ``__name__``.

    Raises
    ------
    ValueError
        If the function has no name by which it could be found again.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.activations.serialize(nb.activations.hard_swish)
    'hard_silu'
    """
    return _known_name(activation) or registry.function_name(activation, "activation")


def name_of(activation: Activation) -> str:
    """The name that :func:`get` knows an activation by; for any other function its own name.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.activations.name_of(nb.activations.swish)
    'silu'
    """
    return _known_name(activation) or registry.get_registered_name(activation)


def _known_name(activation: Activation) -> str | None:
    return next((name for name, known in _known.items() if known is activation), None)
