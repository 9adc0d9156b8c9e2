"""From the parameters of an estimator to a model that is compiled, and callbacks that are its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from nbnet import losses, optimizers
from nbnet.callbacks.callback import Callback
from nbnet.custom_objects import custom_object_scope, kept_objects
from nbnet.estimators.outputs import last_activation
from nbnet.estimators.routing import SEPARATOR, is_automatic, named_callbacks, refuse_unknown
from nbnet.estimators.tasks import Task
from nbnet.models.model import Model


def compile_for(estimator: Any, model: Model, source: Model, task: Task, width: int) -> losses.Loss | None:
    """Compile a model as an estimator's parameters say, and where they do not, as another model is compiled.

    Parameters
    ----------
    source
        The other model, perhaps the same.
    task
        What is to be learnt; it says which loss is the usual one.
    width
        Units of the model's output.

    Returns
    -------
    The loss; None if the model's own ``train_step`` computes it.

    Raises
    ------
    ValueError
        If the model cannot learn the task by the loss.
    """
    settings = _settings(source)
    loss = _loss(estimator, settings, model, task, width)
    task.check(width, loss)
    optimizer = _optimizer(estimator, source)
    metrics = estimator.metrics
    if metrics is not None:
        settings["metrics"] = [metrics] if isinstance(metrics, str) else copy.deepcopy(metrics)
    settings |= {"optimizer": optimizer, "loss": loss} | estimator.routed("compile")
    model.compile(**settings)
    return loss


def _settings(model: Model) -> dict[str, Any]:
    """What a model was compiled with, but for the optimizer."""
    if model.optimizer is None or model._objective is None:
        return {}
    goals = copy.deepcopy(model._objective)
    return {name: getattr(goals, name) for name in ("loss", "loss_weights", "metrics", "weighted_metrics")}


def _loss(estimator: Any, settings: Mapping[str, Any], model: Model, task: Task, width: int) -> losses.Loss | None:
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
    loss, changes = losses.get(given), estimator.routed("loss")
    return _changed(loss, changes, "loss", loss.name) if changes else loss


def _optimizer(estimator: Any, source: Model) -> optimizers.Optimizer:
    given = estimator.optimizer
    if is_automatic(given):
        given = source.optimizer or "adam"
    found = optimizers.get(given)
    # One that is in use belongs to the weights it trains.
    made: optimizers.Optimizer = _changed(found, estimator.routed("optimizer"), "optimizer", type(found).__name__)
    if (pattern := found._excluded[1]) is not None:
        made.exclude_from_weight_decay(var_names=[pattern.pattern])
    return made


def _changed(thing: Any, changes: Mapping[str, Any], prefix: str, who: str) -> Any:
    """The same once more, with other settings."""
    with kept_objects() as mine:
        config = thing.get_config()
    for name in changes:
        refuse_unknown(f"{prefix}{SEPARATOR}{name}", name, who, config)
    with custom_object_scope(mine):
        return type(thing).from_config({**config, **changes})


def own_callbacks(given: Any, settings: Mapping[str, Any]) -> list[Callback]:
    """Callbacks for one fit: those of an estimator's parameter as they are after a copy, so that fits share nothing.

    Parameters
    ----------
    given
        A callback, a class of callbacks, a list of them, or a dict by name.
    settings
        ``name__setting``, or ``setting`` if there is only one callback.

    Examples
    --------
    >>> import nbnet as nb
    >>> from nbnet.estimators.compiling import own_callbacks
    >>> own_callbacks({"stop": nb.callbacks.EarlyStopping}, {"stop__patience": 3})[0].patience
    3
    """
    single = isinstance(given, (Callback, type))
    made = []
    for name, one in named_callbacks(given).items():
        head = "" if single else name + SEPARATOR
        mine = {key[len(head) :]: value for key, value in settings.items() if key.startswith(head)}
        if isinstance(one, type):
            made.append(one(**mine))
            continue
        # The model of an earlier fit stays behind.
        copied = copy.deepcopy(one, {id(one._model): None})
        for key, value in mine.items():
            setattr(copied, key, value)
        made.append(copied)
    return made
