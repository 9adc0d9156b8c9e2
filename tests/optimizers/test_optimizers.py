"""Optimizers agree with Keras's formulas, whatever the extras, the slices and the dtype."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.parameter import layout_version
from nbnet.engine.jit import linker
from nbnet.optimizers import schedules
from nbnet.train import step_builder
from tests.optimizers.cases import EACH, EXTRAS, RULES, SHAPES, STEPS, Case, Program, gradients, start, values
from tests.optimizers.reference import Reference
from tests.slicing import always_cut

rules = pytest.mark.parametrize("case", RULES, ids=lambda case: case.id)
each = pytest.mark.parametrize("case", EACH, ids=lambda case: case.name)
extras = pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: " ".join(extra))
ADAM = Case("Adam", {"learning_rate": 0.01})


def reference(case: Case, optimizer: nb.optimizers.Optimizer, **more: Any) -> Reference:
    rate = optimizer.learning_rate
    return Reference(case.name, optimizer.get_config(), [p.numpy() for p in start()], lambda step: rate, **more)


def assert_follows(optimizer: nb.optimizers.Optimizer, wanted: Reference, tolerance: float, dtype: Any) -> None:
    parameters = start(dtype)
    for step in range(STEPS):
        optimizer.apply(gradients(step), parameters)
        wanted.apply(gradients(step))
        found = values(parameters)
        np.testing.assert_allclose(
            found, np.concatenate([p.reshape(-1) for p in wanted.parameters]), tolerance, tolerance, err_msg=str(step)
        )


@rules
def test_follows_the_formula(case: Case) -> None:
    optimizer = case.make()
    assert_follows(optimizer, reference(case, optimizer), 1e-11, np.float64)
    assert optimizer.steps == STEPS


@rules
def test_float32_follows_the_formula(case: Case) -> None:
    optimizer = case.make()
    assert_follows(optimizer, reference(case, optimizer), 2e-4 if case.name == "Ftrl" else 2e-5, np.float32)


@each
@extras
def test_extras_follow_the_formula(case: Case, extra: dict[str, Any]) -> None:
    optimizer = case.make(**extra)
    wanted = reference(case, optimizer)
    assert_follows(optimizer, wanted, 1e-11, np.float64)
    if optimizer.use_ema:
        averages = np.concatenate([a.reshape(-1) for a in wanted.averages])
        optimizer.finalize_variable_values()
        np.testing.assert_allclose(values(optimizer.build(start_of(optimizer)).parameters), averages, 1e-11, 1e-11)


def start_of(optimizer: nb.optimizers.Optimizer) -> list[nb.Parameter]:
    assert optimizer.block is not None
    return optimizer.block.parameters


@each
def test_defaults_are_those_of_keras(case: Case) -> None:
    config = getattr(nb.optimizers, case.name)().get_config()
    wanted = {
        "SGD": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
        "RMSprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
        "Adam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False},
        "AdamW": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "weight_decay": 0.004},
        "Adamax": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "Nadam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "Adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7},
        "Adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
        "Lion": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99},
        "Ftrl": {"learning_rate": 0.001, "learning_rate_power": -0.5, "initial_accumulator_value": 0.1, "beta": 0.0},
    }[case.name]
    common = {"weight_decay": None, "clipnorm": None, "use_ema": False, "ema_momentum": 0.99}
    assert config.items() >= (common | wanted).items()


# ---- slices, compilation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [1, 2, 3])
@pytest.mark.parametrize("extra", [{}, *EXTRAS], ids=lambda extra: " ".join(extra) or "plain")
def test_slices_agree(slices: int, extra: dict[str, Any]) -> None:
    optimizer, parameters = ADAM.make(**extra), start()
    program, wanted = Program(optimizer, parameters, slices), reference(ADAM, optimizer)
    assert len(program.phases) == 2 + ("clipnorm" in extra or "global_clipnorm" in extra)
    for step in range(8):
        program.apply(gradients(step))
        wanted.apply(gradients(step))
    expected = np.concatenate([p.reshape(-1) for p in wanted.parameters])
    np.testing.assert_allclose(values(parameters), expected, 1e-11, 1e-11)


def test_slices_of_next_to_nothing() -> None:
    parameters = [nb.Parameter([1.0], dtype="float64")]
    program = Program(nb.optimizers.SGD(0.5, global_clipnorm=1.0), parameters, slices=4)
    program.apply([np.array([2.0])])
    np.testing.assert_allclose(parameters[0].numpy(), [0.5])


@rules
def test_compiled_agrees_with_python(case: Case) -> None:
    found = []
    for python in (False, True):
        parameters = start(np.float32)[:3]
        program = Program(case.make(global_clipnorm=1.0, use_ema=True, weight_decay=0.1), parameters)
        for step in range(3):
            program.apply([g.astype(np.float32) for g in gradients(step)[:3]], python)
        found.append(values(parameters))
    np.testing.assert_allclose(found[0], found[1], 1e-5, 1e-6)


def test_plain_update_is_one_row_a_slice() -> None:
    optimizer = ADAM.make()
    program = Program(optimizer, start(), slices=2)
    assert [[len(part) for part in phase] for phase in program.phases] == [[0, 0], [1, 1]]


@each
def test_numbers_change_without_compiling(case: Case) -> None:
    optimizer, parameters = case.make(weight_decay=0.1, global_clipnorm=1.0, use_ema=True), start()
    optimizer.apply(gradients(0), parameters)
    compiled, program = linker.compiled_count, optimizer._program(optimizer.build(parameters))[0]
    assert optimizer._eager is not None
    kernel = optimizer.kernel
    for name in ("learning_rate", "weight_decay", "global_clipnorm", "ema_momentum", *optimizer.hyper):
        value = getattr(optimizer, name)
        setattr(optimizer, name, value if isinstance(value, bool) else 0.9 * value)
        assert getattr(optimizer, name) == (value if isinstance(value, bool) else 0.9 * value)
    if optimizer.kernel is not kernel:  # Ftrl has a faster kernel for the usual exponent
        return
    optimizer.apply(gradients(1), parameters)
    assert optimizer._program(optimizer.build(parameters))[0] is program
    assert linker.compiled_count == compiled


def test_changed_numbers_hold_from_the_next_step() -> None:
    parameters = [nb.Parameter([1.0], dtype="float64")]
    optimizer = nb.optimizers.SGD(0.1, weight_decay=0.0, clipvalue=10.0)
    optimizer.apply([[1.0]], parameters)
    np.testing.assert_allclose(parameters[0].numpy(), [0.9])
    optimizer.learning_rate, optimizer.weight_decay, optimizer.clipvalue = 0.5, 0.2, 0.4
    optimizer.apply([[1.0]], parameters)
    np.testing.assert_allclose(parameters[0].numpy(), [0.9 - 0.9 * 0.1 - 0.2])


def test_changed_settings_change_the_rows() -> None:
    parameters = [nb.Parameter([1.0], dtype="float64")]
    optimizer = nb.optimizers.SGD(0.1)
    optimizer.apply([[1.0]], parameters)
    block, moves = optimizer.build(parameters), layout_version()
    optimizer.momentum, optimizer.clipnorm = 0.5, 0.5
    # Programs are written anew, and one that still runs goes on with the same parameters.
    assert layout_version() > moves
    assert optimizer.build(parameters) is block
    optimizer.apply([[1.0]], parameters)
    optimizer.apply([[1.0]], parameters)
    np.testing.assert_allclose(parameters[0].numpy(), [0.9 - 0.05 - 0.075])
    optimizer.clipnorm, optimizer.momentum = None, 0.0
    optimizer.apply([[1.0]], parameters)
    np.testing.assert_allclose(parameters[0].numpy(), [0.9 - 0.05 - 0.075 - 0.1])


def test_a_gradient_without_a_norm_is_seen() -> None:
    parameters = start()
    program = Program(nb.optimizers.SGD(0.1, global_clipnorm=1.0), parameters)
    broken = gradients(0)
    broken[1][0] = np.inf
    program.apply(broken)
    assert np.isnan(values(parameters)).all()


# ---- models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [1, 2])
@pytest.mark.parametrize(
    "extra",
    [{}, {"global_clipnorm": 0.1, "use_ema": True}, {"gradient_accumulation_steps": 2, "weight_decay": 0.1}],
    ids=lambda extra: " ".join(extra) or "plain",
)
def test_fit_follows_the_formula(slices: int, extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_builder, "processors", lambda: slices)
    always_cut(monkeypatch, 32)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(128, 4)), rng.normal(size=(128, 1))
    layer = nb.layers.Dense(1, use_bias=False, dtype="float64")
    model = nb.Sequential([nb.Input((4,)), layer])
    schedule = schedules.ExponentialDecay(0.1, 3, 0.8)
    case = Case("Nadam", {"learning_rate": schedule, **extra})
    optimizer = case.make()
    model.compile(optimizer, "mse")
    wanted = Reference("Nadam", optimizer.get_config(), [layer.kernel.numpy()], schedule)
    model.fit(x, y, batch_size=64, epochs=4, shuffle=False, verbose=0)
    for step in range(8):
        part = slice(64 * (step % 2), 64 * (step % 2) + 64)
        error = x[part] @ wanted.parameters[0] - y[part]
        wanted.apply([2 * x[part].T @ error / 64])
    assert optimizer.steps == 8
    assert optimizer.learning_rate == schedule(8)
    if not optimizer.use_ema:  # else fit may end with the averages
        np.testing.assert_allclose(layer.kernel.numpy(), wanted.parameters[0], 1e-10)


# ---- state -------------------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("extra", [{}, EXTRAS[-1]], ids=["plain", "everything"])
@pytest.mark.parametrize("built", [False, True])
def test_state_goes_round_bit_for_bit(case: Case, extra: dict[str, Any], built: bool) -> None:
    rate = schedules.CosineDecay(0.1, 20)
    whole, parameters = case.make(**extra, **({"learning_rate": rate} if extra else {})), start(np.float32)
    for step in range(7):
        whole.apply(gradients(step), parameters)
    state, weights = whole.get_state(), [p.numpy().copy() for p in parameters]
    for step in range(7, 15):
        whole.apply(gradients(step), parameters)
    again = type(whole).from_config(json.loads(json.dumps(whole.get_config())))
    resumed = start(np.float32)
    if built:
        again.apply(gradients(99), resumed)
    for p, w in zip(resumed, weights, strict=True):
        p.assign(w)
    again.set_state(state)
    if not built:
        assert again.get_state().keys() == state.keys()
    for step in range(7, 15):
        again.apply(gradients(step), resumed)
    np.testing.assert_array_equal(values(resumed), values(parameters))
    for name, array in whole.get_state().items():
        np.testing.assert_array_equal(again.get_state()[name], array, name)


def test_state_holds_a_changed_learning_rate() -> None:
    optimizer = nb.optimizers.SGD(0.1)
    optimizer.learning_rate = 0.01
    again = nb.optimizers.SGD(0.1)
    again.set_state(optimizer.get_state())
    assert again.learning_rate == 0.01


def test_state_of_a_new_optimizer_is_that_of_the_start() -> None:
    optimizer, parameters = nb.optimizers.Nadam(0.01), start()
    fresh = optimizer.get_state()
    optimizer.apply(gradients(0), parameters)
    optimizer.set_state(fresh)
    assert optimizer.iterations == 0
    assert not optimizer.state["momentum"].any()
    assert optimizer.state["momentum_product"].item() == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"momentum": None}, "expected .*'momentum'"),
        ({"extra": np.zeros(3)}, "got .*'extra'"),
        ({"momentum": np.zeros(3)}, "momentum has shape"),
        ({"iterations": np.array(-1)}, "iterations"),
        ({"learning_rate": np.array(np.nan)}, "learning_rate"),
    ],
)
def test_state_that_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    optimizer, parameters = nb.optimizers.Adam(0.1), start()
    optimizer.apply(gradients(0), parameters)
    before = optimizer.get_state()
    given = {k: v for k, v in (optimizer.get_state() | change).items() if v is not None}
    with pytest.raises(ValueError, match=message):
        optimizer.set_state(given)
    for name, array in optimizer.get_state().items():
        np.testing.assert_array_equal(array, before[name])


def test_averages_are_swapped() -> None:
    optimizer, parameters = nb.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5), [nb.Parameter([0.0])]
    optimizer.apply([[-1.0]], parameters)
    optimizer.apply([[-1.0]], parameters)
    optimizer.swap_averages()
    assert parameters[0].item() == 0.75
    optimizer.swap_averages()
    assert parameters[0].item() == 1.0
    with pytest.raises(ValueError, match="use_ema"):
        nb.optimizers.SGD().swap_averages()


def test_finalizing_before_any_update_changes_nothing() -> None:
    optimizer, parameters = nb.optimizers.SGD(0.5, use_ema=True), [nb.Parameter([2.0])]
    optimizer.build(parameters)
    optimizer.finalize_variable_values(parameters)
    assert parameters[0].item() == 2.0


# ---- arguments ---------------------------------------------------------------------------------------------------


@rules
def test_config_goes_round(case: Case) -> None:
    optimizer = case.make(weight_decay=0.1, clipvalue=2.0, use_ema=True, gradient_accumulation_steps=2, name="mine")
    config = json.loads(json.dumps(nb.optimizers.serialize(optimizer)))
    again = nb.optimizers.deserialize(config)
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    assert repr(again) == repr(optimizer)
    assert nb.optimizers.get(config).get_config() == optimizer.get_config()
    assert repr(nb.optimizers.get(case.name.lower())) == repr(nb.optimizers.get(case.name))


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("SGD", {"clipnorm": 1.0, "clipvalue": 1.0}, ValueError, "clipnorm is given already"),
        ("SGD", {"clipvalue": 1.0, "global_clipnorm": 1.0}, ValueError, "one kind of clipping"),
        ("SGD", {"clipnorm": 0.0}, ValueError, "clipnorm: expected a finite number above 0"),
        ("SGD", {"momentum": 1.5}, ValueError, r"momentum: expected a number in \[0, 1\]"),
        ("SGD", {"momentum": "much"}, TypeError, "momentum: expected a number"),
        ("SGD", {"nesterov": 2}, TypeError, "nesterov: expected True or False"),
        ("SGD", {"learning_rate": -0.1}, ValueError, "learning_rate"),
        ("SGD", {"learning_rate": float("nan")}, ValueError, "learning_rate"),
        ("SGD", {"weight_decay": -1.0}, ValueError, "weight_decay"),
        ("SGD", {"gradient_accumulation_steps": 1}, ValueError, "an integer from 2"),
        ("SGD", {"ema_overwrite_frequency": 0}, ValueError, "an integer from 1"),
        ("SGD", {"ema_momentum": 1.1}, ValueError, "ema_momentum"),
        ("SGD", {"loss_scale_factor": 0.0}, ValueError, "loss_scale_factor: expected a finite number above 0"),
        ("SGD", {"decay": 0.1}, TypeError, "takes no argument decay"),
        ("Adam", {"beta_1": 1.0}, ValueError, r"beta_1: expected a number in \[0, 1\)"),
        ("AdamW", {"weight_decay": None}, ValueError, "weight_decay"),
        ("Lion", {"beta_1": 0.0}, ValueError, "beta_1"),
        ("Ftrl", {"learning_rate_power": 0.1}, ValueError, "learning_rate_power"),
        ("Ftrl", {"initial_accumulator_value": -0.1}, ValueError, "initial_accumulator_value"),
        ("Adagrad", {"initial_accumulator_value": -0.1}, ValueError, "initial_accumulator_value"),
    ],
)
def test_arguments_are_checked(name: str, arguments: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        getattr(nb.optimizers, name)(**arguments)


def test_exclusion_from_weight_decay() -> None:
    for slices in (1, 2):
        for extra in ({}, {"global_clipnorm": 0.5}, {"clipnorm": 0.5}):
            case, parameters = Case("AdamW", {"learning_rate": 0.1, "weight_decay": 0.5, **extra}), start()
            optimizer = case.make()
            optimizer.exclude_from_weight_decay(var_list=[parameters[3]], var_names=["bias", "^gamma"])
            wanted = reference(case, optimizer, decays=[True, False, True, False])
            program = Program(optimizer, parameters, slices)
            for step in range(3):
                program.apply(gradients(step))
                wanted.apply(gradients(step))
            np.testing.assert_allclose(
                values(parameters), np.concatenate([p.reshape(-1) for p in wanted.parameters]), 1e-11, 1e-11
            )
            with pytest.raises(ValueError, match="before the optimizer is built"):
                optimizer.exclude_from_weight_decay(var_names=["kernel"])


# ---- apply -------------------------------------------------------------------------------------------------------


def test_apply_knows_its_parameters() -> None:
    optimizer, parameters = nb.optimizers.SGD(1.0), [nb.Parameter([0.0]), nb.Parameter([0.0])]
    with pytest.raises(ValueError, match="not built"):
        optimizer.apply([[1.0], [1.0]])
    with pytest.warns(UserWarning, match="grads: there is no gradient for a parameter, which stay as they are"):
        assert optimizer.apply_gradients(zip([[1.0], None], parameters, strict=True)) == 1
    optimizer.apply([[1.0], [2.0]])
    assert [p.item() for p in parameters] == [-2.0, -2.0]
    optimizer.apply([])
    optimizer.apply_gradients((g, p) for g, p in zip([[1.0], [4.0]], reversed(parameters), strict=True))
    assert ([p.item() for p in parameters], optimizer.iterations) == ([-6.0, -3.0], 3)
    with pytest.raises(ValueError, match="other parameters"):
        optimizer.apply([[1.0]], [nb.Parameter([0.0])])


@each
@extras
def test_parameters_without_gradient_stay_as_they_are(case: Case, extra: dict[str, Any]) -> None:
    """As if the optimizer had only the others, whatever it keeps, and in any order."""
    if "use_ema" in extra:
        extra = {"weight_decay": 0.1, "clipnorm": 1.0, "loss_scale_factor": 4.0}
    some, alone = case.make(**extra), case.make(**extra)
    parameters, (first,) = start(np.float64), start(np.float64)[:1]
    some.build(parameters)
    before = [p.numpy() for p in parameters[1:]]
    for step in range(4):
        gradient = gradients(step)[0]
        some.apply([gradient], parameters[:1])
        alone.apply([gradient], [first])
    np.testing.assert_array_equal(parameters[0].numpy(), first.numpy())
    assert all(np.array_equal(p.numpy(), old) for p, old in zip(parameters[1:], before, strict=True))


def test_adafactor_follows_its_formula() -> None:
    """Matrices, with more axes before, and vectors, against a loop in float64; state and weight decay go on."""
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape) for shape in ((4, 3), (2, 3, 5), (6,))]
    optimizer = nb.optimizers.Adafactor(0.3, beta_2_decay=-0.7, epsilon_2=0.01, clip_threshold=0.9, weight_decay=0.1)
    parameters = [nb.Parameter(value, dtype="float64") for value in values]
    sums: list[list[Any]] = [[0.0, 0.0, 0.0] for _ in values]
    for t in range(1, 6):
        given = [rng.normal(size=value.shape) for value in values]
        optimizer.apply(given, parameters)
        for k, (g, state) in enumerate(zip(given, sums, strict=True)):
            p, kept = values[k] * (1 - 0.1 * 0.3), 1 - t**-0.7
            state[0] = kept * state[0] + (1 - kept) * (g**2).mean(-1)
            state[1] = kept * state[1] + (1 - kept) * (g**2).mean(-2 if g.ndim > 1 else 0)
            state[2] = kept * state[2] + (1 - kept) * g**2
            both = state[2]
            if g.ndim > 1:
                both = (state[0] / state[0].mean(-1, keepdims=True))[..., None] * state[1][..., None, :]
            step = g / np.sqrt(both)
            step /= max(1.0, np.sqrt((step**2).mean()) / 0.9)
            values[k] = p - step * max(0.01, np.sqrt((p**2).mean())) * min(0.3, t**-0.5)
        for parameter, value in zip(parameters, values, strict=True):
            np.testing.assert_allclose(parameter.numpy(), value, rtol=1e-10)
    shapes = [(4,), (3,), (4, 3), (2, 3), (2, 5), (2, 3, 5), (), (), (6,)]
    assert [v.shape for v in optimizer.variables[2:]] == shapes
    again = copy.deepcopy(optimizer)
    twins = [nb.Parameter(p.numpy()) for p in parameters]
    for one, own in ((optimizer, parameters), (again, twins)):
        one.apply(given, own)
    assert all(np.array_equal(p.numpy(), q.numpy()) for p, q in zip(parameters, twins, strict=True))


def test_parameters_without_gradient_are_averaged() -> None:
    optimizer, (w, b) = nb.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5), [nb.Parameter([0.0]) for _ in range(2)]
    for _ in range(2):
        optimizer.apply([[1.0], [1.0]], [w, b])
        optimizer.apply([[1.0]], [w])
    assert (w.item(), b.item()) == (-4.0, -2.0)
    optimizer.finalize_variable_values([w, b])
    assert (w.item(), b.item()) == (-3.125, -1.75)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0]], "expected 2, one for each parameter, got 1"),
        ([[1.0, 2.0], [1.0]], r"has shape \(1,\)"),
        ([[np.nan], [1.0]], "finite"),
        ([None, None], "got only None"),
        ([["a"], [1.0]], "finite numbers"),
    ],
)
def test_apply_refuses_what_does_not_fit(given: list[Any], message: str) -> None:
    optimizer, parameters = nb.optimizers.SGD(1.0), [nb.Parameter([0.0]), nb.Parameter([0.0])]
    with pytest.raises(ValueError, match=message):
        optimizer.apply(given, parameters)
    assert optimizer.iterations == 0
    assert [p.item() for p in parameters] == [0.0, 0.0]


def test_two_optimizers_may_train_the_same_parameters() -> None:
    parameters = start()
    a, b = nb.optimizers.SGD(0.1), nb.optimizers.SGD(0.2)
    before = values(parameters)
    for optimizer in (a, b, a):
        optimizer.apply([np.ones(s) for s in SHAPES], parameters)
    np.testing.assert_allclose(values(parameters), before - 0.4)


def test_ftrl_rests_where_nothing_is_known() -> None:
    parameters = [nb.Parameter([1.0, 1.0])]
    optimizer = nb.optimizers.Ftrl(0.5, initial_accumulator_value=0.0)
    optimizer.apply([[0.0, 1.0]], parameters)
    assert parameters[0].numpy()[0] == 1.0
    optimizer.learning_rate = 0.0
    before = parameters[0].numpy().copy()
    optimizer.apply([[1.0, 1.0]], parameters)
    np.testing.assert_array_equal(parameters[0].numpy(), before)
