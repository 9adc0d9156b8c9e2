"""A step of one's own on the tape: R-Drop, two passes with different masks that have to agree.

    python examples/custom_train_step.py [--epochs 60]

Every batch passes through the network twice. The loss is the mean of both cross-entropies and of how far the two
answers are apart, which keeps the sampled subnetworks alike. `fit` calls `train_step` for each batch. scikit-learn's
digits, of which only 300 are used for training.

L. Wu, J. Li, Y. Wang et al.: R-Drop: regularized dropout for neural networks. NeurIPS 2021.
"""

from __future__ import annotations

import argparse
from typing import Any

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nbnet as nb
from nbnet import layers


class RDrop(nb.Model):
    """A classifier that is trained with two masks a step; ``alpha`` weighs their disagreement."""

    def __init__(self, alpha: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha
        self.divergence = nb.losses.KLDivergence()
        self.stack = [
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]

    def call(self, x: nb.Tensor, training: bool = False) -> nb.Tensor:
        for layer in self.stack:
            x = layer(x, training=training)
        return x

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        assert self.optimizer is not None
        with nb.Tape(step=self.optimizer.iterations) as tape:
            # A layer that is called twice on a tape draws a mask for each call.
            p, q = self(x, training=True), self(x, training=True)
            fit = 0.5 * (self.compute_loss(y=y, y_pred=p) + self.compute_loss(y=y, y_pred=q))
            apart = 0.5 * (self.divergence(p, q) + self.divergence(q, p))
            loss = fit + self.alpha * apart
        self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        return {"loss": loss, "divergence": apart, **self.compute_metrics(x, y, p)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60)
    epochs = parser.parse_args().epochs
    images, labels = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        images / 16, labels, train_size=300, stratify=labels, random_state=0
    )
    for alpha in (0.0, 1.0):
        nb.set_random_seed(0)
        model = RDrop(alpha)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        logs = model.fit(x_train, y_train, batch_size=32, epochs=epochs, verbose=0).history
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
        print(f"alpha {alpha:.0f}: divergence {logs['divergence'][-1]:.4f}  test accuracy {accuracy:.1%}")


if __name__ == "__main__":
    main()
