"""Products and norms of vectors, matrices and tensors: einsum, tensordot, cross, correlate, norm and the like."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from nbnet.config import epsilon as _epsilon
from nbnet.engine.graph.tensor import Tensor, tensor, tensors
from nbnet.ops.broadcast import divide, maximum, multiply, power, subtract
from nbnet.ops.compare import equal, where
from nbnet.ops.conv import conv
from nbnet.ops.convert import tensor_of
from nbnet.ops.create import ones_like
from nbnet.ops.diagonals import diagonal
from nbnet.ops.elementwise import abs, sqrt, square
from nbnet.ops.index import pad
from nbnet.ops.linear_algebra import known_matrices
from nbnet.ops.matmul import matmul
from nbnet.ops.reduction import checked_axes, mean, reduced_shape, sum
from nbnet.ops.reduction import max as max_of
from nbnet.ops.reduction import min as min_of
from nbnet.ops.reshape import (
    Axis,
    broadcast_to,
    checked_axis,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
    transpose,
)
from nbnet.ops.slicing import cut, stack

# ---- einsum --------------------------------------------------------------------------------------------------

#: Labels that stand for the axes of an ellipsis, from the last one.
_ELLIPSIS = "".join(chr(k) for k in range(0x410, 0x430))


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """Sums of products of tensors, whose axes have letters.

    Parameters
    ----------
    subscripts
        Letters of the axes of each operand, separated by commas, an arrow and those of the result:
        ``"bij,bjk->bik"``. Axes whose letter is not in the result are summed. Without an arrow, the result has the
        letters that occur once, in alphabetical order. ``...`` stands for further axes, which broadcast.
    *operands
        Tensors or arrays.

    Raises
    ------
    ValueError
        If subscripts and shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0]).numpy()
    array([21., 43.], dtype=float32)
    """
    xs = list(tensors(*operands))
    inputs, output = _parsed(subscripts, [x.ndim for x in xs])
    sizes: dict[str, int] = {}
    for x, labels in zip(xs, inputs, strict=True):
        for n, label in zip(x.shape, labels, strict=True):
            if sizes.setdefault(label, n) != n and 1 not in (n, sizes[label]):
                raise ValueError(f"subscripts: an axis of {subscripts!r} has lengths {sizes[label]} and {n}")
            sizes[label] = n if sizes[label] == 1 else sizes[label]
    parts = [_without_repeats(x, labels) for x, labels in zip(xs, inputs, strict=True)]
    y, labels = parts[0]
    for k, (x, own) in enumerate(parts[1:], 2):
        needed = set(output).union(*(others for _, others in parts[k:]))
        y, labels = _pair(y, labels, x, own, needed, sizes)
    return _arranged(*_summed(y, labels, set(output)), output)


def _parsed(subscripts: str, ndims: Sequence[int]) -> tuple[list[str], str]:
    """The labels of the operands and of the result, with those of ellipses."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ndims):
        raise ValueError(f"subscripts: {subscripts!r} is for {len(inputs)} operands, got {len(ndims)}")
    found, longest = [], 0
    for labels, ndim in zip(inputs, ndims, strict=True):
        named = labels.replace("...", "", 1)
        more = ndim - len(named)
        if not all(label in string.ascii_letters for label in named):
            raise ValueError(f"subscripts: expected letters and at most one '...', got {labels!r}")
        if more < 0 or (more and "..." not in labels):
            raise ValueError(f"subscripts: {labels!r} is not for an operand of {ndim} axes")
        longest = max(longest, more)
        found.append(labels.replace("...", _ELLIPSIS[len(_ELLIPSIS) - more :]))
    once = sorted(label for label in set(left) & set(string.ascii_letters) if left.count(label) == 1)
    output = right if arrow else "..." + "".join(once)
    output = output.replace("...", _ELLIPSIS[len(_ELLIPSIS) - longest :], 1)
    if len(set(output)) != len(output) or not set(output) <= set("".join(found)):
        raise ValueError(f"subscripts: expected letters of the operands once each in the result, got {subscripts!r}")
    return found, output


