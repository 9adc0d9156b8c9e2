"""Vocabularies, bins and class numbers: eager and in models; numbers as Keras's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import CategoryEncoding, Discretization, IntegerLookup, StringLookup

WORDS = {"max_tokens": 7, "mask_token": "", "oov_token": "[OOV]", "vocabulary": ["one", "two", "three"]}
ROW, BATCH = ["one", "two", "four"], [["one", "two", "four", "two"]]
MODES = {
    "int": ([2, 3, 1], [[2, 3, 1, 3]]),
    "multi_hot": ([1, 1, 1, 0], [[1, 1, 1, 0]]),
    "one_hot": (
        [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]],
        [[[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]]],
    ),
    "count": ([1, 1, 1, 0], [[1, 1, 2, 0]]),
    "tf_idf": ([0.2, 0.1, 0.2, 0.0], [[0.2, 0.1, 0.4, 0.0]]),
}


@pytest.mark.parametrize("mode", MODES)
def test_output_modes(mode: str) -> None:
    layer = StringLookup(**WORDS, output_mode=mode, idf_weights=[0.1, 0.2, 0.3] if mode == "tf_idf" else None)
    for inputs, wanted in zip((ROW, BATCH), MODES[mode], strict=True):
        for kind in (inputs, np.array(inputs), np.array(inputs, object), np.char.encode(inputs)):
            np.testing.assert_allclose(layer(kind).numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", [StringLookup, IntegerLookup])
def test_adapt(kind: Any) -> None:
    names: Any = {1: "one", 2: "two", 3: "three", 4: "four"} if kind is StringLookup else {k: k for k in range(5)}
    data = [names[k] for k in (1, 1, 1, 2, 2, 3)]
    mask, other = ("", "[OOV]") if kind is StringLookup else (0, -1)
    layer = kind(max_tokens=7, mask_token=mask, oov_token=other)
    layer.adapt(data)
    assert layer.get_vocabulary() == [mask, other, names[1], names[2], names[3]]
    assert layer.get_vocabulary(include_special_tokens=False) == [names[1], names[2], names[3]]
    assert layer([names[1], names[2], names[4], mask]).numpy().tolist() == [2, 3, 1, 0]
    few = kind(max_tokens=4, mask_token=mask, oov_token=other)
    few.adapt(iter([data[:3], data[3:]]))
    assert few.get_vocabulary() == [mask, other, names[1], names[2]]
    again = nb.layers.deserialize(json.loads(json.dumps(nb.layers.serialize(layer))))
    assert again.get_vocabulary() == layer.get_vocabulary()
    with pytest.raises(ValueError, match="cannot be adapted"):
        again.adapt(data)


def test_tokens_out_of_the_vocabulary_share_numbers_as_in_keras() -> None:
    words, numbers = [["c", "d", "a", "longer than 16 characters, surely", "b"]], [[5, 6, 7, -4, 1, 12345678]]
    cases: Any = [
        (StringLookup(num_oov_indices=3, vocabulary=["a", "b"]), words, [[1, 2, 3, 1, 4]]),
        (StringLookup(num_oov_indices=3, vocabulary=["a", "b"], salt=[1, 2], output_mode="multi_hot"), words,
         [[1, 0, 1, 1, 1]]),
        (IntegerLookup(num_oov_indices=3, vocabulary=[1, 2]), numbers, [[2, 0, 1, 2, 3, 0]]),
        (IntegerLookup(num_oov_indices=3, vocabulary=[1, 2], oov_method="farmhash"), numbers, [[1, 2, 1, 1, 3, 0]]),
        (IntegerLookup(num_oov_indices=5, vocabulary=[1, 2], oov_method="farmhash", salt=4), numbers,
         [[3, 1, 0, 1, 5, 0]]),
    ]  # fmt: skip
    for layer, data, wanted in cases:
        again = nb.layers.deserialize(nb.layers.serialize(layer))
        assert layer(data).numpy().tolist() == again(data).numpy().tolist() == wanted


def test_equally_frequent_tokens_are_in_descending_order() -> None:
    layer = StringLookup()
    layer.adapt(["c", "a", "b", "b", "d", "ä"])
    assert layer.get_vocabulary() == ["[UNK]", "b", "ä", "d", "c", "a"]


def test_adapt_reads_as_many_steps_as_are_asked_for() -> None:
    def forever() -> Iterator[list[str]]:
        while True:
            yield ["cat", "dog"]

    layer = StringLookup()
    layer.adapt(forever(), steps=3)
    assert layer.get_vocabulary() == ["[UNK]", "dog", "cat"]


def test_inverse_document_frequencies() -> None:
    layer = StringLookup(max_tokens=7, mask_token="", oov_token="[OOV]", output_mode="tf_idf")
    layer.adapt(["one", "one", "one", "two", "two", "three"])
    np.testing.assert_allclose(layer(ROW).numpy(), [1.1337324, 0.91629076, 1.0986123, 0.0], rtol=1e-6)
    layer.adapt([["one", "one"], ["one", "two"], ["two", "three"]])
    wanted = [[0.0, 0.6931472, 0.6931472, 0.0], [0.76752836, 0.0, 0.6931472, 0.0]]
    np.testing.assert_allclose(layer([["one", "two"], ["two", "four"]]).numpy(), wanted, rtol=1e-6)
    again = StringLookup.from_config(layer.get_config())
    np.testing.assert_allclose(again([["one", "two"], ["two", "four"]]).numpy(), wanted, rtol=1e-6)


def test_invert() -> None:
    layer = StringLookup(**WORDS, invert=True)
    assert layer([[2, 3, 1, 0, 99]]).tolist() == [["one", "two", "[OOV]", "", "[OOV]"]]
    numbers = IntegerLookup(vocabulary=[30, 10], invert=True)
    assert numbers([1, 2, 0, -5]).numpy().tolist() == [30, 10, -1, -1]
    model = nb.Sequential([nb.Input((3,), dtype="int64"), numbers])
    assert model.predict(np.array([[1, 2, 7]]), verbose=0).tolist() == [[30, 10, -1]]


def test_vocabulary_file(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("a\nb\n", "utf-8")
    layer = StringLookup(vocabulary=str(path))
    assert layer.get_vocabulary() == ["[UNK]", "a", "b"]
    path.write_text("7\n5\n", "utf-8")
    assert IntegerLookup(vocabulary=str(path))([5, 7]).numpy().tolist() == [2, 1]
    with pytest.raises(ValueError, match="does not exist"):
        StringLookup(vocabulary=str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="vocabulary: expected the tokens in a configuration"):
        StringLookup.from_config(layer.get_config() | {"vocabulary": str(path)})


def test_several_numbers_for_integers_out_of_the_vocabulary() -> None:
    layer = IntegerLookup(vocabulary=[10, 20], num_oov_indices=3)
    assert layer([10, 20, 3, 4, 5, -1]).numpy().tolist() == [3, 4, 0, 1, 2, 2]
    with pytest.raises(ValueError, match="num_oov_indices 0 or 1 in a model, got 3"):
        layer(nb.Input((2,), dtype="int64"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_integers_in_a_model(mode: str, dtype: str) -> None:
    layer = IntegerLookup(
        vocabulary=[12, 13, -5, 1138], mask_token=7, output_mode=mode, dtype=dtype,
        idf_weights=[0.5, 1.0, 2.0, 4.0] if mode == "tf_idf" else None,
    )  # fmt: skip
    model = nb.Sequential([nb.Input((4,), dtype="int64"), layer], dtype=dtype)
    x = np.array([[12, 13, 14, 7], [-5, -5, 1 << 40, 11], [1138, 7, 7, 12]])
    np.testing.assert_array_equal(model.predict(x, verbose=0), layer(x).numpy())


def test_embedding_of_looked_up_integers_is_trained() -> None:
    ids = np.array([[1001], [77], [5], [1001]] * 8)
    layer = IntegerLookup()
    layer.adapt(ids)
    model = nb.Sequential([nb.Input((1,), dtype="int64"), layer, nb.layers.Embedding(4, 1), nb.layers.Flatten()])
    model.compile(nb.optimizers.SGD(1.0), "mse")
    y = (ids == 77).astype("float32")
    model.fit(ids, y, epochs=60, verbose=0)
    np.testing.assert_allclose(model.predict(ids, verbose=0), y, atol=0.02)


def test_saved_with_its_vocabulary(tmp_path: Path) -> None:
    layer = IntegerLookup(output_mode="multi_hot")
    layer.adapt([5, 5, 9])
    bins = Discretization(num_bins=3, output_mode="multi_hot")
    bins.adapt(np.arange(10.0))
    for made, x in ((layer, np.array([[9, 4]])), (bins, np.array([[0.0, 9.0]], "float32"))):
        model = nb.Sequential([nb.Input((2,), dtype=x.dtype), made])
        model.save(tmp_path / "model.nbnet")
        again = nb.saving.load_model(tmp_path / "model.nbnet")
        np.testing.assert_array_equal(again.predict(x, verbose=0), made(x).numpy())
        np.testing.assert_array_equal(nb.models.clone_model(model).predict(x, verbose=0), made(x).numpy())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: StringLookup(max_tokens=1), ValueError, "max_tokens: expected"),
        (lambda: StringLookup(salt="x"), ValueError, "salt: expected an integer"),
        (lambda: StringLookup(vocabulary=["a", "a"]), ValueError, r"repeated are \['a'\]"),
        (lambda: StringLookup(vocabulary=[]), ValueError, "expected one token or more"),
        (lambda: StringLookup(vocabulary=["a", 3]), TypeError, "vocabulary: expected strings, got 3"),
        (lambda: StringLookup(vocabulary=["a", ""], mask_token=""), ValueError, "mask_token '' stands at place 1"),
        (lambda: StringLookup(vocabulary=["a", "b"], max_tokens=2), ValueError, "max_tokens=2 at most"),
        (lambda: StringLookup(output_mode="words"), ValueError, "output_mode: expected"),
        (lambda: StringLookup(output_mode="count", invert=True), ValueError, "'int' with invert=True"),
        (lambda: StringLookup(pad_to_max_tokens=True), ValueError, "False without max_tokens"),
        (lambda: StringLookup(vocabulary=["a"], output_mode="tf_idf"), ValueError, "idf_weights: expected numbers"),
        (lambda: StringLookup(vocabulary=["a"], idf_weights=[1.0]), ValueError, "idf_weights: expected None"),
        (lambda: StringLookup(output_mode="count")(["a"]), RuntimeError, "pass a vocabulary, or call adapt"),
        (lambda: StringLookup(vocabulary=["a"])([1.0]), TypeError, "inputs: expected strings"),
        (lambda: StringLookup(vocabulary=["a"])(["a", None]), TypeError, "inputs: expected strings, got None"),
        (lambda: StringLookup(vocabulary=["a"])(nb.Input((1,))), TypeError, "expected nbnet.Input"),
        (lambda: StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"]), ValueError, "are not in the vocabulary"),
        (lambda: IntegerLookup(vocabulary=[1])([1.5]), TypeError, "expected integers of 64 bits"),
        (lambda: IntegerLookup(vocabulary=[1 << 24])(nb.Input((1,), dtype="int64")), ValueError, r"below 2\*\*24"),
        (lambda: CategoryEncoding(), ValueError, "num_tokens: expected the number of classes"),
        (lambda: CategoryEncoding(0), ValueError, "num_tokens: expected"),
        (lambda: CategoryEncoding(3, sparse=True), ValueError, "sparse: expected False"),
        (lambda: CategoryEncoding(3)([[1]], count_weights=[[1.0]]), ValueError, "count_weights: expected None"),
        (lambda: CategoryEncoding(3, "count")([[1]], count_weights=[1.0]), ValueError, r"shape \(1, 1\)"),
        (lambda: Discretization(), ValueError, "expected one of them"),
        (lambda: Discretization([0.0], 3), ValueError, "expected one of them"),
        (lambda: Discretization([1.0, 0.0]), ValueError, "expected ascending numbers"),
        (lambda: Discretization([np.nan]), ValueError, "expected finite numbers"),
        (lambda: Discretization(num_bins=3)([[0.1]]), ValueError, "call adapt"),
        (lambda: Discretization(num_bins=3).adapt([1.0]), ValueError, "two numbers or more"),
        (lambda: Discretization([0.0]).adapt([1.0]), ValueError, "adapt needs num_bins"),
    ],
)
def test_refused(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_class_numbers() -> None:
    count = CategoryEncoding(6, "count")
    assert count(np.array([1, 2, 3, 1])).numpy().tolist() == [0, 2, 1, 1, 0, 0]
    weights = np.array([[0.1, 0.2], [0.1, 0.1], [0.2, 0.3], [0.4, 0.2]], "float32")
    wanted = [[0.1, 0.2, 0, 0, 0, 0], [0.2, 0, 0, 0, 0, 0], [0, 0.2, 0.3, 0, 0, 0], [0, 0.2, 0, 0.4, 0, 0]]
    made = count(np.array([[0, 1], [0, 0], [1, 2], [3, 1]]), count_weights=weights)
    np.testing.assert_allclose(made.numpy(), wanted, rtol=1e-6)
    one = CategoryEncoding(4, "one_hot")
    assert one(np.array([[3], [2], [0]])).numpy().tolist() == [[0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]]
    assert one.compute_output_shape((None, 5)) == (None, 5, 4)
    for mode in ("multi_hot", "count"):
        assert CategoryEncoding(3, mode)(np.array([[np.nan, 5.0, -1.0, 2.0]])).numpy().tolist() == [[0, 0, 1]]


@pytest.mark.parametrize(
    ("mode", "x", "wanted"),
    [
        ("int", [[-1.0, 0.0, 0.1, 0.8, 1.2]], [[0, 1, 1, 2, 3]]),
        ("one_hot", [0.1, 0.8], [[0, 1, 0, 0], [0, 0, 1, 0]]),
        ("multi_hot", [[0.1, 0.8]], [[0, 1, 1, 0]]),
        ("count", [[0.1, 0.8, 0.9]], [[0, 1, 2, 0]]),
        ("int", [[np.nan, np.inf, -np.inf]], [[3, 3, 0]]),
    ],
)
def test_bins(mode: str, x: Any, wanted: Any) -> None:
    assert Discretization([0.0, 0.5, 1.0], output_mode=mode)(x).numpy().tolist() == wanted


@pytest.mark.parametrize(
    ("mode", "shape", "wanted"),
    [("int", (None, 4), (None, 4)), ("one_hot", (None, 5, 1), (None, 5, 3)), ("one_hot", (), (3,)),
     ("multi_hot", (None, 4), (None, 3)), ("count", (None,), (3,))],
)  # fmt: skip
def test_shapes_of_bins_are_known_before_their_limits(mode: str, shape: Any, wanted: Any) -> None:
    for made in (Discretization(num_bins=3, output_mode=mode), Discretization([0.0, 1.0], output_mode=mode)):
        assert made.compute_output_shape(shape) == wanted


def test_bins_of_quantiles() -> None:
    layer = Discretization(num_bins=4)
    layer.adapt(np.arange(1000.0))
    np.testing.assert_allclose(layer.bin_boundaries, [250, 500, 750], atol=11)
    layer.adapt([np.arange(500.0), np.arange(500.0, 1000.0)])
    np.testing.assert_allclose(layer.bin_boundaries, [250, 500, 750], atol=11)
    assert Discretization.from_config(layer.get_config()).get_config() == layer.get_config()
