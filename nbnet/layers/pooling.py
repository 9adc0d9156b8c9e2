"""What the pooling layers share."""

from __future__ import annotations

from typing import Any, ClassVar

from nbnet.layers.layer import Layer
from nbnet.layers.shapes import Shape, check_rank
from nbnet.ops.window import check_data_format, check_padding, per_axis


class Pooling(Layer):
    """Base of the layers that make one number of each window of a channel."""

    rank: ClassVar[int]

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_data_format(data_format)
        self.pool_size = per_axis(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size if strides is None else per_axis(strides, self.rank, "strides")
        self.padding = check_padding(padding)

    def build(self, input_shape: Shape) -> None:
        check_rank(self.name, input_shape, self.rank)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": "channels_last",
        }
