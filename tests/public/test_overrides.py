"""Overrides in subclasses of nbnet's classes: each is called when a model is trained, evaluated and used."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

import nbnet as nb

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = (X.sum(1, keepdims=True) > 0).astype("float32")


def train(model: Any = None, loss: Any = "mse", optimizer: Any = "sgd", callbacks: Any = None, **compiled: Any) -> Any:
    if model is None:
        model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(1)])
    model.compile(optimizer, loss, **compiled)
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, validation_data=(X, Y), callbacks=callbacks)
    model.evaluate(X, Y, verbose=0, callbacks=callbacks)
    model.predict(X, callbacks=callbacks)
    return model


def of_layer(**arguments: Any) -> Any:
    return train(nb.Sequential([nb.Input((3,)), nb.layers.Dense(1, **arguments)]))


def functional(cls: Any) -> Any:
    x = nb.Input((3,))
    return train(cls(x, nb.layers.Dense(1)(x)), metrics=["mae"])


def layer_uses(cls: Any, *arguments: Any) -> Any:
    """A layer in all that calls its methods: a model that is trained, described, copied and saved."""
    layer = cls(*arguments)
    model = nb.Sequential([nb.Input((3,)), layer, nb.layers.Dense(1)])
    train(model)
    model.summary(print_fn=lambda text: None)
    nb.models.clone_model(model, clone_function=lambda layer: layer.from_config(layer.get_config()))
    layer.compute_output_shape((None, 3))


def model_uses(model: Any, folder: str) -> Any:
    """A model in all that calls its methods."""
    train(model, metrics=["mae"])
    model.summary(print_fn=lambda text: None)
    model.save(f"{folder}/m.nbnet")
    with nb.saving.custom_object_scope({type(model).__name__: type(model)}):
        nb.load_model(f"{folder}/m.nbnet")


def embedded(cls: Any) -> Any:
    masked = cls(3, 2, mask_zero=True)
    return nb.Sequential([nb.Input((3,)), masked, nb.layers.GlobalAveragePooling1D(), nb.layers.Dense(1)])


def sequential(cls: Any) -> Any:
    with TemporaryDirectory() as folder:
        model_uses(cls([nb.Input((3,)), nb.layers.Dense(1)]), folder)


def subclassed(cls: Any) -> Any:
    with TemporaryDirectory() as folder:
        model_uses(cls(), folder)


class Rows(nb.utils.PyDataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]


def read(cls: Any) -> Any:
    model = train()
    model.fit(cls(), epochs=2, verbose=0)
    model.evaluate(cls(), verbose=0)


def scheduled(cls: Any) -> Any:
    return train(optimizer=nb.optimizers.SGD(cls(0.1, 2, 0.5)))


def first(cls: Any) -> Any:
    return train(nb.Sequential([nb.Input((3,)), cls(), nb.layers.Dense(1)]))


class Subclassed(nb.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nb.layers.Dense(1)

    def call(self, inputs: Any, training: Any = None) -> Any:
        return self.dense(inputs)


LAYER = "__call__ call build add_weight compute_output_shape compute_output_spec get_config from_config count_params"
MODEL = "__call__ build compile evaluate metrics losses trainable_weights weights layers from_config"
FILES = "get_compile_config compile_from_config"
STEPS = "train_step test_step predict_step compute_loss compute_metrics get_metrics_result reset_metrics"
HOOKS = " ".join(name for name in dir(nb.callbacks.Callback) if name.startswith("on_"))
OPTIMIZER = "apply apply_gradients build update_step assign_sub scale_loss finalize_variable_values"
#: Base class, names of its methods, and how an object of a subclass is used.
WALK: list[tuple[type, str, Callable[[Any], Any]]] = [
    (nb.losses.MeanSquaredError, "call __call__", lambda cls: train(loss=cls())),
    (nb.losses.BinaryCrossentropy, "call __call__", lambda cls: train(loss=cls(from_logits=True))),
    (nb.metrics.MeanAbsoluteError, "update_state result reset_state", lambda cls: train(metrics=[cls()])),
    (nb.metrics.BinaryAccuracy, "update_state result reset_state", lambda cls: train(metrics=[cls()])),
    (nb.metrics.Precision, "update_state result reset_state", lambda cls: train(metrics=[cls()])),
    (nb.metrics.AUC, "update_state result reset_state", lambda cls: train(weighted_metrics=[cls()])),
    (nb.Model, STEPS, functional),
    (nb.Sequential, STEPS, lambda cls: train(cls([nb.Input((3,)), nb.layers.Dense(1)]), metrics=["mae"])),
    (Subclassed, f"{STEPS} call", lambda cls: train(cls(), metrics=["mae"])),
    (nb.optimizers.SGD, OPTIMIZER, lambda cls: train(optimizer=cls(0.1))),
    (nb.optimizers.Adam, f"{OPTIMIZER} assign", lambda cls: train(optimizer=cls(0.1, use_ema=True))),
    (nb.optimizers.schedules.ExponentialDecay, "__call__", scheduled),
    (nb.layers.Dense, LAYER, lambda cls: layer_uses(cls, 2)),
    (nb.Sequential, f"{MODEL} {FILES} get_config", sequential),
    (Subclassed, f"{MODEL} {FILES}", subclassed),
    (Rows, "__len__ __getitem__ num_batches on_epoch_begin on_epoch_end", read),
    (nb.layers.Dropout, "call", lambda cls: train(nb.Sequential([nb.Input((3,)), cls(0.5), nb.layers.Dense(1)]))),
    (nb.layers.BatchNormalization, LAYER, layer_uses),
    (nb.layers.Embedding, "compute_mask", lambda cls: embedded(cls)(np.zeros((2, 3)))),
    (nb.initializers.GlorotUniform, "__call__", lambda cls: of_layer(kernel_initializer=cls())),
    (nb.initializers.Zeros, "__call__", lambda cls: of_layer(bias_initializer=cls())),
    (nb.regularizers.L2, "__call__", lambda cls: of_layer(kernel_regularizer=cls(0.1))),
    (nb.regularizers.L1L2, "__call__", lambda cls: of_layer(activity_regularizer=cls(0.1))),
    (nb.callbacks.Callback, f"{HOOKS} set_params set_model", lambda cls: train(callbacks=[cls()])),
    (nb.callbacks.EarlyStopping, "on_train_begin on_epoch_end on_train_end", lambda cls: train(callbacks=[cls()])),
]  # fmt: skip


@pytest.mark.parametrize(
    ("base", "method", "use"),
    [(base, method, use) for base, methods, use in WALK for method in methods.split()],
    ids=lambda part: part if isinstance(part, str) else getattr(part, "__name__", ""),
)
def test_an_override_is_called(base: type, method: str, use: Callable[[Any], Any]) -> None:
    called = []

    def override(self: Any, *args: Any, **kwargs: Any) -> Any:
        called.append(method)
        found = getattr(super(cls, self), method)
        return found if isinstance(replaced, property) else found(*args, **kwargs)

    replaced = inspect.getattr_static(base, method)
    kind: Any = type(replaced) if isinstance(replaced, (property, classmethod)) else None
    if kind is not None:
        override = kind(override)
    cls = type(f"Own{base.__name__}", (base,), {method: override, "__module__": __name__})
    use(cls)
    assert called


@pytest.mark.parametrize("method", STEPS.split())
def test_results_are_those_of_compiled_steps(method: str) -> None:
    """A model whose step runs in Python for such an override trains as one without it."""

    def override(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(Own, self), method)(*args, **kwargs)

    Own = type("Own", (nb.Sequential,), {method: override, "__module__": __name__})
    found = []
    for cls in (nb.Sequential, Own):
        nb.set_random_seed(1)
        layer = nb.layers.Dense(1, kernel_initializer="ones")
        model = train(cls([nb.Input((3,)), layer]), metrics=["mae"])
        found.append((layer.kernel.numpy(), model.evaluate(X, Y, verbose=0)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("held", [{"validation_data": (X, Y, Y[:, 0] + 1)}, {"validation_split": 0.25}])
def test_validation_is_an_evaluation(held: dict[str, Any]) -> None:
    """An ``evaluate`` of one's own is asked for it, with the same results and calls of callbacks."""

    class Own(nb.Sequential):
        def evaluate(self, *args: Any, **kwargs: Any) -> Any:
            return super().evaluate(*args, **kwargs) | {"own": 1.0}

    class Counts(nb.callbacks.Callback):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            batches.append(batch)

    found = []
    for cls in (nb.Sequential, Own):
        nb.set_random_seed(1)
        batches: list[int] = []
        model = cls([nb.Input((3,)), nb.layers.Dense(1)])
        model.compile("sgd", "mse", weighted_metrics=["mae"])
        history = model.fit(X, Y, batch_size=2, epochs=2, verbose=0, shuffle=False, callbacks=[Counts()], **held)
        found.append((history.history, batches))
    assert found[1][0].pop("val_own") == [1.0, 1.0]
    assert found[0] == found[1]


