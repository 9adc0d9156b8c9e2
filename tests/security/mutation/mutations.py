"""Changes of a file: of its bytes, which a checksum must catch, and of what it says, with a valid checksum."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nbnet import activations, ops
from nbnet.layers import serialization
from tests.security.mutation.container import Parts, sealed
from tests.security.mutation.samples import Sample

Rng = np.random.Generator


class Mutant(NamedTuple):
    """A changed file: what was done, and ``sealed`` if its checksum is valid, so that it may be loaded."""

    content: bytes
    done: str
    sealed: bool


NUMBERS: list[Any] = [
    -1, 0, 1, 2, 3, 4, 5, 7, 8, 12, 60, 127, 255, 4096, 10**6, 10**9, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63,
    2**64 - 1, -2, -3, -(2**31), -(2**63), 0.0, -0.0, 0.5, 1.0, 1.5, -1.0, 1e-320, 1e38, 1e308, -1e308,
]  # fmt: skip
NAMES = [
    "", "a/b", "a:b", "name", "relu", "same", "valid", "causal", "float32", "float64", "float16", "int64", "bool", "O",
    "os.system", "eval", "../../x", "\x00", "é", "x" * 3000, "optimizer:momentum", "out/kernel", "channels_first",
    *sorted(serialization.known), *ops.__all__, *sorted(activations.__all__),
]  # fmt: skip
CHARACTERS = ["{", "[", "]", ",", '"', "\\", "\\ud800", "1", "-", "e"]
OTHERS: list[Any] = [None, True, False, [], {}, [[]], [None, 1], {"value": 0}, {"value": 1}, {"tuple": [0, 1]},
                     {"slice": [0, None, 2]}, {"slice": "..."}, {"array": [0, 1], "dtype": "int64"}]  # fmt: skip


def mutant(samples: Sequence[Sample], seed: int, number: int) -> tuple[Sample, Mutant]:
    """The mutant of a number: a sample, and what became of its file. A seed and a number always give the same one."""
    rng = np.random.default_rng([seed, number])
    # Every kind of file is as likely as any other, but for models, of which there are many.
    kinds = {kind: [s for s in samples if s.kind == kind] for kind in ("model", "weights", "state", "masks", "keras")}
    likely = [
        kind for kind in ("model", "model", "model", "weights", "state", "masks", "keras", "keras") if kinds[kind]
    ]
    kind = likely[rng.integers(len(likely))]
    sample = kinds[kind][rng.integers(len(kinds[kind]))]
    if kind == "keras":
        return sample, _keras_mutant(sample, rng, kinds[kind])
    samples = [other for other in samples if other.kind != "keras"]
    if rng.random() < 0.4:
        content, done = _pick(rng, RAW)(sample.content, rng)
        resealed = rng.random() < 0.2
        content = sealed(content) if resealed else content
        return sample, Mutant(content, done, resealed)
    parts, done = Parts.of(sample.content), []
    for _ in range(int(rng.geometric(0.75))):
        done.append(_pick(rng, STRUCTURED)(parts, rng, samples))
    return sample, Mutant(parts.joined(), "; ".join(done), True)


def _keras_mutant(sample: Sample, rng: Rng, samples: Sequence[Sample]) -> Mutant:
    """A changed archive, HDF5 file inside, or configuration. HDF5 and archives have no checksum of most of what they
    say, so any of them may be loaded."""
    way = rng.random()
    if way < 0.1:
        content, done = _pick(rng, RAW[:-2])(sample.content, rng)
        return Mutant(content, f"archive: {done}", True)
    parts = Parts.of(sample.content)
    if way < 0.4:
        for _ in range(int(rng.integers(1, 6))):
            parts.data, done = _pick(rng, (*RAW[:-2], word))(parts.data, rng)
        return Mutant(parts.joined(), f"HDF5: {done}", True)
    said = [_pick(rng, STRUCTURED)(parts, rng, samples) for _ in range(int(rng.geometric(0.75)))]
    return Mutant(parts.joined(), "; ".join(said), True)


def word(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Another number of two, four or eight bytes at a place where HDF5 may have one."""
    size = _pick(rng, [2, 4, 8])
    at = int(rng.integers(max(len(content) // size, 1))) * size
    number = int(_pick(rng, [0, 1, 8, 64, 96, 255, 512, 800, 2**15, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]))
    return content[:at] + (number % 256**size).to_bytes(size, "little") + content[at + size :], f"{number} at {at}"


def _pick(rng: Rng, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


# ---- bytes ---------------------------------------------------------------------------------------------------


def flip(content: bytes, rng: Rng) -> tuple[bytes, str]:
    at, bit = int(rng.integers(len(content))), int(rng.integers(8))
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :], f"bit {bit} of byte {at} flipped"


def flips(content: bytes, rng: Rng) -> tuple[bytes, str]:
    for _ in range(int(rng.integers(2, 9))):
        content, _ = flip(content, rng)
    return content, "several bits flipped"


def truncate(content: bytes, rng: Rng) -> tuple[bytes, str]:
    end = int(rng.integers(len(content)))
    return content[:end], f"cut off at {end}"


def insert(content: bytes, rng: Rng) -> tuple[bytes, str]:
    at, more = int(rng.integers(len(content) + 1)), rng.bytes(int(rng.integers(1, 20)))
    return content[:at] + more + content[at:], f"{len(more)} bytes inserted at {at}"


def remove(content: bytes, rng: Rng) -> tuple[bytes, str]:
    at, n = int(rng.integers(len(content))), int(rng.integers(1, 20))
    return content[:at] + content[at + n :], f"{n} bytes removed at {at}"


def exchange(content: bytes, rng: Rng) -> tuple[bytes, str]:
    n = int(rng.integers(1, 32))
    a, b = sorted(int(k) for k in rng.integers(0, max(len(content) - n, 1), 2))
    if b < a + n:
        return flip(content, rng)
    swapped = content[:a] + content[b : b + n] + content[a + n : b] + content[a : a + n] + content[b + n :]
    return swapped, f"{n} bytes at {a} and {b} exchanged"


def append(content: bytes, rng: Rng) -> tuple[bytes, str]:
    return content + rng.bytes(int(rng.integers(1, 64))), "bytes appended"


def header_length(content: bytes, rng: Rng) -> tuple[bytes, str]:
    length = _pick(rng, [0, 1, 7, 2**31, 2**63, 2**64 - 1, len(content), len(content) - 8, len(content) - 9])
    return length.to_bytes(8, "little") + content[8:], f"length of the header {length}"


def digit(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Another digit in the text of the header: of a number, an offset, a shape, or the checksum."""
    length = int.from_bytes(content[:8], "little")
    places = [k for k in range(8, 8 + length) if content[k : k + 1].isdigit()]
    at = _pick(rng, places)
    return content[:at] + str(rng.integers(10)).encode() + content[at + 1 :], f"digit at {at}"


RAW = (flip, flip, flip, flips, truncate, insert, remove, exchange, append, header_length, digit)

# ---- what the file says --------------------------------------------------------------------------------------

Place = tuple[Any, Any]


def _places(value: Any, wanted: Callable[[Any], bool] = lambda part: True) -> list[Place]:
    """Containers and keys of all parts of a record that are wanted."""
    found: list[Place] = []
    left = [value]
    while left:
        part = left.pop()
        pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, inner in pairs:
            if wanted(inner):
                found.append((part, key))
            left.append(inner)
    return found


def _value(rng: Rng) -> Any:
    return copy.deepcopy(_pick(rng, _pick(rng, (NUMBERS, NUMBERS, NAMES, OTHERS))))


def _place(parts: Parts, rng: Rng, wanted: Callable[[Any], bool] = lambda part: True) -> Place:
    within = parts.record
    keys = [key for key, value in within.items() if isinstance(value, (dict, list))] if isinstance(within, dict) else []
    if not keys:
        return [0], 0
    # Most of a record is the model; what is beside it is as interesting.
    key = _pick(rng, keys)
    found = _places(within[key], wanted) if rng.random() < 0.9 else _places(within, wanted)
    return _pick(rng, found) if found else (within, key)


def replace(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    part, key = _place(parts, rng)
    part[key] = _value(rng)
    return f"{key} = {str(part[key])[:40]!r}"


def nudge(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    """Another number, near or far."""
    part, key = _place(parts, rng, lambda value: type(value) in (int, float))
    old = part[key]
    if type(old) in (int, float):
        near = [old + 1, old - 1, 2 * old, -old, 1, 2, 3, 4]
        part[key] = _pick(rng, near if rng.random() < 0.7 else [old * 1000, *NUMBERS])
    return f"{key}: {str(old)[:40]} -> {str(part[key])[:40]}"


def rename(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    """Another string: a class, an op, an activation, a dtype."""
    part, key = _place(parts, rng, lambda value: isinstance(value, str))
    part[key] = _pick(rng, NAMES)
    return f"{key} = {part[key][:40]!r}"


def delete(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    part, key = _place(parts, rng)
    del part[key]
    return f"{key} deleted"


def add(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    part, key = _place(parts, rng, lambda value: isinstance(value, (dict, list)))
    if isinstance(part[key], dict):
        part[key][_pick(rng, NAMES)] = _value(rng)
    elif isinstance(part[key], list):
        part[key].insert(int(rng.integers(len(part[key]) + 1)), _value(rng))
    return f"{key}: something added"


def double(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    """Entries of a list that are there twice, or often."""
    part, key = _place(parts, rng, lambda value: isinstance(value, list) and len(value) > 0)
    if isinstance(part[key], list) and part[key]:
        k, times = int(rng.integers(len(part[key]))), int(_pick(rng, [1, 1, 2, 30]))
        part[key][k:k] = [copy.deepcopy(part[key][k]) for _ in range(times)]
    return f"{key}: entry there several times"


def cross(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    """A part of another file."""
    other = Parts.of(_pick(rng, samples).content)
    theirs, from_key = _place(other, rng)
    part, key = _place(parts, rng, lambda value: type(value) is type(theirs[from_key]))
    part[key] = copy.deepcopy(theirs[from_key])
    return f"{key} of another file"


def swap(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    (a, i), (b, j) = _place(parts, rng), _place(parts, rng)
    a[i], b[j] = copy.deepcopy(b[j]), copy.deepcopy(a[i])
    return f"{i} and {j} exchanged"


def call(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    """One more call of an op in a graph, whose result is the output."""
    graphs = _places(parts.record, lambda value: isinstance(value, dict) and "calls" in value)
    if not graphs:
        return layer(parts, rng, samples)
    part, key = _pick(rng, graphs)
    graph = part[key]
    name = _pick(rng, ops.__all__)
    known = {"value": int(rng.integers(0, 12))}
    arguments = [
        _pick(rng, [known, [known, known], {"tuple": [1, 2]}, *NUMBERS, *OTHERS]) for _ in range(rng.integers(4))
    ]
    if isinstance(graph["calls"], list):
        graph["calls"].append({"layer": None, "op": name, "args": [known, *arguments], "kwargs": []})
        graph["outputs"] = {"value": int(rng.integers(0, 20))}
    return f"call of {name}"


def layer(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    """A layer of another file among those of this one."""
    other = _places(Parts.of(_pick(rng, samples).content).record, lambda value: _is_object(value))
    places = _places(parts.record, lambda value: isinstance(value, list) and any(map(_is_object, value)))
    if not other or not places:
        return replace(parts, rng, samples)
    theirs, from_key = _pick(rng, other)
    part, key = _pick(rng, places)
    part[key].insert(int(rng.integers(len(part[key]) + 1)), copy.deepcopy(theirs[from_key]))
    return f"{key}: {theirs[from_key]['class_name']} inserted"


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("class_name"), str)


def text(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    """A record that is no JSON, or unusual JSON."""
    if isinstance(parts.record, str):
        return "text again"
    found = json.dumps(parts.record)
    at = int(rng.integers(len(found)))
    cases = {
        "a key twice": '{"format":2,' + found[1:],
        "NaN": found.replace(": 0", ": NaN", 1),
        "a huge number": found.replace(": 1", ": 1" + "0" * int(_pick(rng, [18, 30, 5000])), 1),
        "deep": found.replace("null", "[" * 5000 + "]" * 5000, 1),
        "many": found.replace("null", "[" + "0," * 400_000 + "0]", 1),
        "cut off": found[:at],
        "a character more": found[:at] + str(_pick(rng, CHARACTERS)) + found[at:],
        "a list": "[" + found + "]",
        "spaces": " " * 100_000 + found,
    }  # fmt: skip
    name = _pick(rng, sorted(cases))
    parts.record = cases[name]
    return f"text: {name}"


def entry(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    """Another shape, dtype or place of a tensor, in header and record alike."""
    if not parts.header:
        return "no tensors"
    name = _pick(rng, sorted(parts.header))
    found = parts.header[name]
    what = _pick(rng, ["shape", "dtype", "offsets", "name", "gone"])
    said = parts.record.get("tensors") if isinstance(parts.record, dict) else None
    if what == "shape":
        found["shape"] = _pick(rng, [found["shape"][::-1], [1, *found["shape"]], [int(np.prod(found["shape"]))], [-1],
                                     [10**9, 10**9], [*found["shape"], 0], [2**63], found["shape"][:-1]])  # fmt: skip
    elif what == "dtype":
        found["dtype"] = _pick(rng, ["F32", "F64", "I64", "U8", "BF16", ""])
    elif what == "offsets":
        found["data_offsets"] = [int(_pick(rng, NUMBERS[:20])), int(_pick(rng, NUMBERS[:20]))]
    elif what == "name":
        new = _pick(rng, [*NAMES, *parts.header])
        parts.header[new] = parts.header.pop(name)
        if isinstance(said, dict) and name in said:
            said[new] = said.pop(name)
        return f"{name} renamed {new[:30]!r}"
    else:
        del parts.header[name]
    codes = {"F32": "float32", "F64": "float64", "I64": "int64"}
    if isinstance(said, dict) and name in said and rng.random() < 0.8:
        said[name] = [codes.get(found["dtype"], "float32"), found["shape"]]
    return f"{name}: {what}"


def tensor(parts: Parts, rng: Rng, samples: Sequence[Sample]) -> str:
    """Other values of a tensor, or those of two tensors exchanged."""
    names = [name for name, entry in parts.header.items() if isinstance(entry.get("data_offsets"), list)]
    if not names or not parts.data:
        return "no tensors"
    data = bytearray(parts.data)
    try:
        a, b = parts.tensor(_pick(rng, names)), parts.tensor(_pick(rng, names))
        filling = _pick(rng, [b"\xff", b"\x00", b"\x7f", b"\x80\x7f"])
        if rng.random() < 0.5 and len(data[a]) == len(data[b]):
            data[a], data[b] = data[b], data[a]
        else:
            size = len(data[a])
            data[a] = (filling * size)[:size]
    except (TypeError, ValueError, OverflowError):
        return "no tensor there"
    parts.data = bytes(data)
    return "values of a tensor"


STRUCTURED = (
    replace, replace, nudge, nudge, nudge, rename, rename, delete, add, double, cross, swap, call, call, layer, text,
    entry, tensor,
)  # fmt: skip
