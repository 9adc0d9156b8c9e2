"""The default dtype of parameters and activations, and constants of the framework."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from nbnet.base.unsupported_keras import keras_hint

FLOAT_DTYPES = (np.dtype("float32"), np.dtype("float64"))

_floatx = FLOAT_DTYPES[0]
_interactive = True
_filtering = False


def floatx() -> str:
    """Name of the default dtype: ``"float32"`` unless :func:`set_floatx` has changed it.

    Examples
    --------
    >>> from nbnet.config import floatx
    >>> floatx()
    'float32'
    """
    return _floatx.name


def set_floatx(value: str) -> None:
    """Set the default dtype of everything built from now on; existing objects keep theirs.

    Parameters
    ----------
    value : {"float32", "float64"}

    Raises
    ------
    ValueError
        For any other dtype.

    Examples
    --------
    >>> from nbnet.config import floatx, set_floatx
    >>> set_floatx("float64")
    >>> floatx()
    'float64'
    >>> set_floatx("float32")
    """
    global _floatx
    _floatx = _float_dtype(value, "value")


def backend() -> str:
    """Name of the backend: Numba.

    Examples
    --------
    >>> from nbnet.config import backend
    >>> backend()
    'numba'
    """
    return "numba"


def epsilon() -> float:
    """The small number by which losses keep arguments of logarithms and divisors away from zero.

    Examples
    --------
    >>> from nbnet.config import epsilon
    >>> epsilon()
    1e-07
    """
    return 1e-7


def image_data_format() -> str:
    """Position of the channel axis of images: the last.

    Examples
    --------
    >>> from nbnet.config import image_data_format
    >>> image_data_format()
    'channels_last'
    """
    return "channels_last"


def enable_interactive_logging() -> None:
    """Let ``verbose="auto"`` show progress, as it does by default.

    Examples
    --------
    >>> from nbnet import config
    >>> config.enable_interactive_logging()
    """
    global _interactive
    _interactive = True


def disable_interactive_logging() -> None:
    """Let ``verbose="auto"``, the default of fit, evaluate and predict, be silent.

    Examples
    --------
    >>> from nbnet import config
    >>> config.disable_interactive_logging()
    >>> config.is_interactive_logging_enabled()
    False
    >>> config.enable_interactive_logging()
    """
    global _interactive
    _interactive = False


def is_interactive_logging_enabled() -> bool:
    """Return True if ``verbose="auto"`` shows progress.

    Examples
    --------
    >>> from nbnet import config
    >>> config.is_interactive_logging_enabled()
    True
    """
    return _interactive


class DTypePolicy:
    """The dtype of a layer by its name, as the object that Keras has for it.

    Parameters
    ----------
    name : str or DTypePolicy
        ``"float32"`` or ``"float64"``.

    Raises
    ------
    ValueError
        For any other name, ``"mixed_float16"`` and ``"mixed_bfloat16"`` among them.

    Examples
    --------
    >>> from nbnet.config import DTypePolicy
    >>> policy = DTypePolicy("float64")
    >>> policy.name, policy.compute_dtype, policy.variable_dtype
    ('float64', 'float64', 'float64')
    """

    def __init__(self, name: Any) -> None:
        self.name = str(getattr(name, "name", name))
        if self.name not in ("float32", "float64"):
            raise ValueError(
                f"name: expected 'float32' or 'float64', got {self.name!r}: nothing is computed in shorter floats"
            )
        self.compute_dtype = self.variable_dtype = self.name

    def __repr__(self) -> str:
        return f"DTypePolicy({self.name!r})"


def standardize_dtype(dtype: DTypeLike | Mapping[str, Any] | DTypePolicy | None) -> np.dtype[Any]:
    """A dtype a model can compute in; None stands for :func:`floatx`.

    Parameters
    ----------
    dtype : None, str, type, numpy.dtype, DTypePolicy or dict
        float32 or float64; a dict is the configuration of a dtype policy of Keras's.

    Raises
    ------
    ValueError
        For any other dtype.

    Examples
    --------
    >>> from nbnet.config import standardize_dtype
    >>> standardize_dtype(None), standardize_dtype("float64")
    (dtype('float32'), dtype('float64'))
    >>> standardize_dtype("float16")
    Traceback (most recent call last):
        ...
    ValueError: dtype: expected float32 or float64, got 'float16'
    """
    if isinstance(dtype, Mapping):
        config = dtype.get("config")
        dtype = config.get("name") if isinstance(config, Mapping) else "?"
    if isinstance(dtype, DTypePolicy):
        dtype = dtype.name
    return _floatx if dtype is None else _float_dtype(dtype, "dtype")


def _float_dtype(value: DTypeLike | None, name: str) -> np.dtype[Any]:
    with suppress(TypeError, ValueError):
        # np.dtype(None) is float64: None is no dtype here.
        if value is not None and (dtype := np.dtype(value)) in FLOAT_DTYPES:
            return dtype
    raise ValueError(f"{name}: expected float32 or float64, got {value!r}")


if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)


def enable_traceback_filtering() -> None:
    """Accepted as in Keras; tracebacks are whole, and errors say what is wrong in their last line.

    Examples
    --------
    >>> from nbnet import config
    >>> config.enable_traceback_filtering()
    """
    global _filtering
    _filtering = True


def disable_traceback_filtering() -> None:
    """Accepted as in Keras; see :func:`enable_traceback_filtering`.

    Examples
    --------
    >>> from nbnet import config
    >>> config.disable_traceback_filtering()
    """
    global _filtering
    _filtering = False


def is_traceback_filtering_enabled() -> bool:
    """Return True after :func:`enable_traceback_filtering`.

    Examples
    --------
    >>> from nbnet import config
    >>> config.enable_traceback_filtering()
    >>> config.is_traceback_filtering_enabled()
    True
    """
    return _filtering
