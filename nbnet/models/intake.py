"""What users hand over, sorted by the inputs and outputs of a model, and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet import data
from nbnet.core.op import INT
from nbnet.core.structure import flatten, map_structure, restructure
from nbnet.models.objective import Goal

if TYPE_CHECKING:
    from nbnet.models.outline import Outline

Array = NDArray[Any]
Shape = tuple[int | None, ...]


class Inputs(NamedTuple):
    """The inputs of a model.

    Attributes
    ----------
    template
        A name, or a list or dict of names: the structure that ``call`` takes.
    shapes
        Of a row of each.
    whole
        For each, whether it holds whole numbers.
    """

    template: Any
    shapes: tuple[Shape, ...]
    whole: tuple[bool, ...]

    @property
    def names(self) -> list[str]:
        return list(flatten(self.template))


@dataclass(frozen=True, eq=False)
class Rows:
    """Arrays that a program reads: inputs, targets and weights of as many rows."""

    x: tuple[Any, ...]
    y: tuple[Array | None, ...] = ()
    w: tuple[Array | None, ...] = ()
    #: For each input, whether it stays integers.
    ids: tuple[bool, ...] = ()
    #: Names in the structure of the targets and of the weights.
    targets: Any = None
    weights: Any = None

    def __len__(self) -> int:
        return len(self.x[0])

    def row_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of a row of each input."""
        return tuple(x.shape[1:] for x in self.x)

    def named(self) -> dict[str, Array]:
        """The arrays by the names of the slots they are bound to: x0, x1 ..., y0 ..., w0 ..."""
        parts = {"x": self.x, "y": self.y, "w": self.w}
        return {f"{kind}{k}": a for kind, part in parts.items() for k, a in enumerate(part) if a is not None}

    def arrays(self) -> list[Any]:
        """Inputs, then targets, then weights; None where there are none."""
        return [*self.x, *self.y, *self.w]

    def split(self, share: float) -> tuple[Rows, Rows | None]:
        """The first rows, and the last share of them."""
        first, last = data.train_validation_split(self.arrays(), share)
        return self.like(first), None if last is None else self.like(last)

    def head(self, n: int) -> Rows:
        """The first rows."""
        return self.like([None if array is None else array[:n] for array in self.arrays()])

    def batches(self, size: int) -> Iterator[Rows]:
        """The rows in batches; the last may be shorter."""
        for start in range(0, len(self), size):
            yield self.like([None if array is None else array[start : start + size] for array in self.arrays()])

    def like(self, arrays: Sequence[Any]) -> Rows:
        """Other rows of the same kind, in the order of :meth:`arrays`."""
        n, m = len(self.x), len(self.x) + len(self.y)
        return replace(self, x=tuple(arrays[:n]), y=tuple(arrays[n:m]), w=tuple(arrays[m:]))

    def weighted(self, class_weight: Mapping[int, float] | None, dtype: np.dtype[Any]) -> Rows:
        """The same rows, their weights multiplied by those of their classes."""
        if class_weight is None:
            return self
        if len(self.y) != 1 or self.y[0] is None:
            raise ValueError(f"class_weight: wants a model of one output, got {len(self.y)}; take sample_weight")
        by_class, w = class_weights(class_weight, self.y[0], dtype), self.w[0]
        return replace(self, w=(by_class if w is None else w * by_class,))


def input_arrays(x: Any, inputs: Inputs | None, dtype: np.dtype[Any]) -> tuple[Array, ...]:
    """An array for each input, in their order.

    Parameters
    ----------
    inputs
        None: not known yet, a list of arrays or a dict is one input each.
    """
    if inputs is None:
        inputs = guess(x)
    if isinstance(inputs.template, str):
        x = _only(x, inputs)
        return (_input(x, "x", inputs.shapes[0], inputs.whole[0], dtype),)
    parts = sort(x, inputs.template, "x", "input")
    n = None
    found = []
    for (label, part), shape, whole in zip(parts, inputs.shapes, inputs.whole, strict=True):
        array = _input(part, label, shape, whole, dtype)
        n = len(array) if n is None else n
        if len(array) != n:
            raise ValueError(f"{label} has {len(array)} rows, {parts[0][0]} has {n}")
        found.append(array)
    return tuple(found)


