"""Friedman's function: regression with dropout, and error bars from dropout that stays on.

    python examples/regression.py [--epochs 150]

    y = 10 sin(pi x0 x1) + 20 (x2 - 1/2)**2 + 10 x3 + 5 x4 + noise,  five more inputs mean nothing

The noise has a standard deviation of 1, which is the least root mean squared error there can be.

Y. Gal, Z. Ghahramani: Dropout as a Bayesian approximation. ICML 2016.
"""

import argparse

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.linear_model import LinearRegression

import nbnet as keras

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=150)
epochs = parser.parse_args().epochs
keras.utils.set_random_seed(0)

x, y = make_friedman1(n_samples=3000, noise=1.0, random_state=0)
x_train, y_train, x_test, y_test = x[:2000], y[:2000], x[2000:], y[2000:]

inputs = keras.Input(shape=(10,), name="x")
h = keras.layers.Dense(128, activation="silu", kernel_regularizer=keras.regularizers.L2(1e-5))(inputs)
h = keras.layers.Dropout(0.05)(h)
h = keras.layers.Dense(128, activation="silu", kernel_regularizer=keras.regularizers.L2(1e-5))(h)
h = keras.layers.Dropout(0.05)(h)
outputs = keras.layers.Rescaling(scale=y_train.std(), offset=y_train.mean())(keras.layers.Dense(1)(h))
model = keras.Model(inputs, outputs, name="friedman")

model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.003, clipnorm=5.0),
    loss=keras.losses.Huber(delta=3.0),
    metrics=[keras.metrics.RootMeanSquaredError(name="rmse"), keras.metrics.R2Score(name="r2"), "mae"],
)
history = model.fit(
    x_train,
    y_train[:, None],
    batch_size=64,
    epochs=epochs,
    validation_split=0.1,
    callbacks=[keras.callbacks.ReduceLROnPlateau(monitor="val_rmse", mode="min", factor=0.3, patience=10)],
    verbose=0,
)

scores = model.evaluate(x_test, y_test[:, None], return_dict=True, verbose=0)
linear = LinearRegression().fit(x_train, y_train).predict(x_test)
print(f"test rmse  {scores['rmse']:.3f} (linear regression: {np.sqrt(np.mean((linear - y_test) ** 2)):.3f}, noise: 1)")
print(f"test r2    {scores['r2']:.3f}")

# A call with training=True drops units: as many answers as calls, and their spread says how sure the model is.
near, far = (
    np.stack([np.asarray(model(rows, training=True)) for _ in range(100)]).std(axis=0).mean()
    for rows in (x_test[:300], x_test[:300] + 2.0)
)
print(f"spread of 100 answers: {near:.2f} on test rows, {far:.2f} far from all training rows")
