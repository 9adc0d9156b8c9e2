"""Batches from generators, datasets and loaders: in which order, how many, and what is refused in which words."""

from __future__ import annotations

import threading
import time
import warnings
from typing import NamedTuple

import numpy as np
import pytest

import nbnet as nb
from nbnet.data import as_stream, is_stream, part_of_pass
from nbnet.data.streams import as_steps, check_frequency, validates
from nbnet.utils import PyDataset


class Numbers(PyDataset):
    """Batch k is ``(k, k)``; it records the indices it was asked for."""

    def __init__(self, n=5, **kwargs):
        super().__init__(**kwargs)
        self.n, self.asked, self.hooks = n, [], []

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if index >= self.n:
            raise IndexError(index)
        self.asked.append(index)
        return index, index

    def on_epoch_begin(self):
        self.hooks.append("begin")

    def on_epoch_end(self):
        self.hooks.append("end")


class Endless(PyDataset):
    def __getitem__(self, index):
        return index, index


class Loader:
    """A stand-in for a data loader of another library."""

    def __init__(self, n=5):
        self.n = n

    def __iter__(self):
        return iter([[k, k] for k in range(self.n)])


class Counted(Loader):
    def __len__(self):
        return self.n


def generator(n=5):
    yield from ((k, k) for k in range(n))


def endless():
    k = 0
    while True:
        yield k, k
        k += 1


def seen(stream, epoch):
    return [batch.x for batch in stream.epoch(epoch)]


# ---- what is a stream ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [Numbers(), Endless(), Loader(), Counted(), generator(), iter([]), map(str, [])], ids=str)
def test_streams(x):
    assert is_stream(x)


def test_arrays_are_no_streams():
    sparse = pytest.importorskip("scipy.sparse")
    others = [
        [1],
        (1,),
        {},
        {1},
        "ab",
        b"ab",
        range(3),
        np.ones(2),
        np.float32(1),
        None,
        3,
        sparse.eye_array(2),
        Loader,
    ]
    assert not any(map(is_stream, others))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_are_no_streams(library):
    frame = pytest.importorskip(library, reason=f"{library} is not installed").DataFrame({"a": [1, 2]})
    assert not is_stream(frame)
    assert not is_stream(frame["a"])


# ---- epochs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_dataset_is_asked_for_all_its_batches_each_epoch(workers):
    source = Numbers(workers=workers, max_queue_size=2)
    stream = as_stream(source)
    assert stream.length == 5
    assert [seen(stream, k) for k in range(2)] == [[0, 1, 2, 3, 4]] * 2
    assert sorted(source.asked) == sorted([*range(5)] * 2)
    assert source.hooks == ["begin", "end"] * 2


def test_short_epochs_go_on_where_the_last_one_ended():
    stream = as_stream(Numbers(), 2)
    assert stream.length == 2
    assert [seen(stream, k) for k in range(2)] == [[0, 1], [2, 3]]
    with pytest.warns(UserWarning, match="x ran out of data after 1 of the 2 steps of an epoch"):
        assert seen(stream, 2) == [4]
    assert seen(stream, 3) == [0, 1]


@pytest.mark.parametrize("make", [Loader, Counted])
def test_a_loader_goes_on_too(make):
    stream = as_stream(make(4), 2)
    assert [seen(stream, k) for k in range(3)] == [[0, 1], [2, 3], [0, 1]]
    stream = as_stream(make(5), 3)
    assert seen(stream, 0) == [0, 1, 2]
    with pytest.warns(UserWarning, match="after 2 of the 3 steps"):
        assert seen(stream, 1) == [3, 4]
    assert seen(stream, 2) == [0, 1, 2]


def test_a_loader_is_read_anew_each_epoch():
    stream = as_stream(Loader())
    assert stream.length is None
    assert [seen(stream, k) for k in range(2)] == [[0, 1, 2, 3, 4]] * 2
    assert stream.length == 5
    assert as_stream(Counted()).length == 5


def test_a_generator_ends_once_and_for_all():
    stream = as_stream(generator())
    assert stream.ready()
    assert seen(stream, 0) == [0, 1, 2, 3, 4]
    assert not stream.ready()
    assert seen(stream, 1) == []


