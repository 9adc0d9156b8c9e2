"""Numbers of categories and bins as vectors: CategoryEncoding and Discretization."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import ops
from nbnet.base.array_memory import held_array
from nbnet.base.validation import check_choice, check_int
from nbnet.data.streams import as_stream, is_stream
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer

Array = NDArray[Any]

#: Forms of the output beside ``"int"``.
ENCODINGS = ("one_hot", "multi_hot", "count")


def check_mode(output_mode: str, sparse: bool, choices: Iterable[str]) -> str:
    """Return the form of the output, with Keras's old names translated; ValueError for others and sparse tensors."""
    if sparse:
        raise ValueError("sparse: expected False, as tensors are dense")
    mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(output_mode, output_mode)
    return check_choice(mode, "output_mode", tuple(choices))


def encode(numbers: Tensor, mode: str, depth: int, dtype: Any, weights: Tensor | None = None) -> Tensor:
    """Return class numbers as vectors; numbers out of range count nowhere.

    Parameters
    ----------
    numbers
        Integers, or floats that hold whole numbers.
    mode
        ``"one_hot"``: a vector for each number, in place of a last axis of length 1. ``"multi_hot"``, ``"count"``: a
        vector for all numbers along axis 1, or along the only axis.
    depth
        Length of the vectors.
    dtype
        Of the vectors.
    weights
        With ``"count"``, what each number counts; by default 1.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.layers.categories import encode
    >>> encode(nb.tensor([[0.0, 2.0, 2.0]]), "count", 3, "float32").numpy()
    array([[1., 0., 2.]], dtype=float32)
    """
    if numbers.ndim == 0:
        numbers = ops.reshape(numbers, (1,))
    if mode == "one_hot" and numbers.ndim > 1 and numbers.shape[-1] == 1:
        numbers = _reshaped(numbers, numbers.shape[:-1])
    hot = ops.one_hot(numbers, depth, dtype=dtype)
    if mode == "one_hot":
        return hot
    axis = 1 if numbers.ndim > 1 else 0
    if mode == "multi_hot":
        return ops.max(hot, axis)
    return ops.sum(hot if weights is None else hot * ops.expand_dims(weights, -1), axis)


def encoded_shape(given: Any, mode: str, depth: int | None) -> tuple[int | None, ...]:
    """Return the shape of what :func:`encode` makes of numbers of a shape, or of the numbers with ``"int"``.

    Examples
    --------
    >>> from nbnet.layers.categories import encoded_shape
    >>> encoded_shape((None, 3), "one_hot", 5), encoded_shape((None, 3), "count", 5)
    ((None, 3, 5), (None, 5))
    """
    shape: tuple[int | None, ...] = tuple(given)
    if mode == "int":
        return shape
    if mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)
    return (*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,)


