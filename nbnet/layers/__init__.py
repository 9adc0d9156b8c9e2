"""Layers, with Keras's names and arguments."""

from typing import TYPE_CHECKING

from nbnet.base.unsupported_keras import keras_hint
from nbnet.layers.activation import ELU, Activation, ActivityRegularization, Identity, LeakyReLU, PReLU, ReLU, Softmax
from nbnet.layers.adaptive_dropout import ConcreteDropout, StandoutDense, VariationalDense, VariationalDropout
from nbnet.layers.convolution import Conv1D, Conv2D, Conv3D
from nbnet.layers.dense import Dense, DropConnectDense
from nbnet.layers.dropout import (
    DropBlock2D,
    Dropout,
    DropPath,
    Masksembles,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from nbnet.layers.embedding import Embedding, Masking
from nbnet.layers.input import Input, InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from nbnet.layers.noise import AlphaDropout, GaussianDropout, GaussianNoise
from nbnet.layers.normalization import BatchNormalization, LayerNormalization
from nbnet.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from nbnet.layers.preprocessing import Normalization, Rescaling
from nbnet.layers.reshaping import Flatten, Permute, PutUnits, RepeatVector, Reshape, TakeUnits
from nbnet.layers.serialization import deserialize, known, register_layer, serialize

if TYPE_CHECKING:
    from nbnet.layers.categories import CategoryEncoding, Discretization
    from nbnet.layers.convolution_variants import (
        Conv1DTranspose,
        Conv2DTranspose,
        Convolution1DTranspose,
        Convolution2DTranspose,
        DepthwiseConv1D,
        DepthwiseConv2D,
        SeparableConv1D,
        SeparableConv2D,
        SeparableConvolution1D,
        SeparableConvolution2D,
    )
    from nbnet.layers.einsum_dense import EinsumDense
    from nbnet.layers.group_normalization import GroupNormalization, RMSNormalization, UnitNormalization
    from nbnet.layers.images import (
        CenterCrop,
        RandomBrightness,
        RandomContrast,
        RandomCrop,
        RandomFlip,
        RandomRotation,
        RandomTranslation,
        RandomZoom,
        Resizing,
    )
    from nbnet.layers.input_spec import InputSpec
    from nbnet.layers.lookup import IntegerLookup, StringLookup
    from nbnet.layers.padding import (
        Cropping1D,
        Cropping2D,
        Cropping3D,
        UpSampling1D,
        UpSampling2D,
        UpSampling3D,
        ZeroPadding1D,
        ZeroPadding2D,
        ZeroPadding3D,
    )
    from nbnet.layers.text import HashedCrossing, Hashing, TextVectorization
    from nbnet.layers.wrapper import Lambda, SpectralNormalization, TimeDistributed, Wrapper

#: Layers that most scripts do not use, by module: it is imported when one of its names is first asked for.
_DEFERRED = {
    "categories": "CategoryEncoding Discretization",
    "convolution_variants": """Conv1DTranspose Conv2DTranspose Convolution1DTranspose Convolution2DTranspose
        DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D SeparableConvolution1D
        SeparableConvolution2D""",
    "einsum_dense": "EinsumDense",
    "group_normalization": "GroupNormalization RMSNormalization UnitNormalization",
    "images": """CenterCrop RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation
        RandomZoom Resizing""",
    "lookup": "IntegerLookup StringLookup",
    "padding": """Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
        ZeroPadding3D""",
    "text": "HashedCrossing Hashing TextVectorization",
    "wrapper": "Lambda SpectralNormalization TimeDistributed Wrapper",
}
_modules = {name: f"{__name__}.{module}" for module, names in _DEFERRED.items() for name in names.split()}

# Keras's other names.
AvgPool1D, AvgPool2D, MaxPool1D, MaxPool2D = AveragePooling1D, AveragePooling2D, MaxPooling1D, MaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
AvgPool3D, MaxPool3D = AveragePooling3D, MaxPooling3D
GlobalAvgPool3D, GlobalMaxPool3D = GlobalAveragePooling3D, GlobalMaxPooling3D
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D

__all__ = [
    "ELU", "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average", "AveragePooling1D",
    "AveragePooling2D", "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D", "BatchNormalization",
    "CategoryEncoding", "CenterCrop", "Concatenate", "ConcreteDropout", "Conv1D", "Conv1DTranspose", "Conv2D",
    "Conv2DTranspose", "Conv3D", "Convolution1D", "Convolution1DTranspose", "Convolution2D", "Convolution2DTranspose",
    "Convolution3D", "Cropping1D", "Cropping2D", "Cropping3D", "Dense", "DepthwiseConv1D", "DepthwiseConv2D",
    "Discretization", "Dot", "DropBlock2D", "DropConnectDense", "DropPath", "Dropout", "EinsumDense", "Embedding",
    "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D", "GlobalMaxPool1D",
    "GlobalMaxPool2D", "GlobalMaxPool3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "GroupNormalization", "HashedCrossing", "Hashing", "Identity", "Input", "InputLayer", "InputSpec", "IntegerLookup",
    "Lambda", "Layer", "LayerNormalization", "LeakyReLU", "Masking", "Masksembles", "MaxPool1D", "MaxPool2D",
    "MaxPool3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum", "Minimum", "Multiply", "Normalization",
    "PReLU", "Permute", "PutUnits", "RMSNormalization", "RandomBrightness", "RandomContrast", "RandomCrop",
    "RandomFlip",
    "RandomRotation", "RandomTranslation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing",
    "SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D", "Softmax",
    "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "SpectralNormalization", "StandoutDense",
    "StringLookup", "Subtract", "TakeUnits", "TextVectorization", "TimeDistributed", "UnitNormalization",
    "UpSampling1D", "UpSampling2D", "UpSampling3D", "VariationalDense", "VariationalDropout", "Wrapper",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "add", "average", "concatenate", "deserialize", "dot", "maximum",
    "minimum", "multiply", "serialize", "subtract",
]  # fmt: skip

# Configurations and files may name these classes.
for _class in list(vars().values()):
    if isinstance(_class, type) and issubclass(_class, Layer) and _class is not Layer:
        register_layer(_class)
known.defer(_modules | {"FeatureSpace": "nbnet.utils.feature_space"})


def __dir__() -> list[str]:
    return sorted({*globals(), *_modules, "InputSpec"})


if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__, elsewhere=_modules | {"InputSpec": f"{__name__}.input_spec"})
