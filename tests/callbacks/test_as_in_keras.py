"""Callbacks do what Keras's do: when training stops, which columns a file has, how hooks are called."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.callbacks import Callback, CSVLogger, EarlyStopping, LambdaCallback, LearningRateScheduler

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = X.sum(1, keepdims=True)


def network(**arguments: Any) -> nb.Sequential:
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(1)])
    model.compile("sgd", "mse", **arguments)
    return model


def epochs_run(stop: EarlyStopping, losses: list[float]) -> int:
    """Number of epochs that a training runs whose logs have these losses."""
    script = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(loss=losses[epoch]))
    return len(network().fit(X, Y, epochs=len(losses), verbose=0, callbacks=[script, stop]).epoch)


# Each as in Keras 3: an epoch that improves never stops the training.
@pytest.mark.parametrize(
    ("arguments", "losses", "epochs"),
    [
        ({"patience": 0}, [5, 4, 3, 2, 1], 5),
        ({"patience": 0}, [5, 4, 4, 2, 1], 3),
        ({"patience": 0}, [5, 6, 4, 2, 1], 2),
        ({"patience": 1}, [5, 4, 5, 3, 4], 3),
        ({"patience": 2}, [5, 6, 6, 1, 1], 3),
        ({"patience": 0, "min_delta": 1.5}, [5, 4, 3, 2, 1], 2),
        ({"patience": 0, "baseline": 3.5}, [5, 4, 3, 2, 1], 5),
        ({"patience": 1, "baseline": 0.5}, [5, 4, 3, 2, 1], 5),
        ({"patience": 2, "baseline": 0.5}, [5, 6, 4, 6, 1], 2),
        ({"patience": 0, "start_from_epoch": 2}, [5, 6, 7, 8, 1], 4),
        ({"patience": 0, "mode": "max"}, [1, 2, 3, 3, 4], 4),
    ],
)
def test_early_stopping(arguments: dict[str, Any], losses: list[float], epochs: int) -> None:
    assert epochs_run(EarlyStopping(monitor="loss", **arguments), losses) == epochs


def rows(path: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_column_that_begins_later(separator: str, tmp_path: Any) -> None:
    path = tmp_path / "log.csv"
    logger = CSVLogger(path, separator=separator)
    arguments = {"validation_data": (X, Y), "validation_freq": 2, "verbose": 0, "callbacks": [logger]}
    history = network().fit(X, Y, epochs=3, **arguments).history
    found = list(csv.DictReader(path.read_text().splitlines(), delimiter=separator))
    assert [row["val_loss"] for row in found] == ["NA", str(history["val_loss"][0]), "NA"]
    assert [float(row["loss"]) for row in found] == history["loss"]


def test_appended_rows_have_the_columns_of_the_file(tmp_path: Any) -> None:
    path = tmp_path / "log.csv"
    network(metrics=["mae"]).fit(X, Y, verbose=0, callbacks=[CSVLogger(path)])
    network().fit(X, Y, verbose=0, callbacks=[CSVLogger(path, append=True)])
    network().fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[CSVLogger(path, append=True)])
    found = rows(path)
    assert list(found[0]) == ["epoch", "loss", "mae", "val_loss"]
    assert [row["mae"] == "NA" for row in found] == [False, True, True]
    assert [row["val_loss"] == "NA" for row in found] == [True, True, False]
    assert all(None not in row and None not in row.values() for row in found)


def test_a_file_that_is_no_table_is_not_appended_to(tmp_path: Any) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"expected a table with a column 'epoch', .* has \['a', 'b'\]"):
        network().fit(X, Y, verbose=0, callbacks=[CSVLogger(path, append=True)])
    assert path.read_text() == "a,b\n1,2\n"


class Hooks(Callback):
    def __init__(self, stop: str = "") -> None:
        super().__init__()
        self.stop, self.seen, self.logs = stop, [], []
        for name in dir(Callback):
            if name.startswith("on_") and name.endswith("_begin") and not name.startswith("on_batch"):
                setattr(self, name, self.note(name))
        for kind in ("train", "test", "predict"):
            setattr(self, f"on_{kind}_batch_end", self.note(f"on_{kind}_batch_end"))

    def note(self, name: str) -> Any:
        def hook(*arguments: Any) -> None:
            if name.endswith("_batch_end"):
                self.seen.append((name, arguments[0]))
                if self.stop and arguments[0] == 1:
                    setattr(self.model, self.stop, True)
            else:
                self.logs.append(arguments[-1])

        return hook


def test_logs_of_hooks_at_a_begin_are_empty_dicts() -> None:
    hooks, model = Hooks(), network()
    model.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[hooks])
    model.evaluate(X, Y, verbose=0, callbacks=[hooks])
    model.predict(X, verbose=0, callbacks=[hooks])
    assert len(hooks.logs) >= 9
    assert all(logs == {} for logs in hooks.logs)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_evaluation_and_a_prediction_are_stopped_by_a_hook(streamed: bool) -> None:
    model = network()
    x = ((X[k : k + 8], Y[k : k + 8]) for k in range(0, 40, 8)) if streamed else X
    hooks = Hooks("stop_evaluating")
    given = {} if streamed else {"y": Y, "batch_size": 8}
    loss = model.evaluate(x, **given, verbose=0, callbacks=[hooks])
    assert [batch for _, batch in hooks.seen] == [0, 1]
    assert loss == pytest.approx(np.mean((model(X[:16]).numpy() - Y[:16]) ** 2), rel=1e-5)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(np.mean((model(X).numpy() - Y) ** 2), rel=1e-5)
    x = (X[k : k + 8] for k in range(0, 40, 8)) if streamed else X
    hooks = Hooks("stop_predicting")
    found = model.predict(x, **({} if streamed else {"batch_size": 8}), verbose=0, callbacks=[hooks])
    np.testing.assert_allclose(found, model(X[:16]).numpy(), rtol=1e-5)
    assert len(model.predict(X, verbose=0)) == 40


@pytest.mark.parametrize(("every", "ends"), [(1, range(10)), (3, [2, 5, 8, 11]), (10, [9]), (20, [19])])
def test_hooks_of_batches_are_called_once_for_several_steps(every: int, ends: Any) -> None:
    losses = []
    for steps in (1, every):
        hooks, model = Hooks(), network(steps_per_execution=steps)
        losses.append(model.fit(X, Y, batch_size=4, verbose=0, callbacks=[hooks]).history["loss"])
    assert [batch for _, batch in hooks.seen] == list(ends)
    assert losses[0] == losses[1]


@pytest.mark.parametrize("steps", [0, -1, 1.5, "2"])
def test_steps_per_execution_is_checked(steps: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="steps_per_execution"):
        network(steps_per_execution=steps)


@pytest.mark.parametrize("schedule", [lambda epoch: 0.5 / (epoch + 1), lambda epoch, rate: 0.5 / (epoch + 1)])
def test_a_schedule_of_one_or_two_arguments(schedule: Any) -> None:
    history = network().fit(X, Y, epochs=2, verbose=0, callbacks=[LearningRateScheduler(schedule)])
    assert history.history["learning_rate"] == pytest.approx([0.5, 0.25])


class Batches(nb.utils.PyDataset):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        return X[index * 8 : index * 8 + 8], Y[index * 8 : index * 8 + 8]


def test_a_dataset_keeps_its_batches_whatever_batch_size() -> None:
    model = network()
    assert model.fit(Batches(), batch_size=3, verbose=0).params["steps"] == 5
    assert len(model.predict(Batches(), batch_size=3, verbose=0)) == 40
    assert model.evaluate(Batches(), batch_size=3, verbose=0) > 0


def test_a_normalization_adapts_to_a_dataset() -> None:
    one, other = nb.layers.Normalization(), nb.layers.Normalization()
    one.adapt(Batches())
    other.adapt(X)
    np.testing.assert_allclose(one(X).numpy(), other(X).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [({}, "loss: 0.7500 - top: 0.5000"), ({"stateful_metrics": ["loss"]}, "loss: 0.5000 - top: 0.5000"),
     ({"stateless_metrics": ["loss"]}, "loss: 0.7500 - top: 1.0000")],
)  # fmt: skip
def test_progbar(arguments: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    bar = nb.utils.Progbar(2, verbose=2, **arguments)
    bar.add(1, [("loss", 1.0), ("top", 0)])
    bar.update(2, [("loss", np.float32(0.5)), ("top", 1)])
    bar.update(2)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.endswith(f"/step - {line}\n")


# Numbers of Keras 3: a call of several steps ends with the number that was planned.
@pytest.mark.parametrize(
    ("every", "seen"), [(2, "b0 e1 b2 e3"), (3, "b0 e2 b3 e5"), (4, "b0 e3"), (10, "b0 e9")]
)  # fmt: skip
@pytest.mark.parametrize("eager", [False, True])
def test_numbers_of_hooks_where_an_epoch_ends_within_a_call(every: int, seen: str, eager: bool) -> None:
    found: dict[str, list[str]] = {"train": [], "test": [], "predict": []}
    hooks = LambdaCallback()
    for kind, notes in found.items():
        setattr(hooks, f"on_{kind}_batch_begin", lambda batch, logs, notes=notes: notes.append(f"b{batch}"))
        setattr(hooks, f"on_{kind}_batch_end", lambda batch, logs, notes=notes: notes.append(f"e{batch}"))
    model = network(steps_per_execution=every, run_eagerly=eager)
    model.fit(X, Y, batch_size=10, validation_data=(X, Y), verbose=0, callbacks=[hooks])
    model.predict(X, batch_size=10, verbose=0, callbacks=[hooks])
    assert {kind: " ".join(notes) for kind, notes in found.items()} == dict.fromkeys(found, seen)


@pytest.mark.parametrize(("every", "updates"), [(1, 6), (3, 8), (10, 10)])
@pytest.mark.parametrize("eager", [False, True])
def test_a_stop_at_the_begin_of_an_epoch_ends_it_after_its_first_call(every: int, updates: int, eager: bool) -> None:
    model = network(steps_per_execution=every, run_eagerly=eager)

    def stop(epoch: int, logs: Any) -> None:
        model.stop_training = epoch == 1

    history = model.fit(X, Y, batch_size=8, epochs=4, verbose=0, callbacks=[LambdaCallback(on_epoch_begin=stop)])
    assert history.epoch == [0, 1]
    assert model.optimizer.iterations == updates


def test_a_stop_at_the_begin_of_an_evaluation_or_prediction_leaves_one_batch() -> None:
    model = network()

    def stop(logs: Any) -> None:
        model.stop_evaluating = model.stop_predicting = True

    hooks = [LambdaCallback(on_test_begin=stop, on_predict_begin=stop)]
    first = np.mean((model(X[:8]).numpy() - Y[:8]) ** 2)
    assert model.evaluate(X, Y, batch_size=8, verbose=0, callbacks=hooks) == pytest.approx(first, rel=1e-5)
    assert len(model.predict(X, batch_size=8, verbose=0, callbacks=hooks)) == 8
    assert len(model.predict(X, verbose=0)) == 40
    validated = model.fit(X, Y, batch_size=8, validation_data=(X[::-1], Y[::-1]), verbose=0, callbacks=hooks)
    last = np.mean((model(X[::-1][:8]).numpy() - Y[::-1][:8]) ** 2)
    assert validated.history["val_loss"] == [pytest.approx(last, rel=1e-5)]


class Halved(EarlyStopping):
    """Watches half of the loss, computed when the epoch has ended."""

    def get_monitor_value(self, logs: Any) -> Any:
        self.seen = [*getattr(self, "seen", []), self.model.optimizer.iterations]
        return logs["loss"] / 2


class Demanding(EarlyStopping):
    def _is_improvement(self, value: float, reference: float | None) -> bool:
        return reference is None or value < reference * 0.5


@pytest.mark.parametrize(
    ("kind", "patience", "losses", "epochs", "best"),
    [
        (EarlyStopping, 1, [4.0, 1.0, 3.0, 3.0, 3.0], 3, 1.0),
        (Halved, 1, [4.0, 1.0, 3.0, 3.0, 3.0], 3, 0.5),
        (Demanding, 1, [4.0, 3.0, 1.0, 1.0], 2, 4.0),
        (Demanding, 2, [4.0, 3.0, 1.0, 1.0, 1.0, 1.0], 5, 1.0),
    ],
)
def test_helpers_of_early_stopping_are_overridden(
    kind: Any, patience: int, losses: list[float], epochs: int, best: float
) -> None:
    stop = kind(monitor="loss", patience=patience)
    assert epochs_run(stop, losses) == epochs
    assert stop.best == best


def test_an_override_sees_the_model_at_the_end_of_its_epoch() -> None:
    stop, model = Halved(monitor="loss", patience=50), network()
    model.fit(X, Y, epochs=20, verbose=0, callbacks=[stop])
    assert stop.seen == list(range(2, 42, 2))


def test_what_scripts_read_of_callbacks() -> None:
    own = LambdaCallback(on_epoch_end=None, limit=3, check=lambda: "checked")
    assert (own.limit, own.check()) == (3, "checked")  # type: ignore[attr-defined]
    for mistake in ({"on_epochs_end": print}, {"on_epoch_end": 3}):
        with pytest.raises(TypeError, match="on_epoch"):
            LambdaCallback(**mistake)
    for monitor, comparison in (("val_accuracy", nb.ops.greater), ("val_loss", nb.ops.less)):
        assert EarlyStopping(monitor=monitor).monitor_op is comparison
    model = network()
    model.fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: 0.25)])
    assert model.optimizer.learning_rate.value == 0.25  # type: ignore[attr-defined]
    assert nb.utils.is_interactive_logging_enabled is nb.config.is_interactive_logging_enabled


def test_logs_of_a_batch_have_every_metric() -> None:
    """Those of the whole epoch so far, too: of built-in metrics, and of one that the user's class never resets."""

    class Lasting(nb.metrics.MeanSquaredError):
        def reset_state(self) -> None:
            pass

    seen: list[Any] = []

    class Reads(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append((logs["lasting"], "auc" in logs, logs.get("auc"), logs.get("none", 7), len(logs), dict(logs)))

    model, labels = network(), (Y > 0).astype("float32")
    model.compile("sgd", "mse", metrics=[Lasting("lasting"), nb.metrics.AUC(), nb.metrics.MeanSquaredError("mse")])
    history = model.fit(X, labels, batch_size=8, epochs=1, shuffle=False, verbose=0, callbacks=[Reads()]).history
    for lasting, known, auc, missing, count, logs in seen:
        assert list(logs) == ["loss", "lasting", "auc", "mse"]
        assert (known, auc, missing, count) == (True, logs["auc"], 7, 4)
        assert lasting == pytest.approx(logs["mse"]) == logs["loss"]
    assert {name: values[-1] for name, values in history.items()} == seen[-1][-1]
    again = model.fit(X, labels, epochs=1, verbose=0).history
    assert again["lasting"][0] == pytest.approx((history["mse"][0] + again["mse"][0]) / 2)


def test_a_metric_may_be_a_constant_and_a_loss_know_no_mode() -> None:
    class Older(nb.Sequential):
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
            return 2 * super().compute_loss(x, y, y_pred, sample_weight)

    for kind, factor in ((nb.Sequential, 1), (Older, 2)):
        model = kind([nb.Input((3,)), nb.layers.Dense(1, kernel_initializer="zeros")])
        model.compile("sgd", "mse", metrics=[lambda t, p: 0.0, lambda t, p: 1])
        scores = model.evaluate(X, np.ones_like(Y), verbose=0)
        assert scores == [factor, 0.0, 1.0]


def test_nothing_is_the_best_before_a_training() -> None:
    stop = EarlyStopping(monitor="loss", restore_best_weights=True)
    assert stop.best is None
    network().fit(X, Y, epochs=2, verbose=0, callbacks=[stop])
    assert stop.best > 0
    assert [w.shape for w in stop.best_weights] == [(3, 1), (1,)]


def test_an_override_decides_when_the_learning_rate_falls() -> None:
    class Stern(nb.callbacks.ReduceLROnPlateau):
        def _is_improvement(self, value: float, reference: float | None) -> bool:
            return False

    model = network()
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[Stern(monitor="loss", patience=1, factor=0.5)])
    assert model.optimizer.learning_rate == pytest.approx(0.01 * 0.5**3)


