"""Matrix products, and BLAS held to one thread."""

from __future__ import annotations

import _ctypes
import ctypes
import os
import threading
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

import nbnet as nb
from nbnet.engine.gemm import blas
from nbnet.engine.gemm.blas import SingleThread, _ThreadLimit
from nbnet.engine.gemm.dispatch import matmul
from nbnet.engine.kernels.abi import attribute, kernel, mat
from tests.engine.processes import python
from tests.engine.toys import F32, F64, Array, compiled_only, run


@kernel
def product(mem: Any, ins: Any, step: Any) -> None:
    """c (+)= op(a) @ op(b), by attributes."""
    a, b, c = mat(mem, ins, 0), mat(mem, ins, 1), mat(mem, ins, 2)
    matmul(a, attribute(ins, 0) == 1, b, attribute(ins, 1) == 1, c, attribute(ins, 2) == 1)


sizes = st.integers(1, 9)


@given(sizes, st.integers(0, 9), sizes, st.booleans(), st.booleans(), st.booleans(), st.sampled_from([F32, F64]))
def test_products(rows: int, inner: int, columns: int, ta: bool, tb: bool, add: bool, dtype: Any) -> None:
    rng = np.random.default_rng(rows * 100 + inner * 10 + columns)
    a, b, c = (rng.normal(size=s).astype(dtype) for s in ((rows, inner), (inner, columns), (rows, columns)))
    start = c.copy() if add else 0
    want = start + a.astype(F64) @ b.astype(F64)
    if not add:
        c[:] = np.nan  # overwritten, whatever it holds
    stored = [np.ascontiguousarray(m.T) if t else m for m, t in ((a, ta), (b, tb))]
    run(product, *stored, c, attributes=(int(ta), int(tb), int(add)))
    np.testing.assert_allclose(c, want, rtol=100 * np.finfo(dtype).eps, atol=100 * np.finfo(dtype).eps)


def test_a_product_without_rows_does_nothing() -> None:
    for rows, columns in ((0, 3), (3, 0), (0, 0)):
        c = np.zeros((rows, columns), F32)
        run(product, np.ones((rows, 2), F32), np.ones((2, columns), F32), c, attributes=(0, 0, 0))


def check_gemm(address: int, dtype: Any) -> None:
    """Call Fortran's gemm at an address: arguments by reference, integers in 64-bit cells."""
    real = ctypes.c_float if dtype == F32 else ctypes.c_double
    a, b = np.array([[1, 2], [3, 4]], dtype), np.array([[5, 6], [7, 8]], dtype)
    c = np.zeros((2, 2), dtype)
    two, n, one, zero = ctypes.c_int64(2), ctypes.c_char(b"N"), real(1), real(0)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(address)
    # Fortran sees the transposes: the factors change places.
    cells = [n, n, two, two, two, one, b, two, a, two, zero, c, two]
    function(*(v.ctypes.data if isinstance(v, np.ndarray) else ctypes.addressof(v) for v in cells))
    np.testing.assert_array_equal(c, a @ b)


bundled = pytest.mark.skipif(blas._bundled() is None, reason="NumPy bundles no OpenBLAS here")


def test_symbols() -> None:
    found = blas.symbols()
    assert sorted(found) == ["nbnet_dgemm", "nbnet_sgemm"]
    check_gemm(found["nbnet_sgemm"], F32)
    check_gemm(found["nbnet_dgemm"], F64)


def test_symbols_of_scipy_where_numpy_bundles_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "_bundled", lambda: None)
    found = blas.library.__wrapped__("auto")
    assert found.threads is None
    check_gemm(found.sgemm, F32)
    check_gemm(found.dgemm, F64)
    with pytest.raises(ValueError, match="NBNET_BLAS: this NumPy brings no OpenBLAS"):
        blas.library.__wrapped__("openblas")


# ---- which library -----------------------------------------------------------------------------------------------


def mkl_missing() -> bool:
    return not list(metadata.distributions(name="mkl"))


#: Trains a net whose products are too large for tiles where a BLAS is named; prints its weights' hash twice.
TRAIN = """
import hashlib
import numpy as np
import nbnet as nb
from nbnet.engine.gemm import blas

def digest():
    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((96,)), nb.layers.Dense(160, "relu"), nb.layers.Dense(3)])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(128, 96)), rng.normal(size=(128, 3)), batch_size=64, epochs=2, verbose=0)
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()

print(blas.CHOICE, digest() == digest(), blas.library(blas.CHOICE).threads[0]())
"""


@bundled
@compiled_only
def test_a_library_by_name_or_path() -> None:
    path = next(str(info["filepath"]) for info in threadpool_info() if "scipy_openblas" in str(info["filepath"]))
    for choice in ("openblas", path):
        environment = {"NBNET_BLAS": choice, "OPENBLAS_NUM_THREADS": "2"}
        assert python(TRAIN, **environment) == f"{choice} True 2"


