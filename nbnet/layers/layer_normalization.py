"""``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, over the features of each sample."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from nbnet import ops, room
from nbnet.core.graph import Tensor
from nbnet.layers.affine import Affine
from nbnet.layers.shapes import Shape
from nbnet.ops.reduction import checked_axes


class LayerNormalization(Affine):
    """Normalises over an axis, or several together, each sample for itself; the same in training and afterwards.

    Parameters
    ----------
    axis
        An axis or several; not the batch's.
    epsilon
        Added to the variance.
    center, scale
        Whether there is a beta, and a gamma.
    beta_initializer, gamma_initializer
        Names or initializers.
    beta_regularizer, gamma_regularizer
        Names, regularizers or functions: penalties on them, which are added to the loss.
    beta_constraint, gamma_constraint
        Names, constraints or functions: what they are held to after each update.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Attributes
    ----------
    gamma, beta
        Of the shape of the normalised axes; None if they are not wanted.

    Raises
    ------
    ValueError
        If an axis is none of the input.

    References
    ----------
    J. L. Ba, J. R. Kiros, G. E. Hinton: Layer normalization. arXiv:1607.06450 (2016).

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.LayerNormalization(epsilon=0.0)([[1.0, 5.0], [0.0, 2.0]]).numpy()
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
            beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        self.axis: int | list[int] = list(axis) if isinstance(axis, Sequence) else axis

    def build(self, input_shape: Shape) -> None:
        axes = checked_axes(self.axis, len(input_shape))
        if not axes or axes[0] == 0:
            raise ValueError(f"{self.name}: axis {self.axis} includes the batch's, or is none")
        self._axes, shape = axes, tuple(input_shape[k] or 0 for k in axes)
        self._last = axes == tuple(range(axes[0], len(input_shape)))
        self._shape = tuple((input_shape[k] or 0) if k in axes else 1 for k in range(len(input_shape)))
        self._add_affine(shape)

    def call(self, x: Tensor) -> Tensor:
        if self._last:
            shape = x.shape[self._axes[0] :]
            room.reserve(prod(shape), self.name)
            gamma = np.ones(shape, x.dtype) if self.gamma is None else self.gamma
            beta = np.zeros(shape, x.dtype) if self.beta is None else self.beta
            return ops.layer_norm(x, gamma, beta, self.epsilon)
        centred = x - ops.mean(x, self._axes, keepdims=True)
        variance = ops.mean(ops.square(centred), self._axes, keepdims=True)
        y = centred / ops.sqrt(variance + self.epsilon)
        if self.gamma is not None:
            y = y * ops.reshape(self.gamma, self._shape)
        return y if self.beta is None else y + ops.reshape(self.beta, self._shape)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axis": self.axis}
