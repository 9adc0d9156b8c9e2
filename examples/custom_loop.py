"""A training loop of one's own: two networks that teach each other, when four labels in ten are wrong.

    python examples/custom_loop.py [--epochs 30]

A network learns right labels before it memorises wrong ones. So in each batch, each network picks the rows on which
its loss is small, and the other one trains on these. scikit-learn's digits; the test labels are right.

B. Han, Q. Yao, X. Yu et al.: Co-teaching: robust training of deep neural networks with extremely noisy labels.
NeurIPS 2018.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nbnet as keras

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=30)
epochs = parser.parse_args().epochs
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)

WRONG, BATCH, WARM_UP = 0.4, 64, 5
images, labels = load_digits(return_X_y=True)
x_train, x_test, right, y_test = train_test_split(images / 16, labels, test_size=0.25, stratify=labels, random_state=0)
y_train = np.where(rng.random(len(right)) < WRONG, (right + rng.integers(1, 10, len(right))) % 10, right)


def build() -> keras.Sequential:
    model = keras.Sequential(
        [
            keras.Input(shape=(64,)),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def small_losses(model: keras.Sequential, x: NDArray[Any], y: NDArray[Any], n: int) -> NDArray[Any]:
    """The n rows the model finds most plausible."""
    probabilities = model.predict_on_batch(x)
    return np.argsort(-probabilities[np.arange(len(y)), y])[:n]


alone = build()
alone.fit(x_train, y_train, batch_size=BATCH, epochs=epochs, verbose=0)

pair = (build(), build())
for epoch in range(epochs):
    # Few rows are left out at first; as many as labels are wrong after the warm-up.
    keep = round(BATCH * (1 - WRONG * min(1, epoch / WARM_UP)))
    order, trusted = rng.permutation(len(x_train)), []
    for start in range(0, len(order) - BATCH + 1, BATCH):
        rows = order[start : start + BATCH]
        picked = [rows[small_losses(model, x_train[rows], y_train[rows], keep)] for model in pair]
        for model, chosen in zip(pair, reversed(picked), strict=True):
            model.train_on_batch(x_train[chosen], y_train[chosen])
        trusted.append(np.concatenate(picked))
    for model in pair:
        model.optimizer.learning_rate = 0.001 * (1 - (epoch + 1) / (epochs + 1))
    if epoch % 5 == 4:
        chosen = np.concatenate(trusted)
        print(f"epoch {epoch + 1:3d}: {np.mean(y_train[chosen] == right[chosen]):.1%} of the chosen labels are right")

print(f"labels right        {np.mean(y_train == right):.1%} of those to train on")
print(f"test accuracy, fit  {alone.evaluate(x_test, y_test, verbose=0)[1]:.1%}")
print(f"test accuracy, duo  {max(model.evaluate(x_test, y_test, verbose=0)[1] for model in pair):.1%}")