def test_constraints() -> None:
    """A rule written with ops is heeded, and may call that of nbnet's; a kernel of one's own is refused there."""

    class Halves(nb.constraints.NonNeg):
        def __call__(self, w: Any) -> Any:
            return nb.ops.relu(w) * 0.5

    class Kernel(nb.constraints.Constraint):
        def call(self, parameter: Any) -> Any:
            return nb.constraints.NonNeg().call(parameter)

    class Delegates(Kernel):
        def __call__(self, w: Any) -> Any:
            return super().__call__(w)

    layer = nb.layers.Dense(1, kernel_initializer="ones", kernel_constraint=Halves())
    train(nb.Sequential([nb.Input((3,)), layer]), optimizer=nb.optimizers.SGD(0.0))
    np.testing.assert_allclose(layer.kernel.numpy(), 0.5**6)
    with pytest.raises(TypeError, match="Delegates changes weights in place"):
        of_layer(kernel_constraint=Delegates())
    for base, arguments in (
        (nb.constraints.NonNeg, ()), (nb.constraints.MaxNorm, (0.3,)), (nb.constraints.UnitNorm, ()),
        (nb.constraints.MinMaxNorm, (0.4, 0.5, 0.7, [0, 1])), (nb.constraints.Constraint, ()),
    ):  # fmt: skip
        calls = {"__call__": lambda self, w: super(type(self), self).__call__(w)}
        weights = []
        for cls in (base, type("Delegates", (base,), calls)):
            nb.set_random_seed(1)
            layer = nb.layers.Dense(2, kernel_constraint=cls(*arguments))
            train(nb.Sequential([nb.Input((3,)), layer, nb.layers.Dense(1)]))
            weights.append(layer.kernel.numpy())
        np.testing.assert_allclose(*weights, rtol=1e-5, atol=1e-7, err_msg=base.__name__)


