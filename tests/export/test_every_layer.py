"""Every layer as an ONNX model, by the table of ``tests/layers/test_every_layer.py``."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from tests.export.runtime import run
from tests.layers.test_every_layer import Case, each

onnx = pytest.importorskip("onnx", reason="onnx, which writes the files, is not installed")


@each
def test_it_computes_the_same(case: Case, tmp_path):
    indices = case.name == "Embedding"
    model = nb.Sequential([nb.Input(case.shape, dtype="int64" if indices else None), case.make()])
    x = case.inputs(5)
    model.export(tmp_path / "layer.onnx")
    (found,) = run(onnx.load(tmp_path / "layer.onnx"), x.astype("int64") if indices else x)
    np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
