"""The dropout family at the edge of its arguments, inputs and calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet.base import seeds
from nbnet.layers import (
    AlphaDropout,
    ConcreteDropout,
    Dense,
    DropBlock2D,
    DropConnectDense,
    Dropout,
    DropPath,
    GaussianDropout,
    GaussianNoise,
    Masksembles,
    SpatialDropout1D,
    SpatialDropout2D,
    StandoutDense,
    VariationalDense,
    VariationalDropout,
)
from nbnet.train import step_builder
from tests.slicing import always_cut

Array = NDArray[Any]
X = np.random.default_rng(0).normal(size=(23, 6)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 23)

#: Layers for inputs of six features.
FLAT: dict[str, Callable[..., Any]] = {
    "dropout": lambda **k: Dropout(0.4, **k),
    "alpha": lambda **k: AlphaDropout(0.4, **k),
    "gaussian": lambda **k: GaussianDropout(0.4, **k),
    "noise": lambda **k: GaussianNoise(0.4, **k),
    "path": lambda **k: DropPath(0.4, **k),
    "connect": lambda **k: DropConnectDense(4, 0.4, "relu", **k),
    "connect_each": lambda **k: DropConnectDense(4, 0.4, "relu", group_size=1, **k),
    "standout": lambda **k: StandoutDense(4, "relu", **k),
    "variational": lambda **k: VariationalDropout(0.5, **k),
    "variational_dense": lambda **k: VariationalDense(4, initial_log_sigma2=-1.0, **k),
    "concrete": lambda **k: ConcreteDropout(Dense(4), init_min=0.3, init_max=0.3, **k),
    "masksembles": lambda **k: Masksembles(3, 1.5, **k),
}
each = pytest.mark.parametrize("name", FLAT)


def network(name: str, kind: str = "sequential") -> Any:
    """The layer before a softmax: in a Sequential, between symbols, or in a model within a model."""
    nb.set_random_seed(2)
    layer, last = FLAT[name](name="it", seed=4), Dense(3, "softmax")
    if kind == "sequential":
        model: Any = nb.Sequential([nb.Input((6,)), layer, last])
    else:
        x = nb.Input((6,))
        inside = nb.Sequential([nb.Input((6,)), layer]) if kind == "nested" else layer
        model = nb.Model(x, last(inside(x)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


# ---- arguments -----------------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("seed", [1.0, 1.5, "1", [1], math.nan])
def test_seeds_that_are_no_integers(name: str, seed: Any) -> None:
    with pytest.raises(TypeError, match="seed: expected an integer, got"):
        FLAT[name](seed=seed)


@each
@pytest.mark.parametrize("seed", [-1, 2**64, np.int64(3)])
def test_any_integer_is_a_seed(name: str, seed: Any) -> None:
    found = []
    for _ in range(2):
        nb.set_random_seed(1)
        layer = FLAT[name](seed=seed)
        with nb.Tape(step=0):
            found.append(layer(X, training=True).numpy())
    np.testing.assert_array_equal(*found)
    assert layer.get_config()["seed"] == seed


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianNoise(True), "stddev: expected a number, got True"),
        (lambda: StandoutDense(3, alpha=True), "alpha: expected a number"),
        (lambda: VariationalDropout("0.5"), "initial_alpha: expected a number"),
        (lambda: VariationalDropout(per_unit="yes"), "per_unit: expected True or False, got 'yes'"),
        (lambda: DropBlock2D(0.1, 2, shared=None), "shared: expected True or False"),
        (lambda: Masksembles(4, None), "scale: expected a number"),
        (lambda: ConcreteDropout(Dense(2), temperature=None), "temperature: expected a number"),
    ],
)
def test_what_is_no_number(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_stddev_stays_as_it_was() -> None:
    layer = GaussianNoise(0.25)
    for wrong, error in ((True, TypeError), (-1.0, ValueError), (math.nan, ValueError), (None, TypeError)):
        with pytest.raises(error, match=r"^stddev: "):
            layer.stddev = wrong
    assert layer.stddev == 0.25


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rates_that_round_to_one(dtype: str) -> None:
    """Rates below 1 stay below it in the layer's dtype, and in every step of a schedule."""
    schedules = nb.dropout_schedules
    for make in (GaussianDropout, lambda rate, **k: DropConnectDense(3, rate, inference="mean", **k)):
        for rate in (1.0, 1 - 1e-9 if dtype == "float32" else 1 - 1e-17):
            with pytest.raises(ValueError, match=r"^rate: .* \[0, 1\), got"):
                make(rate, dtype=dtype)
        for schedule in (schedules.Linear(0.1, 1.0, 1000), schedules.Early(1.0, 5), schedules.Late(1.0, 10**6)):
            with pytest.raises(ValueError, match=r"^rate: .* \[0, 1\), .* reaches 1 by step"):
                make(schedule, dtype=dtype)
        assert make(schedules.Linear(0.1, 0.9, 10), dtype=dtype).rate == schedules.Linear(0.1, 0.9, 10)
    assert Dropout(schedules.Linear(0.1, 1.0, 10)).rate.end_rate == 1.0


