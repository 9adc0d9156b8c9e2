"""The bar that a callback draws when fit draws none."""

from __future__ import annotations

import re

import nbnet as nb
from tests.networks import LABELS, X, network


def shown(capsys, verbose, callbacks):
    network().fit(X, LABELS, batch_size=20, epochs=2, verbose=verbose, callbacks=callbacks)
    captured = capsys.readouterr().out
    return [line.split("\r")[-1] for line in captured.split("\n")]


def test_it_shows_epochs_that_fit_does_not(capsys):
    lines = shown(capsys, 0, [nb.callbacks.ProgbarLogger()])
    assert lines[0::2][:2] == ["Epoch 1/2", "Epoch 2/2"]
    assert all(re.fullmatch(r"3/3 \S{20} \S+ - loss: \d\.\d{4}", line) for line in lines[1::2][:2])


def test_it_is_silent_beside_the_bar_of_fit(capsys):
    for verbose in (1, 2):
        alone, both = shown(capsys, verbose, []), shown(capsys, verbose, [nb.callbacks.ProgbarLogger()])
        assert len(alone) == len(both)


def test_it_asks_for_no_batches():
    assert not nb.callbacks.ProgbarLogger().wants_batches("train")
