"""What every layer is: parameters, and a ``call`` written with ops."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Self

import numpy as np

from nbnet import regularizers
from nbnet.config import standardize_dtype
from nbnet.core.graph import Tensor
from nbnet.core.op import INT
from nbnet.core.parameter import Parameter
from nbnet.core.structure import flatten, map_structure
from nbnet.core.symbol import Producer, Symbol, has_symbols, record
from nbnet.core.tape import Trace, scope, tensor
from nbnet.layers.calling import calls, noting, training_argument
from nbnet.layers.penalties import Penalties
from nbnet.layers.shapes import Shape, map_shapes, open_shape
from nbnet.registry import snake_case

_lock, _building = threading.Lock(), threading.RLock()
_used: Counter[str] = Counter()
#: Kinds of attributes that are and hold no layers.
_PLAIN = frozenset((type(None), bool, int, float, str, Parameter, Tensor))


def unique_name(base: str) -> str:
    """``dense``, then ``dense_1``, ``dense_2`` ..., as Keras counts."""
    with _lock:
        used = _used[base]
        _used[base] += 1
    return f"{base}_{used}" if used else base


def clear_names() -> None:
    """Count names from the start again."""
    with _lock:
        _used.clear()


class Layer(Penalties):
    """A part of a model: subclass it, make parameters in ``build``, compute in ``call`` with functions of
    ``nbnet.ops``.

    Parameters
    ----------
    name
        By default the class's name in snake case, numbered.
    trainable
        Whether optimizers change its weights.
    dtype
        Of its weights and outputs: ``"float32"``, ``"float64"`` or None for the framework's default.
    input_shape
        Shape of an input without the batch axis, if it is the first layer of a model.
    input_dim
        The same for inputs of one axis: its length.
    activity_regularizer
        Name, regularizer or function: penalty on the layer's output, divided by the rows of the batch.

    Examples
    --------
    >>> import nbnet as nb
    >>> class Scale(nb.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
    ...
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale()([[1.0, 2.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    """

    #: Whether the nodes of a call are named after the layer.
    _names_nodes: ClassVar[bool] = True
    #: Whether inputs are whole numbers, which need not be made floats.
    integer_input: ClassVar[bool] = False
    #: Whether it draws random numbers in training: ``predict_mc`` calls it as in training, and all other layers not.
    stochastic: ClassVar[bool] = False

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        activity_regularizer: Any = None,
    ) -> None:
        super().__init__(trainable, activity_regularizer)
        if name is not None and (not isinstance(name, str) or not name or "/" in name or ":" in name):
            raise ValueError(f"name: wants a string without '/' and ':', got {name!r}")
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.dtype = standardize_dtype(dtype)
        self.built = False
        self._training_at, self._training_default = training_argument(type(self).call)
        self._producer: Producer | None = None
        if input_dim is not None:
            if input_shape is not None:
                raise ValueError(f"input_dim: wants None beside input_shape {input_shape}, got {input_dim}")
            input_shape = (input_dim,)
        self.batch_input_shape: Shape | None = None if input_shape is None else (None, *input_shape)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = noting(cls.build)  # type: ignore[method-assign]

    # ---- for subclasses ----

    def build(self, input_shape: Shape) -> None:
        """Make the weights; called once, with the shape of the first input (its batch axis is None)."""

    def call(self, x: Tensor) -> Tensor:
        """Compute the output; may take ``training`` as well."""
        raise TypeError(f"{type(self).__name__} does not say what it computes: define call(self, x)")

    # ---- use ----

    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Apply the layer to a tensor or an array whose first axis is the batch, or to a list, tuple or dict of them.

        Of symbols (see :func:`nbnet.Input`) it makes symbols: the call is noted as a part of a model.

        Parameters
        ----------
        *args, **kwargs
            For :meth:`call`.
        training
            Whether the call is one of training. By default what the call is that this one is made in; outside, False.
        """
        if kwargs or len(args) != 1 or not isinstance(args[0], Tensor):
            if has_symbols(args) or has_symbols(kwargs):
                return self._describe(args, kwargs, training)
            if args:
                args = (self._tensors(args[0]), *map(self._operand, args[1:]))
            kwargs = {name: self._operand(value) for name, value in kwargs.items()}
        if not self.built:
            self.build_for(map_structure(open_shape, args[0] if args else next(iter(kwargs.values()), None)))
        at = self._training_at
        if at is not None and at < len(args):
            training, args = args[at], args[:at]
        outside = calls.training
        if outside is None:
            self._forget_losses()
        if training is None:
            training = outside if outside is not None else self._training_default
        if self.stochastic and calls.sampling is not None:
            training = True
        if at is not None:
            kwargs["training"] = training
        calls.training = training
        try:
            with scope(self.name) if self._names_nodes else nullcontext():
                y = self.call(*args, **kwargs)
                self._penalise(y)
                return y
        finally:
            calls.training = outside

    def _describe(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None) -> Any:
        """Note a call with symbols."""
        if training is not None:
            kwargs = kwargs | {"training": training}
        for leaf in flatten((args, kwargs)):
            # Data are gathered in whatever dtype is wanted: an input takes that of the first layer that reads it.
            if isinstance(leaf, Symbol) and leaf.dtype.kind == "f" and leaf.producer and not leaf.producer.inputs():
                leaf.dtype = self.dtype
        if not self.built and args:
            self.build_for(map_structure(open_shape, args[0]))
        found = record(self, args, kwargs, self.name)
        if self._producer is None:
            self._producer = next(flatten(found)).producer
        return found

    def _tensors(self, x: Any) -> Any:
        """A tensor; of a dict, a dict of tensors; of a list or tuple with tensors or arrays in it, a list of them."""
        if isinstance(x, Tensor):
            return x
        if isinstance(x, Mapping):
            return {name: self._tensors(part) for name, part in x.items()}
        if isinstance(x, (list, tuple)) and any(isinstance(part, (Tensor, np.ndarray)) for part in x):
            return [self._tensors(part) for part in x]
        if self.integer_input and (array := np.asarray(x)).dtype.kind in "iu":
            return Tensor(array.shape, INT, np.array(array, INT, order="C"))
        return tensor(x, self.dtype)

    def _operand(self, value: Any) -> Any:
        """A further argument: arrays become tensors, what is none stays as it is."""
        return self._tensors(value) if any(isinstance(leaf, np.ndarray) for leaf in flatten(value)) else value

    def build_for(self, input_shape: Shape) -> None:
        """Build once, whichever thread comes first."""
        if not self.built:
            with _building:
                if not self.built:
                    self.build(input_shape)
                    self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output, or a structure of them, for a shape of the input (or a structure of them); found by
        writing down a call for one sample."""
        with Trace():
            y = self(map_shapes(lambda shape: Tensor((1, *(n or 1 for n in shape[1:])), self.dtype), input_shape))
        return map_structure(open_shape, y)

    @property
    def input(self) -> Any:
        """What the layer was first called with, when it was first called with symbols."""
        producer = self._described()
        return producer.args[0] if producer.args else next(iter(producer.kwargs.values()))

    @property
    def output(self) -> Any:
        """The symbols that the layer returned when it was first called with symbols."""
        return self._described().outputs

    def _described(self) -> Producer:
        if self._producer is None:
            raise ValueError(f"{self.name} has no symbolic input and output: it was not called with an Input yet")
        return self._producer

    @property
    def layers(self) -> list[Layer]:
        """Layers inside this one."""
        found: dict[int, Layer] = {}
        for name, value in vars(self).items():
            if type(value) in _PLAIN or name == "_weights":
                continue
            if isinstance(value, Layer):
                found.setdefault(id(value), value)
            elif isinstance(value, (list, tuple, dict)) and value:
                for part in flatten(value):
                    if isinstance(part, Layer):
                        found.setdefault(id(part), part)
        return list(found.values())

    def get_config(self) -> dict[str, Any]:
        """What the constructor was given."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype.name}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Made from what :meth:`get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name!r}>"
