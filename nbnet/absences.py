"""Names of Keras that nbnet does not offer, and what is near them: what an error for such a name says."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection
from typing import Any

_NO_SEQUENCES = "there are no recurrent layers; for sequences use Embedding, Conv1D and pooling"
_NO_VOLUMES = "convolution and pooling have one or two axes here"
_NO_ATTENTION = "there are no attention layers"
_NO_IMAGES = "change images with NumPy before fit, or batch by batch in a nbnet.utils.PyDataset"
_NO_TOKENS = "encode columns with scikit-learn (OneHotEncoder, OrdinalEncoder, KBinsDiscretizer) before fit"
_NO_CONVOLUTION = "of convolutions there are Conv1D and Conv2D"
_NO_FILES = "read the files into arrays and hand these to fit"
_ONE_BACKEND = "kernels compiled by Numba are its only backend"
_NO_FUNCTION = "write it with functions that are there, or use NumPy on arrays outside the model"
_NO_SWITCH = "give verbose=0 to fit, evaluate and predict"
_SUBCLASS = "subclass nbnet.layers.Layer and write call(self, x) with functions of nbnet.ops"

#: For each module, names in groups, each with what to do instead.
_TABLE: dict[str, tuple[tuple[str, str], ...]] = {
    "nbnet": (
        ("applications", "there are no pretrained networks; build the network of layers"),
        ("mixed_precision dtype_policies DTypePolicy FloatDTypePolicy", "compute in float32 or float64: set_floatx"),
        ("distribution", "threads work on slices of the batch on their own"),
        ("quantizers Quantizer distillation", "export a model with model.export and use the tools of ONNX Runtime"),
        ("preprocessing", "see nbnet.utils for what is left of it, such as pad_sequences"),
        ("wrappers", "see nbnet.estimators"),
        ("Variable", "use nbnet.Parameter"),
        ("KerasTensor", "nbnet.Input returns what stands for a tensor"),
        ("Function Operation", "use nbnet.Model(inputs, outputs)"),
        ("InputSpec", "check the shape in build(self, input_shape) and raise ValueError"),
        ("StatelessScope SymbolicScope RematScope remat name_scope", "there is no state to be scoped"),
        ("tree visualization legacy", "nothing in nbnet needs it"),
    ),
    "nbnet.layers": (
        (
            "LSTM GRU SimpleRNN RNN LSTMCell GRUCell SimpleRNNCell StackedRNNCells Bidirectional TimeDistributed "
            "ConvLSTM1D ConvLSTM2D ConvLSTM3D Masking",
            _NO_SEQUENCES,
        ),
        ("Attention AdditiveAttention MultiHeadAttention GroupQueryAttention GroupedQueryAttention", _NO_ATTENTION),
        (
            "Conv3D Convolution3D Conv3DTranspose Convolution3DTranspose MaxPooling3D MaxPool3D AveragePooling3D "
            "AvgPool3D GlobalAveragePooling3D GlobalAvgPool3D GlobalMaxPooling3D GlobalMaxPool3D Cropping3D "
            "UpSampling3D ZeroPadding3D AdaptiveAveragePooling3D AdaptiveMaxPooling3D",
            _NO_VOLUMES,
        ),
        (
            "Conv1DTranspose Conv2DTranspose Convolution1DTranspose Convolution2DTranspose DepthwiseConv1D "
            "DepthwiseConv2D SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D",
            _NO_CONVOLUTION,
        ),
        (
            "AugMix AutoContrast CenterCrop CutMix Equalization MixUp RandAugment RandomBrightness RandomColorJitter "
            "RandomColorDegeneration RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip "
            "RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization "
            "RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom Resizing "
            "ContrastLimitedAdaptiveHistogramEqualization Solarization MaxNumBoundingBoxes MelSpectrogram "
            "STFTSpectrogram",
            _NO_IMAGES,
        ),
        (
            "CategoryEncoding Discretization HashedCrossing Hashing IntegerLookup StringLookup TextVectorization",
            _NO_TOKENS,
        ),
        ("FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper", _ONE_BACKEND),
        ("AdaptiveAveragePooling1D AdaptiveAveragePooling2D", "use AveragePooling or GlobalAveragePooling"),
        ("AdaptiveMaxPooling1D AdaptiveMaxPooling2D", "use MaxPooling or GlobalMaxPooling"),
        ("GroupNormalization RMSNormalization UnitNormalization SpectralNormalization", "use LayerNormalization"),
        ("Lambda Wrapper Pipeline EinsumDense", _SUBCLASS),
        ("InputSpec", "check the shape in build(self, input_shape) and raise ValueError"),
        ("Cropping1D Cropping2D UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D", "do that to the arrays"),
        ("ReversibleEmbedding", "use Embedding, and its weights with nbnet.ops.matmul"),
    ),
    "nbnet.losses": (
        ("CTC ctc", _NO_SEQUENCES),
        ("Dice Tversky Circle CategoricalGeneralizedCrossEntropy", "write a function(y_true, y_pred) with nbnet.ops"),
        ("dice tversky circle categorical_generalized_cross_entropy", "write it with functions of nbnet.ops"),
    ),
    "nbnet.initializers": (("STFT STFTInitializer stft", "write a function(shape, dtype) that returns an array"),),
    "nbnet.metrics": (("concordance_correlation pearson_correlation", "use the class of that name"),),
    "nbnet.optimizers": (
        ("Adafactor Lamb Muon ScheduleFreeAdamW", "Adam and AdamW are near"),
        (
            "LossScaleOptimizer OptimizerMap",
            "training computes in float32 or float64, which need no scaling of the loss",
        ),
        ("MultiOptimizer legacy", "a model has one optimizer; those of nbnet.optimizers are the present ones"),
    ),
    "nbnet.callbacks": (
        ("RemoteMonitor", "send the logs from a nbnet.callbacks.LambdaCallback"),
        ("OrbaxCheckpoint", "use ModelCheckpoint"),
        ("History", "fit returns a nbnet.History"),
    ),
    "nbnet.utils": (
        ("FeatureSpace", _NO_TOKENS),
        ("array_to_img img_to_array load_img save_img", "use Pillow or matplotlib with NumPy arrays"),
        (
            "image_dataset_from_directory text_dataset_from_directory audio_dataset_from_directory "
            "timeseries_dataset_from_array",
            _NO_FILES,
        ),
        ("get_file", "nothing is downloaded; fetch the file and give its path"),
        ("Progbar", "see nbnet.progress.Progress"),
        ("bounding_boxes legacy get_source_inputs Config is_keras_tensor", "nothing in nbnet needs it"),
        ("enable_interactive_logging disable_interactive_logging is_interactive_logging_enabled", _NO_SWITCH),
    ),
    "nbnet.datasets": (
        (
            "boston_housing california_housing cifar10 cifar100 imdb reuters",
            "get it from sklearn.datasets (fetch_california_housing, fetch_openml) or from a file",
        ),
    ),
    "nbnet.backend": (
        ("set_image_data_format", "the channels are the last axis"),
        ("set_epsilon", "give losses and layers their own epsilon where they take one"),
        ("get_uid is_keras_tensor result_type is_float_dtype is_int_dtype", "nothing in nbnet needs it"),
    ),
    "nbnet.config": (
        ("set_backend", _ONE_BACKEND),
        ("dtype_policy set_dtype_policy", "see floatx and set_floatx"),
        ("set_image_data_format", "the channels are the last axis"),
        ("set_epsilon", "give losses and layers their own epsilon where they take one"),
        ("enable_unsafe_deserialization", "files of models hold no code"),
        ("enable_interactive_logging disable_interactive_logging is_interactive_logging_enabled", _NO_SWITCH),
        (
            "enable_traceback_filtering disable_traceback_filtering is_traceback_filtering_enabled is_nnx_enabled",
            "nothing in nbnet needs it",
        ),
        ("max_epochs set_max_epochs max_steps_per_epoch set_max_steps_per_epoch", "see the arguments of fit"),
        ("enable_flash_attention disable_flash_attention is_flash_attention_enabled", _NO_ATTENTION),
    ),
    "nbnet.ops": (
        ("dot_product_attention", _NO_ATTENTION),
        ("ctc_loss ctc_decode", _NO_SEQUENCES),
        ("conv_transpose depthwise_conv separable_conv", "there is nbnet.ops.conv"),
        ("einsum tensordot", "write it with transpose, reshape and matmul"),
        ("cond while_loop fori_loop scan map associative_scan switch", "use Python's own statements"),
        ("binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy", "see nbnet.losses"),
        ("svd qr inv det eig eigh solve cholesky lstsq fft fft2 rfft stft image", "use NumPy or SciPy on arrays"),
        ("linalg nn numpy", "the functions are in nbnet.ops itself"),
        ("layer_normalization", "see nbnet.ops.layer_norm"),
        (
            "adaptive_average_pool adaptive_max_pool allclose angle append arccos arccosh arcsin arcsinh arctan "
            "arctan2 arctanh argpartition array array_split bartlett bincount bitwise_and bitwise_invert "
            "bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman cbrt cdist "
            "cholesky_inverse conj conjugate copy corrcoef correlate cosh cross cumprod cumsum custom_gradient "
            "deg2rad depth_to_space diag diagflat diagonal diff digitize dsplit dstack dtype empty "
            "empty_like erfc erfinv extract_sequences fliplr flipud fmax fmin fmod fold gcd geomspace hamming "
            "hanning histogram hsplit hypot i0 identity ifft2 imag in_top_k inner irfft isin "
            "isneginf isposinf isreal istft jvp kaiser kron lcm ldexp left_shift logaddexp2 logdet logspace "
            "lu_factor matrix_rank median meshgrid multi_hot nanargmax nanargmin nancumprod nancumsum "
            "nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar nextafter "
            "nonzero percentile pinv polar prod psnr ptp quantile rad2deg real rearrange right_shift "
            "rms_normalization rot90 saturate_cast scatter scatter_update searchsorted segment_max segment_min "
            "segment_prod segment_sum select signbit sinc sinh slice slice_update slogdet solve_triangular sort "
            "space_to_depth take_along_axis tan top_k trace trapezoid tri tril triu trunc unfold unique "
            "unravel_index vander vdot vectorize vectorized_map view view_as_complex view_as_real vsplit",
            _NO_FUNCTION,
        ),
    ),
    "nbnet.saving": (("KerasFileEditor", "files are safetensors, which the package of that name reads"),),
    "nbnet.random": (
        ("gamma beta binomial", "use the generator nbnet.random.generator(key) returns"),
        ("dropout", "see nbnet.ops.dropout"),
    ),
}


def absent_names(module: str) -> dict[str, str]:
    """The names of Keras that a module does not offer, each with what to do instead.

    Examples
    --------
    >>> from nbnet.absences import absent_names
    >>> absent_names("nbnet.layers")["LSTM"]
    'there are no recurrent layers; for sequences use Embedding, Conv1D and pooling'
    """
    return {name: instead for names, instead in _TABLE.get(module, ()) for name in names.split()}


def absent(module: str, parts: Collection[str] = ()) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module: an AttributeError that knows the names of Keras.

    Parameters
    ----------
    module
        Its name.
    parts
        Modules in it that are imported when somebody asks for them.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.layers.LSTM
    Traceback (most recent call last):
        ...
    AttributeError: nbnet does not offer layers.LSTM: there are no recurrent layers; for sequences use Embedding, ...
    """

    def refuse(name: str) -> Any:
        if name in parts:
            return importlib.import_module(f"{module}.{name}")
        instead = absent_names(module).get(name)
        if instead is None:
            text = f"module {module!r} has no attribute {name!r}"
        else:
            text = f"nbnet does not offer {f'{module}.{name}'.removeprefix('nbnet.')}: {instead}"
        raise AttributeError(text, name=name, obj=sys.modules.get(module))

    return refuse
