"""MNIST with dropout: 784-512-512-10, 20% of the pixels and half of the hidden units dropped.

    python examples/mnist.py --data FOLDER

FOLDER holds the four original files, gzipped or not. The images stay bytes in memory: rows become floats when they are
gathered into a batch.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import nbnet as nb
from nbnet import layers
from nbnet.datasets import load_mnist


def build() -> nb.Sequential:
    """The network, compiled."""
    model = nb.Sequential(
        [
            nb.Input((28, 28)),
            layers.Flatten(),
            layers.Rescaling(1 / 255),
            layers.Dropout(0.2),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="folder of the four IDX files")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the masks and the order of the images")
    parser.add_argument("--verbose", action="store_true", help="show a progress bar and the summary of the network")
    arguments = parser.parse_args()
    if arguments.epochs < 1:
        parser.error("--epochs: expected 1 or more")

    try:
        (x_train, y_train), (x_test, y_test) = load_mnist(arguments.data)
    except (FileNotFoundError, ValueError) as error:
        parser.error(f"--data: {error}")
    nb.set_random_seed(arguments.seed)
    model = build()
    if arguments.verbose:
        model.summary()
    print(f"{len(x_train):,} images to train on, {len(x_test):,} to test; the test images choose nothing")

    seconds = []
    for epoch in range(arguments.epochs):
        # The learning rate is read anew in every step: whatever sets it is a schedule. Here it falls in a line.
        model.optimizer.learning_rate = 0.001 * (1 - epoch / arguments.epochs)
        began = time.perf_counter()
        history = model.fit(
            x_train, y_train, batch_size=128, epochs=epoch + 1, initial_epoch=epoch, verbose=int(arguments.verbose)
        )
        seconds.append(time.perf_counter() - began)
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
        loss = history.history["loss"][-1]
        print(
            f"epoch {epoch + 1:3d}: {seconds[-1]:6.2f} s   loss {loss:.4f}   test accuracy {accuracy:.2%}", flush=True
        )
    print(f"an epoch of training takes {statistics.median(seconds[1:] or seconds):.2f} s (median, the first left out)")
    print(f"accuracy on {len(x_test):,} test images after {arguments.epochs} epochs: {accuracy:.2%}")


if __name__ == "__main__":
    main()
