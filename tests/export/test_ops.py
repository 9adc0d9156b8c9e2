"""Every op that has an entry, against its own kernels, by the table of ``tests/ops/cases.py``."""

from __future__ import annotations

import numpy as np
import pytest

from nbnet.engine.graph.tensor import Tensor, apply, apply_many
from nbnet.export.graph import ENTRIES, SINGLE_ONLY, Input, OnnxGraph, probe
from nbnet.ops.elementwise import fusible
from tests.export.runtime import run
from tests.ops.cases import CASES, Case

pytest.importorskip("onnx", reason="onnx, which writes the files, is not installed")

from nbnet.export.model import document

#: ONNX has bits of booleans only.
WRITTEN = [c for c in CASES if c.op.name in ENTRIES and not (c.op.name.startswith("bitwise") and "integers" in c.label)]
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
#: Ops that onnxruntime computes in float32 only.
SINGLE = {
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "average_pool", "conv", "conv_transpose", "cosh",
    "depthwise_conv", "erf", "erfc", "gelu", "sinh", "tan",
}  # fmt: skip


def exported(case: Case, arrays, dtype):
    """The op as an ONNX model whose inputs are the rows of the case, or the first input if there are none."""
    fed = case.rows or (0,)
    inputs = [Input(f"input{k}", (None if case.rows else len(a), *a.shape[1:]), a.dtype)
              for k, a in enumerate(arrays) if k in fed]  # fmt: skip
    constants = [Tensor(a.shape, a.dtype, a) for a in arrays]

    def forward(tensors):
        given = dict(enumerate(constants)) | dict(zip(fed, tensors, strict=True))
        attributes = case.attributes(len(tensors[0])) if case.rows else case.attributes_for(arrays)
        made = apply_many(case.op, *given.values(), **attributes)
        return {f"output{k}": y for k, y in enumerate(made)}

    return document(OnnxGraph(probe(inputs, forward)), "case", "0"), [arrays[k] for k in fed]


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.id)
def test_the_op_computes_the_same(case, dtype):
    arrays = case.inputs(dtype)
    if dtype == F64 and case.op.name in SINGLE:
        with pytest.raises(NotImplementedError, match="onnxruntime has for float32 only"):
            exported(case, arrays, dtype)
        return
    made, fed = exported(case, arrays, dtype)
    wanted = apply_many(case.op, *(Tensor(a.shape, a.dtype, a) for a in arrays), **case.attributes_for(arrays))
    tolerance = 1e-5 if dtype == F32 else 1e-7
    for found, y in zip(run(made, *fed), wanted, strict=True):
        assert found.dtype == y.dtype
        np.testing.assert_allclose(found, y.numpy(), rtol=tolerance, atol=tolerance)


FAR = [-1e4, -300.0, -100.0, -30.0, -1e-3, 0.0, 1e-3, 30.0, 100.0, 300.0, 1e4]
POSITIVE = {"exp", "log", "sqrt"}


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_far_from_zero(dtype):
    """Compositions neither overflow nor lose digits where kernels do not."""
    x = np.array([FAR], dtype)
    for case in WRITTEN:
        name = case.op.name
        if name in fusible and case.label == "matrix" and name not in POSITIVE and (dtype == F32 or name not in SINGLE):
            arrays = [x, *case.inputs(dtype)[1:]]
            made, fed = exported(case, arrays, dtype)
            wanted = apply(case.op, *(Tensor(a.shape, a.dtype, a) for a in arrays)).numpy()
            np.testing.assert_allclose(run(made, *fed)[0], wanted, rtol=1e-5, atol=1e-5, err_msg=name)


def test_what_is_for_float32_only_is_still_so():
    """Once onnxruntime has a kernel, the refusal should go."""
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    double = onnx.TensorProto.DOUBLE
    wants = {op: {} for op in SINGLE_ONLY} | {"AveragePool": {"kernel_shape": [2, 2]}}
    runtime.set_default_logger_severity(4)
    for op, attributes in wants.items():
        names = ["x", "w"] if op.startswith("Conv") else ["x"]
        values = [onnx.helper.make_tensor_value_info(name, double, [2, 3, 4, 5]) for name in (*names, "y")]
        node = onnx.helper.make_node(op, names, ["y"], **attributes)
        graph = onnx.helper.make_graph([node], "g", values[:-1], [onnx.helper.make_empty_tensor_value_info("y")])
        made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        made = onnx.shape_inference.infer_shapes(made)
        with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
            runtime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
