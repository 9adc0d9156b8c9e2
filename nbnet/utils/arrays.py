"""Transformations of arrays before training, and batches as tuples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet import random
from nbnet.base.array_memory import plain_array
from nbnet.base.validation import Interval, check_choice
from nbnet.config import standardize_dtype
from nbnet.engine.graph.tensor import Tensor, tensor


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Return class numbers as one-hot rows.

    Parameters
    ----------
    x : array_like of int
        Class numbers from 0, of any shape; a last axis of length 1 is dropped.
    num_classes : int, optional
        Number of classes; by default the largest class number plus 1.

    Returns
    -------
    ndarray, or Tensor for a tensor, (..., num_classes)
        1 at the class, else 0; of the default dtype.

    Raises
    ------
    TypeError
        If x holds no integers.
    ValueError
        If a number is negative, or ``num_classes`` or more.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    labels = plain_array(x, "x")
    if labels.dtype.kind == "f" and np.array_equal(labels, np.floor(labels)):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iub":
        raise TypeError(f"x: expected class numbers, integers from 0, got {labels.dtype}")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        if not labels.size:
            raise ValueError("num_classes: expected a number, because x is empty; got None")
        num_classes = int(labels.max()) + 1
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise ValueError(f"x: expected class numbers from 0 to {num_classes - 1}, got {wrong.flat[0]}")
    rows = np.zeros((labels.size, num_classes), standardize_dtype(None))
    rows[np.arange(labels.size), labels.reshape(-1).astype(np.int64)] = 1
    found = rows.reshape(*labels.shape, num_classes)
    return tensor(found) if isinstance(x, Tensor) else found


def normalize(x: Any, axis: int = -1, order: int = 2) -> NDArray[Any]:
    """Divide each vector along an axis by its norm; zeros stay zeros.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; integers become floats of the default dtype.
    axis : int
        Axis of the vectors.
    order : int
        Order of the norm: 1 for the sum of magnitudes, 2 for the Euclidean norm.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    array = np.atleast_1d(plain_array(x, "x"))
    if array.dtype.kind not in "fiub":
        raise TypeError(f"x: expected real numbers, got {array.dtype}")
    if array.dtype.kind != "f":
        array = array.astype(standardize_dtype(None))
    norms = np.linalg.norm(array, order, axis, keepdims=True)
    divided: NDArray[Any] = array / np.where(norms == 0, norms.dtype.type(1), norms)
    return divided


def pad_sequences(
    sequences: Sequence[Sequence[Any]],
    maxlen: int | None = None,
    dtype: DTypeLike = "int32",
    padding: Literal["pre", "post"] = "pre",
    truncating: Literal["pre", "post"] = "pre",
    value: float = 0.0,
) -> NDArray[Any]:
    """Return sequences of different lengths as the rows of one array.

    Parameters
    ----------
    sequences
        Lists of numbers, or of vectors of one length.
    maxlen
        Length of a row; by default that of the longest sequence.
    dtype
        Dtype of the array.
    padding, truncating : {"pre", "post"}
        Side on which short sequences are padded, and long ones are cut.
    value
        Value of the padding.

    Returns
    -------
    ndarray, (len(sequences), maxlen) or (len(sequences), maxlen, ...)

    Raises
    ------
    ValueError
        If padding or truncating is neither ``"pre"`` nor ``"post"``.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.pad_sequences([[1], [2, 3, 4]], maxlen=2)
    array([[0, 1],
           [3, 4]], dtype=int32)
    """
    check_choice(padding, "padding", ["pre", "post"])
    check_choice(truncating, "truncating", ["pre", "post"])
    length = max(map(len, sequences), default=0) if maxlen is None else maxlen
    arrays = [plain_array(sequence, "sequences") for sequence in sequences]
    shapes = {numbers.shape[1:] for numbers in arrays if len(numbers)}
    if len(shapes) > 1:
        raise ValueError(f"sequences: expected elements of one shape, got {sorted(shapes)}")
    rows = np.full((len(arrays), length, *(shapes.pop() if shapes else ())), value, dtype)
    for row, numbers in zip(rows, arrays, strict=True):
        kept = numbers[max(len(numbers) - length, 0) :] if truncating == "pre" else numbers[:length]
        if len(kept):
            row[slice(len(kept)) if padding == "post" else slice(length - len(kept), None)] = kept
    return rows


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Split arrays in two along their first axis.

    Parameters
    ----------
    dataset
        An array, or a tuple, list or dict of arrays of one length.
    left_size, right_size
        Number of rows of each side, or a share in (0, 1). One of them is enough.
    shuffle
        If True, shuffle the rows first.
    seed
        Seed of the shuffle.

    Returns
    -------
    left, right
        In the structure of dataset.

    Raises
    ------
    ValueError
        If the lengths differ, neither size is given, or the sizes do not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> left, right = nb.utils.split_dataset([[1, 2, 3, 4], [5, 6, 7, 8]], left_size=0.75)
    >>> left, right
    ([array([1, 2, 3]), array([5, 6, 7])], [array([4]), array([8])])
    """
    parts = list(dataset.values()) if isinstance(dataset, dict) else dataset
    arrays = [plain_array(part, "dataset") for part in (parts if isinstance(parts, (list, tuple)) else [parts])]
    n = len(arrays[0])
    if any(len(array) != n for array in arrays):
        raise ValueError(f"dataset: expected arrays of one length, got {[len(array) for array in arrays]}")
    left, right = (_count(size, n, name) for size, name in ((left_size, "left_size"), (right_size, "right_size")))
    if left is None and right is None:
        raise ValueError("left_size: expected a size here or in right_size, got None")
    left = n - (right or 0) if left is None else left
    right = n - left if right is None else right
    if left + right > n or min(left, right) < 0:
        raise ValueError(f"left_size: expected at most the {n} rows of the dataset, got {left} and {right}")
    order = np.arange(n)
    if shuffle:
        order = random.generator(random.next_key() if seed is None else seed).permutation(n)

    def side(rows: NDArray[Any]) -> Any:
        cut = [array[rows] for array in arrays]
        if isinstance(dataset, dict):
            return dict(zip(dataset, cut, strict=True))
        return type(dataset)(cut) if isinstance(dataset, (list, tuple)) else cut[0]

    return side(order[:left]), side(order[left : left + right])


def _count(size: float | None, n: int, name: str) -> int | None:
    """Return the number of rows of a size."""
    if size is None:
        return None
    if isinstance(size, float):
        return round(Interval(0, 1, above=True, below=True).check(size, name) * n)
    return int(size)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return inputs, targets and sample weights of a batch; None for missing ones.

    Parameters
    ----------
    data
        ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``.

    Raises
    ------
    ValueError
        If the tuple has more parts, or none.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.unpack_x_y_sample_weight(([1.0], [2.0]))
    ([1.0], [2.0], None)
    """
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"data: expected x, (x, y) or (x, y, sample_weight), got a tuple of {len(data)}")
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return a batch of inputs, targets and sample weights, without the last ones that are None.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.pack_x_y_sample_weight([1.0], [2.0])
    ([1.0], [2.0])
    """
    if y is None:
        return x if not isinstance(x, (list, tuple)) else (x,)
    return (x, y) if sample_weight is None else (x, y, sample_weight)
