"""``model.thin(masks)``: a smaller model that computes what the masked one computes, and ``model.merge``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet import layers as L
from nbnet.layers import (
    Activation,
    ActivityRegularization,
    Add,
    AlphaDropout,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling2D,
    LayerNormalization,
    LeakyReLU,
    Maximum,
    MaxPooling2D,
    PutUnits,
    Rescaling,
    Softmax,
    SpatialDropout2D,
    Subtract,
    TakeUnits,
)

Array = NDArray[Any]
rng = np.random.default_rng(1)
TOLERANCE = {"float32": {"rtol": 1e-6, "atol": 2e-6}, "float64": {"rtol": 1e-12, "atol": 1e-13}}


def half(n: int, seed: int = 0) -> Array:
    """A mask that keeps about half of n units, the first among them."""
    mask = np.random.default_rng(seed).random(n) < 0.5
    mask[0] = True
    mask[-1] = False
    return mask


def masked(model: nb.Model, masks: dict[str, Array], x: Any, dtype: str) -> list[Array]:
    """The outputs in training with these masks, each broadcast to its layer's input."""
    with nb.Tape(step=0) as tape:
        model(x, training=True)
    shapes = {name: mask.shape for name, mask in tape.masks.items()}
    whole = {name: np.broadcast_to(mask, shapes[name]) for name, mask in masks.items()}
    with nb.Tape(masks=whole, step=0):
        out = model(x, training=True)
    return [np.asarray(y) for y in (out if isinstance(out, list) else [out])]


def plain() -> nb.Model:
    return nb.Sequential([
        nb.Input((12,)),
        Dropout(0.2, name="pixels"),
        Dense(40, "relu", name="hidden_1"),
        Dropout(0.5, name="drop_1"),
        Dense(30, "gelu", use_bias=False, name="hidden_2"),
        Dropout(0.25, name="drop_2"),
        Dense(4, "softmax", name="out"),
    ])  # fmt: skip


def normalised() -> nb.Model:
    return nb.Sequential([
        nb.Input((12,)),
        Dense(20, use_bias=False, name="a"),
        BatchNormalization(name="norm"),
        Activation("tanh"),
        Dropout(0.5, name="drop"),
        LeakyReLU(),
        Dense(16, name="b"),
        LayerNormalization(name="layer_norm"),
        Dropout(0.5, name="late"),
        Rescaling(2.0),
        Dense(3, name="c"),
    ])  # fmt: skip


def images() -> nb.Model:
    return nb.Sequential([
        nb.Input((8, 8, 3)),
        Conv2D(6, 3, padding="same", name="conv_1"),
        BatchNormalization(),
        Activation("relu"),
        SpatialDropout2D(0.5, name="maps"),
        MaxPooling2D(),
        Conv2D(5, 2, activation="relu", name="conv_2"),
        Dropout(0.3, noise_shape=(None, 1, 1, None), name="more"),
        Flatten(),
        Dropout(0.0, name="nothing"),
        Dense(2, name="out"),
    ])  # fmt: skip


def generator() -> nb.Model:
    """Every other layer with kernels, and layers that move units."""
    return nb.Sequential([
        nb.Input((4, 4, 3)),
        L.Conv2DTranspose(6, 3, strides=2, padding="same", name="up"),
        SpatialDropout2D(0.5, name="maps"),
        L.DepthwiseConv2D(3, padding="same", activation="relu", name="alone"),
        L.UpSampling2D((1, 2)),
        L.SeparableConv2D(5, 2, depth_multiplier=2, use_bias=False, name="mix"),
        SpatialDropout2D(0.5, name="more"),
        L.ZeroPadding2D(1),
        L.Conv2DTranspose(8, 2, activation="tanh", name="turned"),
        SpatialDropout2D(0.5, name="last"),
        L.Cropping2D(2),
        Conv2D(4, 3, groups=2, name="groups"),
        Flatten(),
        Dense(2, name="out"),
    ])  # fmt: skip


def pooled() -> nb.Model:
    layers = [Conv2D(6, 3), AveragePooling2D(), GlobalAveragePooling2D(), Dropout(0.4, name="drop"), Dense(2)]
    return nb.Sequential([nb.Input((8, 8, 3)), *layers])


