"""How parameters start: Keras's initializers, with its names, arguments and formulas.

An initializer is a frozen record; calling it with a shape makes an array. With an integer ``seed`` it makes the same
array at every call; with ``seed=None`` it takes a new key each time (see :func:`nbnet.random.set_random_seed`). Arrays
are drawn in float64 and then rounded, so that a float32 and a float64 model start from the same weights.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, SupportsIndex, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet import random, registry
from nbnet.absences import absent
from nbnet.config import standardize_dtype

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

Array = NDArray[Any]
Shape = tuple[int, ...]

#: Standard deviation of a standard normal that is cut at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(ABC):
    """Base of all initializers: one of your own needs ``__call__``, and ``get_config`` if it is no dataclass.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from nbnet.initializers import Initializer
    >>> @dataclass(frozen=True)
    ... class Ramp(Initializer):
    ...     step: float = 1.0
    ...
    ...     def __call__(self, shape, dtype=None):
    ...         return np.full(shape, self.step, dtype or "float32").cumsum().reshape(shape)
    >>> Ramp(0.5)((2, 2))
    array([[0.5, 1. ],
           [1.5, 2. ]], dtype=float32)
    """

    @abstractmethod
    def __call__(self, shape: Shape, dtype: DTypeLike | None = None) -> Array:
        """Make an array.

        Parameters
        ----------
        shape : tuple of int
        dtype : None, float32 or float64
            None stands for :func:`nbnet.config.floatx`.

        Returns
        -------
        ndarray
            C-contiguous and writable.
        """

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with.

        Examples
        --------
        >>> from nbnet.initializers import RandomNormal
        >>> RandomNormal(stddev=0.1).get_config()
        {'mean': 0.0, 'stddev': 0.1, 'seed': None}
        """
        return asdict(self) if is_dataclass(self) else {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The initializer that :meth:`get_config` describes.

        Examples
        --------
        >>> from nbnet.initializers import Constant
        >>> Constant.from_config({"value": 2.0})
        Constant(value=2.0)
        """
        return cls(**config)


class _Standard(Initializer):
    """Base of the initializers below: checks the shape, rounds to the dtype."""

    def __call__(self, shape: Iterable[SupportsIndex] | SupportsIndex, dtype: DTypeLike | None = None) -> Array:
        sizes = shape if isinstance(shape, Iterable) else (shape,)
        checked = tuple(random.as_integer(size, "shape") for size in sizes)
        if any(size < 0 for size in checked):
            raise ValueError(f"shape must have no negative size, got {checked}")
        return np.ascontiguousarray(self._values(checked), standardize_dtype(dtype)).reshape(checked)

    @abstractmethod
    def _values(self, shape: Shape) -> Array:
        """The array in float64."""


def _check_finite(**arguments: float) -> None:
    for name, value in arguments.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value!r}")


@dataclass(frozen=True)
class Zeros(_Standard):
    """All 0.

    Examples
    --------
    >>> from nbnet.initializers import Zeros
    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    def _values(self, shape: Shape) -> Array:
        return np.zeros(shape)


@dataclass(frozen=True)
class Ones(_Standard):
    """All 1.

    Examples
    --------
    >>> from nbnet.initializers import Ones
    >>> Ones()((2,))
    array([1., 1.], dtype=float32)
    """

    def _values(self, shape: Shape) -> Array:
        return np.ones(shape)


@dataclass(frozen=True)
class Constant(_Standard):
    """All one value.

    Parameters
    ----------
    value : float

    Examples
    --------
    >>> from nbnet.initializers import Constant
    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        _check_finite(value=self.value)

    def _values(self, shape: Shape) -> Array:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Identity(_Standard):
    """``gain`` on the diagonal, 0 elsewhere. Matrices only.

    Parameters
    ----------
    gain : float

    Examples
    --------
    >>> from nbnet.initializers import Identity
    >>> Identity()((2, 3))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        _check_finite(gain=self.gain)

    def _values(self, shape: Shape) -> Array:
        if len(shape) != 2:
            raise ValueError(f"shape must have 2 dimensions for Identity, got {shape}")
        return self.gain * np.eye(*shape)


class _Random(_Standard):
    """Base of the initializers that draw."""

    # Each subclass declares it as its last field, where Keras has it.
    seed: int | None

    def __post_init__(self) -> None:
        if self.seed is not None:
            object.__setattr__(self, "seed", random.as_integer(self.seed, "seed"))

    def _generator(self) -> np.random.Generator:
        return random.generator(random.next_key() if self.seed is None else random.derive(self.seed))

    def _truncated_normal(self, mean: float, stddev: float, shape: Shape) -> Array:
        # Imported here: scipy.special takes longer to import than all of nbnet.
        from scipy.special import ndtr, ndtri

        low = ndtr(-2.0)
        return np.asarray(mean + stddev * ndtri(self._generator().uniform(low, 1.0 - low, shape)))


@dataclass(frozen=True)
class RandomNormal(_Random):
    """Normal, of a given mean and standard deviation.

    Parameters
    ----------
    mean, stddev : float
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import RandomNormal
    >>> RandomNormal(seed=1)((3, 2)).shape
    (3, 2)
    """

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_spread(self.mean, self.stddev)

    def _values(self, shape: Shape) -> Array:
        return self._generator().normal(self.mean, self.stddev, shape)


@dataclass(frozen=True)
class TruncatedNormal(_Random):
    """Normal, with values more than two standard deviations from the mean drawn again.

    Parameters
    ----------
    mean, stddev : float
        Of the normal before it is cut: what remains has 0.88 times that standard deviation.
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import TruncatedNormal
    >>> bool(abs(TruncatedNormal(stddev=1.0, seed=1)(1000)).max() <= 2)
    True
    """

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_spread(self.mean, self.stddev)

    def _values(self, shape: Shape) -> Array:
        return self._truncated_normal(self.mean, self.stddev, shape)


def _check_spread(mean: float, stddev: float) -> None:
    _check_finite(mean=mean, stddev=stddev)
    if stddev < 0:
        raise ValueError(f"stddev must be 0 or more, got {stddev!r}")


@dataclass(frozen=True)
class RandomUniform(_Random):
    """Uniform from ``minval`` to ``maxval``.

    Parameters
    ----------
    minval, maxval : float
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import RandomUniform
    >>> bool(abs(RandomUniform(seed=1)(1000)).max() <= 0.05)
    True
    """

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_finite(minval=self.minval, maxval=self.maxval)
        if self.minval > self.maxval:
            raise ValueError(f"minval must not exceed maxval, got {self.minval!r} and {self.maxval!r}")

    def _values(self, shape: Shape) -> Array:
        return self._generator().uniform(self.minval, self.maxval, shape)


@dataclass(frozen=True)
class Orthogonal(_Random):
    """``gain`` times a matrix with orthonormal rows or columns, whichever are fewer.

    Parameters
    ----------
    gain : float
    seed : int or None

    Notes
    -----
    More than two dimensions are taken as a matrix of all but the last by the last.

    References
    ----------
    A. M. Saxe, J. L. McClelland, S. Ganguli: Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks. ICLR 2014.

    Examples
    --------
    >>> from nbnet.initializers import Orthogonal
    >>> w = Orthogonal(seed=1)((4, 2))
    >>> (w.T @ w).round(3) + 0.0
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    gain: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_finite(gain=self.gain)

    def _values(self, shape: Shape) -> Array:
        if len(shape) < 2:
            raise ValueError(f"shape must have at least 2 dimensions for Orthogonal, got {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._generator().standard_normal((max(rows, columns), min(rows, columns))))
        # QR leaves the signs open; a positive diagonal of r makes q uniformly distributed.
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return np.asarray(self.gain * (q if rows >= columns else q.T).reshape(shape))


# ---- variance scaling ----------------------------------------------------------------------------------------


def compute_fans(shape: Shape) -> tuple[int, int]:
    """Inputs and outputs of a unit: ``(in, out)`` of a dense kernel; a convolution's are multiplied by its window.

    Examples
    --------
    >>> from nbnet.initializers import compute_fans
    >>> compute_fans((64, 10)), compute_fans((3, 3, 16, 32))
    ((64, 10), (144, 288))
    """
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")


@dataclass(frozen=True)
class VarianceScaling(_Random):
    """Zero mean and variance ``scale / fan``, so that signals keep their size from layer to layer.

    Parameters
    ----------
    scale : float
        More than 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        See :func:`compute_fans`.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        ``"normal"`` stands for ``"truncated_normal"``.
    seed : int or None

    Raises
    ------
    ValueError
        If an argument is none of these.

    Examples
    --------
    >>> from nbnet.initializers import VarianceScaling
    >>> w = VarianceScaling(2.0, "fan_in", "untruncated_normal", seed=1)((200, 300))
    >>> round(float(w.std()), 3)
    0.1
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.scale > 0 and math.isfinite(self.scale)):
            raise ValueError(f"scale must be more than 0 and finite, got {self.scale!r}")
        if self.mode not in _MODES:
            raise ValueError(f"mode must be one of {', '.join(_MODES)}, got {self.mode!r}")
        if self.distribution == "normal":
            object.__setattr__(self, "distribution", "truncated_normal")
        if self.distribution not in _DISTRIBUTIONS:
            raise ValueError(f"distribution must be one of {', '.join(_DISTRIBUTIONS)}, got {self.distribution!r}")

    def _values(self, shape: Shape) -> Array:
        fan_in, fan_out = compute_fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return self._generator().uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return self._generator().normal(0.0, stddev, shape)
        return self._truncated_normal(0.0, stddev / _TRUNCATED_STDDEV, shape)


