"""The dense layer of any axes, written as an Einstein sum."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from nbnet import activations
from nbnet.base.validation import check_int
from nbnet.engine.graph.parameter import Parameter
from nbnet.engine.graph.tensor import Tensor
from nbnet.initializers import VarianceScaling
from nbnet.initializers.random import PresetScaling
from nbnet.layers.arguments import (
    ActivationLike,
    ConstraintLike,
    InitializerLike,
    RegularizerLike,
    refuse,
    weight_options,
)
from nbnet.layers.layer import Layer, Shape
from nbnet.ops.broadcast import add
from nbnet.ops.products import einsum


class WeightShapes(NamedTuple):
    """Shapes of the kernel and of the bias, and the axes of the kernel that are summed over."""

    kernel: tuple[int, ...]
    bias: tuple[int, ...] | None
    inputs: tuple[int, ...]


def weight_shapes(
    equation: str, bias_axes: str | None, input_shape: Shape, output_shape: Sequence[int | None]
) -> WeightShapes:
    """Return the shapes of the weights of an :class:`EinsumDense`.

    Raises
    ------
    ValueError
        If the equation is in none of the forms, or does not fit the shapes.

    Examples
    --------
    >>> from nbnet.layers.einsum_dense import weight_shapes
    >>> weight_shapes("abc,cde->abde", "d", (None, 7, 2), (7, 3, 4))
    WeightShapes(kernel=(2, 3, 4), bias=(3, 1), inputs=(0,))
    """
    x, weight, y, left = _parts(equation)
    elided = len(input_shape) - len(x)
    if elided < 0 or (elided and "..." not in equation):
        raise ValueError(f"equation: {equation!r} is not for inputs of shape {input_shape}")
    # The axis of the batch is the first of those that an ellipsis on the left stands for, if there are any.
    named = y if left and elided else y[1:]
    if len(output_shape) != len(named):
        raise ValueError(f"output_shape: expected sizes of {named!r} in {equation!r}, got {tuple(output_shape)}")
    own = input_shape[elided:] if left else input_shape[: len(x)]
    before = dict(zip(x, own, strict=True))
    after = dict(zip(named, output_shape, strict=True))
    for letter, n in before.items():
        if n is not None and after.get(letter) is not None and after[letter] != n:
            raise ValueError(
                f"output_shape: expected {n} along {letter!r} of {equation!r}, as in the input, got {after[letter]}"
            )
    if missing := set(y) - set(x) - set(weight):
        raise ValueError(f"equation: {equation!r} has {sorted(missing)} in the result alone")
    if missing := set(weight) - set(x) - set(y):
        raise ValueError(f"equation: {equation!r} has {sorted(missing)} in the kernel alone")
    sizes = before | {letter: n for letter, n in after.items() if n is not None}
    bias: tuple[int, ...] | None = None
    if bias_axes is not None:
        if missing := set(bias_axes) - set(y):
            raise ValueError(f"bias_axes: expected letters of the result {y!r}, got {sorted(missing)}")
        first = min(y.index(letter) for letter in bias_axes)
        found = [_size(sizes, letter, equation) if letter in bias_axes else 1 for letter in y[first:]]
        bias = (*found, *[1] * (0 if left else elided))
    kernel = tuple(_size(sizes, letter, equation) for letter in weight)
    return WeightShapes(kernel, bias, tuple(k for k, letter in enumerate(weight) if letter not in y))


def _parts(equation: str) -> tuple[str, str, str, bool]:
    """The letters of the input, of the kernel and of the result, and True if an ellipsis stands on the left."""
    x, _, rest = equation.replace(" ", "").partition(",")
    weight, _, y = rest.partition("->")
    left, right = x.startswith("...") and y.startswith("..."), x.endswith("...") and y.endswith("...")
    if left or right:
        x, y = (part[3:] if left else part[:-3] for part in (x, y))
    if not all(part and set(part) <= set(string.ascii_letters) for part in (x, weight, y)):
        raise ValueError(
            f"equation: expected a form such as 'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...', got {equation!r}"
        )
    return x, weight, y, left


def _size(sizes: dict[str, int | None], letter: str, equation: str) -> int:
    n = sizes.get(letter)
    if n is None:
        raise ValueError(f"output_shape: the size of {letter!r} in {equation!r} must be known for the weights")
    return n


class EinsumDense(Layer):
    """A dense layer of any axes: ``activation(einsum(equation, x, kernel) + bias)``.

    Parameters
    ----------
    equation
        Letters of the axes of the input, of the kernel and of the result: ``"ab,bc->ac"`` is a :class:`Dense`. An
        ellipsis on one side of input and result stands for further axes: ``"...b,bc->...c"``.
    output_shape
        Size of the result, or sizes of its axes, without the batch's and those of an ellipsis; None for an axis of the
        input.
    activation
        Name or function; None for none.
    bias_axes
        Letters of the axes of the result that have a bias; None for no bias.
    kernel_initializer, ..., bias_constraint, **kwargs
        As for :class:`Dense`. Initializers that depend on the number of inputs and outputs count the axes of the
        kernel that are summed over, and the others.
    lora_rank, lora_alpha, gptq_unpacked_column_size, quantization_config
        Only None.

    Attributes
    ----------
    kernel
        Of the sizes that its letters have in the input and the result.
    bias
        Of the sizes of ``bias_axes``, with 1 along other axes behind the first of them; None without them.

    Raises
    ------
    ValueError
        If the equation is in none of these forms, or does not fit the shapes.

    Examples
    --------
    >>> import nbnet as nb
    >>> import numpy as np
    >>> layer = nb.layers.EinsumDense("abc,cd->abd", output_shape=(None, 64), bias_axes="d")
    >>> layer(np.zeros((8, 32, 128))).shape
    (8, 32, 64)
    >>> [w.shape for w in layer.get_weights()]
    [(128, 64), (64,)]
    """

    _arguments = ("equation", "output_shape", "activation", "bias_axes")
    _weight_names = ("kernel", "bias")

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: ActivationLike = None,
        bias_axes: str | None = None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        refuse("train all weights", lora_rank=lora_rank, lora_alpha=lora_alpha)
        unused = {"gptq_unpacked_column_size": gptq_unpacked_column_size, "quantization_config": quantization_config}
        refuse("weights are float32 or float64", **unused)
        if not isinstance(equation, str):
            raise ValueError(f"equation: expected a string such as 'ab,bc->ac', got {equation!r}")
        _parts(equation)
        self.equation = equation
        sizes = output_shape if isinstance(output_shape, Sequence) else [output_shape]
        self.output_shape = tuple(None if n is None else check_int(n, "output_shape") for n in sizes)
        self.activation = activations.get(activation)
        if bias_axes is not None and (not isinstance(bias_axes, str) or not bias_axes):
            raise ValueError(f"bias_axes: expected letters of the result or None, got {bias_axes!r}")
        self.bias_axes = bias_axes
        self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint = weight_options(
            "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
        )
        self.bias_initializer, self.bias_regularizer, self.bias_constraint = weight_options(
            "bias", bias_initializer, bias_regularizer, bias_constraint
        )
        self.bias: Parameter | None = None

    def build(self, input_shape: Shape) -> None:
        shapes = weight_shapes(self.equation, self.bias_axes, input_shape, self.output_shape)
        self.kernel = self.add_weight(
            shapes.kernel,
            _by_fans(self.kernel_initializer, shapes),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if shapes.bias is not None:
            self.bias = self._add_named_weight("bias", shapes.bias)

    def _check_input(self, shape: Shape) -> None:
        if self.built:
            wanted = weight_shapes(self.equation, self.bias_axes, shape, self.output_shape)
            bias = None if self.bias is None else self.bias.shape
            if (wanted.kernel, wanted.bias) != (self.kernel.shape, bias):
                raise ValueError(f"{self.name}: was built for a kernel of shape {self.kernel.shape}, got shape {shape}")

    def call(self, x: Tensor) -> Tensor:
        y = einsum(self.equation, x, self.kernel)
        return self.activation(y if self.bias is None else add(y, self.bias))


def _by_fans(initializer: Any, shapes: WeightShapes) -> Callable[..., Any]:
    """An initializer of the kernel that counts inputs and outputs along its axes."""
    if not isinstance(initializer, (VarianceScaling, PresetScaling)):
        found: Callable[..., Any] = initializer
        return found
    fan_in = prod(shapes.kernel[k] for k in shapes.inputs)

    def draw(shape: tuple[int, ...], dtype: Any = None) -> Any:
        return np.reshape(initializer((fan_in, prod(shape) // max(fan_in, 1)), dtype), shape)

    return draw
