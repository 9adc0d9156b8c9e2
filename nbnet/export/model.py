"""From a model to an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.core.op import INT
from nbnet.core.structure import flatten
from nbnet.export.document import OPSET, document, write
from nbnet.export.graph import Graph
from nbnet.export.probe import LENGTHS, Forward, Input, OpenShape, outline
from nbnet.export.table import REFUSED
from nbnet.models.intake import Inputs, packed

if TYPE_CHECKING:
    from nbnet.models.model import Model

Shapes = list[OpenShape] | dict[str, OpenShape]


def export(
    model: Model,
    filepath: str | os.PathLike[str],
    format: str = "onnx",
    verbose: bool | None = None,
    input_signature: Any = None,
    opset_version: int = OPSET,
) -> None:
    """Write a model as an ONNX file: what :meth:`nbnet.Model.export` does.

    Parameters
    ----------
    model
        A built model.
    filepath
        Where to; a file that is there is replaced once the new one is complete.
    format
        ``"onnx"``.
    verbose
        Whether to say where the file is.
    input_signature
        See :func:`to_onnx`.
    opset_version
        17.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    ValueError, TypeError, NotImplementedError
        If an argument is wrong, or the model cannot be written (see :func:`to_onnx`); then no file is made.

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
    if format != "onnx":
        raise ValueError(f"format: nbnet writes 'onnx', got {format!r}")
    if not isinstance(filepath, (str, os.PathLike)):
        raise TypeError(f"filepath: wants a path, got {filepath!r}")
    path = Path(filepath)
    if not path.parent.is_dir():
        raise ValueError(f"filepath: {path.parent} is not a folder")
    if path.is_dir():
        raise ValueError(f"filepath: {path} is a folder; wants the name of a file")
    write(to_onnx(model, input_signature, opset_version), path)
    if verbose:
        print(f"Saved {model.name} as ONNX: {path}")


def to_onnx(model: Model, input_signature: Any = None, opset_version: int = OPSET) -> Any:
    """A model as an ``onnx.ModelProto``: operator set 17, format 8, any size of the batch.

    Weights are constants with their names; dropout is absent. An input that goes to an embedding, and nowhere else, is
    int64; all others, and the outputs, are of the model's dtype. Outside its table, where nbnet gives NaN, a number is
    an error in ONNX. Some operators exist for float32 only in onnxruntime; models that compute in float64 and need
    one are refused: convolution, average pooling, and gelu without ``approximate=True``.

    Parameters
    ----------
    model
        A built model.
    input_signature
        Shapes with the batch axis, ``(None, ...)``, or things that have a ``shape``: one, or a list or dict with one
        for each input. None stands for any size, a first number for batches of that size alone. Builds a model that is
        not built; otherwise it must agree with the model. By default the model's own.
    opset_version
        17.

    Returns
    -------
    onnx.ModelProto, which the checker of onnx has passed.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    ValueError
        If an argument is wrong, the model is not built, or depends on the size of the batch in other ways than shape.
    NotImplementedError
        If an op of the model cannot be written; the message names the layer.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.export import to_onnx
    >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(2, "relu", name="hidden")])
    >>> made = to_onnx(model)
    >>> [node.op_type for node in made.graph.node], [array.name for array in made.graph.initializer]
    (['Gemm', 'Relu'], ['hidden/kernel', 'hidden/bias'])
    """
    from nbnet import __version__

    if opset_version != OPSET:
        raise ValueError(
            f"opset_version: nbnet writes {OPSET}, got {opset_version!r}; onnx.version_converter makes others of it"
        )
    graph = Graph(outline(*_described(model, input_signature)), REFUSED)
    return document(graph, model.name, __version__)


def _described(model: Model, signature: Any) -> tuple[list[Input], Forward]:
    """The inputs of the model, and what computes its outputs."""
    given = None if signature is None else _shapes(signature)
    known = _known_inputs(model, given)
    shapes = _agreed(model, known, given)
    found = model.outline(tuple(tuple(n or LENGTHS[0] for n in shape[1:]) for shape in shapes))
    dtypes = [INT if whole else model.compute_dtype for whole in found.whole]

    def forward(xs: Sequence[Tensor]) -> dict[str, Tensor]:
        made = model.forward(packed(known.template, xs), training=False)
        return dict(zip(found.names, flatten(made), strict=True))

    return [Input(*described) for described in zip(known.names, shapes, dtypes, strict=True)], forward


def _shapes(signature: Any) -> Shapes:
    """The shapes of a signature: one, in a list, or by name."""
    if isinstance(signature, Mapping):
        return {name: _shape(part) for name, part in signature.items()}
    several = isinstance(signature, (list, tuple)) and not _is_shape(signature)
    return [_shape(part) for part in (signature if several else [signature])]


def _shape(part: Any) -> OpenShape:
    shape = getattr(part, "shape", part)
    if not _is_shape(shape):
        raise ValueError(f"input_signature: wants shapes, (None, ...) with integers above 0 or None, got {part!r}")
    return tuple(shape)


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(n is None or (isinstance(n, int) and not isinstance(n, bool) and n > 0) for n in value)
    )


def _known_inputs(model: Model, given: Shapes | None) -> Inputs:
    """The inputs of the model, which is built if it is not and shapes are given: zeros are the first data it sees."""
    try:
        return model.inputs_known
    except ValueError:
        if given is None:
            raise
    shapes = given.values() if isinstance(given, dict) else given
    if any(n is None for shape in shapes for n in shape[1:]):
        raise ValueError(f"input_signature: {model.name} is not built; wants all sizes but the batch's, got {given}")
    zeros = [np.zeros((1, *(n or 1 for n in shape[1:])), model.compute_dtype) for shape in shapes]
    model(dict(zip(given, zeros, strict=True)) if isinstance(given, dict) else zeros if len(zeros) > 1 else zeros[0])
    return model.inputs_known


def _agreed(model: Model, known: Inputs, given: Shapes | None) -> list[OpenShape]:
    """The shape of each input, as it is given where the model leaves it open."""
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
