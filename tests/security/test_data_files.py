"""Files of data sets: mutated ones are refused or read, and no more is made than a stated multiple of their size."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import pickle
import random
import resource
import struct
import sys
import tarfile
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbnet.datasets.idx import load, read_idx
from nbnet.datasets.keras_files import read_photographs, read_pickle, read_rows, read_texts
from tests.security.mutation.trial import Watch, forget_peak, peak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
KEPT = (None, 0, None, 1, 2, 3)
#: Parts of pickles that are put into others.
PARTS = [
    b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy._core.multiarray\n_reconstruct\n",
    b"cnumpy.core.multiarray\nscalar\n", b"cnumpy.core.numeric\n_frombuffer\n", b"c_codecs\nencode\n",
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"X\x03\x00\x00\x00V16", b"X\x02\x00\x00\x00O8", b"X\x02\x00\x00\x00f8",
    b"r\xff\xff\xff\x7f", b"p99999999999\n", b"\x8b\x00\x00\x00\x40", b"\x8e" + b"\xff" * 8, b"\x85" * 30, b"(", b")",
    b"t", b"R", b"b", b"\x81", b"\x92", b"]", b"a", b"e", b"}", b"s", b"u", b"0", b"1", b"2", b"N", b"K\x03",
    b"J\xff\xff\xff\x7f", b"h\x00", b"h\x01", b"h\x05", b"q\x00", b"\x94", b".", b"\x97", b"\x98", b"\x93",
]  # fmt: skip


def objects(rows: list[Any]) -> np.ndarray[Any, Any]:
    return np.fromiter(rows, object, len(rows))


def pickles() -> list[bytes]:
    data = np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8)
    first = {b"data": data, b"labels": [3, 4], b"filenames": [b"a.png", b"b.png"], b"batch_label": "first"}
    arrays: list[Any] = [first, objects([[1, 5], [2, 900, 70_000], []]), objects([np.arange(3), np.float64(2)])]
    arrays += [
        np.asfortranarray(np.ones((2, 3), ">i4")),
        np.array([["ab"]]),
        {"a": np.bool_(True), "b": (1, None, 2.5)},
    ]
    return [pickle.dumps(array, protocol) for array in arrays for protocol in (0, 2, 4, 5)]


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def pickled(content: bytes, length: int) -> bytes:
    """An array of objects in the .npy format, with a pickle of a list as its content."""
    header = npy(objects([None])).split(b"\n", 1)[0] + b"\n"
    state = b"(K\x01J" + struct.pack("<I", length) + b"\x85" + DTYPE + b"O8\x85R(K\x03X\x01\x00\x00\x00|NNNtb\x89"
    return header + ARRAY + state + content + b"tb."


def batch(path: Path) -> Any:
    return read_pickle(path.read_bytes(), f"{path}")


def npz(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def tar(**members: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            about = tarfile.TarInfo(f"folder/{name}")
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return file.getvalue()


def changed(content: bytes, draws: random.Random) -> bytes:
    """A mutant: some bytes changed, left out, doubled, or replaced by a number or a part of a pickle."""
    found = bytearray(content)
    for _ in range(draws.choice((1, 1, 2, 4))):
        # The structure of most files is at their beginning and end.
        edge = draws.randrange(min(len(found), 200) or 1)
        at = draws.choice((edge, max(len(found) - edge, 0), draws.randrange(len(found) + 1)))
        size = draws.choice((1, 1, 2, 4, 8, 50))
        other = bytes(found[draws.randrange(len(found) + 1) :][:size])
        number = draws.choice((0, 1, 2**16, 2**31 - 1, 2**32 - 1, 2**62))
        new = draws.choice((draws.randbytes(size), b"", other, draws.choice(PARTS), struct.pack("<Q", number)[:size]))
        found[at : at + draws.choice((0, len(new), size))] = new
    return bytes(found)


def mutant(number: int) -> tuple[str, bytes, Callable[[Path], Any]]:
    """Name and content of a changed file, and its reader."""
    draws = random.Random(number)
    x, y = npy(objects([[1, 5], [2, 9, 7], [3]])), npy(np.array([0, 1, 0]))
    image = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(range(98)) * 16
    match draws.randrange(8):
        case 0 | 1 | 2:
            content = changed(draws.choice(pickles()), draws)
            return "batch", content, batch
        case 3:
            content = npz(x=changed(x, draws), y=y if draws.random() < 0.5 else changed(y, draws))
            return "texts.npz", content, lambda path: read_texts(path, KEPT, 1, 0.5)
        case 4:
            content = npz(x=changed(npy(np.ones((3, 2))), draws), y=y)
            return "rows.npz", content, lambda path: read_rows(path, 0.5, 1)
        case 5:
            content = changed(npz(x_train=x, y_train=y, x_test=y, y_test=y), draws)
            return "any.npz", content, lambda path: (load("mnist", "mnist", path), read_texts(path, KEPT, 1))
        case 6:
            content = changed(image, draws)
            content = changed(gzip.compress(content), draws) if draws.random() < 0.5 else content
            return "images-idx3-ubyte", content, read_idx
        case _:
            part = changed(pickles()[draws.randrange(4)], draws)
            content = tar(a=part, b=part) if draws.random() < 0.5 else gzip.decompress(tar(a=part, b=part))
            content = content if draws.random() < 0.5 else changed(content, draws)
            return "batches.tar.gz", content, lambda path: read_photographs(path, [["a"], ["b"]], "labels")


def finding(number: int, folder: Path, watch: Watch) -> str:
    """The fault in the reading of a mutant; nothing if it was read or refused as it should be."""
    name, content, read = mutant(number)
    (folder / name).write_bytes(content)
    watch.seen, watch.allowed, watch.on = [], str(folder), True
    try:
        read(folder / name)
        error = None
    except Exception as caught:
        error = caught
    finally:
        watch.on = False
    # NumPy reads the header of an array as a literal.
    events = [event for event in watch.seen if not event.startswith("compile")]
    if events:
        return f"{number} {name}: {events[:3]}"
    if error is not None and (not isinstance(error, ValueError) or not str(error).startswith(f"{folder / name}")):
        return f"{number} {name}: {''.join(traceback.format_exception(error)[-4:])}"
    return ""


#: Codecs of Python for names in archives and text in pickles, which it imports when they are first used.
CODECS = [codecs.lookup(name) for name in ("cp437", "raw_unicode_escape", "unicode_escape", "latin1")]


def findings(numbers: range) -> str:
    """The faults of mutants that are read in a process of their own."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as report:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads: the child uses none of theirs
            process = os.fork()
        if process == 0:
            try:
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                before, watch = peak()[0], Watch()
                found = [trouble for number in numbers if (trouble := finding(number, Path(folder), watch))]
                if peak()[1] - before > 64 << 20:
                    found.append(f"{numbers}: {(peak()[1] - before) >> 20} MiB")
                report.write("\n".join(found).encode())
                report.flush()
            finally:
                os._exit(0)
        _, status = os.waitpid(process, 0)
        report.seek(0)
        return report.read().decode() + (f"{numbers}: ended with status {status}" if status else "")