def test_metrics_of_ones_own_see_batches() -> None:
    """``update_state`` is called for each batch, and the state after it is the metric's."""
    seen = []

    class Largest(nb.metrics.Metric):
        def __init__(self, name: str = "largest") -> None:
            super().__init__(name)
            self.batches = self.add_variable((), name="batches")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            seen.append(len(y_pred))
            self.batches.assign_add(1)

        def result(self) -> float:
            return self.batches.item()

    model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(1)])
    metric = Largest()
    model.compile("sgd", "mse", metrics=[metric])
    logs = model.fit(X, Y, batch_size=5, epochs=2, verbose=0).history
    assert logs["largest"] == [3.0, 3.0]
    assert seen == [5, 5, 2] * 2
    assert metric.result() == 3


def test_rules_in_python_agree_with_kernels() -> None:
    class Momentum(nb.optimizers.Optimizer):
        def __init__(self, learning_rate: float = 0.1, momentum: float = 0.9, **common: Any) -> None:
            super().__init__(learning_rate=learning_rate, **common)
            self.momentum = momentum

        def build(self, variables: Any) -> Any:
            super().build(variables)
            self.velocities = self.add_optimizer_variables(variables, "velocity")

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            m = self.velocities[self._get_variable_index(variable)]
            self.assign(m, m * self.momentum - gradient * learning_rate)
            self.assign_add(variable, m)

    common: dict[str, Any]
    for common in ({}, {"weight_decay": 0.1}, {"clipnorm": 0.1}, {"global_clipnorm": 0.1}, {"clipvalue": 0.05}):
        weights = []
        for cls in (Momentum, nb.optimizers.SGD):
            nb.set_random_seed(1)
            layer = nb.layers.Dense(1, kernel_constraint="non_neg")
            optimizer = cls(0.1, momentum=0.9, **common)
            train(nb.Sequential([nb.Input((3,)), layer]), optimizer=optimizer)
            assert int(optimizer.iterations) == 6
            weights.append(layer.kernel.numpy())
        np.testing.assert_allclose(*weights, rtol=1e-5, atol=1e-7, err_msg=str(common))
    saved = optimizer_of(Momentum(0.1))
    state = saved.get_state()
    assert sorted(state) == ["iterations", "learning_rate", "variable_0"]
    again, w = Momentum(0.1), nb.Parameter([1.0], name="w")
    again.set_state(state)
    again.apply([[0.0]], [w])
    assert w.item() == pytest.approx(1 - 0.09)


