"""Metrics, by class, by name, or as functions that give one value per sample."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

from nbnet import losses
from nbnet.base import registry
from nbnet.base.uninterrupted import apart
from nbnet.base.unsupported_keras import keras_hint
from nbnet.losses import Loss
from nbnet.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    Poisson,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SquaredHinge,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from nbnet.metrics.at_threshold import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from nbnet.metrics.confusion import (
    F1Score,
    FalseNegatives,
    FalsePositives,
    FBetaScore,
    MatthewsCorrelation,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from nbnet.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from nbnet.metrics.metric import EpochMetric, Mean, MeanLoss, MeanMetricWrapper, Metric, Sum
from nbnet.metrics.regression import (
    ConcordanceCorrelation,
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    R2Score,
    RootMeanSquaredError,
    concordance_correlation,
    pearson_correlation,
)

# Losses as functions, which are metrics as well.
binary_crossentropy, binary_focal_crossentropy = losses.binary_crossentropy, losses.binary_focal_crossentropy
categorical_crossentropy, categorical_hinge = losses.categorical_crossentropy, losses.categorical_hinge
categorical_focal_crossentropy = losses.categorical_focal_crossentropy
hinge, huber, kl_divergence, log_cosh = losses.hinge, losses.huber, losses.kl_divergence, losses.log_cosh
mean_absolute_error, mean_squared_error = losses.mean_absolute_error, losses.mean_squared_error
mean_absolute_percentage_error = losses.mean_absolute_percentage_error
mean_squared_logarithmic_error, poisson = losses.mean_squared_logarithmic_error, losses.poisson
sparse_categorical_crossentropy, squared_hinge = losses.sparse_categorical_crossentropy, losses.squared_hinge

__all__ = [
    "AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "BinaryIoU", "CategoricalAccuracy",
    "CategoricalCrossentropy", "CategoricalHinge", "ConcordanceCorrelation", "CosineSimilarity", "EpochMetric",
    "F1Score", "FBetaScore", "FalseNegatives", "FalsePositives", "Hinge", "IoU", "KLDivergence", "LogCoshError",
    "MatthewsCorrelation", "Mean", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanIoU", "MeanLoss",
    "MeanMetricWrapper", "MeanSquaredError", "MeanSquaredLogarithmicError", "Metric", "OneHotIoU", "OneHotMeanIoU",
    "PearsonCorrelation", "Poisson", "Precision", "PrecisionAtRecall", "R2Score", "Recall", "RecallAtPrecision",
    "RootMeanSquaredError", "SensitivityAtSpecificity", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity", "SquaredHinge", "Sum", "TopKCategoricalAccuracy",
    "TrueNegatives", "TruePositives", "binary_accuracy", "binary_crossentropy", "binary_focal_crossentropy",
    "categorical_accuracy", "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge",
    "concordance_correlation", "deserialize", "get", "hinge", "huber", "kl_divergence", "log_cosh",
    "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error",
    "pearson_correlation", "poisson", "serialize", "sparse_categorical_accuracy", "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy", "squared_hinge", "top_k_categorical_accuracy",
]  # fmt: skip

_classes: list[type[Metric]] = [
    kind
    for kind in (globals()[name] for name in __all__ if name in globals())
    if isinstance(kind, type) and kind not in (EpochMetric, MeanLoss, MeanMetricWrapper, Metric)
]
#: By the name they have in logs, and short ones.
_known: dict[str, type[Metric]] = {metric.name: metric for metric in _classes} | {
    "bce": BinaryCrossentropy,
    "f_beta_score": FBetaScore,
    "kld": KLDivergence,
    "log_cosh": LogCoshError,
    "log_cosh_error": LogCoshError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
    "rmse": RootMeanSquaredError,
}
_by_class_name = {metric.__name__: metric for metric in (*_classes, MeanLoss, MeanMetricWrapper)}
_by_function: dict[Callable[..., Any], type[Metric]] = {
    binary_accuracy: BinaryAccuracy,
    categorical_accuracy: CategoricalAccuracy,
    sparse_categorical_accuracy: SparseCategoricalAccuracy,
    sparse_top_k_categorical_accuracy: SparseTopKCategoricalAccuracy,
    top_k_categorical_accuracy: TopKCategoricalAccuracy,
}


@overload
def get(identifier: None, loss: Loss | None = ..., width: int | None = ..., labels: bool | None = ...) -> None: ...
@overload
def get(identifier: Any, loss: Loss | None = ..., width: int | None = ..., labels: bool | None = ...) -> Metric: ...
def get(
    identifier: Any, loss: Loss | None = None, width: int | None = None, labels: bool | None = None
) -> Metric | None:
    """A metric from its name, class, configuration, a loss, a function of targets and predictions, or itself.

    A metric that is given by a name has that name in logs, as in Keras.

    Parameters
    ----------
    identifier : str, type, dict, Loss, callable, Metric or None
        The metric; None is returned as it is.
    loss : Loss, optional
        The loss of the model: decides, with ``width``, what ``"accuracy"`` and ``"crossentropy"`` mean.
    width : int, optional
        Size of the last axis of predictions.
    labels : bool, optional
        True if targets are class labels: decides the same where the loss is your own, or there is none.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.get("mae")
    MeanAbsoluteError(name='mae')
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        return _by_name(identifier, loss, width, labels)
    if isinstance(identifier, Loss):
        return MeanLoss(identifier)
    if callable(identifier) and not isinstance(identifier, (Metric, type)):
        name = getattr(identifier, "__name__", "")
        if getattr(losses, name, None) is identifier:
            return MeanLoss(losses.as_loss(identifier), name)
        return _by_function[identifier]() if identifier in _by_function else MeanMetricWrapper(identifier)
    return registry.lookup(identifier, _known | _by_class_name, Metric, "metrics")


