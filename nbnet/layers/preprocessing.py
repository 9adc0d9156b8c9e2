"""Preprocessing layers: features of mean 0 and variance 1 by statistics known before training, and rescaling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nbnet import ops
from nbnet.base import loading_budget
from nbnet.base.array_memory import held_array, plain_array
from nbnet.base.tree import flatten, map_structure
from nbnet.data.streams import as_stream, is_stream
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.symbolic import Producer, Symbol
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import check_sizes
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.broadcast import add, multiply
from nbnet.ops.reduction import checked_axes

Array = NDArray[Any]

#: Divisors are not smaller than this: a feature that never varies becomes 0.
SMALLEST = 1e-7
#: Number of elements of an array that are read at a time: arrays may be larger than memory.
CHUNK = 1 << 22


class DataLayer(Layer):
    """Base of the layers that work on data alone: strings are no tensors.

    In a model, such a layer is called on the data as they come in, and its output is an input of the program. Its
    symbolic inputs are those of the model, or outputs of other layers of the kind.
    """

    #: With ``"int"``, outputs are integers.
    output_mode: str = "int"
    #: True if numbers are refused.
    strings_only: ClassVar[bool] = False

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"{self.name}: strings are no tensors; look them up before: numbers = layer(strings), or let the model "
            'begin with this layer, after nbnet.Input(shape, dtype="string")'
        )

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        shape = self.compute_output_shape(map_structure(lambda x: tuple(x.shape), args[0]))
        return Symbol(tuple(shape), INT if self.output_mode == "int" else self.dtype, self.name)

    def _call_symbolic(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None) -> Any:
        for symbol in flatten((args, kwargs)):
            if not isinstance(symbol, Symbol) or symbol.producer is None:
                raise TypeError(f"{self.name}: expected an input of a model, got {symbol!r}")
            if symbol.producer.inputs() and not isinstance(symbol.producer.function, DataLayer):
                raise TypeError(f"{self.name}: expected an input of a model, got what {symbol.name} computes")
            if self.strings_only and symbol.dtype.kind != "U":
                raise TypeError(f'{self.name}: expected nbnet.Input(shape, dtype="string"), got {symbol!r}')
        outputs = self.compute_output_spec(*args, **kwargs)
        producer = Producer(self, args, kwargs, self.name, outputs)
        for symbol in flatten(outputs):
            symbol.producer = producer
        self.built = True
        if self._producer is None:
            self._producer = producer
        return outputs


class Normalization(Layer):
    """Brings features to mean 0 and variance 1: ``(x - mean) / sqrt(variance)``.

    The statistics are arguments, or :meth:`adapt` learns them from data before training.

    Parameters
    ----------
    axis
        An axis or several along which each index has statistics of its own; None: one mean and one variance for all.
    mean, variance
        Numbers or arrays that broadcast with the sizes of these axes; both or neither.
    invert
        If True, compute ``x * sqrt(variance) + mean`` instead.
    **kwargs
        ``name``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Attributes
    ----------
    mean, variance
        Tensors that broadcast with the input: axes without statistics of their own have length 1.
    adapt_mean, adapt_variance, count
        Weights, if :meth:`adapt` learns them.

    Raises
    ------
    ValueError
        If the arguments do not fit each other, or the input.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> layer = nb.layers.Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> layer([[1.0, 40.0]]).numpy()
    array([[-1.,  2.]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("axis", "invert")

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ValueError("mean: mean and variance are given together, or not at all")
        self.axis = list(axis) if isinstance(axis, Sequence) else axis
        self.input_mean = None if mean is None else finite(mean, "mean")
        self.input_variance = None if variance is None else finite(variance, "variance")
        if variance is not None and np.any(np.asarray(self.input_variance) < 0):
            raise ValueError(f"variance: expected numbers from 0, got {variance!r}")
        self.invert = bool(invert)

    def build(self, input_shape: Shape) -> None:
        axes = () if self.axis is None else checked_axes(self.axis, len(input_shape))
        if any(input_shape[k] is None for k in axes):
            raise ValueError(
                f"{self.name}: axis {self.axis} has no known size in inputs of shape {input_shape}; for a batch of "
                "single numbers use axis=None"
            )
        self._axes, self._shape = axes, tuple(input_shape[k] or 0 for k in axes)
        # Where only the last axes are kept, statistics broadcast as they are, with inputs of any number of axes.
        self._last = axes == tuple(range(len(input_shape) - len(axes), len(input_shape)))
        self._aligned = tuple(n or 0 if k in axes else 1 for k, n in enumerate(input_shape))
        if self.input_mean is None:
            self.adapt_mean: Tensor = self.add_weight(self._shape, "zeros", trainable=False, name="mean")
            self.adapt_variance: Tensor = self.add_weight(self._shape, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", trainable=False, name="count")
        else:
            self.adapt_mean = self._constant(self.input_mean, "mean")
            self.adapt_variance = self._constant(self.input_variance, "variance")

    def _check_input(self, shape: Any) -> None:
        if self.built:
            others = (None,) * (len(shape) - len(self._shape))
            sizes = tuple(n if k in self._axes else None for k, n in enumerate(self._aligned))
            check_sizes(self.name, shape, others + self._shape if self._last else sizes)

    @property
    def mean(self) -> Tensor | None:
        return ops.reshape(self.adapt_mean, self._aligned) if self.built else None

    @property
    def variance(self) -> Tensor | None:
        return ops.reshape(self.adapt_variance, self._aligned) if self.built else None

    def _constant(self, value: Any, name: str) -> Tensor:
        loading_budget.reserve(prod(self._shape), self.name, kept=True)
        try:
            data = np.array(np.broadcast_to(np.asarray(value, self.dtype), self._shape), order="C")
        except ValueError:
            raise ValueError(f"{name}: shape {np.shape(value)} does not fit axes of sizes {self._shape}") from None
        return Tensor(data.shape, self.dtype, data, name=f"{self.name}/{name}")

    def adapt(self, data: Any) -> None:
        """Learn mean and variance only from data: earlier statistics are forgotten.

        Parameters
        ----------
        data
            An array (n, ...), or batches: a list or generator of such arrays, a :class:`nbnet.utils.PyDataset`, a
            loader. If a batch is a tuple, its first entry counts.

        Raises
        ------
        ValueError
            If there are no data, they are not finite, their shape does not fit, or mean and variance were given.
        """
        if self.input_mean is not None:
            raise ValueError(f"{self.name}: mean and variance were given, and cannot be adapted")
        count, mean, spread = 0, np.zeros(()), np.zeros(())
        for batch in _batches(data):
            self.build_for((None, *batch.shape[1:]))
            if tuple(batch.shape[k] for k in self._axes if k < batch.ndim) != self._shape:
                raise ValueError(f"data: shape {batch.shape} does not fit: axes {self._axes} have sizes {self._shape}")
            others = tuple(k for k in range(batch.ndim) if k not in self._axes)
            values = np.asarray(batch, np.float64)
            n = prod(values.shape[k] for k in others)
            if n == 0:
                continue
            if not np.isfinite(values).all():
                raise ValueError("data: holds NaN or infinite numbers")
            # Statistics of two sets give those of their union (Chan, Golub, LeVeque: Algorithms for computing the
            # sample variance, 1983).
            apart = values.mean(others) - mean
            mean = mean + apart * (n / (count + n))
            spread = spread + values.var(others) * n + apart**2 * (count * n / (count + n))
            count += n
        if count == 0:
            raise ValueError("data: holds no rows to learn from")
        for weight, value in (
            (self.adapt_mean, mean),
            (self.adapt_variance, spread / count),
            (self.count, count),
        ):
            weight.memory()[...] = value

    def call(self, x: Tensor) -> Tensor:
        mean, deviation = self.adapt_mean, ops.maximum(ops.sqrt(self.adapt_variance), SMALLEST)
        if not self._last:
            mean, deviation = ops.reshape(mean, self._aligned), ops.reshape(deviation, self._aligned)
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"mean": self.input_mean, "variance": self.input_variance}


def _batches(data: Any) -> Iterator[Array]:
    """Yield the data as arrays (n, ...) of bounded size."""
    if is_stream(data):
        for batch in as_stream(data, name="data", targets=False).epoch(0):
            yield from _batches(batch.x)
        return
    if not hasattr(data, "__array__") and isinstance(data, Iterable):
        # A list of lists of numbers is an array; a list of arrays, or any other iterable, is batches.
        first = next(iter(data), ()) if isinstance(data, Sequence) else ()
        if isinstance(first, tuple) or hasattr(first, "__array__"):
            for batch in data:
                yield from _batches(batch[0] if isinstance(batch, tuple) else batch)
            return
    # A large array stays where it is, and is copied in parts.
    array = data if isinstance(data, np.ndarray) else plain_array(data, "data")
    if array.ndim == 0 or array.dtype.kind not in "fiub":
        error = ValueError if array.ndim else TypeError
        raise error(f"data: expected arrays of numbers (n, ...), got {array.dtype} of shape {array.shape}")
    rows = max(CHUNK // max(prod(array.shape[1:]), 1), 1)
    for start in range(0, max(len(array), 1), rows):
        yield held_array(array[start : start + rows], "data")


class Rescaling(Layer):
    """Computes ``x * scale + offset``: ``Rescaling(1 / 255)`` brings the bytes of an image to [0, 1].

    Parameters
    ----------
    scale, offset
        Numbers, or arrays that broadcast with a sample.

    Raises
    ------
    ValueError
        If they are not finite.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Rescaling(1 / 127.5, offset=-1)([[0.0, 255.0]]).numpy()
    array([[-1.,  1.]], dtype=float32)
    """

    supports_masking = True
    _arguments = ("scale", "offset")

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = finite(scale, "scale"), finite(offset, "offset")

    def call(self, x: Tensor) -> Tensor:
        if not np.all(np.equal(self.scale, 1)):
            x = multiply(x, self.scale)
        return add(x, self.offset) if np.any(self.offset) else x


def finite(value: Any, name: str) -> Any:
    """A number as a float, an array as a list of floats; ValueError if any is infinite or NaN."""
    array = plain_array(value, name)
    if array.dtype.kind not in "fiub" or not np.all(np.isfinite(array)):
        raise ValueError(f"{name}: expected finite numbers, got {value!r}")
    return array.astype(float).tolist()