def branches() -> nb.Model:
    x = nb.Input((12,), name="x")
    trunk = Dense(20, "relu", name="trunk")(x)
    left = Dense(8, "relu", name="left")(Dropout(0.5, name="drop_left")(trunk))
    right = Dropout(0.5, name="drop_right")(trunk)
    joined = Concatenate()([left, Dense(8, name="right")(right)])
    again = Dropout(0.5, name="again")(Dense(9, name="merged")(joined))
    return nb.Model(x, [Dense(2, name="one")(again), nb.ops.tanh(Dense(3, name="two")(again))])


def called_twice() -> nb.Model:
    x, drop, shared = nb.Input((12,)), Dropout(0.5, name="drop"), Dense(12, "tanh", name="shared")
    return nb.Model(x, Dense(2)(drop(Dense(12, name="between")(drop(shared(shared(x)))))))


def added() -> nb.Model:
    """Branches that drop the same units, a skip over them, and operators in place of layers."""
    x = nb.Input((12,))
    left = Dropout(0.5, name="left")(Dense(10, "tanh", name="a")(x))
    right = Dropout(0.2, name="right")(Dense(10, name="b")(x))
    joined = nb.ops.relu(Add()([left, right]) - Subtract()([right, left]))
    return nb.Model(x, Dense(3, name="c")(Maximum()([joined, left])))


def residual() -> nb.Model:
    x = nb.Input((12,))
    branch = Dropout(0.5, name="drop")(Dense(12, "relu", name="branch")(x))
    again = Dropout(0.5, name="again")(Dense(12, name="branch_2")(Add(name="sum")([x, branch])))
    return nb.Model(x, Dense(2, name="out")(again + branch))


def residual_images() -> nb.Model:
    x = nb.Input((8, 8, 3))
    trunk = Activation("relu")(BatchNormalization(name="norm")(Conv2D(6, 3, padding="same", name="trunk")(x)))
    branch = SpatialDropout2D(0.5, name="maps")(Conv2D(6, 3, padding="same", name="branch")(trunk))
    joined = Concatenate()([SpatialDropout2D(0.5, name="skip")(trunk), branch, Add()([trunk, branch])])
    return nb.Model(x, Dense(2)(GlobalAveragePooling2D()(Conv2D(4, 1, name="mix")(joined))))


def joined() -> nb.Model:
    x = nb.Input((12,))
    left = Dropout(0.5, name="left")(Dense(10, "relu", name="a")(x))
    right = Dropout(0.5, name="right")(LayerNormalization()(Dense(6, name="b")(x)))
    both = LeakyReLU()(Concatenate()([left, right, x]))
    return nb.Model(x, Dense(3, name="c")(Dropout(0.5, name="late")(both)))


def read_again() -> nb.Model:
    """Dropped units that something makes more of than 0."""
    x = nb.Input((12,))
    dropped = Dropout(0.5, name="drop")(Dense(10, "relu", name="a")(x))
    layers = [LayerNormalization(), Activation("sigmoid"), Softmax(), ActivityRegularization(0.1), Dense(3, name="b")]
    return nb.Model(x, [Add()([Dense(3)(layer(dropped)) for layer in layers]), dropped])


def returned() -> nb.Model:
    layers = [Dense(20, name="a"), Dropout(0.5, name="drop"), BatchNormalization(), Activation("exponential")]
    return nb.Sequential([nb.Input((12,)), *layers, Dense(9, name="b"), Dropout(0.2, name="last")])


MODELS: dict[str, tuple[Callable[[], nb.Model], dict[str, Array]]] = {
    "plain": (plain, {"pixels": half(12), "drop_1": half(40), "drop_2": half(30)[None]}),
    "one": (plain, {"drop_1": half(40)}),
    "pixels": (plain, {"pixels": half(12)}),
    "full": (plain, {"drop_1": np.ones(40, bool), "drop_2": half(30)}),
    "normalised": (normalised, {"drop": half(20), "late": half(16)}),
    "images": (images, {"maps": half(6), "more": half(5)[None, None, None], "nothing": np.ones(45, bool)}),
    "flat": (images, {"maps": half(6), "more": np.ones(5, bool), "nothing": half(45)}),
    "generator": (generator, {"maps": half(6), "more": half(5), "last": half(8)}),
    "pooled": (pooled, {"drop": half(6)}),
    "branches": (branches, {"drop_left": half(20, 1), "drop_right": half(20, 2), "again": half(9)}),
    "one branch": (branches, {"drop_left": half(20, 1), "again": half(9)}),
    "added": (added, {"left": half(10), "right": half(10)}),
    "added unequally": (added, {"left": half(10, 1), "right": half(10, 2)}),
    "residual": (residual, {"drop": half(12, 1), "again": half(12, 2)}),
    "residual images": (residual_images, {"maps": half(6, 1), "skip": half(6, 2)}),
    "joined": (joined, {"left": half(10), "right": half(6), "late": half(28)}),
    "read again": (read_again, {"drop": half(10)}),
    "returned": (returned, {"drop": half(20), "last": half(9)}),
    "called twice": (called_twice, {"drop": half(12), "drop:1": half(12, 5)}),
}


