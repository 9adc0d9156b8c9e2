"""Rents: embeddings of categories beside numbers, the usual network for a table.

    python examples/embedding_tabular.py [--epochs 25]

A generated table of 12,000 flats: district (80 of them), kind of house (5), area, age, distance to the centre. Each
district has a level of its own, which no column tells: the embedding has to find it.

C. Guo, F. Berkhahn: Entity embeddings of categorical variables. arXiv:1604.06737, 2016.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

import nbnet as keras

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=25)
epochs = parser.parse_args().epochs
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)

N, DISTRICTS, KINDS = 12_000, 80, 5
level = rng.normal(0, 0.35, DISTRICTS)
ages_well = np.array([-0.3, -0.1, 0.0, 0.1, 0.3])  # what forty years do to the rent, for each kind of house
x = {
    "district": rng.integers(0, DISTRICTS, (N, 1)),
    "kind": rng.integers(0, KINDS, (N, 1)),
    "numbers": np.stack([rng.gamma(8, 9, N), rng.uniform(0, 80, N), rng.gamma(2, 3, N)], axis=1),
}
area, age, distance = x["numbers"].T
log_rent = 1.5 + 0.8 * np.log(area) - 0.04 * distance + level[x["district"][:, 0]]
log_rent += ages_well[x["kind"][:, 0]] * age / 40 + rng.normal(0, 0.1, N)
y = np.exp(log_rent)[:, None]  # about 100 a month and more

train, test = slice(0, 9000), slice(9000, None)
x_train, x_test = ({name: column[part] for name, column in x.items()} for part in (train, test))
y_train, y_test = y[train], y[test]

district = keras.Input(shape=(1,), dtype="int32", name="district")
kind = keras.Input(shape=(1,), dtype="int32", name="kind")
numbers = keras.Input(shape=(3,), name="numbers")
normalization = keras.layers.Normalization()
normalization.adapt(x_train["numbers"])
columns = [
    keras.layers.Flatten()(keras.layers.Embedding(DISTRICTS, 4, name="districts")(district)),
    keras.layers.Flatten()(keras.layers.Embedding(KINDS, 2, name="kinds")(kind)),
    normalization(numbers),
]
h = keras.layers.concatenate(columns)
for units in (64, 32):
    h = keras.layers.Dense(units, activation="relu")(h)
    h = keras.layers.BatchNormalization()(h)
    h = keras.layers.Dropout(0.05)(h)
rent = keras.layers.Dense(1, activation="exponential", bias_initializer=keras.initializers.Constant(6.0))(h)
model = keras.Model([district, kind, numbers], rent, name="rents")

model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mean_squared_logarithmic_error", metrics=["mape"])
model.fit(x_train, y_train, batch_size=128, epochs=epochs, verbose=0)


def one_hot(x: dict[str, NDArray[Any]]) -> NDArray[Any]:
    return np.hstack([np.eye(DISTRICTS)[x["district"][:, 0]], np.eye(KINDS)[x["kind"][:, 0]], x["numbers"]])


linear = np.exp(LinearRegression().fit(one_hot(x_train), np.log(y_train)).predict(one_hot(x_test)))
linear_error = 100 * np.mean(np.abs(linear / y_test - 1))
_, error = model.evaluate(x_test, y_test, verbose=0)
print(f"test error of a rent  {error:.1f}% (linear regression on one-hot columns: {linear_error:.1f}%, noise: 8.0%)")

vectors = model.get_layer("districts").get_weights()[0]
explained = LinearRegression().fit(vectors, level).score(vectors, level)
print(f"the embedding, 4 numbers a district, explains {explained:.0%} of the districts' hidden levels")
