"""The one table of optimizers and extras, and how they are run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nbnet as nb
from nbnet.engine.graph.tensor import Call, Tensor, encode
from nbnet.engine.kernels.abi import Memory
from nbnet.engine.kernels.layout import EVERY, WIDTH
from nbnet.engine.runtime.program import Linked, lower
from nbnet.optimizers import Optimizer

Array = NDArray[Any]

#: Shapes of parameters: small ones, whose padding must not count, and one of more than a block.
SHAPES = ((5, 3), (3,), (), (2100,))
NAMES = ("dense/kernel", "dense/bias", "scale", "embedding")
STEPS = 24


@dataclass(frozen=True)
class Case:
    """An optimizer and its arguments."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v}' for k, v in self.arguments.items())})"

    def make(self, **extras: Any) -> Optimizer:
        made = getattr(nb.optimizers, self.name)(**{**self.arguments, **extras})
        assert isinstance(made, Optimizer)
        return made


RULES = [
    Case("SGD", {"learning_rate": 0.05}),
    Case("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    Case("SGD", {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    Case("RMSprop", {"learning_rate": 0.01}),
    Case("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "momentum": 0.5, "centered": True, "epsilon": 0.01}),
    Case("RMSprop", {"learning_rate": 0.01, "momentum": 0.3}),
    Case("Adam", {"learning_rate": 0.01}),
    Case("Adam", {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.7, "epsilon": 0.1, "amsgrad": True}),
    Case("AdamW", {"learning_rate": 0.1}),
    Case("Adamax", {"learning_rate": 0.02, "beta_2": 0.9}),
    Case("Nadam", {"learning_rate": 0.02}),
    Case("Adagrad", {"learning_rate": 0.1}),
    Case("Adadelta", {"learning_rate": 1.0, "epsilon": 1e-3}),
    Case("Lion", {"learning_rate": 0.01}),
    Case("Ftrl", {"learning_rate": 0.1}),
    Case(
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.3,
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.05,
            "l2_shrinkage_regularization_strength": 0.02,
            "beta": 0.3,
        },
    ),
]
#: One of each optimizer.
EACH = list({case.name: case for case in reversed(RULES)}.values())
EXTRAS: list[dict[str, Any]] = [
    {"weight_decay": 0.1},
    {"clipnorm": 0.7},
    {"clipvalue": 0.3},
    {"global_clipnorm": 1.0},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 3},
    {"gradient_accumulation_steps": 2, "clipnorm": 0.4},
    {
        "gradient_accumulation_steps": 4,
        "global_clipnorm": 0.5,
        "weight_decay": 0.05,
        "use_ema": True,
        "ema_overwrite_frequency": 2,
    },
]


def start(dtype: Any = np.float64) -> list[nb.Parameter]:
    rng = np.random.default_rng(0)
    return [
        nb.Parameter(rng.normal(size=s).astype(dtype), name=n, dtype=dtype) for s, n in zip(SHAPES, NAMES, strict=True)
    ]


def gradients(step: int) -> list[Array]:
    """Gradients of different sizes."""
    rng = np.random.default_rng(100 + step)
    return [np.asarray(rng.normal(size=s) * (0.2 + k)) for k, s in enumerate(SHAPES)]


def values(parameters: Sequence[nb.Parameter]) -> Array:
    """All parameters in one vector."""
    return np.concatenate([p.numpy().reshape(-1) for p in parameters])


class Program:
    """The phases of an optimizer as a program of some slices, compiled or in Python."""

    def __init__(self, optimizer: Optimizer, parameters: Sequence[nb.Parameter], slices: int = 1) -> None:
        self.optimizer, self.block, self.slices = optimizer, optimizer.build(parameters), slices
        self.gradients: Tensor = self.block.like(slices, "gradients")
        alone: list[list[Call]] = [optimizer.prelude(), *([] for _ in range(slices - 1))]
        self.phases = [alone, *optimizer.plan().phases(self.gradients, slices)]
        self.linked = Linked(lower(self.phases, [0] * slices, self.block.dtype))

    def apply(self, given: Sequence[Array], python: bool = False) -> None:
        """One step; slices are given random parts that add up to the gradients."""
        rng = np.random.default_rng(self.optimizer.steps)
        flat = self.gradients.numpy()
        for g, low in zip(given, self.block.starts, strict=True):
            parts = rng.normal(size=(self.slices, g.size))
            parts[0] += g.reshape(-1) - parts.sum(0)
            flat[:, low : low + g.size] = parts
        step = self.optimizer.steps
        if python:
            self._in_python(step)
        else:
            self.linked.run(1, step)
        self.optimizer.steps += 1

    def _in_python(self, step: int) -> None:
        for call in (call for phase in self.phases for part in phase for call in part):
            row = np.zeros(WIDTH, np.int64)
            encode(row, call)
            every = int(row[EVERY])
            if (step + 1) % every == 0:
                call.kernel(Memory(0, call.dtype), row, step // every)
