"""``x`` where ``x > 0``, else ``alpha * x``, with an alpha that is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbnet import constraints, initializers, regularizers
from nbnet.core.graph import Tensor
from nbnet.layers.layer import Layer
from nbnet.layers.shapes import Shape
from nbnet.ops.prelu import prelu
from nbnet.ops.reduction import checked_axes


class PReLU(Layer):
    """``x`` where it is above 0, else ``alpha * x``; each unit learns its own alpha.

    Parameters
    ----------
    alpha_initializer
        Name or initializer.
    alpha_regularizer
        Name, regularizer or function: penalty on alpha, which is added to the loss.
    alpha_constraint
        Name, constraint or function: what alpha is held to after each update.
    shared_axes
        Axes along which units share one alpha: ``[1, 2]`` for the pixels of an image. Counted with the batch's, which
        is 0.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Attributes
    ----------
    alpha
        Of the shape of a sample, with 1 along the shared axes.

    Raises
    ------
    ValueError
        If an axis is none of the input.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun: Delving deep into rectifiers. ICCV (2015), section 2.1.

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.PReLU(alpha_initializer="ones")
    >>> layer([[-1.0, 2.0]]).numpy()
    array([[-1.,  2.]], dtype=float32)
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer, "alpha_initializer")
        self.alpha_regularizer = regularizers.get(alpha_regularizer, "alpha_regularizer")
        self.alpha_constraint = constraints.get(alpha_constraint, "alpha_constraint")
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else list(shared_axes or []) or None

    def build(self, input_shape: Shape) -> None:
        shared = checked_axes(self.shared_axes or (), len(input_shape))
        if 0 in shared:
            raise ValueError("shared_axes: axis 0 is the batch's, which always shares")
        shape = tuple(1 if k in shared else n or 0 for k, n in enumerate(input_shape))[1:]
        self.alpha = self.add_weight(
            shape,
            self.alpha_initializer,
            name="alpha",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def call(self, x: Tensor) -> Tensor:
        return prelu(x, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }
