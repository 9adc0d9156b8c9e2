"""From the ``model`` of an estimator to a model that the estimator alone holds."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nbnet.config import standardize_dtype
from nbnet.custom_objects import custom_object_scope, kept_objects
from nbnet.data.sparse import is_sparse
from nbnet.estimators.routing import SEPARATOR, argument_names
from nbnet.layers.serialization import deserialize, serialize
from nbnet.models.model import Model

Array = NDArray[Any]


def facts_about(X: Any, y: Any, facts: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """What a function that builds a model may ask for by the names of its arguments.

    Parameters
    ----------
    X, y
        Checked data; y may be None.
    facts
        About the target.
    dtype
        What the model is to compute in; None: the default of nbnet.

    Returns
    -------
    dict
        ``input_shape`` and ``n_features_in`` of a row, ``dtype``, the facts, and ``meta``: a dict of them under the
        names that SciKeras has for them (``"n_features_in_"``, ``"n_classes_"``, ``"target_type_"`` ...).
    """
    found = {
        "input_shape": tuple(X.shape[1:]),
        "n_features_in": int(X.shape[1]),
        "dtype": standardize_dtype(dtype).name,
        **facts,
    }
    meta = {f"{name}_": found[name] for name in found.keys() - {"input_shape", "dtype"}}
    meta |= {"X_shape_": X.shape, "X_dtype_": X.dtype, "n_outputs_expected_": 1}
    if y is not None:
        meta |= {"y_dtype_": y.dtype, "y_ndim_": y.ndim}
    return found | {"meta": meta}


def built(function: Callable[..., Any], arguments: Mapping[str, Any], facts: Mapping[str, Any], dtype: Any) -> Model:
    """The model that a function or class makes.

    Parameters
    ----------
    arguments
        For the function; they come before facts of the same name.
    facts
        Those it has arguments for are handed over.

    Raises
    ------
    TypeError
        If it makes no model, or ``function`` cannot be called.
    """
    if not callable(function):
        raise TypeError(f"model: wants a model or a function that returns one, got {function!r}")
    names = argument_names(function, named_only=True)
    # An argument that is an object, an initializer or a layer, is not shared by models.
    given = {name: facts[name] for name in names or () if name in facts} | copy.deepcopy(dict(arguments))
    made = function(**given)
    if not isinstance(made, Model):
        raise TypeError(f"model: wants a function that returns a model, got {made!r} from {function!r}")
    if dtype is None or made.dtype == standardize_dtype(dtype):
        return made
    again = renewed(made, {}, dtype)
    again._objective, again.optimizer = made._objective, made.optimizer
    return again


def taken(model: Model, changes: Mapping[str, Any], dtype: Any) -> Model:
    """A copy of a model with its weights.

    Parameters
    ----------
    changes, dtype
        As for :func:`renewed`.
    """
    if not changes and (dtype is None or model.dtype == standardize_dtype(dtype)):
        return copy.deepcopy(model)
    made = renewed(model, changes, dtype)
    made.set_weights(model.get_weights())
    return made


def renewed(model: Model, changes: Mapping[str, Any], dtype: Any) -> Model:
    """A model with the same layers and new weights; not compiled.

    Parameters
    ----------
    changes
        By ``layer__setting``: what is to be different.
    dtype
        What it is to compute in; None: the same.

    Raises
    ------
    TypeError
        If its configuration does not say what its constructor wants.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.building import renewed
    >>> model = nb.Sequential([nb.Input((2,)), nb.layers.Dense(3, name="hidden"), nb.layers.Dense(1)])
    >>> renewed(model, {"hidden__units": 5}, "float64").count_params(), model.count_params()
    (21, 13)
    """
    with kept_objects() as mine:
        described = serialize(model)
    wanted: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        name, _, setting = path.partition(SEPARATOR)
        wanted.setdefault(name, {})[setting] = value
    described = _edited(described, wanted, None if dtype is None else standardize_dtype(dtype).name)
    try:
        with custom_object_scope(mine):
            made = cast(Model, deserialize(described))
    except TypeError as error:
        raise TypeError(
            f"model: {model.name} cannot be made anew from its configuration ({error}); define its get_config, or give "
            "the class, or a function that makes the model"
        ) from error
    if not made.built and (shapes := model.get_build_config()) is not None:
        made.build_from_config(shapes)
    return made


def _edited(described: Any, changes: Mapping[str, Mapping[str, Any]], dtype: str | None) -> Any:
    """A description of layers with other settings, and another dtype wherever floats are."""
    if isinstance(described, list):
        return [_edited(part, changes, dtype) for part in described]
    if not isinstance(described, Mapping):
        return described
    edited = {key: _edited(part, changes, dtype) for key, part in described.items()}
    config = edited.get("config")
    if "class_name" in edited and isinstance(config, dict):
        if dtype is not None and config.get("dtype") in ("float32", "float64"):
            config["dtype"] = dtype
        config.update(changes.get(config.get("name", ""), {}))
    return edited


# ---- what goes in, and what comes out ----


def feed(model: Model, X: Any) -> Any:
    """Features as the inputs of a model take them.

    Rows of numbers become what the input is shaped like, an image for example, and are dealt out to several inputs in
    their order.

    Raises
    ------
    ValueError
        If their number does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> from nbnet.estimators.building import feed
    >>> model = nb.Sequential([nb.Input((8, 8, 1)), nb.layers.Flatten(), nb.layers.Dense(2)])
    >>> feed(model, np.zeros((3, 64))).shape
    (3, 8, 8, 1)
    >>> feed(model, np.zeros((3, 65)))
    Traceback (most recent call last):
        ...
    ValueError: X: has rows of shape (65,), and the model sequential... takes (8, 8, 1)
    """
    if model._inputs is None:
        return X
    shapes = model.inputs_known.shapes
    sizes = [_size(shape) for shape in shapes]
    row = tuple(X.shape[1:])
    if len(shapes) > 1:
        if len(row) != 1 or min(sizes) < 0 or sum(sizes) != row[0]:
            raise ValueError(f"X: has rows of shape {row}, and the inputs of {model.name} take {list(shapes)}")
        parts = np.split(_dense(X), np.cumsum(sizes)[:-1], axis=1)
        return [part.reshape(len(part), *shape) for part, shape in zip(parts, shapes, strict=True)]
    (shape,), (size,) = shapes, sizes
    if row == shape or (*row, 1) == shape or row == (*shape, 1):
        return X
    if len(row) == 1 and size == row[0]:
        return _dense(X).reshape(-1, *shape)
    if size >= 0 or len(row) != len(shape):
        raise ValueError(f"X: has rows of shape {row}, and the model {model.name} takes {shape}")
    return X


def _size(shape: tuple[int | None, ...]) -> int:
    """How many numbers a row has; -1 if that is left open."""
    sizes = [n for n in shape if n is not None]
    return math.prod(sizes) if len(sizes) == len(shape) else -1


def _dense(X: Any) -> Array:
    return X.toarray() if is_sparse(X) else np.asarray(X)


def output_width(model: Model, X: Any, flat: bool = False) -> int:
    """Units of the output of a model, which is built for data like these if it is not yet.

    Parameters
    ----------
    flat
        Whether an output of several axes will do; its size is counted.

    Raises
    ------
    ValueError
        If it has several outputs, or rows of several axes.
    """
    if not model.built or model._inputs is None:
        model(_dense(X[:1]))
    if len(names := model.output_names) != 1:
        raise ValueError(f"model: wants one output, {model.name} has {len(names)}: {names}")
    shape = model.output_shape
    while not isinstance(shape, tuple):  # alone in a list or dict
        shape = next(iter(shape.values() if isinstance(shape, dict) else shape))
    shape = shape[1:]
    if len(shape) != 1 and not flat:
        raise ValueError(f"model: wants an output of shape (units,), that of {model.name} has shape {shape}")
    return math.prod(shape)
