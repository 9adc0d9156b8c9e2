"""Batches cut into slices: how many there are, and that results do not depend on it but for rounding."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers
from nbnet.train import graph_passes, program_report, step_builder
from nbnet.train.step_builder import StepBuilder, StepCost

rng = np.random.default_rng(4)
ROWS = 50  # the last of batches of 16 has two rows
X = rng.normal(size=(ROWS, 12))
IMAGES = rng.normal(size=(ROWS, 6, 6, 1))
LABELS = rng.integers(0, 3, ROWS)


def stack(*parts, loss="sparse_categorical_crossentropy", optimizer="adam", shape=(12,), **settings):
    """A compiled network in float64."""
    nb.set_random_seed(7)
    floatx = nb.config.floatx()
    nb.config.set_floatx("float64")
    try:
        model = nb.Sequential([nb.Input(shape), *(part() for part in parts), layers.Dense(3, "softmax")])
        model.compile(optimizer, loss, metrics=["accuracy"], **settings)
    finally:
        nb.config.set_floatx(floatx)
    return model


def dense(units=8, **arguments):
    return lambda: layers.Dense(units, "tanh", **arguments)


def dropout(rate=0.4, **arguments):
    return lambda: layers.Dropout(rate, **arguments)


def conv():
    return layers.Conv2D(4, 3, activation="relu")


#: Layers, shape of a row, optimizer; whether a batch can be cut.
NETWORKS: dict[str, tuple[list[Any], tuple[int, ...], dict[str, Any], bool]] = {
    "dense": ([dense(), dense()], (12,), {}, True),
    "dropout": ([dropout(), dense(), dropout()], (12,), {}, True),
    "batchwise": ([dense(), dropout(batchwise=True), dense()], (12,), {}, True),
    "batch norm": ([dense(), layers.BatchNormalization, dense()], (12,), {}, False),
    "layer norm": ([dense(), layers.LayerNormalization], (12,), {}, True),
    "conv": ([conv, layers.MaxPooling2D, layers.Flatten, dropout()], (6, 6, 1), {}, True),
    "constraints": ([dense(kernel_constraint=nb.constraints.MaxNorm(0.7)), dropout(), dense()], (12,), {}, True),
    "penalties": ([dense(kernel_regularizer="l2", activity_regularizer="l1"), dense()], (12,), {}, True),
    "clipping": ([dense(), dropout()], (12,), {"global_clipnorm": 0.1}, True),
    "accumulation": ([dense(), dropout()], (12,), {"gradient_accumulation_steps": 2}, True),
}


def trained(name, slices):
    """The model after two epochs, its history, an evaluation and predictions."""
    parts, shape, settings, _ = NETWORKS[name]
    model = stack(*parts, shape=shape, optimizer=nb.optimizers.Adam(0.01, **settings), slices=slices)
    x = IMAGES if len(shape) > 1 else X
    draws = any(isinstance(layer, layers.Dropout) for layer in model.layers)
    history = model.fit(x, LABELS, 16, 2, verbose=0, validation_split=0.2, record_masks=4 if draws else 0)
    return model, history, model.evaluate(x, LABELS, 16, verbose=0), model.predict(x, 16)


def slices_of(model, rows):
    """Number of slices of a training step."""
    return model.program("train", rows).spans.shape[1]


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("slices", [2, 4, 8])
@pytest.mark.parametrize("name", NETWORKS)
def test_any_number_of_slices_computes_the_same(name, slices, released, monkeypatch):
    """With more threads than processors, too; short batches have fewer rows than slices."""
    monkeypatch.setattr(graph_passes, "LEAST_BYTES", 0 if released else 1 << 40)
    made: list[int] = []
    train = StepBuilder.train

    def spy(*args, **kwargs):
        draft = train(*args, **kwargs)
        made.append(len(draft.first_rows))
        return draft

    monkeypatch.setattr(StepBuilder, "train", spy)
    alone, wanted, wanted_score, wanted_predicted = trained(name, 1)
    model, history, score, predicted = trained(name, slices)
    assert made == [1, 1, slices, min(slices, 8)] if NETWORKS[name][-1] else [1, 1, 1, 1]
    for key, values in wanted.history.items():
        np.testing.assert_allclose(history.history[key], values, rtol=1e-9, err_msg=key)
    for a, b in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(score, wanted_score, rtol=1e-9)
    np.testing.assert_allclose(predicted, wanted_predicted, rtol=1e-8)
    if wanted.masks:
        assert len(history.masks) == len(wanted.masks) == 4
        for (step, found), (wanted_step, masks) in zip(history.masks, wanted.masks, strict=True):
            assert step == wanted_step
            for mask, wanted_mask in zip(found.values(), masks.values(), strict=True):
                np.testing.assert_array_equal(mask, wanted_mask)


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("slices", [1, 2, 5])
@pytest.mark.parametrize("name", ["dropout", "conv", "constraints"])
def test_as_many_slices_give_the_same_bits(name, slices, released, monkeypatch):
    monkeypatch.setattr(graph_passes, "LEAST_BYTES", 0 if released else 1 << 40)
    first, second = trained(name, slices), trained(name, slices)
    assert first[1].history == second[1].history
    assert first[2] == second[2]
    for a, b in zip(first[0].get_weights(), second[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first[3], second[3])


def test_several_models_with_more_threads_than_processors():
    """Nobody waits for ever."""
    models, plain = [stack(dense(), dropout(), slices=4) for _ in range(3)], {"shuffle": False, "verbose": 0}
    threads = [threading.Thread(target=m.fit, args=(X, LABELS, 16, 3), kwargs=plain) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    for model in models[1:]:
        for a, b in zip(model.get_weights(), models[0].get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


# ---- the number that a user fixes --------------------------------------------------------------------------------


def test_a_fixed_number_holds_whatever_there_is(monkeypatch):
    model = stack(dense(), slices=3)
    monkeypatch.setattr(step_builder, "processors", lambda: 1)
    model.fit(X, LABELS, 16, verbose=0)
    assert (slices_of(model, 16), slices_of(model, 2)) == (3, 2)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, LABELS, 16, verbose=0)
    assert (slices_of(model, 16), slices_of(model, 2)) == (1, 1)


def test_a_prepared_prediction_is_made_by_its_thread():
    model = stack(dense(), slices=4)
    np.testing.assert_allclose(model.predictor(8)(X[:8]), model.predict(X[:8]), rtol=1e-12)


def test_copies_and_files_keep_the_number(tmp_path):
    model = stack(dense(), slices=3)
    model.fit(X, LABELS, 16, verbose=0)
    model.save(tmp_path / "model.nbnet")
    loaded = nb.load_model(tmp_path / "model.nbnet")
    for other in (copy.deepcopy(model), loaded):
        other.fit(X, LABELS, 16, verbose=0, shuffle=False)
        assert slices_of(other, 16) == 3
    plain = stack(dense())
    assert "slices" not in plain.get_compile_config()


@pytest.mark.parametrize("wrong", [0, 257, 1.0, True, "2"])
def test_bad_numbers(wrong):
    with pytest.raises(ValueError, match="slices"):
        stack(dense(), slices=wrong)


# ---- the number that is chosen -----------------------------------------------------------------------------------


def draft(model, kind, rows):
    return program_report.draft(model, kind, rows, (model.input_shape[1:],))


def dense_network(*sizes):
    parts = [layers.Dense(units, "relu") for units in sizes[1:-1]]
    return nb.Sequential([nb.Input(sizes[:1]), *parts, layers.Dense(sizes[-1], "softmax")])


def images(size, filters):
    parts = [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
    return nb.Sequential([nb.Input((size, size, 1)), *parts, layers.Dense(10, "softmax")])


#: Network, kind, rows, whether two slices pay.
CHOICES = {
    "tiny": (lambda: dense_network(2, 16, 16, 2), "train", 16, False),
    "digits": (lambda: dense_network(64, 128, 64, 10), "train", 32, False),
    "digits, one row": (lambda: dense_network(64, 128, 64, 10), "predict", 1, False),
    "tabular": (lambda: dense_network(54, 256, 256, 7), "train", 128, True),
    "mnist": (lambda: dense_network(784, 1024, 1024, 1024, 10), "train", 128, True),
    "mnist, 8 rows": (lambda: dense_network(784, 1024, 1024, 1024, 10), "train", 8, False),
    "mnist, prediction": (lambda: dense_network(784, 1024, 1024, 1024, 10), "predict", 256, True),
    "narrow, many rows": (lambda: dense_network(16, 16, 16, 2), "train", 4096, True),
    "deep and narrow": (lambda: dense_network(*[16] * 20, 2), "train", 32, False),
    "small images": (lambda: images(12, 4), "train", 4, False),
    "larger images": (lambda: images(28, 16), "train", 16, True),
}


@pytest.mark.parametrize("name", CHOICES)
def test_choices(name, monkeypatch):
    make, kind, rows, pays = CHOICES[name]
    model = make()
    model.compile("adam", "sparse_categorical_crossentropy")
    for processors in (1, 2):
        monkeypatch.setattr(step_builder, "processors", lambda count=processors: count)
        assert len(draft(model, kind, rows).first_rows) == (2 if pays and processors == 2 else 1)


def test_work_is_counted(monkeypatch):
    monkeypatch.setattr(step_builder, "processors", lambda: 1)
    model = dense_network(6, 5, 3)
    model.compile("sgd", "sparse_categorical_crossentropy")
    found = StepCost.of(draft(model, "train", 10))
    # Nobody asks for the gradient of the input.
    assert found.multiply_adds == 10 * (2 * 6 * 5 + 3 * 5 * 3)
    assert found.updated >= 6 * 5 + 5 + 5 * 3 + 3
    assert found.pooled == 0
    assert StepCost.of(draft(model, "predict", 10)).multiply_adds == 10 * (6 * 5 + 5 * 3)
    assert StepCost.of(draft(model, "predict", 10)).updated == 0


def test_windows_are_counted(monkeypatch):
    monkeypatch.setattr(step_builder, "processors", lambda: 1)
    found = StepCost.of(draft(images(8, 4), "predict", 2))
    assert found.multiply_adds == 2 * (36 * 9 * 4 + 36 * 10)
    assert found.pooled == 2 * 9 * 4 * 4


def test_more_processors_share_more_work():
    few = StepCost(calls=20, multiply_adds=10**6, elements=10**4, pooled=0, constant=10**4, updated=10**4, released=0)
    much = few._replace(multiply_adds=10**9, elements=10**7)
    assert few.best_slices(64) < much.best_slices(64)
    assert much.best_slices(2) == 2
    assert all(much.nanoseconds(much.best_slices(n)) <= much.nanoseconds(1) for n in (1, 2, 8, 64))
    assert few._replace(multiply_adds=10).best_slices(64) == 1


def test_there_is_a_row_for_each_slice():
    model = dense_network(784, 4096, 4096, 10)
    whole = draft(model, "predict", 1)
    assert step_builder.slices_for(whole, rows=1, most=64) == 1
    assert step_builder.slices_for(whole, rows=3, most=64) <= 3
