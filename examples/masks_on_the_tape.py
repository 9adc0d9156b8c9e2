"""Common questions about dropout, answered by numbers read from the tape; each answer is asserted, too.

    python examples/masks_on_the_tape.py

The network: 3 inputs, a Dense of 8 units with tanh, Dropout, a Dense of 1 unit; a batch of 4 rows.
"""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

import nbnet as nb
from nbnet import layers

BATCH, UNITS, RATE = 4, 8, 0.25
SCALE = np.float32(1) / (np.float32(1) - np.float32(RATE))
X = np.random.default_rng(0).normal(size=(BATCH, 3)).astype(np.float32)

#: Drops units 2 and 5 in every row, unit 0 in row 0 alone, unit 7 in row 3 alone.
MASK = np.ones((BATCH, UNITS), bool)
MASK[:, [2, 5]] = MASK[0, 0] = MASK[3, 7] = False
EVERY_ROW, ONE_ROW = [2, 5], [0, 7]
ALL_KEPT = np.ones_like(MASK)


def build() -> nb.Sequential:
    """The network; the same weights and the same masks whenever it is built."""
    nb.set_random_seed(5)
    return nb.Sequential(
        [
            nb.Input((3,)),
            layers.Dense(UNITS, activation="tanh", name="hidden"),
            layers.Dropout(RATE, name="dropout"),
            layers.Dense(1, name="output"),
        ]
    )


def ask(question: str) -> None:
    print(f"\n{question}")


def show(name: str, array: Any) -> None:
    text = np.array2string(np.asarray(array), precision=3, floatmode="fixed")
    print(f"  {name:<9}" + text.replace("\n", "\n" + " " * 11))


def answer(text: str) -> None:
    print(textwrap.fill(f"-> {text}", 100, initial_indent="  ", subsequent_indent="     "))


def which_mask_does_backward_use() -> None:
    ask("1. Does backward use the mask of 0 and 1, or that of 0 and 1/(1-p)?")
    h = nb.Parameter(np.linspace(1, 2, UNITS, dtype=np.float32)[None])
    with nb.Tape() as tape:
        y = layers.Dropout(RATE, name="dropout", seed=2)(h, training=True)
    (mask,) = tape.masks["dropout"]
    gradient = tape.gradient(y, h).numpy()[0]
    show("mask", mask.astype(int))
    show("y / h", y.numpy()[0] / h.numpy()[0])
    show("dh / dy", gradient)
    assert 0 < mask.sum() < UNITS
    np.testing.assert_array_equal(y.numpy()[0], h.numpy()[0] * (mask * SCALE))
    np.testing.assert_array_equal(gradient, mask * SCALE)
    answer(
        "That of 0 and 1/(1-p): forward and backward multiply by the same recorded mask and by the same "
        f"1/(1-{RATE}) = {SCALE:.4f}. The {np.sum(~mask)} dropped units get a gradient of exactly 0."
    )


def which_part_of_dw_is_zero() -> None:
    ask("2. Which part of dW is exactly zero when a unit is dropped?")
    model = build()
    weights = model.trainable_weights

    def gradients(mask: Any) -> list[Any]:
        with nb.Tape(masks={"dropout": mask}) as tape:
            total = nb.ops.sum(model(X, training=True))
        return [g.numpy() for g in tape.gradient(total, weights)]

    dw, db, dv, _ = gradients(MASK)
    show("dW below", dw)
    show("db below", db)
    show("dW above", dv[:, 0])
    for part in (dw.T, db, dv):
        zero = [unit for unit in range(UNITS) if not part[unit].any()]
        assert zero == EVERY_ROW
    h = np.tanh(X @ weights[0].numpy() + weights[1].numpy())
    np.testing.assert_allclose(dv[:, 0], (h * MASK * SCALE).sum(0), rtol=1e-5, atol=1e-6)
    kept = gradients(ALL_KEPT)[2][:, 0]
    answer(
        f"Units 2 and 5 were dropped in all {BATCH} rows of the batch: their columns of dW and db in the layer "
        "below and their rows of dW in the layer above are exactly 0.0 (with every unit kept, dW above is "
        f"{kept[2]:.3f} for unit 2). Units 0 and 7 were dropped in one row each, and lack that row's share alone. "
        "So a weight's gradient is exactly zero if its unit was dropped in every row."
    )


