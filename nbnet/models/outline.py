"""What a model makes of rows of given shapes, found by writing its forward pass down once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nbnet.core.graph import Node, Tensor
from nbnet.core.op import INT
from nbnet.core.structure import flatten
from nbnet.core.tape import Trace
from nbnet.models.intake import packed
from nbnet.ops.embedding import EMBEDDING, EMBEDDING_FLOAT
from nbnet.ops.take import TAKE

if TYPE_CHECKING:
    from nbnet.models.network import Network

#: Ops that look rows of a table up: the first input is the table, the second the numbers.
_LOOKUPS = (EMBEDDING, EMBEDDING_FLOAT, TAKE)


class Outline(NamedTuple):
    """What a model makes of rows of given shapes.

    Attributes
    ----------
    template
        A name, or a list or dict of names: the structure that ``call`` returns.
    shapes
        Of a row of each output.
    tables
        For each input whose numbers are those of rows of tables, how many rows the shortest table has; else None.
    whole
        For each input, whether it is nothing but such numbers: they are gathered as integers.
    adds_loss
        Whether layers add to the loss, or weights are penalised.
    """

    template: Any
    shapes: tuple[tuple[int, ...], ...]
    tables: tuple[int | None, ...]
    whole: tuple[bool, ...]
    adds_loss: bool

    @property
    def plain(self) -> bool:
        """Whether all inputs are numbers that go through the model as they are."""
        return not any(self.whole) and self.tables == (None,) * len(self.tables)

    @property
    def names(self) -> list[str]:
        """Those of the outputs."""
        return list(flatten(self.template))


def outline(model: Network, shapes: Sequence[tuple[int, ...]]) -> Outline:
    """Trace one row through the model; what is not built yet is built."""
    inputs = model.inputs_known
    xs = [
        Tensor((1, *shape), INT if whole else model.compute_dtype)
        for shape, whole in zip(shapes, inputs.whole, strict=True)
    ]
    with Trace() as trace:
        made = model.forward(packed(inputs.template, xs), training=False)
        adds_loss = bool(model.losses)
    template, outputs = output_names(model, made), list(flatten(made))
    for y in outputs:
        if not isinstance(y, Tensor) or y.shape[:1] != (1,):
            raise TypeError(f"{model.name}: call wants to return a tensor with a row for each sample, got {y!r}")
    tables = [_table(x, trace.nodes) for x in xs]
    whole = tuple(
        x.dtype == INT or (rows is not None and only and all(y is not x for y in outputs))
        for x, (rows, only) in zip(xs, tables, strict=True)
    )
    return Outline(template, tuple(y.shape[1:] for y in outputs), tuple(rows for rows, _ in tables), whole, adds_loss)


def output_names(model: Network, outputs: Any) -> Any:
    """Names in the structure of the outputs: keys, the model's own names for them, or ``output_1``, ``output_2`` ..."""
    if model.output_template is not None:
        return model.output_template
    if isinstance(outputs, Mapping):
        return {key: str(key) for key in outputs}
    if isinstance(outputs, (list, tuple)):
        return [f"output_{k + 1}" for k in range(len(outputs))]
    return "output"


def _table(x: Tensor, nodes: Sequence[Node]) -> tuple[int | None, bool]:
    """Rows of the shortest table that the numbers in x stand for, and whether nothing else reads x."""
    readers = [node for node in nodes if any(t is x for t in node.inputs)]
    lookups = [node for node in readers if node.op in _LOOKUPS and node.inputs[1] is x and node.inputs[0] is not x]
    rows = min((node.inputs[0].shape[0] for node in lookups), default=None)
    return rows, len(lookups) == len(readers)
