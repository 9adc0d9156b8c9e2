"""A stack of layers: its weights, how it is built and changed, and how it is shown."""

from __future__ import annotations

import numpy as np
import pytest

import nbnet as nb
from nbnet.layers import Dense, Dropout, Flatten, Reshape
from tests.networks import BCE, COLUMN, LABELS, ONE_HOT, SCCE, X, close, equal, network

# ---- weights -------------------------------------------------------------------------------------------------


def test_weights_come_in_keras_order():
    model = nb.Sequential([nb.Input((4,)), Dense(3), Dropout(0.5), Dense(2, use_bias=False), Dense(5)])
    weights = model.get_weights()
    assert [w.shape for w in weights] == [(4, 3), (3,), (3, 2), (2, 5), (5,)]
    assert model.count_params() == 12 + 3 + 6 + 10 + 5
    assert [w.name.split("/")[1] for w in model.weights] == ["kernel", "bias", "kernel", "kernel", "bias"]
    assert not any(np.shares_memory(a, p.numpy()) for a, p in zip(weights, model.weights, strict=True))
    model.set_weights([np.full(w.shape, i) for i, w in enumerate(weights)])
    assert [w.ravel()[0] for w in model.get_weights()] == [0, 1, 2, 3, 4]
    assert [w.dtype for w in model.get_weights()] == [np.float32] * 5
    assert equal(model.layers[3].get_weights(), model.get_weights()[3:])


def test_set_weights_refuses_what_does_not_fit():
    model = network()
    before = model.get_weights()
    for wrong, words in [
        (before[:3], "has 4 arrays, got 3"),
        ([*before[:3], before[0]], r"output/bias has shape \(3,\), got \(4, 8\)"),
        ([*before[:3], before[3][:, None]], r"has shape \(3,\), got \(3, 1\)"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.set_weights(wrong)
    with pytest.raises(TypeError, match="expected real numbers"):
        model.set_weights([*before[:3], np.array(["a", "b", "c"])])
    assert equal(before, model.get_weights())


def test_set_weights_after_training():
    model, other = network(optimizer="adam"), network(optimizer="adam")
    model.fit(X, LABELS, verbose=0)
    other.predict(X)
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_frozen_layers_stay_put(optimizer):
    model = network(optimizer=optimizer)
    model.get_layer("hidden").trainable = False
    model.compile(optimizer, SCCE)
    assert [w.shape for w in model.trainable_weights] == [(8, 3), (3,)]
    assert [w.shape for w in model.non_trainable_weights] == [(4, 8), (8,)]
    before = model.get_weights()
    model.fit(X, LABELS, epochs=3, verbose=0)
    after = model.get_weights()
    assert equal(before[:2], after[:2])
    assert not np.array_equal(before[2], after[2])
    # The other layers train as they would alone.
    head = nb.Sequential([nb.Input((8,)), Dense(3, "softmax")])
    head.set_weights(before[2:])
    head.compile(optimizer, SCCE)
    features = nb.Sequential([nb.Input((4,)), Dense(8, "tanh")])
    features.set_weights(before[:2])
    model.set_weights(before)
    model.compile(optimizer, SCCE)
    model.fit(X, LABELS, epochs=3, shuffle=False, verbose=0)
    head.fit(features.predict(X), LABELS, epochs=3, shuffle=False, verbose=0)
    close(model.get_weights()[2:], head.get_weights(), 1e-5, 1e-7)


def test_thawing_after_compile_needs_a_new_optimizer():
    model = network()
    model.fit(X, LABELS, verbose=0)
    model.get_layer("hidden").trainable = False
    with pytest.raises(ValueError, match="has trained other parameters; make a new one"):
        model.fit(X, LABELS, verbose=0)
    model.compile("sgd", SCCE)
    model.fit(X, LABELS, verbose=0)


def test_a_frozen_model_does_not_train():
    model = network()
    model.trainable = False
    assert model.trainable_weights == []
    model.compile("sgd", SCCE)
    before = model.get_weights()
    for optimizer in ("sgd", "adam", nb.optimizers.SGD(0.1, momentum=0.5, global_clipnorm=1.0)):
        model.compile(optimizer, SCCE)
        with pytest.warns(UserWarning, match="has no trainable weights: fit changes nothing"):
            history = model.fit(X, LABELS, verbose=0, epochs=2)
        assert history.history["loss"] == pytest.approx([model.evaluate(X, LABELS, verbose=0)] * 2)
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))
    frozen = nb.Sequential([nb.Input((4,)), Dense(2)], trainable=False)
    assert frozen.trainable_weights == []