def do_its_weights_stay() -> None:
    ask("3. Do the weights of a dropped unit stay unchanged in that step?")
    target = np.ones((BATCH, 1), np.float32)
    optimizers = {
        "SGD": nb.optimizers.SGD(0.1),
        "SGD, momentum 0.9": nb.optimizers.SGD(0.1, momentum=0.9),
        "Adam": nb.optimizers.Adam(0.1),
    }
    moved: dict[str, list[float]] = {}
    for name, optimizer in optimizers.items():
        model = build()
        weights = model.trainable_weights
        # In the first step unit 2 is kept, which gives momentum and Adam something to remember.
        for mask in (ALL_KEPT, MASK):
            before = model.get_weights()
            with nb.Tape(masks={"dropout": mask}) as tape:
                loss = nb.ops.mean(nb.ops.square(model(X, training=True) - target))
            optimizer.apply(tape.gradient(loss, weights), weights)
            w, b, v, _ = (np.abs(after - old) for after, old in zip(model.get_weights(), before, strict=True))
            moved.setdefault(name, []).append(float(max(w[:, 2].max(), b[2], v[2, 0])))
        print(f"  {name:<18} unit 2 kept: its weights move by {moved[name][0]:.4f}; dropped: by {moved[name][1]:.4f}")
    assert all(kept > 0 for kept, _ in moved.values())
    assert moved["SGD"][1] == 0.0 < min(moved["SGD, momentum 0.9"][1], moved["Adam"][1])
    answer(
        "Under plain SGD they do, bit for bit. Under momentum and Adam they move on: the gradient is zero, what "
        f"the optimizer remembers is not (here Adam moves them by {moved['Adam'][1]:.4f})."
    )


def what_happens_at_test_time() -> None:
    ask("4. What happens at test time?")
    model = build()
    with nb.Tape() as tape:
        y = model(X).numpy()
    w, b, v, c = model.get_weights()
    h = np.tanh(X @ w + b)
    dropout = model.get_layer("dropout")
    assert tape.masks == {}
    assert "dropout" not in {node.op.name for node in tape.nodes}
    np.testing.assert_array_equal(dropout(h).numpy(), h)
    np.testing.assert_allclose(y, h @ v + c, rtol=1e-5, atol=1e-6)
    copies = 10_000
    mean = dropout(np.repeat(h[:1], copies, 0), training=True).numpy().mean(0)
    show("h", h[0])
    show("mean", mean)
    np.testing.assert_array_less(np.abs(mean - h[0]), 5 * np.abs(h[0]) * np.sqrt(RATE / (1 - RATE) / copies))
    answer(
        f"Nothing: the tape of a plain call holds {len(tape.masks)} masks and no dropout among its ops "
        f"({', '.join(node.op.name for node in tape.nodes)}); the layer returns its input bit for bit and no weight "
        f"is rescaled. Training did that: the mean of {copies:,} dropped copies of a row differs from the row by at "
        f"most {np.abs(mean - h[0]).max():.4f}."
    )


def what_did_the_thinned_network_look_like() -> None:
    ask("5. What did the sampled thinned network look like?")
    model = build()
    with nb.Tape() as tape:
        y = model(X, training=True).numpy()
    mask = tape.masks["dropout"]
    w, b, v, c = model.get_weights()
    show("mask", mask.astype(int))
    sizes = []
    for row in range(BATCH):
        kept = mask[row]
        # Dropped units are cut out of the weights; what they leave is an ordinary, smaller network.
        thinned = np.tanh(X[row] @ w[:, kept] + b[kept]) @ (SCALE * v[kept]) + c
        np.testing.assert_allclose(thinned, y[row], rtol=1e-5, atol=1e-6)
        sizes.append(f"3-{kept.sum()}-1")
        print(f"  row {row}: {sizes[-1]}, output {thinned[0]:+.5f}; the masked forward pass gave {y[row, 0]:+.5f}")
    with nb.Tape(masks=tape.masks):
        np.testing.assert_array_equal(model(X, training=True).numpy(), y)
    answer(
        f"Each row of the batch had a network of its own ({', '.join(sizes)}), one of the 2**{UNITS} = {2**UNITS} "
        "that share these weights, and its output is that of the masked forward pass. Played back from tape.masks, "
        "the pass repeats bit for bit."
    )


def main() -> None:
    print(f"p is the rate, {RATE}: the probability to DROP a unit. The tape records every mask; 1 = kept.")
    which_mask_does_backward_use()
    which_part_of_dw_is_zero()
    do_its_weights_stay()
    what_happens_at_test_time()
    what_did_the_thinned_network_look_like()


if __name__ == "__main__":
    main()
