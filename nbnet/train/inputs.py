"""Data that users pass, matched to the inputs and outputs of a model, and checked.

The signature of a model, its outputs for rows of given shapes, is inferred by tracing its forward pass once.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nbnet import data
from nbnet.base import array_memory
from nbnet.base.tree import flatten, map_structure, restructure
from nbnet.base.uninterrupted import apart_from_handlers
from nbnet.base.validation import check_number
from nbnet.data.arrays import CHUNK
from nbnet.data.mapped import chunks
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Node, Tensor, tensor
from nbnet.layers.variable import flatten_layers
from nbnet.train.trainable import (
    Inputs,
    LogLayout,
    ModelSignature,
    RowShapes,
    Shape,
    Trainable,
    overrides,
    runs_in_python,
)


def signature_of(model: Trainable, shapes: RowShapes) -> ModelSignature:
    """Return the signature of a model for rows of such shapes, inferred once for each structure of the model."""
    known, key = model._train_state.signatures, (shapes, model.structure())
    if (found := known.get(key)) is None:
        found = apart_from_handlers(lambda: infer_signature(model, shapes))
        # A subclass may make layers as late as here, which changes its structure.
        known[shapes, model.structure()] = found
    return found


def infer_signature(model: Trainable, shapes: RowShapes) -> ModelSignature:
    """Trace one row through the model; layers that are not built yet are built."""
    inputs = model._inputs or model.inputs_known
    xs = [Tensor((1, *shape), INT if whole else model.dtype) for shape, whole in zip(shapes, inputs.whole, strict=True)]
    with Trace(model.dtype) as trace:
        returned = model.forward(restructure(inputs.template, xs), training=False)
        adds_loss = bool(model.losses)
    outputs = list(flatten(returned))
    for y in outputs:
        if not isinstance(y, Tensor) or y.shape[:1] != (1,):
            raise TypeError(f"{model.name}: call must return tensors with a row for each sample, got {y!r}")
    tables = [_table(x, trace.nodes) for x in xs]
    whole = tuple(
        x.dtype == INT or (rows is not None and only and all(y is not x for y in outputs))
        for x, (rows, only) in zip(xs, tables, strict=True)
    )
    shapes_out, rows_of = tuple(y.shape[1:] for y in outputs), tuple(rows for rows, _ in tables)
    layers: Any = flatten_layers(cast(Any, model))
    own = (layer.runs_function or not type(layer).call.__module__.startswith("nbnet.") for layer in layers)
    alone = not any(node.op.whole_batch for node in trace.nodes) and not any(own)
    return ModelSignature(output_names(model, returned), shapes_out, rows_of, whole, adds_loss, alone)


def log_layout(model: Trainable, signature: ModelSignature) -> LogLayout:
    """Return the layout of the logs for outputs of a signature, made once for each objective."""
    objective, layouts = model._train_state.objective, model._train_state.layouts
    assert objective is not None
    # The signature is kept with its layout, so that its id stays its own.
    key = id(signature), *objective.labelled.items()
    known = layouts.get(key)
    if known is None or known[0] is not signature:
        widths = [shape[-1] if shape else 1 for shape in signature.shapes]
        known = layouts[key] = signature, LogLayout(objective.specs(signature.template, widths))
        model.take_layout(known[1])
    return known[1]


def output_names(model: Trainable, outputs: Any) -> Any:
    """Return names in the structure of the outputs: the model's own, keys, or ``output_1``, ``output_2`` ..."""
    if model.output_template is not None:
        return model.output_template
    return _named(outputs, "", "output", "output")