# ---- the stack of layers -------------------------------------------------------------------------------------


def test_without_an_input_the_model_is_built_by_data():
    for use in (
        lambda m: m.predict(X),
        lambda m: m(X),
        lambda m: m.fit(X, LABELS, verbose=0),
        lambda m: m.train_on_batch(X, LABELS),
    ):
        model = nb.Sequential([Dense(8, "relu"), Dense(3, "softmax")])
        model.compile("sgd", SCCE)
        assert model.get_weights() == []
        assert not model.built
        for name in ("input_shape", "output_shape", "inputs", "outputs"):
            assert not hasattr(model, name)
        with pytest.raises(ValueError, match="is not built: give it an Input"):
            _ = model.input_shape
        use(model)
        assert model.built
        assert model.input_shape == (None, 4)
        assert model.output_shape == (None, 3)
        assert len(model.get_weights()) == 4
        with pytest.raises(ValueError, match="x: expected 4 columns, got 5"):
            model.predict(np.ones((2, 5)))


def test_an_input_shape_on_the_first_layer():
    model = nb.Sequential([Dense(3, input_shape=(4,))])
    assert model.input_shape == (None, 4)
    assert model.count_params() == 15


def test_a_failed_build_leaves_the_model_unbuilt():
    model = nb.Sequential([Reshape((2, 3)), Flatten(), Dense(2)])
    with pytest.raises(ValueError, match="target_shape"):
        model.predict(np.ones((3, 5)))
    assert model.predict(np.ones((3, 6))).shape == (3, 2)


def test_add_and_pop():
    model = nb.Sequential(name="stack")
    model.add(nb.Input((4,)))
    model.add(Dense(8, "relu", name="a"))
    model.add(Dense(3, "softmax", name="b"))
    assert model.output_shape == (None, 3)
    assert [layer.name for layer in model.layers] == ["a", "b"]
    model.compile("sgd", SCCE, metrics=["accuracy"])
    model.fit(X, LABELS, verbose=0)
    hidden = nb.Sequential([nb.Input((4,)), Dense(8, "relu")])
    hidden.set_weights(model.get_weights()[:2])
    assert model.predict(X).shape == (60, 3)
    popped = model.pop()
    assert popped.name == "b"
    np.testing.assert_array_equal(model.predict(X), hidden.predict(X))
    model.add(Dense(1, "sigmoid", name="c"))
    model.compile("sgd", BCE, metrics=["accuracy"])
    loss, accuracy = model.evaluate(X, COLUMN, verbose=0)
    assert accuracy == pytest.approx(((model.predict(X) > 0.5) == COLUMN).mean())
    model.fit(X, COLUMN, verbose=0)
    assert model.evaluate(X, COLUMN, verbose=0)[0] < loss
    for _ in range(3):
        model.pop()
    assert not model.built
    with pytest.raises(ValueError, match="pop: the model has no layers"):
        model.pop()
    model.add(Dense(2))
    assert model.predict(np.ones((3, 7))).shape == (3, 2)


def test_evaluation_sees_that_layers_were_popped():
    model = nb.Sequential([nb.Input((4,)), Dense(3), Dense(3)])
    model.compile("sgd", "mse")
    before = model.evaluate(X, ONE_HOT, verbose=0)
    model.pop()
    assert model.evaluate(X, ONE_HOT, verbose=0) == pytest.approx(((model.predict(X) - ONE_HOT) ** 2).mean(), rel=1e-5)
    assert model.evaluate(X, ONE_HOT, verbose=0) != before


def test_a_model_in_a_model():
    inner = nb.Sequential([nb.Input((4,)), Dense(8, "tanh"), Dropout(0.5), Dense(5)], name="inner")
    outer = nb.Sequential([nb.Input((4,)), inner, Dense(3, "softmax")])
    outer.compile("adam", SCCE)
    assert len(outer.get_weights()) == 6
    before = outer.get_weights()
    outer.fit(X, LABELS, epochs=2, verbose=0)
    assert all((a != b).any() for a, b in zip(before, outer.get_weights(), strict=True))
    np.testing.assert_array_equal(outer.predict(X), outer(X).numpy())
    with nb.Tape() as tape:
        outer(X, training=True)
    assert [mask.shape for mask in tape.masks.values()] == [(60, 8)]
    # Programs of the outer model know when the inner one changes.
    flat = nb.Sequential([nb.Input((4,)), inner])
    assert flat.predict(X).shape == (60, 5)
    inner.pop()
    assert flat.predict(X).shape == (60, 8)


