"""Convolution over sequences and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nbnet import activations
from nbnet.base.validation import check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.arguments import ActivationLike, ConstraintLike, InitializerLike, RegularizerLike, weight_options
from nbnet.layers.layer import Layer, Shape, check_rank, features
from nbnet.ops.conv import check_data_format, check_padding, conv, per_axis


class Convolution(Layer):
    """Base of :class:`Conv1D` and :class:`Conv2D`: ``activation(conv(x, kernel) + bias)``."""

    _shared_docs: ClassVar[dict[str, str]] = {
        "first": "filters\n    Channels of the output.",
        "last": """data_format
    ``"channels_last"`` or None.
dilation_rate
    Steps between the elements of a window; above 1 only where strides are 1.
groups
    1.
activation, use_bias, ..., bias_constraint, **kwargs
    As for :class:`Dense`.""",
        "raises": "ValueError\n    If an argument is out of range, or the window is larger than the input.",
    }
    _arguments = (
        *("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups"),
        *("activation", "use_bias"),
    )
    _weight_names = ("kernel", "bias")
    data_format, groups = "channels_last", 1
    #: Number of spatial axes.
    rank: ClassVar[int]
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        check_data_format(data_format)
        if groups != 1:
            raise ValueError(f"groups: nbnet convolves all channels together, groups=1; got {groups!r}")
        self.filters = check_int(filters, "filters")
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size")
        self.strides = per_axis(strides, self.rank, "strides")
        self.padding = check_padding(padding, self.paddings)
        self.dilation_rate = per_axis(dilation_rate, self.rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"strides: steps above 1 and a dilation above 1 exclude each other, got strides={self.strides} and "
                f"dilation_rate={self.dilation_rate}"
            )
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint = weight_options(
            "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
        )
        self.bias_initializer, self.bias_regularizer, self.bias_constraint = weight_options(
            "bias", bias_initializer, bias_regularizer, bias_constraint
        )
        self.bias: Parameter | None = None

    def _check_input(self, shape: Shape) -> None:
        check_rank(self.name, shape, self.rank)

    def build(self, input_shape: Shape) -> None:
        channels = features(self.name, input_shape)
        self.kernel = self._add_named_weight("kernel", (*self.kernel_size, channels, self.filters))
        if self.use_bias:
            self.bias = self._add_named_weight("bias", (self.filters,))

    def call(self, x: Tensor) -> Tensor:
        y = conv(x, self.kernel, self.strides, self.padding, None, self.dilation_rate, bias=self.bias)
        return self.activation(y)


class Conv1D(Convolution):
    """Convolution along a sequence: (batch, length, channels) to (batch, new length, filters).

    Parameters
    ----------
    kernel_size
        Length of the window.
    strides
        Steps from window to window.
    padding
        ``"valid"``: windows lie inside the sequence. ``"same"``: as many windows as steps fit in it; zeros surround
        it. ``"causal"``: the zeros stand before it, so that the output at a time does not see later ones.

    Attributes
    ----------
    kernel
        (kernel_size, channels, filters)
    bias
        (filters,), or None.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> nb.layers.Conv1D(32, 3, activation="relu")(np.zeros((4, 10, 128))).shape
    (4, 8, 32)
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(Convolution):
    """Convolution over images: (batch, height, width, channels) to (batch, new height, new width, filters).

    Parameters
    ----------
    kernel_size
        Height and width of the window, or one number for both.
    strides
        Steps down and to the right from window to window, or one number for both.
    padding
        ``"valid"``: windows lie inside the image. ``"same"``: as many windows as steps fit in it; zeros surround it.

    Attributes
    ----------
    kernel
        (height, width, channels, filters)
    bias
        (filters,), or None.

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
