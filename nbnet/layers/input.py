"""The input of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer


class InputLayer(Layer):
    """Says what the input of a model looks like; passes it on."""

    def __init__(self, shape: Sequence[int | None], dtype: Any = None, name: str | None = None) -> None:
        sizes = tuple(shape) if isinstance(shape, Sequence) else (0,)
        if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in sizes):
            raise ValueError(
                f"shape: wants sizes of one sample, integers above 0, without the batch axis; got {shape!r}"
            )
        super().__init__(name=name, dtype=dtype, input_shape=sizes)

    def call(self, x: Tensor) -> Tensor:
        return x

    def get_config(self) -> dict[str, Any]:
        assert self.batch_input_shape is not None
        return {"shape": self.batch_input_shape[1:], "dtype": self.dtype.name, "name": self.name}


def Input(shape: Sequence[int | None], dtype: Any = None, name: str | None = None) -> InputLayer:
    """The input of a model: shape of one sample, without the batch axis.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(2)])
    >>> model.count_params()
    10
    """
    return InputLayer(shape, dtype, name)
