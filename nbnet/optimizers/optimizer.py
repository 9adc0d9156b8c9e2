"""The base class of optimizers: hyperparameters, state, and the calls of an update."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar, Self, Unpack

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.constructor import RecordsArguments, constructor_config
from nbnet.base.docstrings import join_common_sections
from nbnet.base.registry import custom_object_scope
from nbnet.base.validation import ABOVE_ZERO, FRACTION, FROM_ZERO, check_int
from nbnet.engine.graph.parameter import FlatParams, Parameter, invalidate_programs, layout_version
from nbnet.engine.graph.tensor import Call, Tensor
from nbnet.engine.kernels.abi import Kernel
from nbnet.engine.runtime.program import Linked, lower
from nbnet.optimizers import schedules, update
from nbnet.optimizers.hyperparams import (
    DEFAULTS,
    BoolHyper,
    CommonOptions,
    Hyper,
    HyperAttribute,
    LearningRate,
    OptionalHyper,
)
from nbnet.optimizers.python_step import PythonStep

Array = NDArray[Any]
#: The kernel and its slots, names of the options in use, and the number of schedules so far: where this changes, an
#: update needs other calls.
Structure = tuple[tuple[Kernel, tuple[str, ...]], dict[int, str], int]
#: Names of the state that use_ema and gradient_accumulation_steps need.
AVERAGE, ACCUMULATOR = "average", "gradient_accumulator"

#: Entries that class creation adds to the docstring of each optimizer.
_FIRST = """\
learning_rate : float or LearningRateSchedule
    Step size."""
_LAST = """\
**common
    weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
    gradient_accumulation_steps, lazy and name: see :class:`Optimizer`."""
_RAISES = """\
ValueError
    If a number is out of range."""


class Optimizer(PythonStep, RecordsArguments):
    """Changes parameters by their gradients; base class of all optimizers.

    Parameters
    ----------
    learning_rate : float or nbnet.optimizers.schedules.LearningRateSchedule
        Step size. A number may be assigned at any time.
    hyper : mapping of str to number
        Values of the attributes that the class declares as :class:`Hyper` or :class:`BoolHyper`.
    weight_decay : float, optional
        Before each update, a parameter p loses ``p * weight_decay * learning_rate``.
    clipnorm : float, optional
        Largest norm of the gradient of each parameter.
    clipvalue : float, optional
        Largest magnitude of each element of a gradient.
    global_clipnorm : float, optional
        Largest norm of all gradients together. Only one of the three kinds of clipping may be given.
    use_ema : bool
        If True, keep an exponential moving average of the parameters; :meth:`finalize_variable_values` sets the
        parameters to it.
    ema_momentum : float
        In [0, 1]: share of the average that an update leaves.
    ema_overwrite_frequency : int, optional
        Number of updates after which the parameters are set to their averages, again and again.
    gradient_accumulation_steps : int, optional
        Number of steps whose mean gradient makes one update. Schedules count steps, everything else counts updates.
    lazy : bool
        If True, weights that ``Dropout(batchwise=True)`` between dense layers has cut off stay as they are, and so does
        their state: the step is that of the thinned network. By default they follow their moments and decay, as they
        do where masks are multiplied. Cannot be combined with gradient_accumulation_steps.
    name : str, optional
        By default the class's name in lower case.

    Notes
    -----
    A step accumulates the gradients, clips them, decays and updates the weights, averages them, and then projects them
    to what their constraints allow, as in Keras. With gradient accumulation, constraints act when there is an update.

    A subclass declares its numbers as :class:`Hyper`, its ``slots`` (up to three, each an array of a weight's shape)
    and its ``kernel``, a :class:`nbnet.optimizers.update.UpdateKernel` made from two functions, whose ``h`` holds the
    numbers of base classes first. Each :class:`Hyper` is also an argument of the constructor, by the same name:
    ``get_config`` relies on it. Slots are saved and resumed without further work, in compiled steps and eager ones. An
    optimizer of nbnet's own gets its name from the list in ``nbnet/optimizers/__init__.py``; one of yours is passed as
    an object, or by name inside :func:`nbnet.saving.custom_object_scope`.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.optimizers.hyperparams import Hyper
    >>> from nbnet.optimizers.update import UpdateKernel
    >>> @nb.device
    ... def prepare(learning_rate, h, step):
    ...     return learning_rate, h[0]
    >>> @nb.device
    ... def update(p, g, a, b, c, k):
    ...     real = p.dtype.type
    ...     size, least = real(k[0]), real(k[1])
    ...     for i in range(p.size):
    ...         p[i] -= size * g[i] / max(abs(g[i]), least)
    >>> class SignSGD(nb.optimizers.Optimizer):
    ...     least = Hyper()
    ...     kernel = UpdateKernel("sign_sgd", prepare, update)
    ...
    ...     def __init__(self, learning_rate=0.01, least=1e-3, **common):
    ...         super().__init__(learning_rate, {"least": least}, **common)
    >>> w = nb.Parameter([1.0, 1.0])
    >>> SignSGD(0.5, clipvalue=3.0).apply([[4.0, -1e-4]], [w])
    >>> w.numpy()
    array([0.5 , 1.05], dtype=float32)
    """

    #: Names of the numbers that a class declares, in the order of their cells.
    hyper: ClassVar[tuple[str, ...]] = ()
    #: First values of further cells that the kernel reads or writes.
    extra: ClassVar[tuple[float, ...]] = ()
    #: Names of the state that the kernel reads and writes.
    slots: ClassVar[tuple[str, ...]] = ()
    #: True if a subclass has an ``update_step`` in Python; True if that, or an ``apply``, is called for each step.
    python_step: ClassVar[bool] = False
    in_python: ClassVar[bool] = False

    weight_decay = OptionalHyper(FROM_ZERO, update.WEIGHT_DECAY)
    clipnorm = OptionalHyper(ABOVE_ZERO, update.CLIP)
    clipvalue = OptionalHyper(ABOVE_ZERO, update.CLIP)
    global_clipnorm = OptionalHyper(ABOVE_ZERO, update.CLIP)
    ema_momentum = Hyper(FRACTION, update.EMA_MOMENTUM)
    lazy = BoolHyper(index=update.LAZY)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.python_step = cls.update_step is not PythonStep.update_step
        cls.in_python = cls.python_step or cls.apply is not Optimizer.apply
        for value in list(vars(cls).values()):
            if isinstance(value, HyperAttribute) and value.index < 0:
                value.index = update.OWN + len(cls.hyper)
                cls.hyper = (*cls.hyper, value.name)
        join_common_sections(cls, first=_FIRST, last=_LAST, raises=_RAISES)

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.001,
        hyper: Mapping[str, float] | None = None,
        **common: Unpack[CommonOptions],
    ) -> None:
        options: dict[str, Any] = DEFAULTS | dict(common)
        if options.pop("loss_scale_factor", None) is not None:
            raise ValueError("loss_scale_factor: gradients of float32 and float64 need no scaling, nbnet has none")
        #: The hyperparameters in the order of :mod:`nbnet.optimizers.update`, then those of the class. Kernels read
        #: them at each step: a new value holds from the next step on, and nothing is compiled for it.
        self.cells = np.array([0.0] * (update.OWN + len(self.hyper)) + [*self.extra])
        #: For each cell that an :class:`OptionalHyper` occupies, the name of that hyperparameter.
        self.in_use: dict[int, str] = {}
        #: Sets the learning rate of each step, if given; its kernel reads the source.
        self.schedule: schedules.LearningRateSchedule | None = None
        self._source, self._schedules = np.zeros(0), 0
        #: The parameters, in one block of memory; None before the optimizer is built.
        self.block: FlatParams | None = None
        #: Tensors (1, P) of one value for each parameter, by name; and values that wait for them.
        self.slot_tensors: dict[str, Tensor] = {}
        self._pending: dict[str, Array] | None = None
        #: True while parameters and their averages are exchanged.
        self.swapped = False
        #: The parameters as they were when :meth:`finalize_variable_values` set them to their averages, and the number
        #: of iterations then.
        self._unaveraged: tuple[int, Array] | None = None
        #: Steps made; with gradient accumulation, those that only accumulated as well.
        self.iterations = 0
        self.name: str = options.pop("name", None) or type(self).__name__.lower()
        self._use_ema = bool(options.pop("use_ema"))
        frequency, steps = options.pop("ema_overwrite_frequency"), options.pop("gradient_accumulation_steps")
        self._overwrite_frequency = None if frequency is None else check_int(frequency, "ema_overwrite_frequency")
        self._accumulation_steps = None if steps is None else check_int(steps, "gradient_accumulation_steps", 2)
        self._excluded: tuple[list[Parameter], re.Pattern[str] | None] = ([], None)
        self._structure: Structure | None = None
        self._eager: tuple[int, Linked, Array] | None = None
        if unknown := options.keys() - DEFAULTS.keys():
            raise TypeError(f"{type(self).__name__} takes no argument {', '.join(sorted(unknown))}")
        for name, value in {"learning_rate": learning_rate, **(hyper or {}), **options}.items():
            setattr(self, name, value)
        self._own, self._order = [], []
        if self.python_step and (self.use_ema or steps is not None):
            raise ValueError(
                "use_ema, gradient_accumulation_steps: expected none of them beside an update_step of one's own"
            )
        if options["lazy"] and steps is not None:
            raise ValueError("lazy: cannot be combined with gradient_accumulation_steps")

    # ---- for subclasses ----

    @property
    def kernel(self) -> Kernel:
        """The kernel that updates a range of parameters with the current hyperparameters."""
        raise NotImplementedError(f"{type(self).__name__}: defines neither kernel nor update_step")

    def used_slots(self) -> tuple[str, ...]:
        """The slots that the kernel needs with the current hyperparameters."""
        return self.slots

    def initial(self, slot: str) -> float:
        """The value that fills a slot at first."""
        return 0.0

    # ---- hyperparameters ----

    use_ema = property(attrgetter("_use_ema"), doc="True if a moving average of the parameters is kept.")

    @property
    def ema_overwrite_frequency(self) -> int | None:
        """Number of updates after which the parameters are set to their averages."""
        return self._overwrite_frequency

    @property
    def gradient_accumulation_steps(self) -> int | None:
        """Number of steps that one update takes."""
        return self._accumulation_steps

    @property
    def learning_rate(self) -> LearningRate:
        """Learning rate of the next step. A number may be assigned, but not in place of a schedule, as in Keras."""
        rate = self.cells[update.LEARNING_RATE] if self.schedule is None else self.schedule(self.iterations)
        return LearningRate(rate, self)

    @learning_rate.setter
    def learning_rate(self, value: float | schedules.LearningRateSchedule) -> None:
        if isinstance(value, (Mapping, schedules.LearningRateSchedule)) or (
            self.schedule is None and callable(value) and not isinstance(value, type)
        ):
            self.schedule = schedules.get(value)
            self._source = self.schedule.source()
            self._schedules += 1
        elif self.schedule is not None:
            raise TypeError(
                f"learning_rate: this {type(self).__name__} follows {self.schedule!r}, which would overwrite it; make "
                "the optimizer with a number if something else is to set the learning rate"
            )
        else:
            self.cells[update.LEARNING_RATE] = FROM_ZERO.check(value, "learning_rate")
        self.hyperparams_changed()

    @property
    def variant(self) -> tuple[Kernel, tuple[str, ...]]:
        """The kernel, and the slots that it needs, with the current hyperparameters."""
        return (self._structure or self._describe())[0]

    def hyperparams_changed(self) -> None:
        """Have programs written anew if the current hyperparameters need other calls than those at hand."""
        if self.block is not None and self._structure != self._describe():
            self._allocate(self.block)
            invalidate_programs()

    def _describe(self) -> Structure:
        return (self.kernel, self.used_slots()), dict(self.in_use), self._schedules

    def exclude_from_weight_decay(
        self, var_list: Iterable[Parameter] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Let parameters keep their weight; to be called before the optimizer is built.

        Parameters
        ----------
        var_list : iterable of Parameter, optional
            The parameters.
        var_names : iterable of str, optional
            Regular expressions; a parameter is excluded if its name ("dense/bias") contains a match.

        Raises
        ------
        ValueError
            If the optimizer is built.

        Examples
        --------
        >>> import nbnet as nb
        >>> w, b = nb.Parameter([1.0], name="dense/kernel"), nb.Parameter([1.0], name="dense/bias")
        >>> optimizer = nb.optimizers.SGD(0.1, weight_decay=1.0)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
        >>> optimizer.apply([[0.0], [0.0]], [w, b])
        >>> w.item(), b.item()
        (0.9, 1.0)
        """
        if self.block is not None:
            raise ValueError("exclude_from_weight_decay: call it before the optimizer is built")
        pattern = "|".join(f"(?:{name})" for name in var_names or [])
        self._excluded = list(var_list or []), re.compile(pattern) if pattern else None

    def is_excluded(self, parameter: Parameter) -> bool:
        """True if a parameter keeps its weight: see :meth:`exclude_from_weight_decay`."""
        excluded, pattern = self._excluded
        return any(p is parameter for p in excluded) or bool(pattern and pattern.search(parameter.name))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this optimizer again, without its state."""
        return constructor_config(self, self._declared())

    def _declared(self) -> dict[str, Any]:
        rate = float(self.learning_rate) if self.schedule is None else schedules.serialize(self.schedule)
        return {
            "learning_rate": rate,
            **{name: getattr(self, name) for name in (*self.hyper, *DEFAULTS)},
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """The optimizer that :meth:`get_config` describes.

        Parameters
        ----------
        config : mapping
            Arguments of the constructor.
        custom_objects : mapping of str to class, optional
            Schedules of your own, by name.

        Examples
        --------
        >>> import nbnet as nb
        >>> config = nb.optimizers.SGD(0.1, momentum=0.9).get_config()
        >>> nb.optimizers.SGD.from_config(config)
        SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
        """
        with custom_object_scope(custom_objects):
            return cls(**config)

    def __repr__(self) -> str:
        config = self._declared()
        if self.schedule is not None:
            config["learning_rate"] = self.schedule
        usual = DEFAULTS | {"name": type(self).__name__.lower()}
        shown = (f"{k}={v!r}" for k, v in config.items() if k not in usual or v != usual[k])
        return f"{type(self).__name__}({', '.join(shown)})"

    # ---- parameters and state ----

    def build(self, parameters: Sequence[Parameter]) -> FlatParams:
        """Move the parameters into one block of memory, allocate the state, and return the block.

        Raises
        ------
        ValueError
            If the optimizer has trained other parameters, or the state given to :meth:`set_state` does not fit these.
        """
        if self.python_step:
            self._order = list(parameters)
            return None  # type: ignore[return-value]  # No program is written for it.
        if self.block is not None:
            if self.block.holds(parameters):
                self._adopt_pending()
                return self.block
            if [id(p) for p in self.block.parameters] != [id(p) for p in parameters]:
                raise ValueError(
                    f"{type(self).__name__}: this optimizer has trained other parameters; make a new one for this "
                    "model (compile it again after a change of trainable)"
                )
            invalidate_programs()  # Those that were written for the block that is left.
        block = FlatParams(parameters)
        self._allocate(block)
        return block

    @property
    def built(self) -> bool:
        """True once the optimizer knows its parameters."""
        return self.block is not None or bool(self._order)

    def _allocate(self, block: FlatParams) -> None:
        """Adopt a block, and make the tensors of the state that are missing."""
        structure, slots = self._describe(), dict(self.slot_tensors)
        for name in self._names(structure):
            if name not in slots:
                slots[name] = block.like(1, name)
                slots[name].numpy()[...] = self.initial(name)
        # All at once: a signal handler, or an error such as a lack of memory, never finds a part of it.
        vars(self).update(_structure=structure, block=block, slot_tensors=slots)
        self._adopt_pending()

    def _adopt_pending(self) -> None:
        """Overwrite the state with one that was set before there were parameters, if there is one."""
        if self._pending is not None:
            self._overwrite(self._pending)
            self._pending = None

    def _names(self, structure: Structure | None = None) -> list[str]:
        """Names of the state, for a structure or the present one."""
        _, slots = self.variant if structure is None else structure[0]
        names = [*slots, *([AVERAGE] if self.use_ema else [])]
        return names if self.gradient_accumulation_steps is None else [*names, ACCUMULATOR]

    def _built(self) -> FlatParams:
        if self.block is None:
            raise ValueError(f"{self.name}: is not built; call build(parameters) first")
        return self.block

    def __getstate__(self) -> dict[str, Any]:
        """A copy or a pickle: its state waits for parameters, as after :meth:`set_state`."""
        if self.python_step:
            return vars(self) | {"_eager": None}
        current = self._pending if self.block is None else self.state
        pending = None if current is None else {name: array.copy() for name, array in current.items()}
        unbuilt = {"block": None, "slot_tensors": {}, "_pending": pending, "_structure": None, "_eager": None}
        return vars(self) | unbuilt

    @property
    def values_kept(self) -> int:
        """Number of values of state for each parameter."""
        return len(self._names())

    @property
    def state(self) -> dict[str, Array]:
        """Vectors of state over all parameters, in the order of the block; empty before the optimizer is built."""
        if self.python_step:
            return self._own_state()
        return {} if self.block is None else {name: self.slot_tensors[name].numpy()[0] for name in self._names()}

    @property
    def variables(self) -> list[Tensor]:
        """The number of iterations, the learning rate unless a schedule sets it, and each parameter's share of the
        state.

        The first two are copies: assign ``iterations`` and ``learning_rate`` instead. The others are views; a value
        that is written to them holds from the next step on.

        Examples
        --------
        >>> import nbnet as nb
        >>> optimizer = nb.optimizers.SGD(0.1, momentum=0.5)
        >>> optimizer.apply([[1.0]], [nb.Parameter([0.0], name="w")])
        >>> [variable.name for variable in optimizer.variables]
        ['iterations', 'learning_rate', 'momentum/w']
        >>> optimizer.variables[2].numpy()
        array([-0.1], dtype=float32)
        """
        found = [Tensor((), np.int64, np.array(self.iterations, np.int64), name="iterations")]
        if self.schedule is None:
            found.append(Tensor((), np.float64, np.array(self.learning_rate), name="learning_rate"))
        found += self._own
        if (block := self.block) is not None:
            slots = [self.slot_tensors[name] for name in self._names()]
            found += [block.part(slot, 0, i) for i in range(len(block.parameters)) for slot in slots]
        return found

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite :attr:`variables`, in their order.

        Raises
        ------
        ValueError
            If the optimizer is not built, or numbers or shapes differ.
        """
        if not self.built:
            raise ValueError("You are calling set_weights on an optimizer that is not built: call build(parameters)")
        variables, given = self.variables, [plain_array(w, "weights") for w in weights]
        if [v.shape for v in variables] != [w.shape for w in given]:
            shapes = [v.shape for v in variables], [w.shape for w in given]
            raise ValueError(f"weights: expected shapes {shapes[0]}, got {shapes[1]}")
        self.iterations = int(given[0])
        if self.schedule is None:
            self.learning_rate = float(given[1])
        for variable, value in list(zip(variables, given, strict=True))[1 if self.schedule else 2 :]:
            assert variable.data is not None
            variable.data[...] = value

    def get_state(self) -> dict[str, Array]:
        """Copies of :attr:`state`, of the number of iterations and of the learning rate, to be saved.

        Examples
        --------
        >>> import nbnet as nb
        >>> optimizer = nb.optimizers.SGD(0.1, momentum=0.5)
        >>> optimizer.apply([[1.0]], [nb.Parameter([0.0])])
        >>> sorted(optimizer.get_state())
        ['iterations', 'learning_rate', 'momentum']
        """
        current = self.state if self._pending is None else self._pending
        copies = {name: array.copy() for name, array in current.items()}
        copies["iterations"] = np.array(self.iterations, np.int64)
        if self.schedule is None:
            copies["learning_rate"] = self.cells[update.LEARNING_RATE].reshape(()).copy()
        return copies

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from where :meth:`get_state` was called; also before the optimizer is built.

        Raises
        ------
        ValueError
            If names or sizes differ; then nothing is changed. Sizes are not known before the optimizer is built.
        """
        given = {name: plain_array(value, f"state[{name!r}]") for name, value in state.items()}
        iterations = given.pop("iterations", np.array(0))
        rate = FROM_ZERO.check(given.pop("learning_rate", np.array(self.cells[update.LEARNING_RATE])), "learning_rate")
        if iterations.shape != () or iterations.dtype.kind not in "iu" or iterations < 0:
            raise ValueError(f"state: expected an integer from 0 for iterations, got {iterations!r}")
        if self.block is None:
            self._pending = {name: value.copy() for name, value in given.items()}
        else:
            self._overwrite(given)
        self.iterations = int(iterations)
        if self.schedule is None:
            self.cells[update.LEARNING_RATE] = rate

    def _overwrite(self, values: Mapping[str, Array]) -> None:
        """Overwrite the state: with initial values, if none are given. Nothing changes if names or shapes differ."""
        state = self.state
        values = values or {name: np.full_like(array, self.initial(name)) for name, array in state.items()}
        if values.keys() != state.keys():
            raise ValueError(f"state: expected {sorted(state)}, got {sorted(values)}")
        for name, value in values.items():
            if value.shape != state[name].shape:
                raise ValueError(f"state: {name} has shape {state[name].shape}, got {value.shape}")
        for name, value in values.items():
            state[name][...] = value

    def swap_averages(self) -> None:
        """Exchange parameters and their moving averages; two calls change nothing.

        Raises
        ------
        ValueError
            If the optimizer keeps no averages.
        """
        if not self.use_ema:
            raise ValueError(f"{self.name}: keeps no averages; make it with use_ema=True")
        flat, average = self.build(self._built().parameters).flat.numpy()[0], self.state[AVERAGE]
        flat[...], average[...] = average.copy(), flat.copy()
        self.swapped = not self.swapped

    def finalize_variable_values(self, var_list: Any = None) -> None:
        """Set the parameters to their moving averages, if there are any and an update was made: the end of a training.

        A training that continues, see :meth:`begin_training`, does so from the parameters as they were before.

        Parameters
        ----------
        var_list
            Ignored: all parameters are set.
        """
        if self.use_ema and self.block is not None and self.iterations > 0:
            if self.swapped:
                self.swap_averages()
            flat = self.build(self.block.parameters).flat.numpy()[0]
            if self.unaveraged is None:
                self._unaveraged = self.iterations, flat.copy()
            flat[...] = self.state[AVERAGE]

    @property
    def unaveraged(self) -> Array | None:
        """The parameters without averaging, as a vector, while the parameters are their averages; else None.

        None as well if parameters were changed after :meth:`finalize_variable_values`.
        """
        if self.block is None or not self.block.holds(self.block.parameters):
            return None
        if self.swapped:
            return self.state[AVERAGE]
        if self._unaveraged is None or self._unaveraged[0] != self.iterations:
            return None
        return self._unaveraged[1] if np.array_equal(self.block.flat.numpy()[0], self.state[AVERAGE]) else None

    @unaveraged.setter
    def unaveraged(self, values: Array | None) -> None:
        self._unaveraged = None if values is None else (self.iterations, values)

    def begin_training(self, continues: bool) -> None:
        """Begin a training, or continue the last one: then parameters that are their averages become those again that
        were averaged."""
        if self.swapped:
            self.swap_averages()
        elif continues and self.block is not None and (before := self.unaveraged) is not None:
            self.block.flat.numpy()[0] = before
        self._unaveraged = None

    # ---- calls of an update ----

    def look_ahead(self, step: int, steps: int) -> int:
        """Prepare to run ``steps`` steps from number ``step`` on; return how many of them may be run.

        A schedule written in Python is evaluated here, for that many steps.
        """
        return steps if self.schedule is None else self.schedule.look_ahead(self._source, step, steps)

    def _cells(self) -> Tensor:
        """The hyperparameters as an operand of kernels."""
        return Tensor(self.cells.shape, np.float64, self.cells, name=self.name)

    def prelude(self) -> list[Call]:
        """Calls that one slice makes at the start of each step."""
        if self.schedule is None:
            return []
        operands = Tensor(self._source.shape, np.float64, self._source, name="schedule"), self._cells()
        return [update.in_place(self.schedule.kernel(), operands, (1,), (), self._built().dtype)]

    @property
    def reads_packed(self) -> bool:
        """True if gradients may be packed: see :mod:`nbnet.optimizers.update`."""
        return isinstance(self.variant[0], update.UpdateKernel) and self.gradient_accumulation_steps is None

    @property
    def releases(self) -> bool:
        """True if rows of a parameter may be updated before other gradients are known."""
        by_norm = self.in_use.get(update.CLIP) in ("clipnorm", "global_clipnorm")
        return self.reads_packed and not by_norm and not self.use_ema

    def plan(self) -> update.Update:
        """The update of all parameters, as a plan from which its calls are made."""
        block, (kernel, slots) = self._built(), self.variant
        decay = update.WEIGHT_DECAY in self.in_use
        return update.Update(
            block=block,
            kernel=kernel,
            slots=[self.slot_tensors[name] for name in slots],
            decays=[decay and not self.is_excluded(p) for p in block.parameters],
            clip=self.in_use.get(update.CLIP),
            every=self.gradient_accumulation_steps or 1,
            accumulator=self.slot_tensors.get(ACCUMULATOR),
            average=self.slot_tensors.get(AVERAGE),
            overwrite=self.ema_overwrite_frequency or 0,
            cells=self._cells(),
        )

    # ---- one update, now ----

    def apply(self, grads: Iterable[Any], trainable_variables: Sequence[Parameter] | None = None) -> None:
        """Make one step from gradients of a tape: the same calls as in training, constraints included.

        Parameters
        ----------
        grads : iterable of tensor, array_like or None
            A gradient for each parameter; None lets the parameter change by weight decay and state only.
        trainable_variables : sequence of Parameter, optional
            Always the same, in the same order; may be left out once the optimizer is built.

        Raises
        ------
        ValueError
            If numbers or shapes do not match, or a gradient is not finite; then nothing is changed.
        """
        given = list(grads)
        known = self._order if self.python_step else None if self.block is None else self.block.parameters
        parameters = (known or self._built().parameters) if trainable_variables is None else list(trainable_variables)
        if len(given) != len(parameters):
            raise ValueError(f"grads: expected {len(parameters)}, one for each parameter, got {len(given)}")
        arrays = [_as_gradient(g, p) for g, p in zip(given, parameters, strict=True)]
        if all(array is None for array in arrays):
            raise ValueError("grads: expected a gradient for at least one parameter, got only None")
        if self.python_step:
            self._apply_in_python(arrays, parameters)
            return
        block = self.build(parameters)
        linked, flat = self._program(block)
        flat[...] = 0
        for array, start in zip(arrays, block.starts, strict=True):
            if array is not None:
                flat[start : start + array.size] = array.reshape(-1)
        self.look_ahead(self.iterations, 1)
        linked.run(1, self.iterations)
        self.iterations += 1

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Parameter]]) -> int:
        """Like :meth:`apply`, from pairs (gradient, parameter); returns the number of iterations."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [parameter for _, parameter in pairs])
        return self.iterations

    def _program(self, block: FlatParams) -> tuple[Linked, Array]:
        """The phases as a program of one slice, and the vector from which it reads the gradients."""
        if self._eager is None or self._eager[0] != layout_version():
            gradients = block.like(1, "gradients")
            program = lower([[self.prelude()], *self.plan().phases(gradients, 1)], [0], block.dtype)
            self._eager = layout_version(), Linked(program), gradients.numpy()[0]
        return self._eager[1:]


def _as_gradient(gradient: Any, parameter: Parameter) -> Array | None:
    """A gradient as an array, checked."""
    if gradient is None:
        return None
    array, name = plain_array(gradient, "grads"), parameter.name or "a parameter"
    if array.shape != parameter.shape:
        raise ValueError(f"grads: {name} has shape {parameter.shape}, its gradient {array.shape}")
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise ValueError(f"grads: expected finite numbers for {name}")
    return array
