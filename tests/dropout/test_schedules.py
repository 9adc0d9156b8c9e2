"""Dropout rates that follow a schedule: in compiled training, on a tape, in slices, saved and replaced."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import dropout_schedules as schedules
from nbnet.layers import AlphaDropout, Dense, DropConnectDense, Dropout, DropPath, GaussianDropout
from nbnet.train import step_builder
from tests.slicing import always_cut

rng = np.random.default_rng(0)
X = rng.normal(size=(96, 6)).astype("float32")
LABELS = rng.integers(0, 3, 96)
EVERY = [
    schedules.Early(0.5, 2),
    schedules.Late(0.5, 2),
    schedules.Linear(0.6, 0.1, 4),
    schedules.Cosine(0.6, 0.1, 4, start=1),
    schedules.Curriculum(0.5, 0.7),
]
each = pytest.mark.parametrize("schedule", EVERY, ids=lambda s: type(s).__name__)


def network(rate: Any, make: Any = Dropout) -> Any:
    nb.set_random_seed(5)
    layers = [nb.Input((6,)), Dense(16, "relu"), make(rate, name="drop"), Dense(3, "softmax")]
    model = nb.Sequential(layers)
    model.compile(nb.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def test_values() -> None:
    linear, cosine = schedules.Linear(0.6, 0.2, 8, start=2), schedules.Cosine(0.6, 0.2, 8, start=2)
    for step in range(14):
        done = min(max((step - 2) / 8, 0), 1)
        assert linear(step) == pytest.approx(0.6 - 0.4 * done)
        assert cosine(step) == pytest.approx(0.2 + 0.2 * (1 + math.cos(math.pi * done)))
        assert schedules.Curriculum(0.5, 0.3)(step) == pytest.approx(0.5 * (1 - math.exp(-0.3 * step)))
        assert schedules.Early(0.5, 3)(step) == (0.5 if step < 3 else 0)
        assert schedules.Late(0.5, 3)(step) == (0 if step < 3 else 0.5)


@each
def test_training_is_that_with_the_rates_written_by_hand(schedule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are the same but for rounding of the rate, and nothing is compiled or written anew between steps."""
    programs: list[Any] = []
    lower = step_builder.lower
    monkeypatch.setattr(step_builder, "lower", lambda *args: programs.append(lower(*args)) or programs[-1])
    followed, written = network(schedule), network(0.0)
    for step in range(7):
        written.get_layer("drop").rate = schedule(step)
        written.train_on_batch(X, LABELS)
        followed.train_on_batch(X, LABELS)
    assert len(programs) == 2
    for a, b in zip(followed.get_weights(), written.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@each
def test_tape_has_the_rate_of_its_step(schedule: Any) -> None:
    layer = Dropout(schedule, seed=1, name="drop")
    x = np.ones((200, 200), "float32")
    for step in (0, 1, 3, 50):
        with nb.Tape(step=step) as tape:
            layer(x, training=True)
        rate = schedule(step)
        assert tape.nodes[-1].scale == pytest.approx(1 / (1 - rate), rel=1e-5)
        sigma = math.sqrt(rate * (1 - rate) / x.size)
        assert abs((1 - tape.masks["drop"].mean()) - rate) <= 5 * sigma + 1e-9
    # Without a step, a schedule is at its end.
    with nb.Tape() as tape:
        layer(x, training=True)
    assert tape.nodes[-1].scale == pytest.approx(1 / (1 - schedule(10**9)), rel=1e-5)


@pytest.mark.parametrize("make", [Dropout, AlphaDropout, DropPath, GaussianDropout])
def test_slices_have_the_same_rates(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for count in (1, 3):
        always_cut(monkeypatch)
        monkeypatch.setattr(step_builder, "processors", lambda count=count: count)
        model = network(schedules.Linear(0.8, 0.0, 5), make)
        model.fit(X, LABELS, batch_size=32, epochs=2, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@each
def test_configuration(schedule: Any) -> None:
    config = json.loads(json.dumps(nb.layers.serialize(Dropout(schedule, seed=1))))
    again = nb.layers.deserialize(config)
    assert again.rate == schedule
    assert nb.clone_model(network(schedule)).get_layer("drop").rate == schedule


def test_a_rate_may_replace_a_schedule() -> None:
    model, other = network(schedules.Early(0.5, 100)), network(0.5)
    for rate in (0.3, schedules.Late(0.2, 0), 0.1):
        for one in (model, other):
            one.train_on_batch(X, LABELS)
        model.get_layer("drop").rate = rate
        other.get_layer("drop").rate = 0.2 if isinstance(rate, schedules.Late) else rate
        assert model.get_layer("drop").rate == rate
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_inference_knows_no_rate() -> None:
    model, bare = network(schedules.Early(0.5, 2)), network(0.0)
    np.testing.assert_array_equal(model.predict(X), bare.predict(X))
    with pytest.raises(ValueError, match="inference='mean'"):
        DropConnectDense(3, schedules.Early(0.5, 2))
    layer = DropConnectDense(3, 0.5)
    with pytest.raises(ValueError, match="inference='mean'"):
        layer.rate = schedules.Early(0.5, 2)
    assert layer.rate == 0.5
    DropConnectDense(3, schedules.Early(0.5, 2), inference="mean")(X, training=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.Early(1.5, 2), "rate: expected a number in"),
        (lambda: schedules.Early(0.5, -1), "steps"),
        (lambda: schedules.Linear(0.5, 0.1, 0), "steps"),
        (lambda: schedules.Linear(0.5, math.nan, 3), "end_rate"),
        (lambda: schedules.Curriculum(0.5, 0.0), "gamma"),
        (lambda: schedules.deserialize({"class_name": "Sudden", "config": {}}), "'Sudden' is not known"),
    ],
)
def test_clear_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_schedule_without_a_formula() -> None:
    class Nothing(schedules.DropoutSchedule):
        pass

    with pytest.raises(TypeError, match="set formula to a device function"):
        Dropout(Nothing())
