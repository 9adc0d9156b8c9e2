"""Inputs as Keras's users write them."""

from __future__ import annotations

import pytest

import nbnet as nb


@pytest.mark.parametrize(
    "arguments",
    [
        {"shape": (3, None)},
        {"batch_shape": (None, 3, None)},
        {"batch_shape": [8, 3, None], "sparse": True},
        {"shape": (3, None), "batch_size": 8},
    ],
)
def test_shapes(arguments):
    assert nb.Input(**arguments).shape == (None, 3, None)
    layer = nb.layers.InputLayer(**arguments)
    assert nb.layers.InputLayer.from_config(layer.get_config()).batch_size == layer.batch_size


@pytest.mark.parametrize("arguments", [{}, {"shape": (3,), "batch_shape": (None, 3)}, {"shape": (0,)}, {"shape": "3"}])
def test_bad_shapes(arguments):
    with pytest.raises(ValueError, match="shape"):
        nb.Input(**arguments)
