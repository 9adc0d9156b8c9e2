"""Bad input is refused before anything is trained, by an exception that says which argument and why."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import sparse

import nbnet as nb
from nbnet.layers import Activation, Dense, Dropout, Flatten, Reshape
from nbnet.models.model import NotBuiltError

rng = np.random.default_rng(8)
X = rng.normal(size=(20, 4)).astype("float32")
LABELS = rng.integers(0, 3, 20)
ONE_HOT = np.eye(3)[LABELS]
BITS = (LABELS > 0).astype("float32")
SCCE, CCE, BCE = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"


def network(loss=SCCE, output="softmax", units=3):
    model = nb.Sequential([nb.Input((4,)), Dense(5, "relu"), Dropout(0.2), Dense(units, output)])
    model.compile(nb.optimizers.Adam(), loss)
    return model


def put(array, where, value, dtype=None):
    """A copy with one element changed."""
    changed = np.array(array, dtype or np.asarray(array).dtype)
    changed[where] = value
    return changed


# ---- x -------------------------------------------------------------------------------------------------------

BAD_X = [
    ("a NaN", put(X, (3, 1), np.nan), ValueError, "x: expected finite values; 1 of its 80 values", "row 3, column 1"),
    ("infinite", put(X, (0, 0), -np.inf), ValueError, "x: expected finite values", "row 0, column 0"),
    ("all NaN", np.full_like(X, np.nan), ValueError, "80 of its 80 values are NaN"),
    ("NaN in float64", put(X, (19, 3), np.nan, "float64"), ValueError, "x: expected finite values", "row 19, column 3"),
    ("NaN in float16", put(X, (1, 1), np.nan, "float16"), ValueError, "x: expected finite values"),
    ("too large for float32", put(X, (2, 2), 1e300, "float64"), ValueError, "within the range", "1e+300"),
    ("too wide", np.ones((20, 5)), ValueError, "x: expected 4 columns, got 5"),
    ("too narrow", np.ones((20, 3)), ValueError, "x: expected 4 columns, got 3"),
    ("one dimension", np.ones(20), ValueError, "x: expected 4 columns, got 1", "for a single row pass x[None]"),
    ("three dimensions", np.ones((20, 2, 2)), ValueError, "x: expected rows of shape (4,), got (2, 2)"),
    ("no rows", np.ones((0, 4)), ValueError, "x: expected a non-empty array, got shape (0, 4)"),
    ("no columns", np.ones((20, 0)), ValueError, "x: expected a non-empty array"),
    ("an empty list", [], ValueError, "x: expected a non-empty array"),
    ("a number", 3.0, ValueError, "x: expected rows"),
    ("None", None, TypeError, "x: expected booleans, integers or floats, got None"),
    ("objects", X.astype(object), TypeError, "x: expected booleans, integers or floats, got dtype object"),
    ("complex", X.astype(complex), TypeError, "x: expected", "complex128", "real and the imaginary parts"),
    ("strings", X.astype(str), TypeError, "x: expected", "encode strings as numbers"),
    ("dates", np.zeros((20, 4), "M8[s]"), TypeError, "x: expected", "convert dates to numbers"),
    ("ragged", [[1, 2, 3, 4], [1, 2]], ValueError, "x: expected a rectangular array"),
    ("sparse", sparse.csr_array(X[:, :3]), ValueError, "x: expected 4 columns, got 3"),
    ("masked", np.ma.masked_less(X, 0), ValueError, "x: expected no missing values", "filled"),
    ("text", "data.csv", TypeError, "x: expected"),
    ("a dict", {"a": X}, TypeError, "x: expected"),
]  # fmt: skip

# ---- y -------------------------------------------------------------------------------------------------------

BAD_LABELS = [
    ("too large", put(LABELS, 7, 3), ValueError, "y: expected labels from 0 to 2, got 3 at row 7"),
    ("negative", put(LABELS, 0, -1), ValueError, "y: expected labels from 0 to 2, got -1 at row 0"),
    ("far too large", put(LABELS, 5, 2**62), ValueError, "y: expected labels from 0 to 2"),
    ("large and unsigned", put(LABELS, 5, 2**63 + 1, "uint64"), ValueError, "y: expected labels from 0 to 2"),
    ("fractional", put(LABELS, 2, 0.5, "float64"), ValueError, "y: expected whole numbers", "got 0.5 at row 2"),
    ("a NaN", put(LABELS, 2, np.nan, "float32"), ValueError, "y: expected finite values", "row 2"),
    ("infinite", put(LABELS, 2, np.inf, "float64"), ValueError, "y: expected finite values"),
    ("one-hot", ONE_HOT, ValueError, "y: expected labels, one a row", "use the loss 'categorical_crossentropy'"),
    ("too few", LABELS[:19], ValueError, "y: expected 20 rows, as many as x has, got 19"),
    ("too many", np.r_[LABELS, 0], ValueError, "y: expected 20 rows, as many as x has, got 21"),
    ("none", LABELS[:0], ValueError, "y: expected a non-empty array"),
    ("None", None, TypeError, "y: expected booleans, integers or floats"),
    ("names", np.array(["a", "b"] * 10), TypeError, "y: expected", "encode strings as numbers"),
    ("objects", LABELS.astype(object), TypeError, "y: expected", "object"),
    ("complex", LABELS.astype(complex), TypeError, "y: expected", "complex128"),
]  # fmt: skip

BAD_TARGETS = [
    ("labels for one-hot", CCE, "softmax", 3, LABELS, ValueError, "y: expected 3 columns, got 1", SCCE),
    ("too wide", CCE, "softmax", 3, np.ones((20, 4)), ValueError, "y: expected 3 columns, got 4"),
    ("too wide for mse", "mse", None, 3, np.ones((20, 2)), ValueError, "y: expected 3 columns, got 2"),
    ("three dimensions", "mse", None, 3, np.ones((20, 1, 3)), ValueError, "y: expected rows of shape (3,), got (1, 3)"),
    ("a NaN", "mse", None, 1, put(BITS, 4, np.nan), ValueError, "y: expected finite values", "row 4"),
    ("infinite", "mae", None, 1, put(BITS, 4, np.inf), ValueError, "y: expected finite values"),
    ("too large", "huber", None, 1, put(BITS, 4, 1e39, "float64"), ValueError, "within the range of float32"),
    ("too few", "mse", None, 1, BITS[:3], ValueError, "y: expected 20 rows, as many as x has, got 3"),
    ("strings", "mse", None, 1, BITS.astype(str), TypeError, "y: expected"),
    ("None", "mse", None, 1, None, TypeError, "y: expected"),
]  # fmt: skip

# ---- other arguments of fit ----------------------------------------------------------------------------------

BAD_ARGUMENTS = [
    *[("batch_size", v, ValueError, "batch_size: expected an integer from 1") for v in (0, -1, 2.5, "32", True, [32])],
    *[("epochs", value, ValueError, "epochs: expected an integer from 0") for value in (-3, 1.0, "1", None, True)],
    *[("initial_epoch", value, ValueError, "initial_epoch: expected an integer") for value in (-1, 0.5, "0", None)],
    *[("validation_split", v, ValueError, "validation_split: expected a number in") for v in (1, 1.5, -0.1, np.nan)],
    *[("validation_split", v, TypeError, "validation_split: expected a number") for v in ("0.1", None, [0.1])],
    *[("validation_split", v, ValueError, "leaves none of the 20 rows to") for v in (0.999, 1e-17)],
    *[("verbose", value, ValueError, "verbose: expected 'auto', 0, 1 or 2") for value in (3, "loud", None, 1.0)],
    *[("shuffle", value, TypeError, "shuffle: expected True or False") for value in ("no", None, 1)],
    ("sample_weight", np.ones(19), ValueError, "sample_weight: expected 20 rows, as many as x has, got 19"),
    ("sample_weight", np.ones((20, 2)), ValueError, "sample_weight: expected weights of shape (n,) or (n, 1)"),
    ("sample_weight", put(np.ones(20), 3, -1), ValueError, "sample_weight: expected weights from 0", "row 3"),
    ("sample_weight", put(np.ones(20), 3, np.nan), ValueError, "sample_weight: expected finite values"),
    ("sample_weight", ["a"] * 20, TypeError, "sample_weight: expected"),
    ("sample_weight", 2.0, ValueError, "sample_weight: expected rows"),
    ("class_weight", {0: -1.0}, ValueError, "class_weight: expected {class: weight from 0}, got {0: -1.0}"),
    ("class_weight", {0: np.inf}, ValueError, "class_weight: expected"),
    ("class_weight", {0: np.nan}, ValueError, "class_weight: expected"),
    ("class_weight", {"cat": 1.0}, ValueError, "class_weight: expected {class: weight from 0}, got {'cat': 1.0}"),
    ("class_weight", {0: "1"}, TypeError, "class_weight: expected a number, got '1'"),
    ("class_weight", [1.0, 2.0, 3.0], TypeError, "class_weight: expected a dict {class: weight}, got list"),
    ("class_weight", "balanced", TypeError, "class_weight: expected a dict {class: weight}, got str"),
    ("validation_data", X, ValueError, "validation_data: expected (x, y) or (x, y, sample_weight), got ndarray"),
    ("validation_data", (X,), ValueError, "validation_data: expected (x, y)"),
    ("validation_data", (X, LABELS, None, None), ValueError, "validation_data: expected (x, y)"),
    ("validation_data", (X[:, :3], LABELS), ValueError, "validation_data: x: expected 4 columns, got 3"),
    ("validation_data", (X, LABELS[:5]), ValueError, "validation_data: y: expected 20 rows, as many as x has, got 5"),
    ("validation_data", (X, LABELS + 1), ValueError, "validation_data: y: expected labels from 0 to 2, got 3"),
    ("validation_data", (put(X, (0, 0), np.nan), LABELS), ValueError, "validation_data: x: expected finite values"),
    ("validation_data", (X, None), TypeError, "validation_data: y: expected"),
    ("validation_data", (X, LABELS, -np.ones(20)), ValueError, "validation_data: sample_weight: expected"),
    ("batchsize", 32, TypeError, "batchsize"),
]  # fmt: skip


def refused(use, error, *words):
    """The call raises this very exception, and its message contains the words."""
    with pytest.raises(error, match=re.escape(words[0])) as caught:
        use()
    assert caught.type is error
    for word in words:
        assert word in str(caught.value)


class Untouched:
    """Checks that a model is as it was: weights bit for bit, iterations, and still trainable."""

    def __init__(self, model):
        self.model = model

    def __enter__(self):
        self.weights, self.iterations = self.model.get_weights(), self.model.optimizer.iterations
        return self.model

    def __exit__(self, *exc):
        if exc[0] is None:
            for before, after in zip(self.weights, self.model.get_weights(), strict=True):
                np.testing.assert_array_equal(before, after)
            assert self.model.optimizer.iterations == self.iterations
            assert not self.model._train_state.lock.locked()


def cases(table):
    return [pytest.param(*row[1:3], row[3:], id=row[0]) for row in table]


@pytest.fixture(scope="module")
def classifier():
    """Trained a little, so that programs exist."""
    model = network()
    model.fit(X, LABELS, verbose=0)
    model.predict(X)
    return model


@pytest.mark.parametrize(("x", "error", "words"), cases(BAD_X))
def test_bad_x(x, error, words, classifier):
    with Untouched(classifier) as model:
        refused(lambda: model.fit(x, LABELS, verbose=0), error, *words)
        refused(lambda: model.train_on_batch(x, LABELS), error, *words)
        refused(lambda: model.evaluate(x, LABELS, verbose=0), error, *words)
        refused(lambda: model.test_on_batch(x, LABELS), error, *words)
        refused(lambda: model.predict(x), error, *words)
        refused(lambda: model.predict_on_batch(x), error, *words)
        refused(lambda: model(x), error, *words)


@pytest.mark.parametrize(("y", "error", "words"), cases(BAD_LABELS))
def test_bad_labels(y, error, words, classifier):
    with Untouched(classifier) as model:
        refused(lambda: model.fit(X, y, verbose=0), error, *words)
        refused(lambda: model.train_on_batch(X, y), error, *words)
        refused(lambda: model.evaluate(X, y, verbose=0), error, *words)
        refused(lambda: model.test_on_batch(X, y), error, *words)
    eager = [word.replace("y: ", "y_true: ", 1).split(", x has")[0] for word in words]
    refused(lambda: model.loss(y, model(X)), error, *eager)


@pytest.mark.parametrize(
    ("loss", "output", "units", "y", "error", "words"),
    [pytest.param(*row[1:6], row[6:], id=f"{row[1]}: {row[0]}") for row in BAD_TARGETS],
)
def test_bad_targets(loss, output, units, y, error, words):
    with Untouched(network(loss, output, units)) as model:
        refused(lambda: model.fit(X, y, verbose=0), error, *words)
        refused(lambda: model.train_on_batch(X, y), error, *words)
        refused(lambda: model.evaluate(X, y, verbose=0), error, *words)


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [pytest.param(*row[:3], row[3:], id=f"{row[0]}={str(row[1])[:25]}") for row in BAD_ARGUMENTS],
)
def test_bad_arguments_of_fit(name, value, error, words, classifier):
    with Untouched(classifier) as model:
        refused(lambda: model.fit(X, LABELS, **({"verbose": 0} | {name: value})), error, *words)
        if name in ("batch_size", "verbose"):
            refused(lambda: model.evaluate(X, LABELS, **({"verbose": 0} | {name: value})), error, *words)
            refused(lambda: model.predict(X, **{name: value}), error, *words)
        if name == "sample_weight":
            refused(lambda: model.evaluate(X, LABELS, verbose=0, sample_weight=value), error, *words)
        if name in ("sample_weight", "class_weight"):
            refused(lambda: model.train_on_batch(X, LABELS, **{name: value}), error, *words)


def test_class_weight_wants_one_class_a_row():
    model = nb.Sequential([nb.Input((3, 4)), Dense(2)])
    model.compile("sgd", "mse")
    with Untouched(model):
        refused(
            lambda: model.fit(np.ones((5, 3, 4)), np.ones((5, 3, 2)), class_weight={0: 2.0}, verbose=0),
            ValueError,
            "class_weight: expected targets of one class a row, got rows of shape (3, 2)",
        )


# ---- models that are not ready -------------------------------------------------------------------------------


def test_a_model_that_is_not_compiled():
    model = nb.Sequential([nb.Input((4,)), Dense(3)], name="net")
    for use in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        refused(lambda use=use: use(X, ONE_HOT), ValueError, "net is not compiled: call compile(optimizer, loss) first")
    assert model.predict(X).shape == (20, 3)
    model.compile("sgd")
    refused(lambda: model.fit(X, ONE_HOT), ValueError, "net is not compiled")


def test_a_model_that_is_not_built():
    model = nb.Sequential([Dense(3)], name="net")
    for use in (lambda: model.input_shape, lambda: model.output_shape):
        refused(use, NotBuiltError, "net is not built: give it an Input, or call it or fit it on data first")
    refused(lambda: model.set_weights([np.ones((4, 3)), np.ones(3)]), ValueError, "net has 0 arrays, got 2")
    model.compile("sgd", "mse")
    refused(lambda: model.predict(np.full((2, 4), np.nan)), ValueError, "x: expected finite values")
    assert not model.built


def test_a_model_without_layers():
    model = nb.Sequential(name="net")
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="net has no trainable weights"):
        assert model.fit(X, X, verbose=0).history == {"loss": [0.0]}


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.zeros(5), "y: expected rows of shape (3,), got ()"),
        (np.zeros((5, 2)), "y: expected 3 columns, got 2"),
        (np.zeros((5, 3, 2)), "y: expected rows of shape (3,), got (3, 2); for one-hot rows use the loss"),
        (np.full((5, 3), 2), "y: expected labels from 0 to 1, got 2 at row 0, column 0"),
    ],
)
def test_labels_of_positions(y, words):
    model = nb.Sequential([nb.Input((3, 4)), Dense(2)])
    model.compile("sgd", SCCE)
    refused(lambda: model.fit(np.ones((5, 3, 4)), y, verbose=0), ValueError, words)


# ---- compile -------------------------------------------------------------------------------------------------

BAD_COMPILE = [
    ({"optimizer": "adamm"}, ValueError, "optimizer: 'adamm' is not known; known are ", "adam", "sgd"),
    ({"optimizer": None}, TypeError, "optimizer: expected a name or a Optimizer, got None"),
    ({"optimizer": 0.01}, TypeError, "optimizer: expected a name"),
    ({"optimizer": {"class_name": "nothing"}}, ValueError, "optimizer: 'nothing' is not known"),
    ({"optimizer": {}}, TypeError, "optimizer: expected a name"),
    ({"optimizer": nb.losses.Huber()}, TypeError, "optimizer: expected a name"),
    ({"loss": "cross_entropy"}, ValueError, "loss: 'cross_entropy' is not known; known are ", CCE),
    ({"loss": 3}, TypeError, "loss: expected a name"),
    ({"loss": [3]}, TypeError, "loss: expected a name"),
    ({"loss": {"output": "nonsense"}}, ValueError, "loss: 'nonsense' is not known"),
    ({"loss_weights": "a"}, TypeError, "loss_weights: expected a number, got 'a'"),
    ({"weighted_metrics": "mse"}, ValueError, "weighted_metrics: expected a list"),
    ({"metrics": "accuracy"}, ValueError, "metrics: expected a list, or a dict by name of output, got 'accuracy'"),
    ({"metrics": ["f2"]}, ValueError, "metrics: 'f2' is not known"),
    ({"metrics": ["accuracy", "f2"]}, ValueError, "metrics: 'f2' is not known"),
    ({"metrics": [3]}, TypeError, "metrics: expected a name"),
    ({"metrics": ["mse"], "loss": SCCE}, ValueError, "metrics: mse reads targets", f"{SCCE} class labels"),
    ({"metrics": ["sparse_categorical_accuracy"], "loss": "mse"}, ValueError, "reads targets that are class labels"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "error", "words"), [(row[0], row[1], row[2:]) for row in BAD_COMPILE])
def test_bad_compile(arguments, error, words):
    with Untouched(network("mse", None)) as model:
        refused(lambda: model.compile(**({"optimizer": "sgd", "loss": "mse"} | arguments)), error, *words)
        assert np.isfinite(model.evaluate(X, ONE_HOT, verbose=0))


# ---- layers, losses, optimizers ------------------------------------------------------------------------------

BAD_OBJECTS = [
    *[(lambda v=v: Dense(v), ValueError, "units: expected an integer") for v in (0, -2, 2.0, "2", None, True, (2,))],
    (lambda: Dense(2, "rely"), ValueError, "activation: 'rely' is not known; known are ", "elu", "relu"),
    (lambda: Dense(2, 3), TypeError, "activation: expected a name or a function, got 3"),
    (lambda: Activation("rely"), ValueError, "activation: 'rely' is not known"),
    (lambda: Dense(2, kernel_initializer="glorot"), ValueError, "kernel_initializer: ", "'glorot' is not known"),
    (lambda: Dense(2, bias_initializer=3), TypeError, "initializer"),
    (lambda: Dense(2, name=3), ValueError, "name: expected a string"),
    (lambda: Dense(2, name="a/b"), ValueError, "name: expected a string without '/'"),
    (lambda: Dense(2, dtype="float16"), ValueError, "dtype: expected float32 or float64, got 'float16'"),
    (lambda: Dense(2, unit=3), TypeError, "unit"),
    (lambda: Dropout(1.5), ValueError, "rate: "),
    (lambda: Dropout(0.5, seed="a"), TypeError, "seed: expected an integer, got 'a'"),
    (lambda: Dropout(0.5, seed=1.5), TypeError, "seed: expected an integer, got 1.5"),
    (lambda: Dropout(keep_prob=0.5, rate=0.5), TypeError, "keep_prob: "),
    *[(lambda v=v: nb.Input(v), ValueError, "shape: expected sizes") for v in (4, "4", (0,), (2.0,), (-1,), (True,))],
    *[(lambda v=v: Reshape(v), ValueError, "target_shape: ") for v in (4, "4", (), (0,), (-2,), (-1, -1), (2.0,))],
    (lambda: Reshape((3,))(np.ones((2, 4))), ValueError, "target_shape: (3,) does not fit samples of shape (4,)"),
    (lambda: Reshape((3, -1))(np.ones((2, 4))), ValueError, "target_shape: (3, -1) does not fit samples of shape (4,)"),
    (lambda: Dense(2)(np.ones(3)), ValueError, "expected inputs (batch, ..., features)"),
    (lambda: Flatten()(["a"]), TypeError, "a tensor holds real numbers"),
    (lambda: nb.Sequential([Dense(2), "relu"]), ValueError, "layer: a Sequential is made of layers, got 'relu'"),
    (lambda: nb.Sequential([Dense]), ValueError, "layer: a Sequential is made of layers"),
    (lambda: nb.losses.Huber(0), ValueError, "delta: expected a finite number above 0, got 0"),
    (lambda: nb.losses.Huber(np.inf), ValueError, "delta: expected a finite number above 0"),
    (lambda: nb.losses.Huber("1"), TypeError, "delta: expected a number, got '1'"),
    (lambda: nb.losses.BinaryCrossentropy(label_smoothing=1.5), ValueError, "label_smoothing: expected"),
    (lambda: nb.losses.CategoricalCrossentropy(label_smoothing="a"), TypeError, "label_smoothing: expected a number"),
    (lambda: nb.metrics.BinaryAccuracy(threshold="a"), TypeError, "threshold: expected a number"),
    (lambda: nb.tensor(["a"]), TypeError, "a tensor holds real numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "words"), [(row[0], row[1], row[2:]) for row in BAD_OBJECTS])
def test_bad_objects(make, error, words):
    refused(make, error, *words)


def test_a_layer_used_on_another_width():
    layer = Dense(2, name="d")
    layer(np.ones((3, 4)))
    refused(lambda: layer(np.ones((3, 5))), ValueError, "d: was built for 4 features, got an input of shape (3, 5)")


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", BCE, CCE])
def test_losses_called_on_what_does_not_fit(loss):
    loss = nb.losses.as_loss(loss)
    p = np.full((4, 3), 1 / 3)
    refused(lambda: loss(np.ones((4, 2)), p), ValueError, "y_true: expected 3 columns, got 2")
    refused(lambda: loss(np.ones((3, 3)), p), ValueError, "y_true: expected 4 rows, as many as x has, got 3")
    refused(
        lambda: loss(nb.tensor(np.ones((4, 2))), nb.tensor(p)),
        ValueError,
        "y_true: expected the shape of the predictions, (4, 3)",
    )
    refused(lambda: loss(np.full((4, 3), np.nan), p), ValueError, "y_true: expected finite values")
    refused(
        lambda: loss(np.ones((4, 3)), p, sample_weight=np.ones(3)),
        ValueError,
        "sample_weight: expected a weight for each sample",
    )
    refused(
        lambda: loss(np.ones((4, 3)), p, sample_weight=np.full(4, np.nan)),
        ValueError,
        "sample_weight: expected finite",
    )


@pytest.mark.parametrize(
    ("y", "words"),
    [(2 * BITS - 1, r"got -1.0 at row"), (put(BITS, 11, 2), r"got 2.0 at row 11, column 0"),
     (BITS * 1.05, r"got 1.04\d* at row")],
)  # fmt: skip
def test_targets_outside_probabilities_are_computed_with_a_warning(y, words):
    """As in Keras; noise in the labels of a discriminator goes a little beyond 1."""
    model = nb.Sequential([nb.Input((4,)), Dense(1, "sigmoid")])
    model.compile(nb.optimizers.SGD(0.0), BCE)
    p = model.predict(X, verbose=0)[:, 0].astype(np.float64)
    with pytest.warns(UserWarning, match=rf"y: expected values in \[0, 1\], {words}"):
        loss = model.fit(X, y, verbose=0).history["loss"][0]
    t = np.asarray(y, np.float64).reshape(-1)
    assert loss == pytest.approx(-np.mean(t * np.log(p) + (1 - t) * np.log(1 - p)), rel=1e-4)


@pytest.mark.parametrize("value", [np.zeros((4, 3)), [[0.0]], 0.0, None])
def test_a_weight_is_not_replaced_by_values(value):
    layer = Dense(3)
    model = nb.Sequential([nb.Input((4,)), layer])
    x = np.ones((2, 4))
    before = model.predict(x, verbose=0)
    refused(lambda: setattr(layer, "kernel", value), TypeError, "kernel: expected a weight, got", "layer.kernel.assign")
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
    layer.kernel = nb.Parameter(np.ones((4, 3), np.float32), name="kernel")
    np.testing.assert_array_equal(model.predict(x, verbose=0), np.full((2, 3), 4.0))
