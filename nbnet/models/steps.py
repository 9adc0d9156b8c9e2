"""Steps of training, evaluation and prediction that a subclass of Model may write itself."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nbnet import metrics
from nbnet.core.graph import Tensor
from nbnet.core.structure import flatten
from nbnet.core.tape import Tape
from nbnet.models.objective import Goal, Objective, Scores
from nbnet.models.outline import output_names
from nbnet.models.stepping import unpack_x_y_sample_weight

if TYPE_CHECKING:
    from nbnet.models.learner import Learner
    from nbnet.optimizers import Optimizer

Array = NDArray[Any]


class CompiledMetrics(metrics.Metric):
    """The metrics that ``compile`` was given, as one: its result is a dict."""

    epoch_end = True

    def __init__(self, model: Learner) -> None:
        super().__init__("compile_metrics")
        # A model that its own metrics held would not be freed before a search for cycles.
        self._model = weakref.proxy(model)
        self._goals: Sequence[Goal] = ()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._goals = self._model._goals_for(y_pred)
        for goal, y, p, w in zip(self._goals, *_each(self._goals, y_true, y_pred, sample_weight), strict=True):
            for metric, counts in goal.metrics:
                metric.update_state(y, p, **({"sample_weight": w} if counts and w is not None else {}))

    def result(self) -> Any:
        """Each metric's result by its name in logs."""
        return {name: metric.result() for name, metric in Scores(self._goals).named_metrics}

    def reset_state(self) -> None:
        for _, metric in Scores(self._goals).named_metrics:
            metric.reset_state()


def _each(goals: Sequence[Goal], *structures: Any) -> list[list[Any]]:
    """The entry for each output, of targets, of predictions and of weights."""
    found = []
    for structure in structures:
        if isinstance(structure, Mapping):
            found.append([structure.get(goal.name) for goal in goals])
        elif isinstance(structure, (list, tuple)) and len(structure) == len(goals):
            found.append(list(structure))
        else:
            found.append([structure] * len(goals))
    return found


class Steps:
    """The part of a :class:`nbnet.Model` that subclasses overwrite to train in their own way."""

    if TYPE_CHECKING:
        name: str
        optimizer: Optimizer | None
        _objective: Objective | None

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
        @property
        def losses(self) -> list[Tensor]: ...
        @property
        def trainable_weights(self) -> list[Any]: ...

    def __init__(self) -> None:
        self._loss_tracker = metrics.Mean("loss")
        self._compiled_metrics: CompiledMetrics | None = None

    def train_step(self, data: Any) -> Mapping[str, Any]:
        """One step of training, for a subclass to write its own.

        A model whose class overwrites it is trained by a loop in Python that calls it for every batch. Without that,
        the compiled loop computes what is written here.

        Parameters
        ----------
        data
            ``(x, y)`` or ``(x, y, sample_weight)`` of a batch, tensors (or lists or dicts of tensors); x alone if
            ``fit`` was given nothing else.

        Returns
        -------
        dict
            What appears in logs: numbers, tensors, or dicts of them.

        Examples
        --------
        >>> import nbnet as nb
        >>> class Mine(nb.Model):
        ...     def train_step(self, data):
        ...         x, y = data
        ...         with nb.Tape() as tape:
        ...             y_pred = self(x, training=True)
        ...             loss = self.compute_loss(y=y, y_pred=y_pred)
        ...         gradients = tape.gradient(loss, self.trainable_weights)
        ...         self.optimizer.apply(gradients, self.trainable_weights)
        ...         return {"loss": loss}
        >>> x = nb.Input((1,))
        >>> model = Mine(x, nb.layers.Dense(1, kernel_initializer="zeros")(x))
        >>> model.compile("sgd", "mse")
        >>> model.fit([[1.0], [2.0]], [[2.0], [4.0]], verbose=0).history
        {'loss': [10.0]}
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        optimizer = self.optimizer
        assert optimizer is not None
        with Tape(step=optimizer.iterations) as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight)
        weights = self.trainable_weights
        optimizer.apply(tape.gradient(loss, weights), weights)
        return self._tracked(x, y, y_pred, sample_weight, loss)

    def test_step(self, data: Any) -> Mapping[str, Any]:
        """One step of evaluation; see :meth:`train_step`."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        return self._tracked(x, y, y_pred, sample_weight, loss)

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch; see :meth:`train_step`."""
        return self(unpack_x_y_sample_weight(data)[0], training=False)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The loss that ``compile`` described, penalties included.

        Raises
        ------
        ValueError
            If there is nothing to add up.
        """
        goals = self._goals_for(y_pred)
        parts = []
        for goal, target, output, w in zip(goals, *_each(goals, y, y_pred, sample_weight), strict=True):
            if goal.loss is not None:
                value = goal.loss(target, output, w)
                parts.append(value if goal.weight == 1 else value * goal.weight)
        parts += self.losses
        if not parts:
            raise ValueError(f"{self.name}: there is no loss: compile(optimizer, loss), or compute one in train_step")
        total: Tensor = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Let the compiled metrics take a batch into account; returns the results of all."""
        for metric in self.metrics:
            if isinstance(metric, CompiledMetrics):
                metric.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics by name."""
        found: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            found |= value if isinstance(value, dict) else {metric.name: value}
        return found

    @property
    def metrics(self) -> list[metrics.Metric]:
        """The mean of the loss, the compiled metrics as one, and the metrics that are attributes of the model."""
        found: list[metrics.Metric] = []
        if self._objective is not None:
            found.append(self._loss_tracker)
            if self._compiled_metrics is not None:
                found.append(self._compiled_metrics)
        for value in vars(self).values():
            found += [
                part
                for part in (flatten(value) if isinstance(value, (list, tuple, dict)) else (value,))
                if isinstance(part, metrics.Metric)
                and part is not self._loss_tracker
                and part not in found
                and not isinstance(part, CompiledMetrics)
            ]
        return found

    @property
    def metrics_names(self) -> list[str]:
        """Names of :attr:`metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Forget what the metrics have seen."""
        for metric in self.metrics:
            metric.reset_state()

    def _tracked(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, loss: Tensor) -> dict[str, Any]:
        self._loss_tracker.update_state(loss.numpy(), next(flatten(x)).shape[0])
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _goals_for(self, y_pred: Any) -> Sequence[Goal]:
        """What is wanted of outputs like these."""
        if self._objective is None:
            raise ValueError(f"{self.name} is not compiled: call compile(optimizer, loss) first")
        outputs = list(flatten(y_pred))
        names = list(flatten(output_names(self, y_pred)))  # type: ignore[arg-type]
        return self._objective.goals(names, [y.shape[-1] if y.shape else 1 for y in outputs])
