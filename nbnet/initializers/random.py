"""Random initializers: one distribution for all shapes, variance scaling with its presets by Glorot, He and LeCun, and
orthogonal matrices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from nbnet import random
from nbnet.base.docstrings import join_common_sections
from nbnet.base.validation import ABOVE_ZERO, FINITE, FROM_ZERO, check_choice, check_int
from nbnet.initializers.initializer import Array, BuiltinInitializer, Shape


class RandomInitializer(BuiltinInitializer):
    """Base of the initializers that draw random numbers."""

    # Each subclass declares it as its last field, where Keras has it.
    seed: int | random.SeedGenerator | None

    def __post_init__(self) -> None:
        seed: Any = self.seed
        if isinstance(seed, Mapping) and seed.get("class_name") == "SeedGenerator":
            seed = random.SeedGenerator(**seed.get("config", {}))
        if not (seed is None or isinstance(seed, random.SeedGenerator)):
            seed = random.as_integer(seed, "seed")
        object.__setattr__(self, "seed", seed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor; a generator of seeds as a dict."""
        config = super().get_config()
        if isinstance(self.seed, random.SeedGenerator):
            config["seed"] = {"class_name": "SeedGenerator", "config": self.seed.get_config()}
        return config

    def _generator(self) -> np.random.Generator:
        if isinstance(self.seed, random.SeedGenerator):
            return random.generator(self.seed.next())
        return random.generator(random.next_key() if self.seed is None else random.derive(self.seed))

    def _truncated_normal(self, mean: float, stddev: float, shape: Shape) -> Array:
        # Imported here: scipy.special takes longer to import than all of nbnet.
        from scipy.special import ndtr, ndtri

        low = ndtr(-2.0)
        return np.asarray(mean + stddev * ndtri(self._generator().uniform(low, 1.0 - low, shape)))


@dataclass(frozen=True)
class RandomNormal(RandomInitializer):
    """Normal, with a given mean and standard deviation.

    Parameters
    ----------
    mean, stddev : float
    seed : int, nbnet.random.SeedGenerator or None

    Examples
    --------
    >>> from nbnet.initializers import RandomNormal
    >>> RandomNormal(seed=1)((3, 2)).shape
    (3, 2)
    """

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | random.SeedGenerator | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        FINITE.check(self.mean, "mean")
        FROM_ZERO.check(self.stddev, "stddev")

    def _values(self, shape: Shape) -> Array:
        return self._generator().normal(self.mean, self.stddev, shape)


@dataclass(frozen=True)
class TruncatedNormal(RandomInitializer):
    """Normal, with values more than two standard deviations from the mean drawn again.

    Parameters
    ----------
    mean, stddev : float
        Of the normal before truncation: the values have 0.88 times that standard deviation.
    seed : int, nbnet.random.SeedGenerator or None

    Examples
    --------
    >>> from nbnet.initializers import TruncatedNormal
    >>> bool(abs(TruncatedNormal(stddev=1.0, seed=1)(1000)).max() <= 2)
    True
    """

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | random.SeedGenerator | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        FINITE.check(self.mean, "mean")
        FROM_ZERO.check(self.stddev, "stddev")

    def _values(self, shape: Shape) -> Array:
        return self._truncated_normal(self.mean, self.stddev, shape)


@dataclass(frozen=True)
class RandomUniform(RandomInitializer):
    """Uniform from ``minval`` to ``maxval``.

    Parameters
    ----------
    minval, maxval : float
    seed : int, nbnet.random.SeedGenerator or None

    Examples
    --------
    >>> from nbnet.initializers import RandomUniform
    >>> bool(abs(RandomUniform(seed=1)(1000)).max() <= 0.05)
    True
    """

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | random.SeedGenerator | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if FINITE.check(self.minval, "minval") > FINITE.check(self.maxval, "maxval"):
            raise ValueError(f"minval: expected a number up to maxval {self.maxval!r}, got {self.minval!r}")

    def _values(self, shape: Shape) -> Array:
        return self._generator().uniform(self.minval, self.maxval, shape)


@dataclass(frozen=True)
class Orthogonal(RandomInitializer):
    """``gain`` times a matrix with orthonormal rows or columns, whichever are fewer.

    Parameters
    ----------
    gain : float
    seed : int, nbnet.random.SeedGenerator or None

    Notes
    -----
    More than two axes are taken as a matrix of all but the last by the last.

    References
    ----------
    A. M. Saxe, J. L. McClelland, S. Ganguli: Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks. ICLR 2014.

    Examples
    --------
    >>> from nbnet.initializers import Orthogonal
    >>> w = Orthogonal(seed=1)((4, 2))
    >>> (w.T @ w).round(3) + 0.0
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    gain: float = 1.0
    seed: int | random.SeedGenerator | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        FINITE.check(self.gain, "gain")

    def _values(self, shape: Shape) -> Array:
        if len(shape) < 2:
            raise ValueError(f"shape: expected 2 axes or more for Orthogonal, got {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._generator().standard_normal((max(rows, columns), min(rows, columns))))
        # QR leaves the signs open; a positive diagonal of r makes q uniformly distributed.
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return np.asarray(self.gain * (q if rows >= columns else q.T).reshape(shape))


#: Standard deviation of a standard normal that is truncated at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978
_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")


def compute_fans(
    shape: Shape, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """Inputs and outputs of a unit: ``(in, out)`` of a dense kernel; those of a convolution times its window's size.

    Parameters
    ----------
    shape : tuple of int
        Shape of the kernel.
    input_axes, output_axes : sequence of int, optional
        If both are given, the axes whose sizes multiply to the inputs and to the outputs.

    Examples
    --------
    >>> from nbnet.initializers import compute_fans
    >>> compute_fans((64, 10)), compute_fans((3, 3, 16, 32))
    ((64, 10), (144, 288))
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


