"""Text and progress bars on the standard output, whatever it is: a terminal that knows few characters, a closed file,
nothing at all.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any, TextIO

#: ASCII characters for the lines of tables, where the output has no others.
_PLAIN = str.maketrans({"─": "-", "└": "+"})


def writable(stream: Any) -> bool:
    """Return True if there is a stream, and it is open."""
    # sys.stdout is None in a process without a console.
    return stream is not None and not getattr(stream, "closed", False)


def is_terminal(stream: Any) -> bool:
    """Return True if a stream is open, and a terminal."""
    return writable(stream) and hasattr(stream, "isatty") and bool(stream.isatty())


def is_notebook(stream: Any) -> bool:
    """Return True if a stream is open, and shown in a cell of a Jupyter notebook."""
    return writable(stream) and type(stream).__module__.partition(".")[0] == "ipykernel"


def columns(stream: Any) -> int:
    """Return the number of characters in a line of a terminal; 80 if the stream is none, or its terminal has none.

    Examples
    --------
    >>> import io
    >>> from nbnet.base.console import columns
    >>> columns(io.StringIO())
    80
    """
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (AttributeError, OSError, ValueError):
        return 80


def encodable(text: str, stream: Any) -> str:
    """Return text with escapes for the characters that a stream cannot write; lines of tables become plain.

    Examples
    --------
    >>> import io
    >>> from nbnet.base.console import encodable
    >>> print(encodable("└ größe 層", io.TextIOWrapper(io.BytesIO(), "ascii")))
    + gr\\xf6\\xdfe \\u5c64
    """
    encoding = getattr(stream, "encoding", None)
    if text.isascii() or not isinstance(encoding, str):
        return text
    try:
        text.encode(encoding, getattr(stream, "errors", None) or "strict")
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text


def show(text: str, stream: TextIO | None = None) -> None:
    """Print text to a stream, by default the standard output; nothing if it is closed, or if there is none."""
    target = sys.stdout if stream is None else stream
    if writable(target):
        print(encodable(text, target), file=target, flush=True)


@functools.cache
def bar_class() -> Any:
    """The class of tqdm, without its monitor thread: a process with threads cannot fork safely."""
    from tqdm import tqdm

    return type("Bar", (tqdm,), {"monitor_interval": 0})