def guess(x: Any) -> Inputs:
    """The inputs of a model that says nothing of them, from what it is first given."""
    template: Any = "input"
    if isinstance(x, Mapping):
        template = {name: name for name in x}
    elif _is_several(x):
        template = [f"input_{k + 1}" for k in range(len(x))]
    count = len(list(flatten(template)))
    return Inputs(template, (None,) * count, (False,) * count)  # type: ignore[arg-type]


def _only(x: Any, inputs: Inputs) -> Any:
    """The data of the only input: as they are, in a list, or in a dict under its name."""
    if isinstance(x, Mapping) and list(x) == [inputs.template]:
        return x[inputs.template]
    if isinstance(x, (list, tuple)) and len(x) == 1 and inputs.shapes[0] is not None:
        return x[0] if getattr(x[0], "ndim", 0) == 1 + len(inputs.shapes[0]) else x
    return x


def _input(x: Any, name: str, shape: Shape | None, whole: bool, dtype: np.dtype[Any]) -> Any:
    if whole:
        return as_ids(data.as_input(x, name, shape=shape, dtype=dtype), name)
    return data.as_features(x, name, shape=shape, dtype=dtype)


def as_ids(array: Array, name: str, rows: int | None = None) -> NDArray[np.int64]:
    """Whole numbers, those of rows of a table if it is known of how many."""
    if array.dtype.kind == "f" and not (array == np.floor(array)).all():
        raise ValueError(f"{name} must hold whole numbers, got {array[array != np.floor(array)].flat[0]}")
    if rows is not None and not (array.min() >= 0 and array.max() < rows):
        wrong = array[(array < 0) | (array >= rows)].flat[0]
        raise ValueError(
            f"{name} must hold numbers from 0 to {rows - 1}, those of the rows of a table; got {wrong:.0f}"
        )
    return np.ascontiguousarray(array, INT)


def looked_up(arrays: Sequence[Array], inputs: Inputs, outline: Outline) -> tuple[Array, ...]:
    """The inputs; numbers that stand for rows of tables are checked, and become integers where that is all they are."""
    labels = ["x"] if isinstance(inputs.template, str) else [f"x[{name!r}]" for name in inputs.names]
    found = []
    for array, label, rows, whole in zip(arrays, labels, outline.tables, outline.whole, strict=True):
        if rows is not None and isinstance(array, data.SparseRows):
            raise TypeError(f"{label} must be a dense array, got a sparse matrix: its numbers are looked up in tables")
        ids = array if rows is None else as_ids(array, label, rows)
        found.append(ids if whole else array)
    return tuple(found)


def sort(given: Any, template: Any, argument: str, kind: str, missing: bool = False) -> list[tuple[str, Any]]:
    """What messages call it, and the value, for each input or output.

    Parameters
    ----------
    template
        A list or dict of names.
    missing
        Whether entries may be left out of a dict, or be None.
    """
    names = list(flatten(template))
    if isinstance(given, Mapping):
        keys = list(template) if isinstance(template, dict) else names
        if not set(given) <= set(keys) and set(given) <= set(names):
            keys = names
        if unknown := [key for key in given if key not in keys]:
            raise ValueError(f"{argument}: the model has no {kind} {unknown[0]!r}; it has {keys}")
        if lacking := [key for key in keys if key not in given and not missing]:
            raise ValueError(f"{argument}: wants data for each {kind}, and {lacking[0]!r} is missing")
        return [(f"{argument}[{key!r}]", given.get(key)) for key in keys]
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            f"{argument}: the model has {len(names)} {kind}s, {names}: wants a list of arrays in this order, or a dict "
            f"by name; got {type(given).__name__}"
        )
    if len(given) != len(names):
        raise ValueError(f"{argument}: wants {len(names)} arrays, for {names}; got {len(given)}")
    return [(f"{argument}[{k}]", part) for k, part in enumerate(given)]


