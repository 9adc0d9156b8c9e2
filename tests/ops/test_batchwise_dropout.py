"""Dropout that a batch shares is computed on submatrices: the same numbers as with masks multiplied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.kernels.abi import bytevec, compress, expand, kernel, mat, vec
from nbnet.train import graph_passes, step_builder
from tests.engine.toys import F32, F64, Array, run
from tests.slicing import always_cut


@kernel
def there_and_back(mem: Any, ins: Any, step: Any) -> None:
    """Rows of x are packed into y one after the other, and unpacked into z and onto t."""
    x, mask, y, z, t = mat(mem, ins, 0), bytevec(mem, ins, 1), vec(mem, ins, 2), mat(mem, ins, 3), mat(mem, ins, 4)
    kept = 0
    for j in range(mask.size):
        kept += np.int64(mask[j])
    for i in range(x.shape[0]):
        compress(x[i], mask, y[i * kept :])
    for i in range(x.shape[0]):
        expand(y[i * kept :], mask, z[i], False)
        expand(y[i * kept :], mask, t[i], True)


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("n", [1, 3, 8, 15, 16, 17, 64, 77])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_packing_and_unpacking(n: int, share: float, dtype: Any) -> None:
    rng = np.random.default_rng(n)
    x, before = rng.normal(size=(3, n)).astype(dtype), rng.normal(size=(3, n)).astype(dtype)
    mask = (rng.random(n) < share).astype(np.uint8)
    y, z, t = np.full(3 * n, np.nan, dtype), np.full((3, n), np.nan, dtype), before.copy()
    run(there_and_back, x, mask, y, z, t, accumulate=0b11111)
    kept = x[:, mask == 1].reshape(-1)
    np.testing.assert_array_equal(y[: kept.size], kept)
    assert np.isnan(y[kept.size :]).all()
    np.testing.assert_array_equal(z, x * mask)
    np.testing.assert_array_equal(t, before + x * mask)


def network(activation: str | None, rates: tuple[float, float]) -> nb.Sequential:
    nb.set_random_seed(1)
    made: list[nb.layers.Layer] = [nb.Input((7,), dtype="float64")]
    if rates[0]:
        made.append(nb.layers.Dropout(rates[0], noise_shape=(1, None), dtype="float64", seed=5))
    for i, units in enumerate((33, 20)):
        made.append(nb.layers.Dense(units, activation, dtype="float64"))
        made.append(nb.layers.Dropout(rates[1], batchwise=True, dtype="float64", seed=7 + i))
    model = nb.Sequential([*made, nb.layers.Dense(3, dtype="float64")])
    model.compile(nb.optimizers.SGD(0.01, momentum=0.9), "mse")
    return model


def trained(activation: str | None, rates: tuple[float, float]) -> tuple[list[float], list[Array], str]:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(150, 7)), rng.normal(size=(150, 3))
    model = network(activation, rates)
    losses = model.fit(x, y, batch_size=64, epochs=3, verbose=0).history["loss"]
    return losses, model.get_weights(), str(model.program("train", rows=64))


@pytest.mark.parametrize("activation", ["relu", None, "tanh", "gelu", "leaky_relu"])
@pytest.mark.parametrize("rates", [(0.2, 0.5), (0.0, 0.5), (0.9, 0.9), (1.0, 0.5), (0.2, 1.0), (0.2, 0.0)])
def test_training_on_submatrices_is_training_with_masks(
    activation: str | None, rates: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, weights, listing = trained(activation, rates)
    assert "packed_dense" in listing
    monkeypatch.setattr(graph_passes, "PASSES", ())
    plain_losses, plain_weights, plain_listing = trained(activation, rates)
    assert "packed_dense" not in plain_listing
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-10)
    for a, b in zip(weights, plain_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_slices_drop_the_same_units(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = trained("relu", (0.2, 0.5))
    always_cut(monkeypatch, 32)
    monkeypatch.setattr(step_builder, "processors", lambda: 2)
    together = trained("relu", (0.2, 0.5))
    assert "slice 1" in together[2]
    assert "slice 1" not in alone[2]
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-10)
    for a, b in zip(alone[1], together[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_weights_of_dropped_units_stay_as_they_are_under_plain_sgd() -> None:
    """Bit for bit, as with masks multiplied; all others change, for no unit of tanh rests."""
    model = network("tanh", (0.2, 0.5))
    model.compile(nb.optimizers.SGD(0.1), "mse")
    rng = np.random.default_rng(0)
    before = model.get_weights()
    model.train_on_batch(rng.normal(size=(64, 7)), rng.normal(size=(64, 3)))
    changed = model.get_weights()[2] != before[2]
    rows, columns = changed.any(1), changed.any(0)
    assert 0 < rows.sum() < 33
    assert 0 < columns.sum() < 20
    np.testing.assert_array_equal(changed, np.outer(rows, columns))


def test_what_others_read_as_well_is_not_packed() -> None:
    """A metric or a second kind of layer sees the whole tensor."""
    nb.set_random_seed(1)
    layers: list[nb.layers.Layer] = [nb.Input((5,)), nb.layers.Dense(6, "relu")]
    layers += [nb.layers.Dropout(0.5, noise_shape=(1, None)), nb.layers.Activation("tanh"), nb.layers.Dense(2)]
    model = nb.Sequential(layers)
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 5), F32), np.ones((8, 2), F32), verbose=0)
    assert "packed" not in str(model.program("train", rows=8))


def test_batchwise_is_a_mask_of_one_row() -> None:
    x = np.ones((5, 40), F32)
    with nb.Tape() as tape:
        nb.layers.Dropout(0.5, batchwise=True, name="drop")(x, training=True)
    assert tape.masks["drop"].shape == (1, 40)
    layer = nb.layers.Dropout.from_config(nb.layers.Dropout(0.5, batchwise=True).get_config())
    assert layer.batchwise
    with pytest.raises(ValueError, match="batchwise"):
        nb.layers.Dropout(0.5, noise_shape=(1, None), batchwise=True)
    with pytest.raises(TypeError, match="batchwise"):
        nb.layers.Dropout(0.5, batchwise=1)  # type: ignore[arg-type]


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clipnorm": {"clipnorm": 0.05},
    "clipvalue": {"clipvalue": 0.01},
    "global_clipnorm": {"global_clipnorm": 0.1},
    "decay": {"weight_decay": 0.1},
    "ema": {"use_ema": True, "ema_momentum": 0.9},
    "accumulation": {"gradient_accumulation_steps": 2},
}


def fitted(optimizer: nb.optimizers.Optimizer, penalised: bool = False) -> tuple[list[Array], dict[str, Array], str]:
    """Weights, the optimizer's state and the programs after two steps."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(128, 7)), rng.normal(size=(128, 3))
    model = network("relu", (0.2, 0.5))
    if penalised:
        model.layers[1].kernel.regularizer = nb.regularizers.L2(0.1)  # type: ignore[attr-defined]
    model.compile(optimizer, "mse")
    model.fit(x, y, batch_size=64, epochs=1, verbose=0)
    return model.get_weights(), optimizer.state, str(model.program("train", rows=64))


