"""Every op of nbnet in ONNX: its entry, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping

from nbnet.export import activations, arithmetic, reductions, shapes, windows
from nbnet.export.graph import Entry, entries

__all__ = ["ENTRIES", "REFUSED", "activations", "arithmetic", "reductions", "shapes", "windows"]

ENTRIES: Mapping[str, Entry] = entries

_RANDOM = (
    "alpha_dropout", "alpha_masked", "bernoulli", "bernoulli_given", "concrete_dropout", "concrete_given", "drop_block",
    "drop_block_given", "drop_connect", "drop_connect_given", "drop_connect_groups", "dropout", "dropout_grouped",
    "dropout_shared", "gaussian_dropout", "gaussian_dropout_given", "gaussian_noise", "gaussian_noise_given", "masked",
)  # fmt: skip
_LOSSES = (
    "binary_crossentropy", "binary_crossentropy_logits", "binary_focal_crossentropy",
    "binary_focal_crossentropy_logits", "categorical_crossentropy", "categorical_crossentropy_logits",
    "categorical_focal_crossentropy", "categorical_focal_crossentropy_logits", "categorical_hinge",
    "cosine_similarity", "gaussian_negative_log_likelihood", "hinge", "huber", "kl_divergence", "log_cosh",
    "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error",
    "poisson", "quantile", "quantiles", "sparse_categorical_crossentropy", "sparse_categorical_crossentropy_logits",
    "squared_hinge",
)  # fmt: skip
_METRICS = (
    "accuracy", "binary_accuracy", "categorical_accuracy", "label_mask", "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy", "top_k_categorical_accuracy",
)  # fmt: skip

#: Ops that the outputs of a trained model are not computed by.
REFUSED: Mapping[str, str] = (
    dict.fromkeys(_RANDOM, "it draws random numbers, which an exported model does not; apply it in training only")
    | {"deal_masks": "it depends on where in its batch a row stands, which an exported model does not know"}
    | {"take_turn": "it depends on the number of a step, which an exported model does not know"}
    | dict.fromkeys(_LOSSES, "it is a loss, which is not exported")
    | dict.fromkeys(_METRICS, "it is a metric, which is not exported")
    | {"l1_l2": "it is a penalty on weights, which is not exported"}
)
