"""Metrics that are attributes of models and layers, and what compiled metrics hold after an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 4)), RNG.integers(0, 3, 12)
M, SCCE = nb.metrics, "sparse_categorical_crossentropy"


class Watched(nb.layers.Layer):
    """Hands its input through, and has the mean of each call in a metric."""

    def __init__(self, updates: bool = True) -> None:
        super().__init__()
        self.mean, self.more, self.updates = M.Mean("seen"), {"sums": [M.Sum("sum")]}, updates

    def call(self, x: Any) -> Any:
        if self.updates:
            self.mean.update_state(nb.ops.mean(x))
        return x * 1.0


class Two(M.Metric):
    def __init__(self) -> None:
        super().__init__("two")
        self.rows = self.add_weight(name="rows")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.rows.assign_add(len(y_pred))

    def result(self) -> Any:
        return {"rows": self.rows, "twice": self.rows * 2}


def net(*layers: nb.layers.Layer, **compiled: Any) -> nb.Sequential:
    model = nb.Sequential([nb.Input((4,)), *layers, nb.layers.Dense(3, "softmax", kernel_initializer="ones")])
    model.compile("sgd", SCCE, **compiled)
    return model


def test_metrics_of_layers_are_in_logs() -> None:
    layer = Watched()
    model = net(layer, metrics=["accuracy"])
    plain = net(metrics=["accuracy"]).fit(X, Y, batch_size=4, epochs=2, verbose=0, shuffle=False).history
    logs = model.fit(X, Y, batch_size=4, epochs=2, verbose=0, shuffle=False).history
    assert list(logs) == ["loss", "accuracy", "seen", "sum"]
    assert logs["seen"] == pytest.approx([X.mean()] * 2, rel=1e-4)
    assert logs["sum"] == [0, 0]
    for name in plain:
        assert logs[name] == pytest.approx(plain[name], rel=1e-5)
    assert [m.name for m in model.metrics] == ["loss", "compile_metrics", "seen", "sum"]
    assert [m.name for m in layer.metrics] == ["seen", "sum"]
    assert [v.name for v in layer.metrics_variables] == ["total", "count", "total"]
    assert layer.weights == []
    assert len(model.metrics_variables) == 7
    assert model.predict(X, verbose=0).shape == (12, 3)


def test_a_metric_of_nobody_is_refused_in_a_call() -> None:
    loose = M.Mean("loose")

    class Updates(nb.layers.Layer):
        def call(self, x: Any) -> Any:
            loose.update_state(nb.ops.mean(x))
            return x * 1.0

    with pytest.raises(ValueError, match="loose: a metric that is updated in a call must be an attribute"):
        net(Updates()).fit(X, Y, verbose=0)


@pytest.mark.parametrize("eager", [False, True])
def test_results_that_are_dicts(eager: bool) -> None:
    model = net(metrics=["accuracy", Two()], run_eagerly=eager)
    logs = model.fit(X, Y, batch_size=4, epochs=2, verbose=0, validation_data=(X[:5], Y[:5])).history
    assert list(logs)[:4] == ["loss", "accuracy", "rows", "twice"]
    assert (logs["rows"], logs["twice"], logs["val_rows"]) == ([12, 12], [24, 24], [5, 5])


@pytest.mark.parametrize("epochs", [1, 8])
def test_compiled_metrics_hold_the_last_epoch(epochs: int) -> None:
    watched = M.SparseTopKCategoricalAccuracy(2, name="top")
    model = net(metrics=["accuracy", watched])
    logs = model.fit(X, Y, batch_size=5, epochs=epochs, verbose=0).history
    assert model.get_metrics_result() == pytest.approx({name: values[-1] for name, values in logs.items()})
    assert watched.result() == pytest.approx(logs["top"][-1])
    assert len(model.metrics_variables) == 6
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert model.get_metrics_result() == pytest.approx(found)
    model.reset_metrics()
    assert set(model.get_metrics_result().values()) == {0.0}
