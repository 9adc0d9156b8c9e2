"""Inputs of each op in ``benchmarks.kernels``: one line for each op, for n rows of m numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbnet.ops.elementwise import fusible

Array = NDArray[Any]


@dataclass(frozen=True)
class Given:
    """Inputs of an op, numbers and arrays, and its attributes.

    Attributes
    ----------
    product
        Rows, inner length and columns of the matrix product that the op consists of; None: it consists of none.
    """

    inputs: tuple[Any, ...]
    attributes: Mapping[str, Any]
    product: tuple[int, int, int] | None = None


class Draws:
    """Arrays of random numbers."""

    def __init__(self, dtype: Any) -> None:
        self.dtype, self.rng = np.dtype(dtype), np.random.default_rng(0)

    def normal(self, *shape: int) -> Array:
        return self.rng.standard_normal(shape, np.float32).astype(self.dtype)

    def positive(self, *shape: int) -> Array:
        values: Array = self.rng.random(shape, np.float32).astype(self.dtype) + self.dtype.type(0.3)
        return values

    def unit(self, *shape: int) -> Array:
        uniform = self.rng.random(shape, np.float32).astype(self.dtype)
        values: Array = uniform * self.dtype.type(0.9) + self.dtype.type(0.05)
        return values

    def bits(self, *shape: int) -> Array:
        return self.mask(*shape).astype(self.dtype)

    def mask(self, *shape: int) -> Array:
        return self.rng.integers(0, 2, shape, np.uint8)

    def below(self, limit: int, *shape: int) -> Array:
        return self.rng.integers(0, limit, shape)

    def one_hot(self, n: int, m: int) -> Array:
        made = np.zeros((n, m), self.dtype)
        made[np.arange(n), self.below(m, n)] = 1
        return made


Recipe = Callable[[Draws, int, int], Given]


def given(*inputs: Any, product: tuple[int, int, int] | None = None, **attributes: Any) -> Given:
    return Given(inputs, attributes, product)


def normal(*numbers: float, **attributes: Any) -> Recipe:
    """A matrix, then numbers."""
    return lambda d, n, m: given(d.normal(n, m), *numbers, **attributes)


def positive(*numbers: float) -> Recipe:
    return lambda d, n, m: given(d.positive(n, m), *numbers)


def two(*numbers: float) -> Recipe:
    """Two matrices of normal numbers: predictions and targets."""
    return lambda d, n, m: given(d.normal(n, m), d.normal(n, m), *numbers)


def whole(count: int) -> Recipe:
    """Matrices of small integers."""
    return lambda d, n, m: given(*(d.below(4, n, m) for _ in range(count)))


def two_positive(*numbers: float) -> Recipe:
    return lambda d, n, m: given(d.positive(n, m), d.positive(n, m), *numbers)


def classified(*numbers: Any) -> Recipe:
    """Probabilities, and targets of 0 and 1."""
    return lambda d, n, m: given(d.unit(n, m), d.bits(n, m), *numbers)


def distributed(*numbers: Any) -> Recipe:
    """Probabilities, and a one in each row of targets."""
    return lambda d, n, m: given(d.unit(n, m), d.one_hot(n, m), *numbers)


def labelled(**attributes: Any) -> Recipe:
    return lambda d, n, m: given(d.unit(n, m), d.below(m, n), **attributes)


def images(d: Draws, n: int, m: int, channels: int = 16) -> Array:
    """As many numbers as n rows of m, or somewhat less, in images of 16x16."""
    return d.normal(max(1, n * m // (256 * channels)), 16, 16, channels)


def reduced(axis: int) -> Recipe:
    def recipe(d: Draws, n: int, m: int) -> Given:
        if axis == 0:
            return given(d.normal(n, m), shape=(m,), n=n, inner=m)
        return given(d.normal(n, m), shape=(n,), n=m, inner=1)

    return recipe


def multiplied(d: Draws, n: int, m: int) -> Given:
    return given(d.normal(n, m), d.normal(m, m), d.normal(m), product=(n, m, m))


def convolved(channels: int) -> Recipe:
    def recipe(d: Draws, n: int, m: int) -> Given:
        x = images(d, n, m, channels)
        windows = {"strides": (1, 1), "padding": "same", "dilation_rate": (1, 1)}
        shape = x.size // channels, 9 * channels, 16
        return given(x, d.normal(3, 3, channels, 16), d.normal(16), product=shape, **windows)

    return recipe


def depthwise(d: Draws, n: int, m: int) -> Given:
    windows: dict[str, Any] = {"strides": (1, 1), "padding": "same", "dilation_rate": (1, 1)}
    return given(images(d, n, m), d.normal(3, 3, 16, 1), d.normal(16), **windows)


def pooled(d: Draws, n: int, m: int) -> Given:
    return given(images(d, n, m), pool_size=(2, 2), strides=(2, 2), padding="valid")


def normalised(axis: int, fixed: bool = False) -> Recipe:
    def recipe(d: Draws, n: int, m: int) -> Given:
        x = d.normal(n // 16, 16, m)
        k = x.shape[axis]
        statistics = (d.normal(k), d.positive(k)) if fixed else ()
        return given(x, d.normal(k), d.normal(k), *statistics, 1e-3, axis=axis)

    return recipe


def connected(group_size: int) -> Recipe:
    """Weights of 16 outputs: each row, or group of rows, has a mask of its own."""

    def recipe(d: Draws, n: int, m: int) -> Given:
        rows = max(n // 16, 1)
        return given(d.normal(rows, m), d.normal(m, 16), d.normal(16), 0.4, group_size=group_size)

    return recipe


FOCAL = np.array([0.1, 2.0, 0.3, 0.7])


def focal(d: Draws, n: int, m: int) -> Given:
    return given(d.unit(n, m), d.one_hot(n, m), np.array([0.1, 2.0, *d.unit(m)]))


#: By op, what it is given; by label, where there are several. Element-wise ops that are not here get normal numbers.
RECIPES: dict[str, Recipe | dict[str, Recipe]] = {
    "log": positive(),
    "log1p": positive(),
    "sqrt": positive(),
    "celu": normal(1.0),
    "elu": normal(0.7),
    "hard_shrink": normal(0.5),
    "leaky_relu": normal(0.2),
    "soft_shrink": normal(0.5),
    "squareplus": normal(4.0),
    **dict.fromkeys(("ceil", "floor", "round", "sign", "stop_gradient"), normal()),
    **dict.fromkeys(("softmax", "log_softmax", "sparsemax", "glu", "transpose"), normal()),
    "rectify": lambda d, n, m: given(d.normal(n, m), np.array([-0.5, 0.3, 0.15, 0.0, 2.0])),
    "add": {
        "": two(),
        "row": lambda d, n, m: given(d.normal(n, m), d.normal(m)),
        "column": lambda d, n, m: given(d.normal(n, m), d.normal(n, 1)),
        "number": normal(2.0),
    },
    **dict.fromkeys(("subtract", "multiply", "maximum", "minimum"), two()),
    **dict.fromkeys(("equal", "not_equal", "greater", "greater_equal", "less", "less_equal"), two()),
    **dict.fromkeys(("divide", "power"), two_positive()),
    "prelu": {"": two(), "row": lambda d, n, m: given(d.normal(n, m), d.normal(m))},
    "where": lambda d, n, m: given(d.mask(n, m).astype(bool), d.normal(n, m), d.normal(n, m)),
    **dict.fromkeys(("mod", "floor_divide"), two_positive()),
    **dict.fromkeys(("power_of_integers", "bitwise_and", "bitwise_or", "bitwise_xor"), whole(2)),
    "to_booleans": whole(1),
    "from_integers": lambda d, n, m: given(d.below(9, n, m), dtype=d.dtype),
    "from_booleans": lambda d, n, m: given(d.mask(n, m).astype(bool), dtype=d.dtype),
    "to_integers": normal(),
    "matmul_pairs": lambda d, n, m: given(d.normal(n, 4, m), d.normal(n, m, 4)),
    "depthwise_conv": depthwise,
    **dict.fromkeys(("random_normal", "random_uniform"), lambda d, n, m: given(0.0, 1.0, shape=(n, m))),
    "random_integers": lambda d, n, m: given(d.unit(n, m) * 9, least=0, last=8),
    "random_constant": normal(),
    "rows_or_nan": lambda d, n, m: given(d.normal(n // 2, m), d.below(n // 2, n)),
    "rows_or_nan_float": lambda d, n, m: given(d.normal(n // 2, m), d.below(n // 2, n).astype(d.dtype)),
    "widen": lambda d, n, m: given(d.normal(n, m), axis=1, before=1, after=2),
    **dict.fromkeys(("sum", "mean", "max"), reduced(1)),
    **dict.fromkeys(("sum_batch", "mean_batch", "max_batch"), reduced(0)),
    "weighted_mean": lambda d, n, m: given(*(d.positive(n * m) for _ in range(3))),
    "weighted_sum": lambda d, n, m: given(d.normal(n * m), d.normal(n * m), 0.3),
    "l1_l2": normal(0.3, 0.2),
    **dict.fromkeys(("reshape", "reshape_batch"), lambda d, n, m: given(d.normal(n, m), shape=(n * m,))),
    "permute": lambda d, n, m: given(d.normal(n // 16, 16, m), axes=(0, 2, 1)),
    "permute_batch": lambda d, n, m: given(d.normal(16, n // 16, m), axes=(1, 0, 2)),
    "cut": lambda d, n, m: given(d.normal(n, m), axis=1, start=1, count=m // 2),
    "cut_batch": lambda d, n, m: given(d.normal(n, m), axis=0, start=1, count=n // 2),
    **dict.fromkeys(("take", "take_batch"), lambda d, n, m: given(d.normal(n, m), d.below(n, n))),
    "take_columns": lambda d, n, m: given(d.normal(n, m), d.below(m, m)),
    "put_columns": lambda d, n, m: given(d.normal(n, m // 2), d.rng.permutation(m)[: m // 2], size=m),
    "take_turn": lambda d, n, m: given(d.normal(1, n * m)),
    "embedding": lambda d, n, m: given(d.normal(n // 2, m), d.below(n // 2, n)),
    "embedding_float": lambda d, n, m: given(d.normal(n // 2, m), d.below(n // 2, n).astype(d.dtype)),
    "concatenate": lambda d, n, m: given(d.normal(n, m // 2), d.normal(n, m // 2), axis=1),
    "concatenate_batch": lambda d, n, m: given(d.normal(n, m), d.normal(n, m), axis=0),
    "dense": multiplied,
    "matmul": lambda d, n, m: given(d.normal(n, m), d.normal(m, m), product=(n, m, m)),
    "conv": {"": convolved(16), "one channel": convolved(1)},
    **dict.fromkeys(("max_pool", "average_pool"), pooled),
    "batch_norm": {"": normalised(2), "middle": normalised(1)},
    "batch_norm_fixed": {"": normalised(2, True), "middle": normalised(1, True)},
    "layer_norm": lambda d, n, m: given(d.normal(n, m), d.normal(m), d.normal(m), 1e-3),
    "dropout": normal(0.4),
    "dropout_shared": lambda d, n, m: given(d.normal(n // 16, 16, m), 0.4, noise_shape=(n // 16, 1, m), whole=False),
    "alpha_dropout": lambda d, n, m: given(d.normal(n, m), 0.4, noise_shape=(n, m), whole=False),
    "bernoulli": lambda d, n, m: given(d.normal(n, m), d.unit(n, m)),
    "gaussian_dropout": normal(0.4),
    "gaussian_noise": {"": normal(0.4), "each": two_positive()},
    "concrete_dropout": normal(-0.5, 0.3),
    "drop_block": lambda d, n, m: given(images(d, n, m), 0.1, block_size=3, shared=False),
    "drop_connect": connected(0),
    "drop_connect_groups": connected(4),
    "deal_masks": lambda d, n, m: given(d.normal(n, m), d.normal(4, m)),
    "mean_squared_error": two(0.0),
    "mean_absolute_error": two(0.0),
    "huber": two(1.3),
    "mean_absolute_percentage_error": two_positive(0.0),
    "mean_squared_logarithmic_error": two_positive(0.0),
    "log_cosh": two(0.0),
    "poisson": two_positive(0.0),
    "hinge": classified(0.0),
    "squared_hinge": classified(0.0),
    "categorical_hinge": distributed(),
    "kl_divergence": distributed(0.0),
    "cosine_similarity": two(),
    "quantile": two(0.7),
    "quantiles": lambda d, n, m: given(d.normal(n, m), d.normal(n, m), d.unit(m)),
    "gaussian_negative_log_likelihood": lambda d, n, m: given(d.normal(n, m), d.normal(n, m // 2), 1.5),
    "binary_crossentropy": classified(0.1),
    "binary_crossentropy_logits": classified(0.1),
    "binary_focal_crossentropy": classified(FOCAL),
    "binary_focal_crossentropy_logits": classified(FOCAL),
    "categorical_crossentropy": distributed(0.1),
    "categorical_crossentropy_logits": distributed(0.1),
    "categorical_focal_crossentropy": focal,
    "categorical_focal_crossentropy_logits": focal,
    "sparse_categorical_crossentropy": labelled(),
    "sparse_categorical_crossentropy_logits": labelled(),
    "label_mask": labelled(ignored=1),
    "accuracy": lambda d, n, m: given(d.bits(n, m), d.bits(n, m)),
    "binary_accuracy": classified(0.5),
    "categorical_accuracy": distributed(),
    "sparse_categorical_accuracy": labelled(),
    "top_k_categorical_accuracy": lambda d, n, m: given(d.unit(n, m), d.one_hot(n, m), k=3),
    "sparse_top_k_categorical_accuracy": labelled(k=3),
    "dense_relu": multiplied,
    **dict.fromkeys(
        ("dense_relu_dropout", "dense_gelu_dropout"),
        lambda d, n, m: given(*multiplied(d, n, m).inputs, 0.4, product=(n, m, m)),
    ),
}


def recipes(name: str) -> dict[str, Recipe]:
    """Return the recipes for the inputs of an op, by label.

    Raises
    ------
    KeyError
        If the op has no recipe and is not element-wise.
    """
    found = RECIPES.get(name) or (normal() if name in fusible and fusible[name].op.inputs == ("x",) else None)
    if found is None:
        raise KeyError(f"op {name!r}: add a line to RECIPES in benchmarks/kernel_cases/inputs.py")
    return found if isinstance(found, dict) else {"": found}
