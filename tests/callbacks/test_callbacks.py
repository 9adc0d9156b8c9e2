"""Callbacks: which hooks are called when, and what the ready-made ones do."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import nbnet as nb


def data(n=40):
    x = np.random.default_rng(0).normal(size=(n, 3)).astype("float32")
    return x, x @ np.array([[1.0], [-2.0], [0.5]], "float32")


def model(optimizer="sgd", **compile_args):
    nb.set_random_seed(1)
    made = nb.Sequential([nb.Input((3,)), nb.layers.Dense(1)])
    made.compile(optimizer, "mse", **compile_args)
    return made


class Recorder(nb.callbacks.Callback):
    """Notes the hooks it is called by."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append("train")

    def on_train_end(self, logs=None):
        self.seen.append(("end", sorted(logs)))

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((epoch, sorted(logs)))

    def on_test_begin(self, logs=None):
        self.seen.append("test")


class Batches(nb.callbacks.Callback):
    """Wants every batch."""

    def __init__(self):
        super().__init__()
        self.began, self.ended = [], []

    def on_batch_begin(self, batch, logs=None):
        self.began.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.ended.append((batch, logs["loss"]))


def test_epoch_hooks_in_order():
    x, y = data()
    seen = Recorder()
    model().fit(x, y, epochs=2, callbacks=seen, validation_data=(x, y))
    names = ["loss", "val_loss"]
    assert seen.seen == ["train", 0, "test", (0, names), 1, "test", (1, names), ("end", names)]
    assert seen.params["epochs"] == 2
    assert seen.params["steps"] == 2


