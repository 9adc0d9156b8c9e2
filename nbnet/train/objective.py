"""The losses and metrics that ``compile`` was given, for each output of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet import data, losses, metrics
from nbnet.base.tree import flatten, map_structure
from nbnet.base.validation import check_number
from nbnet.engine.graph.tensor import Tensor
from nbnet.losses.loss import aligned

Array = NDArray[Any]
_CROSSENTROPY = ("crossentropy", "ce")
_ACCURACY = ("accuracy", "acc", *_CROSSENTROPY)


class OutputSpec(NamedTuple):
    """The loss of an output (None: it is not trained), its weight in the total, the metrics, each with True if sample
    weights count, and the name of the loss in logs, which is a path where outputs are nested."""

    name: str
    loss: losses.Loss | None
    weight: float
    metrics: tuple[tuple[metrics.Metric, bool], ...]
    label: str

    @property
    def wanted(self) -> bool:
        """True if targets are read."""
        return self.loss is not None or bool(self.metrics)

    def aligned(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return targets and predictions as loss and metrics read them: broadcast to one shape, if the loss does."""
        return aligned(y_true, y_pred) if self.loss is not None and self.loss.broadcasts else (y_true, y_pred)

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return targets as loss and metrics read them."""
        if self.loss is not None:
            return self.loss.targets(y, name, n, shape, dtype)
        if self.metrics[0][0].sparse:
            return data.as_labels(y, name, n, shape[-1], shape[:-1])
        return data.as_dense_targets(y, name, n, shape, dtype)


@dataclass(frozen=True)
class Objective:
    """The losses and metrics that ``compile`` was given, names resolved to objects."""

    loss: Any = None
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None
    #: True if the user wrote how a loss is called, which a step in Python does.
    in_python: bool = False
    #: For outputs whose targets were seen, True if they are class labels: where the loss is the user's, or there is
    #: none, they decide what ``"accuracy"`` means.
    labelled: dict[str, bool] = field(default_factory=dict, repr=False)
    _known: dict[Any, tuple[OutputSpec, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, loss: Any, loss_weights: Any, watched: Any, weighted: Any) -> Objective:
        """Return the objective, checked as far as possible before the outputs are known."""
        resolved = _loss(loss)
        single = resolved if isinstance(resolved, losses.Loss) else None
        parts = _metrics(watched, "metrics", single), _metrics(weighted, "weighted_metrics", single)
        own = (type(part) for part in flatten(resolved) if isinstance(part, losses.Loss))
        in_python = any(kind.__call__ is not losses.Loss.__call__ for kind in own)
        return cls(resolved, _weights(loss_weights), *parts, in_python=in_python)

    def specs(self, template: Any, widths: Sequence[int]) -> tuple[OutputSpec, ...]:
        """Return the loss and metrics of each output.

        Parameters
        ----------
        template
            Names in the structure of the outputs.
        widths
            Sizes of their last axes, which decide what ``"accuracy"`` means.
        """
        key = tuple(_labels(template).items()), tuple(widths), *self.labelled.items()
        if key not in self._known:
            self._known[key] = self._specs(template, widths)
        return self._known[key]

    def see(self, name: str, target: tuple[int, ...], output: tuple[int, ...]) -> None:
        """Note whether the first targets of an output, in rows of a shape, are class labels."""
        several = output[-1:] > (1,)
        self.labelled.setdefault(name, len(target) < len(output) or (several and target[-1:] == (1,)))

    def _specs(self, template: Any, widths: Sequence[int]) -> tuple[OutputSpec, ...]:
        names = _labels(template)
        shared = isinstance(self.loss, (losses.Loss, str))
        each = [self.loss] * len(names) if shared else _spread(self.loss, template, "loss", None)
        shares = _spread(self.loss_weights, template, "loss_weights", 1.0)
        watched = _spread(self.metrics, template, "metrics", (), lists=True)
        weighted = _spread(self.weighted_metrics, template, "weighted_metrics", (), lists=True)
        specs = []
        for name, loss, share, plain, counted, width in zip(
            names, each, shares, watched, weighted, widths, strict=True
        ):
            labels = self.labelled.get(name)
            if isinstance(loss, str):
                loss = _crossentropy(width, labels)
            if not isinstance(loss, losses.Loss | None):
                raise ValueError(f"loss: expected one for output {name!r}, got {loss!r}")
            both = [(m, False) for m in plain] + [(m, True) for m in counted]
            resolved = tuple((_metric(m, loss, width, labels), counts) for m, counts in both)
            specs.append(OutputSpec(name, loss, float(share), resolved, names[name]))
        return tuple(specs)


def _loss(identifier: Any) -> Any:
    """Return losses in the structure they came in; a cross-entropy whose kind depends on the output and its targets
    stays a name."""
    if isinstance(identifier, Mapping) and "class_name" not in identifier:
        return {name: _only(_loss(part)) for name, part in identifier.items()}
    if isinstance(identifier, (list, tuple)):
        return [_only(_loss(part)) for part in identifier]
    if identifier is None or (isinstance(identifier, str) and identifier.lower() in _CROSSENTROPY):
        return identifier
    return losses.as_loss(identifier)


def _only(part: Any) -> Any:
    return part[0] if isinstance(part, list) and len(part) == 1 else part


def _labels(template: Any, path: str = "") -> dict[str, str]:
    """Return the names of outputs in their order, and those of their losses in logs."""
    if isinstance(template, str):
        return {template: path + template}
    found: dict[str, str] = {}
    for key, part in template.items() if isinstance(template, Mapping) else enumerate(template):
        nested = not isinstance(part, str)
        found |= _labels(part, f"{path}{key}/") if nested else {part: f"{path}{key if isinstance(key, str) else part}"}
    return found


def _in_order(template: Any) -> list[str]:
    """Return the names of outputs in the order of lists: a dict is read by sorted keys, as in Keras."""
    if isinstance(template, str):
        return [template]
    parts = [template[key] for key in sorted(template)] if isinstance(template, Mapping) else template
    return [name for part in parts for name in _in_order(part)]


def _by_name(given: Any, template: Any) -> dict[str, Any] | None:
    """Return entries by name of output from a structure like that of the outputs; None if it is another one."""
    if isinstance(template, str):
        return {template: given}
    if isinstance(given, Mapping) and isinstance(template, Mapping) and set(given) <= set(template):
        parts = [(given[key], template[key]) for key in given]
    elif isinstance(given, (list, tuple)) and isinstance(template, (list, tuple)) and len(given) == len(template):
        parts = list(zip(given, template, strict=True))
    else:
        return None
    found: dict[str, Any] = {}
    for part, names in parts:
        if part is not None:
            inner = _by_name(part, names)
            if inner is None:
                return None
            found |= inner
    return found


def _crossentropy(width: int, labels: bool | None) -> losses.Loss:
    if width <= 1:
        return losses.BinaryCrossentropy()
    return losses.SparseCategoricalCrossentropy() if labels else losses.CategoricalCrossentropy()


def _weights(given: Any) -> Any:
    if given is None:
        return None
    if not isinstance(given, (list, tuple, Mapping)):
        given = [given]
    return map_structure(lambda weight: check_number(weight, "loss_weights"), given)


def _metrics(given: Any, argument: str, loss: losses.Loss | None) -> Any:
    """Return metrics in the structure they came in; those whose meaning depends on the output stay names."""
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, (Sequence, Mapping)):
        raise ValueError(f"{argument}: expected a list, or a dict by name of output, got {given!r}")

    def resolve(part: Any) -> Any:
        if part is None or part in _ACCURACY:
            return part
        if isinstance(part, Mapping) and "class_name" not in part:
            return {name: resolve(inner) for name, inner in part.items()}
        return [resolve(inner) for inner in part] if isinstance(part, (list, tuple)) else _metric(part, loss)

    return resolve(given)


def _metric(
    identifier: Any, loss: losses.Loss | None, width: int | None = None, labels: bool | None = None
) -> metrics.Metric:
    """Return a metric that reads the targets that the loss reads; the user's may read any."""
    metric: metrics.Metric = metrics.get(identifier, loss, width, labels)
    if loss is not None and not loss.is_users and metric.sparse not in (None, loss.sparse):
        kinds = "arrays shaped like the output", "class labels"
        raise ValueError(
            f"metrics: {metric.name} reads targets that are {kinds[metric.sparse]}, "
            f"the loss {loss.name} {kinds[loss.sparse]}"
        )
    return metric