@compiled_only
@pytest.mark.skipif(mkl_missing(), reason="mkl is not installed")
def test_mkl_on_one_thread() -> None:
    found = blas.library("mkl")
    check_gemm(found.sgemm, F32)
    check_gemm(found.dgemm, F64)
    assert python(TRAIN, NBNET_BLAS="mkl") == "mkl True 1"


@pytest.mark.parametrize("choice", ["no such library", "."])
def test_what_is_no_library(choice: str) -> None:
    with pytest.raises(
        ValueError, match="NBNET_BLAS: expected 'auto', 'openblas', 'mkl' or the path of a library, got"
    ):
        blas.library(choice)


def test_libraries_of_another_kind(tmp_path: Path) -> None:
    broken = tmp_path / "libbroken.so"
    broken.write_text("no library")
    with pytest.raises(ValueError, match=r"NBNET_BLAS: '.*libbroken.so' does not load"):
        blas.library(str(broken))
    with pytest.raises(ValueError, match=r"NBNET_BLAS: '.*' is not a BLAS: it has no sgemm_ and dgemm_"):
        blas.library(_ctypes.__file__)


def test_mkl_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def files(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.files", files)
    with pytest.raises(ValueError, match=r"NBNET_BLAS: 'mkl' requires the package mkl: pip install 'nbnet\[mkl\]'"):
        blas.library.__wrapped__("mkl")


# ---- one thread --------------------------------------------------------------------------------------------------


def threads() -> int:
    library = blas._bundled()
    assert library is not None
    return int(library.scipy_openblas_get_num_threads64_())


@pytest.fixture
def two() -> Any:
    """BLAS on two threads, as long as the test runs."""
    library = blas._bundled()
    assert library is not None
    before = threads()
    library.scipy_openblas_set_num_threads64_(2)
    yield
    library.scipy_openblas_set_num_threads64_(before)


@bundled
def test_one_thread_inside_and_all_after(two: None) -> None:
    with SingleThread():
        assert threads() == 1
    assert threads() == 2


@bundled
def test_nesting(two: None) -> None:
    with SingleThread():
        with SingleThread():
            assert threads() == 1
        assert threads() == 1
    assert threads() == 2


@bundled
def test_errors_lift_the_limit(two: None) -> None:
    with pytest.raises(ZeroDivisionError), SingleThread():
        raise ZeroDivisionError
    assert threads() == 2


@bundled
def test_the_last_of_many_threads_lifts_the_limit(two: None) -> None:
    counts: list[int] = []
    gate = threading.Barrier(6)

    def work(k: int) -> None:
        gate.wait()
        for i in range(200):
            with SingleThread():
                counts.append(threads())
                if i % (k + 1) == 0:
                    with SingleThread():
                        counts.append(threads())

    workers = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert set(counts) == {1}
    assert threads() == 2


@bundled
def test_the_first_may_leave_before_the_last(two: None) -> None:
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with SingleThread():
            inside.set()
            leave.wait(10)

    worker = threading.Thread(target=work)
    with SingleThread():
        worker.start()
        inside.wait(10)
    assert threads() == 1
    leave.set()
    worker.join()
    assert threads() == 2


@bundled
def test_a_single_thread_stays_one() -> None:
    library = blas._bundled()
    assert library is not None
    before = threads()
    library.scipy_openblas_set_num_threads64_(1)
    try:
        with SingleThread():
            assert threads() == 1
        assert threads() == 1
    finally:
        library.scipy_openblas_set_num_threads64_(before)


def test_other_libraries_are_limited_through_threadpoolctl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "library", lambda choice: blas.Library(0, 0))

    def counts() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    monkeypatch.setattr(blas, "limit", _ThreadLimit())
    before = counts()
    with SingleThread():
        with SingleThread():
            assert set(counts()) <= {1}
        assert set(counts()) <= {1}
    assert counts() == before


@bundled
def test_training_and_prediction_leave_the_limit_as_it_was(two: None) -> None:
    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(2)])
    model.compile("sgd", "mse")
    x: Array = np.ones((8, 3), F32)
    model.fit(x, np.ones((8, 2)), verbose=0)
    model.predict(x)
    assert threads() == 2


@bundled
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_fork_while_another_thread_sets_the_limit() -> None:
    script = """
    import os, threading, time, warnings
    from nbnet.engine.gemm.blas import SingleThread, limit

    warnings.simplefilter("ignore")
    held = threading.Event()

    def hold():
        with limit.lock:
            held.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        with SingleThread():
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    with SingleThread():
        print("well")
    """
    assert python(script) == "well"
