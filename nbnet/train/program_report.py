"""The programs of a model, written without data: their listings, and the memory they take."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from nbnet.base.validation import check_int
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.parameter import ParamLayout
from nbnet.engine.kernels.abi import typed_mat
from nbnet.engine.runtime.program import Program
from nbnet.train.inputs import log_layout, signature_of
from nbnet.train.mc_predict import SamplingBuilder
from nbnet.train.objective import OutputSpec
from nbnet.train.step_builder import ArraySpec, StepDraft
from nbnet.train.trainable import Trainable, check_compiled, runs_in_python

Shape = tuple[int, ...]

#: By kind of program, the step that a user may have defined instead.
STEPS = {"train": "train_step", "evaluate": "test_step", "predict": "predict_step", "sample": "predict_step"}


def build_program(model: Trainable, kind: str, rows: int, x_dtype: Any = None) -> Program:
    """A program of a model, as it would be written for data: see :meth:`nbnet.Model.program`."""
    if not isinstance(kind, str) or kind not in STEPS:
        raise ValueError(f"kind: expected one of {', '.join(map(repr, STEPS))}, got {kind!r}")
    rows = check_int(rows, "rows")
    try:
        known = x_dtype is None or np.dtype(x_dtype) in typed_mat
    except TypeError:
        known = False
    if not known:
        raise ValueError(f"x_dtype: expected a dtype of real numbers, got {x_dtype!r}")
    inputs = model.inputs_known
    if runs_in_python(model, STEPS[kind]):
        raise ValueError(f"kind: {model.name} runs its {STEPS[kind]} in Python; there is no program")
    if (shapes := row_shapes(model)) is None:
        raise ValueError(f"rows: expected inputs of fixed shapes, {model.name} takes rows of {inputs.shapes}")
    if kind in ("train", "evaluate"):
        check_compiled(model)
        if not has_loss(model, shapes):
            raise ValueError(f"{model.name} is not compiled with a loss: call compile(optimizer, loss) first")
    return draft(model, kind, rows, shapes, x_dtype).lowered()


def draft(
    model: Trainable,
    kind: str,
    rows: int,
    shapes: tuple[Shape, ...],
    x_dtype: Any = None,
    layout: ParamLayout | None = None,
) -> StepDraft:
    """The draft of a program for rows of such shapes; in training, gradients may lie in a layout, without an update."""
    builder, dtype = SamplingBuilder(model), model.dtype
    sources = {
        f"x{k}": ArraySpec(shape, INT if ids else np.dtype(x_dtype or dtype), ids)
        for k, (shape, ids) in enumerate(zip(shapes, signature_of(model, shapes).whole, strict=True))
    }
    if kind == "predict":
        return builder.predict(rows, sources)
    if kind == "sample":
        return builder.sample(rows, sources)
    outputs = signature_of(model, shapes).shapes
    for k, (spec, shape) in enumerate(zip(log_layout(model, signature_of(model, shapes)).specs, outputs, strict=True)):
        if spec.wanted:
            sources[f"y{k}"] = _target(spec, shape, dtype)
    if kind == "evaluate":
        return builder.evaluate(rows, sources)
    return builder.train(rows, sources, layout)


def has_loss(model: Trainable, shapes: tuple[Shape, ...]) -> bool:
    """True if there is something to minimise for rows of such shapes."""
    signature = signature_of(model, shapes)
    return signature.adds_loss or bool(log_layout(model, signature).trained)


def row_shapes(model: Trainable) -> tuple[Shape, ...] | None:
    """Shapes of a row of each input; None where they are open, or the model does not say what it computes."""
    if not model.built or model._inputs is None or not model.defines_call:
        return None
    known = model._inputs.shapes
    shapes = tuple(tuple(size for size in shape if size is not None) for shape in known)
    return shapes if shapes == known else None


def _target(spec: OutputSpec, shape: Shape, dtype: np.dtype[Any]) -> ArraySpec:
    """The targets of an output: rows shaped like it, labels, or rows shaped like its half."""
    for tried in (shape, shape[:-1], (*shape[:-1], shape[-1] // 2)):
        with suppress(ValueError, TypeError):
            return ArraySpec.of(spec.targets(np.zeros((1, *tried), INT), "y", 1, shape, dtype))
    return ArraySpec(shape, dtype)


class MemoryReport(NamedTuple):
    """Bytes that training or prediction takes, besides the data.

    Attributes
    ----------
    parameters
        Parameters of the model.
    gradients
        One set for each slice of a batch, without weights that are updated as soon as their gradients are known.
    optimizer
        State of the optimizer.
    arena
        Batches, activations and their gradients, as the planner lets them share memory.
    slices
        Number of threads that share a batch.
    """

    parameters: int
    gradients: int
    optimizer: int
    arena: int
    slices: int

    @property
    def total(self) -> int:
        return self.parameters + self.gradients + self.optimizer + self.arena


def training_memory(model: Trainable, rows: int) -> MemoryReport | None:
    """The memory of training in batches of ``rows`` rows; None where it is not known: the model is not compiled with a
    loss, has not seen its inputs, or is trained by the user's own step."""
    shapes, optimizer = row_shapes(model), model.optimizer
    if shapes is None or optimizer is None or runs_in_python(model, "train_step") or not has_loss(model, shapes):
        return None
    layout = ParamLayout(model.trainable_weights)
    step = draft(model, "train", rows, shapes, layout=layout)
    item, slices = layout.dtype.itemsize, len(step.first_rows)
    gradients = slices * (layout.size - step.released) * item
    return _memory(model, step, gradients, optimizer.values_kept * layout.size * item)


def prediction_memory(model: Trainable, rows: int) -> MemoryReport | None:
    """The memory of predicting batches of ``rows`` rows; None where it is not known."""
    shapes = row_shapes(model)
    if shapes is None or runs_in_python(model, "predict_step"):
        return None
    return _memory(model, draft(model, "predict", rows, shapes), 0, 0)


def _memory(model: Trainable, step: StepDraft, gradients: int, optimizer: int) -> MemoryReport:
    parameters = model.count_params() * model.dtype.itemsize
    return MemoryReport(parameters, gradients, optimizer, step.lowered().nbytes + step.outside, len(step.first_rows))
