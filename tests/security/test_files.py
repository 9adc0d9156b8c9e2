"""Files that were damaged, that change while they are read, or that are no files at all."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import struct
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import nbnet as nb

posix = pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")
KINDS = ["model", "weights", "backup", "masks"]
NAMES = {"model": "m.nbnet", "weights": "w.weights.nbnet", "backup": "latest.nbnet", "masks": "masks"}
rng = np.random.default_rng(0)
X = rng.normal(size=(16, 3))


def network(seed: int = 1) -> nb.Model:
    nb.set_random_seed(seed)
    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(4), nb.layers.Dropout(0.5), nb.layers.Dense(1)])
    model.compile(nb.optimizers.SGD(0.1, momentum=0.9), "mse")
    return model


def state(model: nb.Model) -> list[bytes]:
    """Return all that a file can change."""
    parts = [*model.get_weights(), *(value for _, value in sorted(model.optimizer.get_state().items()))]
    position = model._train_state.position
    keys = [getattr(layer, "key", None) for layer in model.layers]
    record = repr((position.key, position.epoch, position.batch, position.extent, position.totals, keys))
    return [np.asarray(part).tobytes() for part in parts] + [record.encode()]


def load(kind: str, path: Path, into: nb.Model | None = None) -> Any:
    """Load a file of a kind; return what it held."""
    if kind == "masks":
        return {name: mask.tolist() for name, mask in nb.load_masks(path).items()}
    if kind == "model":
        return state(nb.load_model(path))
    model = into or network(2)
    if kind == "backup":
        callbacks = [nb.callbacks.EarlyStopping("loss"), nb.callbacks.BackupAndRestore(path.parent)]
        nb.callbacks.CallbackList(callbacks, model).call("on_train_begin")  # type: ignore[arg-type]
        return state(model)
    model.load_weights(path)
    return [weight.tobytes() for weight in model.get_weights()]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a file of each kind."""
    folder, model = tmp_path_factory.mktemp("good"), network()
    keep = nb.callbacks.BackupAndRestore(folder, save_freq=1, delete_checkpoint=False)
    model.fit(X, X[:, :1], batch_size=4, epochs=2, verbose=0, callbacks=[keep, nb.callbacks.EarlyStopping("loss")])
    paths = {kind: folder / name for kind, name in NAMES.items()}
    model.save(paths["model"])
    model.save_weights(paths["weights"])
    nb.save_masks(paths["masks"], {"drop": rng.random((9, 30)) < 0.5})
    return paths


@pytest.fixture
def alarm() -> Iterator[None]:
    """End a test that waits for ever."""

    def ring(*args: object) -> None:
        raise TimeoutError("the call waits")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def header_size(content: bytes) -> int:
    return 8 + int(struct.unpack("<Q", content[:8])[0])


# ---- damage ----


@pytest.mark.parametrize("kind", KINDS)
def test_every_byte_of_the_tensors_counts(kind: str, good: dict[str, Path], tmp_path: Path) -> None:
    content, path = good[kind].read_bytes(), tmp_path / NAMES[kind]
    first, draw, model = header_size(content), np.random.default_rng(1), network(2)
    for at in range(first, len(content), 1 if kind == "masks" else 5):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"^{NAMES[kind]}: damaged: "):
            load(kind, path, model)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_to_the_header_is_never_silent(kind: str, good: dict[str, Path], tmp_path: Path) -> None:
    """Nor does it turn a file into one of format 1, or of another program."""
    content, path = good[kind].read_bytes(), tmp_path / NAMES[kind]
    last, draw, model = header_size(content), np.random.default_rng(2), network(2)
    for at in [*range(90), *draw.integers(90, last, 60)]:
        for new in (content[at] ^ 1 << int(draw.integers(8)), int(draw.integers(256)), ord("1")):
            if new != content[at]:
                path.write_bytes(content[:at] + bytes([new]) + content[at + 1 :])
                with pytest.raises(ValueError, match=NAMES[kind]):
                    load(kind, path, model)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_that_are_swapped_or_missing(kind: str, good: dict[str, Path], tmp_path: Path) -> None:
    content, path = good[kind].read_bytes(), tmp_path / NAMES[kind]
    first = header_size(content)
    data = content[first:]
    changed = [
        content[:first] + data[::-1],
        content[:first] + bytes(len(data)),
        content[:first] + data[8:] + data[:8],
        content[: first + len(data) // 2],
        content[:-1],
        content + b"\0",
        content[:first],
    ]
    for damaged in changed:
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"^{NAMES[kind]}: damaged: "):
            load(kind, path)


