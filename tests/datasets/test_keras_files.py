"""Data sets in Keras's files are read as Keras reads them, and nothing in them is run."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.datasets.keras_files import read_pickle


def objects(lists: list[list[int]]) -> Any:
    array = np.empty(len(lists), object)
    array[:] = lists
    return array


def test_housing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10.0)
    for name in ("boston_housing", "california_housing"):
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
        monkeypatch.setenv("NBNET_DATA", str(tmp_path))
        (x_train, y_train), (x_test, y_test) = getattr(nb.datasets, name).load_data()
        order = np.arange(10)
        np.random.RandomState(113).shuffle(order)
        assert (y_train.tolist(), y_test.tolist()) == (order[:8].tolist(), order[8:].tolist())
        assert (x_train == x[order[:8]]).all()
        assert (x_test == x[order[8:]]).all()


def test_reviews(tmp_path: Path) -> None:
    texts = [[1, 5], [2, 900, 7], [3], [4, 4]]
    path = tmp_path / "imdb.npz"
    labels = np.array([0, 1, 0, 1])
    np.savez(path, x_train=objects(texts), y_train=labels, x_test=objects(texts), y_test=labels)
    (x_train, y_train), (x_test, _) = nb.datasets.imdb.load_data(path, num_words=10)
    by_label = {tuple(x): y for x, y in zip(x_train, y_train, strict=True)}
    # 1 begins a text, 3 is added to words, and 2 stands for words that are not kept.
    assert by_label == {(1, 4, 8): 0, (1, 5, 2, 2): 1, (1, 6): 0, (1, 7, 7): 1}
    assert sorted(map(tuple, x_test)) == sorted(by_label)
    short = nb.datasets.imdb.load_data(path, num_words=10, maxlen=4, start_char=None, oov_char=None, index_from=0)
    assert sorted(short[0][0].tolist()) == [[1, 5], [2, 7], [3], [4, 4]]
    np.savez(tmp_path / "reuters.npz", x=objects(texts), y=labels)
    (x_train, _), (x_test, _) = nb.datasets.reuters.load_data(tmp_path / "reuters.npz", test_split=0.25)
    assert (len(x_train), len(x_test)) == (3, 1)
    (tmp_path / "words.json").write_text(json.dumps({"the": 1}))
    assert nb.datasets.imdb.get_word_index(tmp_path / "words.json") == {"the": 1}


def cifar(folder: Path, names: list[str], batch: dict[Any, Any]) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


def test_photographs(tmp_path: Path) -> None:
    data = np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8)
    folder = tmp_path / "cifar-10-batches-py"
    cifar(folder, [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"], {b"data": data, b"labels": [3, 4]})
    (x, y), (x_test, y_test) = nb.datasets.cifar10.load_data(folder)
    assert (x.shape, y.shape, x_test.shape, y_test.tolist()) == ((10, 32, 32, 3), (10, 1), (2, 32, 32, 3), [[3], [4]])
    assert (x[0, 0, 0] == data[0, [0, 1024, 2048]]).all()
    packed = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder, "cifar-10-batches-py")
    assert (nb.datasets.cifar10.load_data(packed)[0][0] == x).all()
    fine = {b"data": data, b"fine_labels": [70, 80], b"coarse_labels": [7, 8]}
    cifar(tmp_path / "cifar-100-python", ["train", "test"], fine)
    assert nb.datasets.cifar100.load_data("coarse", tmp_path / "cifar-100-python")[0][1].tolist() == [[7], [8]]


def test_labels_of_photographs_are_bytes(tmp_path: Path) -> None:
    data = np.zeros((2, 3072), np.uint8)
    bad: list[Any] = [[300, 1], np.array([300, 1]), np.array([-1, 1]), np.array([1.5, 1]), [1.5, 1], [1, 2**70], "ab"]
    for k, labels in enumerate([[1, 255], np.array([1, 255]), np.array([1, 255], ">u2"), (1, 255), *bad]):
        cifar(tmp_path / f"{k}", ["train", "test"], {b"data": data, b"fine_labels": labels})
        if k < 4:
            assert nb.datasets.cifar100.load_data(path=tmp_path / f"{k}")[0][1].tolist() == [[1], [255]]
            continue
        with pytest.raises(ValueError, match="fine_labels: expected integers from 0 to 255"):
            nb.datasets.cifar100.load_data(path=tmp_path / f"{k}")


class Attack:
    def __reduce__(self) -> Any:
        return os.system, ("echo run",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Attack()),
        pickle.dumps({"data": [Attack()]}),
        pickle.dumps(np.save),
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"",
        b"garbage",
        pickle.dumps([1, 2])[:-3],
    ],
)
def test_nothing_in_pickles_is_run(content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="batch: "):
        read_pickle(content, "batch")
    assert capfd.readouterr().out == ""


def test_files_that_are_no_such_data(tmp_path: Path) -> None:
    path = tmp_path / "imdb.npz"
    np.savez(path, x_train=objects([[1]]))
    with pytest.raises(ValueError, match=r"it lacks y_train"):
        nb.datasets.imdb.load_data(path)
    content = io.BytesIO()
    np.save(content, np.array([Attack()], object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "reuters.npz", "w") as archive:
        archive.writestr("x.npy", content.getvalue())
        archive.writestr("y.npy", content.getvalue())
    with pytest.raises(ValueError, match="expected lists, numbers, text and arrays"):
        nb.datasets.reuters.load_data(tmp_path / "reuters.npz")


def test_get_file(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("1,2\n")
    cached = nb.utils.get_file("b.csv", source.as_uri(), cache_dir=tmp_path / "cache")
    assert Path(cached) == tmp_path / "cache" / "datasets" / "b.csv"
    assert Path(cached).read_text() == "1,2\n"
    # What is in the cache is found by any address.
    assert nb.utils.get_file("b.csv", "https://example.org/b.csv", cache_dir=tmp_path / "cache") == cached
    for name in ("md5", "sha256"):
        good, cache = hashlib.new(name, source.read_bytes()).hexdigest(), tmp_path / name
        assert nb.utils.get_file("b.csv", source.as_uri(), file_hash=good.upper(), cache_dir=cache)
        source.write_text("3,4\n")  # which is not read again
        assert nb.utils.get_file("b.csv", source.as_uri(), file_hash=good, cache_dir=cache)
        for place in (cache, tmp_path / f"new {name}"):
            with pytest.raises(ValueError, match="file_hash: expected a file of hash"):
                nb.utils.get_file("b.csv", source.as_uri(), file_hash="0" * len(good), cache_dir=place)
        source.write_text("1,2\n")
    with tarfile.open(tmp_path / "pack.tar.gz", "w:gz") as archive:
        archive.add(source, "pack/a.csv")
    folder = nb.utils.get_file("pack", (tmp_path / "pack.tar.gz").as_uri(), untar=True, cache_dir=tmp_path / "cache")
    assert (Path(folder) / "pack" / "a.csv").read_text() == "1,2\n"
