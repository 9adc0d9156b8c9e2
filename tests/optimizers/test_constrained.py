"""Updates are followed by constraints, in eager steps and in programs; what optimizers remember by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Call
from nbnet.engine.jit import linker
from tests.optimizers.cases import EACH, EXTRAS, Case, Program, gradients, start, values
from tests.optimizers.reference import Reference

Array = NDArray[Any]
STEPS = 8


def bounded(w: Array, low: float, high: float, rate: float = 1.0) -> Array:
    """Keras's formula, along the first axis."""
    norms = np.sqrt((w**2).sum(0, keepdims=True))
    wanted = rate * np.clip(norms, low, high) + (1 - rate) * norms
    return np.asarray(w * (wanted / (1e-7 + norms)))


def shrunk(w: nb.Tensor) -> nb.Tensor:
    return w * 0.9 + nb.ops.minimum(w, 0.3) * 0.1


class Halved(Constraint):
    def __call__(self, w: Any) -> Any:
        return nb.ops.abs(w) * 0.5


#: Constraints and what they do to an array.
TABLE: list[tuple[Any, Callable[[Array], Array]]] = [
    (MaxNorm(1.0), lambda w: bounded(w, 0, 1)),
    (MinMaxNorm(0.5, 0.9, 0.3), lambda w: bounded(w, 0.5, 0.9, 0.3)),
    (UnitNorm(), lambda w: bounded(w, 1, 1)),
    (NonNeg(), lambda w: np.maximum(w, 0)),
    (nb.ops.abs, np.abs),
    (shrunk, lambda w: w * 0.9 + np.minimum(w, 0.3) * 0.1),
    (Halved(), lambda w: np.abs(w) * 0.5),
    (lambda w: w, lambda w: w),
]
table = pytest.mark.parametrize(
    ("constraint", "formula"), TABLE, ids=lambda part: getattr(part, "__name__", repr(part))
)
each = pytest.mark.parametrize("case", EACH, ids=lambda case: case.name)
extras = pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: " ".join(extra))
#: All but the scalar, which has no vectors.
HELD = (0, 1, 3)


def held(constraint: Any) -> list[Parameter]:
    parameters = start()
    for k in HELD:
        parameters[k].constraint = constraint
    return parameters


def follow(case: Case, formula: Callable[[Array], Array], **extra: Any) -> Array:
    """Parameters after some steps of NumPy."""
    optimizer = case.make(**extra)
    rate = optimizer.learning_rate
    wanted = Reference(case.name, optimizer.get_config(), [p.numpy() for p in start()], lambda step: rate)
    every = optimizer.gradient_accumulation_steps or 1
    for step in range(STEPS):
        wanted.apply(gradients(step))
        if (step + 1) % every == 0:
            for k in HELD:
                wanted.parameters[k][...] = formula(wanted.parameters[k])
    return np.concatenate([p.reshape(-1) for p in wanted.parameters])


@table
@pytest.mark.parametrize("slices", [0, 1, 2, 3])
def test_constraints_follow_the_formula(constraint: Any, formula: Callable[[Array], Array], slices: int) -> None:
    case = Case("Adam", {"learning_rate": 0.1})
    optimizer, parameters = case.make(), held(constraint)
    program = Program(optimizer, parameters, slices) if slices else None
    for step in range(STEPS):
        if program is None:
            optimizer.apply(gradients(step), parameters)
        else:
            program.apply(gradients(step))
    np.testing.assert_allclose(values(parameters), follow(case, formula), 1e-9, 1e-11)


@each
@extras
def test_constraints_come_last(case: Case, extra: dict[str, Any]) -> None:
    """After averages, which see what was updated; and only in steps that update."""
    optimizer, parameters = case.make(**extra), held(MinMaxNorm(0.5, 0.9, 0.3))
    for step in range(STEPS):
        optimizer.apply_gradients(zip(gradients(step), parameters, strict=True))
    found = follow(case, lambda w: bounded(w, 0.5, 0.9, 0.3), **extra)
    np.testing.assert_allclose(values(parameters), found, 1e-9, 1e-11)


