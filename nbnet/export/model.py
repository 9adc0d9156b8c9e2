"""Export of a model to ONNX: the graph, and the file, for which alone the package onnx is needed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from nbnet.base.atomic_file import replacing, target
from nbnet.base.console import show
from nbnet.base.regular_file import check_name
from nbnet.base.tree import flatten, restructure
from nbnet.base.validation import check_choice
from nbnet.base.version import __version__
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tensor import Tensor
from nbnet.export import elementwise, moves, reductions  # noqa: F401 - they register entries
from nbnet.export.graph import LENGTHS, Forward, Input, OnnxGraph, OpenShape, probe
from nbnet.train.inputs import signature_of
from nbnet.train.trainable import Inputs

if TYPE_CHECKING:
    from nbnet.models.model import Model


#: Version of the operator set that entries are written for, and of the file format.
OPSET, IR_VERSION = 17, 8

Shapes = list[OpenShape] | dict[str, OpenShape]


def export(
    model: Model,
    filepath: str | os.PathLike[str],
    format: str = "onnx",
    verbose: bool | None = None,
    input_signature: Any = None,
    opset_version: int = OPSET,
) -> None:
    """Write a model as an ONNX file; see :meth:`nbnet.Model.export`.

    Parameters
    ----------
    model
        A built model.
    filepath
        Path of the file; an existing file is replaced once the new one is complete.
    format
        ``"onnx"``.
    verbose
        If True, print the path of the file.
    input_signature
        See :func:`to_onnx`.
    opset_version
        17.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    ValueError, TypeError, NotImplementedError
        If an argument is wrong, or the model cannot be written (see :func:`to_onnx`); then no file is written.
    OSError
        If the file cannot be written, or is a FIFO, a socket or a device.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import nbnet as nb
    >>> from nbnet.export import export
    >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(2, "softmax")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "model.onnx"
    ...     export(model, path)
    ...     path.exists()
    True
    """
    check_choice(format, "format", ["onnx"])
    if not isinstance(filepath, (str, os.PathLike)):
        raise TypeError(f"filepath: expected a path, got {filepath!r}")
    path = Path(filepath)
    check_name(path, "filepath")
    if not path.parent.is_dir():
        raise ValueError(f"filepath: {path.parent} is not a folder")
    if path.is_dir():
        raise ValueError(f"filepath: {path} is a folder; expected the name of a file")
    target(path)
    write(to_onnx(model, input_signature, opset_version), path)
    if verbose:
        show(f"Saved {model.name} as ONNX: {path}")


def to_onnx(model: Model, input_signature: Any = None, opset_version: int = OPSET) -> Any:
    """Return a model as an ``onnx.ModelProto``: operator set 17, format 8, any size of the batch.

    Weights are constants with their names; dropout is absent. An input that only embeddings read is int64; other
    inputs, and the outputs, have the model's dtype. A row number outside its table is an error in ONNX, where nbnet
    gives NaN. onnxruntime has some operators for float32 only, so a model that computes in float64 cannot contain
    convolution, average pooling, or gelu without ``approximate=True``.

    Parameters
    ----------
    model
        A built model.
    input_signature
        Shapes with the batch axis, ``(None, ...)``, or objects that have a ``shape``: one, or a list or dict with one
        for each input. None stands for any size; a number on the first axis, for batches of that size only. It builds a
        model that is not built yet, and must agree with one that is. By default the model's own shapes.
    opset_version
        17.

    Returns
    -------
    onnx.ModelProto
        Accepted by the checker of onnx.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    ValueError
        If an argument is wrong, or the model is not built, or the batch size changes more than shapes in it.
    NotImplementedError
        If an op of the model cannot be written; the message names the layer.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.export import to_onnx
    >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(2, "relu", name="hidden")])
    >>> graph = to_onnx(model).graph
    >>> [node.op_type for node in graph.node], [array.name for array in graph.initializer]
    (['Gemm', 'Relu'], ['hidden/kernel', 'hidden/bias'])
    """
    if opset_version != OPSET:
        raise ValueError(f"opset_version: expected {OPSET}, got {opset_version!r}; onnx.version_converter converts it")
    return document(OnnxGraph(probe(*_inputs_and_forward(model, input_signature))), model.name, __version__)


def _inputs_and_forward(model: Model, signature: Any) -> tuple[list[Input], Forward]:
    """Return the inputs of the model, and a function that computes its outputs."""
    given = None if signature is None else _shapes(signature)
    known = _known_inputs(model, given)
    shapes = _agreed(model, known, given)
    found = signature_of(model, tuple(tuple(n or LENGTHS[0] for n in shape[1:]) for shape in shapes))
    dtypes = [INT if whole else model.compute_dtype for whole in found.whole]

    def forward(xs: Sequence[Tensor]) -> dict[str, Tensor]:
        outputs = model.forward(restructure(known.template, xs), training=False)
        return dict(zip(found.names, flatten(outputs), strict=True))

    return [Input(*described) for described in zip(known.names, shapes, dtypes, strict=True)], forward


def _shapes(signature: Any) -> Shapes:
    """Return the shapes of a signature, in a list or by name."""
    if isinstance(signature, Mapping):
        return {name: _shape(part) for name, part in signature.items()}
    several = isinstance(signature, (list, tuple)) and not _is_shape(signature)
    return [_shape(part) for part in (signature if several else [signature])]


def _shape(part: Any) -> OpenShape:
    shape = getattr(part, "shape", part)
    if not _is_shape(shape):
        raise ValueError(f"input_signature: expected shapes, (None, ...) with integers above 0 or None, got {part!r}")
    return tuple(shape)


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(n is None or (isinstance(n, int) and not isinstance(n, bool) and n > 0) for n in value)
    )


def _known_inputs(model: Model, given: Shapes | None) -> Inputs:
    """Return the inputs of the model; a model that is not built is built on zeros of the given shapes."""
    try:
        return model.inputs_known
    except ValueError:
        if given is None:
            raise
    shapes = given.values() if isinstance(given, dict) else given
    if any(n is None for shape in shapes for n in shape[1:]):
        raise ValueError(f"input_signature: {model.name} is not built: expected all sizes but the batch's, got {given}")
    zeros = [np.zeros((1, *(n or 1 for n in shape[1:])), model.compute_dtype) for shape in shapes]
    model(dict(zip(given, zeros, strict=True)) if isinstance(given, dict) else zeros if len(zeros) > 1 else zeros[0])
    return model.inputs_known


def _agreed(model: Model, known: Inputs, given: Shapes | None) -> list[OpenShape]:
    """Return the shape of each input; given sizes replace open ones."""
    own: list[OpenShape] = [(None, *shape) for shape in known.shapes]
    if given is None:
        return own
    if isinstance(given, dict):
        if set(given) != set(known.names):
            raise ValueError(f"input_signature: {model.name} has the inputs {known.names}, got {list(given)}")
        given = [given[name] for name in known.names]
    if len(given) != len(own):
        raise ValueError(f"input_signature: {model.name} has {len(own)} input(s), got {len(given)} shape(s)")
    for name, wanted, shape in zip(known.names, own, given, strict=True):
        if len(shape) != len(wanted) or any(n not in (None, m) for n, m in zip(wanted, shape, strict=True)):
            raise ValueError(f"input_signature: {name} has the shape {wanted}, got {shape}")
    return given


#: Limit of a Protocol Buffers message, in bytes.
LARGEST = (1 << 31) - 1


def onnx_package() -> ModuleType:
    """Return the package onnx; raise ImportError if it is not installed."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError("export needs the package onnx: pip install 'nbnet[onnx]'") from error
    return onnx


