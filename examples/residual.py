"""Forty layers deep: blocks that add what they compute to their input train where plain ones do not.

    python examples/residual.py [--epochs 20]

Twenty blocks of two dense layers each, with normalisation and dropout, on scikit-learn's digits; once as residual
blocks and once without the addition. The block is a layer made by subclassing.

K. He, X. Zhang, S. Ren, J. Sun: Identity mappings in deep residual networks. ECCV 2016.
"""

from __future__ import annotations

import argparse
from typing import Any

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nbnet as keras

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=20)
epochs = parser.parse_args().epochs

images, labels = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(
    images / 16, labels, test_size=0.25, stratify=labels, random_state=0
)


class Branch(keras.layers.Layer):
    """Normalisation, then a bottleneck of two dense layers with dropout between them."""

    def __init__(self, units: int, rate: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.rate = units, rate
        self.normalization = keras.layers.LayerNormalization()
        self.reduce = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal")
        self.dropout = keras.layers.Dropout(rate)

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.expand = keras.layers.Dense(input_shape[-1])
        self.normalization.build(input_shape)
        self.reduce.build(input_shape)
        self.expand.build((*input_shape[:-1], self.units))

    def call(self, x: keras.Tensor, training: bool | None = None) -> keras.Tensor:
        h = self.reduce(self.normalization(x))
        return self.expand(self.dropout(h, training=training))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "rate": self.rate}


def build(residual: bool, blocks: int = 20) -> keras.Model:
    inputs = keras.Input(shape=(64,))
    x = keras.layers.Dense(64)(inputs)
    for _ in range(blocks):
        y = Branch(32)(x)
        x = keras.layers.Add()([x, y]) if residual else y
    x = keras.layers.LayerNormalization()(x)
    outputs = keras.layers.Dense(10, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="residual" if residual else "plain")


for residual in (True, False):
    keras.utils.set_random_seed(0)
    model = build(residual)
    model.compile(optimizer=keras.optimizers.Adam(0.001), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=32, epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(
        f"{model.name:<8}  {model.count_params():,} parameters  "
        f"training loss {history.history['loss'][-1]:.3f}  test accuracy {accuracy:.1%}"
    )