#: Entries that class creation adds to the docstring of each scaling that is named after its authors.
_LAST = """\
seed : int or nbnet.random.SeedGenerator, optional
    By default the values depend on the global seed.
input_axes, output_axes : sequence of int, optional
    See :func:`compute_fans`."""


def _keep_axes(initializer: Any) -> None:
    """Check the axes of a frozen record, and keep them as lists, as files do."""
    for name in ("input_axes", "output_axes"):
        axes = getattr(initializer, name)
        if axes is not None:
            object.__setattr__(initializer, name, [check_int(axis, name, None) for axis in axes])


@dataclass(frozen=True)
class VarianceScaling(RandomInitializer):
    """Mean 0 and variance ``scale / fan``, so that signals keep their size from layer to layer.

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        See :func:`compute_fans`.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        ``"normal"`` stands for ``"truncated_normal"``.
    seed : int, nbnet.random.SeedGenerator or None
    input_axes, output_axes : sequence of int, optional
        See :func:`compute_fans`.

    Raises
    ------
    ValueError
        If an argument is none of these.

    Examples
    --------
    >>> from nbnet.initializers import VarianceScaling
    >>> w = VarianceScaling(2.0, "fan_in", "untruncated_normal", seed=1)((200, 300))
    >>> round(float(w.std()), 3)
    0.1
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"
    seed: int | random.SeedGenerator | None = None
    input_axes: Sequence[int] | None = field(default=None, repr=False)
    output_axes: Sequence[int] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        _keep_axes(self)
        ABOVE_ZERO.check(self.scale, "scale")
        check_choice(self.mode, "mode", _MODES)
        if self.distribution == "normal":
            object.__setattr__(self, "distribution", "truncated_normal")
        check_choice(self.distribution, "distribution", _DISTRIBUTIONS)

    def _values(self, shape: Shape) -> Array:
        try:
            fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        except IndexError:
            raise ValueError(
                f"input_axes, output_axes: expected axes of shape {shape}, got {self.input_axes}, {self.output_axes}"
            ) from None
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return self._generator().uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return self._generator().normal(0.0, stddev, shape)
        return self._truncated_normal(0.0, stddev / _TRUNCATED_STDDEV, shape)


@dataclass(frozen=True)
class PresetScaling(RandomInitializer):
    """Base of the variance scalings that are named after their authors; ``seed`` is an integer, a
    generator of seeds or None.

    References
    ----------
    Glorot: X. Glorot, Y. Bengio: Understanding the difficulty of training deep feedforward networks. AISTATS 2010.
    He: K. He, X. Zhang, S. Ren, J. Sun: Delving deep into rectifiers. ICCV 2015. LeCun: Y. LeCun, L. Bottou, G. B.
    Orr, K.-R. Müller: Efficient backprop. Neural networks: tricks of the trade, 1998.
    """

    seed: int | random.SeedGenerator | None = None
    input_axes: Sequence[int] | None = field(default=None, repr=False)
    output_axes: Sequence[int] | None = field(default=None, repr=False)
    #: Scale, mode and distribution.
    preset: ClassVar[tuple[float, str, str]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        join_common_sections(cls, last=_LAST)

    def __post_init__(self) -> None:
        super().__post_init__()
        _keep_axes(self)

    def _values(self, shape: Shape) -> Array:
        return VarianceScaling(*self.preset, self.seed, self.input_axes, self.output_axes)._values(shape)


class GlorotUniform(PresetScaling):
    """Uniform of variance ``2 / (fan_in + fan_out)``: Keras's default for kernels.

    Examples
    --------
    >>> from nbnet.initializers import GlorotUniform
    >>> bool(abs(GlorotUniform(seed=1)((64, 32))).max() <= 0.25)
    True
    """

    preset = 1.0, "fan_avg", "uniform"


class GlorotNormal(PresetScaling):
    """Truncated normal of variance ``2 / (fan_in + fan_out)``.

    Examples
    --------
    >>> from nbnet.initializers import GlorotNormal
    >>> GlorotNormal(seed=1)((64, 32)).shape
    (64, 32)
    """

    preset = 1.0, "fan_avg", "truncated_normal"


class HeUniform(PresetScaling):
    """Uniform of variance ``2 / fan_in``, for ReLU.

    Examples
    --------
    >>> from nbnet.initializers import HeUniform
    >>> bool(abs(HeUniform(seed=1)((600, 32))).max() <= 0.1)
    True
    """

    preset = 2.0, "fan_in", "uniform"


class HeNormal(PresetScaling):
    """Truncated normal of variance ``2 / fan_in``, for ReLU.

    Examples
    --------
    >>> from nbnet.initializers import HeNormal
    >>> HeNormal(seed=1)((64, 32)).shape
    (64, 32)
    """

    preset = 2.0, "fan_in", "truncated_normal"


class LecunUniform(PresetScaling):
    """Uniform of variance ``1 / fan_in``.

    Examples
    --------
    >>> from nbnet.initializers import LecunUniform
    >>> bool(abs(LecunUniform(seed=1)((300, 32))).max() <= 0.1)
    True
    """

    preset = 1.0, "fan_in", "uniform"


class LecunNormal(PresetScaling):
    """Truncated normal of variance ``1 / fan_in``, for SELU.

    Examples
    --------
    >>> from nbnet.initializers import LecunNormal
    >>> LecunNormal(seed=1)((64, 32)).shape
    (64, 32)
    """

    preset = 1.0, "fan_in", "truncated_normal"
