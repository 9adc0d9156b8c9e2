"""What ``compile`` says about losses and metrics, for each output of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nbnet import data, losses, metrics
from nbnet.core.structure import map_structure

Array = NDArray[Any]
_ACCURACY = ("accuracy", "acc", "crossentropy", "ce")


class Goal(NamedTuple):
    """What is wanted of an output: a loss (None: it is not trained), the loss's share of the whole, and metrics, each
    with whether sample weights count."""

    name: str
    loss: losses.Loss | None
    weight: float
    metrics: tuple[tuple[metrics.Metric, bool], ...]

    @property
    def wanted(self) -> bool:
        """Whether targets are read."""
        return self.loss is not None or bool(self.metrics)

    def targets(self, y: Any, name: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Targets as loss and metrics read them."""
        if self.loss is not None:
            return self.loss.targets(y, name, n, shape, dtype)
        if self.metrics[0][0].sparse:
            return data.as_labels(y, name, n, shape[-1])
        return data.as_dense_targets(y, name, n, shape, dtype)


@dataclass(frozen=True)
class Objective:
    """Losses and metrics as ``compile`` was given them, names made objects."""

    loss: Any = None
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None
    _known: dict[Any, tuple[Goal, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, loss: Any, loss_weights: Any, watched: Any, weighted: Any) -> Objective:
        """Checked as far as it can be before outputs are known."""
        made = loss
        if isinstance(loss, Mapping) and "class_name" not in loss:
            made = {name: None if one is None else losses.get(one) for name, one in loss.items()}
        elif isinstance(loss, (list, tuple)):
            made = [None if one is None else losses.get(one) for one in loss]
        elif loss is not None:
            made = losses.get(loss)
        single = made if isinstance(made, losses.Loss) else None
        return cls(
            made, _weights(loss_weights), _made(watched, "metrics", single), _made(weighted, "weighted_metrics", single)
        )

    def goals(self, names: Sequence[str], widths: Sequence[int]) -> tuple[Goal, ...]:
        """For each output, what is wanted of it.

        Parameters
        ----------
        names
            Of the outputs.
        widths
            Sizes of their last axes: they say what ``"accuracy"`` means.
        """
        key = tuple(names), tuple(widths)
        if key not in self._known:
            self._known[key] = self._goals(names, widths)
        return self._known[key]

    def _goals(self, names: Sequence[str], widths: Sequence[int]) -> tuple[Goal, ...]:
        shared = self.loss if isinstance(self.loss, losses.Loss) else None
        each = [shared] * len(names) if shared else _spread(self.loss, names, "loss", None)
        shares = _spread(self.loss_weights, names, "loss_weights", 1.0)
        watched = _spread(self.metrics, names, "metrics", (), lists=True)
        weighted = _spread(self.weighted_metrics, names, "weighted_metrics", (), lists=True)
        found = []
        for name, loss, share, plain, counted, width in zip(
            names, each, shares, watched, weighted, widths, strict=True
        ):
            made = [(_metric(m, loss, width), False) for m in plain]
            made += [(_metric(m, loss, width), True) for m in counted]
            found.append(Goal(name, loss, float(share), tuple(made)))
        return tuple(found)


def _weights(given: Any) -> Any:
    if given is None:
        return None
    if not isinstance(given, (list, tuple, Mapping)):
        given = [given]
    return map_structure(lambda weight: data.as_number(weight, "loss_weights"), given)


def _made(given: Any, argument: str, loss: losses.Loss | None) -> Any:
    """Metrics in the structure they came in; those whose meaning depends on the output stay names."""
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, (Sequence, Mapping)):
        raise TypeError(f"{argument}: wants a list, or a dict by name of output, got {given!r}")

    def make(one: Any) -> Any:
        if one is None or one in _ACCURACY:
            return one
        if isinstance(one, (list, tuple)):
            return [make(part) for part in one]
        return _metric(one, loss)

    if isinstance(given, Mapping):
        return {name: make(one) for name, one in given.items()}
    return [make(one) for one in given]


