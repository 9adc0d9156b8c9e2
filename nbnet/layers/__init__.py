"""Layers."""

from typing import TYPE_CHECKING

from nbnet.absences import absent
from nbnet.layers.activation import Activation
from nbnet.layers.activity_regularization import ActivityRegularization
from nbnet.layers.add import Add, add
from nbnet.layers.alpha_dropout import AlphaDropout
from nbnet.layers.average import Average, average
from nbnet.layers.average_pooling import AveragePooling1D, AveragePooling2D
from nbnet.layers.batch_normalization import BatchNormalization
from nbnet.layers.concatenate import Concatenate, concatenate
from nbnet.layers.concrete_dropout import ConcreteDropout
from nbnet.layers.conv1d import Conv1D
from nbnet.layers.conv2d import Conv2D
from nbnet.layers.dense import Dense
from nbnet.layers.dot import Dot, dot
from nbnet.layers.drop_block import DropBlock2D
from nbnet.layers.drop_connect import DropConnectDense
from nbnet.layers.drop_path import DropPath
from nbnet.layers.dropout import Dropout
from nbnet.layers.elu import ELU
from nbnet.layers.embedding import Embedding
from nbnet.layers.gaussian_dropout import GaussianDropout
from nbnet.layers.gaussian_noise import GaussianNoise
from nbnet.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
)
from nbnet.layers.identity import Identity
from nbnet.layers.input import Input, InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.layer_normalization import LayerNormalization
from nbnet.layers.leaky_relu import LeakyReLU
from nbnet.layers.masksembles import Masksembles
from nbnet.layers.max_pooling import MaxPooling1D, MaxPooling2D
from nbnet.layers.maximum import Maximum, maximum
from nbnet.layers.minimum import Minimum, minimum
from nbnet.layers.multiply import Multiply, multiply
from nbnet.layers.normalization import Normalization
from nbnet.layers.permute import Permute
from nbnet.layers.prelu import PReLU
from nbnet.layers.put_units import PutUnits
from nbnet.layers.relu import ReLU
from nbnet.layers.repeat_vector import RepeatVector
from nbnet.layers.rescaling import Rescaling
from nbnet.layers.reshape import Flatten, Reshape
from nbnet.layers.serialization import deserialize, serialize
from nbnet.layers.softmax import Softmax
from nbnet.layers.spatial_dropout import SpatialDropout1D, SpatialDropout2D
from nbnet.layers.standout import StandoutDense
from nbnet.layers.subtract import Subtract, subtract
from nbnet.layers.take_units import TakeUnits
from nbnet.layers.variational_dropout import VariationalDense, VariationalDropout

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

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
