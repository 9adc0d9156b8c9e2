"""Layers, with Keras's names and arguments."""

from typing import TYPE_CHECKING

from nbnet.base.unsupported_keras import keras_hint
from nbnet.layers.activation import ELU, Activation, ActivityRegularization, Identity, LeakyReLU, PReLU, ReLU, Softmax
from nbnet.layers.adaptive_dropout import ConcreteDropout, StandoutDense, VariationalDense, VariationalDropout
from nbnet.layers.convolution import Conv1D, Conv2D
from nbnet.layers.dense import Dense
from nbnet.layers.drop_connect import DropConnectDense
from nbnet.layers.dropout import DropBlock2D, Dropout, DropPath, SpatialDropout1D, SpatialDropout2D
from nbnet.layers.embedding import Embedding
from nbnet.layers.input import Input, InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.masksembles import Masksembles
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
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from nbnet.layers.preprocessing import Normalization, Rescaling
from nbnet.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from nbnet.layers.serialization import deserialize, register_layer, serialize
from nbnet.layers.unit_selection import PutUnits, TakeUnits

# Keras's other names.
AvgPool1D, AvgPool2D, MaxPool1D, MaxPool2D = AveragePooling1D, AveragePooling2D, MaxPooling1D, MaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
Convolution1D, Convolution2D = Conv1D, Conv2D

__all__ = [
    "ELU", "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average", "AveragePooling1D",
    "AveragePooling2D", "AvgPool1D", "AvgPool2D", "BatchNormalization", "Concatenate", "ConcreteDropout", "Conv1D",
    "Conv2D", "Convolution1D", "Convolution2D", "Dense", "Dot", "DropBlock2D", "DropConnectDense", "DropPath",
    "Dropout", "Embedding", "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalMaxPool1D", "GlobalMaxPool2D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "Identity", "Input", "InputLayer", "Layer", "LayerNormalization",
    "LeakyReLU", "Masksembles", "MaxPool1D", "MaxPool2D", "MaxPooling1D", "MaxPooling2D", "Maximum", "Minimum",
    "Multiply", "Normalization", "PReLU", "Permute", "PutUnits", "ReLU", "RepeatVector", "Rescaling", "Reshape",
    "Softmax", "SpatialDropout1D", "SpatialDropout2D", "StandoutDense", "Subtract", "TakeUnits", "VariationalDense",
    "VariationalDropout", "add", "average", "concatenate", "deserialize", "dot", "maximum", "minimum", "multiply",
    "serialize", "subtract",
]  # fmt: skip

# Configurations and files may name these classes.
for _class in list(vars().values()):
    if isinstance(_class, type) and issubclass(_class, Layer) and _class is not Layer:
        register_layer(_class)

if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
