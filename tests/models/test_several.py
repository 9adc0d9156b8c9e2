"""Several inputs and outputs: what is handed over, losses, weights, metrics, logs; checked against loops by hand."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import Concatenate, Dense, Dropout, Embedding, Flatten
from nbnet.train import step_builder
from tests.networks import equal
from tests.slicing import always_cut

rng = np.random.default_rng(7)
A, B = rng.normal(size=(50, 4)).astype("float32"), rng.normal(size=(50, 2)).astype("float32")
IDS = rng.integers(0, 6, 50)
VALUES, LABELS = rng.normal(size=50).astype("float32"), rng.integers(0, 3, 50)
WEIGHTS = rng.uniform(0.5, 2, 50).astype("float32")
SCCE = "sparse_categorical_crossentropy"
DATA = {"a": A, "b": B, "ids": IDS}
BOTH = {"value": VALUES, "label": LABELS}


def network(outputs="list", rate=0.0, **compile_args):
    """Three inputs, one of them numbers of rows of a table; two outputs."""
    nb.set_random_seed(3)
    a, b = nb.Input((4,), name="a"), nb.Input((2,), name="b")
    ids = nb.Input((1,), dtype="int32", name="ids")
    table = Flatten(name="flat")(Embedding(6, 3, name="table")(ids))
    h = Concatenate(name="both")([Dense(5, "tanh", name="dense")(a), b, table])
    h = Dropout(rate, seed=1, name="drop")(h)
    made = {"value": Dense(1, name="value")(h), "label": Dense(3, "softmax", name="label")(h)}
    model = nb.Model([a, b, ids], list(made.values()) if outputs == "list" else made)
    model.compile(nb.optimizers.SGD(0.1), **({"loss": ["mse", SCCE]} | compile_args))
    return model


def assert_same_weights(first, second):
    """Bit for bit; their order depends on the structure of the outputs."""
    by_name = {w.name: w.numpy() for w in second.weights}
    assert len(first.weights) == len(by_name)
    for w in first.weights:
        np.testing.assert_array_equal(w.numpy(), by_name[w.name])


# ---- what is handed over -------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [[A, B, IDS], (A, B, IDS[:, None]), DATA, {"ids": IDS * 1.0, "b": B, "a": A.tolist()}])
@pytest.mark.parametrize("y", [[VALUES, LABELS], (VALUES[:, None], LABELS), BOTH])
@pytest.mark.parametrize("outputs", ["list", "dict"])
def test_structures(x, y, outputs):
    """A list of targets of outputs in a dict goes by sorted keys, as in Keras."""
    y = y[::-1] if outputs == "dict" and y is not BOTH else y
    given, plain = network(outputs, loss={"value": "mse", "label": SCCE}), network()
    logs = given.fit(x, y, 16, 2, shuffle=False, verbose=0).history
    assert logs == plain.fit([A, B, IDS], [VALUES, LABELS], 16, 2, shuffle=False, verbose=0).history
    assert_same_weights(given, plain)
    made = given.predict(x)
    assert type(made) is (list if outputs == "list" else dict)
    expected = plain.predict([A, B, IDS])
    for got, wanted in zip(made.values() if outputs == "dict" else made, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    eager = given(x)
    for got, wanted in zip(eager.values() if outputs == "dict" else eager, expected, strict=True):
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_one_row():
    model = network()
    one = {name: array[:1] for name, array in DATA.items()}
    np.testing.assert_allclose(model.predict(one)[1], model.predict(DATA)[1][:1], rtol=1e-5)


def test_data_of_one_call_are_one_program(monkeypatch):
    written = []
    lower = step_builder.lower
    monkeypatch.setattr(step_builder, "lower", lambda *args: written.append(args) or lower(*args))
    model = network(metrics=[["mae"], ["accuracy"]])
    for _ in range(2):
        model.fit(DATA, BOTH, 20, 3, verbose=0)
        model.predict(DATA)
        model.evaluate(DATA, BOTH, verbose=0)
    assert len(written) == 6  # 20 and 10 rows; predict and evaluate: 32 and 18 each


# ---- against a loop by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [1, 2])
def test_training_is_a_loop_on_the_tape(slices, monkeypatch):
    always_cut(monkeypatch)
    monkeypatch.setattr(step_builder, "processors", lambda: slices)
    shares, compiled = {"value": 0.3, "label": 2.0}, network(rate=0.4, loss_weights={"value": 0.3, "label": 2.0})
    eager, optimizer = network(rate=0.4), nb.optimizers.SGD(0.1)
    label_weights = {"label": WEIGHTS}
    history = compiled.fit(
        DATA, BOTH, 16, 2, shuffle=False, sample_weight=label_weights, verbose=0
    ).history  # fmt: skip
    mse, scce, step = nb.losses.MeanSquaredError(), nb.losses.SparseCategoricalCrossentropy(), 0
    for epoch in range(2):
        sums = np.zeros(3)
        for start in range(0, 50, 16):
            rows = slice(start, start + 16)
            with nb.Tape(step=step) as tape:
                value, label = eager([A[rows], B[rows], IDS[rows]], training=True)
                first = mse(VALUES[rows], value)
                second = scce(LABELS[rows], label, WEIGHTS[rows])
                loss = first * shares["value"] + second * shares["label"]
            optimizer.apply(tape.gradient(loss, eager.trainable_weights), eager.trainable_weights)
            sums += len(LABELS[rows]) * np.array([loss.item(), first.item(), second.item()])
            step += 1
        got = [history[name][epoch] for name in ("loss", "value_loss", "label_loss")]
        np.testing.assert_allclose(got, sums / 50, rtol=1e-5)
    for got, expected in zip(compiled.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


# ---- losses --------------------------------------------------------------------------------------------------


def test_names_of_logs():
    model = network(metrics={"label": ["accuracy"], "value": "mae"}, weighted_metrics=[[], ["accuracy"]])
    names = ["loss", "value_loss", "label_loss", "value_mae", "label_accuracy", "label_weighted_accuracy"]
    logs = model.fit(DATA, BOTH, validation_split=0.2, verbose=0).history
    assert list(logs) == [*names, *(f"val_{name}" for name in names)]
    assert list(model.evaluate(DATA, BOTH, verbose=0, return_dict=True)) == names
    assert len(model.evaluate(DATA, BOTH, verbose=0)) == len(names)
    assert list(model.train_on_batch(DATA, BOTH, return_dict=True)) == names


def test_one_loss_for_all_outputs():
    x = nb.Input((4,))
    model = nb.Model(x, [Dense(1, name="p")(x), Dense(1, name="q")(x)])
    model.compile("sgd", "mse", loss_weights=[1.0, 0.5])
    logs = model.evaluate(A, [VALUES, -VALUES], verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["p_loss"] + 0.5 * logs["q_loss"], rel=1e-6)


@pytest.mark.parametrize("loss", [["mse", None], {"value": "mse"}, {"value": "mse", "label": None}])
@pytest.mark.parametrize("y", [{"value": VALUES}, [VALUES, None], VALUES], ids=["dict", "list", "alone"])
def test_an_output_without_a_loss_is_not_trained(loss, y):
    model = network(loss=loss)
    before = dict(zip([w.name for w in model.weights], model.get_weights(), strict=True))
    logs = model.fit(DATA, y, verbose=0).history
    assert list(logs) == ["loss"]
    after = dict(zip([w.name for w in model.weights], model.get_weights(), strict=True))
    assert np.array_equal(before["label/kernel"], after["label/kernel"])
    assert not np.array_equal(before["value/kernel"], after["value/kernel"])
    assert not np.array_equal(before["dense/kernel"], after["dense/kernel"])


def test_an_output_without_a_loss_may_be_watched():
    model = network(loss=["mse", None], metrics={"label": ["sparse_categorical_accuracy"]})
    logs = model.evaluate(DATA, BOTH, verbose=0, return_dict=True)
    found = (model.predict(DATA)[1].argmax(1) == LABELS).mean()
    assert logs["label_sparse_categorical_accuracy"] == pytest.approx(found)


def test_the_loss_of_a_single_output_may_be_weighted():
    x = nb.Input((4,))
    model = nb.Model(x, Dense(1)(x))
    values = []
    for share in (None, 0.25, [0.25]):
        model.compile("sgd", "mse", loss_weights=share)
        values.append(model.evaluate(A, VALUES, verbose=0))
    assert values[1] == values[2] == pytest.approx(0.25 * values[0])


# ---- weights -------------------------------------------------------------------------------------------------


def test_sample_weights_for_all_outputs_or_each():
    def losses(weight):
        model = network()
        return model.evaluate(DATA, BOTH, verbose=0, sample_weight=weight, return_dict=True)

    plain, shared = losses(None), losses(WEIGHTS)
    each = losses([WEIGHTS, None])
    assert losses({"value": WEIGHTS}) == each
    assert losses({"value": WEIGHTS, "label": WEIGHTS}) == losses([WEIGHTS, WEIGHTS]) == shared
    assert each["value_loss"] == shared["value_loss"] != plain["value_loss"]
    assert each["label_loss"] == plain["label_loss"] != shared["label_loss"]


def test_weighted_metrics():
    x = nb.Input((4,))
    model = nb.Model(x, Dense(1)(x))
    model.compile("sgd", "mse", metrics=["mae", "r2_score"], weighted_metrics=["mae", "rmse"])
    logs = model.evaluate(A, VALUES, 16, 0, sample_weight=WEIGHTS, return_dict=True)
    off = np.abs(model.predict(A)[:, 0] - VALUES)
    assert logs["mae"] == pytest.approx(off.mean(), rel=1e-5)
    assert logs["weighted_mae"] == pytest.approx((off * WEIGHTS).sum() / WEIGHTS.sum(), rel=1e-5)
    assert logs["loss"] == pytest.approx((off**2 * WEIGHTS).mean(), rel=1e-5)
    unweighted = model.evaluate(A, VALUES, 16, 0, return_dict=True)
    assert unweighted["weighted_mae"] == pytest.approx(unweighted["mae"])


def test_metrics_of_the_whole_epoch_take_weights_and_outputs():
    bits = (LABELS > 0).astype("float32")
    x = nb.Input((4,))
    model = nb.Model(x, [Dense(1, "sigmoid", name="p")(x), Dense(1, name="q")(x)])
    auc = nb.metrics.AUC(name="auc")
    model.compile("sgd", ["binary_crossentropy", "mse"], metrics=[[auc], ["r2_score"]], weighted_metrics=[[auc], []])
    logs = model.fit(
        A, [bits, VALUES], 16, epochs=1, sample_weight=[WEIGHTS, None], validation_data=(A, [bits, VALUES]), verbose=0
    ).history
    p, q = model.predict(A)
    assert logs["val_p_auc"][0] == pytest.approx(nb.metrics.AUC().compute(bits[:, None], p), abs=1e-6)
    assert logs["val_q_r2_score"][0] == pytest.approx(nb.metrics.R2Score().compute(VALUES[:, None], q), rel=1e-4)
    weighted = model.evaluate(A, [bits, VALUES], verbose=0, sample_weight=[WEIGHTS, None], return_dict=True)
    assert weighted["p_weighted_auc"] == pytest.approx(
        nb.metrics.AUC().compute(bits[:, None], p, sample_weight=WEIGHTS), abs=1e-6
    )
    assert weighted["p_auc"] != weighted["p_weighted_auc"]


# ---- whole numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [None, "int32", "int64"])
def test_numbers_of_rows_of_tables_are_gathered_as_integers(dtype):
    ids = nb.Input((2,), dtype=dtype)
    table = Embedding(1 << 12, 2, embeddings_initializer="normal")
    model = nb.Model(ids, Flatten()(table(ids)))
    numbers = rng.integers(0, 1 << 12, (30, 2))
    for given in (numbers, numbers.astype("int16"), numbers * 1.0):
        np.testing.assert_array_equal(model.predict(given), table.get_weights()[0][numbers].reshape(30, 4))
    assert "gather_ids" in str(model.program("predict", rows=30))
    with pytest.raises(ValueError, match="x: expected numbers from 0 to 4095"):
        model.predict(numbers + 4096)


def test_an_input_that_is_read_in_two_ways_is_checked_and_stays_a_number():
    x = nb.Input((1,))
    table = Embedding(5, 1, embeddings_initializer="ones")
    model = nb.Model(x, Flatten()(table(x)) + x)
    np.testing.assert_array_equal(model.predict(np.arange(5)), 1 + np.arange(5.0)[:, None])
    with pytest.raises(ValueError, match="from 0 to 4"):
        model.predict(np.arange(6))


def test_the_largest_table_counts_not():
    x = nb.Input((1,), dtype="int32")
    model = nb.Model(x, [Flatten()(Embedding(n, 2)(x)) for n in (9, 4)])
    with pytest.raises(ValueError, match="from 0 to 3, those of the rows of a table, got 8"):
        model.predict(np.array([8, 1]))


def test_integers_beyond_float32():
    ids = nb.Input((1,), dtype="int64")
    n = (1 << 24) + 8
    table = Embedding(n, 1, embeddings_initializer="zeros", name="big")
    model = nb.Model(ids, Flatten()(table(ids)))
    table.embeddings.memory()[n - 1] = 7
    np.testing.assert_array_equal(model.predict(np.array([n - 1, n - 2])), [[7], [0]])


def test_whole_numbers_where_floats_are_wanted_and_the_other_way_round():
    assert Dense(2)(nb.Input((3,), dtype="int32")).dtype == np.float32
    from nbnet.engine.graph.tensor import Tensor, apply
    from nbnet.ops.gather import EMBEDDING

    w, ids = nb.tensor(np.ones((3, 2))), nb.tensor([1.0])
    with pytest.raises(TypeError, match="embedding: expected int64 as ids, got float32"):
        apply(EMBEDDING, w, ids)
    assert nb.ops.relu(Tensor((2,), np.int64, np.ones(2, np.int64))).numpy().tolist() == [1, 1]


# ---- errors --------------------------------------------------------------------------------------------------

BAD = [
    ((A, BOTH), TypeError, r"x: the model has 3 inputs, \['a', 'b', 'ids'\]: expected a list of arrays in this order"),
    (([A, B], BOTH), ValueError, r"x: expected 3 arrays, for \['a', 'b', 'ids'\]; got 2"),
    (({"a": A, "b": B}, BOTH), ValueError, "x: expected data for each input, and 'ids' is missing"),
    (({"a": A, "z": A, "ids": IDS}, BOTH), ValueError, "x: the model has no input 'z'"),
    ((DATA | {"b": A}, BOTH), ValueError, r"x\['b'\]: expected 2 columns, got 4"),
    ((DATA | {"b": B[:9]}, BOTH), ValueError, r"x\['b'\] has 9 rows, x\['a'\] has 50"),
    (([A, B * np.nan, IDS], BOTH), ValueError, r"x\[1\]: expected finite values"),
    ((DATA | {"ids": IDS + 0.5}, BOTH), ValueError, r"x\['ids'\]: expected whole numbers"),
    ((DATA | {"ids": IDS + 6}, BOTH), ValueError, ": expected numbers from 0 to 5, those of the rows of a table, got"),
    ((DATA, VALUES), TypeError, r"y: the model has 2 outputs, \['value', 'label'\]"),
    ((DATA, [VALUES]), ValueError, "y: expected 2 arrays"),
    ((DATA, {"value": VALUES, "other": LABELS}), ValueError, "y: the model has no output 'other'"),
    ((DATA, BOTH | {"label": LABELS + 1}), ValueError, r"y\['label'\]: expected labels from 0 to 2, got 3"),
    ((DATA, {"value": VALUES}), TypeError, r"y\['label'\]: expected"),
    ((DATA, [VALUES[:9], LABELS]), ValueError, r"y\[0\]: expected 50 rows, as many as x has, got 9"),
]


@pytest.mark.parametrize(("given", "error", "message"), BAD, ids=[row[2][:40] for row in BAD])
def test_data_that_do_not_fit(given, error, message):
    model = network()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        model.fit(*given, verbose=0)
    assert equal(before, model.get_weights())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": {"nothing": "mse"}}, "loss: the model has no output 'nothing'; it has"),
        ({"loss": ["mse"] * 3}, r"loss: expected an entry for each of the outputs \['value', 'label'\], got 3"),
        ({"loss_weights": [1.0]}, "loss_weights: expected an entry for each"),
        ({"metrics": ["mae"]}, "metrics: expected an entry for each"),
        ({"metrics": {"nothing": "mae"}}, "metrics: the model has no output 'nothing'"),
        ({"metrics": [[], ["mae"]]}, "metrics: mae reads targets"),
        ({"loss": None}, "is not compiled"),
        ({"loss": [None, None]}, "is not compiled with a loss"),
    ],
)
def test_arguments_of_compile_that_do_not_fit(arguments, message):
    model = network(**arguments)
    with pytest.raises(ValueError, match=message):
        model.fit(DATA, BOTH, verbose=0)


def test_class_weights_are_for_one_output():
    with pytest.raises(ValueError, match="class_weight: expected a model of one output, got 2"):
        network().fit(DATA, BOTH, class_weight={0: 2.0}, verbose=0)
