"""Traces of functions that train: from operations, gradients, updates and assignments to the calls of a program.

A gradient, an update, an assignment is a node like an operation, and stands where it was made. Lowering takes the nodes
in their order. Between two such nodes graph passes fuse layers, as in ``fit``; a gradient becomes the backward calls of
the operations before it; an update the rows of its optimizer, which find the gradients where the backward calls wrote
them, if nothing else reads those later.

Kernels see the number of a step. For an update it is its optimizer's, for everything else the number of calls of the
function; so a program is a sequence of segments, each with a number of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.engine.graph.autodiff import differentiate
from nbnet.engine.graph.op import Op
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Call, Node, Tensor, tensor, topological
from nbnet.engine.runtime.batch_io import add_each_call
from nbnet.ops.broadcast import add
from nbnet.ops.reduction import mean
from nbnet.ops.reduction import sum as sum_over
from nbnet.ops.reshape import reshape
from nbnet.optimizers.optimizer import Optimizer
from nbnet.train.graph_passes import Plan, run_passes
from nbnet.train.step_builder import needed

Array = NDArray[Any]


@dataclass(frozen=True)
class Late:
    """A value that Python computes after the program has run."""

    value: Callable[[], Any]


@dataclass(eq=False)
class Marker(Node):
    """A node that is more, or less, than the call of one kernel."""

    @classmethod
    def at(cls, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor] = (), **about: Any) -> Any:
        op = Op(name, None, ())  # type: ignore[arg-type]
        return cls(op, tuple(inputs), tuple(outputs), (), (), (), 0, name, np.dtype(np.float32), **about)

    def changed(self) -> set[Tensor]:
        """The parameters that it changes."""
        return set()


@dataclass(eq=False)
class Gradient(Marker):
    """The gradients of the first input with respect to the others: the outputs."""


@dataclass(eq=False)
class Update(Marker):
    """A step of an optimizer; ``gradients`` has one, or None, for each parameter."""

    optimizer: Optimizer | None = None
    parameters: Sequence[Parameter] = ()
    gradients: Sequence[Tensor | None] = ()

    def settle(self) -> None:
        assert self.optimizer is not None
        self.optimizer.build_for(self.parameters)

    def changed(self) -> set[Tensor]:
        assert self.optimizer is not None
        return set(self.optimizer.build_for(self.parameters).parameters)


@dataclass(eq=False)
class Assignment(Marker):
    """A parameter takes the value of the input."""

    target: Parameter | None = None

    def changed(self) -> set[Tensor]:
        return set() if self.target is None else {self.target}


@dataclass(eq=False)
class Effect(Marker):
    """A call that changes memory outside of the program: moving averages, sums of a metric."""

    effect: Call | None = None

    def changed(self) -> set[Tensor]:
        return set() if self.effect is None else set(self.effect.writes())


class _Effects(list[Call]):
    """Calls on the side: each becomes a node at its place."""

    def __init__(self, nodes: list[Node]) -> None:
        super().__init__()
        self._nodes = nodes

    def append(self, call: Call) -> None:
        self._nodes.append(Effect.at(call.name, [x for x in call.operands if x is not None], effect=call))


class FunctionTrace(Trace):
    """Records a function of tensors that may compute gradients and change parameters and metrics."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        super().__init__(dtype)
        self.changes = self
        self.effects = _Effects(self.nodes)

    def gradient(self, target: Tensor, sources: Sequence[Tensor]) -> list[Tensor | None]:
        nodes = topological([target])
        if _flows_through_gradient(nodes, target, sources):
            raise TypeError(
                "gradient: the target depends on gradients of its sources, and second derivatives are not computed; "
                "if those count as constants, pass them through nbnet.ops.stop_gradient"
            )
        seed = Tensor(target.shape, target.dtype, np.ones(target.shape, target.dtype), name="one")
        _, found = differentiate([n for n in nodes if not isinstance(n, Marker)], {target: seed}, sources)
        reached = {s: Tensor(s.shape, s.dtype, name=f"gradient/{s.name}") for s in sources if s in found}
        reached.pop(target, None)
        node = Gradient.at("gradient", (target, *reached), tuple(reached.values()))
        for result in reached.values():
            result.node = node
        self.nodes.append(node)
        return [seed if source is target else reached.get(source) for source in sources]

    def update(self, optimizer: Optimizer, gradients: Sequence[Any], parameters: Sequence[Parameter]) -> None:
        """Record a step of an optimizer."""
        if optimizer.python_step:
            raise TypeError(f"{type(optimizer).__name__}: has a step in Python, which a compiled function cannot run")
        given = [None if g is None else self._value(g, p, "grads") for g, p in zip(gradients, parameters, strict=True)]
        reads = [g for g in given if g is not None]
        if not reads:
            raise ValueError("grads: expected a gradient for at least one parameter, got only None")
        node = Update.at(optimizer.name, reads, optimizer=optimizer, parameters=list(parameters), gradients=given)
        self.nodes.append(node)

    def assign(self, target: Parameter, value: Any) -> None:
        """Record that a parameter takes a value."""
        self.nodes.append(Assignment.at(target.name or "assign", [self._value(value, target, "value")], target=target))

    def update_mean(self, metric: Any, values: Tensor, sample_weight: Any) -> None:
        """Record that a mean or sum takes values of samples into account, each with a weight if there are weights."""
        if values.ndim > 1:
            values = (mean if hasattr(metric, "count") else sum_over)(values, axis=tuple(range(1, values.ndim)))
        values, weights = reshape(values, (-1,)), None
        if sample_weight is not None:
            weights = reshape(tensor(sample_weight, values.dtype), (-1,))
            if weights.shape != values.shape:
                raise ValueError(f"sample_weight: expected shape {values.shape}, got {weights.shape}")
        cell = Tensor((2,), np.float64, metric.cell(), name=metric.name)
        self.effects.append(add_each_call(values, cell, weights))

    def late(self, value: Callable[[], Any]) -> Any:
        """Stands for a value that is computed when the program has run, and can only be returned."""
        return Late(value)

    def _value(self, value: Any, parameter: Parameter, name: str) -> Tensor:
        made = value if isinstance(value, Tensor) else tensor(plain_array(value, name), parameter.dtype)
        if made.shape != parameter.shape or made.dtype != parameter.dtype:
            raise ValueError(
                f"{name}: {parameter.name or 'a parameter'} is {parameter.dtype} {parameter.shape}, got {made.dtype} "
                f"{made.shape}"
            )
        return made


