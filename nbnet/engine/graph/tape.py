"""Recorders of a forward pass: the eager tape, and the trace that becomes a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from nbnet.base.seeds import next_draw
from nbnet.base.tree import flatten, restructure
from nbnet.engine.graph.autodiff import gradients
from nbnet.engine.graph.tensor import (
    Call,
    Node,
    Recorder,
    Tensor,
    changes,
    recorder,
    run_call,
    thread_state,
    topological,
)
from nbnet.engine.jit.linker import Kernel

Array = NDArray[Any]


class Trace(Recorder):
    """Records ops without running them, to build a program.

    It belongs to no recorder or layer call around it: it may be one that a signal handler interrupts.

    Parameters
    ----------
    dtype
        That of the program; None if it does not matter.
    """

    deferred = True
    #: True while a call is tried with made-up sizes of open axes, and then what stands for a symbol in it.
    probing = False
    placeholder: Callable[[Any], Any] | None = None


class Tape(Recorder):
    """Records ops as they run, for gradients and for inspection.

    Parameters
    ----------
    masks
        ``{name: array of bool}``: masks to use instead of drawing, by layer name; ``tape.masks`` of another tape
        replays its pass. Layers that draw other numbers than masks take these: see ``tape.noise``. A name that no such
        layer uses is an error when the tape is closed.
    step
        Number of the step whose random numbers to draw; compiled training counts its steps from 0. By default, layers
        draw as they do without a tape: each counts its calls.

    Examples
    --------
    >>> import nbnet as nb
    >>> x = nb.Parameter([1.0, 2.0])
    >>> with nb.Tape() as tape:
    ...     y = nb.ops.sum(x * x)
    >>> tape.gradient(y, x).numpy()
    array([2., 4.], dtype=float32)
    """

    def __init__(self, masks: Mapping[str, Any] | None = None, step: int | None = None) -> None:
        if masks is not None and not isinstance(masks, Mapping):
            raise TypeError(f"masks: expected a dict of arrays by name of layer, got {type(masks).__name__}")
        super().__init__(masks=masks)
        # The number of an optimizer's step, which the program counts: draws begin anew, as on another tape.
        self._restarts = changes() is not None and step is not None and not isinstance(step, (int, np.integer))
        if self._restarts:
            step = None
        self._trace: Trace | None = None
        if step is not None and (not isinstance(step, (int, np.integer)) or not 0 <= step < 1 << 63):
            raise ValueError(f"step: expected an integer from 0 to 2**63 - 1, got {step!r}")
        self.counts = step is None
        self.step = next_draw() if step is None else int(step)

    def __enter__(self) -> Self:
        active = recorder()
        self._trace = active if isinstance(active, Trace) else None
        if self._trace is None:
            return super().__enter__()
        if self._given or not self.counts:
            raise ValueError("masks, step: cannot be given inside of a program; its steps count themselves")
        if self._restarts:
            self._trace.forget_draws()
        return self  # The trace records the operations.

    def __exit__(self, *exc: object) -> None:
        if self._trace is not None:
            return
        super().__exit__(*exc)
        unused = set(self._given) - {node.name for node in self.nodes if node.op.mask or node.op.noise}
        if exc[0] is None and unused:
            known = sorted({*self.masks, *self.noise})
            raise ValueError(f"masks: {sorted(unused)} name no dropout that ran on this tape; those that ran: {known}")

    @property
    def masks(self) -> dict[str, Array]:
        """The recorded dropout masks by name of layer (or node): bool arrays, True = kept."""
        return {node.name: mask for node in self._run_nodes() if (mask := node.mask) is not None}

    @property
    def noise(self) -> dict[str, Array]:
        """The recorded random numbers of layers that draw no masks, by name of layer (or node): Gaussian noise, say."""
        return {node.name: noise for node in self._run_nodes() if (noise := node.noise) is not None}

    def _run_nodes(self) -> list[Node]:
        if self._trace is not None:
            raise ValueError("masks, noise: a tape inside of a program that is being built has none; run it eagerly")
        return self.nodes

    @overload
    def gradient(self, target: Tensor, sources: Tensor) -> Tensor: ...
    @overload
    def gradient(self, target: Tensor, sources: Sequence[Tensor]) -> list[Tensor]: ...
    @overload
    def gradient(self, target: Tensor, sources: Any) -> Any: ...
    def gradient(self, target: Tensor, sources: Any) -> Any:
        """Gradients of a target with respect to tensors.

        Parameters
        ----------
        target
            Tensor computed on this tape, or from tensors that were; if it is not a scalar, the gradient is that of its
            sum.
        sources
            A tensor, or a list, tuple or dict of them.

        Returns
        -------
        Gradients in the structure of ``sources``; None for a source that the target does not depend on.
        """
        wanted = list(flatten(sources))
        for source in wanted:
            if not isinstance(source, Tensor):
                raise TypeError(f"sources: expected tensors, got {type(source).__name__}")
        if (program := changes()) is not None:
            return restructure(sources, program.gradient(target, wanted))
        return restructure(sources, gradients(topological([target]), target, wanted))


@contextmanager
def paused() -> Iterator[None]:
    """Inside, ops run eagerly and nothing is recorded, even if a recorder is active."""
    held, thread_state.recorders = thread_state.recorders, []
    try:
        yield
    finally:
        thread_state.recorders = held


def effect(kernel: Kernel, target: Tensor, *reads: Tensor, attributes: tuple[int, ...] = ()) -> None:
    """Have a kernel update a parameter as a side effect, now or in every step of the program that is being built.

    The kernel's operands are the target, which it reads and writes, then what it reads. No gradient flows.
    """
    call = Call(kernel, (target, *reads), (0,), 1, 0, attributes, kernel.name, target.dtype)
    active = recorder()
    if active is None or not active.deferred:
        run_call(call, 0)
    if active is not None:
        active.effects.append(call)


def assign_in_step(copies: Kernel, target: Tensor, value: Tensor) -> None:
    """Have a kernel, whose operands are a tensor and its copy, assign a parameter at the end of every step of the
    program that is being built; what reads the parameter from now on in the program reads the value."""
    active = recorder()
    assert active is not None
    active.assignments.append(Call(copies, (value, target), (1,), 0, 0, (), copies.name, target.dtype))
    active.assigned[id(target)] = value
