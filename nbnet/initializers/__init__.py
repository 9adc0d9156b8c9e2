"""How parameters start: Keras's initializers, with its names, arguments and formulas.

An initializer is a frozen record; calling it with a shape makes an array. With an integer ``seed`` it makes the same
array at every call; with ``seed=None`` it takes a new key each time (see :func:`nbnet.random.set_random_seed`). Arrays
are drawn in float64 and then rounded, so that a float32 and a float64 model start from the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

from nbnet import registry
from nbnet.absences import absent
from nbnet.initializers.drawn import Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from nbnet.initializers.fixed import Constant, Identity, Ones, Zeros
from nbnet.initializers.initializer import Initializer
from nbnet.initializers.recipes import GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform
from nbnet.initializers.scaling import VarianceScaling, compute_fans

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "compute_fans",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

# Keras's other names.
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, variance_scaling = LecunNormal, LecunUniform, VarianceScaling
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal

Identifier = str | Mapping[str, Any] | Callable[..., Any] | None

_CLASSES: dict[str, type[Initializer]] = {
    cls.__name__: cls
    for cls in (
        *(Zeros, Ones, Constant, Identity, Orthogonal),
        *(RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling),
        *(GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal),
    )
}
_SNAKE_CASE = {registry.snake_case(name): cls for name, cls in _CLASSES.items()}
# Keras's short and old names.
_ALIASES = {
    "zero": Zeros,
    "one": Ones,
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
}
_BY_NAME = _CLASSES | _SNAKE_CASE | _ALIASES


@overload
def get(identifier: None, name: str = ...) -> None: ...
@overload
def get(identifier: str | Mapping[str, Any] | Callable[..., Any], name: str = ...) -> Callable[..., Any]: ...
def get(identifier: Identifier, name: str = "initializer") -> Callable[..., Any] | None:
    """The initializer that ``identifier`` stands for.

    Parameters
    ----------
    identifier : None, str, dict, Initializer, class or callable
        A name as ``"glorot_uniform"`` or ``"GlorotUniform"``; a dict with ``class_name`` and perhaps ``config``; a
        callable ``f(shape, dtype)``, which is returned as it is, and so is None.
    name : str
        The argument that messages speak of, such as ``"kernel_initializer"``.

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
    if isinstance(identifier, str):
        found = _named(identifier, name)
        made: Callable[..., Any] = found() if isinstance(found, type) else found
        return made
    if isinstance(identifier, Mapping):
        if "class_name" not in identifier:
            raise ValueError(f"{name} must have the key 'class_name', got a dict with {sorted(identifier)}")
        cls = _named(identifier["class_name"], name)
        try:
            return registry.make(cls, identifier.get("config"), name)  # type: ignore[no-any-return]
        except TypeError as error:
            raise TypeError(f"{name}: the configuration does not fit {cls.__name__}: {error}") from None
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    raise TypeError(f"{name} must be a name, an Initializer, a callable, a dict or None, got {identifier!r}")


def serialize(initializer: Callable[..., Any] | None) -> dict[str, Any] | str | None:
    """What :func:`get` makes the initializer from; the name of a function that is no Initializer.

    Examples
    --------
    >>> from nbnet import initializers
    >>> initializers.serialize(initializers.Constant(0.5))
    {'class_name': 'Constant', 'config': {'value': 0.5}}
    """
    if isinstance(initializer, Initializer):
        return registry.serialize(initializer, _BY_NAME)
    return None if initializer is None else registry.function_name(initializer, "initializer")


def deserialize(config: Identifier, custom_objects: Mapping[str, Any] | None = None) -> Callable[..., Any] | None:
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


def _named(class_name: Any, name: str) -> Any:
    """A class, or a function of the user's."""
    own = registry.get_registered_object(class_name) if isinstance(class_name, str) else None
    if own is not None:
        return own
    if not isinstance(class_name, str) or class_name not in _BY_NAME:
        raise ValueError(f"{name} must be one of {', '.join(sorted(_SNAKE_CASE))}, got {class_name!r}")
    return _BY_NAME[class_name]


if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
