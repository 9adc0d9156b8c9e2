"""The name of the progress bar is accepted, and one bar stays one."""

from __future__ import annotations

import pytest

import nbnet as nb
from tests.networks import LABELS, X, network


@pytest.mark.parametrize(("verbose", "headings"), [(0, 0), (1, 2), (2, 2)])
def test_verbose_says_what_is_shown(verbose, headings, capsys):
    callbacks = [nb.callbacks.ProgbarLogger()]
    network().fit(X, LABELS, batch_size=20, epochs=2, verbose=verbose, callbacks=callbacks)
    assert capsys.readouterr().out.count("Epoch ") == headings


def test_it_asks_for_no_batches():
    assert not nb.callbacks.ProgbarLogger().wants_batches("train")
