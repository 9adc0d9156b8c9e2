"""The ONNX file: the only module that needs the package onnx."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nbnet.base.atomic_file import replacing
from nbnet.engine.graph.tensor import Tensor
from nbnet.export.graph import OnnxGraph

#: Version of the operator set that entries are written for, and of the file format.
OPSET, IR_VERSION = 17, 8
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
