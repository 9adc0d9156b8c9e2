"""Loops over rows of two to four elements, whose width the compiler knows.

With a width that is known only at run time, such a loop ends as soon as it has begun, or gathers one element from each
row; with a known one, rows lie in vector registers side by side: two to three times as fast.
"""

from __future__ import annotations

from typing import Any

from nbnet.engine.jit.linker import Function, device

#: The first width for which this is not worth its code.
WIDE = 5


def specialize_width(body: Function) -> Function:
    """A device function ``f(width, *args)`` that does what ``body(width, *args)`` does.

    It is compiled for each short width by itself, and once for all others.

    Examples
    --------
    >>> from nbnet.engine.jit.linker import device
    >>> from nbnet.engine.kernels.specialize import specialize_width
    >>> specialize_width(device(lambda width, x: x * width))(3, 2.0)
    6.0
    """

    @device
    def chosen(width: Any, *args: Any) -> Any:
        if width == 2:
            return body(2, *args)
        if width == 3:
            return body(3, *args)
        if width == 4:
            return body(4, *args)
        return body(width, *args)

    return chosen
