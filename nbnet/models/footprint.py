"""What memory a model takes, found without running it: programs are written as far as the planner."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbnet.core.op import INT
from nbnet.core.regions import Layout
from nbnet.models.batch import Draft
from nbnet.models.feeds import Source
from nbnet.models.objective import Goal
from nbnet.models.programs import Builder

if TYPE_CHECKING:
    from nbnet.models.model import Model

Shape = tuple[int, ...]


class Footprint(NamedTuple):
    """Bytes that training takes, or prediction, beside the data.

    Attributes
    ----------
    parameters
        The model's.
    gradients
        One set for each slice of a batch, but of weights that are updated as soon as theirs are known.
    optimizer
        What it remembers of each parameter.
    arena
        Batches, activations and their gradients, as the planner lets them share memory.
    slices
        Threads that share a batch.
    """

    parameters: int
    gradients: int
    optimizer: int
    arena: int
    slices: int

    @property
    def total(self) -> int:
        return self.parameters + self.gradients + self.optimizer + self.arena


def training(model: Model, rows: int) -> Footprint | None:
    """That of training in batches of so many rows; None where it is not known: the model is not compiled with a loss,
    has not seen what it reads, or is trained by a step of the user's own."""
    shapes, optimizer = _row_shapes(model), model.optimizer
    if shapes is None or optimizer is None or model._overrides("train_step"):
        return None
    scores, outputs = model.scores(shapes), model.outline(shapes)
    if not scores.trained and not outputs.adds_loss:
        return None
    sources = _inputs(model, shapes)
    for k, (goal, shape) in enumerate(zip(scores.goals, outputs.shapes, strict=True)):
        if goal.wanted:
            sources[f"y{k}"] = _target(goal, shape, model.compute_dtype)
    layout = Layout(model.trainable_weights)
    draft = Builder(model).draft_training(rows, sources, layout)
    item, slices = layout.dtype.itemsize, len(draft.first_rows)
    gradients = slices * (layout.size - draft.released) * item
    return _footprint(model, draft, gradients, optimizer.values_kept * layout.size * item)


def prediction(model: Model, rows: int) -> Footprint | None:
    """That of predicting batches of so many rows; None where it is not known."""
    shapes = _row_shapes(model)
    if shapes is None or model._overrides("predict_step"):
        return None
    return _footprint(model, Builder(model).draft_prediction(rows, _inputs(model, shapes)), 0, 0)


def _row_shapes(model: Model) -> tuple[Shape, ...] | None:
    """Shapes of a row of each input, if they are known."""
    if not model.built or model._inputs is None or not model._says_what_it_computes:
        return None
    known = model._inputs.shapes
    shapes = tuple(tuple(size for size in shape if size is not None) for shape in known)
    return shapes if shapes == known else None


def _inputs(model: Model, shapes: tuple[Shape, ...]) -> dict[str, Source]:
    whole = model.outline(shapes).whole
    return {
        f"x{k}": Source(shape, INT if ids else model.compute_dtype, ids)
        for k, (shape, ids) in enumerate(zip(shapes, whole, strict=True))
    }


def _target(goal: Goal, shape: Shape, dtype: np.dtype[Any]) -> Source:
    """What an output's targets are read from: labels, or rows shaped like the output, or like its half."""
    for tried in ((), shape, (*shape[:-1], shape[-1] // 2)):
        with suppress(ValueError, TypeError):
            return Source.of(goal.targets(np.zeros((1, *tried), INT), "y", 1, shape, dtype))
    return Source(shape, dtype)


def _footprint(model: Model, draft: Draft, gradients: int, optimizer: int) -> Footprint:
    parameters = model.count_params() * model.compute_dtype.itemsize
    return Footprint(parameters, gradients, optimizer, draft.lowered().nbytes + draft.outside, len(draft.first_rows))
