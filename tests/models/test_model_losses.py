"""Losses and metrics of a model: weights of samples and classes, cross-entropies of logits, gradients."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import Activation, Dense, Flatten, Reshape
from tests.networks import BCE, CCE, COLUMN, LABELS, ONE_HOT, SCCE, X, close, equal, network, rng

# ---- weights of samples and classes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "output", "units", "y"),
    [
        (SCCE, "softmax", 3, LABELS),
        (CCE, "softmax", 3, ONE_HOT),
        (BCE, "sigmoid", 1, COLUMN),
        ("mse", None, 3, ONE_HOT),
    ],
)
def test_sample_weight_counts_rows(loss, output, units, y):
    """A weight of 3 is the row three times; the loss is divided by the number of rows, as in Keras 3."""
    weights = rng.integers(0, 4, 60)
    weighted = network(loss, output, units, dtype="float64")
    total = int(weights.sum())
    duplicated = network(loss, output, units, nb.optimizers.SGD(0.1 * total / 60), dtype="float64")
    value = weighted.train_on_batch(X, y, sample_weight=weights)
    repeated = duplicated.train_on_batch(np.repeat(X, weights, axis=0), np.repeat(y, weights, axis=0))
    assert value * 60 == pytest.approx(repeated * total, rel=1e-12)
    close(weighted.get_weights(), duplicated.get_weights(), 1e-12, 1e-14)


def test_sample_weight_in_fit_and_evaluate():
    weights = rng.uniform(0, 2, (60, 1))
    model = network(optimizer=nb.optimizers.SGD(0.0), metrics=["accuracy"])
    p = model.predict(X)[np.arange(60), LABELS].astype("float64")
    exact = -(np.log(p) * weights[:, 0]).mean()
    history = model.fit(X, LABELS, batch_size=25, sample_weight=weights, verbose=0).history
    assert history["loss"][0] == pytest.approx(exact, rel=1e-6)
    loss, accuracy = model.evaluate(X, LABELS, sample_weight=weights, verbose=0)
    assert loss == pytest.approx(exact, rel=1e-6)
    assert model.test_on_batch(X, LABELS, weights)[0] == pytest.approx(exact, rel=1e-6)
    # Metrics are not weighted, as in Keras.
    assert accuracy == model.evaluate(X, LABELS, verbose=0)[1] == history["accuracy"][0]


def test_sample_weight_of_an_output_with_more_axes():
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((5, 4)), Dense(2)])
    model.compile("sgd", "mse")
    x, y, w = rng.normal(size=(10, 5, 4)), rng.normal(size=(10, 5, 2)), rng.uniform(0, 1, 10)
    exact = (((model.predict(x) - y) ** 2).mean(axis=(1, 2)) * w).mean()
    assert model.evaluate(x, y, sample_weight=w, verbose=0) == pytest.approx(exact, rel=1e-6)
    assert model.train_on_batch(x, y, w) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "output", "units", "y", "classes"),
    [
        (SCCE, "softmax", 3, LABELS, LABELS),
        (CCE, "softmax", 3, ONE_HOT, LABELS),
        (BCE, "sigmoid", 1, COLUMN, COLUMN[:, 0].astype(int)),
        ("mse", None, 1, np.round(X[:, :1] * 3), np.round(X[:, 0] * 3).astype(int)),
    ],
)
def test_class_weight_is_a_sample_weight(loss, output, units, y, classes):
    weights = {0: 0.25, 1: 3.0, -2: 5.0, 99: 7.0, np.int64(2): np.float32(2.0)}
    by_row = np.array([weights.get(int(c), 1.0) for c in classes])
    own = rng.uniform(0.5, 1, 60)
    for extra in (None, own):
        by_class, by_sample = network(loss, output, units), network(loss, output, units)
        losses = [
            by_class.fit(X, y, sample_weight=extra, class_weight=weights, shuffle=False, verbose=0).history["loss"],
            by_sample.fit(
                X, y, sample_weight=by_row if extra is None else by_row * extra, shuffle=False, verbose=0
            ).history["loss"],
        ]
        close(losses[0], losses[1], 1e-6)
        close(by_class.get_weights(), by_sample.get_weights(), 1e-6, 1e-7)
    batch = network(loss, output, units)
    assert batch.train_on_batch(X, y, class_weight=weights) == pytest.approx(
        network(loss, output, units).train_on_batch(X, y, by_row), rel=1e-6
    )


# ---- metrics -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "output", "units", "y", "expected"),
    [
        (SCCE, "softmax", 3, LABELS, lambda p: p.argmax(1) == LABELS),
        (CCE, "softmax", 3, ONE_HOT, lambda p: p.argmax(1) == LABELS),
        (BCE, "sigmoid", 1, COLUMN, lambda p: (p > 0.5) == COLUMN),
        (BCE, "sigmoid", 3, ONE_HOT, lambda p: p.argmax(1) == LABELS),
        ("mse", "sigmoid", 1, COLUMN, lambda p: (p > 0.5) == COLUMN),
        ("mse", None, 3, ONE_HOT, lambda p: p.argmax(1) == LABELS),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
@pytest.mark.filterwarnings("ignore:metrics. .acc")
def test_accuracy_fits_itself_to_the_loss(loss, output, units, y, expected, name):
    model = network(loss, output, units, metrics=[name])
    logs = model.evaluate(X, y, verbose=0, return_dict=True)
    assert list(logs) == ["loss", name]
    assert logs[name] == pytest.approx(expected(model.predict(X)).mean())
    assert 0 < logs[name] < 1
    assert list(model.fit(X, y, validation_split=0.5, verbose=0).history) == ["loss", name, "val_loss", f"val_{name}"]


def test_metrics_are_named_as_asked_for():
    wanted = [
        "mse", "mean_squared_error", "mae", "MeanAbsoluteError", "huber", "categorical_accuracy",
        nb.losses.MeanSquaredError(),
        nb.metrics.CategoricalAccuracy("mine"), nb.metrics.BinaryAccuracy(threshold=0.3), "accuracy", "mse",
    ]  # fmt: skip
    model = network(CCE, metrics=wanted)
    logs = model.evaluate(X, ONE_HOT, verbose=0, return_dict=True)
    assert list(logs) == [
        "loss", "mse", "mean_squared_error", "mae", "MeanAbsoluteError", "huber", "categorical_accuracy",
        "mean_squared_error_1", "mine", "binary_accuracy", "accuracy", "mse_1",
    ]  # fmt: skip
    error = model.predict(X).astype("float64") - ONE_HOT
    assert logs["mse"] == logs["mean_squared_error"] == logs["mse_1"] == pytest.approx((error**2).mean(), rel=1e-6)
    assert logs["mae"] == logs["MeanAbsoluteError"] == pytest.approx(np.abs(error).mean(), rel=1e-6)
    assert logs["huber"] == pytest.approx((0.5 * error**2).mean(), rel=1e-6)
    assert logs["mine"] == logs["categorical_accuracy"] == logs["accuracy"]
    assert len(model.train_on_batch(X, ONE_HOT)) == 12


def test_loss_as_a_metric_is_the_loss():
    model = network(metrics=[SCCE])
    loss, same = model.evaluate(X, LABELS, verbose=0)
    assert same == pytest.approx(loss, rel=1e-6)


# ---- cross-entropies of logits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "output", "y"),
    [
        (nb.losses.SparseCategoricalCrossentropy, "softmax", LABELS),
        (nb.losses.CategoricalCrossentropy, "softmax", ONE_HOT),
        (nb.losses.BinaryCrossentropy, "sigmoid", ONE_HOT),
    ],
)
def test_from_logits_is_the_activation_before_the_loss(loss, output, y):
    fused, logits = network(loss(), output), network(loss(from_logits=True), None)
    layered = nb.Sequential([nb.Input((4,)), Dense(8, "tanh"), Dense(3), Activation(output)])
    layered.set_weights(fused.get_weights())
    layered.compile(nb.optimizers.SGD(0.1), loss())
    histories = [m.fit(X, y, epochs=3, shuffle=False, verbose=0).history["loss"] for m in (fused, logits, layered)]
    assert histories[0] == histories[1] == histories[2]
    assert equal(fused.get_weights(), logits.get_weights())
    assert equal(fused.get_weights(), layered.get_weights())


EXTREME = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [0, 1e4, -1e4], [0, 0, 1.0]])
EXTREME_LABELS = np.array([0, 0, 1, 2, 2, 1])


def exact_crossentropy(kind):
    """Loss and derivative by the logits, in float64."""
    z, t, n = EXTREME, np.eye(3)[EXTREME_LABELS], len(EXTREME)
    if kind == "sigmoid":
        p = 1 / (1 + np.exp(-np.clip(z, -700, 700)))
        losses = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
        return losses.mean(), (p - t) / z.size
    top = z.max(axis=1, keepdims=True)
    e = np.exp(z - top)
    norm = top + np.log(e.sum(axis=1, keepdims=True))
    return -(t * (z - norm)).sum(axis=1).mean(), (e / e.sum(axis=1, keepdims=True) - t) / n


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "output", "y"),
    [
        (SCCE, "softmax", EXTREME_LABELS),
        (CCE, "softmax", np.eye(3)[EXTREME_LABELS]),
        (BCE, "sigmoid", np.eye(3)[EXTREME_LABELS]),
    ],
)
@pytest.mark.filterwarnings("ignore:metrics. .acc")
def test_logits_of_1e4(loss, output, y, dtype):
    """A softmax or sigmoid output followed by its cross-entropy is fused: stable for logits of +-1e4."""
    value, dz = exact_crossentropy(output)
    tolerance = 1e-6 if dtype == "float32" else 1e-12

    def make(metrics=()):
        model = nb.Sequential([nb.Input((3,)), Dense(3, output, dtype=dtype)])
        model.set_weights([np.eye(3), np.zeros(3)])
        model.compile(nb.optimizers.SGD(1.0), loss, metrics=list(metrics))
        return model

    eager = make()
    with nb.Tape() as tape:
        found = eager.loss(y, eager(EXTREME))
    dw, db = (g.numpy() for g in tape.gradient(found, eager.trainable_weights))
    assert found.item() == pytest.approx(value, rel=tolerance)
    np.testing.assert_allclose(db, dz.sum(axis=0), rtol=10 * tolerance, atol=tolerance)
    np.testing.assert_allclose(dw, EXTREME.T @ dz, rtol=10 * tolerance, atol=1e4 * tolerance)
    for model in (make(), make(["accuracy"])):
        logs = model.train_on_batch(EXTREME, y, return_dict=True)
        assert logs["loss"] == pytest.approx(value, rel=tolerance)
        kernel, bias = model.get_weights()
        np.testing.assert_allclose(bias, -db, rtol=1e-6, atol=tolerance)
        np.testing.assert_allclose(kernel, np.eye(3) - dw, rtol=10 * tolerance, atol=1e4 * tolerance)
        assert np.isfinite(model.predict(EXTREME)).all()


@pytest.mark.parametrize(
    ("loss", "output", "y"), [(SCCE, "softmax", LABELS), (CCE, "softmax", ONE_HOT), (BCE, "sigmoid", ONE_HOT)]
)
def test_probabilities_that_are_not_recognised(loss, output, y):
    """With a layer between activation and loss, probabilities are clipped as in Keras: finite, and else the same."""
    plain = network(loss, output)
    model = nb.Sequential([nb.Input((4,)), Dense(8, "tanh"), Dense(3, output), Reshape((1, 3)), Flatten()])
    model.set_weights(plain.get_weights())
    model.compile(nb.optimizers.SGD(0.1), loss)
    close([model.train_on_batch(X, y)], [plain.train_on_batch(X, y)], 1e-5)
    close(model.get_weights(), plain.get_weights(), 1e-4, 1e-6)
    model.set_weights([w * 1e4 for w in model.get_weights()])
    assert np.isfinite(model.fit(X, y, epochs=2, verbose=0).history["loss"]).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())


# ---- gradients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "output", "units", "y"),
    [
        (SCCE, "softmax", 3, LABELS),
        (CCE, "softmax", 3, ONE_HOT),
        (BCE, "sigmoid", 1, COLUMN),
        ("mse", "gelu", 3, ONE_HOT),
        ("mae", "softplus", 3, ONE_HOT),
        ("huber", "elu", 3, ONE_HOT),
    ],
)
def test_the_tape_gives_the_gradient_of_training(loss, output, units, y):
    """``t.gradient(loss_fn(y, model(x)), model.trainable_weights)`` is what a compiled step subtracts."""
    model = network(loss, output, units, nb.optimizers.SGD(1.0), dtype="float64")
    loss_fn = nb.losses.as_loss(loss)
    before = model.get_weights()
    with nb.Tape() as tape:
        value = loss_fn(y, model(X, training=True))
    gradients = [g.numpy() for g in tape.gradient(value, model.trainable_weights)]
    assert model.train_on_batch(X, y) == pytest.approx(value.item(), rel=1e-14)
    close([a - b for a, b in zip(before, model.get_weights(), strict=True)], gradients, 1e-12, 1e-15)
    # ... and the same as backward() leaves in .grad.
    model.set_weights(before)
    loss_fn(y, model(X)).backward()
    close([w.grad.numpy() for w in model.trainable_weights], gradients, 1e-12, 1e-15)


# ---- symbols in losses ---------------------------------------------------------------------------------------


def _of_symbols(way: str) -> nb.Model:
    """A model whose loss has a part of its hidden units, which is written as ``way`` says."""
    nb.set_random_seed(4)
    x = nb.Input((4,))
    h = Dense(3, "tanh")(x)
    part = 0.1 * nb.ops.mean(nb.ops.square(h), axis=-1)
    y, loss = Dense(4)(h), "mse"

    class Penalty(nb.layers.Layer):
        def call(self, y):
            self.add_loss(nb.ops.mean({"layer": 0.1 * nb.ops.mean(h**2, axis=-1), "mixed": part}[way] + 0.0 * y[:, 0]))
            return y

    if way in ("layer", "mixed"):
        y = Penalty()(y)
    if way == "loss":
        loss = lambda t, p: nb.ops.mean((t - p) ** 2, axis=-1) + part  # noqa: E731
    if way == "all":
        loss = lambda t, p: nb.ops.mean((x - y) ** 2, axis=-1) + part  # noqa: E731
    model = nb.Model(x, y)
    if way == "model":
        model.add_loss(nb.ops.mean(part))
    if way == "alone":
        model.add_loss(nb.ops.mean(nb.ops.mean((x - y) ** 2, axis=-1) + part))
        loss = None
    model.compile(
        nb.optimizers.SGD(0.5),
        loss,
        metrics=[nb.metrics.MeanMetricWrapper(lambda t, p: part, "part")] if way == "loss" else None,
    )
    return model


def test_losses_of_symbols_are_those_of_their_values():
    """Keras 2 let losses, and layers, use any symbol of the model around them."""
    data = rng.normal(size=(20, 4)).astype("float32")
    reference = _of_symbols("model")
    x = reference.input
    tapped = nb.Model(x, [reference.layers[1].output, reference.output])
    h, y = tapped.predict(data)
    exact = ((data - y) ** 2).mean() + 0.1 * (h**2).mean()
    assert reference.evaluate(data, data, verbose=0) == pytest.approx(exact, rel=1e-5)
    reference.fit(data, data, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for way in ("layer", "mixed", "loss", "all", "alone"):
        model = _of_symbols(way)
        history = model.fit(data, data, batch_size=8, epochs=2, shuffle=False, verbose=0)
        close(model.get_weights(), reference.get_weights(), 1e-5, 1e-6)
        if way == "loss":
            assert history.history["part"][0] == pytest.approx(0.1 * (h**2).mean(), rel=0.5)
    assert nb.models.clone_model(reference).graph.losses == []
