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


@pytest.mark.parametrize(("every", "ends"), [(1, range(10)), (3, [2, 5, 8, 9]), (10, [9]), (20, [9])])
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
