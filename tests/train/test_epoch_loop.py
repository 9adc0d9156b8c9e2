"""The one loop over epochs and batches, with a runner and a source of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.train.data_source import ArraySource, EpochSampler, array_chunks
from nbnet.train.epoch_loop import EpochLoop, train_epochs
from nbnet.train.inputs import Rows
from nbnet.train.trainable import TrainingPosition

ROWS = Rows((np.arange(10.0)[:, None],))


class Counting:
    """Adds up the rows of its chunks."""

    single = False

    def begin(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def run(self, chunk: Any, report: Any = None) -> None:
        self.seen.append((chunk.start, chunk.stop))
        if report is not None:
            report(chunk.steps)

    def means(self) -> dict[str, Any]:
        return {"rows": sum(stop - start for start, stop in self.seen)}

    batch_logs = logs = means


class Hooks(nb.callbacks.Callback):
    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.stop_at = stop_at

    def on_train_begin(self, logs: Any = None) -> None:
        self.calls.append("begin")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append((batch, logs["rows"]))
        self.model.stop_training = batch == self.stop_at

    def on_train_end(self, logs: Any = None) -> None:
        self.calls.append(("end", logs["rows"]))


class Policy:
    def __init__(self, epochs: int = 1) -> None:
        self.epochs, self.ended = epochs, list[int]()

    def spare_epochs(self) -> int:
        return 0

    def end_epoch(self, epoch: int, logs: dict[str, Any]) -> bool:
        self.ended.append(epoch)
        return len(self.ended) == self.epochs

    def interrupted(self) -> bool:
        return True


@pytest.fixture
def model() -> Any:
    made = nb.Sequential([nb.Input((1,)), nb.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def loop(model: Any, calls: Any = None, position: TrainingPosition | None = None) -> EpochLoop:
    position = position or TrainingPosition()
    source = ArraySource(ROWS, 4, EpochSampler(10, 4, False, position))
    return EpochLoop(model, "train", Counting(), source, calls, None, position)


@pytest.mark.parametrize(
    ("single", "spans"), [(False, [(0, 8, 2), (8, 10, 1)]), (True, [(0, 4, 1), (4, 8, 1), (8, 10, 1)])]
)
def test_chunks_cover_the_rows(single: bool, spans: list[tuple[int, int, int]]) -> None:
    chunks = array_chunks(ROWS, 4, None, slice(0, 10), single)
    assert [(chunk.start, chunk.stop, chunk.steps) for chunk in chunks] == spans


def test_without_batch_hooks_batches_run_together(model: Any) -> None:
    epochs = loop(model)
    assert epochs.run() == {"rows": 10}
    assert epochs.runner.seen == [(0, 8), (8, 10)]
    assert epochs.position.batch == 3


def test_batch_hooks_see_every_batch_and_may_stop(model: Any) -> None:
    heard = Hooks(stop_at=1)
    calls, policy = nb.callbacks.CallbackList([heard], model), Policy()
    train_epochs(loop(model, calls), range(3), 3, policy, calls)
    assert heard.calls == ["begin", (0, 4), (1, 8), ("end", 8)]
    assert policy.ended == [0]


def test_an_interrupted_epoch_continues(model: Any) -> None:
    epochs = loop(model, position=TrainingPosition(batch=2))
    assert epochs.run() == {"rows": 2}
    assert epochs.position.batch == 3


def test_the_policy_stops_and_the_position_follows(model: Any) -> None:
    epochs, policy = loop(model), Policy(2)
    assert train_epochs(epochs, range(5), 5, policy) == {"rows": 10}
    assert policy.ended == [0, 1]
    assert (epochs.position.epoch, epochs.position.batch) == (2, 0)


def test_a_ctrl_c_ends_training_in_good_order_if_the_policy_says_so(model: Any) -> None:
    class Interrupted(Policy):
        def end_epoch(self, epoch: int, logs: dict[str, Any]) -> bool:
            raise KeyboardInterrupt

    heard = Hooks()
    calls = nb.callbacks.CallbackList([heard], model)
    train_epochs(loop(model, calls), range(3), 3, Interrupted(), calls)
    assert heard.calls[-1] == ("end", 10)


def test_known_logs_come_first(model: Any) -> None:
    epochs = loop(model)
    epochs.known.append({"rows": -1})
    assert [epochs.run(0), epochs.run(1)] == [{"rows": -1}, {"rows": 10}]
