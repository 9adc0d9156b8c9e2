"""Within a phase no slice writes what another one reads or writes: results do not depend on who comes first.

A program runs row by row in one thread, the slices of each phase in some order. If two slices touched the same memory
in one phase, and one of them wrote to it, another order would give other numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet import layers
from nbnet.engine.kernels.executor import RowRunner
from tests.optimizers.cases import EACH, EXTRAS, Case

rng = np.random.default_rng(3)
X = rng.normal(size=(42, 9)).astype(np.float32)  # the last of batches of 16 has ten rows
LABELS = rng.integers(0, 3, 42)
_run = RowRunner.__call__
_ONE = np.array([[[0, 1]]], np.int64)

#: Widths are odd, so that ranges of slices begin within the rows of a matrix.
DROPOUTS: dict[str, dict[str, Any]] = {
    "none": {"rate": 0.0},
    "each row": {"rate": 0.4},
    "batchwise": {"rate": 0.4, "batchwise": True},
}
RULES: list[dict[str, Any]] = [
    {},
    {"kernel_constraint": nb.constraints.MaxNorm(0.6)},
    {"kernel_regularizer": "l2", "bias_regularizer": "l1", "activity_regularizer": "l1"},
]
#: Settings that optimizers cannot combine with others of the table are their own entries.
OPTIONS: list[dict[str, Any]] = [
    {},
    *EXTRAS,
    {"use_ema": True, "clipnorm": 0.3},
    {"use_ema": True, "global_clipnorm": 0.3, "ema_overwrite_frequency": 2},
    {"use_ema": True, "lazy": True, "weight_decay": 0.1},
]


def in_order(turn: int) -> Any:
    """The runner of rows, with slices one after the other: from the first, from the last, or from the second on."""

    def run(self: RowRunner, steps: int, step: int) -> None:
        if self.slices == 1:
            _run(self, steps, step)
            return
        order = [range(self.slices), range(self.slices)[::-1], [*range(1, self.slices), 0]][turn]
        for k in range(steps):
            for phase in self.spans:
                for t in order:
                    for i in range(*phase[t]):
                        _run(RowRunner(self.mem, self.dtype, self.rows[i : i + 1], _ONE), 1, step + k)

    return run


def state(
    optimizer: nb.optimizers.Optimizer, dropout: dict[str, Any], rules: dict[str, Any], slices: int
) -> list[NDArray[Any]]:
    """Weights, and the optimizer's state, after two epochs."""
    nb.set_random_seed(2)
    parts: list[Any] = []
    for units in (11, 13):
        parts += [layers.Dense(units, "relu", **rules), layers.Dropout(**dropout)]
    model = nb.Sequential([nb.Input((9,)), *parts, layers.Dense(3, "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], slices=slices)
    history = model.fit(X, LABELS, 16, 2, verbose=0)
    return [*model.get_weights(), *optimizer.get_state().values(), np.array(history.history["loss"])]


def check(
    monkeypatch: pytest.MonkeyPatch, case: Case, extra: dict[str, Any], dropout: dict[str, Any], rules: dict[str, Any],
    slices: int
) -> None:  # fmt: skip
    found = []
    for turn in range(slices):
        monkeypatch.setattr(RowRunner, "__call__", in_order(turn))
        found.append(state(case.make(**extra), dropout, rules, slices))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("slices", [2, 3])
@pytest.mark.parametrize("dropout", ["none", "each row", "batchwise"])
@pytest.mark.parametrize("extra", OPTIONS, ids=str)
def test_options(monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], dropout: str, slices: int) -> None:
    check(monkeypatch, Case("Adam", {"learning_rate": 0.02}), extra, DROPOUTS[dropout], {}, slices)


@pytest.mark.parametrize("slices", [2, 3])
@pytest.mark.parametrize("extra", [{}, {"use_ema": True, "ema_overwrite_frequency": 2}], ids=str)
@pytest.mark.parametrize("case", EACH, ids=lambda case: case.name)
def test_optimizers(monkeypatch: pytest.MonkeyPatch, case: Case, extra: dict[str, Any], slices: int) -> None:
    check(monkeypatch, case, extra, DROPOUTS["batchwise"], {}, slices)


@pytest.mark.parametrize("slices", [2, 3])
@pytest.mark.parametrize("dropout", ["each row", "batchwise"])
@pytest.mark.parametrize("rules", RULES, ids=lambda rules: ", ".join(rules) or "none")
def test_rules_of_weights(monkeypatch: pytest.MonkeyPatch, rules: dict[str, Any], dropout: str, slices: int) -> None:
    extra = {"use_ema": True, "ema_overwrite_frequency": 2}
    check(monkeypatch, Case("SGD", {"learning_rate": 0.1, "momentum": 0.9}), extra, DROPOUTS[dropout], rules, slices)


def test_threads_agree_run_after_run() -> None:
    """The same with threads: batchwise dropout and averages, on two slices."""
    extra = {"use_ema": True, "ema_momentum": 0.9}
    found = [state(Case("Adam").make(**extra), DROPOUTS["batchwise"], {}, 2) for _ in range(20)]
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
