"""A function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Self

from nbnet.base.registry import custom_object_scope, function_name, named_function
from nbnet.base.tree import flatten
from nbnet.engine.graph.tensor import tensor
from nbnet.layers.layer import Layer, map_shapes


class Lambda(Layer):
    """A function of tensors as a layer.

    A model with such a layer is saved with the name of the function, never with its code. To load it, define the
    function again, and register it with :func:`nbnet.utils.register_keras_serializable` or pass it in
    ``custom_objects``. A ``lambda`` has no name: such a model can be trained, copied and exported, not saved.

    Parameters
    ----------
    function
        Function of the input, made of functions of ``nbnet.ops``. Arguments named ``mask`` and ``training`` get the
        mask of time steps of the input, and the mode.
    output_shape
        Shape of an output without the batch axis, or a function of the shape of the input;
        ``compute_output_shape`` returns it. By default it is found by calling the function.
    mask
        The mask of time steps of the output: a tensor, or a function of the input and its mask. By default there is
        none.
    arguments
        Further arguments of the function, by name.
    **kwargs
        ``name``, ``trainable``, ``dtype`` (see :class:`Layer`).

    Raises
    ------
    TypeError
        If function is no function.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.Lambda(lambda x, power: x**power, arguments={"power": 3.0})([[1.0, 2.0]]).numpy()
    array([[1., 8.]], dtype=float32)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"function: expected a function, got {function!r}")
        self.function, self.mask, self.arguments = function, mask, dict(arguments or {})
        self._output_shape, self.supports_masking = output_shape, mask is not None
        taken = inspect.signature(function).parameters
        self._takes = tuple(name for name in ("mask", "training") if name in taken)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        offered = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{name: offered[name] for name in self._takes})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        rows = next(flatten(input_shape))
        return map_shapes(lambda shape: (rows, *shape), self._output_shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"function": function_name(self.function, "function")}
        if self._output_shape is not None:
            shape = self._output_shape
            config["output_shape"] = {"function": function_name(shape, "output_shape")} if callable(shape) else shape
        if self.mask is not None:
            fixed = not callable(self.mask)
            config["mask"] = tensor(self.mask).numpy().tolist() if fixed else function_name(self.mask, "mask")
        return config | {"arguments": self.arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        own = dict(config)
        with custom_object_scope(custom_objects):
            shape = own.get("output_shape")
            if isinstance(shape, Mapping) and "function" in shape:
                own["output_shape"] = _function(shape["function"], "output_shape")
            elif isinstance(shape, list):
                own["output_shape"] = tuple(shape)
            for name in ("function", "mask"):
                if isinstance(own.get(name), list):
                    own[name] = tensor(own[name])
                elif own.get(name) is not None:
                    own[name] = _function(own[name], name)
        return cls(**own)


def _function(value: Any, argument: str) -> Any:
    """The function of a name; ValueError for code, which is never run."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__lambda__":
            raise ValueError(
                f"{argument}: the model holds the code of a Python lambda, which nbnet does not run, whatever safe_mode"
                " says; define the function with def, save the model again, and pass it in custom_objects"
            )
        value = value.get("registered_name") or value.get("config")
    return named_function(value, argument)