@pytest.mark.parametrize("slices", [1, 2])
@pytest.mark.parametrize("case", OPTIMIZERS)
def test_updates_by_packed_gradients_are_those_by_whole_ones(
    case: str, slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if slices > 1:
        always_cut(monkeypatch, 32)
    monkeypatch.setattr(step_builder, "processors", lambda: slices)
    weights, state, listing = fitted(nb.optimizers.Adam(0.01, **OPTIMIZERS[case]))
    assert ("adam_packed" in listing) == (case != "accumulation")
    assert ("slice 1" in listing) == (slices > 1)
    monkeypatch.setattr(graph_passes, "PASSES", (graph_passes.fuse_layers, graph_passes.defer_gradients))
    plain, plain_state, listing = fitted(nb.optimizers.Adam(0.01, **OPTIMIZERS[case]))
    assert "adam_packed" not in listing
    for a, b in zip([*weights, *state.values()], [*plain, *plain_state.values()], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14)


def test_a_weight_that_something_else_reads_has_a_whole_gradient() -> None:
    weights, _, listing = fitted(nb.optimizers.Adam(0.01), penalised=True)
    assert "packed_dense_relu_dropout_backward " in listing  # the penalised layer's
    assert "packed_dense_relu_dropout_backward_packed " in listing  # the next one's
    assert np.isfinite(weights[0]).all()


@pytest.mark.parametrize("slices", [1, 2])
def test_a_lazy_update_leaves_alone_what_is_cut_off(slices: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if slices > 1:
        always_cut(monkeypatch, 32)
    monkeypatch.setattr(step_builder, "processors", lambda: slices)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 7)), rng.normal(size=(64, 3))
    found = {}
    for lazy in (False, True):
        model = network("relu", (0.2, 0.5))
        optimizer = nb.optimizers.Adam(0.01, weight_decay=0.1)
        model.compile(optimizer, "mse")
        model.fit(x, y, batch_size=64, epochs=1, verbose=0)
        optimizer.lazy = lazy  # from the second step on
        before, moments = model.get_weights(), optimizer.state["momentum"].copy()
        kept = [np.ones(7, bool), *(m[0] for m in model.masks(1, n=64).values()), np.ones(3, bool)]
        if len(kept) == 5:
            kept.pop(0)  # the inputs' own mask
        model.fit(x, y, batch_size=64, epochs=1, verbose=0)
        found[lazy] = model.get_weights()
        moved = optimizer.state["momentum"] != moments
        for i, (w, w0) in enumerate(zip(found[lazy], before, strict=True)):
            cut = ~np.outer(kept[i // 2], kept[i // 2 + 1]) if w.ndim == 2 else ~kept[i // 2 + 1]
            assert (w != w0)[~cut].any()
            start = optimizer.block.starts[i]  # type: ignore[union-attr]
            if lazy:
                assert (w == w0)[cut].all()
                assert not moved[start : start + w.size].reshape(w.shape)[cut].any()
            elif cut.any():
                assert (w != w0)[cut].any()
            np.testing.assert_array_equal(w[~cut], found[False][i][~cut])


def test_lazy_updates_do_not_go_with_accumulated_gradients() -> None:
    with pytest.raises(ValueError, match="lazy"):
        nb.optimizers.SGD(lazy=True, gradient_accumulation_steps=2)
    assert nb.optimizers.SGD.from_config(nb.optimizers.SGD(lazy=True).get_config()).lazy


def test_groups_of_rows_are_no_longer_offered() -> None:
    with pytest.raises(ValueError, match=r"groups: .*batchwise=True"):
        nb.layers.Dropout(0.5, batchwise=True, groups=2)
    config = nb.layers.Dropout(0.5, batchwise=True).get_config() | {"groups": 1}
    assert nb.layers.Dropout.from_config(config).batchwise


@pytest.mark.parametrize("slices", [2, 3])
def test_penalties_on_weights_agree_over_slices(slices: int) -> None:
    """Only the first slice has penalties, and cannot leave those gradients packed; nor may the others."""

    def weights(slices: int) -> list[Array]:
        nb.set_random_seed(2)
        layers: list[nb.layers.Layer] = [nb.Input((9,), dtype="float64")]
        for units in (11, 13):
            layers.append(nb.layers.Dense(units, "relu", kernel_regularizer="l2", dtype="float64"))
            layers.append(nb.layers.Dropout(0.4, batchwise=True, dtype="float64"))
        model = nb.Sequential([*layers, nb.layers.Dense(3, dtype="float64")])
        model.compile("sgd", "mse", slices=slices)
        rng = np.random.default_rng(0)
        model.fit(rng.normal(size=(48, 9)), rng.normal(size=(48, 3)), 16, 3, verbose=0)
        return model.get_weights()

    for one, other in zip(weights(1), weights(slices), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
