"""TimeDistributed, wrappers of one's own, and Lambda."""

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers

N, T, F = 5, 4, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, T, F)).astype("float32")


# ---- TimeDistributed ----


def by_step(layer, x):
    return np.stack([layer(x[:, i]).numpy() for i in range(x.shape[1])], axis=1)


@pytest.mark.parametrize(
    ("inner", "shape"),
    [
        (lambda: layers.Dense(2, "tanh"), (T, F)),
        (lambda: layers.Conv1D(2, 3), (T, 6, F)),
        (lambda: layers.Conv2D(2, 2, padding="same"), (T, 4, 5, F)),
        (lambda: layers.Flatten(), (T, 2, F)),
        (lambda: layers.LayerNormalization(), (T, F)),
        (lambda: layers.BatchNormalization(), (T, F)),
        (lambda: nb.Sequential([layers.Dense(4, "relu"), layers.Dropout(0.5), layers.Dense(2)]), (T, F)),
    ],
)
def test_each_step_is_computed_as_alone(inner, shape):
    x = RNG.normal(size=(N, *shape)).astype("float32")
    layer = layers.TimeDistributed(inner())
    y = layer(x)
    np.testing.assert_allclose(y.numpy(), by_step(layer.layer, x), rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape((None, *shape)) == (None, *y.shape[1:])
    model = nb.Sequential([nb.Input(shape), layer])
    np.testing.assert_allclose(model.predict(x), y.numpy(), rtol=1e-5, atol=1e-6)


def test_steps_of_any_number():
    x = nb.Input((None, F))
    model = nb.Model(x, layers.TimeDistributed(layers.Dense(2))(x))
    assert model.output_shape == (None, None, 2)
    assert model.predict(X).shape == (N, T, 2)
    assert model.predict(X[:, :2]).shape == (N, 2, 2)


def test_steps_of_whole_numbers():
    ids = RNG.integers(0, 9, (N, T, 2))
    x = nb.Input((T, 2), dtype="int32")
    table = layers.Embedding(9, 3)
    model = nb.Model(x, layers.TimeDistributed(layers.Flatten())(layers.TimeDistributed(table)(x)))
    np.testing.assert_array_equal(model.predict(ids), table.get_weights()[0][ids].reshape(N, T, 6))
    double = nb.Model(x, layers.Lambda(lambda v: 2.0 * nb.ops.cast(v, "float32"))(x))
    np.testing.assert_array_equal(double.predict(ids), 2.0 * ids)
    steps = np.array([[[1, 0], [0, 0]]])
    assert layers.Masking()(nb.ops.convert_to_tensor(steps, "int64")).time_mask.numpy().tolist() == [[1.0, 0.0]]


def test_a_layer_of_several_outputs():
    x = nb.Input((F,))
    inner = nb.Model(x, [layers.Dense(2)(x), layers.Dense(1)(x)])
    two, one = layers.TimeDistributed(inner)(X)
    assert (two.shape, one.shape) == ((N, T, 2), (N, T, 1))


def test_batch_statistics_of_one_step_after_the_other():
    layer = layers.TimeDistributed(layers.BatchNormalization(momentum=0.5, epsilon=0.0))
    y = layer(X, training=True).numpy()
    np.testing.assert_allclose(y, (X - X.mean(0)) / X.std(0), rtol=1e-4, atol=1e-5)
    moving = np.zeros(F)
    for i in range(T):
        moving = 0.5 * moving + 0.5 * X[:, i].mean(0)
    np.testing.assert_allclose(layer.layer.moving_mean.numpy(), moving, rtol=1e-5, atol=1e-6)


def dropping(**compiled):
    nb.set_random_seed(3)
    model = nb.Sequential(
        [
            nb.Input((T, F)),
            layers.TimeDistributed(layers.Dense(8, "relu")),
            layers.TimeDistributed(layers.Dropout(0.5, name="drop")),
            layers.Dense(1),
        ]
    )
    model.compile(**{"optimizer": "sgd", "loss": "mse"} | compiled)
    return model


def test_each_step_has_a_dropout_mask_of_its_own():
    model = dropping()
    with nb.Tape() as tape:
        y = model(X, training=True)
    assert list(tape.masks) == ["drop", "drop:1", "drop:2", "drop:3"]
    assert {mask.shape for mask in tape.masks.values()} == {(N, 8)}
    assert (tape.masks["drop"] != tape.masks["drop:1"]).any()
    with nb.Tape(masks=tape.masks):
        np.testing.assert_array_equal(model(X, training=True).numpy(), y.numpy())
    assert model.predict_mc(X, samples=8).std.min() > 0


def test_masks_of_training_do_not_depend_on_slices():
    y = RNG.normal(size=(N, T, 1)).astype("float32")
    weights = []
    for slices in (1, 2):
        model = dropping(slices=slices)
        model.fit(X, y, epochs=3, verbose=0, shuffle=False)
        weights.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_allclose(*weights, rtol=1e-5, atol=1e-6)
    assert model.masks(0, n=N)["drop:3"].shape == (N, 8)


def test_training_learns_a_function_of_the_step():
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((T, F)), layers.TimeDistributed(layers.Dense(1))])
    model.compile(nb.optimizers.Adam(0.1), "mse")
    y = X @ np.array([[1.0], [-2.0], [0.5]], "float32") + 0.25
    assert model.fit(X, y, epochs=200, verbose=0).history["loss"][-1] < 1e-3


