"""Optimizers whose rule is written in Python, ``update_step(gradient, variable, learning_rate)`` as in Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet import initializers
from nbnet.base.array_memory import plain_array
from nbnet.config import floatx
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import paused
from nbnet.engine.graph.tensor import Tensor, tensor

Array = NDArray[Any]


class PythonStep:
    """The part of an optimizer that calls an ``update_step`` of the user's for each parameter."""

    #: Of the optimizer.
    build: Callable[[Any], Any]
    is_excluded: Callable[[Parameter], bool]
    learning_rate: Any
    weight_decay: Any
    clipvalue: Any
    clipnorm: Any
    global_clipnorm: Any
    iterations: int
    _pending: dict[str, Array] | None
    #: The optimizer's own variables, and the parameters in the order of the first update.
    _own: list[Parameter]
    _order: list[Parameter]

    def update_step(self, gradient: Tensor, variable: Parameter, learning_rate: Tensor) -> None:
        """Change a parameter by its gradient: for subclasses that have no kernel.

        A model is then trained by a loop in Python. Weight decay and clipping come before, constraints after it.

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
            For nbnet's own optimizers, which update all parameters at once, in a kernel.

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
        """
        raise NotImplementedError(
            f"{type(self).__name__}: updates all parameters at once, by apply(gradients, variables); "
            "an update_step of your own has to write the whole rule"
        )

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
        made = Parameter(value, trainable=False, name=name or "variable")
        self._own.append(made)
        return made

    def add_variable_from_reference(
        self, reference_variable: Parameter, name: str | None = None, initializer: Any = "zeros"
    ) -> Parameter:
        """A variable of the shape and dtype of a parameter."""
        like = reference_variable
        return self.add_variable(like.shape, initializer, like.dtype, name=f"{like.name}_{name or 'var'}")

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
        return next(k for k, known in enumerate(self._order) if known is variable)

    def _apply_in_python(self, gradients: Sequence[Array | None], parameters: Sequence[Parameter]) -> None:
        """One step of ``update_step`` for each parameter that has a gradient."""
        if not self._order:
            self.build(parameters)
        if len(self._order) != len(parameters) or any(p is not q for p, q in zip(self._order, parameters, strict=True)):
            raise ValueError(f"{type(self).__name__}: this optimizer has trained other parameters; make a new one")
        if self._pending:
            self._restore(self._pending)
        self._pending = None
        given = [(g, p) for g, p in zip(self._clipped(gradients), parameters, strict=True) if g is not None]
        rate = float(self.learning_rate)
        with paused():
            if self.weight_decay:
                for _, p in given:
                    if not self.is_excluded(p):
                        p.assign(np.array(p.numpy()) * (1.0 - self.weight_decay * rate))
            for g, p in given:
                self.update_step(tensor(g, p.dtype), p, tensor(rate, p.dtype))
            for _, p in given:
                if p.constraint is not None:
                    p.assign(_array(p.constraint(p)))
        self.iterations += 1

    def _clipped(self, gradients: Sequence[Array | None]) -> list[Array | None]:
        """The gradients after the kind of clipping that is asked for."""
        if self.clipvalue is not None:
            limit = self.clipvalue
            return [None if g is None else np.clip(g, -limit, limit) for g in gradients]
        if self.clipnorm is None and self.global_clipnorm is None:
            return list(gradients)
        norms = [0.0 if g is None else float(np.linalg.norm(g)) for g in gradients]
        if self.global_clipnorm is not None:
            norms = [float(np.linalg.norm(norms))] * len(norms)
        limit = self.clipnorm or self.global_clipnorm or 0.0
        return [None if g is None else g * (limit / max(norm, limit)) for g, norm in zip(gradients, norms, strict=True)]

    def _own_state(self) -> dict[str, Array]:
        """Copies of the optimizer's own variables, by number and name."""
        return {f"{k}_{v.name}": np.array(v.numpy()) for k, v in enumerate(self._own)}

    def _restore(self, state: dict[str, Array]) -> None:
        if state.keys() != self._own_state().keys():
            raise ValueError(f"state: expected {sorted(self._own_state())}, got {sorted(state)}")
        for variable, value in zip(self._own, state.values(), strict=True):
            variable.assign(value)


def _array(value: Any) -> Array:
    return value.numpy() if isinstance(value, Tensor) else plain_array(value, "value")
