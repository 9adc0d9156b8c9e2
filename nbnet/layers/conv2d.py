"""Convolution over an image."""

from __future__ import annotations

from nbnet.layers.convolution import Convolution


class Conv2D(Convolution):
    """Convolution over images: (batch, height, width, channels) to (batch, new height, new width, filters).

    Parameters
    ----------
    filters
        Channels of the output.
    kernel_size
        Height and width of the window, or one number for both.
    strides
        Steps down and to the right from window to window, or one number for both.
    padding
        ``"valid"``: windows lie inside the image. ``"same"``: as many windows as steps fit in it; zeros surround it.
    data_format
        ``"channels_last"`` or None.
    dilation_rate
        Steps between the elements of a window; above 1 only where strides are 1.
    groups
        1.
    activation
        Name or function; None for none.
    use_bias
        Whether to add a bias.
    kernel_initializer, bias_initializer
        Names or initializers.
    kernel_regularizer, bias_regularizer, activity_regularizer
        Names, regularizers or functions: penalties on the weights, and on the output for each row of the batch, which
        are added to the loss.
    kernel_constraint, bias_constraint
        Names, constraints or functions: what the weights are held to after each update.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` (see :class:`Layer`).

    Attributes
    ----------
    kernel
        (height, width, channels, filters)
    bias
        (filters,), or None.

    Raises
    ------
    ValueError
        If an argument is out of range, or the window is larger than the image.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> layer = nb.layers.Conv2D(2, 3, activation="relu")
    >>> layer(np.zeros((4, 28, 28, 3))).shape
    (4, 26, 26, 2)
    >>> [w.shape for w in layer.get_weights()]
    [(3, 3, 3, 2), (2,)]
    """

    rank = 2
