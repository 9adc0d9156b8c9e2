"""Losses, by class, by name, or as functions that give one loss per sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from nbnet.base import registry
from nbnet.base.registry import custom_object_scope, lookup, snake_case
from nbnet.base.uninterrupted import apart
from nbnet.base.unsupported_keras import keras_hint
from nbnet.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    sparse_categorical_crossentropy,
)
from nbnet.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
)
from nbnet.losses.hinge import CategoricalHinge, Hinge, SquaredHinge, categorical_hinge, hinge, squared_hinge
from nbnet.losses.loss import Loss, LossFunctionWrapper
from nbnet.losses.overlap import (
    CategoricalGeneralizedCrossEntropy,
    Circle,
    Dice,
    Tversky,
    categorical_generalized_cross_entropy,
    circle,
    dice,
    tversky,
)
from nbnet.losses.regression import (
    CosineSimilarity,
    GaussianNegativeLogLikelihood,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    Quantile,
    cosine_similarity,
    gaussian_negative_log_likelihood,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    quantile,
)

__all__ = [
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "Circle", "CosineSimilarity", "Dice",
    "GaussianNegativeLogLikelihood", "Hinge", "Huber", "KLDivergence", "LogCosh", "Loss", "LossFunctionWrapper",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson",
    "Quantile", "SparseCategoricalCrossentropy", "SquaredHinge", "Tversky", "binary_crossentropy",
    "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy", "categorical_hinge", "circle", "cosine_similarity", "deserialize", "dice",
    "gaussian_negative_log_likelihood", "get", "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "quantile",
    "serialize", "sparse_categorical_crossentropy", "squared_hinge", "tversky",
]  # fmt: skip

_public = [value for name, value in globals().items() if name in __all__]
_classes = [kind for kind in _public if isinstance(kind, type) and kind not in (Loss, LossFunctionWrapper)]
#: Classes by name: the class's own in snake case, which is that of the function, and short names.
known: dict[str, type[Loss]] = {snake_case(loss.__name__): loss for loss in _classes} | {
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "kullback_leibler_divergence": KLDivergence,
    "logcosh": LogCosh,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}
_by_function: dict[Callable[..., Any], type[Loss]] = {
    globals()[name]: loss for name, loss in known.items() if name in __all__
}
_functions: dict[type[Loss], Callable[..., Any]] = {loss: function for function, loss in _by_function.items()}


def get(identifier: Any) -> Any:
    """A loss as Keras returns it: the function of a name, an object of a class's name, what is callable itself.

    Parameters
    ----------
    identifier : str, type, dict, Loss, callable or None
        None is returned as it is.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.get("mse") is nb.losses.mean_squared_error
    True
    >>> nb.losses.get("MeanSquaredError")
    MeanSquaredError()
    >>> nb.losses.get({"class_name": "Huber", "config": {"delta": 2.0}})
    Huber(delta=2.0)
    """
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    if isinstance(identifier, str) and registry.get_registered_object(identifier) is None:
        kind = known.get(identifier.lower() if identifier.isupper() else identifier)
        if kind is not None:
            return _functions[kind]
    found = as_loss(identifier)
    return found.fn if isinstance(found, LossFunctionWrapper) and isinstance(identifier, str) else found


def as_loss(identifier: Any) -> Loss:
    """A loss from its name, class, configuration or itself, or from a function of targets and predictions.

    Examples
    --------
    >>> from nbnet.losses import as_loss
    >>> as_loss("mse")
    MeanSquaredError()
    """
    if callable(identifier) and not isinstance(identifier, (Loss, type)):
        known_class = _by_function.get(identifier)
        return LossFunctionWrapper(identifier) if known_class is None else known_class()
    if isinstance(identifier, Mapping) and identifier.get("class_name") == "LossFunctionWrapper":
        return cast(Loss, registry.make(LossFunctionWrapper, identifier.get("config"), "loss"))
    loss = lookup(identifier, known, Loss, "loss", functions=True)
    return loss if isinstance(loss, Loss) else LossFunctionWrapper(loss)


def serialize(loss: Loss) -> dict[str, Any]:
    """The class and the arguments of a loss: what :func:`deserialize` reads.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.serialize(nb.losses.Poisson(reduction="sum"))
    {'class_name': 'Poisson', 'config': {'name': 'poisson', 'reduction': 'sum'}}
    """
    return registry.serialize(loss, known | {"LossFunctionWrapper": LossFunctionWrapper})


@apart
def deserialize(config: Any, custom_objects: Mapping[str, type[Loss]] | None = None) -> Loss:
    """A loss from what :func:`serialize` returned.

    Parameters
    ----------
    custom_objects : mapping of str to class, optional
        Classes of your own, by name.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.losses.deserialize({"class_name": "Poisson", "config": {"name": "counts"}})
    Poisson(name='counts')
    """
    with custom_object_scope(custom_objects):
        return as_loss(config)


if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
