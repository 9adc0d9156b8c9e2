"""Which units of a model are left when masks drop others.

Units that a mask drops are 0 for whatever comes after it, so weights that multiply them may go. What computes a dropped
unit may go as well, if nothing else reads it. Three walks over the calls find out: forward, which units are 0;
backward, which are needed; forward again, which are there in the smaller model, and where zeros have to be put in
again, for something that makes more of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbnet.core.structure import flatten
from nbnet.core.symbol import Producer, Symbol
from nbnet.models.calls import call_names, model_calls
from nbnet.thinning.kinds import DROPPING, Kind, keeps_zero, kind_of, units

if TYPE_CHECKING:
    from nbnet.models.model import Model

Units = NDArray[np.bool]


@dataclass(frozen=True)
class Step:
    """A call and what is left of it.

    Attributes
    ----------
    given
        Which units of each input are there: bool arrays.
    read
        Which units it wants: those, or zeros besides.
    outputs
        Which units of its (first) output are there.
    """

    producer: Producer
    kind: Kind
    given: tuple[Units, ...]
    read: tuple[Units, ...]
    outputs: Units

    @property
    def inputs(self) -> Units:
        """Which units of its first input it works on."""
        return self.read[0] if self.read else np.ones(1, bool)

    @property
    def layer(self) -> Any:
        """The layer, or function, that is called."""
        return self.producer.function


def plan(model: Model, masks: Mapping[str, Any]) -> tuple[list[Step], dict[int, Units]]:
    """What is left of each call of a model, and which units are there of each symbol, by its ``id``.

    Raises
    ------
    TypeError, ValueError
        If the model cannot be taken apart, a mask fits no layer, or nothing is kept of something.
    """
    calls, inputs, outputs = model_calls(model)
    kept = _masks(model, masks, calls)
    times = Counter(id(p.function) for p in calls)
    kinds = [kind_of(p, id(p) in kept, times[id(p.function)] > 1) for p in calls]
    zero = _zero(calls, kinds, kept)
    needed = _needed(calls, kinds, zero, outputs)
    present: dict[int, Units] = {id(symbol): np.ones(units(symbol), bool) for symbol in inputs}
    steps = []
    for producer, kind in zip(calls, kinds, strict=True):
        given = tuple(present[id(x)] for x in producer.inputs())
        first = next(flatten(producer.outputs))
        read = _read(kind, given, needed[id(first)])
        for y in flatten(producer.outputs):
            present[id(y)] = _present(kind, read, needed[id(y)], y)
            if not present[id(y)].any():
                raise ValueError(f"masks: nothing is kept of {producer.name}")
        steps.append(Step(producer, kind, given, read, present[id(first)]))
    return steps, present


def _masks(model: Model, masks: Mapping[str, Any], calls: Sequence[Producer]) -> dict[int, Units]:
    """The units that masks keep, by the ``id`` of the call; names are those of the tape."""
    if not isinstance(masks, Mapping):
        raise TypeError(f"masks: wants a dict of bool arrays by name of layer, got {type(masks).__name__}")
    named = {n: p for n, p in zip(call_names(calls), calls, strict=True) if isinstance(p.function, DROPPING)}
    found = {}
    for name, mask in masks.items():
        if name not in named:
            raise ValueError(
                f"masks: {name!r} is no dropout layer of {model.name} that can be thinned; those are {list(named)}"
            )
        found[id(named[name])] = _vector(name, mask, units(named[name].inputs()[0]))
    return found


def _vector(name: str, mask: Any, size: int) -> Units:
    """A mask that all rows (and places) share, as a vector."""
    array = np.asarray(mask)
    if array.dtype.kind not in "bui":
        raise TypeError(f"masks[{name!r}]: wants booleans, got {array.dtype}")
    if array.ndim == 0 or array.shape[-1] != size or array.size != size:
        raise ValueError(f"masks[{name!r}]: wants one mask of shape ({size},) for all rows, got shape {array.shape}")
    vector: Units = array.reshape(-1) != 0
    if not vector.any():
        raise ValueError(f"masks[{name!r}]: keeps nothing")
    return vector


def _zero(calls: Sequence[Producer], kinds: Sequence[Kind], kept: Mapping[int, Units]) -> dict[int, Units]:
    """Which units of each symbol are 0 whatever the input: what was dropped."""
    zero: dict[int, Units] = {}
    for producer, kind in zip(calls, kinds, strict=True):
        y = next(flatten(producer.outputs))
        before = [zero.get(id(x), np.zeros(units(x), bool)) for x in producer.inputs()]
        found = np.zeros(units(y), bool)
        if kind is Kind.MASK:
            found = before[0] | ~kept[id(producer)]
        elif kind is Kind.MERGING:
            found = np.logical_and.reduce(before)
        elif kind is Kind.JOINING:
            found = np.concatenate(before)
        elif kind in (Kind.UNITWISE, Kind.FLATTEN) and keeps_zero(producer.function, y.dtype):
            found = np.tile(before[0], len(found) // len(before[0]))
        zero[id(y)] = found
    return zero


def _needed(
    calls: Sequence[Producer],
    kinds: Sequence[Kind],
    zero: Mapping[int, Units],
    outputs: Sequence[Symbol],
) -> dict[int, Units]:
    """Which units of each symbol something reads that is not left out itself; never what is 0."""
    needed: dict[int, Units] = {}

    def need(symbol: Symbol, wanted: Units) -> None:
        none = np.zeros(units(symbol), bool)
        needed[id(symbol)] = needed.get(id(symbol), none) | (wanted & ~zero.get(id(symbol), none))

    for symbol in outputs:
        need(symbol, np.ones(units(symbol), bool))
    for producer, kind in zip(reversed(calls), reversed(kinds), strict=True):
        found = list(flatten(producer.outputs))
        for y in found:
            needed.setdefault(id(y), np.zeros(units(y), bool))
        wanted, begin = needed[id(found[0])], 0
        for x in producer.inputs():
            n = units(x)
            if kind in (Kind.WHOLE, Kind.LINEAR, Kind.MIXING):
                need(x, np.ones(n, bool))
            elif kind is Kind.FLATTEN:
                need(x, np.logical_or.reduce(wanted.reshape(-1, n)))
            elif kind is Kind.JOINING:
                need(x, wanted[begin : begin + n])
                begin += n
            else:
                need(x, wanted)
    return needed


def _read(kind: Kind, given: tuple[Units, ...], wanted: Units) -> tuple[Units, ...]:
    """Which units of each input a call works on."""
    if kind is Kind.WHOLE:
        return tuple(np.ones_like(there) for there in given)
    if kind is Kind.MERGING:
        return (np.logical_or.reduce(given),) * len(given)
    if kind in (Kind.UNITWISE, Kind.NORMALISING) and (wanted & ~given[0]).any():
        return (np.ones_like(given[0]),)
    return given


def _present(kind: Kind, read: tuple[Units, ...], needed: Units, y: Symbol) -> Units:
    """Which units of what a call returns are there."""
    if kind in (Kind.MASK, Kind.LINEAR):
        return needed
    if kind in (Kind.UNITWISE, Kind.NORMALISING, Kind.MERGING):
        return read[0]
    if kind is Kind.FLATTEN:
        return np.tile(read[0], units(y) // len(read[0]))
    if kind is Kind.JOINING:
        return np.concatenate(read)
    return np.ones(units(y), bool)
