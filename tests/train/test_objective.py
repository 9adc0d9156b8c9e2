"""Losses and metrics that ``compile`` is given, with numbers that Keras 3 gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(12, 4)).astype("float32"), RNG.integers(0, 3, 12)
WEIGHTS = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
SCCE = "sparse_categorical_crossentropy"


def net(units: int = 3, activation: str | None = "softmax") -> nb.Sequential:
    model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(units, activation, name="dense")])
    model.set_weights([WEIGHTS[:, :units], np.zeros(units)])
    return model


def logs_of(model: Any, y: Any, **compiled: Any) -> dict[str, float]:
    model.compile("sgd", **compiled)
    logs: dict[str, float] = model.evaluate(X, y, batch_size=4, verbose=0, return_dict=True)
    return logs


def reads_labels(y_true: Any, y_pred: Any) -> Any:
    return nb.losses.sparse_categorical_crossentropy(y_true, y_pred)


def one_hot_error(y_true: Any, y_pred: Any) -> Any:
    return nb.ops.mean((y_pred - nb.ops.one_hot(nb.ops.cast(y_true, "int32"), 3)) ** 2, axis=-1)


def squared_error(y_true: Any, y_pred: Any) -> Any:
    return nb.ops.mean((y_pred - y_true) ** 2, axis=-1)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    ("loss", "y", "units"),
    [
        (reads_labels, LABELS, 3),
        (reads_labels, LABELS[:, None], 3),
        (one_hot_error, LABELS, 3),
        (squared_error, np.eye(3)[LABELS], 3),
        (squared_error, LABELS > 0, 1),
        ("crossentropy", LABELS, 3),
        ("ce", np.eye(3)[LABELS], 3),
        ("crossentropy", LABELS > 0, 1),
    ],
)
def test_targets_decide_where_the_loss_does_not(loss: Any, y: Any, units: int, eager: bool) -> None:
    """The meaning of "accuracy" and "crossentropy"; and labels stay a vector in a loss of the user's."""
    model = net(units, "softmax" if units > 1 else "sigmoid")
    logs = logs_of(model, y, loss=loss, metrics=["accuracy"], run_eagerly=eager)
    p = model.predict(X, verbose=0)
    one_hot = np.eye(3)[LABELS] if units > 1 else y[:, None]
    right = (p > 0.5) == one_hot if units == 1 else p.argmax(-1) == LABELS
    assert logs["accuracy"] == pytest.approx(right.mean())
    if loss in (one_hot_error, squared_error):
        wanted = ((p - one_hot) ** 2).mean()
    else:
        wanted = -np.log(p[one_hot > 0] if units > 1 else np.where(one_hot, p, 1 - p)).mean()
    assert logs["loss"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    "compiled",
    [
        {"loss": [SCCE], "metrics": ["acc"]},
        {"loss": [SCCE], "metrics": [["acc"]]},
        {"loss": SCCE, "metrics": {"any name": "acc"}},
        {"loss": {"dense": [SCCE]}, "metrics": {"any name": ["acc"]}},
        {"loss": "crossentropy", "metrics": ["acc"]},
    ],
)
def test_structures_of_one_output(compiled: Any) -> None:
    assert logs_of(net(), LABELS, **compiled) == {"loss": pytest.approx(1.842703, abs=1e-5), "acc": 2 / 12}


@pytest.mark.parametrize("metrics", ["acc", nb.metrics.SparseCategoricalAccuracy()])
def test_metrics_are_a_list(metrics: Any) -> None:
    with pytest.raises(ValueError, match="metrics: expected a list, or a dict by name of output"):
        net().compile("sgd", SCCE, metrics=metrics)


