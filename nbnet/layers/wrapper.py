"""Layers around another layer or a function: the base class, TimeDistributed, SpectralNormalization and Lambda."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self
from weakref import WeakKeyDictionary

from nbnet import ops
from nbnet.base.registry import custom_object_scope, function_name, named_function
from nbnet.base.tree import flatten, map_structure
from nbnet.base.uninterrupted import apart
from nbnet.base.validation import check_int
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.initializers import TruncatedNormal
from nbnet.layers.arguments import map_shapes
from nbnet.layers.layer import Layer, Shape
from nbnet.layers.serialization import deserialize, serialize
from nbnet.ops.normalization import move_average


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
        return own and not trace.effects and not trace.assignments and not trace.losses

    def _each_step(self, x: Tensor, training: bool, mask: Tensor | None) -> Any:
        steps = [self._apply(x[:, i], training, None if mask is None else mask[:, i]) for i in range(x.shape[1])]
        parts = zip(*map(flatten, steps), strict=True)
        stacked = iter([ops.stack(list(part), axis=1) for part in parts])
        return map_structure(lambda _: next(stacked), steps[0])


#: A lock for each layer whose weights stand aside during a call.
_locks: WeakKeyDictionary[Layer, threading.RLock] = WeakKeyDictionary()


class SpectralNormalization(Wrapper):
    """Divides the kernel of a layer by an estimate of its largest singular value, in each call in training.

    The estimate comes from a few steps of the power method, which begin at the vector of the call before. Calls in
    inference leave the kernel as it is. The layer is then 1-Lipschitz, up to its activation, which stabilises the
    training of generative adversarial networks.

    Parameters
    ----------
    layer
        A layer with a ``kernel``, such as :class:`Dense` and :class:`Conv2D`, or :class:`Embedding`.
    power_iterations
        Steps of the power method in a call, from 1.
    **kwargs
        ``name``, ``trainable``, ``dtype`` (see :class:`Layer`).

    Attributes
    ----------
    vector_u
        (1, units): the estimate of the first right singular vector; not trainable.

    Raises
    ------
    ValueError
        If the layer has neither, or power_iterations is below 1.

    References
    ----------
    T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida: Spectral normalization for generative adversarial networks. ICLR
    (2018).

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> layer = nb.layers.SpectralNormalization(nb.layers.Dense(2, kernel_initializer="identity"), 20)
    >>> layer.build((None, 2))
    >>> _ = layer.layer.kernel.assign([[4.0, 0.0], [0.0, 2.0]])
    >>> y = layer(np.ones((1, 2)), training=True)
    >>> layer.layer.kernel.numpy().round(4)
    array([[1. , 0. ],
           [0. , 0.5]], dtype=float32)
    """

    _arguments = ("power_iterations",)
    _weight_name = ""

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = check_int(power_iterations, "power_iterations")

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self._weight_name = next((name for name in ("kernel", "embeddings") if hasattr(self.layer, name)), "")
        if not self._weight_name:
            raise ValueError(f"layer: expected one with a kernel or embeddings, got {self.layer!r}")
        units = self._weight.shape[-1]
        self.vector_u = self.add_weight((1, units), TruncatedNormal(stddev=0.02), trainable=False, name="vector_u")

    @property
    def listed_weights(self) -> list[Parameter]:
        """The kernel of the layer inside, then ``vector_u``."""
        weight = getattr(self.layer, self._weight_name, None)
        return [*([weight] if isinstance(weight, Parameter) else []), *super().listed_weights]

    @property
    def _weight(self) -> Parameter:
        weight: Parameter = getattr(self.layer, self._weight_name)
        return weight

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return self.layer(x)
        with _lock(self.layer):
            weight = self._weight
            normal, vector = self._normalized(weight)
            # In a program, the weight takes its new value after the forward pass, which reads that value here.
            move_average(self.vector_u, vector, 0.0)
            move_average(weight, normal, 0.0)
            with _in_place_of(self.layer, self._weight_name, normal):
                return self.layer(x)

    def _normalized(self, weight: Parameter) -> tuple[Tensor, Tensor]:
        """The weight divided by its largest singular value, and the vector of the power method."""
        # A copy: the weight changes before the backward pass.
        kernel = ops.multiply(weight, 1.0)
        rows = ops.reshape(kernel, (-1, weight.shape[-1]))
        fixed = ops.stop_gradient(rows)
        u = v = ops.multiply(self.vector_u, 1.0)
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(u, ops.transpose(fixed)), epsilon=1e-12)
            u = ops.normalize(ops.matmul(v, fixed), epsilon=1e-12)
        u, v = ops.stop_gradient(u), ops.stop_gradient(v)
        sigma = ops.matmul(ops.matmul(v, rows), ops.transpose(u))
        # Zeros stay zeros.
        sigma = ops.where(ops.equal(sigma, 0.0), 1.0, sigma)
        return ops.divide(kernel, ops.reshape(sigma, ())), u


def _lock(layer: Layer) -> threading.RLock:
    return _locks.setdefault(layer, threading.RLock())


@contextmanager
def _in_place_of(layer: Layer, name: str, value: Tensor) -> Iterator[None]:
    """Inside, an attribute of a layer is another tensor."""
    attributes = vars(layer)
    before = attributes[name]
    attributes[name] = value
    try:
        yield
    finally:
        attributes[name] = before


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

    runs_function = True

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
    @apart
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
