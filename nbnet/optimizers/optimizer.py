"""The base class of optimizers: hyperparameters, state, and the calls of an update."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.docstrings import join_common_sections
from nbnet.base.registry import snake_case, unique_name
from nbnet.base.validation import ABOVE_ZERO, FRACTION, FROM_ZERO, check_int
from nbnet.engine.graph.parameter import FlatParams, Parameter, invalidate_programs, layout_version
from nbnet.engine.graph.tensor import Call, Tensor, changes
from nbnet.engine.kernels.abi import Kernel
from nbnet.engine.runtime import batch_io
from nbnet.engine.runtime.program import Linked, lower
from nbnet.optimizers import schedules, update
from nbnet.optimizers.hyperparams import (
    DEFAULTS,
    BoolHyper,
    CommonOptions,
    HasSettings,
    Hyper,
    HyperAttribute,
    Iterations,
    OptimizerNumber,
    OptionalHyper,
)
from nbnet.optimizers.python_step import ACCUMULATOR, AVERAGE, PARTS, OptimizerVariable, PythonStep, as_gradient

Array = NDArray[Any]
#: The kernel, or None, and its slots, names of the options in use, and the number of schedules so far: where this
#: changes, an update needs other calls.
Structure = tuple[tuple[Kernel | None, tuple[str, ...]], dict[int, str], int]

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


class Optimizer(PythonStep, HasSettings):
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
    loss_scale_factor : float, optional
        Of losses in a ``train_step`` of your own that uses :meth:`scale_loss`: gradients are divided by it.
    name : str, optional
        By default the class's name in snake case, numbered.

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
    #: Slots that Keras makes weight by weight; it makes others slot by slot.
    paired: ClassVar[tuple[str, ...]] = ()
    #: True if a subclass has a method that the steps of a training call one weight after the other; True if it has
    #: that, or an ``apply`` of its own.
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
        cls.python_step = any(getattr(cls, name) is not getattr(PythonStep, name) for name in PARTS)
        whole = ("apply", "apply_gradients", "scale_loss")
        cls.in_python = cls.python_step or any(getattr(cls, name) is not getattr(Optimizer, name) for name in whole)
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
        factor = options.pop("loss_scale_factor")
        self.loss_scale_factor = None if factor is None else ABOVE_ZERO.check(factor, "loss_scale_factor")
        #: The hyperparameters in the order of :mod:`nbnet.optimizers.update`, then those of the class. Kernels read
        #: them at each step: a new value holds from the next step on, and nothing is compiled for it.
        self.cells = np.array([0.0] * (update.OWN + len(self.hyper)) + [*self.extra])
        self.rule_cells, self.rule_place = self.cells.copy(), None
        #: For each cell that an :class:`OptionalHyper` occupies, the name of that hyperparameter.
        self.in_use: dict[int, str] = {}
        self.schedule = None
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
        self.steps = 0
        self.name = options.pop("name", None) or unique_name(snake_case(type(self).__name__))
        self._use_ema = bool(options.pop("use_ema"))
        frequency, steps = options.pop("ema_overwrite_frequency"), options.pop("gradient_accumulation_steps")
        self._overwrite_frequency = None if frequency is None else check_int(frequency, "ema_overwrite_frequency")
        self._accumulation_steps = None if steps is None else check_int(steps, "gradient_accumulation_steps", 2)
        self._excluded = [], None
        self._structure: Structure | None = None
        #: Programs of eager steps, and the layout they were made for.
        self._eager: tuple[int, dict[Any, tuple[Linked, Array]]] = (-1, {})
        if unknown := options.keys() - DEFAULTS.keys():
            raise TypeError(f"{type(self).__name__} takes no argument {', '.join(sorted(unknown))}")
        for name, value in {"learning_rate": learning_rate, **(hyper or {}), **options}.items():
            setattr(self, name, value)
        self._own, self._early = [], 0
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

    @property
    def variant(self) -> tuple[Kernel | None, tuple[str, ...]]:
        """The kernel, and the slots that it needs, with the current hyperparameters; no kernel if there is only an
        ``update_step``."""
        return (self._structure or self._describe())[0]

    def hyperparams_changed(self) -> None:
        """Have programs written anew if the current hyperparameters need other calls than those at hand."""
        if self.block is not None and self._structure != self._describe():
            self._allocate(self.block)
            invalidate_programs()

    def _describe(self) -> Structure:
        if self.python_step and type(self).kernel is Optimizer.kernel:
            return (None, ()), dict(self.in_use), self._schedules
        return (self.kernel, self.used_slots()), dict(self.in_use), self._schedules

    # ---- parameters and state ----

    def build(self, parameters: Sequence[Parameter]) -> FlatParams:
        """Move the parameters into one block of memory, allocate the state, and return the block.

        Raises
        ------
        ValueError
            If the optimizer has trained other parameters, or the state given to :meth:`set_state` does not fit these.
        """
        if type(self).build is not Optimizer.build:
            return self._settle(list(parameters))
        self.check_variables_are_added()
        return self._settle(list(parameters), adopt=True)

    def build_for(self, parameters: Sequence[Parameter]) -> FlatParams:
        """Build the optimizer if it is not built, and return the block, in which the parameters lie."""
        if self.block is None:
            self.build(parameters)
            if self.block is None:
                raise ValueError(f"{type(self).__name__}.build: has to call super().build(variables)")
        return self._settle(parameters, adopt=True)

    def _settle(self, parameters: Sequence[Parameter], adopt: bool = False) -> FlatParams:
        """Return the block of the parameters, to which they are moved if they do not lie in it; with ``adopt``, its
        state becomes the one that waits for it."""
        if self.block is None:
            self._early = len(self._own)
        if self.block is None or not self.block.holds(parameters):
            if self.block is not None:
                if [id(p) for p in self.block.parameters] != [id(p) for p in parameters]:
                    raise ValueError(
                        f"{type(self).__name__}: this optimizer has trained other parameters; make a new one for this "
                        "model (compile it again after a change of trainable)"
                    )
                invalidate_programs()  # Those that were written for the block that is left.
            self._allocate(FlatParams(parameters))
        if adopt and self._pending is not None:
            self._overwrite(self._pending)
            self._pending = None
        return self._built()

    @property
    def built(self) -> bool:
        """True once the optimizer knows its parameters."""
        return self.block is not None

    def _allocate(self, block: FlatParams) -> None:
        """Adopt a block, and make the tensors of the state that are missing."""
        structure, slots = self._describe(), dict(self.slot_tensors)
        for name in self._names(structure):
            if name not in slots:
                slots[name] = block.like(1, name)
                slots[name].numpy()[...] = self.initial(name)
        # All at once: a signal handler, or an error such as a lack of memory, never finds a part of it.
        vars(self).update(_structure=structure, block=block, slot_tensors=slots)

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
        current = self._pending if self.block is None else self.state
        pending = None if current is None else {name: array.copy() for name, array in current.items()}
        own = self._own if self.block is None else self._own[: self._early]
        unbuilt: dict[str, Any] = {"block": None, "slot_tensors": {}, "_structure": None, "_eager": (-1, {})}
        return vars(self) | unbuilt | {"_pending": pending, "_own": own}

    @property
    def values_kept(self) -> int:
        """Number of values of state for each parameter."""
        return len(self._names())

    @property
    def state(self) -> dict[str, Array]:
        """Vectors of state over all parameters, in the order of the block; empty before the optimizer is built."""
        if self.block is None:
            return {}
        return {name: self.slot_tensors[name].numpy()[0] for name in self._names()} | self.own_state

    @property
    def variables(self) -> list[Parameter | OptimizerNumber]:
        """The number of iterations, the learning rate unless a schedule sets it, each parameter's share of the state
        and variables of one's own, in Keras's order: what is assigned to them holds from the next step on.

        Examples
        --------
        >>> import nbnet as nb
        >>> optimizer = nb.optimizers.SGD(0.1, momentum=0.5)
        >>> optimizer.apply([[1.0]], [nb.Parameter([0.0], name="w")])
        >>> [variable.name for variable in optimizer.variables]
        ['iteration', 'learning_rate', 'w_momentum']
        >>> optimizer.variables[2].numpy()
        array([-0.1], dtype=float32)
        """
        found: list[Parameter | OptimizerNumber] = [Iterations(self.steps, self, "steps")]
        if self.schedule is None:
            found.append(self.learning_rate)
        found += [
            self._variable(slot, index)
            for group in self.slot_groups()
            for index in range(len(self._built().parameters))
            for slot in group
        ]
        return found + self._own

    def slot_groups(self) -> list[list[str]]:
        """Names of the state in Keras's order: of each group, parameter by parameter; none before there is a block."""
        names = [] if self.block is None else self._names()
        groups = [[name] for name in (AVERAGE, ACCUMULATOR) if name in names]
        pair = [name for name in self.paired if name in names]
        rest = [[name] for name in names if name not in (AVERAGE, ACCUMULATOR, *pair)]
        return [*groups, *([pair] if pair else []), *rest]

    def _variable(self, slot: str, index: int) -> Parameter:
        """A parameter's share of a slot."""
        block = self._built()
        name = f"{block.parameters[index].name.replace('/', '_')}_{slot}"
        memory = block.part(self.slot_tensors[slot], 0, index).memory()
        if slot == ACCUMULATOR and self.steps % (self.gradient_accumulation_steps or 1) == 0:
            memory[...] = 0  # After an update, the first gradient overwrites the last sum.
        made = OptimizerVariable.over(memory, name)
        made.holder = self.name
        return made

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
        self.steps = int(given[0])
        for variable, value in zip(variables[1:], given[1:], strict=True):
            variable.assign(value)

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
        copies["iterations"] = np.array(self.steps, np.int64)
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
        self.steps = int(iterations)
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
        flat, average = self.build_for(self._built().parameters).flat.numpy()[0], self.state[AVERAGE]
        flat[...], average[...] = average.copy(), flat.copy()
        self.swapped = not self.swapped

    def finalize_variable_values(self, var_list: Sequence[Parameter] | None = None) -> None:
        """Set the parameters to their moving averages, if there are any and an update was made: the end of a training.

        A training that continues, see :meth:`begin_training`, does so from the parameters as they were before.

        Parameters
        ----------
        var_list : sequence of Parameter, optional
            All parameters, as in Keras.

        Raises
        ------
        ValueError
            If var_list is not the parameters that the optimizer has.
        """
        if self.use_ema and self.block is not None and self.steps > 0:
            if var_list is not None and {*map(id, var_list)} != {*map(id, self.block.parameters)}:
                raise ValueError(
                    f"var_list: expected the {len(self.block.parameters)} parameters that {self.name} has trained, got "
                    f"{len(var_list)}"
                )
            if self.swapped:
                self.swap_averages()
            flat = self.build_for(self.block.parameters).flat.numpy()[0]
            if self.unaveraged is None:
                self._unaveraged = self.steps, flat.copy()
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
        if self._unaveraged is None or self._unaveraged[0] != self.steps:
            return None
        return self._unaveraged[1] if np.array_equal(self.block.flat.numpy()[0], self.state[AVERAGE]) else None

    @unaveraged.setter
    def unaveraged(self, values: Array | None) -> None:
        self._unaveraged = None if values is None else (self.steps, values)

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
        if kernel is None:
            raise NotImplementedError(f"{type(self).__name__}: has no kernel, its update_step makes the update")
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
            A gradient for each parameter; None, with a warning, leaves the parameter and its state as they are.
        trainable_variables : sequence of Parameter, optional
            May be left out once the optimizer is built, and may be some of those that it was built for.

        Raises
        ------
        ValueError
            If numbers or shapes do not match, or a gradient is not finite; then nothing is changed.
        """
        given = list(grads)
        if not given:
            return
        parameters = self._built().parameters if trainable_variables is None else list(trainable_variables)
        if len(given) != len(parameters):
            raise ValueError(f"grads: expected {len(parameters)}, one for each parameter, got {len(given)}")
        if (program := changes()) is not None:
            program.update(self, given, parameters)
            return
        known = parameters if self.block is None else self.block.parameters
        found = {id(p): as_gradient(g, p) for g, p in zip(given, parameters, strict=True)}
        if not found.keys() <= {*map(id, known)}:
            known = parameters  # An error follows.
        if all(array is None for array in found.values()):
            raise ValueError("grads: expected a gradient for at least one parameter, got only None")
        if missing := [p.name or "a parameter" for g, p in zip(given, parameters, strict=True) if g is None]:
            warnings.warn(f"grads: there is no gradient for {', '.join(missing)}, which stay as they are", stacklevel=2)
        block = self.build_for(known)
        arrays = [found.get(id(p)) for p in block.parameters]
        if (scale := self.loss_scale_factor) is not None:
            arrays = [None if array is None else array / scale for array in arrays]
        for parameter in block.parameters:
            parameter.will_change()
        self.look_ahead(self.steps, 1)
        if self.python_step:
            self._apply_in_python(block, arrays)
            self.steps += 1
            return
        linked, flat = self._program(block, frozenset(k for k, array in enumerate(arrays) if array is None))
        flat[...] = 0
        for array, start in zip(arrays, block.starts, strict=True):
            if array is not None:
                flat[start : start + array.size] = array.reshape(-1)
        made = next(iter(linked.program.calls[-1].writes())).memory().data
        before = made[0]
        try:
            linked.run(1, self.steps)
        finally:  # Signal handlers run in calls: without one here, an exception of theirs comes before or after.
            self.steps += made[0] - before

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Parameter]]) -> int:
        """Like :meth:`apply`, from pairs (gradient, parameter); returns the number of steps."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [parameter for _, parameter in pairs])
        return Iterations(self.steps, self, "steps")

    def scale_loss(self, loss: Any) -> Any:
        """The loss times ``loss_scale_factor``, if there is one: :meth:`apply` divides gradients by it.

        Examples
        --------
        >>> import nbnet as nb
        >>> nb.optimizers.SGD(loss_scale_factor=8.0).scale_loss(0.5)
        4.0
        """
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def _program(self, block: FlatParams, missing: frozenset[int] = frozenset()) -> tuple[Linked, Array]:
        """The phases as a program of one slice, and the vector from which it reads the gradients; parameters of these
        numbers have none, and are left out."""
        apart = {block.parameters[k] for k in missing}
        return self.eager_program(missing, lambda g: [[self.prelude()], *self.plan().phases(g, 1, apart=apart)])

    def eager_program(self, key: Any, phases: Callable[[Tensor], update.Phases]) -> tuple[Linked, Array]:
        """A program of one slice, kept by a key, made from the gradients' place, and that place; in the end it adds 1
        to the cell of its last call."""
        if self._eager[0] != layout_version():
            self._eager = layout_version(), {}
        if key not in self._eager[1]:
            block = self._built()
            gradients = block.like(1, "gradients")
            made = Tensor((1,), np.int64, np.zeros(1, np.int64))
            count = batch_io.advance_call(made, 1, block.dtype)
            program = lower([*phases(gradients), [[count]]], [0], block.dtype)
            self._eager[1][key] = Linked(program), gradients.numpy()[0]
        return self._eager[1][key]
