"""Two pictures in, two answers out: the sum of two digits, and whether the first is the larger one.

    python examples/multi_input.py [--epochs 30]

Both pictures pass through the same encoder, whose weights are shared. Pictures are scikit-learn's digits; those of the
test pairs are in no training pair.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import nbnet as keras

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=30)
epochs = parser.parse_args().epochs
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)

images, labels = load_digits(return_X_y=True)


def pairs(chosen: NDArray[Any], n: int) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Inputs and targets of n random pairs, dicts by the names of inputs and outputs."""
    first, second = rng.choice(chosen, n), rng.choice(chosen, n)
    x = {"first": images[first] / 16, "second": images[second] / 16}
    larger = (labels[first] > labels[second]).astype("float32")
    return x, {"sum": labels[first] + labels[second], "larger": larger[:, None]}


order = rng.permutation(len(images))
x_train, y_train = pairs(order[:1300], 8000)
x_test, y_test = pairs(order[1300:], 2000)

encoder = keras.Sequential(
    [
        keras.Input(shape=(64,)),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(32, activation="relu"),
    ],
    name="encoder",
)
first, second = keras.Input(shape=(64,), name="first"), keras.Input(shape=(64,), name="second")
a, b = encoder(first), encoder(second)
both = keras.layers.Concatenate(name="both")([a, b, keras.layers.Subtract(name="difference")([a, b])])
hidden = keras.layers.Dense(128, activation="relu", name="hidden")(both)
hidden = keras.layers.Dropout(0.2, name="dropout")(hidden)
outputs = {
    "sum": keras.layers.Dense(19, activation="softmax", name="sum")(hidden),
    "larger": keras.layers.Dense(1, activation="sigmoid", name="larger")(hidden),
}
model = keras.Model(inputs={"first": first, "second": second}, outputs=outputs, name="pairs")
model.summary()

model.compile(
    optimizer="adam",
    loss={"sum": "sparse_categorical_crossentropy", "larger": "binary_crossentropy"},
    loss_weights={"sum": 1.0, "larger": 0.5},
    metrics={"sum": ["accuracy"], "larger": ["accuracy"]},
)
model.fit(x_train, y_train, batch_size=64, epochs=epochs, validation_data=(x_test, y_test), verbose=0)

scores = model.evaluate(x_test, y_test, return_dict=True, verbose=0)
chance = np.bincount(y_test["sum"]).max() / len(y_test["sum"])
print(f"sum right     {scores['sum_accuracy']:.1%} (always the most frequent sum: {chance:.1%})")
print(f"larger right  {scores['larger_accuracy']:.1%} (always no: {np.mean(y_test['larger'] == 0):.1%})")
sums = model.predict(x_test, verbose=0)["sum"].argmax(axis=1)
print(f"wrong sums are off by {np.abs(sums - y_test['sum'])[sums != y_test['sum']].mean():.1f} on average")
