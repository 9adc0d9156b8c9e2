"""Targets and sample weights for each position of a sample; targets that broadcast; weights that are all 0."""

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers

N, T, C = 7, 3, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, T, 5))
LABELS = RNG.integers(0, C, (N, T))
WEIGHTS = RNG.random((N, T)) * (RNG.random((N, T)) > 0.2)


@pytest.fixture(autouse=True)
def float64():
    nb.config.set_floatx("float64")
    yield
    nb.config.set_floatx("float32")


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def classifier(**compiled):
    nb.set_random_seed(1)
    model = nb.Sequential([nb.Input((T, 5)), layers.Dense(C, "softmax")])
    model.compile(**{"optimizer": nb.optimizers.SGD(0.5), "loss": "sparse_categorical_crossentropy"} | compiled)
    return model


def each_loss(model, x, labels):
    kernel, bias = model.get_weights()
    p = softmax(x @ kernel + bias)
    return -np.log(np.take_along_axis(p, labels[..., None], -1)[..., 0])


@pytest.mark.parametrize("shape", [(N, T), (N, T, 1)])
@pytest.mark.parametrize("eagerly", [False, True])
def test_labels_of_positions(shape, eagerly):
    model = classifier(metrics=["accuracy"], run_eagerly=eagerly)
    expected = each_loss(model, X, LABELS).mean()
    right = (model.predict(X).argmax(-1) == LABELS).mean()
    loss, accuracy = model.evaluate(X, LABELS.reshape(shape), batch_size=4, verbose=0)
    assert loss == pytest.approx(expected)
    assert accuracy == pytest.approx(right)


@pytest.mark.parametrize(
    ("shape", "spread"),
    [((N,), (N, 1)), ((N, 1), (N, 1)), ((N, T), (N, T)), ((N, T, 1), (N, T)), ((N, 1, 1), (N, 1))],
)
@pytest.mark.parametrize("eagerly", [False, True])
def test_weights_of_positions(shape, spread, eagerly):
    w = np.resize(WEIGHTS, shape)
    model = classifier(weighted_metrics=["sparse_categorical_crossentropy", "accuracy"], run_eagerly=eagerly)
    each, whole = each_loss(model, X, LABELS), np.broadcast_to(w.reshape(spread), (N, T))
    right = model.predict(X).argmax(-1) == LABELS
    loss, watched, accuracy = model.evaluate(X, LABELS, sample_weight=w, verbose=0)
    assert loss == pytest.approx((each * whole).mean())
    assert watched == pytest.approx((each * whole).sum() / whole.sum())
    assert accuracy == pytest.approx((right * whole).sum() / whole.sum())


@pytest.mark.parametrize("settings", [{}, {"slices": 2}, {"run_eagerly": True}])
def test_a_step_with_weights_of_positions(settings):
    model = classifier(**settings)
    kernel, bias = model.get_weights()
    p = softmax(X @ kernel + bias)
    dz = (p - np.eye(C)[LABELS]) * WEIGHTS[..., None] / WEIGHTS.size
    model.train_on_batch(X, LABELS, sample_weight=WEIGHTS)
    np.testing.assert_allclose(model.get_weights()[0], kernel - 0.5 * np.einsum("ntf,ntc->fc", X, dz), atol=1e-12)
    np.testing.assert_allclose(model.get_weights()[1], bias - 0.5 * dz.sum((0, 1)), atol=1e-12)


def test_a_fit_shuffles_labels_and_weights_of_positions_with_their_rows():
    histories = []
    for eagerly in (False, True):
        model = classifier(optimizer=nb.optimizers.SGD(0.1), run_eagerly=eagerly)
        history = model.fit(X, LABELS, batch_size=3, epochs=3, sample_weight=WEIGHTS, verbose=0)
        histories.append([history.history["loss"], *map(np.ravel, model.get_weights())])
    for compiled, eager in zip(*histories, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-9)


