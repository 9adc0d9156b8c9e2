"""Masks of time steps: which layers make, use, hand on and drop them, and what losses and metrics make of them."""

import numpy as np
import pytest

import nbnet as nb
from nbnet import layers

N, T, F = 6, 4, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, T, F))
IDS = RNG.integers(1, 7, (N, T))
LENGTHS = np.array([4, 1, 2, 3, 1, 4])
STEPS = np.arange(T) < LENGTHS[:, None]
X[~STEPS] = 0.0
IDS[~STEPS] = 0
Y = RNG.normal(size=(N, T, 2))
WEIGHTS = RNG.random((N, T))


@pytest.fixture(autouse=True)
def float64():
    nb.config.set_floatx("float64")
    yield
    nb.config.set_floatx("float32")


def masked(x=X):
    return layers.Masking()(x)


def mask_of(y):
    return None if y.time_mask is None else y.time_mask.numpy().astype(bool).tolist()


def regression(*inner, **compiled):
    nb.set_random_seed(2)
    model = nb.Sequential([nb.Input((T, F)), layers.Masking(), *inner, layers.Dense(2, kernel_initializer="normal")])
    model.compile(**{"optimizer": nb.optimizers.SGD(0.1), "loss": "mse"} | compiled)
    return model


# ---- layers ----


def test_masking():
    x = np.array([[[2.0, -1.0], [-1.0, -1.0], [0.0, -1.0]]])
    y = layers.Masking(-1.0)(x)
    assert y.numpy().tolist() == [[[2.0, -1.0], [0.0, 0.0], [0.0, -1.0]]]
    assert mask_of(y) == [[True, False, True]]
    assert layers.Masking(-1.0).compute_mask(nb.tensor(x)).numpy().tolist() == [[1.0, 0.0, 1.0]]


@pytest.mark.parametrize("value", [float("nan"), "0", None])
def test_masking_refuses_what_is_no_number(value):
    with pytest.raises((ValueError, TypeError), match="mask_value"):
        layers.Masking(value)


@pytest.mark.parametrize("ids", [IDS, IDS.astype("float64"), IDS.tolist()])
def test_embedding(ids):
    assert mask_of(layers.Embedding(7, 2, mask_zero=True)(ids)) == STEPS.tolist()
    assert mask_of(layers.Embedding(7, 2)(ids)) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(2),
        lambda: layers.Activation("relu"),
        lambda: layers.ReLU(),
        lambda: layers.LeakyReLU(),
        lambda: layers.PReLU(),
        lambda: layers.ELU(),
        lambda: layers.Identity(),
        lambda: layers.ActivityRegularization(l2=0.1),
        lambda: layers.Dropout(0.5),
        lambda: layers.SpatialDropout1D(0.5),
        lambda: layers.GaussianDropout(0.5),
        lambda: layers.GaussianNoise(0.5),
        lambda: layers.AlphaDropout(0.5),
        lambda: layers.BatchNormalization(),
        lambda: layers.LayerNormalization(),
        lambda: layers.Rescaling(2.0),
        lambda: layers.DropConnectDense(2, 0.5),
        lambda: layers.DropPath(0.5),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_layers_that_hand_the_mask_on(make, training):
    layer = make()
    assert mask_of(layer(masked(), training=training)) == STEPS.tolist()
    assert mask_of(layer(X, training=training)) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Flatten(),
        lambda: layers.Reshape((F, T)),
        lambda: layers.Permute((2, 1)),
        lambda: layers.Conv1D(2, 2),
        lambda: layers.MaxPooling1D(2),
        lambda: layers.GlobalMaxPooling1D(),
        lambda: layers.AveragePooling1D(2),
    ],
)
def test_layers_that_drop_the_mask_say_so(make):
    layer = make()
    with pytest.warns(UserWarning, match=f"{layer.name} .*drops the mask of time steps"):
        assert mask_of(layer(masked())) is None


