"""IDX files: every dtype, every way to be wrong."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbnet.datasets import load_mnist, read_idx

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array: NDArray[Any]) -> bytes:
    """The bytes of an IDX file."""
    head = bytes([0, 0, CODES[array.dtype.name], array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def arrays(train: int = 5, test: int = 3) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, high, shape, np.uint8) for n in (train, test) for high, shape in ((256, (n, 28, 28)), (10, n))
    ]


def folder_of(folder: Path, contents: list[NDArray[Any]], names: tuple[str, ...] = NAMES, end: str = "") -> Path:
    for name, array in zip(names, contents, strict=True):
        content = idx(array)
        (folder / (name + end)).write_bytes(gzip.compress(content) if end == ".gz" else content)
    return folder


# ---- read_idx ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 1, 3, 2), (0, 5)], ids=str)
@pytest.mark.parametrize("name", CODES)
def test_every_dtype_comes_back_as_it_was(tmp_path: Path, name: str, shape: tuple[int, ...], compress: bool) -> None:
    array = np.random.default_rng(0).normal(0, 60, shape).astype("int8").astype(name)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(idx(array)) if compress else idx(array))
    got = read_idx(path)
    assert got.dtype == np.dtype(name)
    assert got.flags.writeable
    assert got.flags.aligned
    np.testing.assert_array_equal(got, array)


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(idx(np.arange(3, dtype=np.uint8)))
    assert read_idx(str(tmp_path / "file")).tolist() == [0, 1, 2]


GOOD = idx(np.arange(6, dtype=np.int16).reshape(2, 3))
BAD = {
    "empty": (b"", "not an IDX file: it starts with nothing"),
    "text": (b"hello", "not an IDX file: it starts with 68 65 6c 6c"),
    "first bytes": (b"\1" + GOOD[1:], "not an IDX file"),
    "type code": (GOOD[:2] + b"\x0a" + GOOD[3:], "not an IDX file"),
    "no axes": (b"\0\0\x08\0", "number of axes"),
    "too many axes": (b"\0\0\x08\x21" + b"\0" * 200, "number of axes"),
    "header cut": (GOOD[:11], "truncated: its header takes 12 bytes, the file has 11"),
    "values cut": (GOOD[:-1], r"truncated: expected 12 bytes of int16 \(2, 3\) after the header, got 11"),
    "trailing": (GOOD + b"\0", "trailing bytes: expected 12 bytes .* got 13"),
    "huge sizes": (b"\0\0\x0e\x04" + b"\xff" * 16 + b"\0" * 8, "truncated"),
    "gzip cut": (gzip.compress(GOOD)[:-9], "is damaged"),
    "gzip checksum": (gzip.compress(GOOD)[:-8] + b"\0" * 8, "is damaged"),
    "gzip garbage": (b"\x1f\x8b\x08\x00" + b"\xff" * 40, "is damaged"),
    "gzip and more": (gzip.compress(GOOD) + b"more", "is damaged"),
    "gzip of nonsense": (gzip.compress(b"nonsense"), "not an IDX file"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_file_is_named(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    path = tmp_path / "damaged-file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"damaged-file: .*{message}"):
        read_idx(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        read_idx(tmp_path / "nothing-here")


# ---- load_mnist ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("before", ["-idx", ".idx"])
def test_both_spellings_gzipped_or_not(tmp_path: Path, before: str, end: str) -> None:
    wanted = arrays()
    folder_of(tmp_path, wanted, tuple(name.replace("-idx", before) for name in NAMES), end)
    (x_train, y_train), (x_test, y_test) = load_mnist(tmp_path)
    for got, array in zip((x_train, y_train, x_test, y_test), wanted, strict=True):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, array)


def test_spellings_may_be_mixed(tmp_path: Path) -> None:
    wanted = arrays()
    folder_of(tmp_path, wanted[:2], NAMES[:2], ".gz")
    folder_of(tmp_path, wanted[2:], ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"))
    (tmp_path / "t10k-images-idx3-ubyte").mkdir()  # some archives unpack to folders of the files' names
    (x_train, _), (_, y_test) = load_mnist(str(tmp_path))
    np.testing.assert_array_equal(x_train, wanted[0])
    np.testing.assert_array_equal(y_test, wanted[3])


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder_of(tmp_path, arrays()[:2], NAMES[:2])
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(tmp_path)
    message = str(caught.value)
    assert f"{tmp_path} lacks {NAMES[2]}, {NAMES[3]};" in message
    assert all(name in message for name in NAMES)
    assert ".gz" in message
    assert ".idx" in message


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        load_mnist(tmp_path / "nowhere")


WRONG = {
    "image size": (
        0,
        np.zeros((5, 28, 27), np.uint8),
        r"train-images.*images, uint8 \(n, 28, 28\), got uint8 \(5, 28, 27\)",
    ),
    "image axes": (2, np.zeros((3, 784), np.uint8), r"t10k-images.*got uint8 \(3, 784\)"),
    "image dtype": (0, np.zeros((5, 28, 28), np.float32), "train-images.*got float32"),
    "label axes": (1, np.zeros((5, 1), np.uint8), r"train-labels.*labels, uint8 \(n,\), got uint8 \(5, 1\)"),
    "label dtype": (3, np.zeros(3, np.int32), "t10k-labels.*got int32"),
    "lengths": (3, np.zeros(4, np.uint8), "t10k-labels.*expected 3 labels, one for each of t10k-images.*got 4"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_must_hold_what_its_name_says(tmp_path: Path, case: str) -> None:
    number, array, message = WRONG[case]
    contents: list[NDArray[Any]] = [*arrays()]
    contents[number] = array
    with pytest.raises(ValueError, match=message):
        load_mnist(folder_of(tmp_path, contents))


# ---- real files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_real_files(shared_data: Path, name: str) -> None:
    if not (shared_data / name).is_dir():
        pytest.skip(f"no real data: {shared_data / name} is not a folder")
    (x_train, y_train), (x_test, y_test) = load_mnist(shared_data / name)
    assert (x_train.shape, x_test.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert sorted(set(y_train.tolist())) == sorted(set(y_test.tolist())) == list(range(10))
    assert x_train.max() == x_test.max() == 255
    if name == "mnist":
        assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
        assert y_test[:5].tolist() == [7, 2, 1, 0, 4]
        assert round(float(x_train.mean()) / 255, 4) == 0.1307
