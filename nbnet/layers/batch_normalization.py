"""``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, channel by channel."""

from __future__ import annotations

from typing import Any

from nbnet import initializers
from nbnet.core.graph import Tensor
from nbnet.layers.affine import Affine
from nbnet.layers.shapes import Shape
from nbnet.ops.batch_norm import batch_norm, move_average
from nbnet.ops.batch_normalization import batch_normalization


class BatchNormalization(Affine):
    """Normalises each channel, in training by the batch's statistics, otherwise by moving averages of them.

    In each step of training ``moving = moving * momentum + batch * (1 - momentum)``, for the mean and for the variance
    (which is divided by the number of elements). With ``trainable = False`` the layer uses its moving averages in
    training, too, and leaves them as they are.

    A training step works on the batch as a whole: it is not cut into slices for several threads.

    Parameters
    ----------
    axis
        Of the channels.
    momentum
        Share of the moving averages that a step keeps, in [0, 1].
    epsilon
        Added to the variance.
    center, scale
        Whether there is a beta, and a gamma.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer
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
        Trained; None if they are not wanted.
    moving_mean, moving_variance
        Not trained. The order of weights is gamma, beta, moving mean, moving variance.

    Raises
    ------
    ValueError
        If an argument is out of range, or the axis is none of the input.

    References
    ----------
    S. Ioffe, C. Szegedy: Batch normalization: accelerating deep network training by reducing internal covariate shift.
    ICML (2015).

    Examples
    --------
    >>> import nbnet as nb
    >>> layer = nb.layers.BatchNormalization(momentum=0.5, epsilon=0.0)
    >>> layer([[1.0], [5.0]], training=True).numpy().ravel()
    array([-1.,  1.], dtype=float32)
    >>> layer.moving_mean.numpy(), layer.moving_variance.numpy()
    (array([1.5], dtype=float32), array([2.5], dtype=float32))
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
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
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise ValueError(f"axis: wants an integer, got {axis!r}")
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum: wants a number in [0, 1], got {momentum!r}")
        self.axis, self.momentum = axis, float(momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer, "moving_mean_initializer")
        self.moving_variance_initializer = initializers.get(moving_variance_initializer, "moving_variance_initializer")

    def build(self, input_shape: Shape) -> None:
        axes = len(input_shape)
        if not -axes <= self.axis < axes or self.axis % axes == 0:
            raise ValueError(f"{self.name}: axis {self.axis} is no axis of channels in inputs of shape {input_shape}")
        channels = (input_shape[self.axis] or 0,)
        self._add_affine(channels)
        self.moving_mean = self.add_weight(channels, self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            channels, self.moving_variance_initializer, trainable=False, name="moving_variance"
        )

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if not (training and self.trainable):
            return batch_normalization(
                x, self.moving_mean, self.moving_variance, self.axis, self.beta, self.gamma, self.epsilon
            )
        y, mean, variance = batch_norm(x, self.gamma, self.beta, self.epsilon, self.axis)
        move_average(self.moving_mean, mean, self.momentum)
        move_average(self.moving_variance, variance, self.momentum)
        return y

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "axis": self.axis,
            "momentum": self.momentum,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }
