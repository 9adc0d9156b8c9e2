"""Optimizers whose rule is written in Python, ``update_step(gradient, variable, learning_rate)`` as in Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import initializers
from nbnet.base.array_memory import plain_array
from nbnet.base.registry import unique_name
from nbnet.config import floatx
from nbnet.engine.graph.parameter import FlatParams, Parameter
from nbnet.engine.graph.tape import paused
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.optimizers import update

Array = NDArray[Any]
#: Methods that a step in Python calls, if a subclass has one of its own.
PARTS = ("update_step", "assign", "assign_add", "assign_sub")
#: Names of the state that use_ema and gradient_accumulation_steps need.
AVERAGE, ACCUMULATOR = "average", "gradient_accumulator"


class OptimizerVariable(Parameter):
    """A variable of an optimizer, whose path begins with the name of that."""

    __slots__ = ("holder",)
    holder: str

    @property
    def path(self) -> str:
        """The name, with that of the optimizer before it."""
        return f"{self.holder}/{self.name}"


class PythonStep:
    """The part of an optimizer that calls an ``update_step`` of the user's for each parameter."""

    #: Of the optimizer.
    build: Callable[[Any], Any]
    build_for: Callable[[Sequence[Parameter]], FlatParams]
    is_excluded: Callable[[Parameter], bool]
    prelude: Callable[[], list[Any]]
    plan: Callable[[], update.Update]
    eager_program: Callable[[Any, Callable[[Tensor], update.Phases]], tuple[Any, Array]]
    _variable: Callable[[str, int], Parameter]
    variant: Any
    block: FlatParams | None
    cells: Array
    slot_tensors: dict[str, Tensor]
    schedule: Any
    learning_rate: Any
    weight_decay: Any
    clipvalue: Any
    clipnorm: Any
    global_clipnorm: Any
    use_ema: Any
    ema_momentum: Any
    ema_overwrite_frequency: Any
    gradient_accumulation_steps: Any
    steps: int
    #: The optimizer's own variables, and the number of those that were made before it was built.
    _own: list[Parameter]
    _early: int
    #: A copy of the cells, for the rule of one parameter.
    rule_cells: Array
    #: Memory for a parameter while its rule is run.
    rule_place: Tensor | None
    name: str

    def update_step(self, gradient: Any, variable: Parameter, learning_rate: Any) -> None:
        """Change a parameter and its state by its gradient.

        If a subclass has one of its own, a model is trained by a loop in Python that calls it for each parameter;
        ``super().update_step`` is the rule of the base class. Accumulation, clipping and weight decay come before it,
        averages and constraints after it.

        Parameters
        ----------
        gradient
            Of the shape of the parameter.
        variable
            The parameter; change it with :meth:`assign`, :meth:`assign_add` or :meth:`assign_sub`.
        learning_rate
            A number, as a tensor.

        Raises
        ------
        NotImplementedError
            If the class has neither a rule nor a kernel.
        ValueError
            If the optimizer is not built for the parameter.

        Examples
        --------
        >>> import nbnet as nb
        >>> class Plain(nb.optimizers.Optimizer):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         self.assign_sub(variable, gradient * learning_rate)
        >>> w = nb.Parameter([1.0, 2.0])
        >>> Plain(0.5).apply([[1.0, 1.0]], [w])
        >>> w.numpy()
        array([0.5, 1.5], dtype=float32)
        >>> class Halved(nb.optimizers.Adam):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         super().update_step(gradient, variable, learning_rate * 0.5)
        >>> Halved(0.5).apply([[1.0, 1.0]], [w])
        >>> w.numpy().round(3)
        array([0.25, 1.25], dtype=float32)
        """
        kernel, slots = self.variant
        if kernel is None:
            raise NotImplementedError(f"{type(self).__name__}: defines neither kernel nor update_step")
        index, every = self._get_variable_index(variable), self.gradient_accumulation_steps or 1
        assert self.block is not None
        low, high = self.block.starts[index], self.block.starts[index] + variable.size
        array = _array(gradient)
        if array.shape != variable.shape:
            raise ValueError(f"gradient: expected shape {variable.shape}, that of {variable.name}, got {array.shape}")
        places = [variable, *(self._variable(slot, index) for slot in slots)]
        before = [place.numpy() for place in places]

        def phases(gradients: Tensor) -> update.Phases:
            cells = Tensor(self.rule_cells.shape, np.float64, self.rule_cells)
            plan = replace(self.plan(), clip=None, every=1, cells=cells)
            return [[[plan.update_run(place, gradients, update.Run(low, high, False), plan.slots, None)]]]

        # Not where the parameter lies: another optimizer, around this one, may have moved it.
        if self.rule_place is None or self.rule_place.size != self.block.size:
            self.rule_place = self.block.like(1, "parameters")
        place = self.rule_place
        linked, flat = self.eager_program(("update_step", index), phases)
        self.rule_cells[:] = self.cells
        self.rule_cells[update.LEARNING_RATE] = float(learning_rate)
        flat[low:high] = array.reshape(-1)
        place.memory()[0, low:high] = before[0].reshape(-1)
        linked.run(1, self.steps // every)
        variable.assign(place.memory()[0, low:high].reshape(variable.shape))
        own = [name for name in PARTS[1:] if getattr(type(self), name) is not getattr(PythonStep, name)]
        for place, old in zip(places, before, strict=True) if own else ():
            new = place.numpy()
            place.assign(old)
            # A parameter by what it loses, its state by what it gains.
            order = PARTS[:0:-1] if place is variable else PARTS[2:0:-1]
            name = next((name for name in order if name in own), "assign")
            value = {"assign": new, "assign_add": new - old, "assign_sub": old - new}[name]
            getattr(self, name)(place, tensor(value, place.dtype))

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Parameter:
        """A variable of the optimizer's own, for ``update_step``; aggregation and layout have no effect."""
        value = initializers.get(initializer)(tuple(shape), dtype or floatx())
        made = OptimizerVariable(value, trainable=False, name=name or unique_name("variable"))
        made.holder = self.name
        self._own.append(made)
        return made

    def add_variable_from_reference(
        self, reference_variable: Parameter, name: str | None = None, initializer: Any = "zeros"
    ) -> Parameter:
        """A variable of the shape and dtype of a parameter."""
        like = reference_variable
        own = f"{like.path.replace('/', '_')}_{name or 'var'}"
        return self.add_variable(like.shape, initializer, like.dtype, name=own)

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Parameter], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """A variable like each parameter; for a list of names a tuple of lists."""
        names = [name] if isinstance(name, str) else list(name)
        values = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        if len(values) != len(names):
            raise ValueError(f"initializer: expected {len(names)}, one for each name, got {len(values)}")
        found: tuple[list[Parameter], ...] = tuple([] for _ in names)
        for parameter in trainable_variables:
            for variables, part, value in zip(found, names, values, strict=True):
                variables.append(self.add_variable_from_reference(parameter, part, value))
        return found[0] if isinstance(name, str) else found

    def check_variables_are_added(self) -> None:
        """Raise NotImplementedError if a subclass overrides how state is made, and no ``build`` calls that."""
        for name in ("add_optimizer_variables", "add_variable_from_reference"):
            if getattr(type(self), name) is not getattr(PythonStep, name):
                raise NotImplementedError(
                    f"{type(self).__name__}.{name}: is never called, as the state of this optimizer lies in one block; "
                    "override build and update_step as well"
                )

    def assign(self, variable: Parameter, value: Any) -> None:
        """Overwrite a variable."""
        variable.assign(_array(value))

    def assign_add(self, variable: Parameter, value: Any) -> None:
        """Add to a variable."""
        variable.assign_add(_array(value))

    def assign_sub(self, variable: Parameter, value: Any) -> None:
        """Subtract from a variable."""
        variable.assign_sub(_array(value))

    def _get_variable_index(self, variable: Parameter) -> int:
        known = [] if self.block is None else self.block.parameters
        for index, parameter in enumerate(known):
            if parameter is variable:
                return index
        raise ValueError(f"variable: {variable.name or 'it'} is none of those that {type(self).__name__} is built for")

    def _apply_in_python(self, block: FlatParams, gradients: list[Array | None]) -> None:
        """One step, whose rule is called for each parameter that has a gradient."""
        every = self.gradient_accumulation_steps or 1
        updates, turn = divmod(self.steps, every)
        if every > 1:
            total = self.slot_tensors[ACCUMULATOR].memory()[0]
            if turn == 0:
                total[...] = 0
            for k, (g, start) in enumerate(zip(gradients, block.starts, strict=True)):
                if g is not None:
                    total[start : start + g.size] += g.reshape(-1)
                    gradients[k] = total[start : start + g.size].reshape(g.shape) / every
        with paused():
            if self.variant[0] is not None and self.prelude():
                self.eager_program("prelude", lambda _: [[self.prelude()]])[0].run(1, self.steps)
            if turn == every - 1:
                self._update_in_python(block.parameters, gradients)
            if self.use_ema:
                block = self.build_for(block.parameters)
                flat, average = block.flat.memory()[0], self.slot_tensors[AVERAGE].memory()[0]
                average += (flat - average) * (1.0 if updates == 0 else 1.0 - self.ema_momentum)
                if self.ema_overwrite_frequency and (updates + 1) % self.ema_overwrite_frequency == 0:
                    flat[...] = average
            for p in block.parameters if turn == every - 1 else ():
                if p.constraint is not None:
                    p.assign(_array(p.constraint(p)))

    def _update_in_python(self, parameters: Sequence[Parameter], gradients: Sequence[Array | None]) -> None:
        given = [(g, p) for g, p in zip(self._clip_gradients(gradients), parameters, strict=True) if g is not None]
        rate = float(self.learning_rate)
        if self.weight_decay:
            for _, p in given:
                if not self.is_excluded(p):
                    p.assign(p.memory() * (1.0 - self.weight_decay * rate))
        for g, p in given:
            self.update_step(tensor(g, p.dtype), p, tensor(rate, p.dtype))

    def _clip_gradients(self, grads: Sequence[Any]) -> list[Array | None]:
        """The gradients after the kind of clipping that is asked for."""
        gradients = [None if g is None else _array(g) for g in grads]
        if self.clipvalue is not None:
            limit = self.clipvalue
            return [None if g is None else np.clip(g, -limit, limit) for g in gradients]
        if self.clipnorm is None and self.global_clipnorm is None:
            return gradients
        norms = [0.0 if g is None else float(np.linalg.norm(g)) for g in gradients]
        if self.global_clipnorm is not None:
            norms = [float(np.linalg.norm(norms))] * len(norms)
        limit = self.clipnorm or self.global_clipnorm or 0.0
        return [None if g is None else g * (limit / max(norm, limit)) for g, norm in zip(gradients, norms, strict=True)]

    @property
    def _model_variables_moving_average(self) -> list[Parameter]:
        return self._parts_of(AVERAGE)

    @property
    def _accumulated_gradients(self) -> list[Parameter]:
        return self._parts_of(ACCUMULATOR)

    def _parts_of(self, slot: str) -> list[Parameter]:
        known = [] if self.block is None or slot not in self.slot_tensors else self.block.parameters
        return [self._variable(slot, index) for index in range(len(known))]

    @property
    def own_state(self) -> dict[str, Array]:
        """The memory of the optimizer's own variables, by number."""
        return {f"variable_{k}": v.memory() for k, v in enumerate(self._own)}


def _array(value: Any) -> Array:
    return value.numpy() if isinstance(value, Tensor) else plain_array(value, "value")


def as_gradient(gradient: Any, parameter: Parameter) -> Array | None:
    """A gradient as an array, checked."""
    if gradient is None:
        return None
    array, name = plain_array(gradient, "grads"), parameter.name or "a parameter"
    if array.shape != parameter.shape:
        raise ValueError(f"grads: {name} has shape {parameter.shape}, its gradient {array.shape}")
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise ValueError(f"grads: expected finite numbers for {name}")
    return array