def test_a_generator_without_end():
    stream = as_stream(endless(), 3)
    assert [seen(stream, k) for k in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_a_generator_is_not_read_further_than_needed():
    source = endless()
    assert seen(as_stream(source, 3), 0) == [0, 1, 2]
    assert next(source) == (3, 3)


def test_a_generator_that_ends_early():
    stream = as_stream(generator(), 3)
    assert seen(stream, 0) == [0, 1, 2]
    with pytest.warns(UserWarning, match="x ran out of data after 2 of the 3 steps of an epoch"):
        assert seen(stream, 1) == [3, 4]
    assert not stream.ready()


def test_a_dataset_without_end():
    stream = as_stream(Endless(), 2)
    assert [seen(stream, k) for k in (0, 1, 5)] == [[0, 1], [2, 3], [10, 11]]


def test_batches_in_another_order():
    orders = []

    def order(number, n):
        orders.append((number, n))
        return np.roll(np.arange(n), number)

    stream = as_stream(Numbers(4))
    stream.order = order
    assert [seen(stream, k) for k in range(2)] == [[0, 1, 2, 3], [3, 0, 1, 2]]
    stream = as_stream(Numbers(4), 3)
    stream.order = order
    assert seen(stream, 0) == [0, 1, 2]
    assert orders == [(0, 4), (1, 4), (0, 4)]


@pytest.mark.parametrize("batches", [1, 4, 5, 6])
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_passes_hold_every_batch_once(batches, steps):
    parts = [part_of_pass(epoch, batches, steps) for epoch in range(40)]
    first = [k for number, start, stop in parts if number == 0 for k in range(start, stop)]
    assert first == list(range(batches))
    assert all(0 < stop - start <= steps for _, start, stop in parts)


# ---- threads ---------------------------------------------------------------------------------------------------


class Slow(PyDataset):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.threads = set()

    def __len__(self):
        return 12

    def __getitem__(self, index):
        self.threads.add(threading.current_thread().name)
        time.sleep(0.01 if index % 3 == 0 else 0)
        if index == 7:
            raise OSError("disk on fire")
        return index, index


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_order_and_errors_with_workers(workers):
    source = Slow(workers=workers, use_multiprocessing=True)
    found = []
    with pytest.raises(OSError, match="disk on fire"):
        found.extend(batch.x for batch in as_stream(source).epoch(0))
    batches = as_stream(source).epoch(0)
    assert [next(batches).x for _ in range(7)] == list(range(7))
    assert (threading.current_thread().name in source.threads) == (workers == 0)
    batches.close()
    assert not any(thread.name.startswith("nbnet-batches") for thread in threading.enumerate())


def test_batches_are_computed_ahead_but_not_too_far():
    source = Numbers(10, workers=1, max_queue_size=3)
    batches = as_stream(source).epoch(0)
    next(batches)
    time.sleep(0.05)
    assert source.asked == [0, 1, 2, 3]
    batches.close()


def test_a_subclass_that_forgets_to_call_init():
    class Forgetful(PyDataset):
        def __init__(self):
            pass

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return index, index

    assert seen(as_stream(Forgetful()), 0) == [0, 1]


# ---- the form of a batch ---------------------------------------------------------------------------------------


class Pair(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    ("item", "parts"),
    [((1, 2), (1, 2, None)), ([1, 2, 3], (1, 2, 3)), (Pair(1, 2), (1, 2, None)), (({"a": 1}, 2), ({"a": 1}, 2, None))],
)
def test_batches(item, parts):
    assert next(as_stream(iter([item])).epoch(0)) == parts


@pytest.mark.parametrize(("item", "x"), [(1, 1), ((1,), 1), ([1, 2], 1), ((1, 2, 3), 1), ({"a": 1}, {"a": 1})])
def test_batches_for_prediction(item, x):
    assert next(as_stream(iter([item]), targets=False).epoch(0)).x == x


@pytest.mark.parametrize(
    ("item", "got"),
    [
        (None, "batch 1 is None"),
        ("text", "batch 1 is 'text'"),
        ((), "batch 1 is 0 parts"),
        ((1, 2, 3, 4), "batch 1 is 4 parts"),
        (np.ones(3), "batch 1 is a ndarray"),
        ((1,), "batch 1 is a tuple without targets"),
        ((1, None), "batch 1 is a tuple without targets"),
        ({"a": 1}, "batch 1 is a dict"),
    ],
    ids=str,
)
def test_no_batches(item, got):
    batches = as_stream(iter([(1, 2), item]), name="train").epoch(0)
    next(batches)
    with pytest.raises(ValueError, match=rf"^train: expected batches \(x, y\) or \(x, y, sample_weight\), {got}$"):
        next(batches)


# ---- arguments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "arguments", "message"),
    [
        (generator(), {"y": [1]}, r"y: expected None: x is a generator, which yields \(x, y, sample_weight\) itself"),
        (Numbers(), {"sample_weight": [1]}, "sample_weight: expected None: x is a Numbers, which yields"),
        (Numbers(0), {}, "x: expected batches, got a Numbers of length 0"),
        (Endless(), {}, "steps: expected a number: x is a Endless without a length"),
        (Numbers(), {"steps": 0}, "steps: expected None or an integer from 1, got 0"),
        (Numbers(), {"steps": 1.5}, r"steps: expected None or an integer from 1, got 1\.5"),
    ],
    ids=str,
)
def test_arguments_refused(x, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        as_stream(x, **arguments)


@pytest.mark.parametrize(("arguments"), [{"workers": -1}, {"workers": 1.5}, {"max_queue_size": 0}])
def test_a_dataset_checks_its_arguments(arguments):
    with pytest.raises(ValueError, match=rf"^{next(iter(arguments))}: expected an integer from [01], got"):
        PyDataset(**arguments)


def test_a_dataset_without_getitem():
    with pytest.raises(NotImplementedError, match="PyDataset defines no __getitem__"):
        PyDataset()[0]


@pytest.mark.parametrize("steps", [None, 1, 7, np.int64(3), 2.0])
def test_steps(steps):
    assert as_steps(steps, "steps") == steps


@pytest.mark.parametrize("steps", [0, -1, 1.5, "3", True, [1], float("inf")])
def test_steps_refused(steps):
    with pytest.raises(ValueError, match=r"^steps: expected None or an integer from 1, got"):
        as_steps(steps, "steps")


def test_frequency_of_validation():
    assert [k for k in range(6) if validates(k, 3)] == [2, 5]
    assert [k for k in range(6) if validates(k, [1, 4, 9])] == [0, 3]
    for frequency in (1, 3, [1], (2, 3), {4}, range(1, 9)):
        assert check_frequency(frequency) is frequency
    for frequency in (0, -1, 1.5, "all", None, True):
        with pytest.raises(ValueError, match=r"^validation_freq: expected an integer from 1 or a list"):
            check_frequency(frequency)


def test_no_warning_where_there_is_enough():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen(as_stream(generator(), 5), 0)
        seen(as_stream(Numbers(), 5), 3)


class Reusing(PyDataset):
    """A dataset that fills the same arrays for each batch."""

    def __init__(self, kind, **arguments):
        super().__init__(**arguments)
        self.kind, self.x, self.y = kind, np.zeros((4, 2), np.float32), np.zeros((4, 1), np.float32)

    def __len__(self):
        return 20

    def __getitem__(self, index):
        self.x[:], self.y[:] = index, index
        if self.kind == "dict":
            return {"x": self.x}, [self.y]
        return (self.x[:], self.y) if self.kind == "views" else (self.x, self.y)


@pytest.mark.parametrize("kind", ["arrays", "views", "dict"])
def test_a_dataset_may_fill_the_same_arrays_again(kind):
    losses = []
    for workers in (0, 1):
        model = nb.Sequential([nb.Input((2,), name="x"), nb.layers.Dense(1, kernel_initializer="ones")])
        model.compile(nb.optimizers.SGD(0.0), "mae")
        if kind == "dict":
            model = nb.Model({"x": model.inputs[0]}, model.outputs)
            model.compile(nb.optimizers.SGD(0.0), "mae")
        losses.append(model.fit(Reusing(kind, workers=workers), verbose=0).history["loss"])
    # Row i predicts 2 i, and its target is i.
    assert losses == [[9.5], [9.5]]
