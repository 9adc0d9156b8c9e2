"""The state of a training that resumes bit for bit: optimizer slots, steps, epochs, and keys of random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet.base.json_record import LARGEST, fields, plain
from nbnet.base.seeds import CountedKey, DrawCounter
from nbnet.base.tensor_file import Entry, Reader
from nbnet.engine.graph.parameter import Parameter, invalidate_programs
from nbnet.optimizers import Optimizer
from nbnet.optimizers.python_step import AVERAGE
from nbnet.random import SeedGenerator
from nbnet.saving.weights import CALLBACK, PREFIX, TOTALS, check_tensor, in_value, layers_by_path, weights_by_path

if TYPE_CHECKING:
    from nbnet.models.model import Model

Array = NDArray[Any]
#: States of callbacks, by name.
States = Mapping[str, Mapping[str, Any]]

#: Name of the tensor of an epoch's sums.
_TOTALS = f"{TOTALS}epoch"
#: Name of the slot of weights without averaging, in files of models whose weights are averages.
_UNAVERAGED = "unaveraged"
#: Types of keys, and number of draws that no key makes.
_KEYS, _DRAWS = (int, CountedKey), 1 << 60
#: Fields that format 1 did not have.
_NEW: dict[str, Any] = {"extent": None, "callbacks": {}, "draws": [0, None]}
#: Fields that files of format 2 may lack.
_OPTIONAL: dict[str, Any] = {"next_key": None, "logs": None, "generators": {}}
_FIELDS = {
    "key": (int, type(None)), "epoch": int, "batch": int, "random": dict, "iterations": (int, type(None)),
    "learning_rate": (float, type(None)), "slots": list, "trained": list, "undecayed": list,
    "process": (list, type(None)), "extent": (list, type(None)), "callbacks": dict, "draws": list,
    "next_key": (int, type(None)), "logs": (dict, type(None)), "generators": dict,
}  # fmt: skip


def describe(model: Model, optimizer: Optimizer | None) -> dict[str, Any]:
    """Return the record of the state of a training."""
    position, draws = model._train_state.position, model._train_state.draws
    found: dict[str, Any] = dict.fromkeys(_FIELDS) | {
        "key": position.key,
        "epoch": position.epoch,
        "batch": position.batch,
        "extent": position.extent if position.batch else None,
        "callbacks": {},
        "draws": list(draws.state),
        "next_key": position.upcoming(),
        "logs": position.logs if position.batch else None,
        "random": {path: _key_and_draws(layer.key) for path, layer in _drawing(model).items()},
        "generators": {path: list(generator.state) for path, generator in _generators(model).items()},
        **{name: [] for name in ("slots", "trained", "undecayed")},
    }
    if optimizer is None:
        return found
    known = {id(weight): name for name, weight in weights_by_path(model).items()}
    if optimizer.block is None and optimizer.get_state().keys() - {"iterations", "learning_rate"}:
        optimizer.build_for(model.trainable_weights)  # it has a state, but no parameters yet
    elif any(id(weight) not in known for weight in _trained(optimizer)):
        raise ValueError(f"{model.name}: the optimizer's state includes weights that no longer belong to the model")
    return found | {
        "iterations": optimizer.steps,
        "learning_rate": float(optimizer.learning_rate) if optimizer.schedule is None else None,
        "slots": sorted(_slots(optimizer)),
        "trained": [known[id(weight)] for weight in _trained(optimizer)],
        "undecayed": [known[id(weight)] for weight in _trained(optimizer) if optimizer.is_excluded(weight)],
    }


def tensors(model: Model, trained: list[str]) -> dict[str, Array]:
    """Return the state of a training, by name in files."""
    position, optimizer = model._train_state.position, model.optimizer
    found = {_TOTALS: np.array(position.totals)} if position.batch and position.totals else {}
    return found if optimizer is None else found | dict(_parts(optimizer, _slots(optimizer), trained))


def add_callbacks(states: States, about: dict[str, Any], tensors: dict[str, Array]) -> None:
    """Add the states of callbacks to the record of a state, and their arrays to its tensors."""
    for name, state in states.items():
        arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
        rest = {key: value for key, value in state.items() if key not in arrays}
        about["callbacks"][name] = plain(rest, f"callbacks: the state of {name}")
        tensors |= {f"{CALLBACK}{name}:{key}": value for key, value in arrays.items()}


def callbacks(about: Mapping[str, Any], file: Reader) -> dict[str, dict[str, Any]]:
    """Return the states that :func:`add_callbacks` has added."""
    states: dict[str, dict[str, Any]] = {name: dict(state) for name, state in about["callbacks"].items()}
    for entry in file.entries:
        if entry.startswith(CALLBACK):
            name, _, key = entry.removeprefix(CALLBACK).partition(":")
            states[name][key] = file.read(entry).copy()
    return states


def _slots(optimizer: Optimizer) -> dict[str, Array]:
    """Return the state of an optimizer as files have it: where weights are their averages, so is the slot of averages,
    and the weights as they were have a slot of their own."""
    found, before = optimizer.state, optimizer.unaveraged
    if before is None:
        return found
    assert optimizer.block is not None
    return found | {AVERAGE: optimizer.block.flat.numpy()[0], _UNAVERAGED: before}


def _parts(optimizer: Optimizer, slots: Mapping[str, Array], trained: list[str]) -> Iterator[tuple[str, Array]]:
    """Yield views of the state by name in files: of each slot a part for each weight, or a single number."""
    block = optimizer.block
    for slot, flat in slots.items():
        if block is None or flat.size != block.size or slot in optimizer.own_state:
            yield f"{PREFIX}{slot}", flat
        else:
            for name, weight, start in zip(trained, block.parameters, block.starts, strict=True):
                yield f"{PREFIX}{slot}:{name}", flat[start : start + weight.size].reshape(weight.shape)


def check(record: Mapping[str, Any], entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return the state of a training in the record of a file, checked as far as possible without a model; raise
    ValueError if it is invalid."""
    about = record["training"]
    if record["format"] == 1 and isinstance(about, dict):
        about = _NEW | about
        if isinstance(about.get("random"), dict):
            about["random"] = {path: [key, 0] for path, key in about["random"].items()}
    if isinstance(about, dict):
        about = _OPTIONAL | about
    found = fields(about, _FIELDS, "record: training")
    numbers = {name: found[name] for name in ("key", "epoch", "batch", "iterations", "next_key")}
    for name, value in (found["logs"] or {}).items():
        if type(value) not in (int, float):
            raise ValueError(f"record: training.logs.{name}: expected a number, got {value!r:.60}")
    counts = []
    for field in ("random", "generators"):
        for path, pair in found[field].items():
            if not (isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair)):
                raise ValueError(
                    f"record: training.{field}.{path}: expected a key and a number of draws, got {pair!r:.60}"
                )
            numbers[f"{field}.{path}"] = pair[0]
            counts.append(pair[1])
    draws = found["draws"]
    if len(draws) != 2 or type(draws[0]) is not int:
        raise ValueError(f"record: training.draws: expected a number and a seed, got {draws!r:.60}")
    numbers["draws"] = draws[1]
    if not all(0 <= count < _DRAWS for count in (draws[0], *counts)):
        raise ValueError(f"record: training.draws: expected numbers of draws from 0 to {_DRAWS}")
    for name, number in numbers.items():
        if number is not None and (type(number) is not int or not 0 <= number <= LARGEST):
            raise ValueError(f"record: training.{name}: expected an integer from 0, got {number!r}")
    process = found["process"]
    if process is not None and (len(process) != 3 or not all(type(n) is int and 0 <= n <= LARGEST for n in process)):
        raise ValueError(f"record: training.process: expected three integers from 0, got {str(process)[:60]}")
    extent = found["extent"]
    if extent is not None and (
        len(extent) != 3 or not all(n is None or (type(n) is int and 0 <= n <= LARGEST) for n in extent)
    ):
        raise ValueError(f"record: training.extent: expected three integers from 0, got {str(extent)[:60]}")
    totals = entries.get(_TOTALS)
    if totals is not None and (totals.dtype != np.float64 or len(totals.shape) != 2 or totals.shape[1] != 2):
        raise ValueError(f"{_TOTALS}: expected shape (n, 2) of float64, got {totals.shape} of {totals.dtype}")
    for name, state in found["callbacks"].items():
        if not isinstance(state, dict):
            raise ValueError(f"record: training.callbacks.{name}: expected an object")
    for name in entries:
        if name.startswith(CALLBACK) and name.removeprefix(CALLBACK).partition(":")[0] not in found["callbacks"]:
            raise ValueError(f"{name}: belongs to no callback in the record")
    slots, trained = found["slots"], found["trained"]
    for name, list_ in (("slots", slots), ("trained", trained), ("undecayed", found["undecayed"])):
        if not all(isinstance(entry, str) for entry in list_) or len(set(list_)) != len(list_):
            raise ValueError(f"record: training.{name}: expected distinct names")
    if found["iterations"] is None and (slots or trained):
        raise ValueError("record: training.iterations: expected an integer for an optimizer with state, got null")
    if not set(found["undecayed"]) <= set(trained):
        raise ValueError("record: training.undecayed: expected trained weights")
    for weight in trained:
        if weight not in entries or weight.startswith(PREFIX):
            raise ValueError(f"record: training.trained: {weight!r} is not a weight of the file")
    return found


