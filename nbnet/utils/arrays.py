"""Small transformations of arrays, done before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nbnet import random
from nbnet.config import standardize_dtype


def normalize(x: Any, axis: int = -1, order: int = 2) -> NDArray[Any]:
    """Each vector along an axis divided by its norm; zeros stay zeros.

    Parameters
    ----------
    x : array_like
        Of any shape with at least one axis; integers become floats of the framework's default dtype.
    axis : int
        The axis along which the vectors lie.
    order : int
        Order of the norm: 1 for the sum of magnitudes, 2 for Euclid's.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    array = np.atleast_1d(np.asarray(x))
    if array.dtype.kind not in "fiub":
        raise TypeError(f"x: wants real numbers, got {array.dtype}")
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
    """Sequences of different lengths as the rows of one array.

    Parameters
    ----------
    sequences
        Lists of numbers.
    maxlen
        Length of a row; by default that of the longest sequence.
    dtype
        Of the array.
    padding, truncating : {"pre", "post"}
        Where values are added to short sequences, and where they are cut from long ones.
    value
        What is added.

    Returns
    -------
    ndarray, (len(sequences), maxlen)

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
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"{name}: wants 'pre' or 'post', got {side!r}")
    length = max(map(len, sequences), default=0) if maxlen is None else maxlen
    rows = np.full((len(sequences), length), value, dtype)
    for row, sequence in zip(rows, sequences, strict=True):
        kept = np.asarray(sequence)[max(len(sequence) - length, 0) :] if truncating == "pre" else sequence[:length]
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
    """Arrays cut in two along their first axis.

    Parameters
    ----------
    dataset
        An array, or a tuple, list or dict of arrays of one length.
    left_size, right_size
        How many rows go to each side: integers count, floats in (0, 1) are shares. One of them is enough.
    shuffle
        Whether the rows are shuffled first.
    seed
        Of the shuffle.

    Returns
    -------
    left, right
        Of the structure of dataset.

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
    arrays = [np.asarray(part) for part in (parts if isinstance(parts, (list, tuple)) else [parts])]
    n = len(arrays[0])
    if any(len(array) != n for array in arrays):
        raise ValueError(f"dataset: wants arrays of one length, got {[len(array) for array in arrays]}")
    left, right = (_count(size, n, name) for size, name in ((left_size, "left_size"), (right_size, "right_size")))
    if left is None and right is None:
        raise ValueError("left_size: it or right_size must be given")
    left = n - (right or 0) if left is None else left
    right = n - left if right is None else right
    if left + right > n or min(left, right) < 0:
        raise ValueError(f"left_size: {left} and {right} rows are wanted, the dataset has {n}")
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
    """A number of rows from a number or a share."""
    if size is None:
        return None
    if isinstance(size, float):
        if not 0 < size < 1:
            raise ValueError(f"{name}: wants an integer or a share between 0 and 1, got {size!r}")
        return round(size * n)
    return int(size)
