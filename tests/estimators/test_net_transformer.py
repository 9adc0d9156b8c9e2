"""The outputs of a layer as features."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import nbnet as nb
from nbnet.estimators import NetClassifier, NetTransformer
from tests.estimators.builders import Net

X, y = load_iris(return_X_y=True)
X = (X - X.mean(0)) / X.std(0)
NAMES = np.array(["a", "b", "c"])[y]


def classifier() -> nb.Sequential:
    layers = [nb.layers.Dense(6, "relu", name="first"), nb.layers.Dense(2, "tanh", name="second")]
    return nb.Sequential([*layers, nb.layers.Dense(3, "softmax", name="output")])


def test_an_autoencoder() -> None:
    net = NetTransformer(model__code=2, epochs=40, random_state=0, model__activation="linear")
    net.set_params(optimizer__learning_rate=0.02)
    found = net.fit_transform(X)
    assert found.shape == (150, 2)
    assert net.layer_ == "code"
    share = np.linalg.svd(X, compute_uv=False) ** 2 / 150 / 4
    assert net.history_.history["loss"][-1] == pytest.approx(1 - share[:2].sum(), abs=0.05), "as good as two components"
    assert np.array_equal(net.transform(X[:1]), found[:1])
    assert list(net.get_feature_names_out()) == ["code0", "code1"]


@pytest.mark.parametrize(
    ("layer", "name", "units"), [(None, "second", 2), ("first", "first", 6), (0, "first", 6), (-1, "output", 3)]
)
def test_layers(layer: Any, name: str, units: int) -> None:
    net = NetTransformer(classifier(), layer, supervised=True, epochs=1, random_state=0).fit(X, NAMES)
    assert net.layer_ == name
    assert net.transform(X).shape == (150, units)
    out = net.model_.get_layer("output")
    if name == "second":
        logits = net.transform(X) @ np.asarray(out.get_weights()[0]) + out.get_weights()[1]
        p = np.exp(logits - logits.max(1, keepdims=True))
        np.testing.assert_allclose(p / p.sum(1, keepdims=True), net.model_.predict(X), rtol=1e-4)


def test_numbers_are_learnt_too() -> None:
    net = NetTransformer(
        model=lambda: nb.Sequential([nb.layers.Dense(4), nb.layers.Dense(2)]), supervised=True, epochs=2
    )
    assert net.fit(X, X[:, :2] * 0.1).transform(X).shape == (150, 4)
    assert isinstance(net.model_.loss, nb.losses.MeanSquaredError)


def test_a_model_that_is_trained() -> None:
    trained = NetClassifier(classifier(), epochs=60, random_state=0).fit(X, NAMES).model_
    before = [w.copy() for w in trained.get_weights()]
    net = NetTransformer(trained, "first", prefit=True).fit(X)
    assert net.model_ is trained
    for ours, theirs in zip(trained.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    kernel, bias = trained.get_layer("first").get_weights()
    np.testing.assert_allclose(net.transform(X), np.maximum(X @ kernel + bias, 0), atol=1e-5)
    copied = clone(net)
    assert np.array_equal(copied.fit(X).transform(X), net.transform(X))
    both = make_pipeline(net, LogisticRegression()).fit(X, NAMES)
    assert both.score(X, NAMES) > 0.9


def test_images_come_out_as_rows() -> None:
    images = np.random.default_rng(0).normal(size=(20, 6, 6, 1))
    layers = [nb.Input((6, 6, 1)), nb.layers.Conv2D(2, 3, name="conv"), nb.layers.Flatten(), nb.layers.Dense(36)]
    net = NetTransformer(nb.Sequential(layers), "conv", epochs=1).fit(images.reshape(20, 36))
    assert net.transform(images.reshape(20, 36)).shape == (20, 32)
    assert len(net.get_feature_names_out()) == 32


def test_data_of_other_kinds() -> None:
    thin = np.where(X > 0, X, 0)
    net = NetTransformer(random_state=0, epochs=2).fit(sparse.csr_array(thin))
    dense = NetTransformer(random_state=0, epochs=2).fit(thin)
    np.testing.assert_allclose(net.transform(sparse.csr_array(thin)), dense.transform(thin), atol=1e-5)
    assert np.array_equal(pickle.loads(pickle.dumps(net)).transform(thin), net.transform(thin))


def test_set_output() -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas (the extra 'test')")
    net = NetTransformer(epochs=1, model__code=2).set_output(transform="pandas").fit(X)
    found = net.transform(X)
    assert isinstance(found, pandas.DataFrame)
    assert list(found.columns) == ["code0", "code1"]


def test_warm_start() -> None:
    net = NetTransformer(epochs=2, warm_start=True, random_state=0).fit(X)
    first = net.transform(X)
    assert not np.array_equal(net.fit(X).transform(X), first)
    assert net.n_iter_ == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": "third"}, "has no layer 'third'; it has .'first', 'second', 'output'"),
        ({"layer": 7}, "layer: expected an index into the 3 layers of .*, got 7"),
        ({"prefit": True, "model": None}, "expected a trained model with prefit=True, got None"),
        ({"model": Net}, "the output of .* cannot be taken out of"),
        ({"supervised": True, "target": None}, "requires y to be passed"),
        ({"supervised": False}, "expected 4 output units for 4 columns in y, got 3 units"),
    ],
)
def test_what_does_not_fit(settings: dict[str, Any], message: str) -> None:
    settings = {"model": classifier(), "supervised": True, "target": NAMES} | settings
    target = settings.pop("target")
    with pytest.raises(ValueError, match=message):
        NetTransformer(epochs=1, **settings).fit(X, target)
