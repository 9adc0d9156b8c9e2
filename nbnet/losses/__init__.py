"""Losses, by class, by name, or as functions that give one loss a sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from nbnet import registry
from nbnet.absences import absent
from nbnet.losses.binary_crossentropy import BinaryCrossentropy, binary_crossentropy
from nbnet.losses.binary_focal_crossentropy import BinaryFocalCrossentropy, binary_focal_crossentropy
from nbnet.losses.categorical_crossentropy import CategoricalCrossentropy, categorical_crossentropy
from nbnet.losses.categorical_focal_crossentropy import CategoricalFocalCrossentropy, categorical_focal_crossentropy
from nbnet.losses.categorical_hinge import CategoricalHinge, categorical_hinge
from nbnet.losses.cosine_similarity import CosineSimilarity, cosine_similarity
from nbnet.losses.function import LossFunctionWrapper
from nbnet.losses.gaussian_negative_log_likelihood import (
    GaussianNegativeLogLikelihood,
    gaussian_negative_log_likelihood,
)
from nbnet.losses.hinge import Hinge, hinge
from nbnet.losses.huber import Huber, huber
from nbnet.losses.kl_divergence import KLDivergence, kl_divergence
from nbnet.losses.log_cosh import LogCosh, log_cosh
from nbnet.losses.loss import Loss
from nbnet.losses.mean_absolute_error import MeanAbsoluteError, mean_absolute_error
from nbnet.losses.mean_absolute_percentage_error import MeanAbsolutePercentageError, mean_absolute_percentage_error
from nbnet.losses.mean_squared_error import MeanSquaredError, mean_squared_error
from nbnet.losses.mean_squared_logarithmic_error import MeanSquaredLogarithmicError, mean_squared_logarithmic_error
from nbnet.losses.poisson import Poisson, poisson
from nbnet.losses.quantile import Quantile, quantile
from nbnet.losses.sparse_categorical_crossentropy import SparseCategoricalCrossentropy, sparse_categorical_crossentropy
from nbnet.losses.squared_hinge import SquaredHinge, squared_hinge
from nbnet.registry import custom_object_scope, lookup, snake_case

__all__ = [
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
    "CategoricalHinge", "CosineSimilarity", "GaussianNegativeLogLikelihood", "Hinge", "Huber", "KLDivergence",
    "LogCosh", "Loss", "LossFunctionWrapper", "MeanAbsoluteError", "MeanAbsolutePercentageError",
    "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson", "Quantile", "SparseCategoricalCrossentropy",
    "SquaredHinge", "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
    "categorical_focal_crossentropy", "categorical_hinge", "cosine_similarity", "deserialize",
    "gaussian_negative_log_likelihood", "get", "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "quantile",
    "serialize", "sparse_categorical_crossentropy", "squared_hinge",
]  # fmt: skip

_by_function: dict[Callable[..., Any], type[Loss]] = {
    binary_crossentropy: BinaryCrossentropy,
    binary_focal_crossentropy: BinaryFocalCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    categorical_focal_crossentropy: CategoricalFocalCrossentropy,
    categorical_hinge: CategoricalHinge,
    cosine_similarity: CosineSimilarity,
    gaussian_negative_log_likelihood: GaussianNegativeLogLikelihood,
    hinge: Hinge,
    huber: Huber,
    kl_divergence: KLDivergence,
    log_cosh: LogCosh,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_error: MeanSquaredError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    poisson: Poisson,
    quantile: Quantile,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    squared_hinge: SquaredHinge,
}
#: Classes by name: that of the function, the class's own, and short ones.
known: dict[str, type[Loss]] = {f.__name__: loss for f, loss in _by_function.items()}
known |= {snake_case(loss.__name__): loss for loss in _by_function.values()} | {
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "kullback_leibler_divergence": KLDivergence,
    "logcosh": LogCosh,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}


def get(identifier: Any) -> Loss:
    """A loss from its name, class, configuration or itself, or from a function of targets and predictions.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.get("mse")
    MeanSquaredError()
    >>> nb.losses.get({"class_name": "Huber", "config": {"delta": 2.0}})
    Huber(delta=2.0)
    """
    if callable(identifier) and not isinstance(identifier, (Loss, type)):
        known_class = _by_function.get(identifier)
        return LossFunctionWrapper(identifier) if known_class is None else known_class()
    if isinstance(identifier, Mapping) and identifier.get("class_name") == "LossFunctionWrapper":
        return cast(Loss, registry.make(LossFunctionWrapper, identifier.get("config"), "loss"))
    found = lookup(identifier, known, Loss, "loss", functions=True)
    return found if isinstance(found, Loss) else LossFunctionWrapper(found)


def serialize(loss: Loss) -> dict[str, Any]:
    """The class and the arguments of a loss: what :func:`deserialize` makes it from.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.serialize(nb.losses.Poisson(reduction="sum"))
    {'class_name': 'Poisson', 'config': {'name': 'poisson', 'reduction': 'sum'}}
    """
    return registry.serialize(loss, known | {"LossFunctionWrapper": LossFunctionWrapper})


def deserialize(config: Any, custom_objects: Mapping[str, type[Loss]] | None = None) -> Loss:
    """A loss from what :func:`serialize` returned.

    Parameters
    ----------
    custom_objects
        Classes of your own by name.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.deserialize({"class_name": "Poisson", "config": {"name": "counts"}})
    Poisson(name='counts')
    """
    with custom_object_scope(custom_objects):
        return get(config)


if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
