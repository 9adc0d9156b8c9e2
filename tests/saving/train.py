"""A training script as users write it: ``python train.py folder result [epoch batch]``, which dies there if told to."""

import os
import signal
import sys

import numpy as np

import nbnet as nb


class Die(nb.callbacks.Callback):
    """Kills the process after a batch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if [str(self.epoch), str(batch)] == sys.argv[3:]:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    nb.set_random_seed(7)
    x = np.random.default_rng(0).normal(size=(100, 5))
    layers = [nb.layers.Dense(8, "relu"), nb.layers.BatchNormalization(), nb.layers.Dropout(0.5), nb.layers.Dense(1)]
    model = nb.Sequential([nb.Input((5,)), *layers])
    model.compile("nadam", "mse")
    backup = nb.callbacks.BackupAndRestore(sys.argv[1], save_freq=3)
    model.fit(x, x[:, :1], batch_size=10, epochs=4, callbacks=[backup, Die()], verbose=0)
    model.save(sys.argv[2])