def _flows_through_gradient(nodes: Sequence[Node], target: Tensor, sources: Sequence[Tensor]) -> bool:
    """True if a derivative of the target flows back to a source through a gradient."""
    depends, flows = {id(s) for s in sources}, {id(target)}
    for node in nodes:
        if any(id(x) in depends for x in node.inputs):
            depends.update(id(y) for y in node.outputs)
    for node in reversed(nodes):
        if not any(id(y) in flows for y in node.outputs):
            continue
        if isinstance(node, Gradient):
            if any(id(x) in depends for x in node.inputs):
                return True
        elif not node.op.stops_gradient:
            names = zip(node.op.inputs, node.inputs, strict=True)
            flows.update(id(x) for name, x in names if "d" + name in node.op.gradient)
    return False


#: Calls of a segment, and the optimizer whose step number they see; None: the number of calls of the function.
Segment = tuple[Optimizer | None, list[Call]]


def check_settled(trace: FunctionTrace) -> None:
    """Raise ValueError if two optimizers update the same parameters, which lie in one place."""
    for optimizer in [node.optimizer for node in trace.nodes if isinstance(node, Update)]:
        assert optimizer is not None
        assert optimizer.block is not None
        if not optimizer.block.holds(optimizer.block.parameters):
            raise ValueError(f"{optimizer.name}: another optimizer of the function updates its parameters, too")


def segments(trace: FunctionTrace, outputs: Sequence[Tensor]) -> list[Segment]:
    """Lower a trace to calls; parameters are moved to where their optimizers want them."""
    return _Lowering(trace, outputs).lower()