@pytest.mark.parametrize("keepdims", [False, True])
def test_average_over_the_steps_that_count(keepdims):
    y = layers.GlobalAveragePooling1D(keepdims=keepdims)(masked())
    expected = X.sum(1, keepdims=keepdims) / LENGTHS.reshape(y.shape[:1] + (1,) * (y.ndim - 1))
    np.testing.assert_allclose(y.numpy(), expected)
    assert mask_of(y) is None


def test_batch_statistics_of_the_steps_that_count():
    layer = layers.BatchNormalization(momentum=0.0, epsilon=0.0)
    y = layer(masked(), training=True).numpy()
    np.testing.assert_allclose(layer.moving_mean.numpy(), X[STEPS].mean(0), rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.numpy(), X[STEPS].var(0), rtol=1e-6)
    np.testing.assert_allclose(y[STEPS].std(0), np.ones(F), rtol=1e-6)
    with pytest.raises(ValueError, match=r"mask: .* expected one axis fewer than the input's shape \(6, 4, 3\)"):
        layer(X, mask=np.ones((N, 1, 1)))


def test_softmax_over_the_elements_that_count():
    scores = RNG.normal(size=(N, T))
    e = np.exp(scores) * STEPS
    np.testing.assert_allclose(layers.Softmax()(scores, mask=STEPS).numpy(), e / e.sum(1, keepdims=True), atol=1e-12)
    nothing = layers.Softmax()(scores, mask=np.zeros((N, T)))
    assert not nothing.numpy().any()
    with pytest.raises(ValueError, match=r"mask: .* expected one that broadcasts"):
        layers.Softmax()(scores, mask=np.ones((N, 2)))


@pytest.mark.parametrize(
    ("cls", "merge"),
    [
        (layers.Add, np.add), (layers.Subtract, np.subtract), (layers.Average, lambda a, b: (a + b) / 2.0),
        (layers.Multiply, np.multiply), (layers.Maximum, np.maximum), (layers.Minimum, np.minimum),
    ],
    ids=lambda part: part.__name__,
)  # fmt: skip
def test_merging(cls, merge):
    layer = cls()
    other = RNG.normal(size=X.shape)
    other[:, 1] = 0.0
    steps = np.ones((N, T), bool)
    steps[:, 1] = False
    y = layer([masked(), masked(other)])
    assert mask_of(y) == (STEPS | steps).tolist()
    both = STEPS & steps
    np.testing.assert_allclose(y.numpy()[both], merge(X, other)[both])
    if isinstance(layer, (layers.Multiply, layers.Maximum, layers.Minimum)):
        # Padding does not take part.
        np.testing.assert_array_equal(y.numpy()[STEPS & ~steps], X[STEPS & ~steps])
    assert mask_of(layer([masked(), other])) is None
    assert mask_of(layer([X, other])) is None


def test_concatenate():
    a, b = masked(), masked(X[:, ::-1])
    assert mask_of(layers.Concatenate(axis=1)([a, b])) == np.hstack([STEPS, STEPS[:, ::-1]]).tolist()
    assert mask_of(layers.Concatenate(axis=1)([a, X])) == np.hstack([STEPS, np.ones((N, T), bool)]).tolist()
    assert mask_of(layers.Concatenate()([a, b])) == (STEPS | STEPS[:, ::-1]).tolist()
    assert mask_of(layers.Concatenate()([X, X])) is None


# ---- layers and models of one's own ----


class Sees(layers.Layer):
    """Keeps the masks that it is given."""

    supports_masking = True

    def call(self, x, mask=None):
        self.seen = mask
        return x * 1.0


def test_call_receives_the_mask():
    layer = Sees()
    assert mask_of(layer(masked())) == STEPS.tolist()
    np.testing.assert_array_equal(layer.seen.numpy(), STEPS)
    layer(X)
    assert layer.seen is None
    given = RNG.integers(0, 2, (N, T))
    assert mask_of(layer(masked(), mask=given)) == given.astype(bool).tolist()
    layer(masked(), given)
    np.testing.assert_array_equal(layer.seen.numpy(), given)