@pytest.mark.parametrize("kind", ["weights", "model", "backup"])
def test_a_damaged_file_changes_nothing_of_a_model(kind: str, good: dict[str, Path], tmp_path: Path) -> None:
    """The damage is in the last tensor, where the others have been read."""
    content, path, model = bytearray(good[kind].read_bytes()), tmp_path / NAMES[kind], network(3)
    model.fit(X, X[:, :1], verbose=0)
    before = state(model)
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged: its tensors differ from their checksum"):
        load("backup" if kind == "backup" else "weights", path, model)
    assert state(model) == before


def test_damage_is_not_left_out(good: dict[str, Path], tmp_path: Path) -> None:
    """``skip_mismatch`` is for weights of another shape."""
    content, path = bytearray(good["weights"].read_bytes()), tmp_path / "w.weights.nbnet"
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        network().load_weights(path, skip_mismatch=True)


@pytest.mark.parametrize("ending", ["weights.h5", "h5", "keras"])
def test_no_byte_of_a_file_for_keras_changes_silently(ending: str, tmp_path: Path) -> None:
    path, model = tmp_path / f"m.{ending}", network()
    model.fit(X, X[:, :1], verbose=0)
    (model.save_weights if ending == "weights.h5" else model.save)(path)
    content, refused, weights_only = path.read_bytes(), 0, ending == "weights.h5"

    def facts(model: Any) -> str:
        return str([*model.get_weights(), model.optimizer.learning_rate, weights_only or model.get_config()])

    places, other = range(0, len(content), 7), network(2)
    for at in places:
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        try:
            again = other if weights_only else nb.load_model(path)
            if weights_only:
                again.load_weights(path)
        except ValueError:
            refused += 1
        else:
            assert facts(again) == facts(model), at
    assert refused > 0.95 * len(places)


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_a_file_for_keras_that_has_lost_its_checksum(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{ending}"
    network().save(path)
    if ending == "h5":
        path.write_bytes(path.read_bytes().replace(b"nbnet_sha256", b"nbnet_sha255"))
    else:
        with zipfile.ZipFile(path) as archive:
            members = {
                name: archive.read(name).replace(b"nbnet_sha256", b"nbnet_sha255") for name in archive.namelist()
            }
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content.replace(b"nbnet_sha256", b"nbnet_sha255"))
    with pytest.raises(ValueError, match=r"damaged: .*checksum"):
        nb.load_model(path)


# ---- other writers and readers ----


@pytest.mark.parametrize("kind", KINDS)
def test_other_programs_read_the_files(kind: str, good: dict[str, Path]) -> None:
    tensors = load_file(good[kind])
    with safe_open(good[kind], "np") as file:
        record = json.loads(file.metadata()["nbnet"])
        assert set(file.keys()) == set(tensors)
    assert record["format"] == 2
    if kind == "weights":
        for name, weight in zip(sorted(tensors), [1, 0, 3, 2], strict=True):
            found = network(2)
            found.load_weights(good[kind])
            np.testing.assert_array_equal(tensors[name], found.get_weights()[weight])


