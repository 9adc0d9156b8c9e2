"""Processes that are killed while they write files: what is lost, and what is left over.

``python -m tests.reliability.kills 300 0`` kills 300, at moments drawn with seed 0. Each process is forked from this
one, so that a kill takes milliseconds. For systems with ``os.fork``.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

import nbnet as nb

#: Seconds after which a process is taken to hang.
LIMIT = 120.0
EPOCHS = 8
rng = np.random.default_rng(0)
X = rng.normal(size=(64, 12))
Y = X[:, :1]

Report = Callable[[int], None]


def killed(work: Callable[[Report], None], seconds: float | None) -> tuple[list[int], bool]:
    """Fork a process that works, and kill it some time after its first report; None: wait for its end.

    Returns
    -------
    Its reports, and True if it was killed before it came to its end.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            os.close(reading)
            work(lambda number: os.write(writing, number.to_bytes(4, "little")) and None)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    content = b""
    with os.fdopen(reading, "rb", buffering=0) as stream:
        if select.select([stream], [], [], LIMIT)[0] and seconds is not None:
            select.select([], [], [], seconds)
        if seconds is None:
            while select.select([stream], [], [], LIMIT)[0] and (part := stream.read(1 << 16)):
                content += part
        os.kill(process, signal.SIGKILL)
        while part := stream.read(1 << 16):
            content += part
    status = os.waitpid(process, 0)[1]
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, f"the process failed with status {os.WEXITSTATUS(status)}"
    reports = [int.from_bytes(content[i : i + 4], "little") for i in range(0, len(content) - 3, 4)]
    return reports, os.WIFSIGNALED(status)


def left_over(folder: Path) -> list[str]:
    """Return the names of files that are temporary."""
    return sorted(path.name for path in folder.rglob("*") if path.name.endswith(".tmp") or path.name.startswith("."))


class Files:
    """A model, weights and masks that are written again and again, with a number that counts up in them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.model = nb.Sequential([nb.Input((200,)), nb.layers.Dense(400, name="big"), nb.layers.Dense(1)])
        self.write(0)

    def write(self, number: int) -> None:
        self.model.set_weights([np.full_like(weight, number) for weight in self.model.get_weights()])
        self.model.save(self.folder / "m.nbnet")
        self.model.save_weights(self.folder / "w.weights.nbnet")
        nb.save_masks(self.folder / "masks", {str(number): np.ones((100, 100), bool)})

    def work(self, report: Report) -> None:
        number = self.number
        while True:
            number += 1
            self.write(number)
            report(number)

    def kill(self, seconds: float) -> int:
        """Kill a process that writes, check what is there, write once more; return the number of files left over."""
        reports, _ = killed(self.work, seconds)
        done = reports[-1] if reports else self.number
        loaded = nb.load_model(self.folder / "m.nbnet")
        other = nb.models.clone_model(self.model)
        other.load_weights(self.folder / "w.weights.nbnet")
        numbers = [int(name) for name in nb.load_masks(self.folder / "masks")]
        for found in (loaded, other):
            values = np.concatenate([weight.reshape(-1) for weight in found.get_weights()])
            assert (values == values[0]).all(), "a file of two models"
            numbers.append(int(values[0]))
        assert all(number in (done, done + 1) for number in numbers), f"expected {done} or the next, found {numbers}"
        orphans = len(left_over(self.folder))
        self.number = max(numbers)
        self.write(self.number)
        assert left_over(self.folder) == []
        return orphans


class Training:
    """A training with backups and checkpoints that is killed until it comes to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.result = folder / "result.weights.nbnet"
        killed(lambda report: self.train(folder / "whole", folder / "expected.weights.nbnet", report), None)

    @staticmethod
    def train(folder: Path, result: Path, report: Report) -> None:
        nb.set_random_seed(3)
        layers = [nb.layers.Dense(64, "relu"), nb.layers.Dropout(0.3), nb.layers.Dense(1)]
        model = nb.Sequential([nb.Input((12,)), *layers])
        model.compile("adam", "mse")
        tell = nb.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: report(batch))
        keep = nb.callbacks.ModelCheckpoint(folder / "{epoch}.nbnet")
        plateau = nb.callbacks.ReduceLROnPlateau("loss", factor=0.7, patience=1, min_delta=0.05)
        backup = nb.callbacks.BackupAndRestore(folder / "backup", save_freq=1)
        model.fit(X, Y, batch_size=8, epochs=EPOCHS, verbose=0, callbacks=[backup, keep, plateau, tell])
        model.save_weights(result)

    def kill(self, seconds: float | None) -> tuple[bool, int]:
        """Kill the training, or let it come to its end; return True if it came there, and the number of files left
        over."""
        parts = self.folder / "parts"
        _, was_killed = killed(lambda report: self.train(parts, self.result, report), seconds)
        if was_killed:
            return False, len(left_over(self.folder))
        assert self.result.read_bytes() == (self.folder / "expected.weights.nbnet").read_bytes(), "other weights"
        names = sorted(path.name for path in parts.rglob("*.nbnet"))
        assert names == [f"{epoch + 1}.nbnet" for epoch in range(EPOCHS)], names
        for name in names:
            assert (parts / name).read_bytes() == (self.folder / "whole" / name).read_bytes(), name
        assert left_over(parts) == []
        for path in [self.result, *parts.glob("*.nbnet")]:
            path.unlink()
        return True, 0


def run(count: int, seed: int, folder: Path) -> dict[str, int]:
    """Kill ``count`` processes, a half of which write files, and the others train; return what was counted."""
    draw = np.random.default_rng(seed)
    counted = dict.fromkeys(("kills", "trainings completed", "files left over, then removed"), 0)
    (folder / "files").mkdir()
    (folder / "training").mkdir()
    files, training = Files(folder / "files"), Training(folder / "training")
    while counted["kills"] < count:
        counted["files left over, then removed"] += files.kill(draw.uniform(0, 0.03))
        counted["kills"] += 1
        ended, orphans = training.kill(draw.uniform(0, 0.2))
        counted["kills"] += not ended
        counted["trainings completed"] += ended
        counted["files left over, then removed"] += orphans
    assert training.kill(None)[0]
    counted["trainings completed"] += 1
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, number in run(arguments.count, arguments.seed, Path(folder)).items():
            print(f"{name}: {number}")


if __name__ == "__main__":
    main()
