"""Texts and hashes: eager and in front of models; numbers as Keras's on TensorFlow."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import HashedCrossing, Hashing, StringLookup, TextVectorization
from nbnet.saving import register_keras_serializable

#: Lengths on both sides of the places where the hash function changes, and Keras's hashes, for 2**31 - 1 bins.
LENGTHS = (0, 1, 3, 4, 7, 8, 16, 17, 32, 33, 64, 65, 128, 129, 500)
WORDS = np.array(["".join(chr(97 + k % 26) for k in range(n)) for n in LENGTHS], object)
PLAIN = [1699943623, 493484721, 1043552938, 2127136445, 357369260, 245091680, 533456409, 1773773112, 1068803816,
         870471640, 1548766900, 1089515341, 1324147210, 1371943044, 1392202367]  # fmt: skip
SALTED = [363606256, 1935536239, 327484465, 1740820176, 1315791446, 955982569, 1406845066, 1434420914, 1372070704,
          2019986271, 27755204, 2091929132, 747378924, 2025798274, 1682734895]  # fmt: skip
CROSSED = [2071641896, 1903740909, 1849646970, 843451024, 1519708427, 222323173, 1141231980, 1333019643, 1829405749,
           1266831377, 1400866187, 971071432, 688419927, 796530315, 846466243]  # fmt: skip


def test_hashes_are_those_of_keras() -> None:
    bins = 2**31 - 1
    assert Hashing(bins)(WORDS).numpy().tolist() == PLAIN
    assert Hashing(bins, salt=[3, 2**40])(WORDS[:, None]).numpy().ravel().tolist() == SALTED
    assert HashedCrossing(bins)((WORDS, np.arange(15) - 3)).numpy().tolist() == CROSSED
    letters = [["A"], ["B"], [""], ["C"], ["D"]]
    assert Hashing(3, mask_value="")(letters).numpy().tolist() == [[1], [1], [0], [2], [2]]
    assert Hashing(3, salt=133)([["A"], ["B"], ["C"]]).numpy().tolist() == [[0], [0], [2]]
    for numbers in ([0, 1, 2, 3, 4], np.arange(5) + 0.5, np.arange(5, dtype="uint8")):
        assert Hashing(3)(numbers).numpy().tolist() == [1, 0, 1, 0, 2]


def test_hashes_as_vectors() -> None:
    assert Hashing(3, output_mode="one_hot")([["A"], ["E"]]).numpy().tolist() == [[0, 1, 0], [0, 0, 1]]
    pairs = [["A", "C"], ["A", "E"]]
    assert Hashing(3, output_mode="count")(pairs).numpy().tolist() == [[0, 2, 0], [0, 1, 1]]
    assert Hashing(3, output_mode="multi_hot")(pairs).numpy().tolist() == [[0, 1, 0], [0, 1, 1]]
    crossing = HashedCrossing(5, output_mode="one_hot")
    assert crossing((["A", "B"], [101, 101])).numpy().tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]


TEXTS = ["The cat sat.", "A cat, a DOG", "über-Cat\tdon't"]


@pytest.mark.parametrize(
    ("arguments", "vocabulary", "wanted"),
    [
        ({}, ["", "[UNK]", "cat", "a", "übercat", "the", "sat", "dont", "dog"],
         [[5, 2, 6, 0], [3, 2, 3, 8], [4, 7, 0, 0]]),
        ({"standardize": "lower", "output_sequence_length": 2}, ["", "[UNK]", "a", "über-cat", "the", "sat.", "don't",
          "dog", "cat,", "cat"], [[4, 9], [2, 8], [3, 6]]),
        ({"standardize": None, "max_tokens": 4}, ["", "[UNK]", "über-Cat", "sat."],
         [[1, 1, 3, 0], [1, 1, 1, 1], [2, 1, 0, 0]]),
        ({"ngrams": (2,), "max_tokens": 4}, ["", "[UNK]", "übercat dont", "the cat"],
         [[3, 1, 0], [1, 1, 1], [2, 0, 0]]),
        ({"split": "character", "max_tokens": 5, "output_sequence_length": 3}, ["", "[UNK]", "t", "a", " "],
         [[2, 1, 1], [3, 4, 1], [1, 1, 1]]),
        ({"output_mode": "count", "max_tokens": 3}, ["[UNK]", "cat", "a"], [[2, 1, 0], [1, 1, 2], [2, 0, 0]]),
        ({"output_mode": "multi_hot", "max_tokens": 3}, ["[UNK]", "cat", "a"], [[1, 1, 0], [1, 1, 1], [1, 0, 0]]),
        ({"output_mode": "tf_idf", "max_tokens": 2}, ["[UNK]", "cat"],
         [[1.386294, 0.693147], [2.079442, 0.693147], [1.386294, 0]]),
        ({"output_mode": "count", "max_tokens": 9, "pad_to_max_tokens": True, "split": None},
         ["[UNK]", "übercat\tdont", "the cat sat", "a cat a dog"],
         [[0, 0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0, 0]]),
    ],
)  # fmt: skip
def test_texts(arguments: Any, vocabulary: list[str], wanted: Any) -> None:
    layer = TextVectorization(**arguments)
    layer.adapt(np.array(TEXTS)[:, None] if arguments.get("split", 0) is None else TEXTS)
    assert layer.get_vocabulary() == vocabulary
    column = np.array(TEXTS, object)[:, None]
    for data in (column, column.tolist(), *([TEXTS, np.array(TEXTS)] if layer.split else [])):
        np.testing.assert_allclose(layer(data).numpy(), wanted, rtol=1e-6)
    again = nb.layers.deserialize(nb.layers.serialize(layer))
    np.testing.assert_allclose(again(column).numpy(), wanted, rtol=1e-6)
    if layer.split:
        first = layer(TEXTS[0]).numpy()
        np.testing.assert_allclose(first, wanted[0][: len(first)], rtol=1e-6)


def test_batches_of_texts_and_functions() -> None:
    @register_keras_serializable("tests")
    def without_digits(texts: Any) -> Any:
        return np.array([re.sub(r"\d", "", text) for text in texts.ravel()]).reshape(texts.shape)

    @register_keras_serializable("tests")
    def at_commas(texts: Any) -> Any:
        return [text.split(",") for text in texts]

    layer = TextVectorization(standardize=without_digits, split=at_commas)
    layer.adapt(iter([["a1,b2"], ["a,c3"]]))
    assert layer.get_vocabulary() == ["", "[UNK]", "a", "c", "b"]
    again = nb.layers.deserialize(nb.layers.serialize(layer))
    assert again(["9c,d"]).numpy().tolist() == [[3, 1]]
    assert TextVectorization(vocabulary=["a b", "b c"], ngrams=10**9)(["a b c"]).numpy().tolist() == [
        [1, 1, 1, 2, 3, 1]
    ]
    given = TextVectorization(vocabulary=["a", "b"])
    assert given(["b a c"]).numpy().tolist() == [[3, 2, 1]]
    given.set_vocabulary(["c"])
    assert given.vocabulary_size() == 3


def models() -> Any:
    """Yield a model that begins with texts, and data for it."""
    vectors = TextVectorization(output_sequence_length=4)
    vectors.adapt(TEXTS)
    last = [nb.layers.Embedding(9, 3), nb.layers.Flatten(), nb.layers.Dense(1)]
    yield nb.Sequential([vectors, *last]), np.array(TEXTS, object)
    yield nb.Sequential([nb.Input((1,), dtype="string"), vectors, *last]), np.array(TEXTS)[:, None]
    text, number = nb.Input((1,), dtype="string", name="text"), nb.Input((2,), name="number")
    hot = Hashing(6, output_mode="one_hot", name="hot")(text)
    word = last[1](last[0](vectors(text)))
    crossed = HashedCrossing(4, output_mode="one_hot")([Hashing(5)(text), StringLookup(vocabulary=["x"])(text)])
    y = nb.layers.Dense(2)(nb.layers.concatenate([word, number, hot, crossed]))
    data = {"text": np.array(TEXTS)[:, None], "number": np.ones((3, 2))}
    yield nb.Model([text, number], y), data
    yield nb.Model({"text": text, "number": number}, {"a": y}), data


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("ending", [".nbnet", ".keras", ".h5"])
def test_models_begin_with_texts(kind: int, ending: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    model, data = list(models())[kind]
    x = data if not isinstance(data, dict) or kind == 3 else [data["text"], data["number"]]
    model.compile("adam", "mse")
    y: Any = np.zeros((3, 1 if kind < 2 else 2))
    history = model.fit(x, {"a": y} if kind == 3 else y, epochs=2, verbose=0, validation_split=0.3)
    assert np.isfinite(history.history["val_loss"]).all()
    wanted = model.predict(x, verbose=0)
    model.evaluate(x, {"a": y} if kind == 3 else y, verbose=0)
    if ending == ".h5" and kind == 3:
        return  # older files keep no dicts
    model.save(tmp_path / f"model{ending}")
    for again in (nb.load_model(tmp_path / f"model{ending}"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_equal(again.predict(data, verbose=0), wanted)
        assert again.input_shape == model.input_shape
    copy = nb.models.clone_model(model)
    copy.set_weights(model.get_weights())
    np.testing.assert_equal(copy.predict(data, verbose=0), wanted)
    if kind < 2:
        assert model.input_shape == ((None,), (None, 1))[kind]
        batches = ((data[k : k + 1], y[k : k + 1]) for k in range(3))
        model.fit(batches, verbose=0)
        np.testing.assert_array_equal(np.asarray(model(data)), model.predict(data, verbose=0))


def test_exported_models_begin_after_the_texts(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model, _ = next(iter(models()))
    model.export(tmp_path / "model.onnx")
    (given,) = onnx.load(tmp_path / "model.onnx").graph.input
    assert (given.name, given.type.tensor_type.elem_type) == (model.layers[0].name, onnx.TensorProto.INT64)


TEXT = nb.Input((1,), dtype="string", name="text")
NUMBER = nb.Input((2,), name="number")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TextVectorization(standardize="upper"), ValueError, "standardize: expected one of"),
        (lambda: TextVectorization(split="line"), ValueError, "split: expected one of"),
        (lambda: TextVectorization(ngrams=0), ValueError, "ngrams: expected an integer above 0"),
        (lambda: TextVectorization(ragged=True), ValueError, "ragged: expected False"),
        (lambda: TextVectorization(output_mode="count", output_sequence_length=3), ValueError, "expected None"),
        (lambda: TextVectorization()([["a", "b"]]), ValueError, "expected one text a row"),
        (lambda: TextVectorization()([1.0]), TypeError, "inputs: expected strings"),
        (lambda: Hashing(0), ValueError, "num_bins: expected"),
        (lambda: Hashing(3, salt="a"), ValueError, "salt: expected an integer"),
        (lambda: Hashing(3)([1.0, np.nan]), TypeError, "expected strings or finite numbers"),
        (lambda: HashedCrossing(3)((["a"], [[1]])), ValueError, "expected features of one shape"),
        (lambda: HashedCrossing(3)(["a"]), ValueError, "expected a list of two features"),
        (lambda: nb.layers.Dense(2)(TEXT), TypeError, "expected numbers, got strings"),
        (lambda: nb.ops.exp(TEXT), TypeError, "expected numbers, got strings"),
        (lambda: nb.Model(TEXT, TEXT), TypeError, "outputs: expected numbers, got the strings 'text'"),
        (lambda: Hashing(3)(nb.layers.Dense(2)(NUMBER)), TypeError, "expected an input of a model"),
        (lambda: nb.Sequential([StringLookup(vocabulary=["a"]), nb.layers.Embedding(3, 2)]).predictor(), ValueError,
         "reads strings"),
    ],
)  # fmt: skip
def test_errors_name_the_argument(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()
