"""Activations by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbnet import ops
from nbnet.core.graph import Tensor

Activation = Callable[[Tensor], Tensor]


def linear(x: Tensor) -> Tensor:
    """The identity."""
    return x


_known: dict[str, Activation] = {
    name: getattr(ops, name)
    for name in (
        "elu", "exp", "gelu", "hard_sigmoid", "leaky_relu", "log_softmax", "mish", "relu", "selu", "sigmoid", "silu", "softmax",
        "softplus", "softsign", "tanh",
    )
} | {"linear": linear, "exponential": ops.exp, "swish": ops.silu}  # fmt: skip


def get(identifier: Any) -> Activation:
    """An activation from its name, a function of a tensor, or None (linear).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.activations.get("relu")([-1.0, 1.0]).numpy()
    array([0., 1.], dtype=float32)
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in _known:
            raise ValueError(f"activation: {identifier!r} is not known; known are {', '.join(sorted(_known))}")
        return _known[identifier]
    if callable(identifier):
        return identifier  # type: ignore[no-any-return]
    raise TypeError(f"activation: wants a name or a function, got {identifier!r}")


def name_of(activation: Activation) -> str:
    """The name that :func:`get` knows an activation by; for any other function its own name."""
    for name, known in _known.items():
        if known is activation:
            return name
    return getattr(activation, "__name__", repr(activation))
