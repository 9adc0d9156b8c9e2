"""Training that is tested after each epoch, and that can be killed and run again at any time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbnet as nb
from benchmarks.papers.images import Images


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: by Adam, whose learning rate falls to zero along half a cosine.

    Parameters
    ----------
    learning_rate
        The highest, which is the first.
    batch_size
        Images of a step.
    """

    epochs: int
    learning_rate: float
    batch_size: int = 128

    def schedule(self, n: int) -> nb.optimizers.schedules.LearningRateSchedule:
        """Of the learning rate, for so many images."""
        steps = -(-n // self.batch_size)
        return nb.optimizers.schedules.CosineDecay(self.learning_rate, self.epochs * steps)


class Diary(nb.callbacks.Callback):
    """Wrong test images and processor time after each epoch, on disk.

    Stands before :class:`nbnet.callbacks.BackupAndRestore`, so that an epoch whose state is kept is in it.
    """

    def __init__(self, path: Path | None, images: int) -> None:
        super().__init__()
        self.path, self.images = path, images
        self.wrong: list[int] = []
        self.seconds: list[float] = []
        if path is not None and path.exists():
            self.wrong, self.seconds = json.loads(path.read_text())

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        # Epochs after the saved state are done again.
        del self.wrong[epoch:], self.seconds[epoch:]
        self._began = time.process_time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        assert logs is not None
        self.wrong.append(round((1 - logs["val_accuracy"]) * self.images))
        self.seconds.append(round(time.process_time() - self._began, 3))
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps([self.wrong, self.seconds]))
        new.replace(self.path)


def train(
    build: Callable[[], nb.Sequential], recipe: Recipe, images: Images, seed: int, place: Path | None = None
) -> dict[str, Any]:
    """Train a network; returns what is put on record.

    Parameters
    ----------
    build
        Makes the network, after the seed is set.
    place
        Folder for the state after each epoch; a training that finds one there goes on from it, and ends with the same
        weights, bit for bit, as one that was never interrupted. None: keep nothing.

    Returns
    -------
    dict
        ``wrong``: test images misclassified after each epoch; ``tested``: of how many; ``cpu``: seconds of processor
        time, tests included; ``recipe``.
    """
    nb.set_random_seed(seed)
    model = build()
    optimizer = nb.optimizers.Adam(recipe.schedule(len(images.x)))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    diary = Diary(place / "epochs.json" if place else None, len(images.y_test))
    callbacks: list[nb.callbacks.Callback] = [diary]
    if place is not None:
        callbacks.append(nb.callbacks.BackupAndRestore(place, delete_checkpoint=False))
    model.fit(
        images.x,
        images.y,
        recipe.batch_size,
        recipe.epochs,
        verbose=0,
        callbacks=callbacks,
        validation_data=(images.x_test, images.y_test),
        validation_batch_size=500,
    )
    return {
        "wrong": diary.wrong,
        "tested": len(images.y_test),
        "cpu": round(sum(diary.seconds), 1),
        "recipe": asdict(recipe),
    }