def _without_repeats(x: Tensor, labels: str) -> tuple[Tensor, str]:
    """The diagonal of axes that have one letter."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first, second = labels.index(label), labels.rindex(label)
            if x.shape[first] != x.shape[second]:
                raise ValueError(f"subscripts: axes {label!r} have lengths {x.shape[first]} and {x.shape[second]}")
            x = diagonal(x, axis1=first, axis2=second)
            labels = labels[:first] + labels[first + 1 : second] + labels[second + 1 :] + label
    return x, labels


def _summed(x: Tensor, labels: str, needed: set[str]) -> tuple[Tensor, str]:
    """Sums over axes that nothing else needs."""
    over = [k for k, label in enumerate(labels) if label not in needed]
    return (sum(x, over) if over else x), "".join(label for label in labels if label in needed)


def _arranged(x: Tensor, labels: str, wanted: str) -> Tensor:
    """``x`` with its axes in another order."""
    return x if labels == wanted else transpose(x, [labels.index(label) for label in wanted])


def _pair(
    a: Tensor, a_labels: str, b: Tensor, b_labels: str, needed: set[str], sizes: dict[str, int]
) -> tuple[Tensor, str]:
    """The product of two tensors, summed over axes that only they have: a product of matrices, for each index along
    axes that both have and the result keeps."""
    a, a_labels = _summed(a, a_labels, needed | set(b_labels))
    b, b_labels = _summed(b, b_labels, needed | set(a_labels))
    # An axis of length 1 beside a longer one broadcasts.
    a, b = (
        broadcast_to(x, tuple(sizes[label] if label in both else n for n, label in zip(x.shape, labels, strict=True)))
        for both in [set(a_labels) & set(b_labels)]
        for x, labels in ((a, a_labels), (b, b_labels))
    )
    shared = [label for label in a_labels if label in b_labels]
    batch = "".join(label for label in shared if label in needed)
    inner = "".join(label for label in shared if label not in needed)
    rows = "".join(label for label in a_labels if label not in b_labels)
    columns = "".join(label for label in b_labels if label not in a_labels)
    a, b = _arranged(a, a_labels, batch + rows + inner), _arranged(b, b_labels, batch + inner + columns)
    of_batch, of_rows = a.shape[: len(batch)], a.shape[len(batch) : len(batch + rows)]
    of_columns = b.shape[len(batch + inner) :]
    if not inner:
        a = reshape(a, (*of_batch, *of_rows, *[1] * len(columns)))
        b = reshape(b, (*of_batch, *[1] * len(rows), *of_columns))
        return multiply(a, b), batch + rows + columns
    depth = prod(a.shape[len(batch + rows) :])
    # Without a batch, the axes of rows stay apart: the first one may be that of a model's batch.
    a = reshape(a, (*of_batch, prod(of_rows), depth) if batch else (*of_rows, depth))
    y = matmul(a, reshape(b, (*of_batch, depth, prod(of_columns))))
    return reshape(y, (*of_batch, *of_rows, *of_columns)), batch + rows + columns


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """Sums of products over axes of two tensors.

    Parameters
    ----------
    x1, x2
        Tensors or arrays.
    axes
        Number of the last axes of x1 and the first ones of x2; or a pair: axes of x1, and those of x2.

    Raises
    ------
    ValueError
        If an axis is out of range, or lengths differ.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.tensordot([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0], axes=1).numpy()
    array([21., 43.], dtype=float32)
    """
    a, b = tensors(x1, x2)
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise ValueError(f"axes: {axes} is out of range for shapes {a.shape} and {b.shape}")
        first, second = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        given = [[part] if isinstance(part, (int, np.integer)) else list(part) for part in axes]
        first, second = ([checked_axis(int(k), x.ndim) for k in part] for part, x in zip(given, (a, b), strict=True))
    if [a.shape[k] for k in first] != [b.shape[k] for k in second]:
        raise ValueError(f"axes: {axes} have other lengths in {a.shape} than in {b.shape}")
    letters = string.ascii_letters
    a_labels, b_labels = list(letters[: a.ndim]), list(letters[a.ndim : a.ndim + b.ndim])
    for one, other in zip(first, second, strict=True):
        b_labels[other] = a_labels[one]
    left = [label for label in (*a_labels, *b_labels) if not (label in a_labels and label in b_labels)]
    return einsum(f"{''.join(a_labels)},{''.join(b_labels)}->{''.join(left)}", a, b)


def inner(x1: Any, x2: Any) -> Tensor:
    """Sums of products over the last axes of two tensors; the product, if one is a number.

    Raises
    ------
    ValueError
        If the last axes have different lengths.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.inner([1.0, 2.0], [3.0, 4.0]).item()
    11.0
    """
    a, b = tensors(x1, x2)
    return tensordot(a, b, ([-1], [-1])) if a.shape and b.shape else multiply(a, b)


def vdot(x1: Any, x2: Any) -> Tensor:
    """The sum of products of all elements of two tensors.

    Raises
    ------
    ValueError
        If they have different numbers of elements.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.vdot([[1.0, 2.0]], [[3.0], [4.0]]).item()
    11.0
    """
    a, b = tensors(x1, x2)
    if a.size != b.size:
        raise ValueError(f"x1, x2: expected as many elements in both, got shapes {a.shape} and {b.shape}")
    return sum(multiply(ravel(a), ravel(b)))


def kron(x1: Any, x2: Any) -> Tensor:
    """The Kronecker product: each element of x1 times the whole of x2, in its place.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.kron([1.0, 10.0], [1.0, 2.0]).numpy()
    array([ 1.,  2., 10., 20.], dtype=float32)
    """
    a, b = tensors(x1, x2)
    ndim = max(a.ndim, b.ndim)
    a, b = (reshape(x, (1,) * (ndim - x.ndim) + x.shape) for x in (a, b))
    y = multiply(
        reshape(a, tuple(m for n in a.shape for m in (n, 1))), reshape(b, tuple(m for n in b.shape for m in (1, n)))
    )
    return reshape(y, tuple(n * m for n, m in zip(a.shape, b.shape, strict=True)))


def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """The cross product of vectors of three elements, or of two, whose third one is 0.

    Parameters
    ----------
    x1, x2
        Tensors or arrays whose other axes broadcast.
    axisa, axisb, axisc
        Axis of the vectors in x1, in x2 and in the result.
    axis
        The same for all three.

    Returns
    -------
    The vectors; of two vectors of two elements, only the third one, without that axis.

    Raises
    ------
    ValueError
        If the vectors have other lengths.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]).numpy()
    array([0., 0., 1.], dtype=float32)
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = tensors(x1, x2)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if not {a.shape[-1], b.shape[-1]} <= {2, 3}:
        raise ValueError(f"x1, x2: expected vectors of 2 or 3 elements, got shapes {a.shape} and {b.shape}")
    flat = a.shape[-1] == b.shape[-1] == 2
    u, v = ([_element(x, k) if k < x.shape[-1] else None for k in range(3)] for x in (a, b))

    def part(i: int, j: int) -> Tensor:
        """``u_i v_j - u_j v_i``, where absent elements are 0."""
        terms = [multiply(s, t) if s is not None and t is not None else None for s, t in ((u[i], v[j]), (u[j], v[i]))]
        first, second = terms
        if first is None:
            return multiply(second, -1.0)
        return first if second is None else subtract(first, second)

    if flat:
        return part(0, 1)
    return moveaxis(stack([part(1, 2), part(2, 0), part(0, 1)], -1), -1, axisc)


