"""Equal seeds and equal histories give equal random numbers, whatever else happens in between."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers
from nbnet.base.seeds import CountedKey, Counter, get_state, next_key, set_state
from nbnet.layers.arguments import sampling_mode

X = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
IMAGES = np.ones((4, 6, 6, 2), np.float32)

DRAWING: dict[str, tuple[Callable[[], Any], Any]] = {
    "Dropout": (lambda: layers.Dropout(0.5, seed=7), X),
    "batchwise Dropout": (lambda: layers.Dropout(0.5, noise_shape=(1, 6), seed=7), X),
    "SpatialDropout2D": (lambda: layers.SpatialDropout2D(0.5, seed=7), IMAGES),
    "DropPath": (lambda: layers.DropPath(0.5, seed=7), X),
    "DropBlock2D": (lambda: layers.DropBlock2D(0.3, 2, seed=7), IMAGES),
    "AlphaDropout": (lambda: layers.AlphaDropout(0.5, seed=7), X),
    "GaussianDropout": (lambda: layers.GaussianDropout(0.5, seed=7), X),
    "GaussianNoise": (lambda: layers.GaussianNoise(0.5, seed=7), X),
    "DropConnectDense": (lambda: layers.DropConnectDense(3, 0.5, seed=7, kernel_initializer="ones"), X),
    "a model": (lambda: nb.Sequential([nb.Input((6,)), layers.Dropout(0.5, seed=7), layers.Dropout(0.1, seed=2)]), X),
}


def disturb(seeds: bool = True) -> None:
    """Draw in every way that has nothing to do with the layers under test, and set a seed."""
    layers.Dropout(0.5, seed=7)(X, training=True)
    layers.GaussianNoise(0.5)(X, training=True)
    nb.ops.dropout(X, 0.5)
    nb.random.normal((3,))
    next_key()
    with nb.Tape():
        layers.Dropout(0.5)(X, training=True)
    if seeds:
        nb.set_random_seed(int(np.random.default_rng().integers(1000)))


def values(y: Any) -> np.ndarray:
    return np.array(y.numpy())


@pytest.mark.parametrize("name", DRAWING)
def test_a_layer_counts_its_own_calls(name: str) -> None:
    make, x = DRAWING[name]
    one, other = make(), make()
    first = [values(one(x, training=True)) for _ in range(4)]
    second = []
    for k in range(4):
        disturb()
        if k % 2:  # A tape makes no difference.
            with nb.Tape():
                second.append(values(other(x, training=True)))
        else:
            second.append(values(other(x, training=True)))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("name", DRAWING)
def test_calls_that_draw_nothing_do_not_count(name: str) -> None:
    make, x = DRAWING[name]
    one, other = make(), make()
    other(x, training=False)
    with nb.Tape(step=3):
        other(x, training=True)
    np.testing.assert_array_equal(values(one(x, training=True)), values(other(x, training=True)))


def test_a_tape_with_a_step_draws_that_step() -> None:
    layer = layers.Dropout(0.5, seed=7, name="drop")
    found = []
    for _ in range(2):
        with nb.Tape(step=3) as tape:
            layer(X, training=True)
        found.append(tape.masks["drop"])
        disturb()
    np.testing.assert_array_equal(*found)
    model = nb.Sequential([nb.Input((6,)), layers.Dropout(0.5, seed=7, name="drop")])
    np.testing.assert_array_equal(found[0], model.masks(3, n=len(X))["drop"])


def test_a_layer_that_is_called_twice_on_a_tape_draws_twice() -> None:
    layer, other = layers.Dropout(0.5, seed=7), layers.Dropout(0.5, seed=7)
    with nb.Tape():
        first = values(layer(X, training=True)), values(layer(X, training=True))
    for mask in first:
        np.testing.assert_array_equal(mask, values(other(X, training=True)))
    assert not np.array_equal(*first)


def test_masksembles_take_turns_by_their_own_calls() -> None:
    one, other = (layers.Masksembles(4, 2.0, seed=1) for _ in range(2))
    for k in range(5):
        if k == 3:
            disturb()
        with sampling_mode():
            found = values(one(X)), values(other(X))
        np.testing.assert_array_equal(*found)


class Subclassed(nb.Model):
    def __init__(self) -> None:
        super().__init__()
        self.drop, self.out = layers.Dropout(0.5, seed=3), layers.Dense(1, kernel_initializer="ones")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.drop(x, training=training))


def functional() -> nb.Model:
    x = nb.Input((6,))
    return nb.Model(x, layers.Dense(1, kernel_initializer="ones")(layers.Dropout(0.5, seed=3)(x)))


def drawing_in_inference() -> nb.Model:
    x = nb.Input((6,))
    return nb.Model(x, layers.Dense(1, kernel_initializer="ones")(layers.Dropout(0.5, seed=3)(x, training=True)))


@pytest.mark.parametrize("make", [Subclassed, functional])
def test_models_count_for_themselves(make: Callable[[], nb.Model]) -> None:
    one, other = make(), make()
    first = [one.predict_mc(X, samples=3).mean for _ in range(3)]
    for mean in first:
        disturb(seeds=False)
        functional().predict_mc(X, samples=2)
        np.testing.assert_array_equal(mean, other.predict_mc(X, samples=3).mean)
    assert not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(one.predict_mc(X, 3, seed=4).mean, other.predict_mc(X, 3, seed=4).mean)
    np.testing.assert_array_equal(one.predict(X, mc_samples=5), other.predict(X, mc_samples=5))
    np.testing.assert_array_equal(values(one(X, training=True)), values(other(X, training=True)))


def test_a_new_seed_gives_other_samples() -> None:
    model, found = functional(), []
    for seed in (1, 2, 1):
        nb.set_random_seed(seed)
        found.append([model.predict_mc(X, samples=3).mean for _ in range(2)])
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[0][0], found[1][0])
    assert not np.array_equal(found[0][0], found[0][1])


def test_predictions_that_draw_count_for_themselves() -> None:
    one, other = drawing_in_inference(), drawing_in_inference()
    first = [one.predict(X), one.predict(X), one.predictor(4)(X[:4]), one.predict(X)]
    disturb(seeds=False)
    second = [other.predict(X), other.predict(X), other.predictor(4)(X[:4])]
    disturb(seeds=False)
    for a, b in zip(first, [*second, other.predict(X)], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], first[1])


def test_estimators_sample_by_their_random_state() -> None:
    def sample() -> np.ndarray:
        net = nb.estimators.MLPRegressor(hidden_layer_sizes=(8,), dropout=0.5, random_state=3, max_iter=3).fit(
            X, X[:, 0]
        )
        return np.concatenate(net.predict(X, return_std=True, mc_samples=4))

    with pytest.warns(match="Maximum iterations"):
        first = sample()
    disturb()
    with pytest.warns(match="Maximum iterations"):
        np.testing.assert_array_equal(first, sample())


COPIES = {
    "copy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}


@pytest.mark.parametrize("make_copy", COPIES.values(), ids=COPIES)
def test_copies_continue_to_count(make_copy: Callable[[Any], Any]) -> None:
    layer, model = layers.Dropout(0.5, seed=7), functional()
    layer(X, training=True)
    model.predict_mc(X, samples=2)
    same_layer, same_model = make_copy(layer), make_copy(model)
    for _ in range(2):
        np.testing.assert_array_equal(values(layer(X, training=True)), values(same_layer(X, training=True)))
        np.testing.assert_array_equal(model.predict_mc(X, 2).mean, same_model.predict_mc(X, 2).mean)


def test_files_continue_to_count_and_clones_begin_anew(tmp_path: Any) -> None:
    model, fresh = functional(), functional()
    for _ in range(2):
        model(X, training=True)
        model.predict_mc(X, samples=2)
    model.save(tmp_path / "model.nbnet")
    loaded, cloned = nb.load_model(tmp_path / "model.nbnet"), nb.models.clone_model(model)
    np.testing.assert_array_equal(values(cloned(X, training=True)), values(fresh(X, training=True)))
    for _ in range(2):
        np.testing.assert_array_equal(values(model(X, training=True)), values(loaded(X, training=True)))
        np.testing.assert_array_equal(model.predict_mc(X, 2).mean, loaded.predict_mc(X, 2).mean)


def test_integers_draw_the_same_and_generators_count() -> None:
    functions: list[Callable[[Any], Any]] = [
        lambda seed: nb.random.normal((5,), seed=seed),
        lambda seed: nb.random.uniform((5,), seed=seed),
        lambda seed: nb.random.randint((9,), 0, 100, seed=seed),
        lambda seed: nb.random.shuffle(np.arange(30.0), seed=seed),
    ]
    for draw in functions:
        one, other = nb.random.SeedGenerator(3), nb.random.SeedGenerator(3)
        first = [values(draw(one)) for _ in range(3)], values(draw(3))
        disturb()
        second = [values(draw(other)) for _ in range(3)], values(draw(3))
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])
        assert not np.array_equal(first[0][0], first[0][1])
        np.testing.assert_array_equal(values(draw(copy.deepcopy(one))), values(draw(pickle.loads(pickle.dumps(other)))))
    masks = [values(nb.ops.dropout(X, 0.5, key=CountedKey(5))) for _ in range(2)]
    np.testing.assert_array_equal(*masks)


# ---- the sources of keys ----


def test_counters() -> None:
    counter = Counter(5)
    assert (counter.next(), counter.count, counter.skip(10), counter.next()) == (6, 6, 6, 17)
    key = CountedKey(2**64 - 1, draws=3)
    again = pickle.loads(pickle.dumps(key))
    assert (again, type(again), again.next_step()) == (2**64 - 1, CountedKey, 2**40 + 4)
    for count in (-1, 2**62, 2**64):
        with pytest.raises(ValueError, match="count"):
            Counter(count)
    with pytest.raises(ValueError, match="count"):
        set_state(1, 2**63, 0)


def test_each_number_is_given_out_once() -> None:
    nb.set_random_seed(1)
    found: list[list[int]] = []

    def take() -> None:
        found.append([next_key() for _ in range(2000)])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = {key for keys in found for key in keys}
    assert len(together) == 8000
    nb.set_random_seed(1)
    assert together == {next_key() for _ in range(8000)}


def test_a_seed_in_a_thread_is_its_own() -> None:
    nb.set_random_seed(1)
    before, keys = get_state(), list[int]()

    def work() -> None:
        nb.set_random_seed(9)
        keys.extend([next_key(), next_key()])
        assert get_state() == (9, 2, 0)
        with nb.random.seed_scope(4):
            nb.set_random_seed(5)
            next_key()
        assert get_state() == (9, 2, 0)

    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert get_state() == before
    assert keys[:2] == keys[2:]
    nb.set_random_seed(9)
    assert [next_key(), next_key()] == keys[:2]


# ---- trainings ----


def make(seed: int, built: bool = True) -> nb.Sequential:
    nb.set_random_seed(seed)
    front = [nb.Input((6,))] if built else []
    model = nb.Sequential([*front, layers.Dense(5, "tanh"), layers.Dropout(0.2), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fit(model: nb.Model, epochs: int = 2) -> list[np.ndarray]:
    model.fit(X, X[:, :1], batch_size=5, epochs=epochs, verbose=0)
    return model.get_weights()


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("built", [True, False], ids=["built", "not built"])
def test_a_training_depends_on_its_model_alone(built: bool) -> None:
    alone = [fit(make(k, built)) for k in range(3)]
    models = [make(k, built) for k in range(3)]
    disturb(seeds=False)
    for k in (2, 0, 1):
        assert equal(fit(models[k]), alone[k])


def test_a_model_takes_its_keys_in_turn() -> None:
    """A model that is not built takes those that one with an Input takes, and others take different ones."""
    assert equal(fit(make(1)), fit(make(1, built=False)))
    nb.set_random_seed(1)
    models = []
    for _ in range(3):
        models.append(nb.Sequential([layers.Dense(1)]))
        models[-1].compile("sgd", "mse")
    weights = [fit(model)[0] for model in models]
    assert not any(np.array_equal(weights[a], weights[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_a_new_seed_begins_anew() -> None:
    model = make(1)
    weights = model.get_weights()

    def again() -> list[np.ndarray]:
        model.set_weights(weights)
        model.optimizer.iterations = 0
        return fit(model, 1)

    first = again()
    assert not equal(again(), first)  # another order of rows
    seeded = []
    for seed in (1, 2, 1):
        nb.set_random_seed(seed)
        seeded.append(again())
    assert equal(seeded[0], seeded[2])
    assert not equal(seeded[0], seeded[1])
    with nb.random.seed_scope(1):
        second = again()
    with nb.random.seed_scope(1):
        assert equal(again(), second)


def test_a_copy_is_trained_as_its_model() -> None:
    model = make(1)
    copies = [make_copy(model) for make_copy in COPIES.values()]
    weights = [fit(one) for one in (model, *copies)]
    assert all(equal(one, weights[0]) for one in weights)
    weights = [fit(one) for one in (*copies, model)]
    assert all(equal(one, weights[0]) for one in weights)


def test_a_loaded_model_is_trained_as_its_model(tmp_path: Any) -> None:
    model = make(1)
    for name in ("before", "after"):
        model.save(tmp_path / f"{name}.nbnet")
        layers.Dropout(0.5)(X, training=True)
        loaded = nb.load_model(tmp_path / f"{name}.nbnet")
        assert equal(fit(model), fit(loaded))


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("way", ["load", "deepcopy", "pickle"])
def test_a_seed_that_was_set_before_a_copy_is_that_of_the_copy(way: str, trained: bool, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)

    def model() -> Any:
        nb.set_random_seed(3)
        made = nb.Sequential([nb.Input((6,)), nb.layers.Dense(8), nb.layers.Dropout(0.5), nb.layers.Dense(1)])
        made.compile("adam", "mse")
        if trained:
            made.fit(x, x[:, :1], verbose=0)
            made.predict_mc(x, 2)
        nb.set_random_seed(4)
        return made

    def copied(made: Any) -> Any:
        if way == "load":
            made.save(tmp_path / "m.nbnet")
            return nb.load_model(tmp_path / "m.nbnet")
        return copy.deepcopy(made) if way == "deepcopy" else pickle.loads(pickle.dumps(made))

    def fitted(made: Any) -> Any:
        made.fit(x, x[:, :1], epochs=2, verbose=0, batch_size=16)
        return made.get_weights()[0]

    for use in (lambda made: made.predict_mc(x, 2).mean, fitted):
        np.testing.assert_array_equal(use(copied(model())), use(model()))
    if way == "load":  # It makes layers, which take keys of the process.
        return
    original = model()
    copied(original)
    np.testing.assert_array_equal(fitted(original), fitted(model()))


def test_an_epoch_of_steps_in_python_without_a_rest_keeps_its_loss(tmp_path: Path) -> None:
    class Own(nb.Sequential):
        def train_step(self, data: Any) -> Any:
            (x, y), weights = data, self.trainable_weights
            with nb.Tape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            return {"loss": loss}

    x = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)

    def fitted(*callbacks: Any) -> Any:
        nb.set_random_seed(1)
        model = Own([nb.Input((6,)), nb.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model.fit(x, x[:, :1], epochs=3, batch_size=16, verbose=0, callbacks=list(callbacks))

    class Stop(nb.callbacks.Callback):
        count = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.count += 1
            if self.count == 8:
                raise InterruptedError

    backup = nb.callbacks.BackupAndRestore(tmp_path, save_freq=1)
    with pytest.raises(InterruptedError):
        fitted(backup, Stop())
    again = fitted(nb.callbacks.BackupAndRestore(tmp_path, save_freq=1))
    assert again.epoch == [1, 2]
    assert again.history["loss"] == fitted().history["loss"][1:]