def test_several_tensors_have_masks_of_their_own():
    class Pair(layers.Layer):
        def call(self, query, value, training=False, query_mask=None, value_mask=None):
            self.seen = query_mask, value_mask, training
            return query + value

    layer = Pair()
    with pytest.warns(UserWarning, match="drops the mask"):
        layer(masked(), nb.tensor(X), True)
    assert layer.seen[1:] == (None, True)
    np.testing.assert_array_equal(layer.seen[0].numpy(), STEPS)


def test_a_layer_that_computes_a_mask():
    class Shift(layers.Layer):
        def call(self, x):
            return x[:, 1:]

        def compute_mask(self, inputs, mask=None):
            return None if mask is None else mask[:, 1:]

    assert Shift().supports_masking
    assert not layers.Layer().supports_masking
    assert mask_of(Shift()(masked())) == STEPS[:, 1:].tolist()
    assert mask_of(Shift()(X)) is None


def test_models_hand_masks_on_and_take_them():
    ids = nb.Input((None,), dtype="int32")
    vectors = layers.Embedding(7, 3, mask_zero=True)(ids)
    assert vectors.time_mask.shape == (None, None)
    assert vectors._keras_mask.dtype == "float64"
    model = nb.Model(ids, layers.Dense(2)(vectors))
    assert mask_of(model(IDS)) == STEPS.tolist()
    of_mask = nb.Model(ids, vectors.time_mask)
    np.testing.assert_array_equal(of_mask.predict(IDS), STEPS)
    for inner in (
        nb.Sequential([layers.Dense(3), layers.ReLU()]),
        nb.Model(x := nb.Input((T, F)), layers.ReLU()(layers.Dense(3)(x))),
    ):
        assert mask_of(inner(masked())) == STEPS.tolist()
        assert mask_of(inner(nb.tensor(X), mask=nb.tensor(STEPS))) == STEPS.tolist()
        assert mask_of(inner(nb.tensor(X))) is None


def test_configurations_and_files(tmp_path):
    ids = nb.Input((T,), dtype="int32")
    vectors = layers.Embedding(7, 3, mask_zero=True)(ids)
    scores = layers.Softmax(axis=1)(layers.Dense(1)(vectors), mask=nb.ops.expand_dims(vectors.time_mask, -1))
    model = nb.Model(ids, scores)
    other = nb.models.clone_model(model)
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other.predict(IDS), model.predict(IDS))
    model.save(tmp_path / "m.nbnet")
    np.testing.assert_array_equal(nb.models.load_model(tmp_path / "m.nbnet").predict(IDS), model.predict(IDS))
    assert layers.Masking.from_config(layers.Masking(2.0).get_config()).mask_value == 2.0


# ---- losses and metrics ----


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS[:, 0]], ids=["none", "positions", "rows"])
@pytest.mark.parametrize("settings", [{}, {"slices": 2}, {"run_eagerly": True}], ids=str)
def test_the_loss_leaves_padding_out(reduction, weights, settings):
    model = regression(
        loss=nb.losses.MeanSquaredError(reduction=reduction),
        metrics=["mae", nb.metrics.RootMeanSquaredError()],
        weighted_metrics=["mse"],
        **settings,
    )
    p = model.predict(X)
    each, w = ((p - Y) ** 2).mean(-1), np.ones((N, T)) if weights is None else weights.reshape(N, -1) * np.ones((N, T))
    counted = STEPS * w
    divisor = {"sum_over_batch_size": STEPS.sum(), "sum": 1.0, "mean_with_sample_weight": counted.sum()}[reduction]
    loss, mae, rmse, mse = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    assert loss == pytest.approx((each * counted).sum() / divisor)
    assert mae == pytest.approx(abs(p - Y).mean(-1)[STEPS].mean())
    assert rmse == pytest.approx(np.sqrt(((p - Y) ** 2).mean()))  # As in Keras.
    assert mse == pytest.approx((each * counted).sum() / counted.sum())


