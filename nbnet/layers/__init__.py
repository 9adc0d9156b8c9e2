"""Layers."""

from nbnet.layers.activation import Activation
from nbnet.layers.dense import Dense
from nbnet.layers.dropout import Dropout
from nbnet.layers.input import Input, InputLayer
from nbnet.layers.layer import Layer
from nbnet.layers.reshape import Flatten, Reshape

__all__ = ["Activation", "Dense", "Dropout", "Flatten", "Input", "InputLayer", "Layer", "Reshape"]
