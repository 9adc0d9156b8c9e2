"""Models: fit, evaluate, predict, and what Keras users expect of them."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet import config
from nbnet.layers import Activation, Dense, Dropout, Flatten, Reshape
from nbnet.models import programs

rng = np.random.default_rng(3)
X = rng.normal(size=(60, 4)).astype("float32")
LABELS = rng.integers(0, 3, 60)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
COLUMN = (LABELS > 0).astype("float32")[:, None]
SCCE, CCE, BCE = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"


def network(loss=SCCE, output="softmax", units=3, optimizer=None, metrics=None, dtype=None, hidden="tanh"):
    """4 -> 8 -> units, compiled; the same weights every time."""
    nb.set_random_seed(1)
    layers = [Dense(8, hidden, dtype=dtype, name="hidden"), Dense(units, output, dtype=dtype, name="output")]
    model = nb.Sequential([nb.Input((4,)), *layers])
    model.compile(nb.optimizers.SGD(0.1) if optimizer is None else optimizer, loss, metrics)
    return model


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def close(first, second, rtol, atol=0.0):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


# ---- fit -----------------------------------------------------------------------------------------------------


def test_fit_returns_a_history():
    model = network(metrics=["accuracy", "mse"], loss=CCE)
    history = model.fit(X, ONE_HOT, batch_size=16, epochs=3, validation_split=0.2, verbose=0)
    assert isinstance(history, nb.History)
    names = ["loss", "accuracy", "mse", "val_loss", "val_accuracy", "val_mse"]
    assert list(history.history) == names
    assert all(len(values) == 3 for values in history.history.values())
    assert all(type(value) is float for values in history.history.values() for value in values)
    assert history.epoch == [0, 1, 2]
    assert history.params == {"verbose": 0, "epochs": 3, "steps": 3}


def test_fit_learns():
    model = network(optimizer="adam", metrics=["accuracy"])
    targets = X[:, :3].argmax(axis=1)
    history = model.fit(X, targets, epochs=200, batch_size=8, verbose=0).history
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    assert model.evaluate(X, targets, verbose=0)[1] > 0.95


def test_batch_size_is_32_by_default():
    by_default, by_none, explicit = network(), network(), network()
    by_default.fit(X, LABELS, shuffle=False, verbose=0)
    by_none.fit(X, LABELS, batch_size=None, shuffle=False, verbose=0)
    explicit.fit(X, LABELS, batch_size=32, shuffle=False, verbose=0)
    assert equal(by_default.get_weights(), explicit.get_weights())
    assert equal(by_none.get_weights(), explicit.get_weights())


@pytest.mark.parametrize("batch_size", [1, 7, 25, 59, 60])
def test_fit_is_a_loop_over_batches(batch_size):
    """In the order of the rows without shuffling; the last batch is short; losses are averaged over rows."""
    fitted, looped = network(metrics=["accuracy"]), network(metrics=["accuracy"])
    history = fitted.fit(X, LABELS, batch_size=batch_size, epochs=2, shuffle=False, verbose=0).history
    for epoch in range(2):
        total = np.zeros(2)
        for start in range(0, 60, batch_size):
            rows = slice(start, start + batch_size)
            total += len(LABELS[rows]) * np.array(looped.train_on_batch(X[rows], LABELS[rows]))
        close((history["loss"][epoch], history["accuracy"][epoch]), total / 60, 1e-6)
    assert equal(fitted.get_weights(), looped.get_weights())
    assert fitted.optimizer.iterations == looped.optimizer.iterations == 2 * -(-60 // batch_size)


@pytest.mark.parametrize("batch_size", [61, 1000, 10**12])
def test_batch_size_larger_than_the_data(batch_size):
    fitted, whole = network(), network()
    history = fitted.fit(X, LABELS, batch_size=batch_size, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        whole.train_on_batch(X, LABELS)
    assert equal(fitted.get_weights(), whole.get_weights())
    assert history.params["steps"] == 1


def test_shuffling():
    """Each epoch sees every row once, in an order that the seed decides."""
    x = np.arange(12.0)[:, None]
    seen = []
    for seed in (0, 0, 1):
        nb.set_random_seed(seed)
        # The gradient is the row itself; with momentum, the sum of steps depends on the order.
        model = nb.Sequential([nb.Input((1,)), Dense(1, use_bias=False, kernel_initializer="zeros", dtype="float64")])
        optimizer = nb.optimizers.SGD(1.0, momentum=0.5)
        model.compile(optimizer, "mae")
        orders = []
        for _ in range(2):
            model.set_weights([np.full((1, 1), -1e6)])
            model.fit(x, np.zeros((12, 1)), batch_size=1, verbose=0)
            orders.append(model.get_weights()[0].item())
        seen.append(orders)
    assert seen[0] == seen[1]
    assert len({*seen[0], *seen[2]}) == 4
    still = network(optimizer=nb.optimizers.SGD(0.0))
    exact = still.evaluate(X, LABELS, verbose=0)
    close(still.fit(X, LABELS, batch_size=7, epochs=3, verbose=0).history["loss"], [exact] * 3, 1e-6)


def test_epochs_and_initial_epoch():
    model = network()
    history = model.fit(X, LABELS, initial_epoch=3, epochs=5, verbose=0)
    assert history.epoch == [3, 4]
    assert len(history.history["loss"]) == 2
    assert model.optimizer.iterations == 4
    before = model.get_weights()
    assert model.fit(X, LABELS, initial_epoch=5, epochs=5, verbose=0).history == {}
    assert equal(before, model.get_weights())


def test_fit_goes_on_where_it_stopped():
    whole, parts = network(optimizer="adam"), network(optimizer="adam")
    losses = whole.fit(X, LABELS, epochs=3, shuffle=False, verbose=0).history["loss"]
    for epoch in range(3):
        history = parts.fit(X, LABELS, epochs=epoch + 1, initial_epoch=epoch, shuffle=False, verbose=0)
        assert history.history["loss"] == [losses[epoch]]
    assert equal(whole.get_weights(), parts.get_weights())


# ---- validation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "kept"), [(0.25, 45), (0.1, 54), (0.97, 1)])
def test_validation_split_holds_the_last_rows_out(split, kept):
    """The last rows, as they come: before shuffling."""
    split_model, plain = network(metrics=["accuracy"]), network(metrics=["accuracy"])
    nb.set_random_seed(9)
    history = split_model.fit(X, LABELS, epochs=2, batch_size=8, validation_split=split, verbose=0)
    nb.set_random_seed(9)
    rest = plain.fit(X[:kept], LABELS[:kept], epochs=2, batch_size=8, verbose=0).history
    assert equal(split_model.get_weights(), plain.get_weights())
    assert history.history["loss"] == rest["loss"]
    assert history.params["steps"] == -(-kept // 8)
    held = plain.evaluate(X[kept:], LABELS[kept:], verbose=0)
    close([history.history["val_loss"][-1], history.history["val_accuracy"][-1]], held, 1e-6)


def test_validation_split_takes_weights_with_it():
    weights = rng.uniform(0.5, 2, 60)
    model = network()
    logs = model.fit(X, LABELS, validation_split=0.5, sample_weight=weights, verbose=0).history
    exact = model.evaluate(X[30:], LABELS[30:], sample_weight=weights[30:], verbose=0)
    close(logs["val_loss"], [exact], 1e-6)


def test_class_weights_are_for_training_alone():
    model, plain = network(optimizer=nb.optimizers.SGD(0.0)), network(optimizer=nb.optimizers.SGD(0.0))
    logs = model.fit(X, LABELS, validation_split=0.5, class_weight={0: 10.0}, verbose=0).history
    bare = plain.fit(X, LABELS, validation_split=0.5, verbose=0).history
    assert logs["val_loss"] == bare["val_loss"]
    assert logs["loss"][0] > 1.5 * bare["loss"][0]


@pytest.mark.parametrize("weights", [(), (None,), (np.linspace(0, 2, 20),)], ids=["none", "None", "weights"])
@pytest.mark.parametrize("container", [tuple, list])
def test_validation_data(weights, container):
    model = network(metrics=["accuracy"])
    given = container((X[:20], LABELS[:20], *weights))
    logs = model.fit(X, LABELS, epochs=2, validation_data=given, verbose=0).history
    exact = model.evaluate(X[:20], LABELS[:20], sample_weight=weights[0] if weights else None, verbose=0)
    close([logs["val_loss"][-1], logs["val_accuracy"][-1]], exact, 1e-6)


def test_validation_data_goes_before_validation_split():
    model, plain = network(), network()
    history = model.fit(X, LABELS, validation_split=0.5, validation_data=(X[:5], LABELS[:5]), shuffle=False, verbose=0)
    plain.fit(X, LABELS, shuffle=False, verbose=0)
    assert equal(model.get_weights(), plain.get_weights())
    close(history.history["val_loss"], [model.evaluate(X[:5], LABELS[:5], verbose=0)], 1e-6)


# ---- evaluate, predict, and single batches -------------------------------------------------------------------


def test_evaluate_returns_what_keras_returns():
    plain, watched = network(), network(metrics=["accuracy"])
    loss = plain.evaluate(X, LABELS, verbose=0)
    assert type(loss) is float
    accuracy = float((watched.predict(X).argmax(axis=1) == LABELS).mean())
    assert watched.evaluate(X, LABELS, verbose=0) == pytest.approx([loss, accuracy])
    logs = watched.evaluate(X, LABELS, verbose=0, return_dict=True)
    assert logs == pytest.approx({"loss": loss, "accuracy": accuracy})
    assert plain.evaluate(X, LABELS, verbose=0, return_dict=True) == {"loss": loss}
    assert watched.test_on_batch(X, LABELS) == pytest.approx([loss, accuracy])
    assert watched.test_on_batch(X, LABELS, return_dict=True) == pytest.approx(logs)
    p = plain.predict(X)[np.arange(60), LABELS]
    assert loss == pytest.approx(-np.log(p.astype("float64")).mean(), rel=1e-6)


@pytest.mark.parametrize("batch_size", [None, 1, 7, 60, 1000])
def test_batch_size_of_evaluation_does_not_matter(batch_size):
    model = network(metrics=["accuracy"])
    exact = model.evaluate(X, LABELS, batch_size=60, verbose=0)
    assert model.evaluate(X, LABELS, batch_size=batch_size, verbose=0) == pytest.approx(exact, rel=1e-6)
    np.testing.assert_allclose(model.predict(X, batch_size=batch_size), model(X).numpy(), rtol=1e-5, atol=1e-7)


def test_evaluation_changes_nothing():
    model = network(metrics=["accuracy"])
    model.fit(X, LABELS, verbose=0)
    before, iterations = model.get_weights(), model.optimizer.iterations
    model.evaluate(X, LABELS, verbose=0)
    model.test_on_batch(X, LABELS)
    model.predict(X)
    model.predict_on_batch(X)
    assert equal(before, model.get_weights())
    assert model.optimizer.iterations == iterations


def test_predict():
    model = network()
    y = model.predict(X)
    assert type(y) is np.ndarray
    assert y.shape == (60, 3)
    assert y.dtype == np.float32
    again = model.predict(X)
    assert not np.shares_memory(y, again)
    np.testing.assert_array_equal(y, again)
    np.testing.assert_array_equal(model.predict_on_batch(X), y)
    np.testing.assert_allclose(model.predict(X[5:6]), y[5:6], rtol=1e-6)
    w0, b0, w1, b1 = (w.astype("float64") for w in model.get_weights())
    z = np.tanh(X @ w0 + b0) @ w1 + b1
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(y, p, rtol=1e-5)


def test_train_on_batch_returns_the_loss_before_the_update():
    model = network(metrics=["accuracy"])
    before = model.evaluate(X, LABELS, verbose=0)
    assert model.train_on_batch(X, LABELS) == pytest.approx(before, rel=1e-6)
    after = model.evaluate(X, LABELS, verbose=0, return_dict=True)
    assert after["loss"] < before[0]
    assert model.train_on_batch(X, LABELS, return_dict=True) == pytest.approx(after, rel=1e-6)
    assert type(network().train_on_batch(X, LABELS)) is float


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
        (BCE, "sigmoid", 3, ONE_HOT, lambda p: (p > 0.5) == ONE_HOT),
        ("mse", "sigmoid", 1, COLUMN, lambda p: (p > 0.5) == COLUMN),
        ("mse", None, 3, ONE_HOT, lambda p: p.argmax(1) == LABELS),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
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
def test_logits_of_1e4(loss, output, y, dtype):
    """A softmax or sigmoid output followed by its cross-entropy is fused: stable for logits of +-1e4."""
    value, dz = exact_crossentropy(output)
    tolerance = 1e-6 if dtype == "float32" else 1e-12

    def make(metrics=()):
        model = nb.Sequential([nb.Input((3,)), Dense(3, output, dtype=dtype)])
        model.set_weights([np.eye(3), np.zeros(3)])
        model.compile(nb.optimizers.SGD(1.0), loss, list(metrics))
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


# ---- dtypes, and arrays of all kinds -------------------------------------------------------------------------


@pytest.fixture
def floatx64(monkeypatch):
    monkeypatch.setattr(config, "_floatx", np.dtype("float64"))


def check_float64(model):
    assert {w.dtype for w in model.weights} == {np.dtype("float64")}
    w0, b0, w1, b1 = model.get_weights()
    x = rng.normal(size=(9, 4))
    y = model.predict(x)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, np.tanh(x @ w0 + b0) @ w1 + b1, rtol=1e-13)
    np.testing.assert_array_equal(model(x).numpy(), y)
    model.fit(x, y + 1e-9, epochs=2, verbose=0)
    assert {w.dtype for w in model.get_weights()} == {np.dtype("float64")}
    assert 0 < model.evaluate(x, y, verbose=0) < 1e-17


def test_set_floatx(floatx64):
    model = nb.Sequential([nb.Input((4,)), Dense(8, "tanh"), Dropout(0.0), Dense(2)])
    model.compile("sgd", "mse")
    check_float64(model)


@pytest.mark.parametrize("options", [{}, {"dtype": "float64"}])
def test_dtype_of_layers_is_the_dtype_of_the_model(options):
    layers = [Dense(8, "tanh", dtype="float64"), Dropout(0.0, dtype="float64"), Dense(2, dtype="float64")]
    model = nb.Sequential([nb.Input((4,)), *layers], **options)
    model.compile("sgd", "mse")
    check_float64(model)


def test_one_dtype_a_model():
    with pytest.raises(
        ValueError, match=r"layer: b computes in float32, the model in float64: give all layers one dtype"
    ):
        nb.Sequential([Dense(2, dtype="float64"), Dense(2, name="b")])
    with pytest.raises(ValueError, match=r"layer: b computes in float32, the model in float64"):
        nb.Sequential([Dense(2, name="b")], dtype="float64")


def memmap(x, folder):
    made = np.memmap(folder / "x", x.dtype, "w+", shape=x.shape)
    made[:] = x
    made.flush()
    return np.memmap(folder / "x", x.dtype, "r", shape=x.shape)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


KINDS = {
    **{
        name: lambda x, _, name=name: x.astype(name)
        for name in ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
    },
    **{name: lambda x, _, name=name: x.astype(name) for name in ("float16", "float64", "longdouble", ">f4", ">i8")},
    "list": lambda x, _: x.tolist(),
    "memmap": memmap,
    "memmap of bytes": lambda x, folder: memmap(x.astype("uint8"), folder),
    "fortran": lambda x, _: np.asfortranarray(x),
    "read-only": lambda x, _: read_only(x),
    "strided": lambda x, _: np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
    "backwards": lambda x, _: x[::-1].copy()[::-1],
    "tensor": lambda x, _: nb.tensor(x),
}


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_all_kinds(kind, tmp_path):
    """The same numbers train the same weights, however they are handed over."""
    whole = rng.integers(0, 10, (40, 4)).astype("float32")
    given, plain = network(), network()
    x = KINDS[kind](whole, tmp_path)
    logs = given.fit(x, LABELS[:40], epochs=2, batch_size=16, validation_split=0.2, shuffle=False, verbose=0).history
    expected = plain.fit(
        whole, LABELS[:40], epochs=2, batch_size=16, validation_split=0.2, shuffle=False, verbose=0
    ).history
    assert logs == expected
    assert equal(given.get_weights(), plain.get_weights())
    np.testing.assert_array_equal(given.predict(x), plain.predict(whole))
    np.testing.assert_array_equal(given(x).numpy(), plain(whole).numpy())
    assert given.evaluate(x, LABELS[:40], verbose=0) == plain.evaluate(whole, LABELS[:40], verbose=0)


def test_boolean_inputs_and_targets():
    bits = rng.random((40, 4)) < 0.5
    given, plain = network(BCE, "sigmoid", 4), network(BCE, "sigmoid", 4)
    histories = [
        m.fit(x, y, shuffle=False, verbose=0).history
        for m, x, y in ((given, bits, ~bits), (plain, bits * 1.0, 1.0 - bits))
    ]
    assert histories[0] == histories[1]
    assert equal(given.get_weights(), plain.get_weights())


@pytest.mark.parametrize(
    "labels", [LABELS.astype("uint8"), LABELS * 1.0, LABELS[:, None], LABELS.tolist(), LABELS[::-1].copy()[::-1]]
)
def test_labels_of_all_kinds(labels):
    given, plain = network(), network()
    given.fit(X, labels, shuffle=False, verbose=0)
    plain.fit(X, LABELS, shuffle=False, verbose=0)
    assert equal(given.get_weights(), plain.get_weights())


def test_data_are_never_written_to():
    x, y, w = X.copy(), ONE_HOT.copy(), np.ones(60, "float32")
    for array in (x, y, w):
        array.flags.writeable = False
    network(CCE).fit(x, y, sample_weight=w, class_weight={0: 2.0}, epochs=2, validation_split=0.1, verbose=0)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, ONE_HOT)
    assert (w == 1).all()


def test_one_column_may_be_flat():
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((1,)), Dense(1)])
    model.compile("sgd", "mse")
    x = np.linspace(0, 1, 10)
    flat = model.fit(x, 2 * x, shuffle=False, verbose=0).history
    assert model.predict(x).shape == (10, 1)
    nb.set_random_seed(0)
    again = nb.Sequential([nb.Input((1,)), Dense(1)])
    again.compile("sgd", "mse")
    assert again.fit(x[:, None], 2 * x[:, None], shuffle=False, verbose=0).history == flat


def test_images():
    """uint8 images (n, h, w) through Flatten; Reshape; a Dense on the last axis."""
    images = rng.integers(0, 256, (30, 5, 6), dtype="uint8")
    labels = rng.integers(0, 3, 30)

    def train(x, *front):
        nb.set_random_seed(2)
        model = nb.Sequential([*front, Dense(8, "relu"), Dense(3, "softmax")])
        model.compile(nb.optimizers.SGD(1e-3), SCCE)
        model.fit(x, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
        return model.get_weights(), model.predict(x)

    flat = train(images.reshape(30, 30), nb.Input((30,)))
    for front in ((nb.Input((5, 6)), Flatten()), (nb.Input((5, 6)), Reshape((3, 10)), Reshape((-1,))), (Flatten(),)):
        weights, predicted = train(images, *front)
        assert equal(weights, flat[0])
        np.testing.assert_array_equal(predicted, flat[1])


def test_outputs_with_more_axes():
    x, y = rng.normal(size=(12, 5, 4)), rng.normal(size=(12, 5, 2))

    def make(shape):
        nb.set_random_seed(0)
        model = nb.Sequential([nb.Input(shape), Dense(6, "tanh", dtype="float64"), Dense(2, dtype="float64")])
        model.compile(nb.optimizers.SGD(0.1), "mse", ["mae"])
        return model

    deep, flat = make((5, 4)), make((4,))
    logs = deep.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    expected = flat.fit(x.reshape(60, 4), y.reshape(60, 2), batch_size=20, epochs=2, shuffle=False, verbose=0).history
    close([logs["loss"], logs["mae"]], [expected["loss"], expected["mae"]], 1e-12)
    close(deep.get_weights(), flat.get_weights(), 1e-12, 1e-14)
    assert deep.predict(x, batch_size=5).shape == (12, 5, 2)
    assert deep.output_shape == (None, 5, 2)
    np.testing.assert_allclose(deep.predict(x, batch_size=5).reshape(60, 2), flat.predict(x.reshape(60, 4)), rtol=1e-12)


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
    loss_fn = nb.losses.get(loss)
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


# ---- weights -------------------------------------------------------------------------------------------------


def test_weights_come_in_keras_order():
    model = nb.Sequential([nb.Input((4,)), Dense(3), Dropout(0.5), Dense(2, use_bias=False), Dense(5)])
    weights = model.get_weights()
    assert [w.shape for w in weights] == [(4, 3), (3,), (3, 2), (2, 5), (5,)]
    assert model.count_params() == 12 + 3 + 6 + 10 + 5
    assert [w.name.split("/")[1] for w in model.weights] == ["kernel", "bias", "kernel", "kernel", "bias"]
    assert not any(np.shares_memory(a, p.numpy()) for a, p in zip(weights, model.weights, strict=True))
    model.set_weights([np.full(w.shape, i) for i, w in enumerate(weights)])
    assert [w.ravel()[0] for w in model.get_weights()] == [0, 1, 2, 3, 4]
    assert [w.dtype for w in model.get_weights()] == [np.float32] * 5
    assert equal(model.layers[3].get_weights(), model.get_weights()[3:])


def test_set_weights_refuses_what_does_not_fit():
    model = network()
    before = model.get_weights()
    for wrong, words in [
        (before[:3], "has 4 arrays, got 3"),
        ([*before[:3], before[0]], r"output/bias has shape \(3,\), got \(4, 8\)"),
        ([*before[:3], before[3][:, None]], r"has shape \(3,\), got \(3, 1\)"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.set_weights(wrong)
    with pytest.raises(TypeError, match="wants real numbers"):
        model.set_weights([*before[:3], np.array(["a", "b", "c"])])
    assert equal(before, model.get_weights())


def test_set_weights_after_training():
    model, other = network(optimizer="adam"), network(optimizer="adam")
    model.fit(X, LABELS, verbose=0)
    other.predict(X)
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_frozen_layers_stay_put(optimizer):
    model = network(optimizer=optimizer)
    model.get_layer("hidden").trainable = False
    model.compile(optimizer, SCCE)
    assert [w.shape for w in model.trainable_weights] == [(8, 3), (3,)]
    assert [w.shape for w in model.non_trainable_weights] == [(4, 8), (8,)]
    before = model.get_weights()
    model.fit(X, LABELS, epochs=3, verbose=0)
    after = model.get_weights()
    assert equal(before[:2], after[:2])
    assert not np.array_equal(before[2], after[2])
    # What is left trains as it would alone.
    head = nb.Sequential([nb.Input((8,)), Dense(3, "softmax")])
    head.set_weights(before[2:])
    head.compile(optimizer, SCCE)
    features = nb.Sequential([nb.Input((4,)), Dense(8, "tanh")])
    features.set_weights(before[:2])
    model.set_weights(before)
    model.compile(optimizer, SCCE)
    model.fit(X, LABELS, epochs=3, shuffle=False, verbose=0)
    head.fit(features.predict(X), LABELS, epochs=3, shuffle=False, verbose=0)
    close(model.get_weights()[2:], head.get_weights(), 1e-5, 1e-7)


def test_thawing_after_compile_needs_a_new_optimizer():
    model = network()
    model.fit(X, LABELS, verbose=0)
    model.get_layer("hidden").trainable = False
    with pytest.raises(ValueError, match="has trained other parameters; make a new one"):
        model.fit(X, LABELS, verbose=0)
    model.compile("sgd", SCCE)
    model.fit(X, LABELS, verbose=0)


def test_a_frozen_model_does_not_train():
    model = network()
    model.trainable = False
    assert model.trainable_weights == []
    model.compile("sgd", SCCE)
    with pytest.raises(ValueError, match="has no trainable weights"):
        model.fit(X, LABELS, verbose=0)
    assert model.evaluate(X, LABELS, verbose=0) > 0
    frozen = nb.Sequential([nb.Input((4,)), Dense(2)], trainable=False)
    assert frozen.trainable_weights == []


# ---- the stack of layers -------------------------------------------------------------------------------------


def test_without_an_input_the_model_is_built_by_data():
    for use in (
        lambda m: m.predict(X),
        lambda m: m(X),
        lambda m: m.fit(X, LABELS, verbose=0),
        lambda m: m.train_on_batch(X, LABELS),
    ):
        model = nb.Sequential([Dense(8, "relu"), Dense(3, "softmax")])
        model.compile("sgd", SCCE)
        assert model.get_weights() == []
        assert not model.built
        with pytest.raises(ValueError, match="is not built: give it an Input"):
            _ = model.input_shape
        use(model)
        assert model.built
        assert model.input_shape == (None, 4)
        assert model.output_shape == (None, 3)
        assert len(model.get_weights()) == 4
        with pytest.raises(ValueError, match="x has 5 columns, the model wants 4"):
            model.predict(np.ones((2, 5)))


def test_an_input_shape_on_the_first_layer():
    model = nb.Sequential([Dense(3, input_shape=(4,))])
    assert model.input_shape == (None, 4)
    assert model.count_params() == 15


def test_a_failed_build_leaves_the_model_unbuilt():
    model = nb.Sequential([Reshape((2, 3)), Flatten(), Dense(2)])
    with pytest.raises(ValueError, match="target_shape"):
        model.predict(np.ones((3, 5)))
    assert model.predict(np.ones((3, 6))).shape == (3, 2)


def test_add_and_pop():
    model = nb.Sequential(name="stack")
    model.add(nb.Input((4,)))
    model.add(Dense(8, "relu", name="a"))
    model.add(Dense(3, "softmax", name="b"))
    assert model.output_shape == (None, 3)
    assert [layer.name for layer in model.layers] == ["a", "b"]
    model.compile("sgd", SCCE, ["accuracy"])
    model.fit(X, LABELS, verbose=0)
    hidden = nb.Sequential([nb.Input((4,)), Dense(8, "relu")])
    hidden.set_weights(model.get_weights()[:2])
    assert model.predict(X).shape == (60, 3)
    popped = model.pop()
    assert popped.name == "b"
    np.testing.assert_array_equal(model.predict(X), hidden.predict(X))
    model.add(Dense(1, "sigmoid", name="c"))
    model.compile("sgd", BCE, ["accuracy"])
    loss, accuracy = model.evaluate(X, COLUMN, verbose=0)
    assert accuracy == pytest.approx(((model.predict(X) > 0.5) == COLUMN).mean())
    model.fit(X, COLUMN, verbose=0)
    assert model.evaluate(X, COLUMN, verbose=0)[0] < loss
    for _ in range(3):
        model.pop()
    assert not model.built
    with pytest.raises(ValueError, match="pop: the model has no layers"):
        model.pop()
    model.add(Dense(2))
    assert model.predict(np.ones((3, 7))).shape == (3, 2)


def test_evaluation_sees_that_layers_were_popped():
    model = nb.Sequential([nb.Input((4,)), Dense(3), Dense(3)])
    model.compile("sgd", "mse")
    before = model.evaluate(X, ONE_HOT, verbose=0)
    model.pop()
    assert model.evaluate(X, ONE_HOT, verbose=0) == pytest.approx(((model.predict(X) - ONE_HOT) ** 2).mean(), rel=1e-5)
    assert model.evaluate(X, ONE_HOT, verbose=0) != before


def test_a_model_in_a_model():
    inner = nb.Sequential([nb.Input((4,)), Dense(8, "tanh"), Dropout(0.5), Dense(5)], name="inner")
    outer = nb.Sequential([nb.Input((4,)), inner, Dense(3, "softmax")])
    outer.compile("adam", SCCE)
    assert len(outer.get_weights()) == 6
    before = outer.get_weights()
    outer.fit(X, LABELS, epochs=2, verbose=0)
    assert all((a != b).any() for a, b in zip(before, outer.get_weights(), strict=True))
    np.testing.assert_array_equal(outer.predict(X), outer(X).numpy())
    with nb.Tape() as tape:
        outer(X, training=True)
    assert [mask.shape for mask in tape.masks.values()] == [(60, 8)]
    # Programs of the outer model know when the inner one changes.
    flat = nb.Sequential([nb.Input((4,)), inner])
    assert flat.predict(X).shape == (60, 5)
    inner.pop()
    assert flat.predict(X).shape == (60, 8)


def test_layers_that_cannot_be_added():
    model = network()
    weights = model.get_weights()
    for layer, error, words in [
        ("dense", TypeError, "layer: a Sequential is made of layers, got 'dense'"),
        (Dense(2, name="hidden"), ValueError, "has a layer named 'hidden' already"),
        (model.layers[0], ValueError, "has a layer named 'hidden' already"),
        (nb.Input((4,)), ValueError, "an Input comes first"),
        (Reshape((7,)), ValueError, r"target_shape: \(7,\) does not fit samples of shape \(3,\)"),
    ]:
        with pytest.raises(error, match=words):
            model.add(layer)
        assert [layer.name for layer in model.layers] == ["hidden", "output"]
    assert equal(weights, model.get_weights())
    model.fit(X, LABELS, verbose=0)


def test_get_layer():
    model = network()
    assert model.get_layer("output") is model.get_layer(index=1) is model.get_layer(index=-1) is model.layers[1]
    with pytest.raises(ValueError, match=r"has no layer 'other'; it has \['hidden', 'output'\]"):
        model.get_layer("other")
    for index in (2, -3):
        with pytest.raises(ValueError, match=f"index: .* has 2 layers, got {index}"):
            model.get_layer(index=index)


def test_summary(capsys):
    model = nb.Sequential(
        [nb.Input((64,)), Dense(128, "relu", name="a"), Dropout(0.5, name="b"), Dense(10, name="c")], name="net"
    )
    model.layers[0].trainable = False
    model.summary()
    expected = """\