def _metric(identifier: Any, loss: losses.Loss | None, width: int | None = None) -> metrics.Metric:
    """A metric that reads the targets that the loss reads."""
    made = metrics.get(identifier, loss, width)
    if loss is not None and made.sparse != loss.sparse:
        kinds = "arrays shaped like the output", "class labels"
        raise ValueError(
            f"metrics: {made.name} wants targets that are {kinds[made.sparse]}, "
            f"the loss {loss.name} {kinds[loss.sparse]}"
        )
    return made


def _spread(given: Any, names: Sequence[str], argument: str, missing: Any, lists: bool = False) -> list[Any]:
    """One entry for each output from a list in order, or a dict by name.

    With ``lists``, an entry is a list; and a model of one output takes a flat list as a whole.
    """
    if given is None:
        return [missing] * len(names)
    if isinstance(given, Mapping):
        if unknown := set(given) - set(names):
            raise ValueError(f"{argument}: the model has no output {sorted(unknown)[0]!r}; it has {list(names)}")
        entries = [given.get(name, missing) for name in names]
    elif lists and len(names) == 1 and not any(isinstance(part, list) for part in given):
        entries = [given]
    elif len(given) == len(names):
        entries = list(given)
    else:
        raise ValueError(f"{argument}: wants an entry for each of the outputs {list(names)}, got {len(given)}")
    if lists:
        nested = [one if isinstance(one, (list, tuple)) else [one] for one in entries]
        return [[one for one in part if one is not None] for part in nested]
    return [missing if one is None else one for one in entries]


class Scores:
    """Names of losses and metrics in logs, and their values from the sums that a program keeps.

    Cells of the sums: the loss, then that of each output if several are trained, then the metrics of each output.
    Each is a pair (sum, count).
    """

    def __init__(self, goals: Sequence[Goal]) -> None:
        self.goals = goals
        self.trained = [k for k, goal in enumerate(goals) if goal.loss is not None]
        several = len(goals) > 1
        self.parts = self.trained if len(self.trained) > 1 else []
        self.watched = [(k, metric, counts) for k, goal in enumerate(goals) for metric, counts in goal.metrics]
        self.names: list[str] = ["loss", *(f"{goals[k].name}_loss" for k in self.parts)]
        for k, metric, counts in self.watched:
            self.names.append(self._name(f"{goals[k].name}_" if several else "", metric.name, counts))
        self.cells = len(self.names)
        self.first = 1 + len(self.parts)
        #: Each metric and its name in logs.
        self.named_metrics = [
            (name, metric) for name, (_, metric, _) in zip(self.names[self.first :], self.watched, strict=True)
        ]
        #: Outputs that have to be kept for metrics that want the whole epoch.
        self.kept = sorted({k for k, metric, _ in self.watched if metric.epoch_end})

    def _name(self, prefix: str, name: str, counts: bool) -> str:
        if counts and prefix + name in self.names:
            name = f"weighted_{name}"
        used = self.names.count(prefix + name)
        return f"{prefix}{name}_{used}" if used else prefix + name

    def means(self, sums: Sequence[Sequence[float]]) -> dict[str, float]:
        """Losses and metrics so far, without those that want the whole epoch."""
        found = {}
        for name, (total, count) in zip(self.names[: self.first], sums, strict=False):
            found[name] = total / count if count else float("nan")
        for (name, metric), (total, count) in zip(self.named_metrics, sums[self.first :], strict=True):
            if not metric.epoch_end:
                found[name] = float(metric.finish(total / count)) if count else float("nan")
        return found

    def logs(self, sums: Sequence[Sequence[float]], kept: Mapping[int, tuple[Array, Array, Array | None]]) -> Any:
        """Losses and metrics of an epoch.

        Parameters
        ----------
        kept
            For each output in :attr:`kept`, targets, outputs and weights of the epoch.
        """
        means: dict[str, Any] = self.means(sums)
        if not self.kept:
            return means
        for name, (k, metric, counts) in zip(self.names[self.first :], self.watched, strict=True):
            if metric.epoch_end:
                y, out, weights = kept[k]
                means[name] = metric.compute(y, out, **({"sample_weight": weights} if counts else {}))
        return {name: means[name] for name in self.names}
