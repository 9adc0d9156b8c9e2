"""The default dtype of parameters and activations, and what is the same for all models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from nbnet.absences import absent

FLOAT_DTYPES = (np.dtype("float32"), np.dtype("float64"))

_floatx = FLOAT_DTYPES[0]


def floatx() -> str:
    """Name of the default dtype: ``"float32"`` unless :func:`set_floatx` said otherwise.

    Examples
    --------
    >>> from nbnet.config import floatx
    >>> floatx()
    'float32'
    """
    return _floatx.name


def set_floatx(value: str) -> None:
    """Set the default dtype of everything built from now on; what exists already keeps its own.

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
    """What computes: Numba.

    Examples
    --------
    >>> from nbnet.config import backend
    >>> backend()
    'numba'
    """
    return "numba"


def epsilon() -> float:
    """The small number that losses keep logarithms and divisions away from zero by.

    Examples
    --------
    >>> from nbnet.config import epsilon
    >>> epsilon()
    1e-07
    """
    return 1e-7


def image_data_format() -> str:
    """Where the channels of an image are: in the last axis.

    Examples
    --------
    >>> from nbnet.config import image_data_format
    >>> image_data_format()
    'channels_last'
    """
    return "channels_last"


def standardize_dtype(dtype: DTypeLike | None) -> np.dtype[Any]:
    """A dtype a model can compute in; None stands for :func:`floatx`.

    Parameters
    ----------
    dtype : None, str, type or numpy.dtype
        float32 or float64.

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
    ValueError: dtype must be float32 or float64, got 'float16'
    """
    return _floatx if dtype is None else _float_dtype(dtype, "dtype")


def _float_dtype(value: DTypeLike | None, name: str) -> np.dtype[Any]:
    # np.dtype(None) is float64: None is no dtype here.
    if value is not None:
        try:
            dtype = np.dtype(value)
        except TypeError:
            pass
        else:
            if dtype in FLOAT_DTYPES:
                return dtype
    raise ValueError(f"{name} must be float32 or float64, got {value!r}")


if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
