"""The state of a training that resumes bit for bit: optimizer slots, steps, epochs, and keys of random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nbnet.base.json_record import LARGEST, fields
from nbnet.base.tensor_file import Entry, Reader
from nbnet.engine.graph.parameter import Parameter, invalidate_programs
from nbnet.optimizers import Optimizer
from nbnet.saving.weights import PREFIX, check_tensor, layers_by_path, weights_by_path

if TYPE_CHECKING:
    from nbnet.models.model import Model

Array = NDArray[Any]

_FIELDS = {
    "key": (int, type(None)), "epoch": int, "batch": int, "random": dict, "iterations": (int, type(None)),
    "learning_rate": (float, type(None)), "slots": list, "trained": list, "undecayed": list,
    "process": (list, type(None)),
}  # fmt: skip


def describe(model: Model, optimizer: Optimizer | None) -> dict[str, Any]:
    """Return the record of the state of a training."""
    position = model._train_state.position
    found: dict[str, Any] = dict.fromkeys(_FIELDS) | {
        "key": position.key,
        "epoch": position.epoch,
        "batch": position.batch,
        "random": {path: layer.key for path, layer in _drawing(model).items()},
        **{name: [] for name in ("slots", "trained", "undecayed")},
    }
    if optimizer is None:
        return found
    known = {id(weight): name for name, weight in weights_by_path(model).items()}
    if optimizer.block is None and optimizer.get_state().keys() - {"iterations", "learning_rate"}:
        optimizer.build(model.trainable_weights)  # it has a state, but no parameters yet
    elif any(id(weight) not in known for weight in _trained(optimizer)):
        raise ValueError(f"{model.name}: the optimizer's state includes weights that no longer belong to the model")
    rate = optimizer.get_config()["learning_rate"]
    return found | {
        "iterations": optimizer.iterations,
        "learning_rate": rate if isinstance(rate, float) else None,
        "slots": sorted(optimizer.state),
        "trained": [known[id(weight)] for weight in _trained(optimizer)],
        "undecayed": [known[id(weight)] for weight in _trained(optimizer) if optimizer.is_excluded(weight)],
    }


def tensors(optimizer: Optimizer, trained: list[str]) -> dict[str, Array]:
    """Return the state of an optimizer, by name in files."""
    return dict(_parts(optimizer, trained))


def _parts(optimizer: Optimizer, trained: list[str]) -> Iterator[tuple[str, Array]]:
    """Yield views of the state by name in files: of each slot a part for each weight, or a single number."""
    block = optimizer.block
    for slot, flat in optimizer.state.items():
        if block is None or flat.size != block.size:
            yield f"{PREFIX}{slot}", flat
        else:
            for name, weight, start in zip(trained, block.parameters, block.starts, strict=True):
                yield f"{PREFIX}{slot}:{name}", flat[start : start + weight.size].reshape(weight.shape)


def check(about: Any, entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return the record of a state, checked as far as possible without a model; raise ValueError if it is invalid."""
    found = fields(about, _FIELDS, "record: training")
    numbers = {name: found[name] for name in ("key", "epoch", "batch", "iterations")}
    numbers |= {f"random.{path}": key for path, key in found["random"].items()}
    for name, number in numbers.items():
        if number is not None and (type(number) is not int or not 0 <= number <= LARGEST):
            raise ValueError(f"record: training.{name}: expected an integer from 0, got {number!r}")
    process = found["process"]
    if process is not None and (len(process) != 3 or not all(type(n) is int and 0 <= n <= LARGEST for n in process)):
        raise ValueError(f"record: training.process: expected three integers from 0, got {str(process)[:60]}")
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


def build(model: Model, optimizer: Optimizer, about: Mapping[str, Any], entries: Mapping[str, Entry]) -> None:
    """Allocate the state of an optimizer; raise ValueError if it needs another state than the file has."""
    known = weights_by_path(model)
    missing = [name for name in about["trained"] if name not in known]
    if missing:
        raise ValueError(f"record: training.trained: the model has no weight {missing[0]!r}")
    if optimizer.block is None and about["undecayed"]:
        optimizer.exclude_from_weight_decay([known[name] for name in about["undecayed"]])
    if about["trained"]:
        optimizer.build([known[name] for name in about["trained"]])
    if sorted(optimizer.state) != about["slots"]:
        raise ValueError(
            f"record: training.slots: expected {sorted(optimizer.state)} for {optimizer.name}, got {about['slots']}"
        )
    places = tensors(optimizer, about["trained"])
    given = {name for name in entries if name.startswith(PREFIX)}
    if given != places.keys():
        name = min(given ^ places.keys())
        raise ValueError(f"{name}: the tensor is {'unknown' if name in given else 'missing'}")
    for name, place in places.items():
        check_tensor(name, entries[name], place)


def restore(model: Model, optimizer: Optimizer | None, about: Mapping[str, Any], file: Reader) -> None:
    """Set the state, which :func:`build` has allocated."""
    drawing = _drawing(model)
    if drawing.keys() != about["random"].keys():
        raise ValueError(f"record: training.random: expected keys for {sorted(drawing)}, got {sorted(about['random'])}")
    for path, layer in drawing.items():
        layer.key = about["random"][path]
    # Keys are part of the instructions of programs.
    invalidate_programs()
    model._train_state.position.restore(about["key"], about["epoch"], about["batch"])
    if optimizer is None or about["iterations"] is None:
        return
    for name, place in _parts(optimizer, about["trained"]):
        file.read(name, place)
    optimizer.iterations = about["iterations"]
    if about["learning_rate"] is not None:
        optimizer.learning_rate = about["learning_rate"]


def _trained(optimizer: Optimizer) -> list[Parameter]:
    return [] if optimizer.block is None else optimizer.block.parameters


def _drawing(model: Model) -> dict[str, Any]:
    """Return the layers that draw random numbers from a key of their own, by path."""
    return {path: layer for path, layer in layers_by_path(model).items() if type(getattr(layer, "key", None)) is int}