@extras
def test_slices_agree_with_eager_steps(extra: dict[str, Any]) -> None:
    found = []
    for slices in (0, 1, 2):
        optimizer, parameters = Case("SGD", {"learning_rate": 0.1, "momentum": 0.5}).make(**extra), held(MaxNorm(0.8))
        program = Program(optimizer, parameters, slices) if slices else None
        for step in range(STEPS):
            if program is None:
                optimizer.apply(gradients(step), parameters)
            else:
                program.apply(gradients(step))
        found.append(values(parameters))
    np.testing.assert_allclose(found[0], found[1], 1e-11, 1e-12)
    np.testing.assert_allclose(found[0], found[2], 1e-11, 1e-12)


def test_no_constraint_is_no_phase() -> None:
    for extra, phases in (({}, 1), ({"clipnorm": 1.0}, 2)):
        free, bound = nb.optimizers.SGD(**extra), nb.optimizers.SGD(**extra)
        for optimizer, parameters, count in ((free, start(), phases), (bound, held(NonNeg()), phases + 1)):
            gradients = optimizer.build(parameters).gradients(2)
            assert len(optimizer.plan().phases(gradients, 2)) == count


def test_slices_share_the_work() -> None:
    optimizer = nb.optimizers.SGD()
    gradients = optimizer.build(held(NonNeg())).gradients(2)
    phase = optimizer.plan().phases(gradients, 2)[-1]
    assert [[call.name for call in part] for part in phase] == [["embedding"], ["dense/kernel", "dense/bias"]]


def test_a_constraint_of_ones_own_with_a_kernel() -> None:
    class Cut(Constraint):
        def call(self, parameter: Parameter) -> Call:
            return NonNeg().call(parameter)

    w = nb.Parameter([-1.0, 2.0], constraint=Cut())
    nb.optimizers.SGD(1.0).apply([[1.0, 1.0]], [w])
    np.testing.assert_array_equal(w.numpy(), [0.0, 1.0])


def test_constraints_may_be_assigned() -> None:
    w, optimizer = nb.Parameter([1.0]), nb.optimizers.SGD(1.0)
    for constraint, wanted in ((None, -1.0), (NonNeg(), 0.0), (None, -2.0), (nb.ops.abs, 4.0)):
        w.constraint = constraint
        optimizer.apply([[2.0]], [w])
        assert w.item() == wanted


def test_other_constraints_compile_nothing() -> None:
    nb.optimizers.SGD(1.0).apply([[1.0, 2.0]], [nb.Parameter([1.0, 1.0], constraint=MaxNorm())])
    compiled = linker.compiled_count
    nb.optimizers.SGD(1.0).apply([[1.0, 2.0]], [nb.Parameter([1.0, 1.0], constraint=MinMaxNorm(0.2, 0.7, 0.1))])
    assert linker.compiled_count == compiled


@pytest.mark.parametrize(
    ("constraint", "error", "message"),
    [
        (lambda w: 3.0, TypeError, "constraint: expected <lambda> to return a tensor that nbnet.ops computed from w"),
        (lambda w: nb.tensor([1.0, 2.0]), TypeError, "constraint: expected <lambda> to return a tensor"),
        (lambda w: nb.ops.sum(w), ValueError, r"w has shape \(2,\) and dtype float32, <lambda> returned shape \(\)"),
        (MaxNorm(axis=1), ValueError, "axis 1 is out of range"),
    ],
)
def test_what_is_no_constraint_is_refused(constraint: Any, error: type[Exception], message: str) -> None:
    w = nb.Parameter([1.0, 2.0], name="w", constraint=constraint)
    with pytest.raises(error, match=message):
        nb.optimizers.SGD(1.0).apply([[1.0, 1.0]], [w])
    np.testing.assert_array_equal(w.numpy(), [1.0, 2.0])


