"""Runs what was exported, in onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]


def session(made: Any) -> Any:
    """An exported model in onnxruntime."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime, which runs what is exported, is not installed")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(made: Any, *arrays: Array) -> list[Array]:
    """Outputs for inputs in their order, which are cast to what the model wants."""
    live = session(made)
    dtypes = {
        "tensor(float)": np.float32,
        "tensor(double)": np.float64,
        "tensor(int64)": np.int64,
        "tensor(bool)": np.bool_,
    }
    feeds = {
        x.name: np.asarray(array).astype(dtypes[x.type]) for x, array in zip(live.get_inputs(), arrays, strict=True)
    }
    return live.run(None, feeds)
