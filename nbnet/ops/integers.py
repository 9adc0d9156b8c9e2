"""Counting, and functions of integers: bincount, histogram, unique, nonzero, isin, gcd, lcm, shifts and the like.

Where shapes of results depend on values, these have to be known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.loading_budget import reserve
from nbnet.config import standardize_dtype
from nbnet.engine.graph.op import BOOL, INT
from nbnet.engine.graph.tensor import Tensor, exact_tensor, tensor, tensors
from nbnet.ops.broadcast import bitwise_not, floor_divide, multiply, power
from nbnet.ops.compare import all as all_of
from nbnet.ops.compare import any as any_of
from nbnet.ops.compare import equal, isclose, logical_and, logical_not
from nbnet.ops.convert import cast, convert_to_tensor, tensor_of
from nbnet.ops.places import index_tensor, known_integers, segment_sum
from nbnet.ops.reshape import expand_dims, ravel
from nbnet.ops.slicing import stack

Array = NDArray[Any]


def known_values(x: Any, op: str) -> Array:
    """The value of a tensor or array.

    Raises
    ------
    TypeError
        If a model computes it, or gradients flow through it: they would end here.
    """
    if isinstance(x, Tensor) and x.data is None:
        raise TypeError(f"{op}: expected values that are known when the model is built, got a computed tensor")
    return plain_array(x, "x")


def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """The number of times that each integer from 0 occurs, or the sum of the weights there.

    Parameters
    ----------
    x
        Integers from 0, of one axis; or of two, whose rows are counted one by one.
    weights
        Tensor or array of the shape of x, through which gradients flow; None to count, in int64.
    minlength
        Minimum length of the result. If a model computes x, it is the length, and other integers are left out.
    sparse
        False: tensors are dense.

    Raises
    ------
    ValueError
        If x has negative integers or another number of axes, or sparse is True.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.bincount([1, 2, 2]).numpy()
    array([0, 1, 2])
    """
    if sparse:
        raise ValueError("sparse: expected False, as tensors are dense")
    numbers = index_tensor(x, "x")
    if numbers.ndim not in (1, 2):
        raise ValueError(f"x: expected one or two axes, got shape {numbers.shape}")
    n = index(minlength)
    if numbers.data is not None:
        if numbers.data.min(initial=0) < 0:
            raise ValueError(f"x: expected integers from 0, got {numbers.data.min()}")
        n = max(n, int(numbers.data.max(initial=-1)) + 1)
    rows = numbers.shape[0] if numbers.ndim == 2 else 1
    reserve(n * rows, "bincount")
    if weights is None and numbers.data is not None:
        counts = [np.bincount(row, minlength=n) for row in numbers.data.reshape(rows, -1)]
        return tensor_of(np.stack(counts) if numbers.ndim == 2 else counts[0])
    given = tensor(np.ones(numbers.shape) if weights is None else weights)
    if given.shape != numbers.shape:
        raise ValueError(f"weights: expected one for each integer, shape {numbers.shape}, got {given.shape}")
    if numbers.ndim == 1:
        return segment_sum(given, numbers, n)
    values = known_integers(numbers, "x")
    return stack([segment_sum(given[k], values[k], n) for k in range(rows)], 0)


def histogram(x: Any, bins: Any = 10, range: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
    """The number of elements in each bin, int64, and the limits of the bins.

    Parameters
    ----------
    x
        Tensor or array; its values have to be known.
    bins
        Number of bins of equal width, or their limits.
    range
        Limits of all bins; None for the smallest and the largest element.

    Raises
    ------
    TypeError
        If a model computes x.

    Examples
    --------
    >>> import nbnet as nb
    >>> counts, limits = nb.ops.histogram([1.0, 2.0, 2.0, 3.0], bins=2)
    >>> counts.numpy(), limits.numpy()
    (array([1, 3]), array([1., 2., 3.], dtype=float32))
    """
    values = known_values(x, "histogram")
    if isinstance(bins, (int, np.integer)):
        if bins < 1:
            raise ValueError(f"bins: expected a positive number, got {bins}")
        reserve(int(bins), "histogram")
    counts, limits = np.histogram(values, bins if isinstance(bins, int) else plain_array(bins, "bins"), range)
    dtype = x.dtype if isinstance(x, Tensor) and x.dtype.kind == "f" else standardize_dtype(None)
    return tensor_of(counts), convert_to_tensor(limits, dtype)


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """Indices of the elements that are not zero, int64: a vector for each axis.

    Parameters
    ----------
    x
        Tensor or array; its values have to be known.

    Raises
    ------
    TypeError
        If a model computes x.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.numpy().tolist() for part in nb.ops.nonzero([[0.0, 1.0], [2.0, 0.0]])]
    [[0, 1], [1, 0]]
    """
    values = known_values(x, "nonzero")
    if not values.ndim:
        raise ValueError("x: expected at least one axis")
    return tuple(tensor_of(places) for places in np.nonzero(values))


def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different elements in ascending order.

    Parameters
    ----------
    x
        Tensor or array; its values have to be known. Each NaN is an element of its own.
    sorted
        They come in order in any case.
    return_index, return_inverse, return_counts
        Whether to return the index of the first one of each, too; for each element of x, the number of its value among
        the results; and how often each occurs.
    axis
        The axis along which parts are compared; None for the flattened x.
    size
        Number of results: more are cut off, fewer filled up.
    fill_value
        Value of those filled up; by default the smallest one.

    Raises
    ------
    TypeError
        If a model computes x.

    Examples
    --------
    >>> import nbnet as nb
    >>> values, counts = nb.ops.unique([3.0, 1.0, 3.0], return_counts=True)
    >>> values.numpy(), counts.numpy()
    (array([1., 3.], dtype=float32), array([1, 2]))
    """
    values = known_values(x if isinstance(x, Tensor) else convert_to_tensor(x), "unique")
    found, first, inverse, counts = np.unique(values, True, True, True, axis, equal_nan=False)
    at = 0 if axis is None else axis
    if size is not None:
        reserve(index(size) * max(found.size, 1), "unique")
        missing = index(size) - found.shape[at]
        found = found.take(range(min(size, found.shape[at])), at)
        first, counts = first[:size], counts[:size]
        if missing > 0:
            if not found.size:
                raise ValueError("x: expected at least one element, as the result is filled up")
            reserve(missing * max(found.size // max(found.shape[at], 1), 1), "unique")
            least = found.take([0], at)
            filling = least if fill_value is None else np.full_like(least, fill_value)
            found = np.concatenate([found, np.repeat(filling, missing, at)], at)
            first = np.concatenate([first, np.repeat(first[:1], missing)])
            counts = np.concatenate([counts, np.zeros(missing, counts.dtype)])
    further = [(return_index, first), (return_inverse, inverse), (return_counts, counts)]
    results = [tensor_of(found), *(tensor_of(part) for asked, part in further if asked)]
    return results[0] if len(results) == 1 else tuple(results)


def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """True where an element of x1 is one of x2.

    Parameters
    ----------
    x1, x2
        Tensors or arrays of any shapes.
    assume_unique
        No effect.
    invert
        If True, where it is none.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.isin([1.0, 2.0], [2.0, 3.0]).numpy() > 0
    array([False,  True])
    """
    a, b = tensors(x1, x2)
    found = any_of(equal(expand_dims(a, -1), ravel(b)), -1) if b.size else logical_and(equal(a, a), False)
    return logical_not(found) if invert else found


def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """True if all numbers differ by no more than ``atol + rtol * abs(x2)``.

    Parameters
    ----------
    x1, x2
        Tensors or arrays whose shapes broadcast.
    rtol, atol
        The tolerance.
    equal_nan
        If True, NaN is close to NaN.

    Examples
    --------
    >>> import nbnet as nb
    >>> bool(nb.ops.allclose([1.0, 2.0], [1.000001, 2.0]).item())
    True
    """
    return all_of(isclose(x1, x2, rtol, atol, equal_nan))


def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[Tensor, ...]:
    """Indices along each axis for indices in the flattened array, int64.

    Parameters
    ----------
    indices
        Integers, which have to be known.
    shape
        Shape of the array.

    Raises
    ------
    ValueError
        If an index is out of range.

    Examples
    --------
    >>> import nbnet as nb
    >>> [part.numpy().tolist() for part in nb.ops.unravel_index([1, 5], (2, 3))]
    [[0, 1], [1, 2]]
    """
    values, sizes = known_integers(indices, "indices"), tuple(index(n) for n in shape)
    total = int(np.prod(sizes, dtype=object))
    if values.size and not (-total <= values.min() and values.max() < total):
        raise ValueError(f"indices: expected integers below {total}, got {values.min()} to {values.max()}")
    return tuple(tensor_of(part) for part in np.unravel_index(values % max(total, 1), sizes))


def _of_integers(function: Callable[..., Any], x1: Any, x2: Any) -> Tensor:
    return tensor_of(function(known_integers(x1, "x1"), known_integers(x2, "x2")))


def gcd(x1: Any, x2: Any) -> Tensor:
    """The greatest common divisor of integers, which have to be known.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.gcd([12, 7], 18).numpy()
    array([6, 1])
    """
    return _of_integers(np.gcd, x1, x2)


def lcm(x1: Any, x2: Any) -> Tensor:
    """The least common multiple of integers, which have to be known.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.lcm([4, 3], 6).numpy()
    array([12,  6])
    """
    return _of_integers(np.lcm, x1, x2)


def bitwise_invert(x: Any) -> Tensor:
    """``~x`` of integers, ``-x - 1``, or the other one of booleans.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.bitwise_invert([0, 5]).numpy()
    array([-1, -6])
    """
    if isinstance(x, Tensor) and x.data is None:
        return bitwise_not(x)
    values = known_values(x, "bitwise_invert")
    if values.dtype.kind not in "iub":
        raise TypeError(
            f"x: expected integers or booleans, got {values.dtype}; of conditions, use nbnet.ops.logical_not"
        )
    return tensor_of(np.invert(values))


def bitwise_left_shift(x: Any, y: Any) -> Tensor:
    """``x * 2**y`` of integers.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.bitwise_left_shift([1, 3], 2).numpy()
    array([ 4, 12])
    """
    return _shifted(np.left_shift, multiply, x, y)


def bitwise_right_shift(x: Any, y: Any) -> Tensor:
    """``x / 2**y`` of integers, rounded down.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.bitwise_right_shift([8, 3], 1).numpy()
    array([4, 1])
    """
    return _shifted(np.right_shift, floor_divide, x, y)


def _shifted(known: Callable[..., Any], computed: Callable[..., Tensor], x: Any, y: Any) -> Tensor:
    """Shifted integers, by a function of NumPy if they are known; booleans count as 0 and 1."""
    a, b = (index_tensor(cast(v, INT) if exact_tensor(v).dtype == BOOL else v, f"x{k}") for k, v in ((1, x), (2, y)))
    if a.data is not None and b.data is not None:
        return tensor_of(known(a.data, b.data))
    return computed(a, power(np.int64(2), b))


left_shift, right_shift = bitwise_left_shift, bitwise_right_shift


def nextafter(x1: Any, x2: Any) -> Tensor:
    """The number next to x1 in the direction of x2; values have to be known, and no gradient flows.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.nextafter([1.0], [2.0]).numpy() > 1.0
    array([ True])
    """
    a, b = tensors(x1, x2)
    return tensor_of(np.nextafter(known_values(a, "nextafter"), known_values(b, "nextafter")))
