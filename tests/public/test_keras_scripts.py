"""Scripts as Keras users write them: only the import line differs."""

from __future__ import annotations

import numpy as np

import nbnet as keras
from nbnet import layers, ops

rng = np.random.default_rng(0)


def test_image_classification():
    keras.utils.set_random_seed(0)
    num_classes, input_shape = 10, (28, 28, 1)
    x_train, y_train = rng.integers(0, 256, (64, 28, 28), np.uint8), rng.integers(0, 10, 64)
    x_train = np.expand_dims(x_train.astype("float32") / 255, -1)
    y_train = keras.utils.to_categorical(y_train, num_classes)

    model = keras.Sequential(
        [
            keras.Input(shape=input_shape),
            layers.Conv2D(4, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=16, epochs=3, validation_split=0.25, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.history["loss"][-1] < history.history["loss"][0]
    score = model.evaluate(x_train, y_train, verbose=0)
    assert len(score) == 2


def test_tabular_data_with_several_inputs():
    keras.utils.set_random_seed(0)
    data = {"age": rng.normal(size=(96, 1)), "income": rng.normal(size=(96, 1)), "city": rng.integers(0, 7, (96, 1))}
    target = (data["age"] + 0.5 * data["income"] > 0).astype("float32")

    inputs = {
        "age": keras.Input(shape=(1,), name="age"),
        "income": keras.Input(shape=(1,), name="income"),
        "city": keras.Input(shape=(1,), dtype="int64", name="city"),
    }
    city = layers.Flatten()(layers.Embedding(input_dim=7, output_dim=3)(inputs["city"]))
    numbers = layers.Concatenate()([inputs["age"], inputs["income"]])
    x = layers.Dense(8, activation=keras.activations.gelu, kernel_initializer=keras.initializers.he_normal())(
        layers.concatenate([numbers, city])
    )
    x = layers.Add()([x, layers.Dense(8, kernel_regularizer=keras.regularizers.l2(1e-4))(x)])
    output = layers.Dense(1, activation="sigmoid")(x)
    model = keras.Model(inputs=inputs, outputs=output)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, decay_steps=20, decay_rate=0.9)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=schedule),
        loss=keras.losses.BinaryCrossentropy(),
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy"), keras.metrics.AUC(name="auc")],
    )
    callbacks = [
        keras.callbacks.EarlyStopping(monitor="loss", patience=3, restore_best_weights=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    history = model.fit(data, target, epochs=10, verbose=0, callbacks=callbacks)
    assert history.history["auc"][-1] > 0.9
    assert model.predict(data, verbose=0).shape == (96, 1)


def test_a_layer_of_the_users_own():
    class Gated(layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], 2 * self.units), initializer="glorot_uniform", name="w")

        def call(self, inputs):
            value, gate = ops.split(ops.matmul(inputs, self.w), 2, axis=-1)
            return value * ops.sigmoid(gate)

    def bounded_error(y_true, y_pred):
        error = ops.clip(ops.abs(y_true - y_pred), 0.0, 10.0)
        return ops.mean(ops.where(ops.less(error, 1.0), 0.5 * ops.square(error), error - 0.5), axis=-1)

    keras.utils.set_random_seed(0)
    x = rng.normal(size=(64, 3)).astype("float32")
    y = x[:, :1] * x[:, 1:2]
    inputs = keras.Input((3,))
    hidden = Gated(16)(ops.concatenate([inputs, ops.sin(inputs)], axis=-1))
    mean, deviation = ops.mean(hidden, axis=-1, keepdims=True), ops.std(hidden, axis=-1, keepdims=True)
    model = keras.Model(inputs, layers.Dense(1)((hidden - mean) / (deviation + 1e-3)))
    model.compile("adam", bounded_error)
    losses = model.fit(x, y, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    with keras.Tape() as tape:
        loss = ops.mean(bounded_error(keras.tensor(y), model(x)))
    assert all(g is not None for g in tape.gradient(loss, model.trainable_weights))
    np.testing.assert_allclose(loss.item(), model.evaluate(x, y, verbose=0), rtol=1e-5)