@pytest.mark.parametrize("settings", [{}, {"slices": 2}, {"run_eagerly": True}], ids=str)
def test_a_step_with_a_mask(settings):
    model = regression(**settings)
    kernel, bias = model.get_weights()
    dz = 2 * (X @ kernel + bias - Y) / 2 * (STEPS * WEIGHTS)[..., None] / STEPS.sum()
    model.train_on_batch(X, Y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(model.get_weights()[0], kernel - 0.1 * np.einsum("ntf,nto->fo", X, dz), rtol=1e-9)
    np.testing.assert_allclose(model.get_weights()[1], bias - 0.1 * dz.sum((0, 1)), rtol=1e-9)


def test_labels_of_padding_do_not_count():
    nb.set_random_seed(0)
    model = nb.Sequential(
        [nb.Input((T,), dtype="int32"), layers.Embedding(7, 5, mask_zero=True), layers.Dense(4, "softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = RNG.integers(0, 4, (N, T))
    p = model.predict(IDS)
    right = p.argmax(-1) == labels
    loss, accuracy = model.evaluate(IDS, labels, verbose=0)
    assert loss == pytest.approx(-np.log(np.take_along_axis(p, labels[..., None], -1)[..., 0])[STEPS].mean())
    assert accuracy == pytest.approx(right[STEPS].mean())
    labels[~STEPS] = 3 - labels[~STEPS]
    assert model.evaluate(IDS, labels, verbose=0) == [loss, accuracy]
    history = model.fit(IDS, labels, epochs=30, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_a_batch_of_padding_has_no_loss():
    model = regression(metrics=["mae"])
    before = model.get_weights()
    assert model.train_on_batch(np.zeros_like(X), Y) == [0.0, 0.0]
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_loss_called_with_predictions_that_have_a_mask():
    p = layers.Dense(2)(masked())
    each = ((p.numpy() - Y) ** 2).mean(-1)
    assert nb.losses.MeanSquaredError()(Y, p).item() == pytest.approx(each[STEPS].mean())
    none = nb.losses.MeanSquaredError(reduction=None)(Y, p, sample_weight=WEIGHTS)
    np.testing.assert_allclose(none.numpy(), each * STEPS * WEIGHTS)
    metric = nb.metrics.MeanSquaredError()
    metric.update_state(Y, p)
    assert metric.result() == pytest.approx(each[STEPS].mean())


def test_a_mask_that_does_not_fit_the_losses():
    class Drops(layers.Layer):
        def call(self, x):
            return nb.ops.sum(x, axis=1)

        def compute_mask(self, inputs, mask=None):
            return mask

    model = regression(Drops())
    with pytest.raises(ValueError, match=r"mask: expected a number for each of the values of shape \(6,\), got .* 4\)"):
        model.fit(X, Y[:, 0], verbose=0)


def test_tuples_and_their_masks_stay_tuples():
    class Pair(layers.Layer):
        supports_masking = True

        def call(self, parts, other, parts_mask=None, other_mask=None):
            self.seen = parts, parts_mask, other_mask
            return parts[0] + parts[1] + other

    layer = Pair()
    y = layer((masked(), masked()), masked())
    assert [type(part) for part in layer.seen] == [tuple, tuple, nb.Tensor]
    assert len(layer.seen[1]) == 2
    assert mask_of(y) == STEPS.tolist()


def test_a_mask_of_another_dtype():
    p = nb.tensor(Y)
    p.time_mask = nb.tensor(STEPS, "float32")
    loss = nb.losses.MeanSquaredError()(np.zeros_like(Y), p)
    assert loss.dtype == "float64"
    assert loss.item() == pytest.approx((Y[STEPS] ** 2).mean())


def test_a_loss_of_one_number_for_the_batch():
    model = regression(loss=lambda y, p: nb.ops.mean(nb.ops.square(y - p)))
    p = model.predict(X)
    whole = ((p - Y) ** 2).mean()
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(whole)
    weighted = whole * (WEIGHTS * STEPS).sum() / STEPS.sum()
    assert model.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0) == pytest.approx(weighted)
