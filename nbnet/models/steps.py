"""Steps in Python, which a subclass of a model may define itself, and the metrics that they update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from nbnet import ops
from nbnet.base.tree import flatten
from nbnet.engine.graph.tape import Tape
from nbnet.engine.graph.tensor import Tensor, changes
from nbnet.layers.arguments import argument_names
from nbnet.layers.variable import flatten_layers
from nbnet.metrics.metric import Metric, metrics_in
from nbnet.train import python_runner
from nbnet.train.python_runner import CompiledMetrics, unpack_x_y_sample_weight
from nbnet.train.trainable import LogLayout, Trainable, default_step

if TYPE_CHECKING:
    _Base = Trainable
else:
    _Base = object


class Steps(_Base):
    """The part of a :class:`nbnet.Model` with the steps that a subclass may define itself."""

    _loss_tracker: Any
    _compiled_metrics: CompiledMetrics | None

    if TYPE_CHECKING:

        def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any: ...

    @default_step
    def train_step(self, data: Any) -> Mapping[str, Any]:
        """Train on one batch; a subclass may define a step of its own.

        A step of a subclass is compiled, as by :func:`nbnet.function`: its Python code runs once for each size of
        batches. One that cannot be compiled is called for every batch, after a warning that says why: it asks for
        values of tensors, changes attributes of the model, or draws numbers from NumPy. ``compile(run_eagerly=True)``
        has every step run as Python. Without a subclass, the compiled loop computes the same.

        Parameters
        ----------
        data
            ``(x, y)`` or ``(x, y, sample_weight)`` of a batch, tensors (or lists or dicts of tensors); only x if
            ``fit`` was given nothing else.

        Returns
        -------
        dict
            Entries of the logs: numbers, tensors, or dicts of them.

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
        with Tape(step=None if changes() else optimizer.steps) as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight)
            scaled = optimizer.scale_loss(loss)
        weights = self.trainable_weights
        pairs = zip(tape.gradient(scaled, weights), weights, strict=True)
        # The loss may depend on none of a weight's values.
        optimizer.apply_gradients((ops.zeros(w.shape) if g is None else g, w) for g, w in pairs)
        return self._tracked(x, y, y_pred, sample_weight, loss)

    @default_step
    def test_step(self, data: Any) -> Mapping[str, Any]:
        """Evaluate one batch; see :meth:`train_step`."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        # A method written for older versions of Keras does not take the mode.
        mode = {"training": False} if "training" in argument_names(type(self).compute_loss) else {}
        loss = self.compute_loss(x, y, y_pred, sample_weight, **mode)
        return self._tracked(x, y, y_pred, sample_weight, loss)

    @default_step
    def predict_step(self, data: Any) -> Any:
        """Compute the outputs for a batch; see :meth:`train_step`."""
        return self(unpack_x_y_sample_weight(data)[0], training=False)

    def _tracked(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, loss: Tensor) -> dict[str, Any]:
        self._loss_tracker.update_state(loss, next(flatten(x)).shape[0])
        return self.compute_metrics(x, y, y_pred, sample_weight)

    @default_step
    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """Compute the loss that ``compile`` configured, penalties included.

        Raises
        ------
        ValueError
            If the model is not compiled with a loss, and nothing else adds to it.
        """
        return python_runner.compute_loss(self, y, y_pred, sample_weight)

    @default_step
    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the compiled metrics with a batch; return the results of all metrics."""
        for metric in self.metrics:
            if isinstance(metric, CompiledMetrics):
                metric.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    @default_step
    def get_metrics_result(self) -> dict[str, Any]:
        """Return the results of all metrics by name."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            results |= value if isinstance(value, dict) else {metric.name: value}
        return results

    @property
    def metrics(self) -> list[Metric]:
        """The mean of the loss, the compiled metrics as one, and the metrics that are attributes of the model or of a
        layer in it."""
        compiled: list[Metric] = []
        if self._train_state.objective is not None:
            compiled = [self._loss_tracker, *([] if self._compiled_metrics is None else [self._compiled_metrics])]
        return compiled + self.attached_metrics

    @property
    def attached_metrics(self) -> list[Metric]:
        """The metrics that are attributes of the model or of a layer in it: steps run in Python to update them."""
        state, structure = self._train_state, (self.built, *self.structure())
        if state.watched[0] != structure:
            inner = flatten_layers(cast(Any, self))[1:]
            state.watched = structure, [part for part in inner if not type(part).__module__.startswith("nbnet.")]
        found: list[Metric] = []
        for part in (self, *state.watched[1]):
            # A model inside is not trained by itself.
            if of_part := metrics_in(part):
                own = (part._loss_tracker, part._compiled_metrics) if isinstance(part, Steps) else ()
                found += [m for m in of_part if all(m is not known for known in (*own, *found))]
        return found

    @property
    def metrics_variables(self) -> list[Any]:
        """The variables of :attr:`metrics`."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def take_layout(self, layout: LogLayout) -> None:
        """Let metrics have the sums that programs make."""
        layout.tracker = self._loss_tracker
        if self._compiled_metrics is not None:
            self._compiled_metrics.specs = layout.specs

    @property
    def metrics_names(self) -> list[str]:
        """Names of :attr:`metrics`."""
        return [metric.name for metric in self.metrics]

    @default_step
    def reset_metrics(self) -> None:
        """Reset the state of all metrics."""
        for metric in self.metrics:
            metric.reset_state()


default_step(cast(Any, Steps.metrics))
