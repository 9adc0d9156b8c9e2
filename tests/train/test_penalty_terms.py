"""Training with penalties and constraints does what NumPy does by hand, in one slice and in two, compiled and eager."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet import constraints, regularizers
from nbnet.layers import ActivityRegularization, Dense, Layer
from nbnet.train import step_builder
from tests.slicing import always_cut

Array = NDArray[Any]
rng = np.random.default_rng(7)
X, Y = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
VX, VY = rng.normal(size=(11, 4)), rng.normal(size=(11, 2))
WEIGHTS = [rng.normal(size=shape) for shape in ((4, 5), (5,), (5, 2), (2,))]
BATCH, EPOCHS, RATE = 8, 3, 0.05


class Adds(Layer):
    """Passes its input on, and adds something computed from it to the loss."""

    def __init__(self, added: Callable[[nb.Tensor], nb.Tensor], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.added = added

    def call(self, x: nb.Tensor) -> nb.Tensor:
        self.add_loss(self.added(x))
        return x


class AddsWeights(Dense):
    """Adds a penalty on its weights by hand."""

    def call(self, x: nb.Tensor) -> nb.Tensor:
        self.add_loss(regularizers.L2(0.1)(self.kernel))
        self.add_loss(0.2 * nb.ops.sum(nb.ops.abs(self.bias)))
        return super().call(x)


@dataclass(frozen=True)
class Case:
    """Keywords of the hidden layer, the layer after it, and the same formulas in NumPy.

    ``penalty(weights, h)`` is added to the loss of a batch with hidden outputs h; ``held`` are the formulas of
    constraints, by the index of the weight. ``cut`` is True if batches are cut into slices.
    """

    hidden: dict[str, Any] = field(default_factory=dict)
    penalty: Callable[[Sequence[Array], Array], Any] = lambda weights, h: 0.0
    held: dict[int, Callable[[Array], Array]] = field(default_factory=dict)
    after: Callable[[], Layer] | None = None
    layer: type[Dense] = Dense
    cut: bool = True

    def model(self) -> nb.Sequential:
        hidden = self.layer(5, "tanh", dtype="float64", **self.hidden)
        layers = [hidden, *([] if self.after is None else [self.after()]), Dense(2, dtype="float64")]
        model = nb.Sequential([nb.Input((4,), dtype="float64"), *layers])
        model.compile(nb.optimizers.SGD(RATE), "mse")
        model.set_weights(WEIGHTS)
        return model


def orthogonal(w: Array) -> Any:
    unit = w / np.linalg.norm(w, axis=1, keepdims=True)
    cosines = np.abs(unit @ unit.T)
    return 0.3 * (cosines.sum() - np.trace(cosines)) / (len(w) * (len(w) - 1))


def bounded(low: float, high: float, rate: float = 1.0) -> Callable[[Array], Array]:
    def project(w: Array) -> Array:
        norms = np.sqrt((w**2).sum(0, keepdims=True))
        wanted = rate * np.clip(norms, low, high) + (1 - rate) * norms
        return np.asarray(w * (wanted / (1e-7 + norms)))

    return project


CASES = {
    "nothing": Case(),
    "l1": Case({"kernel_regularizer": regularizers.L1(0.1)}, lambda w, h: 0.1 * abs(w[0]).sum()),
    "l2": Case({"bias_regularizer": regularizers.L2(0.1)}, lambda w, h: 0.1 * (w[1] ** 2).sum()),
    "l1_l2": Case(
        {"kernel_regularizer": "l1_l2", "bias_regularizer": "l1"},
        lambda w, h: 0.01 * (abs(w[0]).sum() + (w[0] ** 2).sum() + abs(w[1]).sum()),
    ),
    "orthogonal": Case({"kernel_regularizer": regularizers.OrthogonalRegularizer(0.3)}, lambda w, h: orthogonal(w[0])),
    "function": Case({"kernel_regularizer": lambda w: nb.ops.mean(w * w * w)}, lambda w, h: (w[0] ** 3).mean()),
    "activity": Case(
        {"activity_regularizer": regularizers.L1L2(0.3, 0.2)},
        lambda w, h: (0.3 * abs(h) + 0.2 * h**2).sum() / len(h),
    ),
    "activity layer": Case(
        {}, lambda w, h: 0.3 * abs(h).sum() / len(h), after=lambda: ActivityRegularization(0.3, dtype="float64")
    ),
    "activity function": Case(
        {"activity_regularizer": lambda y: nb.ops.square(nb.ops.sum(y))},
        lambda w, h: h.sum() ** 2 / len(h),
        cut=False,
    ),
    "add_loss, mean": Case(
        {}, lambda w, h: (h**2).mean(), after=lambda: Adds(lambda x: nb.ops.mean(x * x), dtype="float64"), cut=False
    ),
    "add_loss, sum": Case(
        {},
        lambda w, h: 0.1 * abs(h).sum(),
        after=lambda: Adds(regularizers.L1(0.1), dtype="float64"),
        cut=False,
    ),
    "add_loss, weights": Case({}, lambda w, h: 0.1 * (w[0] ** 2).sum() + 0.2 * abs(w[1]).sum(), layer=AddsWeights),
    "max_norm": Case({"kernel_constraint": constraints.MaxNorm(0.9)}, held={0: bounded(0, 0.9)}),
    "min_max_norm": Case(
        {"kernel_constraint": constraints.MinMaxNorm(0.5, 0.9, 0.4)}, held={0: bounded(0.5, 0.9, 0.4)}
    ),
    "unit_norm": Case({"bias_constraint": "unit_norm"}, held={1: bounded(1, 1)}),
    "non_neg": Case(
        {"kernel_constraint": "non_neg", "bias_constraint": "non_neg"},
        held={0: lambda w: np.maximum(w, 0), 1: lambda w: np.maximum(w, 0)},
    ),
    "constraint function": Case({"kernel_constraint": lambda w: nb.ops.tanh(w)}, held={0: np.tanh}),
    "both": Case(
        {"kernel_regularizer": "l2", "kernel_constraint": constraints.MaxNorm(0.9), "activity_regularizer": "l2"},
        lambda w, h: 0.01 * (w[0] ** 2).sum() + 0.01 * (h**2).sum() / len(h),
        {0: bounded(0, 0.9)},
    ),
}
each = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


# ---- by hand ---------------------------------------------------------------------------------------------------


def loss_of(case: Case, weights: Sequence[Array], x: Array, y: Array) -> float:
    h = np.tanh(x @ weights[0] + weights[1])
    return float(((h @ weights[2] + weights[3] - y) ** 2).mean() + case.penalty(weights, h))


def mean_loss(case: Case, weights: Sequence[Array], x: Array, y: Array, size: int) -> float:
    """Batches count by their rows."""
    parts = [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]
    return sum(loss_of(case, weights, *part) * len(part[0]) for part in parts) / len(x)


def gradients(case: Case, weights: Sequence[Array], x: Array, y: Array) -> list[Array]:
    """Central differences."""
    found, eps = [np.zeros_like(w) for w in weights], 1e-6
    for w, g in zip(weights, found, strict=True):
        for at in np.ndindex(w.shape):
            here = w[at]
            w[at] = here + eps
            above = loss_of(case, weights, x, y)
            w[at] = here - eps
            g[at] = (above - loss_of(case, weights, x, y)) / (2 * eps)
            w[at] = here
    return found


def by_hand(case: Case, epochs: int = EPOCHS) -> tuple[list[Array], list[float], list[float]]:
    """Weights after some epochs; losses of training and validation."""
    weights, losses, held = [w.copy() for w in WEIGHTS], [], []
    for _ in range(epochs):
        total = 0.0
        for i in range(0, len(X), BATCH):
            x, y = X[i : i + BATCH], Y[i : i + BATCH]
            total += loss_of(case, weights, x, y) * len(x)
            for w, g in zip(weights, gradients(case, weights, x, y), strict=True):
                w -= RATE * g
            for k, project in case.held.items():
                weights[k][...] = project(weights[k])
        losses.append(total / len(X))
        held.append(mean_loss(case, weights, VX, VY, BATCH))
    return weights, losses, held


def assert_weights(model: nb.Sequential, wanted: Sequence[Array], tolerance: float = 1e-7) -> None:
    for found, w in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_allclose(found, w, tolerance, tolerance)


@pytest.fixture
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of slices of programs that are written, cut for so many threads as the parameter says."""
    made: list[int] = []
    lower = step_builder.lower

    def spy(phases: Any, first_rows: Sequence[int], *rest: Any) -> Any:
        made.append(len(first_rows))
        return lower(phases, first_rows, *rest)

    monkeypatch.setattr(step_builder, "lower", spy)
    always_cut(monkeypatch)
    monkeypatch.setattr(step_builder, "processors", lambda: request.param)
    return made


