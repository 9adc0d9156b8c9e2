"""Callbacks: objects whose hooks are called while a model trains."""

from typing import TYPE_CHECKING

from nbnet.base.unsupported_keras import keras_hint
from nbnet.callbacks.callback import Callback, CallbackList, History
from nbnet.callbacks.checkpoint import BackupAndRestore, ModelCheckpoint
from nbnet.callbacks.logging import CSVLogger, LambdaCallback, ProgbarLogger, TensorBoard, TerminateOnNaN
from nbnet.callbacks.monitor import EarlyStopping, ReduceLROnPlateau
from nbnet.callbacks.schedule import LearningRateScheduler, SwapEMAWeights

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger", "ReduceLROnPlateau", "SwapEMAWeights", "TensorBoard",
    "TerminateOnNaN",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = keras_hint(__name__)
