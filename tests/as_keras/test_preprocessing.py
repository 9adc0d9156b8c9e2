"""Old preprocessing, backend functions and wrappers: the numbers that Keras 2 gave."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

import nbnet as nb
from nbnet.as_keras import image, preprocessing


@pytest.fixture
def keras() -> Iterator[Any]:
    with nb.install_as_keras(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield importlib.import_module("keras")


TEXTS = ["The cat sat on the mat.", "The dog ate my homework."]


def test_tokenizer() -> None:
    tokenizer = preprocessing.Tokenizer(num_words=5, oov_token="?")
    tokenizer.fit_on_texts(TEXTS)
    assert list(tokenizer.word_index)[:3] == ["?", "the", "cat"]
    assert tokenizer.texts_to_sequences(["the cat flew on"]) == [[2, 3, 1, 1]]
    assert tokenizer.sequences_to_texts([[2, 3]]) == ["the cat"]
    again = preprocessing.tokenizer_from_json(tokenizer.to_json())
    assert again.texts_to_sequences(TEXTS) == tokenizer.texts_to_sequences(TEXTS)
    assert again.index_word == tokenizer.index_word


@pytest.mark.parametrize(
    ("mode", "want"),
    [
        ("binary", [0, 1, 0, 1]),
        ("count", [0, 2, 0, 1]),
        ("freq", [0, 2 / 3, 0, 1 / 3]),
        # (1 + log count) * log(1 + documents / (1 + documents with the word))
        ("tfidf", [0, (1 + np.log(2)) * np.log(1 + 2 / 3), 0, np.log(1 + 2 / 2)]),
    ],
)
def test_matrices_of_texts(mode: str, want: list[float]) -> None:
    tokenizer = preprocessing.Tokenizer()
    tokenizer.fit_on_texts(["a b a", "a c"])
    np.testing.assert_allclose(tokenizer.texts_to_matrix(["a c a"], mode)[0], np.array(want)[[0, 1, 2, 3]])


def test_characters() -> None:
    tokenizer = preprocessing.Tokenizer(char_level=True)
    tokenizer.fit_on_texts(["aAb"])
    assert tokenizer.word_index == {"a": 1, "b": 2}
    assert preprocessing.hashing_trick("a b a", 10, "md5") == [
        preprocessing.hashing_trick(w, 10, "md5")[0] for w in "aba"
    ]


def test_windows_of_a_series() -> None:
    data = np.arange(10.0)
    batches = preprocessing.TimeseriesGenerator(data, data * 10, length=4, sampling_rate=2, stride=3, batch_size=2)
    assert len(batches) == 1
    x, y = batches[0]
    assert (x.tolist(), y.tolist()) == ([[0, 2], [3, 5]], [40, 70])
    with pytest.raises(ValueError, match="no window fits"):
        preprocessing.TimeseriesGenerator(data, data, length=10)


def test_pairs_of_words() -> None:
    couples, labels = preprocessing.skipgrams([1, 2, 0, 3], 10, window_size=1, negative_samples=0, shuffle=False)
    assert (couples, labels) == ([[1, 2], [2, 1]], [1, 1])
    couples, labels = preprocessing.skipgrams([1, 2, 3], 10, negative_samples=1.0, seed=1)
    assert sorted(labels) == [0] * 6 + [1] * 6
    np.testing.assert_allclose(preprocessing.make_sampling_table(3), [0.00315225, 0.00315225, 0.00547597], rtol=1e-5)


def pictures(folder: Path) -> None:
    for name, value in (("cats", 0), ("dogs", 200)):
        (folder / name).mkdir()
        for k in range(4):
            nb.utils.save_img(folder / name / f"{k}.png", np.full((6, 8, 3), value + k), scale=False)


def test_pictures_are_changed() -> None:
    x = np.arange(48.0, dtype="float32").reshape(1, 4, 4, 3)
    plain = image.ImageDataGenerator().flow(x, batch_size=1)[0]
    assert (plain == x).all()
    flipped = {
        image.ImageDataGenerator(horizontal_flip=True).random_transform(x[0], seed).tobytes() for seed in range(8)
    }
    assert flipped == {x[0].tobytes(), x[0, :, ::-1].tobytes()}
    shifted = image.ImageDataGenerator(width_shift_range=[1], fill_mode="constant").random_transform(x[0])
    assert (shifted[:, :-1] == x[0, :, 1:]).all() or (shifted[:, 1:] == x[0, :, :-1]).all()
    centred = image.ImageDataGenerator(featurewise_center=True, rescale=2.0)
    centred.fit(x)
    np.testing.assert_allclose(centred.standardize(x[0]), x[0] * 2 - x[0].mean((0, 1)))
    many = np.random.default_rng(0).normal(size=(200, 2, 2, 1)) @ np.ones((1, 1)) + 3.0
    white = image.ImageDataGenerator(featurewise_center=True, zca_whitening=True)
    white.fit(many)
    rows = np.stack([white.standardize(picture) for picture in many]).reshape(200, 4)
    np.testing.assert_allclose(rows.T @ rows / 200, np.eye(4), atol=1e-3)


def test_folders_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL")
    pictures(tmp_path)
    changed = image.ImageDataGenerator(rescale=1 / 255, validation_split=0.25)
    batches = changed.flow_from_directory(tmp_path, (3, 4), batch_size=4, class_mode="binary", subset="training")
    assert capsys.readouterr().out == "Found 6 images belonging to 2 classes.\n"
    assert (batches.class_indices, len(batches)) == ({"cats": 0, "dogs": 1}, 2)
    x, y = next(batches)
    assert x.shape == (4, 3, 4, 3)
    assert ((x.max((1, 2, 3)) > 0.5) == (y == 1)).all()
    dataset = nb.utils.image_dataset_from_directory(tmp_path, image_size=(3, 4), batch_size=3, verbose=False)
    assert (dataset.class_names, len(dataset)) == (["cats", "dogs"], 3)
    x, y = dataset[0]
    assert ((x.max((1, 2, 3)) > 100) == (y == 1)).all()
    padded = nb.utils.image_dataset_from_directory(
        tmp_path, labels=None, image_size=(2, 8), batch_size=None, pad_to_aspect_ratio=True, verbose=False
    )
    assert (padded.class_names, len(padded)) == (None, 8)
    assert all(x.shape == (2, 8, 3) and not x[:, [0, -1]].any() for x in padded)
    assert sum(x[:, 3:5].any() for x in padded) == 7
    for mistake in ({"labels": "other"}, {"color_mode": "other"}, {"label_mode": "other"}, {"validation_split": 2},
                    {"labels": [0] * 8, "class_names": ["a"]}, {"subset": "training"}):  # fmt: skip
        with pytest.raises(
            ValueError, match=r"(labels|color_mode|label_mode|validation_split|class_names|subset): exp"
        ):
            nb.utils.image_dataset_from_directory(tmp_path, verbose=False, **mistake)
    nb.utils.save_img(tmp_path / "a.jpg", np.zeros((2, 2, 4)), file_format="jpg")
    assert nb.utils.img_to_array(nb.utils.load_img(tmp_path / "a.jpg")).shape == (2, 2, 3)


def test_folders_of_texts(tmp_path: Path) -> None:
    for name in ("neg", "pos"):
        (tmp_path / name).mkdir()
        for k in range(3):
            (tmp_path / name / f"{k}.txt").write_text(f"{name} {k}")
    texts = nb.utils.text_dataset_from_directory(tmp_path, batch_size=None, max_length=3, shuffle=False)
    assert [(x, int(y)) for x, y in texts] == [("neg", 0)] * 3 + [("pos", 1)] * 3
    given = nb.utils.text_dataset_from_directory(tmp_path, labels=[2, 0, 1, 0, 1, 2], batch_size=6, shuffle=False)
    assert given[0][1].tolist() == [2, 0, 1, 0, 1, 2]
    train, held = nb.utils.text_dataset_from_directory(tmp_path, validation_split=0.5, subset="both", batch_size=None)
    assert [x for x, _ in held] == [x for x, _ in held]
    assert sorted(x for part in (train, held) for x, _ in part) == [
        f"{n} {k}" for n in ("neg", "pos") for k in range(3)
    ]
    for mistake in ({"labels": [0, 1]}, {"class_names": ["neg"]}, {"validation_split": 0.5}):
        with pytest.raises(ValueError, match=r"(labels|class_names|subset): exp"):
            nb.utils.text_dataset_from_directory(tmp_path, **mistake)


BACKEND = {
    "K.mean(K.square(K.constant([[1.0, 2.0], [3.0, 4.0]])), axis=-1)": [2.5, 12.5],
    "K.eval(K.sum(K.variable([1.0, 2.0])))": 3,
    "K.int_shape(K.zeros((2, 3)))": [2, 3],
    "K.get_value(K.update_add(K.variable(1.0), 2.0))": 3,
    "K.binary_crossentropy(K.constant([1.0]), K.constant([0.5]))": [0.693147],
    "K.clip(K.constant([-1.0, 2.0]), 0.0, 1.0)": [0, 1],
    "K.dot(K.constant([[1.0, 2.0]]), K.constant([[3.0], [4.0]]))": [[11]],
    "K.permute_dimensions(K.ones((2, 3)), (1, 0))": [[1, 1]] * 3,
    "K.batch_flatten(K.ones((2, 1, 2)))": [[1, 1]] * 2,
    "K.l2_normalize(K.constant([3.0, 4.0]))": [0.6, 0.8],
    "K.epsilon()": 1e-7,
    "K.pool2d(K.reshape(K.arange(4.0), (1, 2, 2, 1)), (2, 2), pool_mode='avg')": [[[[1.5]]]],
    "K.conv2d(K.ones((1, 2, 2, 1)), K.ones((2, 2, 1, 1)), padding='valid')": [[[[4]]]],
    "K.resize_images(K.ones((1, 1, 1, 1)), 2, 1, 'channels_last')": [[[[1]], [[1]]]],
    "K.spatial_2d_padding(K.ones((1, 1, 1, 1)), ((1, 0), (0, 0)))": [[[[0]], [[1]]]],
    "K.relu(K.constant([-1.0, 5.0]), alpha=0.5, max_value=2.0)": [-0.5, 2],
    "K.backend() == 'tensorflow'": True,
    "K.in_train_phase(1.0, 2.0, training=True)": 1,
}


@pytest.mark.parametrize("expression", BACKEND)
def test_backend_functions(keras: Any, expression: str) -> None:
    np.testing.assert_allclose(np.asarray(eval(expression, {"K": keras.backend})), BACKEND[expression], rtol=1e-5)


def test_functions_of_a_models_tensors(keras: Any) -> None:
    a = keras.Input((2,))
    b = keras.layers.Dense(1, kernel_initializer="ones")(a)
    (y,) = keras.backend.function([a], [b])([np.ones((3, 2), "float32")])
    assert y.tolist() == [[2], [2], [2]]
    model = keras.Model(a, b)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    keras.backend.set_value(model.optimizer.lr, 0.5)
    assert keras.backend.get_value(model.optimizer.lr) == 0.5


def build(units: int = 4, rate: float = 0.1) -> Any:
    model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(units, "tanh"), nb.layers.Dense(1, "sigmoid")])
    model.compile(nb.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


def build_softmax() -> Any:
    model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3, "softmax")])
    model.compile("adam", "categorical_crossentropy")
    return model


def rows() -> tuple[Any, Any]:
    draws = np.random.default_rng(0)
    x = draws.normal(size=(90, 2)).astype("float32")
    return x, np.where(x[:, 0] > 0, "yes", "no")


@pytest.mark.parametrize("named", ["build_fn", "model"])
def test_classifiers_of_a_function(keras: Any, named: str) -> None:
    wrappers = importlib.import_module("keras.wrappers.scikit_learn" if named == "build_fn" else "scikeras.wrappers")
    x, y = rows()
    nb.set_random_seed(0)
    net = wrappers.KerasClassifier(**{named: build}, epochs=20, batch_size=16, verbose=0)
    assert cross_val_score(net, x, y, cv=3).mean() > 0.85
    key = "units" if named == "build_fn" else "model__units"
    search = GridSearchCV(net, {key: [2, 4]}, cv=2).fit(x, y)
    assert search.best_params_[key] in (2, 4)
    assert set(search.predict(x)) == {"no", "yes"}
    assert search.predict_proba(x).shape == (90, 2)


def test_one_hot_targets_are_made_of_labels(keras: Any) -> None:
    wrappers = importlib.import_module("keras.wrappers.scikit_learn")
    x, _ = rows()
    net = wrappers.KerasClassifier(build_fn=build_softmax, epochs=1, verbose=0)
    net.fit(x, np.arange(90) % 3)
    assert net.predict(x).shape == (90,)


def test_regressors_of_a_function(keras: Any) -> None:
    scikeras, old = (importlib.import_module(n) for n in ("scikeras.wrappers", "keras.wrappers.scikit_learn"))
    x, _ = rows()

    def line() -> Any:
        return nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])

    nb.set_random_seed(0)
    net = scikeras.KerasRegressor(
        line, loss="mse", optimizer="adam", optimizer__learning_rate=0.1, epochs=60, verbose=0, random_state=1
    )
    assert net.fit(x, x[:, 0] * 2).score(x, x[:, 0] * 2) > 0.95

    def compiled() -> Any:
        model = line()
        model.compile("sgd", "mse")
        return model

    before = old.KerasRegressor(build_fn=compiled, epochs=2, verbose=0)
    before.fit(x, x[:, 0])
    want = -np.square(before.predict(x) - x[:, 0]).mean()
    assert before.score(x, x[:, 0]) == pytest.approx(want, rel=1e-4)
    with pytest.raises(ValueError, match="nonsense"):
        old.KerasRegressor(build_fn=compiled, nonsense=1)