def _element(x: Tensor, k: int) -> Tensor:
    """``x[..., k]``"""
    return reshape(cut(x, x.ndim - 1, k, 1), x.shape[:-1])


def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    """The correlation of two vectors: sums of products at each shift.

    Parameters
    ----------
    x1, x2
        Vectors.
    mode : {"valid", "same", "full"}
        Shifts at which the shorter one lies inside the other; as many as the longer one has elements; or all at which
        they overlap.

    Raises
    ------
    ValueError
        If they are no vectors, or mode is anything else.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.correlate([1.0, 2.0, 3.0], [0.0, 1.0, 0.5]).numpy()
    array([3.5], dtype=float32)
    """
    a, b = tensors(x1, x2)
    if a.ndim != 1 or b.ndim != 1 or not a.size or not b.size:
        raise ValueError(f"x1, x2: expected vectors, got shapes {a.shape} and {b.shape}")
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"mode: expected 'valid', 'same' or 'full', got {mode!r}")
    short = b.size - 1
    padded = pad(a, short)
    y = reshape(conv(reshape(padded, (1, -1, 1)), reshape(b, (-1, 1, 1))), (-1,))
    least, most = sorted((a.size, b.size))
    if mode == "full":
        return y
    if mode == "valid":
        return cut(y, 0, least - 1, most - least + 1)
    # NumPy swaps the operands and turns the result if the second is longer.
    start = (least - 1) // 2 if a.size >= b.size else (y.size - most + 1) // 2
    return cut(y, 0, start, most)


