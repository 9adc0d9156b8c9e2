"""Trainings that continue: from backups, from files of the middle of an epoch, from weights that are averages."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
    SwapEMAWeights,
)
from tests.reliability.resumes import OPTIMIZERS, VARIANTS, Case, Kill, Killed, dense, same_model

rng = np.random.default_rng(1)
X, Y = rng.normal(size=(70, 6)).astype("float32"), rng.normal(size=(70, 2)).astype("float32")


def network(optimizer: Any = "adam") -> nb.Model:
    nb.set_random_seed(1)
    made = dense()
    made.compile(optimizer, "mse")
    return made


def fit(model: nb.Model, epochs: int, *callbacks: Callback, seed: int = 2, rows: int = 70, **more: Any) -> nb.History:
    nb.set_random_seed(seed)
    given = {"batch_size": 16, "verbose": 0} | more
    return model.fit(X[:rows], Y[:rows], epochs=epochs, callbacks=list(callbacks), **given)


def kept(folder: Path, epoch: int, batch: int | None, optimizer: Any = "adam", **more: Any) -> nb.Model:
    """Return the model of a file that was saved inside of an epoch, or after it."""
    keep = ModelCheckpoint(folder / "{epoch}.nbnet" if batch is None else folder / "{epoch}-{batch}.nbnet",
                           save_freq="epoch" if batch is None else 1)  # fmt: skip
    fit(network(optimizer), epoch + 1, keep, **more)
    return nb.load_model(folder / (f"{epoch + 1}.nbnet" if batch is None else f"{epoch + 1}-{batch + 1}.nbnet"))


# ---- many, drawn at random ----


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_random_trainings(optimizer: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(list(OPTIMIZERS).index(optimizer))
    assert Case(draw, optimizer).run(tmp_path)


@pytest.mark.slow
def test_more_random_trainings(tmp_path: Path) -> None:
    draw = np.random.default_rng(99)
    resumed = 0
    for number, variant in enumerate([*VARIANTS] * 8):
        case, folder = Case(draw, variant=variant), tmp_path / str(number)
        folder.mkdir()
        try:
            resumed += case.run(folder)
        except Exception as error:
            raise AssertionError(f"{case}: {error}") from error
    assert resumed > 20


# ---- a file from inside of an epoch ----


@pytest.mark.parametrize(("epoch", "batch"), [(0, 0), (0, 2), (0, 4), (1, 0), (1, 3), (2, 4)])
def test_a_checkpoint_from_inside_of_an_epoch(epoch: int, batch: int, tmp_path: Path) -> None:
    whole = network()
    expected = fit(whole, 4, ModelCheckpoint(tmp_path / "any.nbnet", save_freq=10**6))
    again = kept(tmp_path, epoch, batch)
    history = fit(again, 4, ModelCheckpoint(tmp_path / "any.nbnet", save_freq=10**6), initial_epoch=epoch, seed=77)
    assert same_model(whole, again)
    assert history.history["loss"] == expected.history["loss"][epoch:], "batches before the interruption count"


@pytest.mark.parametrize("more", [{"validation_split": 0.3}, {"steps_per_epoch": 2}, {"shuffle": False}])
def test_the_same_with_other_arguments_of_fit(more: dict[str, Any], tmp_path: Path) -> None:
    rows = 64 if "steps_per_epoch" in more else 70
    whole = network()
    fit(whole, 3, rows=rows, **more)
    again = kept(tmp_path, 0, 1, rows=rows, **more)
    fit(again, 3, seed=77, rows=rows, **more)
    assert same_model(whole, again)


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize(
    "changed", [{"rows": 60}, {"batch_size": 10}, {"steps_per_epoch": 2}, {"validation_split": 0.5}, {"rows": 9}]
)
def test_data_of_another_size(epoch: int, changed: dict[str, Any], tmp_path: Path) -> None:
    """The epoch starts over, with a warning, in the order of rows that it would have had."""
    again = kept(tmp_path, epoch, 3)
    steps = again.optimizer.iterations
    with pytest.warns(UserWarning, match=f"epoch {epoch} starts over: it was interrupted after batch 4 with 70 rows"):
        history = fit(again, epoch + 1, initial_epoch=epoch, **changed)
    assert np.isfinite(history.history["loss"]).all()
    rows = {"validation_split": 35}.get(next(iter(changed)), changed.get("rows", 70))
    batches = changed.get("steps_per_epoch") or -(-rows // changed.get("batch_size", 16))
    assert again.optimizer.iterations == steps + batches


def test_another_initial_epoch_begins_anew(tmp_path: Path) -> None:
    for epoch in (0, 2):
        again = kept(tmp_path, 1, 2)
        steps = again.optimizer.iterations
        history = fit(again, epoch + 2, initial_epoch=epoch, seed=5)
        assert history.epoch == [epoch, epoch + 1]
        assert again.optimizer.iterations == steps + 10, "both epochs are whole"


def test_no_epochs_are_left(tmp_path: Path) -> None:
    again = kept(tmp_path, 1, 2)
    before = again.get_weights()
    assert fit(again, 1, initial_epoch=1).epoch == []
    assert all(np.array_equal(a, b) for a, b in zip(before, again.get_weights(), strict=True))
    whole = network()
    fit(whole, 3)
    fit(again, 3, initial_epoch=1)
    assert same_model(whole, again)


def test_a_fit_that_failed_in_its_first_epoch_begins_anew() -> None:
    """In the same process ``initial_epoch=0`` is a new training, as reproducible as the first."""
    model, whole = network(), network()
    weights = model.get_weights()
    with pytest.raises(Killed):
        fit(model, 2, Kill(0, 2))
    model.set_weights(weights)
    model.compile("adam", "mse")
    fit(model, 2)
    fit(whole, 2)
    assert same_model(model, whole)


def test_one_batch_between_loading_and_continuing(tmp_path: Path) -> None:
    """Its loss is its own, without those of the interrupted epoch."""
    again, other = kept(tmp_path, 0, 2), kept(tmp_path, 0, 2)
    other._train_state.position = type(other._train_state.position)()
    assert again.train_on_batch(X[:8], Y[:8]) == other.train_on_batch(X[:8], Y[:8])


# ---- averages of weights ----

EMA = {
    "averages": {"use_ema": True, "ema_momentum": 0.8},
    "overwrite": {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 3},
    "accumulation": {"use_ema": True, "gradient_accumulation_steps": 2},
    "none": {"use_ema": True, "ema_momentum": 0.0},
}


def averaged(name: str, variant: str) -> Any:
    return getattr(nb.optimizers, name)(**OPTIMIZERS[name] | EMA[variant])


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("variant", ["averages", "overwrite"])
def test_averages_are_saved_and_continue(name: str, variant: str, tmp_path: Path) -> None:
    whole, first = network(averaged(name, variant)), network(averaged(name, variant))
    fit(whole, 4)
    fit(first, 2)
    first.save(tmp_path / "m.nbnet")
    again = nb.load_model(tmp_path / "m.nbnet")
    assert same_model(first, again)
    for model in (again, first):  # in another process, and in the same
        fit(model, 4, initial_epoch=2, seed=77)
        assert same_model(whole, model)
        states = whole.optimizer.get_state(), model.optimizer.get_state()
        assert all(np.array_equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("variant", ["accumulation", "none"])
@pytest.mark.parametrize("stops", [(1, 4), (2, 3, 4), (1, 2, 3, 4)])
def test_averages_are_saved_several_times(variant: str, stops: tuple[int, ...], tmp_path: Path) -> None:
    whole, parts = network(averaged("Adam", variant)), network(averaged("Adam", variant))
    fit(whole, 4)
    begin = 0
    for stop in stops:
        fit(parts, stop, initial_epoch=begin)
        parts.save(tmp_path / "m.nbnet")
        nb.load_model(tmp_path / "m.nbnet").save(tmp_path / "m.nbnet")
        parts, begin = nb.load_model(tmp_path / "m.nbnet"), stop
    assert same_model(whole, parts)


def test_weights_that_were_changed_are_not_undone(tmp_path: Path) -> None:
    """Whatever the user does between two trainings, the second begins with the weights that are there."""
    changes: list[Callable[[nb.Model], Any]] = [
        lambda model: model.set_weights([weight * 0.5 for weight in model.get_weights()]),
        lambda model: model.train_on_batch(X[:16], Y[:16]),
    ]
    for change in changes:
        model = network(averaged("Adam", "averages"))
        fit(model, 2)
        change(model)
        before = model.get_weights()
        seen: list[Any] = []
        look = nb.callbacks.LambdaCallback(on_train_begin=lambda logs: seen.extend(model.get_weights()))  # noqa: B023
        fit(model, 3, look, initial_epoch=2)
        assert all(np.array_equal(a, b) for a, b in zip(before, seen, strict=True))


def test_a_new_training_begins_with_the_averages() -> None:
    model = network(averaged("Adam", "averages"))
    fit(model, 2)
    before, seen = model.get_weights(), []
    fit(model, 1, nb.callbacks.LambdaCallback(on_train_begin=lambda logs: seen.extend(model.get_weights())))
    assert all(np.array_equal(a, b) for a, b in zip(before, seen, strict=True))


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_checkpoints_with_averages_in_the_model(swap_on_epoch: bool, tmp_path: Path) -> None:
    whole = network(averaged("Adam", "averages"))
    fit(whole, 4)
    keep = ModelCheckpoint(tmp_path / "{epoch}.nbnet")
    first = network(averaged("Adam", "averages"))
    fit(first, 2, SwapEMAWeights(swap_on_epoch), keep)
    for path in (tmp_path / "1.nbnet", tmp_path / "2.nbnet"):
        again = nb.load_model(path)
        fit(again, 4, initial_epoch=int(path.stem))
        assert same_model(whole, again)
    fit(first, 4, SwapEMAWeights(swap_on_epoch), initial_epoch=2)
    assert same_model(whole, first)


def test_a_training_that_is_stopped_ends_with_its_averages() -> None:
    plain, swapped = network(averaged("Adam", "averages")), network(averaged("Adam", "averages"))
    stop = {"monitor": "loss", "min_delta": 1e9, "patience": 2}
    fit(plain, 9, EarlyStopping(**stop))  # type: ignore[arg-type]
    history = fit(swapped, 9, SwapEMAWeights(swap_on_epoch=True), EarlyStopping(**stop))  # type: ignore[arg-type]
    assert len(history.epoch) < 9
    assert same_model(plain, swapped)


# ---- the state of callbacks ----


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_place_of_the_backup_in_the_list(place: int, tmp_path: Path) -> None:
    def callbacks(folder: str, *more: Callback) -> list[Callback]:
        made: list[Callback] = [
            ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.5),
            EarlyStopping("loss", patience=4, min_delta=0.5, restore_best_weights=True),
        ]
        made.insert(place, BackupAndRestore(tmp_path / folder))
        return [*made, *more]

    whole, again = network(), network()
    expected = fit(whole, 9, *callbacks("a"))
    with pytest.raises(Killed):
        fit(network(), 9, *callbacks("b", Kill(2, None)))
    fit(again, 9, *callbacks("b"))
    assert len(expected.epoch) < 9, "it has to stop early"
    assert same_model(whole, again)
    assert whole.optimizer.learning_rate == again.optimizer.learning_rate != 0.001


def test_a_training_that_had_been_stopped_stays_so(tmp_path: Path) -> None:
    def callbacks() -> list[Callback]:
        stop = EarlyStopping("loss", min_delta=1e9, patience=1, restore_best_weights=True)
        return [stop, BackupAndRestore(tmp_path, delete_checkpoint=False)]

    first, again = network(), network()
    fit(first, 9, *callbacks())
    assert fit(again, 9, *callbacks()).epoch == []
    assert same_model(first, again)


def test_two_callbacks_of_a_class(tmp_path: Path) -> None:
    def callbacks() -> list[ReduceLROnPlateau]:
        return [ReduceLROnPlateau("loss", patience=p, min_delta=1e9, factor=0.5) for p in (2, 3)]

    with pytest.raises(Killed):
        fit(network(), 9, *callbacks(), BackupAndRestore(tmp_path), Kill(3, None))
    again, made = network(), callbacks()
    seen: list[Any] = []
    look = nb.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append([c.wait for c in made]))
    fit(again, 5, *made, BackupAndRestore(tmp_path), look)
    assert seen[0] == [1, 0]


def test_callbacks_that_are_gone(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(network(), 4, EarlyStopping("loss", patience=9), BackupAndRestore(tmp_path), Kill(1, None))
    with pytest.warns(UserWarning, match="has the state of EarlyStopping, which is not there"):
        fit(network(), 4, BackupAndRestore(tmp_path))


class Wrong(Callback):
    """A callback whose state is what it is told."""

    def __init__(self, state: dict[str, Any], message: str = "") -> None:
        super().__init__()
        self.state, self.message = state, message

    def get_state(self) -> dict[str, Any]:
        return self.state

    def set_state(self, state: Any) -> None:
        if self.message:
            raise RuntimeError(self.message)


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({"a": float("nan")}, r"callbacks: the state of Wrong\.a: nan cannot be saved"),
        ({"a": object()}, r"callbacks: the state of Wrong\.a: .*cannot be saved"),
        ({"a": np.ones(2, np.float16)}, "callback:Wrong:a: tensors of float16 cannot be saved"),
    ],
)
def test_states_that_cannot_be_saved(state: dict[str, Any], match: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match=match):
        fit(network(), 2, Wrong(state), BackupAndRestore(tmp_path))


def test_states_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(network(), 4, Wrong({"a": 1}), BackupAndRestore(tmp_path), Kill(1, None))
    with pytest.raises(ValueError, match=r"latest\.nbnet: Wrong cannot continue: not mine"):
        fit(network(), 4, Wrong({"a": 1}, "not mine"), BackupAndRestore(tmp_path))
    stop = EarlyStopping("loss")
    good = stop.get_state()
    for bad in ({}, good | {"wait": -1}, good | {"best": "x"}, good | {"more": 1}, good | {"wait": 1.5}):
        with pytest.raises(ValueError, match=r"state|could not convert"):
            EarlyStopping("loss").set_state(bad)


def test_nothing_is_said_of_a_training_that_just_continues(tmp_path: Path) -> None:
    again = kept(tmp_path, 0, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(again, 2)


# ---- layers that draw ----


class OwnNoise(nb.layers.Layer):
    """A layer of the user's with a seed generator inside of others."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inside = {"noise": [nb.random.SeedGenerator()]}

    def call(self, x: Any, training: bool = False) -> Any:
        return x + nb.random.normal(x.shape, seed=self.inside["noise"][0]) if training else x