@pytest.mark.parametrize("metadata", [None, {"format": "np"}, {"format": "pt", "made": "elsewhere"}])
def test_weights_of_other_programs_have_no_checksum(
    metadata: Any, good: dict[str, Path], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    save_file(load_file(good["weights"]), tmp_path / "w.safetensors", metadata)
    model = network(2)
    model.load_weights(tmp_path / "w.safetensors")
    assert [weight.tobytes() for weight in model.get_weights()] == load("weights", good["weights"])
    assert not recwarn.list


def first_format(kind: str, path: Path, into: Path) -> None:
    """Write a file as format 1 had it."""
    with safe_open(path, "np") as file:
        record = json.loads(file.metadata()["nbnet"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name in [name for name in tensors if name.startswith(("callback:", "totals:"))]:
        del tensors[name], record["tensors"][name]
    if kind == "masks":
        del record["format"]
    else:
        record["format"] = 1
    if record.get("training"):
        training = record["training"]
        for name in ("extent", "callbacks", "draws"):
            del training[name]
        training["random"] = {layer: key for layer, (key, _) in training["random"].items()}
    save_file(tensors, into, {"nbnet": json.dumps(record, sort_keys=True, separators=(",", ":"))})


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_format_1_are_read_with_a_warning(kind: str, good: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / NAMES[kind]
    first_format(kind, good[kind], path)
    with pytest.warns(UserWarning, match=f"{NAMES[kind]}: has no checksum") as caught:
        found = load(kind, path)
    assert len(caught) == 1
    expected = load(kind, good[kind])
    assert found[:-1] == expected[:-1] if kind in ("model", "backup") else found == expected
    if kind == "model":
        nb.load_model(good["model"]).save(path)
        load(kind, path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["nbnet", "nbnet_sha256"])
def test_a_file_without_its_checksum(kind: str, key: str, good: dict[str, Path], tmp_path: Path) -> None:
    """Neither its record nor its checksum can be renamed."""
    content, path = good[kind].read_bytes(), tmp_path / NAMES[kind]
    renamed = key[:-1] + "X"
    path.write_bytes(content.replace(f'"{key}":'.encode(), f'"{renamed}":'.encode(), 1))
    with pytest.raises(ValueError, match="damaged: "):
        load(kind, path)
    with safe_open(good[kind], "np") as file:
        metadata = file.metadata()
    save_file(load_file(good[kind]), path, {"nbnet": metadata["nbnet"]})
    with pytest.raises(ValueError, match="damaged: has no checksum"):
        load(kind, path)
    save_file(load_file(good[kind]), path, {"nbnet_sha256": metadata["nbnet_sha256"]})
    with pytest.raises(ValueError, match="damaged: "):
        load(kind, path)


# ---- files that change while they are read or written ----


def reader(path: Path) -> Any:
    from nbnet.base.tensor_file import Reader

    return Reader(path)


@pytest.mark.parametrize("kind", ["weights", "foreign"])
@pytest.mark.parametrize("change", ["truncate", "extend", "overwrite"])
def test_a_file_that_changes_between_its_header_and_its_tensors(
    kind: str, change: str, good: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "w.nbnet"
    if kind == "foreign":
        save_file({"a": np.ones(100_000, np.float32)}, path)
    else:
        model = nb.Sequential([nb.Input((100,)), nb.layers.Dense(1000)])
        model.save_weights(path)
    size = path.stat().st_size
    os.utime(path, (0, 0))
    with reader(path) as file:
        if change == "truncate":
            os.truncate(path, size - 100)
        else:
            with path.open("r+b") as other:
                other.seek(size if change == "extend" else size - 100)
                other.write(b"1234")
        if (kind, change) == ("weights", "extend"):
            for name in file.entries:  # What was said to be there is there, and fits its checksum.
                file.read(name)
        else:
            with pytest.raises(ValueError, match=r"w\.nbnet: damaged: "):
                file.read(next(iter(file.entries)))


@posix
def test_a_file_that_is_replaced_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "w.nbnet"
    model = nb.Sequential([nb.Input((100,)), nb.layers.Dense(100)])
    model.save_weights(path)
    with reader(path) as file:
        before = model.get_weights()[0]
        model.set_weights([weight + 1 for weight in model.get_weights()])
        model.save_weights(path)
        found = file.read("dense/kernel")
    np.testing.assert_array_equal(found, before)


def test_weights_that_change_while_they_are_written(tmp_path: Path) -> None:
    """The checksum is of what was written."""
    model = nb.Sequential([nb.Input((300,)), nb.layers.Dense(3000)])
    kernel, done = model.weights[0].numpy(), threading.Event()

    def change() -> None:
        while not done.is_set():
            kernel[...] += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(10):
            model.save(tmp_path / "m.nbnet")
            nb.load_model(tmp_path / "m.nbnet")
    finally:
        done.set()
        thread.join()


# ---- what is no file ----


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    folder = os.getcwd()
    os.chdir(path.parent)  # A socket's path has to be short.
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(folder)


SPECIAL: dict[str, tuple[Callable[[Path], object], type[OSError]]] = {
    "FIFO": (fifo, io.UnsupportedOperation),
    "link to a FIFO": (lambda path: (os.mkfifo(path.with_name("f")), path.symlink_to("f")), io.UnsupportedOperation),
    "socket": (unix_socket, io.UnsupportedOperation),
    "/dev/zero": (lambda path: path.symlink_to("/dev/zero"), io.UnsupportedOperation),
    "/dev/null": (lambda path: path.symlink_to("/dev/null"), io.UnsupportedOperation),
    "folder": (lambda path: path.mkdir(), IsADirectoryError),
    "dangling link": (lambda path: path.symlink_to("nowhere"), FileNotFoundError),
    "link to itself": (lambda path: path.symlink_to(path.name), OSError),
    "nothing": (lambda path: None, FileNotFoundError),
}


def read(kind: str, path: Path) -> object:
    if kind == "npz":
        return nb.datasets.mnist.load_data(path)
    if kind == "idx":
        return nb.datasets.read_idx(path)
    if kind == "backup state":
        return network()._load_training_state(path)
    if kind == "picture":
        return nb.utils.load_img(path)
    if kind in ("keras", "h5"):
        return nb.load_model(path)
    if kind == "weights.h5":
        return network().load_weights(path)
    return load(kind, path)


@posix
@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize(
    "kind", ["model", "weights", "backup state", "masks", "idx", "picture", "keras", "h5", "weights.h5"]
)
@pytest.mark.parametrize("special", SPECIAL)
def test_only_regular_files_are_read(kind: str, special: str, tmp_path: Path) -> None:
    path = tmp_path / f"special.{kind if kind.endswith(('keras', 'h5')) else 'nbnet'}"
    make, error = SPECIAL[special]
    make(path)
    with pytest.raises(error):
        read(kind, path)


@posix
@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("special", ["FIFO", "socket", "/dev/zero", "folder"])
def test_data_sets_and_backups_that_are_no_files(special: str, tmp_path: Path) -> None:
    make, _ = SPECIAL[special]
    make(tmp_path / "latest.nbnet")
    with pytest.raises(OSError):  # noqa: PT011
        network().fit(X, X[:, :1], verbose=0, callbacks=[nb.callbacks.BackupAndRestore(tmp_path)])
    with pytest.raises(OSError):  # noqa: PT011
        nb.datasets.mnist.load_data(tmp_path / "latest.nbnet")


@posix
@pytest.mark.usefixtures("alarm")
def test_a_fifo_with_a_writer(good: dict[str, Path], tmp_path: Path) -> None:
    """Also if somebody writes a whole model into it."""
    path = tmp_path / "m.nbnet"
    os.mkfifo(path)
    handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(handle, good["model"].read_bytes()[:4096])
        with pytest.raises(io.UnsupportedOperation, match=r"expected a regular file, .* is a FIFO"):
            nb.load_model(path)
    finally:
        os.close(handle)


@posix
@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("special", ["FIFO", "link to a FIFO", "socket", "/dev/null", "folder", "link to itself"])
def test_nothing_special_is_replaced(kind: str, special: str, tmp_path: Path) -> None:
    path = tmp_path / "special.nbnet"
    SPECIAL[special][0](path)
    before = path.lstat().st_mode, sorted(os.listdir(tmp_path))
    model = network()
    save: dict[str, Callable[[], object]] = {
        "model": lambda: model.save(path),
        "weights": lambda: model.save_weights(path),
        "backup": lambda: model._save_training_state(path, {}),
        "masks": lambda: nb.save_masks(path, {"a": np.ones(3, bool)}),
    }
    with pytest.raises(OSError):  # noqa: PT011
        save[kind]()
    assert (path.lstat().st_mode, sorted(os.listdir(tmp_path))) == before


def train(*callbacks: nb.callbacks.Callback) -> None:
    network().fit(X, X[:, :1], verbose=0, callbacks=list(callbacks))


WRITERS: dict[str, Callable[[Path], object]] = {
    "CSVLogger": lambda path: train(nb.callbacks.CSVLogger(path)),
    "CSVLogger, append": lambda path: train(nb.callbacks.CSVLogger(path, append=True)),
    "ModelCheckpoint": lambda path: train(nb.callbacks.ModelCheckpoint(path)),
    "ModelCheckpoint, weights": lambda path: train(nb.callbacks.ModelCheckpoint(path, save_weights_only=True)),
    "plot_model": lambda path: nb.utils.plot_model(network(), path.rename(path.with_name("special.svg"))),
    "save_img": lambda path: nb.utils.save_img(path, np.zeros((2, 2, 3)), file_format="png"),
    "export": lambda path: network().export(path.rename(path.with_name("special.onnx")), verbose=False),
}


@posix
@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("special", ["FIFO", "link to a FIFO", "socket", "/dev/zero"])
def test_writers_take_regular_files_only(write: Callable[[Path], object], special: str, tmp_path: Path) -> None:
    path = tmp_path / "special.nbnet"
    SPECIAL[special][0](path)
    with pytest.raises(OSError, match="expected a regular file"):
        write(path)


@posix
@pytest.mark.parametrize("size", [200, 250, 255])
def test_names_as_long_as_the_file_system_takes_them(size: int, tmp_path: Path) -> None:
    model, path = network(), tmp_path / ("n" * (size - 6) + ".nbnet")
    model.save(path)
    nb.load_model(path)
    train(nb.callbacks.ModelCheckpoint(path))
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(OSError, match="name too long"):
        model.save(tmp_path / ("n" * 250 + ".nbnet"))


@pytest.mark.parametrize(
    "use",
    [
        lambda: network().save("a\0.nbnet"),
        lambda: network().save_weights("a\0.nbnet"),
        lambda: nb.load_model("a\0.nbnet"),
        lambda: nb.save_masks("a\0", {"a": np.ones(3, bool)}),
        lambda: nb.callbacks.CSVLogger("a\0"),
        lambda: nb.callbacks.ModelCheckpoint("a\0.nbnet"),
        lambda: nb.callbacks.BackupAndRestore("a\0"),
        lambda: network().export("a\0.onnx"),
    ],
)
def test_a_name_that_no_file_can_have(use: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="without NUL bytes"):
        use()


@posix
def test_a_backup_that_cannot_be_written_is_an_error_before_training(tmp_path: Path) -> None:
    (tmp_path / "latest.nbnet").symlink_to(tmp_path / "nowhere" / "f")
    begun: list[int] = []
    count = nb.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    with pytest.raises(FileNotFoundError, match=r"is a link to .*there is no folder .*nowhere"):
        train(nb.callbacks.BackupAndRestore(tmp_path), count)
    assert begun == []


@posix
def test_the_target_of_a_link_is_replaced(good: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    model, link, target = network(), tmp_path / "m.nbnet", tmp_path / "far" / "real.nbnet"
    link.symlink_to(target)
    for _ in range(2):  # It dangles at first.
        model.save(link)
        assert link.is_symlink()
        assert state(nb.load_model(link)) == state(nb.load_model(target))
    assert os.listdir(tmp_path / "far") == ["real.nbnet"]
