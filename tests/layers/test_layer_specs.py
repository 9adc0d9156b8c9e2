"""Names that Keras's layers and models have: input specs, variables, symbols, dtype policies, scopes."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import Dense, InputSpec, Layer


class Double(Layer):
    def __init__(self, spec, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = spec

    def call(self, x):
        return nb.ops.multiply(x, 2.0)


@pytest.mark.parametrize(
    ("spec", "right", "wrong"),
    [
        ({"ndim": 2}, (2, 3), (2, 3, 4)),
        ({"min_ndim": 3}, (2, 3, 4), (2, 3)),
        ({"max_ndim": 2}, (2, 3), (2, 3, 4)),
        ({"axes": {-1: 3}}, (2, 5, 3), (2, 3, 5)),
        ({"axes": {1: 3, 0: None}}, (2, 3), (2, 4)),
        ({"shape": (None, 3)}, (7, 3), (7, 4)),
        ({"shape": (2, 3)}, (2, 3), (7, 3)),
        ({"shape": (None, 4, 1), "allow_last_axis_squeeze": True}, (2, 4), (2, 5)),
        ({"shape": (None, 4), "allow_last_axis_squeeze": True}, (2, 4, 1), (2, 4, 2)),
    ],
)
def test_each_call_is_checked(spec, right, wrong):
    layer = Double(InputSpec(**spec), name="double")
    for _ in range(2):
        np.testing.assert_array_equal(layer(np.ones(right)).numpy(), np.full(right, 2.0))
        with pytest.raises(ValueError, match=r"^inputs: double expected .*, got shape \("):
            layer(np.ones(wrong))


def test_symbols_are_checked_and_open_axes_fit():
    layer = Double(InputSpec(shape=(4, 5)), name="double")
    assert layer(nb.Input((5,))).shape == (None, 5)
    assert layer(nb.Input((None,))).shape == (None, None)
    with pytest.raises(ValueError, match="double expected shape"):
        layer(nb.Input((6,)))


def test_training_checks_sizes_of_open_axes():
    x = nb.Input((None, 2))
    y = nb.layers.GlobalAveragePooling1D()(Double(InputSpec(axes={1: 5}), name="double")(x))
    model = nb.Model(x, Dense(1)(y))
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 5, 2)), np.ones(8), batch_size=4, verbose=0)
    assert model.predict(np.ones((3, 5, 2)), verbose=0).shape == (3, 1)
    with pytest.raises(ValueError, match="double expected size 5 in axis 1"):
        model.predict(np.ones((3, 6, 2)), verbose=0)


class Both(Layer):
    def call(self, xs):
        a, b = xs.values() if isinstance(xs, dict) else xs
        return nb.ops.add(a, b)


def test_several_inputs():
    layer = Both(name="both")
    layer.input_spec = [InputSpec(ndim=2, name="a"), InputSpec(ndim=2, name="b")]
    x = np.ones((2, 3))
    np.testing.assert_array_equal(layer([x, x]).numpy(), 2 * x)
    np.testing.assert_array_equal(layer({"b": x, "a": x}).numpy(), 2 * x)
    with pytest.raises(ValueError, match="both expected 2 inputs, got 1"):
        layer(x)
    with pytest.raises(ValueError, match=r"both expected the keys \['a', 'b'\], got \['a', 'c'\]"):
        layer({"a": x, "c": x})
    layer.input_spec = "nonsense"
    with pytest.raises(TypeError, match=r"^input_spec: expected an InputSpec"):
        layer([x, x])


def test_dtypes():
    layer = Double(InputSpec(dtype="float64"), name="double")
    with pytest.raises(ValueError, match="double expected dtype float64, got float32"):
        layer(np.ones(3, "float32"))
    assert Double(InputSpec(dtype="float32"))(np.ones(3)).dtype == "float32"


def test_specs_are_described():
    spec = InputSpec("float32", (None, 2), axes={-1: 2})
    assert repr(spec) == "InputSpec(dtype=float32, shape=(None, 2), ndim=2, axes={-1: 2})"
    assert InputSpec.from_config({"shape": (None, 2)}).get_config() == {
        "dtype": None, "shape": (None, 2), "ndim": 2, "max_ndim": None, "min_ndim": None, "axes": {}, "optional": False
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"^axes: expected axes below 2, got 3"):
        InputSpec(ndim=2, axes={3: 1})
    with pytest.raises(TypeError, match=r"^axes: expected a dict with integer keys"):
        InputSpec(axes={"a": 1})


@pytest.mark.parametrize("initializer", [3.0, [3.0], np.full(2, 3.0), lambda shape, dtype: np.full(shape, 3, dtype)])
def test_variables(initializer):
    shape = (2,) if callable(initializer) else None
    v = nb.Variable(initializer, shape, "float64", trainable=False, name="v")
    assert (v.dtype, v.trainable, v.requires_grad, v.name, v.path) == ("float64", False, False, "v", "v")
    np.testing.assert_array_equal(v.numpy(), np.full(np.shape(initializer) if shape is None else shape, 3.0))


def test_variables_are_refused():
    for arguments, match in (
        (("ones",), "^shape: expected integers"),
        (([1.0], (2,)), "^shape: expected that of the values"),
        ((1.0, None, "int32"), "^dtype: expected float32 or float64"),
    ):
        with pytest.raises(ValueError, match=match):
            nb.Variable(*arguments)
    with pytest.raises(ValueError, match=r"^name: expected a string without '/'"):
        nb.Variable(1.0, name="a/b")


def test_a_variable_is_a_weight_that_trains():
    class Scale(Layer):
        def __init__(self):
            super().__init__()
            self.factor = nb.Variable("ones", shape=(1,))

        def call(self, x):
            return x * self.factor

    model = nb.Sequential([Scale()])
    model.compile(nb.optimizers.SGD(0.5), "mse")
    model.fit(np.ones((4, 1)), np.full((4, 1), 3.0), epochs=20, batch_size=4, verbose=0, shuffle=False)
    np.testing.assert_allclose(model.get_weights()[0], [3.0], rtol=1e-6)
    (weight,) = copy.deepcopy(model).weights
    assert type(weight) is nb.Variable


def test_what_counts_as_an_instance():
    class Own(nb.Variable):
        pass

    (kernel, _) = nb.Sequential([nb.Input((2,)), Dense(1)]).weights
    assert isinstance(kernel, nb.Variable)
    assert not isinstance(kernel, Own)
    assert isinstance(Own(1.0), Own)
    assert not isinstance(nb.tensor([1.0]), nb.Variable)
    assert isinstance(Dense(1)(nb.Input((2,))), nb.KerasTensor)
    assert not isinstance(kernel, nb.KerasTensor)


def test_symbols_that_scripts_make():
    x = nb.KerasTensor((None, 3), "int32", name="x")
    assert (x.sparse, x.ragged) == (False, False)
    assert (x.shape, x.dtype, x.name) == ((None, 3), np.dtype("int32"), "x")
    with pytest.raises(ValueError, match=r"^sparse: expected False"):
        nb.KerasTensor((2,), sparse=True)


def test_scopes_do_nothing():
    with nb.name_scope("a"):
        assert nb.Variable(1.0, name="v").path == "v"
    with pytest.raises(ValueError, match=r"^name: expected a string without '/'"):
        nb.name_scope("a/b")


def test_dtypes_and_path_of_a_layer():
    layer = Dense(2, dtype="float64", name="d")
    assert (layer.compute_dtype, layer.variable_dtype, layer.path) == ("float64", "float64", None)
    policy = layer.dtype_policy
    assert (policy.name, policy.compute_dtype, policy.variable_dtype) == ("float64",) * 3
    assert Dense(2, dtype=policy).dtype == "float64"
    layer.build((None, 3))
    assert layer.path == "d"
    assert layer.add_variable((2,), "ones", name="more").path == "d/more"
    assert len(layer.weights) == 3


def test_how_a_model_is_compiled():
    model = nb.Sequential([Dense(1)])
    assert (model.compiled, model.jit_compile) == (False, True)
    for options, expected in (({}, True), ({"run_eagerly": True}, False), ({"jit_compile": False}, False)):
        model.compile(loss="mse", **options)
        assert (model.compiled, model.jit_compile) == (True, expected)
