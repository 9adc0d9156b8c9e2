"""Functions of tensors in ONNX: several inputs and outputs, open axes, and what depends on their sizes."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet import ops
from nbnet.engine.graph.tensor import tensor
from nbnet.export.graph import Input, OnnxGraph, probe
from tests.export.runtime import run

pytest.importorskip("onnx", reason="onnx, which writes the files, is not installed")

from nbnet.export.model import document

F32 = np.dtype("float32")
rng = np.random.default_rng(0)
X = rng.normal(size=(6, 4)).astype("float32")


def written(function, *shapes, dtype=F32):
    """A function of tensors as an ONNX model; a dict of outputs, or one output."""
    inputs = [Input(f"x{k}", shape, dtype) for k, shape in enumerate(shapes)]

    def forward(xs):
        made = function(*xs)
        return made if isinstance(made, dict) else {"y": made}

    return document(OnnxGraph(probe(inputs, forward)), "function", "0")


def same(function, made, *arrays):
    wanted = function(*(tensor(a) for a in arrays))
    wanted = list(wanted.values()) if isinstance(wanted, dict) else [wanted]
    for found, y in zip(run(made, *arrays), wanted, strict=True):
        np.testing.assert_allclose(found, y.numpy(), rtol=1e-5, atol=1e-6)


ACROSS_ROWS = [
    lambda x: ops.reshape(x, (-1, 2)),
    lambda x: ops.reshape(ops.transpose(x), (-1,)),
    lambda x: ops.transpose(x),
    lambda x: ops.transpose(ops.reshape(x, (-1, 2, 2)), (2, 0, 1)),
    lambda x: x - ops.mean(x, axis=0),
    lambda x: ops.sum(x * x, axis=(0, 1), keepdims=True) + x,
    lambda x: ops.sum(x, axis=0, keepdims=True),
    lambda x: ops.mean(x),
    lambda x: ops.concatenate([x, ops.square(x)], axis=0),
    lambda x: ops.batch_norm(x)[0],
    lambda x: ops.reshape(ops.sum(ops.reshape(x, (-1, 2, 2)), axis=2), (-1, 1, 2)),
    lambda x: x[[-1, 0]],
]


@pytest.mark.parametrize("function", ACROSS_ROWS)
def test_rows_that_depend_on_each_other(function):
    made = written(function, (None, 4))
    for rows in (2, 3, 6):
        same(function, made, X[:rows])


BY_LENGTH = [
    lambda x: ops.mean(x, axis=1),
    lambda x: ops.max_pool(x, 2),
    lambda x: ops.conv(x, np.ones((3, 2, 4), "float32"), dilation_rate=2),
    lambda x: ops.conv(x, np.ones((3, 2, 4), "float32"), padding="causal"),
    lambda x: ops.reshape(x, (x.shape[0], -1)),
    lambda x: ops.transpose(x, (0, 2, 1)),
    lambda x: ops.layer_norm(x, np.ones(2, "float32"), np.ones(2, "float32")),
    lambda x: ops.softmax(x),
    lambda x: ops.max_pool(x, x.shape[1]),
    lambda x: ops.average_pool(x, x.shape[1]),
]


@pytest.mark.parametrize("function", BY_LENGTH)
def test_sequences_of_any_length(function):
    made = written(function, (None, None, 2))
    for rows, length in ((1, 6), (3, 9)):
        same(function, made, rng.normal(size=(rows, length, 2)).astype("float32"))


def test_an_input_of_fixed_size():
    made = written(ACROSS_ROWS[0], (6, 4))
    assert [d.dim_value for d in made.graph.output[0].type.tensor_type.shape.dim] == [12, 2]
    same(ACROSS_ROWS[0], made, X)


def test_several_inputs_and_outputs():
    def function(a, b):
        c = ops.matmul(a, np.ones((4, 2), "float32")) + b
        return {"sum": c, "again": c, "first": a, "product": c * b}

    made = written(function, (None, 4), (None, 2))
    assert [x.name for x in made.graph.input] == ["x0", "x1"]
    assert [x.name for x in made.graph.output] == ["sum", "again", "first", "product"]
    same(function, made, X, X[:, :2])


def test_outputs_that_have_the_names_of_inputs():
    made = written(lambda a: {"x0": ops.relu(a)}, (None, 4))
    names = [x.name for x in (*made.graph.input, *made.graph.output)]
    assert len(set(names)) == 2


def test_constants_that_are_equal_are_stored_once():
    made = written(lambda x: ops.selu(ops.celu(x, 1.0)) + ops.softsign(ops.celu(x, 1.0)), (None, 4), dtype=F32)
    assert len({a.raw_data for a in made.graph.initializer}) == len(made.graph.initializer)


DEPENDENT = [
    lambda x: x * (1.0 / x.shape[0]),
    lambda x: ops.reshape(x, (-1, 4))[np.arange(x.shape[0])[::-1]],
    lambda x: x + np.ones((x.shape[0], 1), "float32"),
    lambda x: x if x.shape[0] > 3 else ops.relu(x),
    lambda x: ops.concatenate([x] * x.shape[0]),
]


@pytest.mark.parametrize("function", DEPENDENT)
def test_functions_that_compute_with_the_size_of_the_batch(function):
    with pytest.raises(ValueError, match="depends on the size of the batch"):
        written(function, (None, 4))


UNSAYABLE = [
    (lambda x: ops.reshape(x, (x.shape[1], x.shape[0], 2)), "more than one axis"),
    (lambda x: ops.conv(x, np.ones((3, 2, 1), "float32"), strides=2, padding="same"), "padding"),
    (lambda x: ops.sparsemax(ops.transpose(x, (0, 2, 1))), "an axis"),
]


@pytest.mark.parametrize(("function", "message"), UNSAYABLE)
def test_what_onnx_wants_as_a_number(function, message):
    with pytest.raises(NotImplementedError, match=message):
        written(function, (None, None, 2))


def test_an_op_that_nothing_is_known_of(monkeypatch):
    from nbnet.export import graph

    monkeypatch.delitem(graph.ENTRIES, "relu")
    with pytest.raises(NotImplementedError, match="relu applies the op 'relu': it has no entry"):
        written(ops.relu, (None, 4))


def test_parameters_keep_their_names():
    w = nb.Parameter(np.ones((4, 2), "float32"), name="weights")
    made = written(lambda x: ops.matmul(x, w), (None, 4))
    assert [a.name for a in made.graph.initializer] == ["weights"]


def test_an_entry_is_made_once():
    from nbnet.export.graph import writes

    with pytest.raises(ValueError, match="op 'relu' has an entry already"):
        writes("relu")(lambda g, node, x: x)
