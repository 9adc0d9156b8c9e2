"""Older versions of Keras: what their arguments and methods are called today, how classes take them, and the layers
and functions of theirs that are more than another name.

A class that is reached through ``keras`` gets a constructor that translates old arguments first; models get their old
methods. :func:`restore_classes` undoes all of it.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from nbnet import layers, ops, utils
from nbnet.as_keras.places import attribute, warn_old
from nbnet.as_keras.tf import tensors
from nbnet.base.tree import flatten
from nbnet.callbacks import Callback, ModelCheckpoint, TensorBoard
from nbnet.callbacks.callback import CallbackList, History
from nbnet.datasets import imdb, reuters
from nbnet.engine.graph.symbolic import Symbol
from nbnet.engine.graph.tensor import Tensor
from nbnet.layers.layer import Layer
from nbnet.metrics import Metric
from nbnet.models import Model
from nbnet.optimizers import Optimizer
from nbnet.optimizers.schedules import OLD_DECAY, InverseTimeDecay

Arguments = dict[str, Any]

#: Arguments of layers, by those of today.
_LAYERS = {
    "output_dim": "units", "p": "rate", "sigma": "stddev", "init": "kernel_initializer", "bias": "use_bias",
    "W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer", "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint", "border_mode": "padding", "subsample": "strides",
    "subsample_length": "strides", "nb_filter": "filters", "filter_length": "kernel_size",
    "pool_length": "pool_size",
    "stride": "strides", "dim_ordering": "data_format", "atrous_rate": "dilation_rate",
    "batch_input_shape": "batch_shape",
    "beta_init": "beta_initializer", "gamma_init": "gamma_initializer", "concat_axis": "axis", "dot_axes": "axes",
}  # fmt: skip
#: Arguments that some classes take under these very names, or call otherwise.
_OWN: dict[str, dict[str, str | None]] = {
    "Embedding": {"output_dim": None, "init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer",
                  "W_constraint": "embeddings_constraint"},
    "LeakyReLU": {"alpha": "negative_slope"},
    "ReLU": {"alpha": "negative_slope"},
    "PReLU": {"init": "alpha_initializer"},
    "InputLayer": {"input_shape": "shape", "batch_input_shape": "batch_shape"},
    "MaxNorm": {"m": "max_value"},
    "L1": {"l": "l1"},
    "L2": {"l": "l2"},
    "ReduceLROnPlateau": {"epsilon": "min_delta"},
    "Constant": {"c": "value"},
    "RandomNormal": {"scale": "stddev"},
}  # fmt: skip
#: Arguments that change nothing here: what they did belongs to TensorFlow, or has become the only way.
_IGNORED = {
    "RandomNormal": ("name",),
    "RandomUniform": ("name",),
    "BatchNormalization": ("mode", "fused", "renorm", "virtual_batch_size"),
    "ModelCheckpoint": ("period", "load_weights_on_restart", "options"),
    "TensorBoard": ("batch_size", "write_grads", "write_images", "embeddings_layer_names", "embeddings_data"),
}
_OPTIMIZERS = {"lr": "learning_rate", "beta1": "beta_1", "beta2": "beta_2"}
#: Arguments of methods of models.
_METHODS: dict[str, dict[str, str | None]] = {
    "fit": {"nb_epoch": "epochs", "nb_worker": None, "show_accuracy": None},
    "compile": {"class_mode": None, "sample_weight_mode": None, "theano_mode": None},
}
#: Arguments of methods that chose threads or processes for generators: nothing depends on them here.
_WORKERS = ("workers", "use_multiprocessing", "max_queue_size", "max_q_size", "pickle_safe", "nb_worker")
#: Names of metrics in logs, with that of other versions.
_PAIRS = (("acc", "accuracy"), ("mae", "mean_absolute_error"), ("mse", "mean_squared_error"))

#: What was put into classes: ``(class, name, what it had itself)``.
_changed: list[tuple[type, str, Any]] = []
_adapted: set[type] = set()
_NOTHING = object()


def adapt_class(value: Any) -> Any:
    """Return the value; if it is a class that took other arguments once, its constructor takes them, too."""
    if isinstance(value, type) and value.__module__.startswith("nbnet.") and value not in _adapted:
        _adapted.add(value)
        if issubclass(value, Layer) and not issubclass(value, Model):
            _put(value, "__init__", _translating(value.__init__, value.__name__, _layer_arguments))
        elif issubclass(value, Optimizer):
            _put(value, "__init__", _translating(value.__init__, value.__name__, _optimizer_arguments))
        elif issubclass(value, Metric):
            _put(value, "result", tensors.with_numpy(value.result))
        elif issubclass(value, ModelCheckpoint):
            _put(value, "__init__", _of_any_name(_translating(value.__init__, "ModelCheckpoint", _renamed_arguments)))
        elif value.__name__ in _OWN or value.__name__ in _IGNORED:
            _put(value, "__init__", _translating(value.__init__, value.__name__, _renamed_arguments))
    return value


def adapt_models() -> None:
    """Give models the methods, and methods the arguments, of older versions."""
    for name in ("fit", "compile", "evaluate", "predict"):
        _put(Model, name, _translating_method(getattr(Model, name), name))
    for name, method in _OLD_METHODS.items():
        if not hasattr(Model, name):
            _put(Model, name, method)
    _put(Model, "__init__", _translating(Model.__init__, "Model", _model_arguments))
    for kind in (Tensor, Symbol):
        _put(kind, "get_shape", tensors.get_shape)
        _put(kind, "shape", tensors.with_methods(vars(kind).get("shape")))
    _put(Tensor, "assign", tensors.assign_part)
    for name in ("save", "save_weights", "load_weights"):
        _put(Model, name, _of_any_file(name, getattr(Model, name)))
    for owner in (Layer, Model):
        _put(owner, "build_for", tensors.with_shapes(owner.build_for))
        _put(owner, "add_loss", _adding_loss(owner.add_loss))
    for name in ("input_shape", "output_shape"):
        _put(Layer, name, property(functools.partial(tensors.shape_of, name.removesuffix("_shape"))))
    for name in ("input", "output"):
        _put(Layer, f"get_{name}_at", functools.partialmethod(tensors.symbol_at, name))
        _put(Layer, f"get_{name}tensors.shape_at", functools.partialmethod(tensors.shape_at, name))
    _put(Metric, "add_weight", _name_first(Metric.add_weight))
    _put(Metric, "reset_states", _reset_states)
    _put(Callback, "model", property(_callback_model, lambda callback, model: Callback.set_model(callback, model)))
    _put(Optimizer, "lr", property(_get_rate, _set_rate))
    _put(Optimizer, "apply_gradients", _for_any_weights(Optimizer.apply_gradients))
    for name in ("add_weight", "add_variable"):
        _put(Layer, name, _name_first(getattr(Layer, name)))
    _put(CallbackList, "call", _with_both_names(CallbackList.call))
    _put(layers.Lambda, "call", _knowing_rows(layers.Lambda.call))


def restore_classes() -> None:
    """Undo what :func:`adapt_class` and :func:`adapt_models` did."""
    while _changed:
        kind, name, own = _changed.pop()
        if own is _NOTHING:
            delattr(kind, name)
        else:
            setattr(kind, name, own)
    _adapted.clear()


def _put(kind: type, name: str, value: Any) -> None:
    _changed.append((kind, name, vars(kind).get(name, _NOTHING)))
    setattr(kind, name, value)


# ---- constructors ----


def _translating(init: Callable[..., None], name: str, translate: Callable[[str, Arguments], Any]) -> Any:
    known = _parameters(init)

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        # A name that the constructor has today means what it means today.
        if all(key in known for key in kwargs):
            init(self, *args, **kwargs)
            return
        after = translate(name, kwargs)
        init(self, *args, **kwargs)
        if after is not None:
            after(self)

    return wrapper


def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    code = getattr(function, "__code__", None)
    return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ())


def _rename(name: str, kwargs: Arguments, table: Mapping[str, str | None]) -> None:
    for old in [key for key in kwargs if key in table]:
        today = table[old]
        if today is not None and today not in kwargs:
            warn_old(f"{name}({old}=...)", f"{today}=...")
            kwargs[today] = kwargs.pop(old)


def _drop(name: str, kwargs: Arguments, names: tuple[str, ...]) -> None:
    for old in names:
        if old in kwargs:
            del kwargs[old]
            warn_old(f"{name}({old}=...)", "gone: it changes nothing here")


def _renamed_arguments(name: str, kwargs: Arguments) -> None:
    _drop(name, kwargs, _IGNORED.get(name, ()))
    _rename(name, kwargs, _OWN.get(name, {}))


def _layer_arguments(name: str, kwargs: Arguments) -> Any:
    shape = kwargs.get("batch_input_shape")
    if shape is not None and name != "InputLayer":
        # All but the first number is the shape of a sample.
        del kwargs["batch_input_shape"]
        kwargs["input_shape"] = tuple(shape)[1:]
    if name == "Embedding" and (length := kwargs.pop("input_length", None)) is not None:
        warn_old("Embedding(input_length=...)", "keras.Input((length,)) before the layer")
        kwargs.setdefault("input_shape", (int(length),) if isinstance(length, (int, np.integer)) else tuple(length))
    if name == "Embedding" and kwargs.pop("dropout", 0):
        warn_old("Embedding(dropout=...)", "a SpatialDropout1D behind the layer; it is left out, as in Keras 2")
    _drop(name, kwargs, _IGNORED.get(name, ()))
    _rename(name, kwargs, _LAYERS | _OWN.get(name, {}))
    if kwargs.get("data_format") in ("tf", "th", "default"):
        kwargs["data_format"] = {"tf": "channels_last", "th": "channels_first"}.get(kwargs["data_format"])
    if "nb_row" in kwargs and "nb_col" in kwargs:
        warn_old(f"{name}(nb_row=..., nb_col=...)", "kernel_size=...")
        kwargs["kernel_size"] = (kwargs.pop("nb_row"), kwargs.pop("nb_col"))
    if "weights" in kwargs and name != "Embedding":
        return _initial_weights(kwargs.pop("weights"))
    return None


def _model_arguments(name: str, kwargs: Arguments) -> None:
    _rename(name, kwargs, {"input": "inputs", "output": "outputs"})


def _initial_weights(weights: Any) -> Callable[[Layer], None]:
    """Return a function that has a layer take these weights once it is built."""

    def after(layer: Any) -> None:
        build = layer.build

        @functools.wraps(build)
        def build_and_set(*args: Any, **kwargs: Any) -> None:
            build(*args, **kwargs)
            del layer.build
            layer.set_weights(weights)

        layer.build = build_and_set

    return after


def _optimizer_arguments(name: str, kwargs: Arguments) -> None:
    _rename(name, kwargs, _OPTIMIZERS)
    _drop(name, kwargs, ("schedule_decay", "jit_compile"))
    if "epsilon" in kwargs and kwargs["epsilon"] is None:
        del kwargs["epsilon"]
    decay = kwargs.pop("decay", 0)
    if decay:
        warn_old(f"{name}(decay=...)", "a schedule, learning_rate=InverseTimeDecay(rate, 1, decay)")
        rate = kwargs.get("learning_rate", 0.01 if name == "SGD" else 0.001)
        kwargs["learning_rate"] = InverseTimeDecay(rate, 1, decay, name=OLD_DECAY)


def _get_rate(optimizer: Any) -> Any:
    warn_old("optimizer.lr", "optimizer.learning_rate")
    return optimizer.learning_rate


def _set_rate(optimizer: Any, value: Any) -> None:
    warn_old("optimizer.lr", "optimizer.learning_rate")
    optimizer.learning_rate = value


#: Endings of names of files that models, and weights, are saved to as they are.
_MODELS, _WEIGHTS = (".nbnet", ".keras", ".h5", ".hdf5"), (".nbnet", ".safetensors", ".weights.h5")


def _of_any_name(init: Callable[..., Any]) -> Any:
    """Return the constructor of a ModelCheckpoint for any name of a file."""

    @functools.wraps(init)
    def wrapper(self: Any, filepath: Any, *args: Any, **kwargs: Any) -> None:
        known = (*_MODELS, *_WEIGHTS) if kwargs.get("save_weights_only") else _MODELS
        path = os.fspath(filepath)
        init(self, path if path.endswith(known) else f"{path}.nbnet", *args, **kwargs)
        self.filepath = path

    return wrapper


_callback_model: Any = vars(Callback)["model"].fget


def _reset_states(metric: Any) -> None:
    """Forget what was seen: Keras 2's name of ``reset_state``."""
    warn_old("metric.reset_states", "metric.reset_state")
    metric.reset_state()


