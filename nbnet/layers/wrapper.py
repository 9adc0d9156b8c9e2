"""Layers that wrap another one: the base class, and a layer applied to each step of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from nbnet import ops
from nbnet.base.tree import flatten, map_structure
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer, Shape
from nbnet.layers.serialization import deserialize, serialize


class Wrapper(Layer):
    """Base of the layers that wrap another one.

    Parameters
    ----------
    layer
        The layer inside.
    **kwargs
        ``name``, ``trainable``, ``dtype`` (see :class:`Layer`).

    Raises
    ------
    ValueError
        If it is no layer.

    Examples
    --------
    >>> import nbnet as nb
    >>> class Doubled(nb.layers.Wrapper):
    ...     def call(self, x):
    ...         return 2.0 * self.layer(x)
    >>> Doubled(nb.layers.ReLU())([[-1.0, 3.0]]).numpy()
    array([[0., 6.]], dtype=float32)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(f"layer: {type(self).__name__} expected a layer, got {layer!r}")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        self.layer.build_for(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {"layer": serialize(self.layer)} | super().get_config()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        if "layer" not in config:
            raise ValueError("config: expected a layer, got none")
        return cls(**{**config, "layer": deserialize(config["layer"], custom_objects)})


class TimeDistributed(Wrapper):
    """Applies a layer to each step of a sequence: (batch, steps, ...) to (batch, steps, ...).

    The output has the mask of time steps of the input. The steps are computed together, as rows of one batch. A layer
    whose results for a row depend on more than the row, as those of :class:`Dropout` and :class:`BatchNormalization` in
    training, is called for one step after the other instead, as in Keras: each step has a dropout mask of its own, on
    a tape under the name of the layer inside, then ``name:1``, ``name:2`` ...

    Parameters
    ----------
    layer
        The layer, or model, that takes one step (batch, ...). If its ``call`` takes a ``mask``, it gets that of the
        step.
    **kwargs
        ``name``, ``trainable``, ``dtype`` (see :class:`Layer`).

    Raises
    ------
    ValueError
        If it is no layer, or an input or a mask has no axis of steps.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> videos = np.zeros((2, 5, 8, 8, 3))
    >>> nb.layers.TimeDistributed(nb.layers.Conv2D(4, 3))(videos).shape
    (2, 5, 6, 6, 4)
    """

    # Masks are named after the layer inside.
    _names_nodes: ClassVar[bool] = False

    def build(self, input_shape: Any = None) -> None:
        super().build(self._step_shape(input_shape))

    def _step_shape(self, shape: Any) -> Shape:
        if not isinstance(shape, tuple) or len(shape) < 3:
            raise ValueError(f"{self.name}: expected inputs (batch, steps, ...) of at least 3 axes, got shape {shape}")
        return (shape[0], *shape[2:])

    def call(self, x: Tensor, training: bool = False, mask: Tensor | None = None) -> Any:
        self._step_shape(x.shape)
        if mask is not None and (mask.ndim < 2 or mask.shape[:2] != x.shape[:2]):
            raise ValueError(f"mask: {self.name} expected one of shape {x.shape[:2]}, got {mask.shape}")
        if x.dtype == INT:
            x = ops.cast(x, self.dtype)
        inner = mask if self.layer._masks_taken.any else None
        together = self._rows_are_independent(x, training)
        y = (self._all_steps if together else self._each_step)(x, training, inner)
        for part in flatten(y):
            part.time_mask = mask
        return y

    def _all_steps(self, x: Tensor, training: bool, mask: Tensor | None) -> Any:
        n = x.shape[0] * x.shape[1]
        rows = ops.reshape(x, (n, *x.shape[2:]))
        y = self._apply(rows, training, None if mask is None else ops.reshape(mask, (n, *mask.shape[2:])))
        return map_structure(lambda part: ops.reshape(part, (*x.shape[:2], *part.shape[1:])), y)

    def _apply(self, x: Tensor, training: bool, mask: Tensor | None) -> Any:
        return self.layer(x, training=training) if mask is None else self.layer(x, training=training, mask=mask)

    def _rows_are_independent(self, x: Tensor, training: bool) -> bool:
        """True if the layer inside draws no random numbers, and computes each row by itself alone."""
        with Trace() as trace:
            self.layer(Tensor((x.shape[0] * x.shape[1], *x.shape[2:]), x.dtype), training=training)
        own = not any(node.op.random or node.op.whole_batch for node in trace.nodes)
        return own and not trace.effects and not trace.losses

    def _each_step(self, x: Tensor, training: bool, mask: Tensor | None) -> Any:
        steps = [self._apply(x[:, i], training, None if mask is None else mask[:, i]) for i in range(x.shape[1])]
        parts = zip(*map(flatten, steps), strict=True)
        stacked = iter([ops.stack(list(part), axis=1) for part in parts])
        return map_structure(lambda _: next(stacked), steps[0])
