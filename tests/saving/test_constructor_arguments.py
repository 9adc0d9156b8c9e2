"""Constructor arguments of classes without ``get_config`` in copies, files and JSON."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nbnet as nb


class Gain(nb.layers.Layer):
    def __init__(self, gain: float = 2.0, shifts: Any = (0.0,), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gain, self.shifts = gain, shifts

    def call(self, x: Any) -> Any:
        return x * self.gain + sum(self.shifts)


class ScaledDense(nb.layers.Dense):
    def __init__(self, units: int, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.scale = scale

    def call(self, x: Any) -> Any:
        return super().call(x) * self.scale


class NoOptions(nb.layers.Layer):
    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def call(self, x: Any) -> Any:
        return x * self.gain


class Net(nb.Model):
    def __init__(self, units: int = 3, rate: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense, self.dropout = nb.layers.Dense(units), nb.layers.Dropout(rate)

    def call(self, x: Any) -> Any:
        return self.dropout(self.dense(x))


class Power(nb.losses.Loss):
    def __init__(self, power: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power = power

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return nb.ops.mean(nb.ops.abs(y_true - y_pred) ** self.power, axis=-1)


class Offset(nb.metrics.Metric):
    def __init__(self, offset: float, name: str = "offset") -> None:
        super().__init__(name)
        self.offset = offset

    def values(self, y_true: Any, y_pred: Any) -> Any:
        return nb.ops.mean(y_pred - y_true, axis=-1) + self.offset


class Fill(nb.initializers.Initializer):
    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return np.full(shape, self.value, dtype or "float32")


class Pull(nb.regularizers.Regularizer):
    def __init__(self, to: float) -> None:
        self.to = to

    def __call__(self, x: Any) -> Any:
        return nb.ops.sum((x - self.to) ** 2.0)


class Cap(nb.constraints.Constraint):
    def __init__(self, top: float = 1.0) -> None:
        self.top = top

    def __call__(self, w: Any) -> Any:
        return np.minimum(w, self.top)


class Slow(nb.optimizers.schedules.LearningRateSchedule):
    def __init__(self, start: float, every: int = 10) -> None:
        self.start, self.every = start, every

    def __call__(self, step: Any) -> Any:
        return self.start / (1.0 + step // self.every)


class Faster(nb.optimizers.SGD):
    def __init__(self, learning_rate: Any = 0.1, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.factor = factor


OBJECTS: list[tuple[Callable[[], Any], dict[str, Any]]] = [
    (lambda: Gain(5.0, shifts=[1.0, 2.0], name="g"), {"gain": 5.0, "shifts": [1.0, 2.0], "name": "g"}),
    (lambda: Gain(np.float32(0.5)), {"gain": 0.5, "shifts": (0.0,)}),
    (lambda: ScaledDense(3, 4.0, activation="relu"), {"units": 3, "scale": 4.0, "activation": "relu"}),
    (lambda: NoOptions(7.0), {"gain": 7.0}),
    (lambda: Net(4, rate=0.25), {"units": 4, "rate": 0.25}),
    (lambda: Power(3.0, reduction="sum"), {"power": 3.0, "reduction": "sum"}),
    (lambda: Offset(1.5), {"offset": 1.5, "name": "offset"}),
    (lambda: Fill(0.25), {"value": 0.25}),
    (lambda: Pull(-1.0), {"to": -1.0}),
    (lambda: Cap(0.5), {"top": 0.5}),
    (lambda: Slow(0.5, every=3), {"start": 0.5, "every": 3}),
    (lambda: Faster(0.5, factor=3.0, momentum=0.9), {"learning_rate": 0.5, "factor": 3.0, "momentum": 0.9}),
]


@pytest.mark.parametrize(("make", "arguments"), OBJECTS)
def test_get_config_has_the_arguments_and_makes_the_object_again(
    make: Callable[[], Any], arguments: dict[str, Any]
) -> None:
    config = make().get_config()
    assert {name: config[name] for name in arguments} == arguments
    again = type(make()).from_config(config)
    assert again.get_config() == config


def test_current_values_of_declared_arguments_take_precedence() -> None:
    optimizer = Faster(0.5)
    optimizer.learning_rate = 0.125
    assert optimizer.get_config()["learning_rate"] == 0.125
    assert Faster(Slow(0.5)).get_config()["learning_rate"]["config"] == {"start": 0.5, "every": 10}
    layer = Gain(3.0)
    layer.trainable = False
    assert layer.get_config()["trainable"] is False


def test_arguments_are_those_of_the_call_even_if_a_list_changes_later() -> None:
    shifts = [1.0]
    layer = Gain(1.0, shifts=shifts)
    shifts.append(9.0)
    assert layer.get_config()["shifts"] == [1.0]


@pytest.mark.parametrize("argument", [object(), np.ones(3), nb.layers.Dense(1), {1: 2.0}])
def test_arguments_without_a_plain_form_are_refused(argument: Any) -> None:
    with pytest.raises(NotImplementedError, match=r"Gain was made with gain of type .*: define get_config\(self\)"):
        Gain(argument).get_config()


def test_a_loss_with_an_argument_without_a_plain_form_still_has_a_repr() -> None:
    assert repr(Power(object())) == "Power()"  # type: ignore[arg-type]


def test_positional_arguments_without_names_are_refused() -> None:
    class Sum(nb.layers.Layer):
        def __init__(self, *shifts: float) -> None:
            super().__init__()

    assert "shifts" not in Sum().get_config()
    with pytest.raises(NotImplementedError, match="Sum has arguments without names"):
        Sum(1.0, 2.0).get_config()


def test_get_config_of_the_class_is_taken_as_it_is() -> None:
    class Own(Gain):
        def get_config(self) -> dict[str, Any]:
            return {"name": self.name, "gain": self.gain / 2}

    assert Own(4.0, name="own").get_config() == {"name": "own", "gain": 2.0}


def _model() -> nb.Model:
    model = nb.Sequential(
        [nb.Input((2,)), Gain(5.0), ScaledDense(3, 4.0, kernel_initializer=Fill(0.5)), nb.layers.Dense(1)]
    )
    model.compile(Faster(Slow(0.25), factor=2.0), Power(3.0), metrics=[Offset(1.5)])
    return model


CUSTOM = {cls.__name__: cls for cls in (Gain, ScaledDense, Fill, Faster, Slow, Power, Offset)}


@pytest.mark.parametrize("way", ["clone", "json", "file"])
def test_arguments_survive_copies_json_and_files(way: str, tmp_path: Any) -> None:
    model, x = _model(), np.ones((1, 2), "float32")
    if way == "clone":
        again: Any = nb.models.clone_model(model)
    elif way == "json":
        again = nb.models.model_from_json(model.to_json(), custom_objects=CUSTOM)
    else:
        model.save(tmp_path / "m.nbnet")
        again = nb.load_model(tmp_path / "m.nbnet", custom_objects=CUSTOM)
        assert again.optimizer.factor == 2.0
        assert again.optimizer.schedule.start == 0.25
        assert again.evaluate(x, x[:, :1], verbose=0) == model.evaluate(x, x[:, :1], verbose=0)
    again.set_weights(model.get_weights())
    assert (again.predict(x, verbose=0) == model.predict(x, verbose=0)).all()
    assert again.layers[0].gain == 5.0
    assert again.layers[1].scale == 4.0


def test_built_in_classes_record_nothing() -> None:
    assert "_constructor_arguments" not in vars(nb.layers.Dense(3))
    assert "_constructor_arguments" in vars(Gain())
