"""The cases of losses and metrics in the table of ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from nbnet.engine.graph.op import registry
from tests.ops.case import (
    EPSILON,
    Array,
    Case,
    Draw,
    N,
    apart,
    beside,
    constant,
    labels,
    normal,
    one_hot,
    positive,
    probabilities,
    whole,
    zeros_and_ones,
)


def even(t: Array, a: Any) -> Array:
    """Smoothed one-hot targets."""
    return t * (1 - a) + a / t.shape[-1]


def normalised(p: Array) -> Array:
    return np.clip(p / p.sum(-1, keepdims=True), EPSILON, 1 - EPSILON)


def loss(name: str, z: Draw, t: Draw, reference: Callable[..., Array], *parameters: float, label: str = "") -> Case:
    return Case(registry[name], (z, t, *(constant(a) for a in parameters)), reference, rows=(0, 1), label=label)


def cross_entropy(t: Array, p: Array) -> Array:
    return -(t * np.log(p)).sum(-1)


def binary_cross_entropy(p: Array, t: Array, a: Any) -> Array:
    s = t * (1 - a) + 0.5 * a
    return -(s * np.log(p) + (1 - s) * np.log(1 - p)).mean(-1)


def picked(p: Array, t: Array) -> Array:
    return np.take_along_axis(p, t[..., None], -1)[..., 0]


def huber(z: Array, t: Array, delta: Any) -> Array:
    e = np.abs(z - t)
    return np.where(e <= delta, 0.5 * e * e, delta * e - 0.5 * delta * delta).mean(-1)


def logarithm(x: Array) -> Array:
    return np.log(np.maximum(x, EPSILON) + 1)


def hinge(z: Array, t: Array) -> Array:
    return np.maximum(1 - np.where(t == 0, -1, t) * z, 0)


def categorical_hinge(z: Array, t: Array) -> Array:
    return np.maximum(((1 - t) * z).max(-1) - (t * z).sum(-1) + 1, 0)


def divergence(z: Array, t: Array, a: Any) -> Array:
    s, p = np.clip(t, EPSILON, 1), np.clip(z, EPSILON, 1)
    return (s * np.log(s / p)).sum(-1)


def unit(x: Array) -> Array:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), EPSILON)


def pinball(z: Array, t: Array, q: Array) -> Array:
    return np.maximum(q * (t - z), (q - 1) * (t - z)).mean(-1)


def gaussian(z: Array, t: Array, constant: Any) -> Array:
    mean, spread = np.split(z, 2, -1)
    return 0.5 * (constant + spread + (t - mean) ** 2 / np.exp(spread)).mean(-1)


def binary_focal(p: Array, t: Array, parameters: Array) -> Array:
    a, gamma, one, zero = parameters
    s, q = t * (1 - a) + 0.5 * a, np.clip(p, EPSILON, 1 - EPSILON)
    wrong = 1 - (s * p + (1 - s) * (1 - p))
    loss = -(s * np.log(q) + (1 - s) * np.log(1 - q))
    return ((s * one + (1 - s) * zero) * wrong**gamma * loss).mean(-1)


def categorical_focal(p: Array, t: Array, parameters: Array) -> Array:
    a, gamma, *alpha = parameters
    return -(np.array(alpha) * (1 - p) ** gamma * even(t, a) * np.log(p)).sum(-1)


def with_ignored(reference: Callable[..., Array]) -> Callable[..., Array]:
    """The reference of a loss of labels of which some are to be ignored."""
    return lambda z, t, ignored: np.where(t == ignored, 0.0, reference(z, np.where(t == ignored, 0, t)))


def ignoring(name: str, z: Draw, reference: Callable[..., Array], ignored: int) -> Case:
    t: Draw = lambda rng: rng.choice([0, 1, 2, 3, ignored], N)  # noqa: E731
    return Case(
        registry[name], (z, t), with_ignored(reference), (0, 1), lambda n: {"ignored": ignored}, f"but {ignored}"
    )


def in_top(z: Array, t: Array, k: int) -> Array:
    return np.array([label in row.argsort()[-k:] for row, label in zip(z, t, strict=True)], float)


def same_class(z: Array, t: Array) -> Array:
    return (z.argmax(-1) == t).astype(float)


LOSS_CASES: list[Case] = [
    loss("mean_squared_error", normal(N, 3), normal(N, 3), lambda z, t, a: ((z - t) ** 2).mean(-1), 0.0),
    loss("mean_absolute_error", normal(N, 3), normal(N, 3), lambda z, t, a: np.abs(z - t).mean(-1), 0.0),
    loss("huber", normal(N, 3), normal(N, 3), huber, 1.3),
    loss(
        "mean_absolute_percentage_error",
        normal(N, 3),
        positive(N, 3),
        lambda z, t, a: 100 * np.abs((z - t) / t).mean(-1),
        0.0,
    ),
    loss(
        "mean_squared_logarithmic_error",
        apart(N, 3),
        apart(N, 3),
        lambda z, t, a: ((logarithm(z) - logarithm(t)) ** 2).mean(-1),
        0.0,
    ),
    loss("log_cosh", normal(N, 19), normal(N, 19), lambda z, t, a: np.log(np.cosh(z - t)).mean(-1), 0.0),
    loss("poisson", positive(N, 3), positive(N, 3), lambda z, t, a: (z - t * np.log(z + EPSILON)).mean(-1), 0.0),
    loss("hinge", beside(-1, 1)(N, 3), zeros_and_ones(N, 3), lambda z, t, a: hinge(z, t).mean(-1), 0.0),
    loss("squared_hinge", normal(N, 3), zeros_and_ones(N, 3), lambda z, t, a: (hinge(z, t) ** 2).mean(-1), 0.0),
    loss("categorical_hinge", normal(N, 4), one_hot(4, N), categorical_hinge),
    loss("kl_divergence", probabilities(N, 4), one_hot(4, N), divergence, 0.0),
    loss("kl_divergence", probabilities(N, 4), probabilities(N, 4), divergence, 0.0, label="soft"),
    loss("cosine_similarity", normal(N, 4), normal(N, 4), lambda z, t: -(unit(z) * unit(t)).sum(-1)),
    loss("quantile", normal(N, 3), normal(N, 3), pinball, 0.7),
    Case(
        registry["quantiles"],
        (normal(N, 3), normal(N, 3), lambda rng: np.array([0.1, 0.5, 0.8])),
        pinball,
        rows=(0, 1),
    ),
    loss("gaussian_negative_log_likelihood", normal(N, 6), normal(N, 3), gaussian, 1.5),
    Case(
        registry["binary_focal_crossentropy"],
        (probabilities(N, 3), zeros_and_ones(N, 3), lambda rng: np.array([0.1, 2.0, 0.3, 0.7])),
        binary_focal,
        rows=(0, 1),
    ),
    Case(
        registry["binary_focal_crossentropy_logits"],
        (normal(N, 3), zeros_and_ones(N, 3), lambda rng: np.array([0.1, 1.5, 1.0, 1.0])),
        lambda z, t, p: binary_focal(special.expit(z), t, p),
        rows=(0, 1),
    ),
    Case(
        registry["categorical_focal_crossentropy"],
        (probabilities(N, 3), one_hot(3, N), lambda rng: np.array([0.1, 2.0, 0.3, 0.7, 0.5])),
        lambda z, t, p: categorical_focal(normalised(z), t, p),
        rows=(0, 1),
    ),
    Case(
        registry["categorical_focal_crossentropy_logits"],
        (normal(N, 3), one_hot(3, N), lambda rng: np.array([0.1, 1.5, 0.3, 0.7, 0.5])),
        lambda z, t, p: categorical_focal(special.softmax(z, -1), t, p),
        rows=(0, 1),
    ),
    loss("binary_crossentropy", probabilities(N, 3), zeros_and_ones(N, 3), binary_cross_entropy, 0.1),
    loss(
        "binary_crossentropy_logits",
        normal(N, 3),
        zeros_and_ones(N, 3),
        lambda z, t, a: binary_cross_entropy(special.expit(z), t, a),
        0.1,
    ),
    loss(
        "categorical_crossentropy",
        probabilities(N, 4),
        one_hot(4, N),
        lambda p, t, a: cross_entropy(even(t, a), normalised(p)),
        0.1,
    ),
    loss(
        "categorical_crossentropy_logits",
        normal(N, 4),
        one_hot(4, N),
        lambda z, t, a: cross_entropy(even(t, a), special.softmax(z, -1)),
        0.1,
    ),
    loss(
        "sparse_categorical_crossentropy",
        probabilities(N, 4),
        labels(4, N),
        lambda p, t: -np.log(picked(normalised(p), t)),
    ),
    loss(
        "sparse_categorical_crossentropy_logits",
        normal(N, 4),
        labels(4, N),
        lambda z, t: -np.log(picked(special.softmax(z, -1), t)),
    ),
    ignoring(
        "sparse_categorical_crossentropy",
        probabilities(N, 4),
        lambda p, t: -np.log(picked(normalised(p), t)),
        -1,
    ),
    ignoring(
        "sparse_categorical_crossentropy_logits",
        normal(N, 4),
        lambda z, t: -np.log(picked(special.softmax(z, -1), t)),
        2,
    ),
    ignoring("label_mask", normal(N, 4), lambda z, t: np.ones(len(z)), 255),
    loss("sparse_categorical_accuracy", normal(N, 4), labels(4, N), same_class),
    loss("accuracy", whole(N, 3), whole(N, 3), lambda z, t: z == t),
    Case(
        registry["top_k_categorical_accuracy"],
        (normal(N, 7), one_hot(7, N)),
        lambda z, t, k: in_top(z, t.argmax(-1), k),
        (0, 1),
        lambda n: {"k": 3},
    ),
    Case(
        registry["sparse_top_k_categorical_accuracy"],
        (normal(N, 7), labels(7, N)),
        in_top,
        (0, 1),
        lambda n: {"k": 2},
    ),
    loss("categorical_accuracy", normal(N, 4), one_hot(4, N), lambda z, t: same_class(z, t.argmax(-1))),
    loss("binary_accuracy", probabilities(N, 3), zeros_and_ones(N, 3), lambda z, t, a: (z > a) == t, 0.5),
]