def make(name: str, dtype: str = "float32") -> tuple[nb.Model, dict[str, Array], Array]:
    """A model, masks, and inputs; dropout layers without a mask drop nothing."""
    build, masks = MODELS[name]
    nb.set_random_seed(3)
    nb.set_floatx(dtype)
    try:
        model = build()
    finally:
        nb.set_floatx("float32")
    for layer in model.layers:
        if isinstance(layer, Dropout) and layer.name not in masks:
            layer.rate = 0.0
        for weight in layer.weights:
            weight.assign(weight.numpy() + 0.1 * rng.random(weight.shape))
    return model, masks, rng.normal(size=(7, *model.input_shape[1:])).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_it_computes_what_the_masked_model_computes(name: str, dtype: str) -> None:
    model, masks, x = make(name, dtype)
    thinned = model.thin(masks)
    assert type(thinned) is type(model)
    assert thinned.count_params() <= model.count_params()
    found = thinned(x, training=True)
    # Batch normalization counts what it has seen: the masked model is run afterwards.
    for y, wanted in zip(found if isinstance(found, list) else [found], masked(model, masks, x, dtype), strict=True):
        np.testing.assert_allclose(y, wanted, **TOLERANCE[dtype])


@pytest.mark.parametrize(
    "name", sorted(MODELS.keys() - {"normalised", "images", "flat", "residual images", "returned"})
)
def test_predictions_are_those_of_training(name: str) -> None:
    """But with batch normalization, which has other statistics in training."""
    model, masks, x = make(name)
    predicted = model.thin(masks).predict(x)
    for y, wanted in zip(
        predicted if isinstance(predicted, list) else [predicted], masked(model, masks, x, "float32"), strict=True
    ):
        np.testing.assert_allclose(y, wanted, **TOLERANCE["float32"])


def test_it_is_smaller() -> None:
    model, masks, _ = make("plain")
    a, b, c = (int(mask.sum()) for mask in masks.values())
    thinned = model.thin(masks)
    assert [w.shape for w in thinned.weights] == [(a, b), (b,), (b, c), (c, 4), (4,)]
    assert [type(layer).__name__ for layer in thinned.layers] == [
        "TakeUnits", "Rescaling", "Dense", "Rescaling", "Dense", "Rescaling", "Dense",
    ]  # fmt: skip
    assert [layer.name for layer in thinned.layers][:4] == ["pixels_kept", "pixels", "hidden_1", "drop_1"]
    assert thinned.input_shape == model.input_shape == (None, 12)
    lines: list[str] = []
    thinned.summary(print_fn=lines.append)
    assert f"Total params: {a * b + b + b * c + c * 4 + 4:,} " in lines[0]


def test_channels_are_left_out() -> None:
    model, masks, _ = make("flat")
    a, flat = int(masks["maps"].sum()), int(masks["nothing"].sum())
    shapes = [w.shape for w in model.thin(masks).weights]
    assert shapes == [(3, 3, 3, a), (a,), (a,), (a,), (a,), (a,), (2, 2, a, 5), (5,), (flat, 2), (2,)]


def test_kernels_of_every_kind_are_cut() -> None:
    model, masks, _ = make("generator")
    a, b, c = (int(mask.sum()) for mask in masks.values())
    thinned = {layer.name: [w.shape for w in layer.weights] for layer in model.thin(masks).layers if layer.weights}
    assert thinned["up"] == [(3, 3, a, 3), (a,)]
    assert thinned["alone"][0][2] in (a, 6)
    assert thinned["mix"][1][-1] == b
    assert thinned["turned"] == [(2, 2, c, b), (c,)]
    assert thinned["groups"] == [(3, 3, 4, 4), (4,)]