def test_intact_pickles_are_read() -> None:
    for content in pickles():
        expected, found = pickle.loads(content), read_pickle(content, "intact")
        # pickle makes some arrays native.
        assert repr(found).replace("'>i4'", "int32") == repr(expected).replace("'>i4'", "int32")


def shared(part: bytes, times: int, depth: int = 1) -> bytes:
    """Opcodes of a list that has an object several times, or of lists of such lists."""
    for _ in range(depth):
        part = b"](" + part + b"q\x00" + b"h\x00" * (times - 1) + b"e"
    return part


LONG_TEXT = b"](" + b"K\x01" * 1000 + b"e"
ARRAY = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
DTYPE = b"cnumpy\ndtype\nX\x02\x00\x00\x00"
ENCODE = b"(c_codecs\nencode\nq\x01X\xff\xff\x0f\x00" + b"a" * 0xFFFFF + b"q\x00X\x06\x00\x00\x00latin1q\x02\x86R"
#: A scalar of a megabyte and a number of another, and their parts in the memo.
SCALAR = (
    b"(cnumpy._core.multiarray\nscalar\nq\x02cnumpy\ndtype\nX\x07\x00\x00\x00S999999\x85R(K\x03X\x01\x00\x00\x00|NNNtb"
    b"q\x01B\x3f\x42\x0f\x00" + b"x" * 999_999 + b"q\x00\x86R"
)
LONG = b"\x8b\x3f\x42\x0f\x00" + b"\x01" * 999_999 + b"q\x00"
#: An array of 60000 objects, of the list at the first place in the memo.
OF_LIST = ARRAY + b"(K\x01J\x60\xea\x00\x00\x85" + DTYPE + b"O8\x85R(K\x03X\x01\x00\x00\x00|NNNtb\x89h\x00tb"
EMPTY, ONE = npy(np.zeros(5000)), npy(np.zeros(1))
IMAGE = pickle.dumps(np.zeros(3072, np.uint8), 2)[2:-1]


def batches(path: Path) -> Any:
    return read_photographs(path.parent if path.suffix == "" else path, [["a"]], "labels")


def rows(path: Path) -> Any:
    return read_rows(path, 0.5, 1)


def texts(path: Path) -> Any:
    return read_texts(path, KEPT, 1, 0.5)


def of_bytes(code: bytes, length: bytes) -> bytes:
    """A pickle of an array with eight bytes as its content."""
    dtype = DTYPE + code + b"\x85R(K\x03X\x01\x00\x00\x00<NNNtb"
    return ARRAY + b"(K\x01" + length + b"\x85" + dtype + b"\x89U\x08" + b"A" * 8 + b"tb."


def bulk(times: int) -> bytes:
    """An array of objects that has the scalar of a megabyte several times."""
    return pickled(SCALAR + b"h\x02h\x01h\x00\x86R" * (times - 1) + b"l", times)


