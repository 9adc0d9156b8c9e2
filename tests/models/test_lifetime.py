"""A model that nobody holds is gone at once, with its programs: memory does not wait for a search for cycles."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers


@pytest.fixture
def no_search() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def trained(batchwise: bool = False, slices: int | None = None) -> nb.Sequential:
    dropout = layers.Dropout(0.5, batchwise=batchwise)
    model = nb.Sequential([nb.Input((6,)), layers.Dense(8, "relu"), dropout, layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], slices=slices)
    x, y = np.ones((40, 6), "float32"), np.zeros(40, int)
    model.fit(x, y, epochs=5, validation_data=(x, y), verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    return model


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize(("batchwise", "slices"), [(False, None), (True, None), (False, 4)])
def test_a_model_that_nobody_holds_is_gone(batchwise: bool, slices: int | None) -> None:
    model = trained(batchwise, slices)
    assert model.optimizer is not None
    gone = [weakref.ref(model), weakref.ref(model.optimizer)]
    del model
    assert [ref() for ref in gone] == [None, None]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_the_metrics_of_a_copy_are_its_own(copied: Callable[[nb.Sequential], nb.Sequential]) -> None:
    model = trained()
    made = copied(model)
    x, y = np.ones((4, 6), "float32"), np.zeros(4, int)
    assert [metric.name for metric in made.metrics] == ["loss", "compile_metrics"]
    made.metrics[1].update_state(y, np.eye(3)[y])
    assert made.metrics[1].result()["accuracy"] == 1.0
    model.reset_metrics()
    model.metrics[1].update_state(y, np.eye(3)[y + 1])
    assert model.metrics[1].result()["accuracy"] == 0.0
    assert made.metrics[1].result()["accuracy"] == 1.0
    del model
    made.metrics[1].update_state(y, np.eye(3)[y + 1])
    assert made.metrics[1].result()["accuracy"] == 0.5
    assert set(made.evaluate(x, y, verbose=0, return_dict=True)) == {"loss", "accuracy"}
