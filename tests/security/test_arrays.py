"""Arrays that change, move or vanish while a call reads them: no crash, no foreign memory, no meaningless number."""

from __future__ import annotations

import gc
import mmap
import os
import sys
import threading
import warnings
import weakref
from multiprocessing import shared_memory
from unittest import mock

import numpy as np
import pytest
from scipy import sparse

import nbnet as nb
from nbnet.base import array_memory
from nbnet.data import SparseRows, mapped
from nbnet.engine.graph.tensor import Tensor, apply
from nbnet.estimators import MLPClassifier, MLPRegressor, NetClassifier, NetRegressor
from nbnet.losses.crossentropy import SPARSE_CATEGORICAL_CROSSENTROPY, SPARSE_CATEGORICAL_CROSSENTROPY_LOGITS
from nbnet.metrics.accuracy import SparseCategoricalAccuracy, SparseTopKCategoricalAccuracy
from nbnet.train.inputs import Rows
from nbnet.train.predict import predict

N, WIDTH, CLASSES = 64, 6, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, WIDTH)).astype("float32")
Y = RNG.integers(0, CLASSES, N)
BAD_LABELS = [10**7, 2**40, 5, -1, 300, -(2**62)]

posix = pytest.mark.skipif(os.name != "posix", reason="files that are mapped cannot be truncated on this system")


def classifier(**options):
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((WIDTH,)), nb.layers.Dense(4, "relu"), nb.layers.Dense(CLASSES, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def regressor(width=WIDTH):
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((width,)), nb.layers.Dense(4, "relu"), nb.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


class Once(nb.callbacks.Callback):
    """Calls a function once, at the first hook of a kind."""

    def __init__(self, function, hook="on_epoch_end"):
        super().__init__()
        self.function, self.done = function, False
        setattr(self, hook, self._call)

    def _call(self, *args, **kwargs):
        if not self.done:
            self.done = True
            self.function()


def fitted(model, x, y, function=lambda: None, hook="on_epoch_end", **arguments):
    """Fit, while a callback calls the function; return the history."""
    once = Once(function, hook)
    history = model.fit(x, y, **{"epochs": 3, "batch_size": 16, "verbose": 0, "callbacks": [once], **arguments})
    assert once.done
    return history.history


# ---- labels, weights, targets, indices --------------------------------------------------------------------------


@pytest.mark.parametrize("label", BAD_LABELS)
@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_begin", "on_train_batch_end"])
def test_labels_that_a_callback_overwrites_are_not_read_again(label, hook):
    y = Y.copy()
    expected = fitted(classifier(), X, Y, hook=hook)
    assert fitted(classifier(), X, y, lambda: y.fill(label), hook) == expected
    assert (y == label).all()


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "uint64", "float32", "float64"])
def test_labels_of_other_dtypes(dtype):
    y = Y.astype(dtype)
    assert fitted(classifier(), X, y, lambda: y.fill(100)) == fitted(classifier(), X, Y)


@pytest.mark.parametrize("label", [7, 2**40])
def test_labels_of_validation_and_evaluation(label):
    held = Y.copy()
    expected = fitted(classifier(), X, Y, validation_data=(X, Y))
    assert fitted(classifier(), X, Y, lambda: held.fill(label), validation_data=(X, held)) == expected
    model, y = classifier(), Y.copy()
    callback = Once(lambda: y.fill(label), "on_test_batch_begin")
    assert model.evaluate(X, y, 16, verbose=0, callbacks=[callback]) == model.evaluate(X, Y, 16, verbose=0)
    assert callback.done


def test_ignored_labels_weights_and_narrow_targets():
    nb.set_random_seed(0)
    loss = nb.losses.SparseCategoricalCrossentropy(ignore_class=255)

    def history(function, y, w):
        model = classifier()
        model.compile("adam", loss)
        return fitted(model, X, y, function, sample_weight=w)

    y, w = np.where(Y == 0, 255, Y), np.linspace(0, 1, N)
    expected = history(lambda: None, y.copy(), w.copy())
    assert history(lambda: (y.fill(77), w.fill(np.nan)), y, w) == expected
    target = X[:, :1].copy()
    expected = fitted(regressor(), X, X[:, :1])
    assert fitted(regressor(), X, target, lambda: target.fill(1e30)) == expected


def test_numbers_of_an_embedding():
    def history(function, ids):
        nb.set_random_seed(0)
        model = nb.Sequential([nb.Input((2,)), nb.layers.Embedding(5, 3), nb.layers.Flatten(), nb.layers.Dense(1)])
        model.compile("sgd", "mse")
        return fitted(model, ids, X[:, :1], function)

    given = RNG.integers(0, 5, (N, 2))
    expected = history(lambda: None, given.copy())
    for dtype in ("int64", "int16", "float32"):
        ids = given.astype(dtype)
        assert history(lambda ids=ids: ids.fill(30_000), ids) == expected