def with_targets(
    rows: Rows, y: Any, sample_weight: Any, goals: Sequence[Goal], outline: Outline, dtype: np.dtype[Any]
) -> Rows:
    """The rows with targets and weights for each output; None where nothing reads them."""
    template, n = outline.template, len(rows)
    if isinstance(template, str):
        ys = [("y", _unwrapped(y, template, n))]
        ws = [("sample_weight", _unwrapped(sample_weight, template, n))]
    else:
        ys = sort(_alone(y, goals), template, "y", "output", missing=True)
        nested = isinstance(sample_weight, Mapping) or (
            isinstance(sample_weight, (list, tuple)) and any(np.ndim(part) or part is None for part in sample_weight)
        )
        ws = (
            sort(sample_weight, template, "sample_weight", "output", missing=True)
            if nested
            else [("sample_weight", sample_weight)] * len(ys)
        )
    targets: list[Array | None] = []
    weights: list[Array | None] = []
    for goal, (label, part), (w_label, w), shape in zip(goals, ys, ws, outline.shapes, strict=True):
        targets.append(goal.targets(part, label, n, shape, dtype) if goal.wanted else None)
        weights.append(data.as_weights(w, w_label, n, dtype) if goal.wanted and w is not None else None)
    return replace(rows, y=tuple(targets), w=tuple(weights), targets=template, weights=template)


def with_any_targets(rows: Rows, y: Any, sample_weight: Any, dtype: np.dtype[Any]) -> Rows:
    """The rows with targets that only the user's own step knows: whole numbers stay integers."""
    found: list[Array] = []
    for k, part in enumerate(() if y is None else flatten(y if _is_several(y) else [y])):
        array = data.as_input(part, "y" if k == 0 else f"y[{k}]", dtype=dtype)
        array = array.reshape(np.shape(part))
        if len(array) != len(rows):
            raise ValueError(f"y has {len(array)} rows, x has {len(rows)}")
        found.append(array.astype(INT if array.dtype.kind in "iu" else dtype, copy=False))
    w = () if sample_weight is None else (data.as_weights(sample_weight, "sample_weight", len(rows), dtype),)
    template = map_structure(lambda _: "y", y) if _is_several(y) else "y"
    return replace(rows, y=tuple(found), w=w, targets=template, weights="sample_weight")


def _is_several(value: Any) -> bool:
    """Whether this is a structure of arrays, and no array as a list."""
    return isinstance(value, Mapping) or (
        isinstance(value, (list, tuple)) and bool(value) and all(hasattr(part, "shape") for part in value)
    )


def _unwrapped(value: Any, name: str, n: int) -> Any:
    """The data of the only output: as they are, in a list, or in a dict under its name."""
    if isinstance(value, Mapping) and list(value) == [name]:
        return value[name]
    if isinstance(value, (list, tuple)) and len(value) == 1 and np.ndim(value[0]) > (n == 1) and len(value[0]) == n:
        return value[0]
    return value


def _alone(y: Any, goals: Sequence[Goal]) -> Any:
    """Targets by name, where there are only those of one output."""
    wanted = [goal.name for goal in goals if goal.wanted]
    single = len(wanted) == 1 and not isinstance(y, (Mapping, list, tuple))
    return {wanted[0]: y} if single else y


def class_weights(class_weight: Mapping[int, float], y: Array, dtype: np.dtype[Any]) -> Array:
    """A weight for each row from the weight of its class; classes that are not named weigh 1."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight: wants a dict {{class: weight}}, got {type(class_weight).__name__}")
    for label, weight in class_weight.items():
        if not isinstance(label, (int, np.integer)) or not 0 <= data.as_number(weight, "class_weight") < np.inf:
            raise ValueError(f"class_weight: wants {{class: weight from 0}}, got {{{label!r}: {weight!r}}}")
    if y.ndim > 2:
        raise ValueError(f"class_weight: wants targets of one class a row, got rows of shape {y.shape[1:]}")
    classes = y if y.ndim == 1 else (np.rint(y[:, 0]) if y.shape[1] == 1 else y.argmax(1))
    values, which = np.unique(classes, return_inverse=True)
    return np.array([class_weight.get(int(value), 1.0) for value in values], dtype)[which]


def packed(template: Any, values: Sequence[Any]) -> Any:
    """Values in the structure of a template."""
    return values[0] if isinstance(template, str) else restructure(template, values)