Model: "net"
──────────────────────────────────────────
Layer (type)   Output Shape        Param #
──────────────────────────────────────────
a (Dense)      (None, 128)           8,320
b (Dropout)    (None, 128)               0
c (Dense)      (None, 10)            1,290
──────────────────────────────────────────
Total params: 9,610 (37.54 KB)
Trainable params: 1,290 (5.04 KB)
Non-trainable params: 8,320 (32.50 KB)
"""
    printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines() if "─" not in line] == [
        line.split() for line in expected.splitlines() if "─" not in line
    ]
    assert len({len(line) for line in printed.splitlines()[1:8]}) == 1
    lines = []
    model.summary(print_fn=lines.append)
    assert "\n".join(lines) == printed.rstrip("\n")


def test_summary_of_an_unbuilt_model(capsys):
    nb.Sequential([Dense(3, name="a")], name="net").summary()
    printed = capsys.readouterr().out
    assert "a (Dense)" in printed
    assert "0 (unbuilt)" in printed
    assert "Total params: 0 (0.00 B)" in printed


def test_repr():
    assert repr(nb.Sequential(name="net")) == "<Sequential name='net'>"
    assert repr(Dense(2, name="d")) == "<Dense name='d'>"


# ---- compile -------------------------------------------------------------------------------------------------


def test_compile_again():
    """It resets the optimizer, and changes loss and metrics."""
    model, fresh = network("mse", None, optimizer="adam"), network("mae", None, optimizer="adam")
    model.fit(X, ONE_HOT, verbose=0)
    model.set_weights(fresh.get_weights())
    model.compile("adam", "mae", ["mse"])
    logs = model.fit(X, ONE_HOT, epochs=2, shuffle=False, verbose=0).history
    assert list(logs) == ["loss", "mse"]
    assert logs["loss"] == fresh.fit(X, ONE_HOT, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert equal(model.get_weights(), fresh.get_weights())
    assert list(model.evaluate(X, ONE_HOT, verbose=0, return_dict=True)) == ["loss", "mse"]


def test_a_failed_compile_changes_nothing():
    model = network(metrics=["accuracy"])
    optimizer, loss = model.optimizer, model.loss
    for arguments in (
        ("adam", "nonsense"),
        ("nonsense", "mse"),
        ("adam", "mse", ["nonsense"]),
        ("adam", SCCE, ["mse"]),
    ):
        with pytest.raises(ValueError, match=r"is not known|wants targets"):
            model.compile(*arguments)
        assert model.optimizer is optimizer
        assert model.loss is loss
    assert len(model.evaluate(X, LABELS, verbose=0)) == 2


def test_compile_takes_names_classes_objects_and_configs():
    for optimizer in ("adam", "Adam", nb.optimizers.Adam, nb.optimizers.Adam(), {"class_name": "Adam", "config": {}}):
        model = network(optimizer=optimizer)
        assert type(model.optimizer) is nb.optimizers.Adam
    for loss in (SCCE, "SparseCategoricalCrossentropy", nb.losses.SparseCategoricalCrossentropy):
        assert type(network(loss).loss) is nb.losses.SparseCategoricalCrossentropy


# ---- programs ------------------------------------------------------------------------------------------------


def test_programs_are_written_once(monkeypatch):
    written = []
    lower = programs.lower
    monkeypatch.setattr(programs, "lower", lambda *args: written.append(args) or lower(*args))
    model = network()
    for _ in range(3):
        model.fit(X, LABELS, batch_size=25, epochs=2, validation_split=0.5, verbose=0)
        model.predict(X)
        model.evaluate(X, LABELS, verbose=0)
    # Training: 25 and 5 rows; validation: 25 and 5; predict: 60; evaluate: 60.
    assert len(written) == 6


def test_forgotten_programs_are_written_again():
    model = network()
    expected = model(X).numpy()
    for size in [*range(1, 50), 1, 2]:
        np.testing.assert_allclose(model.predict(X, batch_size=size), expected, rtol=1e-5, atol=1e-7)


def test_models_that_share_a_layer():
    """Parameters move between blocks of memory; each model trains the layer where it is."""

    def make():
        nb.set_random_seed(4)
        shared = Dense(8, "tanh", dtype="float64", name="shared")
        models = [
            nb.Sequential([nb.Input((4,)), shared, Dense(3, "softmax", dtype="float64", name=f"head{i}")])
            for i in range(2)
        ]
        for model in models:
            model.compile(nb.optimizers.SGD(0.1, momentum=0.9), SCCE)
        return models

    first, second = make()
    targets = LABELS, (LABELS + 1) % 3
    state = [np.zeros_like(w) for model in (first, second) for w in model.get_weights()]
    reference = make()
    for round_ in range(4):
        for i, model in enumerate((first, second)):
            rows = slice(10 * round_, 10 * round_ + 20)
            model.train_on_batch(X[rows], targets[i][rows])
            model.predict(X)
            # The same by hand: no block, no optimizer.
            twin = reference[i]
            with nb.Tape() as tape:
                loss = twin.loss(targets[i][rows], twin(X[rows]))
            for k, (p, g) in enumerate(zip(twin.weights, tape.gradient(loss, twin.weights), strict=True)):
                state[4 * i + k] = 0.9 * state[4 * i + k] - 0.1 * g.numpy()
                p.assign(p.numpy() + state[4 * i + k])
    for model, twin in zip((first, second), reference, strict=True):
        close(model.get_weights(), twin.get_weights(), 1e-12, 1e-14)
        np.testing.assert_allclose(model.predict(X), twin.predict(X), rtol=1e-12)
    assert equal(first.get_weights()[:2], second.get_weights()[:2])


def test_one_optimizer_trains_one_model():
    optimizer = nb.optimizers.SGD()
    network(optimizer=optimizer).fit(X, LABELS, verbose=0)
    other = network(optimizer=optimizer)
    before = other.get_weights()
    with pytest.raises(ValueError, match="SGD: this optimizer has trained other parameters; make a new one"):
        other.fit(X, LABELS, verbose=0)
    assert equal(before, other.get_weights())


# ---- verbose -------------------------------------------------------------------------------------------------


def test_verbose(capsys):
    model = network(metrics=["accuracy"])

    def printed(use):
        use()
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    for silent in (0, "auto", False):
        assert printed(lambda v=silent: model.fit(X, LABELS, verbose=v)) == ""
        assert printed(lambda v=silent: model.evaluate(X, LABELS, verbose=v)) == ""
        assert printed(lambda v=silent: model.predict(X, verbose=v)) == ""
    assert printed(lambda: model.predict(X)) == ""
    lines = printed(lambda: model.fit(X, LABELS, epochs=2, verbose=2, validation_split=0.5)).splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Epoch 2/2 - ")
    assert "val_accuracy: " in lines[1]
    bar = printed(lambda: model.fit(X, LABELS, epochs=2, batch_size=16, verbose=1))
    assert "Epoch 1/2" in bar
    assert "4/4" in bar
    assert "accuracy: " in bar
    assert printed(lambda: model.evaluate(X, LABELS, batch_size=16, verbose=2)).startswith("4/4 - ")
    assert "4/4" in printed(lambda: model.predict(X, batch_size=16, verbose=1))
