"""The effects of dropout on a network, in five pictures drawn from MNIST.

    python examples/dropout_lab.py --data FOLDER [--out FOLDER] [--quick]

FOLDER holds the four original files, gzipped or not. Pairs of networks that differ in dropout alone are trained on a
part of the images: autoencoders of 256 hidden units, whose features and activations are those of figures 7 and 8 of

    N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014)

and classifiers, whose test errors are printed. The pictures: features.png, activations.png, correlations.png,
keep_rates.png and masks.png.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import nbnet as nb
from nbnet import layers
from nbnet.datasets import load_mnist

try:
    import matplotlib  # noqa: F401
except ImportError:
    raise SystemExit("the lab draws with matplotlib, which is missing: pip install 'nbnet[plot]'") from None

Array = NDArray[Any]
KINDS = ("without dropout", "with dropout")
RATES = {"pixels": 0.2, "drop_1": 0.5, "drop_2": 0.5}


class Size(NamedTuple):
    """How much is trained: images, and epochs of autoencoders and classifiers."""

    images: int
    encoder_epochs: int
    classifier_epochs: int


FULL, QUICK = Size(10_000, 60, 40), Size(400, 2, 2)


def autoencoder(dropout: bool) -> nb.Sequential:
    """784 pixels, 256 hidden units, 784 pixels."""
    hidden = [layers.Dense(256, "relu", name="hidden"), *([layers.Dropout(0.5)] if dropout else [])]
    model = nb.Sequential([nb.Input((784,)), *hidden, layers.Dense(784, "sigmoid", name="pixels_again")])
    model.compile(nb.optimizers.Adam(0.001), "binary_crossentropy")
    return model


def classifier(dropout: bool) -> nb.Sequential:
    """784-512-512-10."""
    stack: list[Any] = [nb.Input((784,))]
    for number, (name, rate) in enumerate(RATES.items(), 1):
        stack += [layers.Dropout(rate, name=name)] if dropout else []
        stack += [layers.Dense(512, "relu", name=f"hidden_{number}")] if number < 3 else [layers.Dense(10, "softmax")]
    model = nb.Sequential(stack)
    model.compile(nb.optimizers.Adam(0.0007), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def pixels(images: Array) -> Array:
    return images.reshape(len(images), 784).astype(np.float32) / 255


def train_autoencoders(x: Array, epochs: int) -> dict[str, nb.Sequential]:
    """Both, with the same first weights and the same order of images."""
    found = {}
    for kind in KINDS:
        nb.set_random_seed(0)
        found[kind] = autoencoder(kind == "with dropout")
        began = time.perf_counter()
        history = found[kind].fit(x, x, batch_size=64, epochs=epochs, verbose=0)
        seconds = time.perf_counter() - began
        print(f"autoencoder {kind:<16} loss {history.history['loss'][-1]:.4f}   {seconds:5.1f} s")
    return found


def train_classifiers(x: Array, y: Array, test: tuple[Array, Array], epochs: int) -> nb.History:
    """Both; returns the history of the one with dropout, which has the masks of the last steps."""
    for kind in KINDS:
        nb.set_random_seed(0)
        model = classifier(kind == "with dropout")
        began = time.perf_counter()
        history = model.fit(x, y, batch_size=64, epochs=epochs, verbose=0, record_masks=100)
        seconds = time.perf_counter() - began
        _, accuracy = model.evaluate(*test, verbose=0)
        print(f"classifier  {kind:<16} test error {1 - accuracy:.2%}   {seconds:5.1f} s")
    step, masks = history.masks[-1]
    again = model.masks(step, n=len(masks["drop_1"]))
    same = all(np.array_equal(again[name], mask) for name, mask in masks.items())
    kept, held = len(history.masks), history.masks.nbytes
    print(f"masks of the last {kept} steps: {held:,} bytes; step {step} drawn again from the seed: equal: {same}")
    return history


def look_at_autoencoders(models: dict[str, nb.Sequential], x: Array, out: Path) -> None:
    images = {kind: nb.inspect.features(model, count=144) for kind, model in models.items()}
    title = "What hidden units of an autoencoder look for"
    nb.inspect.plot_features(images, title=title).savefig(out / "features.png", dpi=130)

    found = {kind: nb.inspect.activity(model, x, ["hidden"])["hidden"] for kind, model in models.items()}
    title = "Activations of the autoencoders' hidden units, on test images"
    nb.inspect.plot_activity(found, title=title).savefig(out / "activations.png", dpi=130)
    for kind, one in found.items():
        print(f"hidden units {kind:<16} mean activation {one.mean:.3f}   {one.sparsity:.1%} of activations are 0")

    matrices = {kind: nb.inspect.correlations(one.values[:, one.values.any(0)][:, :80]) for kind, one in found.items()}
    title = "Correlations between hidden units"
    nb.inspect.plot_correlations(matrices, title=title).savefig(out / "correlations.png", dpi=130)


def look_at_masks(history: nb.History, out: Path) -> None:
    steps = list(history.masks)
    title = f"How often units were kept, in the last {len(steps)} steps"
    nb.inspect.plot_keep_rates(steps, RATES, title).savefig(out / "keep_rates.png", dpi=130)
    title = "Units dropped for one image of each batch, step by step"
    nb.inspect.plot_mask_raster(steps, "drop_1", units=160, title=title).savefig(out / "masks.png", dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="folder of the four IDX files")
    parser.add_argument("--out", type=Path, default=Path("dropout_lab"), metavar="FOLDER", help="where pictures go")
    parser.add_argument("--quick", action="store_true", help="a look at the lab: a few images, two epochs")
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else FULL
    try:
        (x, y), (x_test, y_test) = load_mnist(arguments.data)
    except (FileNotFoundError, ValueError) as error:
        parser.error(f"--data: {error}")
    arguments.out.mkdir(parents=True, exist_ok=True)

    x, y, x_test = pixels(x[: size.images]), y[: size.images], pixels(x_test)
    print(f"{len(x):,} images to train on, {len(x_test):,} to test")
    encoders = train_autoencoders(x, size.encoder_epochs)
    look_at_autoencoders(encoders, x_test[:1000], arguments.out)
    history = train_classifiers(x, y, (x_test, y_test), size.classifier_epochs)
    look_at_masks(history, arguments.out)
    print(f"pictures: {', '.join(sorted(path.name for path in arguments.out.glob('*.png')))} in {arguments.out}")


if __name__ == "__main__":
    main()