def test_what_branches_drop_together_is_left_out() -> None:
    model, masks, _ = make("added")
    kept = int(masks["left"].sum())
    thinned = model.thin(masks)
    assert [w.shape for w in thinned.weights] == [(12, kept), (kept,)] * 2 + [(kept, 3), (3,)]
    assert not any(isinstance(layer, PutUnits) for layer in thinned.layers)


def test_what_some_branches_keep_is_added_to_zeros() -> None:
    model, masks, _ = make("added unequally")
    left, right = masks.values()
    thinned = model.thin(masks)
    assert thinned.get_layer("a").kernel.shape == (12, left.sum())
    assert thinned.get_layer("b").kernel.shape == (12, right.sum())
    assert thinned.get_layer("c").kernel.shape == ((left | right).sum(), 3)


def test_a_skip_keeps_all_units() -> None:
    model, masks, _ = make("residual")
    thinned = model.thin(masks)
    first, second = masks.values()
    shapes = {layer.name: layer.kernel.shape for layer in thinned.layers if isinstance(layer, Dense)}
    assert shapes["branch"] == (12, first.sum())
    assert shapes["branch_2"] == (12, second.sum())
    assert shapes["out"] == ((first | second).sum(), 2)
    places = [layer for layer in thinned.layers if isinstance(layer, PutUnits)]
    assert [layer.size for layer in places] == [12, (first | second).sum(), (first | second).sum()]


def test_joined_branches_are_smaller() -> None:
    model, masks, _ = make("joined")
    late = masks["late"]
    thinned = model.thin(masks)
    assert thinned.get_layer("a").kernel.shape == (12, (masks["left"] & late[:10]).sum())
    # A normalisation needs all units; those that are kept are picked out of its outputs.
    assert thinned.get_layer("b").kernel.shape == (12, 6)
    assert thinned.get_layer("c").kernel.shape == (
        (np.concatenate([*list(masks.values())[:2], np.ones(12, bool)]) & late).sum(),
        3,
    )


def test_returned_zeros_are_put_back() -> None:
    model, masks, x = make("returned")
    thinned = model.thin(masks)
    found = thinned.predict(x)
    assert found.shape == (7, 9)
    assert not found[:, ~masks["last"]].any()
    assert isinstance(thinned.layers[-1], PutUnits)
    assert thinned.get_layer("b").kernel.shape == (20, masks["last"].sum())


def test_what_two_branches_keep() -> None:
    """A unit stays that either branch keeps."""
    model, masks, _ = make("branches")
    thinned = model.thin(masks)
    kept = masks["drop_left"] | masks["drop_right"]
    assert thinned.get_layer("trunk").kernel.shape == (12, kept.sum())
    assert thinned.get_layer("left").kernel.shape == (masks["drop_left"].sum(), 8)
    assert thinned.get_layer("merged").kernel.shape == (16, masks["again"].sum())


def test_dropout_without_a_mask_stays() -> None:
    nb.set_random_seed(0)
    model = plain()
    thinned = model.thin({"drop_1": half(40)})
    assert [layer.name for layer in thinned.layers if isinstance(layer, Dropout)] == ["pixels", "drop_2"]
    assert thinned.get_layer("drop_2").rate == 0.25


@pytest.mark.parametrize("name", ["plain", "branches"])
def test_what_is_not_trained_stays_so(name: str) -> None:
    model, masks, _ = make(name)
    layer = next(layer for layer in model.layers if isinstance(layer, Dense))
    layer.trainable = False
    thinned = model.thin(masks)
    assert len(thinned.trainable_weights) == len(model.trainable_weights) == len(model.weights) - 2
    model.trainable = False
    assert not model.thin(masks).trainable_weights


def test_the_models_are_independent() -> None:
    model, masks, _ = make("plain")
    before = [w.copy() for w in model.get_weights()]
    thinned = model.thin(masks)
    for w in thinned.weights:
        w.assign(np.zeros(w.shape))
    for w, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(w, old)


