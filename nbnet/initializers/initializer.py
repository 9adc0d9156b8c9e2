"""The base of all initializers, and the initializers without random numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet import random
from nbnet.base.array_memory import plain_array
from nbnet.base.registry import Configurable
from nbnet.base.validation import FINITE, check_bool, check_choice
from nbnet.config import standardize_dtype

Array = NDArray[Any]
Shape = tuple[int, ...]


class Initializer(Configurable, ABC):
    """Base of all initializers: a subclass defines ``__call__``, and ``get_config`` if it is no dataclass.

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
        """Return a new array.

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

    def clone(self) -> Self:
        """A new initializer from the configuration of this one."""
        return self.from_config(self.get_config())


class BuiltinInitializer(Initializer):
    """Base of nbnet's own initializers: checks the shape, and rounds values to the dtype."""

    def __call__(self, shape: Iterable[SupportsIndex] | SupportsIndex, dtype: DTypeLike | None = None) -> Array:
        sizes = tuple(random.as_integer(size, "shape") for size in (shape if isinstance(shape, Iterable) else (shape,)))
        if any(size < 0 for size in sizes):
            raise ValueError(f"shape: expected sizes from 0, got {sizes}")
        return np.ascontiguousarray(self._values(sizes), standardize_dtype(dtype)).reshape(sizes)

    @abstractmethod
    def _values(self, shape: Shape) -> Array:
        """The array in float64."""


@dataclass(frozen=True)
class Zeros(BuiltinInitializer):
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
class Ones(BuiltinInitializer):
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
class Constant(BuiltinInitializer):
    """All one value, or the values of an array that broadcasts to the shape.

    Parameters
    ----------
    value : float or array_like
        Finite numbers; those of an array are kept as tuples.

    Raises
    ------
    TypeError, ValueError
        If it is no finite number or array of them; when called, if an array does not broadcast to the shape.

    Examples
    --------
    >>> from nbnet.initializers import Constant
    >>> Constant(0.5)((2,)), Constant([1, 2])((2, 2))
    (array([0.5, 0.5], dtype=float32), array([[1., 2.],
           [1., 2.]], dtype=float32))
    """

    value: Any = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.value, (list, tuple, np.ndarray)) or np.ndim(self.value) == 0:
            FINITE.check(self.value, "value")
            return
        array = plain_array(self.value, "value")
        if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise ValueError(f"value: expected finite numbers, got an array of {array.dtype}")
        object.__setattr__(self, "value", _nested(array.astype(np.float64).tolist()))

    def _values(self, shape: Shape) -> Array:
        try:
            return np.array(np.broadcast_to(np.asarray(self.value, np.float64), shape))
        except ValueError:
            raise ValueError(f"value: has shape {np.shape(self.value)}, which does not broadcast to {shape}") from None


def _nested(values: Any) -> Any:
    """Lists as tuples, which can be compared and hashed."""
    return tuple(map(_nested, values)) if isinstance(values, list) else values


@dataclass(frozen=True)
class Identity(BuiltinInitializer):
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
        FINITE.check(self.gain, "gain")

    def _values(self, shape: Shape) -> Array:
        if len(shape) != 2:
            raise ValueError(f"shape: expected 2 axes for Identity, got {shape}")
        return self.gain * np.eye(*shape)


@dataclass(frozen=True)
class STFT(BuiltinInitializer):
    """Kernels of a convolution that is a short-time Fourier transform, (frame, 1, frequencies).

    Parameters
    ----------
    side : {"real", "imag"}
        Part of the transform: cosines, or negative sines.
    window : str, sequence of float or None
        Name of a window of ``scipy.signal``, or its values, one for each step of a frame; None for none.
    scaling : {"density", "spectrum"} or None
        Divide by the root of the window's squares, by its sum of magnitudes, or not at all.
    periodic : bool
        If True, a window that is named is periodic.

    Raises
    ------
    ValueError
        If an argument is none of these; when called, if the shape or the window's length does not fit.

    Examples
    --------
    >>> from nbnet.initializers import STFT
    >>> STFT("real", None)((2, 1, 3)).round(6) + 0.0
    array([[[ 1.,  1.,  1.]],
    <BLANKLINE>
           [[ 1.,  0., -1.]]], dtype=float32)
    """

    side: str = "real"
    window: Any = "hann"
    scaling: str | None = "density"
    periodic: bool = False

    def __post_init__(self) -> None:
        check_choice(self.side, "side", ("real", "imag"))
        if self.scaling is not None:
            check_choice(self.scaling, "scaling", ("density", "spectrum"))
        check_bool(self.periodic, "periodic")
        if isinstance(self.window, str):
            self._window(1)
        elif self.window is not None:
            array = plain_array(self.window, "window")
            if array.ndim != 1 or array.dtype.kind not in "fiub" or not np.isfinite(array).all():
                raise ValueError(f"window: expected a name or finite numbers, one for each step, got {self.window!r}")
            object.__setattr__(self, "window", _nested(array.astype(np.float64).tolist()))

    def _window(self, frame: int) -> Array:
        if not isinstance(self.window, str):
            return np.asarray(self.window)
        # Imported here: it takes longer to import than all of nbnet.
        from scipy.signal import get_window

        try:
            return np.asarray(get_window(self.window, frame, self.periodic))
        except ValueError as error:
            raise ValueError(f"window: expected a window of scipy.signal, got {self.window!r}: {error}") from None

    def _values(self, shape: Shape) -> Array:
        if len(shape) != 3 or shape[2] < 2:
            raise ValueError(f"shape: expected (frame, 1, frequencies) for STFT, got {shape}")
        frame, _, frequencies = shape
        angles = -np.pi * np.outer(np.arange(frame), np.arange(frequencies)) / (frequencies - 1)
        values = (np.cos if self.side == "real" else np.sin)(angles)
        if self.window is not None:
            window = self._window(frame)
            if len(window) != frame:
                raise ValueError(f"window: expected {frame} values, one for each step, got {len(window)}")
            scale = {"density": np.sqrt(np.sum(window**2)), "spectrum": np.sum(np.abs(window)), None: 1.0}
            values = values * (window / scale[self.scaling])[:, None]
        return np.array(np.broadcast_to(values[:, None, :], shape))
