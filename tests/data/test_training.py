"""Training, evaluation and prediction from whatever data come in: the numbers are those of the dense array."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import nbnet as nb
from nbnet.utils import PyDataset

N, BATCH = 37, 8
STEPS = -(-N // BATCH)
rng = np.random.default_rng(0)
X = (rng.integers(-9, 9, (N, 5)) * (rng.random((N, 5)) < 0.5)).astype("float32")
Y = rng.integers(0, 3, N)
W = rng.random(N).astype("float32")
CLASSES = {0: 0.5, 2: 3.0}


def network(metrics=("accuracy",), width=5):
    nb.set_random_seed(3)
    model = nb.Sequential(
        [nb.Input((width,)), nb.layers.Dense(16, "relu"), nb.layers.Dropout(0.3), nb.layers.Dense(3, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=list(metrics))
    return model


def batches(weighted=False):
    for start in range(0, N, BATCH):
        rows = slice(start, start + BATCH)
        yield (X[rows], Y[rows], W[rows]) if weighted else (X[rows], Y[rows])


def forever(weighted=False):
    while True:
        yield from batches(weighted)


class Batches(PyDataset):
    def __init__(self, weighted=False, **kwargs):
        super().__init__(**kwargs)
        self.batches = list(batches(weighted))

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


class Loader:
    def __init__(self, weighted=False):
        self.weighted = weighted

    def __iter__(self):
        return map(list, batches(self.weighted))


STREAMS = {
    "generator": lambda weighted=False: (forever(weighted), {"steps_per_epoch": STEPS}),
    "dataset": lambda weighted=False: (Batches(weighted, workers=0), {}),
    "dataset with workers": lambda weighted=False: (Batches(weighted, workers=2), {}),
    "loader": lambda weighted=False: (Loader(weighted), {}),
}


def frame(library, array):
    made = pytest.importorskip(library, reason=f"{library} is not installed").DataFrame
    return made({f"column {k}": array[:, k] for k in range(array.shape[1])})


TABLES = {
    "csr": lambda x: sparse.csr_array(x),
    "csc": lambda x: sparse.csc_matrix(x),
    "pandas": lambda x: frame("pandas", x),
    "polars": lambda x: frame("polars", x),
    "list": lambda x: x.tolist(),
}


def fits(*trainings):
    """The histories of trainings ``(model, x, y, arguments)``, all from one seed."""
    found = []
    for model, x, y, arguments in trainings:
        nb.set_random_seed(5)
        found.append(model.fit(x, y, verbose=0, **arguments))
    return found


def assert_same_training(one, other, histories):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    first, second = (history.history for history in histories)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-12)


# ---- tables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", TABLES)
def test_tables_train_as_the_array(kind, shuffle):
    x, one, other = TABLES[kind](X), network(), network()
    arguments = dict(batch_size=BATCH, epochs=3, shuffle=shuffle, sample_weight=W, validation_split=0.2)
    assert_same_training(one, other, fits((one, X, Y, arguments), (other, x, Y, arguments)))
    np.testing.assert_array_equal(one.predict(X, BATCH), other.predict(x, BATCH))
    assert one.evaluate(X, Y, BATCH, 0) == other.evaluate(x, Y, BATCH, 0)
    assert one.train_on_batch(X, Y) == other.train_on_batch(x, Y)


def test_sparse_rows_in_slices():
    x = (rng.random((512, 600)) < 0.02).astype("float32")
    y = rng.integers(0, 3, 512)
    one, other = network(width=600), network(width=600)
    arguments = {"batch_size": 256, "epochs": 2}
    assert_same_training(one, other, fits((one, x, y, arguments), (other, sparse.csr_array(x), y, arguments)))


def test_a_sparse_matrix_too_large_to_be_dense():
    x = sparse.csr_array((np.ones(4), ([0, 5, 999_999, 10], [7, 20_000, 99_999, 3])), shape=(1_000_000, 100_000))
    model = nb.Sequential([nb.Input((100_000,)), nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert np.isfinite(model.evaluate(x[-64:], np.zeros(64), verbose=0))
    with pytest.raises(ValueError, match="y: expected 1000000 rows, as many as x has, got 3"):
        model.fit(x, np.zeros(3))


def test_a_sparse_matrix_for_rows_that_are_no_vectors():
    model = nb.Sequential([nb.Input((5, 1)), nb.layers.Flatten(), nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"x: expected rows of shape \(5, 1\), got \(5,\)"):
        model.fit(sparse.csr_array(X), np.zeros(N), verbose=0)


def two_inputs():
    nb.set_random_seed(1)
    words, age = nb.Input((5,), name="words"), nb.Input((1,), name="age")
    hidden = nb.layers.concatenate([nb.layers.Dense(4)(words), age])
    model = nb.Model([words, age], nb.layers.Dense(3, "softmax")(hidden))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_several_inputs_of_several_kinds(library):
    ages = frame(library, X)["column 0"]
    dense = {"words": X, "age": X[:, 0]}
    others = [
        {"age": ages, "words": sparse.csr_array(X)},
        {"age": X[:, 0], "words": frame(library, X)},
        [sparse.csc_array(X), ages],
    ]
    for x in others:
        one, other = two_inputs(), two_inputs()
        arguments = {"batch_size": BATCH, "epochs": 2}
        assert_same_training(one, other, fits((one, dense, Y, arguments), (other, x, Y, arguments)))
        np.testing.assert_array_equal(one.predict(dense), other.predict(x))


def test_a_column_that_holds_no_numbers_is_named():
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    with pytest.raises(TypeError, match=r"^x\['age'\]: expected .* column 'age' is of dtype .*: encode it as numbers"):
        two_inputs().fit({"words": X, "age": pd.Series(["young"] * N, name="age")}, Y, verbose=0)


# ---- streams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", STREAMS)
def test_streams_train_as_the_array(kind, weighted):
    one, other = network(), network()
    x, arguments = STREAMS[kind](weighted)
    w = W if weighted else None
    histories = [
        one.fit(X, Y, BATCH, 3, verbose=0, shuffle=False, sample_weight=w, class_weight=CLASSES),
        other.fit(x, epochs=3, verbose=0, shuffle=False, class_weight=CLASSES, **arguments),
    ]
    assert_same_training(one, other, histories)
    steps = STEPS if kind == "generator" else None
    for model in (one, other):
        model.optimizer.learning_rate = 0.0
    x, _ = STREAMS[kind](weighted)
    np.testing.assert_allclose(other.evaluate(x, steps=steps, verbose=0), one.evaluate(X, Y, BATCH, 0, w), rtol=1e-12)
    x, _ = STREAMS[kind](weighted)
    np.testing.assert_array_equal(other.predict(x, steps=steps), one.predict(X, BATCH))


def test_a_dataset_is_shuffled_by_batches():
    class Watched(Batches):
        asked = ()

        def __getitem__(self, index):
            self.asked = (*self.asked, index)
            return super().__getitem__(index)

    source = Watched(workers=0)
    fits((network(), source, None, {"epochs": 4}))
    epochs = [source.asked[k : k + STEPS] for k in range(0, 4 * STEPS, STEPS)]
    assert all(sorted(epoch) == [*range(STEPS)] for epoch in epochs)
    assert len(set(epochs)) > 1
    again = Watched(workers=0)
    fits((network(), again, None, {"epochs": 4}))
    assert again.asked == source.asked


def test_metrics_of_whole_epochs():
    x, y = X, (Y > 0).astype("float32")
    models = []
    for _ in range(2):
        nb.set_random_seed(0)
        model = nb.Sequential([nb.Input((5,)), nb.layers.Dense(1, "sigmoid")])
        model.compile("sgd", "binary_crossentropy", metrics=[nb.metrics.F1Score(threshold=0.5), nb.metrics.R2Score()])
        models.append(model)
    parts = [(x[k : k + BATCH], y[k : k + BATCH]) for k in range(0, N, BATCH)]
    one = models[0].fit(x, y, BATCH, 2, 0, shuffle=False, validation_data=(x, y))
    other = models[1].fit(
        (part for part in parts * 2),
        epochs=2,
        steps_per_epoch=STEPS,
        verbose=0,
        validation_data=(x, y),
        validation_batch_size=BATCH,
    )
    assert_same_training(*models, [one, other])


def test_hooks_of_batches():
    calls = []

    class Watch(nb.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            calls.append(("begin", batch))

        def on_train_batch_end(self, batch, logs=None):
            calls.append(("end", batch))
            self.model.stop_training = batch == 2

    history = network().fit(Batches(), epochs=5, verbose=0, callbacks=[Watch()])
    assert calls == [(kind, batch) for batch in range(3) for kind in ("begin", "end")]
    assert len(history.epoch) == 1


def test_batches_by_name():
    one, other = two_inputs(), two_inputs()
    named = [({"words": x, "age": x[:, 0]}, y) for x, y in batches()]
    fits(
        (one, {"words": X, "age": X[:, 0]}, Y, {"batch_size": BATCH, "shuffle": False}), (other, iter(named), None, {})
    )
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.predict(x for x, y in named), one.predict({"words": X, "age": X[:, 0]}, BATCH))


@pytest.mark.parametrize("kind", STREAMS)
def test_steps_of_the_users_own(kind):
    class Own(nb.Sequential):
        seen = ()

        def train_step(self, data):
            self.seen = (*self.seen, len(data[0]))
            return super().train_step(data)

    model = Own([nb.Input((5,)), nb.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    x, arguments = STREAMS[kind]()
    history = model.fit(x, epochs=2, verbose=0, **arguments)
    assert model.seen == (8, 8, 8, 8, 5) * 2 or sorted(model.seen) == [5] * 2 + [8] * 8
    assert set(history.history) == {"loss", "accuracy"}


def test_a_generator_may_fill_one_buffer_again_and_again():
    def refilled():
        x, y = np.empty((BATCH, 5), "float32"), np.empty(BATCH, np.int64)
        for start in range(0, N - BATCH, BATCH):
            x[...], y[...] = X[start : start + BATCH], Y[start : start + BATCH]
            yield x, y

    one, other = network(), network()
    n = (N // BATCH) * BATCH
    arguments = {"batch_size": BATCH, "shuffle": False}
    assert_same_training(one, other, fits((one, X[:n], Y[:n], arguments), (other, refilled(), None, {})))


def test_a_model_is_built_on_the_first_batch():
    model = nb.Sequential([nb.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(batches(), verbose=0)
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("verbose", [1, 2])
def test_progress_without_a_known_length(verbose, capsys):
    network().fit(Loader(), epochs=2, verbose=verbose)
    printed = capsys.readouterr().out
    assert "Epoch 2/2" in printed
    assert verbose == 2 or f"{STEPS}/{STEPS}" in printed


# ---- steps, validation -----------------------------------------------------------------------------------------


def test_a_generator_that_ends_ends_training():
    model = network()
    with pytest.warns(UserWarning, match="x ran out of data after 1 of the 2 steps of an epoch"):
        history = model.fit(batches(), epochs=9, steps_per_epoch=2, verbose=0)
    assert history.epoch == [0, 1, 2]
    with pytest.warns(UserWarning, match="x ran out of data"):
        history = model.fit(batches(), epochs=9, verbose=0)
    assert history.epoch == [0]


def test_a_generator_that_ends_with_its_last_epoch_is_fine():
    assert network().fit(batches(), epochs=1, verbose=0).epoch == [0]


def test_steps_of_arrays_go_on_where_the_last_epoch_ended():
    one, other = network(), network()
    one.fit(X, Y, BATCH, 2, 0, shuffle=False)
    with pytest.warns(UserWarning, match="ran out of data after 2 of the 3 steps"):
        history = other.fit(X, Y, BATCH, 4, 0, shuffle=False, steps_per_epoch=3)
    assert history.params["steps"] == 3
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_steps_without_a_size_see_all_rows():
    """As in Keras; and no epochs are none."""
    one, other = network(), network()
    size = -(-len(X) // 3)
    validated = one.fit(X, Y, size, 2, 0, shuffle=False, validation_data=(X, Y), validation_batch_size=len(X)).history
    steps = {"steps_per_epoch": 3, "validation_steps": 1}
    history = other.fit(X, Y, epochs=2, verbose=0, shuffle=False, validation_data=(X, Y), **steps).history
    assert history == validated
    assert other.fit(X, Y, epochs=0, verbose=0).history == {}


def test_steps_of_evaluation_and_prediction():
    model = network()
    assert model.evaluate(X, Y, BATCH, 0, steps=2) == model.evaluate(X[: 2 * BATCH], Y[: 2 * BATCH], BATCH, 0)
    np.testing.assert_array_equal(model.predict(X, BATCH, steps=2), model.predict(X[: 2 * BATCH], BATCH))
    assert len(model.predict(forever(), steps=2)) == 2 * BATCH
    with pytest.warns(UserWarning, match=f"ran out of data after {STEPS} of the 9 steps"):
        model.evaluate(X, Y, BATCH, 0, steps=9)


@pytest.mark.parametrize("kind", STREAMS)
def test_validation_from_streams(kind):
    one, other = network(), network()
    x, _ = STREAMS[kind]()
    steps = STEPS if kind == "generator" else None
    arguments = {"batch_size": BATCH, "epochs": 2}
    histories = fits(
        (one, X, Y, arguments | {"validation_data": (X, Y)}),
        (other, X, Y, arguments | {"validation_data": x, "validation_steps": steps}),
    )
    assert_same_training(one, other, histories)


def test_validation_steps_begin_anew_each_time():
    model = network()
    model.optimizer.learning_rate = 0.0
    for x, size in ((Batches(), None), (Loader(), None), ((X, Y), BATCH)):
        arguments = {"validation_data": x, "validation_steps": 2, "validation_batch_size": size}
        losses = model.fit(X, Y, epochs=3, verbose=0, **arguments).history["val_loss"]
        expected = model.evaluate(X[: 2 * BATCH], Y[: 2 * BATCH], verbose=0)[0]
        assert losses == pytest.approx([expected] * 3)


@pytest.mark.parametrize(("frequency", "epochs"), [(1, 5), (2, 2), (np.int64(2), 2), ([1, 5], 2), ([9], 0)])
def test_validation_is_not_after_every_epoch(frequency, epochs):
    history = network().fit(X, Y, epochs=5, verbose=0, validation_split=0.2, validation_freq=frequency)
    assert len(history.history.get("val_loss", [])) == epochs
    assert len(history.history["loss"]) == 5


def test_size_of_validation_batches():
    sizes = []

    class Watch(nb.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            sizes.append(batch)

    network().fit(X, Y, BATCH, 1, 0, [Watch()], validation_data=(X, Y), validation_batch_size=10)
    assert sizes in ([0, 1, 2, 3], [])


# ---- refused ---------------------------------------------------------------------------------------------------


def bad_rows():
    yield X[:8], Y[:8]
    yield X[:8, :4], Y[:8]


def bad_labels():
    yield X[:8], Y[:8]
    yield X[:8], Y[:8] + 9


def bad_values():
    yield np.full((8, 5), np.nan), Y[:8]


@pytest.mark.parametrize(
    ("x", "arguments", "message"),
    [
        (batches(), {"y": Y}, "y: expected None: x is a generator"),
        (batches(), {"sample_weight": W}, "sample_weight: expected None: x is a generator"),
        (batches(), {"validation_split": 0.2}, "validation_split: expected 0: x is a generator"),
        (iter([]), {}, "x: expected at least one batch"),
        (iter([X]), {}, r"x: expected batches \(x, y\) or \(x, y, sample_weight\), batch 0 is a ndarray"),
        (bad_rows(), {}, "batch 1: x: expected 5 columns, got 4"),
        (bad_labels(), {}, "batch 1: y: expected labels from 0 to 2"),
        (bad_values(), {}, "batch 0: x: expected finite values"),
        (X, {"y": Y, "steps_per_epoch": 0}, "steps_per_epoch: expected None or an integer from 1, got 0"),
        (X, {"y": Y, "validation_steps": -1}, "validation_steps: expected None or an integer from 1, got -1"),
        (X, {"y": Y, "validation_freq": 0}, "validation_freq: expected an integer from 1 or a list of epochs, got 0"),
        (X, {"y": Y, "validation_data": iter([X])}, "validation_data: expected batches"),
        (X, {"y": Y, "validation_data": bad_rows()}, "validation_data, batch 1: x: expected 5 columns, got 4"),
    ],
    ids=range(13),
)
def test_refused(x, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        network().fit(x, verbose=0, **arguments)


def test_validation_data_that_end():
    model = network()
    with pytest.warns(UserWarning, match="validation_data ran out of data after 1 of the 2 epochs"):
        history = model.fit(X, Y, epochs=2, verbose=0, validation_data=batches()).history
    assert (len(history["loss"]), len(history["val_loss"])) == (2, 1)
    with pytest.raises(ValueError, match="x: expected at least one batch, got none"):
        model.evaluate(iter([]), verbose=0)
    with pytest.raises(ValueError, match="x: expected at least one batch, got none"):
        model.predict(iter([]))


@pytest.mark.parametrize("x", ["arrays", "dataset"])
def test_training_goes_on_where_it_was_interrupted_in_an_epoch(x):
    class Stop(nb.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            if self.batches == STEPS + 3:
                raise KeyboardInterrupt

    whole, parts = network(), network()
    x, y, arguments = (X, Y, {"batch_size": BATCH}) if x == "arrays" else (Batches(), None, {})
    fits((whole, x, y, arguments | {"epochs": 2}))
    with pytest.raises(KeyboardInterrupt):
        fits((parts, x, y, arguments | {"epochs": 2, "callbacks": [Stop()]}))
    parts.fit(x, y, epochs=2, initial_epoch=1, verbose=0, **arguments)
    for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
