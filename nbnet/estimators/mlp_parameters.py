"""The parameters of the multi-layer perceptrons: defaults, constraints and documentation, each written once."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from nbnet import activations, optimizers
from nbnet.dropout_schedules import DropoutSchedule
from nbnet.estimators.base import NeuralEstimator
from nbnet.optimizers import Optimizer
from nbnet.optimizers.schedules import LearningRateSchedule

_ABOVE_ZERO = Interval(Real, 0, None, closed="neither")
_UP_TO_ONE = Interval(Real, 0, 1, closed="both")
_COUNT = Interval(Integral, 1, None, closed="left")


@dataclass(eq=False, repr=False, match_args=False)
class MLPParameters(NeuralEstimator):
    """The parameters that the classifier and the regressor share.

    Its fields make the constructors of both. They redefine ``loss``, which comes first for the regressor, as in
    scikit-learn, and is a keyword for the classifier.
    """

    loss: Any = None
    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    solver: Literal["adam", "sgd", "lbfgs"] = "adam"
    alpha: float = 0.0001
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: Any = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: bool = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    dropout: Any = 0.0
    input_dropout: Any = 0.0
    batch_norm: bool = False
    max_norm: float | None = None
    optimizer: Any = None
    dtype: Any = "auto"
    callbacks: Any = None
    n_jobs: int | None = None
    categorical_features: Any = None

    #: Checked by scikit-learn, whose messages these are.
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **{key: ["boolean"] for key in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "batch_norm")},
        **{key: [_COUNT] for key in ("max_iter", "max_fun")},
        **{key: [Interval(Real, 0, None, closed="left")] for key in ("alpha", "power_t", "tol")},
        **{key: [_ABOVE_ZERO] for key in ("learning_rate_init", "epsilon")},
        **{key: [Interval(Real, 0, 1, closed="left")] for key in ("validation_fraction", "beta_1", "beta_2")},
        "momentum": [_UP_TO_ONE],
        "hidden_layer_sizes": ["array-like", _COUNT],
        "activation": [StrOptions({"identity", "logistic", *activations._known}), list, tuple, callable],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "batch_size": [StrOptions({"auto"}), _COUNT],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), LearningRateSchedule],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "n_iter_no_change": [_COUNT, Options(Real, {np.inf})],
        "dropout": [_UP_TO_ONE, DropoutSchedule, "array-like"],
        "input_dropout": [_UP_TO_ONE, DropoutSchedule],
        "max_norm": [None, _ABOVE_ZERO],
        "optimizer": [None, StrOptions(set(optimizers._known)), Optimizer],
        "dtype": [StrOptions({"auto", "float32", "float64"}), type, np.dtype],
        "callbacks": [None, list, tuple, HasMethods(["on_epoch_end"])],
        "n_jobs": [None, Integral],
        "categorical_features": [None, StrOptions({"from_dtype"}), "array-like"],
    }


#: numpydoc of the parameters that both classes have.
PARAMETERS = """
hidden_layer_sizes : array_like of int
    Units of each hidden layer.
activation : str, callable or list of them
    Activation of the hidden layers, one for all or one for each: "relu", "tanh", "logistic", "identity", or any other
    of :mod:`nbnet.activations`.
solver : {"adam", "sgd", "lbfgs"}
    Optimizer. L-BFGS uses all rows in each step and suits small data sets.
alpha : float
    Strength of the L2 penalty on kernels; it is divided by the number of samples of the batch.
batch_size : int or "auto"
    Rows of a step; "auto" is 200, or all rows if there are fewer.
learning_rate : {"constant", "invscaling", "adaptive"} or nbnet.optimizers.schedules.LearningRateSchedule
    A name is a policy of "sgd": constant; divided by ``t_ ** power_t``, with the rows seen so far, after each epoch;
    divided by 5 instead of stopping. A schedule counts steps and works with all solvers but "lbfgs".
learning_rate_init, power_t : float
    Initial learning rate; exponent of "invscaling".
max_iter : int
    Largest number of epochs, or of iterations of "lbfgs".
shuffle : bool
    If True, shuffle the rows in each epoch.
random_state : int, RandomState or None
    Source of the initial weights, the order of rows, dropout masks and the validation split.
tol : float
    Smallest change of the loss, or of the validation score, that counts as an improvement.
verbose : bool
    If True, print a line after each epoch.
warm_start : bool
    If True, ``fit`` continues from the last fit.
momentum, nesterovs_momentum : float, bool
    Momentum of "sgd"; True for Nesterov's.
early_stopping : bool
    If True, hold out rows, stop when their score no longer improves, and keep the best weights.
validation_fraction : float
    Share of the rows to hold out.
beta_1, beta_2, epsilon : float
    Decay rates and stabilizer of "adam".
n_iter_no_change : int or inf
    Epochs without improvement after which training stops.
max_fun : int
    Largest number of evaluations of the loss by "lbfgs".
dropout : float, nbnet.dropout_schedules.DropoutSchedule or list of them
    Probability of DROPPING a unit of a hidden layer, one for all or one for each.
input_dropout : float or nbnet.dropout_schedules.DropoutSchedule
    Probability of dropping a feature.
batch_norm : bool
    If True, normalize the inputs of the hidden layers' activations.
max_norm : float or None
    Largest norm of the incoming weights of a hidden unit.
optimizer : str, nbnet.optimizers.Optimizer or None
    Replaces ``solver``. A name uses ``learning_rate_init``; an optimizer is copied for each fit.
dtype : {"auto", "float32", "float64"}
    Dtype of weights and predictions. "auto" is float32, which is twice as fast; for "lbfgs", whose line search needs
    small differences, it is the dtype of X.
callbacks : list of nbnet.callbacks.Callback
    Called after each epoch; logs hold "loss" and, with validation, "val_loss" and "val_score".
n_jobs : int or None
    Threads of a step; None for as many as pay off.
categorical_features : None, "from_dtype", or array_like of bool, int or str
    Categorical columns, by mask, index or name, or those of a data frame with a categorical dtype. Each gets an
    embedding; missing categories and those that ``fit`` has not seen share one vector.
"""

#: numpydoc of the attributes that both classes have.
ATTRIBUTES = """
coefs_, intercepts_ : list of ndarray
    Weights of the dense layers; they share the network's memory.
model_ : nbnet.Model
    The network.
loss_, best_loss_ : float
    Loss of the last epoch, and the lowest one; the latter is None with early stopping.
loss_curve_ : list of float
    Loss after each epoch, the penalty included.
validation_scores_, validation_loss_curve_ : list of float or None
    Score (accuracy, or R2), and loss without the penalty, of the rows held out.
best_validation_score_ : float or None
    Highest validation score.
n_iter_, t_ : int
    Epochs of the last fit; rows seen in all fits.
n_layers_, n_outputs_, out_activation_ : int, int, str
    Layers, the input among them; outputs, and their activation.
n_features_in_, feature_names_in_ : int, ndarray of str
    Columns of X, and their names if it has any.
"""
