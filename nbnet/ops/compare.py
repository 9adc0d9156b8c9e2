"""Comparisons, with broadcasting: 1 where they hold and 0 elsewhere, for tensors hold floats."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import device
from nbnet.core.graph import Tensor
from nbnet.core.tape import apply, tensors
from nbnet.ops.broadcast import comparison


@device
def _equal(a: Any, b: Any) -> Any:
    return 1.0 if a == b else 0.0


@device
def _greater(a: Any, b: Any) -> Any:
    return 1.0 if a > b else 0.0


@device
def _greater_equal(a: Any, b: Any) -> Any:
    return 1.0 if a >= b else 0.0


@device
def _less(a: Any, b: Any) -> Any:
    return 1.0 if a < b else 0.0


@device
def _less_equal(a: Any, b: Any) -> Any:
    return 1.0 if a <= b else 0.0


@device
def _not_equal(a: Any, b: Any) -> Any:
    return 1.0 if a != b else 0.0


EQUAL = comparison("equal", _equal)
GREATER = comparison("greater", _greater)
GREATER_EQUAL = comparison("greater_equal", _greater_equal)
LESS = comparison("less", _less)
LESS_EQUAL = comparison("less_equal", _less_equal)
NOT_EQUAL = comparison("not_equal", _not_equal)


def equal(a: Any, b: Any) -> Tensor:
    """1.0 where a is b, else 0.0; no gradient flows.

    Parameters
    ----------
    a, b
        Tensors, arrays or numbers whose shapes broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.equal([1.0, 2.0], [1.0, 3.0]).numpy()
    array([1., 0.], dtype=float32)
    """
    return apply(EQUAL, *tensors(a, b))  # type: ignore[no-any-return]


def greater(a: Any, b: Any) -> Tensor:
    """1.0 where a is larger than b, else 0.0; no gradient flows.

    Parameters
    ----------
    a, b
        Tensors, arrays or numbers whose shapes broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.greater([1.0, 2.0], 1.0).numpy()
    array([0., 1.], dtype=float32)
    """
    return apply(GREATER, *tensors(a, b))  # type: ignore[no-any-return]


def greater_equal(a: Any, b: Any) -> Tensor:
    """1.0 where a is at least b, else 0.0; no gradient flows.

    Parameters
    ----------
    a, b
        Tensors, arrays or numbers whose shapes broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.greater_equal([1.0, 0.0], 1.0).numpy()
    array([1., 0.], dtype=float32)
    """
    return apply(GREATER_EQUAL, *tensors(a, b))  # type: ignore[no-any-return]


def less(a: Any, b: Any) -> Tensor:
    """1.0 where a is smaller than b, else 0.0; no gradient flows.

    Parameters
    ----------
    a, b
        Tensors, arrays or numbers whose shapes broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.less([1.0, 0.0], 1.0).numpy()
    array([0., 1.], dtype=float32)
    """
    return apply(LESS, *tensors(a, b))  # type: ignore[no-any-return]


def less_equal(a: Any, b: Any) -> Tensor:
    """1.0 where a is at most b, else 0.0; no gradient flows.

    Parameters
    ----------
    a, b
        Tensors, arrays or numbers whose shapes broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.less_equal([1.0, 2.0], 1.0).numpy()
    array([1., 0.], dtype=float32)
    """
    return apply(LESS_EQUAL, *tensors(a, b))  # type: ignore[no-any-return]


def not_equal(a: Any, b: Any) -> Tensor:
    """1.0 where a is not b, else 0.0; no gradient flows.

    Parameters
    ----------
    a, b
        Tensors, arrays or numbers whose shapes broadcast.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.not_equal([1.0, 2.0], [1.0, 3.0]).numpy()
    array([0., 1.], dtype=float32)
    """
    return apply(NOT_EQUAL, *tensors(a, b))  # type: ignore[no-any-return]
