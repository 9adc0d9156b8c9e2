"""Routed parameters: ``optimizer__learning_rate`` goes to the optimizer, ``model__units`` to the model."""

from __future__ import annotations

import difflib
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from nbnet import losses, optimizers
from nbnet.base.registry import kept_objects, snake_case
from nbnet.base.uninterrupted import apart
from nbnet.callbacks.callback import Callback
from nbnet.estimators.base import F, NeuralEstimator
from nbnet.layers.layer import Layer
from nbnet.models.model import Model

#: Separates a prefix and the name of a parameter.
SEPARATOR = "__"
#: Further arguments of a model's methods.
_FIT = (
    "shuffle",
    "steps_per_epoch",
    "validation_steps",
    "validation_batch_size",
    "validation_freq",
    "record_masks",
    "on_nan",
)
_COMPILE = ("loss_weights", "weighted_metrics", "run_eagerly", "steps_per_execution", "jit_compile")
_PREDICT = ("batch_size", "verbose")


class RoutedParameters(NeuralEstimator):
    """An estimator that also takes parameters with prefixes, and hands them on in ``fit``.

    They are parameters like all others: ``get_params``, ``set_params``, ``clone`` and searches know them. A wrong name
    is an error of ``set_params``, which a search calls before it fits, or else of ``fit``.

    Examples
    --------
    >>> from nbnet.estimators.routing import RoutedParameters, accepts_routed
    >>> class Net(RoutedParameters):
    ...     @accepts_routed
    ...     def __init__(self, optimizer="adam", **routed):
    ...         self._set_parameters(locals())
    >>> net = Net(optimizer__learning_rate=0.1)
    >>> net.set_params(optimizer__beta_1=0.5).routed("optimizer")
    {'learning_rate': 0.1, 'beta_1': 0.5}
    >>> net.set_params(optimizer__learn_rate=0.5)
    Traceback (most recent call last):
        ...
    ValueError: optimizer__learn_rate: Adam has no 'learn_rate' (did you mean 'learning_rate'?); it has amsgrad, ...
    """

    optimizer: Any
    loss: Any
    metrics: Any

    #: For each prefix the names that may follow it, as far as they are known before ``fit`` (None: any).
    _prefixes: ClassVar[Mapping[str, Callable[[Any], Iterable[str] | None]]] = {
        "model": lambda estimator: _model_names(estimator.model),
        "optimizer": lambda estimator: _config_names(estimator.optimizer, optimizers.get),
        "loss": lambda estimator: _config_names(estimator.loss, losses.as_loss),
        "compile": lambda _: _COMPILE,
        "fit": lambda _: _FIT,
        "predict": lambda _: _PREDICT,
        "callbacks": lambda estimator: _callback_names(estimator.callbacks),
    }

    def _set_parameters(self, arguments: Mapping[str, Any]) -> None:
        """Set the parameters, given the local variables of the constructor."""
        own = {name: value for name, value in arguments.items() if name not in ("self", "routed")}
        for name in arguments["routed"]:
            if not self._is_routed(name):
                raise TypeError(self._unknown(name))
        self.__dict__.update(own, **arguments["routed"])

    def routed(self, prefix: str) -> dict[str, Any]:
        """Return the parameters with a prefix, without it."""
        head = prefix + SEPARATOR
        return {name[len(head) :]: value for name, value in vars(self).items() if name.startswith(head)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return all parameters by name, routed ones among them.

        Parameters
        ----------
        deep
            If True, include the parameters of parameters that are estimators.
        """
        return super().get_params(deep) | {name: value for name, value in vars(self).items() if self._is_routed(name)}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, routed ones among them.

        Raises
        ------
        ValueError
            If there is no such parameter; the message lists those there are.
        """
        known = self.get_params(deep=True)
        routed = {name: params.pop(name) for name in list(params) if name not in known or self._is_routed(name)}
        for name in routed:
            if not self._is_routed(name):
                raise ValueError(self._unknown(name))
        super().set_params(**params)
        self.__dict__.update(routed)
        self._check_routed(routed)
        return self

    def _check_routed(self, names: Iterable[str] | None = None) -> None:
        """Raise a ValueError if nothing takes a routed parameter; by default check all."""
        for name in [name for name in vars(self) if self._is_routed(name)] if names is None else names:
            prefix, _, rest = name.partition(SEPARATOR)
            known = self._prefixes[prefix](self)
            if known is not None:
                check_name(name, rest, _owner(self, prefix), known)

    @classmethod
    def _is_routed(cls, name: str) -> bool:
        prefix, separator, rest = name.partition(SEPARATOR)
        return bool(separator and rest) and prefix in cls._prefixes

    def _unknown(self, name: str) -> str:
        own: list[str] = type(self)._get_param_names()
        prefixes = ", ".join(prefix + SEPARATOR for prefix in self._prefixes)
        return (
            f"{type(self).__name__} has no parameter {name!r}{_hint(name, own)}, and names that begin with {prefixes} "
            "(a function that builds the model gets model__units as units)"
        )


def accepts_routed(init: F) -> F:
    """Decorator of constructors: it hides ``**routed`` in the signature, from which scikit-learn reads parameters."""
    signature = inspect.signature(init)
    kept = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    vars(init)["__signature__"] = signature.replace(parameters=kept)
    return init


def check_name(parameter: str, name: str, owner: str, known: Iterable[str]) -> None:
    """Raise a ValueError that lists the known names if ``name``, the end of ``parameter``, is not among them."""
    choices = sorted(known)
    if name not in choices:
        raise ValueError(f"{parameter}: {owner} has no {name!r}{_hint(name, choices)}")


def is_automatic(value: Any) -> bool:
    """True if a parameter is ``"auto"``."""
    return isinstance(value, str) and value == "auto"


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{meant}; it has {', '.join(known) or 'none'}"


def _owner(estimator: Any, prefix: str) -> str:
    """Return the name, in messages, of the object that gets the parameters with a prefix."""
    if prefix in ("fit", "compile", "predict"):
        return f"Model.{prefix}"
    if prefix == "callbacks":
        return prefix
    thing = getattr(estimator, prefix)
    if isinstance(thing, Model):
        return f"the model {thing.name}"
    if isinstance(thing, str):
        thing = optimizers.as_optimizer(thing) if prefix == "optimizer" else losses.as_loss(thing)
    return getattr(thing, "__name__", None) or type(thing).__name__


# ---- the names that may follow a prefix ----


def _config_names(given: Any, get: Callable[[Any], Any]) -> Iterable[str] | None:
    """Return the settings of an optimizer or loss; None if it is chosen in ``fit``."""
    return None if given is None or is_automatic(given) else _config(get(given))


@apart
def _config(thing: Any) -> dict[str, Any]:
    """Return a configuration, even if functions in it have no name."""
    with kept_objects():
        return dict(thing.get_config())


def _model_names(model: Any) -> Iterable[str] | None:
    """Return the arguments of the function that builds a model, or ``layer__setting`` of a model."""
    if isinstance(model, Model):
        return [
            f"{name}{SEPARATOR}{setting}"
            for name, layer in _named_layers(model).items()
            for setting in _config(layer)
            if setting not in ("name", "dtype", "layers", "calls")
        ]
    return None if model is None else argument_names(model)


def _named_layers(model: Model) -> dict[str, Layer]:
    """Return all layers by name, those of nested models included."""
    found: dict[str, Layer] = {}
    for layer in model.layers:
        found.setdefault(layer.name, layer)
        if isinstance(layer, Model):
            found = _named_layers(layer) | found
    return found


def argument_names(function: Callable[..., Any], named_only: bool = False) -> list[str] | None:
    """Return the names of arguments; None if the function takes any, unless ``named_only``."""
    parameters = inspect.signature(function).parameters.values()
    if not named_only and any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _callback_names(given: Any) -> Iterable[str]:
    """Return the settings of each callback, prefixed by the callback's name if there are several."""
    single = isinstance(given, (Callback, type))
    return [
        setting if single else f"{name}{SEPARATOR}{setting}"
        for name, callback in named_callbacks(given).items()
        for setting in _callback_settings(callback)
    ]


def named_callbacks(given: Any) -> dict[str, Any]:
    """Return callbacks, or classes of callbacks, by name: keys of a dict, or names of classes (numbered if repeated).

    Raise TypeError if there is anything else.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.routing import named_callbacks
    >>> list(named_callbacks([nb.callbacks.EarlyStopping(), nb.callbacks.TerminateOnNaN]))
    ['early_stopping', 'terminate_on_na_n']
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        listed = list(given) if isinstance(given, (list, tuple)) else [given]
        given = {}
        for callback in listed:
            base = name = snake_case(callback.__name__ if isinstance(callback, type) else type(callback).__name__)
            numbers = itertools.count(1)
            while name in given:
                name = f"{base}_{next(numbers)}"
            given[name] = callback
    for callback in given.values():
        if not isinstance(callback, Callback) and not (isinstance(callback, type) and issubclass(callback, Callback)):
            raise TypeError(f"callbacks: expected callbacks or classes of callbacks, got {callback!r}")
    return dict(given)


def _callback_settings(callback: Any) -> list[str]:
    """Return the arguments of a class, or those attributes of a callback that are arguments of its class."""
    arguments = argument_names(callback if isinstance(callback, type) else type(callback)) or []
    return arguments if isinstance(callback, type) else [name for name in arguments if hasattr(callback, name)]
