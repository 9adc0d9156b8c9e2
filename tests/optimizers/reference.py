"""Reference of the optimizers in NumPy and float64: one function for each rule, and the steps around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = dict[str, Any]
#: ``rule(p, g, s, lr, t, h)`` returns the new parameter; s is its state, empty at first, t counts updates from 1.
Rule = Callable[[Array, Array, State, float, int, Mapping[str, Any]], Array]


def sgd(p: Array, g: Array, s: State, lr: float, t: int, h: Mapping[str, Any]) -> Array:
    m = s["m"] = h["momentum"] * s.get("m", 0) - lr * g
    if h["momentum"] == 0:
        return p - lr * g
    return p + h["momentum"] * m - lr * g if h["nesterov"] else p + m


def rmsprop(p: Array, g: Array, s: State, lr: float, t: int, h: Mapping[str, Any]) -> Array:
    rho = h["rho"]
    v = s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    a = s["a"] = rho * s.get("a", 0) + (1 - rho) * g
    step = lr * g / np.sqrt((v - a**2 if h["centered"] else v) + h["epsilon"])
    m = s["m"] = h["momentum"] * s.get("m", 0) + step
    return p - m


def adam(p: Array, g: Array, s: State, lr: float, t: int, h: Mapping[str, Any]) -> Array:
    m = s["m"] = h["beta_1"] * s.get("m", 0) + (1 - h["beta_1"]) * g
    v = s["v"] = h["beta_2"] * s.get("v", 0) + (1 - h["beta_2"]) * g**2
    top = s["top"] = np.maximum(s.get("top", 0), v)
    alpha = lr * np.sqrt(1 - h["beta_2"] ** t) / (1 - h["beta_1"] ** t)
    return p - alpha * m / (np.sqrt(top if h["amsgrad"] else v) + h["epsilon"])


def adamax(p: Array, g: Array, s: State, lr: float, t: int, h: Mapping[str, Any]) -> Array:
    m = s["m"] = h["beta_1"] * s.get("m", 0) + (1 - h["beta_1"]) * g
    u = s["u"] = np.maximum(h["beta_2"] * s.get("u", 0), np.abs(g))
    return p - lr / (1 - h["beta_1"] ** t) * m / (u + h["epsilon"])


def nadam(p: Array, g: Array, s: State, lr: float, t: int, h: Mapping[str, Any]) -> Array:
    def u(k: int) -> float:
        return float(h["beta_1"] * (1 - 0.5 * 0.96**k))

    product = np.prod([u(k) for k in range(1, t + 1)])
    m = s["m"] = h["beta_1"] * s.get("m", 0) + (1 - h["beta_1"]) * g
    v = s["v"] = h["beta_2"] * s.get("v", 0) + (1 - h["beta_2"]) * g**2
    m_hat = u(t + 1) * m / (1 - product * u(t + 1)) + (1 - u(t)) * g / (1 - product)
    return p - lr * m_hat / (np.sqrt(v / (1 - h["beta_2"] ** t)) + h["epsilon"])


def adagrad(p: Array, g: Array, s: State, lr: float, t: int, h: Mapping[str, Any]) -> Array:
    a = s["a"] = s.get("a", h["initial_accumulator_value"]) + g**2
    return p - lr * g / np.sqrt(a + h["epsilon"])


def adadelta(p: Array, g: Array, s: State, lr: float, t: int, h: Mapping[str, Any]) -> Array:
    rho, epsilon = h["rho"], h["epsilon"]
    a = s["a"] = rho * s.get("a", 0) + (1 - rho) * g**2
    d = -np.sqrt(s.get("d", 0) + epsilon) / np.sqrt(a + epsilon) * g
    s["d"] = rho * s.get("d", 0) + (1 - rho) * d**2
    return p + lr * d


def lion(p: Array, g: Array, s: State, lr: float, t: int, h: Mapping[str, Any]) -> Array:
    m = s.get("m", 0)
    s["m"] = h["beta_2"] * m + (1 - h["beta_2"]) * g
    return p - lr * np.sign(h["beta_1"] * m + (1 - h["beta_1"]) * g)


def ftrl(p: Array, g: Array, s: State, lr: float, t: int, h: Mapping[str, Any]) -> Array:
    q, l1 = -h["learning_rate_power"], h["l1_regularization_strength"]
    before = s.get("a", h["initial_accumulator_value"])
    after = s["a"] = before + g**2
    shrinkage = 2 * h["l2_shrinkage_regularization_strength"] * p
    z = s["z"] = s.get("z", 0) + g + shrinkage - (after**q - before**q) / lr * p
    return (np.clip(z, -l1, l1) - z) / (after**q / lr + 2 * h["l2_regularization_strength"] + h["beta"] / lr)


RULES: dict[str, Rule] = {
    "SGD": sgd,
    "RMSprop": rmsprop,
    "Adam": adam,
    "AdamW": adam,
    "Adamax": adamax,
    "Nadam": nadam,
    "Adagrad": adagrad,
    "Adadelta": adadelta,
    "Lion": lion,
    "Ftrl": ftrl,
}


def clipped(gradients: Sequence[Array], h: Mapping[str, Any]) -> list[Array]:
    if h["clipvalue"] is not None:
        return [np.clip(g, -h["clipvalue"], h["clipvalue"]) for g in gradients]
    if h["clipnorm"] is not None:
        return [g * h["clipnorm"] / max(float(np.sqrt((g**2).sum())), h["clipnorm"]) for g in gradients]
    if h["global_clipnorm"] is not None:
        norm = float(np.sqrt(sum((g**2).sum() for g in gradients)))
        return [g * h["global_clipnorm"] / max(norm, h["global_clipnorm"]) for g in gradients]
    return list(gradients)


class Reference:
    """An optimizer in NumPy, of the same class and configuration as one of nbnet's.

    ``learning_rate`` is a function of the step; ``decays`` says for each parameter whether its weights decay.
    """

    def __init__(
        self,
        name: str,
        config: Mapping[str, Any],
        parameters: Sequence[Array],
        learning_rate: Callable[[int], float],
        decays: Sequence[bool] | None = None,
    ) -> None:
        self.rule, self.h, self.learning_rate = RULES[name], config, learning_rate
        self.parameters = [np.array(p, np.float64) for p in parameters]
        self.decays = [True] * len(self.parameters) if decays is None else decays
        self.states: list[State] = [{} for _ in self.parameters]
        self.averages = [np.zeros_like(p) for p in self.parameters]
        self.sums = [np.zeros_like(p) for p in self.parameters]
        self.step = 0

    def apply(self, gradients: Sequence[Array]) -> None:
        n = self.h["gradient_accumulation_steps"] or 1
        self.sums = [a + g for a, g in zip(self.sums, gradients, strict=True)]
        if (self.step + 1) % n == 0:
            self._update(clipped([a / n for a in self.sums], self.h), self.step // n + 1)
            self.sums = [np.zeros_like(p) for p in self.parameters]
        if self.h["use_ema"]:
            updates = self.step // n
            momentum = self.h["ema_momentum"] if updates > 0 else 0.0
            pairs = zip(self.averages, self.parameters, strict=True)
            self.averages = [momentum * a + (1 - momentum) * p for a, p in pairs]
            if self.h["ema_overwrite_frequency"] and (updates + 1) % self.h["ema_overwrite_frequency"] == 0:
                self.parameters = [a.copy() for a in self.averages]
        self.step += 1

    def _update(self, gradients: Sequence[Array], t: int) -> None:
        lr = self.learning_rate(self.step)
        for k, g in enumerate(gradients):
            p = self.parameters[k]
            if self.h["weight_decay"] is not None and self.decays[k]:
                p = p - p * self.h["weight_decay"] * lr
            self.parameters[k] = self.rule(p, g, self.states[k], lr, t, self.h)