def _reshaped(numbers: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return numbers without their last axis, of length 1; integers that a program computes are no input of reshape."""
    if numbers.dtype.kind == "f":
        return ops.reshape(numbers, shape)
    if numbers.data is not None:
        return Tensor(shape, numbers.dtype, numbers.numpy().reshape(shape))
    return ops.squeeze(numbers, -1)


class CategoryEncoding(Layer):
    """Encodes class numbers as vectors.

    Parameters
    ----------
    num_tokens
        Number of classes: the length of the vectors. Numbers out of range, and NaN, count nowhere.
    output_mode : {"multi_hot", "one_hot", "count"}
        ``"one_hot"``: a vector for each number, in place of a last axis of length 1. ``"multi_hot"``: a vector for
        each row, with ones at the classes that occur in it. ``"count"``: a vector with the number of times that each
        occurs.
    sparse
        Only False: tensors are dense.

    Raises
    ------
    ValueError
        If an argument is out of range, or ``count_weights`` are passed in another mode than ``"count"``.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.CategoryEncoding(4)([[0, 1], [3, 3]]).numpy()
    array([[1., 1., 0., 0.],
           [0., 0., 0., 1.]], dtype=float32)
    """

    _arguments = ("num_tokens", "output_mode", "sparse")
    integer_input = True

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if num_tokens is None:
            raise ValueError("num_tokens: expected the number of classes, got None; IntegerLookup learns it from data")
        self.num_tokens = check_int(num_tokens, "num_tokens")
        self.output_mode, self.sparse = check_mode(output_mode, sparse, ENCODINGS), False

    def call(self, inputs: Tensor, count_weights: Any = None) -> Tensor:
        if count_weights is None:
            return encode(inputs, self.output_mode, self.num_tokens, self.dtype)
        if self.output_mode != "count":
            raise ValueError(f"count_weights: expected None with output_mode {self.output_mode!r}")
        weights = count_weights if isinstance(count_weights, Tensor) else ops.convert_to_tensor(count_weights)
        if weights.shape != inputs.shape:
            raise ValueError(f"count_weights: expected the shape {inputs.shape} of the inputs, got {weights.shape}")
        return encode(inputs, self.output_mode, self.num_tokens, self.dtype, weights)


class Discretization(Layer):
    """Replaces each number by that of the bin in which it lies; as in Keras, NaN by that of the last one.

    Parameters
    ----------
    bin_boundaries
        Limits of the bins in ascending order: n of them make n + 1 bins; a limit belongs to the bin above it.
    num_bins
        Number of bins of about the same number of values, whose limits :meth:`adapt` learns; in place of
        ``bin_boundaries``.
    epsilon
        Error of the quantiles that :meth:`adapt` learns, as a part of the data.
    output_mode : {"int", "one_hot", "multi_hot", "count"}
        ``"int"``: numbers of bins, int64, or floats in a model. Others: vectors, as of :class:`CategoryEncoding`.
    sparse
        Only False: tensors are dense.

    Raises
    ------
    ValueError
        If an argument is out of range, both or none of the first two are given, or the layer is called before it
        knows the limits.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Discretization([0.0, 1.0, 2.0])([[-1.5, 1.0, 3.4, 0.5]]).numpy()
    array([[0, 2, 3, 1]])
    """

    _arguments = ("bin_boundaries", "num_bins", "epsilon", "output_mode", "sparse")

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (num_bins is None) == (bin_boundaries is None):
            raise ValueError("bin_boundaries, num_bins: expected one of them")
        self.num_bins = None if num_bins is None else check_int(num_bins, "num_bins", 2)
        if not (isinstance(epsilon, (int, float)) and 0 < epsilon < 1):
            raise ValueError(f"epsilon: expected a number between 0 and 1, got {epsilon!r}")
        self.epsilon = float(epsilon)
        self.output_mode, self.sparse = check_mode(output_mode, sparse, ("int", *ENCODINGS)), False
        self.bin_boundaries = None if bin_boundaries is None else _limits(bin_boundaries)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Create a layer from the dict that :meth:`get_config` returned, with limits that it learned."""
        config = dict(config)
        learned = config.pop("bin_boundaries", None) if config.get("num_bins") is not None else None
        made = cls(**config)
        if learned is not None:
            made.bin_boundaries = _limits(learned)
        return made

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the limits of the bins: quantiles of all numbers in the data. Earlier limits are forgotten.

        Parameters
        ----------
        data
            An array, or batches: a list of arrays, a generator, a :class:`nbnet.utils.PyDataset`, a loader.
        steps
            Number of batches to read; None for all.

        Raises
        ------
        ValueError
            If the layer was made with ``bin_boundaries``, or the data hold less than two numbers, or one that is not
            finite.
        """
        if self.num_bins is None:
            raise ValueError(f"{self.name}: was made with bin_boundaries; adapt needs num_bins")
        summary = np.zeros((2, 0), np.float32)
        for batch in batches(data, steps):
            values = held_array(batch, "data")
            if values.dtype.kind not in "fiub" or not np.isfinite(values).all():
                raise ValueError(f"data: expected finite numbers, got {values.dtype} of shape {values.shape}")
            if values.size:
                joined = np.concatenate([_summary(values.astype(np.float32).ravel(), self.epsilon), summary], 1)
                summary = _compressed(joined[:, np.argsort(joined[0])], self.epsilon)
        if summary.shape[1] < 2:
            raise ValueError("data: expected two numbers or more to learn from")
        self.bin_boundaries = _compressed(summary, 1.0 / self.num_bins)[0, :-1].astype(float).tolist()

    def call(self, inputs: Tensor) -> Tensor:
        if self.bin_boundaries is None:
            raise ValueError(f"{self.name}: You need to pass bin_boundaries, or call adapt(data), before it is called")
        numbers = ops.digitize(inputs, np.asarray(self.bin_boundaries, inputs.dtype))
        if self.output_mode == "int":
            # Outputs of a program are floats.
            return ops.cast(numbers, self.dtype) if numbers.data is None else numbers
        return encode(numbers, self.output_mode, len(self.bin_boundaries) + 1, self.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        depth = self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1
        return encoded_shape(input_shape, self.output_mode, depth)


def _limits(values: Any) -> list[float]:
    limits = held_array(values, "bin_boundaries")
    if limits.dtype.kind not in "fiub" or limits.ndim != 1 or not limits.size or not np.isfinite(limits).all():
        raise ValueError(f"bin_boundaries: expected finite numbers, got {values!r}")
    if (np.diff(limits.astype(float)) < 0).any():
        raise ValueError(f"bin_boundaries: expected ascending numbers, got {values!r}")
    return [float(v) for v in limits]


def batches(data: Any, steps: int | None = None) -> Iterator[Any]:
    """Yield the batches of a stream, a list of arrays or another iterable; an array or a list of values is one.

    Examples
    --------
    >>> from nbnet.layers.categories import batches
    >>> list(batches([1, 2])), list(batches(iter([[1], [2]])))
    ([[1, 2]], [[1], [2]])
    """
    if is_stream(data):
        if hasattr(data, "__next__") or not hasattr(data, "__getitem__"):
            for batch in islice(iter(data), steps):
                yield batch[0] if isinstance(batch, tuple) else batch
        else:
            for batch in islice(as_stream(data, steps, name="data", targets=False).epoch(0), steps):
                yield batch.x
    elif isinstance(data, (list, tuple)) and data and hasattr(data[0], "__array__") and np.ndim(data[0]):
        yield from data[:steps]
    else:
        yield data


def _summary(values: Array, epsilon: float) -> Array:
    """Return at most about ``1 / epsilon`` of the values in ascending order, above the number of values that each
    stands for."""
    ordered, step = np.sort(values), max(values.size * epsilon, 1.0)
    chosen = ordered[int(step - 1) :: int(step)]
    return np.stack([chosen, np.full_like(chosen, step)])


def _compressed(summary: Array, epsilon: float) -> Array:
    """Return a summary at the quantiles ``epsilon``, ``2 epsilon`` ..., interpolated; a shorter one as it is."""
    if summary.shape[1] * epsilon < 1:
        return summary
    places = epsilon + np.arange(0.0, 1.0, epsilon)
    totals = summary[1].cumsum()
    parts = totals / totals[-1]
    values, counts = np.interp(places, parts, summary[0]), np.interp(places, parts, totals)
    return np.stack([values, np.diff(counts, prepend=0.0)]).astype(np.float32)