def _table(x: Tensor, nodes: Sequence[Node]) -> tuple[int | None, bool]:
    """Return the number of rows of the shortest table that x indexes, and True if nothing else reads x."""
    readers = [node for node in nodes if any(t is x for t in node.inputs)]
    lookups = [node for node in readers if node.op.role == "lookup" and node.inputs[1] is x and node.inputs[0] is not x]
    rows = min((node.inputs[0].shape[0] for node in lookups), default=None)
    return rows, len(lookups) == len(readers)


Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """Arrays of as many rows that programs read: inputs, targets and weights.

    Attributes
    ----------
    x, y, w
        Arrays for each input, or output; None for an output without targets, or weights.
    ids
        For each input, True if it stays integers.
    targets, weights
        Names in the structure of the targets and of the weights.
    signature
        Signature of the model for such inputs, if it is known.
    n
        Number of rows.
    """

    x: tuple[Any, ...]
    y: tuple[Array | None, ...] = ()
    w: tuple[Array | None, ...] = ()
    ids: tuple[bool, ...] = ()
    targets: Any = None
    weights: Any = None
    signature: ModelSignature | None = None
    n: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", len(self.x[0]))

    def __len__(self) -> int:
        return self.n

    def row_shapes(self) -> RowShapes:
        """Return the shape of a row of each input."""
        return tuple(x.shape[1:] for x in self.x)

    def named(self) -> dict[str, Array]:
        """Return the arrays by the names of the slots they are bound to: x0, x1 ..., y0 ..., w0 ..."""
        parts = {"x": self.x, "y": self.y, "w": self.w}
        return {f"{kind}{k}": a for kind, part in parts.items() for k, a in enumerate(part) if a is not None}

    def arrays(self) -> list[Any]:
        """Return inputs, then targets, then weights; None where there are none."""
        return [*self.x, *self.y, *self.w]

    def labels(self) -> list[str]:
        """Return the names of :meth:`arrays` in messages."""
        parts = {"x": self.x, "y": self.y, "sample_weight": self.w}
        return [name if len(part) == 1 else f"{name}[{k}]" for name, part in parts.items() for k, _ in enumerate(part)]

    def split(self, share: float) -> tuple[Rows, Rows | None]:
        """Return the first rows, and the last share of them (None for 0)."""
        if type(share) is float and share == 0:
            return self, None
        first, last = data.train_validation_split(self.arrays(), share)
        return self.like(first), None if last is None else self.like(last)

    def head(self, n: int) -> Rows:
        """Return the first n rows."""
        return self.like([None if array is None else array[:n] for array in self.arrays()])

    def like(self, arrays: Sequence[Any]) -> Rows:
        """Return other rows of the same kind, in the order of :meth:`arrays`."""
        n, m = len(self.x), len(self.x) + len(self.y)
        return replace(self, x=tuple(arrays[:n]), y=tuple(arrays[n:m]), w=tuple(arrays[m:]))

    def weighted(self, class_weight: Mapping[int, float] | None, dtype: np.dtype[Any]) -> Rows:
        """Return the same rows with their weights multiplied by those of their classes."""
        if class_weight is None:
            return self
        if len(self.y) != 1 or self.y[0] is None:
            raise ValueError(f"class_weight: expected a model of one output, got {len(self.y)}; take sample_weight")
        by_class, w = class_weights(class_weight, self.y[0], dtype), self.w[0]
        return replace(self, w=(by_class if w is None else w * by_class,))


# ---- rows for a model ----


def input_rows(model: Trainable, x: Any) -> Rows:
    """Return checked inputs; the first data that a model sees decide which inputs it has."""
    try:
        arrays = input_arrays(x, model._inputs, model.dtype)
    except ValueError as error:
        arrays = _with_open_lengths(model, x, error)
    if not model.built or model._inputs is None:
        with model._train_state.position.own_keys():
            _build_for(model, x, arrays)
            _signature(model, arrays)  # Layers that the model's call uses are built by the first one.
    signature = _signature(model, arrays)
    if signature is None:
        return Rows(arrays)
    if any(signature.whole) or any(signature.tables):
        return Rows(as_indices(arrays, model.inputs_known, signature), ids=signature.whole, signature=signature)
    return Rows(arrays, signature=signature)


def _signature(model: Trainable, arrays: Sequence[Array]) -> ModelSignature | None:
    """Return the signature for rows of these shapes; None if the model has no call for them, but a step of its own,
    which may do with them what it likes."""
    if not model.defines_call:
        return None
    try:
        return signature_of(model, tuple(array.shape[1:] for array in arrays))
    except (TypeError, ValueError):
        if not overrides(model, "train_step"):
            raise
        return None