@pytest.mark.parametrize("save_freq", ["epoch", 2])
def test_an_override_saves_in_place_of_a_checkpoint(save_freq: Any, tmp_path: Any) -> None:
    saved: list[Any] = []

    class Noted(nb.callbacks.ModelCheckpoint):
        def _save_model(self, epoch: int, batch: int | None, logs: Any) -> None:
            saved.append((epoch, batch))
            if epoch == 1:
                super()._save_model(epoch, batch, logs)

    keep = Noted(tmp_path / "m{epoch}.nbnet", monitor="loss", save_freq=save_freq)
    network().fit(X, Y, batch_size=10, epochs=3, verbose=0, callbacks=[keep])
    each = [None] if save_freq == "epoch" else [1, 3]
    assert saved == [(epoch, batch) for epoch in range(3) for batch in each]
    assert [path.name for path in tmp_path.iterdir()] == ["m2.nbnet"]


def test_an_override_decides_what_a_checkpoint_takes_for_better(tmp_path: Any) -> None:
    class Third(nb.callbacks.ModelCheckpoint):
        def _is_improvement(self, value: float, reference: float | None) -> bool:
            return value == 3.0

    keep = Third(tmp_path / "m{epoch}.nbnet", monitor="loss", save_best_only=True)
    script = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(loss=float(epoch)))
    network().fit(X, Y, epochs=5, verbose=0, callbacks=[script, keep])
    assert [path.name for path in tmp_path.iterdir()] == ["m4.nbnet"]
    assert keep.best == 3.0


@pytest.mark.parametrize(("every", "files"), [(1, ["m2", "m4"]), (2, ["m2", "m4"]), (3, ["m3", "m6"])])
def test_a_checkpoint_counts_batches_not_calls(every: int, files: list[str], tmp_path: Any) -> None:
    keep = nb.callbacks.ModelCheckpoint(tmp_path / "m{batch}.nbnet", save_freq=2)
    network(steps_per_execution=every).fit(X, Y, batch_size=10, verbose=0, callbacks=[keep])
    assert sorted(path.stem for path in tmp_path.iterdir()) == files