def _of_any_file(name: str, method: Callable[..., Any]) -> Any:
    """Return a method that saves or loads for files of any name."""

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return attribute(f"nbnet.as_keras.tf.environment:{name}")(method, *args, **kwargs)

    return wrapper


def _name_first(method: Callable[..., Any]) -> Any:
    """Return ``add_weight`` that takes its arguments in Keras 2's order, too: the name came before the shape."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        if args and (isinstance(args[0], str) or (args[0] is None and len(args) > 1)):
            names = ("name", "shape", "dtype", "initializer", "regularizer", "trainable", "constraint")
            args, kwargs = (), dict(zip(names, args, strict=False)) | kwargs
        return method(self, *args, **kwargs)

    return wrapper


def _adding_loss(method: Callable[..., Any]) -> Any:
    """Return ``add_loss`` that accepts ``inputs``, on which a loss depended in Keras 2: it shows by itself."""

    @functools.wraps(method)
    def wrapper(self: Any, loss: Any, inputs: Any = None) -> Any:
        return method(self, loss)

    return wrapper


#: Number of rows of the batch that a Lambda is called with.
lambda_rows: ContextVar[int | None] = ContextVar("lambda_rows", default=None)


def _knowing_rows(call: Callable[..., Any]) -> Any:
    """Return the call of a Lambda, in which random numbers of a batch are drawn for the rows at hand."""

    @functools.wraps(call)
    def wrapper(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        first = next(flatten(inputs))
        token = lambda_rows.set(first.shape[0] if isinstance(first, Tensor) and first.shape else None)
        try:
            return call(self, inputs, *args, **kwargs)
        finally:
            lambda_rows.reset(token)

    return wrapper


# ---- models ----


class Logs(dict[str, Any]):
    """Losses and metrics; ``"acc"`` and ``"accuracy"`` are two names of one entry."""

    def __missing__(self, key: str) -> Any:
        twins = (
            key.removesuffix(own) + other
            for pair in _PAIRS
            for own, other in (pair, pair[::-1])
            if key == own or key.endswith(f"_{own}")
        )
        twin = next((name for name in twins if name in self), None)
        if twin is None:
            raise KeyError(key)
        warn_old(f"logs[{key!r}]", f"logs[{twin!r}], the name that compile(metrics=...) gave it")
        return self[twin]

    def get(self, key: Any, default: Any = None) -> Any:
        """The entry of either name."""
        try:
            return self[key]
        except KeyError:
            return default


def _with_both_names(call: Callable[..., None]) -> Any:
    """Return how callbacks are called, with logs that know both names of an entry."""

    @functools.wraps(call)
    def wrapper(self: Any, hook: str, *args: Any) -> None:
        *others, logs = args or (None,)
        if not isinstance(logs, dict):
            call(self, hook, *args)
            return
        both = Logs(logs)
        call(self, hook, *others, both)
        # Callbacks may add to them.
        logs.update(both)

    return wrapper


def _translating_method(method: Callable[..., Any], name: str) -> Any:
    table = _METHODS.get(name, {})

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        _drop(f"model.{name}", kwargs, (*_WORKERS, *(old for old, today in table.items() if today is None)))
        _rename(f"model.{name}", kwargs, table)
        if name == "compile" and (optimizer := kwargs.get("optimizer", args[0] if args else None)) is not None:
            own = _own_optimizer(optimizer, self)
            args, kwargs = ((own, *args[1:]), kwargs) if args else (args, kwargs | {"optimizer": own})
        count = len(self.graph.output_list) if getattr(self, "graph", None) is not None else 1
        if name == "compile" and count > 1 and _is_flat(kwargs.get("metrics")) and len(kwargs["metrics"]) != count:
            # In Keras 2 they were watched for each output.
            kwargs["metrics"] = [list(kwargs["metrics"]) for _ in range(count)]
        if name == "fit" and isinstance(kwargs.get("validation_data"), tuple):
            for callback in flatten(kwargs.get("callbacks") or []):
                callback.validation_data = list(kwargs["validation_data"])
        if isinstance(kwargs.get("shuffle"), (int, float)):
            kwargs["shuffle"] = bool(kwargs["shuffle"])
        args, kwargs = tuple(map(_batches, args)), {key: _batches(value) for key, value in kwargs.items()}
        result = method(self, *args, **kwargs)
        if isinstance(result, History):
            result.history = Logs(result.history)
        return result

    return wrapper


def _for_any_weights(method: Callable[..., Any]) -> Any:
    """Return ``apply_gradients`` for weights of several models, by an optimizer like this one for each set of them."""
    others: WeakKeyDictionary[Optimizer, dict[frozenset[int], Optimizer]] = WeakKeyDictionary()

    @functools.wraps(method)
    def wrapper(self: Any, grads_and_vars: Any, *args: Any, **kwargs: Any) -> Any:
        pairs = list(grads_and_vars)
        wanted = frozenset(id(weight) for _, weight in pairs)
        if self.block is not None and wanted != {id(weight) for weight in self.block.parameters}:
            known = others.setdefault(self, {})
            if wanted not in known:
                known[wanted] = type(self).from_config(self.get_config())
            return method(known[wanted], pairs)
        return method(self, pairs)

    return wrapper


def _is_flat(metrics: Any) -> bool:
    """True if metrics are not told apart by outputs."""
    return isinstance(metrics, (list, tuple)) and not any(m is None or isinstance(m, (list, tuple)) for m in metrics)


#: The model that an optimizer was first given to.
_owners: WeakKeyDictionary[Optimizer, Any] = WeakKeyDictionary()


def _own_optimizer(optimizer: Any, model: Any) -> Any:
    """Return an optimizer, or one like it if it is another model's, or has trained other weights: in Keras 2 several
    models could share one."""
    if not isinstance(optimizer, Optimizer):
        return optimizer
    owner = _owners.setdefault(optimizer, ref(model))()
    trained = {id(weight) for weight in model.trainable_weights} if model.built else set()
    known = set() if optimizer.block is None else {id(weight) for weight in optimizer.block.parameters}
    if owner is model and (not known or known == trained):
        return optimizer
    return type(optimizer).from_config(optimizer.get_config())


def _batches(argument: Any) -> Any:
    """Return a dataset of ``tf.data`` as batches of arrays, and any other argument as it is."""
    return argument.as_arrays() if hasattr(argument, "as_arrays") else argument


def _fit_generator(model: Any, generator: Any, steps_per_epoch: Any = None, epochs: int = 1, **kwargs: Any) -> Any:
    """Train on batches of a generator."""
    warn_old("model.fit_generator", "model.fit")
    if "samples_per_epoch" in kwargs:
        # Keras 1 counted samples; a generator shows the size of its batches only when it is asked for one.
        steps_per_epoch = _steps(generator, kwargs.pop("samples_per_epoch"))
    if "nb_val_samples" in kwargs:
        data, samples = kwargs.get("validation_data"), kwargs.pop("nb_val_samples")
        if data is not None and not isinstance(data, (tuple, list)):
            kwargs["validation_steps"] = _steps(data, samples)
    _drop("model.fit_generator", kwargs, _WORKERS)
    steps = None if steps_per_epoch is None else int(steps_per_epoch)
    if kwargs.get("validation_steps") is not None:
        kwargs["validation_steps"] = int(kwargs["validation_steps"])
    return model.fit(generator, steps_per_epoch=steps, epochs=kwargs.pop("nb_epoch", epochs), **kwargs)


def _on_generator(name: str) -> Callable[..., Any]:
    """Return ``evaluate_generator`` or ``predict_generator``, by the name of today's method."""

    def method(model: Any, generator: Any, steps: Any = None, **kwargs: Any) -> Any:
        warn_old(f"model.{name}_generator", f"model.{name}")
        steps = _steps(generator, kwargs.pop("val_samples")) if "val_samples" in kwargs else steps
        return getattr(model, name)(generator, steps=None if steps is None else int(steps), **kwargs)

    return method


