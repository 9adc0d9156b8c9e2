"""The one place where models reach the packages built on them: files, export and thinning, imported when called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbnet.base.validation import check_choice
from nbnet.ops import convert_to_tensor

if TYPE_CHECKING:
    from nbnet.saving import load_model as load_model


def saving_module() -> Any:
    """Return :mod:`nbnet.saving`."""
    from nbnet import saving

    return saving


def save_model(model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Write a model to a file: see :func:`nbnet.saving.save_model`."""
    from nbnet.saving import save_model

    save_model(model, filepath, overwrite, include_optimizer)


def save_weights(layer: Any, filepath: Any, overwrite: bool) -> None:
    """Write weights to a file: see :func:`nbnet.saving.save_weights`."""
    from nbnet.saving import save_weights

    save_weights(layer, filepath, overwrite)


def load_weights(layer: Any, filepath: Any, skip_mismatch: bool, by_name: bool) -> None:
    """Set weights from a file: see :func:`nbnet.saving.load_weights`."""
    from nbnet.saving import load_weights

    load_weights(layer, filepath, skip_mismatch, by_name)


def graph_from_keras(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the inputs and outputs that nodes in Keras's form describe."""
    from nbnet.saving.models import graph_from_keras

    return graph_from_keras(config)


def model_to_keras(model: Any) -> dict[str, Any]:
    """Return the configuration of a model in Keras's form."""
    from nbnet.saving.models import model_to_keras

    return model_to_keras(model)


def model_from_keras(record: Mapping[str, Any]) -> Any:
    """Return the model that a configuration in Keras's form describes, compiled as it says."""
    from nbnet.saving.models import model_from_keras

    return model_from_keras(record)


def save_training_state(model: Any, path: Path, callbacks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the weights and the state of a training to a file: see :func:`nbnet.saving.models.save_state`."""
    from nbnet.saving.models import save_state

    save_state(model, path, callbacks)


def load_training_state(model: Any, path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Restore a training from a file: see :func:`nbnet.saving.models.load_state`."""
    from nbnet.saving.models import load_state

    return load_state(model, path)


def compile_config(model: Any) -> dict[str, Any] | None:
    """Return the arguments of ``compile``, as plain data."""
    from nbnet.saving.models import compile_config

    return compile_config(model)


def compile_from_config(model: Any, config: Mapping[str, Any]) -> None:
    """Compile a model with the arguments that :func:`compile_config` returned."""
    from nbnet.saving.models import compile_from_config

    compile_from_config(model, config)


def export(model: Any, *arguments: Any) -> None:
    """Write a model as an ONNX file: see :func:`nbnet.export.export`."""
    from nbnet.export import export

    export(model, *arguments)


def thin(model: Any, masks: Mapping[str, Any]) -> Any:
    """Return the smaller model that masks leave: see :func:`nbnet.thinning.thin`."""
    from nbnet.thinning import thin

    return thin(model, masks)


def merge(model: Any, thinned: Any, masks: Mapping[str, Any] | None) -> None:
    """Write the weights of a smaller model back: see :func:`nbnet.thinning.merge`."""
    from nbnet.thinning import merge

    merge(model, thinned, masks)


# ---- the tree of all variables ----


def _variables(model: Any) -> dict[str, list[tuple[str, Any]]]:
    """Return paths and variables by their kind."""
    optimizer = [] if model.optimizer is None else model.optimizer.variables
    return {
        "trainable_variables": [(v.path, v) for v in model.trainable_variables],
        "non_trainable_variables": [(v.path, v) for v in model.non_trainable_variables],
        "optimizer_variables": [(v.path, v) for v in optimizer],
        "metrics_variables": [(f"{m.name}/{v.name}", v) for m in model.metrics for v in m.variables],
    }


def state_tree(model: Any, value_format: str) -> dict[str, Any]:
    """Return values of all variables as dicts in dicts; see :meth:`nbnet.Model.get_state_tree`."""
    check_choice(value_format, "value_format", ["backend_tensor", "numpy_array"])
    tree: dict[str, Any] = {}
    for kind, variables in _variables(model).items():
        place_of = tree[kind] = {}
        for path, variable in variables:
            *folders, name = path.split("/")
            place: dict[str, Any] = place_of
            for folder in folders:
                place = place.setdefault(folder, {})
            if name in place:
                raise ValueError(f"model: two variables of {model.name} have the path {path!r}")
            place[name] = variable.numpy() if value_format == "numpy_array" else convert_to_tensor(variable.numpy())
    return tree


def set_state_tree(model: Any, tree: Mapping[str, Any]) -> None:
    """Assign variables from dicts in dicts; see :meth:`nbnet.Model.set_state_tree`."""
    known = {kind: dict(variables) for kind, variables in _variables(model).items()}
    assigned: list[tuple[Any, Any]] = []

    def walk(part: Any, kind: str, path: str) -> None:
        for name, value in part.items():
            if isinstance(value, Mapping):
                walk(value, kind, f"{path}{name}/")
            elif f"{path}{name}" not in known[kind]:
                raise ValueError(f"state_tree: {model.name} has no variable {path + name!r} among its {kind}")
            else:
                assigned.append((known[kind][f"{path}{name}"], value))

    for kind, part in tree.items():
        if kind not in known:
            raise ValueError(f"state_tree: expected some of {list(known)}, got {kind!r}")
        walk(part, kind, "")
    for variable, value in assigned:
        variable.assign(value)