def fit(model: nb.Sequential, epochs: int = EPOCHS, **kwargs: Any) -> dict[str, list[float]]:
    found: dict[str, list[float]] = model.fit(X, Y, BATCH, epochs, 0, shuffle=False, **kwargs).history
    return found


@each
@pytest.mark.parametrize("cut", [1, 2, 3], indirect=True)
def test_training_follows_numpy(case: Case, cut: list[int], request: pytest.FixtureRequest) -> None:
    model = case.model()
    history = fit(model, validation_data=(VX, VY))
    weights, losses, held = by_hand(case)
    assert_weights(model, weights)
    np.testing.assert_allclose(history["loss"], losses, 1e-7)
    np.testing.assert_allclose(history["val_loss"], held, 1e-7)
    np.testing.assert_allclose(model.evaluate(VX, VY, BATCH, 0), held[-1], 1e-7)
    slices = request.node.callspec.params["cut"] if case.cut else 1
    assert cut
    assert set(cut) == {slices}


@each
@pytest.mark.parametrize("cut", [1, 2], indirect=True)
def test_eager_steps_agree(case: Case, cut: list[int]) -> None:
    fitted, by_tape = case.model(), case.model()
    fit(fitted, 2)
    for i in [*range(0, len(X), BATCH)] * 2:
        with nb.Tape() as tape:
            loss = fitted.loss(Y[i : i + BATCH], by_tape(X[i : i + BATCH], training=True))
            for added in by_tape.losses:
                loss = loss + added
        found = tape.gradient(loss, by_tape.trainable_weights)
        by_tape.optimizer.apply(found, by_tape.trainable_weights)
    # Not bit for bit: a program adds gradients in the order of the forward pass, a tape in that of the graph.
    assert_weights(by_tape, fitted.get_weights(), 1e-12)


