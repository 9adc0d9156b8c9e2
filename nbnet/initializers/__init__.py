"""Initial values of parameters: Keras's initializers, with its names, arguments and formulas.

An initializer is a frozen record; called with a shape, it returns an array. With an integer ``seed`` each call returns
the same array; with ``seed=None`` each call takes a new key (see :func:`nbnet.random.set_random_seed`). Arrays are
drawn in float64 and then rounded, so that a float32 and a float64 model start from the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from nbnet.base import registry
from nbnet.base.array_memory import plain_array
from nbnet.base.uninterrupted import apart
from nbnet.engine.graph.tensor import Tensor
from nbnet.initializers.initializer import STFT, Constant, Identity, Initializer, Ones, Zeros
from nbnet.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    compute_fans,
)

__all__ = [
    "STFT", "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer",
    "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomNormal",
    "RandomUniform", "STFTInitializer", "TruncatedNormal", "VarianceScaling", "Zeros", "compute_fans", "constant",
    "deserialize", "get", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_normal",
    "lecun_uniform", "ones", "orthogonal", "random_normal", "random_uniform", "serialize", "stft", "truncated_normal",
    "variance_scaling", "zeros",
]  # fmt: skip

# Keras's other names.
IdentityInitializer, OrthogonalInitializer, STFTInitializer, stft = Identity, Orthogonal, STFT, STFT
constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, variance_scaling = LecunNormal, LecunUniform, VarianceScaling
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal

#: Arguments that :func:`get` accepts.
InitializerLike = str | Mapping[str, Any] | Callable[..., Any] | NDArray[Any] | Tensor | None

_known: dict[str, type[Initializer]] = {
    registry.snake_case(cls.__name__): cls
    for cls in (
        *(Zeros, Ones, Constant, Identity, Orthogonal, STFT),
        *(RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling),
        *(GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal),
    )
}
# Keras's short and old names.
_known |= {"zero": Zeros, "one": Ones, "normal": RandomNormal, "uniform": RandomUniform}
_known |= {"identity_initializer": Identity, "orthogonal_initializer": Orthogonal}
_known |= {"stft": STFT, "stft_initializer": STFT}


@overload
def get(identifier: None, name: str = ...) -> None: ...
@overload
def get(
    identifier: str | Mapping[str, Any] | Callable[..., Any] | NDArray[Any] | Tensor, name: str = ...
) -> Callable[..., Any]: ...
def get(identifier: InitializerLike, name: str = "initializer") -> Callable[..., Any] | None:
    """The initializer that ``identifier`` stands for.

    Parameters
    ----------
    identifier : None, str, dict, Initializer, class, array, tensor or callable
        A name such as ``"glorot_uniform"`` or ``"GlorotUniform"``; a dict with ``class_name`` and perhaps ``config``;
        the values as an array or tensor; a callable ``f(shape, dtype)``, which is returned as it is, and so is None.
    name : str
        Name of the argument in messages, such as ``"kernel_initializer"``.

    Raises
    ------
    ValueError
        If no initializer has that name.
    TypeError
        If ``identifier`` is none of these, or the configuration does not fit.

    Examples
    --------
    >>> from nbnet import initializers
    >>> initializers.get("he_normal")
    HeNormal(seed=None)
    >>> initializers.get({"class_name": "Constant", "config": {"value": 0.1}})
    Constant(value=0.1)
    """
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    if isinstance(identifier, (np.ndarray, Tensor)):
        return Constant(plain_array(identifier, name))
    initializer: Initializer = registry.lookup(identifier, _known, Initializer, name, functions=True)
    return initializer


def serialize(initializer: Callable[..., Any] | None) -> dict[str, Any] | str | None:
    """The class and configuration of an initializer; the name of a function that is no Initializer.

    Examples
    --------
    >>> from nbnet import initializers
    >>> initializers.serialize(initializers.Constant(0.5))
    {'class_name': 'Constant', 'config': {'value': 0.5}}
    """
    if isinstance(initializer, Initializer):
        return registry.serialize(initializer, _known)
    return None if initializer is None else registry.function_name(initializer, "initializer")


@apart
def deserialize(config: InitializerLike, custom_objects: Mapping[str, Any] | None = None) -> Callable[..., Any] | None:
    """The initializer that :func:`serialize` described.

    Parameters
    ----------
    custom_objects
        Classes or functions of your own, by name.

    Examples
    --------
    >>> from nbnet import initializers
    >>> initializers.deserialize({"class_name": "Constant", "config": {"value": 0.5}})
    Constant(value=0.5)
    """
    with registry.custom_object_scope(custom_objects):
        return get(config)
