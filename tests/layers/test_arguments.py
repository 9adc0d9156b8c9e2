"""Arguments of Keras's constructors that nbnet reads by other names, or refuses; shapes of inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

L = nb.layers


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Dense(2, lora_rank=4), "lora_rank: nbnet does not offer it, expected None, got 4"),
        (lambda: L.Dense(2, quantization_config={}), "quantization_config: nbnet does not offer it"),
        (lambda: L.Embedding(3, 2, lora_rank=4), "lora_rank: nbnet does not offer it"),
        (lambda: L.BatchNormalization(renorm=True, renorm_clipping={"r": 1.0}), "expected a dict with keys among"),
        (lambda: L.BatchNormalization(renorm=True, renorm_clipping={"rmax": 0.0, "rmin": 1.0}), "rmax from rmin"),
        (lambda: L.BatchNormalization(renorm=True, renorm_clipping={"dmax": -1.0}), "dmax.*from 0"),
        (lambda: L.Flatten("channels_first"), "data_format: nbnet keeps channels on the last axis"),
        (lambda: L.InputLayer((2,), ragged=True), "ragged: nbnet does not offer it"),
        (lambda: nb.Input((2,), optional=True), "optional: nbnet does not offer it"),
        (lambda: nb.Input((2,), batch_shape=(3, 2)), "shape: expected either shape or batch_shape"),
        (lambda: nb.Input((4,), "float64"), "batch_size: expected an integer from 1"),
        (lambda: nb.Input(batch_size=3, batch_shape=(3, 2)), "batch_size: expected None beside batch_shape"),
        (lambda: L.InputLayer(input_tensor=np.zeros((2, 3))), "input_tensor: expected a symbol"),
        (lambda: L.InputLayer(input_tensor=nb.Input((2,))), "has a producer; pass it to nbnet.Model"),
    ],
)
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_older_names() -> None:
    with pytest.warns(DeprecationWarning, match="negative_slope"):
        assert L.LeakyReLU(alpha=0.1).negative_slope == 0.1
    with pytest.warns(DeprecationWarning, match="its name is shape today"):
        assert L.InputLayer(input_shape=(3,), batch_size=2).batch_shape == (2, 3)
    with pytest.warns(DeprecationWarning, match="its name is batch_shape today"):
        assert L.InputLayer(batch_input_shape=(2, 3)).batch_shape == (2, 3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        L.InputLayer((2,), nonsense=1)


def test_input_tensor() -> None:
    x = nb.engine.graph.symbolic.Symbol((None, 3), np.dtype("float32"), "x")
    layer = L.InputLayer(input_tensor=x)
    assert layer.output is x
    assert nb.Model(x, L.Dense(2)(x))(np.zeros((4, 3))).shape == (4, 2)
    for wrong in ({"shape": (4,)}, {"batch_shape": (None, 4)}, {"dtype": "float64"}, {"sparse": True}):
        other = nb.engine.graph.symbolic.Symbol((None, 3), np.dtype("float32"), "x")
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: input_tensor has"):
            L.InputLayer(input_tensor=other, **wrong)


def test_first_values_of_a_table() -> None:
    table = np.arange(6.0).reshape(3, 2)
    for given in (table, [table]):
        layer = L.Embedding(3, 2, weights=given)
        np.testing.assert_array_equal(layer([[2, 0]]).numpy()[0], table[[2, 0]])
    with pytest.raises(ValueError, match="has shape"):
        L.Embedding(3, 3, weights=table)


@pytest.mark.parametrize(
    "arguments",
    [
        {"shape": (3, None)},
        {"batch_shape": (None, 3, None)},
        {"batch_shape": [8, 3, None], "sparse": True},
        {"shape": (3, None), "batch_size": 8},
    ],
)
def test_shapes_of_inputs(arguments: Any) -> None:
    assert nb.Input(**arguments).shape == (8 if "8" in str(arguments) else None, 3, None)
    layer = L.InputLayer(**arguments)
    assert L.InputLayer.from_config(layer.get_config()).batch_size == layer.batch_size


@pytest.mark.parametrize("arguments", [{}, {"shape": (3,), "batch_shape": (None, 3)}, {"shape": (0,)}, {"shape": "3"}])
def test_bad_shapes_of_inputs(arguments: Any) -> None:
    with pytest.raises(ValueError, match="shape"):
        nb.Input(**arguments)