@functools.cache
def _warn_of_places(name: str) -> None:
    """Warn once in a process."""
    warnings.warn(
        f"metrics: {name!r} of several outputs is the share of samples whose largest prediction is where the target is "
        "largest, as in Keras; the share of right outputs is 'binary_accuracy'",
        stacklevel=8,
    )


def _by_name(name: str, loss: Loss | None, width: int | None, labels: bool | None) -> Metric:
    own = registry.get_registered_object(name)
    if own is not None:
        return registry.lookup(own, {}, Metric, "metrics") if isinstance(own, type) else MeanMetricWrapper(own)
    sparse = bool(labels) if loss is None or loss.is_users else loss.sparse
    single = width in (None, 1)
    sparse = sparse and not (single and (loss is None or loss.is_users))
    binary = single or isinstance(loss, losses.BinaryCrossentropy)
    if name in ("accuracy", "acc"):
        kind: type[Metric] = SparseCategoricalAccuracy if sparse else BinaryAccuracy if single else CategoricalAccuracy
        if binary and not (single or sparse):
            _warn_of_places(name)
    elif name in ("crossentropy", "ce"):
        kind = SparseCategoricalCrossentropy if sparse else BinaryCrossentropy if binary else CategoricalCrossentropy
    else:
        known = _by_class_name.get(name) or _known.get(name) or _known.get(name.lower())
        if known is None and (name in losses.known or name.lower() in losses.known):
            return MeanLoss(losses.as_loss(name), name)
        kind = type(registry.lookup(name, _known, Metric, "metrics")) if known is None else known
    metric = kind()
    metric.name = name
    return metric


def serialize(metric: Metric) -> dict[str, Any]:
    """The class and the arguments of a metric: what :func:`deserialize` reads.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.serialize(nb.metrics.BinaryAccuracy(threshold=0.3))
    {'class_name': 'BinaryAccuracy', 'config': {'name': 'binary_accuracy', 'dtype': 'float32', 'threshold': 0.3}}
    """
    return registry.serialize(metric, _by_class_name)


@apart
def deserialize(config: Any, custom_objects: Mapping[str, type[Metric]] | None = None) -> Metric:
    """A metric from what :func:`serialize` returned.

    Parameters
    ----------
    custom_objects : mapping of str to class, optional
        Classes of your own, by name.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.deserialize({"class_name": "AUC", "config": {"curve": "PR"}})
    AUC(name='auc')
    """
    with registry.custom_object_scope(custom_objects):
        metric: Metric = get(config)
    return metric


if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
