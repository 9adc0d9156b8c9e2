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
    """The loss of an output (None: it is not trained), its weight in the total, and the metrics, each with True if
    sample weights count."""

    name: str
    loss: losses.Loss | None
    weight: float
    metrics: tuple[tuple[metrics.Metric, bool], ...]

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
        resolved: Any
        if isinstance(loss, Mapping) and "class_name" not in loss:
            resolved = {name: _loss(part) for name, part in loss.items()}
        elif isinstance(loss, (list, tuple)):
            resolved = [_loss(part) for part in loss]
        else:
            resolved = _loss(loss)
        single = resolved if isinstance(resolved, losses.Loss) else None
        parts = _metrics(watched, "metrics", single), _metrics(weighted, "weighted_metrics", single)
        each = resolved.values() if isinstance(resolved, Mapping) else resolved
        several = each if isinstance(resolved, (list, Mapping)) else [each]
        own = (type(part) for part in several if isinstance(part, losses.Loss))
        in_python = any(kind.__call__ is not losses.Loss.__call__ for kind in own)
        return cls(resolved, _weights(loss_weights), *parts, in_python=in_python)

    def specs(self, names: Sequence[str], widths: Sequence[int]) -> tuple[OutputSpec, ...]:
        """Return the loss and metrics of each output.

        Parameters
        ----------
        names
            Names of the outputs.
        widths
            Sizes of their last axes, which decide what ``"accuracy"`` means.
        """
        key = tuple(names), tuple(widths), *self.labelled.items()
        if key not in self._known:
            self._known[key] = self._specs(names, widths)
        return self._known[key]

    def see(self, name: str, target: tuple[int, ...], output: tuple[int, ...]) -> None:
        """Note whether the first targets of an output, in rows of a shape, are class labels."""
        several = output[-1:] > (1,)
        self.labelled.setdefault(name, len(target) < len(output) or (several and target[-1:] == (1,)))

    def _specs(self, names: Sequence[str], widths: Sequence[int]) -> tuple[OutputSpec, ...]:
        shared = isinstance(self.loss, (losses.Loss, str))
        each = [self.loss] * len(names) if shared else _spread(self.loss, names, "loss", None)
        shares = _spread(self.loss_weights, names, "loss_weights", 1.0)
        watched = _spread(self.metrics, names, "metrics", (), lists=True)
        weighted = _spread(self.weighted_metrics, names, "weighted_metrics", (), lists=True)
        specs = []
        for name, loss, share, plain, counted, width in zip(
            names, each, shares, watched, weighted, widths, strict=True
        ):
            labels = self.labelled.get(name)
            if isinstance(loss, str):
                loss = _crossentropy(width, labels)
            both = [(m, False) for m in plain] + [(m, True) for m in counted]
            resolved = tuple((_metric(m, loss, width, labels), counts) for m, counts in both)
            specs.append(OutputSpec(name, loss, float(share), resolved))
        return tuple(specs)


def _loss(identifier: Any) -> losses.Loss | str | None:
    """Return a loss; a cross-entropy whose kind depends on the output and its targets stays a name."""
    if isinstance(identifier, (list, tuple)) and len(identifier) == 1:
        identifier = identifier[0]
    if identifier is None or (isinstance(identifier, str) and identifier.lower() in _CROSSENTROPY):
        return identifier
    return losses.as_loss(identifier)


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
        return [resolve(inner) for inner in part] if isinstance(part, (list, tuple)) else _metric(part, loss)

    if isinstance(given, Mapping):
        return {name: resolve(part) for name, part in given.items()}
    return [resolve(part) for part in given]


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


def _spread(given: Any, names: Sequence[str], argument: str, missing: Any, lists: bool = False) -> list[Any]:
    """Return one entry for each output from a list in order, or a dict by name.

    With ``lists``, an entry is a list; and a model of one output takes a flat list, or all entries of a dict.
    """
    if given is None or (lists and not given):
        return [missing] * len(names)
    if lists and len(names) == 1 and isinstance(given, Mapping):
        given = list(flatten(list(given.values())))
    if isinstance(given, Mapping):
        if unknown := set(given) - set(names):
            raise ValueError(f"{argument}: the model has no output {sorted(unknown)[0]!r}; it has {list(names)}")
        entries = [given.get(name, missing) for name in names]
    elif lists and len(names) == 1 and not any(isinstance(part, list) for part in given):
        entries = [given]
    elif len(given) == len(names):
        entries = list(given)
    else:
        raise ValueError(f"{argument}: expected an entry for each of the outputs {list(names)}, got {len(given)}")
    if lists:
        nested = [part if isinstance(part, (list, tuple)) else [part] for part in entries]
        return [[metric for metric in part if metric is not None] for part in nested]
    return [missing if part is None else part for part in entries]