def test_rates_that_are_arrays() -> None:
    assert Dropout(np.array(0.25)).rate == 0.25
    assert not nb.ops.dropout(X, nb.tensor(np.float32(1.0))).numpy().any()
    with pytest.raises(
        ValueError, match=r"^rate: expected a number or a tensor of one element, got one of shape \(2,\)"
    ):
        nb.ops.dropout(X, nb.tensor(np.array([0.1, 0.9], "float32")))


def test_arguments_around_masks() -> None:
    model = network("dropout")
    with pytest.raises(TypeError, match=r"^masks: expected a dict of arrays by name of layer, got list"):
        nb.Tape(masks=[X])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^quantiles: expected numbers in \[0, 1\], got 'low'"):
        model.predict_mc(X, 2, quantiles="low")
    with pytest.raises(TypeError, match=r"^thinned: expected a thinned model, got NoneType"):
        model.merge(None)
    for step in (2**63, 2**70):
        with pytest.raises(ValueError, match=r"^step: "):
            nb.Tape(step=step)
        with pytest.raises(ValueError, match=r"^step: "):
            model.masks(step, n=2)


# ---- inputs --------------------------------------------------------------------------------------------------------


def test_inputs_without_features() -> None:
    for layer in (VariationalDropout(), VariationalDropout(per_unit=True), Masksembles(2, 1.5), VariationalDense(2)):
        with pytest.raises(ValueError, match=r"expected inputs \(batch, ..., features\) with a known last axis"):
            layer(np.ones(5), training=True)


@pytest.mark.parametrize(
    ("layer", "shape", "wanted"),
    [(SpatialDropout1D(0.5), (2, 5, 3), "length"), (SpatialDropout2D(0.5), (2, 5, 5, 3), "height, width")],
)
def test_another_rank_than_before(layer: Any, shape: tuple[int, ...], wanted: str) -> None:
    layer(np.ones(shape), training=True)
    for training in (False, True):
        with pytest.raises(ValueError, match=rf"expected inputs \(batch, {wanted}, channels\), got shape \(2, 3\)"):
            layer(np.ones((2, 3)), training=training)


@each
@pytest.mark.parametrize("kind", ["sequential", "symbols", "nested"])
def test_a_batch_without_rows(name: str, kind: str) -> None:
    """Tensors of no rows pass, and have no gradients; arrays of no rows are refused."""
    model, empty = network(name, kind), np.zeros((0, 6), "float32")
    with nb.Tape() as tape:
        total = nb.ops.sum(model(nb.tensor(empty), training=True))
    assert model(nb.tensor(empty)).shape == (0, 3)
    for gradient in tape.gradient(total, model.trainable_weights):
        assert gradient is None or not gradient.numpy().any()
    for call in (model, model.predict, lambda x: model.predict_mc(x, 2), lambda x: model.fit(x, Y[:0], verbose=0)):
        with pytest.raises(ValueError, match=r"x: expected a non-empty array, got shape \(0, 6\)"):
            call(empty)


# ---- predictions that draw -----------------------------------------------------------------------------------------


@each
def test_samples_do_not_depend_on_the_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(name)
    whole = model.predict_mc(X, 4, return_samples=True, seed=3).samples
    np.testing.assert_allclose(model.predict_mc(X, 4, return_samples=True, seed=3, batch_size=7).samples, whole, 1e-5)
    always_cut(monkeypatch, 4)
    monkeypatch.setattr(step_builder, "processors", lambda: 2)
    again = network(name).predict_mc(X, 4, return_samples=True, seed=3).samples
    np.testing.assert_allclose(again, whole, 1e-5)
    assert not np.allclose(whole[0], whole[1])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dropout(0.5, batchwise=True, seed=1, name="it"),
        lambda: Dropout(0.5, (1, 6), seed=1, name="it"),
        lambda: AlphaDropout(0.5, (1, 6), seed=1, name="it"),
        lambda: AlphaDropout(0.5, (1, None), seed=1, name="it"),
        lambda: DropConnectDense(6, 0.5, seed=1, name="it"),
    ],
)
def test_slices_of_one_row_have_the_mask_of_the_batch(make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = nb.Sequential([nb.Input((6,)), make()])
    whole = model.predict_mc(np.ones((5, 6)), 20, seed=3, return_samples=True).samples
    assert (whole == whole[:, :1]).all()
    cut = model.predict_mc(np.ones((5, 6)), 20, seed=3, return_samples=True, batch_size=2).samples
    np.testing.assert_array_equal(cut, whole)
    always_cut(monkeypatch)
    monkeypatch.setattr(step_builder, "processors", lambda: 5)
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((6,)), make(), Dense(2)])
    model.compile("sgd", "mse")
    history = model.fit(X[:5], X[:5, :2], batch_size=5, verbose=0, record_masks=1)
    np.testing.assert_array_equal(history.masks[0].masks["it"], model.masks(0, n=5)["it"])