UNPACKS = "unpacks to more than"
MANY, NAME = 400 << 20, "a" * (100 << 20)
HARMFUL: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], Any], str]] = {
    "structured dtype": ("b", lambda: DTYPE + b"V8\x85R.", batch, "a call of dtype that makes none"),
    "fields": ("b", lambda: DTYPE + b"f8\x85R(K\x03X\x01\x00\x00\x00<N)}tb.", batch, "with fields"),
    "pointers": ("b", lambda: of_bytes(b"O8", b"K\x01"), batch, "expected an array of numbers, text or objects"),
    "too few bytes": ("b", lambda: of_bytes(b"f8", b"J\xff\xff\xff\x7f"), batch, "expected 17179869176 bytes"),
    "a state of a function": ("b", lambda: b"c_codecs\nencode\n}b.", batch, "an object with a state"),
    "an array without a state": ("b", lambda: ARRAY + b".", batch, "a part of one"),
    "keys that are deep": ("b", lambda: b"})" + b"\x85" * 200_000 + b"K\x01s.", batch, "as keys"),
    "lists without end": ("a.tar.gz", lambda: tar(a=b"(" + b"]" * 3_000_000 + b"l."), batches, "more values"),
    "bytes without end": ("b", lambda: ENCODE + b"h\x01h\x00h\x02\x86R" * 5000 + b"l.", batch, "more bytes"),
    "scalars of one": ("x.npz", lambda: npz(x=bulk(5000), y=EMPTY),
                       texts, "more bytes"),
    "arrays of one list": ("b", lambda: b"(" + b"](" + b"N" * 60_000 + b"eq\x00" + OF_LIST * 9999 + b"l.", batch,
                           "more bytes"),
    "members of one file": ("x.npz", lambda: npz(x=bulk(30), y=bulk(30)), texts, "more bytes"),
    "keys that collide": ("b", lambda: pickle.dumps({k * (2**61 - 1): 0 for k in range(1001)}), batch, "1000 numbers"),
    "places that collide": ("b", lambda: b"N" + b"".join(b"p%d\n" % (k * (2**61 - 1)) for k in range(9)) + b".", batch,
                            "more bytes"),
    "a place before the first": ("b", lambda: b"Np-1\n.", batch, "a place in the memo is -1"),
    "a place that is empty": ("b", lambda: b"Nq\x05h\x04.", batch, "nothing is at 4"),
    "a dtype of lists": ("b", lambda: b"(cnumpy._core.numeric\n_frombuffer\n(C\x00" + shared(b"N", 999, 4) +
                         b"K\x00NtR.", batch, "text or objects, got list"),
    "a name of lists": ("b", lambda: shared(b"N", 999, 4) + b"\x8c\x01a\x93.", batch, "got list.a"),
    "a call with many arguments": ("b", lambda: b"cnumpy\ndtype\n(" + b"N" * 10 + b"tR.", batch, "got a call"),
    "words that are long": ("x.npz", lambda: npz(x=pickled(b"](](" + LONG + b"h\x00" * 9999 + b"ee", 1), y=ONE), texts,
                            "64 bits as words"),
    "text of no bytes": ("x.npz", lambda: npz(x=npy(np.zeros(1, "S1")).replace(b"S1", b"S0").replace(b"(1,)", b"(1" +
                         b"0" * 11 + b",)")[:-1], y=EMPTY), rows, "text or objects, got"),
    "texts of one": ("x.npz", lambda: npz(x=pickled(shared(LONG_TEXT, 9999), 9999), y=npy(np.zeros(9999))), texts,
                     "more words"),
    "labels of lists": ("a", lambda: b"}(C\x04data" + IMAGE + b"C\x06labels" + shared(b"K\x01", 999, 4) + b"u.",
                        batches, "labels: expected integers"),
    "zip": ("x.npz", lambda: npz(x=bytes(MANY), y=b""), rows, UNPACKS),
    "npy": ("x.npz", lambda: npz(x=npy(np.zeros(1)).replace(b"(1,)", b"(1" + b"0" * 14 + b",)"), y=b""), rows,
            "expected 800000000000000 bytes"),
    "gzip": ("x-idx1-ubyte", lambda: gzip.compress(bytes(MANY), 1), read_idx, UNPACKS),
    "tar": ("x.tar.gz", lambda: tar(b=bytes(MANY)), batches, UNPACKS),
    "name in a tar": ("x.tar.gz", lambda: tar(**{NAME: b""}), batches, UNPACKS),
}  # fmt: skip


@pytest.mark.parametrize("case", HARMFUL)
def test_harmful_files_are_refused_before_they_take_memory(case: str, tmp_path: Path) -> None:
    name, make, read, message = HARMFUL[case]
    path = tmp_path / name
    path.write_bytes(make())
    size = path.stat().st_size
    forget_peak()
    before = peak()[0]
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert peak()[1] - before < (64 << 20) + 10 * size


@pytest.mark.parametrize("count", [400, pytest.param(20_000, marks=pytest.mark.slow)])
def test_mutants_are_refused_or_read(count: int) -> None:
    for start in range(0, count, 500):
        assert findings(range(start, min(start + 500, count))) == ""
