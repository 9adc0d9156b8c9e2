"""Reductions that leave NaN out: nansum, nanmean, nanmax, nanquantile and the like."""

from __future__ import annotations

import math
from typing import Any

from nbnet.base.array_memory import plain_array
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.ops.broadcast import add, divide, maximum, multiply, subtract
from nbnet.ops.compare import all, isnan, where
from nbnet.ops.convert import cast
from nbnet.ops.create import ones_like
from nbnet.ops.cumulative import cumprod, cumsum, prod
from nbnet.ops.elementwise import ceil, floor, round, sqrt, square
from nbnet.ops.places import take_along_axis
from nbnet.ops.reduction import documents_axes, max, min, sum
from nbnet.ops.reshape import Axis
from nbnet.ops.sorting import METHODS, extreme_at, rows_of, sort, with_axes_back


def _filled(x: Any, value: float) -> tuple[Tensor, Tensor]:
    """``x`` with a number in place of NaN, and where NaN was."""
    made = tensor(x)
    absent = isnan(made)
    return where(absent, value, made), absent


@documents_axes
def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over axes without NaN; 0 if all are NaN.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nansum([1.0, float("nan"), 2.0]).item()
    3.0
    """
    return sum(_filled(x, 0.0)[0], axis, keepdims)


@documents_axes
def nanprod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product over axes without NaN; 1 if all are NaN.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanprod([3.0, float("nan"), 2.0]).item()
    6.0
    """
    return prod(_filled(x, 1.0)[0], axis, keepdims)


@documents_axes
def nanmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest elements over axes without NaN; NaN if all are.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanmax([1.0, float("nan"), 2.0]).item()
    2.0
    """
    filled, absent = _filled(x, -math.inf)
    return where(all(absent, axis, keepdims), math.nan, max(filled, axis, keepdims))


@documents_axes
def nanmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest elements over axes without NaN; NaN if all are.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanmin([1.0, float("nan"), 2.0]).item()
    1.0
    """
    filled, absent = _filled(x, math.inf)
    return where(all(absent, axis, keepdims), math.nan, min(filled, axis, keepdims))


@documents_axes
def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over axes without NaN; NaN if all are.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanmean([1.0, float("nan"), 2.0]).item()
    1.5
    """
    filled, absent = _filled(x, 0.0)
    return divide(sum(filled, axis, keepdims), _count(absent, filled, axis, keepdims))


def _count(absent: Tensor, x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    """The number of elements that are not NaN, as floats."""
    return sum(where(absent, 0.0, ones_like(x)), axis, keepdims)


@documents_axes
def nanvar(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The variance over axes without NaN; NaN if all are.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanvar([1.0, float("nan"), 3.0]).item()
    1.0
    """
    filled, absent = _filled(x, 0.0)
    apart = where(absent, 0.0, subtract(filled, nanmean(x, axis, keepdims=True)))
    return divide(sum(square(apart), axis, keepdims), _count(absent, filled, axis, keepdims))


@documents_axes
def nanstd(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The standard deviation over axes without NaN; NaN if all are.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanstd([1.0, float("nan"), 3.0]).item()
    1.0
    """
    return sqrt(nanvar(x, axis, keepdims))


def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Sums of the elements up to each one along an axis, with 0 in place of NaN.

    Parameters
    ----------
    x, axis, dtype
        As for :func:`nbnet.ops.cumsum`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nancumsum([1.0, float("nan"), 2.0]).numpy()
    array([1., 1., 3.], dtype=float32)
    """
    return cumsum(_filled(x, 0.0)[0], axis, dtype)


def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Products of the elements up to each one along an axis, with 1 in place of NaN.

    Parameters
    ----------
    x, axis, dtype
        As for :func:`nbnet.ops.cumsum`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nancumprod([3.0, float("nan"), 2.0]).numpy()
    array([3., 3., 6.], dtype=float32)
    """
    return cumprod(_filled(x, 1.0)[0], axis, dtype)


def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Indices of the largest elements without NaN along an axis, int64; -1 if all are NaN.

    Parameters
    ----------
    x, axis, keepdims
        As for :func:`nbnet.ops.argmax`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanargmax([1.0, float("nan"), 2.0]).item()
    2
    """
    return extreme_at(x, axis, keepdims, least=False, skip=True)


def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Indices of the smallest elements without NaN along an axis, int64; -1 if all are NaN.

    Parameters
    ----------
    x, axis, keepdims
        As for :func:`nbnet.ops.argmax`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanargmin([1.0, float("nan"), 2.0]).item()
    0
    """
    return extreme_at(x, axis, keepdims, least=True, skip=True)


def nanquantile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Quantiles over axes without NaN; NaN if all are.

    Parameters
    ----------
    x, q, axis, method, keepdims
        As for :func:`nbnet.ops.quantile`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanquantile([1.0, float("nan"), 2.0], 0.5).item()
    1.5
    """
    parts, rows, axes = rows_of(x, q, axis, method)
    absent = isnan(rows)
    ordered = sort(rows, -1)
    # The place of the last number: NaN comes behind it.
    last = subtract(_count(absent, where(absent, 0.0, rows), -1, True), 1.0)
    found = []
    for part in parts.reshape(-1).tolist():
        place = multiply(last, part)
        low, high, share = METHODS[method](place, floor, ceil, round)
        y = _element(ordered, low)
        if share is not None:
            y = add(multiply(y, subtract(1.0, share)), multiply(_element(ordered, high), share))
        found.append(y)
    return with_axes_back(found, parts, tensor(x), axes, keepdims)


def _element(rows: Tensor, at: Tensor) -> Tensor:
    """The element of each row at a place, the first one below 0."""
    return take_along_axis(rows, cast(maximum(at, 0.0), "int64"), -1)


def nanmedian(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The median over axes without NaN; NaN if all are.

    Parameters
    ----------
    x, axis, keepdims
        As for :func:`nbnet.ops.quantile`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanmedian([1.0, float("nan"), 2.0]).item()
    1.5
    """
    return nanquantile(x, 0.5, axis, keepdims=keepdims)


def nanpercentile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Percentiles over axes without NaN; NaN if all are.

    Parameters
    ----------
    x, axis, method, keepdims
        As for :func:`nbnet.ops.quantile`.
    q
        A number from 0 to 100, or several.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nanpercentile([1.0, float("nan"), 2.0], 100).item()
    2.0
    """
    return nanquantile(x, plain_array(q, "q") / 100, axis, method, keepdims)
