"""What the parameters of scikit-learn's networks, and those beyond them, may be."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from nbnet import activations, losses, optimizers
from nbnet.dropout_schedules import DropoutSchedule
from nbnet.losses import Loss
from nbnet.optimizers import Optimizer
from nbnet.optimizers.schedules import LearningRateSchedule

_ABOVE_ZERO = Interval(Real, 0, None, closed="neither")
_FROM_ZERO = Interval(Real, 0, None, closed="left")
_BELOW_ONE = Interval(Real, 0, 1, closed="left")
_COUNT = Interval(Integral, 1, None, closed="left")
_RATE = [Interval(Real, 0, 1, closed="both"), DropoutSchedule]
_ACTIVATIONS = StrOptions({"identity", "logistic", *activations._known})

#: For ``_parameter_constraints`` of estimators, whose messages are scikit-learn's.
CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", _COUNT],
    "activation": [_ACTIVATIONS, list, tuple, callable],
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "alpha": [_FROM_ZERO],
    "batch_size": [StrOptions({"auto"}), _COUNT],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), LearningRateSchedule],
    "learning_rate_init": [_ABOVE_ZERO],
    "power_t": [_FROM_ZERO],
    "max_iter": [_COUNT],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [_FROM_ZERO],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [_BELOW_ONE],
    "beta_1": [_BELOW_ONE],
    "beta_2": [_BELOW_ONE],
    "epsilon": [_ABOVE_ZERO],
    "n_iter_no_change": [_COUNT, Options(Real, {np.inf})],
    "max_fun": [_COUNT],
    "dropout": [*_RATE, "array-like"],
    "input_dropout": _RATE,
    "batch_norm": ["boolean"],
    "max_norm": [None, _ABOVE_ZERO],
    "optimizer": [None, StrOptions(set(optimizers._known)), Optimizer],
    "dtype": [StrOptions({"auto", "float32", "float64"}), type, np.dtype],
    "callbacks": [None, list, tuple, HasMethods(["on_epoch_end"])],
    "n_jobs": [None, Integral],
    "categorical_features": [None, StrOptions({"from_dtype"}), "array-like"],
}
OF_CLASSIFIERS: dict[str, list[Any]] = {
    "loss": [StrOptions({"log_loss", *losses.known}), Loss, callable],
    "class_weight": [StrOptions({"balanced"}), dict, list, None],
}
OF_REGRESSORS: dict[str, list[Any]] = {
    "loss": [StrOptions({"squared_error", "poisson", *losses.known}), Loss, callable],
}
