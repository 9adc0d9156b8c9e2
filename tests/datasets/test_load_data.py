"""Where load_data looks, in which order, and what it says when nothing is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

import nbnet as nb

NAMES = ["mnist", "fashion_mnist"]
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def split(first: int, n: int = 2):
    """Training and test set whose first pixel tells them from others."""
    x, y = np.full((n, 28, 28), first, np.uint8), np.arange(n, dtype=np.uint8)
    return (x, y), (x[:1] + 100, y[:1])


def write_idx(folder: Path, first: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [array for part in split(first) for array in part]
    for name, array in zip(FILES, arrays, strict=True):
        sizes = np.array(array.shape, ">u4").tobytes()
        (folder / name).write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    return folder


def write_npz(path: Path, first: int, **changed) -> Path:
    (x_train, y_train), (x_test, y_test) = split(first)
    np.savez(path, **{"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test} | changed)
    return path


def load(name, path=None):
    return getattr(nb.datasets, name).load_data(path)


def first_pixel(loaded):
    (x_train, y_train), (x_test, y_test) = loaded
    assert x_train.dtype == y_train.dtype == x_test.dtype == y_test.dtype == np.uint8
    assert x_train.shape == (2, 28, 28)
    assert x_test.shape == (1, 28, 28)
    assert x_test[0, 0, 0] == x_train[0, 0, 0] + 100
    assert y_train.tolist() == [0, 1]
    return x_train[0, 0, 0]


@pytest.fixture
def no_openml(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", refuse)
    monkeypatch.delenv("NBNET_DATA", raising=False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("no_openml")
def test_a_folder_or_file_that_is_named(name, tmp_path):
    assert first_pixel(load(name, write_idx(tmp_path / "any", 3))) == 3
    assert first_pixel(load(name, str(write_npz(tmp_path / "any.npz", 4)))) == 4


@pytest.mark.parametrize("inside", ["", "{name}", "{hyphened}", "{name}.npz"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("no_openml")
def test_the_environment_names_a_folder(name, inside, tmp_path, monkeypatch):
    place = tmp_path / inside.format(name=name, hyphened=name.replace("_", "-"))
    write_npz(place, 5) if place.suffix else write_idx(place, 5)
    monkeypatch.setenv("NBNET_DATA", str(tmp_path))
    assert first_pixel(load(name)) == 5
    assert first_pixel(load(name, f"{name}.npz")) == 5, "Keras's default is no path to anything"


@pytest.mark.usefixtures("no_openml")
def test_a_folder_of_its_own_goes_first(tmp_path, monkeypatch):
    write_idx(tmp_path, 1), write_idx(tmp_path / "fashion_mnist", 2)
    monkeypatch.setenv("NBNET_DATA", str(tmp_path))
    assert first_pixel(load("mnist")) == 1
    assert first_pixel(load("fashion_mnist")) == 2
    assert first_pixel(load("mnist", write_idx(tmp_path / "given", 3))) == 3


@pytest.mark.parametrize(("name", "title"), [("mnist", "mnist_784"), ("fashion_mnist", "Fashion-MNIST")])
@pytest.mark.parametrize("folder", [None, "empty"])
def test_openml_when_nothing_is_there(name, title, folder, monkeypatch, tmp_path):
    asked = []

    def fetch(wanted, version, as_frame, parser, return_X_y):
        asked.append((wanted, version, as_frame, return_X_y))
        return np.arange(70_000 * 784).reshape(70_000, 784) % 256, np.array(["7", "3"] * 35_000)

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    monkeypatch.delenv("NBNET_DATA", raising=False)
    if folder is not None:
        monkeypatch.setenv("NBNET_DATA", str(tmp_path))
    (x_train, y_train), (x_test, y_test) = load(name)
    assert asked == [(title, 1, False, True)]
    assert (x_train.shape, x_test.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert (x_train.dtype, y_test.dtype) == (np.uint8, np.uint8)
    assert y_train[:4].tolist() == [7, 3, 7, 3]
    assert y_test.shape == (10_000,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("no_openml")
def test_offline_it_says_what_to_do(name):
    with pytest.raises(OSError, match=rf"{name} was not found .*no network.*load_data\(path=.*NBNET_DATA"):
        load(name)


@pytest.mark.usefixtures("no_openml")
def test_bad_paths(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        load("mnist", "nowhere")
    with pytest.raises(FileNotFoundError, match="lacks train-images"):
        load("mnist", tmp_path)
    np.savez(tmp_path / "half.npz", x_train=np.zeros(1))
    with pytest.raises(ValueError, match=r"half.npz: expected .*; it lacks y_train, x_test, y_test"):
        load("mnist", tmp_path / "half.npz")
    with pytest.raises(ValueError, match="expected an array of numbers, text or objects, got object"):
        load("mnist", write_npz(tmp_path / "objects.npz", 1, y_test=np.array([{}], object)))
    monkeypatch.setenv("NBNET_DATA", str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError, match="missing is not a folder"):
        load("mnist")


@pytest.mark.parametrize(("name", "folder"), [("mnist", "mnist"), ("fashion_mnist", "fashion-mnist")])
def test_real_data(name, folder, shared_data, monkeypatch):
    monkeypatch.setenv("NBNET_DATA", str(shared_data))
    (x_train, y_train), (x_test, y_test) = load(name)
    assert (x_train.shape, x_test.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    wanted = nb.datasets.load_mnist(shared_data / folder)
    assert np.array_equal(x_train[:100], wanted[0][0][:100])
    assert sorted(set(y_train.tolist())) == sorted(set(y_test.tolist())) == list(range(10))
