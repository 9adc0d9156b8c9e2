"""Properties of every layer: one table, shapes, configurations, dtypes, rows of the batch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nbnet as nb
from nbnet.engine.graph.tape import Trace
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers import Layer

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A layer, what it is made with, and shapes of a sample before and after."""

    name: str
    shape: tuple[int, ...]
    output: tuple[int, ...]
    weights: tuple[tuple[int, ...], ...] = ()
    arguments: dict[str, Any] = field(default_factory=dict)

    def make(self, **kwargs: Any) -> Layer:
        layer: Layer = getattr(nb.layers, self.name)(**self.arguments, **kwargs)
        return layer

    def inputs(self, rows: int, dtype: Any = "float32") -> Array:
        rng = np.random.default_rng(0)
        if self.name in ("CategoryEncoding", "Embedding", "IntegerLookup"):
            return rng.integers(0, self.arguments.get("input_dim", 6), (rows, *self.shape))
        return rng.normal(0, 1.5, (rows, *self.shape)).astype(dtype)


IMAGE, LINE, VOLUME = (7, 8, 3), (9, 3), (5, 6, 7, 2)
CASES = [
    Case("Activation", (4,), (4,), arguments={"activation": "tanh"}),
    Case("ActivityRegularization", LINE, LINE, arguments={"l1": 0.1, "l2": 0.2}),
    Case("AlphaDropout", LINE, LINE, arguments={"rate": 0.5, "noise_shape": [None, 1, 3]}),
    Case("AveragePooling1D", LINE, (5, 3), arguments={"pool_size": 3, "strides": 2, "padding": "same"}),
    Case("AveragePooling2D", IMAGE, (3, 4, 3)),
    Case("AveragePooling3D", VOLUME, (3, 2, 3, 2), arguments={
        "pool_size": (2, 3, 2), "strides": (2, 3, 3), "padding": "same"}),
    Case("BatchNormalization", (4,), (4,), ((4,), (4,), (4,), (4,))),
    Case("BatchNormalization", IMAGE, IMAGE, ((7,), (7,), (7,)), {"axis": 1, "scale": False}),
    Case("BatchNormalization", (4,), (4,), ((4,),) * 7, {"renorm": True, "renorm_clipping": {"rmax": 2.0}}),
    Case("CategoryEncoding", (4,), (5,), arguments={"num_tokens": 5, "output_mode": "count"}),
    Case("CenterCrop", IMAGE, (5, 4, 3), arguments={"height": 5, "width": 4}),
    Case("CenterCrop", IMAGE, (9, 4, 3), arguments={"height": 9, "width": 4}),
    Case("Conv1D", LINE, (9, 5), ((2, 3, 5), (5,)), {"filters": 5, "kernel_size": 2, "padding": "causal"}),
    Case("Conv2D", IMAGE, (5, 6, 4), ((3, 3, 3, 4), (4,)), {"filters": 4, "kernel_size": 3, "activation": "relu"}),
    Case("Conv2D", IMAGE, (4, 3, 4), ((3, 2, 3, 4),), {
        "filters": 4, "kernel_size": (3, 2), "strides": (2, 3), "padding": "same", "use_bias": False}),
    Case("Conv2D", IMAGE, (7, 8, 6), ((3, 3, 1, 6), (6,)), {
        "filters": 6, "kernel_size": 3, "groups": 3, "padding": "same", "dilation_rate": 2}),
    Case("Conv2D", (5, 5, 4), (4, 4, 6), ((2, 2, 2, 6), (6,)), {"filters": 6, "kernel_size": 2, "groups": 2}),
    Case("Conv3D", VOLUME, (3, 3, 4, 4), ((2, 2, 1, 2, 4), (4,)), {
        "filters": 4, "kernel_size": (2, 2, 1), "strides": 2, "padding": "same"}),
    Case("Conv1DTranspose", LINE, (19, 2), ((3, 2, 3), (2,)), {"filters": 2, "kernel_size": 3, "strides": 2}),
    Case("Conv2DTranspose", IMAGE, (14, 16, 2), ((3, 3, 2, 3),), {
        "filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False, "activation": "relu"}),
    Case("Conv2DTranspose", IMAGE, (14, 16, 1), ((2, 2, 1, 3), (1,)), {
        "filters": 1, "kernel_size": 2, "strides": 2, "output_padding": 0}),
    Case("Cropping1D", LINE, (6, 3), arguments={"cropping": (1, 2)}),
    Case("Cropping2D", IMAGE, (6, 4, 3), arguments={"cropping": ((1, 0), (2, 2))}),
    Case("Cropping3D", VOLUME, (3, 4, 5, 2)),
    Case("Dense", (4,), (3,), ((4, 3), (3,)), {"units": 3}),
    Case("DepthwiseConv1D", LINE, (7, 6), ((3, 3, 2), (6,)), {"kernel_size": 3, "depth_multiplier": 2}),
    Case("DepthwiseConv2D", IMAGE, (4, 4, 3), ((3, 3, 3, 1),), {
        "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False, "activation": "tanh"}),
    Case("Discretization", LINE, (9, 3, 4), arguments={
        "bin_boundaries": [-1.0, 0.0, 1.5], "output_mode": "one_hot"}),
    Case("DropBlock2D", IMAGE, IMAGE, arguments={"rate": 0.5, "block_size": 3, "shared": True}),
    Case("DropConnectDense", (4,), (3,), ((4, 3), (3,)), {
        "units": 3, "rate": 0.5, "activation": "relu", "samples": 20, "seed": 1, "group_size": 2}),
    Case("DropPath", LINE, LINE, arguments={"rate": 0.5}),
    Case("Dropout", (4,), (4,), arguments={"rate": 0.5}),
    Case("ELU", (4,), (4,), arguments={"alpha": 0.5}),
    Case("EinsumDense", LINE, (9, 5), ((3, 5), (5,)), {
        "equation": "abc,cd->abd", "output_shape": (None, 5), "bias_axes": "d", "activation": "relu"}),
    Case("EinsumDense", IMAGE, (7, 4), ((8, 3, 4),), {"equation": "...xy,xyd->...d", "output_shape": (4,)}),
    Case("Embedding", (4,), (4, 3), ((10, 3),), {"input_dim": 10, "output_dim": 3}),
    Case("Flatten", IMAGE, (168,)),
    Case("GaussianDropout", (4,), (4,), arguments={"rate": 0.5, "seed": 3}),
    Case("GaussianNoise", (4,), (4,), arguments={"stddev": 0.5}),
    Case("GlobalAveragePooling1D", LINE, (3,)),
    Case("GlobalAveragePooling2D", IMAGE, (1, 1, 3), arguments={"keepdims": True}),
    Case("GlobalAveragePooling3D", VOLUME, (2,)),
    Case("GlobalMaxPooling1D", LINE, (1, 3), arguments={"keepdims": True}),
    Case("GlobalMaxPooling2D", IMAGE, (3,)),
    Case("GlobalMaxPooling3D", VOLUME, (1, 1, 1, 2), arguments={"keepdims": True}),
    Case("GroupNormalization", IMAGE, IMAGE, ((3,), (3,)), {"groups": 3}),
    Case("GroupNormalization", (4, 3, 5), (4, 3, 5), ((4,),), {"groups": 2, "axis": 1, "center": False}),
    Case("Identity", (4,), (4,)),
    Case("IntegerLookup", (4,), (4,), arguments={
        "vocabulary": [3, 5, 1], "mask_token": 0, "output_mode": "tf_idf", "idf_weights": [0.5, 1.0, 2.0]}),
    Case("LayerNormalization", IMAGE, IMAGE, ((3,), (3,))),
    Case("LayerNormalization", IMAGE, IMAGE, ((7, 3),), {"axis": [1, 3], "scale": False}),
    Case("LeakyReLU", (4,), (4,)),
    Case("MaxPooling1D", LINE, (4, 3)),
    Case("MaxPooling2D", IMAGE, (4, 3, 3), arguments={"pool_size": (2, 3), "padding": "same"}),
    Case("MaxPooling3D", VOLUME, (2, 3, 3, 2)),
    Case("Normalization", (4,), (4,), ((4,), (4,), ())),
    Case("Normalization", LINE, LINE, arguments={"axis": 1, "mean": 1.0, "variance": 4.0}),
    Case("PReLU", IMAGE, IMAGE, ((1, 1, 3),), {"shared_axes": [1, 2]}),
    Case("Masking", LINE, LINE),
    Case("Permute", IMAGE, (3, 7, 8), arguments={"dims": (3, 1, 2)}),
    Case("RMSNormalization", (4,), (4,), ((4,),)),
    Case("RMSNormalization", IMAGE, IMAGE, ((7, 3),), {"axis": [1, 3], "epsilon": 0.1}),
    Case("ReLU", (4,), (4,), arguments={"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.5}),
    Case("RepeatVector", (4,), (3, 4), arguments={"n": 3}),
    Case("Rescaling", (4,), (4,), arguments={"scale": 0.5, "offset": [0.0, 1.0, 2.0, 3.0]}),
    Case("Reshape", (4,), (2, 2), arguments={"target_shape": (2, -1)}),
    Case("Resizing", IMAGE, (5, 9, 3), arguments={"height": 5, "width": 9, "crop_to_aspect_ratio": True}),
    Case("SeparableConv1D", LINE, (9, 4), ((3, 3, 2), (1, 6, 4), (4,)), {
        "filters": 4, "kernel_size": 3, "padding": "same", "depth_multiplier": 2}),
    Case("SeparableConv2D", IMAGE, (5, 6, 4), ((3, 3, 3, 1), (1, 1, 3, 4), (4,)), {"filters": 4, "kernel_size": 3}),
    Case("Softmax", LINE, LINE, arguments={"axis": 1}),
    Case("SpatialDropout1D", LINE, LINE, arguments={"rate": 0.5}),
    Case("SpatialDropout2D", IMAGE, IMAGE, arguments={"rate": 0.5}),
    Case("SpatialDropout3D", VOLUME, VOLUME, arguments={"rate": 0.5}),
    Case("StandoutDense", (4,), (3,), ((4, 3), (3,)), {"units": 3, "activation": "tanh", "alpha": 0.5, "beta": 1.0}),
    Case("PutUnits", LINE, (9, 5), arguments={"units": [2, 0, 4], "size": 5}),
    Case("TakeUnits", LINE, (9, 2), arguments={"units": [2, 0]}),
    Case("UnitNormalization", LINE, LINE),
    Case("UnitNormalization", IMAGE, IMAGE, arguments={"axis": [1, 2]}),
    Case("UpSampling1D", LINE, (27, 3), arguments={"size": 3}),
    Case("UpSampling2D", IMAGE, (14, 24, 3), arguments={"size": (2, 3)}),
    Case("UpSampling2D", IMAGE, (14, 24, 3), arguments={"size": (2, 3), "interpolation": "bicubic"}),
    Case("UpSampling3D", VOLUME, (5, 12, 21, 2), arguments={"size": (1, 2, 3)}),
    Case("VariationalDense", (4,), (3,), ((4, 3), (3,), (4, 3)), {"units": 3, "kl_weight": 0.1}),
    Case("VariationalDropout", LINE, LINE, ((3,),), {"per_unit": True}),
    Case("ZeroPadding1D", LINE, (12, 3), arguments={"padding": (1, 2)}),
    Case("ZeroPadding2D", IMAGE, (9, 11, 3), arguments={"padding": (1, (3, 0))}),
    Case("ZeroPadding3D", VOLUME, (7, 8, 9, 2)),
]  # fmt: skip
each = pytest.mark.parametrize("case", CASES, ids=[f"{case.name}-{k}" for k, case in enumerate(CASES)])
#: Layers of several inputs (see test_merging.py), random changes of images, which happen by default (see
#: test_images.py), and of strings (see test_lookup.py), a wrapper and a layer that depends on the place of a row (see
#: tests/dropout/test_family.py), bases, and inputs.
OTHERS = {"Add", "Average", "Concatenate", "ConcreteDropout", "Dot", "HashedCrossing", "Hashing", "Input",
          "InputLayer", "Lambda", "Layer", "Masksembles", "Maximum", "Minimum", "Multiply", "RandomBrightness",
          "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom",
          "SpectralNormalization", "StringLookup", "Subtract", "TextVectorization", "TimeDistributed",
          "Wrapper"}  # fmt: skip


def test_every_layer_has_a_case() -> None:
    found = {
        made.__name__
        for name in nb.layers.__all__
        if isinstance(made := getattr(nb.layers, name), type) and issubclass(made, Layer)
    }
    assert found - OTHERS == {case.name for case in CASES}


@each
def test_shapes(case: Case) -> None:
    layer = case.make()
    assert layer.compute_output_shape((None, *case.shape)) == (None, *case.output)
    assert layer(case.inputs(3)).shape == (3, *case.output)
    assert tuple(w.shape for w in layer.get_weights()) == case.weights


@each
def test_configuration(case: Case) -> None:
    layer = case.make(name="mine", dtype="float64")
    config = json.loads(json.dumps(layer.get_config()))
    again = nb.layers.deserialize(json.loads(json.dumps(nb.layers.serialize(layer))))
    assert json.loads(json.dumps(again.get_config())) == config
    x = case.inputs(3, "float64")
    y = layer(x).numpy()
    again.build_for((None, *case.shape))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x).numpy(), y)


@each
def test_float64(case: Case) -> None:
    single, double = case.make(), case.make(dtype="float64")
    x = case.inputs(3)
    single(x)
    double.build_for((None, *case.shape))
    double.set_weights(single.get_weights())
    y = double(x.astype(float)).numpy()
    assert y.dtype == np.float64
    assert all(w.dtype == np.float64 for w in double.get_weights())
    np.testing.assert_allclose(single(x).numpy(), y, rtol=1e-4, atol=1e-5)


@each
def test_batch_is_its_rows(case: Case) -> None:
    layer = case.make(dtype="float64")
    x = case.inputs(4, "float64")
    y = layer(x).numpy()
    for i in range(4):
        np.testing.assert_allclose(layer(x[i : i + 1]).numpy(), y[i : i + 1], rtol=1e-12, atol=1e-12)


@each
def test_model_computes_what_the_layer_does(case: Case) -> None:
    layer = case.make(dtype="float64")
    x = case.inputs(5, "float64")
    model = nb.Sequential([nb.Input(case.shape, dtype="float64"), layer], dtype="float64")
    np.testing.assert_allclose(model.predict(x, batch_size=2), layer(x).numpy(), rtol=1e-12, atol=1e-12)


@each
def test_description_computes_nothing(case: Case) -> None:
    layer = case.make()
    layer.build_for((None, *case.shape))
    before = layer.get_weights()
    with Trace() as trace:
        y = layer(Tensor((2, *case.shape), layer.dtype), training=True)
    assert y.data is None
    assert all(t.data is None for node in trace.nodes for t in node.outputs)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
