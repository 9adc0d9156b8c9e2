"""SpectralNormalization: kernels are divided by their largest singular value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.saving.weights import weights_by_path

L = nb.layers


@pytest.mark.parametrize(
    ("inner", "shape"),
    [
        (lambda: L.Dense(5), (3,)),
        (lambda: L.Conv2D(4, 3), (6, 6, 2)),
        (lambda: L.Conv1DTranspose(4, 3), (6, 2)),
        (lambda: L.Embedding(7, 3), (4,)),
    ],
)
def test_a_call_in_training_divides(inner: Any, shape: Any) -> None:
    nb.set_random_seed(0)
    layer = L.SpectralNormalization(inner(), power_iterations=60)
    x = np.random.default_rng(0).integers(0, 7, (2, *shape)).astype("float32")
    before = layer(x).numpy()
    weight = layer.layer.weights[0]
    first = weight.numpy().copy()
    sigma = np.linalg.svd(first.reshape(-1, first.shape[-1]), compute_uv=False)[0]
    y = layer(x, training=True).numpy()
    np.testing.assert_allclose(weight.numpy(), first / sigma, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(y, before / sigma, rtol=1e-3, atol=1e-5)  # biases are 0
    np.testing.assert_array_equal(layer(x).numpy(), y)
    assert isinstance(getattr(layer.layer, layer._weight_name), nb.Parameter)
    assert [w.shape for w in layer.non_trainable_weights] == [(1, first.shape[-1])]


def test_one_step_of_the_power_method() -> None:
    layer = L.SpectralNormalization(L.Dense(2, dtype="float64"), dtype="float64")
    layer.build((None, 3))
    kernel, u = np.arange(6.0).reshape(3, 2) + 1, np.array([[0.6, 0.8]])
    layer.layer.kernel.assign(kernel)
    layer.vector_u.assign(u)
    layer(np.ones((1, 3)), training=True)
    v = u @ kernel.T / np.linalg.norm(u @ kernel.T)
    u = v @ kernel / np.linalg.norm(v @ kernel)
    np.testing.assert_allclose(layer.vector_u.numpy(), u, rtol=1e-12)
    np.testing.assert_allclose(layer.layer.kernel.numpy(), kernel / (v @ kernel @ u.T), rtol=1e-12)


def test_zeros_stay_zeros() -> None:
    layer = L.SpectralNormalization(L.Dense(2, kernel_initializer="zeros"))
    assert not layer(np.ones((3, 2)), training=True).numpy().any()
    assert not layer.layer.kernel.numpy().any()


@pytest.mark.parametrize("eager", [False, True])
def test_training_keeps_the_norm_near_one(eager: bool, tmp_path: Any) -> None:
    nb.set_random_seed(0)
    layer = L.SpectralNormalization(L.Dense(8, "tanh"), name="sn")
    model = nb.Sequential([nb.Input((4,)), layer, L.Dense(1)])
    x = np.random.default_rng(0).normal(size=(64, 4))
    model.compile(nb.optimizers.SGD(0.05), "mse", run_eagerly=eager)
    losses = model.fit(x, 3 * x[:, 0], epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    norm = np.linalg.svd(layer.layer.kernel.numpy(), compute_uv=False)[0]
    assert 0.9 < norm < 1.2
    if not eager:
        model.save(tmp_path / "m.nbnet")
        again = nb.load_model(tmp_path / "m.nbnet")
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
        np.testing.assert_array_equal(again.get_weights()[-1], model.get_weights()[-1])
        assert nb.clone_model(model).layers[0].power_iterations == 1


def test_a_program_computes_what_python_does() -> None:
    x = np.random.default_rng(0).normal(size=(32, 4))
    found = []
    for eager in (False, True):
        nb.set_random_seed(1)
        model = nb.Sequential([nb.Input((4,)), L.SpectralNormalization(L.Dense(3), 2), L.Dense(1)])
        model.compile(nb.optimizers.SGD(0.1), "mse", run_eagerly=eager)
        model.fit(x, x[:, 0], batch_size=8, epochs=2, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.SpectralNormalization(L.Dense(2), 0), "power_iterations: expected an integer from 1"),
        (lambda: L.SpectralNormalization("dense"), "expected a layer"),
        (lambda: L.SpectralNormalization(L.ReLU())(np.ones((2, 2))), "expected one with a kernel or embeddings"),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("inner", "shape", "names"),
    [
        (lambda: L.Dense(5), (3,), ["kernel", "vector_u", "bias"]),
        (lambda: L.Conv2D(4, 3), (6, 6, 2), ["kernel", "vector_u", "bias"]),
        (lambda: L.Dense(5, use_bias=False), (3,), ["kernel", "vector_u"]),
        (lambda: L.Embedding(7, 3), (4,), ["embeddings", "vector_u"]),
    ],
)
def test_weights_are_in_the_order_of_keras(inner: Any, shape: Any, names: Any, tmp_path: Any) -> None:
    layer = L.SpectralNormalization(inner(), name="normal")
    model = nb.Sequential([nb.Input(shape), layer, L.Flatten(), L.Dense(1, name="last")])
    listed = [w.name.rpartition("/")[2] for w in model.weights]
    assert listed == [*names, "kernel", "bias"]
    assert [w.shape for w in model.trainable_weights[:1]] == [layer.layer.weights[0].shape]
    assert [w.shape for w in layer.non_trainable_weights] == [layer.vector_u.shape]
    # Files have the names of the layer that made a weight.
    assert list(weights_by_path(layer)) == ["vector_u", *(f"layer/{n}" for n in names if n != "vector_u")]


def test_weights_before_the_build() -> None:
    assert L.SpectralNormalization(L.Dense(5)).weights == []
