"""Networks of any shape compute in onnxruntime what they compute here, for any size of the batch."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet import activations
from nbnet import layers as L
from nbnet.export import to_onnx
from tests.export.runtime import run

pytest.importorskip("onnx", reason="onnx, which writes the files, is not installed")

ROWS = 1, 7


def settle(model, rng):
    """Give the weights values that a trained model might have: none of them 0 or 1."""
    for w in model.weights:
        near = rng.normal(0, 0.3, w.shape)
        w.assign(np.abs(near) + 0.5 if "variance" in w.name else w.numpy() + near)


def check(model, shape, rng, draw=None, tolerance=1e-5):
    """Compare predictions."""
    made = to_onnx(model)
    for rows in ROWS:
        x = rng.normal(size=(rows, *shape)) if draw is None else draw(rng, rows)
        wanted = model.predict(x.astype(model.compute_dtype))
        (found,) = run(made, x)
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
    return made


# ---- random stacks ---------------------------------------------------------------------------------------------

NAMES = [
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu",
    "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
    "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "tanh",
    "tanh_shrink",
]  # fmt: skip
#: Those that keep numbers small.
CALM = [name for name in NAMES if name != "exponential"]


def pick(rng, *options):
    return options[rng.integers(len(options))]


def anywhere(rng, shape):
    """A layer for a sample of any shape."""
    last = shape[-1]
    return pick(
        rng,
        lambda: L.Dense(int(rng.integers(1, 9)), pick(rng, *CALM)),
        lambda: L.Dense(int(rng.integers(1, 9)), use_bias=False),
        lambda: L.Activation(pick(rng, *CALM)),
        lambda: L.BatchNormalization(axis=int(rng.integers(1, len(shape) + 1))),
        lambda: L.BatchNormalization(center=False, scale=bool(rng.integers(2))),
        lambda: L.LayerNormalization(),
        lambda: L.Dropout(0.3),
        lambda: L.PReLU(),
        lambda: L.LeakyReLU(0.1),
        lambda: L.ELU(0.7),
        lambda: L.ReLU(6.0, 0.1, 0.5),
        lambda: L.Softmax(),
        lambda: L.Identity(),
        lambda: L.Rescaling(0.5, 0.1),
        lambda: L.Activation("glu") if last % 2 == 0 else L.Dense(2 * last, "glu"),
    )()


def row(rng, shape):
    size = shape[0]
    return pick(
        rng,
        lambda: L.Reshape((size, 1)),
        lambda: L.Reshape((2, size // 2) if size % 2 == 0 else (1, size)),
        lambda: L.RepeatVector(int(rng.integers(1, 4))),
        lambda: L.Dense(24, "tanh"),
        lambda: L.Reshape((-1, 1, 1)),
    )()


def sequence(rng, shape):
    length = shape[0]
    window, padding = int(rng.integers(1, 4)), pick(rng, "valid", "same")
    if window > length:
        padding = "same"
    return pick(
        rng,
        lambda: L.Conv1D(3, window, padding=pick(rng, padding, "causal"), activation=pick(rng, *CALM)),
        lambda: L.Conv1D(2, window, strides=2, padding=padding),
        lambda: L.MaxPooling1D(window, padding=padding),
        lambda: L.AveragePooling1D(window, strides=1, padding=padding),
        lambda: L.GlobalMaxPooling1D(),
        lambda: L.GlobalAveragePooling1D(keepdims=bool(rng.integers(2))),
        lambda: L.Permute((2, 1)),
        lambda: L.Flatten(),
    )()


def image(rng, shape):
    window, padding = int(rng.integers(1, 4)), pick(rng, "valid", "same")
    if window > min(shape[:2]):
        padding = "same"
    return pick(
        rng,
        lambda: L.Conv2D(3, window, padding=padding, activation=pick(rng, *CALM)),
        lambda: L.Conv2D(2, (1, window), strides=(2, 1), padding="same", use_bias=False),
        lambda: L.MaxPooling2D(window, padding=padding),
        lambda: L.AveragePooling2D(window, padding="same"),
        lambda: L.GlobalMaxPooling2D(keepdims=bool(rng.integers(2))),
        lambda: L.GlobalAveragePooling2D(),
        lambda: L.Permute((3, 1, 2)),
        lambda: L.Reshape((shape[0] * shape[1], shape[2])),
        lambda: L.Flatten(),
    )()


BY_RANK = {1: row, 2: sequence, 3: image}


def stack(rng, shape, first=()):
    """A random Sequential of 3 to 8 layers."""
    model = nb.Sequential([nb.Input(shape), *first])
    for _ in range(rng.integers(3, 9)):
        shape = model.output_shape[1:]
        model.add(anywhere(rng, shape) if rng.integers(2) else BY_RANK[len(shape)](rng, shape))
    return model


@pytest.mark.parametrize("seed", range(60))
def test_random_stacks(seed):
    rng = np.random.default_rng(seed)
    nb.set_random_seed(seed)
    shape = pick(rng, (6,), (5, 4), (6, 5, 2))
    model = stack(rng, shape)
    settle(model, rng)
    check(model, shape, rng)


@pytest.mark.parametrize("seed", range(8))
def test_random_stacks_on_an_embedding(seed):
    rng = np.random.default_rng(seed)
    nb.set_random_seed(seed)
    model = stack(rng, (5,), [L.Embedding(11, 4)])
    settle(model, rng)
    made = check(model, (5,), rng, lambda rng, rows: rng.integers(0, 11, (rows, 5)))
    assert made.graph.input[0].type.tensor_type.elem_type == 7  # int64


@pytest.mark.parametrize("seed", range(6))
def test_random_stacks_in_float64(seed):
    rng = np.random.default_rng(seed)
    nb.set_floatx("float64")
    try:
        model = nb.Sequential([nb.Input((6,)), L.Dense(5, pick(rng, *(n for n in CALM if n != "gelu")))])
        for _ in range(4):
            model.add(pick(rng, L.BatchNormalization(), L.LayerNormalization(), L.Dense(4, "softplus"), L.Dropout(0.5)))
            model.layers[-1].name += f"_{len(model.layers)}"
        settle(model, rng)
        check(model, (6,), rng, tolerance=1e-7)
    finally:
        nb.set_floatx("float32")


# ---- each of a kind --------------------------------------------------------------------------------------------


def test_the_list_of_activations_is_complete():
    known = set(activations.__all__) - {"deserialize", "get", "name_of", "serialize"}
    assert known - set(NAMES) == {"glu", "hard_swish", "swish", "threshold"}


@pytest.mark.parametrize("name", [*NAMES, "glu"])
def test_every_activation(name):
    rng = np.random.default_rng(0)
    check(nb.Sequential([nb.Input((6,)), L.Activation(name)]), (6,), rng)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_every_convolution_of_a_sequence(padding):
    rng = np.random.default_rng(0)
    for size in (5, 8):
        for window, strides, dilation in ((1, 1, 1), (2, 1, 1), (3, 2, 1), (2, 3, 1), (3, 1, 2), (1, 4, 1)):
            layer = L.Conv1D(2, window, strides, padding, dilation_rate=dilation)
            check(nb.Sequential([nb.Input((size, 3)), layer]), (size, 3), rng)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_every_convolution_of_an_image(padding, channels):
    rng = np.random.default_rng(0)
    shape = (7, 6, channels)
    for window in (1, 2, (3, 2)):
        for strides, dilation in ((1, 1), (2, 1), ((1, 3), 1), (1, 2), (1, (2, 1))):
            layer = L.Conv2D(2, window, strides, padding, dilation_rate=dilation)
            check(nb.Sequential([nb.Input(shape), layer]), shape, rng)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_every_pooling(kind, padding):
    rng = np.random.default_rng(0)
    for size, strides in ((1, None), (2, None), (3, 1), (2, 3), (3, 2)):
        layer = getattr(L, f"{kind}Pooling1D")(size, strides, padding)
        check(nb.Sequential([nb.Input((7, 2)), layer]), (7, 2), rng)
    for size, strides in ((2, None), ((3, 2), 1), ((1, 3), (2, 1)), (3, (2, 3))):
        layer = getattr(L, f"{kind}Pooling2D")(size, strides, padding)
        check(nb.Sequential([nb.Input((5, 6, 2)), layer]), (5, 6, 2), rng)


def test_normalization_that_learned():
    rng = np.random.default_rng(0)
    layer = L.Normalization()
    layer.adapt(rng.normal(3, 2, (100, 4)))
    check(nb.Sequential([nb.Input((4,)), layer, L.Dense(2)]), (4,), rng)


def test_a_model_inside_a_model():
    rng = np.random.default_rng(0)
    inner = nb.Sequential([nb.Input((4,)), L.Dense(3, "relu", name="same")], name="inner")
    model = nb.Sequential([nb.Input((4,)), L.Dense(4, name="same"), inner])
    settle(model, rng)
    check(model, (4,), rng)


def test_a_trained_model():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    model = nb.Sequential([nb.Input((4,)), L.Dense(8, "relu"), L.BatchNormalization(), L.Dropout(0.5), L.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, x[:, 0] * x[:, 1], epochs=3, verbose=0)
    check(model, (4,), rng)


# ---- sequences -------------------------------------------------------------------------------------------------


def test_masks_of_time_steps():
    rng = np.random.default_rng(0)
    embedded = nb.Sequential(
        [nb.Input((4,), dtype="int32"), L.Embedding(5, 3, mask_zero=True), L.Dense(2), L.GlobalAveragePooling1D()]
    )
    settle(embedded, rng)

    def ids(rng, rows):
        x = rng.integers(0, 5, (rows, 4))
        x[:, 0] = 1
        return x

    check(embedded, (4,), rng, ids)
    masked = nb.Sequential([nb.Input((4, 3)), L.Masking(0.5), L.BatchNormalization(), L.GlobalAveragePooling1D()])
    settle(masked, rng)

    def padded(rng, rows):
        x = rng.normal(size=(rows, 4, 3))
        x[:, 2] = 0.5
        return x

    check(masked, (4, 3), rng, padded)


def test_wrappers_and_functions():
    rng = np.random.default_rng(0)
    inner = nb.Sequential([L.Conv1D(4, 2), L.BatchNormalization(), L.GlobalMaxPooling1D(), L.Dropout(0.5)])
    model = nb.Sequential([nb.Input((3, 5, 2)), L.TimeDistributed(inner), L.Lambda(lambda x: x * x), L.Dense(2)])
    settle(model, rng)
    check(model, (3, 5, 2), rng)


def test_sentences_of_words():
    rng = np.random.default_rng(0)
    words = nb.Sequential(
        [nb.Input((4,), dtype="int32"), L.Embedding(9, 5, mask_zero=True), L.GlobalAveragePooling1D()]
    )
    x = nb.Input((3, 4), dtype="int32")
    model = nb.Model(x, L.Dense(2)(L.TimeDistributed(words)(x)))
    settle(model, rng)
    check(model, (3, 4), rng, lambda rng, rows: rng.integers(1, 9, (rows, 3, 4)))