# ---- what changes ------------------------------------------------------------------------------------------------


def test_penalties_may_be_assigned() -> None:
    case, model = CASES["l1"], CASES["nothing"].model()
    before = model.evaluate(X, Y, 20, 0)
    fit(model, 1)
    model.set_weights(WEIGHTS)
    model.layers[0].kernel.regularizer = regularizers.L1(0.1)
    np.testing.assert_allclose(model.evaluate(X, Y, 20, 0) - before, case.penalty(WEIGHTS, X), 1e-9)
    fit(model)
    assert_weights(model, by_hand(case)[0])


def test_constraints_may_be_assigned() -> None:
    model = CASES["nothing"].model()
    fit(model, 1)
    model.set_weights(WEIGHTS)
    model.layers[0].kernel.constraint = constraints.MaxNorm(0.9)
    fit(model)
    assert_weights(model, by_hand(CASES["max_norm"])[0])


def test_weights_that_are_not_trained_cost_nothing() -> None:
    model = CASES["l1"].model()
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    assert model.losses == []
    np.testing.assert_allclose(model.evaluate(X, Y, 20, 0), loss_of(CASES["nothing"], WEIGHTS, X, Y), 1e-12)


def test_models_inside_count_once() -> None:
    inner = CASES["both"].model()
    outer = nb.Sequential([nb.Input((4,), dtype="float64"), inner])
    outer.compile(nb.optimizers.SGD(RATE), "mse")
    assert len(outer.losses) == len(inner.losses) == 1
    np.testing.assert_allclose(outer.evaluate(X, Y, 20, 0), loss_of(CASES["both"], WEIGHTS, X, Y), 1e-12)
    fit(outer)
    assert_weights(outer, by_hand(CASES["both"])[0])


class Whole(nb.Model):
    """A model whose weights, activity and ``call`` all add to the loss."""

    def __init__(self) -> None:
        super().__init__(dtype="float64")
        self.hidden = Dense(5, "tanh", kernel_regularizer="l2", activity_regularizer="l2", dtype="float64")
        self.top = Dense(2, dtype="float64")

    def call(self, x: nb.Tensor) -> nb.Tensor:
        h = self.hidden(x)
        self.add_loss(regularizers.L1(0.1)(h) * (1 / len(h)))
        return self.top(h)


class ByHand(Whole):
    """A step of training as users write it; notes how many losses there were."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with nb.Tape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        weights = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        self.counts.append(len(self.losses))
        return {"loss": loss.item()}


def test_steps_by_hand_do_what_programs_do() -> None:
    by_hand, compiled = ByHand(), Whole()
    for model in (by_hand, compiled):
        model.compile(nb.optimizers.SGD(RATE), "mse", run_eagerly=model is by_hand)
        model(X[:1])
        model.set_weights(WEIGHTS)
        model.hidden.kernel.constraint = constraints.MaxNorm(0.9)
        fit(model)
    assert_weights(by_hand, compiled.get_weights(), 1e-12)
    assert set(by_hand.counts) == {3}


def test_predictions_know_nothing_of_it() -> None:
    plain, model = CASES["nothing"].model(), CASES["both"].model()
    np.testing.assert_array_equal(plain.predict(X), model.predict(X))


def test_accumulated_gradients_have_their_penalties() -> None:
    model = CASES["l2"].model()
    model.compile(nb.optimizers.SGD(RATE, gradient_accumulation_steps=2), "mse")
    model.fit(X, Y, 10, 1, 0, shuffle=False)
    parts = [gradients(CASES["l2"], [w.copy() for w in WEIGHTS], X[i : i + 10], Y[i : i + 10]) for i in (0, 10)]
    assert_weights(model, [w - RATE * (a + b) / 2 for w, a, b in zip(WEIGHTS, *parts, strict=True)])