L = nb.layers
LINE, IMAGE = (6,), (4, 6, 2)
#: Shapes of the input, and the arguments of a layer.
ALONE: dict[str, tuple[tuple[int, ...], tuple[Any, ...]]] = {
    **dict.fromkeys(("RandomContrast", "RandomRotation", "SpatialDropout2D"), (IMAGE, (0.2,))),
    **dict.fromkeys(("RandomTranslation", "RandomZoom"), (IMAGE, (0.2, 0.2))),
    **dict.fromkeys(("AlphaDropout", "DropPath", "Dropout", "GaussianDropout", "GaussianNoise"), (LINE, (0.5,))),
    **dict.fromkeys(("StandoutDense", "VariationalDense"), (LINE, (4,))),
    "DropBlock2D": (IMAGE, (0.5, 2)), "DropConnectDense": (LINE, (4, 0.5)), "Masksembles": (LINE, (2, 1.5)),
    "RandomBrightness": (IMAGE, (0.2, (0, 1))), "RandomCrop": (IMAGE, (2, 3)), "RandomFlip": (IMAGE, ()),
    "SpatialDropout1D": ((4, 6), (0.5,)),
    "SpatialDropout3D": ((2, 4, 6, 2), (0.5,)), "VariationalDropout": (LINE, ()),
}  # fmt: skip
NESTED: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]]]] = {
    "ConcreteDropout": (LINE, lambda: [L.ConcreteDropout(L.Dense(4))]),
    "own": (LINE, lambda: [OwnNoise()]),
    "Sequential": (IMAGE, lambda: [nb.Sequential([L.RandomFlip(), nb.Sequential([L.RandomRotation(0.2)])])]),
    "TimeDistributed": ((3, *IMAGE), lambda: [
        L.TimeDistributed(L.RandomFlip()), L.TimeDistributed(nb.Sequential([L.RandomZoom(0.2, 0.2), L.Dropout(0.2)]))]),
}  # fmt: skip


