"""Callbacks: what is called while a model trains."""

from nbnet.callbacks.callback import Callback, CallbackList
from nbnet.callbacks.csv_logger import CSVLogger
from nbnet.callbacks.early_stopping import EarlyStopping
from nbnet.callbacks.learning_rate_scheduler import LearningRateScheduler
from nbnet.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from nbnet.callbacks.simple import LambdaCallback, TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRateScheduler",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
