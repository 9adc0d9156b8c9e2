"""Sequences of different lengths, padded with zeros: a mask of time steps keeps the padding out of what is computed.

    python examples/padded_sequences.py [--epochs 30]

Each sequence holds 2 to 30 tokens. The token of the highest rank decides its class, whatever the others say. An
embedding with mask_zero=True marks the padding, and layers hand the mask on: to an average over the tokens that count,
and to an attention layer of one's own, which learns how much each of them matters. A second model labels every token;
its loss and accuracy leave the padding out.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import nbnet as keras

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--epochs", type=int, default=30)
epochs = parser.parse_args().epochs

TOKENS, LENGTH, CLASSES = 40, 30, 4
rng = np.random.default_rng(0)
lengths = rng.integers(2, LENGTH + 1, 4000)
steps = np.arange(LENGTH) < lengths[:, None]
tokens = np.where(steps, rng.integers(1, TOKENS + 1, (4000, LENGTH)), 0)
rank, kind = rng.permutation(TOKENS + 1), rng.integers(0, CLASSES, TOKENS + 1)
decisive = np.take_along_axis(tokens, np.where(steps, rank[tokens], -1).argmax(1)[:, None], 1)[:, 0]
labels = kind[decisive]
train, test = slice(0, 3000), slice(3000, None)


class AttentionPooling(keras.layers.Layer):
    """The mean of the steps, weighted by a softmax over their scores; padding gets no weight."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.score, self.softmax = keras.layers.Dense(1), keras.layers.Softmax(axis=1)

    def call(self, x: Any, mask: Any = None) -> Any:
        weights = self.softmax(self.score(x), mask=None if mask is None else keras.ops.expand_dims(mask, -1))
        return keras.ops.sum(weights * x, axis=1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None  # There are no steps left.


def classifier(pooling: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            keras.layers.Embedding(TOKENS + 1, 16, mask_zero=True),
            pooling,
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


for name, pooling in (("average", keras.layers.GlobalAveragePooling1D()), ("attention", AttentionPooling())):
    model = classifier(pooling)
    model.fit(tokens[train], labels[train], epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(tokens[test], labels[test], verbose=0)
    print(f"{name} of the tokens: accuracy {accuracy:.3f}")

tagger = keras.Sequential(
    [
        keras.Input((LENGTH,), dtype="int32"),
        keras.layers.Embedding(TOKENS + 1, 16, mask_zero=True),
        keras.layers.Dropout(0.1),
        keras.layers.Dense(CLASSES, activation="softmax"),
    ]
)
tagger.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
# The labels of padding may be anything: they do not count.
tagger.fit(tokens[train], kind[tokens[train]], epochs=3, verbose=0)
loss, accuracy = tagger.evaluate(tokens[test], kind[tokens[test]], verbose=0)
right = tagger.predict(tokens[test], verbose=0).argmax(-1) == kind[tokens[test]]
print(f"each token: accuracy {accuracy:.3f}, by hand {right[steps[test]].mean():.3f}")
