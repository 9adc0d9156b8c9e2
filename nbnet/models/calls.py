"""The calls that a model consists of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nbnet.core.structure import flatten
from nbnet.core.symbol import Producer, Symbol, producers
from nbnet.models.sequential import Sequential

if TYPE_CHECKING:
    from nbnet.models.model import Model


def model_calls(model: Model) -> tuple[list[Producer], list[Symbol], list[Symbol]]:
    """The calls of a model, each after those it depends on; its inputs and its outputs.

    Raises
    ------
    ValueError
        If its class defines ``call``, or it is not built.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.models.calls import model_calls
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3, name="first"), nb.layers.Dense(1, name="second")])
    >>> [producer.name for producer in model_calls(model)[0]]
    ['first', 'second']
    """
    if not isinstance(model, Sequential) and model.graph is None:
        raise ValueError(f"model: {model.name} is of a class that defines call; it cannot be taken apart")
    inputs, outputs = list(flatten(model.input)), list(flatten(model.output))
    return producers(outputs, inputs), inputs, outputs


def call_names(calls: Iterable[Producer]) -> list[str]:
    """A name for each call: the layer's, and where it is called again ``name:1``, ``name:2`` ..., as on a tape."""
    used: Counter[str] = Counter()
    found = []
    for producer in calls:
        turn = used[producer.name]
        used[producer.name] += 1
        found.append(f"{producer.name}:{turn}" if turn else producer.name)
    return found
