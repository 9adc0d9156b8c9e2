"""Parameters with prefixes: where they go, who knows them, what wrong ones say."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

import nbnet as nb
from nbnet.estimators import NetClassifier, NetRegressor, NetTransformer
from nbnet.estimators.routing import named_callbacks
from tests.estimators.builders import Net, as_for_scikeras, plain

X, y = load_iris(return_X_y=True)
X = (X - X.mean(0)) / X.std(0)


def sequential() -> nb.Sequential:
    layers = [nb.layers.Dense(8, "relu", name="hidden"), nb.layers.Dropout(0.2, name="drop")]
    return nb.Sequential([*layers, nb.layers.Dense(3, "softmax", name="output")])


def test_they_are_parameters_like_others() -> None:
    net = NetClassifier(plain, model__units=5, optimizer__learning_rate=0.1, epochs=2)
    assert net.get_params()["model__units"] == 5
    copy = clone(net).set_params(model__units=6, epochs=3)
    assert (net.get_params()["model__units"], copy.get_params()["model__units"], copy.epochs) == (5, 6, 3)
    assert "model__units=5" in repr(net)
    assert "model__units" in net._repr_html_()
    assert pickle.loads(pickle.dumps(net)).get_params() == net.get_params()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"model": plain, "model__units": 5}, lambda net: net.model_.get_layer("hidden").units == 5),
        ({"model": Net, "model__units": 5}, lambda net: net.model_.hidden.units == 5),
        ({"model": sequential(), "model__hidden__units": 5}, lambda net: net.model_.get_layer("hidden").units == 5),
        ({"model": sequential(), "model__drop__rate": 0.5}, lambda net: net.model_.get_layer("drop").rate == 0.5),
        ({"optimizer__beta_1": 0.5}, lambda net: net.model_.optimizer.beta_1 == 0.5),
        ({"optimizer": "sgd", "optimizer__momentum": 0.5}, lambda net: net.model_.optimizer.momentum == 0.5),
        (
            {"optimizer": nb.optimizers.SGD(0.2), "optimizer__momentum": 0.5},
            lambda net: (net.model_.optimizer.learning_rate, net.model_.optimizer.momentum) == (0.2, 0.5),
        ),
        (
            {"loss": "categorical_crossentropy", "loss__label_smoothing": 0.1},
            lambda net: net.model_.loss.label_smoothing == 0.1,
        ),
        ({"fit__record_masks": 2, "model": plain, "model__rate": 0.5}, lambda net: len(net.history_.masks) == 2),
        ({"compile__weighted_metrics": ["accuracy"]}, lambda net: "accuracy" in net.history_.history),
        ({"compile__run_eagerly": True}, lambda net: net.model_._train_state.eager),
        (
            {"callbacks": nb.callbacks.EarlyStopping, "callbacks__monitor": "loss", "callbacks__patience": 7},
            lambda net: net.callbacks_[0].patience == 7,
        ),
        (
            {"callbacks": {"stop": nb.callbacks.EarlyStopping("loss")}, "callbacks__stop__patience": 7},
            lambda net: net.callbacks_[0].patience == 7,
        ),
        (
            {
                "callbacks": [nb.callbacks.TerminateOnNaN(), nb.callbacks.EarlyStopping("loss")],
                "callbacks__early_stopping__patience": 7,
            },
            lambda net: net.callbacks_[1].patience == 7,
        ),
    ],
)
def test_where_they_go(given: dict[str, Any], found: Any) -> None:
    net = clone(NetClassifier(epochs=1, random_state=0, **given)).fit(X, y)
    assert found(net)
    assert found(NetClassifier(epochs=1).set_params(**given).fit(X, y))


WRONG = [
    ({"model": plain, "model__unit": 3}, r"model__unit: plain has no 'unit' \(did you mean 'units'\?\); it has n_cl"),
    ({"model": sequential(), "model__units": 3}, "model__units: the model sequential.* has no 'units'.*drop__rate"),
    ({"optimizer": "sgd", "optimizer__beta_1": 0.5}, "optimizer__beta_1: SGD has no 'beta_1'; it has .*momentum"),
    ({"loss": "mse", "loss__delta": 1}, "loss__delta: MeanSquaredError has no 'delta'"),
    ({"fit__epochs": 1}, "fit__epochs: Model.fit has no 'epochs'.*shuffle"),
    ({"predict__size": 1}, "predict__size: Model.predict has no 'size'; it has batch_size, verbose"),
    ({"callbacks": nb.callbacks.EarlyStopping, "callbacks__patient": 1}, "callbacks has no 'patient'"),
    ({"callbacks__patience": 1}, "callbacks has no 'patience'; it has none"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_wrong_names(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetClassifier().set_params(**given)
    with pytest.raises(ValueError, match=message):
        NetClassifier(**given).fit(X, y)


def test_callbacks_of_one_class_are_numbered() -> None:
    class Stop(nb.callbacks.Callback):
        pass

    class Stop_2(nb.callbacks.Callback):
        pass

    assert list(named_callbacks([Stop, Stop_2, Stop, Stop])) == ["stop", "stop_2", "stop_1", "stop_3"]


def test_functions_without_a_name() -> None:
    def build() -> nb.Model:
        return nb.Sequential([nb.layers.Dense(3, lambda x: nb.ops.softmax(x), name="out")])

    net = NetClassifier(build(), loss=lambda t, p: nb.ops.mean(nb.ops.square(t - p), axis=-1), epochs=1)
    assert net.set_params(model__out__use_bias=False).fit(X, y).model_.count_params() == 12
    with pytest.raises(ValueError, match="loss__delta: <lambda> has no 'delta'"):
        net.set_params(loss__delta=1)


def test_wrong_prefixes() -> None:
    with pytest.raises(TypeError, match=r"has no parameter 'batchsize' \(did you mean 'batch_size'\?\)"):
        NetClassifier(batchsize=3)
    with pytest.raises(ValueError, match=r"has no parameter 'optimiser__learning_rate'.*begin with model__"):
        NetRegressor().set_params(optimiser__learning_rate=3)
    with pytest.raises(ValueError, match="has no parameter 'layers'"):
        NetTransformer().set_params(layers=3)


def test_names_of_an_optimizer_that_only_the_model_knows() -> None:
    def build() -> nb.Model:
        model = sequential()
        model.compile(nb.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        return model

    net = NetClassifier(build, optimizer__momentum=0.5, epochs=1).fit(X, y)
    assert net.model_.optimizer.momentum == 0.5
    with pytest.raises(ValueError, match="optimizer__beta_1: SGD has no 'beta_1'"):
        net.set_params(optimizer__beta_1=0.5).fit(X, y)


def test_a_function_written_for_scikeras() -> None:
    net = NetRegressor(as_for_scikeras, model__hidden=3, epochs=1).fit(X, X[:, :2])
    assert net.predict(X).shape == (150, 2)


def test_facts() -> None:
    calls: list[dict[str, Any]] = []

    def build(
        input_shape: Any,
        n_features_in: Any,
        n_classes: Any,
        classes: Any,
        n_outputs: Any,
        target_type: Any,
        output_units: Any,
        output_activation: Any,
        dtype: Any,
        meta: Any,
    ) -> nb.Model:
        calls.append({name: value for name, value in locals().items() if name != "calls"})
        return nb.Sequential([nb.layers.Dense(output_units, output_activation, dtype=dtype)])

    NetClassifier(build, epochs=1, dtype="float64").fit(X, np.array(["a", "b", "c"])[y])
    (seen,) = calls
    meta = seen.pop("meta")
    assert list(seen.pop("classes")) == ["a", "b", "c"] == list(meta["classes_"])
    assert seen == {
        "input_shape": (4,),
        "n_features_in": 4,
        "n_classes": 3,
        "n_outputs": 1,
        "target_type": "multiclass",
        "output_units": 3,
        "output_activation": "softmax",
        "dtype": "float64",
    }
    named = {name: meta[f"{name}_"] for name in ("n_features_in", "n_classes", "X_shape", "target_type")}
    assert named == {"n_features_in": 4, "n_classes": 3, "X_shape": (150, 4), "target_type": "multiclass"}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (3, "model: expected a model or a function that returns one, got 3"),
        (lambda: 3, "model: expected a function that returns a model, got 3"),
    ],
)
def test_no_model(model: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        NetClassifier(model).fit(X, y)


def test_fits_share_nothing() -> None:
    given = nb.callbacks.EarlyStopping("loss", patience=2)
    optimizer, model = nb.optimizers.Adam(0.01), sequential()
    nets = [NetClassifier(model, optimizer=optimizer, callbacks=[given], epochs=2).fit(X, y) for _ in range(2)]
    assert not model.built
    assert optimizer.iterations == 0
    assert nets[0].callbacks_[0] is not nets[1].callbacks_[0] is not given
    with pytest.raises(RuntimeError, match="belongs to no model yet"):
        _ = given.model