def _with_open_lengths(model: Trainable, x: Any, error: ValueError) -> tuple[Array, ...]:
    """Return the inputs for which lengths that the first data had become open; raise the error if that is no help."""
    known = model._inputs
    if known is None or not model.defines_call or not model.learned_inputs:
        raise error
    try:
        arrays = input_arrays(x, known._replace(shapes=(None,) * len(known.shapes)), model.dtype)  # type: ignore[arg-type]
        rows = tuple(array.shape[1:] for array in arrays)
        shapes = tuple(
            tuple(n if n == m else None for n, m in zip(row, shape, strict=True))
            for row, shape in zip(rows, known.shapes, strict=True)
        )
        if shapes == known.shapes:
            raise error
        model.open_inputs(known._replace(shapes=shapes))
        try:
            signature_of(model, rows)
        except BaseException:
            model.open_inputs(known)
            raise
    except (ValueError, TypeError):
        raise error from None
    return arrays


def _build_for(model: Trainable, x: Any, arrays: Sequence[Array]) -> None:
    inputs = model._inputs or guess(x)._replace(shapes=tuple(array.shape[1:] for array in arrays))
    if model.defines_call:
        model.build_for(restructure(inputs.template, [(None, *shape) for shape in inputs.shapes]))
    if model._inputs is None:
        model._inputs = inputs
        model._changed()


def input_tensors(model: Trainable, x: Any) -> Any:
    """Return checked inputs as tensors, in the structure that ``call`` takes."""
    rows, dtype = input_rows(model, x), model.dtype
    tensors = []
    for part, ids in zip(rows.x, rows.ids or (False,) * len(rows.x), strict=True):
        array = part.dense() if isinstance(part, data.SparseRows) else part
        tensors.append(Tensor(array.shape, array.dtype, array) if ids else tensor(array, dtype))
    return restructure(model.inputs_known.template, tensors)


def labelled_rows(model: Trainable, x: Any, y: Any, sample_weight: Any) -> Rows:
    """Return checked inputs, targets and weights for training or evaluation."""
    rows = input_rows(model, x)
    if rows.signature is None and runs_in_python(model, "train_step"):
        return with_any_targets(rows, y, sample_weight, model.dtype)
    signature = rows.signature or signature_of(model, rows.row_shapes())
    _see_targets(model, signature, y)
    layout = log_layout(model, signature)
    if not any(layout.wanted) and runs_in_python(model, "train_step"):
        return with_any_targets(rows, y, sample_weight, model.dtype)
    check_loss(model, signature, layout)
    return with_targets(rows, y, sample_weight, layout, signature, model.dtype)


def validation_rows(model: Trainable, given: Any) -> Rows:
    """Return the checked rows of ``validation_data``."""
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise ValueError(f"validation_data: expected (x, y) or (x, y, sample_weight), got {type(given).__name__}")
    try:
        return labelled_rows(model, given[0], given[1], given[2] if len(given) == 3 else None)
    except (ValueError, TypeError) as error:
        raise type(error)(f"validation_data: {error}") from None


def check_loss(model: Trainable, signature: ModelSignature, layout: LogLayout) -> None:
    """Raise ValueError if there is no loss to train, or evaluate."""
    if not signature.adds_loss and not layout.trained:
        raise ValueError(f"{model.name} is not compiled with a loss: call compile(optimizer, loss) first")


# ---- inputs ----