def test_the_mask_of_a_step_gets_to_the_layer():
    class Sees(layers.Layer):
        def call(self, x, mask=None):
            return x if mask is None else x * nb.ops.expand_dims(mask, -1)

    steps = np.array([[1, 0, 1, 1]] * N)
    layer = layers.TimeDistributed(Sees())
    y = layer(X, mask=steps)
    np.testing.assert_array_equal(y.numpy(), X * steps[..., None])
    np.testing.assert_array_equal(y.time_mask.numpy(), steps)
    with pytest.raises(ValueError, match=r"mask: .* expected one of shape \(5, 4\), got \(5, 3\)"):
        layer(X, mask=steps[:, :3])


def test_what_is_no_sequence_is_refused():
    with pytest.raises(ValueError, match=r"expected inputs \(batch, steps, ...\) of at least 3 axes"):
        layers.TimeDistributed(layers.Dense(2))(X[:, 0])
    for wrapper in (layers.TimeDistributed, layers.Wrapper):
        with pytest.raises(ValueError, match=f"layer: {wrapper.__name__} expected a layer, got 2"):
            wrapper(2)


def test_wrappers_in_copies_and_files(tmp_path):
    model = dropping()
    for other in (
        nb.models.clone_model(model),
        nb.models.model_from_json(model.to_json()),
    ):
        other.set_weights(model.get_weights())
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
    model.save(tmp_path / "m.nbnet")
    np.testing.assert_array_equal(nb.models.load_model(tmp_path / "m.nbnet").predict(X), model.predict(X))
    with pytest.raises(ValueError, match="config: expected a layer"):
        layers.TimeDistributed.from_config({})


# ---- Lambda ----


@nb.utils.register_keras_serializable("tests")
def scaled(x, factor=2.0):
    return x * factor


def plus_one(x):
    return x + 1.0


def test_a_function_as_a_layer():
    layer = layers.Lambda(scaled, arguments={"factor": 3.0})
    np.testing.assert_array_equal(layer(X).numpy(), 3 * X)
    assert layer.compute_output_shape((None, T, F)) == (None, T, F)
    assert layers.Lambda(scaled, output_shape=(7,)).compute_output_shape((None, 2)) == (None, 7)
    assert layers.Lambda(scaled, output_shape=lambda shape: (*shape, 1)).compute_output_shape((8, 2)) == (8, 2, 1)
    a, b = nb.Input((F,)), nb.Input((F,))
    total = nb.Model([a, b], layers.Lambda(lambda parts: parts[0] + parts[1])([a, b]))
    np.testing.assert_array_equal(total.predict([X[:, 0], X[:, 1]]), X[:, 0] + X[:, 1])
    with pytest.raises(TypeError, match="function: expected a function, got 3"):
        layers.Lambda(3)


def test_a_function_gets_mode_and_mask():
    seen = []

    def watch(x, mask=None, training=None):
        seen.append((mask, training))
        return x * 1.0

    x = layers.Masking()(np.where(np.arange(T)[:, None] < 2, 1.0, 0.0) * np.ones((1, T, F)))
    with pytest.warns(UserWarning, match="drops the mask"):
        layers.Lambda(watch)(x, training=True)
    assert seen[0][0].numpy().tolist() == [[1.0, 1.0, 0.0, 0.0]]
    assert seen[0][1] is True
    y = layers.Lambda(scaled, mask=lambda inputs, mask: 1.0 - mask)(x)
    assert y.time_mask.numpy().tolist() == [[0.0, 0.0, 1.0, 1.0]]
    given = nb.tensor([[1.0, 0.0, 0.0, 0.0]])
    fixed = layers.Lambda(scaled, mask=given)
    assert fixed(x).time_mask is given
    assert layers.Lambda.from_config(fixed.get_config()).mask.numpy().tolist() == given.numpy().tolist()


def test_functions_are_trained_through():
    model = nb.Sequential([nb.Input((F,)), layers.Dense(4), layers.Lambda(nb.ops.square), layers.Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(X[:, 0], X[:, 0, :1] ** 2, epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_functions_are_saved_by_name(tmp_path):
    model = nb.Sequential([nb.Input((F,)), layers.Lambda(scaled, arguments={"factor": 0.5}), layers.Lambda(plus_one)])
    path = tmp_path / "m.nbnet"
    model.save(path)
    with pytest.raises(ValueError, match="function: 'plus_one' is not known; pass it as custom_objects"):
        nb.models.load_model(path)
    loaded = nb.models.load_model(path, custom_objects={"plus_one": plus_one})
    np.testing.assert_array_equal(loaded.predict(X[:, 0]), 0.5 * X[:, 0] + 1.0)


def test_functions_without_a_name_are_not_saved(tmp_path):
    model = nb.Sequential([nb.Input((F,)), layers.Lambda(lambda x: x * 2.0)])
    np.testing.assert_array_equal(nb.models.clone_model(model).predict(X[:, 0]), 2.0 * X[:, 0])
    with pytest.raises(ValueError, match="function: <lambda> has no name to load it by"):
        model.save(tmp_path / "m.nbnet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("argument", ["function", "output_shape", "mask"])
def test_code_is_never_run(argument):
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    config = {"function": "tests>scaled"} | {argument: {"function": code} if argument == "output_shape" else code}
    with pytest.raises(ValueError, match=f"{argument}: the model holds the code of a Python lambda"):
        layers.Lambda.from_config(config)
