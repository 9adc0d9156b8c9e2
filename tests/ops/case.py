"""A case of the op tests, and the random arrays that cases are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.engine.graph.op import Op

Array = NDArray[Any]
Draw = Callable[[np.random.Generator], Array]
#: Rows in the batch of every case, and units of the dense ones.
N, UNITS = 6, 5
EPSILON = 1e-7


@dataclass(frozen=True)
class Case:
    """An op, its inputs and its reference.

    Parameters
    ----------
    op
        The op.
    draws
        One function of a random generator for each input. Floats are cast to the dtype under test; they keep away from
        kinks, where finite differences are wrong.
    reference
        The op in NumPy: ``reference(*inputs, **attributes)``, with the recorded ``mask=`` or ``noise=`` for ops
        that draw.
    rows
        Inputs whose first axis is the batch, where each row of the result depends on its own row alone; empty: none.
    attributes
        For ``apply``, given the number of rows.
    injected
        Draws the mask or noise to apply instead of drawing one in the kernel.
    """

    op: Op
    draws: tuple[Draw, ...]
    reference: Callable[..., Any]
    rows: tuple[int, ...] = ()
    attributes: Callable[[int], Mapping[str, Any]] = field(default=lambda n: {})
    label: str = ""
    injected: Draw | None = None

    @property
    def id(self) -> str:
        return f"{self.op.name}-{self.label}" if self.label else self.op.name

    def inputs(self, dtype: Any, seed: int = 0) -> list[Array]:
        """Drawn inputs; floats in the dtype under test."""
        rng = np.random.default_rng(seed)
        drawn = [np.asarray(draw(rng)) for draw in self.draws]
        return [np.array(a, dtype if a.dtype.kind == "f" else None, order="C") for a in drawn]

    def attributes_for(self, inputs: Sequence[Array]) -> Mapping[str, Any]:
        """The attributes for these inputs: some depend on the number of rows."""
        return self.attributes(len(inputs[self.rows[0]]) if self.rows else N)


def normal(*shape: int) -> Draw:
    return lambda rng: rng.normal(0, 1.5, shape)


def apart(*shape: int) -> Draw:
    """Numbers at least 0.1 away from -3, 0 and 3, where activations have kinks."""

    def draw(rng: np.random.Generator) -> Array:
        x = rng.uniform(0.1, 2.9, shape) + 3 * rng.integers(0, 2, shape)
        return x * rng.choice([-1.0, 1.0], shape)

    return draw


def beside(*kinks: float) -> Callable[..., Draw]:
    """Draws of numbers at least 0.1 away from each kink."""

    def shaped(*shape: int) -> Draw:
        def draw(rng: np.random.Generator) -> Array:
            x = rng.uniform(-1.5, 1.5, shape) + rng.choice(kinks, shape)
            near = np.array(kinks)[np.abs(x[..., None] - kinks).argmin(-1)]
            return np.where(np.abs(x - near) < 0.1, near + 0.2, x)

        return draw

    return shaped


def positive(*shape: int) -> Draw:
    return lambda rng: rng.uniform(0.3, 3, shape)


def probabilities(*shape: int) -> Draw:
    return lambda rng: rng.uniform(0.05, 0.95, shape)


def whole(*shape: int) -> Draw:
    return lambda rng: rng.integers(0, 3, shape).astype(float)


def zeros_and_ones(*shape: int) -> Draw:
    return lambda rng: rng.integers(0, 2, shape).astype(float)


def booleans(*shape: int) -> Draw:
    return lambda rng: rng.integers(0, 2, shape).astype(bool)


def integers(*shape: int) -> Draw:
    return lambda rng: rng.integers(-9, 9, shape)


def counts(*shape: int) -> Draw:
    return lambda rng: rng.integers(1, 4, shape)


def labels(classes: int, *shape: int) -> Draw:
    return lambda rng: rng.integers(0, classes, shape)


def one_hot(classes: int, *shape: int) -> Draw:
    return lambda rng: np.eye(classes)[rng.integers(0, classes, shape)]


def constant(value: float) -> Draw:
    return lambda rng: np.array(value)


def rows_of_mask(*shape: int) -> Draw:
    return lambda rng: rng.integers(0, 2, shape).astype(np.uint8)