RULES: list[tuple[Any, dict[str, Any]]] = [
    (nb.optimizers.SGD, {}), (nb.optimizers.SGD, {"momentum": 0.9}), (nb.optimizers.Adam, {}),
    (nb.optimizers.Adam, {"amsgrad": True}), (nb.optimizers.AdamW, {}), (nb.optimizers.Adamax, {}),
    (nb.optimizers.Nadam, {}), (nb.optimizers.Adagrad, {}), (nb.optimizers.Adadelta, {}), (nb.optimizers.RMSprop, {}),
    (nb.optimizers.RMSprop, {"momentum": 0.9, "centered": True}), (nb.optimizers.Lion, {}), (nb.optimizers.Ftrl, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    "common",
    [
        {},
        {"gradient_accumulation_steps": 2, "clipvalue": 0.1, "weight_decay": 0.01},
        {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3, "global_clipnorm": 0.5},
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("base", "arguments"), RULES, ids=lambda part: getattr(part, "__name__", None) or " ".join(part)
)
def test_rules_of_base_classes(base: Any, arguments: dict[str, Any], common: dict[str, Any]) -> None:
    """``super().update_step``, and methods that it writes with, train as the class itself does."""
    weights, states = [], []

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super(Step, self).update_step(gradient, variable, learning_rate)

    def assign_sub(self: Any, variable: Any, value: Any) -> None:
        super(Writes, self).assign_sub(variable, value)

    def assign(self: Any, variable: Any, value: Any) -> None:
        super(Writes, self).assign(variable, value)

    Step = type(
        "Step", (base,), {"update_step": update_step, "build": lambda self, v: super(Step, self).build(v) and None}
    )
    Writes = type("Writes", (base,), {"assign_sub": assign_sub, "assign": assign})
    schedule = nb.optimizers.schedules.ExponentialDecay(0.05, 2, 0.7)
    for cls in (base, Step, Writes):
        nb.set_random_seed(1)
        layer = nb.layers.Dense(1, kernel_constraint="non_neg")
        optimizer = cls(schedule, **arguments, **common)
        train(nb.Sequential([nb.Input((3,)), layer]), optimizer=optimizer)
        weights.append(layer.get_weights())
        states.append(optimizer.get_state())
    for found, state in zip(weights[1:], states[1:], strict=True):
        for one, other in zip(found, weights[0], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
        assert state.keys() == states[0].keys()
        for name, value in state.items():
            if name != "gradient_accumulator":  # No one reads it after an update.
                np.testing.assert_allclose(value, states[0][name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_writes_of_built_in_rules_are_heeded() -> None:
    """Each of the methods that write, alone: where it does nothing, the parameter stays as it is."""
    for base in (nb.optimizers.SGD, nb.optimizers.Adam):
        for name in ("assign", "assign_add", "assign_sub"):
            cls = type("Still", (base,), {name: lambda self, variable, value: None})
            w = nb.Parameter([1.0], name="w")
            cls(0.1).apply([[1.0]], [w])
            assert w.item() == 1.0, (base, name)


def test_rates_that_an_override_changes() -> None:
    """The learning rate of one parameter; a copy goes on where the optimizer was."""

    class Slow(nb.optimizers.Adam):
        def build(self, variables: Any) -> None:
            super().build(variables)
            self.calls = self.add_variable((), name="calls")

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            self.calls.assign_add(1.0)
            super().update_step(gradient, variable, learning_rate * (0.1 if variable.name == "slow" else 1.0))

    w, slow = nb.Parameter([0.0], name="w"), nb.Parameter([0.0], name="slow")
    optimizer = Slow(0.5)
    optimizer.apply([[1.0], [1.0]], [w, slow])
    np.testing.assert_allclose([w.item(), slow.item()], [-0.5, -0.05], rtol=1e-5)
    names = ["iteration", "learning_rate", "w_momentum", "w_velocity", "slow_momentum", "slow_velocity", "calls"]
    assert [v.name for v in optimizer.variables] == names
    again = copy.deepcopy(Slow(0.5))
    again.set_state(optimizer.get_state())
    parameters = [nb.Parameter(w.numpy(), name="w"), nb.Parameter(slow.numpy(), name="slow")]
    for one, given in ((optimizer, [w, slow]), (again, parameters)):
        one.apply([[2.0], [1.0]], given)
    assert [w.item(), slow.item()] == [p.item() for p in parameters]
    assert again.calls.item() == 4.0


def test_optimizers_around_others() -> None:
    """One that hands parameters to another: both know them, and each trains where they are."""

    class Around(nb.optimizers.Optimizer):
        def __init__(self, inner: Any, **common: Any) -> None:
            super().__init__(learning_rate=inner.learning_rate, **common)
            self.inner = inner

        def build(self, variables: Any) -> None:
            super().build(variables)
            self.inner.build(variables)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            self.inner.update_step(gradient, variable, learning_rate)

    weights = []
    for make in (
        lambda inner, **common: Around(inner, **common),
        lambda inner, **common: inner.__class__(0.1, **common),
    ):
        w = nb.Parameter([1.0, 2.0], name="w")
        optimizer = make(nb.optimizers.RMSprop(0.1), use_ema=True, ema_overwrite_frequency=3)
        for step in range(7):
            optimizer.apply([[1.0, 0.5 - step]], [w])
        weights.append(w.numpy())
    np.testing.assert_allclose(*weights, rtol=1e-5)


def optimizer_of(optimizer: Any) -> Any:
    optimizer.apply([[1.0]], [nb.Parameter([1.0], name="w")])
    return optimizer


def test_refusals(tmp_path: Any) -> None:
    class Unbuilt(nb.optimizers.SGD):
        def build(self, variables: Any) -> Any:
            pass

    x, y = X[:4], Y[:4]

    def one(**members: Any) -> Any:
        model = type("One", (nb.Sequential,), members)([nb.Input((3,)), nb.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    for kind, use in (
        ("train", lambda model: model.fit(x, y, verbose=0)), ("test", lambda model: model.evaluate(x, y, verbose=0)),
        ("predict", lambda model: model.predict(x, verbose=0)),
    ):  # fmt: skip
        with pytest.raises(NotImplementedError, match=f"make_{kind}_function: is never called; override {kind}_step"):
            use(one(**{f"make_{kind}_function": lambda self, force=False: None}))
    with pytest.raises(NotImplementedError, match=r"One\.trainable_variables: override trainable_weights"):
        one(trainable_variables=property(lambda self: []))
    for ending in (".nbnet", ".keras", ".weights.h5"):
        model = one(save_own_variables=lambda self, store: None)
        save = model.save_weights if "weights" in ending else model.save
        with pytest.raises(NotImplementedError, match="save_own_variables: is never called, as files hold weights"):
            save(f"{tmp_path}/m{ending}")
    made = {"add_variable_from_reference": lambda self, *args, **kwargs: None}
    with pytest.raises(NotImplementedError, match="add_variable_from_reference: is never called"):
        train(optimizer=type("Own", (nb.optimizers.Adam,), made)())
    wrong = {"compute_output_spec": lambda self, x: nb.KerasTensor((None, 7))}
    with pytest.raises(ValueError, match=r"compute_output_spec: .* returned shapes .*7.*, call returns"):
        type("Own", (nb.layers.Dense,), wrong)(2)(nb.Input((3,)))
    with pytest.raises(ValueError, match=r"Unbuilt.build: has to call super\(\).build"):
        train(optimizer=Unbuilt(0.1))
    with pytest.raises(NotImplementedError, match="defines neither kernel nor update_step"):
        train(optimizer=nb.optimizers.Optimizer(0.1))
