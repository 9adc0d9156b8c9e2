"""Columns of categories, in data frames and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbnet.estimators import MLPClassifier, MLPRegressor
from nbnet.estimators.categories import Categories

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
COLOUR, SIZE, X = RNG.choice(["red", "green", "blue"], 300), RNG.integers(0, 4, 300), RNG.normal(size=300)
Y = np.where(COLOUR == "red", 1.0, -1.0) * X + SIZE


def frame(library: str) -> Any:
    made = pytest.importorskip(library)
    columns = {"x": X, "colour": COLOUR, "size": SIZE.astype(str)}
    if library == "pandas":
        return made.DataFrame(columns).astype({"colour": "category", "size": "category"})
    return made.DataFrame(columns).with_columns(made.col("colour", "size").cast(made.Categorical))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library: str) -> None:
    data = frame(library)
    net = MLPRegressor(
        hidden_layer_sizes=[32], categorical_features="from_dtype", learning_rate_init=0.02, random_state=0
    )
    net.fit(data, Y)
    assert net.feature_names_in_.tolist() == ["x", "colour", "size"]
    assert net.n_features_in_ == 3
    assert net.coefs_[0].shape == (1 + 3 + 3, 32)
    assert net.score(data, Y) > 0.95
    by_name = MLPRegressor(
        hidden_layer_sizes=[32], categorical_features=["colour", "size"], learning_rate_init=0.02, random_state=0
    )
    np.testing.assert_array_equal(by_name.fit(data, Y).predict(data), net.predict(data))
    with pytest.raises(ValueError, match="feature names"):
        net.predict(data[["x", "size", "colour"]])


def test_early_stopping_and_samples() -> None:
    net = MLPRegressor(categorical_features="from_dtype", early_stopping=True, dropout=0.2, max_iter=20)
    mean, std = net.fit(frame("pandas"), Y).predict(frame("pandas"), return_std=True)
    assert mean.shape == std.shape == (300,)
    lower, upper = net.predict_interval(frame("pandas"))
    assert (lower < upper).all()


def test_arrays() -> None:
    table = np.column_stack([COLOUR.astype(object), X, SIZE])
    for wanted in ([0, 2], [True, False, True]):
        net = MLPClassifier(categorical_features=wanted, max_iter=60, learning_rate_init=0.02).fit(table, Y > 1)
        assert net.score(table, Y > 1) > 0.9
    only = MLPClassifier(categorical_features=[0, 1], max_iter=5).fit(table[:, [0, 2]], Y > 1)
    assert only.predict(table[:, [0, 2]]).shape == (300,)


def test_missing_and_new_categories() -> None:
    pandas = pytest.importorskip("pandas")
    net = MLPRegressor(categorical_features="from_dtype", max_iter=5, random_state=0).fit(frame("pandas"), Y)
    rows = pandas.DataFrame({"x": [0.5] * 4, "colour": ["violet", None, np.nan, "red"], "size": ["1"] * 4})
    found = net.predict(rows)
    assert found[0] == found[1] == found[2] != found[3]


def test_missing_values_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    data = pandas.DataFrame({"colour": pandas.array(["red", None, "violet"], dtype="string")})
    assert Categories.of(data, ["colour"]).encode(data).ravel().tolist() == [1, 0, 2]


def test_codes() -> None:
    data = np.array([[1.0, 5.0], [np.nan, 7.0], [3.0, 5.0]])
    found = Categories.of(data, [0])
    assert found.values[0].tolist() == [1.0, 3.0]
    np.testing.assert_array_equal(found.encode(data), [[1, 5], [0, 7], [2, 5]])
    numbers, ids = found.inputs(found.encode(data))
    assert numbers.tolist() == [[5.0], [7.0], [5.0]]
    assert ids.dtype == np.int64
    assert ids.tolist() == [[1], [0], [2]]


@pytest.mark.parametrize(("values", "codes"), [([1, "a"], [1, 2]), ([1, 2], [1, 2]), (["1", "a"], [1, 2])])
def test_a_code_does_not_depend_on_other_rows(values: list[Any], codes: list[int]) -> None:
    found = Categories.of(column(values), [0])
    assert found.encode(column(values)).ravel().tolist() == codes
    assert found.encode(column([*values, "new", None, 7.5])).ravel().tolist() == [*codes, 0, 0, 0]
    assert [found.encode(column([value])).item() for value in values] == codes


def column(values: list[Any]) -> np.ndarray[Any, Any]:
    made = np.empty((len(values), 1), object)
    made[:, 0] = values
    return made


@pytest.mark.parametrize(
    ("wanted", "text"), [([5], "integer indices"), ([True], "boolean mask"), (["no"], "not a valid feature name")]
)
def test_errors(wanted: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Categories.of(np.ones((3, 2)), wanted)
