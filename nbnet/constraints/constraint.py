"""What every constraint is, and the calls that it is in a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, Self

import numpy as np

from nbnet.core.abi import kernel, vec
from nbnet.core.graph import Call, Tensor, topological
from nbnet.core.parameter import Parameter
from nbnet.core.program import run_call
from nbnet.core.tape import Trace, recorder, tensor


class Constraint:
    """Base of all constraints.

    One of your own defines ``__call__(w)`` with functions of ``nbnet.ops``, as in Keras, or says in :meth:`call` which
    kernel changes a parameter. A function of a tensor serves as well, wherever a constraint is wanted.

    Examples
    --------
    >>> import nbnet as nb
    >>> class AtMostOne(nb.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return nb.ops.minimum(w, 1.0)
    >>> layer = nb.layers.Dense(1, kernel_initializer="ones", kernel_constraint=AtMostOne())
    >>> layer.build_for((None, 2))
    >>> nb.optimizers.SGD(1.0).apply([[[-2.0], [0.5]]], [layer.kernel])
    >>> layer.kernel.numpy()
    array([[1. ],
           [0.5]], dtype=float32)

    With a kernel:

    >>> from nbnet.core.abi import vec
    >>> from nbnet.core.graph import Call
    >>> @nb.kernel
    ... def cut(mem, ins, step):
    ...     w = vec(mem, ins, 0)
    ...     for i in range(w.size):
    ...         w[i] = min(w[i], 1.0)
    >>> class AtMostOne(nb.constraints.Constraint):
    ...     def call(self, parameter):
    ...         return Call(cut, (parameter,), (0,), 1, 0, (), "at_most_one", parameter.dtype)
    >>> AtMostOne()([0.5, 2.0])
    array([0.5, 1. ], dtype=float32)
    """

    def call(self, parameter: Parameter) -> Call:
        """The call that brings a parameter, in place, to what is allowed; scratch memory is a tensor without data.

        Raises
        ------
        ValueError
            If the parameter's shape does not fit.
        """
        raise NotImplementedError(f"{type(self).__name__} defines neither __call__(w) nor call(parameter)")

    def __call__(self, w: Any) -> Any:
        """An array brought to what is allowed, as a new array.

        Parameters
        ----------
        w
            Tensor or array.

        Raises
        ------
        TypeError
            Inside a function that is being written down for a program.
        """
        active = recorder()
        if active is not None and active.deferred:
            raise TypeError(
                f"constraint: {type(self).__name__} changes weights in place, and cannot be a part of a constraint of "
                "your own; write that with functions of nbnet.ops alone"
            )
        parameter = Parameter(tensor(w).numpy())
        made = self.call(parameter)
        for operand in made.operands:
            if operand is not None and operand.data is None:
                operand.data = np.empty(operand.shape, operand.dtype)
        run_call(made, 0)
        return parameter.numpy()

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with.

        Examples
        --------
        >>> from nbnet.constraints import MaxNorm
        >>> MaxNorm(3.0).get_config()
        {'max_value': 3.0, 'axis': 0}
        """
        return asdict(self) if is_dataclass(self) else {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The constraint that :meth:`get_config` describes.

        Examples
        --------
        >>> from nbnet.constraints import MaxNorm
        >>> MaxNorm.from_config({"max_value": 3.0})
        MaxNorm(max_value=3.0, axis=0)
        """
        return cls(**config)


@kernel
def assign(mem: Any, ins: Any, step: Any) -> None:
    """``w = y``."""
    y, w = vec(mem, ins, 0), vec(mem, ins, 1)
    for i in range(w.size):
        w[i] = y[i]


def calls(constraint: Callable[[Any], Any], parameter: Parameter) -> list[Call]:
    """The calls of a program that bring a parameter to what a constraint allows.

    Parameters
    ----------
    constraint
        A :class:`Constraint`, or a function of a tensor written with ops.

    Raises
    ------
    TypeError, ValueError
        If the parameter's shape does not fit, or the function does not return a tensor of that shape.

    Examples
    --------
    >>> import nbnet as nb
    >>> w = nb.Parameter([-1.0, 2.0])
    >>> [call.kernel.name for call in nb.constraints.calls(nb.ops.abs, w)]
    ['abs_forward', 'assign']
    """
    if isinstance(constraint, Constraint) and type(constraint).__call__ is Constraint.__call__:
        return [constraint.call(parameter)]
    with Trace():
        y = constraint(parameter)
    name, of = getattr(constraint, "__name__", type(constraint).__name__), parameter.name or "the parameter"
    if not isinstance(y, Tensor) or (y.data is not None and y is not parameter):
        raise TypeError(f"constraint: {name} wants to return a tensor that nbnet.ops computed from {of}, got {y!r}")
    if y.shape != parameter.shape or y.dtype != parameter.dtype:
        raise ValueError(
            f"constraint: {of} has shape {parameter.shape} and dtype {parameter.dtype}, {name} returned shape "
            f"{y.shape} and dtype {y.dtype}"
        )
    if y is parameter:
        return []
    last = Call(assign, (y, parameter), (1,), 0, 0, (), "constraint", parameter.dtype)
    return [*(node.call() for node in topological([y])), last]
