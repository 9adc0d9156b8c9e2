"""Variance scaling, and its presets by Glorot, He and LeCun."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nbnet.base.docstrings import join_common_sections
from nbnet.base.validation import ABOVE_ZERO, check_choice, check_int
from nbnet.initializers.initializer import Array, Shape
from nbnet.initializers.random import RandomInitializer

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
seed : int, optional
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
    seed : int or None
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
    seed: int | None = None
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
    """Base of the variance scalings that are named after their authors; ``seed`` is an integer or None.

    References
    ----------
    Glorot: X. Glorot, Y. Bengio: Understanding the difficulty of training deep feedforward networks. AISTATS 2010.
    He: K. He, X. Zhang, S. Ren, J. Sun: Delving deep into rectifiers. ICCV 2015. LeCun: Y. LeCun, L. Bottou, G. B.
    Orr, K.-R. Müller: Efficient backprop. Neural networks: tricks of the trade, 1998.
    """

    seed: int | None = None
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