def _spread(given: Any, template: Any, argument: str, missing: Any, lists: bool = False) -> list[Any]:
    """Return one entry for each output from a list in order, a dict by name, or a structure like that of the outputs.

    With ``lists``, an entry is a list; and a model of one output takes a flat list, or all entries of a dict.
    """
    names = list(_labels(template))
    if given is None or (lists and not given):
        return [missing] * len(names)
    if not isinstance(template, str) and len(template) < len(names) and (found := _by_name(given, template)):
        given = found
    if lists and len(names) == 1 and isinstance(given, Mapping):
        given = list(flatten(list(given.values())))
    if isinstance(given, Mapping):
        if unknown := set(given) - set(names):
            raise ValueError(f"{argument}: the model has no output {sorted(unknown)[0]!r}; it has {list(names)}")
        entries = [given.get(name, missing) for name in names]
    elif lists and len(names) == 1 and not any(isinstance(part, list) for part in given):
        entries = [given]
    elif len(given) == len(names):
        found = dict(zip(_in_order(template), given, strict=True))
        entries = [found[name] for name in names]
    else:
        raise ValueError(f"{argument}: expected an entry for each of the outputs {list(names)}, got {len(given)}")
    if lists:
        nested = [part if isinstance(part, (list, tuple)) else [part] for part in entries]
        return [[metric for metric in part if metric is not None] for part in nested]
    return [missing if part is None else part for part in entries]
