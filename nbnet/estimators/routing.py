"""Parameters that are handed on: ``optimizer__learning_rate`` goes to the optimizer, ``model__units`` to the model."""

from __future__ import annotations

import difflib
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from nbnet import losses, optimizers
from nbnet.callbacks.callback import Callback
from nbnet.custom_objects import kept_objects
from nbnet.layers.layer import Layer
from nbnet.models.model import Model
from nbnet.registry import snake_case

F = TypeVar("F", bound=Callable[..., Any])
#: What stands between a prefix and the name of a parameter.
SEPARATOR = "__"
#: Arguments of a model's methods that are no parameters of estimators.
_OF_FIT = ("shuffle", "steps_per_epoch", "validation_steps", "validation_batch_size", "validation_freq", "record_masks")
_OF_COMPILE = ("loss_weights", "weighted_metrics", "run_eagerly", "steps_per_execution", "jit_compile")
_OF_PREDICT = ("batch_size", "verbose")


class Routed:
    """Mixin for estimators whose constructor takes parameters with prefixes, and hands them on when it is fitted.

    They are parameters like the others: ``get_params``, ``set_params``, ``clone`` and searches know them. A wrong name
    is an error of ``set_params``, which a search calls before it fits anything, or else of ``fit``.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from nbnet.estimators.routing import PREFIXES, Routed, without_routed
    >>> class Net(Routed, BaseEstimator):
    ...     _prefixes = PREFIXES
    ...
    ...     @without_routed
    ...     def __init__(self, optimizer="adam", **routed):
    ...         self.optimizer = optimizer
    ...         self._take(routed)
    >>> net = Net(optimizer__learning_rate=0.1)
    >>> net.set_params(optimizer__beta_1=0.5).routed("optimizer")
    {'learning_rate': 0.1, 'beta_1': 0.5}
    >>> net.set_params(optimizer__learn_rate=0.5)
    Traceback (most recent call last):
        ...
    ValueError: optimizer__learn_rate: Adam has no 'learn_rate' (did you mean 'learning_rate'?); it has amsgrad, ...
    """

    #: Prefixes, each with the names that may follow it (None: any), as far as they are known before ``fit``.
    _prefixes: ClassVar[Mapping[str, Callable[[Any], Iterable[str] | None]]] = {}

    def _take(self, routed: Mapping[str, Any]) -> None:
        """Keep what the constructor was given beside its own parameters."""
        for name in routed:
            if not self._is_routed(name):
                raise TypeError(self._unknown(name))
        vars(self).update(routed)

    def routed(self, prefix: str) -> dict[str, Any]:
        """The parameters with a prefix, without it."""
        head = prefix + SEPARATOR
        return {name[len(head) :]: value for name, value in vars(self).items() if name.startswith(head)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All parameters by name, those with prefixes included.

        Parameters
        ----------
        deep
            Whether to look into parameters that are estimators.
        """
        own: dict[str, Any] = super().get_params(deep)  # type: ignore[misc]
        return own | {name: value for name, value in vars(self).items() if self._is_routed(name)}

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name, those with prefixes included.

        Raises
        ------
        ValueError
            If there is no such parameter; the message says which there are.
        """
        known = self.get_params(deep=True)
        routed = {name: params.pop(name) for name in list(params) if name not in known or self._is_routed(name)}
        for name in routed:
            if not self._is_routed(name):
                raise ValueError(self._unknown(name))
        super().set_params(**params)  # type: ignore[misc]
        vars(self).update(routed)
        self.check_routed(routed)
        return self

    def check_routed(self, names: Iterable[str] | None = None) -> None:
        """Raise a ValueError if one of these names, by default of all, has nowhere to go."""
        for name in [name for name in vars(self) if self._is_routed(name)] if names is None else names:
            prefix, _, rest = name.partition(SEPARATOR)
            known = self._prefixes[prefix](self)
            if known is not None:
                refuse_unknown(name, rest, owner(self, prefix), known)

    @classmethod
    def _is_routed(cls, name: str) -> bool:
        prefix, separator, rest = name.partition(SEPARATOR)
        return bool(separator and rest) and prefix in cls._prefixes

    def _unknown(self, name: str) -> str:
        own: list[str] = type(self)._get_param_names()  # type: ignore[attr-defined]
        prefixes = ", ".join(prefix + SEPARATOR for prefix in self._prefixes)
        return (
            f"{type(self).__name__} has no parameter {name!r}{_hint(name, own)}, and what begins with {prefixes} "
            "(a function that builds the model gets model__units as units)"
        )


def without_routed(init: F) -> F:
    """Decorator of constructors: ``**routed`` is no parameter of that name, so the signature does not show it.

    scikit-learn takes the names of parameters from there.
    """
    signature = inspect.signature(init)
    kept = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    vars(init)["__signature__"] = signature.replace(parameters=kept)
    return init


def refuse_unknown(name: str, rest: str, who: str, known: Iterable[str]) -> None:
    """Raise a ValueError that says what there is, if ``rest`` of a parameter's name is none of it."""
    choices = sorted(known)
    if rest not in choices:
        raise ValueError(f"{name}: {who} has no {rest!r}{_hint(rest, choices)}")


def is_automatic(value: Any) -> bool:
    """Whether something is left to be chosen."""
    return isinstance(value, str) and value == "auto"


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{meant}; it has {', '.join(known) or 'none'}"


def owner(estimator: Any, prefix: str) -> str:
    """What messages call the thing that gets the parameters with a prefix."""
    if prefix in ("fit", "compile", "predict"):
        return f"Model.{prefix}"
    thing = getattr(estimator, prefix)
    if prefix == "callbacks":
        return "callbacks"
    if prefix == "model" and isinstance(thing, Model):
        return f"the model {thing.name}"
    if prefix == "optimizer" and not isinstance(thing, str):
        return thing.__name__ if isinstance(thing, type) else type(thing).__name__
    if isinstance(thing, str):
        found = (optimizers if prefix == "optimizer" else losses).get(thing)
        return type(found).__name__
    return getattr(thing, "__name__", None) or type(thing).__name__


# ---- the names that may follow a prefix ----


def optimizer_names(estimator: Any) -> Iterable[str] | None:
    """Those of the optimizer; None if it is not known yet."""
    given = estimator.optimizer
    return None if is_automatic(given) else config_of(optimizers.get(given))


def loss_names(estimator: Any) -> Iterable[str] | None:
    """Those of the loss; None if it is not known yet."""
    given = estimator.loss
    return None if given is None or is_automatic(given) else config_of(losses.get(given))


def config_of(thing: Any) -> dict[str, Any]:
    """Its configuration, even if functions in it have no name."""
    with kept_objects():
        return dict(thing.get_config())


def model_names(estimator: Any) -> Iterable[str] | None:
    """Arguments of the function that builds the model, or ``layer__setting`` of a model."""
    if isinstance(estimator.model, Model):
        return [
            f"{name}{SEPARATOR}{setting}"
            for name, layer in named_layers(estimator.model).items()
            for setting in config_of(layer)
            if setting not in ("name", "dtype", "layers", "calls")
        ]
    return None if estimator.model is None else argument_names(estimator.model)


def named_layers(model: Model) -> dict[str, Layer]:
    """All layers with a configuration, those of models inside included."""
    found: dict[str, Layer] = {}
    for layer in model.layers:
        found.setdefault(layer.name, layer)
        if isinstance(layer, Model):
            found = named_layers(layer) | found
    return found


def argument_names(function: Callable[..., Any], named_only: bool = False) -> list[str] | None:
    """Names of arguments; None if it takes any, unless only those with a name are asked for."""
    parameters = inspect.signature(function).parameters.values()
    if not named_only and any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def callback_names(estimator: Any) -> Iterable[str]:
    """Settings of each callback, with the callback's name before them if there are several."""
    given = estimator.callbacks
    single = isinstance(given, (Callback, type))
    return [
        setting if single else f"{name}{SEPARATOR}{setting}"
        for name, callback in named_callbacks(given).items()
        for setting in _settings(callback)
    ]


def named_callbacks(given: Any) -> dict[str, Any]:
    """Callbacks, or classes of callbacks, by name: keys of a dict, else that of the class (numbered from the second).

    Raises
    ------
    TypeError
        If something else is among them.

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
        for one in listed:
            base = name = snake_case(one.__name__ if isinstance(one, type) else type(one).__name__)
            numbers = itertools.count(1)
            while name in given:
                name = f"{base}_{next(numbers)}"
            given[name] = one
    for one in given.values():
        if not isinstance(one, Callback) and not (isinstance(one, type) and issubclass(one, Callback)):
            raise TypeError(f"callbacks: wants callbacks or classes of callbacks, got {one!r}")
    return dict(given)


def _settings(callback: Any) -> list[str]:
    """What may be set: arguments of a class, attributes of a callback that is made."""
    arguments = argument_names(callback if isinstance(callback, type) else type(callback)) or []
    return arguments if isinstance(callback, type) else [name for name in arguments if hasattr(callback, name)]


#: Prefixes of all wrappers.
PREFIXES: dict[str, Callable[[Any], Iterable[str] | None]] = {
    "model": model_names,
    "optimizer": optimizer_names,
    "loss": loss_names,
    "compile": lambda _: _OF_COMPILE,
    "fit": lambda _: _OF_FIT,
    "predict": lambda _: _OF_PREDICT,
    "callbacks": callback_names,
}
