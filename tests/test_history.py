"""The record of a training."""

from __future__ import annotations

import numpy as np

from nbnet.history import History


def test_values_are_collected_by_name():
    h = History({"epochs": 3})
    h.append(5, {"loss": np.float32(0.5), "accuracy": 1})
    h.append(6, {"loss": 0.25, "accuracy": 1.0, "val_loss": 2.0})
    assert h.params == {"epochs": 3}
    assert h.epoch == [5, 6]
    assert h.history == {"loss": [0.5, 0.25], "accuracy": [1.0, 1.0], "val_loss": [2.0]}
    assert all(type(value) is float for values in h.history.values() for value in values)


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