def _steps(generator: Any, samples: int) -> int:
    size = getattr(generator, "batch_size", None)
    if size is None:
        raise ValueError(
            f"samples_per_epoch: expected a generator with a batch_size, got {type(generator).__name__}: "
            "give steps_per_epoch, the number of batches, instead"
        )
    return -(-int(samples) // int(size))


def _predict_classes(model: Any, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
    """Numbers of the most probable classes; for one output of a sigmoid, 1 where it is above one half."""
    warn_old("model.predict_classes", "numpy.argmax(model.predict(x), axis=-1), or model.predict(x) > 0.5")
    probabilities = model.predict(x, batch_size=batch_size, verbose=verbose)
    if probabilities.shape[-1] > 1:
        return probabilities.argmax(axis=-1)
    return (probabilities > 0.5).astype(np.int32)


def _predict_proba(model: Any, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
    """Probabilities of the classes: what predict returns."""
    warn_old("model.predict_proba", "model.predict")
    return model.predict(x, batch_size=batch_size, verbose=verbose)


def _to_yaml(model: Any, **kwargs: Any) -> str:
    """The model as JSON, which is YAML, too."""
    warn_old("model.to_yaml", "model.to_json")
    return model.to_json()  # type: ignore[no-any-return]


_OLD_METHODS: dict[str, Callable[..., Any]] = {
    "fit_generator": _fit_generator,
    "evaluate_generator": _on_generator("evaluate"),
    "predict_generator": _on_generator("predict"),
    "predict_classes": _predict_classes,
    "predict_proba": _predict_proba,
    "to_yaml": _to_yaml,
}


# ---- layers and functions ----

_MERGED = {
    "sum": layers.Add,
    "mul": layers.Multiply,
    "ave": layers.Average,
    "max": layers.Maximum,
    "concat": layers.Concatenate,
    "dot": layers.Dot,
}


def Convolution1D(*args: Any, **kwargs: Any) -> Any:
    """A Conv1D: ``Convolution1D(nb_filter, filter_length)``."""
    return adapt_class(layers.Conv1D)(*args, **kwargs)


def Convolution2D(*args: Any, **kwargs: Any) -> Any:
    """A Conv2D: ``Convolution2D(nb_filter, nb_row, nb_col)`` of Keras 1, or its arguments of today."""
    if len(args) >= 3 and isinstance(args[1], int) and isinstance(args[2], int):
        args = (args[0], (args[1], args[2]), *args[3:])
    return adapt_class(layers.Conv2D)(*args, **kwargs)


def merge(inputs: Sequence[Any], mode: str = "sum", concat_axis: int = -1, dot_axes: Any = -1) -> Any:
    """Merge tensors of a model: ``mode`` is sum, mul, ave, max, concat, dot or cos."""
    if mode == "cos":
        return layers.Dot(dot_axes, normalize=True)(inputs)
    if mode not in _MERGED:
        raise ValueError(f"mode: expected one of {sorted([*_MERGED, 'cos'])}, got {mode!r}")
    options = {"concat": {"axis": concat_axis}, "dot": {"axes": dot_axes}}.get(mode, {})
    layer: Any = _MERGED[mode]
    return layer(**options)(inputs)


class _Merge(layers.Layer):
    """Base of layers that merge tensors by ``_merge_function``."""

    def call(self, inputs: Any) -> Any:
        return self._merge_function(inputs)  # type: ignore[attr-defined]


class WithoutTensorBoard(Callback):
    """In place of a TensorBoard callback where tensorboardX is not installed: writes nothing."""

    def __init__(self, log_dir: Any = "logs", *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.log_dir = log_dir
        warnings.warn("TensorBoard: nothing is written: pip install 'nbnet[tensorboard]'", stacklevel=2)


def __getattr__(name: str) -> Any:
    if name == "tensorboard":
        return TensorBoard if find_spec("tensorboardX") else WithoutTensorBoard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _with_old_names(function: Callable[..., Any], table: Mapping[str, str]) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        _rename("load_data", kwargs, table)
        return function(*args, **kwargs)

    return call


load_imdb, load_reuters = (_with_old_names(f, {"nb_words": "num_words"}) for f in (imdb.load_data, reuters.load_data))


class ThresholdedReLU(layers.Layer):
    """``x`` where it is above ``theta``, else 0."""

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.theta = float(theta)

    def call(self, x: Any) -> Any:
        return ops.where(ops.greater(x, self.theta), x, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "theta": self.theta}


def print_summary(model: Any, line_length: int | None = None, **others: Any) -> None:
    """Print the table of a model's layers."""
    model.summary(line_length=line_length)


def plot_model(model: Any, to_file: Any = "model.png", **kwargs: Any) -> Any:
    """Draw a model; without Graphviz, which draws .png files, an .svg file is written beside that name."""
    try:
        return utils.plot_model(model, to_file, **kwargs)
    except ImportError as error:
        other = os.path.splitext(os.fspath(to_file))[0] + ".svg"
        warnings.warn(f"{error}; the drawing is in {other}", stacklevel=2)
        return utils.plot_model(model, other, **kwargs)


def multi_gpu_model(model: Any, gpus: Any = None, **others: Any) -> Any:
    """The model itself: nbnet shares out batches to threads on its own."""
    return model


def probas_to_classes(probabilities: Any) -> NDArray[Any]:
    """Numbers of the most probable classes."""
    array = np.asarray(probabilities)
    return array.argmax(axis=1) if array.ndim > 1 and array.shape[1] > 1 else (array > 0.5).astype(np.int64)