def test_large_numbers_of_an_embedding_stay_where_they_lie_and_kernels_compare():
    ids = RNG.integers(0, 5, (N, 2))
    model = nb.Sequential([nb.Input((2,)), nb.layers.Embedding(5, 3), nb.layers.Flatten(), nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    message = f"^x: row 0: expected a number from 0 to 4, got {2**40}"
    with mock.patch.object(array_memory, "LARGE", 100), pytest.raises(ValueError, match=message):
        fitted(model, ids, X[:, :1], lambda: ids.fill(2**40))


@pytest.mark.parametrize("part", ["indices", "indptr"])
@pytest.mark.parametrize("number", [WIDTH, 10**6, -1, -(2**31)])
def test_indices_of_a_sparse_matrix(part, number):
    dense = X * (X > 0)
    given, other = sparse.csr_array(dense), sparse.csr_array(dense)
    array = getattr(other, part)
    assert fitted(regressor(), other, Y, lambda: array.fill(number)) == fitted(regressor(), given, Y)


def test_values_of_a_sparse_matrix_are_held():
    csr = sparse.csr_matrix(X)
    data = csr.data.copy()
    given = sparse.csr_matrix((data, csr.indices, csr.indptr), shape=csr.shape)
    assert fitted(regressor(), given, Y, lambda: resize(data)) == fitted(regressor(), csr, Y)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr"])
def test_a_sparse_matrix_that_was_damaged_before(kind):
    given = sparse.csr_matrix(X).asformat(kind)
    (given.row if kind == "coo" else given.indices)[3] = 10**8
    with pytest.raises(ValueError, match="x: expected a valid sparse matrix"):
        regressor().predict(given)
    given = sparse.csr_matrix(X).asformat(kind)
    (given.col if kind == "coo" else given.indptr)[2] = -5
    with pytest.raises(ValueError, match="x: expected a valid sparse matrix"):
        regressor().predict(given)


@pytest.mark.parametrize(
    ("indices", "bounds"),
    [
        ([0, 10**9, 1], [0, 2, 3]),
        ([0, -1, 1], [0, 2, 3]),
        ([0, 1, 2], [0, 10**9, 10**9]),
        ([0, 1, 2], [-(10**9), 2, 3]),
    ],
)
def test_the_kernel_compares_the_indices_of_sparse_rows(indices, bounds):
    values = np.ones(3, "float32")
    rows = SparseRows(values, np.array(indices), np.array(bounds), WIDTH)
    found = predict(regressor(), Rows((rows,)))
    assert found.shape == (2, 1)
    if max(indices) >= WIDTH or min(indices) < 0:
        assert np.isnan(found[0, 0])
        assert np.isfinite(found[1, 0])


# ---- the second wall: kernels that index by labels -----------------------------------------------------------------


def labels(*values):
    return Tensor((len(values),), np.dtype(np.int64), np.array(values, np.int64))


@pytest.mark.parametrize("op", [SPARSE_CATEGORICAL_CROSSENTROPY, SPARSE_CATEGORICAL_CROSSENTROPY_LOGITS])
@pytest.mark.parametrize("ignored", [None, -1, 255])
@pytest.mark.parametrize("label", [*BAD_LABELS, 3, 2**63 - 1, -(2**63), 255])
def test_a_label_of_no_class_makes_loss_and_gradient_nan(op, ignored, label):
    p = nb.Parameter(np.full((3, CLASSES), 1 / CLASSES, "float32"))
    with nb.Tape() as tape:
        found = apply(op, p, labels(0, label, 2), **({} if ignored is None else {"ignored": ignored}))
        total = nb.ops.sum(found)
    gradient = np.asarray(tape.gradient(total, p))
    assert np.isfinite(np.asarray(found)[[0, 2]]).all()
    assert np.isfinite(gradient[[0, 2]]).all()
    if label == ignored:
        assert np.asarray(found)[1] == 0
        assert (gradient[1] == 0).all()
    else:
        assert np.isnan(np.asarray(found)[1])
        assert np.isnan(gradient[1]).all()


@pytest.mark.parametrize("label", [3, *BAD_LABELS])
def test_labels_of_known_value_are_an_error_that_names_the_row(label):
    p = np.full((3, CLASSES), 1 / CLASSES, "float32")
    for loss in (nb.losses.SparseCategoricalCrossentropy(), nb.losses.SparseCategoricalCrossentropy(ignore_class=99)):
        with pytest.raises(ValueError, match=rf"^y_true: expected labels from 0 to 2, got {label} at row 1$"):
            loss(labels(0, label, 2), p)


@pytest.mark.parametrize("label", BAD_LABELS)
def test_metrics_count_a_label_of_no_class_as_wrong(label):
    p = np.eye(3, dtype="float32")
    for metric in (SparseCategoricalAccuracy(), SparseTopKCategoricalAccuracy(k=1)):
        assert metric(labels(0, label, 2), p) == pytest.approx(2 / 3)


def test_labels_that_a_step_in_python_computes():
    class Shifted(nb.Sequential):
        def train_step(self, data):
            x, y = data
            return super().train_step((x, labels(*(np.asarray(y, np.int64) + 1))))

    model = Shifted([nb.Input((WIDTH,)), nb.layers.Dense(CLASSES, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="expected labels from 0 to 2, got 3 at row"):
        model.fit(X, Y, verbose=0)


# ---- memory that moves ---------------------------------------------------------------------------------------------


def resize(array):
    with pytest.raises(ValueError, match="cannot resize an array that references or is referenced"):
        array.resize(10**6, refcheck=False)


VIEWS = {
    "the array": lambda a: a,
    "a view": lambda a: a[:],
    "rows": lambda a: a[8:],
    "reshaped": lambda a: a.reshape(-1, 2, 3),
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "a subclass": lambda a: a.view(np.recarray),
    "a memoryview": lambda a: np.asarray(memoryview(a)),
}


@pytest.mark.parametrize("view", VIEWS)
def test_an_array_is_not_resized_while_it_is_read_but_afterwards(view):
    x = X.copy()
    given = VIEWS[view](x)
    model = nb.Sequential([nb.layers.Flatten(), nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    y = np.zeros(len(given))
    fitted(model, given, y, lambda: resize(x))
    callback = Once(lambda: resize(x), "on_predict_batch_begin")
    model.predict(given, 16, verbose=0, callbacks=[callback])
    assert callback.done
    callback = Once(lambda: resize(x), "on_test_batch_end")
    model.evaluate(given, y, 16, verbose=0, callbacks=[callback])
    assert callback.done
    model.predict(given[:1])
    model.predict(given[:1])
    if view not in ("a memoryview", "read-only", "a subclass", "reshaped"):  # Views that are left hold it.
        del given
        gc.collect()
        x.resize(10, refcheck=False)
        assert x.shape == (10,)


def test_wide_targets_and_several_inputs_are_held():
    first, second, y = X.copy(), X.copy(), np.zeros((N, 40), "float32")
    a, b = nb.Input((WIDTH,)), nb.Input((WIDTH,))
    model = nb.Model([a, b], nb.layers.Dense(40)(nb.layers.concatenate([a, b])))
    model.compile("sgd", "mse")
    fitted(model, [first, second], y, lambda: [resize(array) for array in (first, second, y)])
    gc.collect()  # Caught errors are part of cycles that hold the frames of the call.
    for array in (first, second, y):
        array.resize(3, refcheck=False)


def test_arrays_of_generators_are_held():
    given = []

    def batches():
        while True:
            given.append((X[:16].copy(), np.zeros((16, 20), "float32")))
            yield given[-1]

    model = nb.Sequential([nb.Input((WIDTH,)), nb.layers.Dense(20)])
    model.compile("sgd", "mse")
    callback = Once(lambda: [resize(part) for part in given[0]], "on_train_batch_begin")
    model.fit(batches(), steps_per_epoch=3, verbose=0, callbacks=[callback])
    assert callback.done


def test_a_thread_that_tries_to_resize_all_the_time():
    x, y, stop, moved = RNG.normal(size=(4096, WIDTH)).astype("float32"), np.zeros(4096), threading.Event(), []
    model = regressor()
    model.fit(x, y, verbose=0)

    def attack():
        while not stop.is_set():
            try:
                x.resize((5000, WIDTH), refcheck=False)
                moved.append(True)
            except ValueError:
                pass

    expected = model.predict(x)
    copy = x.copy()
    for _ in range(20):
        x = copy.copy()
        thread = threading.Thread(target=attack)
        thread.start()
        try:
            found = model.predict(x)
        finally:
            stop.set()
            thread.join()
            stop.clear()
        # The array may have grown before the call or after it, but not while it was read.
        np.testing.assert_array_equal(found[:4096], expected)


@pytest.mark.parametrize("large", [0, 1 << 30])
def test_a_buffer_that_is_no_array(large):
    raw = bytearray(X.tobytes())
    x = np.ndarray((N, WIDTH), "float32", raw)

    def function():
        with pytest.raises(BufferError):
            raw.extend(b"x")

    with mock.patch.object(array_memory, "LARGE", large):
        assert fitted(regressor(), x, Y, function) == fitted(regressor(), X, Y)


def test_a_model_does_not_keep_data():
    model, x, y = regressor(), X.copy(), np.zeros(N)
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    model.predict(x)
    model.predictor(N)(x)
    gone = weakref.ref(x)
    del x
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "x", [X, X.astype(">f4"), X.astype("float16"), np.asfortranarray(X), X[::-1], X.astype("longdouble")]
)
def test_layouts_and_dtypes_through_the_pipe(x):
    out = np.empty(x.shape, x.dtype)
    with array_memory.MemoryReader("x") as reader, mock.patch.object(array_memory, "_WINDOW", 50):
        reader.copy(x, out)
    np.testing.assert_array_equal(out, x)


# ---- files that vanish ---------------------------------------------------------------------------------------------


def saved(folder, array, offset=0):
    path = folder / "x"
    path.write_bytes(bytes(offset) + array.tobytes())
    return path


def raw_map(path, access):
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 0, access=access)


def loaded(folder):
    np.save(folder / "x", X)
    (folder / "x.npy").rename(folder / "x")
    return np.load(folder / "x", mmap_mode="r")


MAPS = {
    "r": lambda f: np.memmap(saved(f, X), "float32", "r", shape=X.shape),
    "r+": lambda f: np.memmap(saved(f, X), "float32", "r+", shape=X.shape),
    "c": lambda f: np.memmap(saved(f, X), "float32", "c", shape=X.shape),
    "an offset": lambda f: np.memmap(saved(f, X, 5000), "float32", "r", 5000, X.shape),
    "np.load": loaded,
    "an array": lambda f: np.asarray(np.memmap(saved(f, X), "float32", "r", shape=X.shape)),
    "Fortran": lambda f: np.memmap(saved(f, np.ascontiguousarray(X.T)), "float32", "r", shape=X.shape, order="F"),
    "transposed": lambda f: np.memmap(saved(f, np.ascontiguousarray(X.T)), "float32", "r", shape=X.T.shape).T,
    "columns": lambda f: np.memmap(saved(f, np.tile(X, 2)), "float32", "r", shape=(N, 2 * WIDTH))[:, WIDTH:],
    "every other row": lambda f: np.memmap(saved(f, X.repeat(2, 0)), "float32", "r", shape=(2 * N, WIDTH))[::2],
    "backwards": lambda f: np.memmap(saved(f, X[::-1]), "float32", "r", shape=(N, WIDTH))[::-1],
    "big-endian": lambda f: np.memmap(saved(f, X.astype(">f4")), ">f4", "r", shape=X.shape),
    "unaligned": lambda f: np.memmap(saved(f, X, 3), "float32", "r", 3, X.shape),
    "a read-only map": lambda f: np.frombuffer(raw_map(saved(f, X), mmap.ACCESS_READ), "float32").reshape(X.shape),
    "a private map": lambda f: np.frombuffer(raw_map(saved(f, X), mmap.ACCESS_COPY), "float32").reshape(X.shape),
    "a memoryview": lambda f: np.asarray(memoryview(raw_map(saved(f, X), mmap.ACCESS_READ)).cast("f")).reshape(X.shape),
    "a view of a buffer": lambda f: np.ndarray(X.shape, "float32", raw_map(saved(f, X), mmap.ACCESS_WRITE)),
}


@posix
@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("length", [0, 100])
def test_a_small_mapped_file_is_copied(tmp_path, kind, length):
    expected = fitted(regressor(), X, Y)
    x = MAPS[kind](tmp_path)
    assert fitted(regressor(), x, Y, lambda: os.truncate(tmp_path / "x", length)) == expected
    # By now it is too short.
    with pytest.raises(OSError, match=r"x: .*has become too short"):
        fitted(regressor(), x, Y)
    with pytest.raises(OSError, match=r"x: .*has become too short"):
        regressor().predict(x)
    with pytest.raises(OSError, match=r"x: .*has become too short"):
        regressor().predictor(N)(x)


@posix
@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_large_mapped_file_is_read_in_blocks(tmp_path, kind, shuffle):
    """Here all files are large. Those of a layout that kernels do not read are copied nevertheless."""
    expected = fitted(regressor(), X, Y, shuffle=shuffle)
    x = MAPS[kind](tmp_path)
    with mock.patch.object(array_memory, "LARGE", 100), mock.patch.multiple(mapped, BLOCK=16 * X[0].nbytes, AROUND=100):
        assert fitted(regressor(), x, Y, shuffle=shuffle) == expected
        in_blocks = x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative
        if in_blocks:
            with pytest.raises(OSError, match=r"x: .*has become too short"):
                fitted(regressor(), x, Y, lambda: os.truncate(tmp_path / "x", 0), shuffle=shuffle)
        else:
            truncated = fitted(regressor(), x, Y, lambda: os.truncate(tmp_path / "x", 0), shuffle=shuffle)
            assert truncated == expected
        with pytest.raises(OSError, match=r"x: .*has become too short"):
            regressor().predict(x)


@posix
def test_labels_and_weights_in_files(tmp_path):
    for large in (1 << 30, 100):
        with mock.patch.object(array_memory, "LARGE", large):
            y = np.memmap(saved(tmp_path, Y), "int64", "r", shape=N)
            expected = fitted(classifier(), X, Y)
            assert fitted(classifier(), X, y, lambda: os.truncate(tmp_path / "x", 8)) == expected
            with pytest.raises(OSError, match=r"y: .*has become too short"):
                classifier().evaluate(X, y, verbose=0)
            with pytest.raises(OSError, match=r"sample_weight: .*has become too short"):
                classifier().evaluate(X, Y, sample_weight=y, verbose=0)


@posix
def test_sparse_values_in_a_file(tmp_path):
    csr = sparse.csr_array(X)
    for large in (1 << 30, 100):
        with mock.patch.object(array_memory, "LARGE", large):
            values = np.memmap(saved(tmp_path, csr.data), "float32", "r", shape=csr.data.shape)
            given = sparse.csr_array((values, csr.indices, csr.indptr), shape=csr.shape)
            truncate = lambda: os.truncate(tmp_path / "x", 0)  # noqa: E731
            assert fitted(regressor(), given, Y, truncate) == fitted(regressor(), csr, Y)


@posix
def test_wide_targets_in_a_large_file_beside_a_sparse_matrix(tmp_path):
    target = RNG.normal(size=(N, 20)).astype("float32")
    y = np.memmap(saved(tmp_path, target), "float32", "r", shape=target.shape)
    model = nb.Sequential([nb.Input((WIDTH,)), nb.layers.Dense(20)])
    model.compile("sgd", "mse")
    with mock.patch.object(array_memory, "LARGE", 100):
        history = fitted(model, sparse.csr_array(X), y, lambda: os.truncate(tmp_path / "x", 0))
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("large", [1 << 30, 100])
def test_a_map_that_is_closed(tmp_path, large):
    x = np.memmap(saved(tmp_path, X), "float32", "r", shape=X.shape)

    def close():
        if large == 100:
            with pytest.raises(BufferError):
                x._mmap.close()
        else:
            x._mmap.close()

    with mock.patch.object(array_memory, "LARGE", large):
        assert fitted(regressor(), x, Y, close) == fitted(regressor(), X, Y)
        gc.collect()
        x._mmap.close()
        for call in (regressor().predict, regressor().predictor(N), lambda x: fitted(regressor(), x, Y)):
            with pytest.raises(ValueError, match="x: expected an array, got one whose memory was released"):
                call(x)


@pytest.mark.parametrize("large", [1 << 30, 100])
def test_shared_memory_that_is_closed(large):
    shared = shared_memory.SharedMemory(create=True, size=X.nbytes)
    try:
        x = np.ndarray(X.shape, "float32", shared.buf)
        x[:] = X

        def close():
            if large == 100:
                with pytest.raises(BufferError):
                    shared.close()

        with mock.patch.object(array_memory, "LARGE", large):
            assert fitted(regressor(), x, Y, close) == fitted(regressor(), X, Y)
            found = np.asarray(regressor().predict(x))
        np.testing.assert_array_equal(found, regressor().predict(X))
        gc.collect()
        shared.close()
        with pytest.raises(ValueError, match="x: expected an array, got one whose memory was released"):
            regressor().predict(x)
    finally:
        gc.collect()
        shared.close()
        shared.unlink()


@posix
@pytest.mark.parametrize("large", [1 << 30, 100])
def test_memory_of_an_unknown_owner(tmp_path, large):
    """An object that only has an address, as other libraries pass it: of a mapped file here."""
    map_ = raw_map(saved(tmp_path, X), mmap.ACCESS_READ)
    address = np.frombuffer(map_, "float32").__array_interface__["data"][0]

    class Foreign:
        def __init__(self):
            self.__array_interface__ = {
                "data": (address, True), "shape": X.shape, "typestr": "<f4", "version": 3
            }  # fmt: skip

    if large == 100 and sys.platform != "linux":
        pytest.skip("only Linux lists what is mapped where")
    with mock.patch.object(array_memory, "LARGE", large), mock.patch.multiple(mapped, BLOCK=16 * X[0].nbytes):
        for given in (Foreign(), np.asarray(Foreign())):
            np.testing.assert_array_equal(regressor().predict(given), regressor().predict(X))
        os.truncate(tmp_path / "x", 0)
        with pytest.raises(OSError, match="too short"):
            regressor().predict(np.asarray(Foreign()))


@posix
def test_data_frames_over_a_file(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.memmap(saved(tmp_path, X), "float32", "r", shape=X.shape), copy=False)
    expected = fitted(regressor(), X, Y)
    assert fitted(regressor(), frame, Y, lambda: os.truncate(tmp_path / "x", 0)) == expected


@posix
def test_batches_of_a_file(tmp_path):
    x = np.memmap(saved(tmp_path, np.tile(X, (100, 1))), "float32", "r", shape=(100 * N, WIDTH))

    def batches():
        for k in range(100):
            yield x[k * N : (k + 1) * N], Y

    with pytest.raises(OSError, match=r"x: .*has become too short"):
        regressor().fit(
            batches(), verbose=0, callbacks=[Once(lambda: os.truncate(tmp_path / "x", 4096 * 3), "on_train_batch_end")]
        )


@posix
def test_many_models_copy_a_file_once(tmp_path):
    x = np.memmap(saved(tmp_path, X), "float32", "r", shape=X.shape)
    y = Y.astype("float32")
    with mock.patch.object(array_memory, "copied", wraps=array_memory.copied) as copied:
        histories = nb.fit_many([regressor() for _ in range(3)], x, y, epochs=2, verbose=0)
    assert sum(call.args[0].nbytes == X.nbytes for call in copied.call_args_list) == 1
    expected = nb.fit_many([regressor() for _ in range(3)], X, y, epochs=2, verbose=0)
    assert [one.history for one in histories] == [one.history for one in expected]


# ---- masked arrays -------------------------------------------------------------------------------------------------


def masked(array, count=1):
    found = np.ma.array(array)
    found[:count] = np.ma.masked
    return found


WITH_MASKS = {
    "fit x": lambda: regressor().fit(masked(X), Y, verbose=0),
    "fit y": lambda: classifier().fit(X, masked(Y), verbose=0),
    "fit sample_weight": lambda: classifier().fit(X, Y, sample_weight=masked(np.ones(N)), verbose=0),
    "validation_data": lambda: regressor().fit(X, Y, validation_data=(masked(X), Y), verbose=0),
    "evaluate": lambda: regressor().evaluate(masked(X), Y, verbose=0),
    "predict": lambda: regressor().predict(masked(X)),
    "predict, all": lambda: regressor().predict(masked(X, N)),
    "predict_mc": lambda: regressor().predict_mc(masked(X), 2),
    "predictor": lambda: regressor().predictor(N)(masked(X)),
    "predictor, all": lambda: regressor().predictor(1)(masked(X[:1])),
    "predictor, list": lambda: regressor().predictor(1)([masked(X[0])]),
    "list of rows": lambda: regressor().predict([masked(X[0], 2), X[1]]),
    "nested lists": lambda: regressor().predict([[*masked(X[0], 0)], list(masked(X[0], 2))]),
    "train_on_batch": lambda: regressor().train_on_batch(masked(X), Y),
    "stream": lambda: regressor().fit(((masked(X), Y) for _ in range(2)), verbose=0),
    "ignored class": lambda: nb.losses.SparseCategoricalCrossentropy(ignore_class=5)(masked(Y), np.ones((N, CLASSES))),
    "MLPClassifier X": lambda: MLPClassifier(hidden_layer_sizes=(4,), max_iter=1).fit(masked(X), Y),
    "MLPClassifier y": lambda: MLPClassifier(hidden_layer_sizes=(4,), max_iter=1).fit(X, masked(Y)),
    "MLPRegressor weights": lambda: MLPRegressor(hidden_layer_sizes=(4,), max_iter=1).fit(
        X, X[:, 0], sample_weight=masked(np.ones(N))
    ),
    "MLPRegressor categories": lambda: MLPRegressor(hidden_layer_sizes=(4,), categorical_features=[0]).fit(
        masked(X), X[:, 0]
    ),
    "NetClassifier X": lambda: NetClassifier(epochs=1).fit(masked(X), Y),
    "NetRegressor y": lambda: NetRegressor(epochs=1).fit(X, masked(X[:, 0])),
}


@pytest.mark.parametrize("call", WITH_MASKS)
@pytest.mark.filterwarnings("ignore:Warning. converting a masked element to nan")
def test_masked_entries_are_an_error(call):
    with pytest.raises(ValueError, match=r"expected (no missing|finite) values"):
        WITH_MASKS[call]()


# ---- every other intake: tensors, layers, metrics, losses, functions of arrays --------------------------------------

SHAPE = (8, 3)
INTAKES = {
    "tensor": nb.tensor,
    "Parameter": nb.Parameter,
    "list": lambda x: nb.tensor([x, x]),
    "nested lists": lambda x: nb.tensor([[list(x), x[:]]]),
    "convert_to_tensor": nb.ops.convert_to_tensor,
    "convert_to_tensor, integers": lambda x: nb.ops.convert_to_tensor(x, "int32"),
    "convert_to_numpy": nb.ops.convert_to_numpy,
    "cast": lambda x: nb.ops.cast(x, "float64"),
    "add": lambda x: nb.ops.add(x, 1),
    "a strided view": lambda x: nb.ops.add(1.0, x[::-1, 1:].T),
    "operator": lambda x: nb.tensor(np.ones(SHAPE)) * x,
    "argmax": nb.ops.argmax,
    "one_hot": lambda x: nb.ops.one_hot(x, 2),
    "take": lambda x: nb.ops.take(x, [0], axis=0),
    "take, indices": lambda x: nb.ops.take(np.ones(4), x.astype(int) if isinstance(x, np.ma.MaskedArray) else [x, x]),
    "random.shuffle": nb.random.shuffle,
    "Dense": lambda x: nb.layers.Dense(2)(x),
    "Embedding": lambda x: nb.layers.Embedding(5, 2)(x),
    "Rescaling": lambda x: nb.layers.Rescaling(2.0)(x),
    "Rescaling, scale": lambda x: nb.layers.Rescaling(x),
    "Add": lambda x: nb.layers.Add()([np.ones(SHAPE), x]),
    "Normalization": lambda x: nb.layers.Normalization().adapt(x),
    "Normalization, batches": lambda x: nb.layers.Normalization().adapt([x, x]),
    "Discretization": lambda x: nb.layers.Discretization([0.0])(x),
    "Discretization, adapt": lambda x: nb.layers.Discretization(num_bins=2).adapt([x, x]),
    "CategoryEncoding": lambda x: nb.layers.CategoryEncoding(3)(x),
    "IntegerLookup": lambda x: nb.layers.IntegerLookup(vocabulary=[1])(x),
    "IntegerLookup, vocabulary": lambda x: nb.layers.IntegerLookup(vocabulary=x[:, 0]),
    "IntegerLookup, adapt": lambda x: nb.layers.IntegerLookup().adapt(x),
    "IntegerLookup, invert": lambda x: nb.layers.IntegerLookup(vocabulary=[1], invert=True)(x.view("int32")),
    "StringLookup": lambda x: nb.layers.StringLookup(vocabulary=["a"])(x.view("U1")),
    "StringLookup, list": lambda x: nb.layers.StringLookup(vocabulary=["a"])([x.view("S4"), b"a"]),
    "TextVectorization": lambda x: nb.layers.TextVectorization(vocabulary=["a"])(x[:, 0].view("S4")),
    "TextVectorization, adapt": lambda x: nb.layers.TextVectorization().adapt([x.view("U1"), x.view("U1")]),
    "Hashing": lambda x: nb.layers.Hashing(3)(x),
    "Hashing, strings": lambda x: nb.layers.Hashing(3)(x.view("U1")),
    "HashedCrossing": lambda x: nb.layers.HashedCrossing(3)((["a"] * 8, x[:, 0])),
    "FeatureSpace": lambda x: nb.utils.FeatureSpace({"a": "float"})({"a": x}),
    "FeatureSpace, adapt": lambda x: nb.utils.FeatureSpace({"a": "float_normalized"}).adapt({"a": x[:, 0]}),
    "FeatureSpace, batches": lambda x: nb.utils.FeatureSpace({"a": "float_normalized"}).adapt([{"a": x[:, 0]}]),
    "assign": lambda x: nb.Parameter(np.ones(SHAPE)).assign(x),
    "assign_add": lambda x: nb.Parameter(np.ones(SHAPE)).assign_add(x),
    "set_weights": lambda x: built().set_weights([x, np.ones(3)]),
    "metric y_pred": lambda x: nb.metrics.SparseCategoricalAccuracy()(np.zeros(8), x),
    "metric sample_weight": lambda x: nb.metrics.MeanSquaredError()(np.ones(SHAPE), np.ones(SHAPE), x),
    "Mean": lambda x: nb.metrics.Mean()(x),
    "EpochMetric": lambda x: nb.metrics.R2Score()(np.ones(SHAPE), x),
    "AUC": lambda x: nb.metrics.AUC()(np.ones(SHAPE), x),
    "MeanIoU": lambda x: nb.metrics.MeanIoU(2)(x, np.ones(SHAPE)),
    "loss y_true": lambda x: nb.losses.MeanSquaredError()(x, np.ones(SHAPE)),
    "loss y_pred": lambda x: nb.losses.MeanSquaredError()(np.ones(SHAPE), x),
    "loss sample_weight": lambda x: nb.losses.MeanSquaredError()(np.ones((8, 3, 2)), np.ones((8, 3, 2)), x),
    "Tape": lambda x: dropped(x != 0 if isinstance(x, np.ma.MaskedArray) else x.view("int32")),
    "save_masks": lambda x: nb.save_masks(os.devnull, {"a": x}),
    "to_categorical": nb.utils.to_categorical,
    "normalize": nb.utils.normalize,
    "pad_sequences": nb.utils.pad_sequences,
    "pad_sequences, list": lambda x: nb.utils.pad_sequences([[1.0], x[-1]], truncating="post"),
    "split_dataset": lambda x: nb.utils.split_dataset(x, 0.5),
    "split_dataset, dict": lambda x: nb.utils.split_dataset({"x": x}, 0.5),
    "log_loss": lambda x: nb.calibration.log_loss(np.zeros(8), x),
    "brier_score": lambda x: nb.calibration.brier_score(x[:, 0], np.ones(8)),
    "expected_calibration_error": lambda x: nb.calibration.expected_calibration_error(np.ones(8), x[:, 0]),
    "maximum_calibration_error": lambda x: nb.calibration.maximum_calibration_error(np.ones(8), x[:, 0]),
    "reliability_curve": lambda x: nb.calibration.reliability_curve(np.ones(8), x[:, 0]),
    "interval_coverage": lambda x: nb.calibration.interval_coverage(x, np.zeros(SHAPE), np.ones(SHAPE)),
    "correlations": nb.inspect.correlations,
    "MLPRegressor.score": lambda x: scored(MLPRegressor, x[:, 0]),
    "MLPRegressor.score, sample_weight": lambda x: scored(MLPRegressor, np.arange(8), x[:, 0]),
    "MLPClassifier.score": lambda x: scored(MLPClassifier, x[:, 0]),
    "NetClassifier.score": lambda x: scored(NetClassifier, x[:, 0]),
    "NetRegressor.score": lambda x: scored(NetRegressor, x[:, 0]),
}


def built():
    layer = nb.layers.Dense(3)
    layer.build_for((None, 8))
    return layer


def dropped(mask):
    with nb.Tape(masks={"d": mask}):
        nb.layers.Dropout(0.5, name="d")(np.ones(SHAPE), training=True)


def scored(kind, y, sample_weight=None):
    model = kind(hidden_layer_sizes=(2,), max_iter=1) if kind in (MLPRegressor, MLPClassifier) else kind(epochs=1)
    with warnings.catch_warnings(action="ignore"):
        model.fit(X[:8], np.arange(8) % 2)
    model.score(X[:8], y, sample_weight)


@pytest.mark.parametrize("call", INTAKES.values(), ids=INTAKES)
def test_masked_entries_are_an_error_on_every_intake(call):
    array = np.ma.array(np.ones(SHAPE, np.float32), mask=False)
    array[[0, -1]] = np.ma.masked
    with pytest.raises(ValueError, match=r"expected no missing values, got a masked array"):
        call(array)


@posix
@pytest.mark.parametrize("length", [0, 140], ids=["no page", "within the page"])
@pytest.mark.parametrize("call", INTAKES.values(), ids=INTAKES)
def test_a_truncated_file_is_an_error_on_every_intake(call, length, tmp_path):
    np.save(tmp_path / "x.npy", np.ones(SHAPE, np.float32))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    os.truncate(tmp_path / "x.npy", length)
    with pytest.raises(OSError, match="the file that it is mapped from has become too short"):
        call(x)


@pytest.mark.parametrize(
    "layer",
    [
        nb.layers.TextVectorization(vocabulary=["a"]),
        nb.layers.StringLookup(vocabulary=["a"]),
        nb.layers.Hashing(3),
        lambda x: nb.layers.HashedCrossing(3)((x, x)),
        lambda x: nb.layers.StringLookup().adapt(x),
    ],
)
def test_an_array_is_not_resized_while_a_layer_reads_it(layer):
    x, done = np.array(["a", "b"] * 50), []

    def traced(frame, event, function):
        if event == "c_call" and not done and function.__name__ in ("ravel", "flatten", "searchsorted"):
            done.append(resize(x))

    sys.setprofile(traced)
    try:
        layer(x)
    finally:
        sys.setprofile(None)
    assert done
    assert x.size == 100


def test_a_plain_array_is_not_copied():
    x = np.arange(6.0)
    assert array_memory.plain_array(x, "x") is x
    assert np.shares_memory(array_memory.plain_array(x[1:], "x"), x)
    assert np.shares_memory(array_memory.plain_array(np.ma.array(x, mask=False), "x"), x)
    rows = [1.0, 2.0]
    assert array_memory.plain_parts(rows, "x") is rows


@posix
def test_mapped_values_are_those_of_the_file(tmp_path):
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    for given, expected in ((x, X), (x[::-2, 1:], X[::-2, 1:]), ([x, x], [X, X]), ((list(x), X), (X, X))):
        np.testing.assert_array_equal(nb.ops.convert_to_tensor(given).numpy(), expected)


def test_a_masked_array_without_masked_entries():
    np.testing.assert_array_equal(regressor().predict(np.ma.array(X)), regressor().predict(X))
    np.testing.assert_array_equal(regressor().predictor(N)(np.ma.array(X)), regressor().predict(X))


# ---- estimators ----------------------------------------------------------------------------------------------------


def estimators():
    return [MLPClassifier(hidden_layer_sizes=(4,), max_iter=3, random_state=0), NetClassifier(epochs=3, random_state=0)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("number", range(2))
def test_estimators_hold_data(number):
    def weights(x, y, function):
        estimator, calls = estimators()[number], []
        estimator.set_params(callbacks=[Once(lambda: (function(), calls.append(True)))]).fit(x, y)
        assert calls
        return estimator.model_.get_weights()

    x, y = X.copy(), Y.copy()
    expected = weights(X, Y, lambda: None)
    for found in (weights(x, y, lambda: resize(x)), weights(X, y, lambda: y.fill(2**40))):
        assert all(map(np.array_equal, found, expected))


@posix
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("number", range(2))
def test_estimators_and_files(tmp_path, number):
    x = np.memmap(saved(tmp_path, X), "float32", "r", shape=X.shape)
    calls = []
    once = Once(lambda: (os.truncate(tmp_path / "x", 0), calls.append(True)))
    found = estimators()[number].set_params(callbacks=[once]).fit(x, Y)
    assert calls
    expected = estimators()[number].fit(X, Y)
    assert all(map(np.array_equal, found.model_.get_weights(), expected.model_.get_weights()))
    with pytest.raises(OSError, match=r"X: .*has become too short"):
        found.predict(x)


def test_bytes_of_booleans() -> None:
    """A view of bytes as booleans may hold others than 0 and 1; each of them is True."""
    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(1, kernel_initializer="ones")])
    x = np.array([[109, 0, 1], [2, 2, 0]], np.uint8).view(bool)
    for given in (x, x, np.asfortranarray(x), x[:, ::-1], sparse.csr_array(x)):
        np.testing.assert_array_equal(model.predict(given, verbose=0), [[2.0], [2.0]])
    np.testing.assert_array_equal(model.predictor(2)(x), [[2.0], [2.0]])