def input_arrays(x: Any, inputs: Inputs | None, dtype: np.dtype[Any]) -> tuple[Array, ...]:
    """Return an array for each input, in their order.

    Parameters
    ----------
    inputs
        None if they are not known yet: then each part of a list of arrays, or of a dict, is an input.
    """
    if inputs is None:
        inputs = guess(x)
    if inputs.prepare is not None:
        x = inputs.prepare(x)
    if isinstance(inputs.template, str):
        return (_input(_only_input(x, inputs), "x", inputs.shapes[0], inputs.whole[0], dtype),)
    parts = match_by_name(x, inputs.template, "x", "input")
    arrays: list[Array] = []
    for (label, part), shape, whole in zip(parts, inputs.shapes, inputs.whole, strict=True):
        arrays.append(_input(part, label, shape, whole, dtype))
        if len(arrays[-1]) != len(arrays[0]):
            raise ValueError(f"{label} has {len(arrays[-1])} rows, {parts[0][0]} has {len(arrays[0])}")
    return tuple(arrays)


def guess(x: Any) -> Inputs:
    """Return the inputs of a model that does not declare any, from the first data it sees."""
    template = _named(x, "", "input", "input")
    count = len(list(flatten(template)))
    return Inputs(template, (None,) * count, (False,) * count)  # type: ignore[arg-type]


def _named(structure: Any, path: str, name: str, kind: str) -> Any:
    """Return names for the leaves of a structure: those of keys, else of the kind with a number; of inner keys with the
    outer ones before them."""
    if isinstance(structure, Mapping):
        return {key: _named(part, f"{path}{key}_", f"{path}{key}", kind) for key, part in structure.items()}
    if (kind == "output" and isinstance(structure, (list, tuple))) or _is_several(structure):
        return [_named(part, f"{path}{k}_", f"{path}{kind}_{k}", kind) for k, part in enumerate(structure, 1)]
    return name


def _only_input(x: Any, inputs: Inputs) -> Any:
    """Return the data of the only input: given as they are, in a list, or in a dict under its name."""
    if isinstance(x, Mapping) and list(x) == [inputs.template]:
        return x[inputs.template]
    if isinstance(x, (list, tuple)) and len(x) == 1 and inputs.shapes[0] is not None:
        return x[0] if getattr(x[0], "ndim", 0) == 1 + len(inputs.shapes[0]) else x
    return x


def _input(x: Any, name: str, shape: Shape | None, whole: bool, dtype: np.dtype[Any]) -> Any:
    if whole:
        return as_ids(data.as_input(x, name, shape=shape, dtype=dtype), name)
    read = data.as_input if isinstance(x, np.ndarray) else data.as_features
    return read(x, name, shape=shape, dtype=dtype)


def as_ids(array: Array, name: str, rows: int | None = None) -> NDArray[np.int64]:
    """Return whole numbers as integers, checked against the number of rows of a table if that is given.

    The result is a copy, which is checked; large arrays of integers stay where they lie, as kernels compare them again.
    """
    if array.dtype != INT or array.nbytes <= array_memory.LARGE:
        array = data.copied(array, name)
    for _, part in chunks(array.reshape(-1), CHUNK, name):
        if part.dtype.kind == "f" and not (part == np.floor(part)).all():
            raise ValueError(f"{name}: expected whole numbers, got {part[part != np.floor(part)][0]}")
        if rows is not None and not (part.min() >= 0 and part.max() < rows):
            wrong = part[(part < 0) | (part >= rows)][0]
            raise ValueError(
                f"{name}: expected numbers from 0 to {rows - 1}, those of the rows of a table, got {wrong:.0f}"
            )
    return array.astype(INT, order="C", copy=False)


def as_indices(arrays: Sequence[Array], inputs: Inputs, signature: ModelSignature) -> tuple[Array, ...]:
    """Return the inputs; indices into tables are checked, and become integers where nothing else reads them."""
    labels = ["x"] if isinstance(inputs.template, str) else [f"x[{name!r}]" for name in inputs.names]
    checked = []
    for array, label, rows, whole in zip(arrays, labels, signature.tables, signature.whole, strict=True):
        if rows is not None and isinstance(array, data.SparseRows):
            raise TypeError(
                f"{label}: expected a dense array, got a sparse matrix: its numbers are looked up in tables"
            )
        ids = array if rows is None else as_ids(array, label, rows)
        checked.append(ids if whole else array)
    return tuple(checked)


