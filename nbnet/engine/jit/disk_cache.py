"""Machine code on disk: one file per kernel, named by a hash of what it was made from, checked whenever it is read.

A damaged, truncated or swapped file is a miss and is written anew. A folder that cannot be made, or that other users
may write to, means no cache: everything still works, compiled once per process.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import stat
import sys
import tempfile
from pathlib import Path

_MAGIC = b"nbnet-object-1\n"


@functools.cache
def folder() -> Path | None:
    """The cache folder: ``NBNET_CACHE_DIR``, else the user's cache folder; None if there is no safe one."""
    try:
        path = _place()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path if _is_private(path) and os.access(path, os.W_OK | os.X_OK) else None
    except (OSError, RuntimeError):
        return None


def _place() -> Path:
    if named := os.environ.get("NBNET_CACHE_DIR"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nbnet" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nbnet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbnet"


def _is_private(path: Path) -> bool:
    """Code loaded from a folder that others can write to would be their code."""
    if sys.platform == "win32":
        return True
    status = path.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _file(name: str, key: str) -> Path | None:
    place = folder()
    return place and place / f"{re.sub(r'[^a-zA-Z0-9_]+', '_', name)[:60]}-{key[:32]}.o"


def _seal(key: str, payload: bytes) -> bytes:
    return hashlib.sha256(key.encode() + payload).digest()


def read(name: str, key: str) -> bytes | None:
    """The machine code kept under a key, or None."""
    path = _file(name, key)
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + 32
    payload = content[start:]
    return payload if content[:start] == _MAGIC + _seal(key, payload) else None


def write(name: str, key: str, payload: bytes) -> None:
    """Keep machine code under a key: written aside, then renamed, so that a reader sees all of it or nothing."""
    path = _file(name, key)
    if path is None:
        return
    with contextlib.suppress(OSError):
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(_MAGIC + _seal(key, payload) + payload)
            os.replace(aside, path)
        except OSError:
            os.unlink(aside)
            raise


def clear() -> int:
    """Delete every file of the cache; returns how many there were."""
    place, removed = folder(), 0
    if place is not None:
        for path in [*place.glob("*-*.o"), *place.glob(".new-*")]:
            path.unlink(missing_ok=True)
            removed += 1
    return removed
