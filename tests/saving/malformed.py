"""Ways to damage a file: each takes one apart, changes something, and puts it together again."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbnet.base.tensor_file import DIGITS, START

KERNEL, BIAS, MOMENT = "dense/kernel", "dense/bias", "optimizer:momentum:dense/kernel"


@dataclass
class Parts:
    """A safetensors file: its header, the record in it, and its data."""

    header: dict[str, Any]
    record: Any
    data: bytes

    @classmethod
    def of(cls, content: bytes) -> Parts:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        return cls(header, json.loads(header["__metadata__"]["nbnet"]), content[8 + length :])

    def joined(self) -> bytes:
        header = self.header
        if "__metadata__" in header and "nbnet" in header["__metadata__"]:
            text = self.record if isinstance(self.record, str) else json.dumps(self.record)
            header = header | {"__metadata__": header["__metadata__"] | {"nbnet": text}}
        return with_header(written(header), self.data)


def written(header: Any) -> bytes:
    """The header as nbnet writes it, but for the checksums."""
    return json.dumps(header, separators=(",", ":")).encode()


def with_header(header: bytes, data: bytes) -> bytes:
    """A file with the checksums of its content, if the header has a place for them."""
    place, length = len(START), struct.pack("<Q", len(header))
    if header.startswith(START):
        rest = hashlib.sha256(data).hexdigest().encode() + header[place + 2 * DIGITS :]
        checksum = hashlib.sha256(length + header[:place] + rest).hexdigest().encode()
        header = header[:place] + checksum + rest
    return length + header + data


Change = Callable[[Parts], Any]
LAYER = ("model", "config", "layers", 1)


def put(*path: Any, value: Any) -> Change:
    """Set something in the record."""

    def change(parts: Parts) -> None:
        place = parts.record
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def drop(*path: Any) -> Change:
    """Take something out of the record."""

    def change(parts: Parts) -> None:
        place = parts.record
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


def entry(name: str, **changed: Any) -> Change:
    """Change what the header says of a tensor."""

    def change(parts: Parts) -> None:
        parts.header[name].update(changed)

    return change


def raw(old: str, new: str, count: int = 1) -> Change:
    """Change the text of the header."""

    def change(parts: Parts) -> bytes:
        return with_header(written(parts.header).replace(old.encode(), new.encode(), count), parts.data)

    return change


def bytes_of(make: Callable[[bytes], bytes]) -> Change:
    """Change the bytes of the file."""
    return lambda parts: make(parts.joined())


def rename(old: str, new: str, both: bool = True) -> Change:
    """Call a tensor something else."""

    def change(parts: Parts) -> None:
        parts.header[new] = parts.header.pop(old)
        if both:
            parts.record["tensors"][new] = parts.record["tensors"].pop(old)

    return change


def without(name: str) -> Change:
    """Leave a tensor out, wholly consistently."""

    def change(parts: Parts) -> None:
        gone = parts.header.pop(name)["data_offsets"]
        del parts.record["tensors"][name]
        parts.data = parts.data[: gone[0]] + parts.data[gone[1] :]
        for other in parts.header.values():
            at = other.get("data_offsets")
            if at is not None and at[0] >= gone[1]:
                other["data_offsets"] = [n - gone[1] + gone[0] for n in at]

    return change


def reshaped(name: str, shape: list[int]) -> Change:
    """Another shape of as many elements, in the header and in the record."""

    def change(parts: Parts) -> None:
        parts.header[name]["shape"] = shape
        parts.record["tensors"][name][1] = shape

    return change


def of_dtype(name: str, code: str, dtype: str, shape: list[int]) -> Change:
    """Another dtype of as many bytes."""

    def change(parts: Parts) -> None:
        parts.header[name] |= {"dtype": code, "shape": shape}
        parts.record["tensors"][name] = [dtype, shape]

    return change


def overlapping(parts: Parts) -> None:
    """Let two tensors share their bytes."""
    parts.header[BIAS]["data_offsets"] = parts.header["dense_1/bias"]["data_offsets"]
    parts.header[BIAS]["shape"] = parts.header["dense_1/bias"]["shape"]


def deep(n: int) -> str:
    return "[" * n + "]" * n


def nested_models(n: int) -> Any:
    config: Any = {"class_name": "Dense", "config": {"units": 3}}
    for _ in range(n):
        config = {"class_name": "Sequential", "config": {"layers": [config]}}
    return config


BIG = 10**12
#: (what is damaged, how, what the message says).
CASES: list[tuple[str, Change, str]] = [
    # the file
    ("empty", bytes_of(lambda b: b""), "0 bytes"),
    ("seven bytes", bytes_of(lambda b: b[:7]), "7 bytes"),
    ("no header", bytes_of(lambda b: b[:8]), "cut off"),
    ("half a header", bytes_of(lambda b: b[:200]), "cut off"),
    ("half of the data", bytes_of(lambda b: b[:-40]), "cut off"),
    ("one byte less", bytes_of(lambda b: b[:-1]), "cut off"),
    ("one byte more", bytes_of(lambda b: b + b"\0"), "too long"),
    ("text", bytes_of(lambda b: b"hello, this is no model at all, sorry"), "not a safetensors file"),
    ("a pickle", bytes_of(lambda b: b"\x80\x04\x95" + b[3:]), "header of"),
    ("a zip", bytes_of(lambda b: b"PK\x03\x04" + b[4:]), "header of"),
    ("header length of 2**63", bytes_of(lambda b: struct.pack("<Q", 2**63) + b[8:]), "header of 9223372036854775808"),
    ("header length of 0", bytes_of(lambda b: struct.pack("<Q", 0) + b[8:]), "is not JSON"),
    ("header length off by one", bytes_of(lambda b: struct.pack("<Q", int.from_bytes(b[:8], "little") - 1) + b[8:]),
     "is not JSON"),
    ("zeros in place of the header", bytes_of(lambda b: b[:8] + bytes(len(b) - 8)), "is not JSON"),
    # the header
    ("header not UTF-8", bytes_of(lambda b: b[:20] + b"\xff\xfe" + b[22:]), "is not UTF-8"),
    ("header a list", lambda p: with_header(b"[1,2]", b""), "expected an object"),
    ("header a number", lambda p: with_header(b"3", b""), "expected an object"),
    ("header nested deeply", lambda p: with_header(deep(100_000).encode(), b""), "nested too deeply"),
    ("header nested", lambda p: with_header(b'{"a":' + deep(150).encode() + b"}", b""), "nested too deeply"),
    ("header of many values", lambda p: with_header(b"[" + b"0," * 600_000 + b"0]", b""), "more than 500000 values"),
    ("header of many objects", lambda p: with_header(b"[" + b"{}," * 300_000 + b"0]", b""), "more than 500000 values"),
    ("header with a huge number", lambda p: with_header(b"9" * 100_000, b""), "64 bits"),
    ("header with NaN", raw('"shape":[', '"shape":[NaN,'), "NaN is not finite"),
    ("header with Infinity", raw('"shape":[', '"shape":[Infinity,'), "Infinity is not finite"),
    ("header with 1e999", raw('"shape":[', '"shape":[1e999,'), "not finite"),
    ("key there twice", raw('"dtype":"F32"', '"dtype":"F32","dtype":"F32"'), "'dtype' is there twice"),
    ("tensor there twice", lambda p: with_header(
        written(p.header)[:-1] + b',"dense/bias":' + written(p.header[BIAS]) + b"}", p.data),
     "'dense/bias' is there twice"),
    ("a lone surrogate", raw('"dense/bias"', '"dense\\ud800"'), "not Unicode text"),
    ("metadata a list", raw('"__metadata__":{', '"__metadata__":["x"],"m":{'), "__metadata__: expected strings"),
    ("metadata of numbers", lambda p: with_header(json.dumps(p.header | {"__metadata__": {"a": 1}}).encode(), p.data),
     "__metadata__: expected strings"),
    ("an entry a list", lambda p: with_header(json.dumps(p.header | {BIAS: []}).encode(), p.data), "an object"),
    ("an entry without shape", lambda p: p.header[BIAS].pop("shape") and None, "lacks"),
    ("an entry with more", entry(BIAS, stride=[1]), "has \\['stride'\\]"),
    ("dtype unknown", entry(BIAS, dtype="F8"), "'F8'"),
    ("dtype a number", entry(BIAS, dtype=5), "expected str"),
    ("shape negative", entry(BIAS, shape=[-3]), "not a shape"),
    ("shape of two negatives", entry(KERNEL, shape=[-4, -8]), "not a shape"),
    ("shape of strings", entry(BIAS, shape=["8"]), "not a shape"),
    ("shape of booleans", entry(BIAS, shape=[True]), "not a shape"),
    ("shape of floats", entry(BIAS, shape=[8.0]), "not a shape"),
    ("shape of terabytes", entry(KERNEL, shape=[10**6, 10**6]), "does not take"),
    ("shape beyond 64 bits", entry(KERNEL, shape=[2**40, 2**40]), "does not take"),
    ("shape of many axes", entry(BIAS, shape=[8, *[1] * 100]), "not a shape"),
    ("offsets of terabytes", entry(KERNEL, shape=[10**12], data_offsets=[0, 4 * 10**12]), "begins at|too long"),
    ("offsets backwards", entry(BIAS, data_offsets=[40, 8]), "not offsets"),
    ("offsets negative", entry(BIAS, data_offsets=[-32, 0]), "not offsets"),
    ("one offset", entry(BIAS, data_offsets=[0]), "not offsets"),
    ("three offsets", entry(BIAS, data_offsets=[0, 16, 32]), "not offsets"),
    ("offsets of floats", entry(BIAS, data_offsets=[0.0, 32.0]), "not offsets"),
    ("tensors overlap", overlapping, "begins at"),
    # the record
    ("no metadata", lambda p: p.header.pop("__metadata__") and None, "not written by nbnet"),
    ("no record", lambda p: p.header["__metadata__"].pop("nbnet") and None, "not written by nbnet"),
    ("record empty", lambda p: setattr(p, "record", ""), "is not JSON"),
    ("record a list", lambda p: setattr(p, "record", []), "record: expected an object"),
    ("record cut off", lambda p: setattr(p, "record", json.dumps(p.record)[:-3]), "is not JSON"),
    ("record nested deeply", lambda p: setattr(p, "record", deep(50_000)), "nested too deeply"),
    ("record with a key twice", lambda p: setattr(p, "record", '{"format":1,' + json.dumps(p.record)[1:]),
     "'format' is there twice"),
    ("version 3", put("format", value=3), "format 3"),
    ("version a string", put("format", value="1"), "format '1'"),
    ("no version", drop("format"), "lacks"),
    ("something more", put("code", value="import os"), "has \\['code'\\]"),
    ("tensors missing", drop("tensors"), "lacks"),
    ("tensors a list", put("tensors", value=[]), "tensors: expected dict"),
    ("another shape in the record", put("tensors", BIAS, value=["float32", [9]]), "in the header"),
    ("a tensor more in the record", put("tensors", "more", value=["float32", [9]]), "'more' is not in both"),
    ("a tensor less in the record", drop("tensors", BIAS), "is not in both"),
    # the model
    ("model a list", put("model", value=[1]), "model: expected dict"),
    ("model empty", put("model", value={}), "expected a name"),
    ("model no model", put("model", value={"class_name": "Dense", "config": {"units": 3}}), "not a model"),
    ("class unknown", put(*LAYER, "class_name", value="Sneaky"), "'Sneaky' is not known"),
    ("class with dots", put(*LAYER, "class_name", value="os.system"), "'os.system' is not known"),
    ("class a builtin", put(*LAYER, "class_name", value="eval"), "'eval' is not known"),
    ("class a base", put(*LAYER, "class_name", value="Layer"), "'Layer' is not known"),
    ("class a number", put(*LAYER, "class_name", value=7), "expected a name"),
    ("class an optimizer", put(*LAYER, "class_name", value="Adam"), "'Adam' is not known"),
    ("layers a dict", put("model", "config", "layers", value={"a": 1}), "layers"),
    ("a layer null", put(*LAYER, value=None), "expected a name"),
    ("config a list", put(*LAYER, "config", value=[1, 2]), "config of Dense"),
    ("argument unknown", put(*LAYER, "config", "lambda", value="x"), "lambda"),
    ("units missing", drop(*LAYER, "config", "units"), "units"),
    ("units a string", put(*LAYER, "config", "units", value="8"), "units"),
    ("units negative", put(*LAYER, "config", "units", value=-8), "units"),
    ("units absurd", put(*LAYER, "config", "units", value=BIG), "weight of shape"),
    ("units another", put(*LAYER, "config", "units", value=7), "weight of shape"),
    ("input absurd", put("model", "config", "layers", 0, "config", "shape", value=[BIG]), "weight of shape"),
    ("input not finite", put("model", "config", "layers", 0, "config", "shape", value=[float("inf")]), "not finite"),
    ("activation unknown", put(*LAYER, "config", "activation", value="os.system"), "not known"),
    ("activation a dict", put(*LAYER, "config", "activation", value={"class_name": "x"}), "linear|weight|activation"),
    ("initializer unknown", put(*LAYER, "config", "kernel_initializer", value={"class_name": "Evil"}), "'Evil'"),
    ("name a number", put(*LAYER, "config", "name", value=5), "name"),
    ("name with a slash", put(*LAYER, "config", "name", value="a/b"), "name"),
    ("name there twice", put(*LAYER, "config", "name", value="dense_1"), "dense_1"),
    ("dtype float16", put(*LAYER, "config", "dtype", value="float16"), "float16"),
    ("rate not finite", put("model", "config", "layers", 2, "config", "rate", value=float("nan")), "not finite"),
    ("rate out of range", put("model", "config", "layers", 2, "config", "rate", value=1.5), "rate"),
    ("model in itself, often", put("model", value=nested_models(200)), "nested too deeply"),
    ("many layers", lambda p: p.record["model"]["config"]["layers"].extend(
        {"class_name": "Dense", "config": {"units": 8}} for _ in range(50)), "weight of shape"),
    ("repeated absurdly", lambda p: p.record["model"]["config"]["layers"].insert(
        1, {"class_name": "RepeatVector", "config": {"n": BIG}}), "values"),
    ("statistics absurd", lambda p: p.record["model"]["config"].update(layers=[
        {"class_name": "InputLayer", "config": {"shape": [BIG]}},
        {"class_name": "Normalization", "config": {"mean": 0.0, "variance": 1.0}}]), "values"),
    # weights
    ("weight missing", without(BIAS), "dense/bias|weight of shape"),
    ("weight renamed", rename(BIAS, "dense/offset"), "dense/bias|dense/offset"),
    ("weight renamed in the header", rename(BIAS, "dense/offset", both=False), "is not in both"),
    ("weight reshaped", reshaped(KERNEL, [8, 4]), "weight of shape|has shape"),
    ("weight flat", reshaped(KERNEL, [32]), "weight of shape|has shape"),
    ("weight of float64", of_dtype(KERNEL, "F64", "float64", [4, 4]), "weight of shape|has shape"),
    ("weight of integers", of_dtype(KERNEL, "I64", "int64", [4, 4]), "weight of shape|has shape"),
    # compilation and state
    ("compile a list", put("compile", value=[1]), "compile: expected dict"),
    ("optimizer unknown", put("compile", "optimizer", "class_name", value="Sneaky"), "'Sneaky' is not known"),
    ("optimizer's argument unknown", put("compile", "optimizer", "config", "evil", value=1), "evil"),
    ("learning rate negative", put("compile", "optimizer", "config", "learning_rate", value=-1.0), "learning_rate"),
    ("learning rate a string", put("compile", "optimizer", "config", "learning_rate", value="x"), "learning_rate"),
    ("loss unknown", put("compile", "loss", value={"class_name": "Sneaky"}), "'Sneaky' is not known"),
    ("loss a metric", put("compile", "loss", value={"class_name": "AUC"}), "'AUC' is not known"),
    ("metric unknown", put("compile", "metrics", value=[{"class_name": "Sneaky"}]), "'Sneaky'"),
    ("moment missing", without(MOMENT), "optimizer:momentum:dense/kernel: the tensor is missing"),
    ("moment renamed", rename(MOMENT, "optimizer:velocity2:dense/kernel"), "optimizer:"),
    ("moment reshaped", reshaped(MOMENT, [8, 4]), "has shape"),
    ("moment flat", reshaped(MOMENT, [32]), "has shape"),
    ("slots renamed", put("training", "slots", value=["evil"]), "slots"),
    ("slots twice", put("training", "slots", value=["momentum", "momentum"]), "slots"),
    ("trained unknown", put("training", "trained", value=["evil"]), "trained"),
    ("trained none", put("training", "trained", value=[]), "slots|optimizer"),
    ("undecayed unknown", put("training", "undecayed", value=["evil"]), "undecayed"),
    ("undecayed of numbers", put("training", "undecayed", value=[3]), "undecayed"),
    ("iterations negative", put("training", "iterations", value=-1), "iterations"),
    ("iterations a float", put("training", "iterations", value=1.5), "iterations"),
    ("iterations beyond 64 bits", put("training", "iterations", value=2**70), "64 bits"),
    ("epoch a string", put("training", "epoch", value="3"), "epoch"),
    ("epoch negative", put("training", "epoch", value=-3), "epoch"),
    ("key negative", put("training", "key", value=-1), "key"),
    ("masks of another layer", put("training", "random", value={"evil": 3}), "random"),
    ("masks without a key", put("training", "random", value={}), "random"),
    ("masks of a string", put("training", "random", "dropout", value="x"), "random"),
    ("training a list", put("training", value=[]), "training: expected dict"),
    ("training without an epoch", drop("training", "epoch"), "lacks"),
    ("the process in pieces", put("training", "process", value=[1]), "process"),
]  # fmt: skip