class Places(NamedTuple):
    """Arrays for the tensors of a file by name, and one for all weights without averaging, which some are parts of."""

    tensors: dict[str, Array]
    unaveraged: Array | None


def build(model: Model, optimizer: Optimizer, about: Mapping[str, Any], entries: Mapping[str, Entry]) -> Places:
    """Allocate the state of an optimizer, and return it; raise ValueError if it needs another state than the file
    has."""
    _check_drawing(model, about)
    known = weights_by_path(model)
    missing = [name for name in about["trained"] if name not in known]
    if missing:
        raise ValueError(f"record: training.trained: the model has no weight {missing[0]!r}")
    if optimizer.block is None and about["undecayed"]:
        optimizer.exclude_from_weight_decay([known[name] for name in about["undecayed"]])
    if about["trained"]:
        optimizer.build_for([known[name] for name in about["trained"]])
    slots = _wanted(optimizer, about)
    if sorted(slots) != about["slots"]:
        raise ValueError(f"record: training.slots: expected {sorted(slots)} for {optimizer.name}, got {about['slots']}")
    places: dict[str, Array] = dict(_parts(optimizer, slots, about["trained"]))
    given = {name for name in entries if name.startswith(PREFIX)}
    if given != places.keys():
        name = min(given ^ places.keys())
        raise ValueError(f"{name}: the tensor is {'unknown' if name in given else 'missing'}")
    for name, place in places.items():
        check_tensor(name, entries[name], place)
    if _TOTALS in entries:
        places[_TOTALS] = np.empty(entries[_TOTALS].shape)
    return Places(places, slots.get(_UNAVERAGED))