@pytest.mark.parametrize("loss", ["mse", "mae", "binary_crossentropy"])
def test_an_output_of_one_number_for_each_position(loss):
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((T, 5)), layers.Dense(1, "sigmoid")])
    model.compile("sgd", loss, weighted_metrics=[loss])
    y = (LABELS > 1).astype(float)
    whole = model.evaluate(X, y[..., None], sample_weight=WEIGHTS, verbose=0)
    assert model.evaluate(X, y, sample_weight=WEIGHTS, verbose=0) == whole
    p = model.predict(X)[..., 0]
    kinds = {"mse": (y - p) ** 2, "mae": abs(y - p), "binary_crossentropy": -np.log(np.where(y > 0, p, 1 - p))}
    assert whole[0] == pytest.approx((kinds[loss] * WEIGHTS).mean())


def test_one_hot_targets_of_positions():
    model = classifier(loss="categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(X, np.eye(C)[LABELS], sample_weight=WEIGHTS, verbose=0)
    assert loss == pytest.approx((each_loss(model, X, LABELS) * WEIGHTS).mean())
    assert accuracy == pytest.approx((model.predict(X).argmax(-1) == LABELS).mean())


def test_weights_of_other_positions_are_refused():
    model = classifier()
    for shape in ((N, 2), (N, T, C), (N, 1, T)):
        with pytest.raises(
            ValueError, match=r"sample_weight: expected weights of shape \(n,\) or \(n, 1\) or \(n, 3\)"
        ):
            model.fit(X, LABELS, sample_weight=np.ones(shape), verbose=0)


def test_class_weights_are_for_one_class_a_row():
    with pytest.raises(ValueError, match="class_weight: expected targets of one class a row"):
        classifier().fit(X, LABELS, class_weight={0: 2.0}, verbose=0)


@pytest.mark.parametrize(("columns", "outputs"), [(1, 2), (2, 1)])
def test_targets_that_broadcast(columns, outputs):
    y = RNG.normal(size=(N, columns))
    model = nb.Sequential([nb.Input((5,)), layers.Dense(outputs)])
    model.compile("sgd", "mse", metrics=["mae"])
    p = model.predict(X[:, 0])
    with pytest.warns(UserWarning, match=rf"y: rows of shape \({columns},\) are broadcast against outputs"):
        loss, mae = model.evaluate(X[:, 0], y, verbose=0)
    assert loss == pytest.approx(((y - p) ** 2).mean())
    assert mae == pytest.approx(abs(y - p).mean())


def test_weights_that_are_all_0():
    model = classifier(weighted_metrics=["accuracy"])
    before = model.get_weights()
    history = model.fit(X, LABELS, sample_weight=np.zeros(N), verbose=0).history
    assert history == {"loss": [0.0], "accuracy": [0.0]}
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("shape", [(N,), (N, T), (N, T, 1)])
def test_weights_of_positions_in_metrics_of_an_epoch(outputs, shape):
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((T, 5)), layers.Dense(outputs, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", weighted_metrics=[nb.metrics.Precision()])
    y, w = RNG.integers(0, 2, (N, T, outputs)), RNG.random(shape)
    whole, found = np.broadcast_to(w.reshape(N, -1, 1), y.shape), model.predict(X) > 0.5
    _, precision = model.evaluate(X, y, sample_weight=w, verbose=0)
    assert precision == pytest.approx(whole[found & (y > 0)].sum() / whole[found].sum(), rel=1e-6)


def test_a_loss_of_symbols_with_weights():
    t, p, w = nb.Input((2,)), nb.Input((2,)), nb.Input((1,))
    loss = nb.losses.MeanSquaredError()(t, p, sample_weight=w)
    assert loss.shape == ()

    class Weighted(layers.Layer):
        def call(self, targets, outputs, weights):
            self.add_loss(nb.losses.MeanSquaredError()(targets, outputs, sample_weight=weights))
            return outputs

    model = nb.Model([t, p, w], Weighted()(t, layers.Dense(2, name="d")(p), w))
    model.compile("sgd")
    data = [RNG.normal(size=(N, 2)), RNG.normal(size=(N, 2)), RNG.random((N, 1))]
    kernel, bias = model.get_weights()
    expected = (((data[1] @ kernel + bias - data[0]) ** 2).mean(-1, keepdims=True) * data[2]).mean()
    assert model.evaluate(data, verbose=0) == pytest.approx(expected)
    assert model.fit(data, verbose=0).history["loss"] == [pytest.approx(expected)]