@pytest.mark.filterwarnings("ignore:y. rows of shape .* are broadcast")
@pytest.mark.parametrize("eager", [False, True])
def test_targets_broadcast_with_outputs_of_one_more_axis(eager: bool) -> None:
    model = nb.Sequential([nb.Input((4,)), nb.layers.Reshape((4, 1))])
    y = RNG.normal(size=(12, 1))
    logs = logs_of(model, y, loss="mse", metrics=["mae"], run_eagerly=eager)
    assert logs == pytest.approx({"loss": ((X - y) ** 2).mean(), "mae": np.abs(X - y).mean()}, rel=1e-5)
    with pytest.raises(ValueError, match=r"y: expected rows of shape \(4, 1\), got \(1,\)"):
        model.evaluate(X, y[:, 0], verbose=0)


RATIO = RNG.normal(size=(12, 2))


def many(template: Any) -> nb.Model:
    """A model of three outputs: squared errors, labels, absolute errors."""
    x = nb.Input((4,))
    outputs = [
        nb.layers.Dense(units, activation, name=name, kernel_initializer=nb.initializers.Constant(WEIGHTS[:, :units]))(
            x
        )
        for name, units, activation in (("a", 1, None), ("b", 3, "softmax"), ("c", 2, None))
    ]
    return nb.Model(x, template(*outputs))


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    ("template", "y", "losses", "metrics", "labels"),
    [
        (lambda a, b, c: [a, b, c], "abc", ["mse", SCCE, "mae"], [["mae"], "acc", None], ["a", "b", "c", "a", "b"]),
        # A list goes by sorted keys.
        (lambda a, b, c: {"z": a, "b": b, "a": c}, "zba", ["mae", SCCE, "mse"], [[], "acc", "mae"],
         ["z", "b", "a", "z", "b"]),
        (lambda a, b, c: {"z": a, "b": b, "a": c}, "list", ["mae", SCCE, "mse"], {"b": "acc", "z": ["mae"]},
         ["z", "b", "a", "z", "b"]),
        # Nested outputs: structures like theirs, or flat lists.
        (lambda a, b, c: {"p": a, "q": [b, c]}, "nested", {"p": "mse", "q": [SCCE, "mae"]},
         {"p": ["mae"], "q": [["acc"], []]}, ["p", "q/b", "q/c", "a", "b"]),
        (lambda a, b, c: {"p": a, "q": [b, c]}, "nested", ["mse", SCCE, "mae"], [["mae"], ["acc"], []],
         ["p", "q/b", "q/c", "a", "b"]),
    ],
)  # fmt: skip
def test_structures_of_several_outputs(
    template: Any, y: str, losses: Any, metrics: Any, labels: list[str], eager: bool
) -> None:
    model = many(template)
    targets: Any = {
        "abc": [X[:, :1], LABELS, RATIO], "zba": {"z": X[:, :1], "b": LABELS, "a": RATIO},
        "list": [RATIO, LABELS, X[:, :1]], "nested": {"p": X[:, :1], "q": [LABELS, RATIO]},
    }[y]  # fmt: skip
    logs = logs_of(model, targets, loss=losses, metrics=metrics, run_eagerly=eager)
    p = X @ WEIGHTS
    soft = np.exp(p) / np.exp(p).sum(-1, keepdims=True)
    first, third = ((p[:, :1] - X[:, :1]) ** 2).mean(), np.abs(p[:, :2] - RATIO).mean()
    second = -np.log(soft[np.arange(12), LABELS]).mean()
    a, b, c, d, e = labels
    wanted = {
        "loss": first + second + third, f"{a}_loss": first, f"{b}_loss": second, f"{c}_loss": third,
        f"{d}_mae": np.abs(p[:, :1] - X[:, :1]).mean(), f"{e}_acc": (soft.argmax(-1) == LABELS).mean(),
    }  # fmt: skip
    if eager:
        wanted = {name: value for name, value in wanted.items() if not name.endswith("_loss")}
    assert logs == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("loss", [[[]], [{}], [()]])
def test_an_empty_entry_is_no_loss(loss: Any) -> None:
    model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(1)])
    with pytest.raises(ValueError, match="loss: expected one for output"):  # noqa: PT012 - once outputs are known
        model.compile("sgd", loss)
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