def match_by_name(given: Any, template: Any, argument: str, kind: str, missing: bool = False) -> list[tuple[str, Any]]:
    """Return a label for messages, and the value, for each input or output.

    Parameters
    ----------
    template
        A list or dict of names.
    missing
        If True, entries may be left out of a dict, or be None.
    """
    names = list(flatten(template))
    nested = not isinstance(template, str) and any(not isinstance(t, str) for t in _entries(template))
    if isinstance(given, Mapping):
        keys = list(template) if isinstance(template, dict) else names
        if not set(given) <= set(keys) and set(keys) - set(given) and set(names) <= set(given):
            keys, nested = names, False
        unknown = [key for key in given if key not in keys]
        lacking = [key for key in keys if key not in given and not missing]
        if unknown and (lacking or kind != "input"):
            raise ValueError(f"{argument}: the model has no {kind} {unknown[0]!r}; it has {keys}")
        if lacking:
            raise ValueError(f"{argument}: expected data for each {kind}, and {lacking[0]!r} is missing")
        if unknown and isinstance(template, dict):
            warnings.warn(f"{argument}: the model has no {kind} {unknown[0]!r}, which is not read", stacklevel=2)
        parts = [(f"{argument}[{key!r}]", given.get(key)) for key in keys]
    elif not isinstance(given, (list, tuple)):
        raise TypeError(
            f"{argument}: the model has {len(names)} {kind}s, {names}: expected a list of arrays in this order, or a "
            f"dict by name; got {type(given).__name__}"
        )
    else:
        nested = nested and len(given) == len(template) and not (len(given) == len(names) and _is_several(given))
        if not nested and len(given) != len(names):
            raise ValueError(f"{argument}: expected {len(names)} arrays, for {names}; got {len(given)}")
        if kind == "input" and isinstance(template, dict):
            if (keys := list(template)) != sorted(keys):
                raise ValueError(f"{argument}: expected a dict with {keys}, got a list, whose order is not theirs")
            warnings.warn(f"{argument}: expected a dict with {keys}, got a list, taken in this order", stacklevel=2)
        elif isinstance(template, dict) and len(given) == len(template):
            # The entries of a list are those of sorted keys, as in losses and metrics.
            order = sorted(template)
            given = [given[order.index(key)] for key in template]
        parts = [(f"{argument}[{k}]", part) for k, part in enumerate(given)]
    if not nested:
        return parts
    matched: list[tuple[str, Any]] = []
    for (label, part), inner in zip(parts, _entries(template), strict=True):
        matched += [(label, part)] if isinstance(inner, str) else match_by_name(part, inner, label, kind, missing)
    return matched


def _entries(template: Any) -> list[Any]:
    """Return the entries of a dict or list."""
    return list(template.values()) if isinstance(template, dict) else list(template)


# ---- targets and weights ----


def with_targets(
    rows: Rows, y: Any, sample_weight: Any, layout: LogLayout, signature: ModelSignature, dtype: np.dtype[Any]
) -> Rows:
    """Return the rows with targets and weights for each output; None where nothing reads them."""
    template, n = signature.template, rows.n
    if isinstance(template, str):
        ys = [("y", _only_output(y, template, n))]
        ws = [("sample_weight", _only_output(sample_weight, template, n))]
    else:
        ys = match_by_name(_single_target(y, layout), template, "y", "output", missing=True)
        nested = isinstance(sample_weight, Mapping) or (
            isinstance(sample_weight, (list, tuple)) and any(np.ndim(part) or part is None for part in sample_weight)
        )
        ws = (
            match_by_name(sample_weight, template, "sample_weight", "output", missing=True)
            if nested
            else [("sample_weight", sample_weight)] * len(ys)
        )
    targets: list[Array | None] = []
    weights: list[Array | None] = []
    for k, ((label, part), (w_label, w), shape) in enumerate(zip(ys, ws, signature.shapes, strict=True)):
        wanted = layout.wanted[k]
        targets.append(layout.specs[k].targets(part, label, n, shape, dtype) if wanted else None)
        weights.append(data.as_weights(w, w_label, n, dtype, shape[:-1]) if wanted and w is not None else None)
    return replace(rows, y=tuple(targets), w=tuple(weights), targets=template, weights=template)


