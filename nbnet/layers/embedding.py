"""Rows of a table by number."""

from __future__ import annotations

import warnings
from typing import Any

from nbnet import constraints, initializers, regularizers
from nbnet.core.graph import Tensor
from nbnet.layers.dense import positive_integer
from nbnet.layers.layer import Layer
from nbnet.layers.shapes import Shape
from nbnet.ops.embedding import embedding


class Embedding(Layer):
    """Turns each whole number from 0 to ``input_dim - 1`` into a vector that is learned.

    Parameters
    ----------
    input_dim
        Number of rows of the table: the largest number that occurs, plus 1.
    output_dim
        Length of a vector.
    embeddings_initializer
        Name or initializer.
    embeddings_regularizer
        Name, regularizer or function: penalty on the whole table, which is added to the loss.
    embeddings_constraint
        Name, constraint or function: what the table is held to after each update.
    mask_zero
        Only False: nbnet has no masks of time steps.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`). ``input_length``, which Keras had
        once, is ignored with a warning.

    Raises
    ------
    ValueError
        If a size is no integer above 0, mask_zero is asked for, or a number is out of range. In a compiled program, an
        input that is out of range gives NaN, so that the loss shows it.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.Embedding(10, 2, embeddings_initializer="ones")
    >>> layer([[1, 2, 3]]).shape
    (1, 3, 2)
    """

    #: Inputs are whole numbers: they may arrive as integers and need not be made floats.
    integer_input = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        **kwargs: Any,
    ) -> None:
        if mask_zero:
            raise ValueError(
                "mask_zero: nbnet has no masks of time steps; leave it out, and let 0 be a row like any other"
            )
        if kwargs.pop("input_length", None) is not None:
            warnings.warn("input_length: inputs may be of any length; leave it out", DeprecationWarning, stacklevel=2)
        super().__init__(**kwargs)
        self.input_dim = positive_integer(input_dim, "input_dim")
        self.output_dim = positive_integer(output_dim, "output_dim")
        self.embeddings_initializer = initializers.get(embeddings_initializer, "embeddings_initializer")
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer, "embeddings_regularizer")
        self.embeddings_constraint = constraints.get(embeddings_constraint, "embeddings_constraint")

    def build(self, input_shape: Shape) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            name="embeddings",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def call(self, x: Tensor) -> Tensor:
        return embedding(x, self.embeddings)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": False,
        }
