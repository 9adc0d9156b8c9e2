"""Activations, losses and layers: functions of :mod:`nbnet.ops`, under the name of Keras's module."""

from nbnet.base.unsupported_keras import keras_hint

_NAMES = """
    adaptive_average_pool adaptive_max_pool average_pool batch_normalization binary_crossentropy
    categorical_crossentropy celu conv conv_transpose depth_to_space depthwise_conv elu fold gelu glu hard_shrink
    hard_sigmoid hard_silu hard_swish hard_tanh layer_normalization leaky_relu log_sigmoid log_softmax max_pool
    moments multi_hot normalize one_hot psnr relu relu6 rms_normalization selu separable_conv sigmoid silu soft_shrink
    softmax softplus softsign space_to_depth sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax
    squareplus swish tanh_shrink threshold unfold
"""

__getattr__ = keras_hint("nbnet.ops", elsewhere=dict.fromkeys(_NAMES.split(), "nbnet.ops"))


def __dir__() -> list[str]:
    return _NAMES.split()
