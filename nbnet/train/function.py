"""Compiled functions: Python that works on tensors, models and optimizers, traced once and run as one program."""

from __future__ import annotations

import functools
import os
import threading
import time
import traceback
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.tree import flatten, map_structure
from nbnet.base.uninterrupted import apart_from_handlers
from nbnet.base.validation import check_int
from nbnet.config import standardize_dtype
from nbnet.engine.graph.op import BOOL, INT
from nbnet.engine.graph.parameter import Parameter, layout_version
from nbnet.engine.graph.tensor import Tensor, recorder
from nbnet.engine.kernels.executor import PhaseRunner, aligned
from nbnet.engine.runtime.program import Linked, lower
from nbnet.optimizers.optimizer import Optimizer
from nbnet.train.function_trace import FunctionTrace, Late, check_settled, segments

Array = NDArray[Any]
P = ParamSpec("P")
R = TypeVar("R")

#: Programs kept for one function and thread; the least recently used goes first.
KEPT_PROGRAMS = 32
#: A compiled call of many steps ends after about this long, so that Ctrl-C answers.
CALL_SECONDS = 0.08

#: Files of nbnet.
PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


@dataclass(eq=False)
class FunctionProgram:
    """The program of a function for arguments of some shapes, and the places of arguments and results.

    Attributes
    ----------
    buffers
        Memory of the arguments that are arrays, in their order.
    counters
        For each phase: the optimizer whose number of steps it sees; None for the number of calls.
    updates
        Number of steps of each optimizer in a call.
    results
        Views of the tensors that the function returned.
    template
        What it returned, with a mark in place of tensors; None for a single tensor.
    version
        The layout version of parameters that its addresses are valid for.
    held
        What the rows point to.
    """

    buffers: list[Array]
    runner: PhaseRunner
    counters: list[Optimizer | None]
    updates: dict[Optimizer, int]
    results: list[Array]
    template: Any
    version: int
    held: Any
    in_use: bool = False

    def first_steps(self, calls: int, times: int = 1) -> tuple[list[int], int]:
        """The number of the step of each phase, and how many calls may be run: a schedule in Python looks ahead."""
        done = dict.fromkeys(self.updates, 0)
        found = []
        for optimizer in self.counters:
            if optimizer is None:
                found.append(calls)
            else:
                step = optimizer.steps + done[optimizer]
                done[optimizer] += 1
                found.append(step)
        for optimizer, each in self.updates.items():
            times = min(times, max(1, optimizer.look_ahead(optimizer.steps, each * times) // each))
        return found, times

    def read(self, arrays: list[Any]) -> None:
        """Copy the arguments; an array that is referred to weakly cannot be resized meanwhile."""
        owners = [a if a.base is None else a.base for a in arrays]
        pins = [weakref.ref(owner) for owner in owners if isinstance(owner, np.ndarray)]
        for buffer, array in zip(self.buffers, arrays, strict=True):
            buffer[...] = array
        del pins

    def strides(self) -> list[int]:
        """By how much the step of each phase grows from call to call."""
        return [1 if optimizer is None else self.updates[optimizer] for optimizer in self.counters]


class Function(Generic[P, R]):
    """A compiled function: see :func:`function`.

    Attributes
    ----------
    python_function
        The function as it was written.
    calls
        Number of calls so far, whose random numbers were drawn.
    """

    def __init__(self, python_function: Callable[P, R], dtype: Any = None) -> None:
        if not callable(python_function):
            raise TypeError(f"function: expected a function, got {type(python_function).__name__}")
        self.python_function = python_function
        self.dtype = standardize_dtype(dtype)
        self.calls = 0
        self._local = threading.local()
        functools.update_wrapper(self, python_function)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A method: the instance is its first argument."""
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"<Function {getattr(self.python_function, '__qualname__', self.python_function)!s}>"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _local=threading.local())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function as one program; the first time with such arguments, it is traced.

        Where operations are recorded already, under a tape or in another compiled function, it runs as Python.
        """
        if recorder() is not None:
            return self.python_function(*args, **kwargs)
        return self.execute(*self.prepare(args, kwargs))

    def execute(self, program: FunctionProgram, arrays: list[Any]) -> R:
        """Run a program that :meth:`prepare` returned, on these arrays."""
        try:
            program.read(arrays)
            first, _ = program.first_steps(self.calls)
            self._counted(program, 1, lambda ran: program.runner(first, ran))
            return cast(R, _returned(program))
        finally:
            program.in_use = False

    def run(self, times: int, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function several times with the same arguments, in few compiled calls.

        Parameters
        ----------
        times : int
            Number of calls, at least 1.
        *args, **kwargs
            The arguments of each.

        Returns
        -------
        What the last call returned.

        Examples
        --------
        >>> import nbnet as nb
        >>> w = nb.Parameter([0.0])
        >>> @nb.function
        ... def step():
        ...     w.assign_add([0.5])
        ...     return w + 1.0
        >>> step.run(4).numpy()
        array([3.], dtype=float32)
        """
        left = check_int(times, "times", 1)
        if recorder() is not None:
            results = [self.python_function(*args, **kwargs) for _ in range(left)]
            return results[-1]
        seconds = 0.0
        while True:
            # Parameters may have been moved since the last of these compiled calls.
            program, arrays = self.prepare(args, kwargs)
            try:
                program.read(arrays)
                most = min(left, max(1, int(CALL_SECONDS / seconds)) if seconds else 1)
                first, count = program.first_steps(self.calls, most)
                began, steps = (
                    time.perf_counter(),
                    functools.partial(program.runner.repeat, count, first, program.strides()),
                )
                self._counted(program, count, steps)
                seconds = max((time.perf_counter() - began) / count, 1e-7)
                left -= count
                if not left:
                    return cast(R, _returned(program))
            finally:
                program.in_use = False

    def _counted(self, program: FunctionProgram, calls: int, run: Callable[[list[None]], None]) -> None:
        """Run some calls and count them, also if a signal handler raises an exception as soon as they have run, or
        while they are counted."""
        ran: list[None] = []
        counts = self.calls + calls, [(o, o.steps + each * calls) for o, each in program.updates.items()]
        try:
            try:
                run(ran)
            finally:
                self._set_counts(ran, counts)
        except BaseException:
            self._set_counts(ran, counts)
            raise

    def _set_counts(self, ran: list[None], counts: tuple[int, list[tuple[Optimizer, int]]]) -> None:
        if ran:
            self.calls = counts[0]
            for optimizer, steps in counts[1]:
                optimizer.steps = steps

    def prepare(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[FunctionProgram, list[Any]]:
        """Return the program for these arguments, in use from now on, and the arrays among them."""
        arrays: list[Any] = []
        key: list[Any] = []
        _describe(args, key, arrays)
        if kwargs:
            _describe(kwargs, key, arrays)
        kept, known = self._programs, tuple(key)
        program = kept.get(known)
        while program is None or program.version != layout_version() or program.in_use:
            program = kept[known] = apart_from_handlers(lambda: self._write(args, kwargs))
            while len(kept) > KEPT_PROGRAMS:
                kept.popitem(last=False)
        kept.move_to_end(known)
        program.in_use = True
        return program, arrays

    @property
    def _programs(self) -> OrderedDict[tuple[Any, ...], FunctionProgram]:
        """The programs that are kept for this thread."""
        kept: OrderedDict[tuple[Any, ...], FunctionProgram] | None = getattr(self._local, "programs", None)
        if kept is None:
            kept = self._local.programs = OrderedDict()
        return kept

    def _write(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> FunctionProgram:
        """Trace the function and link its program."""
        placed: list[tuple[Tensor, Array]] = []

        def placeholder(leaf: Any) -> Any:
            if not _is_array(leaf):
                return leaf
            array = leaf.memory() if isinstance(leaf, Tensor) else plain_array(leaf, "arguments")
            if array.dtype.kind not in "fiub":
                raise TypeError(f"arguments: expected arrays of numbers, got dtype {array.dtype}")
            dtype = array.dtype if isinstance(leaf, Tensor) else _DTYPES.get(array.dtype.kind, self.dtype)
            buffer = aligned(array.size, dtype).reshape(array.shape)
            placed.append((Tensor(array.shape, dtype), buffer))
            return placed[-1][0]

        with FunctionTrace(self.dtype) as trace:
            try:
                returned = self.python_function(*map_structure(placeholder, args), **map_structure(placeholder, kwargs))
            except (TypeError, ValueError) as error:
                _add_line(error)
                raise
        outputs = [leaf for leaf in flatten(returned) if isinstance(leaf, Tensor)]
        for tensor, buffer in placed:
            tensor.data = buffer
        for node in trace.nodes:
            node.settle()
        check_settled(trace)
        version = layout_version()  # Before addresses are read: a parameter that moves later outdates the program.
        found = segments(trace, outputs)
        linked = Linked(lower([[calls] for _, calls in found], [0], self.dtype, outputs))
        updates: dict[Optimizer, int] = {}
        for optimizer, _ in found:
            if optimizer is not None:
                updates[optimizer] = updates.get(optimizer, 0) + 1
        return FunctionProgram(
            buffers=[buffer for _, buffer in placed],
            runner=PhaseRunner(linked.mem, self.dtype, linked.rows, linked.run.spans),
            counters=[optimizer for optimizer, _ in found],
            updates=updates,
            results=[linked.view(y) for y in outputs],
            template=None if isinstance(returned, Tensor) else map_structure(_marked, returned),
            version=version,
            held=(linked, trace, placed),
        )


#: Stands for a tensor in what a function returned.
_TENSOR = object()
_DTYPES = {"i": INT, "u": INT, "b": BOOL}


def _marked(leaf: Any) -> Any:
    return _TENSOR if isinstance(leaf, Tensor) else leaf


def _returned(program: FunctionProgram) -> Any:
    """The result of the function, with the values of this call."""
    if program.template is None:
        (result,) = program.results
        return Tensor(result.shape, result.dtype, result.copy())
    results = iter(program.results)

    def value(leaf: Any) -> Any:
        if leaf is _TENSOR:
            result = next(results)
            return Tensor(result.shape, result.dtype, result.copy())
        return leaf.value() if isinstance(leaf, Late) else leaf

    return map_structure(value, program.template)


def _is_array(leaf: Any) -> bool:
    """True for arguments whose values may change from call to call."""
    kinds = np.ndarray, np.generic, float, Tensor
    return isinstance(leaf, kinds) and not isinstance(leaf, Parameter)


def _describe(value: Any, key: list[Any], arrays: list[Any]) -> None:
    """Collect the arrays of an argument, and what a program depends on: structure, shapes, dtypes, other values."""
    kind = type(value)
    if kind is np.ndarray or kind is Tensor:
        array = plain_array(value, "arguments") if kind is np.ndarray else value.memory()
        key.append(array.shape)
        key.append(array.dtype)
        arrays.append(array)
    elif kind is tuple or kind is list:
        key.append(kind)
        key.append(len(value))
        for part in value:
            _describe(part, key, arrays)
    elif isinstance(value, (tuple, list)):
        key += (kind, len(value))
        for part in value:
            _describe(part, key, arrays)
    elif isinstance(value, Mapping):
        key += (kind, *value)
        for part in value.values():
            _describe(part, key, arrays)
    elif _is_array(value):
        array = plain_array(value, "arguments")
        key += (array.shape, array.dtype)
        arrays.append(array)
    else:
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"arguments: expected arrays, tensors, numbers, or objects that can be told apart by their hash, got "
                f"{kind.__name__}"
            ) from None
        key += (kind, value)


def _add_line(error: Exception) -> None:
    """Note the line outside of nbnet that led to an error."""
    found = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(PACKAGE)]
    if found:
        last = found[-1]
        error.add_note(f"line {last.lineno} of {last.filename}, in {last.name} (being compiled): {last.line}")


@overload
def function(python_function: Callable[P, R], *, dtype: Any = None) -> Function[P, R]: ...
@overload
def function(python_function: None = None, *, dtype: Any = None) -> Callable[[Callable[P, R]], Function[P, R]]: ...
def function(python_function: Callable[P, R] | None = None, *, dtype: Any = None) -> Any:
    """Compile a function of tensors, models and optimizers: it is traced once, and then runs as one program.

    Inside, everything may stand that a training step is made of: calls of models and losses, tapes and their
    gradients, ``optimizer.apply``, metrics, ``assign`` of weights, random numbers, and functions of ``nbnet.ops``. The
    Python code itself runs when the function is called with arguments of new shapes or dtypes, or with other values of
    arguments that are no arrays; other calls run the program that it described. Weights, state of optimizers, metrics
    and random numbers go on from call to call.

    Parameters
    ----------
    python_function
        The function. Arrays, tensors and floats among its arguments, also in lists, tuples and dicts, may have other
        values in each call. All else, integers, strings, models, counts as constant. It returns tensors, or a
        structure of them.
    dtype
        float32 or float64: what arrays of floats become; by default the framework's.

    Returns
    -------
    Function
        Called like the function. ``.run(times, ...)`` makes several calls at once; ``.python_function`` is the function
        itself, for debugging.

    Raises
    ------
    TypeError, ValueError
        While it is traced: if the function asks for the value of a tensor (``if loss > 1``, ``.numpy()``, ``float``);
        a note names the line. ``nbnet.ops.where`` takes the place of ``if``, and what is returned can be read outside.

    Notes
    -----
    The numbers of random draws count the calls of the function; those of schedules and moments count, as ever, the
    steps of the optimizer. A function that is called under a tape, or by another compiled function, runs as Python.
    Programs are kept for 32 kinds of arguments. Gradients are not checked for NaN as ``optimizer.apply`` does eagerly.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.set_random_seed(0)
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(8, "tanh"), nb.layers.Dense(1)])
    >>> optimizer, loss_of = nb.optimizers.Adam(0.05), nb.losses.MeanSquaredError()
    >>> @nb.function
    ... def step(x, y):
    ...     with nb.Tape() as tape:
    ...         loss = loss_of(y, model(x, training=True))
    ...     optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
    ...     return loss
    >>> x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> losses = [step(x, x[:, :1] * x[:, 1:]).item() for _ in range(200)]
    >>> losses[-1] < 0.01 < losses[0]
    True
    """
    if python_function is None:
        return functools.partial(function, dtype=dtype)
    return Function(python_function, dtype)
