"""A step of one's own on the tape: training on images that were made to mislead the network.

    python examples/custom_train_step.py [--epochs 30]

In each step the tape gives the gradient of the loss with respect to the pixels; a small move along its sign makes the
network err most, and the step trains on what comes of it. Both passes go through the same thinned network: the
second one plays back the masks that the first one drew. `fit` calls `train_step` for each batch; everything else is as
usual. scikit-learn's digits.

I. Goodfellow, J. Shlens, C. Szegedy: Explaining and harnessing adversarial examples. ICLR 2015.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nbnet as nb
from nbnet import layers

#: How far each pixel may move; they lie between 0 and 1.
REACH = 0.1


class Robust(nb.Sequential):
    """A network that is trained on misleading images."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        assert self.optimizer is not None
        pixels = nb.Parameter(x)
        with nb.Tape(step=self.optimizer.iterations) as first:
            loss = self.compute_loss(y=y, y_pred=self(pixels, training=True))
        worse = pixels + REACH * nb.ops.sign(first.gradient(loss, pixels))

        with nb.Tape(masks=first.masks) as second:
            y_pred = self(worse, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        self.optimizer.apply(second.gradient(loss, self.trainable_weights), self.trainable_weights)
        return {"loss": loss, **self.compute_metrics(x, y, y_pred)}


def attacked(model: nb.Model, x: Any, y: Any) -> Any:
    """Images that mislead this very model most."""
    pixels = nb.Parameter(x)
    with nb.Tape() as tape:
        loss = model.compute_loss(y=y, y_pred=model(pixels))
    return x + REACH * np.sign(tape.gradient(loss, pixels).numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    epochs = parser.parse_args().epochs
    images, labels = load_digits(return_X_y=True)
    x = (images / 16).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(x, labels, test_size=0.25, stratify=labels, random_state=0)
    for kind in (nb.Sequential, Robust):
        nb.set_random_seed(0)
        stack = [layers.Dense(256, activation="relu"), layers.Dropout(0.2), layers.Dense(10, activation="softmax")]
        model = kind([nb.Input((64,)), layers.Dropout(0.05), *stack])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x_train, y_train, batch_size=32, epochs=epochs, verbose=0)
        worse = attacked(model, x_test, y_test)
        clean, hostile = (model.evaluate(rows, y_test, verbose=0)[1] for rows in (x_test, worse))
        print(f"{kind.__name__:<10}  test accuracy {clean:.1%}, on images made to mislead it {hostile:.1%}")


if __name__ == "__main__":
    main()