def _see_targets(model: Trainable, signature: ModelSignature, y: Any) -> None:
    """Show the targets to the objective, which may have to know if they are class labels."""
    objective, names = model._train_state.objective, signature.names
    if objective is None or y is None or len(objective.labelled) == len(names):
        return
    template = signature.template
    given: Any = [y]
    if isinstance(template, str):
        given = [y[template]] if isinstance(y, Mapping) and list(y) == [template] else [y]
    elif isinstance(y, Mapping):
        given = [y.get(name) for name in names]
    elif isinstance(y, (list, tuple)):
        given = y
    if len(given) == len(names):
        for name, part, shape in zip(names, given, signature.shapes, strict=True):
            if part is not None and (sizes := np.shape(part)):
                objective.see(name, sizes[1:], shape)


def with_any_targets(rows: Rows, y: Any, sample_weight: Any, dtype: np.dtype[Any]) -> Rows:
    """Return the rows with targets that only the user's own step reads: whole numbers stay integers."""
    targets: list[Array] = []
    for k, part in enumerate(() if y is None else flatten(y if _is_several(y) else [y])):
        array = data.as_input(part, "y" if k == 0 else f"y[{k}]", dtype=dtype)
        array = array.reshape(np.shape(part))
        if len(array) != len(rows):
            raise ValueError(f"y has {len(array)} rows, x has {len(rows)}")
        targets.append(array.astype(INT if array.dtype.kind in "iu" else dtype, copy=False))
    w = () if sample_weight is None else (data.as_weights(sample_weight, "sample_weight", len(rows), dtype, None),)
    template = map_structure(lambda _: "y", y) if _is_several(y) else "y"
    return replace(rows, y=tuple(targets), w=w, targets=template, weights="sample_weight")


def _is_several(value: Any) -> bool:
    """Return True for a structure of arrays, False for one array given as a list."""
    return isinstance(value, Mapping) or (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(hasattr(part, "shape") or isinstance(part, Mapping) or _is_several(part) for part in value)
    )


def _only_output(value: Any, name: str, n: int) -> Any:
    """Return the data of the only output: given as they are, in a list, or in a dict under its name."""
    if isinstance(value, Mapping) and list(value) == [name]:
        return value[name]
    if isinstance(value, (list, tuple)) and len(value) == 1 and np.ndim(value[0]) > (n == 1) and len(value[0]) == n:
        return value[0]
    return value


def _single_target(y: Any, layout: LogLayout) -> Any:
    """Return targets by name, if only one output has any."""
    wanted = [spec.name for spec, read in zip(layout.specs, layout.wanted, strict=True) if read]
    single = len(wanted) == 1 and not isinstance(y, (Mapping, list, tuple))
    return {wanted[0]: y} if single else y


def class_weights(class_weight: Mapping[int, float], y: Array, dtype: np.dtype[Any]) -> Array:
    """Return a weight for each row from the weight of its class; classes that are not named weigh 1."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight: expected a dict {{class: weight}}, got {type(class_weight).__name__}")
    for label, weight in class_weight.items():
        if not isinstance(label, (int, np.integer)) or not 0 <= check_number(weight, "class_weight") < np.inf:
            raise ValueError(f"class_weight: expected {{class: weight from 0}}, got {{{label!r}: {weight!r}}}")
    if y.ndim > 2 or (y.ndim == 2 and y.dtype == INT):
        raise ValueError(f"class_weight: expected targets of one class a row, got rows of shape {y.shape[1:]}")
    y = y if array_memory.stays(y) else array_memory.copied(y, "y")
    classes = y if y.ndim == 1 else (np.rint(y[:, 0]) if y.shape[1] == 1 else y.argmax(1))
    values, which = np.unique(classes, return_inverse=True)
    return np.array([class_weight.get(int(value), 1.0) for value in values], dtype)[which]