# ---- trained, and written back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_merging_what_was_not_trained_changes_nothing(name: str) -> None:
    model, masks, _ = make(name)
    before = [w.copy() for w in model.get_weights()]
    model.merge(model.thin(masks))
    for w, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(w, old)


@pytest.mark.parametrize("name", MODELS)
def test_trained_weights_come_back(name: str) -> None:
    model, masks, x = make(name)
    thinned = model.thin(masks)
    thinned.compile("sgd", "mse")
    y = thinned.predict(x)
    target = [rng.random(part.shape) for part in y] if isinstance(y, list) else rng.random(y.shape)
    thinned.fit(x, target, epochs=3, verbose=0)
    before = [w.copy() for w in model.get_weights()]
    model.merge(thinned)
    changed = sum(int(np.sum(w != old)) for w, old in zip(model.get_weights(), before, strict=True))
    assert 0 < changed <= thinned.count_params()
    # Thinning again gives the merged weights.
    for a, b in zip(model.thin(masks).get_weights(), thinned.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_rest_stays_bit_for_bit() -> None:
    model, masks, _ = make("plain")
    kernel, before = model.get_layer("hidden_2").kernel.memory(), model.get_layer("hidden_2").kernel.numpy()
    thinned = model.thin(masks)
    thinned.get_layer("hidden_2").kernel.assign(np.full(thinned.get_layer("hidden_2").kernel.shape, 7.0))
    model.merge(thinned)
    rows, columns = masks["drop_1"], masks["drop_2"][0]
    assert np.all(kernel[np.ix_(rows, columns)] == 7)
    kept = np.outer(rows, columns)
    np.testing.assert_array_equal(kernel[~kept], before[~kept])


def test_a_training_step_of_either_is_the_same() -> None:
    """With SGD, a step of the thinned model and one of the model with the masks injected change the same weights."""
    model, masks, x = make("plain", "float64")
    y = rng.integers(0, 4, len(x))
    thinned = model.thin(masks)
    thinned.compile(nb.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    thinned.fit(x, y, batch_size=len(x), verbose=0)
    loss = nb.losses.SparseCategoricalCrossentropy()
    whole = {name: np.broadcast_to(mask, (len(x), mask.shape[-1])) for name, mask in masks.items()}
    with nb.Tape(masks=whole) as tape:
        value = loss(y, model(x, training=True))
    gradients = tape.gradient(value, model.trainable_weights)
    stepped = [w.numpy() - 0.1 * g.numpy() for w, g in zip(model.trainable_weights, gradients, strict=True)]
    model.merge(thinned)
    for w, wanted in zip(model.get_weights(), stepped, strict=True):
        np.testing.assert_allclose(w, wanted, rtol=1e-12, atol=1e-14)


def test_masks_of_a_step_that_a_batch_shares() -> None:
    nb.set_random_seed(0)
    layers = [Dense(30, "relu"), Dropout(0.5, noise_shape=(1, None), name="drop"), Dense(1)]
    model = nb.Sequential([nb.Input((12,)), *layers])
    x = rng.normal(size=(5, 12))
    with nb.Tape(step=17):
        wanted = model(x, training=True)
    np.testing.assert_allclose(model.thin(model.masks(17, x)).predict(x), wanted, **TOLERANCE["float32"])


def test_from_a_file(tmp_path: Any) -> None:
    model, masks, x = make("plain")
    thinned = model.thin(masks)
    thinned.save(tmp_path / "thinned.nbnet")
    again = nb.load_model(tmp_path / "thinned.nbnet")
    np.testing.assert_array_equal(again.predict(x), thinned.predict(x))
    with pytest.raises(ValueError, match=r"^thinned: .* pass the masks it was made by"):
        model.merge(again)
    again.get_layer("out").bias.assign([1.0, 2.0, 3.0, 4.0])
    model.merge(again, masks)
    assert model.get_layer("out").bias.numpy().tolist() == [1, 2, 3, 4]


def test_to_onnx(tmp_path: Any) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    pytest.importorskip("onnx", reason="needs onnx")
    model, masks, x = make("residual")
    thinned = model.thin(masks)
    thinned.export(tmp_path / "thinned.onnx")
    session = runtime.InferenceSession(tmp_path / "thinned.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, thinned.predict(x), rtol=1e-5, atol=1e-6)


# ---- what cannot be thinned --------------------------------------------------------------------------------------


def stack(*layers: Any) -> nb.Model:
    return nb.Sequential([nb.Input((12,)), *layers])


class Written(nb.Model):
    def __init__(self) -> None:
        super().__init__(name="written")
        self.drop = Dropout(0.5, name="drop")

    def call(self, x: Any) -> Any:
        return self.drop(x)


DROP = Dropout(0.5, name="drop")


def scheduled() -> nb.Model:
    return stack(Dense(12), Dropout(nb.dropout_schedules.Late(0.5, start=1), name="drop"), Dense(1))


REFUSED: dict[str, tuple[Callable[[], nb.Model], Any, str]] = {
    "nothing kept": (plain, {"pixels": np.zeros(12, bool)}, r"^masks\['pixels'\]: expected at least one kept unit"),
    "size": (plain, {"pixels": half(11)}, r"^masks\['pixels'\]: expected one mask of shape \(12,\).*\(11,\)"),
    "rows": (plain, {"pixels": np.ones((2, 12), bool)}, r"^masks\['pixels'\]: .*for all rows, got shape \(2, 12\)"),
    "places": (images, {"maps": np.ones((8, 8, 6), bool)}, r"^masks\['maps'\]: expected one mask of shape \(6,\)"),
    "name": (
        plain,
        {"hidden_1": half(40)},
        r"^masks: expected .*'pixels', 'drop_1'.*, got 'hidden_1'",
    ),
    "turn": (called_twice, {"drop:2": half(12)}, r"^masks: expected dropout layers.*'drop', 'drop:1'.*, got 'drop:2'"),
    "alpha": (
        lambda: stack(AlphaDropout(0.5, name="drop"), Dense(1)),
        {"drop": half(12)},
        r"^masks: expected dropout layers of .*, got 'drop'",
    ),
    "nothing left": (
        lambda: stack(Dense(12, name="a"), Dropout(0.5, name="drop"), Dropout(0.5, name="again"), Dense(1)),
        {"drop": half(12), "again": ~half(12)},
        r"^masks: expected at least one kept unit in a",
    ),
    "subclass": (Written, {"drop": half(12)}, r"^model: written is a subclass that defines call"),
    "schedule": (scheduled, {"drop": half(12)}, r"^masks\['drop'\]: the layer's rate is a schedule"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_thinned(name: str) -> None:
    build, masks, match = REFUSED[name]
    with pytest.raises(ValueError, match=match):
        build().thin(masks)


@pytest.mark.parametrize("masks", [[half(12)], None, {"pixels": np.ones(12)}])
def test_masks_are_a_dict_of_booleans(masks: Any) -> None:
    with pytest.raises(TypeError, match=r"^masks"):
        plain().thin(masks)


def test_layers_that_give_all_their_units() -> None:
    """If a layer cannot be made smaller, the units that are kept behind it are picked out of its outputs."""
    nb.set_random_seed(0)
    ids = nb.Input((4,), dtype="int64")
    model = nb.Model(ids, Dense(2)(Dropout(0.5, name="drop")(Flatten()(Embedding(9, 3)(ids)))))
    thinned = model.thin({"drop": half(12)})
    assert thinned.layers[1].get_weights()[0].shape == (9, 3)
    x = rng.integers(0, 9, (5, 4))
    np.testing.assert_allclose(thinned.predict(x), masked(model, {"drop": half(12)}, x, "float32")[0], rtol=1e-5)
    mixing = stack(Dense(12, "softmax", name="mixing"), Dropout(0.5, name="drop"), Dense(2))
    thinned = mixing.thin({"drop": half(12)})
    assert thinned.get_layer("mixing").kernel.shape == (12, 12)
    assert isinstance(thinned.layers[1], TakeUnits)


def test_merge_refuses_other_models() -> None:
    model, masks, _ = make("plain")
    thinned = model.thin(masks)
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(ValueError, match=r"^thinned: .* was not made by thin"):
        model.merge(plain())
    with pytest.raises(ValueError, match=r"^thinned: hidden_1 has weights of shapes .* the masks leave"):
        model.merge(thinned, {**masks, "drop_1": np.arange(40) < 3})
    other, others, _ = make("normalised")
    with pytest.raises(ValueError, match=r"^thinned: .* has no layer 'hidden_1'"):
        model.merge(other.thin(others), masks)
    for w, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(w, old)
