"""Settings that make scripts repeatable."""

from __future__ import annotations

import random

import numpy as np
import pytest

import nbnet as nb


def test_all_generators_start_from_the_seed():
    def drawn():
        nb.utils.set_random_seed(2**40 + 7)
        return random.random(), np.random.normal(), nb.layers.Dense(2)(np.ones((1, 3))).numpy().tolist()  # noqa: NPY002

    assert drawn() == drawn()


@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), (2**64, ValueError), (0.5, TypeError)])
def test_bad_seeds(seed, error):
    with pytest.raises(error, match="seed"):
        nb.utils.set_random_seed(seed)
