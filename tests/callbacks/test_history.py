"""The record of a training."""

from __future__ import annotations

import sys
from math import nan
from xml.etree import ElementTree

import numpy as np
import pytest

import nbnet as nb
from nbnet.callbacks.callback import NO_LIMIT, History


def test_values_are_collected_by_name():
    h = History({"epochs": 3})
    h.append(5, {"loss": np.float32(0.5), "accuracy": 1})
    h.append(6, {"loss": 0.25, "accuracy": 1.0, "val_loss": 2.0})
    assert h.params == {"epochs": 3}
    assert h.epoch == [5, 6]
    assert h.history == {"loss": [0.5, 0.25], "accuracy": [1.0, 1.0], "val_loss": [2.0]}
    assert all(type(value) is float for values in h.history.values() for value in values)


def test_what_is_no_number_is_kept_as_it_is():
    h, note = History(), {"a": 1}
    h.append(0, {"loss": 0.5, "text": "good", "none": None, "dict": note, "np": np.str_("x"), "f1": np.ones(2)})
    h.append(1, {"loss": nb.ops.convert_to_tensor(0.25), "text": "better"})
    assert h.history["loss"] == [0.5, 0.25]
    assert h.history["text"] == ["good", "better"]
    assert h.history["none"] == [None]
    assert h.history["dict"] == [note]
    assert h.history["np"] == ["x"]
    assert h.history["f1"] == [[1.0, 1.0]]
    assert "text=better" in repr(h)
    ElementTree.fromstring(h._repr_html_())


def fitted(callbacks, **arguments):
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.linspace(0, 1, 8).reshape(8, 1)
    return model, model.fit(x, x, verbose=0, callbacks=callbacks, **arguments)


def test_a_callback_writes_words_into_the_logs(tmp_path):
    def note(epoch, logs):
        logs["phase"] = "warm" if epoch == 0 else "hot"

    logger = nb.callbacks.CSVLogger(tmp_path / "log.csv")
    writer = nb.callbacks.LambdaCallback(on_epoch_end=note)
    _, history = fitted([writer, logger], epochs=2)
    assert history.history["phase"] == ["warm", "hot"]
    assert [line.split(",")[-1] for line in (tmp_path / "log.csv").read_text().split()] == ["phase", "warm", "hot"]


def test_a_history_among_the_callbacks_is_the_one_of_the_training():
    _, expected = fitted(None, epochs=3)
    own = History()
    model, returned = fitted([own], epochs=3)
    assert returned is own is model.history
    assert own == expected
    assert own.params == {"verbose": 0, "epochs": 3, "steps": 1}
    assert own.model is model


def test_the_last_of_several_histories_is_returned_and_all_are_filled():
    first, last = History(), History()
    model, returned = fitted([first, [last]], epochs=2)
    assert returned is last is model.history
    assert first.history == last.history
    assert len(last.history["loss"]) == 2


def test_a_subclass_of_history_adds_to_it():
    class Weights(History):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, {**logs, "kernel": self.model.get_weights()[0].item()})

    own = Weights()
    model, returned = fitted([own], epochs=5)
    assert returned is own
    assert own.history["kernel"][-1] == model.get_weights()[0].item()
    assert len(set(own.history["kernel"])) == 5


def test_a_plain_history_costs_no_epoch_of_its_own():
    class Watching(History):
        def on_epoch_begin(self, epoch, logs=None):
            pass

    assert History().spare_epochs() == NO_LIMIT
    assert Watching().spare_epochs() == 0
    assert not History().wants_batches("train")


def test_a_history_that_is_used_again_continues():
    own = History()
    fitted([own], epochs=2)
    fitted([own], epochs=3)
    assert own.epoch == [0, 1, 2]
    assert len(own.history["loss"]) == 5


def test_histories_share_nothing():
    first = History()
    first.append(0, {"loss": 1.0})
    assert History() == History({}, [], {})


def test_repr_shows_the_last_epoch():
    h = History()
    assert repr(h) == "<History of 0 epochs>"
    h.append(0, {"loss": 0.123456, "val_loss": float("nan")})
    assert repr(h) == "<History of 1 epoch: loss=0.1235, val_loss=nan>"
    h.append(1, {"loss": 0.1})
    assert repr(h) == "<History of 2 epochs: loss=0.1, val_loss=nan>"


def trained() -> History:
    return History(
        epoch=[0, 1, 2],
        history={
            "loss": [1.0, 0.5, float("nan")],
            "f1": [[0.0, 1.0], [0.5, 0.5], [1.0, 1.0]],
            "a<b": [0.1, 0.2, 0.3],
            "val_loss": [2.0, 1.0, 1.5],
        },
    )


def test_html_shows_curves_and_numbers_and_escapes_names():
    page = trained()._repr_html_()
    root = ElementTree.fromstring(page)
    charts = root.findall("{http://www.w3.org/2000/svg}svg")
    titles = [[t.text for t in chart.iter("{http://www.w3.org/2000/svg}title")] for chart in charts]
    assert titles == [["loss", "val_loss"], ["a<b"]]
    lines = [line.get("points", "").split() for line in charts[0].iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(points) for points in lines] == [2, 3]
    heights = [float(point.split(",")[1]) for point in lines[1]]
    assert heights[0] < heights[2] < heights[1], "the vertical axis of SVG points down"
    cells = ["".join(cell.itertext()) for cell in root.iter("td")]
    assert cells == ["last epoch", "nan", "[1.0, 1.0]", "0.3", "1.5"]
    assert "a<b" not in page


def test_html_of_little_is_no_error():
    for history in (
        History(),
        History(epoch=[0], history={"loss": [1.0]}),
        History(epoch=[0], history={"loss": [nan]}),
    ):
        ElementTree.fromstring(history._repr_html_())


def test_plot():
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    axes = trained().plot()
    assert [ax.get_title() for ax in axes] == ["loss", "a<b"]
    line, held = axes[0].get_lines()
    assert line.get_xdata().tolist() == [1, 2, 3]
    assert held.get_ydata().tolist() == [2.0, 1.0, 1.5]
    ax = trained().plot("loss")
    assert ax.get_title() == "loss"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["loss", "val_loss"]
    _, own = pyplot.subplots()
    assert trained().plot(["val_loss", "a<b"], ax=own) is own
    assert len(own.get_lines()) == 2
    with pytest.raises(ValueError, match="metrics: the history has no curve 'f1'; it has loss, a<b"):
        trained().plot("f1")
    with pytest.raises(ValueError, match="ax: expected one, or 2 for loss, a<b; got 3"):
        trained().plot(ax=pyplot.subplots(1, 3)[1])
    pyplot.close("all")


def test_plot_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'nbnet\[plot\]'"):
        trained().plot()
