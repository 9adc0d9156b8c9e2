"""The table of a model with models in it."""

from __future__ import annotations

import pytest

import nbnet as nb
from nbnet import layers


def nested():
    deep = nb.Input((3,), name="deep_in")
    inner = nb.Model(deep, layers.Dense(3, name="dense")(deep), name="inner")
    middle = nb.Sequential([nb.Input((3,), name="in"), inner, layers.Dropout(0.5, name="drop")], name="middle")
    x = nb.Input((3,), name="x")
    return nb.Model(x, layers.Dense(1, name="last")(nb.ops.relu(middle(x))), name="outer")


def table(model, **arguments):
    """Cells of the rows under the head."""
    found: list[str] = []
    model.summary(print_fn=found.append, **arguments)
    lines = found[0].splitlines()
    rules = [k for k, line in enumerate(lines) if line.startswith("─")]
    return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in lines[rules[1] + 1 : rules[2]]]


def test_layers_of_inner_models_are_shown_on_demand():
    assert [row[0] for row in table(nested())] == [
        "x (InputLayer)",
        "middle (Sequential)",
        "relu (relu)",
        "last (Dense)",
    ]
    assert [row[0] for row in table(nested(), expand_nested=True)] == [
        "x (InputLayer)",
        "middle (Sequential)",
        "└ inner (Model)",
        "└ deep_in (InputLayer)",
        "└ dense (Dense)",
        "└ drop (Dropout)",
        "relu (relu)",
        "last (Dense)",
    ]


def test_what_is_trained_is_shown_on_demand():
    model = nested()
    model.get_layer("middle").trainable = False
    assert [row[-1] for row in table(model, show_trainable=True)] == ["-", "N", "-", "Y"]


def test_a_part_of_the_layers():
    assert [row[0] for row in table(nested(), layer_range=["mid", "la.*"])] == [
        "middle (Sequential)",
        "relu (relu)",
        "last (Dense)",
    ]
    for wrong in (["x"], ["x", "nothing"], [1, 2]):
        with pytest.raises(ValueError, match="layer_range"):
            table(nested(), layer_range=wrong)
