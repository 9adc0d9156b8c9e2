"""A diagram in Graphviz's language, and Graphviz's program, if it is there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from nbnet.utils.diagram import Diagram

DIRECTIONS = ("TB", "BT", "LR", "RL")


def dot_source(made: Diagram, rankdir: str = "TB", splines: str = "ortho") -> str:
    """A diagram as the text that ``dot`` reads.

    Examples
    --------
    >>> from nbnet.utils.diagram import Box, Diagram
    >>> from nbnet.utils.dot import dot_source
    >>> print(dot_source(Diagram("model", {"0": Box(("Input",)), "1": Box(("Dense",))}, [("0", "1")])))
    digraph "model" {
      graph [rankdir="TB" splines="ortho"]
      node [shape="box" fontname="monospace" fontsize="10"]
      "0" [label="Input"]
      "1" [label="Dense"]
      "0" -> "1"
    }
    """
    lines = [
        f"digraph {_quoted(made.title)} {{",
        f"  graph [rankdir={_quoted(rankdir)} splines={_quoted(splines)}]",
        '  node [shape="box" fontname="monospace" fontsize="10"]',
        *_members(made, (), "  "),
        *(f"  {_quoted(a)} -> {_quoted(b)}" for a, b in made.arrows),
        "}",
    ]
    return "\n".join(lines)


def _members(made: Diagram, inside: tuple[str, ...], indent: str) -> Iterator[str]:
    """The boxes of one model, then the models in it."""
    for key, box in made.boxes.items():
        if box.inside == inside:
            label = _quoted("\n".join(box.lines))
            yield f"{indent}{_quoted(key)} [label={label}]"
    depth = len(inside)
    inner = dict.fromkeys(
        box.inside[: depth + 1]
        for box in made.boxes.values()
        if box.inside[:depth] == inside and len(box.inside) > depth
    )
    for path in inner:
        yield f"{indent}subgraph {_quoted('cluster_' + '/'.join(path))} {{"
        yield f"{indent}  label={_quoted(path[-1])}"
        yield from _members(made, path, indent + "  ")
        yield f"{indent}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def find_dot() -> str | None:
    """The path of Graphviz's program, if it is installed."""
    return shutil.which("dot")


def run_dot(program: str, source: str, kind: str, dpi: float | None) -> bytes:
    """A picture of a graph.

    Raises
    ------
    RuntimeError
        If Graphviz does not make it.
    """
    import subprocess  # not before a picture is drawn: importing nbnet stays quick

    resolution = [] if dpi is None or kind == "svg" else [f"-Gdpi={dpi:g}"]
    try:
        done = subprocess.run(
            [program, f"-T{kind}", *resolution], input=source.encode(), capture_output=True, check=True, timeout=120
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        raise RuntimeError(f"Graphviz made no {kind}: {said.decode(errors='replace').strip() or error}") from error
    return done.stdout
