"""Convolution over a sequence."""

from __future__ import annotations

from nbnet.layers.convolution import Convolution


class Conv1D(Convolution):
    """Convolution along a sequence: (batch, length, channels) to (batch, new length, filters).

    Parameters
    ----------
    filters
        Channels of the output.
    kernel_size
        Length of the window.
    strides
        Steps from window to window.
    padding
        ``"valid"``: windows lie inside the sequence. ``"same"``: as many windows as steps fit in it; zeros surround
        it. ``"causal"``: the zeros stand before it, so that the output at a time does not see later ones.
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
        (kernel_size, channels, filters)
    bias
        (filters,), or None.

    Raises
    ------
    ValueError
        If an argument is out of range, or the window is longer than the sequence.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.Conv1D(32, 3, activation="relu")(np.zeros((4, 10, 128))).shape
    (4, 8, 32)
    """

    rank = 1
    paddings = ("valid", "same", "causal")
