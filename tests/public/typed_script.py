"""A user's script, as type checkers see it: ``tests/public/test_types.py`` runs mypy over it in strict mode.

The function is never called. Each ``type: ignore`` marks a mistake that a type checker has to find: strict mode reports
a comment that it does not need.
"""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import nbnet as nb
from nbnet.estimators import MLPClassifier, MLPRegressor

Array = NDArray[Any]


def script() -> None:
    """Build, train, predict, differentiate, and make mistakes."""
    x, y = np.zeros((8, 4), "float32"), np.zeros(8, "int64")

    model = nb.Sequential(
        [
            nb.Input((4,)),
            nb.layers.Dense(8, activation="relu", kernel_initializer="he_normal"),
            nb.layers.Dropout(0.5, name="drop"),
            nb.layers.Dense(3, activation=nb.ops.softmax),
        ]
    )
    model.compile(nb.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert_type(model.fit(x, y, epochs=1, verbose=0), nb.History)
    assert_type(model.evaluate(x, y, verbose=0, return_dict=True), dict[str, Any])
    assert_type(model.predict_mc(x, samples=2).mean, Array)
    assert_type(nb.load_model("model.nbnet"), nb.Model)
    assert_type(model.summary(), None)

    with nb.Tape() as tape:
        outputs = model(x, training=True)
        loss = nb.losses.SparseCategoricalCrossentropy()(y, outputs)
    assert_type(tape, nb.Tape)
    assert_type(outputs, nb.Tensor)
    assert_type(model.predict(x), Array)
    assert_type(tape.gradient(loss, model.trainable_weights), list[nb.Tensor])

    class LogEpoch(nb.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            print(epoch, logs)

    class Doubled(nb.Model):
        def call(self, x: nb.Tensor, training: bool = False) -> nb.Tensor:
            return x * 2.0

    assert_type(Doubled()(x), nb.Tensor)
    assert_type(loss, nb.Tensor)
    assert_type(nb.ops.mean(loss * 2.0), nb.Tensor)
    assert_type(nb.layers.Dense(2)(x), nb.Tensor)
    assert_type(tape.masks["drop"], Array)
    assert_type(loss.numpy(), Array)

    classifier = MLPClassifier(hidden_layer_sizes=[8], dropout=0.2, random_state=0)
    assert_type(classifier.fit(x, y), MLPClassifier)
    assert_type(classifier.predict(x), Array)
    assert_type(classifier.predict_proba(x), Array)
    assert_type(MLPRegressor().fit(x, x[:, 0]), MLPRegressor)

    nb.layers.Dropout("half")  # type: ignore[arg-type]
    nb.layers.Dense("many")  # type: ignore[arg-type]
    nb.layers.Dense(8, activation=3)  # type: ignore[arg-type]
    nb.optimizers.Adam(learning_rate="fast")  # type: ignore[arg-type]
    nb.Sequential([3])  # type: ignore[list-item]
    model.fit(x, y, epochs="two")  # type: ignore[arg-type]
    model.thin([0])  # type: ignore[arg-type]
    nb.set_random_seed("0")  # type: ignore[arg-type]
