"""Expectations that a layer has of its inputs: ranks, shapes and dtypes, checked at each call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from nbnet.base.tree import flatten


class InputSpec:
    """The rank, shape and dtype that a layer expects: assigned to ``layer.input_spec``, it is checked at each call.

    Several inputs have a list or dict of them. A layer that does not take integers makes floats of these first: see
    :attr:`nbnet.layers.Layer.integer_input`.

    Parameters
    ----------
    dtype
        Dtype of the input, such as ``"float32"``; None: any. An integer dtype stands for all of them.
    shape : sequence of int or None
        Shape with the batch axis; None in it stands for any size.
    ndim : int, optional
        Number of axes; that of ``shape`` if it is given.
    max_ndim, min_ndim : int, optional
        Range of the number of axes.
    axes : dict, optional
        Sizes by axis; negative axes count from the end.
    allow_last_axis_squeeze
        If True, a last axis of size 1 may be missing, or be there beyond the shape.
    name : str, optional
        Key of the input in a dict of inputs.
    optional
        If True, the input may be None.

    Raises
    ------
    TypeError
        If ``axes`` is no dict with integer keys, or the dtype is unknown.
    ValueError
        If an axis is out of the range that ``ndim`` or ``max_ndim`` gives.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.Dense(2, name="head")
    >>> layer.input_spec = nb.layers.InputSpec(ndim=2, axes={-1: 3})
    >>> layer([[1.0, 2.0, 3.0]]).shape
    (1, 2)
    >>> layer([[1.0, 2.0]])
    Traceback (most recent call last):
        ...
    ValueError: inputs: head expected size 3 in axis -1, got shape (1, 2)
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = None if dtype is None else np.dtype(dtype).name
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.allow_last_axis_squeeze, self.name, self.optional = allow_last_axis_squeeze, name, optional
        try:
            self.axes = {int(axis): (axes or {})[axis] for axis in axes or {}}
        except (TypeError, ValueError) as error:
            raise TypeError(f"axes: expected a dict with integer keys, got {axes!r}") from error
        most = self.ndim if self.ndim is not None else max_ndim
        if self.axes and most is not None and max(self.axes) >= most:
            raise ValueError(f"axes: expected axes below {most}, got {max(self.axes)}")

    def __repr__(self) -> str:
        known = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        shown = [f"{name}={value}" for name in known if (value := getattr(self, name))]
        return f"InputSpec({', '.join(shown)})"

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes", "optional")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Create one from the dict that :meth:`get_config` returned."""
        return cls(**config)

    def check(self, x: Any, holder: str, batch_known: bool = True) -> None:
        """Raise ValueError unless a tensor or symbol fits; None in its shape stands for any size.

        Parameters
        ----------
        x
            Tensor or symbol, or None.
        holder
            Name of the layer, for the message.
        batch_known
            If False, the size of the batch axis does not count.
        """
        if x is None and self.optional:
            return
        if not hasattr(x, "shape"):
            raise ValueError(f"inputs: {holder} expected tensors, got {type(x).__name__}")
        shape = tuple(x.shape)

        def expect(right: bool, text: str) -> None:
            if not right:
                raise ValueError(f"inputs: {holder} expected {text}, got shape {shape}")

        if self.ndim is not None and not self.allow_last_axis_squeeze:
            expect(len(shape) == self.ndim, f"{self.ndim} axes (ndim={self.ndim})")
        expect(self.max_ndim is None or len(shape) <= self.max_ndim, f"{self.max_ndim} axes at most")
        expect(self.min_ndim is None or len(shape) >= self.min_ndim, f"{self.min_ndim} axes at least")
        if self.dtype is not None:
            wanted = np.dtype(self.dtype)
            if x.dtype != wanted and not (x.dtype.kind in "iu" and wanted.kind in "iu"):
                raise ValueError(f"inputs: {holder} expected dtype {self.dtype}, got {x.dtype}")
        sizes = shape if batch_known else (None, *shape[1:])
        for axis, size in self.axes.items():
            expect(-len(shape) <= axis < len(shape), f"an axis {axis}")
            expect(size is None or sizes[axis] in (size, None), f"size {size} in axis {axis}")
        if self.shape is not None:
            own = self.shape
            if self.allow_last_axis_squeeze:
                sizes = sizes[:-1] if sizes and shape[-1] == 1 else sizes
                own = own[:-1] if own and own[-1] == 1 else own
                expect(len(sizes) == len(own), f"shape {self.shape}")
            fits = all(n is None or m is None or n == m for n, m in zip(own, sizes, strict=True))
            expect(fits, f"shape {self.shape}")


def check_inputs(specs: Any, inputs: Any, holder: str, batch_known: bool = True) -> None:
    """Raise ValueError unless the inputs of a layer fit its specs.

    Parameters
    ----------
    specs
        An :class:`InputSpec`, or a structure of them and of None, which stands for any input.
    inputs
        Tensors or symbols in such a structure; in a dict, inputs are found by the names of the specs if all have one.
    holder
        Name of the layer.
    batch_known
        If False, sizes of the batch axis do not count.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.layers.input_spec import InputSpec, check_inputs
    >>> check_inputs([InputSpec(ndim=1), None], [nb.tensor([1.0])], "pair")
    Traceback (most recent call last):
        ...
    ValueError: inputs: pair expected 2 inputs, got 1
    """
    wanted = list(flatten(specs))
    for spec in wanted:
        if spec is not None and not isinstance(spec, InputSpec):
            raise TypeError(f"input_spec: expected an InputSpec, or several, got {type(spec).__name__}")
    names = [None if spec is None else spec.name for spec in wanted]
    if isinstance(inputs, Mapping) and all(names):
        missing = [name for name in names if name not in inputs]
        if missing:
            raise ValueError(f"inputs: {holder} expected the keys {names}, got {list(inputs)}")
        inputs = [inputs[name] for name in names]
    given = list(flatten(inputs))
    if len(given) != len(wanted):
        raise ValueError(f"inputs: {holder} expected {len(wanted)} inputs, got {len(given)}")
    for spec, x in zip(wanted, given, strict=True):
        if spec is not None:
            spec.check(x, holder, batch_known)