def test_batch_hooks_get_every_batch_and_change_nothing():
    x, y = data()
    watched, plain, seen = model(), model(), Batches()
    a = watched.fit(x, y, batch_size=16, epochs=2, shuffle=False, callbacks=[seen])
    b = plain.fit(x, y, batch_size=16, epochs=2, shuffle=False)
    assert seen.began == [0, 1, 2] * 2
    assert [n for n, _ in seen.ended] == [0, 1, 2] * 2
    assert seen.ended[-1][1] == pytest.approx(a.history["loss"][-1])
    assert a.history["loss"] == pytest.approx(b.history["loss"], rel=1e-6)
    for v, w in zip(watched.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(v, w)


class Noted(nb.callbacks.LambdaCallback):
    """Has a hook of its own beside those it is given."""

    seen: list[int]

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(batch)


def test_batch_hooks_that_are_set_on_a_callback():
    x, y = data()
    began: list[int] = []
    own, noted = nb.callbacks.Callback(), Noted(on_epoch_end=None)
    own.on_train_batch_begin = lambda batch, logs=None: began.append(batch)
    noted.seen = []
    for callback in (own, noted):
        model().fit(x, y, batch_size=16, callbacks=[callback])
    assert began == noted.seen == [0, 1, 2]


class Evaluations(nb.callbacks.Callback):
    """Wants every batch of evaluations and predictions."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_test_batch_begin(self, batch, logs=None):
        self.seen.append(("begin", batch))

    def on_test_batch_end(self, batch, logs=None):
        self.seen.append(("end", batch, logs["loss"]))

    def on_predict_batch_begin(self, batch, logs=None):
        self.seen.append(("begin", batch))

    def on_predict_batch_end(self, batch, logs=None):
        self.seen.append(("end", batch, logs["outputs"].shape))


@pytest.mark.parametrize("streamed", [False, True])
def test_batch_hooks_of_evaluation_and_prediction(streamed):
    x, y = data()
    net, seen = model(metrics=["mae", nb.metrics.R2Score()]), Evaluations()
    parts = [slice(k, k + 16) for k in range(0, len(x), 16)]
    given = {"x": ((x[part], y[part]) for part in parts)} if streamed else {"x": x, "y": y, "batch_size": 16}
    watched = net.evaluate(**given, callbacks=[seen], return_dict=True)
    plain = net.evaluate(x, y, return_dict=True)
    assert watched == pytest.approx(plain, rel=1e-5)
    assert [entry[:2] for entry in seen.seen] == [(when, k) for k in range(3) for when in ("begin", "end")]
    assert seen.seen[-1][2] == pytest.approx(plain["loss"], rel=1e-5)
    seen.seen.clear()
    given = {"x": (x[part] for part in parts)} if streamed else {"x": x, "batch_size": 16}
    np.testing.assert_allclose(net.predict(**given, callbacks=[seen]), net.predict(x), rtol=1e-5)
    assert [entry[2] for entry in seen.seen if entry[0] == "end"] == [(16, 1), (16, 1), (8, 1)]


def test_batch_hooks_of_validation():
    x, y = data()
    seen = Evaluations()
    history = model().fit(x, y, epochs=2, validation_split=0.5, validation_batch_size=15, callbacks=[seen])
    assert [entry[1] for entry in seen.seen if entry[0] == "end"] == [0, 1] * 2
    assert seen.seen[-1][2] == pytest.approx(history.history["val_loss"][-1])


def test_early_stopping_restores_the_best_weights():
    x, y = data()
    net = model(nb.optimizers.SGD(learning_rate=5.0))  # diverges: the first epoch is the best
    weights = []
    note = nb.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(net.get_weights()))
    stop = nb.callbacks.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    history = net.fit(x, y, epochs=20, callbacks=[note, stop], validation_data=(x, y))
    best = int(np.argmin(history.history["val_loss"]))
    assert len(history.epoch) == best + 3
    assert stop.stopped_epoch == best + 2
    np.testing.assert_array_equal(net.get_weights()[0], weights[best][0])


def test_learning_rate_callbacks():
    x, y = data()
    net, rates = model(), []
    halve = nb.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    note = nb.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(net.optimizer.learning_rate))
    history = net.fit(x, y, epochs=3, callbacks=[halve, note]).history
    assert rates == history["learning_rate"] == pytest.approx([0.005, 0.0025, 0.00125])
    assert net.history.history is history
    plateau = nb.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.1, patience=1, min_delta=1e9, min_lr=1e-4)
    # That of each epoch, as it was before it was reduced at the end of the second.
    rates = net.fit(x, y, epochs=4, initial_epoch=1, callbacks=[plateau]).history["learning_rate"]
    assert rates == pytest.approx([0.00125, 0.00125, 0.000125])
    net.fit(x, y, epochs=8, initial_epoch=4, callbacks=[plateau])
    assert net.optimizer.learning_rate == pytest.approx(1e-4)


@pytest.mark.parametrize("rate", [np.float32(0.5), np.array([0.5]), nb.ops.exp(np.log(0.5)), 0.5])
def test_a_schedule_may_return_any_number(rate):
    x, y = data()
    net = model()
    net.fit(x, y, callbacks=[nb.callbacks.LearningRateScheduler(lambda epoch, before: rate)])
    assert net.optimizer.learning_rate == pytest.approx(0.5)


@pytest.mark.parametrize("rate", [None, "0.5", True, [0.1, 0.2]])
def test_a_schedule_must_return_a_number(rate):
    x, y = data()
    with pytest.raises(TypeError, match="schedule: expected a function that returns a number"):
        model().fit(x, y, callbacks=[nb.callbacks.LearningRateScheduler(lambda epoch, before: rate)])


def test_csv_logger_appends(tmp_path):
    x, y = data()
    path = tmp_path / "log.csv"
    for append in (False, True):
        model().fit(x, y, epochs=2, callbacks=[nb.callbacks.CSVLogger(path, append=append)])
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1", "0", "1"]
    assert float(rows[0]["loss"]) > float(rows[1]["loss"])


def test_terminate_on_nan_stops_within_the_epoch():
    x, y = data()
    net = model(nb.optimizers.SGD(learning_rate=1e30))
    history = net.fit(x, y, batch_size=4, epochs=5, callbacks=[nb.callbacks.TerminateOnNaN()])
    assert len(history.epoch) == 1
    assert net.optimizer.iterations < 10
    net = model(nb.optimizers.SGD(learning_rate=1e30))
    with pytest.raises(RuntimeError, match=r"Batch \d: the loss is"):
        net.fit(x, y, batch_size=4, callbacks=[nb.callbacks.TerminateOnNaN(raise_error=True)])


def test_metrics_of_a_whole_epoch_and_finished_means():
    x, y = data()
    net = model(metrics=[nb.metrics.RootMeanSquaredError(), nb.metrics.R2Score(), "mae"])
    history = net.fit(x, y, epochs=1, validation_data=(x, y)).history
    assert list(history) == [
        p + n for p in ("", "val_") for n in ("loss", "root_mean_squared_error", "r2_score", "mae")
    ]
    error = y - net.predict(x)
    assert history["val_root_mean_squared_error"][0] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)
    assert history["val_r2_score"][0] == pytest.approx(1 - np.sum(error**2) / np.sum((y - y.mean()) ** 2), rel=1e-5)
    frozen = model(nb.optimizers.SGD(learning_rate=0.0), metrics=[nb.metrics.R2Score()])
    seen = frozen.fit(x, y, epochs=1).history["r2_score"][0]
    error = y - frozen.predict(x)
    assert seen == pytest.approx(1 - np.sum(error**2) / np.sum((y - y.mean()) ** 2), rel=1e-5)


def test_a_schedule_written_in_python_is_followed_in_compiled_training():
    class Halving(nb.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 * 0.5**step

        def get_config(self):
            return {}

    x, y = data()
    scheduled = model(nb.optimizers.SGD(learning_rate=Halving()))
    by_hand = model(nb.optimizers.SGD(learning_rate=0.1))
    scheduled.fit(x, y, batch_size=10, epochs=2, shuffle=False)
    for step in range(8):
        by_hand.optimizer.learning_rate = 0.1 * 0.5**step
        rows = slice(step % 4 * 10, step % 4 * 10 + 10)
        by_hand.train_on_batch(x[rows], y[rows])
    np.testing.assert_allclose(scheduled.get_weights()[0], by_hand.get_weights()[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: nb.callbacks.ReduceLROnPlateau(factor=2.0), ValueError),
        (lambda: nb.callbacks.LambdaCallback(on_nothing=print), TypeError),
        (lambda: model().fit(*data(), callbacks=[print]), TypeError),
        (lambda: nb.callbacks.Callback().model, RuntimeError),
    ],
)
def test_errors(make, error):
    with pytest.raises(error):
        make()


def test_a_missing_entry_is_a_warning():
    with pytest.warns(UserWarning, match="val_loss"):
        model().fit(*data(), epochs=1, callbacks=[nb.callbacks.EarlyStopping()])
