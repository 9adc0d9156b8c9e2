"""The JSON record of a file: one canonical way to write it, and a reader that trusts nothing.

A record holds objects with string keys, lists, strings, finite numbers, booleans and null. Keys are sorted and nothing
is indented, so the same model gives the same bytes.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

#: Limits of a record: bytes, values, and lists or objects around a value.
MAX_BYTES, MAX_VALUES, MAX_DEPTH = 16 << 20, 500_000, 100
#: Integers are 64-bit, signed or unsigned.
SMALLEST, LARGEST = -(2**63), 2**64 - 1


def plain(value: Any, path: str = "config") -> Any:
    """Return the value as JSON has it: tuples and arrays become lists, NumPy's numbers Python's.

    Raises
    ------
    ValueError, TypeError
        If a number is not finite, or JSON has nothing for a value; the message names its place.

    Examples
    --------
    >>> from nbnet.base.json_record import plain
    >>> plain({"shape": (2, None), "rate": 0.5})
    {'shape': [2, None], 'rate': 0.5}
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist(), path)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{path}: {value} cannot be saved, only finite numbers can")
        return float(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{path}: the key {key!r} cannot be saved, only strings can be keys")
        return {key: plain(part, f"{path}.{key}") for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part, f"{path}[{i}]") for i, part in enumerate(value)]
    raise TypeError(
        f"{path}: {value!r} cannot be saved; a configuration is made of numbers, strings, lists and dicts, and objects "
        "in it of nbnet.saving.serialize_keras_object"
    )


def dumps(value: Any, path: str = "config") -> str:
    """Return the canonical JSON of a value.

    Raises
    ------
    ValueError, TypeError
        See :func:`plain`; or if it is larger than :func:`loads` reads.

    Examples
    --------
    >>> from nbnet.base.json_record import dumps
    >>> dumps({"b": 1, "a": (True, None)})
    '{"a":[true,null],"b":1}'
    """
    found = plain(value, path)
    check(found, path)
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def loads(text: bytes | str, path: str, most: int = MAX_VALUES) -> Any:
    """Return the value that JSON stands for; ``path`` is its name in messages, and it may have ``most`` values.

    Raises ValueError if it is no JSON, or has duplicate keys, numbers that are not finite or too large, too many
    values, or lists that are nested too deeply.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"{path}: has {len(text)} bytes, more than {MAX_BYTES}")
    try:
        text = text if isinstance(text, str) else text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start})") from None
    check_size(text, path, most)
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer)
    except RecursionError:
        raise ValueError(f"{path}: lists are nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: is not JSON ({error})") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    check(value, path)
    return value


def check_size(text: str, path: str, most: int = MAX_VALUES) -> None:
    """Raise ValueError if a text is larger than :func:`loads` reads."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"{path}: has {len(text)} bytes, more than {MAX_BYTES}")
    # Parsed, a value takes about ten times the memory of its characters, so values are counted first.
    if sum(text.count(mark) for mark in ",[{") > most:
        raise ValueError(f"{path}: has more than {most} values")


def check(value: Any, path: str) -> None:
    """Raise ValueError if a record that was parsed or is to be written exceeds a limit, or has a number that is not
    finite or a string that is no Unicode text."""
    seen, left = 0, [(value, 0)]
    while left:
        part, depth = left.pop()
        seen += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"{path}: lists are nested too deeply, more than {MAX_DEPTH} of them")
        if isinstance(part, dict):
            left.extend((key, depth + 1) for key in part)
            left.extend((inner, depth + 1) for inner in part.values())
        elif isinstance(part, list):
            left.extend((inner, depth + 1) for inner in part)
        elif isinstance(part, str):
            if not part.isascii() and any("\ud800" <= letter <= "\udfff" for letter in part):
                raise ValueError(f"{path}: the string {part[:40]!r} is not Unicode text")
        elif isinstance(part, float):
            if not math.isfinite(part):
                raise ValueError(f"{path}: has a number that is not finite")
        elif isinstance(part, int) and not SMALLEST <= part <= LARGEST:
            raise ValueError(f"{path}: has an integer of more than 64 bits")
    if seen > 2 * MAX_VALUES:
        raise ValueError(f"{path}: has more than {MAX_VALUES} values")


def fields(value: Any, wanted: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return an object that has these keys, no others, and a value of the type wanted for each; else raise ValueError.

    ``wanted`` has a type, or a tuple of types, by key; NoneType among them allows null.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected an object, got {_shown(value)}")
    if value.keys() != wanted.keys():
        missing, unknown = sorted(wanted.keys() - value.keys()), sorted(value.keys() - wanted.keys())
        raise ValueError(f"{path}: " + "; ".join(f"{k} {v}" for k, v in (("lacks", missing), ("has", unknown)) if v))
    for key, types in wanted.items():
        kinds = types if isinstance(types, tuple) else (types,)
        if type(value[key]) not in kinds:
            names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
            raise ValueError(f"{path}.{key}: expected {names}, got {_shown(value[key])}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise ValueError(f"the key {_shown(twice)} is there twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("has an integer of more than 64 bits")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not finite")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
