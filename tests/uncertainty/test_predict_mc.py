"""Predictions by sampling: against passes on a tape with the same masks, and against all masks there are."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import logsumexp

import nbnet as nb
from nbnet.base.seeds import Counter
from nbnet.layers import BatchNormalization, Dense, Dropout
from nbnet.layers.arguments import sampling_mode
from nbnet.train.mc_predict import first_step
from tests.slicing import always_cut

X = np.random.default_rng(0).normal(size=(70, 6)).astype("float32")
MASKS = ["per_sample", "shared"]


def network(output="softmax", units=3, rate=0.5, first=None, hidden=16, dtype=None):
    nb.set_random_seed(1)
    layers = [Dropout(first, dtype=dtype)] if first is not None else []
    layers += [
        Dense(hidden, "relu", dtype=dtype),
        BatchNormalization(dtype=dtype),
        Dropout(rate, dtype=dtype),
        Dense(hidden, "tanh", dtype=dtype),
        Dropout(rate, dtype=dtype),
        Dense(units, output, dtype=dtype),
    ]
    return nb.Sequential([nb.Input((6,)), *layers])


def passes(model, x, count, masks, seed):
    """The samples one by one, on tapes."""
    found = []
    for number in range(count):
        with nb.Tape(step=first_step(seed, Counter()) + number), sampling_mode(masks):
            found.append(model(x))
    return found


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("first", [None, 0.2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_they_are_passes_with_the_same_masks(masks, first, dtype):
    model = network(first=first, dtype=dtype)
    found = model.predict_mc(X, 12, masks, quantiles=[0.25, 0.5], return_samples=True, seed=5)
    wanted = np.array([y.numpy() for y in passes(model, X, 12, masks, 5)])
    near = {"rtol": 0, "atol": 1e-6 if dtype == "float32" else 1e-12}
    np.testing.assert_allclose(found.samples, wanted, **near)
    np.testing.assert_allclose(found.mean, wanted.mean(0), **near)
    np.testing.assert_allclose(found.std, wanted.std(0), **near)
    np.testing.assert_allclose(found.quantiles, np.quantile(wanted, [0.25, 0.5], axis=0), **near)
    expected = -(wanted * np.log(wanted)).sum(-1).mean(0)
    mean = wanted.mean(0)
    np.testing.assert_allclose(found.expected_entropy, expected, rtol=0, atol=3e-6)
    np.testing.assert_allclose(found.predictive_entropy, -(mean * np.log(mean)).sum(-1), rtol=0, atol=3e-6)
    assert found.mean.dtype == found.std.dtype == found.samples.dtype == dtype
    assert (found.std > 0.01).all()


@pytest.mark.parametrize("masks", MASKS)
def test_masks_depend_on_the_seed_the_pass_and_the_row_alone(masks):
    model = network(first=0.2)

    def samples(x=X, **arguments):
        return model.predict_mc(x, 5, masks, return_samples=True, **arguments).samples

    whole = samples(seed=1)
    for size in (1, 32, 69):
        np.testing.assert_allclose(samples(seed=1, batch_size=size), whole, rtol=0, atol=1e-6)
    np.testing.assert_allclose(samples(X[:20], seed=1), whole[:, :20], rtol=0, atol=1e-6)
    assert np.array_equal(samples(seed=1), whole)
    assert not np.allclose(samples(seed=2), whole)
    assert not np.allclose(samples(), samples())
    nb.set_random_seed(7)
    once = samples()
    nb.set_random_seed(7)
    assert np.array_equal(samples(), once)


def test_rows_share_masks_if_they_are_told_to():
    model, x = network(first=0.2), np.repeat(X[:1], 40, 0)
    own = model.predict_mc(x, 6, return_samples=True).samples
    shared = model.predict_mc(x, 6, "shared", return_samples=True, batch_size=16).samples
    assert (own.std(1) > 1e-3).all()
    assert np.ptp(shared, 1).max() < 1e-6
    assert shared.std(0).max() > 1e-3


def test_other_layers_are_as_in_prediction():
    model = network()
    before = [w.numpy().copy() for w in model.non_trainable_weights]
    model.predict_mc(X, 3)
    assert all(np.array_equal(w.numpy(), old) for w, old in zip(model.non_trainable_weights, before, strict=True))
    off = network(rate=0.0)
    found = off.predict_mc(X, 4, return_samples=True)
    assert np.array_equal(found.std, np.zeros((70, 3)))
    assert np.array_equal(found.mean, found.samples[3])
    np.testing.assert_allclose(found.mean, off.predict(X), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.mutual_information, 0, atol=1e-12)


def test_what_lies_before_the_first_dropout_is_computed_once():
    model = network()
    names = [layer.name for layer in model.layers]
    program = model.program("sample", rows=32)
    phases = [[c.name.split(":")[0] for c in program.calls[a:b]] for ((a, b),) in program.spans]
    assert phases[0] == ["gather", *names[:2]]
    assert set(phases[1]) == {*names[2:], "moments", "entropy"} - {names[3]}


@pytest.mark.parametrize(("rate", "samples"), [(0.5, 20_000), (0.1, 20_000)])
def test_one_hidden_unit_against_both_masks(rate, samples):
    model = nb.Sequential([nb.Input((1,)), Dense(1, "relu"), Dropout(rate, seed=3), Dense(1)])
    model.set_weights([np.array([[2.0]]), np.array([0.5]), np.array([[-3.0]]), np.array([1.0])])
    x = np.array([[0.0], [1.0], [2.0]])
    found = model.predict_mc(x, samples, quantiles=0.5, seed=2)
    kept = -3 * (2 * x + 0.5)
    wanted = kept * np.sqrt(rate / (1 - rate))
    np.testing.assert_allclose(found.mean, kept + 1, atol=5 * np.abs(wanted).max() / np.sqrt(samples))
    np.testing.assert_allclose(found.std, np.abs(wanted), rtol=0.05)
    assert found.quantiles.shape == (3, 1)


def test_two_hidden_units_against_all_masks():
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((6,)), Dense(2), Dropout(0.5, seed=3), Dense(3, "softmax")])
    w, b, v, c = model.get_weights()
    masks = np.array(list(product((0, 2), repeat=2)))
    z = ((X @ w + b) * masks[:, None]) @ v + c
    p = np.exp(z - logsumexp(z, -1, keepdims=True))
    found = model.predict_mc(X, 4000, seed=1)
    error = 5 / np.sqrt(4000)
    np.testing.assert_allclose(found.mean, p.mean(0), atol=error * p.std(0).max())
    np.testing.assert_allclose(found.std, p.std(0), atol=error)
    entropies = -(p * np.log(p)).sum(-1)
    np.testing.assert_allclose(found.expected_entropy, entropies.mean(0), atol=error * entropies.std(0).max())
    mean = p.mean(0)
    np.testing.assert_allclose(found.mutual_information, -(mean * np.log(mean)).sum(-1) - entropies.mean(0), atol=error)
    assert (found.mutual_information >= 0).all()


def test_a_small_spread_beside_a_large_mean_is_kept():
    model = nb.Sequential([nb.Input((1,), dtype="float64"), Dropout(0.5, dtype="float64"), Dense(1, dtype="float64")])
    model.set_weights([np.array([[1.0]]), np.array([1e9])])
    found = model.predict_mc(np.ones((4, 1)), 500, return_samples=True)
    np.testing.assert_allclose(found.std, found.samples.std(0), rtol=1e-5)
    assert (found.std > 0.9).all()


@pytest.mark.parametrize("units", [1, 2])
def test_entropies_of_sigmoids(units):
    model = network("sigmoid", units)
    found = model.predict_mc(X, 30, return_samples=True, seed=1)
    p, mean = found.samples.astype(float), found.samples.mean(0, dtype=float)

    def entropy(p):
        return -(p * np.log(p) + (1 - p) * np.log1p(-p))

    shape = (70,) if units == 1 else (70, units)
    np.testing.assert_allclose(found.expected_entropy, entropy(p).mean(0).reshape(shape), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.predictive_entropy, entropy(mean).reshape(shape), rtol=0, atol=1e-6)
    assert (found.mutual_information >= 0).all()


@pytest.mark.parametrize("units", [1, 3])
def test_log_likelihood_is_that_of_gal_and_ghahramani(units):
    model, tau = network(None, units), 2.5
    found = model.predict_mc(X, 40, return_samples=True)
    y = np.random.default_rng(1).normal(size=(70, units))
    density = np.prod(np.sqrt(tau / (2 * np.pi)) * np.exp(-tau / 2 * (y - found.samples.astype(float)) ** 2), -1)
    np.testing.assert_allclose(found.log_likelihood(y, tau), np.log(density.mean(0)), rtol=1e-9)
    if units == 1:
        assert np.array_equal(found.log_likelihood(y[:, 0], tau), found.log_likelihood(y, tau))
    with pytest.raises(ValueError, match=r"entropy: expected probabilities"):
        _ = found.predictive_entropy


def test_several_inputs_and_outputs():
    a, b = nb.Input((6,), name="a"), nb.Input((2,), name="b")
    h = Dropout(0.5)(Dense(8, "relu")(nb.layers.concatenate([a, b])))
    outputs = {"class": Dense(3, "softmax")(h), "value": Dense(1)(h), "sure": Dense(2)(b)}
    model = nb.Model([a, b], outputs)
    data = {"a": X, "b": X[:, :2]}
    found = model.predict_mc(data, 8, return_samples=True, seed=4, batch_size=32)
    for number, wanted in enumerate(passes(model, data, 8, "per_sample", 4)):
        for name, one in found.items():
            np.testing.assert_allclose(one.samples[number], wanted[name].numpy(), rtol=0, atol=1e-6)
    assert found["class"].mutual_information.shape == (70,)
    assert np.array_equal(found["sure"].std, np.zeros((70, 2)))
    mean, std = model.predict(data, mc_samples=5, return_std=True)
    assert mean.keys() == std.keys() == outputs.keys()
    assert std["value"].shape == (70, 1)


def test_predict_samples_if_it_is_told_to():
    model = network()
    nb.set_random_seed(3)
    mean, std = model.predict(X, mc_samples=10, return_std=True, batch_size=32)
    assert not np.array_equal(model.predict(X, mc_samples=10), model.predict(X, mc_samples=10))
    nb.set_random_seed(3)
    found = model.predict_mc(X, 10, batch_size=32)
    assert np.array_equal(mean, found.mean)
    assert np.array_equal(std, found.std)
    assert np.array_equal(model.predict(X), model.predict(X))


def test_subclasses_that_pass_the_mode_on():
    class Net(nb.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.drop, self.out = Dense(8, "relu"), Dropout(0.5), Dense(1)

        def call(self, x, training=False):
            return self.out(self.drop(self.hidden(x), training=training))

    assert (Net().predict_mc(X, 20).std > 0).any()


@pytest.mark.parametrize(
    "layer",
    [
        nb.layers.Dropout(nb.dropout_schedules.Late(0.5, 10)),
        nb.layers.AlphaDropout(0.3),
        nb.layers.GaussianDropout(0.3),
        nb.layers.GaussianNoise(0.5),
        nb.layers.DropPath(0.3, seed=1),
        nb.layers.StandoutDense(4),
        nb.layers.DropConnectDense(4, 0.3),
        nb.layers.ConcreteDropout(Dense(4), init_min=0.3, init_max=0.4),
        nb.layers.VariationalDense(4),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_the_whole_family_is_at_work(layer):
    model = nb.Sequential([nb.Input((6,)), Dense(8, "selu"), layer, Dense(2)])
    found = model.predict_mc(X, 10, return_samples=True, seed=3)
    wanted = np.array([y.numpy() for y in passes(model, X, 10, "per_sample", 3)])
    np.testing.assert_allclose(found.samples, wanted, rtol=0, atol=2e-6)
    assert (found.std.max(1) > 1e-4).mean() > 0.9


@pytest.mark.parametrize("masks", MASKS)
def test_layers_of_images_and_of_words(masks):
    images = np.random.default_rng(0).normal(size=(9, 6, 6, 2))
    layers = [nb.layers.Conv2D(3, 3, activation="relu"), nb.layers.SpatialDropout2D(0.5), nb.layers.Flatten(), Dense(2)]
    words = np.random.default_rng(0).integers(0, 5, (9, 3))
    table = [nb.layers.Embedding(5, 4), Dropout(0.5), nb.layers.Flatten(), Dense(2)]
    for x, model in ((images, nb.Sequential(layers)), (words, nb.Sequential(table))):
        found = model.predict_mc(x, 6, masks, return_samples=True, seed=2)
        wanted = np.array([y.numpy() for y in passes(model, x, 6, masks, 2)])
        np.testing.assert_allclose(found.samples, wanted, rtol=0, atol=1e-6)


def test_sparse_rows_are_sampled_as_they_are():
    x, model = np.where(X > 0, X, 0), network(first=0.2)
    found, wanted = (model.predict_mc(given, 5, seed=1, batch_size=32) for given in (csr_array(x), x))
    np.testing.assert_allclose(found.mean, wanted.mean, rtol=0, atol=1e-6)


def test_a_layer_of_ones_own_says_that_it_draws():
    class Jitter(nb.Layer):
        stochastic = True

        def call(self, x, training=False):
            return nb.ops.gaussian_noise(x, 0.5, key=7) if training else x

    found = nb.Sequential([nb.Input((6,)), Jitter()]).predict_mc(X, 500)
    np.testing.assert_allclose(found.std, 0.5, rtol=0.2)
    np.testing.assert_allclose(found.mean, X, atol=0.15)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_probabilities_of_nothing_have_no_entropy(output):
    model = nb.Sequential([nb.Input((6,)), Dropout(0.5), Dense(2, output)])
    model.set_weights([np.zeros((6, 2)), np.array([500.0, -500.0])])
    found = model.predict_mc(X, 4)
    assert np.array_equal(found.mean, np.tile([1.0, 0.0], (70, 1)))
    for entropy in (found.predictive_entropy, found.expected_entropy, found.mutual_information):
        assert np.array_equal(entropy, np.zeros_like(entropy))


def test_spatial_dropout_shares_masks():
    model = nb.Sequential([nb.Input((5, 3)), nb.layers.SpatialDropout1D(0.5), nb.layers.Flatten(), Dense(1)])
    x = np.repeat(np.random.default_rng(0).normal(size=(1, 5, 3)), 9, 0)
    assert np.ptp(model.predict_mc(x, 10, "shared", return_samples=True).samples, 1).max() < 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 0}, r"samples"),
        ({"masks": "own"}, r"masks: expected 'per_sample' or 'shared', got 'own'"),
        ({"quantiles": [0.5, 1.5]}, r"quantiles: expected numbers in \[0, 1\], got \[0.5, 1.5\]"),
        ({"quantiles": float("nan")}, r"quantiles: expected numbers"),
        ({"batch_size": 0}, r"batch_size"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        network().predict_mc(X, **arguments)


def test_what_cannot_be_sampled():
    plain = nb.Sequential([nb.Input((6,)), Dense(2)], name="plain")
    with pytest.raises(ValueError, match=r"plain has no layer that draws random numbers"):
        plain.predict_mc(X)
    noisy = nb.Sequential([nb.Input((6,)), nb.layers.GaussianDropout(0.1, name="noisy"), Dense(2)])
    with pytest.raises(ValueError, match=r"masks: noisy .* draws for each row"):
        noisy.predict_mc(X, masks="shared")
    model = network()
    with pytest.raises(TypeError, match=r"x: expected arrays for predict_mc, got a generator"):
        model.predict_mc(x for x in [X])
    with pytest.raises(ValueError, match=r"return_std: expected mc_samples"):
        model.predict(X, return_std=True)
    with pytest.raises(ValueError, match=r"steps: cannot be combined with mc_samples"):
        model.predict(X, mc_samples=3, steps=1)
    with pytest.raises(TypeError, match=r"seed: expected an integer"):
        model.predict_mc(X, seed="a")
    found = network(None, 1).predict_mc(X, 3, return_samples=True)
    with pytest.raises(ValueError, match=r"y: expected shape \(70, 1\), that of the output, got \(3,\)"):
        found.log_likelihood(np.zeros(3), 1.0)
    with pytest.raises(ValueError, match=r"tau"):
        found.log_likelihood(np.zeros(70), 0.0)
    with pytest.raises(ValueError, match=r"samples: the log-likelihood needs all"):
        network(None, 1).predict_mc(X, 3).log_likelihood(np.zeros(70), 1.0)


def test_mapped_files_are_sampled_block_by_block(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", X)
    mapped, model = np.load(tmp_path / "x.npy", mmap_mode="r"), network()
    monkeypatch.setattr("nbnet.data.mapped.BLOCK", 1)
    arguments = {"samples": 4, "quantiles": 0.5, "return_samples": True, "seed": 1}
    found, wanted = model.predict_mc(mapped, **arguments, batch_size=16), model.predict_mc(X, **arguments)
    for name in ("mean", "std", "samples", "quantiles", "predictive_entropy", "expected_entropy"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=0, atol=1e-6)


def test_two_slices_do_as_one(monkeypatch):
    model = network(first=0.2)
    alone = {masks: model.predict_mc(X, 6, masks, return_samples=True, seed=1) for masks in MASKS}
    always_cut(monkeypatch, 32)
    monkeypatch.setattr("nbnet.train.step_builder.processors", lambda: 2)
    for masks, wanted in alone.items():
        cut = network(first=0.2)
        found = cut.predict_mc(X, 6, masks, return_samples=True, seed=1)
        np.testing.assert_allclose(found.samples, wanted.samples, rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.std, wanted.std, rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.expected_entropy, wanted.expected_entropy, rtol=0, atol=1e-6)
        assert cut.program("sample", rows=len(X)).spans.shape[1] == 2


def test_without_compilation():
    code = """
import numpy as np, nbnet as nb
from nbnet.layers import Dense, Dropout
layers = [Dense(4, "relu"), Dropout(0.5, seed=1), Dense(3, "softmax")]
model = nb.Sequential([nb.Input((2,)), *layers])
model.set_weights([np.linspace(-1, 1, w.size).reshape(w.shape) for w in model.weights])
for masks in ("per_sample", "shared"):
    found = model.predict_mc(np.eye(2), 20, masks, seed=1)
    print(*found.mean.ravel(), *found.std.ravel(), *found.mutual_information)
"""
    printed = []
    for disable in "01":
        environment = os.environ | {"NUMBA_DISABLE_JIT": disable}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        printed.append(np.array(run.stdout.split(), float))
    assert printed[0].size == 28
    np.testing.assert_allclose(*printed, rtol=0, atol=1e-6)