@dataclass(frozen=True)
class _Scaled(_Random):
    """Base of the named recipes: variance scaling with everything but the seed decided.

    References
    ----------
    Glorot: X. Glorot, Y. Bengio: Understanding the difficulty of training deep feedforward networks. AISTATS 2010.
    He: K. He, X. Zhang, S. Ren, J. Sun: Delving deep into rectifiers. ICCV 2015. LeCun: Y. LeCun, L. Bottou, G. B.
    Orr, K.-R. Müller: Efficient backprop. Neural networks: tricks of the trade, 1998.
    """

    seed: int | None = None
    #: Scale, mode and distribution.
    recipe: ClassVar[tuple[float, str, str]]

    def _values(self, shape: Shape) -> Array:
        return VarianceScaling(*self.recipe, seed=self.seed)._values(shape)


class GlorotUniform(_Scaled):
    """Uniform of variance ``2 / (fan_in + fan_out)``: Keras's default for kernels.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import GlorotUniform
    >>> bool(abs(GlorotUniform(seed=1)((64, 32))).max() <= 0.25)
    True
    """

    recipe = 1.0, "fan_avg", "uniform"


class GlorotNormal(_Scaled):
    """Truncated normal of variance ``2 / (fan_in + fan_out)``.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import GlorotNormal
    >>> GlorotNormal(seed=1)((64, 32)).shape
    (64, 32)
    """

    recipe = 1.0, "fan_avg", "truncated_normal"


