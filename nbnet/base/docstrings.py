"""Docstrings of a family of classes or functions: shared sections are written once and added at import."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

_BEFORE_SECTION = re.compile(r"\n\n(?=[A-Z][a-z ]+\n-{3,}\n)", re.IGNORECASE)
_BEFORE_ENTRY = re.compile(r"\n(?=\S)")


def join_common_sections(
    target: Callable[..., Any], *, first: str = "", last: str = "", returns: str = "", raises: str = ""
) -> None:
    """Add the sections that a family of classes or functions shares to the numpydoc docstring of one of them.

    The entries ``first`` and ``last`` go before and after those of the section Parameters. Entries that the docstring
    already has stay; objects outside nbnet or without a docstring stay as they are.

    Examples
    --------
    >>> from nbnet.base.docstrings import join_common_sections
    >>> class Scale:
    ...     '''Multiplication by a number.'''
    >>> Scale.__module__ = "nbnet.examples"
    >>> join_common_sections(Scale, last="name : str, optional\\n    Name of the scale.")
    >>> print(Scale.__doc__.strip())
    Multiplication by a number.
    <BLANKLINE>
    Parameters
    ----------
    name : str, optional
        Name of the scale.
    """
    doc = vars(target).get("__doc__") if isinstance(target, type) else target.__doc__
    if not doc or not target.__module__.startswith("nbnet."):
        return
    parts = _BEFORE_SECTION.split(inspect.cleandoc(doc))
    _join(parts, "Parameters", first, last)
    _join(parts, "Returns", "", returns)
    _join(parts, "Raises", "", raises)
    target.__doc__ = "\n\n".join(parts) + "\n"


def _join(parts: list[str], title: str, first: str, last: str) -> None:
    """Add entries to a section of a docstring; create the section if it is missing."""
    if not first and not last:
        return
    heading = f"{title}\n{'-' * len(title)}\n"
    at = next((i for i, part in enumerate(parts) if part.startswith(heading)), None)
    own = [] if at is None else _BEFORE_ENTRY.split(parts[at].removeprefix(heading))
    known = {name for entry in own for name in entry.partition("\n")[0].partition(" :")[0].split(", ")}
    before, after = ([e for e in _BEFORE_ENTRY.split(new) if e and e.split()[0] not in known] for new in (first, last))
    section = heading + "\n".join([*before, *own, *after])
    if at is not None:
        parts[at] = section
    else:
        place = next((i for i, part in enumerate(parts) if i and not part.startswith("Parameters\n")), len(parts))
        parts.insert(place, section)
