"""Models: fit, evaluate, predict, compile, and what Keras users expect of them."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import Dense
from nbnet.train import step_builder
from tests.networks import CCE, LABELS, ONE_HOT, SCCE, X, close, equal, network, rng

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


# ---- compile -------------------------------------------------------------------------------------------------


def test_compile_again():
    """It resets the optimizer, and changes loss and metrics."""
    model, fresh = network("mse", None, optimizer="adam"), network("mae", None, optimizer="adam")
    model.fit(X, ONE_HOT, verbose=0)
    model.set_weights(fresh.get_weights())
    model.compile("adam", "mae", metrics=["mse"])
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
        ("adam", "mse", None, ["nonsense"]),
        ("adam", SCCE, None, ["mse"]),
    ):
        with pytest.raises(ValueError, match=r"is not known|reads targets"):
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
    lower = step_builder.lower
    monkeypatch.setattr(step_builder, "lower", lambda *args: written.append(args) or lower(*args))
    model = network()
    for _ in range(3):
        model.fit(X, LABELS, batch_size=25, epochs=2, validation_split=0.5, verbose=0)
        model.predict(X)
        model.evaluate(X, LABELS, verbose=0)
    # Training: 25 and 5 rows; validation: 25 and 5; predict: 32 and 28; evaluate: 32 and 28.
    assert len(written) == 8


def test_run_eagerly_may_be_assigned():
    model = network()
    assert not model.run_eagerly
    with pytest.raises(TypeError, match="run_eagerly: expected True or False, got 1"):
        model.run_eagerly = 1
    model.run_eagerly = True
    rows: list[int] = []
    model.train_step = lambda data: rows.append(len(data[0])) or type(model).train_step(model, data)
    model.fit(X, LABELS, batch_size=25, verbose=0)
    assert rows == [25, 25, 10]


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

    for silent in (0, np.int64(0), False):
        assert printed(lambda v=silent: model.fit(X, LABELS, verbose=v)) == ""
        assert printed(lambda v=silent: model.evaluate(X, LABELS, verbose=v)) == ""
        assert printed(lambda v=silent: model.predict(X, verbose=v)) == ""
    assert re.fullmatch(r"2/2 - \d+[mu]s - \d+[mu]s/step\n", printed(lambda: model.predict(X)))
    assert printed(lambda: model.fit(X, LABELS)).count("\n") == 1
    assert "loss: " in printed(lambda: model.evaluate(X, LABELS))
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
