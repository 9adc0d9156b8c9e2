"""Seeds of a thread's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nbnet as nb
from nbnet.base.seeds import get_state, next_draw, next_key, seed_scope


def weights(seed: int) -> np.ndarray:
    with seed_scope(seed):
        model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(8), nb.layers.Dropout(0.5), nb.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(np.ones((20, 4)), np.arange(20.0), batch_size=4, epochs=2, verbose=0)
        return model.get_weights()[0]


def test_threads_do_not_disturb_each_other() -> None:
    alone = [weights(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(weights, range(4)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(alone[0], alone[1])


def test_nothing_changes_outside() -> None:
    nb.set_random_seed(3)
    before = get_state()
    with seed_scope(1):
        inside = next_key(), next_draw()
        nb.set_random_seed(9)
        with seed_scope(1):
            assert (next_key(), next_draw()) == inside
    assert get_state() == before
    with pytest.raises(RuntimeError, match="stop"), seed_scope(1):
        raise RuntimeError("stop")
    assert get_state() == before


@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), (1.5, TypeError)])
def test_wrong_seeds(seed: object, error: type[Exception]) -> None:
    before = get_state()
    with pytest.raises(error, match="seed: expected"), seed_scope(seed):  # type: ignore[arg-type]
        pass
    assert get_state() == before
