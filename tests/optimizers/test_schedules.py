"""Schedules agree with Keras's formulas, in Python and in the rows of a program."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbnet as nb
from nbnet.engine.graph.tensor import Tensor, run_call
from nbnet.engine.jit import linker
from nbnet.optimizers import schedules, update
from nbnet.optimizers.schedules import (
    TABLE,
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

STEPS = range(130)


def cosine(step: float, initial: float, steps: float, alpha: float) -> float:
    return initial * ((1 - alpha) * 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps)) + alpha)


def restarts(step: int, initial: float, first: float, t: float, m: float, alpha: float) -> float:
    start, length, k = 0.0, first, 0
    while step >= start + length - 1e-9:
        start, length, k = start + length, length * t, k + 1
    share = 0.5 * m**k * (1 + math.cos(math.pi * (step - start) / length))
    return initial * ((1 - alpha) * share + alpha)


def one_cycle(step: int, top: float, total: int, share: float, div: float, final: float) -> float:
    def along(a: float, b: float, done: float) -> float:
        return b + (a - b) / 2 * (1 + math.cos(math.pi * done))

    initial, peak, last = top / div, share * total - 1, total - 1
    step = min(step, last)
    if step <= peak:
        return along(initial, top, step / peak)
    return along(top, initial / final, (step - peak) / (last - peak))


TABLE_OF_SCHEDULES: list[tuple[LearningRateSchedule, Callable[[int], float]]] = [
    (ExponentialDecay(0.1, 7, 0.9), lambda s: 0.1 * 0.9 ** (s / 7)),
    (ExponentialDecay(0.1, 7, 0.9, staircase=True), lambda s: 0.1 * 0.9 ** (s // 7)),
    (InverseTimeDecay(0.1, 7, 0.9), lambda s: 0.1 / (1 + 0.9 * s / 7)),
    (InverseTimeDecay(0.1, 7, 0.9, True), lambda s: 0.1 / (1 + 0.9 * (s // 7))),
    (PiecewiseConstantDecay([10, 20], [0.1, 0.01, 0.001]), lambda s: 0.1 if s <= 10 else 0.01 if s <= 20 else 0.001),
    (PiecewiseConstantDecay([10.5], [0.1, 0.01]), lambda s: 0.1 if s <= 10 else 0.01),
    (PiecewiseConstantDecay([], [0.1]), lambda s: 0.1),
    (PolynomialDecay(0.1, 30), lambda s: (0.1 - 1e-4) * (1 - min(s, 30) / 30) + 1e-4),
    (PolynomialDecay(0.1, 30, 0.01, 0.5), lambda s: 0.09 * math.sqrt(1 - min(s, 30) / 30) + 0.01),
    (
        PolynomialDecay(0.1, 30, 0.01, 2.0, cycle=True),
        lambda s: 0.09 * (1 - s / (30 * max(math.ceil(s / 30), 1))) ** 2 + 0.01,
    ),
    (CosineDecay(0.1, 50), lambda s: cosine(s, 0.1, 50, 0)),
    (CosineDecay(0.1, 50, 0.2, warmup_steps=5), lambda s: cosine(s, 0.1, 50, 0.2)),
    (
        CosineDecay(0.01, 50, 0.1, warmup_target=0.2, warmup_steps=20),
        lambda s: 0.01 + 0.19 * s / 20 if s < 20 else cosine(s - 20, 0.2, 50, 0.1),
    ),
    (CosineDecay(0.01, 50, warmup_target=0.2), lambda s: cosine(s, 0.2, 50, 0)),
    (CosineDecayRestarts(0.1, 10), lambda s: restarts(s, 0.1, 10, 2, 1, 0)),
    (CosineDecayRestarts(0.1, 10, t_mul=1.0, m_mul=0.8, alpha=0.1), lambda s: restarts(s, 0.1, 10, 1, 0.8, 0.1)),
    (CosineDecayRestarts(0.1, 1, t_mul=3.0, m_mul=0.9), lambda s: restarts(s, 0.1, 1, 3, 0.9, 0)),
    (CosineDecayRestarts(0.1, 10, t_mul=1.5), lambda s: restarts(s, 0.1, 10, 1.5, 1, 0)),
    (OneCycle(0.1, 100), lambda s: one_cycle(s, 0.1, 100, 0.3, 25, 1e4)),
    (OneCycle(1.0, 40, 0.5, 10, 100), lambda s: one_cycle(s, 1.0, 40, 0.5, 10, 100)),
]
table = pytest.mark.parametrize(
    ("schedule", "formula"), TABLE_OF_SCHEDULES, ids=[repr(s) for s, _ in TABLE_OF_SCHEDULES]
)
every = pytest.mark.parametrize("schedule", [s for s, _ in TABLE_OF_SCHEDULES], ids=repr)


def in_program(schedule: LearningRateSchedule, dtype: Any = np.float32) -> Callable[[int], float]:
    """The schedule as the rows of a program compute it."""
    source, cells = schedule.source(), np.full(4, -1.0)
    operands = (Tensor(source.shape, np.float64, source), Tensor((4,), np.float64, cells))
    call = update.in_place(schedule.kernel(), operands, (1,), (), dtype)

    def rate(step: int) -> float:
        assert schedule.look_ahead(source, step, 1) == 1
        run_call(call, step)
        assert (cells[1:] == -1).all()
        return float(cells[0])

    return rate


@table
def test_follows_the_formula(schedule: LearningRateSchedule, formula: Callable[[int], float]) -> None:
    np.testing.assert_allclose([schedule(s) for s in STEPS], [formula(s) for s in STEPS], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every
def test_rows_of_programs_agree(schedule: LearningRateSchedule, dtype: Any) -> None:
    rate = in_program(schedule, dtype)
    np.testing.assert_allclose([rate(s) for s in STEPS], [schedule(s) for s in STEPS], rtol=1e-13, atol=1e-17)


@every
def test_config_goes_round(schedule: LearningRateSchedule) -> None:
    config = json.loads(json.dumps(schedules.serialize(schedule)))
    assert schedules.deserialize(config) == schedule
    optimizer = nb.optimizers.Adam(learning_rate=schedule)
    again = nb.optimizers.Adam.from_config(json.loads(json.dumps(optimizer.get_config())))
    assert again.get_config() == optimizer.get_config()
    assert again.learning_rate == schedule(0)


@given(st.integers(0, 10**9), st.integers(1, 1000), st.floats(1.0, 4.0))
def test_restarts_stay_in_range(step: int, first: int, t_mul: float) -> None:
    assert -1e-12 <= CosineDecayRestarts(1.0, first, t_mul)(step) <= 1 + 1e-12


def test_one_cycle_has_no_bad_ends() -> None:
    for share in (0.0, 0.5, 1.0):
        for total in (1, 2, 3):
            rates = [OneCycle(1.0, total, share)(s) for s in range(total + 2)]
            assert all(0 <= rate <= 1 for rate in rates), (share, total, rates)


# ---- in an optimizer ---------------------------------------------------------------------------------------------


def sizes(optimizer: nb.optimizers.Optimizer, steps: int) -> list[float]:
    """The learning rates that SGD takes, seen in a parameter."""
    w, found = [nb.Parameter([0.0], dtype="float64")], []
    for _ in range(steps):
        before = w[0].item()
        optimizer.apply([[1.0]], w)
        found.append(before - w[0].item())
    return found


@every
def test_optimizer_follows_the_schedule(schedule: LearningRateSchedule) -> None:
    np.testing.assert_allclose(sizes(nb.optimizers.SGD(schedule), 40), [schedule(s) for s in range(40)], atol=1e-14)


def test_schedule_counts_steps_under_accumulation() -> None:
    schedule = ExponentialDecay(0.1, 3, 0.5)
    found = sizes(nb.optimizers.SGD(schedule, gradient_accumulation_steps=2), 6)
    np.testing.assert_allclose(found, [0, schedule(1), 0, schedule(3), 0, schedule(5)], atol=1e-14)


def test_learning_rate_is_that_of_the_next_step() -> None:
    schedule = ExponentialDecay(0.1, 3, 0.5)
    optimizer = nb.optimizers.SGD(schedule)
    sizes(optimizer, 4)
    assert optimizer.learning_rate == schedule(4)
    optimizer.iterations = 0
    assert optimizer.learning_rate == 0.1


def test_no_number_takes_the_place_of_a_schedule() -> None:
    optimizer = nb.optimizers.SGD(ExponentialDecay(0.1, 3, 0.5))
    with pytest.raises(TypeError, match="follows ExponentialDecay"):
        optimizer.learning_rate = 0.1


def test_a_schedule_takes_the_place_of_another_or_of_a_number() -> None:
    optimizer, w = nb.optimizers.SGD(0.5), [nb.Parameter([0.0], dtype="float64")]
    optimizer.apply([[1.0]], w)
    optimizer.learning_rate = PiecewiseConstantDecay([1], [0.25, 0.125])
    optimizer.apply([[1.0]], w)
    optimizer.learning_rate = PiecewiseConstantDecay([1], [0.25, 0.0625])
    optimizer.apply([[1.0]], w)
    assert w[0].item() == -0.8125


def test_another_schedule_of_the_class_compiles_nothing() -> None:
    sizes(nb.optimizers.SGD(CosineDecay(0.1, 10)), 1)
    compiled = linker.compiled_count
    sizes(nb.optimizers.SGD(CosineDecay(0.3, 20, 0.1, warmup_steps=3, warmup_target=1.0)), 1)
    assert linker.compiled_count == compiled


# ---- schedules of one's own --------------------------------------------------------------------------------------


class Noam(LearningRateSchedule):
    def __init__(self, warmup: int = 4, factor: float = 1.0) -> None:
        self.warmup, self.factor = warmup, factor

    def __call__(self, step: Any) -> float:
        return self.factor * min((step + 1.0) ** -0.5, (step + 1.0) * self.warmup**-1.5)

    def get_config(self) -> dict[str, Any]:
        return {"warmup": self.warmup, "factor": self.factor}


def test_python_schedule() -> None:
    schedule = Noam()
    np.testing.assert_allclose(sizes(nb.optimizers.SGD(schedule), 20), [schedule(s) for s in range(20)], atol=1e-14)


def test_python_schedule_looks_ahead() -> None:
    optimizer, w = nb.optimizers.SGD(Noam()), [nb.Parameter([0.0], dtype="float64")]
    block = optimizer.build(w)
    gradients = block.like(1, "gradients")
    from nbnet.engine.runtime.program import Linked, lower

    linked = Linked(lower([[optimizer.prelude()], *optimizer.plan().phases(gradients, 1)], [0], block.dtype))
    gradients.numpy()[0, 0] = 1.0
    assert optimizer.look_ahead(5, 10) == 10
    linked.run(10, 5)
    np.testing.assert_allclose(w[0].item(), -sum(Noam()(s) for s in range(5, 15)))
    assert optimizer.look_ahead(0, 10**6) == TABLE
    assert nb.optimizers.SGD(0.1).look_ahead(0, 10**6) == 10**6
    # A step that nobody looked ahead to is no silent mistake.
    linked.run(1, TABLE)
    assert np.isnan(w[0].item())


def test_python_schedule_is_saved_by_name() -> None:
    optimizer = nb.optimizers.SGD(Noam(8))
    config = json.loads(json.dumps(nb.optimizers.serialize(optimizer)))
    with pytest.raises(ValueError, match="'Noam' is not known"):
        nb.optimizers.deserialize(config)
    again = nb.optimizers.deserialize(config, {"Noam": Noam})
    assert again.learning_rate == Noam(8)(0)
    assert nb.optimizers.SGD.from_config(config["config"], {"Noam": Noam}).learning_rate == Noam(8)(0)


@pytest.mark.parametrize("value", [-1.0, math.nan, "fast"])
def test_python_schedule_must_give_rates(value: Any) -> None:
    class Bad(LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return value

    w = nb.Parameter([0.0])
    with pytest.raises((TypeError, ValueError), match="Bad at step 0"):
        nb.optimizers.SGD(Bad()).apply([[1.0]], [w])
    assert w.item() == 0.0


def test_schedule_without_a_rate() -> None:
    with pytest.raises(TypeError, match="define __call__"):
        LearningRateSchedule()(0)


@nb.device
def halving(step: Any, p: Any) -> Any:
    return p[0] / (step + 1.0)


class Halving(LearningRateSchedule):
    rate = halving

    def numbers(self) -> list[float]:
        return [0.5]


def test_device_schedule_of_ones_own() -> None:
    np.testing.assert_allclose(sizes(nb.optimizers.SGD(Halving()), 4), [0.5 / (s + 1) for s in range(4)])
    assert Halving()(1) == 0.25


# ---- arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExponentialDecay(0.1, 0, 0.5), "decay_steps: expected a finite number above 0"),
        (lambda: ExponentialDecay(-0.1, 1, 0.5), "initial_learning_rate"),
        (lambda: InverseTimeDecay(0.1, -1, 0.5), "decay_steps"),
        (lambda: PiecewiseConstantDecay([1, 2], [0.1, 0.2]), "values: expected one more than the 2 boundaries"),
        (lambda: PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), "increasing"),
        (lambda: PiecewiseConstantDecay([1], [0.1, -0.2]), "values"),
        (lambda: PolynomialDecay(0.1, 0), "decay_steps"),
        (lambda: CosineDecay(0.1, 0), "decay_steps"),
        (lambda: CosineDecay(0.1, 10, warmup_target=-1.0), "warmup_target"),
        (lambda: CosineDecayRestarts(0.1, 10, t_mul=0.5), "t_mul: expected a finite number from 1"),
        (lambda: OneCycle(0.1, 0), "total_steps"),
        (lambda: OneCycle(0.1, 10, pct_start=1.5), "pct_start"),
    ],
)
def test_arguments_are_checked(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_functions_are_schedules() -> None:
    """``lambda: 0.1`` as in Keras, or a function of the step."""
    weights = []
    for rate in (0.1, lambda: 0.1, lambda step: 0.1 + 0.0 * step):
        nb.set_random_seed(0)
        model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
        model.compile(nb.optimizers.SGD(rate), "mse")
        model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=2, verbose=0)
        assert float(model.optimizer.learning_rate) == 0.1
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[0], weights[2])
    halving = nb.optimizers.schedules.get(lambda step: 0.5**step)
    assert [halving(k) for k in range(3)] == [1.0, 0.5, 0.25]


def test_steps_may_be_an_array() -> None:
    schedule = nb.optimizers.schedules.ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)
    np.testing.assert_allclose(schedule(np.array([[0, 10], [20, 30]])), [[0.1, 0.05], [0.025, 0.0125]])


def test_set_weights() -> None:
    first, second, w, v = (*(nb.optimizers.Adam() for _ in range(2)), *(nb.Parameter([1.0, 2.0]) for _ in range(2)))
    first.apply([[1.0, -1.0]], [w])
    with pytest.raises(ValueError, match="not built"):
        second.set_weights(first.variables)
    second.build([v])
    second.set_weights(first.variables)
    for optimizer, parameter in ((first, w), (second, v)):
        parameter.assign([1.0, 2.0])
        optimizer.apply([[0.5, 0.5]], [parameter])
    np.testing.assert_array_equal(w.numpy(), v.numpy())
    with pytest.raises(ValueError, match="weights: expected shapes"):
        second.set_weights(first.variables[:2])


def test_lower_case_names_are_classes() -> None:
    assert nb.optimizers.adam is nb.optimizers.Adam
    assert nb.optimizers.sgd(0.5).learning_rate == 0.5
