"""Handwritten digits with and without dropout: two accuracies, the time an epoch takes, and a picture.

    python examples/demo.py [--epochs 200] [--out demo.png]

The data are the 1,797 digits of 8x8 pixels that scikit-learn ships; a fifth is held out for testing. The picture shows
how the two trainings went, and the masks that the tape recorded while one batch passed through the network.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nbnet as nb
from nbnet import layers

try:
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure
except ImportError:
    raise SystemExit("the demo draws with matplotlib, which is missing: pip install 'nbnet[plot]'") from None

Array = NDArray[Any]

# ---- two networks, trained -----------------------------------------------------------------------------------


def without_dropout() -> nb.Sequential:
    return nb.Sequential(
        [
            nb.Input((64,)),
            layers.Dense(128, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def with_dropout() -> nb.Sequential:
    return nb.Sequential(
        [
            nb.Input((64,)),
            layers.Dropout(0.1, name="pixels"),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.3, name="hidden_1"),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.3, name="hidden_2"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def load() -> list[Array]:
    """x_train, x_test, y_train, y_test, the pixels between 0 and 1."""
    x, y = load_digits(return_X_y=True)
    parts: list[Array] = train_test_split(x / 16, y, test_size=0.2, stratify=y, random_state=0)
    return parts


def train(model: nb.Sequential, data: list[Array], epochs: int) -> tuple[dict[str, list[float]], float]:
    """Train; the history, and the seconds of an epoch. The first few, which load or compile kernels, are left out."""
    x_train, x_test, y_train, y_test = data
    model.compile(optimizer=nb.optimizers.Adam(0.0005), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    few = min(5, epochs - 1)
    first = model.fit(x_train, y_train, batch_size=32, validation_data=(x_test, y_test), epochs=few, verbose=0)
    began = time.perf_counter()
    rest = model.fit(
        x_train, y_train, batch_size=32, validation_data=(x_test, y_test), initial_epoch=few, epochs=epochs, verbose=0
    )
    seconds = (time.perf_counter() - began) / (epochs - few)
    return {name: first.history[name] + rest.history[name] for name in first.history}, seconds


# ---- the picture ---------------------------------------------------------------------------------------------

INK, QUIET, BLUE, ORANGE, PALE = "#1f2933", "#7b8794", "#1f5f99", "#e8702a", "#e9eff5"


def plain(axes: Any, title: str) -> None:
    """A title at the left; no frame, no ticks."""
    axes.set_title(title, loc="left", fontsize=9.5, color=INK, pad=5)
    axes.tick_params(which="both", length=0, labelsize=8, labelcolor=QUIET)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_curves(axes: Any, title: str, curves: dict[str, list[float]], **options: Any) -> None:
    plain(axes, title)
    axes.grid(axis="y", color=PALE)
    for (name, values), color in zip(curves.items(), (QUIET, BLUE), strict=True):
        axes.plot(np.arange(1, len(values) + 1), values, color=color, lw=1.6, label=name)
    axes.set(**options)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch", fontsize=8, color=QUIET)
    axes.legend(frameon=False, fontsize=8.5, labelcolor="linecolor", handlelength=1.2)


def draw_mask(axes: Any, title: str, mask: Array) -> None:
    """A row for each image of the batch, a column for each unit."""
    plain(axes, title)
    axes.imshow(np.where(mask[..., None], to_rgb(PALE), to_rgb(ORANGE)), aspect="auto", interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def draw_thinned(axes: Any, title: str, values: list[Array], masks: list[Array], output: Array) -> None:
    """Draw the path of one image: its pixels, the units of each layer, the probabilities of the ten digits."""
    left = 0.0
    for value, mask in zip(values, masks, strict=True):
        cells = value.reshape(8, -1, 1) / max(float(value.max()), 1e-6)
        colors = (1 - cells) * to_rgb(PALE) + cells * to_rgb(INK)
        colors[~mask.reshape(8, -1)] = to_rgb(ORANGE)
        axes.imshow(colors, extent=(left, left + cells.shape[1], 8, 0), interpolation="nearest")
        left += cells.shape[1] + 1.5
    axes.barh(0.8 * np.arange(10) + 0.4, 8 * output, left=left + 0.5, height=0.56, color=BLUE)
    for digit in range(10):
        axes.text(left, 0.8 * digit + 0.43, str(digit), ha="center", va="center", fontsize=6.5, color=QUIET)
    plain(axes, title)
    axes.set(xlim=(0, left + 8.6), ylim=(8, 0), xticks=[], yticks=[], aspect="equal", anchor="W")


def draw(histories: dict[str, dict[str, list[float]]], model: nb.Sequential, x: Array, y: Array) -> Figure:
    """The curves of both trainings; the masks of a batch; what four of its images went through."""
    with nb.Tape() as tape:
        output = model(x, training=True).numpy()
    masks = tape.masks
    values = {node.name: node.outputs[0].numpy() for node in tape.nodes}

    figure = Figure(figsize=(11, 11), facecolor="white")
    top, middle, bottom = (
        figure.add_gridspec(1, 1, left=0.055, right=0.97, top=high, bottom=low)[0]
        for high, low in ((0.89, 0.655), (0.535, 0.325), (0.215, 0.02))
    )

    def write(y: float, text: str, size: float = 9.5, color: str = INK, **options: Any) -> None:
        figure.text(0.055, y, text, fontsize=size, color=color, **options)

    def head(part: Any, title: str, text: str) -> None:
        y = part.get_position(figure).y1
        write(y + 0.048, title, 12.5, weight="bold")
        write(y + 0.03, text, color=QUIET)

    epochs = max(len(history["loss"]) for history in histories.values())
    ends = ", ".join(f"{history['val_accuracy'][-1]:.1%} {name}" for name, history in histories.items())
    write(0.962, "Dropout on handwritten digits", 18, weight="bold")
    write(0.94, f"Accuracy on the test images after {epochs} epochs: {ends}.", 10.5)
    left, right = top.subgridspec(1, 2, wspace=0.14).subplots(squeeze=False).flat
    accuracy = {name: history["val_accuracy"] for name, history in histories.items()}
    lowest = min(0.94, *(values[len(values) // 10] for values in accuracy.values()))
    draw_curves(left, "Accuracy on the test images", accuracy, ylim=(lowest, 1.0))
    loss = {name: history["loss"] for name, history in histories.items()}
    draw_curves(right, "Training loss (with dropout: that of the thinned networks)", loss, yscale="log")

    head(middle, "What the tape recorded while one batch passed", f"{len(x)} rows, one an image. Orange: dropped.")
    columns = middle.subgridspec(1, len(masks), width_ratios=[m.shape[1] for m in masks.values()], wspace=0.04)
    for axes, (name, mask) in zip(columns.subplots(squeeze=False).flat, masks.items(), strict=True):
        draw_mask(axes, f"{name}: {mask.shape[1]} units, {(~mask).mean():.0%} dropped", mask)

    head(
        bottom,
        "The thinned networks of its first four images",
        "Pixels, units of both hidden layers, and the probability of each digit. Darker: larger. Orange: dropped.",
    )
    for image, axes in enumerate(bottom.subgridspec(2, 2, hspace=0.45, wspace=0.06).subplots(squeeze=False).flat):
        kept = "-".join(str(mask[image].sum()) for mask in masks.values())
        shown = [values[name][image] for name in masks], [mask[image] for mask in masks.values()]
        draw_thinned(axes, f"a {y[image]}, seen by a {kept}-10 network", *shown, output[image])
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200, help="2 or more")
    parser.add_argument("--out", type=Path, default=Path("demo.png"), help="where the picture goes")
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs: expected 2 or more, the first is not timed")

    data = load()
    x_train, x_test, y_train, _ = data
    print(f"{len(x_train):,} digits to train on, {len(x_test)} to test on, {arguments.epochs} epochs in batches of 32")
    histories = {}
    for name, build in (("without dropout", without_dropout), ("with dropout", with_dropout)):
        nb.set_random_seed(0)
        model = build()
        histories[name], seconds = train(model, data, arguments.epochs)
        accuracy = histories[name]["val_accuracy"][-1]
        print(f"{name:<16} test accuracy {accuracy:.2%}   an epoch takes {1000 * seconds:.1f} ms, testing included")
    draw(histories, model, x_train[:32], y_train[:32]).savefig(arguments.out, dpi=140)
    print(f"the curves, and the masks of one batch: {arguments.out}")


if __name__ == "__main__":
    main()
