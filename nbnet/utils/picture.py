"""Pictures of models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbnet.models.model import Model
from nbnet.utils.diagram import Diagram, Show, diagram
from nbnet.utils.dot import DIRECTIONS, dot_source, find_dot, run_dot
from nbnet.utils.layered import layered_svg


@dataclass(frozen=True)
class Picture:
    """A picture that notebooks show.

    Parameters
    ----------
    kind
        ``"svg"``, ``"png"`` ...
    content
        Of a file of that kind.
    """

    kind: str
    content: bytes

    def _repr_svg_(self) -> str | None:
        return self.content.decode() if self.kind == "svg" else None

    def _repr_png_(self) -> bytes | None:
        return self.content if self.kind == "png" else None


def plot_model(
    model: Model,
    to_file: str | os.PathLike[str] | None = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float | None = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Picture:
    """Draw the layers of a model as boxes, with arrows between them.

    Graphviz draws, if its program ``dot`` is installed. Without it there is a plain drawing of nbnet's own, as SVG.

    Parameters
    ----------
    model
        A model. Of one that has a ``call`` of its own, there is only one box.
    to_file
        Where to write: the ending says what, ``.svg``, ``.dot``, or with Graphviz ``.png``, ``.pdf`` and others. None
        writes nothing and draws SVG.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
        What boxes say besides the kind of layer.
    rankdir : {"TB", "BT", "LR", "RL"}
        The direction of arrows: from top to bottom, from left to right, or the other way.
    expand_nested
        Whether models inside are drawn as frames with their layers, not as boxes.
    dpi
        Dots an inch of what is no SVG.
    splines
        How Graphviz draws arrows.

    Returns
    -------
    Picture
        What was written; a notebook shows it.

    Raises
    ------
    TypeError
        If it is no model.
    ValueError
        If rankdir is none of these, or the file's name has no ending.
    ImportError
        If something else than SVG is asked for, and Graphviz is not installed.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(2, "softmax")])
    >>> nb.utils.plot_model(model, to_file=None, show_shapes=True).kind
    'svg'
    """
    show = Show(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable, expand_nested)
    made = _diagram(model, show, rankdir)
    kind = "svg" if to_file is None else Path(to_file).suffix.lstrip(".").lower()
    if not kind:
        raise ValueError(f"to_file: wants a name with an ending such as .svg or .png, got {os.fspath(to_file or '')!r}")
    picture = Picture(kind, _content(made, kind, rankdir, splines, dpi))
    if to_file is not None:
        Path(to_file).write_bytes(picture.content)
    return picture


def model_to_dot(
    model: Model,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> str:
    """The picture of a model as text for Graphviz's ``dot``.

    Parameters
    ----------
    model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, show_layer_activations
        See :func:`plot_model`.
    show_trainable, splines
        See :func:`plot_model`.

    Examples
    --------
    >>> import nbnet as nb
    >>> model = nb.Sequential([nb.Input((4,), name="x"), nb.layers.Dense(2, name="y")])
    >>> "y (Dense)" in nb.utils.model_to_dot(model)
    True
    """
    show = Show(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable, expand_nested)
    return dot_source(_diagram(model, show, rankdir), rankdir, splines)


def _diagram(model: Any, show: Show, rankdir: str) -> Diagram:
    if not isinstance(model, Model):
        raise TypeError(f"model: wants a model, got {type(model).__name__}")
    if rankdir not in DIRECTIONS:
        raise ValueError(f"rankdir: wants one of {', '.join(DIRECTIONS)}, got {rankdir!r}")
    return diagram(model, show)


def _content(made: Diagram, kind: str, rankdir: str, splines: str, dpi: float | None) -> bytes:
    if kind == "dot":
        return dot_source(made, rankdir, splines).encode()
    program = find_dot()
    if program is not None:
        return run_dot(program, dot_source(made, rankdir, splines), kind, dpi)
    if kind != "svg":
        raise ImportError(
            f"to_file: a .{kind} wants Graphviz, whose program dot is not installed (https://graphviz.org/download); "
            "without it, name a file that ends in .svg"
        )
    return layered_svg(made, rankdir).encode()