def test_layers_that_cannot_be_added():
    model = network()
    weights = model.get_weights()
    for layer, error, words in [
        ("dense", ValueError, "layer: a Sequential is made of layers, got 'dense'"),
        (Dense(2, name="hidden"), ValueError, "has a layer named 'hidden' already"),
        (model.layers[0], ValueError, "hidden: was built for 4 features"),
        (nb.Input((4,)), ValueError, "an Input comes first"),
        (Reshape((7,)), ValueError, r"target_shape: \(7,\) does not fit samples of shape \(3,\)"),
    ]:
        with pytest.raises(error, match=words):
            model.add(layer)
        assert [layer.name for layer in model.layers] == ["hidden", "output"]
    assert equal(weights, model.get_weights())
    model.fit(X, LABELS, verbose=0)


def test_get_layer():
    model = network()
    assert model.get_layer("output") is model.get_layer(index=1) is model.get_layer(index=-1) is model.layers[1]
    with pytest.raises(ValueError, match=r"has no layer 'other'; it has \['hidden', 'output'\]"):
        model.get_layer("other")
    for index in (2, -3):
        with pytest.raises(ValueError, match=f"index: .* has 2 layers, got {index}"):
            model.get_layer(index=index)


def test_summary(capsys):
    model = nb.Sequential(
        [nb.Input((64,)), Dense(128, "relu", name="a"), Dropout(0.5, name="b"), Dense(10, name="c")], name="net"
    )
    model.layers[0].trainable = False
    model.summary()
    expected = """\
Model: "net"
──────────────────────────────────────────
Layer (type)   Output Shape        Param #
──────────────────────────────────────────
a (Dense)      (None, 128)           8,320
b (Dropout)    (None, 128)               0
c (Dense)      (None, 10)            1,290
──────────────────────────────────────────
Total params: 9,610 (37.54 KB)
Trainable params: 1,290 (5.04 KB)
Non-trainable params: 8,320 (32.50 KB)
Memory of prediction in batches of 32: 61.54 KB
  = 37.54 KB parameters + 24.00 KB activations
"""
    printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines() if "─" not in line] == [
        line.split() for line in expected.splitlines() if "─" not in line
    ]
    assert len({len(line) for line in printed.splitlines()[1:8]}) == 1
    lines = []
    model.summary(print_fn=lines.append)
    assert "\n".join(lines) == printed.rstrip("\n")


def test_summary_of_an_unbuilt_model(capsys):
    nb.Sequential([Dense(3, name="a")], name="net").summary()
    printed = capsys.readouterr().out
    assert "a (Dense)" in printed
    assert "0 (unbuilt)" in printed
    assert "Total params: 0 (0.00 B)" in printed


def test_repr():
    assert repr(nb.Sequential(name="net")) == "<Sequential name='net'>"
    assert repr(Dense(2, name="d")) == "<Dense name='d'>"


def test_a_first_layer_may_take_several_inputs(tmp_path):
    lists, dicts = [X[:, :2], X[:, 2:]], {"a": X[:, :2], "b": X[:, 2:]}
    first = {"list": nb.layers.Concatenate(), "dict": nb.layers.Lambda(sum_of_squares)}
    for kind, data, names in (("list", lists, ["input_1", "input_2"]), ("dict", dicts, ["a", "b"])):
        model = nb.Sequential([first[kind], Dense(3, "softmax")])
        model.compile("sgd", SCCE)
        model.fit(data, LABELS, verbose=0)
        assert (model.input_names, model.output_shape) == (names, (None, 3))
        model.save(tmp_path / "m.nbnet")
        again = nb.load_model(tmp_path / "m.nbnet", {"sum_of_squares": sum_of_squares})
        np.testing.assert_array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0))
        assert again.input_shape == model.input_shape
    assert model.input_shape == {"a": (None, 2), "b": (None, 2)}


def sum_of_squares(parts):
    return nb.ops.square(parts["a"]) + nb.ops.square(parts["b"])