def test_drop_connect_groups_go_on_where_batches_are_cut_between_them() -> None:
    layer = DropConnectDense(3, 0.5, group_size=4, seed=1)
    model = nb.Sequential([nb.Input((6,)), layer])
    whole = model.predict_mc(X, 3, return_samples=True, seed=3).samples
    cut = model.predict_mc(X, 3, return_samples=True, seed=3, batch_size=8).samples
    np.testing.assert_allclose(cut, whole, 1e-5)


def fixed() -> Any:
    """Dropout that is at work whatever the mode."""
    nb.set_random_seed(3)
    x = nb.Input((6,))
    model = nb.Model(x, Dropout(0.5, seed=1)(x, training=True))
    model.compile("sgd", "mse")
    return model


def test_dropout_that_is_always_at_work_draws_anew() -> None:
    """As in Keras, each prediction and evaluation draws masks of its own; the seed says which."""
    x, found = np.ones((600, 6), "float32"), []
    for _ in range(2):
        model = fixed()
        found.append([*(model.predict(x) for _ in range(3)), model.predict(x, batch_size=100), model(x).numpy()])
        found[-1].append(np.array([model.evaluate(x, x, verbose=0) for _ in range(2)]))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
    first, *others, losses = found[0]
    for other in (*others, np.roll(first, 256, axis=0), np.roll(first, 88, axis=0)):
        assert abs((first == other).mean() - 0.5) < 0.05
    assert others[0].tobytes() != others[1].tobytes()
    assert set(np.unique(first)) == {0.0, 2.0}
    assert losses.tolist() == [1.0, 1.0]


def test_validation_draws_anew_in_each_epoch() -> None:
    nb.set_random_seed(3)
    x = nb.Input((6,))
    model = nb.Model(x, Dense(1)(Dropout(0.5, seed=1)(x, training=True)))
    model.compile(nb.optimizers.SGD(0.0), "mse")
    targets = X[:, :1] + 1
    losses = model.fit(X, targets, validation_data=(X, targets), epochs=8, verbose=0).history["val_loss"]
    assert len(set(losses)) == 8


@each
def test_plain_predictions_draw_nothing(name: str) -> None:
    model = network(name)
    state = seeds.get_state()
    first = model.predict(X)
    np.testing.assert_array_equal(model.predict(X), first)
    assert model.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert seeds.get_state() == state


# ---- Masksembles ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_each_pass_is_a_member(masks: str) -> None:
    layers = [
        Dense(8, "relu"),
        Masksembles(4, 2.0, seed=1, name="masks"),
        Dense(8, "relu"),
        Masksembles(4, 2.0, seed=2),
    ]
    model = nb.Sequential([nb.Input((6,)), *layers, Dense(2)])
    members = layers[1].members(model, X)
    found = model.predict_mc(X, 4, masks, return_samples=True, batch_size=7)
    np.testing.assert_allclose(found.samples, members, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.std, members.std(0), rtol=1e-4, atol=1e-5)
    order = np.random.default_rng(5).permutation(len(X))
    mean, std = model.predict(X[order], mc_samples=4, return_std=True)
    np.testing.assert_allclose(mean, members.mean(0)[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(std, members.std(0)[order], rtol=1e-4, atol=1e-5)
    twice = model.predict_mc(X, 8, masks, return_samples=True).samples
    np.testing.assert_array_equal(twice[:4], twice[4:])


def test_scheduled_rates_share_masks() -> None:
    """The rate of a schedule is computed, not drawn."""
    schedule = nb.dropout_schedules.Linear(0.0, 0.5, 10)
    model = nb.Sequential([nb.Input((6,)), Dropout(schedule), Dense(2)])
    found = model.predict_mc(X, 20, "shared", return_samples=True).samples
    assert len(np.unique(found[:, 0, 0])) > 5