def test_all_layers_that_draw_are_known() -> None:
    classes = [kind for name in dir(L) if isinstance(kind := getattr(L, name), type) and issubclass(kind, L.Layer)]
    drawing = {kind.__name__ for kind in classes if "seed" in inspect.signature(kind).parameters}
    assert drawing == ALONE.keys() | {"ConcreteDropout"}


@pytest.mark.parametrize("case", [*ALONE, *NESTED])
def test_draws_are_kept(case: str, tmp_path: Path) -> None:
    """By backups and by files, in a process in which layers have other keys."""
    shape, arguments = ALONE.get(case, (LINE, ()))
    shape, make = NESTED.get(case, (shape, lambda: [getattr(L, case)(*arguments)]))

    def drawing(seed: int) -> nb.Model:
        nb.set_random_seed(seed)
        made = nb.Sequential([nb.Input(shape), *make(), L.Flatten(), L.Dense(1)])
        made.compile("sgd", "mse")
        return made

    x = np.random.default_rng(0).random((20, *shape)).astype("float32")
    y = x.reshape(20, -1)[:, :1]

    def train(model: nb.Model, epochs: int, *callbacks: Callback, **more: Any) -> None:
        nb.set_random_seed(3)
        model.fit(x, y, epochs=epochs, batch_size=8, verbose=0, callbacks=list(callbacks), **more)

    whole = drawing(1)
    train(whole, 4)
    with pytest.raises(Killed):
        train(drawing(1), 4, BackupAndRestore(tmp_path / "backup"), Kill(1, None))
    again = drawing(99)
    train(again, 4, BackupAndRestore(tmp_path / "backup"))
    assert same_model(whole, again)
    first = drawing(1)
    train(first, 2)
    first.save(tmp_path / "m.nbnet")
    loaded = nb.load_model(tmp_path / "m.nbnet", custom_objects={"OwnNoise": OwnNoise})
    assert (first(x, training=True).numpy() == loaded(x, training=True).numpy()).all()
    train(loaded, 4, initial_epoch=2)
    assert same_model(whole, loaded)
