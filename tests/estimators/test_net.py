"""Networks as scikit-learn estimators: targets, losses, outputs, weights, going on."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

import nbnet as nb
from nbnet.estimators import NetClassifier, NetRegressor
from tests.estimators.builders import Net, plain

X, y = load_iris(return_X_y=True)
X = (X - X.mean(0)) / X.std(0)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]
SEVERAL = np.c_[y == 0, y == 1, X[:, 0] > 0].astype(int)
Dense = nb.layers.Dense


def ending(units: int, activation: str | None = None) -> nb.Sequential:
    return nb.Sequential([Dense(16, "relu"), nb.layers.Dropout(0.1), Dense(units, activation)])


# ---- targets and losses ----

CLASSIFIERS = [
    (None, {}, NAMES, "SparseCategoricalCrossentropy"),
    (ending(3, "softmax"), {}, NAMES, "SparseCategoricalCrossentropy"),
    (ending(3), {}, NAMES, "SparseCategoricalCrossentropy"),
    (ending(3, "sigmoid"), {}, NAMES, "BinaryCrossentropy"),
    (ending(3, "softmax"), {"loss": "categorical_crossentropy"}, y, "CategoricalCrossentropy"),
    (ending(3, "softmax"), {"loss": nb.losses.CategoricalFocalCrossentropy}, NAMES, "CategoricalFocalCrossentropy"),
    (ending(3, "softmax"), {"loss": "mse"}, NAMES, "MeanSquaredError"),
    (ending(3), {"loss": "categorical_hinge"}, NAMES, "CategoricalHinge"),
    (None, {}, y > 0, "BinaryCrossentropy"),
    (ending(1, "sigmoid"), {}, NAMES != "setosa", "BinaryCrossentropy"),
    (ending(1), {}, np.where(y > 0, 7.0, -3.0), "BinaryCrossentropy"),
    (ending(2, "softmax"), {}, np.where(y > 0, "b", "a"), "SparseCategoricalCrossentropy"),
    (ending(2), {}, y > 0, "SparseCategoricalCrossentropy"),
    (ending(1, "tanh"), {"loss": "hinge"}, np.where(y > 0, "b", "a"), "Hinge"),
    (ending(1), {"loss": "mse"}, y > 0, "MeanSquaredError"),
    (None, {}, SEVERAL, "BinaryCrossentropy"),
    (ending(3), {}, SEVERAL, "BinaryCrossentropy"),
    (Net, {}, NAMES, "SparseCategoricalCrossentropy"),
]


@pytest.mark.parametrize(("model", "settings", "target", "loss"), CLASSIFIERS)
def test_classifiers(model: Any, settings: Any, target: Any, loss: str) -> None:
    net = NetClassifier(model, optimizer__learning_rate=0.02, epochs=30, random_state=0, **settings).fit(X, target)
    assert type(net.model_.loss).__name__ == loss
    assert net.score(X, target) > 0.88
    found = net.predict(X)
    assert found.dtype == target.dtype or target is SEVERAL
    assert found.shape == target.shape
    if target is not SEVERAL:
        assert list(net.classes_) == sorted(set(target.tolist()))
    if hasattr(net, "predict_proba"):
        p = net.predict_proba(X)
        assert p.shape == (150, len(net.classes_))
        assert p.min() >= 0
        assert p.max() <= 1
        if target is SEVERAL:
            assert np.array_equal(p > 0.5, found)
        else:
            np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
            assert np.array_equal(net.classes_[p.argmax(1)], found)
        np.testing.assert_allclose(np.exp(net.predict_log_proba(X)), p, rtol=1e-5)
    if hasattr(net, "decision_function"):
        scores = net.decision_function(X)
        decided = scores.argmax(1) if scores.ndim == 2 and target is not SEVERAL else (scores > 0).astype(int)
        assert np.array_equal(decided if target is SEVERAL else net.classes_[decided], found)


@pytest.mark.parametrize(
    ("model", "settings", "has"),
    [
        (ending(3, "softmax"), {}, (True, False)),
        (ending(3), {}, (True, True)),
        (ending(3), {"loss": "categorical_hinge"}, (False, True)),
    ],
)
def test_methods_that_fit_the_outputs(model: Any, settings: Any, has: tuple[bool, bool]) -> None:
    net = NetClassifier(model, epochs=1, **settings).fit(X, y)
    assert (hasattr(net, "predict_proba"), hasattr(net, "decision_function")) == has


def test_methods_that_will_probably_be_there() -> None:
    assert hasattr(NetClassifier(), "predict_proba")
    assert not hasattr(NetClassifier(), "decision_function")
    assert not hasattr(NetClassifier(loss="hinge"), "predict_proba")
    assert hasattr(NetClassifier(loss=nb.losses.BinaryCrossentropy(from_logits=True)), "decision_function")


@pytest.mark.parametrize(
    ("model", "settings", "target", "message"),
    [
        (ending(3, "softmax"), {}, np.arange(150) % 4, "model: expected 4 output units for 4 classes in y, got 3"),
        (ending(3, "softmax"), {}, y > 0, "expected 1 or 2 output units for 2 classes in y, got 3 units"),
        (ending(2, "sigmoid"), {}, SEVERAL, "expected 3 output units for 3 labels in y, got 2 units"),
        (ending(3, "softmax"), {}, SEVERAL, "a softmax of 3 units, whose outputs add up to 1"),
        (ending(3, "relu"), {}, y, "loss: 'auto' cannot tell the kind of the model's outputs"),
        (ending(1, "sigmoid"), {"loss": "sparse_categorical_crossentropy"}, y > 0, "an output unit for each class"),
        (ending(3), {"loss": "sparse_categorical_crossentropy"}, y, "needs probabilities, and the last layer"),
        (
            ending(3, "softmax"),
            {"loss": nb.losses.CategoricalCrossentropy(from_logits=True)},
            y,
            "with from_logits=True needs logits, and the last layer .* 'softmax'",
        ),
        (ending(3, "softmax"), {}, X[:, 0], "Unknown label type: continuous"),
        (nb.Sequential([nb.Input((5,)), Dense(3)]), {}, y, r"X: expected rows of shape \(5,\), .* got \(4,\)"),
        (nb.Sequential([nb.layers.Reshape((2, 2)), Dense(3)]), {}, y, r"expected an output of shape \(units,\)"),
        (None, {"validation_split": 1.5}, y, "test_size"),
        (None, {"epochs": 0}, y, "epochs"),
        (None, {"batch_size": 0}, y, "batch_size"),
        (None, {"optimizer": "adamant"}, y, "optimizer: 'adamant' is not known"),
        (None, {"loss": "cross"}, y, "loss: 'cross' is not known"),
        (None, {"dtype": "float16"}, y, "dtype: expected float32 or float64"),
    ],
)
def test_what_does_not_fit(model: Any, settings: Any, target: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetClassifier(model, **settings).fit(X, target)


def test_models_of_several_outputs() -> None:
    x = nb.Input((4,))
    with pytest.raises(ValueError, match=r"expected one output, model.* has 2"):
        NetClassifier(nb.Model(x, [Dense(3)(x), Dense(1)(x)])).fit(X, y)


def test_what_the_compiled_model_says() -> None:
    model = ending(3, "softmax")
    model.compile(nb.optimizers.RMSprop(0.01), "categorical_crossentropy", metrics=["accuracy"])
    net = NetClassifier(model, epochs=2).fit(X, NAMES)
    assert isinstance(net.model_.optimizer, nb.optimizers.RMSprop)
    assert isinstance(net.model_.loss, nb.losses.CategoricalCrossentropy)
    assert set(net.history_.history) == {"loss", "accuracy"}
    over = NetClassifier(model, optimizer="sgd", loss="auto", metrics=["categorical_accuracy"], epochs=2).fit(X, NAMES)
    assert isinstance(over.model_.optimizer, nb.optimizers.SGD)
    assert set(over.history_.history) == {"loss", "categorical_accuracy"}


def test_labels_that_come_later() -> None:
    net = NetClassifier(random_state=0)
    net.partial_fit(X[:50], NAMES[:50], classes=np.unique(NAMES))
    assert net.predict_proba(X).shape == (150, 3)
    net.partial_fit(X, NAMES)
    assert net.n_iter_ == 2
    with pytest.raises(ValueError, match="has classes not in"):
        net.partial_fit(X, np.full(150, "rosa"))
    with pytest.raises(ValueError, match="classes: expected those of the first call"):
        net.partial_fit(X, NAMES, classes=["a"])


def test_one_class() -> None:
    net = NetClassifier(epochs=1).fit(X, np.full(150, "all"))
    assert set(net.predict(X)) == {"all"}
    assert np.array_equal(net.predict_proba(X), np.ones((150, 1)))


# ---- weights ----


def test_weights_of_classes() -> None:
    few = np.flatnonzero((y != 2) | (np.arange(150) % 10 == 0))
    plain_net = NetClassifier(epochs=5, random_state=0).fit(X[few], NAMES[few])
    for weight in ("balanced", {"virginica": 10.0}):
        net = NetClassifier(epochs=5, random_state=0, class_weight=weight).fit(X[few], NAMES[few])
        assert (net.predict(X) == "virginica").sum() > (plain_net.predict(X) == "virginica").sum()


def test_weights_of_classes_are_weights_of_rows() -> None:
    by_class = NetClassifier(epochs=3, random_state=0, class_weight={"setosa": 3.0}).fit(X, NAMES)
    by_row = NetClassifier(epochs=3, random_state=0).fit(X, NAMES, sample_weight=np.where(NAMES == "setosa", 3.0, 1.0))
    assert np.array_equal(by_class.predict_proba(X), by_row.predict_proba(X))
    with pytest.raises(ValueError, match="at least one non-zero"):
        by_row.fit(X, NAMES, sample_weight=np.zeros(150))
    with pytest.raises(ValueError, match="'balanced' needs all rows at once"):
        NetClassifier(class_weight="balanced").partial_fit(X, NAMES)


# ---- going on ----


def test_each_fit_begins_anew_and_repeats() -> None:
    net = NetClassifier(plain, epochs=3, random_state=0, model__rate=0.3)
    first = net.fit(X, y).predict_proba(X)
    assert np.array_equal(net.fit(X, y).predict_proba(X), first)
    assert net.n_iter_ == 3
    assert not np.array_equal(net.set_params(random_state=1).fit(X, y).predict_proba(X), first)
    nb.set_random_seed(5)
    before = nb.random.next_key()
    nb.set_random_seed(5)
    net.fit(X, y)
    assert nb.random.next_key() == before, "the seed of everything else is left alone"


def test_warm_start() -> None:
    net = NetClassifier(epochs=2, random_state=0, warm_start=True).fit(X, y)
    model, loss = net.model_, net.history_.history["loss"][-1]
    net.fit(X, y)
    assert net.model_ is model
    assert net.n_iter_ == 4 == len(net.history_.history["loss"]) == 1 + net.history_.epoch[-1]
    assert net.history_.history["loss"][-1] < loss
    with pytest.raises(ValueError, match="same classes"):
        net.fit(X, y > 0)


def test_parameters_that_change_while_it_goes_on() -> None:
    net = NetClassifier(plain, epochs=2, random_state=0, warm_start=True).fit(X, y)
    optimizer = net.model_.optimizer
    net.fit(X, y)
    assert net.model_.optimizer is optimizer
    net.set_params(optimizer="sgd", optimizer__learning_rate=0.0)
    weights = net.model_.get_weights()
    net.fit(X, y)
    assert isinstance(net.model_.optimizer, nb.optimizers.SGD)
    for ours, theirs in zip(net.model_.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="model: this training continues with the model of the last one"):
        net.set_params(model__units=3).fit(X, y)


class Needy(nb.Model):
    """A model whose configuration is what its constructor was given."""

    def __init__(self, units: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.out = Dense(units() if callable(units) else units, "softmax")

    def call(self, x: Any) -> Any:
        return self.out(x)


def test_models_that_cannot_be_made_anew() -> None:
    with pytest.raises(NotImplementedError, match=r"Needy was made with units of type function: define get_config"):
        NetClassifier(Needy(lambda: 3)).fit(X, y)
    assert NetClassifier(Needy(3), epochs=1).fit(X, y).model_.out.units == 3
    assert NetClassifier(Needy, model__units=3, epochs=1).fit(X, y).model_.out.units == 3


def test_a_step_of_your_own() -> None:
    class Doubled(Net):
        """Trains twice on each batch."""

        def train_step(self, data: Any) -> Any:
            super().train_step(data)
            return super().train_step(data)

    assert NetClassifier(Doubled, epochs=1).fit(X, y).model_.optimizer.iterations == 10


def test_warm_start_from_weights_of_the_model() -> None:
    model = nb.Sequential([nb.Input((4,)), Dense(3, "softmax", name="out")])
    weights = model.get_weights()
    net = NetClassifier(model, warm_start=True, epochs=1, optimizer__learning_rate=0.0).fit(X, y)
    for ours, theirs in zip(net.model_.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    wide = NetClassifier(model, warm_start=True, epochs=1, optimizer__learning_rate=0.0, dtype="float64").fit(X, y)
    np.testing.assert_array_equal(wide.model_.get_weights()[0], weights[0].astype(np.float64))
    cold = NetClassifier(model, epochs=1, optimizer__learning_rate=0.0).fit(X, y)
    assert not np.array_equal(cold.model_.get_weights()[0], weights[0])
    assert model.optimizer is None


def test_partial_fit_is_an_epoch() -> None:
    net = NetRegressor(random_state=0, epochs=9)
    for k in range(3):
        net.partial_fit(X, X[:, 0])
        assert net.n_iter_ == k + 1
    with pytest.raises(ValueError, match="expected 1 columns"):
        net.partial_fit(X, X[:, :2])


def test_pickle_and_copy() -> None:
    net = NetClassifier(plain, model__rate=0.5, epochs=2, random_state=0, callbacks=nb.callbacks.TerminateOnNaN()).fit(
        X, NAMES
    )
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert np.array_equal(other.predict_proba(X), net.predict_proba(X))
        assert np.array_equal(other.predict_proba(X, mc_samples=5), net.predict_proba(X, mc_samples=5))
        other.partial_fit(X, NAMES)
    with pytest.raises(NotFittedError):
        clone(net).predict(X)


# ---- validation ----


def test_rows_to_validate_on() -> None:
    net = NetClassifier(epochs=2, random_state=0, validation_split=0.2, metrics=["accuracy"]).fit(X, NAMES)
    assert set(net.history_.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    rows, held = net._split(NAMES, None, 150)
    assert [(NAMES[held] == name).sum() for name in net.classes_] == [10, 10, 10]
    assert sorted([*rows, *held]) == list(range(150))
    given = NetClassifier(epochs=2, random_state=0).fit(X, NAMES, validation_data=(X[:9], NAMES[:9]))
    np.testing.assert_allclose(
        given.history_.history["val_loss"][-1],
        -np.log(given.predict_proba(X[:9])[:, 0]).mean(),
        rtol=1e-5,
    )
    with pytest.raises(ValueError, match="validation_data: expected"):
        given.fit(X, NAMES, validation_data=X)
    with pytest.raises(ValueError, match=r"validation_data: y: expected labels out of .*, got 'rosa'"):
        given.fit(X, NAMES, validation_data=(X[:2], ["setosa", "rosa"]))
    with pytest.raises(ValueError, match="validation_data: X has 3 features"):
        given.fit(X, NAMES, validation_data=(X[:, :3], NAMES))
    weighted = NetClassifier(epochs=1).fit(X, SEVERAL, validation_data=(X, sparse.csr_array(SEVERAL), np.ones(150)))
    assert "val_loss" in weighted.history_.history


def test_early_stopping() -> None:
    stop = nb.callbacks.EarlyStopping(patience=2, min_delta=10.0)
    net = NetClassifier(epochs=50, validation_split=0.2, callbacks=[stop]).fit(X, y)
    assert net.n_iter_ < 10


# ---- numbers ----


def test_regressors() -> None:
    target = np.c_[X[:, 0] + X[:, 1], np.abs(X[:, 2])]
    net = NetRegressor(epochs=60, random_state=0, optimizer__learning_rate=0.01).fit(X, target)
    assert net.score(X, target) > 0.95
    assert net.predict(X).shape == (150, 2)
    one = NetRegressor(epochs=60, random_state=0, optimizer__learning_rate=0.01).fit(X, target[:, 0])
    assert one.score(X, target[:, 0]) > 0.95
    assert one.predict(X).shape == (150,)
    with pytest.raises(ValueError, match="expected 2 output units for 2 columns in y, got 3 units"):
        NetRegressor(ending(3)).fit(X, target)


@pytest.mark.parametrize("outputs", [1, 2])
def test_spread_of_passes(outputs: int) -> None:
    target = X[:, 0] if outputs == 1 else X[:, :2]
    net = NetRegressor(ending(outputs), epochs=20, random_state=0).fit(X, target)
    mean, std = net.predict(X, return_std=True)
    assert mean.shape == std.shape == target.shape
    assert (std > 0).all()
    assert np.array_equal(net.predict(X, return_std=True)[1], std), "the masks are the same each time"
    with pytest.raises(ValueError, match="held out"):
        net.predict_interval(X, 0.5)
    with pytest.raises(ValueError, match="coverage"):
        net.predict_interval(X, 1.5)
    with pytest.raises(ValueError, match="random"):
        NetRegressor(epochs=1).fit(X, target).predict(X, return_std=True)


def test_predicted_variances() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (600, 1))
    target = rng.normal(0, np.where(x[:, 0] > 0, 1.0, 0.1))
    model = nb.Sequential([Dense(32, "relu"), nb.layers.Dropout(0.05), Dense(2)])
    net = NetRegressor(model, loss=nb.losses.GaussianNegativeLogLikelihood, batch_size=100, epochs=100)
    net.set_params(optimizer__learning_rate=0.02, random_state=0).fit(x, target)
    mean, std = net.predict([[-0.6], [0.6]], return_std=True)
    np.testing.assert_allclose(std, [0.1, 1.0], rtol=0.4)
    assert (net.predict([[-0.6], [0.6]], return_std=True, mc_samples=20)[1] > 0.05).all()
    assert mean.shape == (2,)
    lower, upper = net.set_params(validation_split=0.3).fit(x, target).predict_interval(x, 0.8)
    assert 0.7 < ((lower < target) & (target < upper)).mean() < 0.9
    assert (upper - lower)[x[:, 0] > 0.3].mean() > 3 * (upper - lower)[x[:, 0] < -0.3].mean()


def test_samples_of_a_classifier() -> None:
    for model in (ending(3, "softmax"), ending(3)):
        net = NetClassifier(model, epochs=5, random_state=0).fit(X, y)
        p = net.predict_proba(X, mc_samples=30)
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
        assert not np.array_equal(p, net.predict_proba(X))
        assert np.array_equal(net.predict(X, mc_samples=30), p.argmax(1))


# ---- data ----


def test_bytes_images_and_several_inputs() -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), np.uint8)
    target = (images.mean((1, 2, 3)) > 127).astype(int)
    layers = [nb.Input((8, 8, 1)), nb.layers.Rescaling(1 / 255), nb.layers.Conv2D(2, 3), nb.layers.Flatten()]
    model = nb.Sequential([*layers, Dense(1, "sigmoid")])
    by_image = NetClassifier(model, epochs=2, random_state=0).fit(images, target)
    flat = NetClassifier(model, epochs=2, random_state=0).fit(images.reshape(60, 64), target)
    assert np.array_equal(by_image.predict_proba(images), flat.predict_proba(images.reshape(60, 64)))
    assert by_image.predict_proba(images).dtype == np.float32

    age, job = nb.Input((2,)), nb.Input((1,), dtype="int32")
    vector = nb.layers.Flatten()(nb.layers.Embedding(5, 3)(job))
    several = nb.Model([age, job], Dense(2, "softmax")(nb.layers.concatenate([age, vector])))
    table = np.c_[X[:, :2], np.arange(150) % 5]
    job_decides = NetClassifier(several, epochs=40, optimizer__learning_rate=0.1, random_state=0)
    assert job_decides.fit(table, table[:, 2] > 2).score(table, table[:, 2] > 2) > 0.99
    with pytest.raises(ValueError, match=r"expected rows for inputs of shapes .* got shape \(4,\)"):
        NetClassifier(several).fit(X, y)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.coo_array])
def test_sparse_features(form: Any) -> None:
    thin = np.where(X > 0, X, 0)
    dense = NetClassifier(epochs=3, random_state=0).fit(thin, y)
    given = NetClassifier(epochs=3, random_state=0).fit(form(thin), y)
    np.testing.assert_allclose(given.predict_proba(form(thin)), dense.predict_proba(thin), atol=1e-5)
    assert np.array_equal(given.predict(form(thin)), given.predict(thin))


def test_sparse_labels() -> None:
    net = NetClassifier(epochs=20, random_state=0).fit(X, sparse.csr_matrix(SEVERAL))
    assert sparse.issparse(net.predict(X))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library: str) -> None:
    frames = pytest.importorskip(library, reason=f"needs {library} (the extra 'test')")
    names = ["a", "b", "c", "d"]
    table = frames.DataFrame({name: X[:, k] for k, name in enumerate(names)})
    net = NetClassifier(epochs=2, random_state=0).fit(table, frames.Series(NAMES.tolist()))
    assert list(net.feature_names_in_) == names
    assert np.array_equal(net.predict_proba(table), net.predict_proba(table))
    with pytest.raises(ValueError, match="feature names should match"):
        net.predict(table[["b", "a", "c", "d"]])


def test_rows_do_not_depend_on_their_neighbours() -> None:
    net = NetClassifier(epochs=2, random_state=0).fit(X, y)
    together = net.predict_proba(X)
    for size in (1, 2, 3, 7):
        np.testing.assert_allclose(net.predict_proba(X[:size]), together[:size], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes(dtype: str) -> None:
    for model in (None, ending(3), lambda: ending(3)):
        net = NetClassifier(model, dtype=dtype, epochs=1).fit(X.astype(dtype), y)
        assert net.model_.dtype == dtype == net.predict_proba(X.astype(dtype)).dtype
