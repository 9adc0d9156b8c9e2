"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file to write in place of ``path``: whatever happens meanwhile, there is the old one or the whole new one.

    Parameters
    ----------
    path
        Of the file; its folder has to be there.

    Returns
    -------
    A context whose value is the path of an empty file. When the context ends, that file takes the other's place, on
    the disk, too; when it ends with an error, it is removed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = Path(folder) / "greeting"
    ...     with replacing(place) as aside:
    ...         size = aside.write_text("hello")
    ...     place.read_text()
    'hello'
    """
    # It lies beside the other: a rename is atomic within one file system only.
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        aside.touch(exist_ok=False)
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the rename on the disk, too; not every system can open folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
