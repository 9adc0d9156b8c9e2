"""Beginnings of models of sequences: integers to learned vectors, and masks of the steps that are padding."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from nbnet import ops
from nbnet.base.validation import FINITE, check_int
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import ConstraintLike, InitializerLike, RegularizerLike, refuse, weight_options
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.gather import embedding


class Embedding(Layer):
    """Turns each integer from 0 to ``input_dim - 1`` into a learned vector.

    Parameters
    ----------
    input_dim
        Number of rows of the table: the largest integer, plus 1.
    output_dim
        Length of a vector.
    embeddings_initializer
        Name or initializer.
    embeddings_regularizer
        Name, regularizer or function: penalty on the whole table, which is added to the loss.
    embeddings_constraint
        Name, constraint or function that is applied to the table after each update.
    mask_zero
        Only False: nbnet has no masks of time steps.
    weights
        First values of the table, an array or a list with one, instead of the initializer's.
    lora_rank, lora_alpha, quantization_config
        Only None: nbnet trains all weights, in float32 or float64.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`). ``input_length``, an argument of
        earlier versions of Keras, is ignored with a warning.

    Raises
    ------
    ValueError
        If a size is no integer above 0, or a number is out of range. In a compiled program, an
        input that is out of range gives NaN, so that the loss shows it.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.Embedding(10, 2, embeddings_initializer="ones")
    >>> layer([[1, 2, 3]]).shape
    (1, 3, 2)
    """

    _arguments = ("input_dim", "output_dim", "mask_zero")
    _weight_names = ("embeddings",)
    integer_input = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer: RegularizerLike = None,
        embeddings_constraint: ConstraintLike = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        refuse("train all weights", lora_rank=lora_rank, lora_alpha=lora_alpha)
        refuse("weights are float32 or float64", quantization_config=quantization_config)
        if kwargs.pop("input_length", None) is not None:
            warnings.warn("input_length: inputs may be of any length; leave it out", DeprecationWarning, stacklevel=2)
        super().__init__(**kwargs)
        self.input_dim = check_int(input_dim, "input_dim")
        self.output_dim = check_int(output_dim, "output_dim")
        self.mask_zero = self.supports_masking = bool(mask_zero)
        self.embeddings_initializer, self.embeddings_regularizer, self.embeddings_constraint = weight_options(
            "embeddings", embeddings_initializer, embeddings_regularizer, embeddings_constraint
        )

        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, (list, tuple)) and len(weights) == 1 else [weights])

    def build(self, input_shape: Shape | None = None) -> None:
        self.embeddings = self._add_named_weight("embeddings", (self.input_dim, self.output_dim))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if not self.mask_zero:
            return None
        # Looked up, as integers have no other ops: 0 for number 0, 1 for all others.
        counts = np.ones((self.input_dim, 1), self.dtype)
        counts[0] = 0.0
        return ops.squeeze(ops.embedding(inputs, counts), -1)

    def call(self, x: Tensor) -> Tensor:
        return embedding(x, self.embeddings)


class Masking(Layer):
    """Gives a sequence a mask of time steps: those whose features all equal a value are padding.

    Padding becomes 0 in the output. Layers that support masks hand the mask on, and the loss and metrics leave out
    positions whose mask is 0.

    Parameters
    ----------
    mask_value
        The value that padding consists of.

    Examples
    --------
    >>> import nbnet as nb
    >>> y = nb.layers.Masking(mask_value=-1.0)([[[2.0, 3.0], [-1.0, -1.0]]])
    >>> y.numpy().tolist()
    [[[2.0, 3.0], [0.0, 0.0]]]
    >>> y.time_mask.numpy().astype(bool)
    array([[ True, False]])
    """

    _arguments = ("mask_value",)

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = FINITE.check(mask_value, "mask_value")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, x: Tensor) -> Tensor:
        if x.dtype == INT:
            x = ops.cast(x, self.dtype)
        found: Tensor = self.compute_mask(x)
        y = ops.where(ops.expand_dims(found, -1), x, 0.0)
        y.time_mask = found
        return y
