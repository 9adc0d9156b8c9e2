"""Random models of all layers that nbnet shares with Keras, described once and built with either library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator
Arguments = Callable[[Rng, tuple[int, ...]], dict[str, Any]]

ACTIVATIONS = ["relu", "tanh", "sigmoid", "elu", "softplus", "silu", "gelu", "selu", "linear"]


def pick(rng: Rng, values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def nothing(rng: Rng, shape: tuple[int, ...]) -> dict[str, Any]:
    return {}


def dense(rng: Rng, shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "units": int(rng.integers(1, 6)),
        "activation": pick(rng, ACTIVATIONS),
        "use_bias": bool(rng.integers(2)),
        "kernel_regularizer": pick(rng, [None, "l2", "l1"]),
        "kernel_initializer": pick(rng, ["glorot_uniform", "he_normal", "orthogonal"]),
        "kernel_constraint": pick(rng, [None, "max_norm"]),
    }


def conv(rng: Rng, shape: tuple[int, ...]) -> dict[str, Any]:
    rest = {"strides": 1, "dilation_rate": int(rng.integers(1, 3))} if rng.integers(2) else {"strides": 2}
    return {
        "filters": int(rng.integers(1, 5)), "kernel_size": int(rng.integers(1, 4)), "padding": "same",
        "activation": pick(rng, ACTIVATIONS), "use_bias": bool(rng.integers(2)), **rest,
    }  # fmt: skip


def pool(rng: Rng, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"pool_size": 2, "strides": pick(rng, [None, 1, 2]), "padding": pick(rng, ["same", "valid"])}


def batch_norm(rng: Rng, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"momentum": 0.9, "center": bool(rng.integers(2)), "scale": bool(rng.integers(2))}


def rate(rng: Rng, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"rate": float(np.round(rng.uniform(0, 0.9), 2))}


def transposed(rng: Rng, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"filters": 2, "kernel_size": 2, "strides": int(rng.integers(1, 3)), "padding": pick(rng, ["same", "valid"])}


def depthwise(rng: Rng, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"kernel_size": 2, "depth_multiplier": int(rng.integers(1, 3)), "padding": "same", "activation": "tanh"}


def separable(rng: Rng, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"filters": 3} | depthwise(rng, shape)


#: By name of layer: ranks of its input without the batch axis, and its arguments.
LAYERS: dict[str, tuple[tuple[int, ...], Arguments]] = {
    "Activation": ((1, 2, 3, 4), lambda rng, shape: {"activation": pick(rng, ACTIVATIONS)}),
    "ActivityRegularization": ((1, 2, 3, 4), lambda rng, shape: {"l1": 0.01, "l2": 0.02}),
    "AlphaDropout": ((1, 2, 3, 4), rate),
    "AveragePooling1D": ((2,), pool),
    "AveragePooling2D": ((3,), pool),
    "BatchNormalization": ((1, 2, 3, 4), batch_norm),
    "Conv1D": ((2,), conv),
    "Conv2D": ((3,), conv),
    "Conv1DTranspose": ((2,), transposed),
    "Conv2DTranspose": ((3,), transposed),
    "Cropping1D": ((2,), lambda rng, shape: {"cropping": [0, int(shape[0] > 1)]}),
    "Cropping2D": ((3,), lambda rng, shape: {"cropping": [[0, int(shape[0] > 1)], [0, 0]]}),
    "DepthwiseConv1D": ((2,), depthwise),
    "DepthwiseConv2D": ((3,), depthwise),
    "EinsumDense": ((1,), lambda rng, shape: {"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "c"}),
    "Dense": ((1, 2, 3, 4), dense),
    "Dropout": ((1, 2, 3, 4), rate),
    "ELU": ((1, 2, 3, 4), lambda rng, shape: {"alpha": 0.7}),
    "Flatten": ((1, 2, 3, 4), nothing),
    "GaussianDropout": ((1, 2, 3, 4), rate),
    "GaussianNoise": ((1, 2, 3, 4), lambda rng, shape: {"stddev": 0.3}),
    "GlobalAveragePooling1D": ((2,), lambda rng, shape: {"keepdims": bool(rng.integers(2))}),
    "GlobalAveragePooling2D": ((3,), nothing),
    "GlobalMaxPooling1D": ((2,), nothing),
    "GlobalMaxPooling2D": ((3,), lambda rng, shape: {"keepdims": bool(rng.integers(2))}),
    "GroupNormalization": ((1, 2, 3, 4), lambda rng, shape: {"groups": 1}),
    "Identity": ((1, 2, 3, 4), nothing),
    "LayerNormalization": ((1, 2, 3, 4), lambda rng, shape: {"epsilon": 0.01, "scale": bool(rng.integers(2))}),
    "LeakyReLU": ((1, 2, 3, 4), lambda rng, shape: {"negative_slope": 0.2}),
    "Masking": ((2,), lambda rng, shape: {"mask_value": 0.25}),
    "MaxPooling1D": ((2,), pool),
    "MaxPooling2D": ((3,), pool),
    "Normalization": (
        (1, 2, 3, 4), lambda rng, shape: {"mean": [0.5] * shape[-1], "variance": [2.0] * shape[-1]},
    ),
    "PReLU": ((1, 2, 3, 4), nothing),
    "Permute": ((2,), lambda rng, shape: {"dims": [2, 1]}),
    "RMSNormalization": ((1, 2, 3, 4), nothing),
    "ReLU": ((1, 2, 3, 4), lambda rng, shape: {"max_value": 2.0, "negative_slope": 0.1}),
    "RepeatVector": ((1,), lambda rng, shape: {"n": 3}),
    "Rescaling": ((1, 2, 3, 4), lambda rng, shape: {"scale": 0.5, "offset": 0.25}),
    "Reshape": ((1, 2, 3, 4), lambda rng, shape: {"target_shape": [int(np.prod(shape)), 1]}),
    "SeparableConv1D": ((2,), separable),
    "SeparableConv2D": ((3,), separable),
    "Softmax": ((1, 2, 3), nothing),
    "SpatialDropout1D": ((2,), rate),
    "SpatialDropout2D": ((3,), rate),
    "UnitNormalization": ((1, 2, 3, 4), nothing),
    "UpSampling1D": ((2,), lambda rng, shape: {"size": 2}),
    "UpSampling2D": ((3,), lambda rng, shape: {"size": [1, 2], "interpolation": pick(rng, ["nearest", "bilinear"])}),
    "ZeroPadding1D": ((2,), lambda rng, shape: {"padding": [1, 0]}),
    "ZeroPadding2D": ((3,), lambda rng, shape: {"padding": [[1, 0], [0, 2]]}),
    "AveragePooling3D": ((4,), pool),
    "Conv3D": ((4,), conv),
    "Cropping3D": ((4,), lambda rng, shape: {"cropping": [[0, int(shape[0] > 1)], [0, 0], [0, 0]]}),
    "GlobalAveragePooling3D": ((4,), nothing),
    "GlobalMaxPooling3D": ((4,), nothing),
    "MaxPooling3D": ((4,), pool),
    "SpatialDropout3D": ((4,), rate),
    "UpSampling3D": ((4,), lambda rng, shape: {"size": [1, 2, 1]}),
    "ZeroPadding3D": ((4,), lambda rng, shape: {"padding": [[1, 0], [0, 0], [0, 1]]}),
    "CenterCrop": ((3,), lambda rng, shape: {"height": 2, "width": 1}),
    "Discretization": ((1,), lambda rng, shape: {"bin_boundaries": [-0.5, 0.5], "output_mode": "one_hot"}),
    "RandomBrightness": ((3,), lambda rng, shape: {"factor": 0.2, "value_range": [0.0, 1.0]}),
    "RandomContrast": ((3,), lambda rng, shape: {"factor": 0.2}),
    "RandomFlip": ((3,), lambda rng, shape: {"mode": "horizontal"}),
    "RandomRotation": ((3,), lambda rng, shape: {"factor": 0.1, "fill_mode": "constant"}),
    "RandomTranslation": ((3,), lambda rng, shape: {"height_factor": 0.1, "width_factor": 0.2}),
    "RandomZoom": ((3,), lambda rng, shape: {"height_factor": [0.1, 0.2], "width_factor": None}),
    "Resizing": (
        (3,), lambda rng, shape: {"height": 4, "width": 3, "interpolation": pick(rng, ["nearest", "bilinear"])},
    ),
}  # fmt: skip
#: Layers that the generator places in a way of its own.
PLACED = frozenset((
    "Add", "Average", "Concatenate", "Dot", "Embedding", "InputLayer", "Maximum", "Minimum", "Model", "Multiply",
    "CategoryEncoding", "Sequential", "Subtract", "TimeDistributed", "Lambda", "Wrapper", "Layer",
    "SpectralNormalization",
))  # fmt: skip
MERGING = ["Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Concatenate"]


class Builder:
    """Builds the model of a seed with a library, nbnet or Keras; both give the same model.

    Without ``assigns``, no layer assigns to a weight in a call; without ``constrained``, weights have no constraints.
    """

    def __init__(
        self, library: Any, seed: int, known: Any = None, assigns: bool = True, constrained: bool = True
    ) -> None:
        self.library, self.rng, self.assigns, self.constrained = (
            library,
            np.random.default_rng(seed),
            assigns,
            constrained,
        )
        self.layers = library.layers
        self.known = sorted(LAYERS if known is None else known)
        self.used: list[str] = []
        self.shared: list[tuple[Any, tuple[int, ...]]] = []

    def make(self, name: str, /, *parts: Any, **arguments: Any) -> Any:
        self.used.append(name)
        return getattr(self.layers, name)(*parts, **arguments)

    def random_layer(self, shape: tuple[int, ...]) -> Any:
        names = [name for name in self.known if len(shape) in LAYERS[name][0]]
        name = pick(self.rng, names)
        if "Pooling" in name and "Global" not in name and min(shape[:-1]) < 2:
            name = "Identity"
        arguments = LAYERS[name][1](self.rng, shape)
        if not self.constrained:
            arguments.pop("kernel_constraint", None)
        return self.make(name, **arguments)

    def step(self, x: Any) -> Any:
        rng, shape = self.rng, tuple(x.shape[1:])
        kind = rng.integers(12)
        if kind == 0:
            other = self.random_layer(shape)(x)
            if other.shape == x.shape:
                name = pick(rng, MERGING)
                return self.make(name)([x, other])
            return other
        if kind == 1:
            ops = self.library.ops
            form = pick(rng, list(range(6)))
            if form == 0:
                return x * 0.5 + ops.mean(x, axis=-1, keepdims=True)
            if form == 1:
                return ops.concatenate([x, ops.tanh(-x)], axis=-1)
            if form == 2:
                return ops.maximum(x, 0.1) - ops.square(x) / 4.0
            if form == 3:
                return ops.clip(x, -1.0, 1.0)[:, :1]
            if form == 4:
                return ops.where(ops.greater(x, 0.0), x, ops.exp(x))
            return ops.softmax(ops.expand_dims(x, 1) if len(shape) < 3 else x, axis=-1)
        if kind == 2:
            self.used.append("Sequential")
            form = rng.integers(3)
            # On JAX, Keras's fit loses what a call assigns to a trained weight: the kernel stays as it is.
            if form == 0 and self.assigns and hasattr(self.layers, "SpectralNormalization"):
                return self.make("SpectralNormalization", self.make("Dense", 2), power_iterations=1)(x)
            if form == 1 and len(shape) > 1:
                return self.make("TimeDistributed", self.make("Dense", 2, activation="relu"))(x)
            inner = self.library.Sequential([self.random_layer(shape)])
            return inner(x)
        if kind == 3:
            for layer, sizes in self.shared:
                if sizes == shape:
                    return layer(x)
        layer = self.random_layer(shape)
        self.shared.append((layer, shape))
        return layer(x)

    def model(self, dtype: str = "float32") -> Any:
        rng, library = self.rng, self.library
        kind = rng.integers(7)
        if kind == 6:
            inputs = library.Input((4,), dtype="int32", name="x")
            x = self.make("CategoryEncoding", num_tokens=7, output_mode=pick(rng, ["one_hot", "multi_hot", "count"]))(
                inputs
            )
        elif kind == 4:
            inputs = library.Input((4,), dtype="int32", name="x")
            x = self.make("Embedding", input_dim=7, output_dim=3, mask_zero=bool(rng.integers(2)))(inputs)
        else:
            shape = [(5,), (6, 3), (6, 5, 2), (5,), None, (3, 4, 3, 2)][kind]
            inputs = library.Input(shape, name="x", dtype=dtype)
            x = inputs
        several = [inputs]
        if kind == 3:
            second = library.Input((5,), name="z", dtype=dtype)
            several.append(second)
            x = self.make("Concatenate")([self.make("Dense", units=3)(x), second])
            x = self.make("Dot", axes=1)([x, x]) if rng.integers(2) else x
        for _ in range(int(rng.integers(1, 7))):
            x = self.step(x)
        x = self.make("Flatten")(x) if len(x.shape) > 2 else x
        output = self.make("Dense", units=2, name="out")(x)
        outputs: Any = output if rng.integers(3) else {"a": output, "b": self.make("Dense", units=1, name="b")(x)}
        return library.Model(several if len(several) > 1 else several[0], outputs)

    def data(self, model: Any, rows: int = 6, dtype: str = "float32") -> Any:
        rng = np.random.default_rng(0)
        arrays = []
        for symbol in model.inputs:
            shape = (rows, *symbol.shape[1:])
            integer = "int" in str(symbol.dtype)
            arrays.append(rng.integers(0, 7, shape) if integer else rng.normal(size=shape).astype(dtype))
        return arrays if len(arrays) > 1 else arrays[0]
