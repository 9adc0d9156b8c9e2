"""Properties that all members of the dropout family share: modes, edges, replay, programs, statistics of masks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
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
IMAGE = (6, 6, 4)
X = np.random.default_rng(0).normal(size=(90, *IMAGE)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, 90)

#: Layers that take a rate first, the shape of a sample, and the shape of its mask (None: what is drawn is no mask).
RATED: dict[str, tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...] | None]] = {
    "dropout": (Dropout, (12,), (12,)),
    "noise_shape": (lambda rate, **k: Dropout(rate, (None, 1, 12), **k), (12, 12), (1, 12)),
    "spatial_1d": (SpatialDropout1D, (12, 12), (1, 12)),
    "spatial_2d": (SpatialDropout2D, IMAGE, (1, 1, 4)),
    "alpha": (AlphaDropout, (12,), (12,)),
    "alpha_shared": (lambda rate, **k: AlphaDropout(rate, (None, 1, 12), **k), (12, 12), (1, 12)),
    "block": (lambda rate, **k: DropBlock2D(rate, 2, **k), IMAGE, IMAGE),
    "block_shared": (lambda rate, **k: DropBlock2D(rate, 2, shared=True, **k), IMAGE, (6, 6, 1)),
    "path": (DropPath, IMAGE, (1, 1, 1)),
    "gaussian": (GaussianDropout, (12,), None),
}
#: The others, which have weights or no rate.
OTHERS: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "noise": (lambda **k: GaussianNoise(0.5, **k), (12,)),
    "connect": (lambda **k: DropConnectDense(5, 0.4, "tanh", **k), (12,)),
    "connect_each": (lambda **k: DropConnectDense(5, 0.4, "relu", group_size=1, **k), (12,)),
    "standout": (lambda **k: StandoutDense(5, "relu", **k), (12,)),
    "variational": (lambda **k: VariationalDropout(0.5, per_unit=True, **k), (12,)),
    "variational_dense": (lambda **k: VariationalDense(5, "relu", initial_log_sigma2=-2.0, **k), (12,)),
    "concrete": (lambda **k: ConcreteDropout(Dense(5, dtype=k.get("dtype")), init_min=0.3, init_max=0.3, **k), (12,)),
    "masksembles": (lambda **k: Masksembles(3, 1.5, **k), (12,)),
}
ALL = {name: (lambda make=make, **k: make(0.4, **k), shape) for name, (make, shape, _) in RATED.items()} | OTHERS
each = pytest.mark.parametrize("name", ALL)
each_rated = pytest.mark.parametrize("name", RATED)


def data(shape: tuple[int, ...], rows: int = 90) -> Array:
    """Inputs of this shape: parts of the images."""
    whole = X[:rows] if len(shape) == 3 else X[:rows].reshape(rows, 12, 12)
    return whole if len(shape) > 1 else np.ascontiguousarray(whole[:, 0])


def network(name: str, **options: Any) -> Any:
    """The layer between two others, with the same weights and keys every time."""
    nb.set_random_seed(3)
    make, shape = ALL[name]
    layers = [nb.Input(shape), make(seed=4, name="it"), nb.layers.Flatten(), Dense(3, "softmax")]
    model = nb.Sequential(layers)
    model.compile(nb.optimizers.SGD(0.1), "sparse_categorical_crossentropy", **options)
    return model


def sliced(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    always_cut(monkeypatch)
    monkeypatch.setattr(step_builder, "processors", lambda: count)


def tape_step(model: Any, x: Array, y: Array) -> Any:
    with nb.Tape(step=model.optimizer.iterations) as tape:
        loss = model.compute_loss(y=y, y_pred=model(x, training=True))
    weights = model.trainable_weights
    model.optimizer.apply(tape.gradient(loss, weights), weights)
    return tape


# ---- modes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*RATED, "noise", "variational"])
def test_inference_is_the_identity(name: str) -> None:
    make, shape = ALL[name]
    layer, x = make(), data(shape)
    assert layer(x).numpy().tobytes() == layer(x, training=False).numpy().tobytes() == x.tobytes()
    assert layer(x, training=True).numpy().tobytes() != x.tobytes()


@each
def test_compiled_training_is_eager_training(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sliced(monkeypatch, 1)
    eager, fitted = network(name), network(name)
    x = data(ALL[name][1])
    for rows in (90, 41, 90):
        tape_step(eager, x[:rows], LABELS[:rows])
        fitted.train_on_batch(x[:rows], LABELS[:rows])
    for a, b in zip(eager.get_weights(), fitted.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@each
def test_slices_and_runs_draw_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, found = data(ALL[name][1]), []
    for count in (1, 3, 1):
        sliced(monkeypatch, count)
        model = network(name)
        history = model.fit(x, LABELS, batch_size=37, epochs=2, verbose=0).history
        found.append([*model.get_weights(), np.array(history["loss"])])
    for a, b, c in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(a, c)


@each
def test_tape_replays_what_was_drawn(name: str) -> None:
    make, shape = ALL[name]
    layer, x = make(name="it"), nb.Parameter(data(shape))
    with nb.Tape() as tape:
        y = nb.ops.sum(nb.ops.square(layer(x, training=True)))
    with nb.Tape(masks=tape.masks | tape.noise) as again:
        z = nb.ops.sum(nb.ops.square(layer(x, training=True)))
    drawn = ["it"] if name != "masksembles" else []
    assert sorted(tape.masks | tape.noise) == sorted(again.masks | again.noise) == drawn
    assert y.item() == z.item()
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), again.gradient(z, x).numpy())
    if name != "masksembles":
        with pytest.raises(ValueError, match=r"^masks\['it'\]: expected"), nb.Tape(masks={"it": np.zeros((2, 2))}):
            layer(x, training=True)


@each
def test_configuration_keeps_what_is_drawn(name: str) -> None:
    make, shape = ALL[name]
    layer = make(seed=7, name="it")
    config = json.loads(json.dumps(nb.layers.serialize(layer)))
    again, x = nb.layers.deserialize(config), data(shape)
    layer(x), again(x)
    again.set_weights(layer.get_weights())
    outputs = []
    for one in (layer, again):
        with nb.Tape(step=5):
            outputs.append(one(x, training=True).numpy())
    np.testing.assert_array_equal(*outputs)


# ---- edges ---------------------------------------------------------------------------------------------------------


@each_rated
def test_rate_zero_is_the_identity(name: str) -> None:
    make, shape, _ = RATED[name]
    x = nb.Parameter(data(shape))
    with nb.Tape() as tape:
        y = make(0.0)(x, training=True)
        total = nb.ops.sum(y)
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    assert (tape.gradient(total, x).numpy() == 1).all()


@pytest.mark.parametrize("name", [name for name in RATED if name != "gaussian"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rate_one_gives_zeros(name: str, dtype: str) -> None:
    make, shape, _ = RATED[name]
    x = nb.Parameter(data(shape).astype(dtype))
    with nb.Tape() as tape:
        y = make(1.0, dtype=dtype)(x, training=True)
        total = nb.ops.sum(y)
    assert (y.numpy() == 0).all()
    assert (tape.gradient(total, x).numpy() == 0).all()


@each_rated
@pytest.mark.parametrize("rate", [math.nan, -0.1, 1.5, None, "0.5", True])
def test_other_rates_are_refused(name: str, rate: Any) -> None:
    with pytest.raises(ValueError, match=r"^rate: the probability of dropping a unit lies in \[0, 1"):
        RATED[name][0](rate)


def test_rates_below_one() -> None:
    for make in (GaussianDropout, lambda rate: DropConnectDense(3, rate)):
        with pytest.raises(ValueError, match=r"^rate: the probability of dropping a unit lies in \[0, 1\), got 1"):
            make(1.0)


@each
def test_empty_batch(name: str) -> None:
    make, shape = ALL[name]
    layer = make()
    wanted = layer(data(shape), training=True).shape[1:]
    assert layer(np.zeros((0, *shape), "float32"), training=True).shape == (0, *wanted)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: AlphaDropout(0.5, (None, 2)), (3, 12), "noise_shape"),
        (lambda: Dropout(0.5, (None, 2, 3)), (12,), "noise_shape"),
        (lambda: AlphaDropout(0.5, (None, 0)), (12,), "noise_shape: expected a size from 1"),
        (lambda: SpatialDropout1D(0.5), (12,), "batch, length, channels"),
        (lambda: SpatialDropout2D(0.5), (12, 12), "batch, height, width, channels"),
        (lambda: SpatialDropout2D(0.5, "channels_first"), IMAGE, "channels"),
        (lambda: DropBlock2D(0.5, 7), IMAGE, "at least 7 x 7 points"),
        (lambda: DropBlock2D(0.5, 0), IMAGE, "block_size: expected an integer from 1"),
        (lambda: GaussianNoise(-1.0), (12,), "stddev"),
        (lambda: GaussianNoise(math.nan), (12,), "stddev"),
        (lambda: DropConnectDense(3, 0.5, group_size=0), (12,), "group_size"),
        (lambda: DropConnectDense(3, 0.5, inference="median"), (12,), "inference: expected"),
        (lambda: StandoutDense(3, alpha=math.inf), (12,), "alpha"),
        (lambda: ConcreteDropout(Dense(3), init_min=0.0), (12,), "init_min"),
        (lambda: ConcreteDropout(nb.layers.ReLU()), (12,), "layer: expected one with a kernel"),
        (lambda: VariationalDropout(0.0), (12,), "initial_alpha"),
        (lambda: Masksembles(0, 2.0), (12,), "n: expected an integer from 1"),
        (lambda: Masksembles(4, 0.5), (12,), "scale"),
        (lambda: Masksembles(12, 10.0), (1,), "found no 12 masks"),
    ],
)
def test_clear_errors(make: Callable[[], Any], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()(np.zeros((2, *shape)), training=True)


def test_noise_shape_where_a_size_is_not_known() -> None:
    layer = Dropout(0.5, (None, 5, 1))
    layer.build_for((None, None, 3))
    assert layer(np.ones((2, 5, 3)), training=True).shape == (2, 5, 3)


# ---- statistics ----------------------------------------------------------------------------------------------------


def within(found: float, wanted: float, sigma: float) -> None:
    assert abs(found - wanted) < 5 * sigma, (found, wanted, sigma)


@pytest.mark.parametrize("name", ["dropout", "alpha", "spatial_1d", "spatial_2d", "path"])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_keep_rate(name: str, rate: float) -> None:
    make, _, mask = RATED[name]
    assert mask is not None
    rows = 200_000 // math.prod(mask)
    layer = make(rate, seed=1, name="it")
    with nb.Tape(step=0) as tape:
        layer(np.ones((rows, *mask), "float32"), training=True)
    kept = tape.masks["it"]
    within(kept.mean(), 1 - rate, math.sqrt(rate * (1 - rate) / kept.size))


def masks_of(step: int, seed: int = 1, rows: int = 2000, make: Any = AlphaDropout) -> Array:
    layer = make(0.5, seed=seed, name="it")
    with nb.Tape(step=step) as tape:
        layer(np.ones((rows, 50), "float32"), training=True)
    return (tape.masks | tape.noise)["it"].astype(float)


@pytest.mark.parametrize("make", [AlphaDropout, GaussianDropout])
def test_steps_layers_and_rows_are_independent(make: Any) -> None:
    first = masks_of(0, make=make)
    others = {
        "step": (first, masks_of(1, make=make)),
        "layer": (first, masks_of(0, 2, make=make)),
        "row": (first[1:], first[:-1]),
        "column": (first[:, 1:], first[:, :-1]),
        "words": (first.ravel()[64:], first.ravel()[:-64]),
    }
    for name, (a, b) in others.items():
        correlation = np.corrcoef(a.ravel(), b.ravel())[0, 1]
        assert abs(correlation) < 5 / math.sqrt(a.size), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers(dtype: str) -> None:
    n = 400_000
    with nb.Tape(step=2) as tape:
        y = GaussianNoise(0.5, seed=1, dtype=dtype, name="it")(np.full((n // 100, 100), 3.0), training=True).numpy()
    z = (y.astype(float) - 3.0) / 0.5
    np.testing.assert_allclose(z, tape.noise["it"], atol=1e-5)
    for moment, (wanted, variance) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}.items():
        within((z**moment).mean(), wanted, math.sqrt(variance / n))
    within((np.abs(z) > 3).mean(), 0.0026998, math.sqrt(0.0027 / n))


def test_gaussian_dropout_has_dropouts_variance() -> None:
    y = GaussianDropout(0.3, seed=1)(np.full((4000, 100), 2.0), training=True).numpy().astype(float)
    variance = 4 * 0.3 / 0.7
    within(y.mean(), 2.0, math.sqrt(variance / y.size))
    within(y.var(), variance, variance * math.sqrt(2 / y.size))


def test_drop_block_drops_squares() -> None:
    rate, block = 0.2, 3
    with nb.Tape(step=0) as tape:
        y = DropBlock2D(rate, block, seed=1, name="it")(np.ones((300, 20, 20, 5), "float32"), training=True).numpy()
    mask = tape.masks["it"]
    np.testing.assert_allclose(y.mean((1, 2, 3)), 1, rtol=1e-5)
    # Equation 1 counts squares as if they never overlapped.
    gamma = rate * 400 / (block**2 * 18**2)
    inside = ~mask[:, 2:18, 2:18]
    within(inside.mean(), 1 - (1 - gamma) ** 9, 3 * math.sqrt(rate / inside.size))
    # Every dropped element lies in a dropped square.
    windows = np.lib.stride_tricks.sliding_window_view(~mask, (block, block), axis=(1, 2)).all((-1, -2))
    covered = np.zeros_like(mask)
    for i in range(block):
        for j in range(block):
            covered[:, i : i + 18, j : j + 18] |= windows
    np.testing.assert_array_equal(covered, ~mask)


def test_masks_do_not_depend_on_the_batch() -> None:
    layer = AlphaDropout(0.5, seed=1, name="it")
    found = []
    for rows in (64, 50, 3):
        with nb.Tape(step=9) as tape:
            layer(np.ones((rows, 7), "float32"), training=True)
        found.append(tape.masks["it"])
    for masks in found[1:]:
        np.testing.assert_array_equal(masks, found[0][: len(masks)])


def test_selu_with_alpha_dropout_keeps_mean_and_variance() -> None:
    nb.set_random_seed(1)
    x = nb.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(1000, 256)).astype("float32"))
    for _ in range(32):
        x = AlphaDropout(0.05)(Dense(256, "selu", kernel_initializer="lecun_normal")(x), training=True)
    y = x.numpy().astype(float)
    assert abs(y.mean()) < 0.1
    assert abs(y.var() - 1) < 0.2
