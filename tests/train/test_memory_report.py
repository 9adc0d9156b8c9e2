"""The memory of a model in its summary."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers
from nbnet.engine.jit import linker
from nbnet.train import program_report
from nbnet.train.program_report import MemoryReport
from tests.networks import LABELS, X

FLOAT = 4


def network(optimizer="adam", loss="sparse_categorical_crossentropy", **settings):
    parts = [nb.Input((4,)), layers.Dense(16, "relu"), layers.Dropout(0.5), layers.Dense(3, "softmax")]
    model = nb.Sequential(parts)
    model.compile(optimizer, loss, **settings)
    return model


def lines(model, **arguments):
    found: list[str] = []
    model.summary(print_fn=found.append, **arguments)
    return found[0].splitlines()[-2:]


#: 64 + 16 + 48 + 3 values, each parameter's rounded up to 64 bytes.
SIZE = 64 + 16 + 48 + 16


@pytest.mark.parametrize(
    ("optimizer", "kept"),
    [
        (nb.optimizers.SGD(), 0),
        (nb.optimizers.SGD(momentum=0.9), 1),
        (nb.optimizers.Adam(), 2),
        (nb.optimizers.Adam(amsgrad=True), 3),
        (nb.optimizers.Adam(use_ema=True), 3),
        (nb.optimizers.Adam(gradient_accumulation_steps=2), 3),
        (nb.optimizers.SGD(nb.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)), 0),
    ],
)
def test_parts_of_training(optimizer, kept):
    model = network(optimizer)
    found = program_report.training_memory(model, 32)
    assert found[:3] == (131 * FLOAT, SIZE * FLOAT, kept * SIZE * FLOAT)
    assert optimizer.block is None  # nothing was built for it
    model.fit(X, LABELS, batch_size=32, verbose=0)
    assert sum(state.nbytes for state in optimizer.state.values()) == found.optimizer
    assert found.arena == pytest.approx(model.program("train", 32).nbytes, abs=256)
    assert program_report.training_memory(model, 32) == found


@pytest.mark.parametrize("slices", [2, 4])
def test_each_slice_has_gradients(slices):
    one, several = (program_report.training_memory(network(slices=n), 32) for n in (None, slices))
    assert several.slices == slices
    assert several.gradients == slices * one.gradients
    assert several.arena == pytest.approx(one.arena, rel=0.5)


def test_prediction():
    model = network()
    found = program_report.prediction_memory(model, len(X))
    model.predict(X)
    assert found == MemoryReport(131 * FLOAT, 0, 0, model.program("predict", len(X)).nbytes, 1)
    assert found.total == found.parameters + found.arena


def test_it_grows_with_the_batch_and_the_precision():
    sizes = [program_report.training_memory(network(), rows).arena for rows in (1, 8, 64, 512)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 32 * sizes[1]
    parts = [nb.Input((4,), dtype="float64"), layers.Dense(16, dtype="float64")]
    model = nb.Sequential(parts)
    model.compile("adam", "mse")
    assert program_report.training_memory(model, 1).gradients == (64 + 16) * 8


def test_nothing_is_compiled_built_or_moved():
    model = network()
    before, places = linker.compiled_count, [w.memory().ctypes.data for w in model.weights]
    lines(model)
    assert linker.compiled_count == before
    assert model.optimizer.block is None
    assert [w.memory().ctypes.data for w in model.weights] == places
    model.optimizer.exclude_from_weight_decay(var_names=["bias"])


LOSSES = [
    *("mse", "binary_crossentropy", "categorical_crossentropy", "hinge", "sparse_categorical_crossentropy"),
    nb.losses.GaussianNegativeLogLikelihood(),
    nb.losses.Quantile([0.1, 0.5, 0.9, 0.95]),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss if isinstance(loss, str) else loss.name)
def test_losses(loss):
    model = nb.Sequential([nb.Input((5,)), layers.Dense(4, "softmax")])
    model.compile("sgd", loss)
    assert program_report.training_memory(model, 8).arena > 8 * 9 * FLOAT


def test_several_inputs_and_outputs():
    age, job = nb.Input((1,), name="age"), nb.Input((1,), dtype="int32", name="job")
    vector = layers.Flatten()(layers.Embedding(5, 2)(job))
    hidden = layers.Dense(8)(layers.concatenate([age, vector]))
    model = nb.Model([age, job], [layers.Dense(1, name="a")(hidden), layers.Dense(3, "softmax", name="b")(hidden)])
    model.compile("adam", {"a": "mse", "b": "sparse_categorical_crossentropy"})
    found = program_report.training_memory(model, 16)
    data = {"age": np.ones((16, 1)), "job": np.ones((16, 1), int)}
    model.fit(data, {"a": np.ones(16), "b": np.ones(16, int)}, batch_size=16, verbose=0)
    assert found.arena == pytest.approx(model.program("train", 16).nbytes, abs=256)


def test_lines():
    model = network(slices=2)
    found = program_report.training_memory(model, 8)
    first, second = lines(model, batch_size=8)
    assert first.startswith("Memory of training in batches of 8 on 2 threads: ")
    assert second == (
        f"  = 524.00 B parameters + {2 * SIZE * FLOAT / 1024:.2f} KB gradients + {2 * SIZE * FLOAT / 1024:.2f} KB "
        f"optimizer + {found.arena / 1024:.2f} KB activations"
    )
    assert "Memory of training in batches of 32 on 2 threads" in model._repr_html_()
    plain = nb.Sequential([nb.Input((4,)), layers.Dense(2)])
    assert lines(plain)[0].startswith("Memory of prediction in batches of 32: ")


class Own(nb.Model):
    def train_step(self, data):
        return {}

    def predict_step(self, data):
        return 0.0


def unknown():
    yield nb.Sequential([layers.Dense(3)])
    yield nb.Model(x := nb.Input((None, 3)), layers.GlobalMaxPooling1D()(x))
    yield Own(x := nb.Input((3,)), layers.Dense(1)(x))
    wrong = nb.Sequential([nb.Input((3,)), layers.Dense(1)])
    wrong.compile("sgd", {"nobody": "mse"})
    yield wrong


@pytest.mark.parametrize("model", list(unknown()))
def test_what_is_not_known_is_not_shown(model):
    assert not any(line.startswith("Memory") for line in lines(model))


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "32", None])
def test_bad_batch_sizes(wrong):
    with pytest.raises(ValueError, match="batch_size"):
        network().summary(batch_size=wrong)
