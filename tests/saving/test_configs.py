"""Every object says what it was made with, in JSON, and is made again from that."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.optimizers import schedules

AXES: dict[str, Any] = {"input_axes": [0], "output_axes": [1]}
L2 = nb.regularizers.L2(0.25)
WEIGHTS = {"kernel_initializer": nb.initializers.RandomNormal(0.1, 0.2, seed=3), "kernel_regularizer": L2,
           "kernel_constraint": nb.constraints.MaxNorm(3.0, axis=0), "bias_initializer": "ones",
           "bias_regularizer": "l1", "bias_constraint": "non_neg"}  # fmt: skip
CONV = {"filters": 4, "kernel_size": 2, "strides": 2, "padding": "same", "activation": "gelu", "use_bias": False,
        "activity_regularizer": "l2"} | WEIGHTS  # fmt: skip
DEPTHWISE = {name.replace("kernel_", "depthwise_") if name != "kernel_size" else name: value
             for name, value in CONV.items() if name != "filters"} | {"depth_multiplier": 2}  # fmt: skip
POINTWISE = {name.replace("depthwise_", "pointwise_"): value
             for name, value in DEPTHWISE.items() if name.startswith("depthwise_")}  # fmt: skip
SEPARABLE = DEPTHWISE | {"filters": 4} | POINTWISE
AFFINE = {f"{name}_{kind}": value for name in ("beta", "gamma")
          for kind, value in (("initializer", "ones"), ("regularizer", L2), ("constraint", "unit_norm"))}  # fmt: skip
POOL = {"pool_size": 3, "strides": 2, "padding": "same"}
THRESHOLDS = {"thresholds": [0.2, 0.8]}
DECISIONS = THRESHOLDS | {"top_k": 2, "class_id": 1}
MASKED = {"num_classes": 4, "target_class_ids": [1, 3], "ignore_class": 0}
COMMON = {"weight_decay": 0.1, "clipnorm": 2.0, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 5,
          "gradient_accumulation_steps": 2}  # fmt: skip
MOVES = {"height_factor": (-0.1, 0.2), "width_factor": 0.3, "fill_mode": "constant", "interpolation": "nearest",
         "fill_value": 0.5, "seed": 4}  # fmt: skip
LOOKUP = {"max_tokens": 9, "output_mode": "tf_idf", "idf_weights": [0.5, 1.5], "pad_to_max_tokens": True}

#: Arguments of each class that are not its defaults.
TABLE: dict[str, dict[str, dict[str, Any]]] = {
    "layers": {
        "Activation": {"activation": "tanh"},
        "ActivityRegularization": {"l1": 0.1, "l2": 0.2},
        "Add": {}, "Average": {}, "Flatten": {}, "Identity": {}, "Maximum": {}, "Minimum": {}, "Multiply": {},
        "Subtract": {},
        "AlphaDropout": {"rate": 0.3, "noise_shape": (None, 1), "seed": 4},
        "AveragePooling1D": POOL, "AveragePooling2D": POOL, "MaxPooling1D": POOL, "MaxPooling2D": POOL,
        "BatchNormalization": {"axis": 1, "momentum": 0.9, "epsilon": 0.1, "center": False, "scale": False,
                               "moving_mean_initializer": "ones", "moving_variance_initializer": "zeros",
                               "renorm": True, "renorm_clipping": {"rmax": 2.0}, "renorm_momentum": 0.8} | AFFINE,
        "CategoryEncoding": {"num_tokens": 5, "output_mode": "count"},
        "Concatenate": {"axis": 1},
        "ConcreteDropout": {"layer": nb.layers.Dense(3, name="inside"), "weight_regularizer": 0.1,
                            "dropout_regularizer": 0.2, "init_min": 0.2, "init_max": 0.3, "temperature": 0.4,
                            "seed": 4},
        "Conv1D": CONV | {"dilation_rate": 1}, "Conv2D": CONV | {"kernel_size": (2, 3)},
        "Dense": {"units": 3, "activation": "relu", "use_bias": False, "activity_regularizer": L2} | WEIGHTS,
        "Discretization": {"num_bins": 5, "epsilon": 0.1, "output_mode": "count"},
        "Dot": {"axes": [1, 1], "normalize": True},
        "Dropout": {"rate": 0.3, "batchwise": True, "seed": 4},
        "DropBlock2D": {"rate": 0.3, "block_size": 3, "seed": 4, "shared": True},
        "DropConnectDense": {"units": 3, "rate": 0.3, "activation": "relu", "use_bias": False, "group_size": 2,
                             "inference": "mean", "samples": 50, "seed": 4} | WEIGHTS,
        "DropPath": {"rate": 0.3, "seed": 4},
        "ELU": {"alpha": 0.5},
        "Embedding": {"input_dim": 5, "output_dim": 2, "embeddings_initializer": "ones", "embeddings_regularizer": L2,
                      "embeddings_constraint": "non_neg"},
        "GaussianDropout": {"rate": 0.3, "seed": 4}, "GaussianNoise": {"stddev": 0.3, "seed": 4},
        "GlobalAveragePooling1D": {"keepdims": True}, "GlobalAveragePooling2D": {"keepdims": True},
        "GlobalMaxPooling1D": {"keepdims": True}, "GlobalMaxPooling2D": {"keepdims": True},
        "InputLayer": {"shape": (4, None), "batch_size": 3, "dtype": "int32"},
        "LayerNormalization": {"axis": (1, 2), "epsilon": 0.1, "center": False, "scale": False} | AFFINE,
        "LeakyReLU": {"negative_slope": 0.1},
        "Masking": {"mask_value": -1.0},
        "Masksembles": {"n": 3, "scale": 1.5, "seed": 4},
        "Normalization": {"axis": (1,), "mean": np.array([1.0, 2.0]), "variance": np.float32(0.5), "invert": True},
        "PReLU": {"alpha_initializer": "ones", "alpha_regularizer": L2, "alpha_constraint": "non_neg",
                  "shared_axes": (1,)},
        "Permute": {"dims": (2, 1)},
        "PutUnits": {"units": (1, 0), "size": 4},
        "ReLU": {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.5},
        "RepeatVector": {"n": np.int64(3)},
        "Rescaling": {"scale": np.array([1.0, 2.0]), "offset": 1},
        "Reshape": {"target_shape": (-1, 2)},
        "Softmax": {"axis": 1},
        "SpatialDropout1D": {"rate": 0.3, "seed": 4}, "SpatialDropout2D": {"rate": 0.3, "seed": 4},
        "StandoutDense": {"units": 3, "activation": "relu", "alpha": 0.5, "beta": 0.2, "seed": 4} | WEIGHTS,
        "TakeUnits": {"units": (1, 0)},
        "VariationalDense": {"units": 3, "activation": "relu", "initial_log_sigma2": -5.0, "kl_weight": 0.1,
                             "threshold": 2.0, "seed": 4} | WEIGHTS,
        "AveragePooling3D": POOL, "MaxPooling3D": POOL,
        "GlobalAveragePooling3D": {"keepdims": True}, "GlobalMaxPooling3D": {"keepdims": True},
        "Conv3D": CONV | {"kernel_size": (1, 2, 3), "groups": 2},
        "Conv1DTranspose": CONV | {"output_padding": 1}, "Conv2DTranspose": CONV | {"output_padding": (1, 0)},
        "DepthwiseConv1D": DEPTHWISE, "DepthwiseConv2D": DEPTHWISE | {"kernel_size": (2, 3)},
        "SeparableConv1D": SEPARABLE, "SeparableConv2D": SEPARABLE | {"kernel_size": (2, 3)},
        "Cropping1D": {"cropping": (1, 2)}, "Cropping2D": {"cropping": ((1, 2), (0, 1))},
        "Cropping3D": {"cropping": (1, 2, 0)},
        "ZeroPadding1D": {"padding": (1, 2)}, "ZeroPadding2D": {"padding": ((1, 2), (0, 1))},
        "IntegerLookup": LOOKUP | {"vocabulary": [3, 5], "mask_token": 1, "oov_token": -2, "num_oov_indices": 2},
        "StringLookup": LOOKUP | {"vocabulary": ["a", "b"], "mask_token": "", "oov_token": "?", "encoding": "latin-1",
                                  "num_oov_indices": 0},
        "TextVectorization": LOOKUP | {"standardize": "lower", "split": "character", "ngrams": (1, 3),
                                       "vocabulary": ["a", "b"], "encoding": "latin-1"},
        "Hashing": {"num_bins": 5, "mask_value": "", "salt": (3, 4), "output_mode": "count"},
        "HashedCrossing": {"num_bins": 5, "output_mode": "one_hot"},
        "CenterCrop": {"height": 5, "width": 4},
        "RandomBrightness": {"factor": (-0.1, 0.2), "value_range": (0.0, 1.0), "seed": 4},
        "RandomContrast": {"factor": (0.1, 0.2), "value_range": (0.0, 1.0), "seed": 4},
        "RandomCrop": {"height": 2, "width": 3, "seed": 4},
        "RandomFlip": {"mode": "vertical", "seed": 4},
        "RandomRotation": {"factor": (-0.1, 0.2), "fill_mode": "constant", "interpolation": "nearest",
                           "fill_value": 0.5, "seed": 4},
        "RandomTranslation": MOVES, "RandomZoom": MOVES,
        "Resizing": {"height": 5, "width": 4, "interpolation": "nearest", "crop_to_aspect_ratio": True,
                     "pad_to_aspect_ratio": False, "fill_value": 1.0, "antialias": True},
        "ZeroPadding3D": {"padding": (1, 2, 0)},
        "UpSampling1D": {"size": 3}, "UpSampling2D": {"size": (2, 3), "interpolation": "bicubic"},
        "UpSampling3D": {"size": (1, 2, 3)},
        "EinsumDense": {"equation": "abc,cd->abd", "output_shape": (None, 4), "activation": "relu",
                        "bias_axes": "d"} | WEIGHTS,
        "GroupNormalization": {"groups": 2, "axis": 1, "epsilon": 0.1, "center": False, "scale": False} | AFFINE,
        "RMSNormalization": {"axis": (1, 2), "epsilon": 0.1}, "UnitNormalization": {"axis": (1, 2)},
        "SpatialDropout3D": {"rate": 0.3, "seed": 4},
        "SpectralNormalization": {"layer": nb.layers.Dense(3, name="inside"), "power_iterations": 2},
        "VariationalDropout": {"initial_alpha": 0.5, "per_unit": True, "kl_weight": 0.1, "seed": 4},
    },
    "losses": {
        "BinaryCrossentropy": {"from_logits": True, "label_smoothing": 0.1},
        "BinaryFocalCrossentropy": {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5, "from_logits": True,
                                    "label_smoothing": 0.1},
        "CategoricalCrossentropy": {"from_logits": True, "label_smoothing": 0.1},
        "CategoricalFocalCrossentropy": {"alpha": 0.3, "gamma": 1.5, "from_logits": True, "label_smoothing": 0.1},
        "CategoricalHinge": {}, "CosineSimilarity": {}, "Hinge": {}, "KLDivergence": {}, "LogCosh": {},
        "MeanAbsoluteError": {}, "MeanAbsolutePercentageError": {}, "MeanSquaredError": {},
        "MeanSquaredLogarithmicError": {}, "Poisson": {}, "SquaredHinge": {},
        "GaussianNegativeLogLikelihood": {"full": True},
        "Huber": {"delta": 2.0},
        "Quantile": {"q": 0.3},
        "SparseCategoricalCrossentropy": {"from_logits": True, "ignore_class": 1},
        "Circle": {"gamma": 2.0, "margin": 0.3, "remove_diagonal": False}, "Dice": {},
        "CategoricalGeneralizedCrossEntropy": {"q": 0.3},
        "Tversky": {"alpha": 0.3, "beta": 0.6},
    },
    "metrics": {
        "AUC": {"num_thresholds": 20, "curve": "PR", "summation_method": "minoring", "multi_label": True,
                "num_labels": 2, "label_weights": [0.5, 1.0], "from_logits": True},
        "BinaryAccuracy": {"threshold": 0.3},
        "BinaryCrossentropy": {"from_logits": True, "label_smoothing": 0.1},
        "BinaryIoU": {"target_class_ids": [1], "threshold": 0.3},
        "CategoricalCrossentropy": {"from_logits": True, "label_smoothing": 0.1},
        "F1Score": {"average": "micro", "threshold": 0.4},
        "FBetaScore": {"average": "macro", "beta": 2.0, "threshold": 0.4},
        "FalseNegatives": THRESHOLDS, "FalsePositives": THRESHOLDS, "TrueNegatives": THRESHOLDS,
        "TruePositives": {"thresholds": 0.3},
        "IoU": MASKED | {"sparse_y_true": False, "sparse_y_pred": False},
        "MatthewsCorrelation": {"threshold": 0.3},
        "MeanIoU": {"num_classes": 4, "ignore_class": 0, "sparse_y_true": False, "sparse_y_pred": False},
        "OneHotIoU": MASKED | {"sparse_y_pred": True},
        "OneHotMeanIoU": {"num_classes": 4, "ignore_class": 0, "sparse_y_pred": True},
        "Precision": DECISIONS, "Recall": DECISIONS,
        "PrecisionAtRecall": {"recall": 0.3, "num_thresholds": 20, "class_id": 1},
        "R2Score": {"class_aggregation": "variance_weighted_average", "num_regressors": 2},
        "RecallAtPrecision": {"precision": 0.3, "num_thresholds": 20, "class_id": 1},
        "SensitivityAtSpecificity": {"specificity": 0.3, "num_thresholds": 20, "class_id": 1},
        "SparseCategoricalCrossentropy": {"from_logits": True, "ignore_class": 1},
        "SparseTopKCategoricalAccuracy": {"k": 2}, "TopKCategoricalAccuracy": {"k": 2},
        "SpecificityAtSensitivity": {"sensitivity": 0.3, "num_thresholds": 20, "class_id": 1},
    } | {name: {} for name in (
        "Accuracy", "CategoricalAccuracy", "CategoricalHinge", "ConcordanceCorrelation", "CosineSimilarity", "Hinge",
        "KLDivergence", "LogCoshError", "Mean", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError",
        "MeanSquaredLogarithmicError", "PearsonCorrelation", "Poisson", "RootMeanSquaredError",
        "SparseCategoricalAccuracy", "SquaredHinge", "Sum")},
    "initializers": {
        "Constant": {"value": 0.5}, "Identity": {"gain": 2.0}, "Orthogonal": {"gain": 2.0, "seed": 3},
        "Ones": {}, "Zeros": {}, "STFT": {"side": "imag", "window": "hamming", "scaling": None, "periodic": True},
        "RandomNormal": {"mean": 1.0, "stddev": 0.1, "seed": 3},
        "TruncatedNormal": {"mean": 1.0, "stddev": 0.1, "seed": 3},
        "RandomUniform": {"minval": -1.0, "maxval": 2.0, "seed": 3},
        "VarianceScaling": {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform", "seed": 3} | AXES,
    } | {f"{name}{kind}": {"seed": 3} | AXES for name in ("Glorot", "He", "Lecun") for kind in ("Normal", "Uniform")},
    "regularizers": {
        "L1": {"l1": 0.5}, "L2": {"l2": 0.5}, "L1L2": {"l1": 0.5, "l2": 0.25},
        "OrthogonalRegularizer": {"factor": 0.5, "mode": "columns"},
    },
    "constraints": {
        "MaxNorm": {"max_value": 3.0, "axis": (0, 1)}, "NonNeg": {}, "UnitNorm": {"axis": 1},
        "MinMaxNorm": {"min_value": 0.5, "max_value": 3.0, "rate": 0.5, "axis": 1},
    },
    "optimizers": {
        "Adadelta": {"learning_rate": 0.5, "rho": 0.8, "epsilon": 0.1},
        "Adafactor": {
            "learning_rate": 0.5, "beta_2_decay": -0.7, "epsilon_1": 0.1, "epsilon_2": 0.2, "clip_threshold": 0.9,
            "relative_step": False,
        },
        "Adagrad": {"initial_accumulator_value": 0.5, "epsilon": 0.1},
        "Adam": {"beta_1": 0.8, "beta_2": 0.7, "epsilon": 0.1, "amsgrad": True},
        "AdamW": {"beta_1": 0.8, "beta_2": 0.7, "epsilon": 0.1, "amsgrad": True},
        "Adamax": {"beta_1": 0.8, "beta_2": 0.7, "epsilon": 0.1},
        "Ftrl": {"learning_rate_power": -0.3, "initial_accumulator_value": 0.5, "l1_regularization_strength": 0.1,
                 "l2_regularization_strength": 0.2, "l2_shrinkage_regularization_strength": 0.3, "beta": 0.4},
        "Lion": {"beta_1": 0.8, "beta_2": 0.7},
        "Nadam": {"beta_1": 0.8, "beta_2": 0.7, "epsilon": 0.1},
        "RMSprop": {"rho": 0.8, "momentum": 0.5, "epsilon": 0.1, "centered": True},
        "SGD": {"momentum": 0.9, "nesterov": True},
    },
    "schedules": {
        "CosineDecay": {"initial_learning_rate": 0.0, "decay_steps": 10, "alpha": 0.1, "warmup_target": 0.2,
                        "warmup_steps": 3},
        "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10, "t_mul": 1.5, "m_mul": 0.5,
                                "alpha": 0.1},
        "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True},
        "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True},
        "OneCycle": {"max_learning_rate": 0.1, "total_steps": 10, "pct_start": 0.4, "div_factor": 10.0,
                     "final_div_factor": 100.0},
        "PiecewiseConstantDecay": {"boundaries": (1, 2), "values": (0.1, 0.2, 0.3)},
        "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "end_learning_rate": 0.01, "power": 2.0,
                            "cycle": True},
    },
    "dropout_schedules": {
        "Cosine": {"rate": 0.5, "end_rate": 0.1, "steps": 10, "start": 2},
        "Curriculum": {"rate": 0.5, "gamma": 0.1},
        "Early": {"rate": 0.5, "steps": 10},
        "Late": {"rate": 0.5, "start": 10},
        "Linear": {"rate": 0.5, "end_rate": 0.1, "steps": 10, "start": 2},
    },
}  # fmt: skip
MODULES = {name: getattr(nb, name) for name in TABLE if name != "schedules"} | {"schedules": schedules}
#: Arguments beside those of the table: the constructor takes them, too.
EXTRA: dict[str, dict[str, Any]] = {
    "layers": {"name": "mine", "trainable": False, "dtype": "float64"},
    "losses": {"name": "mine", "reduction": "sum"},
    "metrics": {"name": "mine"},
    "optimizers": {"name": "mine", **COMMON},
}
CASES = [(module, name) for module, classes in TABLE.items() for name in classes]
#: Arguments with a single value in nbnet, and those that another argument excludes.
FIXED = {"data_format", "groups", "mask_zero", "axis", "clipvalue", "global_clipnorm", "loss_scale_factor",
         "thresholds", "input_shape", "dilation_rate", "lora_rank", "lora_alpha", "quantization_config",
         "gptq_unpacked_column_size", "autocast", "ragged", "optional", "input_tensor", "synchronized",
         "weights", "sparse", "invert", "bin_boundaries", "vocabulary_dtype", "oov_method", "fill_mode",
         "salt"}  # fmt: skip


def made(module: str, name: str) -> tuple[Any, dict[str, Any]]:
    given = TABLE[module][name] | EXTRA.get(module, {})
    if name == "InputLayer":
        given = {key: value for key, value in given.items() if key != "trainable"} | {"dtype": "int32"}
    return getattr(MODULES[module], name)(**given), given


@pytest.mark.parametrize(("module", "name"), CASES, ids=lambda part: part)
def test_configuration(module: str, name: str) -> None:
    thing, given = made(module, name)
    config = thing.get_config()
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    again = type(thing).from_config(config)
    assert again.get_config() == config
    deserialize = MODULES[module].deserialize
    text = json.dumps(MODULES[module].serialize(thing))
    assert deserialize(json.loads(text)).get_config() == config
    assert type(nb.saving.deserialize_keras_object(nb.saving.serialize_keras_object([thing]))[0]) is type(thing)
    for argument, value in given.items():
        if isinstance(value, (bool, int, float)):
            np.testing.assert_allclose(config[argument], value, 1e-6, err_msg=argument)


@pytest.mark.parametrize(("module", "name"), CASES, ids=lambda part: part)
def test_no_argument_is_forgotten(module: str, name: str) -> None:
    thing, given = made(module, name)
    arguments = {
        name
        for name, parameter in inspect.signature(type(thing)).parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    if "__init__" not in vars(type(thing)) and module == "layers":
        arguments -= {"activity_regularizer", "input_dim"}  # kept if it is given; another way to say input_shape
    if isinstance(thing, nb.layers.Dropout):
        arguments -= {"noise_shape"}  # in the way of batchwise
    if isinstance(thing, nb.layers.InputLayer):
        arguments -= {"batch_shape", "sparse"}  # another way to say shape; of no effect
    if isinstance(thing, nb.layers.TextVectorization):
        arguments -= {"output_sequence_length", "ragged"}  # not for vectors; of no effect
    if module in ("losses", "metrics"):
        arguments -= {"dtype", "from_sorted_ids"}  # of no effect; kept if it is given
    config = thing.get_config()
    assert arguments - FIXED <= config.keys()
    # The table has a value of its own for each.
    assert arguments - FIXED - {"name", "reduction", "learning_rate"} <= given.keys()


def test_every_class_is_here() -> None:
    bases = {"Layer", "Input", "Loss", "LossFunctionWrapper", "Metric", "EpochMetric", "MeanLoss", "MeanMetricWrapper",
             "Initializer", "Regularizer", "Constraint", "Optimizer", "LearningRateSchedule",
             "DropoutSchedule",
             "InputSpec", "Lambda", "TimeDistributed", "Wrapper"}  # fmt: skip
    for module, classes in TABLE.items():
        offered = {getattr(MODULES[module], name) for name in MODULES[module].__all__}
        names = {thing.__name__ for thing in offered if isinstance(thing, type)}
        assert names - bases == classes.keys()


def test_optimizers_with_schedules() -> None:
    for name in TABLE["schedules"]:
        optimizer = nb.optimizers.SGD(made("schedules", name)[0])
        config = json.loads(json.dumps(nb.optimizers.serialize(optimizer)))
        assert nb.optimizers.deserialize(config).get_config() == optimizer.get_config()


def bias(y_true: Any, y_pred: Any) -> Any:
    return nb.ops.mean(y_pred - y_true, axis=-1)


class Ramp(nb.initializers.Initializer):
    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return np.arange(np.prod(shape), dtype=dtype or "float32").reshape(shape)


class Third(nb.regularizers.Regularizer):
    def __call__(self, x: Any) -> Any:
        return nb.ops.sum(nb.ops.abs(x) ** 3.0)


def flat(shape: Any, dtype: Any = None) -> Any:
    return np.full(shape, 0.5, dtype)


def test_functions_and_classes_of_ones_own_inside() -> None:
    layer = nb.layers.Dense(2, bias_initializer=flat, kernel_initializer=Ramp(), kernel_regularizer=Third())
    text = json.dumps(nb.layers.serialize(layer))
    with pytest.raises(ValueError, match="Ramp"):
        nb.layers.deserialize(json.loads(text))
    mine = {"flat": flat, "Ramp": Ramp, "Third": Third}
    again = nb.layers.deserialize(json.loads(text), custom_objects=mine)
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again(np.eye(2)).numpy(), [[0.5, 1.5], [2.5, 3.5]])


def test_losses_and_metrics_of_functions() -> None:
    for kind, thing in (("losses", nb.losses.as_loss(bias)), ("metrics", nb.metrics.get(bias)),
                        ("metrics", nb.metrics.MeanLoss(nb.losses.Huber(2.0), "mine"))):  # fmt: skip
        module = getattr(nb, kind)
        config = json.loads(json.dumps(module.serialize(thing)))
        again = module.deserialize(config, custom_objects={"bias": bias})
        assert again.get_config() == thing.get_config()
        assert np.asarray(again([[1.0]], [[5.0]])) == np.asarray(thing([[1.0]], [[5.0]]))
    with pytest.raises(ValueError, match="'bias' is not known"):
        nb.losses.deserialize(nb.losses.serialize(nb.losses.as_loss(bias)))
    with nb.saving.custom_object_scope({"bias": bias}):
        assert nb.losses.as_loss("bias").get_config()["fn"] == "bias"
        assert nb.metrics.get("bias").name == "bias"


@pytest.mark.parametrize(
    "value",
    [None, 3, "text", [1, [2.5, None]], {"a": {"b": [True]}}, {"class_name": 3}],
    ids=str,
)
def test_plain_values_stay_as_they_are(value: Any) -> None:
    assert nb.saving.deserialize_keras_object(nb.saving.serialize_keras_object(value)) == value


def test_objects_inside_of_structures() -> None:
    given = {"layers": [nb.layers.Dense(3, name="a")], "loss": nb.losses.Poisson(), "metric": nb.metrics.Poisson(),
             "act": nb.activations.gelu}  # fmt: skip
    config = json.loads(json.dumps(nb.saving.serialize_keras_object(given)))
    again = nb.saving.deserialize_keras_object(config)
    assert again["layers"][0].units == 3
    assert isinstance(again["loss"], nb.losses.Poisson)
    assert isinstance(again["metric"], nb.metrics.Poisson)
    assert again["act"] is nb.activations.gelu
    with pytest.raises(ValueError, match="kind: expected 'layer'"):
        nb.saving.deserialize_keras_object({"class_name": "Dense", "config": {}, "kind": "evil"})


def test_groups_in_an_older_configuration_are_left_out() -> None:
    with pytest.warns(UserWarning, match="^groups: 2 masks for each batch are not supported"):
        layer = nb.layers.Dropout.from_config({"rate": 0.5, "batchwise": True, "groups": 2})
    assert layer.batchwise
    assert "groups" not in layer.get_config()