class HeUniform(_Scaled):
    """Uniform of variance ``2 / fan_in``, for ReLU.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import HeUniform
    >>> bool(abs(HeUniform(seed=1)((600, 32))).max() <= 0.1)
    True
    """

    recipe = 2.0, "fan_in", "uniform"


class HeNormal(_Scaled):
    """Truncated normal of variance ``2 / fan_in``, for ReLU.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import HeNormal
    >>> HeNormal(seed=1)((64, 32)).shape
    (64, 32)
    """

    recipe = 2.0, "fan_in", "truncated_normal"


class LecunUniform(_Scaled):
    """Uniform of variance ``1 / fan_in``.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import LecunUniform
    >>> bool(abs(LecunUniform(seed=1)((300, 32))).max() <= 0.1)
    True
    """

    recipe = 1.0, "fan_in", "uniform"


class LecunNormal(_Scaled):
    """Truncated normal of variance ``1 / fan_in``; what SELU wants.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import LecunNormal
    >>> LecunNormal(seed=1)((64, 32)).shape
    (64, 32)
    """

    recipe = 1.0, "fan_in", "truncated_normal"


# ---- names ---------------------------------------------------------------------------------------------------

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
_SNAKE_CASE = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): cls for name, cls in _CLASSES.items()}
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
    if config is None:
        return None
    with registry.custom_object_scope(custom_objects):
        made: Callable[..., Any] = get(config)
    return made


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
