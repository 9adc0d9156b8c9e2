"""Translation of configurations: nbnet's to Keras's, and Keras's to nbnet's.

Keras names the module of each class. Classes that only nbnet has, and those that use an argument that only nbnet has,
are written under a registered name, ``nbnet>DropPath``: nbnet reads them, and Keras refuses them as unknown. Classes of
the user's keep the name that :func:`nbnet.saving.register_keras_serializable` gives them. What is read names nothing
but classes of nbnet's and classes that the caller passes or has registered; no module is imported for it, and code in
a file is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbnet import constraints, dropout_schedules, initializers, losses, metrics, optimizers, regularizers
from nbnet.base.constructor import constructor_names, has_own_constructor
from nbnet.base.registry import find, get_registered_name, get_registered_object
from nbnet.layers import serialization
from nbnet.layers.input import InputLayer
from nbnet.layers.layer import Layer
from nbnet.models.call_graph import GRAPH
from nbnet.models.model import Model
from nbnet.models.sequential import Sequential
from nbnet.optimizers.hyperparams import DEFAULTS
from nbnet.saving import keras_graph
from nbnet.saving.keras_weights import all_layers

#: Keras's modules by kind, and nbnet's classes.
_MODULES: dict[str, str] = {
    "layer": "keras.layers", "initializer": "keras.initializers", "regularizer": "keras.regularizers",
    "constraint": "keras.constraints", "loss": "keras.losses", "metric": "keras.metrics",
    "optimizer": "keras.optimizers", "schedule": "keras.optimizers.schedules", "dropout_schedule": "",
}  # fmt: skip
#: Kinds of the objects in arguments, by the last word of the argument.
_KINDS = {
    "initializer": "initializer", "regularizer": "regularizer", "constraint": "constraint", "loss": "loss",
    "losses": "loss", "metrics": "metric", "optimizer": "optimizer", "rate": "schedule", "layer": "layer",
    "layers": "layer",
}  # fmt: skip
#: Classes that Keras lacks.
_OWN_CLASSES = frozenset((
    "ConcreteDropout", "DropBlock2D", "DropConnectDense", "DropPath", "FeatureSpace", "LossMetric", "Masksembles",
    "MeanLoss", "OneCycle", "PutUnits", "StandoutDense", "TakeUnits", "VariationalDense", "VariationalDropout",
))  # fmt: skip
#: Arguments that Keras lacks, by class, with the value that stands for Keras's behaviour.
_OWN_ARGUMENTS: dict[str, dict[str, Any]] = {"Dropout": {"batchwise": False}}
#: The same by kind.
_OWN_EVERYWHERE = {"optimizer": {"lazy": False}}
#: Arguments that classes of Keras's do not take; there they change nothing.
_REFUSED = {name: ("trainable",) for name in (
    "Discretization", "HashedCrossing", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
)}  # fmt: skip
#: Values of Keras's arguments that nbnet lacks, and that change nothing.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "renorm_momentum": (0.99,), "decay": (0.0,), "jit_compile": (True, "auto"), "is_legacy_optimizer": (True,),
    "loss_scale_factor": (1.0,), "dtype": ("float32", "float64"), "groups": (1,), "implementation": (1, 2),
    "data_format": ("channels_last",), "epsilon": (1e-7,), "synchronized": (), "axis": (-1,),
    "reduction": ("sum_over_batch_size", "auto"), "initial_decay": (0.0,), "momentum": (0.0,),
    "use_legacy_format": (True,), "steps_per_execution": (1,),
}  # fmt: skip
#: Names of classes in older versions of Keras.
_RENAMED = {
    "Functional": "Model", "RMSProp": "RMSprop", "SpatialDropout": "SpatialDropout2D", "HeNormalV2": "HeNormal",
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
}  # fmt: skip
#: Entries of a configuration that describe its graph.
_NODES = frozenset(("layers", "input_layers", "output_layers"))
#: Kinds by Keras's module.
_BY_MODULE = {module: kind for kind, module in _MODULES.items() if module}


# ---- nbnet's configurations to Keras's ----


def layer_to_keras(layer: Layer) -> dict[str, Any]:
    """Return Keras's configuration of a layer or model, without weights.

    Raises
    ------
    ValueError, TypeError, NotImplementedError
        If a part of it has no configuration.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.saving.keras_config import layer_to_keras
    >>> found = layer_to_keras(nb.layers.Rescaling(0.5, name="halve"))
    >>> found["module"], found["class_name"], found["config"]["scale"]
    ('keras.layers', 'Rescaling', 0.5)
    """
    if isinstance(layer, InputLayer):
        config = layer.get_config()
        shape = [config.pop("batch_size"), *config.pop("shape")]
        found = {"batch_shape": shape, "dtype": config["dtype"], "sparse": False, "name": config["name"]}
        return _named("InputLayer", found, _MODULES["layer"])
    name = get_registered_name(type(layer))
    if isinstance(layer, Sequential) and type(layer).get_config is Sequential.get_config:
        config = {key: value for key, value in layer.get_config().items() if key != "layers"}
        found = _named(name, config | {"layers": [layer_to_keras(part) for part in all_layers(layer)]}, "keras")
        shape = _built_shape(layer)
        if shape is not None:
            found["config"]["build_input_shape"] = shape
            found["build_config"] = {"input_shape": shape}
        return found
    functional = isinstance(layer, Model) and layer.graph is not None and not has_own_constructor(layer)
    if isinstance(layer, Model) and functional and type(layer).get_config is Model.get_config:
        assert layer.graph is not None
        own = layer.get_config() if type(layer) is not Model else {}
        config = {key: value for key, value in own.items() if key not in GRAPH}
        config |= {"name": layer.name, "trainable": layer.trainable}
        config |= keras_graph.graph_to_keras(layer.graph, layer_to_keras)
        if type(layer) is Model:
            return {
                "module": "keras.src.models.functional", "class_name": "Functional", "config": config,
                "registered_name": "Functional",
            }  # fmt: skip
        return _named(name, config)
    config = {key: _value_to_keras(key, value, getattr(layer, key, None)) for key, value in layer.get_config().items()}
    if name == "Lambda":
        config |= {key: _function(config[key]) for key in ("function", "mask") if config.get(key) is not None}
        if isinstance(config.get("output_shape"), dict):
            config["output_shape"] = _function(config["output_shape"]["function"])
    if name in ("Hashing", "HashedCrossing") and config["output_mode"] == "int":
        config["dtype"] = "int64"
    found = _object_to_keras(name, config, "layer")
    if isinstance(layer, Model):
        build = layer.get_build_config()
        if build is not None:
            found["build_config"] = {"input_shape": _built_shape(layer), "nbnet": build}
    return found


def _built_shape(model: Model) -> Any:
    """Return the shape that a model of one input was built for."""
    if model._inputs is None or not isinstance(model._inputs.template, str):
        return None
    return [None, *model._inputs.shapes[0]]


def compile_to_keras(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return Keras's form of the arguments of ``compile``, of :meth:`nbnet.Model.get_compile_config`."""
    found = {key: _value_to_keras(key, value) for key, value in config.items() if key != "slices"}
    return found | {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": "auto"}


def _value_to_keras(key: str, value: Any, thing: Any = None, kind: str | None = None) -> Any:
    """Return Keras's form of an argument; ``thing`` is the layer that it stands for, if it is one."""
    if isinstance(thing, Layer) and isinstance(value, Mapping):
        return layer_to_keras(thing)
    kind = kind or _KINDS.get(key.rpartition("_")[2])
    if isinstance(value, Mapping):
        if isinstance(value.get("class_name"), str) and "config" in value:
            if kind == "schedule" and key != "learning_rate":
                kind = "dropout_schedule"
            return _dict_to_keras(value, value.get("kind", kind or "layer"))
        return {name: _value_to_keras(name, part, None, kind) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        things = thing if isinstance(thing, (list, tuple)) and len(thing) == len(value) else [None] * len(value)
        return [_value_to_keras(key, part, own, kind) for part, own in zip(value, things, strict=True)]
    if isinstance(value, str) and ">" in value and key.rpartition("_")[2] in ("activation", *_KINDS):
        return _function(value)
    return value


def _dict_to_keras(config: Mapping[str, Any], kind: str) -> Any:
    name, inner = config["class_name"], config["config"]
    if name == "function":
        return _function(inner)
    if name in ("LossFunctionWrapper", "MeanMetricWrapper"):
        # Keras makes these of functions on its own.
        return _function(inner["fn"])
    inner = {key: _value_to_keras(key, value) for key, value in (inner or {}).items()}
    if kind in ("loss", "metric"):
        inner = {key: value for key, value in inner.items() if value is not None or key == "reduction"}
    return _object_to_keras(name, inner, kind)


def _object_to_keras(name: str, config: dict[str, Any], kind: str) -> dict[str, Any]:
    own = _OWN_ARGUMENTS.get(name, {}) | _OWN_EVERYWHERE.get(kind, {})
    changed = any(key in config and config[key] != usual for key, usual in own.items())
    if ">" in name or not _is_built_in(name, kind):
        return _named(name, config)
    if name in _OWN_CLASSES or changed or not _MODULES[kind]:
        return _named(f"nbnet>{name}", config)
    left_out = {*own, *_REFUSED.get(name, ())}
    return _named(name, {key: value for key, value in config.items() if key not in left_out}, _MODULES[kind])


def _named(name: str, config: dict[str, Any], module: str | None = None) -> dict[str, Any]:
    """Return the configuration of a class of Keras's, or by default of another one."""
    registered = None if module is not None else name
    return {
        "module": module, "class_name": name.rpartition(">")[2], "config": config, "registered_name": registered,
    }  # fmt: skip


def _function(name: str) -> dict[str, Any]:
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}


# ---- Keras's configurations to nbnet's ----


def from_keras(config: Any) -> Any:
    """Return nbnet's form of a configuration that Keras, or :func:`layer_to_keras`, wrote.

    Raises
    ------
    ValueError, TypeError
        If it holds code, a class that is unknown, or an argument that nbnet has not and whose value matters.

    Examples
    --------
    >>> from nbnet.saving.keras_config import from_keras
    >>> regularizer = {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.5}}
    >>> from_keras(regularizer | {"registered_name": None})
    {'class_name': 'L2', 'kind': 'regularizer', 'config': {'l2': 0.5}}
    """
    return _from_keras(config, None)


def _from_keras(value: Any, key: str | None) -> Any:
    if isinstance(value, list):
        return [_from_keras(part, key) for part in value]
    if not isinstance(value, dict):
        return value
    name = value.get("class_name")
    if not isinstance(name, str) or "config" not in value:
        return {inner: _from_keras(part, inner) for inner, part in value.items()}
    if name.startswith("__") and name.endswith("__"):
        if name == "__lambda__":
            raise ValueError(
                "a lambda is stored as code, which is not loaded; save a function that is defined with def, and pass "
                "it as custom_objects"
            )
        return value
    if name == "function":
        inner = value["config"]
        label = value.get("registered_name")
        known = label if isinstance(label, str) and get_registered_object(label) is not None else inner
        if not isinstance(known, str):
            raise ValueError(f"function: expected a name, got {str(known)[:60]}")
        return known
    if name in ("DTypePolicy", "FloatDTypePolicy", "Policy"):
        return _policy(value["config"])
    if name == "SeedGenerator":
        return value["config"].get("seed") if isinstance(value["config"], dict) else None
    return _object_from_keras(value, name, key)


def _policy(config: Any) -> Any:
    name = config.get("name") if isinstance(config, dict) else None
    if name in ("int32", "int64"):
        return None  # Of layers whose results are numbers of tokens; the weights of others are floats.
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype: expected the policy 'float32' or 'float64', got {name!r}")
    return name


def _object_from_keras(value: dict[str, Any], name: str, key: str | None) -> dict[str, Any]:
    module, label, config = value.get("module"), value.get("registered_name"), value["config"]
    if config is not None and not isinstance(config, dict):
        raise ValueError(f"{name}: expected an object as config, got {str(config)[:60]}")
    config = config or {}
    cls = _own_class(name, module, label, key)
    if cls is None:
        registered = isinstance(label, str) and get_registered_object(label) is not None
        found = {"class_name": label if registered else name}
        if "input_layers" in config:
            rest = {part: _from_keras(content, part) for part, content in config.items() if part not in _NODES}
            inner = rest | keras_graph.prepared(config, _from_keras)
        else:
            inner = {part: _from_keras(content, part) for part, content in config.items()}
        if not registered and get_registered_object(name) is None:
            raise ValueError(
                f"{label or name}: the class is unknown; pass it as custom_objects={{{label or name!r}: class}}"
            )
    else:
        found = {"class_name": cls.__name__}
        kind = _BY_MODULE.get(module) if isinstance(module, str) else None
        if kind not in (None, "layer") and (key is None or key.rpartition("_")[2] not in _KINDS):
            found["kind"] = str(kind)  # for nbnet.saving.deserialize_keras_object, also in a class of the user's
        if cls is Model and "input_layers" in config:
            inner = keras_graph.prepared(config, _from_keras)
        else:
            config = _adapted(cls, config)
            inner = {part: _from_keras(content, part) for part, content in config.items()}
            inner = _fitting(cls, inner)
        if cls.__name__ == "Lambda" and isinstance(inner.get("output_shape"), str):
            inner["output_shape"] = {"function": inner["output_shape"]}
    return found | {"config": inner}


def _own_class(name: str, module: Any, label: Any, key: str | None) -> type | None:
    """Return the class of nbnet's that a configuration names; None if it names one of the user's."""
    if isinstance(label, str) and get_registered_object(label) is not None:
        return None
    if label == name and get_registered_object(name) is not None:
        return None
    if module is not None and not (isinstance(module, str) and (module == "keras" or module.startswith("keras."))):
        return None
    if module is None and isinstance(label, str) and not label.startswith("nbnet>"):
        return None
    if module is None and label is None and get_registered_object(name) is not None:
        return None  # an older file, without modules
    kinds = [kind for kind, path in _MODULES.items() if path and path == module]
    kinds = kinds or [_KINDS[key.rpartition("_")[2]]] if key and key.rpartition("_")[2] in _KINDS else kinds
    if key == "learning_rate":
        kinds = ["schedule"]
    elif key and key.endswith("rate"):
        kinds = ["dropout_schedule"]
    for kind in [*kinds, *_MODULES]:
        found = find(_RENAMED.get(name, name), _classes(kind))
        if found is not None:
            return found
    return None


def _classes(kind: str) -> Mapping[str, type]:
    """Return nbnet's classes of a kind by name."""
    by_kind: dict[str, Mapping[str, Any]] = {
        "layer": serialization.known, "initializer": initializers._known, "regularizer": regularizers._known,
        "constraint": constraints._known, "loss": losses.known, "metric": metrics._known | metrics._by_class_name,
        "optimizer": optimizers._known, "schedule": optimizers.schedules._known,
        "dropout_schedule": dropout_schedules._known,
    }  # fmt: skip
    return by_kind[kind]


def _is_built_in(name: str, kind: str) -> bool:
    return find(name, _classes(kind)) is not None


def _adapted(cls: type, config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with the names that arguments have today."""
    config = dict(config)
    if issubclass(cls, Sequential):
        config.pop("build_input_shape", None)
        if config.get("layers"):
            config.pop("dtype", None)  # that of the layers; Keras may write another one
    shape = config.pop("batch_input_shape", None)
    if shape is not None and issubclass(cls, InputLayer):
        config["batch_shape"] = shape
    elif isinstance(shape, list):
        config["input_shape"] = shape[1:]
    if "lr" in config and "learning_rate" not in config:
        config["learning_rate"] = config.pop("lr")
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    return config


def _fitting(cls: type, config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without arguments that the class has not; raise ValueError if the value of one matters."""
    known = _accepted(cls)
    found = {}
    for name, value in config.items():
        if name in known:
            found[name] = value
        elif value is not None and value is not False and value not in _NEUTRAL.get(name, ()):
            raise ValueError(f"{cls.__name__}: {name}={str(value)[:60]} is not supported")
    return found


def _accepted(cls: type) -> frozenset[str]:
    """Return the names of the arguments that a class takes."""
    return constructor_names(cls) | ({*DEFAULTS, "name"} if issubclass(cls, optimizers.Optimizer) else set())


def compile_from_keras(config: Any) -> dict[str, Any] | None:
    """Return nbnet's form of the arguments of ``compile`` in a file of Keras's."""
    if not isinstance(config, dict) or "optimizer" not in config:
        return None
    wanted = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
    found = {key: _from_keras(config.get(key), key) for key in wanted}
    if isinstance(found["optimizer"], str):
        found["optimizer"] = {"class_name": found["optimizer"], "config": {}}
    if isinstance(config.get("run_eagerly"), bool) and config["run_eagerly"]:
        found["run_eagerly"] = True
    return found
