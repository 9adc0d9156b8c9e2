"""Weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from tests.engine.toys import F32, F64


def test_parameter_copies_its_value() -> None:
    value = np.ones((2, 2), F32)
    p = Parameter(value, name="p")
    value[:] = 0
    assert p.numpy().sum() == 4
    assert p.requires_grad
    assert p.trainable
    assert not Parameter(value, trainable=False).requires_grad


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1, 2], F32),
        ([1.5], F32),
        (2.5, F32),
        ([True], F32),
        (np.ones(2, np.float16), F32),
        (np.arange(2), F32),
        (np.ones(2), F64),
        (np.float64(1), F64),
        (np.ones(2, F32), F32),
    ],
)
def test_dtype_of_a_parameter(value: Any, dtype: Any) -> None:
    assert Parameter(value).dtype == dtype
    assert Parameter(value, dtype="float64").dtype == F64
    assert Parameter(Parameter(value, dtype=F64)).dtype == F64
    with pytest.raises(ValueError, match="float32 or float64"):
        Parameter(value, dtype="float16")


@pytest.mark.parametrize("value", [[1j], ["a"], [None]])
def test_a_parameter_holds_real_numbers(value: Any) -> None:
    with pytest.raises(TypeError, match="value"):
        Parameter(value)


def test_assign() -> None:
    p = Parameter([1.0, 2.0], name="dense/kernel")
    assert p.path == "dense/kernel"
    memory, copies = p.memory(), [p.numpy(), np.asarray(p), p.value.numpy(), nb.ops.convert_to_tensor(p).numpy()]
    p.assign([3, 4])
    assert memory.tolist() == [3, 4]
    assert [copy.tolist() for copy in copies] == [[1, 2]] * 4
    with pytest.raises(ValueError, match=r"value: dense/kernel has shape \(2,\), got \(1, 2\)"):
        p.assign([[1, 2]])
    for wrong in ([1j, 2], ["a", "b"]):
        with pytest.raises(TypeError, match="value: dense/kernel"):
            p.assign(wrong)
    assert memory.tolist() == [3, 4]
    p.assign_add([1, 2])
    p.assign_sub(3)
    assert memory.tolist() == [1, 3]
    with pytest.raises(ValueError, match="has shape"):
        p.assign_add([[1, 2]])


def test_a_layer_with_a_scalar_weight_is_trained() -> None:
    class Scale(nb.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.factor = self.add_weight((), "ones", name="factor")

        def call(self, x: Tensor) -> Tensor:
            return x * self.factor

    model = nb.Sequential([nb.Input((3,)), Scale()])
    model.compile(nb.optimizers.SGD(0.1), "mse")
    model.fit(np.ones((4, 3)), np.zeros((4, 3)), verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], 1 - 0.1 * 2, rtol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda w: nb.ops.cast(w, w.dtype),
        lambda w: w.astype("float32"),
        lambda w: +w,
        lambda w: nb.ops.pad(w, 0),
        lambda w: nb.ops.broadcast_to(w, w.shape),
        lambda w: nb.ops.swapaxes(w, 0, 0),
        lambda w: nb.ops.split(w, 1)[0],
        lambda w: nb.ops.cond(True, lambda: w, lambda: -w),
        lambda w: nb.ops.switch(0, [lambda x: x], w),
        lambda w: nb.ops.fori_loop(0, 0, lambda _, x: -x, w),
        lambda w: nb.ops.while_loop(lambda n, _: n < 1, lambda n, x: (n + 1, x), (0, w))[1],
    ],
)
@pytest.mark.parametrize("trainable", [True, False])
def test_what_functions_return_does_not_change_with_the_weight(function: Any, trainable: bool) -> None:
    p = nb.Parameter([1.0, 2.0], trainable=trainable)
    with nb.Tape() as tape:
        y = function(p)
        loss = nb.ops.sum(y * y)
    assert type(y) is nb.Tensor
    p.assign([5.0, 6.0])
    assert y.tolist() == [1.0, 2.0]
    if trainable:
        assert tape.gradient(loss, [p])[0].tolist() == [2.0, 4.0]