class _Lowering:
    def __init__(self, trace: FunctionTrace, outputs: Sequence[Tensor]) -> None:
        changes = [node for node in trace.nodes if isinstance(node, (Update, Assignment, Effect))]
        targets = [*outputs, *(x for node in changes for x in node.inputs)]
        wanted = {id(node) for node in (*needed(trace.nodes, targets), *changes)}
        self.nodes = [node for node in trace.nodes if id(node) in wanted]
        self.outputs = list(outputs)
        self._done: list[Node] = []  # operations, as passes left them
        self._segments: list[Segment] = [(None, [])]
        #: By update: memory for the gradients of all parameters, and the part of each.
        self._gradients: dict[int, tuple[Tensor, dict[Tensor, Tensor]]] = {}
        #: By parameter: copies of values that a gradient needs after the parameter has changed.
        self._kept: dict[Tensor, list[Tensor]] = {}

    def lower(self) -> list[Segment]:
        for k, node in enumerate(self.nodes):
            if isinstance(node, Update):
                self._take_place(node, self.nodes[k + 1 :])
        pending: list[Node] = []
        for k, node in enumerate(self.nodes):
            if not isinstance(node, Marker):
                pending.append(node)
                continue
            self._operate(pending)
            pending = []
            self._keep(node.changed(), self.nodes[k + 1 :])
            if isinstance(node, Gradient):
                self._differentiate(node)
            elif isinstance(node, Update):
                self._update(node)
            elif isinstance(node, Assignment):
                assert node.target is not None
                self._copy(node.inputs[0], node.target.memory())
            elif isinstance(node, Effect):
                assert node.effect is not None
                self._add([node.effect])
        self._operate(pending)
        return [segment for segment in self._segments if segment[1]]

    def _add(self, calls: Iterable[Call], optimizer: Optimizer | None = None) -> None:
        if self._segments[-1][0] is not optimizer or optimizer is not None:
            self._segments.append((optimizer, []))
        self._segments[-1][1].extend(calls)

    def _operate(self, nodes: Sequence[Node]) -> None:
        """Add operations, after graph passes have fused some."""
        inside = {id(node) for node in nodes}
        keep = {*self.outputs, *(x for node in self.nodes if id(node) not in inside for x in node.inputs)}
        fused, _ = run_passes(nodes, Plan(keep=keep))
        self._done += fused
        self._add(node.call() for node in fused)

    def _keep(self, changed: Collection[Tensor], later: Sequence[Node]) -> None:
        """Copy parameters that are about to change, if later gradients need the values that operations have read."""
        targets = [node.inputs[0] for node in later if isinstance(node, Gradient)] if changed else []
        if not targets:
            return
        needed_later = {y for node in topological(targets) for y in node.outputs}
        copies: dict[Tensor, Tensor] = {}
        for i, node in enumerate(self._done):
            read = [x for x in node.inputs if x in changed]
            if not read or needed_later.isdisjoint(node.outputs):
                continue
            for x in read:
                if x not in copies:
                    copies[x] = self._computed(lambda x=x: reshape(x, x.shape))  # type: ignore[misc]
                    self._kept.setdefault(x, []).append(copies[x])
            self._done[i] = replace(node, inputs=tuple(copies.get(x, x) for x in node.inputs))

    def _differentiate(self, node: Gradient) -> None:
        target, *sources = node.inputs
        seeds = {target: Tensor(target.shape, target.dtype, np.ones(target.shape, target.dtype), name="one")}
        parts = {s: [s, *self._kept.get(s, ())] for s in sources}
        wanted = [part for each in parts.values() for part in each]
        _, found = differentiate(self._done, seeds, wanted)
        places: dict[Tensor, Tensor] = {}
        for source, result in zip(sources, node.outputs, strict=True):
            reached = [part for part in parts[source] if part in found]
            places |= dict.fromkeys(reached, result) if len(reached) == 1 else {}
        calls, found = differentiate(self._done, seeds, wanted, places)
        self._add(calls)
        for source, result in zip(sources, node.outputs, strict=True):
            reached = [part for part in parts[source] if part in found]
            if len(reached) > 1:  # The parameter was read before a change and after it.
                self._computed(lambda each=[found[part] for part in reached]: reduce(add, each), result)  # type: ignore[misc]

    def _take_place(self, node: Update, later: Sequence[Node]) -> None:
        """Make memory for the gradients of an update; those that nothing reads after it are computed right there."""
        assert node.optimizer is not None
        block = node.optimizer.build_for(node.parameters)
        whole = block.like(1, "gradients")
        self._gradients[id(node)] = whole, block.parts(whole, 0)
        read_later = {x for other in later for x in other.inputs} | set(self.outputs)
        for parameter, gradient in zip(node.parameters, node.gradients, strict=True):
            if gradient is None or gradient.node is None or gradient.data is not None or gradient in read_later:
                continue
            if sum(x is gradient for x in node.gradients) == 1:
                gradient.data = self._gradients[id(node)][1][parameter].memory()

    def _update(self, node: Update) -> None:
        optimizer = node.optimizer
        assert optimizer is not None
        whole, places = self._gradients[id(node)]
        found = {p: g for p, g in zip(node.parameters, node.gradients, strict=True) if g is not None}
        for parameter, gradient in found.items():
            if gradient.data is not (place := places[parameter].memory()):
                self._copy(gradient, place)
        missing = {p for p in optimizer.build_for(node.parameters).parameters if p not in found}
        phases = optimizer.plan().phases(whole, 1, apart=missing)
        self._add([*optimizer.prelude(), *(call for phase in phases for call in phase[0])], optimizer)

    def _copy(self, x: Tensor, place: Array) -> None:
        """Add the call that copies a tensor to a place."""
        self._computed(lambda: reshape(x, x.shape), Tensor(x.shape, x.dtype, place.reshape(x.shape), name=x.name))

    def _computed(self, function: Callable[[], Tensor], result: Tensor | None = None) -> Tensor:
        """Add the calls of a function, whose last one writes ``result``, if that is given."""
        with Trace() as trace:
            y = function()
        if result is not None:
            trace.nodes[-1].outputs = (result,)
            y = result
        self._add(node.call() for node in trace.nodes)
        return y
