"""Callbacks: what is called while a model trains."""

from typing import TYPE_CHECKING

from nbnet.absences import absent
from nbnet.callbacks.backup_and_restore import BackupAndRestore
from nbnet.callbacks.callback import Callback, CallbackList
from nbnet.callbacks.csv_logger import CSVLogger
from nbnet.callbacks.early_stopping import EarlyStopping
from nbnet.callbacks.lambda_callback import LambdaCallback
from nbnet.callbacks.learning_rate_scheduler import LearningRateScheduler
from nbnet.callbacks.model_checkpoint import ModelCheckpoint
from nbnet.callbacks.progbar_logger import ProgbarLogger
from nbnet.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from nbnet.callbacks.swap_ema_weights import SwapEMAWeights
from nbnet.callbacks.tensorboard import TensorBoard
from nbnet.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
