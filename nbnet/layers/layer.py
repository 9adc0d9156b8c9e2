"""The base of all layers: weights, losses, and a ``call`` written with ops, in the context of training or inference."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, overload
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
from numpy.typing import NDArray

from nbnet import regularizers
from nbnet.base.array_memory import plain_array
from nbnet.base.constructor import RecordsArguments, constructor_config
from nbnet.base.docstrings import join_common_sections
from nbnet.base.registry import snake_case, unique_name
from nbnet.base.tree import Kinds, flatten, map_structure
from nbnet.config import DTypePolicy, standardize_dtype
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.parameter import Parameter, argument_changes, invalidate_programs
from nbnet.engine.graph.symbolic import Producer, Symbol, has_symbols, record
from nbnet.engine.graph.tape import paused
from nbnet.engine.graph.tensor import Tensor, recorder, tensor, thread_state
from nbnet.layers.arguments import (
    RegularizerLike,
    argument_names,
    build_arguments,
    call_context,
    check_sizes,
    compatible,
    map_shapes,
    marks_built,
    open_shape,
    plain,
    training_argument,
    weight_arguments,
)
from nbnet.layers.time_masks import attached, fill_arguments, hand_on, mask_arguments
from nbnet.layers.variable import HasWeights, flatten_layers
from nbnet.ops.convert import cast

#: The shape of an input: the batch axis is open (None), others may be.
Shape = tuple[int | None, ...]
#: Numbers, nested lists of numbers, arrays and tensors: the arguments that :meth:`Layer.__call__` makes tensors of.
Numbers = float | Tensor | NDArray[Any] | Sequence["Numbers"]

#: A lock for each layer that is being built, or was once waited for.
_build_locks: WeakKeyDictionary[Layer, threading.RLock] = WeakKeyDictionary()
if hasattr(os, "register_at_fork"):
    # A child has none of the threads that hold a lock.
    os.register_at_fork(after_in_child=_build_locks.clear)
#: Layers that hold losses of an eager call.
_with_losses: WeakSet[Layer] = WeakSet()


class Layer(HasWeights, RecordsArguments):
    """A part of a model: subclass it, create weights in ``build``, compute in ``call`` with functions of ``nbnet.ops``.

    Parameters
    ----------
    name
        By default the class's name in snake case, numbered.
    trainable
        If False, optimizers leave its weights as they are. A change counts after the next ``compile``; a change of
        an attribute that calls read, such as ``activation``, from the next batch on; of what only ``build`` reads, such
        as ``units`` or ``kernel_regularizer``, not at all.
    dtype
        Of its weights and outputs: ``"float32"``, ``"float64"`` or None for the framework's default.
    input_shape
        Shape of an input without the batch axis, if it is the first layer of a model.
    input_dim
        The same for inputs of one axis: its length.
    activity_regularizer
        Name, regularizer or function: penalty on the layer's output, divided by the rows of the batch.
    autocast
        Accepted as in Keras: arrays become tensors of the layer's dtype in any case.

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

    #: Names of the constructor arguments that a class adds to :meth:`get_config`; they are attributes of the same name.
    _arguments: ClassVar[tuple[str, ...]] = ()
    #: Names of the weights whose options a class adds to it, too: ``kernel_initializer`` ...
    _weight_names: ClassVar[tuple[str, ...]] = ()
    #: Sizes of the inputs that the built layer works on, None for any; ``build`` sets it where ops would not notice
    #: others.
    _sizes: Shape | None = None
    #: If True, the nodes of a call are named after the layer.
    _names_nodes: ClassVar[bool] = True
    #: If True, integer inputs stay integers; otherwise they become floats, except for a ``call`` of the user's.
    integer_input: ClassVar[bool] = False
    #: True for a class with a ``call`` that is none of nbnet's.
    _users_call: ClassVar[bool] = False
    #: If True, a function of the user's computes the output.
    runs_function: ClassVar[bool] = False
    #: If True, the layer draws random numbers in training: ``predict_mc`` calls it, and no other layer, as in training.
    stochastic: ClassVar[bool] = False
    #: True if the layer hands the mask of time steps of its input on to its output, or, with a :meth:`compute_mask` of
    #: its own, another one.
    supports_masking: bool = False
    #: True for a class that defines :meth:`compute_mask`.
    _computes_masks: ClassVar[bool] = False
    #: An :class:`nbnet.layers.InputSpec`, or several for several inputs, which the first argument of each call must
    #: fit, else ValueError.
    input_spec: Any = None
    #: Sections that the docstrings of a family of layers share: arguments of ``join_common_sections``.
    _shared_docs: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        activity_regularizer: RegularizerLike = None,
        autocast: bool = True,
    ) -> None:
        self.activity_regularizer = regularizers.get(activity_regularizer, "activity_regularizer")
        if name is not None and (not isinstance(name, str) or not name or "/" in name or ":" in name):
            raise ValueError(f"name: expected a string without '/' and ':', got {name!r}")
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.dtype = standardize_dtype(dtype)
        self.built = self._building = False
        if input_dim is not None:
            if input_shape is not None:
                raise ValueError(f"input_dim: expected None beside input_shape {input_shape}, got {input_dim}")
            input_shape = (input_dim,)
        self.batch_input_shape: Shape | None = None if input_shape is None else (None, *input_shape)
        if not isinstance(trainable, (bool, np.bool)):
            raise ValueError(f"trainable: expected True or False, got {trainable!r}")
        self._trainable = bool(trainable)
        self._weights: list[Parameter] = []
        self._losses: list[Tensor] = []
        self._training_at, self._training_default = training_argument(type(self).call)
        self._masks_taken = mask_arguments(type(self).call)
        self._producer: Producer | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = marks_built(cls.build)  # type: ignore[method-assign]
        if "call" in vars(cls) and not cls.__module__.startswith("nbnet."):
            cls._users_call = True
        if "compute_mask" in vars(cls):
            cls._computes_masks = True
            if "supports_masking" not in vars(cls):
                cls.supports_masking = True
        if cls._shared_docs:
            join_common_sections(cls, **cls._shared_docs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name!r}>"

    # ---- methods that subclasses define ----

    def build(self, input_shape: Any) -> None:
        """Create the weights; called once, with the shape of the first input, a tuple whose first entry is None (or a
        list or dict of shapes, for several inputs)."""

    def _check_input(self, shape: Any) -> None:
        """Raise ValueError if the layer cannot work on inputs of this shape; called before :meth:`build`, with its
        argument, and in every call with a tensor, as later inputs may have another shape than the first."""
        if self._sizes is not None:
            check_sizes(self.name, shape, self._sizes)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output of an input, a tensor in most layers; may take ``training`` as well, and ``mask``, the
        mask of time steps of the input, or None."""
        raise NotImplementedError(f"{type(self).__name__} has no call method: define call(self, x)")

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """The mask of time steps of the output (of each output, in a list), 1 for the steps that count and 0 for the
        others, or None; computed from the input and its mask, which it is by default.

        It is asked for if :attr:`supports_masking` is True, as it is for a class that defines this method.
        """
        return mask

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor.

        Those of a class of your own that does not define it are the ones it was called with, if they are numbers,
        strings, booleans, None, and lists, tuples and dicts of these; others raise NotImplementedError.
        """
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype.name}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        for cls in reversed(type(self).__mro__):
            names = *vars(cls).get("_arguments", ()), *weight_arguments(*vars(cls).get("_weight_names", ()))
            config |= {name: plain(name, getattr(self, name)) for name in names}
        return constructor_config(self, config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Create a layer from the dict that :meth:`get_config` returned."""
        return cls(**config)

    # ---- calls ----

    @overload
    def __call__(
        self, x: Symbol | Sequence[Symbol], *args: Any, training: bool | None = None, **kwargs: Any
    ) -> Symbol: ...
    @overload
    def __call__(self, x: Numbers, *args: Any, training: bool | None = None, **kwargs: Any) -> Tensor: ...
    @overload
    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any: ...
    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Apply the layer to a tensor or an array whose first axis is the batch, or to a list, tuple or dict of them.

        Called with symbols (see :func:`nbnet.Input`), it returns symbols: the call is recorded as a part of a model.

        Parameters
        ----------
        *args, **kwargs
            Arguments of :meth:`call`. Where it takes a ``mask``, the mask of time steps of the input is passed unless
            the caller gives another.
        training
            True for training, False for inference; None: as in the layer call around this one, else False.
        """
        if kwargs or len(args) != 1 or not isinstance(args[0], Tensor):
            if not args and "inputs" in kwargs and "inputs" not in argument_names(type(self).call):
                # The name that Keras's layers have for their first argument.
                args = (kwargs.pop("inputs"),)
            if has_symbols(args) or has_symbols(kwargs):
                return self._call_symbolic(args, kwargs, training)
            if args:
                args = (self._as_tensors(args[0]), *map(self._as_operand, args[1:]))
            kwargs = {name: self._as_operand(value) for name, value in kwargs.items()}
        elif args[0].dtype != self.dtype:
            args = (self._as_tensors(args[0]),)
        if self.input_spec is not None:
            self._check_spec(args, kwargs)
        if not self.built:
            self._build_from(args, kwargs)
        if args and isinstance(args[0], Tensor):
            self._check_input(args[0].shape)
        at = self._training_at
        if at is not None and at < len(args):
            training, args, rest = args[at], args[:at], args[at + 1 :]
            kwargs |= dict(zip(self._masks_taken.names[at + 1 :], rest, strict=False))
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        masks = inputs.time_mask if isinstance(inputs, Tensor) else attached(inputs)
        if (taken := self._masks_taken).any:
            if taken.at is not None and len(args) == 1 and not kwargs and isinstance(inputs, Tensor):
                kwargs["mask"] = masks
            else:
                args, kwargs = fill_arguments(taken, args, kwargs)
                masks = masks if kwargs.get("mask") is None else kwargs["mask"]
        outer = call_context.training
        if outer is None:
            self._forget_losses()
        given = outer if training is None else training
        if self.stochastic and call_context.sampling is not None:
            given = True
        if at is not None:
            kwargs["training"] = self._training_default if given is None else given
        # A default is the layer's own; the layers inside have theirs.
        call_context.training = False if given is None else given
        scopes = thread_state.scopes if self._names_nodes else []
        scopes.append(self.name)
        dtype, thread_state.dtype = thread_state.dtype, self.dtype
        try:
            y = self.call(*args, **kwargs)
            if self._computes_masks or masks is not None:
                hand_on(self, inputs, y, masks)
            if self.activity_regularizer is not None:
                for penalty, additive in regularizers.output_penalties(self.activity_regularizer, y):
                    self._record_loss(penalty, additive)
            return y
        finally:
            scopes.pop()
            call_context.training, thread_state.dtype = outer, dtype

    def _call_symbolic(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None) -> Any:
        """Record a call with symbols."""
        if training is not None:
            kwargs = kwargs | {"training": training}
        for leaf in flatten((args, kwargs)):
            # Data are gathered in any dtype: a float input takes that of the first layer that reads it.
            if isinstance(leaf, Symbol) and leaf.dtype.kind == "f" and leaf.producer and not leaf.producer.inputs():
                leaf.dtype = self.dtype
        if self.input_spec is not None:
            self._check_spec(args, kwargs)
        if not self.built:
            self._build_from(args, kwargs)
        try:
            outputs = record(self, args, kwargs, self.name)
        except (ValueError, IndexError):
            outputs = self._stated(args, kwargs)
            if outputs is None:
                raise
        if type(self).compute_output_spec is not Layer.compute_output_spec:
            said, found = ([tuple(symbol.shape) for symbol in flatten(part)] for part in (
                self.compute_output_spec(*args, **kwargs), outputs
            ))  # fmt: skip
            if not compatible(said, found):
                raise ValueError(f"compute_output_spec: {self.name} returned shapes {said}, call returns {found}")
        if self._producer is None:
            self._producer = getattr(next(flatten(outputs)), "producer", None)
        return outputs

    def _stated(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The outputs of a call that fails for lengths of axes that are made up, by :meth:`compute_output_shape`; None
        if the layer has none of its own, or all lengths are known."""
        is_open = any(None in symbol.shape[1:] for symbol in flatten(args) if isinstance(symbol, Symbol))
        if type(self).compute_output_shape is Layer.compute_output_shape or len(args) != 1 or not is_open:
            return None
        producer = Producer(self, args, kwargs, self.name)
        producer.outputs = self.compute_output_spec(*args)
        for symbol in flatten(producer.outputs):
            symbol.producer = producer
        return producer.outputs

    def _check_spec(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Raise ValueError unless the first argument of a call fits :attr:`input_spec`."""
        from nbnet.layers.input_spec import check_inputs

        active = recorder()
        # The sizes of a call that is tried are made up; a program works on slices of the batch.
        if not getattr(active, "probing", False):
            first = args[0] if args else next(iter(kwargs.values()), None)
            check_inputs(self.input_spec, first, self.name, batch_known=active is None or not active.deferred)

    def _as_tensors(self, x: Any) -> Any:
        """A tensor; for a dict, a dict of tensors; for a list or tuple with tensors or arrays in it, one of them."""
        if isinstance(x, Tensor):
            # Floats of data; those that gradients flow to, and those of a program, keep their dtype.
            other = x.dtype.kind == "f" and x.dtype != self.dtype and x.data is not None and not x.requires_grad
            return cast(x, self.dtype) if other else x
        if isinstance(x, Mapping):
            return {name: None if part is None else self._as_tensors(part) for name, part in x.items()}
        if isinstance(x, (list, tuple)) and any(isinstance(part, (Tensor, np.ndarray)) for part in x):
            parts = [None if part is None else self._as_tensors(part) for part in x]
            return tuple(parts) if isinstance(x, tuple) else parts
        array = plain_array(x, "x")
        if (self.integer_input or self._users_call) and array.dtype.kind in "iu":
            return Tensor(array.shape, INT, np.array(array, INT, order="C"))
        return tensor(array, self.dtype)

    def _as_operand(self, value: Any) -> Any:
        """A further argument: arrays become tensors, other values stay as they are."""
        return self._as_tensors(value) if any(isinstance(leaf, np.ndarray) for leaf in flatten(value)) else value

    def _build_from(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Build the layer for the arguments of a call."""
        first = args[0] if args else next(iter(kwargs.values()), None)
        shapes: dict[str, Any] = {}
        if names := build_arguments(type(self).build, type(self).call):
            given = inspect.signature(self.call).bind(*args, **kwargs).arguments
            shapes = {
                f"{name}_shape": map_structure(open_shape, given[name]) for name in names if given.get(name) is not None
            }
        self.build_for(map_structure(open_shape, first), shapes)

    def build_for(self, input_shape: Shape, shapes: Mapping[str, Any] | None = None) -> None:
        """Build the layer if it is not built; safe to call from several threads.

        Parameters
        ----------
        input_shape
            Shape of the first argument of :meth:`call`.
        shapes
            Arguments of a :meth:`build` that takes several shapes, by name.

        Raises
        ------
        RuntimeError
            If this thread is building it, and has been interrupted by a signal handler that calls it, too.
        """
        if self.built:
            return
        with _build_locks.setdefault(self, threading.RLock()):
            if self.built:
                return
            if self._building:
                raise RuntimeError(f"{self.name} is being built by the code that this call interrupts")
            self._building = True
            try:
                self._check_input(input_shape)
                with paused():  # Nothing that initializers compute is a part of a program.
                    self.build(**shapes) if shapes else self.build(input_shape)
                self.built = True
            finally:
                self._building = False

    def quantize(self, mode: Any = None, **kwargs: Any) -> None:
        """Not offered: weights are float32 or float64, and NotImplementedError says so."""
        raise NotImplementedError(
            f"quantize: weights of {self.name} are float32 or float64; export the model to ONNX, and quantize it there"
        )

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The symbols that a call with these symbols returns, without recording it as a part of a model.

        Examples
        --------
        >>> import nbnet as nb
        >>> nb.layers.Dense(3).compute_output_spec(nb.Input((2,))).shape
        (None, 3)
        """
        if type(self).compute_output_shape is not Layer.compute_output_shape and len(args) == 1 and not kwargs:
            shapes = self.compute_output_shape(map_structure(lambda x: tuple(x.shape), args[0]))
            return map_shapes(lambda shape: Symbol(tuple(shape), self.dtype, self.name), shapes)
        if not self.built:
            self._build_from(args, kwargs)
        outputs = record(self, args, kwargs, self.name)
        for symbol in flatten(outputs):
            symbol.producer = None
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output, or a structure of shapes, for a shape of the input (or a structure of shapes); None
        stands for an open axis. Found by tracing calls."""
        if type(self).call is Layer.call:
            raise NotImplementedError(f"{type(self).__name__} has no call method: define call(self, x)")
        inputs = map_shapes(lambda shape: Symbol(tuple(shape), self.dtype, self.name), input_shape)
        if not self.built:
            self._build_from((inputs,), {})
        return map_structure(lambda symbol: symbol.shape, record(self, (inputs,), {}, self.name))

    @property
    def input(self) -> Any:
        """The symbols of the layer's first symbolic call."""
        producer = self._first_call()
        return producer.args[0] if producer.args else next(iter(producer.kwargs.values()))

    @property
    def output(self) -> Any:
        """The symbols that the layer's first symbolic call returned."""
        return self._first_call().outputs

    def _first_call(self) -> Producer:
        if self._producer is None:
            raise AttributeError(f"{self.name} has no symbolic input and output: it was not called with an Input yet")
        return self._producer

    @property
    def layers(self) -> list[Layer]:
        """Layers inside this one."""
        return list({id(layer): layer for layer in _layers_in.among(vars(self).values())}.values())

    @property
    def metrics(self) -> list[Any]:
        """Metrics that are attributes of the layer, or of one inside it."""
        from nbnet.metrics.metric import metrics_in  # Loading layers takes no metrics.

        return list({id(metric): metric for layer in flatten_layers(self) for metric in metrics_in(layer)}.values())

    @property
    def metrics_variables(self) -> list[Any]:
        """The variables of :attr:`metrics`."""
        return [variable for metric in self.metrics for variable in metric.variables]

    @property
    def compute_dtype(self) -> np.dtype[Any]:
        """Dtype that the layer computes in."""
        return self.dtype

    @property
    def variable_dtype(self) -> np.dtype[Any]:
        """Dtype of the weights: the same."""
        return self.dtype

    @property
    def dtype_policy(self) -> DTypePolicy:
        """The dtype as the object that Keras has for it, with ``name``, ``compute_dtype`` and ``variable_dtype``."""
        return DTypePolicy(self.dtype)

    @property
    def path(self) -> str | None:
        """The name; None before the layer is built."""
        return self.name if self.built else None

    # ---- losses ----

    @property
    def losses(self) -> list[Tensor]:
        """Scalars that this layer and those inside it add to the loss: of their last call, then of their weights.

        Those of weights are computed anew each time, on a tape if one is recording. Weights that are not trained have
        no penalty.

        Examples
        --------
        >>> import nbnet as nb
        >>> layer = nb.layers.Dense(1, kernel_initializer="ones", kernel_regularizer="l2", activity_regularizer="l1")
        >>> y = layer([[1.0, 2.0], [3.0, 4.0]])
        >>> [round(loss.item(), 4) for loss in layer.losses]
        [0.05, 0.02]
        """
        active = recorder()
        if active is not None and active.deferred:
            losses = [value for value, _ in active.losses]
        else:
            losses = [value for layer in flatten_layers(self) for value in layer._losses]
        return losses + regularizers.weight_penalties(self.trainable_weights)

    def add_loss(self, loss: Tensor | Sequence[Tensor]) -> None:
        """Add a loss that :meth:`call` computed to the loss of the model.

        Parameters
        ----------
        loss : Tensor or list of Tensor
            Computed from the layer's input or weights; a tensor that is no scalar is summed. A program that computes
            such a loss from the input does not slice its batches for several threads.

        Raises
        ------
        TypeError
            If it is no tensor.

        Examples
        --------
        >>> import nbnet as nb
        >>> class Gate(nb.layers.Layer):
        ...     def call(self, x):
        ...         self.add_loss(0.1 * nb.ops.mean(nb.ops.abs(x)))
        ...         return nb.ops.sigmoid(x)
        >>> gate = Gate()
        >>> y = gate([[1.0, -3.0]])
        >>> [round(loss.item(), 4) for loss in gate.losses]
        [0.2]
        """
        for value in loss if isinstance(loss, (list, tuple)) else [loss]:
            self._record_loss(regularizers.as_scalar(value, "loss"), False)

    def _record_loss(self, value: Tensor, additive: bool) -> None:
        active = recorder()
        if active is not None and active.deferred:
            active.losses.append((value, additive))
        else:
            self._losses.append(value)
            _with_losses.add(self)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(known := self.__dict__.get(name), Parameter) and value is not known:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"{name}: expected a weight, got {type(value).__name__}: layer.{name}.assign(value) sets its values"
                )
            invalidate_programs()  # Those that were written read the weight that was here before.
        elif self.__dict__.get("built"):
            argument_changes(self, name, value)
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """A copy or pickle has no losses of a call: these are tensors that refer to what computed them."""
        return vars(self) | {"_losses": []}

    def _forget_losses(self) -> None:
        """Forget the losses of the last call, here and in the layers inside."""
        active = recorder()
        if _with_losses and (active is None or not active.deferred):
            for layer in flatten_layers(self):
                layer._losses = []
                _with_losses.discard(layer)


_layers_in = Kinds(Layer)