def document(graph: OnnxGraph, name: str, version: str) -> Any:
    """Return the graph as an ``onnx.ModelProto`` that the checker of onnx accepts; raise ValueError above 2 GB.

    ``name`` is that of the model, ``version`` that of nbnet.
    """
    onnx = onnx_package()
    used = {name for record in graph.records for name in record.inputs}
    constants = {name: value for name, value in graph.constants.items() if name in used}
    if sum(value.nbytes for value in constants.values()) > LARGEST:
        raise ValueError(f"export: the weights of {name} take 2 GB or more, which one ONNX file does not hold")
    nodes = [
        onnx.helper.make_node(record.op, record.inputs, record.outputs, record.name, **record.attributes)
        for record in graph.records
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            nodes,
            name,
            [_value_info(onnx, graph, name, x) for name, x in graph.inputs.items()],
            [_value_info(onnx, graph, name, x) for name, x in graph.outputs.items()],
            [onnx.numpy_helper.from_array(value, key) for key, value in constants.items()],
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="nbnet",
        producer_version=version,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _value_info(onnx: ModuleType, graph: OnnxGraph, name: str, x: Tensor) -> Any:
    """Return name, dtype and shape of an input or output; the batch is an axis of unknown length."""
    dtype = np.dtype(np.int64) if graph.is_integer(x) else x.dtype
    shape = [
        n if n == other else ("batch" if axis == 0 else f"{name}_{axis}")
        for axis, (n, other) in enumerate(graph.sizes(x))
    ]
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(dtype), shape)


def write(model: Any, path: Path) -> None:
    """Write the file atomically."""
    with replacing(path) as file:
        file.write(model.SerializeToString())