def restore(model: Model, about: Mapping[str, Any], read: Places) -> None:
    """Set the state, whose tensors are read."""
    optimizer = model.optimizer
    _check_drawing(model, about)
    for path, layer in _drawing(model).items():
        key, draws = about["random"][path]
        layer.key = CountedKey(key, draws) if isinstance(layer.key, CountedKey) else key
    for path, generator in _generators(model).items():
        if path in about["generators"]:
            generator.state = tuple(about["generators"][path])
    model._train_state.draws = DrawCounter(*about["draws"])
    # Keys are part of the instructions of programs.
    invalidate_programs()
    extent = None if about["extent"] is None else tuple(about["extent"])
    sums = read.tensors[_TOTALS].tolist() if _TOTALS in read.tensors else None
    position = model._train_state.position
    position.restore(about["key"], about["epoch"], about["batch"], extent, sums)
    position.planned, position.logs = about["next_key"], about["logs"]
    if optimizer is None or about["iterations"] is None:
        return
    optimizer.steps = about["iterations"]
    optimizer.unaveraged = read.unaveraged
    if about["learning_rate"] is not None:
        optimizer.learning_rate = about["learning_rate"]


def _wanted(optimizer: Optimizer, about: Mapping[str, Any]) -> dict[str, Array]:
    """Return the places for the slots that a file should have."""
    found = optimizer.state
    if optimizer.use_ema and optimizer.block is not None and _UNAVERAGED in about["slots"]:
        found[_UNAVERAGED] = np.zeros(optimizer.block.size, optimizer.block.dtype)
    return found


def _check_drawing(model: Model, about: Mapping[str, Any]) -> None:
    drawing = _drawing(model)
    if drawing.keys() != about["random"].keys():
        raise ValueError(f"record: training.random: expected keys for {sorted(drawing)}, got {sorted(about['random'])}")
    generators, given = _generators(model).keys(), about["generators"].keys()
    if given and given != generators:  # older files have none
        raise ValueError(f"record: training.generators: expected seeds for {sorted(generators)}, got {sorted(given)}")


def _trained(optimizer: Optimizer) -> list[Parameter]:
    return [] if optimizer.block is None else optimizer.block.parameters


def _drawing(model: Model) -> dict[str, Any]:
    """Return the layers that draw random numbers from a key of their own, by path."""
    return {path: layer for path, layer in layers_by_path(model).items() if type(getattr(layer, "key", None)) in _KEYS}


def _generators(model: Model) -> dict[str, SeedGenerator]:
    """Return the seed generators that layers hold, each once, by path of the layer and name of the attribute."""
    found: dict[str, SeedGenerator] = {}
    known: set[int] = set()
    for path, layer in layers_by_path(model).items():
        for name in sorted(vars(layer)):
            for place, generator in in_value(f"{path}.{name}", vars(layer)[name], SeedGenerator):
                if id(generator) not in known:
                    known.add(id(generator))
                    found[place] = generator
    return found


def _key_and_draws(key: int) -> list[int]:
    return [int(key), key.draws.count if isinstance(key, CountedKey) else 0]
