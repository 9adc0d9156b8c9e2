"""Models that the wrappers train: built or copied from the parameter ``model``, compiled, and fed with data."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from nbnet import losses, optimizers
from nbnet.base.registry import custom_object_scope, kept_objects
from nbnet.base.uninterrupted import apart
from nbnet.callbacks.callback import Callback
from nbnet.config import standardize_dtype
from nbnet.data.sparse import is_sparse
from nbnet.estimators import routing
from nbnet.estimators.base import Array
from nbnet.estimators.decoding import last_activation
from nbnet.estimators.routing import SEPARATOR, RoutedParameters, is_automatic
from nbnet.estimators.targets import Task
from nbnet.layers.serialization import deserialize, serialize
from nbnet.models.model import Model

# ---- build ----


def model_facts(X: Any, y: Any, facts: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """Return the facts that a function which builds a model may request by the names of its arguments.

    They are ``input_shape`` and ``n_features_in`` of a row, ``dtype``, ``facts`` about the target, and ``meta``: a dict
    of them under the names that SciKeras uses (``"n_features_in_"``, ``"n_classes_"``, ``"target_type_"`` ...).
    """
    shape, name = tuple(X.shape[1:]), standardize_dtype(dtype).name
    found = {"input_shape": shape, "n_features_in": int(X.shape[1]), "dtype": name, **facts}
    meta = {f"{name}_": found[name] for name in found.keys() - {"input_shape", "dtype"}}
    meta |= {"X_shape_": X.shape, "X_dtype_": X.dtype, "n_outputs_expected_": 1}
    if y is not None:
        meta |= {"y_dtype_": y.dtype, "y_ndim_": y.ndim}
    return found | {"meta": meta}


def build_model(
    function: Callable[..., Any], arguments: Mapping[str, Any], facts: Mapping[str, Any], dtype: Any
) -> Model:
    """Return the model that a function or class makes from arguments, and from those facts it has arguments for.

    Raise TypeError if ``function`` is not callable, or does not return a model.
    """
    if not callable(function):
        raise TypeError(f"model: expected a model or a function that returns one, got {function!r}")
    names = routing.argument_names(function, named_only=True)
    # Models must not share an argument that is an object, such as an initializer or a layer.
    given = {name: facts[name] for name in names or () if name in facts} | copy.deepcopy(dict(arguments))
    model = function(**given)
    if not isinstance(model, Model):
        raise TypeError(f"model: expected a function that returns a model, got {model!r} from {function!r}")
    if dtype is None or model.dtype == standardize_dtype(dtype):
        return model
    converted = rebuild_model(model, {}, dtype)
    converted._train_state.objective, converted.optimizer = model._train_state.objective, model.optimizer
    return converted


def copy_model(model: Model, changes: Mapping[str, Any], dtype: Any) -> Model:
    """Return a copy of a model with its weights; ``changes`` and ``dtype`` are those of :func:`rebuild_model`."""
    if not changes and (dtype is None or model.dtype == standardize_dtype(dtype)):
        return copy.deepcopy(model)
    copied = rebuild_model(model, changes, dtype)
    copied.set_weights(model.get_weights())
    return copied


@apart
def rebuild_model(model: Model, changes: Mapping[str, Any], dtype: Any) -> Model:
    """Return a model with the same layers and new weights, not compiled.

    ``changes`` are new settings by ``layer__setting``; ``dtype`` None keeps the dtype. Raise TypeError if the model's
    configuration lacks arguments of its constructor.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.model_factory import rebuild_model
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3, name="hidden"), nb.layers.Dense(1)])
    >>> rebuild_model(model, {"hidden__units": 5}, "float64").count_params(), model.count_params()
    (21, 13)
    """
    with kept_objects() as objects:
        config = serialize(model)
    by_layer: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        name, _, setting = path.partition(SEPARATOR)
        by_layer.setdefault(name, {})[setting] = value
    config = _edited(config, by_layer, None if dtype is None else standardize_dtype(dtype).name)
    try:
        with custom_object_scope(objects):
            rebuilt = cast(Model, deserialize(config))
    except TypeError as error:
        raise TypeError(
            f"model: {model.name} cannot be rebuilt from its configuration ({error}); define its get_config, or give "
            "the class, or a function that makes the model"
        ) from error
    if not rebuilt.built and (shapes := model.get_build_config()) is not None:
        rebuilt.build_from_config(shapes)
    return rebuilt


def _edited(config: Any, changes: Mapping[str, Mapping[str, Any]], dtype: str | None) -> Any:
    """Return a serialized model with other settings of its layers, and another dtype wherever it has floats."""
    if isinstance(config, list):
        return [_edited(part, changes, dtype) for part in config]
    if not isinstance(config, Mapping):
        return config
    edited = {key: _edited(part, changes, dtype) for key, part in config.items()}
    settings = edited.get("config")
    if "class_name" in edited and isinstance(settings, dict):
        if dtype is not None and settings.get("dtype") in ("float32", "float64"):
            settings["dtype"] = dtype
        settings.update(changes.get(settings.get("name", ""), {}))
    return edited


# ---- compile ----


def compile_model(
    estimator: RoutedParameters, model: Model, source: Model, task: Task, width: int
) -> losses.Loss | None:
    """Compile a model as an estimator's parameters say, and by default as ``source``, perhaps the same, is compiled.

    The task determines the default loss for a model with ``width`` output units. Return the loss; None if the model's
    own ``train_step`` computes it. Raise ValueError if the model cannot learn the task by the loss.
    """
    settings = _compile_settings(source)
    loss = _loss(estimator, settings, model, task, width)
    task.check(width, loss)
    optimizer = _optimizer(estimator, source)
    metrics = estimator.metrics
    if metrics is not None:
        settings["metrics"] = [metrics] if isinstance(metrics, str) else copy.deepcopy(metrics)
    settings |= {"optimizer": optimizer, "loss": loss} | estimator.routed("compile")
    model.compile(**settings)
    return loss


def _compile_settings(model: Model) -> dict[str, Any]:
    """Return the arguments a model was compiled with, except the optimizer."""
    if model.optimizer is None or model._train_state.objective is None:
        return {}
    objective = copy.deepcopy(model._train_state.objective)
    return {name: getattr(objective, name) for name in ("loss", "loss_weights", "metrics", "weighted_metrics")}


def _loss(
    estimator: RoutedParameters, settings: Mapping[str, Any], model: Model, task: Task, width: int
) -> losses.Loss | None:
    given = estimator.loss
    if is_automatic(given):
        if "loss" not in settings:
            task.check(width, None)
            given = task.loss(width, last_activation(model))
        else:
            given = settings["loss"]
            if isinstance(given, (list, dict)) and len(given) == 1:
                given = next(iter(given.values() if isinstance(given, dict) else given))
    if given is None:
        return None
    loss, changes = losses.as_loss(given), estimator.routed("loss")
    return cast(losses.Loss, _changed(loss, changes, "loss", loss.name)) if changes else loss


def _optimizer(estimator: RoutedParameters, source: Model) -> optimizers.Optimizer:
    given = estimator.optimizer
    if is_automatic(given):
        given = source.optimizer or "adam"
    found = optimizers.as_optimizer(given)
    # Always a copy: an optimizer in use belongs to the weights it trains.
    copied: optimizers.Optimizer = _changed(found, estimator.routed("optimizer"), "optimizer", type(found).__name__)
    if (pattern := found._excluded[1]) is not None:
        copied.exclude_from_weight_decay(var_names=[pattern.pattern])
    return copied


@apart
def _changed(thing: Any, changes: Mapping[str, Any], prefix: str, owner: str) -> Any:
    """Return a copy with other settings."""
    with kept_objects() as objects:
        config = thing.get_config()
    for name in changes:
        routing.check_name(f"{prefix}{SEPARATOR}{name}", name, owner, config)
    with custom_object_scope(objects):
        return type(thing).from_config({**config, **changes})


def copy_callbacks(given: Any, settings: Mapping[str, Any]) -> list[Callback]:
    """Return callbacks of one fit: copies, so that fits share nothing.

    ``given`` is a callback, a class of callbacks, a list of them, or a dict by name; ``settings`` are values by
    ``name__setting``, or by ``setting`` if there is only one callback.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.model_factory import copy_callbacks
    >>> copy_callbacks({"stop": nb.callbacks.EarlyStopping}, {"stop__patience": 3})[0].patience
    3
    """
    single = isinstance(given, (Callback, type))
    copies = []
    for name, callback in routing.named_callbacks(given).items():
        head = "" if single else name + SEPARATOR
        own = {key[len(head) :]: value for key, value in settings.items() if key.startswith(head)}
        if isinstance(callback, type):
            copies.append(callback(**own))
            continue
        # The model of an earlier fit is not copied.
        copied = copy.deepcopy(callback, {id(callback._model): None})
        for key, value in own.items():
            setattr(copied, key, value)
        copies.append(copied)
    return copies


# ---- inputs and outputs ----


def feed(model: Model, X: Any) -> Any:
    """Return features in the shape of a model's inputs.

    Rows of numbers are reshaped to the input, an image for example, and split between several inputs in their order.
    Raise ValueError if their number does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> from nbnet.estimators.model_factory import feed
    >>> model = nb.Sequential([nb.Input((8, 8, 1)), nb.layers.Flatten(), nb.layers.Dense(2)])
    >>> feed(model, np.zeros((3, 64))).shape
    (3, 8, 8, 1)
    >>> feed(model, np.zeros((3, 65)))
    Traceback (most recent call last):
        ...
    ValueError: X: expected rows of shape (8, 8, 1), as the model sequential... has, got (65,)
    """
    if model._inputs is None:
        return X
    shapes = model.inputs_known.shapes
    sizes = [_size(shape) for shape in shapes]
    row = tuple(X.shape[1:])
    if len(shapes) > 1:
        if len(row) != 1 or min(sizes) < 0 or sum(sizes) != row[0]:
            raise ValueError(f"X: expected rows for inputs of shapes {list(shapes)} of {model.name}, got shape {row}")
        parts = np.split(_dense(X), np.cumsum(sizes)[:-1], axis=1)
        return [part.reshape(len(part), *shape) for part, shape in zip(parts, shapes, strict=True)]
    (shape,), (size,) = shapes, sizes
    if row == shape or (*row, 1) == shape or row == (*shape, 1):
        return X
    if len(row) == 1 and size == row[0]:
        return _dense(X).reshape(-1, *shape)
    if size >= 0 or len(row) != len(shape):
        raise ValueError(f"X: expected rows of shape {shape}, as the model {model.name} has, got {row}")
    return X


def _size(shape: tuple[int | None, ...]) -> int:
    """Return the number of values in a row; -1 if a dimension is unknown."""
    sizes = [n for n in shape if n is not None]
    return math.prod(sizes) if len(sizes) == len(shape) else -1


def _dense(X: Any) -> Array:
    return cast(Array, X.toarray()) if is_sparse(X) else np.asarray(X)


def output_width(model: Model, X: Any, flat: bool = False) -> int:
    """Return the output units of a model, which is built for these data if it is not built yet.

    Raise ValueError if the model has several outputs, or an output of several axes; if ``flat`` is True, return the
    size of the latter.
    """
    if not model.built or model._inputs is None:
        model(_dense(X[:1]))
    if len(names := model.output_names) != 1:
        raise ValueError(f"model: expected one output, {model.name} has {len(names)}: {names}")
    shape = model.output_shape
    while not isinstance(shape, tuple):  # alone in a list or dict
        shape = next(iter(shape.values() if isinstance(shape, dict) else shape))
    shape = shape[1:]
    if len(shape) != 1 and not flat:
        raise ValueError(f"model: expected an output of shape (units,), that of {model.name} has shape {shape}")
    return math.prod(shape)
