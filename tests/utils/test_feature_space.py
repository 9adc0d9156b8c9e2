"""Tables of features as vectors: numbers as Keras's on TensorFlow, in front of models, and in files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.utils import FeatureSpace

TABLE: dict[str, list[Any]] = {
    "size": [0.5, 3.0, 1.0, 2.0, 9.0], "part": [0.1, 0.5, 0.9, 0.2, 0.7], "code": [7, 8, 7, 9, 7],
    "word": ["a", "b", "a", "c", "d"], "key": ["x", "y", "z", "x", "w"],
}  # fmt: skip


def space(**arguments: Any) -> FeatureSpace:
    features = {
        "size": "float_normalized", "part": FeatureSpace.float_discretized(3), "code": "integer_categorical",
        "word": FeatureSpace.string_categorical(max_tokens=4), "key": "string_hashed",
    }  # fmt: skip
    crosses = [("word", "code"), FeatureSpace.cross(("key", "code"), crossing_dim=3)]
    made = FeatureSpace(features, crosses=crosses, crossing_dim=4, hashing_dim=2, **arguments)
    made.adapt(TABLE)
    return made


#: Of each row: key, code, part, size, word, and the crosses key_X_code and word_X_code.
WANTED = [
    [0, 1, 0, 0, 1, 0, 1, 0, 0, -0.84623, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0],
    [0, 0, 0, 1, 0, 1, 0, 1, 0, -0.03255, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0],
    [0, 1, 0, 0, 0, 1, 0, 0, 1, -0.68349, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0],
    [0, 0, 1, 0, 1, 0, 0, 1, 0, -0.35802, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1],
    [0, 1, 0, 0, 0, 1, 0, 0, 1, 1.92029, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0],
]


def test_numbers_are_those_of_keras() -> None:
    frames = pytest.importorskip("pandas")
    for table in (TABLE, {name: np.array(column) for name, column in TABLE.items()}, frames.DataFrame(TABLE)):
        np.testing.assert_allclose(space()(table).numpy(), WANTED, atol=1e-5)
    made = space(output_mode="dict")(TABLE)
    assert list(made) == ["code", "key", "part", "size", "word", "key_X_code", "word_X_code"]
    np.testing.assert_allclose(np.concatenate([v.numpy() for v in made.values()], 1), WANTED, atol=1e-5)
    row = {name: column[1] for name, column in TABLE.items()}
    np.testing.assert_allclose(space()(row).numpy(), WANTED[1], atol=1e-5)
    assert space(output_mode="dict")(row)["word"].shape == (4,)
    batches = FeatureSpace({"word": "string_categorical", "code": FeatureSpace.integer_hashed(5)})
    batches.adapt([{name: column[k : k + 2] for name, column in TABLE.items()} for k in (0, 2, 4)])
    assert batches.preprocessors["word"].get_vocabulary() == ["[UNK]", "a", "d", "c", "b"]


@pytest.mark.parametrize("ending", [".nbnet", ".keras"])
def test_models_begin_with_features(ending: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    features = space()
    encoded, inputs = features.get_encoded_features(), features.get_inputs()
    assert (encoded.shape, list(inputs)) == ((None, 21), list(TABLE))
    outputs = nb.layers.Dense(1)(encoded)
    inner, whole = nb.Model(encoded, outputs), nb.Model(inputs, outputs)
    inner.compile("adam", "mse")
    inner.fit(features(TABLE), np.ones(5), verbose=0)
    wanted = inner.predict(features(TABLE), verbose=0)
    np.testing.assert_array_equal(whole.predict(TABLE, verbose=0), wanted)
    np.testing.assert_array_equal(whole.predict(pytest.importorskip("pandas").DataFrame(TABLE), verbose=0), wanted)
    whole.save(tmp_path / f"model{ending}")
    np.testing.assert_array_equal(nb.load_model(tmp_path / f"model{ending}").predict(TABLE, verbose=0), wanted)
    features.save(tmp_path / f"features{ending}")
    again = FeatureSpace.load(tmp_path / f"features{ending}")
    np.testing.assert_array_equal(again(TABLE).numpy(), features(TABLE).numpy())
    np.testing.assert_array_equal(nb.load_model(tmp_path / f"features{ending}")(TABLE), features(TABLE).numpy())


def test_a_layer_of_ones_own_and_integers() -> None:
    words = nb.layers.TextVectorization(output_mode="count", name="words")
    features = FeatureSpace(
        {
            "word": FeatureSpace.feature("string", words, "float"),
            "code": FeatureSpace.integer_categorical(output_mode="int"),
        },
        output_mode="dict",
    )
    features.adapt(TABLE)
    found = features(TABLE)
    assert (found["word"].shape, found["code"].numpy().ravel().tolist()) == ((5, 5), [1, 3, 1, 2, 1])
    symbols = features.get_encoded_features()
    assert {name: symbol.shape for name, symbol in symbols.items()} == {"code": (None, 1), "word": (None, 5)}
    vectors = nb.layers.Flatten()(nb.layers.Embedding(4, 2)(symbols["code"]))
    model = nb.Model(features.get_inputs(), nb.layers.concatenate([vectors, symbols["word"]]))
    assert model.predict({name: TABLE[name] for name in ("word", "code")}, verbose=0).shape == (5, 7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FeatureSpace({}), "features: expected a dict"),
        (lambda: FeatureSpace({"word": "text"}), "features['word']: expected"),
        (lambda: FeatureSpace({"word": "float"}, crosses=[("word", "code")]), "got 'code'"),
        (lambda: FeatureSpace({"word": "float"}, crosses=[("word",)]), "expected two names or more"),
        (lambda: FeatureSpace({"word": "float"}, output_mode="list"), "output_mode: expected"),
        (lambda: FeatureSpace({"word": "string_categorical"})(TABLE), "call adapt(data) before"),
        (lambda: FeatureSpace({"other": "float_normalized"}).adapt(TABLE), "missing is 'other'"),
        (lambda: FeatureSpace({"size": "float"})([1.0]), "expected a dict of columns"),
        (lambda: FeatureSpace({"key": FeatureSpace.string_hashed(3, "int")})(TABLE), "its numbers are no vectors"),
    ],
)
def test_errors_name_the_argument(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