def corrcoef(x: Any) -> Tensor:
    """The correlation coefficients of the rows of a matrix.

    Parameters
    ----------
    x
        (variables, observations), or a vector: one variable.

    Returns
    -------
    Tensor of shape (variables, variables), with numbers from -1 to 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.corrcoef([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]).numpy().round(4)
    array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    made = tensor(x)
    if made.ndim > 2:
        raise ValueError(f"x: expected a matrix, got shape {made.shape}")
    rows = made if made.ndim == 2 else reshape(made, (1, -1))
    apart = subtract(rows, mean(rows, 1, keepdims=True))
    unit = divide(apart, sqrt(sum(square(apart), 1, keepdims=True)))
    y = matmul(unit, transpose(unit))
    return y if made.ndim == 2 else reshape(y, ())


def cdist(x: Any, y: Any) -> Tensor:
    """Euclidean distances between two sets of points; where two points are equal, no gradient flows.

    Parameters
    ----------
    x
        (..., n, k): n points.
    y
        (..., m, k): m points.

    Returns
    -------
    Tensor of shape (..., n, m).

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.cdist([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]).numpy()
    array([[5., 1.]], dtype=float32)
    """
    a, b = tensors(x, y)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"x, y: expected points (..., n, k) and (..., m, k), got shapes {a.shape} and {b.shape}")
    total = sum(square(subtract(expand_dims(a, -2), expand_dims(b, -3))), -1)
    tiny = float(np.finfo(a.dtype).tiny)
    return sqrt(maximum(total, tiny))


# ---- norms ---------------------------------------------------------------------------------------------------


def norm(x: Any, ord: int | float | str | None = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors along an axis, or of matrices along two.

    Parameters
    ----------
    x
        Tensor or array.
    ord
        None: the root of the sum of squares, over all axes if axis is None. Of vectors: a number p for the p-th root
        of the sum of p-th powers of magnitudes, 0 for the number of elements that are not 0, infinity and minus
        infinity for the largest and the smallest magnitude. Of matrices: ``"fro"`` as None; 1 and -1, infinity and
        minus infinity for the largest and the smallest sum of magnitudes of a column or of a row; 2, -2 and ``"nuc"``
        for the largest and the smallest singular value, and for their sum, through which no gradient flows.
    axis
        An axis of vectors, or two of matrices; None for a vector or a matrix x.
    keepdims
        If True, reduced axes stay, with length 1.

    Raises
    ------
    TypeError
        If a singular value is asked for of what a model computes.
    ValueError
        If ord or axis is anything else.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.norm([[3.0, 4.0]], axis=1).numpy()
    array([5.], dtype=float32)
    """
    made = tensor(x)
    if ord is None and (axis is None or not isinstance(axis, Sequence) or len(axis) == 2):
        return sqrt(sum(square(made), axis, keepdims))
    axes = checked_axes(axis, made.ndim)
    if len(axes) == 1:
        return _vector_norm(made, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError(f"axis: expected an axis or two, got {axis!r} for shape {made.shape}")
    given = axis if isinstance(axis, Sequence) else axes
    rows, columns = (checked_axis(k, made.ndim) for k in given)
    return _matrix_norm(made, ord, rows, columns, keepdims)


def _vector_norm(x: Tensor, ord: Any, axis: int, keepdims: bool) -> Tensor:
    if isinstance(ord, str):
        raise ValueError(f"ord: expected a number for vectors, got {ord!r}")
    size = abs(x)
    if ord in (math.inf, -math.inf):
        return (max_of if ord > 0 else min_of)(size, axis, keepdims)
    if ord == 0:
        return sum(where(equal(x, 0.0), 0.0, ones_like(x)), axis, keepdims)
    if ord == 1:
        return sum(size, axis, keepdims)
    if ord == 2:
        return sqrt(sum(square(x), axis, keepdims))
    return power(sum(power(size, float(ord)), axis, keepdims), 1.0 / float(ord))


def _matrix_norm(x: Tensor, ord: Any, rows: int, columns: int, keepdims: bool) -> Tensor:
    if ord in ("fro", None):
        return sqrt(sum(square(x), (rows, columns), keepdims))
    if ord in (1, -1, math.inf, -math.inf):
        within, among = (rows, columns) if ord in (1, -1) else (columns, rows)
        y = (max_of if ord > 0 else min_of)(sum(abs(x), within, keepdims=True), among, keepdims=True)
    elif ord in (2, -2, "nuc"):
        ending = moveaxis(moveaxis(x, rows, -1), columns if columns < rows else columns - 1, -1)
        values = np.linalg.svd(known_matrices(ending, "norm"), compute_uv=False)
        found = values.sum(-1) if ord == "nuc" else values.max(-1) if ord == 2 else values.min(-1)
        y = reshape(tensor_of(found), tuple(1 if k in (rows, columns) else n for k, n in enumerate(x.shape)))
    else:
        raise ValueError(f"ord: expected 'fro', 'nuc', 1, -1, 2, -2 or an infinity for matrices, got {ord!r}")
    return reshape(y, reduced_shape(y.shape, (rows, columns), keepdims))


def normalize(x: Any, axis: Axis = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """Vectors along an axis, each divided by its norm.

    Parameters
    ----------
    x
        Tensor or array.
    axis
        The axis along which the vectors lie.
    order
        Order of the norm from 1; see :func:`norm`.
    epsilon
        Lower bound of the norms; None for :func:`nbnet.config.epsilon`.

    Raises
    ------
    ValueError
        If order is no positive integer.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.ops.normalize([[3.0, 4.0]]).numpy()
    array([[0.6, 0.8]], dtype=float32)
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"order: expected a positive integer, got {order!r}")
    made, least = tensor(x), _epsilon() if epsilon is None else epsilon
    if not made.shape:
        made = reshape(made, (1,))
    if order == 2:
        # Under the root, so that the gradient of a vector of zeros is not NaN.
        return divide(made, sqrt(maximum(sum(square(made), axis, keepdims=True), least**2)))
    return divide(made, maximum(norm(made, order, axis, keepdims=True), least))
