"""Dropout's contract, sentence by sentence. The sentence that a test is about stands in its docstring."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.tensor import apply, tensors
from nbnet.engine.jit import linker
from nbnet.engine.runtime.program import lower
from nbnet.layers import Dense, Dropout
from nbnet.ops.elementwise import fusible
from nbnet.train import graph_passes, step_builder
from nbnet.train.step_builder import StepDraft
from tests.slicing import always_cut

rng = np.random.default_rng(0)
X = rng.normal(size=(150, 6))
LABELS = rng.integers(0, 3, 150)


def network(*rates, units=(16, 12), activation="relu", dtype="float32", **compile_options):
    """6 -> 16 -> 12 -> 3 with dropout before each Dense; the same weights and keys every time."""
    nb.set_random_seed(5)
    layers = [nb.Input((6,))]
    for number, (width, rate) in enumerate(zip((*units, 3), rates, strict=True)):
        last = number == len(units)
        layers += [] if rate is None else [Dropout(rate, name=f"drop{number}", dtype=dtype)]
        layers += [Dense(width, "softmax" if last else activation, name=f"dense{number}", dtype=dtype)]
    model = nb.Sequential(layers)
    options = {"optimizer": nb.optimizers.SGD(0.1), "loss": "sparse_categorical_crossentropy"}
    model.compile(**(options | compile_options))
    return model


def tape_step(model, x, y):
    """One training step, written out with the tape; returns the tape and the gradients."""
    with nb.Tape(step=model.optimizer.iterations) as tape:
        loss = model.loss(y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_weights)
    model.optimizer.apply(gradients, model.trainable_weights)
    return tape, [g.numpy() for g in gradients]


@pytest.fixture
def recording(monkeypatch):
    """Programs keep the memory of their masks; ``recording(model)`` reads those of the last training step."""

    def keeping(phases, first_rows, dtype, keep=()):
        calls = [call for phase in phases for part in phase for call in part]
        masks = {t for call in calls for t in call.writes() if t.dtype == np.uint8}
        return lower(phases, first_rows, dtype, {*keep, *masks})

    steps = []
    compiled = StepDraft.compile

    def compile_and_keep(draft):
        steps.append(compiled(draft))
        return steps[-1]

    def read(model, rows):
        """The masks in the last training program of so many rows."""
        batch = [step for step in steps if step.rows == rows and "order" in step.slots][-1]
        found = {}
        for call in batch.linked.program.calls:
            for t in call.writes():
                if t.dtype == np.uint8:
                    found.setdefault(call.name, []).append(batch.linked.view(t).astype(bool))
        return {name: np.concatenate(parts) for name, parts in found.items()}, len(found["drop0"])

    monkeypatch.setattr("nbnet.train.step_builder.lower", keeping)
    monkeypatch.setattr(StepDraft, "compile", compile_and_keep)
    return read


def slices(monkeypatch, count):
    always_cut(monkeypatch)
    monkeypatch.setattr(step_builder, "processors", lambda: count)


def weights_equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


# ---- rate ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_rate_is_the_probability_to_drop(rate):
    """``rate`` is the probability of DROPPING. Papers' p is often that of keeping: say so in the docstring."""
    n = 10**6
    with nb.Tape(step=0) as tape:
        Dropout(rate, seed=1, name="d")(np.ones((1000, n // 1000)), training=True)
    dropped = np.count_nonzero(~tape.masks["d"])
    assert abs(dropped - n * rate) < 5 * np.sqrt(n * rate * (1 - rate))
    for documented in (Dropout, nb.ops.dropout):
        assert "DROPPING" in documented.__doc__
        assert "probability of keeping" in documented.__doc__


def test_keep_prob_is_explained():
    """... and answer ``keep_prob=`` with an error that explains it."""
    with pytest.raises(TypeError, match=r"probability of DROPPING: rate = 1 - keep_prob"):
        Dropout(0.5, keep_prob=0.8)


@pytest.mark.parametrize("rate", [-0.1, -1e-9, 1.0000001, 2, 50, float("nan"), float("inf"), None, "0.5", True, [0.5]])
def test_other_rates_are_value_errors(rate):
    """Anything else outside [0, 1] is a ValueError."""
    with pytest.raises(ValueError, match=r"^rate: the probability of dropping a unit lies in \[0, 1\], got "):
        Dropout(rate)
    with pytest.raises(ValueError, match=r"^rate: "):
        nb.ops.dropout(np.ones((2, 2)), rate)
    layer = Dropout(0.25)
    with pytest.raises(ValueError, match=r"^rate: "):
        layer.rate = rate
    assert layer.rate == 0.25


@pytest.mark.parametrize("rate", [0, 1, 0.3, np.float32(0.25), np.int64(1)])
def test_rates_that_are_fine(rate):
    assert Dropout(rate).rate == pytest.approx(float(rate))


# ---- forward -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.7])
def test_kept_units_are_scaled(rate, dtype):
    """Inverted: kept units are multiplied by ``1/(1-rate)`` in training."""
    x = X.astype(dtype)
    with nb.Tape() as tape:
        y = Dropout(rate, dtype=dtype, name="d")(x, training=True).numpy()
    real = np.dtype(dtype).type
    scale = real(1) / (real(1) - real(rate))
    mask = tape.masks["d"]
    assert 0 < mask.sum() < mask.size
    np.testing.assert_array_equal(y, np.where(mask, x * scale, real(0)))
    assert tape.nodes[0].scale == pytest.approx(1 / (1 - rate))


def test_inference_is_the_identity():
    """Inference is the identity, bit for bit."""
    model, bare = network(0.2, 0.5, 0.9), network(None, None, None)
    bare.set_weights(model.get_weights())
    x = X.astype("float32")
    layer = Dropout(0.9)
    assert layer(x).numpy().tobytes() == layer(x, training=False).numpy().tobytes() == x.tobytes()
    np.testing.assert_array_equal(model(x).numpy(), bare(x).numpy())
    np.testing.assert_array_equal(model.predict(x), bare.predict(x))
    np.testing.assert_array_equal(model.predict(x[:1]), bare.predict(x[:1]))
    assert model.evaluate(x, LABELS, verbose=0) == bare.evaluate(x, LABELS, verbose=0)
    assert not np.array_equal(model(x, training=True).numpy(), bare(x).numpy())
    # Evaluation costs nothing: programs leave dropout out.
    for kind in ("evaluate", "predict"):
        assert "drop" not in str(model.program(kind, len(x)))


def test_fit_drops_and_its_validation_does_not():
    """Lowering with ``training=True`` puts dropout rows in; lowering for inference leaves them out."""
    model = network(0.2, 0.5, 0.5)
    history = model.fit(X, LABELS, batch_size=150, validation_data=(X, LABELS), verbose=0).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X, LABELS, verbose=0), rel=1e-6)
    still = network(0.2, 0.5, 0.5, optimizer=nb.optimizers.SGD(0.0))
    trained = still.fit(X, LABELS, batch_size=150, epochs=2, shuffle=False, verbose=0).history["loss"]
    exact = still.evaluate(X, LABELS, verbose=0)
    assert trained[0] != trained[1]
    assert min(abs(loss - exact) for loss in trained) > 1e-3


# ---- backward ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_backward_uses_the_same_mask_and_scale(dtype):
    """Backward multiplies by the SAME recorded mask and the SAME scale."""
    x, c = nb.Parameter(X.astype(dtype)), rng.normal(size=X.shape).astype(dtype)
    with nb.Tape() as tape:
        loss = nb.ops.sum(Dropout(0.3, dtype=dtype, name="d")(x, training=True) * c)
    real = np.dtype(dtype).type
    scale = real(1) / (real(1) - real(0.3))
    np.testing.assert_array_equal(tape.gradient(loss, x).numpy(), np.where(tape.masks["d"], c * scale, real(0)))


def test_gradients_of_dropped_inputs_are_exactly_zero():
    """Therefore the rows of ``dW`` that belong to dropped inputs of a Dense are exactly ``0.0``."""
    model = network(0.3, 0.5, 0.5)
    tape, (dw0, db0, dw1, db1, dw2, _) = tape_step(model, X[:1], LABELS[:1])
    drop0, drop1, drop2 = (~tape.masks[f"drop{i}"][0] for i in range(3))
    assert drop0.any()
    assert drop1.any()
    assert drop2.any()
    for dw, dropped in ((dw0, drop0), (dw1, drop1), (dw2, drop2)):
        assert (dw[dropped] == 0.0).all()
        assert dw[~dropped].any()
    # Weights that lead to a dropped unit get no gradient either.
    for dw, db, dropped in ((dw0, db0, drop1), (dw1, db1, drop2)):
        assert (dw[:, dropped] == 0.0).all()
        assert (db[dropped] == 0.0).all()


# ---- which weights a step changes ----------------------------------------------------------------------------


def by_tape(model, x, y):
    return tape_step(model, x, y)[0].masks


def compiled(model, x, y):
    """A compiled step; its masks are what a tape of the same step records."""
    with nb.Tape(step=model.optimizer.iterations) as tape:
        model(x, training=True)
    model.train_on_batch(x, y)
    return tape.masks


def at_rest(model, masks):
    """Pairs (weights, mask of those that belong to dropped units)."""
    drop = [~masks[f"drop{i}"][0] for i in range(3)]
    w0, b0, w1, b1, w2, _ = model.get_weights()
    return [
        (w0, drop[0][:, None] | drop[1][None, :]),
        (b0, drop[1]),
        (w1, drop[1][:, None] | drop[2][None, :]),
        (b1, drop[2]),
        (w2, np.repeat(drop[2][:, None], 3, axis=1)),
    ]


@pytest.mark.parametrize("step", [compiled, by_tape])
@pytest.mark.parametrize("optimizer", [nb.optimizers.SGD(0.5), nb.optimizers.RMSprop(0.1)], ids=["sgd", "rmsprop"])
def test_plain_sgd_leaves_dropped_weights_alone(step, optimizer):
    """With plain SGD those weights are bit-for-bit unchanged by the step."""
    model = network(0.3, 0.5, 0.5, activation="tanh", optimizer=type(optimizer).from_config(optimizer.get_config()))
    for i in range(10):
        before = model.get_weights()
        masks = step(model, X[i : i + 1], LABELS[i : i + 1])
        changed = 0
        for old, (new, resting) in zip(before, at_rest(model, masks), strict=False):
            np.testing.assert_array_equal(new[resting], old[resting])
            changed += np.count_nonzero(new[~resting] != old[~resting])
        assert changed > 10


@pytest.mark.parametrize("step", [compiled, by_tape])
@pytest.mark.parametrize(
    "make",
    [
        lambda: nb.optimizers.SGD(0.5, momentum=0.9),
        lambda: nb.optimizers.SGD(0.5, momentum=0.9, nesterov=True),
        lambda: nb.optimizers.RMSprop(0.01, momentum=0.9),
        lambda: nb.optimizers.Adam(0.01),
    ],
    ids=["momentum", "nesterov", "rmsprop with momentum", "adam"],
)
def test_momentum_moves_dropped_weights(step, make):
    """With momentum, Adam or weight decay they move, unless the update is told to be lazy."""
    model = network(0.3, 0.5, 0.5, activation="tanh", optimizer=make())
    moved = 0
    for i in range(10):
        before = model.get_weights()
        masks = step(model, X[i : i + 1], LABELS[i : i + 1])
        for old, (new, resting) in zip(before, at_rest(model, masks), strict=False):
            moved += np.count_nonzero(new[resting] != old[resting])
    assert moved > 100


def test_the_difference_is_documented():
    """Document the difference."""
    assert "bit for bit" in nb.optimizers.SGD.__doc__
    assert "still move" in nb.optimizers.Adam.__doc__


# ---- the ends of the range -----------------------------------------------------------------------------------


def test_rate_zero_is_the_identity_forward_and_backward():
    """``rate=0`` is the identity ..."""
    x = nb.Parameter(X.astype("float32"))
    c = rng.normal(size=X.shape).astype("float32")
    with nb.Tape() as tape:
        y = Dropout(0.0)(x, training=True)
        loss = nb.ops.sum(y * c)
    assert y.numpy().tobytes() == x.numpy().tobytes()
    assert tape.gradient(loss, x).numpy().tobytes() == c.tobytes()
    model, bare = network(0.0, 0.0, 0.0), network(None, None, None)
    bare.set_weights(model.get_weights())
    logs = [m.fit(X, LABELS, epochs=3, batch_size=32, shuffle=False, verbose=0).history for m in (model, bare)]
    assert logs[0] == logs[1]
    assert weights_equal(model.get_weights(), bare.get_weights())


def test_rate_zero_consumes_no_random_numbers():
    """... and consumes no random numbers."""
    model = network(0.0, 0.5, 0.5)
    with nb.Tape(step=3) as tape:
        model(X, training=True)
    model.get_layer("drop0").rate = 0.5
    with nb.Tape(step=3) as other:
        model(X, training=True)
    assert tape.masks["drop0"].all()
    assert not other.masks["drop0"].all()
    for name in ("drop1", "drop2"):
        np.testing.assert_array_equal(tape.masks[name], other.masks[name])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rate_one_gives_zeros(dtype):
    """``rate=1`` gives zeros and zero gradients, no NaN."""
    x = nb.Parameter(X.astype(dtype) * 1e30)
    with nb.Tape() as tape:
        y = Dropout(1.0, dtype=dtype, name="d")(x, training=True)
        loss = nb.ops.sum(y)
    assert (y.numpy() == 0).all()
    assert (tape.gradient(loss, x).numpy() == 0).all()
    assert not tape.masks["d"].any()
    assert tape.nodes[0].scale == 0


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_rate_one_in_compiled_training(activation):
    """``rate=1`` gives zeros and zero gradients, no NaN."""
    model = network(0.2, 0.5, 1.0, activation=activation)
    before = model.get_weights()
    loss = model.fit(X, LABELS, verbose=0).history["loss"]
    after = model.get_weights()
    assert np.isfinite(loss).all()
    assert weights_equal(before[:5], after[:5])
    assert np.isfinite(after[5]).all()
    assert (after[5] != before[5]).all()


# ---- masks are a pure function -------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_compiled_training_is_eager_training(optimizer, recording, monkeypatch):
    """A mask is a pure function of (seed, layer, step, global row, column): ... in eager and in compiled mode."""
    slices(monkeypatch, 1)
    eager, fitted = network(0.2, 0.5, 0.4, optimizer=optimizer), network(0.2, 0.5, 0.4, optimizer=optimizer)
    x = X.astype("float32")
    for _ in range(3):
        tape, _ = tape_step(eager, x, LABELS)
        fitted.train_on_batch(x, LABELS)
        masks, parts = recording(fitted, 150)
        assert parts == 1
        assert set(masks) == set(tape.masks) == {"drop0", "drop1", "drop2"}
        for name, mask in tape.masks.items():
            np.testing.assert_array_equal(masks[name], mask)
        # The same kernels on the same numbers: not a bit differs.
        assert weights_equal(eager.get_weights(), fitted.get_weights())
    assert eager.optimizer.iterations == fitted.optimizer.iterations == 3


def test_fit_is_eager_training_with_a_short_last_batch(monkeypatch):
    """The same for ... any batch slicing, ... in eager and in compiled mode."""
    slices(monkeypatch, 1)
    eager, fitted = network(0.2, 0.5, 0.4), network(0.2, 0.5, 0.4)
    x = X.astype("float32")
    fitted.fit(x, LABELS, batch_size=64, epochs=2, shuffle=False, verbose=0)
    for start in (0, 64, 128) * 2:
        tape_step(eager, x[start : start + 64], LABELS[start : start + 64])
    assert weights_equal(eager.get_weights(), fitted.get_weights())


@pytest.mark.parametrize("noise_shape", [None, (None, 1), (1, None)])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_masks_do_not_depend_on_slices(count, noise_shape, recording, monkeypatch):
    """A mask is ... the same for 1 or 16 threads, for any batch slicing."""

    def train(parts):
        slices(monkeypatch, parts)
        model = network(0.2, 0.5, 0.4)
        for i in range(3):
            model.get_layer(f"drop{i}").noise_shape = noise_shape
        x = X[:50]
        for _ in range(3):
            model.train_on_batch(x, LABELS[:50])
        masks, made = recording(model, 50)
        assert made == parts
        return masks, model.get_weights()

    (one, weights), (many, others) = train(1), train(count)
    for name, mask in one.items():
        kept = many[name] if noise_shape != (1, None) else many[name][:1]
        np.testing.assert_array_equal(kept, mask)
    for a, b in zip(weights, others, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-5, atol=2e-6)


def test_masks_do_not_depend_on_the_number_of_threads(monkeypatch):
    """A mask is ... the same for 1 or 16 threads."""
    always_cut(monkeypatch, 32)
    trained = []
    for threads in ("1", "2"):
        monkeypatch.setenv("NBNET_NUM_THREADS", threads)
        model = network(0.2, 0.5, 0.4, dtype="float64")
        model.fit(X, LABELS, batch_size=64, epochs=3, verbose=0)
        trained.append(model.get_weights())
    for a, b in zip(*trained, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-12)


def test_a_resumed_training_continues():
    """A mask is ... the same ... after a resume."""
    whole, parts = network(0.2, 0.5, 0.4), network(0.2, 0.5, 0.4)
    whole.fit(X, LABELS, epochs=4, shuffle=False, verbose=0)
    parts.fit(X, LABELS, epochs=1, shuffle=False, verbose=0)
    resumed = network(0.2, 0.5, 0.4)
    resumed.set_weights(parts.get_weights())
    resumed.optimizer.iterations = parts.optimizer.iterations
    resumed.fit(X, LABELS, epochs=4, initial_epoch=1, shuffle=False, verbose=0)
    assert weights_equal(whole.get_weights(), resumed.get_weights())


def test_masks_do_not_depend_on_the_run():
    """No global RNG anywhere."""
    trained = []
    for seed in (1, 1, 2):
        np.random.seed(seed * 7 + len(trained))  # noqa: NPY002
        nb.set_random_seed(seed)
        model = nb.Sequential([nb.Input((6,)), Dropout(0.3), Dense(8, "relu"), Dropout(0.5), Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        history = model.fit(X, LABELS, epochs=3, verbose=0).history
        trained.append((history, model.get_weights()))
    assert trained[0][0] == trained[1][0]
    assert weights_equal(trained[0][1], trained[1][1])
    assert trained[0][0] != trained[2][0]
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    nb.Sequential([Dense(4), Dropout(0.5)])(X, training=True)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_a_seed_fixes_the_masks_of_a_layer():
    """A mask is a pure function of (seed, layer, step, global row, column)."""
    masks = {}
    for name, seed, step in [("a", 1, 0), ("b", 1, 0), ("c", 2, 0), ("d", 1, 1)]:
        with nb.Tape(step=step) as tape:
            Dropout(0.5, seed=seed, name=name)(np.ones((30, 30)), training=True)
        masks |= tape.masks
    np.testing.assert_array_equal(masks["a"], masks["b"])
    assert not np.array_equal(masks["a"], masks["c"])
    assert not np.array_equal(masks["a"], masks["d"])


def test_a_layer_used_twice_draws_twice():
    layer = Dropout(0.5, name="d")
    with nb.Tape() as tape:
        layer(layer(np.ones((30, 30)), training=True), training=True)
    assert list(tape.masks) == ["d", "d:1"]
    assert not np.array_equal(tape.masks["d"], tape.masks["d:1"])


@pytest.mark.skipif(linker.DISABLE_JIT, reason="ten million draws in plain Python take a minute")
def test_masks_are_independent():
    """Keep-rate, and independence between neighbouring steps, layers, rows and columns: within 5 sigma over 10 million
    draws."""
    rate, shape, steps = 0.3, (1000, 1000), 10
    first, second = Dropout(rate, seed=1, name="first"), Dropout(rate, seed=2, name="second")
    ones = np.ones(shape, "float32")
    kept = np.empty((2, steps, *shape), bool)
    for step in range(steps):
        with nb.Tape(step=step) as tape:
            first(ones, training=True)
            second(ones, training=True)
        kept[:, step] = tape.masks["first"], tape.masks["second"]

    def check(a, b):
        both = np.count_nonzero(a & b)
        p = (1 - rate) ** 2
        # Overlapping pairs are correlated, which no more than doubles the variance.
        assert abs(both - a.size * p) < 5 * np.sqrt(2 * a.size * p * (1 - p))

    n = kept[0].size
    assert n == 10**7
    for mask in kept:
        assert abs(np.count_nonzero(mask) - n * (1 - rate)) < 5 * np.sqrt(n * rate * (1 - rate))
    check(kept[0], kept[1])
    check(kept[0, 1:], kept[0, :-1])
    check(kept[0, :, 1:], kept[0, :, :-1])
    check(kept[0, :, :, 1:], kept[0, :, :, :-1])


# ---- the rate is a cell --------------------------------------------------------------------------------------


def test_changing_the_rate_writes_no_program(monkeypatch):
    """Scalars that may change while training are 1-element buffers: a schedule writes a cell, nothing recompiles."""
    written = []
    monkeypatch.setattr("nbnet.train.step_builder.lower", lambda *args: written.append(args) or lower(*args))
    model, layer = network(0.0, None, None), None
    layer = model.get_layer("drop0")

    def epoch():
        before = model.get_weights()
        model.fit(X, LABELS, batch_size=150, shuffle=False, verbose=0)
        return [a - b for a, b in zip(model.get_weights(), before, strict=True)]

    epoch()
    assert len(written) == 1
    compiled_before, kernels = linker.compiled_count, len(linker._addresses)
    for rate in (1.0, 0.5, 0.25, 0.0):
        layer.rate = rate
        step = epoch()
        assert (step[0] == 0).all() == (rate == 1.0)
    assert len(written) == 1
    assert (linker.compiled_count, len(linker._addresses)) == (compiled_before, kernels)
    # The last epoch ran as if dropout had never been there.
    bare = network(None, None, None)
    bare.set_weights([a - b for a, b in zip(model.get_weights(), step, strict=True)])
    bare.fit(X, LABELS, batch_size=150, shuffle=False, verbose=0)
    for a, b in zip(bare.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


# ---- noise_shape ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "noise_shape", "drawn"),
    [
        ((20, 6), (None, 1), (20, 1)),
        ((20, 6), (1, None), (1, 6)),
        ((20, 6), (1, 1), (1, 1)),
        ((20, 6), (20, 6), (20, 6)),
        ((20, 4, 5), (None, 1, None), (20, 1, 5)),
        ((20, 4, 5), (20, 1, 5), (20, 1, 5)),
        ((20, 4, 5), (None, 4, 1), (20, 4, 1)),
        ((6, 3, 4, 5), (None, 1, 1, None), (6, 1, 1, 5)),
        ((6, 3, 4, 5), (1, 3, 1, 5), (1, 3, 1, 5)),
    ],
)
def test_units_share_their_fate(shape, noise_shape, drawn):
    """``Dropout(rate, noise_shape=None, seed=None)``: 1 where units share their fate along an axis."""
    x, c = nb.Parameter(rng.normal(size=shape), dtype="float64"), rng.normal(size=shape)
    with nb.Tape(step=2) as tape:
        y = Dropout(0.5, noise_shape, seed=3, name="d", dtype="float64")(x, training=True)
        loss = nb.ops.sum(y * c)
    mask = tape.masks["d"]
    assert mask.shape == drawn
    np.testing.assert_array_equal(y.numpy(), np.where(mask, 2 * x.numpy(), 0.0))
    np.testing.assert_array_equal(tape.gradient(loss, x).numpy(), np.where(mask, 2 * c, 0.0))
    with nb.Tape(masks={"d": mask}):
        again = Dropout(0.5, noise_shape, name="d", dtype="float64")(x, training=True)
    np.testing.assert_array_equal(again.numpy(), y.numpy())


@pytest.mark.parametrize("noise_shape", [(50, 1), (None, 1), (1, 16), (1, None)])
def test_noise_shape_in_compiled_training(noise_shape):
    """Eager and compiled training agree for shared masks too; a short last batch is no trouble."""

    def make():
        nb.set_random_seed(1)
        drop = Dropout(0.4, noise_shape, name="drop0")
        model = nb.Sequential([nb.Input((6,)), Dense(16, "relu"), drop, Dense(3, "softmax")])
        model.compile(nb.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        return model

    eager, fitted, x = make(), make(), X.astype("float32")
    fitted.fit(x, LABELS, batch_size=50, epochs=1, shuffle=False, verbose=0)
    fitted.fit(x[:70], LABELS[:70], batch_size=50, epochs=1, shuffle=False, verbose=0)
    for rows in (slice(0, 50), slice(50, 100), slice(100, 150), slice(0, 50), slice(50, 70)):
        tape_step(eager, x[rows], LABELS[rows])
    for a, b in zip(eager.get_weights(), fitted.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("noise_shape", [(None, 5), (None, 1, 1), (None,), (1, 3)])
def test_noise_shapes_that_do_not_fit(noise_shape):
    with pytest.raises(ValueError, match=re.escape(f"{noise_shape} does not fit an input of shape (None, 6)")):
        nb.Sequential([nb.Input((6,)), Dropout(0.5, noise_shape), Dense(3)])


@pytest.mark.parametrize("noise_shape", [5, "ab", (), (0, 1), (None, -1), (1.5, 1), (None, "a")])
def test_noise_shapes_that_are_none(noise_shape):
    with pytest.raises(ValueError, match=r"^noise_shape: expected a size from 1 or None for each axis"):
        Dropout(0.5, noise_shape)


# ---- the tape records ----------------------------------------------------------------------------------------


def test_masks_are_saved_and_replayed(tmp_path):
    """The tape records the mask; it can be read (``node.mask``), saved, replayed and injected."""
    model = network(0.2, 0.5, 0.4)
    with nb.Tape() as tape:
        loss = model.loss(LABELS, model(X, training=True))
    gradients = [g.numpy() for g in tape.gradient(loss, model.trainable_weights)]
    nodes = {node.name: node for node in tape.nodes if node.mask is not None}
    assert set(nodes) == set(tape.masks)
    for name, mask in tape.masks.items():
        assert mask.dtype == bool
        np.testing.assert_array_equal(nodes[name].mask, mask)
    np.savez(tmp_path / "masks", **tape.masks)
    with np.load(tmp_path / "masks.npz") as saved, nb.Tape(masks=saved) as again:
        replayed = model.loss(LABELS, model(X, training=True))
    assert replayed.item() == loss.item()
    for a, b in zip(again.gradient(replayed, model.trainable_weights), gradients, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


def test_injected_masks_give_the_thinned_network():
    """The mask can be injected: what is left is the thinned network, exactly."""
    # Small integers and a scale of 2: sums are exact whatever their order, so "exactly" means not a bit.
    nb.set_random_seed(0)
    drop0, drop1 = Dropout(0.5, name="drop0"), Dropout(0.5, name="drop1")
    model = nb.Sequential([nb.Input((6,)), drop0, Dense(16, "relu"), drop1, Dense(4)])
    model.set_weights([rng.integers(-4, 5, w.shape) for w in model.get_weights()])
    w0, b0, w1, b1 = model.get_weights()
    x = rng.integers(-8, 9, (20, 6))
    keep0, keep1 = rng.random(6) < 0.5, rng.random(16) < 0.5
    masks = {"drop0": np.tile(keep0, (20, 1)), "drop1": np.tile(keep1, (20, 1))}
    with nb.Tape(masks=masks) as tape:
        y = model(x, training=True)
    thinned = nb.Sequential([nb.Input((int(keep0.sum()),)), Dense(int(keep1.sum()), "relu"), Dense(4)])
    thinned.set_weights([2 * w0[keep0][:, keep1], b0[keep1], 2 * w1[keep1], b1])
    np.testing.assert_array_equal(y.numpy(), thinned.predict(x[:, keep0]))
    np.testing.assert_array_equal(tape.masks["drop1"], masks["drop1"])
    assert y.numpy().any()


def test_injected_masks_are_checked():
    model = network(0.2, 0.5, 0.4)
    mask = np.ones((150, 6), bool)
    with pytest.raises(ValueError, match=r"masks: \['nobody'\] name no dropout"), nb.Tape(masks={"nobody": mask}):
        model(X, training=True)
    for wrong in (mask[:3], mask[:, :2], mask.astype(float), np.full(mask.shape, "a")):
        with pytest.raises(ValueError, match=r"masks\['drop0'\]: expected bool"), nb.Tape(masks={"drop0": wrong}):
            model(X, training=True)


# ---- fusion --------------------------------------------------------------------------------------------------

FEW = ("relu", "gelu", "leaky_relu", "tanh")


@pytest.mark.parametrize("dropped", [True, False], ids=["dropout", "bare"])
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (n, d)
        for n, d in itertools.product([*sorted(fusible), "linear"], ["float64", "float32"])
        if d == "float64" or n in FEW
    ],
)
def test_fused_programs_compute_the_same(name, dtype, dropped, monkeypatch):
    """Fusion: dense + bias + activation + dropout run as one epilogue over the GEMM's output; not a bit differs."""
    if name != "linear":
        op = fusible[name].op
    positive = name in ("log", "log1p", "sqrt")

    def activation(x):
        if name == "linear":
            return x
        return apply(op, *tensors(x, *[0.2] * (len(op.inputs) - 1)))

    def train():
        nb.set_random_seed(2)
        drop = [Dropout(0.4, dtype=dtype)] if dropped else []
        layers = [nb.Input((6,)), Dense(10, activation, dtype=dtype), *drop, Dense(3, "softmax", dtype=dtype)]
        model = nb.Sequential(layers)
        if positive:
            model.set_weights([np.abs(w) + 0.1 for w in model.get_weights()])
        model.compile(nb.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
        x = np.abs(X[:45]) if positive else X[:45]
        losses = model.fit(x, LABELS[:45], batch_size=20, epochs=2, shuffle=False, verbose=0).history["loss"]
        return losses, model.get_weights(), str(model.program("train", rows=20))

    fused = train()
    monkeypatch.setattr(graph_passes, "PASSES", ())
    apart = train()
    assert np.isfinite(fused[0]).all()
    assert fused[0] == apart[0]
    assert weights_equal(fused[1], apart[1])
    label = "_".join(["dense", *([] if name == "linear" else [name]), *(["dropout"] if dropped else [])])
    assert f"{label}_backward" in fused[2]
    assert label == "dense" or f"{label}_backward" not in apart[2]