# ---- what is remembered ----------------------------------------------------------------------------------------


def test_variables_are_views_of_the_state() -> None:
    optimizer, parameters = nb.optimizers.Adam(0.1, use_ema=True), start()
    assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate"]
    for step in range(3):
        optimizer.apply(gradients(step), parameters)
    found = {v.name: v.numpy() for v in optimizer.variables}
    named = [(p, p.name.replace("/", "_")) for p in parameters]
    slots = [f"{name}_average" for _, name in named]
    slots += [f"{name}_{slot}" for _, name in named for slot in ("momentum", "velocity")]
    assert list(found) == ["iteration", "learning_rate", *slots]
    assert (found["iteration"], found["learning_rate"]) == (3, 0.1)
    assert all(found[f"{name}_velocity"].shape == p.shape for p, name in named)
    variable = next(v for v in optimizer.variables if v.name == "dense_kernel_velocity")
    assert variable.path == f"{optimizer.name}/dense_kernel_velocity"
    variable.assign(np.full(variable.shape, 7.0))
    assert (optimizer.state["velocity"] == 7.0).sum() == parameters[0].size
    optimizer.learning_rate = nb.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    assert "learning_rate" not in [v.name for v in optimizer.variables]


def test_what_is_written_to_a_slot_holds() -> None:
    optimizer, w = nb.optimizers.SGD(0.5, momentum=0.5), nb.Parameter([1.0, 1.0], name="w")
    optimizer.apply([[0.0, 0.0]], [w])
    slot = next(v for v in optimizer.variables if v.name == "w_momentum")
    slot.assign([4.0, -2.0])
    optimizer.apply([[0.0, 2.0]], [w])
    np.testing.assert_array_equal(w.numpy(), [3.0, -1.0])
    optimizer.state["momentum"][:2] = 0.0
    optimizer.apply([[0.0, 0.0]], [w])
    np.testing.assert_array_equal(w.numpy(), [3.0, -1.0])


def test_rate_and_iterations_may_be_assigned() -> None:
    w, optimizer = nb.Parameter([0.0]), nb.optimizers.SGD(1.0)
    optimizer.apply([[1.0]], [w])
    optimizer.learning_rate = 0.5
    optimizer.apply([[1.0]], [w])
    assert (w.item(), optimizer.iterations) == (-1.5, 2)
    scheduled = nb.optimizers.SGD(nb.optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.25]))
    scheduled.iterations = 5
    scheduled.apply([[1.0]], [w])
    assert (w.item(), scheduled.iterations) == (-1.75, 6)
    scheduled.iterations.assign(nb.tensor(2.0))
    scheduled.iterations.assign_add(1)
    optimizer.learning_rate.assign_sub(np.float32(0.25))
    assert (scheduled.iterations, optimizer.learning_rate) == (3, 0.25)
    decaying = nb.optimizers.SGD(nb.optimizers.schedules.InverseTimeDecay(0.5, 1, 0.25, name="decay"))
    decaying.iterations = 4
    decaying.learning_rate = 1.0  # With the decay of Keras 2, the number is what decays.
    assert decaying.learning_rate == 0.5
    slow = nb.optimizers.SGD(1.0, gradient_accumulation_steps=3)
    sums = []
    for _ in range(4):
        slow.apply([[2.0]], [w])
        sums.append(slow.variables[2].item())
    assert (slow.iterations, slow.steps, int(slow.variables[0])) == (1, 4, 4)
    assert sums == [2.0, 4.0, 0.0, 2.0]  # As in Keras, 0 after an update.
    slow.iterations = 5
    assert slow.steps == 15
    for wrong in (-1, 1.5, True, [1, 2]):
        with pytest.raises(ValueError, match="iterations: expected an integer from 0"):
            slow.iterations = wrong
